//! Runs as a table.

use supwatch_model::run::{Phase, Run};

use super::table::Table;
use super::{Look, duration, safe, time};

/// Every run on one line.
pub fn list<'a>(runs: impl IntoIterator<Item = &'a Run>, look: Look) -> String {
    let mut table = Table::new(&[
        look.say("site", "サイト"),
        look.say("started (UTC)", "開始 (UTC)"),
        look.say("took", "所要"),
        look.say("trigger", "契機"),
        look.say("outcome", "結果"),
        look.say("phases, cause", "フェーズ・原因"),
    ]);
    for run in runs {
        let took =
            run.started_at.zip(run.ended_at).map_or_else(|| "–".to_owned(), |(start, end)| duration(end.duration_since(start)));
        let trigger = run.from.map_or_else(|| run.trigger.as_str().to_owned(), |from| format!("{} {from}", run.trigger.as_str()));
        let phase = |phase: &Phase| match phase.started_at.zip(phase.ended_at) {
            Some((start, end)) => format!("{} {}", phase.phase, duration(end.duration_since(start))),
            None => phase.phase.clone(),
        };
        let mut detail = run.phases.iter().map(phase).collect::<Vec<_>>().join(" → ");
        if let Some((done, total)) = run.progress {
            detail.push_str(&format!(" {done}/{total}"));
        }
        if let Some(cause) = &run.cause {
            detail = format!("{cause}: {}", run.text.as_deref().unwrap_or_default());
        }
        table.row(vec![
            run.site.as_str().into(),
            time(run.started_at).into(),
            took.into(),
            trigger.into(),
            run.outcome.as_str().into(),
            safe(&detail).into(),
        ]);
    }
    table.draw(look)
}
