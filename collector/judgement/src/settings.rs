//! The settings of a site, merged from all sources: the dump script, files, the logs, the agent's probes.
//!
//! Pure. The newest snapshot of each source counts field by field, and of two sources for a field the newer one; every field
//! keeps its source, its age and since when it has its value. A value that differs from the last known one is a [`Change`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use supwatch_model::history::SettingChange as Change;
use supwatch_model::ids::AgentId;
use supwatch_model::settings::Settings;

mod paths;
mod merge;
mod changes;
mod seen;

pub use changes::{same, undone};
pub use paths::{PathError, assign, leaves};
pub use seen::Seen;

/// Different snapshots kept in memory for each source of a site.
const SNAPSHOTS_KEPT: usize = 50;

/// Changes kept in memory for a site.
const CHANGES_KEPT: usize = 500;

/// Origin of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its source, such as `wsus-api`, `file`, `log` or `probe`.
    pub source: String,
    /// When that source last reported it.
    pub taken_at: Option<Timestamp>,
    /// Since when that source has reported this value.
    pub since: Option<Timestamp>,
}

/// A source's snapshot, and the period in which it was reported unchanged.
#[derive(Debug, Clone, PartialEq)]
struct Snapshot {
    source: String,
    /// When it was first reported.
    taken_at: Option<Timestamp>,
    /// When it was last reported.
    confirmed_at: Option<Timestamp>,
    raw: Value,
    /// Since when each of its fields has its value.
    since: BTreeMap<String, Option<Timestamp>>,
    /// Its differences from the previous snapshot.
    changes: Vec<Change>,
}

impl Snapshot {
    fn new(source: String, at: Option<Timestamp>, raw: Value) -> Snapshot {
        Snapshot { source, taken_at: at, confirmed_at: at, raw, since: BTreeMap::new(), changes: Vec::new() }
    }
}

/// A source of snapshots: those of two agents, or of two kinds of log lines, do not replace each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    source: String,
    by: String,
}

/// The settings merged from all sources.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Merged {
    /// The typed settings.
    pub settings: Settings,
    /// The settings as JSON, with unknown fields.
    pub raw: Value,
    /// Origin of each field, by path.
    pub origins: BTreeMap<String, Origin>,
    /// When the newest snapshot was taken.
    pub taken_at: Option<Timestamp>,
}

/// The settings of one site over time. They depend on the snapshots and their times, not on the order of arrival.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteSettings {
    /// The snapshots of each source, oldest first.
    sources: BTreeMap<Key, Vec<Snapshot>>,
    merged: Option<Merged>,
    changes: Vec<Change>,
    /// When WCM last checked the settings of WSUS, and when it last wrote them.
    wcm_checks: Vec<Timestamp>,
    wcm_writes: Vec<Timestamp>,
}

impl SiteSettings {
    /// Everything known now; `None` if no source has reported anything.
    pub fn merged(&self) -> Option<&Merged> {
        self.merged.as_ref()
    }

    /// Changes of values, oldest first.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// When WCM last checked the settings of WSUS.
    pub fn wcm_checked_at(&self) -> Option<Timestamp> {
        self.wcm_checks.iter().max().copied()
    }

    /// Times at which WCM wrote its settings to WSUS.
    pub fn wcm_writes(&self) -> &[Timestamp] {
        &self.wcm_writes
    }

    /// Applies a snapshot, and returns whether any known value changed. A snapshot that cannot be parsed stays in the store and
    /// is not judged.
    pub fn apply(&mut self, by: &AgentId, raw: &Value) -> bool {
        let Ok(settings) = Settings::from_json(raw) else { return false };
        let source = settings.source.value().cloned().unwrap_or_else(|| "file".to_owned());
        self.insert(Key { source, by: by.0.clone() }, settings.taken_at.value().copied(), raw)
    }

    /// Applies what a log line says about the settings.
    pub fn see(&mut self, seen: &Seen, at: Option<Timestamp>) -> bool {
        match seen {
            Seen::Fields { facet, raw } => self.insert(Key { source: "log".to_owned(), by: facet.clone() }, at, raw),
            Seen::Checked => {
                insert_time(&mut self.wcm_checks, at);
                false
            }
            Seen::Written => {
                insert_time(&mut self.wcm_writes, at);
                false
            }
        }
    }

    fn insert(&mut self, key: Key, taken_at: Option<Timestamp>, raw: &Value) -> bool {
        let raw = paths::without_head(raw);
        let source = key.source.clone();
        let said = self.sources.entry(key).or_default();
        let place = said.partition_point(|known| known.taken_at <= taken_at);
        let before = place.checked_sub(1).and_then(|before| said.get_mut(before));
        // A snapshot in between splits one that seemed unchanged throughout.
        let parted = before.as_ref().is_some_and(|known| known.confirmed_at > taken_at);
        match before {
            Some(known) if known.raw == raw => known.confirmed_at = known.confirmed_at.max(taken_at),
            Some(known) if parted => {
                let later = Snapshot { taken_at: known.confirmed_at, ..known.clone() };
                known.confirmed_at = known.taken_at;
                said.splice(place..place, [Snapshot::new(source, taken_at, raw), later]);
            }
            _ => match said.get_mut(place).filter(|known| known.raw == raw) {
                Some(known) => known.taken_at = taken_at,
                None => said.insert(place, Snapshot::new(source, taken_at, raw)),
            },
        }
        date(said, place.saturating_sub(1));
        if said.len() > SNAPSHOTS_KEPT {
            thin(said);
        }
        self.refresh()
    }

    /// Merges everything again; `true` if a value changed.
    fn refresh(&mut self) -> bool {
        let next = merge::merge(self.sources.values().filter_map(|said| said.last()));
        let mut changes = changes::of(self.sources.values().flatten().flat_map(|snapshot| &snapshot.changes));
        changes.drain(..changes.len().saturating_sub(CHANGES_KEPT));
        let changed = changes != self.changes || self.merged.as_ref().is_none_or(|before| before.raw != next.raw);
        (self.merged, self.changes) = (Some(next), changes);
        changed
    }

    /// The settings as known at a moment in the past.
    pub fn as_of(&self, at: Timestamp) -> SiteSettings {
        let mut past = self.clone();
        for said in past.sources.values_mut() {
            said.retain(|snapshot| snapshot.taken_at.is_none_or(|taken| taken <= at));
            for snapshot in said.iter_mut() {
                snapshot.confirmed_at = snapshot.confirmed_at.filter(|time| *time <= at).or(snapshot.taken_at);
            }
        }
        past.sources.retain(|_, said| !said.is_empty());
        past.merged = None;
        past.changes.clear();
        if !past.sources.is_empty() {
            past.refresh();
        }
        past.wcm_checks.retain(|time| *time <= at);
        past.wcm_writes.retain(|time| *time <= at);
        past
    }

    /// The site with other settings, for what-if queries. They are not recorded as changes.
    pub fn assume(&mut self, raw: Value, at: Timestamp) -> Result<(), serde_json::Error> {
        let settings = Settings::from_json(&raw)?;
        let before = self.merged.take().unwrap_or_default();
        let mut next = Merged { settings, raw, taken_at: Some(at), origins: before.origins };
        let assumed = Origin { source: "assumed".to_owned(), taken_at: Some(at), since: Some(at) };
        let known = leaves(&before.raw);
        for (path, value) in leaves(&next.raw) {
            if known.get(&path) != Some(&value) {
                next.origins.insert(path, assumed.clone());
            }
        }
        self.merged = Some(next);
        Ok(())
    }
}

/// Compares one source's snapshots, from an index on, with their predecessors: an unchanged value keeps the time of its first
/// appearance.
fn date(said: &mut [Snapshot], from: usize) {
    for place in from..said.len() {
        let (older, rest) = said.split_at_mut(place);
        let Some(snapshot) = rest.first_mut() else { return };
        let fields = leaves(&snapshot.raw);
        let (changes, since) = match older.last() {
            Some(older) => {
                let known = leaves(&older.raw);
                let since = |path: &str, value: &Value| {
                    let same = known.get(path).is_some_and(|known| *known == value);
                    older.since.get(path).copied().filter(|_| same).unwrap_or(snapshot.taken_at)
                };
                let since = fields.iter().map(|(path, value)| (path.clone(), since(path, value))).collect();
                (changes::differing((older, &known), (snapshot, &fields)), since)
            }
            None => (Vec::new(), fields.into_keys().map(|path| (path, snapshot.taken_at)).collect()),
        };
        (snapshot.changes, snapshot.since) = (changes, since);
    }
}

/// Makes room: drops the older of two snapshots without a difference between them, else the oldest of all.
fn thin(said: &mut Vec<Snapshot>) {
    let quiet = said.iter().skip(1).position(|next| next.changes.is_empty());
    let place = quiet.unwrap_or(0);
    said.remove(place);
    if place == 0
        && let Some(first) = said.first_mut()
    {
        first.changes.clear();
    }
}

/// Most times kept of WCM's checks and writes.
const TIMES_KEPT: usize = 200;

fn insert_time(times: &mut Vec<Timestamp>, at: Option<Timestamp>) {
    if let Some(at) = at {
        times.push(at);
        times.drain(..times.len().saturating_sub(TIMES_KEPT));
    }
}

impl Merged {
    /// Origin of a field; a path may refer to the first software update point as `[first]`.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        let named;
        let path = match self.settings.first_sup().and_then(|sup| sup.server.value()) {
            Some(first) if path.contains("[first]") => {
                named = path.replace("[first]", &format!("[{first}]"));
                named.as_str()
            }
            _ => path,
        };
        // A rule may refer to a whole part, such as an upstream server: the newest field of that part counts.
        let part = |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.origins
            .get(path)
            .or_else(|| self.origins.iter().filter(|(known, _)| part(known)).map(|(_, origin)| origin).max_by_key(|o| o.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}:00Z").parse().expect("time")
    }

    fn apply(settings: &mut SiteSettings, source: &str, time: &str, mut raw: Value) -> bool {
        raw["source"] = source.into();
        raw["taken_at"] = at(time).to_string().into();
        settings.apply(&AgentId("a".into()), &raw)
    }

    fn replica(value: bool) -> Value {
        json!({"sups": [{"server": "sup1.corp.example"}], "wsus": [{"server": "sup1.corp.example", "is_replica": value}]})
    }

    #[test]
    fn the_younger_source_wins_field_by_field_and_each_field_keeps_its_origin() {
        let mut settings = SiteSettings::default();
        apply(&mut settings, "wsus-api", "10:00", replica(false));
        apply(&mut settings, "probe", "10:05", json!({"wsus": [{"server": "SUP1", "reach": {"outcome": "answers"}}]}));
        let merged = settings.merged().expect("merged");
        assert_eq!(merged.raw["wsus"].as_array().map(Vec::len), Some(1), "{}", merged.raw);
        let of = |path: &str| merged.origin(path).map(|origin| origin.source.as_str());
        assert_eq!(of("wsus[sup1.corp.example].is_replica"), Some("wsus-api"));
        assert_eq!(of("wsus[first].reach.outcome"), Some("probe"));
        assert_eq!(of("wsus[first].reach"), Some("probe"));
    }

    #[test]
    fn the_same_value_reported_again_is_no_change_and_keeps_its_since() {
        let mut settings = SiteSettings::default();
        assert!(apply(&mut settings, "wsus-api", "10:00", replica(false)));
        assert!(!apply(&mut settings, "wsus-api", "11:00", replica(false)));
        let origin = settings.merged().and_then(|merged| merged.origin("wsus[first].is_replica")).cloned().expect("origin");
        assert_eq!((origin.taken_at, origin.since), (Some(at("11:00")), Some(at("10:00"))));
        assert!(apply(&mut settings, "wsus-api", "12:00", replica(true)));
        assert_eq!(settings.changes().len(), 1);
        let past = settings.as_of(at("11:30"));
        let known = past.merged().expect("merged");
        assert_eq!(known.settings.wsus.value().map(|wsus| wsus[0].is_replica.value() == Some(&false)), Some(true));
        assert!(past.changes().is_empty());
    }

    #[test]
    fn a_field_that_its_only_source_no_longer_reports_becomes_unknown() {
        let mut settings = SiteSettings::default();
        apply(&mut settings, "wsus-api", "10:00", replica(true));
        apply(
            &mut settings,
            "wsus-api",
            "11:00",
            json!({"sups": [{"server": "sup1.corp.example"}], "wsus": [{"server": "sup1.corp.example"}]}),
        );
        assert!(settings.merged().expect("merged").raw["wsus"][0]["is_replica"].is_null());
        assert!(settings.changes().is_empty(), "not to know is no change: {:?}", settings.changes());
    }
}
