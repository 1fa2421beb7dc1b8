//! A run does not wait for a WSUS synchronisation that another program or administrator started, and did not time out waiting for
//! one.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use jiff::{SignedDuration, Timestamp};
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "wsus-busy",
    severity: Severity::Warning,
    title: ("WSUS is free when a synchronisation begins", "同期の開始時に WSUS が同期中でない"),
    why: (
        "WSyncMgr waits until a synchronisation started in the WSUS console ends, and may time out while waiting.",
        "WSUS コンソールで開始された同期が終わるまで WSUS 同期マネージャは待機し、タイムアウトすることがあります。",
    ),
    looks_at: &["wsus[].wsus_sync", "wsyncmgr.log"],
    fix: &[
        (
            "In the WSUS console, click Synchronizations: cancel the running one so that Configuration Manager can start its own, or wait until it ends.",
            "WSUS コンソールで[同期]をクリックし、実行中の同期をキャンセルして Configuration Manager の同期を開始できるようにするか、完了を待ってください。",
        ),
        (
            "Start synchronisations from the Configuration Manager console or the schedule, never from the WSUS console; turn off the schedule in WSUS.",
            "同期は Configuration Manager コンソールまたはスケジュールから開始し、WSUS コンソールからは開始しないでください。WSUS 側のスケジュールは無効にしてください。",
        ),
    ],
    source: "the article, \"WSUS synchronization is in progress and times out\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

/// A run makes its request to WSUS within moments; anything that began earlier was started elsewhere.
const BEFORE: SignedDuration = SignedDuration::from_mins(1);

fn judge(point: &Point<'_>) -> Option<Judged> {
    if !point.first {
        return None;
    }
    let site = point.scene.site;
    let Some(last) = site.runs.last() else {
        let code = site.code;
        let missing = Text::new(format!("a run of {code}"), format!("{code} の同期"));
        return Some(Judged::weigh(RULE.looks_at, None, vec![missing]));
    };
    let sync = point.wsus.and_then(|wsus| wsus.wsus_sync.value());
    let foreign = |started: Timestamp| last.run.started_at.is_some_and(|run| run.duration_since(started) > BEFORE);
    let started = sync.and_then(|sync| sync.started_at.value()).copied();
    let busy = sync.and_then(|sync| sync.status.value()).is_some_and(|status| status == "running");
    let ended = sync.and_then(|sync| sync.last_end.value()).copied();
    let overlapped = |started: Timestamp| {
        let over = ended.filter(|ended| *ended >= started && !busy);
        last.run.started_at.is_some_and(|run| over.is_none_or(|over| over > run))
    };
    // What was running before the run began may be over by now, and may have been another run of this site.
    let asked_at = point.wsus_reported_at("wsus_sync.status");
    let seen_within = last.run.started_at.is_none_or(|run| asked_at.is_some_and(|asked| asked >= run));
    let waits = last.run.outcome == RunOutcome::Running && busy && seen_within && started.is_some_and(foreign);
    let timed_out = last.run.outcome == RunOutcome::Failed
        && last.run.text.as_deref().is_some_and(is_time_out)
        && started.is_some_and(|started| foreign(started) && overlapped(started));
    if waits || timed_out {
        let (en, ja) = if waits {
            ("waits for", "の完了を待っています")
        } else {
            ("timed out on", "の完了を待ってタイムアウトしました")
        };
        let at = started.map(|at| format!("{at:.0}")).unwrap_or_default();
        let summary = Text::new(
            format!("the run of {} {en} a WSUS synchronisation that began at {at}", site.code),
            format!("{} の同期が、{at} に開始された WSUS の同期{ja}", site.code),
        );
        let mut evidence = vec![point.wsus_says("wsus_sync.started_at", at)];
        evidence.extend(last.evidence());
        return Some(Judged::weigh(RULE.looks_at, Some(Failure::new(Severity::Warning, summary).shown_by(evidence)), Vec::new()));
    }
    let clear = last.run.outcome == RunOutcome::Succeeded || (sync.is_some() && (seen_within || !busy));
    let missing = if clear { Vec::new() } else { vec![point.no_wsus("wsus_sync")] };
    Some(Judged::weigh(RULE.looks_at, None, missing))
}

/// Timeouts appear as English words, or as the .NET code in any language.
fn is_time_out(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("timed out") || text.contains("timeout") || text.contains("80131505") || text.contains("タイムアウト")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn world(sync: Value) -> World {
        let mut settings = healthy("cen", None);
        settings["taken_at"] = json!("2026-03-01T04:05:00Z");
        settings["wsus"][0]["wsus_sync"] = sync;
        World::new().central("CEN").settings("CEN", settings)
    }

    const START: &str = "Performing sync on regular schedule";

    #[test]
    fn a_foreign_synchronisation_makes_the_run_wait() {
        let busy = |at: &str| world(json!({"status": "running", "started_at": at})).log("CEN", &[START]);
        busy("2026-03-01T03:30:00Z").check("wsus-busy", "CEN fail");
        // The snapshot was taken before the run began: the synchronisation it shows may have been an earlier run's.
        let mut settings = healthy("cen", None);
        settings["taken_at"] = json!("2026-03-01T03:40:00Z");
        settings["wsus"][0]["wsus_sync"] = json!({"status": "running", "started_at": "2026-03-01T03:30:00Z"});
        World::new().central("CEN").settings("CEN", settings).log("CEN", &[START]).check("wsus-busy", "CEN unknown");
        busy("2026-03-01T04:00:30Z").check("wsus-busy", "CEN pass");
    }

    #[test]
    fn a_run_that_timed_out_on_one_fails() {
        let sync = json!({"status": "not-processing", "started_at": "2026-03-01T03:30:00Z", "last_end": "2026-03-01T04:30:00Z"});
        let failed = "Sync failed: The operation has timed out. Source: Microsoft.UpdateServices.Internal.ApiRemoting";
        world(sync.clone()).log("CEN", &[START, failed]).check("wsus-busy", "CEN fail");
        world(sync).log("CEN", &[START, "Sync failed: other. Source: X"]).check("wsus-busy", "CEN pass");
    }

    #[test]
    fn without_a_run_it_is_unknown() {
        world(Value::Null).check("wsus-busy", "CEN unknown");
    }
}
