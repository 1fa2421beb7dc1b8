//! Text as people paste it → the lines of the log it was copied from. Removes quote marks, list marks and search prefixes,
//! unpacks tables and pages, rejoins broken lines, and restores lost marks.
//!
//! Pure. Used by `analyze` only: an agent reads logs unmodified. A text is treated as a paste only if more of it is recognised
//! without its decoration; the origin of each line is kept.

use crate::encoding::{Decoder, Sample};
use crate::lines::Lines;
use crate::parse::marks::{CCM_CLOSE, CCM_OPEN, SERVER};
use crate::parse::{Form, Record, Stamp, parse, server, setup, wsus};
use crate::reader::{Observer, Reader, Reading, Resume};
use crate::recognise::{Understood, Written, vocabulary};
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;

mod characters;
mod marks;
mod tables;
mod tags;
mod wraps;

/// Longest text that is taken as a paste: anything larger is treated as a log file.
pub const LONGEST: usize = 16 << 20;

/// Deepest nesting of decoration: a table in a quoted mail, a page escaped in a page.
const ROUNDS: usize = 3;

/// A line, and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Offset of its first byte in the original text.
    place: u64,
    /// Number of characters of the original line; 0 where lines were not broken by width.
    width: usize,
    text: String,
}

impl Piece {
    fn of(place: u64, text: &str) -> Piece {
        Piece { place, width: text.chars().count(), text: text.to_owned() }
    }
}

/// The log lines recovered from a paste.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The lines, each ending with a line feed.
    pub text: String,
    /// Name of the paste's encoding.
    pub encoding: &'static str,
    /// What was removed, in a word or two each.
    pub taken_off: Vec<&'static str>,
    /// Offset of each line in the text, and its origin.
    places: Vec<(u64, u64)>,
}

impl Plain {
    /// Origin in the paste of the line at an offset of the text.
    pub fn place(&self, offset: u64) -> u64 {
        let at = self.places.partition_point(|(line, _)| *line <= offset);
        at.checked_sub(1).and_then(|at| self.places.get(at)).map_or(0, |(_, place)| *place)
    }
}

/// Recovers the log lines from a paste; `None` if the text is best read unchanged. `file` is its name.
pub fn plain(bytes: &[u8], file: &str, reading: &Reading) -> Option<Plain> {
    if bytes.len() > LONGEST {
        return None;
    }
    let mut decoder = Decoder::new(reading.code_page, Sample::new());
    let (mut lines, mut pieces) = (Lines::new(0, None), Vec::new());
    lines.feed(bytes, &mut |line| decoder.look_ahead(&line));
    lines = Lines::new(0, None);
    let mut take = |line: crate::lines::Line<'_>| pieces.push(Piece::of(line.offset, &decoder.text(&line)));
    lines.feed(bytes, &mut take);
    lines.finish(&mut take);
    let encoding = decoder.name();
    let original: String = pieces.iter().flat_map(|piece| [piece.text.as_str(), "\n"]).collect();
    let (pieces, taken_off) = without_decoration(pieces);
    let (mut text, mut places) = (String::new(), Vec::new());
    for piece in &pieces {
        places.push((text.len() as u64, piece.place));
        text.push_str(&piece.text);
        text.push('\n');
    }
    if taken_off.is_empty() || understood(&text, file, reading) <= understood(&original, file, reading) {
        return None;
    }
    Some(Plain { text, encoding, taken_off, places })
}

fn without_decoration(mut pieces: Vec<Piece>) -> (Vec<Piece>, Vec<&'static str>) {
    type Step = fn(Vec<Piece>) -> Vec<Piece>;
    const STEPS: [(&str, Step); 9] = [
        ("characters of no log", characters::plain),
        ("quoted-printable", characters::printable),
        ("tags", tags::off),
        ("Markdown", tags::markdown),
        ("marks before lines", marks::off),
        ("a table", tables::off),
        ("line breaks", wraps::off),
        ("entities", entities),
        ("lost marks", dollars),
    ];
    let mut taken_off: Vec<&'static str> = Vec::new();
    for _ in 0..ROUNDS {
        let before = texts(&pieces);
        for (name, step) in STEPS {
            let was = texts(&pieces);
            pieces = step(pieces);
            // Removed blank lines are not reported.
            if texts(&pieces) != was && !taken_off.contains(&name) {
                taken_off.push(name);
            }
        }
        if texts(&pieces) == before {
            break;
        }
    }
    (pieces, taken_off)
}

fn texts(pieces: &[Piece]) -> Vec<String> {
    pieces.iter().filter(|piece| !piece.text.trim().is_empty()).map(|piece| piece.text.clone()).collect()
}

fn entities(pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.into_iter().map(|piece| Piece { text: characters::entities(&piece.text), ..piece }).collect()
}

/// Restores the `$$` that formula markup and mailers remove, where component, time and thread are still present.
fn dollars(pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.into_iter().map(|piece| Piece { text: with_dollars(&piece.text), ..piece }).collect()
}

fn with_dollars(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'<', rest.as_bytes()) {
        let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let inner = behind.get(1..).unwrap_or_default();
        let tail =
            if before.ends_with("$$") { None } else { server::tail(inner).filter(|tail| tail.complete && is_name(tail.component)) };
        match tail {
            Some(tail) => {
                out.push_str(before.trim_end_matches(['$', '\\']));
                out.push_str("$$<");
                let (marks, after) = inner.split_at_checked(tail.end).unwrap_or((inner, ""));
                out.push_str(marks);
                rest = after;
            }
            None => {
                out.push_str(before);
                out.push('<');
                rest = inner;
            }
        }
    }
    out.push_str(rest);
    // A page treats `<COMPONENT>` as a tag and shows the rest.
    match out.trim_end().strip_suffix("$$") {
        Some(message) if !message.trim().is_empty() => message.trim_end().to_owned(),
        _ => out,
    }
}

fn is_name(component: &str) -> bool {
    !component.is_empty() && component.len() < 100 && !component.contains('<')
}

/// Whether a text begins a log line: a known message, or the leading marks of a form.
fn begins(text: &str) -> bool {
    let text = text.trim_start();
    vocabulary::begins_message(text) || CCM_OPEN.begins(text) || wsus::is_stamped(text) || setup::whole(text).is_some()
}

/// Whether a text ends in the marks that end a log line, with a message before them.
fn is_whole(text: &str) -> bool {
    let text = text.trim_end();
    if let Some(at) = CCM_CLOSE.rfind(text) {
        return text.ends_with('>')
            && text.get(at..).is_some_and(|marks| marks.contains("thread=") || marks.contains("date="))
            && parse(text).form == Form::Ccm
            && text.matches('"').count().is_multiple_of(2);
    }
    if let Some(at) = SERVER.rfind(text) {
        let tail = text.get(at + SERVER.len()..).and_then(server::tail);
        return tail.is_some_and(|tail| tail.complete) && !text.get(..at).unwrap_or_default().trim().is_empty();
    }
    let lost = text.ends_with('>') && text.contains("<thread=") && SERVER.rfind(&with_dollars(text)).is_some();
    lost || parse(text).form == Form::Viewer && !matches!(text.as_bytes().first(), Some(b'0'..=b'9'))
}

/// Score of one way to read a text, to compare two of them.
fn understood(text: &str, file: &str, reading: &Reading) -> i64 {
    let mut count = Count(0);
    let mut reader = Reader::new(SiteCode::UNKNOWN, file, reading, &Resume::default());
    let mut events = Vec::new();
    reader.feed_observed(text.as_bytes(), &mut events, &mut count);
    reader.finish_observed(&mut events, &mut count);
    count.0
}

struct Count(i64);

impl Observer for Count {
    fn record(&mut self, record: &Record<'_>, _: Written, understood: Understood, events: &[Event]) {
        if record.raw.trim().is_empty() {
            return;
        }
        let stamped = record.stamp != Stamp::Absent;
        // A status message with readable fields scores higher than its number alone.
        let fields =
            |event: &Event| matches!(&event.kind, EventKind::StatusMessage(message) if message.component.starts_with("SMS_"));
        self.0 += 5 * i64::from(events.iter().any(fields));
        self.0 += match understood {
            Understood::Typed if stamped => 20,
            Understood::Typed => 10,
            Understood::Quiet | Understood::Foreign => 2,
            Understood::Noticed if stamped => 1,
            // A fragment of a line scores below no line.
            Understood::Noticed | Understood::Unknown => -3,
        };
    }
}

#[cfg(test)]
mod tests;
