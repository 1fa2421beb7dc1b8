//! One entry of the catalogue, as its file defines it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use supwatch_model::describe::Generation;
use supwatch_model::text::Text;

use super::codes::code_of;
use super::subject::normal;

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It explains why something failed.
    #[default]
    Cause,
    /// It says that something failed and where to look, not why: a cause from another log takes precedence.
    General,
    /// It looks like trouble and is harmless.
    Harmless,
    /// It explains a term or number, and is never the cause of a run.
    Term,
}

/// Whose server is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// The site's own.
    #[default]
    Site,
    /// The one that the site's WSUS synchronises from: its parent's.
    Parent,
}

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Id, and the name of its file.
    pub id: String,
    /// Kind of the entry.
    #[serde(default)]
    pub kind: Kind,
    /// Where it is documented.
    pub source: String,
    /// Generations it applies to; empty: all.
    #[serde(default)]
    pub generations: Vec<String>,
    /// Whose server is at fault.
    #[serde(default)]
    pub at: At,
    /// Rules whose failing verdict confirms it.
    #[serde(default)]
    pub confirmed_by: Vec<String>,
    /// Title, a few words.
    pub title: Text,
    /// What happened, and between which servers.
    pub meaning: Text,
    /// What to look at next.
    #[serde(default)]
    pub next: Vec<Text>,
    /// Patterns; any of them is enough.
    #[serde(default, rename = "pattern")]
    pub patterns: Vec<Pattern>,
    /// What to do, in order.
    #[serde(default, rename = "remedy")]
    pub remedies: Vec<Remedy>,
    /// Lines that must match, and near misses.
    #[serde(default)]
    pub lines: TestLines,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remedy {
    /// Text in English.
    pub en: String,
    /// Text in Japanese.
    pub ja: String,
    /// The rule whose fault it fixes; it comes first if that rule fails.
    pub rule: Option<String>,
    /// Generations it applies to; empty: all.
    pub generations: Vec<String>,
}

impl Remedy {
    /// The text in a language.
    pub fn text(&self) -> Text {
        Text::new(self.en.as_str(), self.ja.as_str())
    }

    /// Whether it applies to a site; an unknown generation matches all.
    pub fn is_for(&self, generation: Option<Generation>) -> bool {
        self.generations.is_empty() || generation.is_none_or(|own| self.generations.iter().any(|word| word == own.as_str()))
    }
}

/// All fields that are present must match.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pattern {
    /// Error class, such as `UssCommunicationError`.
    pub class: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
    /// Any of these HRESULTs, Win32 or SQL codes.
    pub codes: Vec<String>,
    /// Part of the source function's name.
    pub function: Option<String>,
    /// Any of these texts.
    pub words: Vec<String>,
    /// None of these texts.
    pub without: Vec<String>,
    /// Any of these status messages.
    pub message: Vec<u32>,
    /// The texts normalised like a subject, once, so that matching need not do it.
    #[serde(skip)]
    pub(super) folded: Folded,
}

/// A pattern with normalised texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Folded {
    pub(super) class: Option<String>,
    pub(super) codes: Vec<u32>,
    pub(super) function: Option<String>,
    pub(super) words: Vec<String>,
    pub(super) without: Vec<String>,
}

impl Pattern {
    fn fold(&mut self) {
        let all = |texts: &[String]| texts.iter().map(|text| normal(text)).collect();
        self.folded = Folded {
            class: self.class.as_deref().map(str::to_lowercase),
            codes: self.codes.iter().filter_map(|code| code_of(code)).collect(),
            function: self.function.as_deref().map(normal),
            words: all(&self.words),
            without: all(&self.without),
        };
    }
}

/// Lines kept beside an entry to test it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestLines {
    /// Lines that must match this entry.
    #[serde(rename = "match")]
    pub matching: Vec<String>,
    /// Lines that must match another entry.
    pub other: Vec<String>,
}

/// Why a file is not a valid entry.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct EntryError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, where, and what would be valid.
    pub reason: String,
}

impl Cause {
    /// Whether it does not say why something failed.
    pub fn is_general(&self) -> bool {
        self.kind == Kind::General || self.id == super::UNKNOWN
    }

    /// Checks that every rule it names is one of those given.
    ///
    /// # Errors
    /// The field that names an unknown rule.
    pub fn check_rules(&self, rules: &[&str]) -> Result<(), String> {
        let unknown = |rule: &&str| !rules.contains(rule);
        if let Some(rule) = self.confirmed_by.iter().map(String::as_str).find(unknown) {
            return Err(format!("confirmed_by: there is no rule {rule:?}; `supwatch rules` lists them"));
        }
        for (number, remedy) in (1..).zip(&self.remedies) {
            if let Some(rule) = remedy.rule.as_deref().filter(unknown) {
                return Err(format!("remedy {number}: rule: there is no rule {rule:?}; `supwatch rules` lists them"));
            }
        }
        Ok(())
    }

    /// Parses an entry and checks that it is complete; [`Cause::check_rules`] checks that the rules it names exist.
    pub fn parse(text: &str, path: &Path) -> Result<Cause, EntryError> {
        let wrong = |reason: String| EntryError { path: path.to_owned(), reason };
        let mut cause: Cause = toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if cause.id != name {
            return Err(wrong(format!("id: it is {:?}, and the file is called {name:?}; give both one name", cause.id)));
        }
        if !cause.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(wrong(format!("id: {:?} has other characters than a-z, 0-9 and -", cause.id)));
        }
        if cause.title.en.is_empty() || cause.meaning.en.is_empty() {
            return Err(wrong("title and meaning need a text, at least `en`".to_owned()));
        }
        for (number, remedy) in (1..).zip(&cause.remedies) {
            if let Some(unknown) = remedy.generations.iter().find(|word| Generation::from_word(word).is_none()) {
                return Err(wrong(format!(
                    "remedy {number}: generations: {unknown:?} is none; write 2007, 2012 or current-branch"
                )));
            }
        }
        for (number, pattern) in (1..).zip(&cause.patterns) {
            let nothing = Pattern { without: pattern.without.clone(), ..Pattern::default() };
            if *pattern == nothing {
                return Err(wrong(format!(
                    "pattern {number}: it asks for nothing; give class, status, codes, function, words or message"
                )));
            }
            if let Some(bad) = pattern.codes.iter().find(|code| code_of(code).is_none()) {
                return Err(wrong(format!("pattern {number}: codes: {bad:?} is no code; write 0x80131505, -2146233083 or 10061")));
            }
            if pattern.words.iter().chain(&pattern.without).any(|words| words.trim().is_empty()) {
                return Err(wrong(format!("pattern {number}: words: an empty text is in every error")));
            }
        }
        cause.patterns.iter_mut().for_each(Pattern::fold);
        Ok(cause)
    }

    /// Fallback if even the file of the unknown cause cannot be read.
    pub(super) fn unknown() -> Cause {
        Cause {
            id: super::UNKNOWN.to_owned(),
            kind: Kind::General,
            source: String::new(),
            generations: Vec::new(),
            at: At::Site,
            confirmed_by: Vec::new(),
            title: Text::new("cause not known", "原因不明"),
            meaning: Text::default(),
            next: Vec::new(),
            patterns: Vec::new(),
            remedies: Vec::new(),
            lines: TestLines::default(),
        }
    }
}
