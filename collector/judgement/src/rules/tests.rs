//! Nothing is guessed: a fact missing in a healthy hierarchy causes no finding.

use serde_json::Value;

use super::testing::{World, healthy};
use crate::limits::Limits;
use crate::picture;

fn findings(above: &Value, own: &Value) -> Vec<String> {
    let world = World::new()
        .generation("current-branch")
        .central("CEN")
        .primary("P01", "CEN")
        .settings("CEN", above.clone())
        .settings("P01", own.clone());
    let at = "2026-03-01T05:00:00Z".parse().expect("time");
    let found = picture::at(world.hierarchy(), &Limits::default(), at).findings;
    found.into_iter().map(|finding| finding.summary.en).collect()
}

/// JSON pointers of every field and every element.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(place, value)| (format!("{at}/{place}"), value)).collect(),
        _ => Vec::new(),
    };
    for (pointer, value) in inner {
        pointers(value, &pointer, found);
        found.push(pointer);
    }
}

/// The same value without one field.
fn without(value: &Value, pointer: &str) -> Value {
    let mut less = value.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    if let Some(fields) = less.pointer_mut(parent).and_then(Value::as_object_mut) {
        fields.remove(name);
    }
    less
}

#[test]
fn a_missing_fact_makes_no_finding() {
    let (above, own) = (healthy("cen", None), healthy("p01", Some("cen")));
    assert_eq!(findings(&above, &own), [""; 0], "a healthy hierarchy");
    let mut places = Vec::new();
    pointers(&own, "", &mut places);
    assert!(places.len() > 20, "{places:?}");
    for place in places {
        assert_eq!(findings(&above, &without(&own, &place)), [""; 0], "P01 without {place}");
        assert_eq!(findings(&without(&above, &place), &own), [""; 0], "CEN without {place}");
    }
}
