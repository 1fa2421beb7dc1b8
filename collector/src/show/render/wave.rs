//! A wave as a tree with a timeline: which sites were notified, when each began, how long it took, where it stopped.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::ids::SiteCode;
use supwatch_model::wave::{EdgeOutcome, Wave, WaveEdge, WaveOutcome};

use super::table::Table;
use super::{Look, Tone, duration, fit, safe, time, width};

/// Columns of the timeline on a terminal of normal width.
const LINE: usize = 24;

/// Draws one wave.
pub fn draw(wave: &Wave, now: Timestamp, look: Look) -> String {
    let mut out = heading(wave, now, look);
    let (from, to) = bounds(wave, now);
    let scale = Scale { from, to, columns: LINE };
    let mut children: BTreeMap<SiteCode, Vec<&WaveEdge>> = BTreeMap::new();
    for edge in &wave.edges {
        children.entry(edge.parent).or_default().push(edge);
    }
    let top_end = wave.edges.iter().filter(|edge| edge.parent == wave.top).filter_map(|edge| edge.notified_at).min();
    let own_end = if wave.edges.is_empty() { wave.ended_at } else { top_end };
    let (sign, tone) = match wave.outcome {
        WaveOutcome::Broken if wave.broken_at.is_none() => ("✗", Tone::Bad),
        WaveOutcome::Running if wave.edges.iter().all(|edge| edge.notified_at.is_none()) => ("↻", Tone::Good),
        WaveOutcome::Unknown if own_end.is_none() => ("·", Tone::Dim),
        _ if wave.started_at.is_none() => ("·", Tone::Dim),
        _ => ("✓", Tone::Good),
    };
    let seen = wave.started_at.is_some() || wave.edges.is_empty();
    let own_end = own_end.or(wave.ended_at).or(Some(now)).filter(|_| seen);
    let bar = scale.bar(None, wave.started_at, own_end, sign == "✗");
    let width_of_name = name_width(wave, &children);
    row(&mut out, look, wave.top.as_str(), width_of_name, (sign, tone), &bar, &own_detail(wave, look));
    branch(&mut out, wave.top, "", &children, &scale, width_of_name, look);
    out
}

fn own_detail(wave: &Wave, look: Look) -> String {
    match wave.started_at {
        Some(start) => clock(Some(start)),
        None => look.say("no log of it", "ログなし").to_owned(),
    }
}

fn name_width(wave: &Wave, children: &BTreeMap<SiteCode, Vec<&WaveEdge>>) -> usize {
    fn depth(of: SiteCode, children: &BTreeMap<SiteCode, Vec<&WaveEdge>>) -> usize {
        children.get(&of).into_iter().flatten().map(|edge| 1 + depth(edge.child, children)).max().unwrap_or(0)
    }
    3 * depth(wave.top, children) + 4
}

fn branch(
    out: &mut String,
    parent: SiteCode,
    below: &str,
    children: &BTreeMap<SiteCode, Vec<&WaveEdge>>,
    scale: &Scale,
    name: usize,
    look: Look,
) {
    let edges = children.get(&parent).map(Vec::as_slice).unwrap_or_default();
    for (index, edge) in edges.iter().enumerate() {
        let last = index + 1 == edges.len();
        let (lead, deeper) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let failed = edge.outcome == EdgeOutcome::Failed;
        let end = edge.ended_at.or((edge.outcome == EdgeOutcome::Running).then_some(scale.to).flatten());
        let bar = scale.bar(edge.notified_at, edge.started_at, end, failed);
        let plain = format!("{below}{lead}{}", edge.child);
        row(out, look, &plain, name, sign(edge.outcome), &bar, &detail(edge, look));
        if let Some(note) = &edge.note {
            let indent = name + 3;
            for part in super::wrap(&safe(look.text(note)), look.width.saturating_sub(indent).max(30)) {
                let lead = format!("{below}{}", if last { "  " } else { "│ " });
                let pad = " ".repeat(indent.saturating_sub(width(&lead)));
                out.push_str(&format!("{lead}{pad}{}\n", look.paint(Tone::Dim, &part)));
            }
        }
        branch(out, edge.child, &format!("{below}{deeper}"), children, scale, name, look);
    }
}

fn row(out: &mut String, look: Look, name: &str, columns: usize, (sign, tone): (&str, Tone), bar: &str, detail: &str) {
    let pad = " ".repeat(columns.saturating_sub(width(name)).max(1));
    let used = width(name) + width(&pad) + 2 + LINE + 3;
    let detail = fit(detail, look.width.saturating_sub(used).max(20));
    let line = format!("{name}{pad}{} {} {detail}", look.paint(tone, sign), look.paint(Tone::Dim, &format!("▏{bar}▕")));
    out.push_str(line.trim_end());
    out.push('\n');
}

fn sign(outcome: EdgeOutcome) -> (&'static str, Tone) {
    match outcome {
        EdgeOutcome::Succeeded => ("✓", Tone::Good),
        EdgeOutcome::Failed | EdgeOutcome::Missed => ("✗", Tone::Bad),
        EdgeOutcome::Running => ("↻", Tone::Good),
        EdgeOutcome::Waiting => ("…", Tone::Dim),
        EdgeOutcome::Cut => ("-", Tone::Dim),
        EdgeOutcome::Unknown => ("·", Tone::Dim),
    }
}

/// The word for the outcome of a wave.
pub fn outcome(outcome: WaveOutcome, look: Look) -> (Tone, &'static str) {
    match outcome {
        WaveOutcome::Complete => (Tone::Good, look.say("complete", "完了")),
        WaveOutcome::Running => (Tone::Good, look.say("running", "実行中")),
        WaveOutcome::Broken => (Tone::Bad, look.say("broken", "中断")),
        WaveOutcome::Unknown => (Tone::Dim, look.say("not all of it known", "一部不明")),
    }
}

fn heading(wave: &Wave, now: Timestamp, look: Look) -> String {
    let (tone, word) = outcome(wave.outcome, look);
    let mut out = format!("{} · {}", look.paint(Tone::Strong, &wave.id), look.paint(tone, word));
    if let Some(version) = wave.catalog_version {
        out.push_str(&format!(" · {} {version}", look.say("catalog", "カタログ")));
    }
    if let Some(start) = wave.started_at {
        let span = duration(wave.ended_at.unwrap_or(now).duration_since(start));
        out.push_str(&format!(" · {} UTC · {span}", time(Some(start))));
    }
    out.push('\n');
    let done = wave.edges.iter().filter(|edge| edge.outcome == EdgeOutcome::Succeeded).count();
    if !wave.edges.is_empty() {
        let all = wave.edges.len();
        out.push_str(&match look.lang {
            supwatch_model::text::Lang::En => format!("{done} of {all} sites below {} have it\n", wave.top),
            supwatch_model::text::Lang::Ja => format!("{} の下位サイト {all} か所のうち {done} か所に届いています\n", wave.top),
        });
    }
    if let Some(stopped) = stopped(wave, look) {
        out.push_str(&format!("{}\n", look.paint(Tone::Bad, &stopped)));
    }
    out.push('\n');
    out
}

/// A description of where it stopped.
fn stopped(wave: &Wave, look: Look) -> Option<String> {
    if wave.outcome != WaveOutcome::Broken {
        return None;
    }
    let cause = wave.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
    Some(match wave.broken_at {
        Some((parent, child)) => match look.lang {
            supwatch_model::text::Lang::En => format!("stopped between {parent} and {child}{cause}"),
            supwatch_model::text::Lang::Ja => format!("{parent} と {child} の間で停止{cause}"),
        },
        None => match look.lang {
            supwatch_model::text::Lang::En => format!("stopped at {}{cause}", wave.top),
            supwatch_model::text::Lang::Ja => format!("{} で停止{cause}", wave.top),
        },
    })
}

fn detail(edge: &WaveEdge, look: Look) -> String {
    let mut parts = Vec::new();
    match (edge.started_at, edge.notified_at) {
        (Some(started), _) => parts.push(clock(Some(started))),
        (None, Some(told)) => parts.push(format!("{} {}", look.say("told", "通知"), clock(Some(told)))),
        (None, None) => {}
    }
    if let Some(lag) = edge.lag {
        parts.push(format!("+{}", duration(lag)));
    }
    if let (Some(start), Some(end)) = (edge.started_at, edge.ended_at) {
        parts.push(format!("{} {}", look.say("took", "所要"), duration(end.duration_since(start))));
    }
    if edge.runs.len() > 1 {
        parts.push(match look.lang {
            supwatch_model::text::Lang::En => format!("{} runs", edge.runs.len()),
            supwatch_model::text::Lang::Ja => format!("{} 回実行", edge.runs.len()),
        });
    }
    match edge.outcome {
        EdgeOutcome::Missed => parts.push(look.say("did not begin", "開始せず").to_owned()),
        EdgeOutcome::Waiting => parts.push(look.say("not yet", "未開始").to_owned()),
        EdgeOutcome::Cut => parts.push(look.say("not reached", "未到達").to_owned()),
        EdgeOutcome::Running => parts.push(look.say("running", "実行中").to_owned()),
        EdgeOutcome::Unknown => parts.push(look.say("unknown", "不明").to_owned()),
        EdgeOutcome::Failed => parts.push(edge.cause.clone().unwrap_or_else(|| look.say("failed", "失敗").to_owned())),
        EdgeOutcome::Succeeded if edge.inferred => parts.push(look.say("inferred", "推定").to_owned()),
        EdgeOutcome::Succeeded => {}
    }
    parts.join("  ")
}

fn clock(time: Option<Timestamp>) -> String {
    time.map(|time| time.strftime("%H:%M:%S").to_string()).unwrap_or_default()
}

/// Earliest and latest moment of a wave.
fn bounds(wave: &Wave, now: Timestamp) -> (Option<Timestamp>, Option<Timestamp>) {
    let of = |edge: &WaveEdge| [edge.notified_at, edge.started_at, edge.ended_at];
    let times = || wave.edges.iter().flat_map(of).chain([wave.started_at, wave.ended_at]).flatten();
    let waits = |edge: &WaveEdge| matches!(edge.outcome, EdgeOutcome::Running | EdgeOutcome::Waiting);
    let goes_on = wave.outcome == WaveOutcome::Running || wave.edges.iter().any(waits);
    (times().min(), times().chain(goes_on.then_some(now)).max())
}

/// Maps times to columns.
struct Scale {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    columns: usize,
}

impl Scale {
    fn column(&self, at: Timestamp) -> usize {
        let (Some(from), Some(to)) = (self.from, self.to) else { return 0 };
        let (all, part) = (to.duration_since(from).as_millis().max(1), at.duration_since(from).as_millis().max(0));
        let last = self.columns.saturating_sub(1);
        usize::try_from(part * i128::try_from(last).unwrap_or(0) / all).unwrap_or(0).min(last)
    }

    /// Dots from the notification to the start, blocks for the run, a cross where it failed.
    fn bar(&self, notified: Option<Timestamp>, start: Option<Timestamp>, end: Option<Timestamp>, failed: bool) -> String {
        let mut cells = vec![' '; self.columns];
        let mut fill = |from: usize, to: usize, with: char| {
            cells.iter_mut().take(to + 1).skip(from).for_each(|cell| *cell = with);
        };
        if let Some(notified) = notified {
            let at = self.column(notified);
            fill(at, start.map_or(at, |start| self.column(start)), '·');
        }
        let begin = start.or(end.filter(|_| notified.is_none()));
        if let Some(begin) = begin {
            let (from, to) = (self.column(begin), self.column(end.unwrap_or(begin)));
            fill(from, to.max(from), '█');
            if failed {
                fill(to.max(from), to.max(from), '×');
            }
        }
        cells.into_iter().collect()
    }
}

/// Waves in a table, newest first.
pub fn list(waves: &[Wave], look: Look) -> String {
    let mut table = Table::new(&[
        look.say("wave", "同期"),
        look.say("took", "所要"),
        look.say("sites", "サイト"),
        look.say("outcome", "結果"),
        look.say("stopped at", "停止箇所"),
    ]);
    for wave in waves {
        let took = wave.started_at.zip(wave.ended_at).map(|(start, end)| duration(end.duration_since(start)));
        let done = wave.edges.iter().filter(|edge| edge.outcome == EdgeOutcome::Succeeded).count();
        let (_, word) = outcome(wave.outcome, look);
        let slowest = wave.edges.iter().filter_map(|edge| Some((edge.lag?, edge.child))).max();
        let detail = stopped(wave, look).or_else(|| {
            let (lag, child) = slowest.filter(|(lag, _)| *lag > SignedDuration::from_mins(5))?;
            Some(match look.lang {
                supwatch_model::text::Lang::En => format!("{child} began {} late", duration(lag)),
                supwatch_model::text::Lang::Ja => format!("{child} の開始が {} 遅延", duration(lag)),
            })
        });
        table.row(vec![
            wave.id.as_str().into(),
            took.unwrap_or_else(|| "–".to_owned()).into(),
            format!("{done}/{}", wave.edges.len()).into(),
            word.into(),
            detail.unwrap_or_default().into(),
        ]);
    }
    table.draw(look)
}
