//! A site folder: `site.toml`, `logs/`, `settings.json`. The input of offline analysis, and what an agent's configuration refers
//! to.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use supwatch_model::config::Faults;
use supwatch_model::describe::SiteFile;
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use crate::encoding::code_page;
use crate::reader::Reading;

/// Parses the text of a `site.toml`; its faults name file and line. Takes the result of reading the file.
pub fn site_file(text: std::io::Result<String>, path: &Path) -> Result<SiteFile, Faults> {
    match text {
        Ok(text) => SiteFile::parse(&text, path),
        Err(error) => {
            Err(Faults::of_file(path, format!("cannot be read: {error}; each site folder needs a site.toml with its code")))
        }
    }
}

/// How the site's logs are to be read.
pub fn reading(site: &SiteFile, path: &Path) -> Result<Reading, Faults> {
    let code_page = match &site.code_page {
        None => None,
        Some(label) => Some(code_page(label).ok_or_else(|| {
            Faults::of_file(path, format!("code_page {label:?} is not known: write one like \"cp932\" or \"windows-1252\""))
        })?),
    };
    Ok(Reading { code_page, zone: site.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()) })
}

/// The description as an event, which comes first in each epoch.
pub fn described(site: &SiteFile) -> Event {
    of_no_log(site.code, "site.toml".to_owned(), EventKind::SiteDescribed(site.description.clone()))
}

/// The event that reports an unusable file or command; `text` names the error and its place.
pub fn unusable(site: SiteCode, file: String, text: String) -> Event {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    of_no_log(site, file, EventKind::AgentHealth { version, trouble: Some(text) })
}

/// The event that withdraws an earlier report: the file or folder can be used again.
pub fn usable(site: SiteCode, file: String) -> Event {
    of_no_log(site, file, EventKind::AgentHealth { version: env!("CARGO_PKG_VERSION").to_owned(), trouble: None })
}

/// The last part of a path, as events name files.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn of_no_log(site: SiteCode, file: String, kind: EventKind) -> Event {
    Event {
        site,
        sequence: 0,
        time: None,
        time_certainty: Certainty::Local,
        log: String::new(),
        file,
        offset: 0,
        component: String::new(),
        thread: 0,
        kind,
        line: String::new(),
    }
}

/// Whether a file name is that of a log or a rolled-over log.
pub fn is_log(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(".log") || name.ends_with(".lo_")
}

/// The rolled-over sibling of a log: `wsyncmgr.log` → `wsyncmgr.lo_`.
pub fn rolled_over(log: &Path) -> PathBuf {
    log.with_extension("lo_")
}

/// The files with matching names, sorted so that a rolled-over log precedes its current one.
pub fn in_order(mut files: Vec<PathBuf>, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    files.retain(|path| fits(&file_name(path)));
    files.sort_by_key(|path| reading_order(path));
    files
}

/// Sort key: the log's stem, rolled-over ones first.
pub fn reading_order(path: &Path) -> (String, bool, PathBuf) {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let current = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("log"));
    (stem, current, path.to_owned())
}
