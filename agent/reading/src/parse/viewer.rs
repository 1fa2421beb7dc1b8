//! Copies from a log viewer: text, component, local time and thread in columns, separated by the original tabs or by blanks that
//! replaced them; or the date first, with no separator at all.
//!
//! The viewer writes dates in its user's locale, so [`crate::clock`] determines the order of day and month.

use jiff::civil::{Date, DateTime, Time};

use super::fields::{self, Scan, is_component, thread};
use super::marks::SERVER;
use super::{Form, Record, Stamp};

/// A date of three numbers in unknown order, and the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dated {
    first: u32,
    second: u32,
    third: u32,
    time: Time,
    separator: u8,
}

/// Order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DateOrder {
    /// Month first: `8/2/2024` is 2 August.
    MonthFirst,
    /// Day first: `2/8/2024` is 2 August.
    DayFirst,
}

impl Dated {
    /// The date in a given order; a leading year allows only one.
    pub fn in_order(self, order: DateOrder) -> Option<DateTime> {
        let Dated { first, second, third, time, .. } = self;
        let date: Option<Date> = match order {
            _ if first > 31 => fields::date(first, second, third),
            DateOrder::MonthFirst => fields::date(third, first, second),
            DateOrder::DayFirst => fields::date(third, second, first),
        };
        date.map(|date| date.to_datetime(time))
    }

    /// The order, if the numbers or their separator allow only one.
    pub fn order(self) -> Option<DateOrder> {
        match (self.in_order(DateOrder::MonthFirst), self.in_order(DateOrder::DayFirst)) {
            (Some(_), None) => Some(DateOrder::MonthFirst),
            (None, Some(_)) => Some(DateOrder::DayFirst),
            (Some(one), Some(other)) if one == other => Some(DateOrder::MonthFirst),
            // No locale puts the month first with dots.
            _ if self.separator == b'.' => Some(DateOrder::DayFirst),
            _ => None,
        }
    }
}

/// Parses a line with the viewer's original tabs.
pub fn whole(raw: &str) -> Option<Record<'_>> {
    (memchr::memrchr(b'\t', raw.as_bytes()).is_some() && SERVER.find(raw).is_none()).then(|| in_tabs(raw)).flatten()
}

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    if raw.contains('\t') { in_tabs(raw).or_else(|| in_blanks(raw)) } else { in_blanks(raw) }.or_else(|| date_first(raw))
}

fn in_tabs(raw: &str) -> Option<Record<'_>> {
    let trimmed = raw.trim_end_matches(['\t', '\r', ' ']);
    let (rest, threads) = trimmed.rsplit_once('\t')?;
    let (rest, when) = rest.rsplit_once('\t')?;
    let (message, component) = rest.rsplit_once('\t')?;
    let (dated, left) = dated(when.trim())?;
    left.is_empty().then_some(())?;
    Some(Record {
        component: component.trim(),
        thread: thread(threads)?,
        stamp: Stamp::Dated(dated),
        ..Record::new(Form::Viewer, raw, message.trim())
    })
}

/// `text COMPONENT M/D/YYYY h:mm:ss AM 9640 (0x25A8)`, parsed from its end.
fn in_blanks(raw: &str) -> Option<Record<'_>> {
    let text = raw.trim_end();
    // Fast rejection: every such line ends in a thread, with the digits of a time before it.
    let last = text.as_bytes().last()?;
    if !(last.is_ascii_hexdigit() || *last == b')' || text.ends_with('…')) || !text.contains('/') {
        return None;
    }
    let place = text.char_indices().rev().filter(|(_, c)| c.is_ascii_whitespace()).map(|(at, _)| at);
    for at in place.take(8) {
        let Some((dated, rest)) = text.get(at + 1..).and_then(dated) else { continue };
        let threads = thread(rest.trim())?;
        let (message, component) = split_name(text.get(..at)?.trim_end());
        return Some(Record {
            component,
            thread: threads,
            stamp: Stamp::Dated(dated),
            ..Record::new(Form::Viewer, raw, message.trim())
        });
    }
    None
}

/// The component before the date: a known component name, else the last word. Other names of several words cannot be recognised.
fn split_name(text: &str) -> (&str, &str) {
    let start = text.rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |blank| blank + 1);
    match text.split_at(start) {
        (message, name) if is_component(name) || start == 0 => (message, name),
        _ => (text, ""),
    }
}

/// `M/D/YYYY h:mm:ss AMtext`
fn date_first(raw: &str) -> Option<Record<'_>> {
    let text = raw.trim_start();
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let (dated, rest) = dated(text)?;
    // A number directly after the seconds belongs to something else.
    rest.starts_with([':', '+', '-', '.']).then_some(()).is_none().then_some(())?;
    Some(Record { stamp: Stamp::Dated(dated), ..Record::new(Form::Viewer, raw, rest.trim()) })
}

/// A date and time at the start of a text, and the rest: `8/2/2024 1:54:24 PM`, `02.08.2024 13:54:24`, `2024/08/02 午後 1:54:24`,
/// `08-14-2019 08:37:30.102`.
pub fn dated(text: &str) -> Option<(Dated, &str)> {
    let mut scan = Scan::new(text);
    let first = scan.number(4)?;
    let separator = scan.one_of(b"/.-")?;
    let second = scan.number(2)?;
    (scan.one_of(b"/.-")? == separator).then_some(())?;
    let third = scan.number(4)?;
    let rest = text.get(text.len() - scan.left()..)?.trim_start_matches([' ', ',', '\n']);
    let (half, rest) = half_day(rest);
    let mut scan = Scan::new(rest);
    let time = scan.time()?;
    let rest = rest.get(rest.len() - scan.left()..)?;
    let (half, rest) = match half {
        Some(half) => (Some(half), rest),
        None => match half_day(rest.trim_start()) {
            (Some(half), rest) => (Some(half), rest),
            (None, _) => (None, rest),
        },
    };
    let hour = match (half, time.hour()) {
        (None, hour) | (Some(Half::Before), hour @ 0..=11) | (Some(Half::After), hour @ 12..) => hour,
        (Some(Half::Before), 12) => 0,
        (Some(Half::After), hour) => hour + 12,
        (Some(Half::Before), _) => return None,
    };
    let time = time.with().hour(hour).build().ok()?;
    Some((Dated { first, second, third, time, separator }, rest))
}

#[derive(Clone, Copy)]
enum Half {
    Before,
    After,
}

/// AM or PM, in the languages of Windows that write it.
fn half_day(text: &str) -> (Option<Half>, &str) {
    const BEFORE: [&str; 6] = ["AM", "am", "午前", "上午", "오전", "a.m."];
    const AFTER: [&str; 6] = ["PM", "pm", "午後", "下午", "오후", "p.m."];
    let strip = |words: &[&str]| words.iter().find_map(|word| text.strip_prefix(word)).map(str::trim_start);
    match (strip(&BEFORE), strip(&AFTER)) {
        (Some(rest), _) => (Some(Half::Before), rest),
        (None, Some(rest)) => (Some(Half::After), rest),
        (None, None) => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[track_caller]
    fn check(line: &str, message: &str, component: &str, thread: u32, local: DateTime) {
        let record = parse(line);
        let Stamp::Dated(dated) = record.stamp else { panic!("{record:?}") };
        assert_eq!((record.form, record.message, record.component, record.thread), (Form::Viewer, message, component, thread));
        assert_eq!(dated.in_order(dated.order().unwrap_or(DateOrder::MonthFirst)), Some(local));
    }

    #[test]
    fn columns_with_tabs_without_them_and_the_date_first() {
        let at = jiff::civil::date(2024, 8, 2).at(13, 54, 24, 0);
        for line in [
            "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t8/2/2024 1:54:24 PM\t9640 (0x25A8)\t",
            "Starting Sync SMS_WSUS_SYNC_MANAGER 8/2/2024 1:54:24 PM 9640 (0x25A8)",
            "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t2024/08/02 13:54:24\t9640 (0x25…",
            "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t2024/08/02 午後 1:54:24\t9640 (0x25A8)",
            "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t02.08.2024 13:54:24\t9640 (0x25A8)",
        ] {
            check(line, "Starting Sync", "SMS_WSUS_SYNC_MANAGER", 9640, at);
        }
        check("8/2/2024 1:54:24 PMStarting Sync", "Starting Sync", "", 0, at);
        check("08-14-2019 08:37:30.102 Synchronizing", "Synchronizing", "", 0, {
            jiff::civil::date(2019, 8, 14).at(8, 37, 30, 102_000_000)
        });
        check("No error\tHardware Inventory Agent\t1/12/99 4:49:44 PM\t6E\t", "No error", "Hardware Inventory Agent", 0x6e, {
            jiff::civil::date(1999, 1, 12).at(16, 49, 44, 0)
        });
    }

    #[test]
    fn the_order_is_known_only_where_numbers_leave_no_choice() {
        let order = |text: &str| dated(text).and_then(|(dated, _)| dated.order());
        assert_eq!(order("8/2/2024 1:54:24 PM"), None);
        assert_eq!(order("8/22/2024 1:54:24 PM"), Some(DateOrder::MonthFirst));
        assert_eq!(order("22/8/2024 13:54:24"), Some(DateOrder::DayFirst));
        assert_eq!(order("02.08.2024 13:54:24"), Some(DateOrder::DayFirst));
    }
}
