//! After a wave every site has the catalogue version that the top site's last success ended with.

use super::{Failure, Judged, Outcome, Rule, Scene, setting};
use crate::hierarchy::Site;
use crate::waves::SKEW;
use serde_json::json;
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "catalog-lag",
    severity: Severity::Warning,
    title: ("every site has the top site's catalogue version", "各サイトのカタログ バージョンが最上位サイトと一致している"),
    why: (
        "A site that stays at an older version offers its clients old updates although every run looks fine.",
        "古いバージョンのままのサイトでは、同期が成功していても、クライアントに古い更新が提供されます。",
    ),
    looks_at: &["wsyncmgr.log", "wsyncmgr.log of the top site", "sup_status of the top site"],
    fix: &[
        (
            "Compare the catalog versions in the console: Monitoring > Software Update Point Synchronization Status.",
            "コンソールの[監視]>[ソフトウェアの更新ポイントの同期ステータス]でカタログ バージョンを比較してください。",
        ),
        (
            "Follow the notification from the top down: `supwatch runs`, and the first site on the way whose version is behind.",
            "最上位から順に通知を確認し (`supwatch runs`)、最初にバージョンが遅れているサイトを調べてください。",
        ),
    ],
    source: "documentation: track software update synchronization; monitor software updates",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let (site, code) = (scene.site, scene.site.code);
    let secondary = scene.hierarchy.site_type(code) == Some(SiteType::Secondary);
    if scene.is_top() == Some(true) || site.has_no_sup() || (secondary && site.runs.last().is_none()) {
        return Vec::new();
    }
    let unknown = |en: String, ja: String| vec![Judged::usual(Outcome::Unknown(vec![Text::new(en, ja)]))];
    let Some(top) = scene.hierarchy.top_of(code).and_then(|top| scene.hierarchy.site(top)) else {
        return unknown(format!("the top site above {code}"), format!("{code} の最上位サイト"));
    };
    let (Some(wanted), Some(succeeded)) = (top.synced_version(), top.runs.last_success()) else {
        return unknown(
            format!("the catalogue version of a success of {} in its wsyncmgr.log", top.code),
            format!("{} の wsyncmgr.log にある成功した同期のカタログ バージョン", top.code),
        );
    };
    let Some((own, evidence)) = own_version(site, top) else {
        return unknown(
            format!("a catalogue version of {code}, in its wsyncmgr.log or in sup_status of {}", top.code),
            format!("{code} のカタログ バージョン (wsyncmgr.log または {} の sup_status)", top.code),
        );
    };
    if own >= wanted {
        return vec![Judged::usual(Outcome::Pass)];
    }
    if let Some(missing) = undecided(scene, top, &succeeded.run, own, wanted) {
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    }
    let summary = Text::new(
        format!("{code} is at catalogue version {own}, the last success of {} at {wanted}", top.code),
        format!("{code} のカタログ バージョンは {own} ですが、{} の最後に成功した同期では {wanted} です", top.code),
    );
    let mut failure = Failure::new(Severity::Warning, summary).shown_by(evidence);
    failure.since = succeeded.run.ended_at;
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

/// What is missing to call an older version a lag, if anything is.
fn undecided(scene: &Scene<'_>, top: &Site, succeeded: &Run, own: u64, wanted: u64) -> Option<Text> {
    let (site, code) = (scene.site, scene.site.code);
    let missing = |en: String, ja: String| Some(Text::new(en, ja));
    // A site that is behind while the wave is in progress does not lag. If a log begins within the top site's run, everything
    // after the end of that run is later.
    let since = succeeded.started_at.or(succeeded.ended_at);
    let after = |tracked: &&crate::runs::TrackedRun| {
        tracked.run.outcome != RunOutcome::Running && since.is_some() && tracked.run.started_at >= since
    };
    let over =
        site.runs.last().is_some_and(|last| last.run.outcome != RunOutcome::Running) && site.runs.iter().rev().any(|t| after(&t));
    if site.runs.last().is_none() {
        return missing(
            format!(
                "the wsyncmgr.log of {code}: {} knows it at version {own} instead of {wanted}, not whether a run is under way",
                top.code
            ),
            format!(
                "{code} の wsyncmgr.log ({} によるとバージョンは {own} で、{wanted} より古いですが、同期中かどうか分かりません)",
                top.code
            ),
        );
    }
    if !over {
        return missing(
            format!("a finished run of {code} after that of {}: the wave is still under way", top.code),
            format!("{} の同期以降に完了した {code} の同期 (同期の途中です)", top.code),
        );
    }
    // A run that succeeded had its chance. After a failed run a retry may have brought the version; its absence is known only as
    // far as the log is read.
    let succeeded_below = site.runs.iter().rev().any(|tracked| after(&tracked) && tracked.run.outcome == RunOutcome::Succeeded);
    let failed = site.runs.last().and_then(|last| last.run.ended_at);
    let wave = jiff::SignedDuration::from_mins(i64::from(scene.limits.wave_minutes)) + SKEW;
    let due = failed.max(succeeded.ended_at).and_then(|ended| ended.checked_add(wave).ok());
    if !succeeded_below && scene.seen_until() < due {
        return missing(
            format!("the wsyncmgr.log of {code} with the retry after its failed run"),
            format!("失敗した同期の再試行を含む {code} の wsyncmgr.log"),
        );
    }
    None
}

/// What the site's own log shows, else what the top site's provider reports.
fn own_version(site: &Site, top: &Site) -> Option<(u64, Vec<Evidence>)> {
    if let Some(version) = site.catalog_version() {
        return Some((version, Vec::new()));
    }
    let rows = top.settings()?.sup_status.value()?.iter().filter(|row| row.site.value() == Some(&site.code));
    let (row, version) = rows.filter_map(|row| Some((row, *row.catalog_version.value()?))).min_by_key(|(_, version)| *version)?;
    let server = row.server.value().map(|server| format!(" {server}")).unwrap_or_default();
    let path = format!("sup_status[{}{server}].catalog_version", site.code);
    Some((version, vec![setting(top, path, json!(version))]))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    fn version(site: &str, number: u64) -> String {
        format!("Set content version of update source {{G}} for site {site} to {number}")
    }

    fn world(own: u64) -> World {
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .log("CEN", &["Performing sync on regular schedule", &version("CEN", 34), "Sync succeeded. x"])
            .log("P01", &["Performing sync on parent request", &version("P01", own), "Sync succeeded. x"])
    }

    #[test]
    fn the_same_version_passes_and_an_older_one_fails() {
        world(34).check("catalog-lag", "P01 pass");
        world(33).check("catalog-lag", "P01 fail");
    }

    #[test]
    fn where_the_log_of_the_top_begins_within_its_run_an_older_run_of_a_child_shows_no_lag() {
        let pair = World::new().central("CEN").primary("P01", "CEN");
        let cut = [version("CEN", 34), "Sync succeeded. x".to_owned()];
        let cut: Vec<&str> = cut.iter().map(String::as_str).collect();
        let child = [version("P01", 33), "Sync succeeded. x".to_owned()];
        let child: Vec<&str> = ["Performing sync on parent request"].into_iter().chain(child.iter().map(String::as_str)).collect();
        pair.clone().log("P01", &child).log("CEN", &cut).check("catalog-lag", "P01 unknown");
        pair.log("CEN", &cut).log("P01", &child).check("catalog-lag", "P01 fail");
    }

    #[test]
    fn a_failed_run_shows_no_lag_before_its_retry_was_due() {
        let failed = &["Performing sync on parent request", "Sync failed: The operation has timed out. Source: X"];
        let top = [version("CEN", 34)];
        let top = ["Performing sync on regular schedule", &top[0], "Sync succeeded. x"];
        let before = [version("P01", 33)];
        let before = ["Performing sync on parent request", &before[0], "Sync succeeded. x"];
        let world = || World::new().central("CEN").primary("P01", "CEN").log("P01", &before).pause_minutes(90).log("CEN", &top);
        world().log("P01", failed).check("catalog-lag", "P01 unknown");
        world().log("P01", failed).later_hours(3).check("catalog-lag", "P01 fail");
    }

    #[test]
    fn a_wave_under_way_and_a_site_without_a_version_are_unknown() {
        world(33).log("P01", &["Performing sync on parent request"]).check("catalog-lag", "P01 unknown");
        World::new().central("CEN").primary("P01", "CEN").check("catalog-lag", "P01 unknown");
    }
}
