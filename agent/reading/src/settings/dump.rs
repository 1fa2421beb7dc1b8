//! A dump of `deploy/windows/Get-SyncSettings.ps1` (`supwatch/dump/v1`) → a snapshot (`supwatch/settings/v1`).
//!
//! Pure. The script only reads; the meaning of every value is decided here, in one file for the site (`dump/site.rs`) and one for
//! WSUS (`dump/wsus.rs`), each field with its source. A value missing from the dump stays absent, and the reason why a section
//! could not be read is kept under `refused`. Any JSON is accepted: values that make no sense count as unknown.
//!
//! **Account names and passwords never get through**, not even from a hand-written dump: every field is copied by name into a
//! type that has no place for them, server names lose credentials, and everything that could be a name is removed from a reason.

mod bag;
mod schedule;
mod site;
mod wsus;

use serde_json::{Map, Value, json};
use supwatch_model::settings::{Known, Settings};

use bag::{Bag, known};

/// Schema name of a dump.
pub const SCHEMA: &str = "supwatch/dump/v1";

/// The sections of a dump, except those of single WSUS servers, which are named `wsus@` and the server's name.
const SECTIONS: [&str; 13] = [
    "site",
    "sites",
    "sups",
    "configuration_manager",
    "sync_manager",
    "categories",
    "sup_status",
    "wcm_state",
    "wsus",
    "wsus_setup",
    "iis",
    "services",
    "database",
];
const CONSOLE: &str = "console";

/// Longest reason kept, in characters.
const LONGEST_REASON: usize = 200;

/// Whether a JSON value is a dump.
pub fn is_dump(value: &Value) -> bool {
    value.get("schema").and_then(Value::as_str) == Some(SCHEMA)
}

/// Converts a dump to a snapshot.
pub fn snapshot(dump: &Value) -> Value {
    let Some(dump) = Bag::new(dump) else { return json!({}) };
    let sections = Sections::of(dump);
    let own = site::Own::of(&sections, dump);
    let names = wsus::Names::of(&sections);
    let component = site::component(&sections, &own);
    let servers = wsus::servers(&sections, &own, &names);
    let category_ids = wsus::category_ids(&sections, &component, &servers);
    let settings = Settings {
        schema: Known::Some("supwatch/settings/v1".to_owned()),
        site: known(own.site),
        taken_at: dump.time("taken_at"),
        source: Known::Some("wsus-api".to_owned()),
        site_server: site::site_server(&sections, &own),
        sups: site::sups(&sections, &own),
        component,
        wsus: servers,
        sup_status: site::sup_status(&sections),
        sites: site::sites(&sections),
        category_ids,
    };
    let mut snapshot = serde_json::to_value(&settings).unwrap_or_else(|_| json!({}));
    if let Some(object) = snapshot.as_object_mut()
        && !sections.refused.is_empty()
    {
        object.insert("refused".to_owned(), Value::Object(sections.refused));
    }
    snapshot
}

/// Contents of a dump, by section.
struct Sections<'a> {
    read: Vec<(&'a str, &'a Value)>,
    /// Why each unread section could not be read.
    refused: Map<String, Value>,
}

impl<'a> Sections<'a> {
    fn of(dump: Bag<'a>) -> Sections<'a> {
        let given = dump.get("sections").and_then(Value::as_object);
        let (mut read, mut refused) = (Vec::new(), Map::new());
        for (name, section) in given.into_iter().flatten() {
            let Some(told) = section_name(name) else { continue };
            let section = Bag::new(section);
            match section.and_then(|section| section.get("data")) {
                Some(data) if section.and_then(|section| section.boolean("ok")) == Some(true) => read.push((name.as_str(), data)),
                _ => {
                    let reason = section.and_then(|section| section.text("reason"));
                    refused.insert(told, reason.map_or_else(|| "no reason given".to_owned(), |text| without_names(&text)).into());
                }
            }
        }
        let is_there = |name: &str| {
            given.is_some_and(|given| given.keys().any(|key| key == name || (name == "wsus" && key.starts_with("wsus@"))))
        };
        for missing in SECTIONS.into_iter().chain([CONSOLE]).filter(|name| !is_there(name)) {
            refused.insert(missing.to_owned(), "not in the dump".into());
        }
        Sections { read, refused }
    }

    /// The content of a section, if it was read.
    fn data(&self, name: &str) -> Option<&'a Value> {
        self.read.iter().find(|(section, _)| *section == name).map(|(_, data)| *data)
    }

    /// The objects of a section; empty if it could not be read.
    fn bags(&self, name: &str) -> Vec<Bag<'a>> {
        self.data(name).map(bag::bags).unwrap_or_default()
    }

    /// The one object of a section.
    fn bag(&self, name: &str) -> Option<Bag<'a>> {
        self.bags(name).into_iter().next()
    }
}

/// A section's name that is safe to report; `None` for an unknown section.
fn section_name(name: &str) -> Option<String> {
    if SECTIONS.contains(&name) || name == CONSOLE {
        return Some(name.to_owned());
    }
    bag::server(name.strip_prefix("wsus@")?).map(|server| format!("wsus@{server}"))
}

/// A Windows error message without anything that could be an account name: quoted text, text with a backslash or an `@`, and text
/// after a word such as *user*.
pub fn without_names(message: &str) -> String {
    let (mut clean, mut rest, mut hide) = (String::new(), message, false);
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' | '"' | '「' | '“' => {
                let closing = |c: char| matches!((first, c), ('「', '」') | ('“', '”')) || c == first;
                rest.char_indices().skip(1).find(|(_, c)| closing(*c)).map(|(at, c)| at + c.len_utf8())
            }
            c if c.is_whitespace() => rest.find(|c: char| !c.is_whitespace()),
            _ => rest.find(|c: char| c.is_whitespace() || "'\"「“".contains(c)),
        };
        let (piece, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
        rest = after;
        let lower = piece.to_lowercase();
        let tells = ["user", "account", "passw", "pwd", "uid"].iter().any(|word| lower.contains(word));
        if first.is_whitespace() {
            clean.push_str(piece);
        } else if hide || piece.contains(['\\', '@']) || "'\"「“".contains(first) || (tells && piece.contains(['=', ':'])) {
            clean.push_str("<name>");
            hide = false;
        } else {
            clean.push_str(piece);
            hide = tells;
        }
    }
    clean.chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_keeps_its_sense_and_no_names() {
        for (message, expected) in [
            ("ManagementException: Invalid class", "ManagementException: Invalid class"),
            ("Access is denied. (0x80070005)", "Access is denied. (0x80070005)"),
            ("Login failed for user 'CORP\\svc wsus'.", "Login failed for user <name>."),
            ("Login failed for user sa", "Login failed for user <name>"),
            ("CORP\\svc has no rights", "<name> has no rights"),
            ("Cannot reach https://me:word@sup1/x", "Cannot reach <name>"),
            ("Password=word;Server=x", "<name>"),
            ("ユーザー 'sa' はログインできませんでした。", "ユーザー <name> はログインできませんでした。"),
            ("an open 'quote", "an open <name>"),
        ] {
            assert_eq!(without_names(message), expected);
        }
        assert_eq!(without_names(&"長".repeat(1000)).chars().count(), LONGEST_REASON);
    }

    #[test]
    fn what_is_no_dump_gives_a_snapshot_that_knows_nothing() {
        assert_eq!(snapshot(&json!([])), json!({}));
        let empty = snapshot(&json!({"schema": SCHEMA}));
        assert_eq!(empty.pointer("/refused/wsus"), Some(&json!("not in the dump")));
        assert_eq!(empty.pointer("/sups"), None);
    }
}
