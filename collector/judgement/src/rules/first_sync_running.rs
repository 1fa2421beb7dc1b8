//! The first synchronisation is over: while it is in progress, the console shows no metadata, and that is no fault.

use super::{Failure, Judged, Outcome, Rule, Scene};
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::run::RunOutcome;
use supwatch_model::settings::Known;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "first-sync-running",
    severity: Severity::Info,
    title: ("the first synchronisation is over", "最初の同期が完了している"),
    why: (
        "The first synchronisation takes hours; until it ends the console shows no software updates.",
        "最初の同期には長い時間がかかり、完了するまでコンソールにソフトウェアの更新は表示されません。",
    ),
    looks_at: &["wsyncmgr.log", "wsus[first].wsus_sync.last_result", "sup_status"],
    fix: &[
        (
            "In the WSUS console, click Synchronizations and look at the status; if it runs, wait until it ends.",
            "WSUS コンソールで[同期]をクリックして状態を確認し、実行中の場合は完了を待ってください。",
        ),
        (
            "Then follow wsyncmgr.log until Configuration Manager's own synchronisation says \"Sync succeeded\".",
            "その後、Configuration Manager の同期が完了する (「Sync succeeded」) まで wsyncmgr.log を確認してください。",
        ),
    ],
    source: "the article, \"software update metadata is not displayed in the console\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let (site, code) = (scene.site, scene.site.code);
    if site.has_no_sup() || (scene.hierarchy.site_type(code) == Some(SiteType::Secondary) && site.runs.last().is_none()) {
        return Vec::new();
    }
    let unknown = |en: String, ja: String| vec![Judged::usual(Outcome::Unknown(vec![Text::new(en, ja)]))];
    if site.runs.last_success().is_some() {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let Some(last) = site.runs.last() else {
        return unknown(format!("a run of {code}"), format!("{code} の同期"));
    };
    let (told_first, evidence) = never_before(scene);
    match told_first {
        Some(false) => vec![Judged::usual(Outcome::Pass)],
        None => unknown(
            format!("whether {code} ever succeeded before its log begins: wsus_sync.last_result or sup_status tells it"),
            format!("{code} がログの開始以前に成功したかどうか (wsus_sync.last_result または sup_status で分かります)"),
        ),
        Some(true) if last.run.outcome != RunOutcome::Running => vec![Judged::usual(Outcome::Pass)],
        Some(true) => {
            let summary = Text::new(
                format!("the first synchronisation of {code} is still running: no metadata shows until it ends"),
                format!("{code} の最初の同期が実行中です。完了するまでメタデータは表示されません"),
            );
            let mut failure = Failure::new(Severity::Info, summary).shown_by(evidence).shown_by(last.start_line.clone());
            failure.since = last.run.started_at;
            vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
        }
    }
}

/// Whether this site has never succeeded, and the source that shows it.
fn never_before(scene: &Scene<'_>) -> (Option<bool>, Vec<Evidence>) {
    let site = scene.site;
    if let Some(result) = site.first_wsus().and_then(|wsus| wsus.wsus_sync.value()?.last_result.value()) {
        let never = result == "never-run";
        let evidence = super::setting(site, "wsus[first].wsus_sync.last_result", result.as_str());
        // WSUS may have synchronised before without Configuration Manager; "never" is conclusive.
        if never || result == "succeeded" {
            return (Some(never), vec![evidence]);
        }
    }
    let top = scene.hierarchy.top_of(site.code).and_then(|top| scene.hierarchy.site(top));
    let rows = top.and_then(|top| top.settings()?.sup_status.value());
    let row = rows.into_iter().flatten().find(|row| row.site.value() == Some(&site.code));
    match row.map(|row| row.last_success_at) {
        Some(Known::None) => (Some(true), Vec::new()),
        Some(Known::Some(_)) => (Some(false), Vec::new()),
        Some(Known::Unknown) | None => (None, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    const START: &str = "Performing sync on regular schedule";

    fn world(result: &str) -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["wsus_sync"] = json!({"last_result": result});
        World::new().central("CEN").settings("CEN", settings).log("CEN", &[START])
    }

    #[test]
    fn only_a_first_run_in_progress_is_reported() {
        world("never-run").check("first-sync-running", "CEN fail");
        world("succeeded").check("first-sync-running", "CEN pass");
        world("unknown").check("first-sync-running", "CEN unknown");
        world("never-run").log("CEN", &["Sync succeeded. x"]).check("first-sync-running", "CEN pass");
        World::new().central("CEN").check("first-sync-running", "CEN unknown");
    }
}
