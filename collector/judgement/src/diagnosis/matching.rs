//! How specifically an entry matches an error, and by which parts.

use supwatch_model::text::Text;

use super::entry::{Cause, Pattern};
use super::subject::Subject;

/// Points of a matching field: a code is more specific than a class, a class than a status or function, those than words.
const CODE: u32 = 16;
const CLASS: u32 = 8;
const STATUS: u32 = 5;
const FUNCTION: u32 = 4;
const MESSAGE: u32 = 3;
const WORDS: u32 = 3;
/// The words of a whole sentence are more specific than two words.
const SENTENCE: usize = 24;

/// A matching entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The entry.
    pub cause: &'a Cause,
    /// Score: how specific the match is.
    pub score: u32,
    /// The matching parts.
    pub parts: Vec<Part>,
}

/// One matching part of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its points.
    pub points: u32,
    /// `code`, `class`, `HTTP status`, `function`, `message` or `words`.
    pub what: &'static str,
    /// As written in the entry.
    pub value: String,
}

impl Part {
    /// The matching part, in the reader's language.
    pub fn name(&self) -> Text {
        let ja = match self.what {
            "code" => "コード",
            "class" => "クラス",
            "HTTP status" => "HTTP ステータス",
            "function" => "関数",
            "message" => "メッセージ ID",
            _ => "文言",
        };
        Text::new(self.what, ja)
    }
}

impl Candidate<'_> {
    /// Whether only words match: they may come from any program.
    pub fn is_words_alone(&self) -> bool {
        self.parts.iter().all(|part| part.what == "words")
    }
}

impl Cause {
    /// The entry's best pattern that matches an error.
    pub fn fit(&self, subject: &Subject) -> Option<Candidate<'_>> {
        let found = self.patterns.iter().filter_map(|pattern| parts(pattern, subject));
        let score = |parts: &Vec<Part>| parts.iter().map(|part| part.points).sum::<u32>();
        let parts = found.max_by_key(score)?;
        Some(Candidate { cause: self, score: score(&parts), parts })
    }
}

/// The matching parts of a pattern; `None` if not all of it matches.
fn parts(pattern: &Pattern, subject: &Subject) -> Option<Vec<Part>> {
    let folded = &pattern.folded;
    let mut found = Vec::new();
    // Numbers are compared before texts are searched: this rejects most patterns early.
    let mut ask = |asked: bool, points: u32, what: &'static str, value: &dyn Fn() -> Option<String>| {
        let value = if asked { value() } else { return true };
        let fits = value.is_some();
        found.extend(value.map(|value| Part { points, what, value }));
        fits
    };
    // As written in the entry, if its normalised form matches.
    let code = || {
        let mut codes = pattern.codes.iter().zip(&folded.codes);
        codes.find(|(_, code)| subject.has_code(**code)).map(|(code, _)| code.clone())
    };
    let message = || pattern.message.iter().find(|id| subject.message == Some(**id)).map(u32::to_string);
    let class = || folded.class.as_deref().filter(|class| subject.has_class(class)).and(pattern.class.clone());
    let status = || pattern.status.filter(|status| subject.has_status(*status)).map(|status| status.to_string());
    let function = || folded.function.as_deref().filter(|function| subject.has_words(function)).and(pattern.function.clone());
    let words = pattern.words.iter().zip(&folded.words);
    let words = || {
        words
            .clone()
            .filter(|(_, words)| subject.has_words(words))
            .map(|(words, _)| words)
            .max_by_key(|words| length(words))
            .cloned()
    };
    let fits = ask(!pattern.codes.is_empty(), CODE, "code", &code)
        && ask(!pattern.message.is_empty(), MESSAGE, "message", &message)
        && ask(pattern.class.is_some(), CLASS, "class", &class)
        && ask(pattern.status.is_some(), STATUS, "HTTP status", &status)
        && ask(pattern.function.is_some(), FUNCTION, "function", &function)
        && ask(!pattern.words.is_empty(), WORDS, "words", &words)
        && !folded.without.iter().any(|words| subject.has_words(words));
    for part in found.iter_mut().filter(|part| part.what == "words" && length(&part.value) >= SENTENCE) {
        part.points += 1;
    }
    (fits && !found.is_empty()).then_some(found)
}

fn length(words: &str) -> usize {
    words.chars().count()
}
