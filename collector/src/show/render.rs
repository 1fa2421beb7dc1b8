//! Pictures → text for a terminal, or JSON.
//!
//! Pure. Log text is hostile: everything written to a terminal goes through [`safe`]. Column widths count wide characters as two,
//! so Japanese aligns.

use anstyle::{AnsiColor, Style};
use jiff::{SignedDuration, Timestamp};
use supwatch_model::text::{Lang, Text};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub mod json;
pub mod table;
pub mod tree;
pub mod findings;
pub mod runs;
pub mod sites;
pub mod events;
pub mod settings;
pub mod wave;

/// Output options.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Language.
    pub lang: Lang,
    /// Whether to use colour.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Role of a piece of text, which determines its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Plain.
    Plain,
    /// Good.
    Good,
    /// Worth a look.
    Warning,
    /// Bad.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

impl Look {
    /// Colours a text.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let style = match tone {
            _ if !self.color => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Good => Style::new().fg_color(Some(AnsiColor::Green.into())),
            Tone::Warning => Style::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Bad => Style::new().fg_color(Some(AnsiColor::Red.into())).bold(),
            Tone::Dim => Style::new().dimmed(),
            Tone::Strong => Style::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }

    /// A text in the language.
    pub fn text<'a>(&self, text: &'a Text) -> &'a str {
        text.get(self.lang)
    }

    /// One of two literals.
    pub fn say<'a>(&self, en: &'a str, ja: &'a str) -> &'a str {
        match self.lang {
            Lang::En => en,
            Lang::Ja => ja,
        }
    }
}

/// Text without anything a terminal would interpret: control characters are shown, not sent.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            // Characters that change the direction of text can forge a line.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Width of a text in columns.
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text cut to a number of columns, with an ellipsis.
pub fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// A text wrapped at a number of columns: at blanks, or anywhere between wide characters.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for piece in pieces(text) {
        // The blank after a word may exceed the width.
        if used + piece.trim_end().width() > columns && !line.is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            used = 0;
        }
        let piece = if line.is_empty() { piece.trim_start() } else { piece };
        line.push_str(piece);
        used += piece.width();
    }
    if !line.trim().is_empty() || lines.is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Words with their blanks, and single wide characters; a closing mark stays with the preceding character.
fn pieces(text: &str) -> Vec<&str> {
    let mut cuts = vec![0];
    let mut before: Option<char> = None;
    for (at, c) in text.char_indices() {
        let wide = |c: char| c.width() == Some(2);
        // Marks, small kana and the long vowel mark never begin a line.
        let sticks = "。、」』])）>…ぁぃぅぇぉっゃゅょァィゥェォッャュョー".contains(c);
        let opens = before.is_some_and(|b| matches!(b, '「' | '『' | '[' | '(' | '（'));
        let breaks = before.is_some_and(|b| (b == ' ' && c != ' ') || wide(b) || wide(c));
        if breaks && !sticks && !opens {
            cuts.push(at);
        }
        before = Some(c);
    }
    cuts.push(text.len());
    cuts.windows(2).filter_map(|pair| text.get(*pair.first()?..*pair.last()?)).filter(|piece| !piece.is_empty()).collect()
}

/// `2026-03-01 04:00:06`, always UTC.
pub fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "–".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Time since a moment, in at most two units.
pub fn ago(now: Timestamp, then: Timestamp, look: Look) -> String {
    let span = duration(now.duration_since(then));
    match look.lang {
        Lang::En => format!("{span} ago"),
        Lang::Ja => format!("{span} 前"),
    }
}

/// A duration in at most two units.
pub fn duration(span: SignedDuration) -> String {
    let seconds = span.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_terminal_obeys_gets_through() {
        assert_eq!(safe("a\u{1b}[31mb\u{7}\tc\u{202e}"), "a\\u{1b}[31mb\\u{7} c\\u{202e}");
    }

    #[test]
    fn wide_characters_are_measured_and_broken_as_they_stand() {
        assert_eq!(fit("同期に失敗しました", 9), "同期に失…");
        assert_eq!(wrap("同期に失敗しました。次へ", 10), ["同期に失敗", "しました。", "次へ"]);
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        for line in wrap("サイト P01 の [オプション] を開き、WSUS コンソールで確認します。", 12) {
            assert!(width(&line) <= 14, "{line}");
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let shown: Vec<String> = [5, 90, 3700, 90_000].into_iter().map(|s| duration(SignedDuration::from_secs(s))).collect();
        assert_eq!(shown, ["5 s", "1 min", "1 h 1 min", "1 d 1 h"]);
    }
}
