//! Small parsers that the tables of the logs share.

use supwatch_model::event::EventKind;

pub(super) use super::phrase::starts_with;
pub(super) use crate::parse::fields::head;

/// Longest text extracted from a line; the raw line has the rest.
const TEXT_LIMIT: usize = 1500;

/// The text after a phrase at the start of a message.
pub(super) fn after<'a>(message: &'a str, phrase: &str) -> Option<&'a str> {
    starts_with(message, phrase).then(|| message.get(phrase.len()..)).flatten().map(str::trim)
}

/// The text between two marks; to the end if the second is missing.
pub(super) fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = message.split_once(start)?.1;
    Some(rest.split_once(end).map_or(rest, |(found, _)| found))
}

/// The number at the start of a text.
pub(super) fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// `S, port: P, useSSL: B`, of which the port and SSL may be missing.
pub(super) fn connection(rest: &str) -> (String, Option<u16>, Option<bool>) {
    let mut parts = rest.split(',').map(str::trim);
    let server = one_line(parts.next().unwrap_or_default().trim_end_matches('.'));
    let (mut port, mut ssl) = (None, None);
    for part in parts {
        if let Some(text) = after(part, "port:") {
            port = number(text).and_then(|number| u16::try_from(number).ok());
        } else if let Some(text) = after(part, "useSSL:") {
            ssl = Some(text.eq_ignore_ascii_case("true"));
        }
    }
    (server, port, ssl)
}

/// Joins a message into one line: the product writes line breaks inside it as `~` or `~~`.
pub(super) fn one_line(text: &str) -> String {
    let text = head(text, TEXT_LIMIT).trim();
    if !text.contains(['~', '\n', '\r']) {
        return text.to_owned();
    }
    text.split(['~', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Longest list extracted from a line, in bytes of its words.
const LIST_LIMIT: usize = 16 * 1024;

/// The words of a list, as many as fit.
pub(super) fn bounded(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut left = LIST_LIMIT;
    words
        .take_while(|word| {
            let fits = word.len() + 2 <= left;
            left = left.saturating_sub(word.len() + 2);
            fits
        })
        .collect()
}

/// A text and the source it names: `text. Source: function`.
pub(super) fn text_and_source(rest: &str) -> (String, String) {
    let (text, source) = match rest.rfind(" Source: ") {
        Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at + " Source: ".len()..).unwrap_or_default()),
        None => (rest, ""),
    };
    (one_line(text).trim_end_matches('.').to_owned(), one_line(source))
}

/// A step with the rest of its line.
pub(super) fn step(step: &str, detail: &str) -> EventKind {
    EventKind::Step { step: step.to_owned(), detail: one_line(detail) }
}

/// Untyped trouble that the line itself calls a warning.
pub(super) fn warning(text: &str) -> EventKind {
    EventKind::Notice { severity: "warning".to_owned(), text: one_line(text) }
}

/// An error reported by a component.
pub(super) fn component_error(message: &str) -> EventKind {
    let (text, source) = text_and_source(message);
    EventKind::ComponentError { text, source }
}
