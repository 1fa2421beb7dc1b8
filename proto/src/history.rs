//! What a site is set to, what it was set to before, and what it would mean to set it otherwise: answers of the collector.

use jiff::Timestamp;
use serde_json::Value;

use crate::ids::SiteCode;
use crate::text::Text;
use crate::time::{from_wire, to_wire};
use crate::verdict::Verdict;
use crate::wire::{self, WireError};

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

// ---- wire ----

fn json(value: Option<Value>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn from_json(field: &'static str, text: &str) -> Result<Option<Value>, WireError> {
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text).map(Some).map_err(|error| WireError::invalid(field, text, error))
}

fn site(text: &str) -> Result<SiteCode, WireError> {
    text.parse().map_err(|error| WireError::invalid("site", text, error))
}

impl From<SettingsView> for wire::SettingsResponse {
    fn from(view: SettingsView) -> wire::SettingsResponse {
        let SettingsView { site, settings, origins, changes, undone, wcm_looks_at, notes } = view;
        wire::SettingsResponse {
            site: site.to_string(),
            json: json(settings),
            origins: origins.into_iter().map(wire::FieldOrigin::from).collect(),
            changes: changes.into_iter().map(wire::SettingChange::from).collect(),
            undone: undone.into_iter().map(wire::UndoneChange::from).collect(),
            wcm_looks_at: wcm_looks_at.map(to_wire),
            notes: notes.into_iter().map(wire::Text::from).collect(),
        }
    }
}

impl TryFrom<wire::SettingsResponse> for SettingsView {
    type Error = WireError;

    fn try_from(message: wire::SettingsResponse) -> Result<SettingsView, WireError> {
        let wire::SettingsResponse { site: code, json, origins, changes, undone, wcm_looks_at, notes } = message;
        Ok(SettingsView {
            site: site(&code)?,
            settings: from_json("json", &json)?,
            origins: origins.into_iter().map(FieldOrigin::from).collect(),
            changes: changes.into_iter().map(SettingChange::try_from).collect::<Result<_, _>>()?,
            undone: undone.into_iter().map(UndoneChange::try_from).collect::<Result<_, _>>()?,
            wcm_looks_at: from_wire(wcm_looks_at),
            notes: notes.into_iter().map(Text::from).collect(),
        })
    }
}

impl From<FieldOrigin> for wire::FieldOrigin {
    fn from(FieldOrigin { path, source, taken_at, since }: FieldOrigin) -> wire::FieldOrigin {
        wire::FieldOrigin { path, source, taken_at: taken_at.map(to_wire), since: since.map(to_wire) }
    }
}

impl From<wire::FieldOrigin> for FieldOrigin {
    fn from(wire::FieldOrigin { path, source, taken_at, since }: wire::FieldOrigin) -> FieldOrigin {
        FieldOrigin { path, source, taken_at: from_wire(taken_at), since: from_wire(since) }
    }
}

impl From<SettingChange> for wire::SettingChange {
    fn from(change: SettingChange) -> wire::SettingChange {
        let SettingChange { path, before, after, last_seen_before, seen_at, source } = change;
        wire::SettingChange {
            path,
            before: json(before),
            after: json(after),
            last_seen_before: last_seen_before.map(to_wire),
            seen_at: seen_at.map(to_wire),
            source,
        }
    }
}

impl TryFrom<wire::SettingChange> for SettingChange {
    type Error = WireError;

    fn try_from(message: wire::SettingChange) -> Result<SettingChange, WireError> {
        let wire::SettingChange { path, before, after, last_seen_before, seen_at, source } = message;
        Ok(SettingChange {
            path,
            before: from_json("before", &before)?,
            after: from_json("after", &after)?,
            last_seen_before: from_wire(last_seen_before),
            seen_at: from_wire(seen_at),
            source,
        })
    }
}

impl From<UndoneChange> for wire::UndoneChange {
    fn from(UndoneChange { path, value, changed_at, put_back_at, by_wcm }: UndoneChange) -> wire::UndoneChange {
        let (changed_at, put_back_at) = (changed_at.map(to_wire), put_back_at.map(to_wire));
        wire::UndoneChange { path, value: json(value), changed_at, put_back_at, by_wcm }
    }
}

impl TryFrom<wire::UndoneChange> for UndoneChange {
    type Error = WireError;

    fn try_from(message: wire::UndoneChange) -> Result<UndoneChange, WireError> {
        let wire::UndoneChange { path, value, changed_at, put_back_at, by_wcm } = message;
        let value = from_json("value", &value)?;
        Ok(UndoneChange { path, value, changed_at: from_wire(changed_at), put_back_at: from_wire(put_back_at), by_wcm })
    }
}

impl From<VerdictChange> for wire::VerdictChange {
    fn from(VerdictChange { before, after, summary }: VerdictChange) -> wire::VerdictChange {
        let (before, after) = (before.map(wire::Verdict::from), after.map(wire::Verdict::from));
        wire::VerdictChange { before, after, summary: summary.map(wire::Text::from) }
    }
}

impl TryFrom<wire::VerdictChange> for VerdictChange {
    type Error = WireError;

    fn try_from(message: wire::VerdictChange) -> Result<VerdictChange, WireError> {
        let wire::VerdictChange { before, after, summary } = message;
        Ok(VerdictChange {
            before: before.map(Verdict::try_from).transpose()?,
            after: after.map(Verdict::try_from).transpose()?,
            summary: summary.map(Text::from),
        })
    }
}

impl From<AuditEntry> for wire::AuditEntry {
    fn from(AuditEntry { at, by, action, finding, rule, site, reason, until }: AuditEntry) -> wire::AuditEntry {
        let (site, until) = (site.to_string(), until.map(to_wire));
        wire::AuditEntry { at: Some(to_wire(at)), by, action, finding, rule, site, reason, until }
    }
}

impl TryFrom<wire::AuditEntry> for AuditEntry {
    type Error = WireError;

    fn try_from(message: wire::AuditEntry) -> Result<AuditEntry, WireError> {
        let wire::AuditEntry { at, by, action, finding, rule, site: code, reason, until } = message;
        let at = from_wire(at).ok_or(WireError::Missing { message: "AuditEntry", field: "at" })?;
        Ok(AuditEntry { at, by, action, finding, rule, site: site(&code)?, reason, until: from_wire(until) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_survives_the_wire() {
        let at = Some(Timestamp::UNIX_EPOCH);
        let path = || "wsus[a].languages".to_owned();
        let view = SettingsView {
            site: "P01".parse().expect("code"),
            settings: Some(serde_json::json!({"sups": []})),
            origins: vec![FieldOrigin { path: path(), source: "probe".into(), taken_at: at, since: None }],
            changes: vec![SettingChange {
                path: path(),
                before: Some(Value::Null),
                after: None,
                last_seen_before: at,
                seen_at: None,
                source: "file".into(),
            }],
            undone: vec![UndoneChange { path: path(), value: None, changed_at: at, put_back_at: at, by_wcm: true }],
            wcm_looks_at: at,
            notes: vec![Text::new("a", "b")],
        };
        assert_eq!(SettingsView::try_from(wire::SettingsResponse::from(view.clone())), Ok(view));
    }

    #[test]
    fn an_audit_entry_survives_the_wire() {
        let entry = AuditEntry {
            at: Timestamp::UNIX_EPOCH,
            by: "operator/a".into(),
            action: "suppress".into(),
            finding: "0123456789ab".into(),
            rule: "r".into(),
            site: "P01".parse().expect("code"),
            reason: "known".into(),
            until: Some(Timestamp::UNIX_EPOCH),
        };
        assert_eq!(AuditEntry::try_from(wire::AuditEntry::from(entry.clone())), Ok(entry));
    }
}
