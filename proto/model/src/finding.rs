//! A finding: a failed verdict tracked over time. It opens, changes, resolves, and keeps its id when it reopens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::text::Text;
use crate::verdict::Severity;

/// A failed verdict, tracked from opening to resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Hash of rule, site and subject: equal live and offline.
    pub id: String,
    /// Id of the rule.
    pub rule: String,
    /// Severity.
    pub severity: Severity,
    /// Code of the site.
    pub site: SiteCode,
    /// Part of the site; often empty.
    pub subject: String,
    /// Cause, from the catalogue of causes.
    pub cause: Option<String>,
    /// Confidence in the cause.
    #[serde(default)]
    pub confidence: Option<Confidence>,
    /// Reason for that confidence.
    #[serde(default)]
    pub reasons: Vec<Text>,
    /// Summary in one sentence.
    pub summary: Text,
    /// Log lines and settings that prove it.
    pub evidence: Vec<Evidence>,
    /// Remedies, in order.
    pub remedy: Vec<Text>,
    /// When it opened (UTC).
    pub opened_at: Option<Timestamp>,
    /// When its summary, severity or evidence last changed.
    pub changed_at: Option<Timestamp>,
    /// When it was resolved (UTC).
    pub resolved_at: Option<Timestamp>,
    /// Number of occurrences, such as consecutive failed runs.
    pub occurrences: u32,
    /// Set while an operator suppresses the finding.
    pub suppressed: Option<Suppression>,
    /// Id of the root finding that causes this one. Not stored: derived from the other open findings.
    #[serde(default)]
    pub because_of: Option<String>,
    /// Ids of the findings that this one causes.
    #[serde(default)]
    pub consequences: Vec<String>,
}

/// Confidence in a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// Confirmed by settings or a probe.
    Confirmed,
    /// Stated by the error itself.
    Likely,
    /// Inferred from wording alone, or contradicted by settings or probes.
    Weak,
}

crate::describe::words!(Confidence { Confirmed = "confirmed", Likely = "likely", Weak = "weak" });

/// An operator's decision to suppress a finding: it is still evaluated and shown, but sends no notifications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Reason given by the operator.
    pub reason: String,
    /// Operator, from the client certificate.
    pub by: String,
    /// Time of the decision (UTC).
    pub at: Option<Timestamp>,
    /// End of the suppression; `None`: until an operator lifts it.
    pub until: Option<Timestamp>,
}

impl Finding {
    /// Whether it is open, not suppressed, and not a consequence, which is reported with its cause.
    pub fn is_pressing(&self) -> bool {
        self.resolved_at.is_none() && self.suppressed.is_none() && self.because_of.is_none()
    }

    /// Whether it is open in its own right: neither resolved nor the consequence of another.
    pub fn is_open_cause(&self) -> bool {
        self.resolved_at.is_none() && self.because_of.is_none()
    }
}

/// Evidence for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Evidence {
    /// A log line.
    Line {
        /// Code of the site.
        site: SiteCode,
        /// Name of the log file.
        file: String,
        /// Byte offset in the file.
        offset: u64,
        /// Time of the line (UTC).
        time: Option<Timestamp>,
        /// The raw line.
        line: String,
    },
    /// A setting.
    Setting {
        /// Code of the site.
        site: SiteCode,
        /// Path in the snapshot, such as `wsus[sup1].is_replica`.
        setting: String,
        /// Value of the setting.
        value: serde_json::Value,
        /// When the source last reported it.
        taken_at: Option<Timestamp>,
        /// Source, such as `wsus-api`, `file`, `log` or `probe`.
        #[serde(default)]
        source: String,
        /// When this value was first seen.
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
