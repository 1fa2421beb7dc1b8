//! The upstream server is at fault; fails on positive evidence only: a probe finds everything on this side working, the response
//! is a server fault, and nothing was changed here.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use jiff::SignedDuration;
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "upstream-outage",
    severity: Severity::Info,
    title: ("the upstream server answers", "上流サーバーが正常に応答している"),
    why: (
        "When Microsoft Update or another upstream server is down, the failure looks like a local one; there is nothing to repair here, only to wait.",
        "Microsoft Update などの上流サーバーの障害は、自分の環境の問題のように見えます。この場合は復旧を待つほかありません。",
    ),
    looks_at: &["wsus[].upstream_reach", "history of the settings", "wsyncmgr.log"],
    fix: &[
        (
            "Wait: WSyncMgr tries again every 60 minutes. Look at the service health pages of Microsoft 365 and Windows.",
            "60 分ごとに再試行されるため、復旧を待ってください。Microsoft 365 と Windows のサービス正常性ページも確認してください。",
        ),
        (
            "If it lasts, look for other hierarchies with the same failure before changing anything here.",
            "長引く場合は、設定を変更する前に、他の環境でも同じ障害が発生していないか確認してください。",
        ),
    ],
    source: "the article, \"the remote name could not be resolved\" (network trouble as with any other)",
    watcher: false,
    judge: |scene| each(scene, judge),
};

/// A change this recent may be the cause.
const QUIET: SignedDuration = SignedDuration::from_hours(24);

fn judge(point: &Point<'_>) -> Option<Judged> {
    if !point.first {
        return None;
    }
    let site = point.scene.site;
    let last = site.runs.iter().rev().find(|tracked| matches!(tracked.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed));
    let Some(last) = last else {
        let code = site.code;
        let missing = Text::new(format!("a finished run of {code}"), format!("{code} の完了した同期"));
        return Some(Judged::weigh(RULE.looks_at, None, vec![missing]));
    };
    if last.run.outcome == RunOutcome::Succeeded {
        return Some(Judged::weigh(RULE.looks_at, None, Vec::new()));
    }
    let Some(reach) = point.wsus.and_then(|wsus| wsus.upstream_reach.value()) else {
        return Some(Judged::weigh(RULE.looks_at, None, vec![point.no_wsus("upstream_reach")]));
    };
    let outcome = reach.outcome.value().map(String::as_str);
    let status = reach.status.value().copied();
    let server_fault = outcome == Some("answers") && status.is_some_and(|status| (500..600).contains(&status));
    let changed =
        site.configured.changes().iter().any(|change| change.seen_at.is_some_and(|at| point.scene.now.duration_since(at) < QUIET));
    if !server_fault {
        let missing = Text::new(
            format!("an answer that shows a fault of the upstream server of {} itself", site.code),
            format!("{} の上流サーバー自身の障害を示す応答", site.code),
        );
        // It answers normally, so there is no outage.
        let well = outcome == Some("answers") && status.is_some_and(|status| status < 500);
        return Some(Judged::weigh(RULE.looks_at, None, if well { Vec::new() } else { vec![missing] }));
    }
    if changed {
        let missing = Text::new(
            format!("24 hours without a change of the settings of {}", site.code),
            format!("{} の設定が 24 時間変更されていないこと", site.code),
        );
        return Some(Judged::weigh(RULE.looks_at, None, vec![missing]));
    }
    let (host, status) = (reach.host.value().map_or("?", String::as_str), status.unwrap_or_default());
    let summary = Text::new(
        format!("the upstream server of {} ({host}) answers with HTTP {status}: the fault is probably there", site.code),
        format!("{} の上流サーバー ({host}) が HTTP {status} を返しています。上流側の障害と考えられます", site.code),
    );
    let mut evidence = vec![point.wsus_says("upstream_reach.status", status)];
    evidence.extend(last.evidence());
    Some(Judged::weigh(RULE.looks_at, Some(Failure::new(Severity::Info, summary).shown_by(evidence)), Vec::new()))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn world(reach: Value) -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["upstream_reach"] = reach;
        World::new()
            .central("CEN")
            .settings("CEN", settings)
            .log("CEN", &["Performing sync on regular schedule", "Sync failed: UssCommunicationError. Source: X"])
    }

    #[test]
    fn only_a_fault_of_the_server_itself_is_an_outage() {
        world(json!({"host": "sws.update.microsoft.com", "outcome": "answers", "status": 503}))
            .check("upstream-outage", "CEN fail");
        world(json!({"outcome": "answers", "status": 200})).check("upstream-outage", "CEN pass");
        world(json!({"outcome": "name-not-resolved"})).check("upstream-outage", "CEN unknown");
        world(Value::Null).check("upstream-outage", "CEN unknown");
    }

    #[test]
    fn a_setting_changed_here_lately_leaves_it_open() {
        let mut changed = healthy("cen", None);
        changed["taken_at"] = json!("2026-03-01T04:30:00Z");
        changed["wsus"][0]["upstream_reach"] = json!({"outcome": "answers", "status": 503});
        changed["wsus"][0]["proxy"] = json!({"enabled": true});
        let mut before = healthy("cen", None);
        before["wsus"][0]["proxy"] = json!({"enabled": false});
        world(Value::Null).settings("CEN", before).settings("CEN", changed).check("upstream-outage", "CEN unknown");
    }
}
