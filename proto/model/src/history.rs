//! Settings of a site now and in the past, and the effect of changing them: answers of the collector.

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::SiteCode;
use crate::text::Text;
use crate::verdict::Verdict;

/// The settings of a site at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsView {
    /// Code of the site.
    pub site: SiteCode,
    /// Merged settings; `None`: none are known.
    pub settings: Option<Value>,
    /// Origin of each field.
    pub origins: Vec<FieldOrigin>,
    /// Changes, oldest first.
    pub changes: Vec<SettingChange>,
    /// Those changes that were reverted.
    pub undone: Vec<UndoneChange>,
    /// When WCM will next check the WSUS configuration.
    pub wcm_looks_at: Option<Timestamp>,
    /// Remarks on that time.
    pub notes: Vec<Text>,
}

/// Origin of a settings field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldOrigin {
    /// Path of the field in the snapshot.
    pub path: String,
    /// Source, such as `wsus-api`.
    pub source: String,
    /// When the source last reported it.
    pub taken_at: Option<Timestamp>,
    /// When the source first reported this value.
    pub since: Option<Timestamp>,
}

/// A changed settings field.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingChange {
    /// Path of the field in the snapshot.
    pub path: String,
    /// Value before; `None` if the whole element is new.
    pub before: Option<Value>,
    /// Value after; `None` if the whole element was removed.
    pub after: Option<Value>,
    /// When the value before was last seen: the change happened between this and `seen_at`.
    pub last_seen_before: Option<Timestamp>,
    /// When the new value was first seen.
    pub seen_at: Option<Timestamp>,
    /// Source that reported it.
    pub source: String,
}

/// A change that was reverted.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoneChange {
    /// Path of the field in the snapshot.
    pub path: String,
    /// Temporary value.
    pub value: Option<Value>,
    /// When that value was first seen.
    pub changed_at: Option<Timestamp>,
    /// When the old value was seen again.
    pub put_back_at: Option<Timestamp>,
    /// Whether WCM wrote its settings meanwhile; otherwise the author is unknown.
    pub by_wcm: bool,
}

/// A verdict that a settings change would alter.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictChange {
    /// Verdict now; `None`: the rule gives none.
    pub before: Option<Verdict>,
    /// Verdict after the change; `None`: the rule would give none.
    pub after: Option<Verdict>,
    /// Problem that the change would cause or fix.
    pub summary: Option<Text>,
}

/// An operator's decision in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// Time of the decision (collector's clock, UTC).
    pub at: Timestamp,
    /// Operator, from the client certificate.
    pub by: String,
    /// `suppress` or `unsuppress`.
    pub action: String,
    /// Id of the finding.
    pub finding: String,
    /// Rule of the finding.
    pub rule: String,
    /// Site of the finding.
    pub site: SiteCode,
    /// Reason given by the operator.
    pub reason: String,
    /// End of the suppression, if any.
    pub until: Option<Timestamp>,
}
