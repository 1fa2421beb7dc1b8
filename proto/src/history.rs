//! Settings over time and the audit log ⇄ their messages.

use serde_json::Value;
use supwatch_model::history::{AuditEntry, FieldOrigin, SettingChange, SettingsView, UndoneChange, VerdictChange};
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;
use supwatch_model::verdict::Verdict;

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError};

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
    use jiff::Timestamp;

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
