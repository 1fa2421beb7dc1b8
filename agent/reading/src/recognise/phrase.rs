//! One way in which the messages of a log begin, and what that means.

use supwatch_model::event::EventKind;

/// What a message means that begins in a known way.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// A reader of its own, given what follows the beginning. It may find that this is something else.
    Typed(fn(&str) -> Option<EventKind>),
    /// Progress, given what follows the beginning: done, of how many, in which phase. What counts nothing is a step.
    Progress(fn(&str) -> Option<(u64, u64, &'static str)>),
    /// A step of the log's known life: its name. What follows the beginning is its detail.
    Step(&'static str),
    /// A step that comes once an update, thousands of times a run: thinned like progress.
    Item(&'static str),
    /// A step whose line names an account, which never leaves the server.
    Account(&'static str),
    /// An error that the component reports; whether the run fails is decided by other lines.
    Error,
    /// Known, and of no interest.
    Quiet,
}

/// One beginning.
#[derive(Debug, Clone, Copy)]
pub struct Phrase {
    /// How the message begins.
    pub start: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// Such words begin messages of many components, so they count only on a line that is known to be of this log.
    pub own: bool,
}

/// Short for a table's entry.
pub(super) const fn phrase(start: &'static str, meaning: Meaning) -> Phrase {
    Phrase { start, meaning, own: false }
}

/// The same for words that others use too.
pub(super) const fn own(start: &'static str, meaning: Meaning) -> Phrase {
    Phrase { start, meaning, own: true }
}

/// Whether a message starts with a phrase, in any case: a Microsoft page itself writes "Sync Failed".
pub(super) fn starts_with(message: &str, phrase: &str) -> bool {
    let Some(head) = message.as_bytes().get(..phrase.len()) else { return false };
    // Phrases that begin alike seldom end alike.
    let same = |one: Option<&u8>, other: Option<&u8>| one.map(u8::to_ascii_lowercase) == other.map(u8::to_ascii_lowercase);
    same(head.last(), phrase.as_bytes().last()) && head.eq_ignore_ascii_case(phrase.as_bytes())
}
