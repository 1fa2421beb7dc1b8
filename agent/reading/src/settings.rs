//! Settings snapshots of a site folder: `settings.json`, the newest, and `settings-<time>.json`, older ones.
//!
//! The agent sends a snapshot as read, with unknown fields but without secrets; the collector interprets it. A file may also be a
//! dump of the PowerShell script, which is converted to a snapshot here, as is the output of a configured command.

pub mod dump;
mod lines;
mod secrets;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::Settings;
use supwatch_model::settings::lenient::{Problem, Reason, tidy};
use supwatch_model::time::Certainty;

/// Largest snapshot accepted, as JSON without blanks: that of a top site covers each of the 276 sites that a hierarchy may have
/// at most, and then has some 50 KiB. The collector accepts events of 80 KiB.
pub const SIZE_LIMIT: u64 = 72 * 1024;
/// Largest dump accepted, in bytes: it lists every product with id, title and kind.
pub const DUMP_LIMIT: u64 = 4 * 1024 * 1024;

/// Why a file is not a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a snapshot.
    #[error("{}: not a settings snapshot: {reason}; the format is supwatch/settings/v1 or supwatch/dump/v1", path.display())]
    Content {
        /// File.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Turns the text of a snapshot or a dump into an event. Other JSON and the snapshot of another site are rejected, because the
/// wrong site's settings would accuse the wrong server.
pub fn read_text(text: &str, path: &Path, site: SiteCode) -> Result<Event, SettingsError> {
    read_text_with_remarks(text, path, site).map(|(event, _)| event)
}

/// The same, with the parts that could not be used: file, line and field.
pub fn read_text_with_remarks(text: &str, path: &Path, site: SiteCode) -> Result<(Event, Vec<String>), SettingsError> {
    let wrong = |reason: String| SettingsError::Content { path: path.to_owned(), reason };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > DUMP_LIMIT {
        return Err(wrong(format!("it is larger than {} KiB", DUMP_LIMIT / 1024)));
    }
    let mut given: serde_json::Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if !dump::is_dump(&given) {
        secrets::scrub(&mut given);
    }
    let (value, size, remarks) = if dump::is_dump(&given) {
        let snapshot = dump::snapshot(&given);
        let size = snapshot.to_string().len();
        (snapshot, size, Vec::new())
    } else if !given.is_object() {
        return Err(wrong("it is JSON, but no object with fields".to_owned()));
    } else {
        let problems = tidy(&mut given);
        let lines = if problems.is_empty() { Vec::new() } else { lines::of_fields(text) };
        let remarks = problems.iter().map(|problem| remark(path, &lines, problem)).collect();
        let size = given.to_string().len();
        (given, size, remarks)
    };
    if size as u64 > SIZE_LIMIT {
        return Err(wrong(format!("as a snapshot it has {} KiB, and {} KiB are what travels", size / 1024, SIZE_LIMIT / 1024)));
    }
    // The reason may quote the content.
    let settings = Settings::from_json(&value).map_err(|error| wrong(dump::without_names(&error.to_string())))?;
    if let Some(schema) = settings.schema.value().filter(|schema| *schema != "supwatch/settings/v1") {
        return Err(wrong(format!("its schema is {schema:?}, not \"supwatch/settings/v1\"")));
    }
    if let Some(other) = settings.site.value().filter(|code| **code != site && site != SiteCode::UNKNOWN) {
        return Err(wrong(format!("it is of site {other}, but lies in the folder of {site}")));
    }
    let event = Event {
        site,
        sequence: 0,
        time: settings.taken_at.value().copied(),
        time_certainty: Certainty::Zone,
        log: String::new(),
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        offset: 0,
        component: String::new(),
        thread: 0,
        kind: EventKind::SettingsSnapshot { settings: value },
        line: String::new(),
    };
    Ok((event, remarks))
}

/// `P01/settings.json:12: http_port cannot be read and counts as unknown`; values are never quoted.
fn remark(path: &Path, lines: &[(String, usize)], problem: &Problem) -> String {
    let line = lines.iter().find(|(pointer, _)| *pointer == problem.pointer).map(|(_, line)| format!(":{line}"));
    let field = problem.pointer.trim_start_matches('/').replace('/', ".");
    let what = match &problem.reason {
        Reason::Unreadable => "has a value of the wrong kind; the field counts as unknown".to_owned(),
        Reason::UnknownKey(None) => "is not a known field and is ignored".to_owned(),
        Reason::UnknownKey(Some(near)) => format!("is not a known field and is ignored; did you mean {near:?}?"),
    };
    format!("{}{}: {field} {what}", path.display(), line.unwrap_or_default())
}

/// Reads a snapshot from the bytes of a file, in any Windows encoding, and returns it with the parts that could not be used.
/// Takes the result of reading the file, so that an unreadable file and unreadable content are one kind of error.
pub fn read_file(bytes: std::io::Result<Vec<u8>>, path: &Path, site: SiteCode) -> Result<(Event, Vec<String>), SettingsError> {
    let bytes = bytes.map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    read_text_with_remarks(&decoded(&bytes), path, site)
}

/// Text in UTF-8, in UTF-16 with or without a byte order mark, else in the Western code page.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    let encoding = match bytes {
        [0xff, 0xfe, ..] | [b'{' | b'[', 0, ..] => encoding_rs::UTF_16LE,
        [0xfe, 0xff, ..] | [0, b'{' | b'[', ..] => encoding_rs::UTF_16BE,
        _ if std::str::from_utf8(bytes).is_ok() => encoding_rs::UTF_8,
        _ => encoding_rs::WINDOWS_1252,
    };
    encoding.decode(bytes).0
}

/// Whether a file of a site folder is a snapshot. Their order does not matter, because each carries its time.
pub fn is_snapshot(name: &str) -> bool {
    name == "settings.json" || (name.starts_with("settings-") && name.ends_with(".json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let site = "P01".parse().expect("code");
        let error = read_text(text, Path::new("settings.json"), site).expect_err("an error").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn what_is_no_snapshot_of_this_site_is_refused_with_the_reason() {
        check("{", "not a settings snapshot");
        check("{\"schema\":\"x\"}", "its schema is \"x\"");
        check("{\"site\":\"P02\"}", "it is of site P02, but lies in the folder of P01");
        check("[]", "no object");
    }

    #[test]
    fn a_wrong_field_is_named_with_its_line_and_costs_nothing_else() {
        let text = "{\n \"site\": \"P01\",\n \"sups\": [\n  {\"server\": \"sup1.corp.example\",\n   \"http_port\": \"8530\"}\n ],\n \"wsuss\": []\n}";
        let site = "P01".parse().expect("code");
        let (event, remarks) = read_text_with_remarks(text, Path::new("settings.json"), site).expect("read");
        assert_eq!(
            remarks,
            [
                "settings.json:5: sups.0.http_port has a value of the wrong kind; the field counts as unknown",
                "settings.json:7: wsuss is not a known field and is ignored; did you mean \"wsus\"?",
            ]
        );
        let EventKind::SettingsSnapshot { settings } = event.kind else { panic!("a snapshot") };
        assert_eq!(settings["sups"][0], serde_json::json!({"server": "sup1.corp.example"}));
    }

    #[test]
    fn the_snapshot_of_the_largest_hierarchy_is_read_however_it_is_indented() {
        let row = |number: u32| {
            let code = format!("S{number:02X}");
            serde_json::json!({"site": code, "server": format!("sup-{code}.corp.example"), "state": 6702, "error": 0,
                "state_since": "2026-03-01T04:00:00Z", "last_success_at": "2026-03-01T04:00:00Z", "catalog_version": 34})
        };
        let all = serde_json::json!({"site": "CEN", "sup_status": (0..276).map(row).collect::<Vec<_>>()});
        let text = serde_json::to_string_pretty(&all).expect("JSON").replace("  ", "    ");
        assert!(text.len() as u64 > SIZE_LIMIT, "{}", text.len());
        let site = "CEN".parse().expect("code");
        let (event, _) = read_text_with_remarks(&text, Path::new("settings.json"), site).expect("read");
        let size = prost::Message::encoded_len(&supwatch_proto::wire::Event::from(event));
        assert!(size < 80 * 1024, "the collector takes no event of {size} bytes");
    }

    #[test]
    fn a_file_may_be_in_any_encoding_of_windows() {
        let text = "{\"site\": \"P01\"}";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert_eq!(decoded(&little), text);
        assert_eq!(decoded(&marked), text);
        assert_eq!(decoded(b"\xe9"), "\u{e9}");
    }
}
