//! Copies from a log viewer: text, component, local time and thread between tabs, often with a trailing tab.

use super::fields::{clock, month_day_year, thread};
use super::{Form, Parsed, Stamp};

pub(super) fn parse(text: &str) -> Option<Parsed> {
    let columns: Vec<&str> = text.trim_end_matches(['\t', '\r', ' ']).split('\t').collect();
    let [message @ .., component, when, threads] = columns.as_slice() else { return None };
    if message.is_empty() {
        return None;
    }
    Some(Parsed {
        form: Form::Viewer,
        message: message.join("\t").trim_end().to_owned(),
        component: component.trim().to_owned(),
        thread: thread(threads)?,
        stamp: Stamp::Local(local(when.trim())?),
    })
}

/// `M/D/YYYY h:mm:ss[ AM|PM]`
fn local(text: &str) -> Option<jiff::civil::DateTime> {
    let mut words = text.split(' ');
    let date = month_day_year(words.next()?, '/')?;
    let time = clock(words.next()?)?;
    let hour = match (words.next(), time.hour()) {
        (None, hour) => hour,
        (Some("AM"), 12) => 0,
        (Some("AM"), hour) => hour,
        (Some("PM"), 12) => 12,
        (Some("PM"), hour) => hour + 12,
        _ => return None,
    };
    time.with().hour(hour).build().ok().map(|time| date.to_datetime(time))
}
