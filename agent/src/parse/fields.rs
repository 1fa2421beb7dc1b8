//! Dates, threads and component names as Configuration Manager writes them. Days and hours may lack a leading zero.

use jiff::civil::{Date, DateTime, Time};

/// Whether a word looks like a component's name, such as `SMS_WSUS_SYNC_MANAGER`.
pub fn is_component(word: &str) -> bool {
    word.strip_prefix("SMS_").is_some_and(|rest| rest.len() > 2 && rest.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// `HH:MM:SS[.fraction]`; a fraction of any length, kept to nanoseconds.
pub fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let (hour, minute, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<i32>().ok()?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?, nanos).ok()
}

/// `M<separator>D<separator>YYYY`; two-digit years are those of a log that is still around.
pub fn month_day_year(text: &str, separator: char) -> Option<Date> {
    let mut parts = text.split(separator);
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let mut year: i16 = year.parse().ok()?;
    if (0..100).contains(&year) {
        year += if year >= 90 { 1900 } else { 2000 };
    }
    Date::new(year, month.parse().ok()?, day.parse().ok()?).ok()
}

/// `Www Mon DD HH:MM:SS[.mmm] YYYY[ zone]` → local time and the zone's name, which may be empty.
pub fn asctime(text: &str) -> Option<(DateTime, &str)> {
    let mut rest = text;
    let mut word = || -> Option<&str> {
        rest = rest.trim_start();
        let (head, tail) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        rest = tail;
        (!head.is_empty()).then_some(head)
    };
    let (_weekday, month, day, time, year) = (word()?, word()?, word()?, word()?, word()?);
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        .iter()
        .position(|name| *name == month)
        .and_then(|index| i8::try_from(index + 1).ok())?;
    let year = year.trim_end_matches('~');
    let date = Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    Some((date.to_datetime(clock(time)?), rest.trim()))
}

/// `9640 (0x25A8)` or `9640`; a hexadecimal number alone is what very old copies have.
pub fn thread(text: &str) -> Option<u32> {
    let first = text.trim().split([' ', '(']).next()?;
    first.parse().ok().or_else(|| u32::from_str_radix(first.trim_start_matches("0x"), 16).ok())
}
