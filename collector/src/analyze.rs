//! Site folders, folders of logs, single logs and zip archives → the same picture that a live collector shows.
//!
//! Acts as agent and collector in one process: reads with the agent's library and judges with the collector's rules. Without a
//! `site.toml`, the site code comes from `SITE=` in status messages; without either, the site is named `?`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use supwatch_model::config::Faults;
use supwatch_model::describe::{HierarchyFile, SiteFile};
use supwatch_model::picture::Picture;
use supwatch_model::wave::Wave;
use supwatch_reading::settings;

use supwatch_judgement::diagnosis::Catalogue;
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::limits::Limits;
use supwatch_judgement::waves::Waves;

mod archive;
mod discover;
pub mod line;
mod merge;
mod nothing;
mod work;

pub use discover::SiteInput;
pub use nothing::Nothing;
use work::{Newest, Work};

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// Why an input cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// An input cannot be opened or read.
    #[error("{}: {source}; check the path and the rights to it", path.display())]
    Read {
        /// Path as given on the command line.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// No line was recognised.
    #[error("{0}")]
    Nothing(String),
    /// An input inside an archive is invalid; named by the path as given.
    #[error("{0}")]
    Archived(String),
    /// An archive that must not be opened.
    #[error("{}: {reason}; unpack it yourself and give the folder", path.display())]
    Archive {
        /// Path as given on the command line.
        path: PathBuf,
        /// What is wrong with the archive.
        reason: String,
    },
    /// `site.toml` or `hierarchy.toml` is invalid.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A snapshot is invalid.
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
}

/// Most waves in an analysis.
const WAVES_SHOWN: usize = 100;

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Path.
    pub path: String,
    /// The form of most of its records.
    pub form: String,
    /// Its encoding.
    pub encoding: String,
    /// Lines with text.
    pub lines: u64,
    /// Lines that are understood.
    pub recognised: u64,
    /// Lines that are not.
    pub unrecognised: u64,
    /// Lines that have a type: an event, or progress, only part of which is reported.
    pub typed: u64,
    /// Records whose damaged marks were repaired.
    pub mended: u64,
    /// Records assembled from several lines.
    pub joined: u64,
    /// What was removed from the lines of a paste.
    pub taken_off: Vec<&'static str>,
}

/// Result of an analysis.
#[derive(Debug)]
pub struct Analysis {
    /// Files that were read.
    pub input: Vec<InputFile>,
    /// The picture.
    pub picture: Picture,
    /// Waves, newest first.
    pub waves: Vec<Wave>,
    /// Hierarchy the picture was drawn from.
    pub hierarchy: Hierarchy,
    /// Limits and exceptions it was judged by.
    pub limits: Limits,
    /// The moment it was judged at.
    pub judged_at: Timestamp,
    /// Set if nothing was recognised: then there are no verdicts.
    pub nothing: Option<Nothing>,
    /// Remarks on the input, such as an empty log.
    pub remarks: Vec<String>,
}

/// Reads and judges everything, as of `at` or the newest time in the input; `now` is used if it has none.
pub fn analyze(
    paths: &[PathBuf],
    at: Option<Timestamp>,
    now: Timestamp,
    catalogue: Arc<Catalogue>,
) -> Result<Analysis, AnalyzeError> {
    let mut unpacked = Vec::new();
    let mut found = discover::Found::default();
    for path in paths {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) && path.is_file() {
            let folder = archive::unpack(path)?;
            found.names.unpacked(folder.path(), path);
            let added = found.add(folder.path());
            added.map_err(|error| AnalyzeError::Archived(found.names.shown_in(&error.to_string())))?;
            unpacked.push(folder);
        } else {
            found.add(path)?;
        }
    }
    let remarks = found.remarks();
    let mut work = Work {
        hierarchy: Hierarchy::new(found.hierarchy, catalogue.clone()),
        input: Vec::new(),
        remarks,
        newest: Newest::default(),
        relevant: 0,
        reasons: found.reasons,
        text: String::new(),
        names: found.names,
    };
    for site in &found.sites {
        let read = work.read_site(site);
        read.map_err(
            |error| if unpacked.is_empty() { error } else { AnalyzeError::Archived(work.names.shown_in(&error.to_string())) },
        )?;
    }
    let time = at.or(work.newest.of_all());
    let judged_at = time.unwrap_or(now);
    let mut picture = supwatch_judgement::picture::at(&work.hierarchy, &found.limits, judged_at);
    if time.is_none() {
        // The input has no times, and the time of this analysis says nothing about when a problem began.
        picture.at = None;
        for finding in &mut picture.findings {
            (finding.opened_at, finding.changed_at) = (None, None);
        }
    }
    let Work { hierarchy, input, remarks, relevant, reasons, text, .. } = work;
    let nothing = (relevant == 0 && picture.findings.is_empty()).then(|| nothing::recognised(&input, &reasons, &text, &catalogue));
    let past = hierarchy.as_of(judged_at);
    let waves = Waves::new(&past, &found.limits, judged_at).newest(WAVES_SHOWN);
    Ok(Analysis { input, picture, waves, hierarchy, limits: found.limits, judged_at, remarks, nothing })
}

impl Analysis {
    /// The analysis, or why nothing was recognised: for queries where an empty answer would mislead.
    pub fn with_substance(self) -> Result<Analysis, AnalyzeError> {
        match self.nothing {
            None => Ok(self),
            Some(nothing) => {
                let reasons: Vec<&str> = nothing.reasons.iter().map(|reason| reason.en.as_str()).collect();
                Err(AnalyzeError::Nothing(format!("{}; {}", nothing.summary.en, reasons.join("; "))))
            }
        }
    }
}

/// Content of a folder's `hierarchy.toml`, if it has one.
pub fn hierarchy_file(folder: &Path) -> Result<Option<HierarchyFile>, AnalyzeError> {
    let path = folder.join("hierarchy.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(HierarchyFile::parse(&text, &path)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AnalyzeError::Read { path, source }),
    }
}

/// Content of a folder's `rules.toml`, if it has one.
pub fn rules_file(folder: &Path) -> Result<Option<Limits>, AnalyzeError> {
    let path = folder.join("rules.toml");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(Limits::of_file(std::fs::read_to_string(&path), &path, &supwatch_judgement::rules::names())?))
}

/// A site's `site.toml` with its path.
pub type SiteFileAt = (SiteFile, PathBuf);

#[cfg(test)]
mod tests;
