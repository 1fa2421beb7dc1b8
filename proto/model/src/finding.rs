//! A finding: a failed verdict with a life. It opens, changes, resolves, and keeps its id when it opens again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::text::Text;
use crate::verdict::Severity;

/// A failed verdict with a life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Hash of rule, site and subject: equal live and offline.
    pub id: String,
    /// Rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Site.
    pub site: SiteCode,
    /// Part of the site; often empty.
    pub subject: String,
    /// Cause from the catalogue.
    pub cause: Option<String>,
    /// How sure that cause is.
    #[serde(default)]
    pub confidence: Option<Confidence>,
    /// Why it is as sure as that.
    #[serde(default)]
    pub reasons: Vec<Text>,
    /// One sentence.
    pub summary: Text,
    /// Lines and settings that show it.
    pub evidence: Vec<Evidence>,
    /// What to do, in order.
    pub remedy: Vec<Text>,
    /// Since when it holds.
    pub opened_at: Option<Timestamp>,
    /// When its summary, severity or evidence last changed.
    pub changed_at: Option<Timestamp>,
    /// When it ceased to hold.
    pub resolved_at: Option<Timestamp>,
    /// How often it was seen, such as failed runs in a row.
    pub occurrences: u32,
    /// That somebody decided to bear with it for a while.
    pub suppressed: Option<Suppression>,
    /// The finding whose consequence it is, which is none itself. Not kept: it follows from what else is open.
    #[serde(default)]
    pub because_of: Option<String>,
    /// The findings that follow from this one.
    #[serde(default)]
    pub consequences: Vec<String>,
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Settings or a probe show it too.
    Confirmed,
    /// The error says so.
    Likely,
    /// Only words say so, or settings and probes say otherwise.
    Weak,
}

crate::describe::words!(Confidence { Confirmed = "confirmed", Likely = "likely", Weak = "weak" });

/// Somebody's decision to bear with a finding: it is still judged and shown, and nobody is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Why.
    pub reason: String,
    /// Who decided, from the certificate.
    pub by: String,
    /// When.
    pub at: Option<Timestamp>,
    /// When it ends; `None`: when somebody lifts it.
    pub until: Option<Timestamp>,
}

impl Finding {
    /// Whether it is open, not suppressed, and no consequence: a consequence is told with its cause.
    pub fn is_pressing(&self) -> bool {
        self.resolved_at.is_none() && self.suppressed.is_none() && self.because_of.is_none()
    }

    /// Whether it is open in its own right: neither resolved nor the consequence of another.
    pub fn is_open_cause(&self) -> bool {
        self.resolved_at.is_none() && self.because_of.is_none()
    }
}

/// What shows that a finding holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Evidence {
    /// A log line.
    Line {
        /// Site.
        site: SiteCode,
        /// File.
        file: String,
        /// Byte offset in it.
        offset: u64,
        /// Its time.
        time: Option<Timestamp>,
        /// The raw line.
        line: String,
    },
    /// A setting.
    Setting {
        /// Site.
        site: SiteCode,
        /// Path in the snapshot, such as `wsus[sup1].is_replica`.
        setting: String,
        /// Its value.
        value: serde_json::Value,
        /// When its source last said so.
        taken_at: Option<Timestamp>,
        /// That source, such as `wsus-api`, `file`, `log` or `probe`.
        #[serde(default)]
        source: String,
        /// Since when it has this value, as far as was seen.
        since: Option<Timestamp>,
    },
}

/// The id of a finding: the first 48 bits of SHA-256 over rule, site and subject, in hexadecimal.
pub fn finding_id(rule: &str, site: SiteCode, subject: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, format!("{rule}\0{site}\0{}", subject.to_lowercase()).as_bytes());
    hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_rule_site_and_subject_alone() {
        let site = "P01".parse().expect("code");
        assert_eq!(finding_id("child-replica", site, "SUP1"), finding_id("child-replica", site, "sup1"));
        assert_ne!(finding_id("child-replica", site, "sup1"), finding_id("child-replica", site, ""));
        assert_eq!(finding_id("child-replica", site, "").len(), 12);
    }

    #[test]
    fn a_finding_that_was_kept_before_consequences_were_known_is_still_read() {
        let kept = serde_json::json!({
            "id": "0123456789ab", "rule": "sync-failed", "severity": "critical", "site": "P01", "subject": "", "cause": null,
            "summary": {"en": "a", "ja": "b"}, "evidence": [], "remedy": [], "opened_at": null, "changed_at": null,
            "resolved_at": null, "occurrences": 1, "suppressed": null,
        });
        let read: Finding = serde_json::from_value(kept).expect("a finding");
        assert_eq!((read.because_of, read.consequences), (None, Vec::new()));
    }
}
