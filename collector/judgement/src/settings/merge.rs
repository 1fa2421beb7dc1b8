//! Several sources → one snapshot, field by field: the newer value of a field wins, and a source that does not know a field
//! leaves the others' value untouched.
//!
//! Only a *complete* source, such as the dump script or a file, determines which servers exist. A log or a probe sees one server
//! at a time: it adds fields to known servers, and adds a server only if no complete source lists any and the log names it as the
//! active one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use supwatch_model::settings::Settings;

use super::paths::{NAMED, name_of, same_element};
use super::{Merged, Origin, Snapshot};

/// Sources that see only a part of the settings.
const PARTIAL: &[&str] = &["log", "probe", "registry"];

/// Merges the last snapshot of each source.
pub(super) fn merge<'a>(parts: impl Iterator<Item = &'a Snapshot>) -> Merged {
    let mut parts: Vec<&Snapshot> = parts.collect();
    parts.sort_by_key(|part| part.confirmed_at);
    let mut work = Work { raw: Value::Object(Map::new()), origins: BTreeMap::new(), listed: BTreeMap::new() };
    for list in NAMED {
        // The newest complete list determines the elements.
        let complete = parts.iter().rev().filter(|part| !is_partial(part));
        if let Some(elements) = complete.filter_map(|part| part.raw.get(*list)).find(|value| !value.is_null()) {
            work.listed.insert(list, elements.as_array().cloned().unwrap_or_default());
        }
    }
    for part in &parts {
        work.merge(part);
    }
    let taken_at = parts.iter().filter_map(|part| part.confirmed_at).max();
    let settings = Settings::from_json(&work.raw).unwrap_or_default();
    Merged { settings, raw: work.raw, origins: work.origins, taken_at }
}

fn is_partial(part: &Snapshot) -> bool {
    PARTIAL.contains(&part.source.as_str())
}

struct Work {
    raw: Value,
    origins: BTreeMap<String, Origin>,
    listed: BTreeMap<&'static str, Vec<Value>>,
}

impl Work {
    fn merge(&mut self, part: &Snapshot) {
        let Value::Object(fields) = &part.raw else { return };
        // SUPs first: whether a WSUS may be added depends on the known software update points.
        let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str() != "sups");
        for (name, value) in fields {
            match (NAMED.iter().find(|list| *list == name), value) {
                (Some(list), Value::Array(elements)) => self.merge_list(list, elements, part),
                _ => {
                    let Some(into) = self.raw.as_object_mut() else { return };
                    Field { name, path: name.clone(), own: name.clone(), part }.put(into, value, &mut self.origins);
                }
            }
        }
    }

    fn merge_list(&mut self, list: &'static str, elements: &[Value], part: &Snapshot) {
        let was_told = self.raw.get(list).is_some();
        self.fill_list(list, elements, part);
        // A log or a probe that reports no server does not show that there is none.
        let empty = self.raw.get(list).and_then(Value::as_array).is_some_and(Vec::is_empty);
        if empty && !was_told && is_partial(part) {
            self.raw.as_object_mut().map(|raw| raw.remove(list));
        }
    }

    fn fill_list(&mut self, list: &'static str, elements: &[Value], part: &Snapshot) {
        let known_sups = self.raw.get("sups").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(into) = self.raw.as_object_mut() else { return };
        let kept = into.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        if !kept.is_array() {
            *kept = Value::Array(Vec::new());
        }
        let Some(kept) = kept.as_array_mut() else { return };
        for (place, element) in elements.iter().enumerate() {
            let own = format!("{list}[{}]", name_of(list, element).unwrap_or_else(|| format!("#{place}")));
            let listed = self.listed.get(list).map(|all| all.iter().find(|known| same_element(list, known, element)));
            let allowed = match listed {
                Some(Some(_)) => true,
                None if !is_partial(part) => true,
                // The WSUS of a known SUP exists, even if the complete source could not read it.
                _ if list == "wsus" => known_sups.iter().any(|sup| same_element("sups", sup, element)),
                Some(None) => false,
                None => list == "sups" && element.get("first") == Some(&Value::Bool(true)),
            };
            let place = kept.iter().position(|known| same_element(list, known, element));
            let place = match place {
                Some(place) => place,
                None if allowed => {
                    // Uses the complete source's name for it, so that paths stay the same.
                    let sup = known_sups.iter().find(|sup| list == "wsus" && same_element("sups", sup, element));
                    let mut named = Map::new();
                    for field in ["site", "server"] {
                        let reported = listed.flatten().or(sup).unwrap_or(element).get(field);
                        reported.map(|value| named.insert(field.to_owned(), value.clone()));
                    }
                    kept.push(Value::Object(named));
                    kept.len() - 1
                }
                None => continue,
            };
            let Some(target) = kept.get_mut(place) else { continue };
            let path = format!("{list}[{}]", name_of(list, target).unwrap_or_else(|| format!("#{place}")));
            let (Some(target), Value::Object(fields)) = (target.as_object_mut(), element) else { continue };
            // The complete source, if any, determines which one is the first.
            let first_is_said =
                is_partial(part) && listed.is_some_and(|listed| listed.is_some_and(|listed| listed.get("first").is_some()));
            let taken = |name: &str| name != "server" && name != "site" && !(name == "first" && first_is_said);
            for (name, value) in fields.iter().filter(|(name, _)| taken(name)) {
                let field = Field { name, path: format!("{path}.{name}"), own: format!("{own}.{name}"), part };
                field.put(target, value, &mut self.origins);
            }
        }
    }
}

/// One field to be merged: its destination, and its name in its source.
struct Field<'a> {
    name: &'a str,
    path: String,
    own: String,
    part: &'a Snapshot,
}

impl Field<'_> {
    fn put(&self, into: &mut Map<String, Value>, value: &Value, origins: &mut BTreeMap<String, Origin>) {
        if let Value::Object(fields) = value {
            let inner = into.entry(self.name).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
                origins.remove(&self.path);
            }
            if let Some(inner) = inner.as_object_mut() {
                for (name, value) in fields {
                    let (path, own) = (format!("{}.{name}", self.path), format!("{}.{name}", self.own));
                    Field { name, path, own, part: self.part }.put(inner, value, origins);
                }
            }
            return;
        }
        let below = format!("{}.", self.path);
        origins.retain(|known, _| !known.starts_with(&below));
        into.insert(self.name.to_owned(), value.clone());
        let since = self.part.since.get(&self.own).copied().unwrap_or(self.part.taken_at);
        let origin = Origin { source: self.part.source.clone(), taken_at: self.part.confirmed_at, since };
        origins.insert(self.path.clone(), origin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn part(source: &str, minute: u32, raw: Value) -> Snapshot {
        let at = format!("2026-03-01T10:{minute:02}:00Z").parse().ok();
        Snapshot::new(source.to_owned(), at, raw)
    }

    #[track_caller]
    fn check(parts: &[Snapshot], expected: Value) {
        assert_eq!(merge(parts.iter()).raw, expected);
    }

    #[test]
    fn a_log_alone_never_says_that_there_is_no_sup() {
        check(&[part("log", 1, json!({"sups": [{"server": "sup1", "http_port": 8530, "ssl": false}]}))], json!({}));
        check(&[part("wsus-api", 1, json!({"sups": []}))], json!({"sups": []}));
    }

    #[test]
    fn a_probe_adds_fields_but_no_servers() {
        let file = part("file", 0, json!({"sups": [{"server": "a.x"}], "wsus": [{"server": "a.x", "version": "1"}]}));
        let probe = part("probe", 1, json!({"wsus": [{"server": "A", "version": "2"}, {"server": "b.x", "version": "3"}]}));
        check(&[file, probe], json!({"sups": [{"server": "a.x"}], "wsus": [{"server": "a.x", "version": "2"}]}));
        let file = part("file", 0, json!({"sups": [{"server": "a.x"}], "wsus": []}));
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
