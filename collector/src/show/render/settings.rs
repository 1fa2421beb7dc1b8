//! Settings → tables: current values, changes, and differences between two sites.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use supwatch_model::history::{FieldOrigin, SettingChange, SettingsView};
use supwatch_model::settings::{Settings, same_server};
use supwatch_model::text::Lang;

use super::table::{Cell, Table};
use super::{Look, Tone, safe, time, width, wrap};
use supwatch_judgement::settings::leaves;

/// Days over which reverts are counted.
const WEEK: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// Current values, part by part. The origin of most fields is given once; a field shows its own only if it differs, or if the
/// field has changed.
pub fn now(view: &SettingsView, look: Look) -> String {
    let Some(raw) = &view.settings else { return nothing(view, look) };
    let origins: BTreeMap<&str, &FieldOrigin> = view.origins.iter().map(|origin| (origin.path.as_str(), origin)).collect();
    let usual = usual(view);
    let mut out = match usual {
        Some((source, taken, _)) => {
            let from = look.say("from", "情報源");
            format!("{} · {from} {}, {} UTC\n", look.paint(Tone::Strong, view.site.as_str()), safe(source), time(taken))
        }
        None => format!("{}\n", look.paint(Tone::Strong, view.site.as_str())),
    };
    let mut parts: BTreeMap<String, Vec<(String, String, String)>> = BTreeMap::new();
    for (path, value) in leaves(raw) {
        let (part, field) = split(&path);
        let origin = origins.get(path.as_str());
        // The server's name is already in the part's heading.
        if origin.is_some() || field != "server" {
            let beside = origin.map(|origin| beside(origin, usual, look)).unwrap_or_default();
            parts.entry(part).or_default().push((field, shown(Some(value), look), beside));
        }
    }
    for (part, fields) in parts {
        out.push_str(&format!("{}\n", look.paint(Tone::Strong, &safe(&part))));
        let widest = fields.iter().map(|(field, ..)| width(field)).max().unwrap_or_default();
        for (field, value, beside) in fields {
            let room = look.width.saturating_sub(widest + 4).max(20);
            let pad = " ".repeat(widest.saturating_sub(width(&field)));
            let mut lines = wrap(&value, room).into_iter();
            let first = lines.next().unwrap_or_default();
            out.push_str(&format!("  {}{pad}  {first}{}\n", safe(&field), look.paint(Tone::Dim, &beside)));
            lines.for_each(|line| out.push_str(&format!("  {}  {line}\n", " ".repeat(widest))));
        }
    }
    notes(&mut out, view, look);
    out
}

/// Origin of most fields: source, time, and since when.
type Usual<'a> = (&'a str, Option<Timestamp>, Option<Timestamp>);

fn usual(view: &SettingsView) -> Option<Usual<'_>> {
    let mut counts: BTreeMap<Usual<'_>, usize> = BTreeMap::new();
    for origin in &view.origins {
        *counts.entry((origin.source.as_str(), origin.taken_at, origin.since)).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(usual, _)| usual)
}

fn beside(origin: &FieldOrigin, usual: Option<Usual<'_>>, look: Look) -> String {
    let mut said = Vec::new();
    if usual.is_none_or(|(source, taken, _)| source != origin.source || taken != origin.taken_at) {
        said.push(format!("{} {} UTC", safe(&origin.source), time(origin.taken_at)));
    }
    if origin.since != origin.taken_at && usual.is_none_or(|(.., since)| since != origin.since) {
        said.push(format!("{} {} UTC", look.say("since", "変更"), time(origin.since)));
    }
    if said.is_empty() { String::new() } else { format!("  ({})", said.join(", ")) }
}

/// `wsus[sup1].upstream.port` → the part and its field.
fn split(path: &str) -> (String, String) {
    let end = path.find(']').map_or_else(|| path.find('.'), |end| Some(end + 1));
    let (part, field) = path.split_at(end.unwrap_or(path.len()));
    (part.to_owned(), field.trim_start_matches('.').to_owned())
}

fn nothing(view: &SettingsView, look: Look) -> String {
    let text = look.say(
        "is known of its settings: let its agent run Get-SyncSettings.ps1, or put a settings.json into its site folder",
        "の設定は不明です。エージェントで Get-SyncSettings.ps1 を実行するか、サイト フォルダに settings.json を置いてください",
    );
    match look.lang {
        Lang::En => format!("{}: nothing {text}\n", view.site),
        Lang::Ja => format!("{} {text}\n", view.site),
    }
}

fn notes(out: &mut String, view: &SettingsView, look: Look) {
    for note in &view.notes {
        out.push('\n');
        for line in wrap(&safe(look.text(note)), look.width) {
            out.push_str(&format!("{line}\n"));
        }
    }
}

/// A value for display.
pub fn shown(value: Option<&Value>, look: Look) -> String {
    match value {
        None => look.say("(absent)", "(なし)").to_owned(),
        Some(Value::Null) => look.say("none", "なし").to_owned(),
        Some(Value::String(text)) => safe(text),
        Some(Value::Array(list)) if list.is_empty() => look.say("(empty)", "(空)").to_owned(),
        Some(Value::Array(list)) => list.iter().map(|item| shown(Some(item), look)).collect::<Vec<_>>().join(", "),
        Some(Value::Object(fields)) => {
            fields.iter().map(|(name, value)| format!("{name}={}", shown(Some(value), look))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// Changes, oldest first, and which were reverted.
pub fn history(view: &SettingsView, look: Look) -> String {
    if view.changes.is_empty() {
        let text = look.say("no change was seen", "変更は記録されていません");
        let mut out = format!("{}: {text}\n", view.site);
        notes(&mut out, view, look);
        return out;
    }
    let mut table = Table::new(&[
        look.say("seen (UTC)", "確認 (UTC)"),
        look.say("not before (UTC)", "変更前の確認 (UTC)"),
        look.say("source", "情報源"),
        look.say("setting", "設定"),
        look.say("change", "変更"),
    ]);
    for change in &view.changes {
        table.row(vec![
            time(change.seen_at).into(),
            Cell::new(Tone::Dim, time(change.last_seen_before)),
            Cell::new(Tone::Dim, safe(&change.source)),
            safe(&change.path).into(),
            change_text(change, look).into(),
        ]);
    }
    let mut out = table.draw(look);
    out.push_str(&put_back(view, look));
    notes(&mut out, view, look);
    out
}

/// `en, ja → en, ja, de (+de)`
fn change_text(change: &SettingChange, look: Look) -> String {
    let names = |value: &Option<Value>| -> Option<BTreeSet<String>> {
        let list = value.as_ref()?.as_array()?;
        Some(list.iter().map(|item| shown(Some(item), look)).collect())
    };
    let arrow = format!("{} → {}", shown(change.before.as_ref(), look), shown(change.after.as_ref(), look));
    match (names(&change.before), names(&change.after)) {
        (Some(before), Some(after)) => {
            let added = after.difference(&before).map(|name| format!("+{name}"));
            let gone = before.difference(&after).map(|name| format!("−{name}"));
            format!("{}  ({arrow})", added.chain(gone).collect::<Vec<_>>().join(" "))
        }
        _ => arrow,
    }
}

fn put_back(view: &SettingsView, look: Look) -> String {
    let mut out = String::new();
    let newest = view.changes.iter().filter_map(|change| change.seen_at).max();
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    for undone in &view.undone {
        let recent = newest.zip(undone.put_back_at).is_some_and(|(newest, at)| newest.duration_since(at) <= WEEK);
        *times.entry(&undone.path).or_default() += u32::from(recent);
        let value = shown(undone.value.as_ref(), look);
        let (from, to, path) = (time(undone.changed_at), time(undone.put_back_at), safe(&undone.path));
        let by = match (look.lang, undone.by_wcm) {
            (Lang::En, true) => "put back by WCM",
            (Lang::En, false) => "put back",
            (Lang::Ja, true) => " WCM が元に戻しました",
            (Lang::Ja, false) => "元に戻されました",
        };
        out.push_str(&match look.lang {
            Lang::En => format!("\n{path} was set to {value} at {from}, {by} at {to}"),
            Lang::Ja => format!("\n{path} は {from} に {value} に変更され、{to} に{by}"),
        });
    }
    for (path, count) in times.into_iter().filter(|(_, count)| *count > 1) {
        let path = safe(path);
        out.push_str(&match look.lang {
            Lang::En => format!("\n{path}: this happened {count} times within a week"),
            Lang::Ja => format!("\n{path}: 1 週間に {count} 回発生しています"),
        });
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// One field of two sites.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The field; the first software update point is called `first`.
    pub setting: String,
    /// Its value here; `None`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<Value>,
    /// Its value there; `None`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub there: Option<Value>,
}

/// Differences between two sites, field by field. Fields known for only one of them are listed too; server names, states and
/// fields that always differ are not compared.
pub fn differences(here: &Value, there: &Value) -> Vec<Difference> {
    let (here, there) = (comparable(here), comparable(there));
    let paths: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let differs = |path: &&String| match (here.get(*path), there.get(*path)) {
        (Some(one), Some(other)) => !supwatch_judgement::settings::same(one, other),
        _ => true,
    };
    paths
        .into_iter()
        .filter(differs)
        .map(|path| Difference {
            setting: path.clone(),
            here: here.get(path).copied().cloned(),
            there: there.get(path).copied().cloned(),
        })
        .collect()
}

/// Parts in which two healthy sites differ.
const OWN: &[&str] = &[
    "site_server.fqdn",
    "sup_status",
    "wsus_sync",
    "reach",
    "upstream_reach",
    "virtual_directories",
    "component.configuration_state",
    "component.first_sup",
    "database.server",
    "refused",
];

fn comparable(raw: &Value) -> BTreeMap<String, &Value> {
    let first = Settings::from_json(raw).ok().and_then(|settings| Some(settings.first_sup()?.server.value()?.clone()));
    let mut found = BTreeMap::new();
    for (path, value) in leaves(raw) {
        let path = match (path.split_once('['), path.split_once(']'), &first) {
            (Some((list, rest)), Some((_, field)), Some(first)) => {
                let name = rest.split(']').next().unwrap_or_default();
                let name = if same_server(name, first) { "first" } else { name };
                format!("{list}[{name}]{field}")
            }
            _ => path,
        };
        let own = OWN
            .iter()
            .any(|part| path.starts_with(part) || path.contains(&format!("].{part}")) || path.contains(&format!(".{part}")));
        if !own && !path.ends_with("].server") && !path.ends_with("].names") {
            found.insert(path, value);
        }
    }
    found
}

/// The differences as a table.
pub fn diff(here: &SettingsView, there: &SettingsView, look: Look) -> String {
    let (Some(own), Some(other)) = (&here.settings, &there.settings) else {
        let lacking = if here.settings.is_none() { here } else { there };
        return nothing(lacking, look);
    };
    let found = differences(own, other);
    if found.is_empty() {
        let text = look.say("are set alike", "の設定は同じです");
        return format!("{} {} {} {text}\n", here.site, look.say("and", "と"), there.site);
    }
    let (one, two) = (here.site.to_string(), there.site.to_string());
    let mut table = Table::new(&[look.say("setting", "設定"), &one, &two]);
    let cell = |value: &Option<Value>| match value {
        Some(value) => Cell::from(shown(Some(value), look)),
        None => Cell::new(Tone::Dim, look.say("(not known)", "(不明)")),
    };
    for difference in &found {
        table.row(vec![safe(&difference.setting).into(), cell(&difference.here), cell(&difference.there)]);
    }
    table.draw(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sites_are_compared_by_the_place_of_their_servers_and_states_are_not() {
        let one = json!({"sups": [{"server": "a.x", "http_port": 80}], "wsus": [{"server": "a.x", "languages": ["en", "ja"], "wsus_sync": {"status": "running"}}]});
        let two = json!({"sups": [{"server": "b.x", "http_port": 8530}], "wsus": [{"server": "b.x", "languages": ["JA", "en"]}]});
        let found = differences(&one, &two);
        assert_eq!(
            found,
            [Difference { setting: "sups[first].http_port".into(), here: Some(json!(80)), there: Some(json!(8530)) }]
        );
    }
}
