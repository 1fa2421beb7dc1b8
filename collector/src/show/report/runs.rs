//! The newest runs of each site: time, duration, trigger and outcome.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SitePicture};
use supwatch_model::run::{Run, RunOutcome};

use super::html::{Html, Tag};
use super::parts::{NAME, badge, cause, codes, left_out, nothing, outcome, table, time, trigger};
use super::{counted, marks};
use crate::show::render::duration;
use supwatch_judgement::picture::RUNS_SHOWN;

/// Most runs per site.
const SHOWN: usize = 10;
/// Sites whose runs are shown unfolded.
const OPEN: usize = 8;

pub(super) fn section(html: &mut Html, picture: &Picture) {
    super::section(html, "runs", |html| {
        let look = html.look;
        let mut by_site: BTreeMap<SiteCode, Vec<&Run>> = BTreeMap::new();
        for run in &picture.runs {
            by_site.entry(run.site).or_default().push(run);
        }
        let (mut without, mut left) = (Vec::new(), Vec::new());
        let mut open = OPEN;
        for site in &picture.sites {
            let Some(runs) = by_site.get(&site.code) else {
                without.push(site.code);
                continue;
            };
            if html.len() > marks::RUNS {
                left.push(site.code);
            } else {
                of_site(html, site, runs, open > 0);
                open = open.saturating_sub(1);
            }
        }
        if !without.is_empty() {
            let list = codes(&without, look);
            nothing(html, &format!("No run was seen of: {list}."), &format!("同期の記録がないサイト: {list}"));
        }
        if !left.is_empty() {
            let list = codes(&left, look);
            left_out(html, &format!("Left out to save space: {list}."), &format!("紙面の都合により省略したサイト: {list}"));
        }
        if picture.sites.is_empty() {
            nothing(html, "No run was seen.", "同期の記録はありません。");
        }
    });
}

fn of_site(html: &mut Html, site: &SitePicture, runs: &[&Run], open: bool) {
    let look = html.look;
    let failed = runs.iter().filter(|run| run.outcome == RunOutcome::Failed).count();
    html.element(Tag::from("details").flag("open", open), |html| {
        html.element("summary", |html| {
            html.element("h3", |html| {
                let count = counted(runs.len(), ("run", "runs", "件の同期"), look);
                let failures = look.say("{} failed", "失敗 {}").replace("{}", &failed.to_string());
                html.text(&format!("{} · {count}, {failures}", site.code));
            });
        });
        let head = [
            look.say("started", "開始"),
            look.say("took", "所要"),
            look.say("trigger", "契機"),
            look.say("outcome", "結果"),
            look.say("cause", "原因"),
        ];
        let caption = format!("{} {}", look.say("Runs of", "同期の履歴:"), site.code);
        table(html, "runs", &caption, &head, |rows| {
            for run in runs.iter().take(SHOWN) {
                rows.row(|row| {
                    row.name(|html| time(html, run.started_at));
                    row.cell(|html| html.text(&took(run).unwrap_or_else(|| look.say("not known", "不明").to_owned())));
                    row.cell(|html| {
                        html.text(trigger(run.trigger, look));
                        run.from.iter().for_each(|from| html.text(&format!(" {from}")));
                    });
                    row.cell(|html| badge(html, outcome(run.outcome, look)));
                    row.cell(|html| why(html, run));
                });
            }
        });
        let more = runs.len().saturating_sub(SHOWN);
        if more > 0 {
            let least = if runs.len() >= RUNS_SHOWN { look.say("at least ", "少なくとも ") } else { "" };
            left_out(html, &format!("Older runs left out: {least}{more}."), &format!("省略した以前の同期: {least}{more} 件"));
        }
    });
}

fn took(run: &Run) -> Option<String> {
    let span: SignedDuration = run.ended_at?.duration_since(run.started_at?);
    Some(duration(span))
}

fn why(html: &mut Html, run: &Run) {
    match &run.cause {
        Some(id) => cause(html, id),
        None => html.text("–"),
    }
    if let Some(text) = &run.text {
        html.element(Tag::class("span", "said"), |html| html.cut(text, NAME));
    }
}
