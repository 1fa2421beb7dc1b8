//! A run succeeded within the schedule: 2 intervals without success are a warning, 4 are critical. Children follow the top site's
//! schedule. The schedule is the configured one, else the longest interval between the scheduled starts that the top site's log
//! shows. Without either, or if it is off, the answer is unknown: 24 hours are never assumed.

use super::{Failure, Judged, Rule, Scene, no_settings, setting};
use crate::hierarchy::Site;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::settings::Known;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "sync-overdue",
    severity: Severity::Warning,
    title: ("a synchronisation succeeded within the schedule", "予定の間隔内に同期が成功している"),
    why: (
        "Nothing failed, yet no updates arrive: the schedule, the notification or the service has stopped.",
        "失敗していなくても更新が届いていません。スケジュール、通知、またはサービスが停止しています。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "See what the site is waiting for: the newest lines of its wsyncmgr.log, and for a child whether the parent's log says \"Sending sync notification to child site(s)\".",
            "サイトが何を待っているか、wsyncmgr.log の最新の行を確認してください。子サイトの場合は、親サイトのログに「Sending sync notification to child site(s)」があるか確認してください。",
        ),
        (
            "Make sure that the component SMS_WSUS_SYNC_MANAGER runs (SMS_EXECUTIVE service) and that the synchronisation schedule of the top site is on.",
            "SMS_WSUS_SYNC_MANAGER コンポーネント (SMS_EXECUTIVE サービス) が動作しており、最上位サイトの同期スケジュールが有効であることを確認してください。",
        ),
    ],
    source: "the article, \"checking for errors\"; documentation: synchronization schedule",
    watcher: false,
    judge,
};

const LOOKED_AT: &[&str] = &["wsyncmgr.log", "component.schedule_hours", "hierarchy.toml intervals.sync_hours"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let secondary = scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary);
    if site.has_no_sup() || (secondary && site.runs.last().is_none()) {
        return Vec::new();
    }
    let (hours, evidence) = match schedule(scene) {
        Ok(schedule) => schedule,
        Err(missing) => return vec![Judged::unknown(LOOKED_AT, vec![missing])],
    };
    let row = scene.hierarchy.status_of(site.code);
    let reported = row.and_then(|(_, row)| row.last_success_at.value().copied());
    // The top site's provider may know a newer success than a log that is no longer read.
    let success = site.runs.last_success().and_then(|tracked| tracked.run.ended_at).max(reported);
    // What happened later is unknown, so nothing is concluded.
    let asked_at = reported.and(row).and_then(|(top, _)| top.merged()?.taken_at);
    let Some(now) = scene.seen_until().max(asked_at).map(|until| until.min(scene.now)) else {
        return vec![Judged::unknown(LOOKED_AT, vec![unread(site)])];
    };
    // No success was ever seen: counting starts where the log begins.
    let Some(since) = success.or(site.log_since) else {
        return vec![Judged::unknown(LOOKED_AT, vec![unread(site)])];
    };
    let (warning_gaps, critical_gaps) =
        (i64::from(scene.limits.overdue_warning_gaps), i64::from(scene.limits.overdue_critical_gaps));
    let overdue = |gaps: i64| now.duration_since(since) > SignedDuration::from_hours(i64::from(hours) * gaps);
    let severity = if overdue(critical_gaps) {
        Severity::Critical
    } else if overdue(warning_gaps) {
        Severity::Warning
    } else if success.is_some() {
        return vec![Judged::pass(LOOKED_AT)];
    } else {
        let missing = Text::new(
            format!("a success of {}: its log covers less than two intervals of {hours} h", site.code),
            format!("{} の成功した同期 (ログの範囲が {hours} 時間間隔の 2 回分に足りません)", site.code),
        );
        return vec![Judged::unknown(LOOKED_AT, vec![missing])];
    };
    let summary = Text::new(
        format!("{} has not synchronised for {}, scheduled is every {hours} h", site.code, ago(now, since)),
        format!("{} は {} 同期に成功していません (予定は {hours} 時間ごと)", site.code, ago(now, since)),
    );
    let mut failure = Failure::new(severity, summary).shown_by(evidence);
    failure.since = since.checked_add(SignedDuration::from_hours(i64::from(hours) * warning_gaps)).ok();
    vec![Judged::fail(LOOKED_AT, failure)]
}

fn unread(site: &Site) -> Text {
    Text::new(format!("any dated line of {}'s wsyncmgr.log", site.code), format!("{} の wsyncmgr.log の日時付きの行", site.code))
}

/// Hours between runs: from the top site's component, else `hierarchy.toml`, else its log.
fn schedule(scene: &Scene<'_>) -> Result<(u32, Vec<Evidence>), Text> {
    let code = scene.site.code;
    let top = scene.hierarchy.top_of(code).and_then(|top| scene.hierarchy.site(top));
    let configured = top
        .and_then(|top| top.settings())
        .and_then(|settings| settings.component.value())
        .map(|component| component.schedule_hours);
    match (top, configured, scene.hierarchy.expected.sync_hours) {
        (Some(top), Some(Known::Some(hours)), _) => Ok((hours, vec![setting(top, "component.schedule_hours", json!(hours))])),
        (Some(top), Some(Known::None), None) => Err(Text::new(
            format!("a schedule: {} does not synchronise on one", top.code),
            format!("スケジュール ({} はスケジュールで同期しません)", top.code),
        )),
        (_, _, Some(hours)) => Ok((hours, Vec::new())),
        (Some(top), _, None) if let Some(hours) = top.hours_between_runs() => Ok((hours, Vec::new())),
        (Some(top), _, None) if top.settings().is_none() => Err(no_settings(top.code)),
        (_, _, None) => Err(Text::new(
            format!("the schedule above {code}: set component.schedule_hours, or intervals.sync_hours in hierarchy.toml"),
            format!(
                "{code} のスケジュール。component.schedule_hours または hierarchy.toml の intervals.sync_hours を設定してください"
            ),
        )),
    }
}

fn ago(now: Timestamp, since: Timestamp) -> String {
    let hours = now.duration_since(since).as_hours();
    if hours >= 48 { format!("{} d {} h", hours / 24, hours % 24) } else { format!("{hours} h") }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    const SUCCESS: &[&str] = &["Performing sync on regular schedule", "Sync succeeded. x"];

    fn world() -> World {
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("CEN", healthy("cen", None))
            .log("CEN", SUCCESS)
            .log("P01", SUCCESS)
    }

    #[test]
    fn a_stand_alone_site_shows_by_its_scheduled_runs_that_it_is_one() {
        let mut world = World::new();
        for _ in 0..5 {
            world = world.log("P01", SUCCESS);
        }
        let code = "P01".parse().expect("code");
        assert_eq!(world.hierarchy().top_of(code), Some(code));
        let reported = World::new().log("P01", &["Performing sync on parent request", "Sync succeeded. x"]);
        assert_eq!(reported.hierarchy().top_of(code), None);
    }

    #[test]
    fn two_gaps_warn_and_four_are_critical() {
        world().later_hours(47).check("sync-overdue", "CEN pass, P01 pass");
        let warned = world().later_hours(50);
        warned.clone().check("sync-overdue", "CEN fail, P01 fail");
        assert_eq!(warned.failure("sync-overdue", "P01").severity.as_str(), "warning");
        assert_eq!(world().later_hours(97).failure("sync-overdue", "P01").severity.as_str(), "critical");
    }

    #[test]
    fn an_unknown_schedule_is_never_taken_for_a_day() {
        let mut unscheduled = healthy("cen", None);
        unscheduled["component"]["schedule_hours"] = json!(null);
        world().settings("CEN", unscheduled.clone()).later_hours(1000).check("sync-overdue", "CEN unknown, P01 unknown");
        World::new().central("CEN").log("CEN", SUCCESS).later_hours(1000).check("sync-overdue", "CEN unknown");
        World::new().central("CEN").sync_hours(12).log("CEN", SUCCESS).later_hours(30).check("sync-overdue", "CEN fail");
    }

    #[test]
    fn a_schedule_that_the_log_shows_counts_by_its_longest_gap() {
        let days = |days: &[usize]| {
            let world = World::new().central("CEN");
            days.windows(2).fold(world.log("CEN", SUCCESS), |world, day| {
                let pause = 1440 * (day[1] - day[0]) - SUCCESS.len();
                world.pause_minutes(pause).log("CEN", SUCCESS)
            })
        };
        let twice_a_week = days(&[0, 3, 7, 10, 14]);
        twice_a_week.clone().later_hours(18 * 24).check("sync-overdue", "CEN pass");
        twice_a_week.clone().later_hours(23 * 24).check("sync-overdue", "CEN fail");
        let summary = twice_a_week.later_hours(23 * 24).failure("sync-overdue", "CEN").summary.en;
        assert!(summary.contains("scheduled is every 96 h"), "{summary}");
        days(&[0, 1, 2]).later_hours(1000).check("sync-overdue", "CEN unknown");
    }

    #[test]
    fn a_site_never_seen_to_succeed_counts_from_its_first_line() {
        let begun =
            World::new().central("CEN").settings("CEN", healthy("cen", None)).log("CEN", &["Performing sync on regular schedule"]);
        begun.clone().later_hours(10).check("sync-overdue", "CEN unknown");
        begun.later_hours(60).check("sync-overdue", "CEN fail");
    }

    #[test]
    fn the_gaps_are_those_of_rules_toml() {
        let limits = "[limits]\nsync_overdue_warning_gaps = 10\nsync_overdue_critical_gaps = 20\n";
        world().limits(limits).later_hours(100).check("sync-overdue", "CEN pass, P01 pass");
    }

    #[test]
    fn a_long_row_of_failures_does_not_make_the_last_success_forgotten() {
        let failed = ["Performing sync on retry schedule", "Sync failed: Unable to connect to the remote server. Source: X"];
        let lines: Vec<&str> = failed.into_iter().cycle().take(2 * 401).collect();
        let world = World::new()
            .central("CEN")
            .settings("CEN", healthy("cen", None))
            .log("CEN", &["Wakeup for a polling cycle"])
            .log("CEN", SUCCESS);
        let since = |world: &World| world.failure("sync-overdue", "CEN").since;
        let late = world.clone().later_hours(100);
        assert_eq!(since(&late), since(&world.log("CEN", &lines).later_hours(100)));
    }
}
