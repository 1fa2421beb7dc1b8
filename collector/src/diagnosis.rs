//! Error text → cause, by a catalogue of data files that are compiled in.
//!
//! Pure. Candidates are scored by how specific their matching pattern is (a code or class counts more than words), so the
//! order of files does not matter. What fits nothing is `unknown-cause`, with the article's last section as advice.

use std::sync::OnceLock;

use serde::Deserialize;
use supwatch_proto::text::Text;

pub mod messages;

/// Where the built-in catalogue comes from: one file a cause.
const FILES: &[(&str, &str)] = &[
    ("wsus-not-configured.toml", include_str!("diagnosis/wsus-not-configured.toml")),
    ("name-not-resolved.toml", include_str!("diagnosis/name-not-resolved.toml")),
    ("apiremoting-unauthorized.toml", include_str!("diagnosis/apiremoting-unauthorized.toml")),
    ("wsus-unavailable.toml", include_str!("diagnosis/wsus-unavailable.toml")),
    ("cannot-connect.toml", include_str!("diagnosis/cannot-connect.toml")),
    ("dssauth-unauthorized.toml", include_str!("diagnosis/dssauth-unauthorized.toml")),
    ("unknown-cause.toml", include_str!("diagnosis/unknown-cause.toml")),
];

/// The id of what fits nothing.
pub const UNKNOWN: &str = "unknown-cause";

/// One entry of the catalogue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Id.
    pub id: String,
    /// Where it is documented.
    pub source: String,
    /// Generations it applies to; empty: all.
    pub generations: Vec<String>,
    /// A few words.
    pub title: Text,
    /// What happened between whom.
    pub meaning: Text,
    /// Patterns; any of them is enough.
    #[serde(default, rename = "pattern")]
    pub patterns: Vec<Pattern>,
    /// What to do, in order.
    #[serde(default, rename = "remedy")]
    pub remedies: Vec<Text>,
    /// Lines that must match, and near misses.
    #[serde(default)]
    pub lines: TestLines,
    /// It says that something failed and where to look, not why: another log's cause counts for more.
    #[serde(default)]
    pub general: bool,
}

impl Cause {
    /// Whether it says less than why.
    pub fn is_general(&self) -> bool {
        self.general || self.id == UNKNOWN
    }
}

/// All fields that are there must match.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pattern {
    /// Error class the text begins with, such as `UssCommunicationError`.
    pub class: Option<String>,
    /// HTTP status.
    pub status: Option<u16>,
    /// HRESULT or Win32 code as written.
    pub code: Option<String>,
    /// Part of the source function's name.
    pub function: Option<String>,
    /// Any of these texts.
    pub words: Vec<String>,
}

/// Lines kept beside an entry to test it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestLines {
    /// Must be this cause.
    #[serde(rename = "match")]
    pub matching: Vec<String>,
    /// Must be another.
    pub other: Vec<String>,
}

/// The catalogue.
#[derive(Debug)]
pub struct Catalogue {
    causes: Vec<Cause>,
    unknown: Cause,
}

/// The error as a matcher sees it: folded to lower case once.
struct Subject {
    text: String,
    all: String,
    code: String,
}

impl Catalogue {
    /// The catalogue that is compiled in.
    pub fn built_in() -> &'static Catalogue {
        static BUILT_IN: OnceLock<Catalogue> = OnceLock::new();
        BUILT_IN.get_or_init(|| {
            let mut causes: Vec<Cause> = Vec::new();
            for (name, text) in FILES {
                match toml::from_str(text) {
                    Ok(cause) => causes.push(cause),
                    // A test reads every file, so this cannot be released.
                    Err(error) => tracing::error!(file = name, %error, "built-in cause cannot be read"),
                }
            }
            let unknown = causes.iter().find(|cause| cause.id == UNKNOWN).cloned().unwrap_or_else(|| Cause {
                id: UNKNOWN.to_owned(),
                source: String::new(),
                generations: Vec::new(),
                title: Text::new("cause not known", "原因不明"),
                meaning: Text::default(),
                patterns: Vec::new(),
                remedies: Vec::new(),
                lines: TestLines::default(),
                general: true,
            });
            Catalogue { causes, unknown }
        })
    }

    /// Every cause.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// A cause by its id.
    pub fn get(&self, id: &str) -> Option<&Cause> {
        self.causes.iter().find(|cause| cause.id == id)
    }

    /// The cause of an error.
    pub fn diagnose(&self, text: &str, source: &str, code: Option<&str>) -> &Cause {
        self.candidates(text, source, code).first().map_or(&self.unknown, |(_, cause)| cause)
    }

    /// Every cause that fits, with its score, best first.
    pub fn candidates(&self, text: &str, source: &str, code: Option<&str>) -> Vec<(u32, &Cause)> {
        let subject = Subject {
            text: text.trim_start().to_lowercase(),
            all: format!("{text} {source}").to_lowercase(),
            code: code.unwrap_or_default().to_lowercase(),
        };
        let mut found: Vec<(u32, &Cause)> = self
            .causes
            .iter()
            .filter_map(|cause| Some((cause.patterns.iter().filter_map(|pattern| pattern.score(&subject)).max()?, cause)))
            .collect();
        found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.id.cmp(&b.id)));
        found
    }
}

/// What a matching field adds: a code is surer than a class, a class than a status or function, those than words.
const SCORE_CODE: u32 = 16;
const SCORE_CLASS: u32 = 8;
const SCORE_STATUS: u32 = 5;
const SCORE_FUNCTION: u32 = 4;
const SCORE_WORDS: u32 = 3;

impl Pattern {
    /// How specifically it matches; `None` where it does not.
    fn score(&self, subject: &Subject) -> Option<u32> {
        let fields = [
            self.code
                .as_ref()
                .map(|code| (SCORE_CODE, same_code(&subject.code, code) || subject.all.contains(&code.to_lowercase()))),
            self.class.as_ref().map(|class| (SCORE_CLASS, subject.text.starts_with(&class.to_lowercase()))),
            self.status.map(|status| (SCORE_STATUS, has_status(&subject.all, status))),
            self.function.as_ref().map(|function| (SCORE_FUNCTION, subject.all.contains(&function.to_lowercase()))),
            (!self.words.is_empty())
                .then(|| (SCORE_WORDS, self.words.iter().any(|words| subject.all.contains(&words.to_lowercase())))),
        ];
        let mut score = 0;
        for (points, matches) in fields.into_iter().flatten() {
            if !matches {
                return None;
            }
            score += points;
        }
        (score > 0).then_some(score)
    }
}

/// Codes are written `0x8013150A`, `0X8013150a`, with or without leading zeros.
fn same_code(one: &str, other: &str) -> bool {
    let digits = |code: &str| code.to_lowercase().trim_start_matches("0x").trim_start_matches('0').to_owned();
    !one.is_empty() && digits(one) == digits(other)
}

/// `HTTP status 401`, `HTTP ステータス 401`, `(401)`.
fn has_status(text: &str, status: u16) -> bool {
    let number = status.to_string();
    text.contains(&format!("({number})"))
        || text.match_indices("http").any(|(at, word)| {
            let near = text.get(at + word.len()..).unwrap_or_default();
            // `http://` and a host's name are no status.
            let is_word = near.starts_with(|c: char| c == ' ' || c == '-' || c == '\u{a0}' || !c.is_ascii());
            let near: String = near.chars().take(30).collect();
            is_word && near.split(|c: char| !c.is_ascii_digit()).any(|word| word == number)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test line is written as in a log: text, then ` Source: ` and the function.
    fn diagnose(line: &str) -> &'static str {
        let (text, source) = line.rsplit_once(" Source: ").unwrap_or((line, ""));
        &Catalogue::built_in().diagnose(text, source, None).id
    }

    #[test]
    fn every_file_is_read_and_complete() {
        assert_eq!(Catalogue::built_in().causes().len(), FILES.len());
        for cause in Catalogue::built_in().causes() {
            for text in cause.remedies.iter().chain([&cause.title, &cause.meaning]) {
                assert!(!text.en.is_empty() && !text.ja.is_empty(), "{} lacks a language", cause.id);
            }
            assert!(!cause.remedies.is_empty() && !cause.source.is_empty(), "{} lacks remedies or source", cause.id);
            assert!(cause.lines.matching.len() >= 3 && cause.lines.other.len() >= 3, "{} lacks test lines", cause.id);
        }
    }

    #[test]
    fn every_line_gets_its_own_cause_and_near_misses_another() {
        for cause in Catalogue::built_in().causes() {
            for line in &cause.lines.matching {
                assert_eq!(diagnose(line), cause.id, "{line}");
            }
            for line in &cause.lines.other {
                assert_ne!(diagnose(line), cause.id, "{line}");
            }
        }
    }

    #[test]
    fn the_more_specific_pattern_wins() {
        let text = "DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized";
        assert_eq!(diagnose(text), "dssauth-unauthorized");
        assert_eq!(
            diagnose(
                "The request failed with HTTP status 401: Unauthorized. Source: Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer"
            ),
            "apiremoting-unauthorized"
        );
        assert_eq!(diagnose("something else entirely"), UNKNOWN);
    }

    #[test]
    fn codes_are_compared_as_numbers() {
        assert!(same_code("0X8013150a", "0x8013150A"));
        assert!(!same_code("", ""));
    }
}
