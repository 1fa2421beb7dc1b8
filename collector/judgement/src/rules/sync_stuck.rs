//! A run in progress advances: a phase begins or more items are done. A long run that progresses is not stuck, and a component's
//! heartbeat is not progress.

use super::{Failure, Judged, Outcome, Rule, Scene};
use jiff::SignedDuration;
use supwatch_model::describe::SiteType;
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "sync-stuck",
    severity: Severity::Warning,
    title: ("a running synchronisation makes progress", "実行中の同期が進行している"),
    why: (
        "A run that makes no progress blocks every later one, and at best ends in a time-out hours later.",
        "停止した同期は後続の同期を妨げ、数時間後にタイムアウトするまで終わりません。",
    ),
    looks_at: &["wsyncmgr.log", "limits.sync_stuck_minutes"],
    fix: &[
        (
            "In the WSUS console, click Synchronizations and look at the status of the running one.",
            "WSUS コンソールで[同期]をクリックし、実行中の同期の状態を確認してください。",
        ),
        (
            "If WSUS is not synchronising, restart Update Services and WsusPool, then the component SMS_WSUS_SYNC_MANAGER (Configuration Manager Service Manager).",
            "WSUS が同期していない場合は、Update Services と WsusPool を再起動し、続いて SMS_WSUS_SYNC_MANAGER コンポーネントを再起動してください (Configuration Manager サービス マネージャ)。",
        ),
        (
            "If it is the database that is slow, decline superseded updates and re-index SUSDB.",
            "データベースが遅い場合は、置き換えられた更新を拒否し、SUSDB のインデックスを再構築してください。",
        ),
    ],
    source: "the article, \"WSUS synchronization is in progress and times out\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let Some(last) = site.runs.last() else {
        if site.has_no_sup() || scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary) {
            return Vec::new();
        }
        let code = site.code;
        let missing = Text::new(
            format!("a run of {code}: no wsyncmgr.log of it shows one"),
            format!("{code} の同期 (wsyncmgr.log に記録がありません)"),
        );
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    };
    if last.run.outcome != RunOutcome::Running {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let Some(progressed) = last.progressed_at else {
        let code = site.code;
        let missing = Text::new(format!("times in the wsyncmgr.log of {code}"), format!("{code} の wsyncmgr.log の日時"));
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    };
    let limit = SignedDuration::from_mins(i64::from(scene.limits.stuck_minutes));
    if scene.now.duration_since(progressed) <= limit {
        return vec![Judged::usual(Outcome::Pass)];
    }
    // A log that is no longer read does not show that the run is stalled. Logs collected by hand are collected together, so a
    // newer line in another log shows that this one has stopped.
    let read_until = if scene.live { site.read_until() } else { site.read_until().max(site.newest) };
    if read_until.is_none_or(|until| until.duration_since(progressed) <= limit) {
        let code = site.code;
        let missing = Text::new(
            format!("the wsyncmgr.log of {code} after {:.0}, when its run was last seen to progress", progressed),
            format!("{code} の wsyncmgr.log の {:.0} (最後に進行が確認された時刻) 以降の記録", progressed),
        );
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    }
    let phase = last.run.phases.last().map(|phase| phase.phase.clone());
    let (en, ja) = phase.map_or_else(Default::default, |phase| (format!(" in phase {phase}"), format!(" (フェーズ {phase})")));
    let summary = Text::new(
        format!("the synchronisation of {} has stood still{en} since {progressed:.0}", site.code),
        format!("{} の同期が {progressed:.0} から進行していません{ja}", site.code),
    );
    let mut failure = Failure::new(Severity::Warning, summary).shown_by(last.progress_line.clone());
    failure.since = Some(progressed);
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn a_run_without_progress_is_stuck_and_one_that_progresses_is_not() {
        let running = World::new().central("CEN").log(
            "CEN",
            &["Performing sync on regular schedule", "sync: WSUS synchronizing updates, processed 10 out of 900 items (1%)"],
        );
        running.clone().check("sync-stuck", "CEN pass");
        running.clone().later_hours(4).check("sync-stuck", "CEN unknown");
        let fillers = vec!["Waiting for changes for 60 minutes"; 180];
        running.clone().log("CEN", &fillers).later_hours(3).check("sync-stuck", "CEN fail");
        // In a folder of logs, another log continues.
        running
            .clone()
            .pause_minutes(180)
            .wcm("CEN", &["Waiting for changes for 60 minutes"])
            .later_hours(3)
            .check("sync-stuck", "CEN fail");
        let on =
            running.log("CEN", &fillers).log("CEN", &["sync: WSUS synchronizing updates, processed 400 out of 900 items (44%)"]);
        on.later_hours(3).check("sync-stuck", "CEN pass");
    }

    #[test]
    fn without_a_run_it_is_unknown() {
        World::new().central("CEN").check("sync-stuck", "CEN unknown");
    }
}
