//! The rules, listed in [`RULES`]: each is a pure judgement of one site in its hierarchy.
//!
//! A verdict depends only on the hierarchy, the limits and the time passed in. A rule that lacks data names what is missing and
//! which source has it; a rule that does not concern a site gives no verdict.

use std::borrow::Cow;

use jiff::Timestamp;
use supwatch_model::describe::Generation;
use supwatch_model::settings::Settings;
use supwatch_model::text::Text;
use supwatch_model::verdict::{Answer, Severity, Verdict};

use crate::hierarchy::{Hierarchy, Parent, Site};
use crate::limits::Limits;

mod judged;
mod topology;
mod top_source;
mod child_replica;
mod child_upstream;
mod sup_missing;
mod categories;
mod names;
mod filters;
mod expected;
mod sups;
mod language_mismatch;
mod classification_mismatch;
mod product_mismatch;
mod filter_drift;
mod languages_added_late;
mod port_mismatch;
mod ssl_mismatch;
mod fqdn_mismatch;
mod proxy_mismatch;
mod proxy_account;
mod wsus_console_missing;
mod vdir_access;
mod service_stopped;
mod app_pool;
mod wsus_version;
mod confidence;
mod reason;
mod sync_failed;
mod sync_overdue;
mod sync_stuck;
mod wsus_busy;
mod sync_started_outside;
mod wave_missed;
mod catalog_lag;
mod upstream_outage;
mod run_now_unavailable;
mod first_sync_running;
mod database_trouble;
mod agent_silent;
mod agent_lagging;
mod clock_skew;
mod log_unreadable;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name, as in verdicts and findings.
    pub name: &'static str,
    /// Usual severity.
    pub severity: Severity,
    /// The condition it checks, in English and Japanese.
    pub title: (&'static str, &'static str),
    /// Why it matters.
    pub why: (&'static str, &'static str),
    /// Settings and logs it reads.
    pub looks_at: &'static [&'static str],
    /// Remedy, step by step.
    pub fix: &'static [(&'static str, &'static str)],
    /// Documentation of the condition.
    pub source: &'static str,
    /// Whether it judges the agents, and so also runs while a site's backlog is being read.
    pub watcher: bool,
    judge: fn(&Scene<'_>) -> Vec<Judged>,
}

/// Every rule, in the order of the contract.
pub const RULES: &[Rule] = &[
    topology::RULE,
    top_source::RULE,
    child_replica::RULE,
    child_upstream::RULE,
    sup_missing::RULE,
    language_mismatch::RULE,
    classification_mismatch::RULE,
    product_mismatch::RULE,
    filter_drift::RULE,
    languages_added_late::RULE,
    port_mismatch::RULE,
    ssl_mismatch::RULE,
    fqdn_mismatch::RULE,
    proxy_mismatch::RULE,
    proxy_account::RULE,
    wsus_console_missing::RULE,
    vdir_access::RULE,
    service_stopped::RULE,
    app_pool::RULE,
    wsus_version::RULE,
    sync_failed::RULE,
    sync_overdue::RULE,
    sync_stuck::RULE,
    wsus_busy::RULE,
    sync_started_outside::RULE,
    wave_missed::RULE,
    catalog_lag::RULE,
    upstream_outage::RULE,
    run_now_unavailable::RULE,
    first_sync_running::RULE,
    database_trouble::RULE,
    agent_silent::RULE,
    agent_lagging::RULE,
    clock_skew::RULE,
    log_unreadable::RULE,
];

pub use confidence::judged_at;
pub use judged::Failure;
use judged::{Expected, Judged, Outcome, evidence_time, name_of, no_parent, no_setting, no_settings, setting};
pub(crate) use names::Names;

/// Longest time for a setting at the top to take effect at a site: WCM checks every 60 minutes.
pub const WCM_TURN: jiff::SignedDuration = jiff::SignedDuration::from_mins(65);

/// The rule that a failed run breaks; other rules explain it.
const SYNC_FAILED: &str = "sync-failed";

/// Whether WCM corrects the difference at its next check.
pub fn waits_for_wcm(rule: &str) -> bool {
    [filter_drift::RULE.name, language_mismatch::RULE.name, classification_mismatch::RULE.name, product_mismatch::RULE.name]
        .contains(&rule)
}

/// The names of all rules.
pub fn names() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.name).collect()
}

/// A rule by its name.
pub fn get(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// A note to add when a finding is resolved.
pub fn closing_note(scene: &Scene<'_>, finding: &supwatch_model::finding::Finding) -> Option<Text> {
    if finding.rule == filter_drift::RULE.name { filter_drift::closing(scene, finding) } else { None }
}

impl Rule {
    /// The title in both languages.
    pub fn title(&self) -> Text {
        Text::new(self.title.0, self.title.1)
    }

    /// The reason in both languages.
    pub fn why(&self) -> Text {
        Text::new(self.why.0, self.why.1)
    }

    /// The remedy in both languages.
    pub fn steps(&self) -> Vec<Text> {
        self.fix.iter().map(|(en, ja)| Text::new(*en, *ja)).collect()
    }

    /// The rule's judgements of a site; a failed verdict comes with its failure.
    pub fn judge(&self, scene: &Scene<'_>) -> Vec<(Verdict, Option<Failure>)> {
        let code = scene.site.code;
        if scene.limits.disabled(self.name, code, scene.now) {
            return Vec::new();
        }
        (self.judge)(scene).into_iter().map(|judged| self.verdict(scene, judged)).collect()
    }

    fn verdict(&self, scene: &Scene<'_>, Judged { subject, looked_at, outcome }: Judged) -> (Verdict, Option<Failure>) {
        let looked_at = if looked_at.is_empty() { self.looks_at.iter().copied().map(Cow::Borrowed).collect() } else { looked_at };
        let code = scene.site.code;
        let mut verdict = Verdict {
            rule: Cow::Borrowed(self.name),
            site: code,
            subject,
            answer: Answer::Pass,
            looked_at,
            missing: Vec::new(),
            expected_by: None,
        };
        match outcome {
            Outcome::Pass => (verdict, None),
            Outcome::Unknown(missing) => (Verdict { answer: Answer::Unknown, missing, ..verdict }, None),
            Outcome::Expected(Expected { by, text }) => {
                (Verdict { answer: Answer::Unknown, missing: vec![text], expected_by: Some(by), ..verdict }, None)
            }
            Outcome::Fail(mut failure) => {
                if let Some(reason) = scene.limits.expected_reason(&verdict, scene.now) {
                    verdict.looked_at.push(format!("rules.toml: {reason}").into());
                    return (verdict, None);
                }
                failure.severity = scene.limits.severity(self.name, code, scene.now).unwrap_or(failure.severity);
                if failure.remedy.is_empty() {
                    failure.remedy = self.steps();
                }
                (Verdict { answer: Answer::Fail, ..verdict }, Some(*failure))
            }
        }
    }
}

/// Input of a rule: one site in its hierarchy at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The hierarchy.
    pub hierarchy: &'a Hierarchy,
    /// The site under judgement.
    pub site: &'a Site,
    /// The moment.
    pub now: Timestamp,
    /// Whether agents report; offline there are none.
    pub live: bool,
    /// Limits and exceptions.
    pub limits: &'a Limits,
}

impl<'a> Scene<'a> {
    /// Generation of the site; if no source reports it, current branch, whose rules are the most lenient.
    fn generation(&self) -> Generation {
        self.hierarchy.generation(self.site.code).unwrap_or(Generation::CurrentBranch)
    }

    /// Whether the site is at the top; `None` if no source reports it.
    fn is_top(&self) -> Option<bool> {
        match self.hierarchy.parent(self.site.code) {
            Parent::Top => Some(true),
            Parent::Of(_) => Some(false),
            Parent::Unknown => None,
        }
    }

    /// The time up to which something may be called absent from the site's wsyncmgr.log, which is as far as the log is known to
    /// be read. `None`: it is not read at all. Offline, logs are read completely.
    fn seen_until(&self) -> Option<Timestamp> {
        let reported = self.site.coverage.read_until("wsyncmgr").is_some();
        if self.live || reported { self.site.read_until().map(|until| until.min(self.now)) } else { Some(self.now) }
    }

    /// The site's settings, or what is missing.
    fn settings(&self) -> Result<&'a Settings, Text> {
        self.site.settings().ok_or_else(|| no_settings(self.site.code))
    }
}
