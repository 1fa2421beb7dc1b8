//! Dates, threads and component names as Configuration Manager writes them. Days and hours may lack a leading zero, and
//! blanks may have become line breaks.

use jiff::civil::{Date, DateTime, Time};

/// Whether a word looks like a component's name, such as `SMS_WSUS_SYNC_MANAGER`.
pub fn is_component(word: &str) -> bool {
    word.strip_prefix("SMS_").is_some_and(|rest| rest.len() > 2 && rest.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// The beginning of a text, limited in bytes.
pub fn head(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Reads a text byte by byte from its beginning.
pub struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    /// A reader of a text.
    pub fn new(text: &'a str) -> Scan<'a> {
        Scan(text.as_bytes())
    }

    /// A number of at most this many digits.
    pub fn number(&mut self, most: usize) -> Option<u32> {
        let mut value = 0;
        let mut count = 0;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first().filter(|_| count < most) {
            value = value * 10 + u32::from(digit - b'0');
            self.0 = rest;
            count += 1;
        }
        (count > 0).then_some(value)
    }

    /// One of these bytes.
    pub fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Skips blanks.
    pub fn blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Number of bytes left.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// `HH:MM:SS[.fraction]`; a fraction of any length up to nanoseconds.
    pub fn time(&mut self) -> Option<Time> {
        let hour = self.number(2)?;
        self.one_of(b":")?;
        let minute = self.number(2)?;
        self.one_of(b":")?;
        let second = self.number(2)?;
        let mut nanos = 0;
        if self.one_of(b".").is_some() {
            let before = self.left();
            nanos = self.number(9).unwrap_or(0);
            let digits = u32::try_from(before - self.left()).ok()?;
            nanos *= 10_u32.pow(9 - digits.min(9));
        }
        let small = |value: u32| i8::try_from(value).ok();
        Time::new(small(hour)?, small(minute)?, small(second)?, i32::try_from(nanos).ok()?).ok()
    }
}

/// `HH:MM:SS[.fraction]` and nothing else.
pub fn clock(text: &str) -> Option<Time> {
    let mut scan = Scan::new(text);
    let time = scan.time()?;
    (scan.left() == 0).then_some(time)
}

/// A numeric date; two-digit years are those of logs still in use.
pub fn date(year: u32, month: u32, day: u32) -> Option<Date> {
    let year = match year {
        0..=89 => year + 2000,
        90..=99 => year + 1900,
        _ => year,
    };
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// `M-D-YYYY`; in a copy a longer dash may replace the hyphen.
pub fn month_day_year(text: &str) -> Option<Date> {
    let mut parts = text.split(['-', '–', '—']);
    let (month, day, year) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str| text.parse::<u32>().ok();
    parts.next().is_none().then(|| date(number(year)?, number(month)?, number(day)?)).flatten()
}

/// `Www Mon DD HH:MM:SS[.mmm] YYYY[ zone]` → local time and the zone's name, which may be empty.
pub fn asctime(text: &str) -> Option<(DateTime, &str)> {
    let mut rest = text;
    let mut word = || -> Option<&str> {
        rest = rest.trim_start();
        let (head, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len()));
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

/// `9640 (0x25A8)` or `9640`; very old copies have only a hexadecimal number.
pub fn thread(text: &str) -> Option<u32> {
    let first = text.trim().split([' ', '(', '\n']).next()?;
    first.parse().ok().or_else(|| hexadecimal(first))
}

/// A thread of SMS 1.x, in hexadecimal without a prefix.
pub fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}
