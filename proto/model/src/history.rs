//! What a site is set to, what it was set to before, and what it would mean to set it otherwise: answers of the collector.

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::SiteCode;
use crate::text::Text;
use crate::verdict::Verdict;

/// The settings of a site at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsView {
    /// Whose.
    pub site: SiteCode,
    /// Everything known; `None`: nothing.
    pub settings: Option<Value>,
    /// Where each field comes from.
    pub origins: Vec<FieldOrigin>,
    /// What changed, oldest first.
    pub changes: Vec<SettingChange>,
    /// Which of the changes were undone.
    pub undone: Vec<UndoneChange>,
    /// When WCM is going to look at WSUS again.
    pub wcm_looks_at: Option<Timestamp>,
    /// What is to be known about that.
    pub notes: Vec<Text>,
}

/// Where a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldOrigin {
    /// Which field.
    pub path: String,
    /// Its source.
    pub source: String,
    /// When the source last said so.
    pub taken_at: Option<Timestamp>,
    /// Since when it says so.
    pub since: Option<Timestamp>,
}

/// A field that is set otherwise than before.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingChange {
    /// Which field.
    pub path: String,
    /// Its value before; `None` where the whole element is new.
    pub before: Option<Value>,
    /// Its value since; `None` where the whole element is gone.
    pub after: Option<Value>,
    /// When the value before was last seen: the change lies between this and `seen_at`.
    pub last_seen_before: Option<Timestamp>,
    /// When the new value was first seen.
    pub seen_at: Option<Timestamp>,
    /// Who saw it.
    pub source: String,
}

/// A change that was undone.
#[derive(Debug, Clone, PartialEq)]
pub struct UndoneChange {
    /// Which field.
    pub path: String,
    /// What it was set to for a while.
    pub value: Option<Value>,
    /// When that was first seen.
    pub changed_at: Option<Timestamp>,
    /// When the old value was back.
    pub put_back_at: Option<Timestamp>,
    /// Whether WCM wrote its settings meanwhile; else nobody says who it was.
    pub by_wcm: bool,
}

/// A verdict that would be another one.
#[derive(Debug, Clone, PartialEq)]
pub struct VerdictChange {
    /// As it is; `None`: the rule gives none.
    pub before: Option<Verdict>,
    /// As it would be; `None`: the rule would give none.
    pub after: Option<Verdict>,
    /// What would be wrong, or what is wrong now and would be well.
    pub summary: Option<Text>,
}

/// One decision of an operator.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who, from the certificate.
    pub by: String,
    /// `suppress` or `unsuppress`.
    pub action: String,
    /// Which finding.
    pub finding: String,
    /// Its rule.
    pub rule: String,
    /// Its site.
    pub site: SiteCode,
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Option<Timestamp>,
}
