//! WSUS synchronises only when a run of this site requests it, and a child runs only when its parent requests it.
//!
//! WSUS calls every synchronisation of Configuration Manager manual, so that flag proves nothing; what counts is whether a run
//! was in progress.

use super::{Failure, Judged, Outcome, Rule, Scene, no_setting, setting};
use jiff::SignedDuration;
use supwatch_model::describe::SiteType;
use supwatch_model::event::Trigger;
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "sync-started-outside",
    severity: Severity::Warning,
    title: ("only Configuration Manager starts synchronisations", "同期が Configuration Manager からのみ開始されている"),
    why: (
        "A synchronisation from the WSUS console may bring in updates outside the filters, and makes the next run wait or time out.",
        "WSUS コンソールから同期を開始すると、フィルタ範囲外の更新が取り込まれたり、次の同期が待機またはタイムアウトしたりします。",
    ),
    looks_at: &["wsus[first].wsus_sync", "wsyncmgr.log"],
    fix: &[
        (
            "Start synchronisations with Run Synchronization in the console of the top site, or leave them to the schedule.",
            "同期は、最上位サイトのコンソールの[同期の実行]で開始するか、スケジュールに任せてください。",
        ),
        (
            "In the WSUS console, set Options > Synchronization Schedule to \"Synchronize manually\".",
            "WSUS コンソールの[オプション]>[同期スケジュール]を[手動で同期する]にしてください。",
        ),
    ],
    source: "the article, \"WSUS synchronization is in progress and times out\" and \"unexpected software updates are synchronized\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let secondary = scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary);
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    if site.has_no_sup() || (secondary && site.settings().is_none()) {
        return Vec::new();
    }
    if let (Some(false), Some(last)) = (scene.is_top(), site.runs.last())
        && last.run.trigger == Trigger::Local
    {
        let summary = Text::new(
            format!("the last run of {} was started at that site, which only its parent may do", site.code),
            format!("{} の最後の同期が、親サイトの要求ではなくそのサイトで開始されました", site.code),
        );
        let mut failure = Failure::new(Severity::Warning, summary).shown_by(last.start_line.clone());
        failure.since = last.run.started_at;
        return vec![Judged::usual(Outcome::Fail(Box::new(failure)))];
    }
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return unknown(missing),
    };
    let sync = settings.first_sup().and_then(|sup| settings.wsus_of(sup)).and_then(|wsus| wsus.wsus_sync.value());
    let Some(sync) = sync else { return unknown(no_setting(site.code, "wsus[first].wsus_sync")) };
    if sync.last_result.value().is_some_and(|result| result == "never-run") {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let Some(started) = sync.started_at.value().copied() else {
        return unknown(no_setting(site.code, "wsus[first].wsus_sync.started_at"));
    };
    let slack = SignedDuration::from_mins(i64::from(scene.limits.outside_minutes));
    let within = |tracked: &crate::runs::TrackedRun| {
        let run = &tracked.run;
        let begun = run.started_at.is_none_or(|at| at.duration_since(started) <= slack);
        // A run without an end lasts until its last known line; only a running one is open-ended.
        let end = run.ended_at.or(tracked.progressed_at.filter(|_| run.outcome != RunOutcome::Running));
        begun && end.is_none_or(|at| started.duration_since(at) <= slack)
    };
    if site.runs.iter().any(within) {
        return vec![Judged::usual(Outcome::Pass)];
    }
    // A log that begins later may lack the run that requested it; in one that ends earlier, the run may still appear.
    let covered = site.log_since.is_some_and(|since| since <= started)
        && site.log_until.is_some_and(|newest| newest.duration_since(started) >= slack);
    if !covered {
        return unknown(Text::new(
            format!("the wsyncmgr.log of {} around {started:.0}, when WSUS synchronised", site.code),
            format!("WSUS が同期した {started:.0} 前後の {} の wsyncmgr.log", site.code),
        ));
    }
    let summary = Text::new(
        format!("WSUS of {} synchronised at {started:.0}, and no run of the site asked it to", site.code),
        format!("{} の WSUS が {started:.0} に同期しましたが、サイトの同期によるものではありません", site.code),
    );
    let evidence = setting(site, "wsus[first].wsus_sync.started_at", started.to_string());
    let mut failure = Failure::new(Severity::Warning, summary).shown_by([evidence]);
    failure.since = Some(started);
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    const RUN: &[&str] = &["Performing sync on regular schedule", "Sync succeeded. x"];

    fn started(at: &str) -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["wsus_sync"] = json!({"started_at": at, "started_manually": true});
        World::new().central("CEN").settings("CEN", settings).log("CEN", RUN)
    }

    #[test]
    fn only_a_synchronisation_that_no_run_explains_is_from_outside() {
        started("2026-03-01T04:00:30Z").check("sync-started-outside", "CEN pass");
        let later = started("2026-03-01T04:30:00Z").log("CEN", &["Waiting for changes"; 60]);
        later.check("sync-started-outside", "CEN fail");
        started("2026-03-01T01:00:00Z").check("sync-started-outside", "CEN unknown");
        started("2026-03-01T04:01:00Z").check("sync-started-outside", "CEN pass");
        // The run that requested it may appear with the next lines, or have rolled away.
        let soon = || World::new().central("CEN").log("CEN", RUN).log("CEN", &["Waiting for changes"; 30]);
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["wsus_sync"] = json!({"started_at": "2026-03-01T04:30:00Z"});
        soon().settings("CEN", settings).check("sync-started-outside", "CEN unknown");
        started("2026-03-01T03:50:00Z").check("sync-started-outside", "CEN unknown");
    }

    #[test]
    fn a_local_request_on_a_child_is_from_outside() {
        let world = World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .log("P01", &["Performing sync on local request", "Sync succeeded. x"]);
        world.check("sync-started-outside", "CEN unknown, P01 fail");
    }

    #[test]
    fn a_run_that_was_cut_off_explains_nothing_later() {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["wsus_sync"] = json!({"started_at": "2026-03-01T05:30:00Z"});
        let cut = World::new()
            .central("CEN")
            .settings("CEN", settings)
            .log("CEN", &["Performing sync on regular schedule"])
            .log("CEN", RUN);
        cut.log("CEN", &["Wakeup for a polling cycle"; 120]).check("sync-started-outside", "CEN fail");
    }
}
