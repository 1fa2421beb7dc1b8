//! A proxy that requests credentials gets them. Judged on evidence alone: HTTP 407 in the log or in a probe. A missing account
//! proves nothing, since most proxies need none.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use supwatch_model::finding::Evidence;
use supwatch_model::run::RunOutcome;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "proxy-account",
    severity: Severity::Warning,
    title: ("the proxy gets the credentials it asks for", "プロキシが要求する資格情報が設定されている"),
    why: (
        "A proxy between the SUP and its upstream server that requires credentials blocks everything without them.",
        "ソフトウェアの更新ポイントと上流サーバーの間のプロキシが資格情報を要求する場合、設定しないと通信できません。",
    ),
    looks_at: &["sups[].proxy", "wsus[].proxy", "wsus[].upstream_reach", "wsyncmgr.log"],
    fix: &[
        (
            "In the properties of the software update point, set the software update point proxy server account, with the name and port of the proxy.",
            "ソフトウェアの更新ポイントのプロパティで、プロキシ サーバーの名前とポート、およびソフトウェアの更新ポイント プロキシ サーバー アカウントを設定してください。",
        ),
        (
            "If the account is set, check that its password has not expired and that the proxy accepts it.",
            "アカウントが設定済みの場合は、パスワードの有効期限と、プロキシでの許可を確認してください。",
        ),
    ],
    source: "the article, general tips and \"the remote name could not be resolved\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

fn judge(point: &Point<'_>) -> Option<Judged> {
    let probed = point.wsus.and_then(|wsus| wsus.upstream_reach.value());
    // A probe carries no credentials, so a 407 is normal if an account is set.
    let set = |proxy: Option<&supwatch_model::settings::Proxy>| proxy.and_then(|proxy| proxy.account.value()) == Some(&true);
    let account = set(point.wsus.and_then(|wsus| wsus.proxy.value())) || set(point.sup.proxy.value());
    let refused = !account && probed.is_some_and(|reach| reach.status.value() == Some(&407));
    let mut evidence: Vec<Evidence> = Vec::new();
    let last = point
        .scene
        .site
        .runs
        .iter()
        .rev()
        .find(|tracked| matches!(tracked.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed));
    let succeeded = last.is_some_and(|tracked| tracked.run.outcome == RunOutcome::Succeeded);
    let probe = point.wsus_says("upstream_reach.status", 407);
    // A success after the probe outweighs it.
    let later = point.first && succeeded && last.and_then(|tracked| tracked.run.ended_at) >= super::evidence_time(&probe);
    if refused && !later {
        evidence.push(probe);
    }
    if let Some(failed) = last.filter(|tracked| point.first && tracked.run.outcome == RunOutcome::Failed)
        && failed.run.text.as_deref().is_some_and(is_407)
    {
        evidence.extend(failed.evidence());
    }
    if !evidence.is_empty() {
        let set = point.wsus.and_then(|wsus| wsus.proxy.value()?.account.value()) == Some(&true);
        let called = point.called();
        let summary = if set {
            Text::new(
                format!("the proxy does not accept the credentials of {}", called.en),
                format!("プロキシが {} の資格情報を受け付けません", called.ja),
            )
        } else {
            Text::new(
                format!("the proxy asks {} for credentials, and none are set", called.en),
                format!("プロキシが資格情報を要求していますが、{} に設定されていません", called.ja),
            )
        };
        let failure = Failure::new(Severity::Warning, summary).shown_by(evidence);
        return Some(Judged::weigh(RULE.looks_at, Some(failure), Vec::new()));
    }
    let proxied =
        point.wsus.and_then(|wsus| wsus.proxy.value()).or(point.sup.proxy.value()).and_then(|proxy| proxy.enabled.value());
    let missing = match proxied {
        Some(false) => Vec::new(),
        _ if succeeded || probed.is_some_and(|reach| reach.outcome.value().is_some_and(|outcome| outcome == "answers")) => {
            Vec::new()
        }
        None => vec![point.no_wsus("proxy")],
        Some(true) => vec![Text::new(
            format!("a run or a probe of {} through its proxy", point.scene.site.code),
            format!("{} のプロキシ経由の同期またはプローブの結果", point.scene.site.code),
        )],
    };
    Some(Judged::weigh(RULE.looks_at, None, missing))
}

/// Matches the status with or without its words: the words are localized, the number is not.
fn is_407(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit()).any(|number| number == "407")
        && (text.contains("HTTP") || text.to_lowercase().contains("proxy"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    fn world() -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["proxy"] = json!({"enabled": true, "server": "proxy.corp.example", "port": 8080, "account": false});
        World::new().central("CEN").settings("CEN", settings)
    }

    #[test]
    fn a_missing_account_alone_is_no_fault_and_a_407_is() {
        world().check("proxy-account", "CEN unknown");
        world().log("CEN", &["Performing sync on regular schedule", "Sync succeeded. x"]).check("proxy-account", "CEN pass");
        let failed = "Sync failed: The request failed with HTTP status 407: Proxy Authentication Required. Source: X";
        world().log("CEN", &["Performing sync on regular schedule", failed]).check("proxy-account", "CEN fail");
    }

    #[test]
    fn a_probe_that_was_refused_fails() {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["upstream_reach"] = json!({"outcome": "proxy-refused", "status": 407});
        World::new().central("CEN").settings("CEN", settings).check("proxy-account", "CEN fail");
    }

    #[test]
    fn a_probe_carries_no_credentials_so_its_407_says_nothing_where_an_account_is_set() {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["proxy"] = json!({"enabled": true, "account": true});
        settings["wsus"][0]["upstream_reach"] = json!({"outcome": "proxy-refused", "status": 407});
        World::new().central("CEN").settings("CEN", settings).check("proxy-account", "CEN unknown");
    }
}
