//! Error text → cause, by a catalogue of data files: the built-in ones in `causes/`, and an administrator's own.
//!
//! Pure. `subject` normalises the text, so that quotes, blanks, line breaks and the notation of codes do not matter; `matching`
//! scores every entry by how specific the matching parts are (a code or class counts more than words) and can explain the score.
//! The result therefore depends neither on the order of files nor on the language of a server. A text that matches nothing is
//! `unknown-cause`, with the advice of the article's last section.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

mod check;
mod codes;
mod entry;
mod localized;
mod table;
mod matching;
mod subject;

pub mod article;
pub mod messages;
pub mod normal;
pub mod sources;

pub use check::wrong_line;
pub use codes::{Code, code_of, known as known_code};
pub use entry::{At, Cause, Kind, Remedy};
pub use matching::{Candidate, Part};
pub use subject::Subject;

/// The built-in entries: file names and texts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/causes.rs"));

/// The id for errors that match nothing.
pub const UNKNOWN: &str = "unknown-cause";

/// The catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    causes: BTreeMap<String, Cause>,
    unknown: Cause,
}

impl Catalogue {
    /// The built-in catalogue.
    pub fn built_in() -> &'static Arc<Catalogue> {
        static BUILT_IN: OnceLock<Arc<Catalogue>> = OnceLock::new();
        BUILT_IN.get_or_init(|| {
            // A test reads every file, so no unreadable one is released.
            let read = FILES.iter().filter_map(|(name, text)| Cause::parse(text, std::path::Path::new(name)).ok());
            let causes: BTreeMap<String, Cause> = read.map(|cause| (cause.id.clone(), cause)).collect();
            let unknown = causes.get(UNKNOWN).cloned().unwrap_or_else(Cause::unknown);
            Arc::new(Catalogue { causes, unknown })
        })
    }

    /// The same with further entries; one with a known id replaces the built-in entry.
    #[must_use]
    pub fn with(mut self, more: Vec<Cause>) -> Catalogue {
        self.causes.extend(more.into_iter().map(|cause| (cause.id.clone(), cause)));
        if let Some(unknown) = self.causes.get(UNKNOWN) {
            self.unknown = unknown.clone();
        }
        self
    }

    /// Every entry, by id.
    pub fn causes(&self) -> impl Iterator<Item = &Cause> {
        self.causes.values()
    }

    /// An entry by its id.
    pub fn get(&self, id: &str) -> Option<&Cause> {
        self.causes.get(id)
    }

    /// The entry for errors that match nothing.
    pub fn unknown(&self) -> &Cause {
        &self.unknown
    }

    /// The cause of an error.
    pub fn diagnose(&self, text: &str, source: &str, code: Option<&str>) -> &Cause {
        self.cause_of(&Subject::new(text, source, code))
    }

    /// The cause of an error: the best entry that says why; else the best that says where to look; else unknown.
    pub fn cause_of(&self, subject: &Subject) -> &Cause {
        let found = self.candidates(subject);
        let of = |kind: Kind| found.iter().find(|candidate| candidate.cause.kind == kind);
        of(Kind::Cause).or_else(|| of(Kind::General)).map_or(&self.unknown, |candidate| candidate.cause)
    }

    /// Every matching entry, best first. Entries that only say that something failed follow those that say why.
    pub fn candidates(&self, subject: &Subject) -> Vec<Candidate<'_>> {
        let mut found: Vec<Candidate<'_>> = self.causes.values().filter_map(|cause| cause.fit(subject)).collect();
        found.sort_by_key(|candidate| (candidate.cause.is_general(), Reverse(candidate.score), &candidate.cause.id));
        found
    }
}

#[cfg(test)]
mod tests;
