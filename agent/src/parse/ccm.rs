//! Client-style lines: `<![LOG[text]LOG]!><time="…" date="…" component="…" … thread="…" …>`. The text may span lines.

use super::fields::{clock, month_day_year};
use super::server::minutes;
use super::{Form, Parsed, Stamp};

const OPEN: &str = "<![LOG[";
const CLOSE: &str = "]LOG]!>";

/// Whether a line begins a record and does not end it.
pub(super) fn is_open(text: &str) -> bool {
    text.trim_start().trim_start_matches('[').starts_with(OPEN) && !is_complete(text)
}

/// Whether the last record begun in the text is ended in it.
pub(super) fn is_complete(text: &str) -> bool {
    match (text.rfind(OPEN), text.rfind(CLOSE)) {
        (Some(open), Some(close)) => close > open,
        (open, _) => open.is_none(),
    }
}

/// Splits a text at each record that begins behind the end of another.
pub(super) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(close) = rest.find(CLOSE) {
        let Some(next) = rest.get(close..).and_then(|tail| tail.find(OPEN)) else { break };
        let (head, tail) = rest.split_at(close + next);
        parts.push(head);
        rest = tail;
    }
    parts.push(rest);
    parts
}

pub(super) fn parse(text: &str) -> Option<Parsed> {
    let (_, rest) = text.split_once(OPEN)?;
    let (message, attributes) = rest.rsplit_once(CLOSE)?;
    let attribute = |name: &str| -> Option<&str> {
        let (_, rest) = attributes.split_once(name)?;
        rest.strip_prefix("=\"")?.split('"').next()
    };
    let stamp = stamp(attribute("date")?, attribute("time")?)?;
    Some(Parsed {
        form: Form::Ccm,
        message: message.to_owned(),
        component: attribute("component").unwrap_or_default().to_owned(),
        thread: attribute("thread").and_then(|text| text.parse().ok()).unwrap_or(0),
        stamp,
    })
}

/// Managed writers leave the bias out.
fn stamp(date: &str, time: &str) -> Option<Stamp> {
    let date = month_day_year(date, '-')?;
    Some(match time.find(['+', '-']) {
        Some(sign) => {
            let (time, bias) = time.split_at(sign);
            Stamp::Biased(date.to_datetime(clock(time)?), minutes(bias)?)
        }
        None => Stamp::Local(date.to_datetime(clock(time)?)),
    })
}
