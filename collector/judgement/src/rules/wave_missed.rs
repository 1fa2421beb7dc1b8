//! A child that is notified of new metadata starts its own run in time. The finding names the edge where a wave stopped.

use super::{Failure, Judged, Outcome, Rule, Scene, no_parent};
use crate::hierarchy::{Parent, Site};
use crate::waves::{SKEW, busy_until, is_covered};
use jiff::{SignedDuration, Timestamp};
use supwatch_model::describe::SiteType;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "wave-missed",
    severity: Severity::Critical,
    title: ("a notified child starts to synchronise", "通知された子サイトが同期を開始する"),
    why: (
        "The notification from parent to child carries a synchronisation down the hierarchy; if it is lost, everything below stays behind, and nothing fails.",
        "親サイトから子サイトへの通知によって同期が下位に伝わります。通知が失われると、エラーにならないまま下位サイトが取り残されます。",
    ),
    looks_at: &["wsyncmgr.log", "wsyncmgr.log of the parent", "limits.wave_missed_minutes"],
    fix: &[
        (
            "See whether the notification arrived: on the child, wsyncmgr.log says \"Found parent sync notification file\"; the file <parent>.SYN is in inboxes\\WSyncMgr.box.",
            "通知が届いたか確認してください。子サイトの wsyncmgr.log に「Found parent sync notification file」が記録され、inboxes\\WSyncMgr.box に <親サイト コード>.SYN が置かれます。",
        ),
        (
            "If it did not: look at replication between the two sites (sender.log, despool.log, replmgr.log) and at SMS_EXECUTIVE on the child.",
            "届いていない場合は、サイト間のレプリケーション (sender.log、despool.log、replmgr.log) と子サイトの SMS_EXECUTIVE を確認してください。",
        ),
    ],
    source: "the article, \"Run Synchronization is not available\" (a child starts on its parent's request alone); documentation: track software update synchronization",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    if site.has_no_sup() {
        return Vec::new();
    }
    let parent = match scene.hierarchy.parent(site.code) {
        Parent::Top => return Vec::new(),
        Parent::Unknown => return vec![Judged::usual(Outcome::Unknown(vec![no_parent(site.code)]))],
        Parent::Of(parent) => parent,
    };
    let secondary = scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary);
    // The oldest notification that no run has followed counts: a new one every hour does not reset the wait.
    let started = |at: Timestamp| site.runs.iter().any(|t| t.run.started_at.is_some_and(|run| at.duration_since(run) <= SKEW));
    let mut by_parent = site.notified.iter().filter(|notification| notification.parent == parent);
    let newest = by_parent.clone().next_back();
    let Some(notification) = by_parent.find(|notification| !started(notification.at)).or(newest) else {
        if secondary && site.runs.last().is_none() {
            return Vec::new();
        }
        let missing = Text::new(
            format!("a notification from {parent} to {} in the wsyncmgr.log of {parent}", site.code),
            format!("{parent} の wsyncmgr.log にある {} への通知", site.code),
        );
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    };
    if started(notification.at) {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let limit = SignedDuration::from_mins(i64::from(scene.limits.wave_minutes));
    let from = notification.at.max(busy_until(site, notification.at, scene.limits, scene.now).unwrap_or(notification.at));
    if scene.now.duration_since(from) <= limit {
        return vec![Judged::usual(Outcome::Pass)];
    }
    // Only a log that reaches back that far, and continues, proves that no run began.
    let begins_later = site.log_since.is_none_or(|since| since > notification.at) || begins_within(site, notification.at);
    if begins_later || !is_covered(site, from, limit) {
        let missing = Text::new(
            format!("the wsyncmgr.log of {} from {:.0} on, when {parent} told it", site.code, notification.at),
            format!("{parent} が通知した {:.0} 以降の {} の wsyncmgr.log", notification.at, site.code),
        );
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    }
    let summary = Text::new(
        format!(
            "{} did not start after {parent} told it at {:.0}: the wave stopped between {parent} and {}",
            site.code, notification.at, site.code
        ),
        format!(
            "{parent} が {:.0} に通知しましたが、{} は同期を開始していません。同期は {parent} と {} の間で止まっています",
            notification.at, site.code, site.code
        ),
    );
    let mut failure = Failure::new(Severity::Critical, summary).shown_by([notification.evidence.clone()]);
    failure.since = notification.at.checked_add(limit).ok();
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

/// Whether the log begins within a run that the notification may have caused.
fn begins_within(site: &Site, notification: Timestamp) -> bool {
    let first = site.runs.iter().next().map(|tracked| &tracked.run);
    first.is_some_and(|run| run.started_at.is_none() && run.ended_at.is_none_or(|ended| ended >= notification))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    fn pair() -> World {
        World::new().central("CEN").primary("P01", "CEN")
    }

    fn notified() -> World {
        let before = pair().log("P01", &["Wakeup for a polling cycle"]);
        before.log("CEN", &["Sending sync notification to child site(s): P01"])
    }

    #[test]
    fn a_child_that_starts_in_time_passes() {
        notified()
            .log("P01", &["Found parent sync notification file CEN.SYN", "Performing sync on parent request"])
            .later_hours(3)
            .check("wave-missed", "P01 pass");
        notified().check("wave-missed", "P01 pass");
    }

    #[test]
    fn a_child_whose_log_is_covered_without_a_run_missed_it() {
        notified().pause_minutes(90).log("P01", &["Wakeup for a polling cycle"]).later_hours(3).check("wave-missed", "P01 fail");
        // A log that ends shortly after the notification proves nothing.
        notified().log("P01", &["Wakeup for a polling cycle"]).later_hours(3).check("wave-missed", "P01 unknown");
        notified().later_hours(3).check("wave-missed", "P01 unknown");
    }

    #[test]
    fn a_log_that_begins_after_the_notification_does_not_show_its_result() {
        pair()
            .log("CEN", &["Sending sync notification to child site(s): P01"])
            .pause_minutes(90)
            .log("P01", &["Wakeup for a polling cycle"])
            .later_hours(3)
            .check("wave-missed", "P01 unknown");
        // Its first lines may belong to the run that the notification caused.
        notified()
            .log("P01", &["Sync succeeded. x"])
            .pause_minutes(90)
            .log("P01", &["Wakeup for a polling cycle"])
            .later_hours(3)
            .check("wave-missed", "P01 unknown");
    }

    #[test]
    fn a_new_notification_does_not_make_an_old_one_young() {
        let again = ["Sending sync notification to child site(s): P01"];
        let lines: Vec<&str> = std::iter::repeat_n("Wakeup for a polling cycle", 150).chain(again).collect();
        let world = notified().log("CEN", &lines).log("P01", &["Wakeup for a polling cycle"]).later_minutes(100);
        world.check("wave-missed", "P01 fail");
    }

    #[test]
    fn a_child_that_is_busy_acts_on_it_later() {
        let busy = World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .log("P01", &["Performing sync on parent request"])
            .log("CEN", &["Wakeup for a polling cycle"; 30])
            .log("CEN", &["Sending sync notification to child site(s): P01"])
            .log("P01", &["sync: WSUS synchronizing updates, processed 10 out of 900 items (1%)"]);
        busy.clone().later_hours(2).check("wave-missed", "P01 pass");
        // A run whose end is not seen does not extend the wait forever.
        busy.pause_minutes(300).log("P01", &["Wakeup for a polling cycle"]).later_hours(9).check("wave-missed", "P01 fail");
    }
}
