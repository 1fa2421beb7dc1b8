//! WSUS's own log, `SoftwareDistribution.log`: always UTC, tab-separated, with stack traces on the lines that follow.

use jiff::civil::Date;

use super::fields::clock;
use super::{Form, Parsed, Stamp};

/// Whether a line begins a record of this form.
pub(super) fn begins(text: &str) -> bool {
    stamp(text).is_some()
}

/// Whether a line belongs to the record before it: it begins no record of any form.
pub(super) fn continues(text: &str) -> bool {
    !begins(text) && !text.contains("$$<") && !text.contains("<![LOG[")
}

pub(super) fn parse(text: &str) -> Option<Parsed> {
    let (stamp, rest) = stamp(text)?;
    // A viewer drops the tabs: then level and process stand glued together and the message begins nowhere certain.
    let mut columns = rest.trim_start_matches('\t').splitn(4, '\t');
    let (Some(_level), Some(process), Some(method), Some(message)) =
        (columns.next(), columns.next(), columns.next(), columns.next())
    else {
        return Some(Parsed { form: Form::Wsus, message: rest.to_owned(), component: String::new(), thread: 0, stamp });
    };
    let thread = process.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(0);
    Some(Parsed { form: Form::Wsus, message: message.to_owned(), component: method.to_owned(), thread, stamp })
}

/// `YYYY-MM-DD HH:MM:SS.mmm UTC`, and what follows.
fn stamp(text: &str) -> Option<(Stamp, &str)> {
    let (day, rest) = text.split_once(' ')?;
    if day.len() != 10 {
        return None;
    }
    let (time, rest) = rest.split_once(' ')?;
    let rest = rest.strip_prefix("UTC")?;
    Some((Stamp::Utc(day.parse::<Date>().ok()?.to_datetime(clock(time)?)), rest))
}
