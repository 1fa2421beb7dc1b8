//! How specifically an entry fits an error, and what of it fits.

use supwatch_proto::text::Text;

use super::entry::{Cause, Pattern};
use super::subject::Subject;

/// What a matching field adds: a code is surer than a class, a class than a status or function, those than words.
const CODE: u32 = 16;
const CLASS: u32 = 8;
const STATUS: u32 = 5;
const FUNCTION: u32 = 4;
const MESSAGE: u32 = 3;
const WORDS: u32 = 3;
/// Words of a whole sentence are surer than two of them.
const SENTENCE: usize = 24;

/// An entry that fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate<'a> {
    /// The entry.
    pub cause: &'a Cause,
    /// How specifically.
    pub score: u32,
    /// What fits.
    pub parts: Vec<Part>,
}

/// One thing of an error that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it adds to the score.
    pub points: u32,
    /// `code`, `class`, `HTTP status`, `function`, `message` or `words`.
    pub what: &'static str,
    /// As the entry has it.
    pub value: String,
}

impl Part {
    /// What fits, in the reader's language.
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
    /// Whether nothing but words fits: they may be anybody's.
    pub fn is_words_alone(&self) -> bool {
        self.parts.iter().all(|part| part.what == "words")
    }
}

/// The best of an entry's patterns that fits.
pub(super) fn fit<'a>(cause: &'a Cause, subject: &Subject) -> Option<Candidate<'a>> {
    let found = cause.patterns.iter().filter_map(|pattern| parts(pattern, subject));
    let score = |parts: &Vec<Part>| parts.iter().map(|part| part.points).sum::<u32>();
    let parts = found.max_by_key(score)?;
    Some(Candidate { cause, score: score(&parts), parts })
}

/// What of a pattern fits; `None` where not all of it does.
fn parts(pattern: &Pattern, subject: &Subject) -> Option<Vec<Part>> {
    let folded = &pattern.folded;
    if folded.without.iter().any(|words| subject.has_words(words)) {
        return None;
    }
    let mut found = Vec::new();
    let mut ask = |asked: bool, points: u32, what: &'static str, value: Option<String>| match (asked, value) {
        (false, _) => true,
        (true, Some(value)) => {
            found.push(Part { points, what, value });
            true
        }
        (true, None) => false,
    };
    // As the entry has it, where its folded form fits.
    let code = pattern.codes.iter().zip(&folded.codes).find(|(_, code)| subject.has_code(**code)).map(|(code, _)| code);
    let fitting = pattern.words.iter().zip(&folded.words).filter(|(_, words)| subject.has_words(words)).map(|(words, _)| words);
    let words = fitting.max_by_key(|words| words.chars().count());
    let sentence = u32::from(words.is_some_and(|words| words.chars().count() >= SENTENCE));
    let fits = ask(!pattern.codes.is_empty(), CODE, "code", code.cloned())
        && ask(
            pattern.class.is_some(),
            CLASS,
            "class",
            pattern.class.clone().filter(|_| folded.class.as_deref().is_some_and(|class| subject.has_class(class))),
        )
        && ask(
            pattern.status.is_some(),
            STATUS,
            "HTTP status",
            pattern.status.filter(|status| subject.has_status(*status)).map(|status| status.to_string()),
        )
        && ask(
            pattern.function.is_some(),
            FUNCTION,
            "function",
            pattern.function.clone().filter(|_| folded.function.as_deref().is_some_and(|function| subject.has_words(function))),
        )
        && ask(
            !pattern.message.is_empty(),
            MESSAGE,
            "message",
            pattern.message.iter().find(|id| subject.message == Some(**id)).map(u32::to_string),
        )
        && ask(!pattern.words.is_empty(), WORDS + sentence, "words", words.cloned());
    (fits && !found.is_empty()).then_some(found)
}
