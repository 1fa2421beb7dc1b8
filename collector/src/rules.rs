//! The rules: every one in [`RULES`], each a pure judgement of one site in its hierarchy.
//!
//! A verdict depends on the hierarchy and the time passed in, on nothing else. A rule that lacks data says what it lacks; a
//! rule that does not concern a site gives no verdict.

use jiff::Timestamp;
use serde_json::Value;
use supwatch_proto::describe::Generation;
use supwatch_proto::finding::Evidence;
use supwatch_proto::ids::SiteCode;
use supwatch_proto::settings::{Settings, Sup};
use supwatch_proto::text::Text;
use supwatch_proto::verdict::{Answer, Severity, Verdict};

use crate::hierarchy::{Hierarchy, Parent, Site};

mod topology;
mod top_source;
mod child_replica;
mod child_upstream;
mod sup_missing;
mod filters;
mod language_mismatch;
mod classification_mismatch;
mod product_mismatch;
mod port_mismatch;
mod sync_failed;
mod sync_overdue;
mod agent_silent;
#[cfg(test)]
pub mod testing;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name, as in verdicts and findings.
    pub name: &'static str,
    /// Usual severity.
    pub severity: Severity,
    /// What must hold, in English and Japanese.
    pub title: (&'static str, &'static str),
    /// Why it matters.
    pub why: (&'static str, &'static str),
    /// Judges the watcher itself: it gives no verdict offline.
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
    port_mismatch::RULE,
    sync_failed::RULE,
    sync_overdue::RULE,
    agent_silent::RULE,
];

/// A rule by its name.
pub fn get(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
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

    /// What the rule says of a site; a failed verdict comes with its failure.
    pub fn judge(&self, scene: &Scene<'_>) -> Vec<(Verdict, Option<Failure>)> {
        if self.watcher && !scene.live {
            return Vec::new();
        }
        (self.judge)(scene)
            .into_iter()
            .map(|Judged { subject, looked_at, outcome }| {
                let (answer, missing, failure) = match outcome {
                    Outcome::Pass => (Answer::Pass, Vec::new(), None),
                    Outcome::Unknown(missing) => (Answer::Unknown, missing, None),
                    Outcome::Fail(failure) => (Answer::Fail, Vec::new(), Some(*failure)),
                };
                (Verdict { rule: self.name.to_owned(), site: scene.site.code, subject, answer, looked_at, missing }, failure)
            })
            .collect()
    }
}

/// What a rule is given: one site in its hierarchy at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The hierarchy.
    pub hierarchy: &'a Hierarchy,
    /// The site under judgement.
    pub site: &'a Site,
    /// The moment.
    pub now: Timestamp,
    /// Whether agents are watched; offline there are none.
    pub live: bool,
}

/// A rule's word on one subject.
#[derive(Debug)]
pub(crate) struct Judged {
    subject: String,
    looked_at: Vec<String>,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Pass,
    Fail(Box<Failure>),
    Unknown(Vec<Text>),
}

/// How a rule does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub summary: Text,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What to do, in order.
    pub remedy: Vec<Text>,
    /// Cause from the catalogue.
    pub cause: Option<String>,
    /// Since when it holds.
    pub since: Option<Timestamp>,
    /// How often it was seen.
    pub occurrences: u32,
}

impl Judged {
    fn new(looked_at: &[&str], outcome: Outcome) -> Judged {
        Judged { subject: String::new(), looked_at: looked_at.iter().map(|path| (*path).to_owned()).collect(), outcome }
    }

    fn pass(looked_at: &[&str]) -> Judged {
        Judged::new(looked_at, Outcome::Pass)
    }

    fn unknown(looked_at: &[&str], missing: Vec<Text>) -> Judged {
        Judged::new(looked_at, Outcome::Unknown(missing))
    }

    fn fail(looked_at: &[&str], failure: Failure) -> Judged {
        Judged::new(looked_at, Outcome::Fail(Box::new(failure)))
    }

    /// Fails if anything is wrong, else is unknown if anything is missing, else passes.
    fn weigh(looked_at: &[&str], failure: Option<Failure>, mut missing: Vec<Text>) -> Judged {
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
        Failure { severity, summary, evidence: Vec::new(), remedy: Vec::new(), cause: None, since: None, occurrences: 1 }
    }

    fn shown_by(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Failure {
        self.evidence.extend(evidence);
        // It took all of the evidence for the rule to fail, so it fails since the newest of it.
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
        Evidence::Setting { taken_at, .. } => *taken_at,
    }
}

impl<'a> Scene<'a> {
    /// Generation of the site; where nobody says, the current one, whose rules are the more lenient.
    fn generation(&self) -> Generation {
        self.hierarchy.generation(self.site.code).unwrap_or(Generation::CurrentBranch)
    }

    /// Whether the site is at the top; `None` where nobody says.
    fn is_top(&self) -> Option<bool> {
        match self.hierarchy.parent(self.site.code) {
            Parent::Top => Some(true),
            Parent::Of(_) => Some(false),
            Parent::Unknown => None,
        }
    }

    /// The site's settings, or what is missing.
    fn settings(&self) -> Result<&'a Settings, Text> {
        self.site.settings().ok_or_else(|| no_settings(self.site.code))
    }
}

/// A setting as evidence.
fn setting(site: &Site, path: impl Into<String>, value: impl Into<Value>) -> Evidence {
    Evidence::Setting {
        site: site.code,
        setting: path.into(),
        value: value.into(),
        taken_at: site.snapshot().and_then(|s| s.taken_at),
    }
}

/// `no settings from P01`
fn no_settings(site: SiteCode) -> Text {
    Text::new(
        format!("no settings from {site}: put a settings.json into its site folder"),
        format!("{site} の設定がありません。サイトフォルダーに settings.json を置いてください"),
    )
}

/// `wsus[sup1].languages of P01`
fn no_setting(site: SiteCode, path: &str) -> Text {
    Text::new(format!("{path} of {site}"), format!("{site} の {path}"))
}

/// Where a site stands is not known.
fn no_parent(site: SiteCode) -> Text {
    Text::new(
        format!("the parent of {site}: give type and parent in its site.toml or in hierarchy.toml"),
        format!("{site} の親サイト。site.toml または hierarchy.toml に type と parent を書いてください"),
    )
}

/// A SUP's name for texts and paths; the server's first label is enough to tell them apart for people.
fn name_of(sup: &Sup) -> &str {
    sup.server.value().map_or("?", String::as_str)
}
