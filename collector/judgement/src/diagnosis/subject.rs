//! An error in normalised form, so that case, quotes, blanks, line breaks and the notation of codes do not matter.
//!
//! Sources of the variants: `~` and `~~` stand for line breaks in the product's logs; viewers and forums make quotes curly and
//! blanks non-breaking; codes are written as HRESULT, as negative or unsigned decimal, or as the Win32 number alone.

use std::collections::BTreeSet;

use super::codes::{bare as bare_code, code_of};
use super::localized;

/// An error in normalised form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Text and source, with the English originals of localized messages.
    pub all: String,
    /// Codes in it.
    pub codes: BTreeSet<u32>,
    /// Status message id.
    pub message: Option<u32>,
}

impl Subject {
    /// The subject of a text, the function it names as its source, and a code.
    pub fn new(text: &str, source: &str, code: Option<&str>) -> Subject {
        let raw = format!("{text} {source}");
        let mut codes = codes_in(&raw);
        codes.extend(code.and_then(code_of));
        let mut all = normal(&raw);
        for original in localized::originals(&raw) {
            all.push_str(" | ");
            all.push_str(&normal(original));
        }
        Subject { all, codes, message: None }
    }

    /// The subject of a status message.
    #[must_use]
    pub fn of_message(self, id: u32) -> Subject {
        Subject { message: Some(id), ..self }
    }

    /// The subject of a line as written in a log, in the console, or in a forum.
    pub fn of_line(line: &str) -> Subject {
        let subject = Subject::new(bare(line), "", None);
        let id = subject.all.split_once("statmsg:id=").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        match id {
            Some(id) => subject.of_message(id),
            None => subject,
        }
    }

    /// The subject of pasted text: lines of any form, one or several.
    pub fn of_paste(text: &str) -> Subject {
        let lines: Vec<&str> = text.lines().map(bare).collect();
        Subject::of_line(&lines.join("~~"))
    }

    /// Whether it contains an error class, given in lower case.
    pub fn has_class(&self, class: &str) -> bool {
        self.all.match_indices(class).any(|(at, found)| {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let before = self.all.get(..at).and_then(|before| before.chars().next_back());
            let after = self.all.get(at + found.len()..).and_then(|after| after.chars().next());
            !before.is_some_and(word) && !after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        })
    }

    /// Whether it contains an HTTP status: `HTTP status 401`, `HTTP ステータス 401`, `(401)`, `HTTP/1.1 401`.
    pub fn has_status(&self, status: u16) -> bool {
        let number = status.to_string();
        self.all.contains(&format!("({number})"))
            || self.all.match_indices("http").any(|(at, word)| {
                let near = self.all.get(at + word.len()..).unwrap_or_default();
                // `http://` and a host's name are no status.
                let is_word = near.starts_with([' ', '-'])
                    || near.starts_with("/1")
                    || near.starts_with(|c: char| !c.is_ascii())
                    || near.strip_prefix(':').is_some_and(|near| near.starts_with(|c: char| c.is_ascii_digit()));
                let near: String = near.chars().take(40).collect();
                is_word && near.split(|c: char| !c.is_ascii_digit()).any(|word| word == number)
            })
    }

    /// Whether it contains a normalised text.
    pub fn has_words(&self, words: &str) -> bool {
        self.all.contains(words)
    }

    /// Whether it contains a code, in any notation.
    pub fn has_code(&self, code: u32) -> bool {
        self.codes.iter().any(|known| same_code(*known, code))
    }
}

/// A line without the stamps and marks of its log's form, which carry no information about the error.
pub(super) fn bare(line: &str) -> &str {
    let text = line.split("$$<").next().unwrap_or_default();
    text.trim_start().strip_prefix("<![LOG[").map_or(text, |text| text.split("]LOG]!>").next().unwrap_or_default())
}

/// Whether two codes are equal, or the same Win32 error with and without its facility.
fn same_code(one: u32, other: u32) -> bool {
    bare_code(one) == bare_code(other)
}

/// Normalises a text.
pub(super) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '~' | '\u{a0}' | '\u{3000}' | '\u{202f}' | '\u{feff}' => ' ',
            c if c.is_whitespace() || c.is_control() => ' ',
            '“' | '”' | '„' | '‟' | '«' | '»' | '「' | '」' | '『' | '』' | '‘' | '’' | '‚' | '‹' | '›' | '"' | '`' => {
                '\''
            }
            '：' => ':',
            '（' => '(',
            '）' => ')',
            '…' => '.',
            c => c,
        };
        match c {
            ' ' if out.ends_with([' ', ':']) || out.is_empty() => {}
            ':' => {
                while out.ends_with(' ') {
                    out.pop();
                }
                out.push(':');
            }
            c => out.extend(c.to_lowercase()),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Words that mark a small number after them as a code.
const ANNOUNCE: &[&str] = &["error", "errors", "code", "errno", "win32", "number", "エラー", "コード", "reported", "hr", "hresult"];

/// Every number that is a code.
fn codes_in(text: &str) -> BTreeSet<u32> {
    let lower = text.to_lowercase();
    let mut found = BTreeSet::new();
    let mut announced = false;
    // A minus belongs to its number; other marks separate words.
    for word in lower.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|word| !word.is_empty()) {
        let digits = word.trim_start_matches('-');
        let negative = word.starts_with('-');
        // Windows Update logs write HRESULTs bare: `[80240033]`.
        if digits.len() == 8 && digits.starts_with('8') {
            found.extend(u32::from_str_radix(digits, 16));
        }
        let code = if let Some(hex) = digits.strip_prefix("0x") {
            (hex.len() >= 3).then(|| u32::from_str_radix(hex, 16).ok()).flatten()
        } else if digits.bytes().all(|byte| byte.is_ascii_digit()) && (negative || digits.len() >= 7 || announced) {
            code_of(word)
        } else {
            None
        };
        if code.is_none() && !digits.is_empty() {
            announced = ANNOUNCE.contains(&word)
                || (announced && word.len() <= 2)
                || word.ends_with("エラー")
                || word.ends_with("報告しました");
        }
        found.extend(code);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_viewers_and_languages_do_to_a_text_does_not_matter() {
        assert_eq!(
            normal("UssCommunicationError:WebException：  x “a”~~at\u{a0}b"),
            "usscommunicationerror:webexception:x 'a' at b"
        );
        let subject =
            Subject::of_line("Sync failed: DssAuthenticationError: x HTTP ステータス 401:未承認  $$<C><03-01-2026 04:00:00.000+0>");
        assert!(subject.has_class("dssauthenticationerror") && subject.has_status(401) && !subject.has_status(403));
        assert!(!Subject::new("http://401.example/ and 401", "", None).has_status(401));
        assert!(!Subject::new("NotUssBusy", "", None).has_class("ussbusy"));
    }

    #[test]
    fn codes_are_numbers_in_any_notation() {
        for text in ["LE=0X8013150a", "error -2146233078", "(0x8013150A)", "HRESULT 2148734218"] {
            assert!(Subject::new(text, "", None).has_code(0x8013_150A), "{text}");
        }
        assert!(Subject::new("reported error 53: The network path was not found.", "", None).has_code(0x8007_0035));
        assert!(Subject::new("オペレーティング システムがエラーを報告しました 53:ネットワーク", "", None).has_code(53));
        assert!(!Subject::new("processed 53 out of 96 items", "", None).has_code(53));
        assert!(Subject::new("*FAILED* [80240033] ISusInternal", "", None).has_code(0x8024_0033));
        assert!(Subject::new("x", "", Some("0X80131505")).has_code(0x8013_1505));
    }

    #[test]
    fn a_status_message_is_known_by_its_id() {
        assert_eq!(Subject::of_line("STATMSG: ID=6600 SEV=E LEV=M").message, Some(6600));
    }
}
