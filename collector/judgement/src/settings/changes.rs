//! Changes of settings, and whether they were reverted.
//!
//! A field that becomes unknown is no change, nor is a difference in runtime state: states, responses, clocks.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use supwatch_model::history::{SettingChange as Change, UndoneChange};

use super::paths::{NAMED, name_of, same_element};
use super::{SiteSettings, Snapshot};

/// Parts that are runtime state, not settings.
const STATES: &[&str] = &[
    "services",
    "state",
    "wsus_sync",
    "reach",
    "upstream_reach",
    "virtual_directories",
    "sup_status",
    "sites",
    "configuration_state",
    "refused",
];

fn is_state(path: &str) -> bool {
    path.split(['.', '[']).any(|piece| STATES.contains(&piece))
}

/// Every change that any source saw, oldest first. Each source is compared only with itself: a disagreement between two sources
/// is no change. A change that two of them saw counts once.
pub(super) fn of<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<Change> {
    let mut all: Vec<&Change> = changes.collect();
    all.sort_by(|one, other| (one.seen_at, &one.path).cmp(&(other.seen_at, &other.path)));
    let mut newest: BTreeMap<&str, Option<&Value>> = BTreeMap::new();
    all.retain(|change| {
        let known = newest.insert(&change.path, change.after.as_ref());
        known.is_none_or(|after| !same_option(after, change.after.as_ref()))
    });
    all.into_iter().cloned().collect()
}

/// A snapshot with its fields by path.
pub(super) type Values<'a> = (&'a Snapshot, &'a BTreeMap<String, &'a Value>);

/// Differences between two snapshots of one source.
pub(super) fn differing((before, old): Values<'_>, (after, new): Values<'_>) -> Vec<Change> {
    let change = |path: String, was: Option<&Value>, is: Option<&Value>| Change {
        path,
        before: was.cloned(),
        after: is.cloned(),
        last_seen_before: before.confirmed_at,
        seen_at: after.taken_at,
        source: after.source.clone(),
    };
    let mut found: Vec<Change> = new
        .iter()
        .filter_map(|(path, value)| {
            let was = *old.get(path).filter(|was| !same(was, value))?;
            Some(change(path.clone(), Some(was), Some(value)))
        })
        .collect();
    for list in NAMED {
        // An added or removed element is a change only if both snapshots list the elements.
        let (old, new) = (before.raw.get(*list), after.raw.get(*list));
        let (Some(old), Some(new)) = (old.and_then(Value::as_array), new.and_then(Value::as_array)) else { continue };
        let path = |element: &Value| format!("{list}[{}]", name_of(list, element).unwrap_or_default());
        let missing = |from: &Value, others: &[Value]| !others.iter().any(|other| same_element(list, from, other));
        found.extend(old.iter().filter(|element| missing(element, new)).map(|gone| change(path(gone), Some(gone), None)));
        found.extend(new.iter().filter(|element| missing(element, old)).map(|added| change(path(added), None, Some(added))));
    }
    found.retain(|change| !is_state(&change.path));
    found
}

fn same_option(one: Option<&Value>, other: Option<&Value>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Lists are sets: order and case of names do not matter.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            let set = |list: &[Value]| {
                let mut names: Vec<String> = list.iter().map(|item| item.to_string().to_lowercase()).collect();
                names.sort();
                names.dedup();
                names
            };
            set(one) == set(other)
        }
        (Value::String(one), Value::String(other)) => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}

/// WCM checks every hour, and its log may be read a little later or earlier than the settings.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// The changes that were reverted, oldest first.
pub fn undone(settings: &SiteSettings) -> Vec<UndoneChange> {
    let changes = settings.changes();
    let mut found = Vec::new();
    for (place, change) in changes.iter().enumerate() {
        let next = changes.iter().skip(place + 1).find(|later| later.path == change.path);
        let back = next.filter(|later| same_option(later.after.as_ref(), change.before.as_ref()));
        let Some(back) = back else { continue };
        let (from, to) = (change.seen_at, back.seen_at);
        let in_between =
            |time: &Timestamp| from.is_none_or(|from| *time >= from) && to.is_none_or(|to| time.duration_since(to) <= SLACK);
        // WCM writes the settings of WSUS only.
        let by_wcm = change.path.starts_with("wsus") && settings.wcm_writes().iter().any(in_between);
        found.push(UndoneChange {
            path: change.path.clone(),
            value: change.after.clone(),
            changed_at: change.seen_at,
            put_back_at: back.seen_at,
            by_wcm,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Seen;
    use super::*;
    use serde_json::json;
    use supwatch_model::ids::AgentId;

    fn apply(settings: &mut SiteSettings, hour: u32, languages: &[&str], more: &Value) {
        let mut raw = json!({"source": "wsus-api", "taken_at": format!("2026-03-01T{hour:02}:00:00Z"),
            "sups": [{"server": "a.x"}], "wsus": [{"server": "a.x", "languages": languages}]});
        for (field, value) in more.as_object().expect("object") {
            raw["wsus"][0][field] = value.clone();
        }
        settings.apply(&AgentId("a".into()), &raw);
    }

    #[test]
    fn order_and_case_are_no_change_and_neither_is_a_state() {
        let mut settings = SiteSettings::default();
        apply(&mut settings, 1, &["en", "ja"], &json!({"wsus_sync": {"status": "running"}}));
        apply(&mut settings, 2, &["JA", "en"], &json!({"wsus_sync": {"status": "not-processing"}}));
        assert_eq!(settings.changes(), []);
        apply(&mut settings, 3, &["en"], &json!({}));
        let paths: Vec<&str> = settings.changes().iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["wsus[a.x].languages"]);
        let at = |hour: u32| format!("2026-03-01T{hour:02}:00:00Z").parse().ok();
        assert_eq!((settings.changes()[0].last_seen_before, settings.changes()[0].seen_at), (at(2), at(3)));
    }

    #[test]
    fn a_reverted_change_names_who_reverted_it() {
        let mut settings = SiteSettings::default();
        for (hour, languages) in [(1, &["en"][..]), (2, &["en", "de"]), (3, &["en"]), (4, &["fr"]), (5, &["en"])] {
            if hour == 3 {
                settings.see(&Seen::Written, "2026-03-01T02:58:00Z".parse().ok());
            }
            apply(&mut settings, hour, languages, &json!({}));
        }
        let found: Vec<(Option<Value>, bool)> = undone(&settings).into_iter().map(|undone| (undone.value, undone.by_wcm)).collect();
        // The third change is the revert itself, undone again later.
        assert_eq!(found[0], (Some(json!(["en", "de"])), true));
        assert_eq!(found.last(), Some(&(Some(json!(["fr"])), false)));
    }

    #[test]
    fn a_server_that_comes_or_goes_is_one_change() {
        let mut settings = SiteSettings::default();
        let sups = |names: &[&str], hour: u32| {
            json!({"source": "wsus-api", "taken_at": format!("2026-03-01T{hour:02}:00:00Z"),
            "sups": names.iter().map(|name| json!({"server": name, "http_port": 8530})).collect::<Vec<_>>()})
        };
        settings.apply(&AgentId("a".into()), &sups(&["a.x"], 1));
        settings.apply(&AgentId("a".into()), &sups(&["a.x", "b.x"], 2));
        let change = settings.changes().last().expect("a change");
        assert_eq!((change.path.as_str(), &change.before), ("sups[b.x]", &None));
    }
}
