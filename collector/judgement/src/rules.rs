//! The rules, listed in [`RULES`]: each is a pure judgement of one site in its hierarchy.
//!
//! A verdict depends only on the hierarchy, the limits and the time passed in. A rule that lacks data names what is missing and
//! which source has it; a rule that does not concern a site gives no verdict.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;
use supwatch_model::describe::Generation;
use supwatch_model::finding::{Confidence, Evidence};
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::{Settings, Sup};
use supwatch_model::text::Text;
use supwatch_model::verdict::{Answer, Severity, Verdict};

use crate::hierarchy::{Hierarchy, Parent, Site};
use crate::limits::Limits;

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

/// A rule's judgement of one subject.
#[derive(Debug)]
pub(crate) struct Judged {
    subject: String,
    looked_at: Vec<Cow<'static, str>>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Pass,
    Fail(Box<Failure>),
    Unknown(Vec<Text>),
    /// The difference is a recent change still being propagated: not decided yet.
    Expected(Expected),
}

/// A change being propagated to a site.
#[derive(Debug)]
struct Expected {
    /// When it should have arrived.
    by: Timestamp,
    /// Description of the change.
    text: Text,
}

/// Details of a failed verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Severity of the finding.
    pub severity: Severity,
    /// Summary in one sentence.
    pub summary: Text,
    /// Evidence.
    pub evidence: Vec<Evidence>,
    /// Remedies, in order.
    pub remedy: Vec<Text>,
    /// Cause from the catalogue.
    pub cause: Option<String>,
    /// Confidence in that cause.
    pub confidence: Option<Confidence>,
    /// Reasons for that confidence.
    pub reasons: Vec<Text>,
    /// When the failure began.
    pub since: Option<Timestamp>,
    /// Number of occurrences.
    pub occurrences: u32,
}

/// Names of the data a rule used: mostly static strings, which cost nothing.
trait LookedAt: Clone + Into<Cow<'static, str>> {}

impl<T: Clone + Into<Cow<'static, str>>> LookedAt for T {}

impl Judged {
    /// For a rule that always uses the same data.
    fn usual(outcome: Outcome) -> Judged {
        Judged::new::<&'static str>(&[], outcome)
    }

    fn new<L: LookedAt>(looked_at: &[L], outcome: Outcome) -> Judged {
        Judged { subject: String::new(), looked_at: looked_at.iter().cloned().map(Into::into).collect(), outcome }
    }

    fn pass<L: LookedAt>(looked_at: &[L]) -> Judged {
        Judged::new(looked_at, Outcome::Pass)
    }

    fn unknown<L: LookedAt>(looked_at: &[L], missing: Vec<Text>) -> Judged {
        Judged::new(looked_at, Outcome::Unknown(missing))
    }

    fn expected<L: LookedAt>(looked_at: &[L], expected: Expected) -> Judged {
        Judged::new(looked_at, Outcome::Expected(expected))
    }

    fn fail<L: LookedAt>(looked_at: &[L], failure: Failure) -> Judged {
        Judged::new(looked_at, Outcome::Fail(Box::new(failure)))
    }

    /// Fails if anything is wrong, else is unknown if anything is missing, else passes.
    fn weigh<L: LookedAt>(looked_at: &[L], failure: Option<Failure>, mut missing: Vec<Text>) -> Judged {
        missing.dedup();
        match failure {
            Some(failure) => Judged::fail(looked_at, failure),
            None if missing.is_empty() => Judged::pass(looked_at),
            None => Judged::unknown(looked_at, missing),
        }
    }

    fn of(mut self, subject: &str) -> Judged {
        subject.clone_into(&mut self.subject);
        self
    }
}

impl Failure {
    fn new(severity: Severity, summary: Text) -> Failure {
        Failure {
            severity,
            summary,
            evidence: Vec::new(),
            remedy: Vec::new(),
            cause: None,
            confidence: None,
            reasons: Vec::new(),
            since: None,
            occurrences: 1,
        }
    }

    fn shown_by(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Failure {
        self.evidence.extend(evidence);
        // The rule needed all of the evidence to fail, so it fails since the newest of it.
        self.since = self.evidence.iter().filter_map(evidence_time).max();
        self
    }

    fn remedied_by(mut self, en: &str, ja: &str) -> Failure {
        self.remedy.push(Text::new(en, ja));
        self
    }
}

fn evidence_time(evidence: &Evidence) -> Option<Timestamp> {
    match evidence {
        Evidence::Line { time, .. } => *time,
        Evidence::Setting { since, taken_at, .. } => since.or(*taken_at),
    }
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
        let reported = self.site.readings.read_until("wsyncmgr").is_some();
        if self.live || reported { self.site.read_until().map(|until| until.min(self.now)) } else { Some(self.now) }
    }

    /// The site's settings, or what is missing.
    fn settings(&self) -> Result<&'a Settings, Text> {
        self.site.settings().ok_or_else(|| no_settings(self.site.code))
    }
}

/// A setting as evidence, with its source and since when it has its value.
fn setting(site: &Site, path: impl Into<String>, value: impl Into<Value>) -> Evidence {
    let path = path.into();
    let origin = site.merged().and_then(|merged| merged.origin(&path));
    Evidence::Setting {
        site: site.code,
        value: value.into(),
        taken_at: origin.and_then(|origin| origin.taken_at).or_else(|| site.merged().and_then(|merged| merged.taken_at)),
        source: origin.map(|origin| origin.source.clone()).unwrap_or_default(),
        since: origin.and_then(|origin| origin.since),
        setting: path,
    }
}

/// `no settings from P01`
fn no_settings(site: SiteCode) -> Text {
    Text::new(
        format!("no settings from {site}: let its agent run Get-SyncSettings.ps1, or put a settings.json into its site folder"),
        format!(
            "{site} の設定がありません。エージェントで Get-SyncSettings.ps1 を実行するか、サイト フォルダに settings.json を置いてください"
        ),
    )
}

/// `wsus[sup1].languages of P01`
fn no_setting(site: SiteCode, path: &str) -> Text {
    let supplied_by = match path {
        path if path.contains("reach") || path.contains("virtual_directories") => {
            ("the agent's probes tell it ([probe] in agent.toml)", "エージェントのプローブ (agent.toml の [probe]) で取得できます")
        }
        _ => ("Get-SyncSettings.ps1 or a settings.json tells it", "Get-SyncSettings.ps1 または settings.json で取得できます"),
    };
    Text::new(format!("{path} of {site}: {}", supplied_by.0), format!("{site} の {path}。{}", supplied_by.1))
}

/// The missing fact of a site whose place in the hierarchy is unknown.
fn no_parent(site: SiteCode) -> Text {
    Text::new(
        format!("the parent of {site}: give type and parent in its site.toml or in hierarchy.toml"),
        format!("{site} の親サイト。site.toml または hierarchy.toml に type と parent を書いてください"),
    )
}

/// A SUP's name in texts and paths; the first label suffices to distinguish servers.
fn name_of(sup: &Sup) -> &str {
    sup.server.value().map_or("?", String::as_str)
}
