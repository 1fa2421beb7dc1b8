//! A failure that was repaired within a backlog is history: kept as a resolved finding, and never notified.

use supwatch_model::finding::Finding;
use supwatch_model::run::RunOutcome;

use super::opened;
use crate::hierarchy::{Hierarchy, Site};
use crate::limits::Limits;
use crate::rules::{Scene, get};

/// The newest failure of a site that a later success ended, as a finding with the times of the runs.
pub(super) fn of(hierarchy: &Hierarchy, limits: &Limits, site: &Site) -> Option<Finding> {
    let failed_at = site.runs.last_failure()?.run.ended_at?;
    let mended = |at: &jiff::Timestamp| *at > failed_at;
    let ends = site.runs.iter().filter(|tracked| tracked.run.outcome == RunOutcome::Succeeded);
    let resolved_at = ends.filter_map(|tracked| tracked.run.ended_at).find(mended)?;
    let past = site.as_of(failed_at);
    let scene = Scene { hierarchy, site: &past, now: failed_at, live: true, limits };
    let judged = get("sync-failed")?.judge(&scene);
    let (verdict, failure) = judged.into_iter().find_map(|(verdict, failure)| Some((verdict, failure?)))?;
    let finding = opened(&verdict, failure, failed_at);
    Some(Finding { changed_at: Some(resolved_at), resolved_at: Some(resolved_at), ..finding })
}

#[cfg(test)]
mod tests {
    use supwatch_model::coverage::{Coverage, LogCoverage};
    use supwatch_model::event::StoredEvent;
    use supwatch_model::ids::{AgentId, Epoch};

    use crate::hierarchy::Hierarchy;
    use crate::judge::Judge;
    use crate::limits::Limits;
    use crate::rules::testing::events;

    #[test]
    fn what_failed_and_was_mended_in_a_backlog_is_kept_as_resolved() {
        let lines = [
            "Performing sync on regular schedule",
            "Sync failed: Unable to connect to the remote server. Source: X",
            "Performing sync on retry schedule",
            "Sync succeeded. x",
        ];
        let agent = AgentId("a".into());
        let site = "CEN".parse().expect("code");
        let now = "2026-03-20T00:00:00Z".parse().expect("time");
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), true);
        judge.stream_opened(&agent, 1, "0", true, 0);
        let arrived = events("CEN", &lines);
        for (number, mut event) in (1..).zip(arrived) {
            event.sequence = number;
            judge.apply(&StoredEvent { agent: agent.clone(), epoch: Epoch([1; 16]), received_at: now, event });
            let changed = judge.judge(now);
            assert!(changed.iter().all(|finding| finding.rule != "sync-failed"), "{changed:#?}");
        }
        let logs =
            vec![LogCoverage { log: "wsyncmgr".into(), file: "wsyncmgr.log".into(), offset: 9, size: 9, read_until: Some(now) }];
        judge.apply_coverage(&agent, Epoch([1; 16]), Coverage { site, after_sequence: 4, caught_up: true, logs });
        let changed = judge.judge(now);
        let [finding] = changed.iter().filter(|finding| finding.rule == "sync-failed").collect::<Vec<_>>().try_into().expect("one");
        assert!(finding.opened_at < finding.resolved_at && finding.resolved_at < Some(now), "{finding:#?}");
        assert_eq!(judge.judge(now), [], "it is kept once");
    }
}
