//! The words in which rules answer: passed, failed with evidence and remedies, unknown for lack of data, or a recent change
//! still due.
//!
//! The helpers name settings, and missing facts with the source that has them, alike in every rule.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;
use supwatch_model::finding::{Confidence, Evidence};
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::Sup;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

use crate::hierarchy::Site;

/// A rule's judgement of one subject.
#[derive(Debug)]
pub(super) struct Judged {
    pub subject: String,
    pub looked_at: Vec<Cow<'static, str>>,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Pass,
    Fail(Box<Failure>),
    Unknown(Vec<Text>),
    /// The difference is a recent change still being propagated: not decided yet.
    Expected(Expected),
}

/// A change being propagated to a site.
#[derive(Debug)]
pub(super) struct Expected {
    /// When it should have arrived.
    pub by: Timestamp,
    /// Description of the change.
    pub text: Text,
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
pub(super) trait LookedAt: Clone + Into<Cow<'static, str>> {}

impl<T: Clone + Into<Cow<'static, str>>> LookedAt for T {}

impl Judged {
    /// For a rule that always uses the same data.
    pub fn usual(outcome: Outcome) -> Judged {
        Judged::new::<&'static str>(&[], outcome)
    }

    pub fn new<L: LookedAt>(looked_at: &[L], outcome: Outcome) -> Judged {
        Judged { subject: String::new(), looked_at: looked_at.iter().cloned().map(Into::into).collect(), outcome }
    }

    pub fn pass<L: LookedAt>(looked_at: &[L]) -> Judged {
        Judged::new(looked_at, Outcome::Pass)
    }

    pub fn unknown<L: LookedAt>(looked_at: &[L], missing: Vec<Text>) -> Judged {
        Judged::new(looked_at, Outcome::Unknown(missing))
    }

    pub fn expected<L: LookedAt>(looked_at: &[L], expected: Expected) -> Judged {
        Judged::new(looked_at, Outcome::Expected(expected))
    }

    pub fn fail<L: LookedAt>(looked_at: &[L], failure: Failure) -> Judged {
        Judged::new(looked_at, Outcome::Fail(Box::new(failure)))
    }

    /// Fails if anything is wrong, else is unknown if anything is missing, else passes.
    pub fn weigh<L: LookedAt>(looked_at: &[L], failure: Option<Failure>, mut missing: Vec<Text>) -> Judged {
        missing.dedup();
        match failure {
            Some(failure) => Judged::fail(looked_at, failure),
            None if missing.is_empty() => Judged::pass(looked_at),
            None => Judged::unknown(looked_at, missing),
        }
    }

    pub fn of(mut self, subject: &str) -> Judged {
        subject.clone_into(&mut self.subject);
        self
    }
}

impl Failure {
    pub(super) fn new(severity: Severity, summary: Text) -> Failure {
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

    pub(super) fn shown_by(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Failure {
        self.evidence.extend(evidence);
        // The rule needed all of the evidence to fail, so it fails since the newest of it.
        self.since = self.evidence.iter().filter_map(evidence_time).max();
        self
    }

    pub(super) fn remedied_by(mut self, en: &str, ja: &str) -> Failure {
        self.remedy.push(Text::new(en, ja));
        self
    }
}

/// When the evidence was written or set.
pub(super) fn evidence_time(evidence: &Evidence) -> Option<Timestamp> {
    match evidence {
        Evidence::Line { time, .. } => *time,
        Evidence::Setting { since, taken_at, .. } => since.or(*taken_at),
    }
}

/// A setting as evidence, with its source and since when it has its value.
pub(super) fn setting(site: &Site, path: impl Into<String>, value: impl Into<Value>) -> Evidence {
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
pub(super) fn no_settings(site: SiteCode) -> Text {
    Text::new(
        format!("no settings from {site}: let its agent run Get-SyncSettings.ps1, or put a settings.json into its site folder"),
        format!(
            "{site} の設定がありません。エージェントで Get-SyncSettings.ps1 を実行するか、サイト フォルダに settings.json を置いてください"
        ),
    )
}

/// `wsus[sup1].languages of P01`
pub(super) fn no_setting(site: SiteCode, path: &str) -> Text {
    let supplied_by = match path {
        path if path.contains("reach") || path.contains("virtual_directories") => {
            ("the agent's probes tell it ([probe] in agent.toml)", "エージェントのプローブ (agent.toml の [probe]) で取得できます")
        }
        _ => ("Get-SyncSettings.ps1 or a settings.json tells it", "Get-SyncSettings.ps1 または settings.json で取得できます"),
    };
    Text::new(format!("{path} of {site}: {}", supplied_by.0), format!("{site} の {path}。{}", supplied_by.1))
}

/// The missing fact of a site whose place in the hierarchy is unknown.
pub(super) fn no_parent(site: SiteCode) -> Text {
    Text::new(
        format!("the parent of {site}: give type and parent in its site.toml or in hierarchy.toml"),
        format!("{site} の親サイト。site.toml または hierarchy.toml に type と parent を書いてください"),
    )
}

/// A SUP's name in texts and paths; the first label suffices to distinguish servers.
pub(super) fn name_of(sup: &Sup) -> &str {
    sup.server.value().map_or("?", String::as_str)
}
