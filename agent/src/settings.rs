//! Settings snapshots of a site folder: `settings.json`, the newest, and `settings-<time>.json`, older ones.
//!
//! The agent sends a snapshot as it was read, with fields it does not know but without secrets; the collector gives it meaning. A file may as
//! well be a dump of the PowerShell script, which becomes a snapshot here, as does what a configured command prints.

pub mod dump;
pub mod command;
mod secrets;

use std::path::{Path, PathBuf};

use supwatch_proto::event::{Event, EventKind};
use supwatch_proto::ids::SiteCode;
use supwatch_proto::settings::Settings;
use supwatch_proto::time::Certainty;

/// Largest snapshot taken; larger ones are no settings.
pub const SIZE_LIMIT: u64 = 48 * 1024;
/// Largest dump taken, in bytes: it tells everything, such as every product by id, title and kind.
pub const DUMP_LIMIT: u64 = 4 * 1024 * 1024;

/// Why a file is no snapshot.
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
    /// It is no snapshot.
    #[error("{}: this is no settings snapshot: {reason}; the format is supwatch/settings/v1 or supwatch/dump/v1", path.display())]
    Content {
        /// File.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The snapshot in a text, or what a dump in it makes, as an event. Other JSON or another site's snapshot is refused, since
/// a wrong site's settings would accuse the wrong server.
pub fn read_text(text: &str, path: &Path, site: SiteCode) -> Result<Event, SettingsError> {
    let wrong = |reason: String| SettingsError::Content { path: path.to_owned(), reason };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > DUMP_LIMIT {
        return Err(wrong(format!("it is larger than {} KiB", DUMP_LIMIT / 1024)));
    }
    let mut given: serde_json::Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if !dump::is_dump(&given) {
        secrets::scrub(&mut given);
    }
    let (value, size) = if dump::is_dump(&given) {
        let snapshot = dump::snapshot(&given);
        let size = snapshot.to_string().len();
        (snapshot, size)
    } else {
        (given, text.len())
    };
    if size as u64 > SIZE_LIMIT {
        return Err(wrong(format!("as a snapshot it has {} KiB, and {} KiB are what travels", size / 1024, SIZE_LIMIT / 1024)));
    }
    // The reason may quote what stands there.
    let settings = Settings::from_json(&value).map_err(|error| wrong(dump::without_names(&error.to_string())))?;
    if let Some(schema) = settings.schema.value().filter(|schema| *schema != "supwatch/settings/v1") {
        return Err(wrong(format!("its schema is {schema:?}, not \"supwatch/settings/v1\"")));
    }
    if let Some(other) = settings.site.value().filter(|code| **code != site && site != SiteCode::UNKNOWN) {
        return Err(wrong(format!("it is of site {other}, but lies in the folder of {site}")));
    }
    Ok(Event {
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
    })
}

/// Reads a snapshot file.
pub fn read_file(path: &Path, site: SiteCode) -> Result<Event, SettingsError> {
    let bytes = std::fs::read(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    read_text(&String::from_utf8_lossy(&bytes), path, site)
}

/// Whether a file of a site folder is a snapshot; in which order they are read does not matter, each says when it was taken.
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
        check("{", "no settings snapshot");
        check("{\"schema\":\"x\"}", "its schema is \"x\"");
        check("{\"site\":\"P02\"}", "it is of site P02, but lies in the folder of P01");
        check("{\"sups\": 3}", "invalid type");
    }
}
