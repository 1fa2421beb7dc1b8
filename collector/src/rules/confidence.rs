//! How sure the cause of a failure is: what of the error fits, and what settings and probes say of it.
//!
//! An entry of the catalogue names the rules that would fail if it were true; they are asked of the site, or of its parent
//! where the entry says that the fault is there.

use supwatch_proto::finding::{Confidence, Evidence};
use supwatch_proto::ids::SiteCode;
use supwatch_proto::text::{Lang, Text};
use supwatch_proto::verdict::Answer;

use super::{Failure, Scene, get};
use crate::diagnosis::{At, Cause, Kind, Subject};
use crate::hierarchy::Parent;

/// Gives a failure its cause: title, remedies, whose server it is about, how sure it is and why.
pub(super) fn explain(scene: &Scene<'_>, failure: &mut Failure, cause: &Cause, said: Option<&Subject>) {
    failure.cause = Some(cause.id.clone());
    failure.remedy.clone_from(&cause.remedies);
    let at = match (cause.at, scene.hierarchy.parent(scene.site.code)) {
        (At::Parent, Parent::Of(parent)) => Some(parent),
        _ => None,
    };
    if let Some(parent) = at {
        at_parent(scene, failure, parent);
    }
    if cause.kind != Kind::Cause {
        return;
    }
    let (mut confidence, matched) = by_the_error(scene, cause, said);
    failure.reasons.push(matched);
    let place = at.unwrap_or(scene.site.code);
    match by_the_rules(scene, cause, place) {
        Some((Answer::Fail, reason)) => {
            confidence = Confidence::Confirmed;
            failure.reasons.insert(0, reason);
        }
        Some((_, reason)) => {
            confidence = Confidence::Weak;
            failure.reasons.push(reason);
        }
        None => {}
    }
    failure.confidence = Some(confidence);
}

/// The fault is at the server that the site takes from, so that is the one to look at.
fn at_parent(scene: &Scene<'_>, failure: &mut Failure, parent: SiteCode) {
    let code = scene.site.code;
    let wsus = scene.site.first_wsus().and_then(|wsus| wsus.upstream.value()?.server.value().map(String::as_str));
    let server = wsus.or_else(|| scene.hierarchy.site(parent)?.first_sup()?.server.value().map(String::as_str));
    let named = server.map(|server| format!(" ({server})")).unwrap_or_default();
    // Japanese has a blank after a parenthesis, and none between its own words.
    let named_ja = if named.is_empty() { String::new() } else { format!("{named} ") };
    failure.summary.en.push_str(&format!("; the server that refused it is the WSUS of its parent {parent}{named}"));
    failure.summary.ja.push_str(&format!("。拒否したのは親サイト {parent} の WSUS サーバー{named_ja}です"));
    failure.remedy.insert(
        0,
        Text::new(
            format!("What follows is done on the WSUS server of {parent}{named}, the parent of {code}, not on that of {code}."),
            format!("以下の手順は、{code} ではなく、親サイト {parent} の WSUS サーバー{named_ja}で行います。"),
        ),
    );
}

fn by_the_error(scene: &Scene<'_>, cause: &Cause, said: Option<&Subject>) -> (Confidence, Text) {
    let candidates = said.map(|said| scene.hierarchy.catalogue.candidates(said)).unwrap_or_default();
    let Some(fits) = candidates.iter().find(|candidate| candidate.cause.id == cause.id) else {
        let beside = Text::new(
            "what other lines around the failure say fits it",
            "失敗の前後に記録された別の行の内容が、この原因に一致します",
        );
        return (Confidence::Likely, beside);
    };
    if fits.is_words_alone() {
        let values: Vec<&str> = fits.parts.iter().map(|part| part.value.as_str()).collect();
        let said = values.join(", ");
        let words = Text::new(format!("the error says \"{said}\""), format!("エラーの文言が一致します: 「{said}」"));
        // A whole sentence is nobody else's, and neither is the name of a thing; a word or two may be.
        let sure = fits
            .parts
            .iter()
            .any(|part| part.value.chars().count() >= 20 || !part.value.is_ascii() || part.value.contains(['_', '.']));
        return (if sure { Confidence::Likely } else { Confidence::Weak }, words);
    }
    let all = |lang: Lang| {
        let parts = fits.parts.iter().map(|part| format!("{} {}", part.name().get(lang), part.value));
        parts.collect::<Vec<_>>().join(", ")
    };
    let (en, ja) = (all(Lang::En), all(Lang::Ja));
    (Confidence::Likely, Text::new(format!("the error has {en}"), format!("エラーに含まれるもの: {ja}")))
}

/// What the rules that would show it say, if they say anything.
fn by_the_rules(scene: &Scene<'_>, cause: &Cause, place: SiteCode) -> Option<(Answer, Text)> {
    let site = scene.hierarchy.site(place)?;
    let asked = Scene { site, ..*scene };
    let mut passed = Vec::new();
    for rule in cause.confirmed_by.iter().filter_map(|name| get(name)).filter(|rule| rule.name != super::sync_failed::RULE.name) {
        let verdicts = rule.judge(&asked);
        // What only the same log tells confirms nothing: settings or probes must.
        let told = |failure: &&Failure| failure.evidence.iter().any(|evidence| matches!(evidence, Evidence::Setting { .. }));
        if let Some(failure) = verdicts.iter().filter_map(|(_, failure)| failure.as_ref()).find(told) {
            let reason = Text::new(
                format!("confirmed by {} at {place}: {}", rule.name, failure.summary.en),
                format!("{place} の {} で確認: {}", rule.name, failure.summary.ja),
            );
            return Some((Answer::Fail, reason));
        }
        // A log that shows nothing of it is no proof that there is nothing; settings and probes are.
        let looked = rule.looks_at.iter().any(|what| !what.contains(".log"));
        let all = looked && !verdicts.is_empty() && verdicts.iter().all(|(verdict, _)| verdict.answer == Answer::Pass);
        passed.extend(all.then_some(rule.name));
    }
    let passed = passed.join(", ");
    (!passed.is_empty()).then(|| {
        let reason = Text::new(
            format!("against it: {passed} pass at {place}, as settings and probes last said"),
            format!("反証: 最新の設定とプローブでは、{place} の {passed} に問題がありません"),
        );
        (Answer::Pass, reason)
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;
    use supwatch_proto::finding::Confidence;

    const UNAVAILABLE: &[&str] = &[
        "Performing sync on local request",
        "Sync failed: The request failed with HTTP status 503: Service Unavailable. Source: Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer",
    ];

    fn with_pool(state: Option<&str>) -> crate::rules::Failure {
        let mut settings = healthy("cen", None);
        if let Some(state) = state {
            settings["wsus"][0]["app_pool"] = json!({"state": state, "private_memory_limit_kb": 8_000_000, "queue_length": 25000});
            settings["wsus"][0]["services"] = json!({"WsusService": "running", "W3SVC": "running"});
        }
        World::new().central("CEN").settings("CEN", settings).log("CEN", UNAVAILABLE).failure("sync-failed", "CEN")
    }

    #[test]
    fn settings_confirm_a_cause_or_speak_against_it() {
        let confirmed = with_pool(Some("stopped"));
        assert_eq!(confirmed.confidence, Some(Confidence::Confirmed), "{:?}", confirmed.reasons);
        assert!(confirmed.reasons[0].en.starts_with("confirmed by app-pool at CEN: "), "{:?}", confirmed.reasons);
        let likely = with_pool(None);
        assert_eq!(likely.confidence, Some(Confidence::Likely), "{:?}", likely.reasons);
        assert!(likely.reasons[0].en.contains("HTTP status 503"), "{:?}", likely.reasons);
        let weak = with_pool(Some("started"));
        assert_eq!(weak.confidence, Some(Confidence::Weak), "{:?}", weak.reasons);
        assert!(weak.reasons[1].en.starts_with("against it: "), "{:?}", weak.reasons);
    }

    #[test]
    fn what_the_parents_server_refuses_names_the_parent() {
        let refused = &[
            "Performing sync on parent request",
            "Sync failed: DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized.~~at X. Source: Y",
        ];
        let world =
            World::new().central("CEN").primary("P01", "CEN").settings("P01", healthy("p01", Some("cen"))).log("P01", refused);
        let failure = world.failure("sync-failed", "P01");
        assert!(failure.summary.en.contains("the WSUS of its parent CEN (cen.corp.example)"), "{}", failure.summary.en);
        assert!(failure.remedy[0].en.contains("not on that of P01") && failure.remedy.len() > 1);
    }
}
