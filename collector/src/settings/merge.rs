//! Several sources → one snapshot, field by field: the younger word on a field wins, and a source that does not know a field
//! takes nothing away from one that does.
//!
//! Which servers there are is said by a *complete* source alone, such as the dump script or a file. A log or a probe sees one
//! server at a time: it adds fields to servers that are known, and a server only where nobody complete lists any and the
//! log names it as the active one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use supwatch_proto::settings::Settings;

use super::paths::{NAMED, name_of, same_element};
use super::{Merged, Origin, Snapshot};

/// Sources that see a part only.
const PARTIAL: &[&str] = &["log", "probe", "registry"];

/// Puts parts together, the oldest first.
pub(super) fn merge(parts: &[&Snapshot]) -> Merged {
    let mut work = Work { raw: Value::Object(Map::new()), origins: BTreeMap::new(), listed: BTreeMap::new() };
    for list in NAMED {
        // The youngest complete list says which elements there are.
        let complete = parts.iter().rev().filter(|part| !is_partial(part));
        if let Some(elements) = complete.filter_map(|part| part.raw.get(*list)).find(|value| !value.is_null()) {
            work.listed.insert(list, elements.as_array().cloned().unwrap_or_default());
        }
    }
    for part in parts {
        work.take(part);
    }
    let taken_at = parts.iter().filter_map(|part| part.confirmed_at).max();
    let settings = Settings::from_json(&work.raw).unwrap_or_default();
    Merged { settings, raw: work.raw, origins: work.origins, taken_at }
}

fn is_partial(part: &Snapshot) -> bool {
    PARTIAL.contains(&part.key.source.as_str())
}

struct Work {
    raw: Value,
    origins: BTreeMap<String, Origin>,
    listed: BTreeMap<&'static str, Vec<Value>>,
}

impl Work {
    fn take(&mut self, part: &Snapshot) {
        let origin =
            Origin { source: part.key.source.clone(), taken_at: part.confirmed_at, since: part.taken_at.or(part.confirmed_at) };
        let Value::Object(fields) = &part.raw else { return };
        // Servers first: whether a WSUS may be added depends on the software update points that are known.
        let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str() != "sups");
        for (name, value) in fields {
            match (NAMED.iter().find(|list| *list == name), value) {
                (Some(list), Value::Array(elements)) => self.take_list(list, elements, &origin, is_partial(part)),
                _ => {
                    let Some(into) = self.raw.as_object_mut() else { return };
                    put(into, name, value, name, &origin, &mut self.origins);
                }
            }
        }
    }

    fn take_list(&mut self, list: &'static str, elements: &[Value], origin: &Origin, partial: bool) {
        let known_sups = self.raw.get("sups").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(into) = self.raw.as_object_mut() else { return };
        let kept = into.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        if !kept.is_array() {
            *kept = Value::Array(Vec::new());
        }
        let Some(kept) = kept.as_array_mut() else { return };
        for element in elements {
            let listed = self.listed.get(list).map(|all| all.iter().find(|known| same_element(list, known, element)));
            let allowed = match listed {
                Some(found) => found.is_some(),
                None if !partial => true,
                None if list == "sups" => element.get("first") == Some(&Value::Bool(true)),
                None => known_sups.iter().any(|sup| same_element("sups", sup, element)),
            };
            let place = kept.iter().position(|known| same_element(list, known, element));
            let place = match place {
                Some(place) => place,
                None if allowed => {
                    // The name by which the complete source calls it, so that paths stay the same.
                    let mut named = Map::new();
                    for field in ["site", "server"] {
                        let told = listed.flatten().unwrap_or(element).get(field);
                        told.map(|value| named.insert(field.to_owned(), value.clone()));
                    }
                    kept.push(Value::Object(named));
                    kept.len() - 1
                }
                None => continue,
            };
            let Some(target) = kept.get_mut(place) else { continue };
            let path = format!("{list}[{}]", name_of(list, target).unwrap_or_else(|| format!("#{place}")));
            let (Some(target), Value::Object(fields)) = (target.as_object_mut(), element) else { continue };
            for (name, value) in fields.iter().filter(|(name, _)| *name != "server" && *name != "site") {
                put(target, name, value, &format!("{path}.{name}"), origin, &mut self.origins);
            }
        }
    }
}

fn put(
    into: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    path: &str,
    origin: &Origin,
    origins: &mut BTreeMap<String, Origin>,
) {
    if let Value::Object(fields) = value {
        let inner = into.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
            origins.remove(path);
        }
        if let Some(inner) = inner.as_object_mut() {
            for (name, value) in fields {
                put(inner, name, value, &format!("{path}.{name}"), origin, origins);
            }
        }
        return;
    }
    let below = format!("{path}.");
    origins.retain(|known, _| !known.starts_with(&below));
    into.insert(name.to_owned(), value.clone());
    origins.insert(path.to_owned(), origin.clone());
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;
    use serde_json::json;

    fn part(source: &str, minute: u32, raw: Value) -> Snapshot {
        let at = format!("2026-03-01T10:{minute:02}:00Z").parse().ok();
        Snapshot { key: Key { source: source.to_owned(), by: String::new() }, taken_at: at, confirmed_at: at, raw }
    }

    #[track_caller]
    fn check(parts: &[Snapshot], expected: Value) {
        assert_eq!(merge(&parts.iter().collect::<Vec<_>>()).raw, expected);
    }

    #[test]
    fn a_probe_adds_fields_but_no_servers() {
        let file = part("file", 0, json!({"sups": [{"server": "a.x"}], "wsus": [{"server": "a.x", "version": "1"}]}));
        let probe = part("probe", 1, json!({"wsus": [{"server": "A", "version": "2"}, {"server": "b.x", "version": "3"}]}));
        check(&[file, probe], json!({"sups": [{"server": "a.x"}], "wsus": [{"server": "a.x", "version": "2"}]}));
    }

    #[test]
    fn a_server_that_the_complete_source_dropped_is_gone() {
        let old = part("file", 0, json!({"sups": [{"server": "a.x", "ssl": true}, {"server": "b.x"}]}));
        let new = part("wsus-api", 1, json!({"sups": [{"server": "a.x"}]}));
        check(&[old, new], json!({"sups": [{"server": "a.x", "ssl": true}]}));
    }

    #[test]
    fn the_log_alone_names_the_active_server() {
        let seen = part("log", 0, json!({"sups": [{"server": "a.x", "first": true}], "wsus": [{"server": "a.x", "version": "1"}]}));
        let other = part("log", 1, json!({"sups": [{"server": "b.x", "ssl": true}]}));
        check(&[seen, other], json!({"sups": [{"server": "a.x", "first": true}], "wsus": [{"server": "a.x", "version": "1"}]}));
    }

    #[test]
    fn none_replaces_a_part_and_a_part_replaces_none() {
        let old = part("file", 0, json!({"component": {"schedule_hours": 24}}));
        let none = part("wsus-api", 1, json!({"component": null}));
        check(&[old.clone(), none.clone()], json!({"component": null}));
        let again = part("file", 2, json!({"component": {"schedule_hours": 12}}));
        check(&[none, again], json!({"component": {"schedule_hours": 12}}));
    }
}
