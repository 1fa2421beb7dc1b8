//! Which entries may match an error, found in one pass over its text, whatever the size of the catalogue.
//!
//! Every condition of a pattern must hold, so one of them is enough to find it by: its words, class or function, which an
//! automaton finds together, or else its codes, messages or status. What is found this way is then matched in full.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;

use super::codes::bare;
use super::entry::{Cause, Pattern};
use super::subject::Subject;

/// Finds entries by what their patterns ask for. Entries are numbered in the catalogue's order.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// All texts that patterns are found by; `None`: there are none, or they are too many for an automaton.
    texts: Option<AhoCorasick>,
    /// The entries of each text.
    by_text: Vec<Vec<usize>>,
    by_code: BTreeMap<u32, Vec<usize>>,
    by_message: BTreeMap<u32, Vec<usize>>,
    /// Entries to match against every error.
    always: Vec<usize>,
}

impl Index {
    /// The index of entries in the catalogue's order.
    pub fn new<'a>(causes: impl Iterator<Item = &'a Cause>) -> Index {
        let mut index = Index::default();
        let mut texts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, cause) in causes.enumerate() {
            for pattern in &cause.patterns {
                match key(pattern) {
                    Key::Texts(found) => found.into_iter().for_each(|text| texts.entry(text).or_default().push(number)),
                    Key::Codes(codes) => {
                        codes.iter().for_each(|code| index.by_code.entry(bare(*code)).or_default().push(number));
                    }
                    Key::Messages(ids) => ids.iter().for_each(|id| index.by_message.entry(*id).or_default().push(number)),
                    Key::None => index.always.push(number),
                }
            }
        }
        index.texts = AhoCorasick::new(texts.keys()).ok();
        if index.texts.is_none() {
            index.always.extend(texts.values().flatten());
        }
        index.by_text = texts.into_values().collect();
        index
    }

    /// The numbers of the entries that may match.
    pub fn of(&self, subject: &Subject) -> BTreeSet<usize> {
        let mut found: BTreeSet<usize> = self.always.iter().copied().collect();
        if let Some(texts) = &self.texts {
            for text in texts.find_overlapping_iter(&subject.all) {
                found.extend(self.by_text.get(text.pattern().as_usize()).into_iter().flatten());
            }
        }
        let codes = subject.codes.iter().filter_map(|code| self.by_code.get(&bare(*code)));
        found.extend(codes.chain(subject.message.and_then(|id| self.by_message.get(&id))).flatten());
        found
    }
}

/// What a pattern is found by.
enum Key<'a> {
    /// One of these texts is in the error.
    Texts(Vec<&'a str>),
    /// The error has one of these codes.
    Codes(&'a [u32]),
    /// The error is one of these status messages.
    Messages(&'a [u32]),
    /// An HTTP status alone.
    None,
}

fn key(pattern: &Pattern) -> Key<'_> {
    let folded = &pattern.folded;
    if !folded.codes.is_empty() {
        Key::Codes(&folded.codes)
    } else if !pattern.message.is_empty() {
        Key::Messages(&pattern.message)
    } else if let Some(text) = folded.class.as_deref().or(folded.function.as_deref()) {
        Key::Texts(vec![text])
    } else if !folded.words.is_empty() {
        Key::Texts(folded.words.iter().map(String::as_str).collect())
    } else {
        Key::None
    }
}
