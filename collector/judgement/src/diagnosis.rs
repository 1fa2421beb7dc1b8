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
mod index;
mod localized;
mod table;
mod matching;
mod memo;
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

use index::Index;
use memo::Memo;

/// The built-in entries: file names and texts.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/causes.rs"));

/// The id for errors that match nothing.
pub const UNKNOWN: &str = "unknown-cause";

/// The catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    causes: BTreeMap<String, Cause>,
    unknown: Cause,
    index: Index,
    remembered: Memo<Remembered>,
}

/// An error as a log reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said<'a> {
    /// Its text.
    pub text: &'a str,
    /// The function it names as its source.
    pub source: &'a str,
    /// Its code.
    pub code: Option<&'a str>,
    /// Id of the status message that reports it.
    pub message: Option<u32>,
}

/// The best explanation of an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best<'a> {
    /// The best entry that says why; else the best that says where to look; else that of unknown causes.
    pub cause: &'a Cause,
    /// Score of its match; 0 if nothing matches.
    pub score: u32,
    /// Whether the error only looks like trouble.
    pub is_harmless: bool,
}

/// [`Best`], by the entry's id; `None`: nothing matches.
#[derive(Debug, Clone, Default)]
struct Remembered {
    cause: Option<String>,
    score: u32,
    is_harmless: bool,
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
            Arc::new(Catalogue { index: Index::new(causes.values()), causes, unknown, remembered: Memo::default() })
        })
    }

    /// The same with further entries; one with a known id replaces the built-in entry.
    #[must_use]
    pub fn with(mut self, more: Vec<Cause>) -> Catalogue {
        self.causes.extend(more.into_iter().map(|cause| (cause.id.clone(), cause)));
        if let Some(unknown) = self.causes.get(UNKNOWN) {
            self.unknown = unknown.clone();
        }
        self.index = Index::new(self.causes.values());
        self.remembered = Memo::default();
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
        self.best(Said { text, source, code, message: None }).cause
    }

    /// The best explanation of an error.
    pub fn best(&self, said: Said<'_>) -> Best<'_> {
        let Said { text, source, code, message } = said;
        let key = format!("{text}\0{source}\0{}\0{}", code.unwrap_or_default(), message.unwrap_or_default());
        let Remembered { cause, score, is_harmless } = self.remembered.get(key, || {
            let subject = Subject::new(text, source, code);
            let subject = match message {
                Some(id) => subject.of_message(id),
                None => subject,
            };
            let found = self.candidates(&subject);
            let is_harmless = found.first().is_some_and(|first| first.cause.kind == Kind::Harmless);
            let best = explaining(&found);
            Remembered { cause: best.map(|best| best.cause.id.clone()), score: best.map_or(0, |best| best.score), is_harmless }
        });
        let cause = cause.and_then(|id| self.causes.get(&id)).unwrap_or(&self.unknown);
        Best { cause, score, is_harmless }
    }

    /// The cause of an error: the best entry that says why; else the best that says where to look; else unknown.
    pub fn cause_of(&self, subject: &Subject) -> &Cause {
        explaining(&self.candidates(subject)).map_or(&self.unknown, |candidate| candidate.cause)
    }

    /// Every matching entry, best first. Entries that only say that something failed follow those that say why.
    pub fn candidates(&self, subject: &Subject) -> Vec<Candidate<'_>> {
        let may_match = self.index.of(subject);
        let causes = self.causes.values().enumerate().filter(|(number, _)| may_match.contains(number));
        let mut found: Vec<Candidate<'_>> = causes.filter_map(|(_, cause)| cause.fit(subject)).collect();
        found.sort_by_key(|candidate| (candidate.cause.is_general(), Reverse(candidate.score), &candidate.cause.id));
        found
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Catalogue) -> bool {
        (&self.causes, &self.unknown) == (&other.causes, &other.unknown)
    }
}

/// The best candidate that says why, else the best that says where to look.
fn explaining<'a, 'c>(candidates: &'a [Candidate<'c>]) -> Option<&'a Candidate<'c>> {
    let of = |kind: Kind| candidates.iter().find(|candidate| candidate.cause.kind == kind);
    of(Kind::Cause).or_else(|| of(Kind::General))
}

#[cfg(test)]
mod tests;
