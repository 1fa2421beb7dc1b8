//! One way in which the messages of a log begin, and its meaning.

use supwatch_model::event::EventKind;

/// The meaning of a message that begins in a known way.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// A dedicated parser, which gets the text after the beginning. It may find that the message is something else.
    Typed(fn(&str) -> Option<EventKind>),
    /// Progress: parsed from the text after the beginning as items done, items in total, and phase. Without counts it is a step.
    Progress(fn(&str) -> Option<(u64, u64, &'static str)>),
    /// A named step in the normal operation of the component. The text after the beginning is its detail.
    Step(&'static str),
    /// A step that occurs once per update, thousands of times a run: thinned like progress.
    Item(&'static str),
    /// A step whose line names an account, which never leaves the server.
    Account(&'static str),
    /// An error that the component reports; whether the run fails is decided by other lines.
    Error,
    /// Known and irrelevant.
    Quiet,
}

/// A beginning and its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Phrase {
    /// The beginning of the message.
    pub start: &'static str,
    /// Its meaning.
    pub meaning: Meaning,
    /// Whether many components begin messages with these words, so that they count only on a line known to be of this log.
    pub own: bool,
}

/// Shorthand for a table entry.
pub(super) const fn phrase(start: &'static str, meaning: Meaning) -> Phrase {
    Phrase { start, meaning, own: false }
}

/// The same for words that other components use too.
pub(super) const fn own(start: &'static str, meaning: Meaning) -> Phrase {
    Phrase { start, meaning, own: true }
}

/// Whether a message starts with a phrase, ignoring case: a Microsoft page itself writes "Sync Failed".
pub(super) fn starts_with(message: &str, phrase: &str) -> bool {
    let Some(head) = message.as_bytes().get(..phrase.len()) else { return false };
    // Phrases that begin alike seldom end alike, so the last byte is compared first.
    let same = |one: Option<&u8>, other: Option<&u8>| one.map(u8::to_ascii_lowercase) == other.map(u8::to_ascii_lowercase);
    same(head.last(), phrase.as_bytes().last()) && head.eq_ignore_ascii_case(phrase.as_bytes())
}
