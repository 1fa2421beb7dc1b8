//! Lenient reading of a snapshot: an invalid field costs that field, not the snapshot.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Settings, schema};

/// A field that was dropped, or that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer of the field, such as `/wsus/0/is_replica`.
    pub pointer: String,
    /// Why it was dropped.
    pub reason: Reason,
}

/// Why a field was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its value has the wrong type, so the field counts as unknown.
    Unreadable,
    /// No field has this name; carries the closest known name, if any.
    UnknownKey(Option<String>),
}

/// Removes unreadable fields from a snapshot, and returns those and the unknown keys.
pub fn tidy(snapshot: &mut Value) -> Vec<Problem> {
    take_pairs_apart(snapshot);
    // In these maps `null` means the same as absence: no entry of that name.
    for wsus in snapshot.get_mut("wsus").and_then(Value::as_array_mut).into_iter().flatten() {
        for map in ["services", "virtual_directories"] {
            if let Some(map) = wsus.get_mut(map).and_then(Value::as_object_mut) {
                map.retain(|_, value| !value.is_null());
            }
        }
    }
    let Some(read) = Settings::from_json(snapshot).ok().and_then(|settings| serde_json::to_value(settings).ok()) else {
        return Vec::new();
    };
    let known = keys();
    let mut problems = Vec::new();
    compare(snapshot, &read, &known, "", &mut problems);
    problems
}

/// Lists of languages, and of categories.
const LANGUAGES: [&str; 2] = ["languages", "summary_languages"];
const CATEGORIES: [&str; 2] = ["classifications", "products"];

/// `{"id", "name"}` in a list becomes the name, with its id under `category_ids`; of a language its tag is what counts.
fn take_pairs_apart(snapshot: &mut Value) {
    let mut ids = Map::new();
    let mut parts: Vec<&mut Value> = snapshot.get_mut("wsus").and_then(Value::as_array_mut).into_iter().flatten().collect();
    for part in &mut parts {
        take_lists_apart(part, &mut ids);
    }
    if let Some(component) = snapshot.get_mut("component") {
        take_lists_apart(component, &mut ids);
    }
    if ids.is_empty() {
        return;
    }
    let Some(all) = snapshot.as_object_mut() else { return };
    let told = all.entry("category_ids").or_insert_with(|| Value::Object(Map::new()));
    if let Some(told) = told.as_object_mut() {
        ids.into_iter().for_each(|(name, id)| _ = told.entry(name).or_insert(id));
    }
}

fn take_lists_apart(part: &mut Value, ids: &mut Map<String, Value>) {
    for field in LANGUAGES.into_iter().chain(CATEGORIES) {
        for element in part.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            let text = |key: &str| element.get(key).and_then(Value::as_str).map(str::to_owned);
            let of_language = LANGUAGES.contains(&field);
            let kept = match (text("id"), text("name")) {
                (Some(id), Some(name)) if !of_language => {
                    ids.insert(name.clone(), Value::String(id));
                    name
                }
                (Some(text), _) | (None, Some(text)) => text,
                (None, None) => continue,
            };
            *element = Value::String(kept);
        }
    }
}

/// Records every given value that is missing from what was read.
fn compare(given: &mut Value, read: &Value, known: &BTreeSet<String>, at: &str, problems: &mut Vec<Problem>) {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => {
            let mut wrong = Vec::new();
            for (key, value) in given.iter_mut() {
                let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match read.get(key) {
                    Some(read) => compare(value, read, known, &pointer, problems),
                    None if known.contains(key) => {
                        wrong.push(key.clone());
                        problems.push(Problem { pointer, reason: Reason::Unreadable });
                    }
                    // The reasons of a dump for unread sections travel beside the fields.
                    None if at.is_empty() && (key == "refused" || key == "$schema") => {}
                    None => problems.push(Problem { pointer, reason: Reason::UnknownKey(nearest(key, known)) }),
                }
            }
            wrong.iter().for_each(|key| {
                given.remove(key);
            });
        }
        (Value::Array(given), Value::Array(read)) => {
            for (index, (given, read)) in given.iter_mut().zip(read).enumerate() {
                compare(given, read, known, &format!("{at}/{index}"), problems);
            }
        }
        _ => {}
    }
}

fn nearest(key: &str, known: &BTreeSet<String>) -> Option<String> {
    let close = known.iter().map(|name| (strsim::jaro_winkler(name, key), name));
    close.filter(|(likeness, _)| *likeness > 0.85).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, name)| name.clone())
}

/// Every field's name.
fn keys() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![schema()];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    found.extend(properties.keys().cloned());
                }
                open.extend(map.into_iter().map(|(_, value)| value));
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_field_costs_that_field() {
        let mut given = json!({
            "site": "P01",
            "sups": [{"server": "sup1.corp.example", "http_port": "8530", "ssl": true}],
            "wsus": [{"server": "sup1.corp.example", "is_replika": true, "services": {"W3SVC": "running", "IISADMIN": null}}],
        });
        let problems = tidy(&mut given);
        let expected = [
            Problem { pointer: "/sups/0/http_port".to_owned(), reason: Reason::Unreadable },
            Problem { pointer: "/wsus/0/is_replika".to_owned(), reason: Reason::UnknownKey(Some("is_replica".to_owned())) },
        ];
        assert_eq!(problems, expected);
        assert_eq!(given["sups"][0], json!({"server": "sup1.corp.example", "ssl": true}));
        assert_eq!(given["wsus"][0]["services"], json!({"W3SVC": "running"}));
    }

    #[test]
    fn an_id_with_a_name_is_both() {
        let pair = |id: &str, name: &str| json!({"id": id, "name": name});
        let mut given = json!({
            "component": {"languages": [pair("ja", "日本語"), "en"], "products": [{"id": "72e7624a"}, {"name": "Windows 10"}]},
            "wsus": [{"server": "sup1", "products": [pair("72e7624a", "Windows 11"), "Windows 10", {"x": 1}]}],
        });
        let problems = tidy(&mut given);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(given["component"], json!({"languages": ["ja", "en"], "products": ["72e7624a", "Windows 10"]}));
        assert_eq!(given["category_ids"], json!({"Windows 11": "72e7624a"}));
    }

    #[test]
    fn what_is_right_or_known_to_be_none_is_no_problem() {
        let mut given =
            json!({"sups": [], "wsus": null, "component": {"schedule_hours": null}, "taken_at": "2026-03-01T03:00:00Z"});
        assert_eq!(tidy(&mut given), []);
    }
}
