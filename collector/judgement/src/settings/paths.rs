//! Paths into a snapshot, in the form people write: `wsus[sup1.corp.example].upstream.port`.
//!
//! In a list whose elements have names, an element is addressed by name; any other list is one value.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use supwatch_model::settings::{Settings, same_server};

/// Fields that describe the snapshot, not the settings.
const HEAD: &[&str] = &["schema", "site", "taken_at", "source"];

/// Lists whose elements have a name.
pub(super) const NAMED: &[&str] = &["sups", "wsus", "sup_status"];

/// A snapshot without the fields that describe it.
pub(super) fn without_head(raw: &Value) -> Value {
    let mut raw = raw.clone();
    if let Some(fields) = raw.as_object_mut() {
        for field in HEAD {
            fields.shift_remove(*field);
        }
    }
    raw
}

/// Name of an element of a list.
pub(super) fn name_of(list: &str, element: &Value) -> Option<String> {
    let server = element.get("server").and_then(Value::as_str);
    if list == "sup_status" {
        let site = element.get("site").and_then(Value::as_str)?;
        return Some(server.map_or_else(|| site.to_owned(), |server| format!("{site} {server}")));
    }
    server.map(str::to_owned)
}

/// Whether two list elements are the same thing.
pub(super) fn same_element(list: &str, one: &Value, other: &Value) -> bool {
    let server = |element: &Value| element.get("server").and_then(Value::as_str).map(str::to_owned);
    let servers = match (server(one), server(other)) {
        (Some(one_name), Some(other_name)) => {
            same_server(&one_name, &other_name) || has_alias(one, &other_name) || has_alias(other, &one_name)
        }
        (None, None) => true,
        _ => false,
    };
    servers && (list != "sup_status" || one.get("site") == other.get("site"))
}

fn has_alias(element: &Value, name: &str) -> bool {
    let names = element.get("names").and_then(Value::as_array);
    names.is_some_and(|names| names.iter().filter_map(Value::as_str).any(|alias| same_server(alias, name)))
}

/// Every field with its path. "Known to be none" is a value too; an empty part has none.
pub fn leaves(raw: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    collect(raw, "", "", &mut found);
    found
}

fn collect<'a>(value: &'a Value, path: &str, field: &str, found: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(value, &path, name, found);
            }
        }
        Value::Array(list) if NAMED.contains(&field) && path == field => {
            for (place, element) in list.iter().enumerate() {
                let name = name_of(field, element).unwrap_or_else(|| format!("#{place}"));
                collect(element, &format!("{path}[{name}]"), "", found);
            }
        }
        value => {
            found.insert(path.to_owned(), value);
        }
    }
}

/// A path in steps: the field, and the name of the list element.
fn pieces(path: &str) -> Vec<(&str, Option<&str>)> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        let (name, after) = match after.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((name, after)) => (Some(name), after),
            None => (None, after),
        };
        found.push((field, name));
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    found
}

fn place_of(field: &str, list: &[Value], name: &str) -> Option<usize> {
    list.iter().position(|element| {
        name_of(field, element).is_some_and(|own| own == name || same_server(&own, name)) || has_alias(element, name)
    })
}

/// Why a field cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not `path=value`.
    #[error("{0:?}: write a setting and its value, like wsus.is_replica=true")]
    Form(String),
    /// No such field.
    #[error("{path:?} is not a setting: {field:?} is not known there{hint}")]
    Field {
        /// The path that was given.
        path: String,
        /// The unknown field.
        field: String,
        /// A similar field, for the error text.
        hint: String,
    },
    /// No such server.
    #[error("{path:?}: {site} has no {name:?} there; known: {known}")]
    Name {
        /// The path that was given.
        path: String,
        /// Site code of the settings.
        site: String,
        /// The element that does not exist.
        name: String,
        /// The elements that exist.
        known: String,
    },
    /// The value does not fit.
    #[error("{path:?}: {value:?} does not fit: {reason}")]
    Value {
        /// The path that was given.
        path: String,
        /// Its value.
        value: String,
        /// Why the value does not fit.
        reason: String,
    },
}

/// Sets fields in the form people write: `wsus.is_replica=true` refers to the first software update point, `languages=en,de` is a
/// list, `none` means known to be none, `unknown` removes the field.
pub fn assign(raw: &Value, site: &str, assignments: &[String]) -> Result<Value, PathError> {
    let mut next = raw.clone();
    for assignment in assignments {
        let (path, value) = assignment.split_once('=').ok_or_else(|| PathError::Form(assignment.clone()))?;
        set(&mut next, site, path.trim(), value.trim())?;
    }
    Ok(next)
}

fn set(raw: &mut Value, site: &str, path: &str, text: &str) -> Result<(), PathError> {
    let first = Settings::from_json(raw).ok().and_then(|settings| Some(settings.first_sup()?.server.value()?.clone()));
    if !raw.is_object() {
        *raw = Value::Object(Map::new());
    }
    let schema = supwatch_model::settings::schema();
    Setting { site, path, text, first, schema: &schema }.put(raw, &schema, &pieces(path))
}

/// One assignment while its path is followed.
struct Setting<'a> {
    site: &'a str,
    path: &'a str,
    text: &'a str,
    first: Option<String>,
    schema: &'a Value,
}

impl Setting<'_> {
    fn put(&self, at: &mut Value, shape: &Value, pieces: &[(&str, Option<&str>)]) -> Result<(), PathError> {
        let Some(((field, name), below)) = pieces.split_first() else { return Err(PathError::Form(self.path.to_owned())) };
        let inner_shape = shape_of(self.schema, shape, field, self.path)?;
        let Some(fields) = at.as_object_mut() else { return Err(unknown_field(self.path, field, shape)) };
        if below.is_empty() {
            return self.write(fields, field, &inner_shape);
        }
        let named = NAMED.contains(field);
        let empty = || if named { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        let inner = fields.entry(*field).or_insert_with(empty);
        if !inner.is_object() && !inner.is_array() {
            *inner = empty();
        }
        match inner.as_array_mut() {
            Some(list) => {
                let shape = resolve(self.schema, inner_shape.get("items").unwrap_or(&Value::Null));
                self.put(self.element(list, field, *name)?, &shape, below)
            }
            None => self.put(inner, &inner_shape, below),
        }
    }

    fn element<'b>(&self, list: &'b mut [Value], field: &str, name: Option<&str>) -> Result<&'b mut Value, PathError> {
        let wanted = name.filter(|name| *name != "first").map(str::to_owned).or_else(|| self.first.clone());
        let known: Vec<String> = list.iter().filter_map(|element| name_of(field, element)).collect();
        let place = match &wanted {
            Some(wanted) => place_of(field, list, wanted),
            None => (list.len() == 1).then_some(0),
        };
        place.and_then(|place| list.get_mut(place)).ok_or_else(|| PathError::Name {
            path: self.path.to_owned(),
            site: self.site.to_owned(),
            name: wanted.unwrap_or_else(|| "first".to_owned()),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        })
    }

    fn write(&self, fields: &mut Map<String, Value>, field: &str, shape: &Value) -> Result<(), PathError> {
        if self.text == "unknown" {
            fields.shift_remove(field);
            return Ok(());
        }
        let wrong = |reason| PathError::Value { path: self.path.to_owned(), value: self.text.to_owned(), reason };
        fields.insert(field.to_owned(), value_of(shape, self.text).map_err(wrong)?);
        Ok(())
    }
}

/// The schema of a field's value other than null.
fn shape_of(schema: &Value, shape: &Value, field: &str, path: &str) -> Result<Value, PathError> {
    let known = shape.get("properties").and_then(|fields| fields.get(field)).or_else(|| shape.get("additionalProperties"));
    known.map(|known| resolve(schema, known)).ok_or_else(|| unknown_field(path, field, shape))
}

fn resolve(schema: &Value, shape: &Value) -> Value {
    let shape = shape.get("anyOf").and_then(|any| any.get(0)).unwrap_or(shape);
    let name = shape.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
    let named = name.and_then(|name| schema.get("$defs").and_then(|all| all.get(name)));
    named.unwrap_or(shape).clone()
}

fn unknown_field(path: &str, field: &str, shape: &Value) -> PathError {
    let known: Vec<&str> = shape
        .get("properties")
        .and_then(Value::as_object)
        .map(|fields| fields.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let near = known.iter().find(|name| strsim::damerau_levenshtein(name, field) <= 2);
    let hint = match near {
        Some(near) => format!("; did you mean {near:?}?"),
        None if known.is_empty() => String::new(),
        None => format!("; known: {}", known.join(", ")),
    };
    PathError::Field { path: path.to_owned(), field: field.to_owned(), hint }
}

fn value_of(shape: &Value, text: &str) -> Result<Value, String> {
    if text == "none" {
        return Ok(Value::Null);
    }
    match shape.get("type").and_then(Value::as_str) {
        Some("boolean") => match text {
            "true" | "yes" => Ok(true.into()),
            "false" | "no" => Ok(false.into()),
            _ => Err("write true, false, none or unknown".to_owned()),
        },
        Some("integer") => text.parse::<i64>().map(Value::from).map_err(|_| "write a number".to_owned()),
        Some("array") => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(items.map(Value::from).collect())
        }
        Some("string") => Ok(text.into()),
        _ => Err("this is a group of fields: name one of them".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn site() -> Value {
        json!({"sups": [{"server": "sup1.corp.example", "first": true}, {"server": "sup2.corp.example"}],
            "wsus": [{"server": "sup1.corp.example", "is_replica": false}, {"server": "sup2.corp.example"}]})
    }

    #[track_caller]
    fn check(assignment: &str, path: &str, expected: Value) {
        let set = assign(&site(), "P01", &[assignment.to_owned()]).expect("set");
        assert_eq!(leaves(&set).get(path), Some(&&expected), "{set}");
    }

    #[test]
    fn fields_are_set_by_name_and_without_one_at_the_first_software_update_point() {
        check("wsus.is_replica=true", "wsus[sup1.corp.example].is_replica", json!(true));
        check("wsus[sup2].languages=en, de", "wsus[sup2.corp.example].languages", json!(["en", "de"]));
        check("wsus.upstream.port=8531", "wsus[sup1.corp.example].upstream.port", json!(8531));
        check("wsus.services.W3SVC=stopped", "wsus[sup1.corp.example].services.W3SVC", json!("stopped"));
        check("component.schedule_hours=none", "component.schedule_hours", Value::Null);
        let gone = assign(&site(), "P01", &["wsus.is_replica=unknown".to_owned()]).expect("set");
        assert!(!leaves(&gone).contains_key("wsus[sup1.corp.example].is_replica"));
    }

    #[test]
    fn what_cannot_be_set_says_why_and_what_can() {
        let error = |assignment: &str| assign(&site(), "P01", &[assignment.to_owned()]).expect_err("an error").to_string();
        assert!(error("wsus.is_replca=true").contains("did you mean \"is_replica\"?"));
        assert!(error("wsus[sup9].is_replica=true").contains("P01 has no \"sup9\" there; known: sup1.corp.example, sup2"));
        assert!(error("wsus.is_replica=maybe").contains("write true, false"));
        assert!(error("wsus.upstream=x").contains("name one of them"));
        assert!(error("wsus").contains("write a setting and its value"));
    }
}
