//! Confidence in the cause of a failure: how specifically the error matches, and what settings and probes show.
//!
//! A catalogue entry names the rules that would fail if it were true; they are evaluated for the site, or for its parent if the
//! entry says that the fault is there.

use supwatch_model::finding::{Confidence, Evidence};
use supwatch_model::ids::SiteCode;
use supwatch_model::text::{Lang, Text};
use supwatch_model::verdict::Answer;

use super::{Failure, Rule, Scene, get, reason};
use crate::diagnosis::{At, Cause, Kind, Remedy, Subject};
use crate::hierarchy::Parent;

/// Gives a failure its cause: title, remedies, the server concerned, the confidence and its reasons.
pub(super) fn explain(scene: &Scene<'_>, failure: &mut Failure, cause: &Cause, said: Option<&Subject>) {
    let code = scene.site.code;
    failure.cause = Some(cause.id.clone());
    let parent = match scene.hierarchy.parent(code) {
        Parent::Of(parent) => Some(parent),
        Parent::Top | Parent::Unknown => None,
    };
    let (confirmed, against) = by_the_rules(scene, cause, parent);
    failure.remedy = remedies(scene, cause, confirmed.as_ref());
    let elsewhere = parent.filter(|_| cause.at == At::Parent);
    if let Some(parent) = elsewhere {
        let here = confirmed.as_ref().is_some_and(|confirmed| confirmed.place == code);
        at_parent(scene, failure, parent, here);
    }
    if cause.kind == Kind::Cause {
        let (confidence, matched) = by_the_error(scene, cause, said);
        failure.reasons.push(matched);
        failure.confidence = Some(confidence);
    } else if cause.is_general()
        && let Some(confirmed) = &confirmed
    {
        let reason = reason::of(confirmed.rule, &confirmed.failure);
        failure.summary.en.push_str(&format!(": {}", reason.en));
        failure.summary.ja.push_str(&format!(": {}", reason.ja));
    }
    if let Some(Confirmed { rule, place, failure: by }) = confirmed {
        failure.confidence = Some(Confidence::Confirmed);
        let reason = Text::new(
            format!("confirmed by {} at {place}: {}", rule.name, by.summary.en),
            format!("{place} の {} で確認: {}", rule.name, by.summary.ja),
        );
        failure.reasons.insert(0, reason);
    } else if let Some(against) = against.filter(|_| cause.kind == Kind::Cause) {
        failure.confidence = Some(Confidence::Weak);
        failure.reasons.push(against);
    }
}

/// Evidence for or against a cause from settings or a probe.
struct Confirmed {
    rule: &'static Rule,
    place: SiteCode,
    failure: Failure,
}

/// The remedies of a cause for this site; those for confirmed faults come first.
fn remedies(scene: &Scene<'_>, cause: &Cause, confirmed: Option<&Confirmed>) -> Vec<Text> {
    let generation = scene.hierarchy.generation(scene.site.code);
    let fitting = |remedy: &&Remedy| confirmed.is_some_and(|confirmed| remedy.rule.as_deref() == Some(confirmed.rule.name));
    let (mut first, rest): (Vec<&Remedy>, Vec<&Remedy>) =
        cause.remedies.iter().filter(|remedy| remedy.is_for(generation)).partition(|remedy| fitting(remedy));
    let mut found = Vec::new();
    // The entry has none for it, or concerns another server than the one at fault.
    let own = |confirmed: &&Confirmed| cause.is_general() || (cause.at == At::Parent && confirmed.place == scene.site.code);
    if let Some(confirmed) = confirmed.filter(own).filter(|_| first.is_empty()) {
        found.clone_from(&confirmed.failure.remedy);
    }
    first.extend(rest);
    found.extend(first.into_iter().map(Remedy::text));
    found
}

/// The fault is at the server that the site synchronises from, or between the two: look at that server first.
fn at_parent(scene: &Scene<'_>, failure: &mut Failure, parent: SiteCode, confirmed_here: bool) {
    let code = scene.site.code;
    let wsus = scene.site.first_wsus().and_then(|wsus| wsus.upstream.value()?.server.value().map(String::as_str));
    let server = wsus.or_else(|| scene.hierarchy.site(parent)?.first_sup()?.server.value().map(String::as_str));
    let named = server.map(|server| format!(" ({server})")).unwrap_or_default();
    // Japanese has a blank after a parenthesis, and none between its own words.
    let named_ja = if named.is_empty() { String::new() } else { format!("{named} ") };
    failure.summary.en.push_str(&format!("; the server that refused it is the WSUS of its parent {parent}{named}"));
    failure.summary.ja.push_str(&format!("。拒否したのは親サイト {parent} の WSUS サーバー{named_ja}です"));
    if confirmed_here {
        return;
    }
    failure.remedy.insert(
        0,
        Text::new(
            format!(
                "Start on the WSUS server of {parent}{named}, the parent of {code}. Where its logs show no error for that request, \
                 look at the WSUS server of {code} too."
            ),
            format!(
                "まず {code} の親サイト {parent} の WSUS サーバー{named_ja}を確認します。そのログに該当する要求のエラーがない場合は、\
                 {code} の WSUS サーバーも確認します。"
            ),
        ),
    );
}

fn by_the_error(scene: &Scene<'_>, cause: &Cause, said: Option<&Subject>) -> (Confidence, Text) {
    let known = scene.hierarchy.catalogue.get(&cause.id);
    let Some(fits) = known.zip(said).and_then(|(cause, said)| cause.fit(said)) else {
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
        // A whole sentence is specific to one error, and so is a proper name; a word or two may not be.
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

/// Rules that judge how a site synchronises from its upstream: they are evaluated for the downstream site, wherever the fault is.
const OF_THE_EDGE: &[&str] = &["child-upstream", "wsus-version", "proxy-mismatch", "proxy-account", "catalog-lag"];

/// The site at which a rule would show that a failure at the given site has a cause.
pub fn judged_at(cause: &Cause, rule: &str, site: SiteCode, parent: Option<SiteCode>) -> SiteCode {
    parent.filter(|_| cause.at == At::Parent && !OF_THE_EDGE.contains(&rule)).unwrap_or(site)
}

/// Evaluates the rules that would show the cause: which of them confirms it, else which contradicts it.
fn by_the_rules(scene: &Scene<'_>, cause: &Cause, parent: Option<SiteCode>) -> (Option<Confirmed>, Option<Text>) {
    let mut passed: Vec<String> = Vec::new();
    let mut open = false;
    for rule in cause.confirmed_by.iter().filter_map(|name| get(name)).filter(|rule| rule.name != super::SYNC_FAILED) {
        let place = judged_at(cause, rule.name, scene.site.code, parent);
        let Some(site) = scene.hierarchy.site(place) else {
            open = true;
            continue;
        };
        let verdicts = rule.judge(&Scene { site, ..*scene });
        open |= verdicts.iter().any(|(verdict, _)| verdict.answer == Answer::Unknown);
        // A log that shows nothing proves nothing; settings and probes do.
        let looked = rule.looks_at.iter().any(|what| !what.contains(".log"));
        if looked && !verdicts.is_empty() && verdicts.iter().all(|(verdict, _)| verdict.answer == Answer::Pass) {
            passed.push(format!("{} at {place}", rule.name));
        }
        // Evidence from the same log confirms nothing: only settings or probes do.
        let reported = |failure: &Failure| failure.evidence.iter().any(|evidence| matches!(evidence, Evidence::Setting { .. }));
        if let Some(failure) = verdicts.into_iter().filter_map(|(_, failure)| failure).find(reported) {
            return (Some(Confirmed { rule, place, failure }), None);
        }
    }
    // The cause is ruled out only if each rule that would show it was able to judge.
    let passed = Some(passed.join(", ")).filter(|passed| !passed.is_empty() && !open);
    let against = passed.map(|passed| {
        Text::new(
            format!("against it: {passed} pass, as settings and probes last said"),
            format!("反証: 最新の設定とプローブでは、{passed} に問題がありません"),
        )
    });
    (None, against)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;
    use supwatch_model::finding::Confidence;

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
    fn every_rule_that_a_built_in_cause_names_exists() {
        let rules = crate::rules::names();
        for cause in crate::diagnosis::Catalogue::built_in().causes() {
            assert_eq!(cause.check_rules(&rules), Ok(()), "{}", cause.id);
        }
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
        assert!(failure.remedy[0].en.starts_with("Start on the WSUS server of CEN") && failure.remedy.len() > 1);
    }
}
