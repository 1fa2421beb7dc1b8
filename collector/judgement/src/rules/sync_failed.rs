//! The last run did not fail. A failure gets its cause, evidence and remedies from the catalogue. Source: the article, "checking
//! for errors" and all its error sections.

use super::{Failure, Judged, Rule, Scene, confidence, setting};
use crate::diagnosis::{Subject, UNKNOWN};
use crate::runs::{TrackedRun, WcmFailure};
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: super::SYNC_FAILED,
    severity: Severity::Critical,
    title: ("the last synchronisation did not fail", "最後の同期が失敗していない"),
    why: (
        "A failed run leaves the site, and every site below it, without new updates until a retry succeeds.",
        "同期が失敗すると、再試行が成功するまで、そのサイトと下位サイトに新しい更新が届きません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "Look at the finding: its cause has its own remedies, and its evidence names the line.",
            "検出された問題を確認してください。原因ごとの対処方法と、根拠となるログの行が示されます。",
        ),
        (
            "Where the log only says \"WSUS server not configured\", WCM.log of the same site says why.",
            "ログに「WSUS サーバーが構成されていません」とだけある場合は、同じサイトの WCM.log に理由が記録されています。",
        ),
    ],
    source: "the article, \"checking for errors\" and each of its error sections",
    watcher: false,
    judge,
};

const LOOKED_AT: &[&str] = &["wsyncmgr.log", "sup_status of the top site"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let mut judged = last_run(scene);
    judged.extend(scene.site.runs.wcm_failure().map(|failure| configuration(scene, failure)));
    judged
}

/// WCM failed and no run has started since: the next one will fail because of it.
fn configuration(scene: &Scene<'_>, failure: &WcmFailure) -> Judged {
    let code = scene.site.code;
    let entry = scene.hierarchy.catalogue.get(&failure.cause);
    let (title_en, title_ja) =
        entry.map_or(("cause not known", "原因不明"), |entry| (entry.title.en.as_str(), entry.title.ja.as_str()));
    let summary = Text::new(
        format!("WCM of {code} failed to configure WSUS, so the next synchronisation will fail: {title_en}"),
        format!("{code} の WCM が WSUS の構成に失敗したため、次の同期は失敗します: {title_ja}"),
    );
    let mut failed = Failure::new(Severity::Critical, summary).shown_by(failure.evidence.iter().cloned());
    failed.cause = Some(failure.cause.clone());
    if let Some(entry) = entry {
        let said = failure.evidence.first().and_then(|evidence| match evidence {
            Evidence::Line { line, .. } => Some(Subject::of_line(line)),
            Evidence::Setting { .. } => None,
        });
        confidence::explain(scene, &mut failed, entry, said.as_ref());
    }
    Judged::fail(&["WCM.log"], failed).of("WCM")
}

fn last_run(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let Some(last) = site.runs.iter().rev().find(ended) else {
        if let Some(reported) = reported_by_the_top(scene) {
            return vec![reported];
        }
        if site.has_no_sup() || scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary) {
            return Vec::new();
        }
        let missing = Text::new(
            format!("a finished run of {}: no wsyncmgr.log of it shows one", site.code),
            format!("{} の完了した同期 (wsyncmgr.log に記録がありません)", site.code),
        );
        return vec![Judged::unknown(LOOKED_AT, vec![missing])];
    };
    if last.run.outcome == RunOutcome::Succeeded {
        return vec![Judged::pass(LOOKED_AT)];
    }
    vec![Judged::fail(LOOKED_AT, failure(scene, last))]
}

/// For a site whose own log no agent reads, the provider of the top site reports how its last run ended.
fn reported_by_the_top(scene: &Scene<'_>) -> Option<Judged> {
    let code = scene.site.code;
    let (top, row) = scene.hierarchy.status_of(code)?;
    let looked_at = &["sup_status of the top site"];
    match row.state.value()? {
        6702 | 6708 => Some(Judged::pass(looked_at)),
        6703 => {
            let server = row.server.value().map(|server| format!(" {server}")).unwrap_or_default();
            let summary = Text::new(
                format!("the last synchronisation of {code} failed, as {} reports: its own wsyncmgr.log says why", top.code),
                format!(
                    "{} によると {code} の最後の同期が失敗しました。原因は {code} の wsyncmgr.log を確認してください",
                    top.code
                ),
            );
            let row_says =
                |field: &str, value: serde_json::Value| setting(top, format!("sup_status[{code}{server}].{field}"), value);
            let error = row.error.value().map(|error| row_says("error", (*error).into()));
            let failure = Failure::new(Severity::Critical, summary)
                .shown_by([row_says("state", 6703.into())])
                .shown_by(error)
                .remedied_by(
                    &format!("Read the newest wsyncmgr.log of {code}, or put it beside these logs: it names the cause. An agent at {code} reads it all the time."),
                    &format!("{code} の最新の wsyncmgr.log を確認するか、このログと一緒に読み込ませてください (原因が記録されています)。{code} にエージェントを置くと、常時監視されます。"),
                );
            Some(Judged::fail(looked_at, failure))
        }
        _ => None,
    }
}

/// Whether the end of a run was seen; a run that was cut off proves nothing.
fn ended(tracked: &&TrackedRun) -> bool {
    matches!(tracked.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed)
}

fn failure(scene: &Scene<'_>, last: &TrackedRun) -> Failure {
    let code = scene.site.code;
    // Retries with one cause are one finding with a count; it began with the first.
    let in_a_row: Vec<&TrackedRun> = scene
        .site
        .runs
        .iter()
        .rev()
        .filter(ended)
        .take_while(|tracked| tracked.run.outcome == RunOutcome::Failed && tracked.run.cause == last.run.cause)
        .collect();
    let cause = last.run.cause.as_deref().unwrap_or(UNKNOWN);
    let entry = scene.hierarchy.catalogue.get(cause);
    let (title_en, title_ja) =
        entry.map_or(("cause not known", "原因不明"), |entry| (entry.title.en.as_str(), entry.title.ja.as_str()));
    let mut summary = Text::new(
        format!("the last synchronisation of {code} failed: {title_en}"),
        format!("{code} の最後の同期が失敗しました: {title_ja}"),
    );
    if cause == UNKNOWN
        && let Some(text) = &last.run.text
    {
        summary.en.push_str(&format!(" ({text})"));
        summary.ja.push_str(&format!(" ({text})"));
    }
    let mut failure = Failure::new(Severity::Critical, summary).shown_by(last.evidence());
    failure.since = in_a_row.last().and_then(|first| first.run.ended_at);
    failure.occurrences = u32::try_from(in_a_row.len()).unwrap_or(u32::MAX);
    failure.cause = Some(cause.to_owned());
    if let Some(entry) = entry {
        let run = &last.run;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let said = Subject::new(&text(&run.text), &text(&run.source), run.code.as_deref());
        confidence::explain(scene, &mut failure, entry, Some(&said));
    }
    failure
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    const FAIL: &[&str] = &["Performing sync on local request", "Sync failed: Unable to connect to the remote server. Source: X"];

    #[test]
    fn of_a_site_without_a_log_the_top_site_knows_how_its_last_run_ended() {
        let mut settings = crate::rules::testing::healthy("cen", None);
        settings["sup_status"] = serde_json::json!([
            {"site": "P01", "server": "p01.corp.example", "state": 6703, "error": -2_146_233_088_i64},
            {"site": "P02", "server": "p02.corp.example", "state": 6702},
            {"site": "P03", "server": "p03.corp.example", "state": 6701},
        ]);
        let world = World::new().central("CEN").settings("CEN", settings);
        world.clone().check("sync-failed", "CEN unknown, P01 fail, P02 pass, P03 unknown");
        assert_eq!(world.failure("sync-failed", "P01").evidence.len(), 2);
    }

    #[test]
    fn the_last_finished_run_decides() {
        World::new().central("CEN").check("sync-failed", "CEN unknown");
        World::new().central("CEN").log("CEN", FAIL).check("sync-failed", "CEN fail");
        World::new()
            .central("CEN")
            .log("CEN", FAIL)
            .log("CEN", &["Performing sync on retry schedule", "Sync succeeded. x"])
            .check("sync-failed", "CEN pass");
        World::new()
            .central("CEN")
            .log("CEN", FAIL)
            .log("CEN", &["Performing sync on retry schedule"])
            .check("sync-failed", "CEN fail");
    }

    #[test]
    fn a_failed_configuration_is_reported_until_it_succeeds_or_a_run_shows_it() {
        let failed = &[
            "System.Net.WebException: The request failed with HTTP status 503: Service Unavailable",
            "Remote configuration failed on WSUS Server.",
            "Setting new configuration state to 3 (WSUS_CONFIG_FAILED)",
        ];
        let world = || World::new().central("CEN").wcm("CEN", failed);
        world().check("sync-failed", "CEN unknown, CEN fail");
        assert_eq!(world().failure("sync-failed", "CEN").cause.as_deref(), Some("wsus-unavailable"));
        world().wcm("CEN", &["Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)"]).check("sync-failed", "CEN unknown");
        let seen = world().log("CEN", &["Performing sync on local request", "Sync failed: WSUS server not configured. Source: X"]);
        assert_eq!(seen.failure("sync-failed", "CEN").cause.as_deref(), Some("wsus-unavailable"));
        seen.check("sync-failed", "CEN fail");
    }

    #[test]
    fn retries_are_counted_and_keep_the_first_time() {
        let world = World::new().central("CEN").log("CEN", FAIL).log("CEN", FAIL).log("CEN", FAIL);
        let failure = world.failure("sync-failed", "CEN");
        assert_eq!(failure.occurrences, 3);
        assert_eq!(failure.cause.as_deref(), Some("cannot-connect"));
        let last = world.hierarchy().sites.values().next().and_then(|s| s.runs.last().and_then(|t| t.run.ended_at));
        assert!(failure.since < last, "since the first failure, not the last");
        assert!(!failure.remedy.is_empty() && !failure.evidence.is_empty());
    }

    #[test]
    fn a_retry_that_was_cut_off_says_nothing() {
        let world = World::new()
            .central("CEN")
            .log("CEN", FAIL)
            .log("CEN", FAIL)
            .log("CEN", &["Performing sync on retry schedule", "Performing sync on retry schedule"]);
        assert_eq!(world.failure("sync-failed", "CEN").occurrences, 2);
    }

    #[test]
    fn a_secondary_site_without_runs_is_not_judged() {
        World::new().secondary("S01", "P01").check("sync-failed", "");
    }
}
