//! Server lines, `text $$<COMPONENT><stamp><thread=N (0xN)>`, of 2012 and later (numeric bias) and of 2007 (zone name).
//!
//! **UTC = local + bias**: the bias is the Windows one, positive west of Greenwich. The text may contain `$$<` itself, so the
//! last one followed by a stamp counts; two whole records may share a line.

use super::fields::{Scan, asctime, date, hexadecimal, month_day_year, thread};
use super::marks::SERVER;
use super::{Form, Record, Stamp};

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    let at = SERVER.rfind(raw)?;
    let tail = tail(raw.get(at + SERVER.len()..)?)?;
    // [`super::mended`] handles a thread in broken marks.
    if !tail.complete && raw.get(at..)?.contains("thread=") {
        return None;
    }
    let message = raw.get(..at)?.trim_end();
    Some(Record { component: tail.component, thread: tail.thread, stamp: tail.stamp, ..Record::new(tail.form, raw, message) })
}

/// Parses a line that holds exactly one record.
pub fn whole(raw: &str) -> Option<Record<'_>> {
    if raw.as_bytes().last() != Some(&b'>') {
        return None;
    }
    let at = SERVER.rfind(raw)?;
    let (message, rest) = (raw.get(..at)?, raw.get(at + SERVER.len()..)?);
    let tail = tail(rest).filter(|tail| tail.complete && tail.end == rest.len())?;
    // A mark in the text may belong to another record.
    if message.is_empty() || SERVER.find(message).is_some() {
        return None;
    }
    let message = message.trim_end();
    Some(Record { component: tail.component, thread: tail.thread, stamp: tail.stamp, ..Record::new(tail.form, raw, message) })
}

/// Longest marks: a component's path, a stamp with a zone name, a thread.
const TAIL: usize = 600;

/// The text after the mark.
#[derive(Debug)]
pub(crate) struct Tail<'a> {
    pub component: &'a str,
    pub form: Form,
    pub stamp: Stamp<'a>,
    pub thread: u32,
    /// Bytes up to its last `>`.
    pub end: usize,
    /// Whether the thread is present, which ends a record.
    pub complete: bool,
}

/// `COMPONENT><stamp><thread=N (0xN)>`; blanks between the parts are optional, and the thread may be missing.
pub(crate) fn tail(text: &str) -> Option<Tail<'_>> {
    // Marks are short, while a hostile line may contain a thousand openings of some.
    let text = super::fields::head(text, TAIL);
    let (component, rest) = text.split_once('>')?;
    let rest = rest.trim_ascii_start().strip_prefix('<')?;
    let (stamp, rest) = rest.split_once('>')?;
    let (form, stamp) = bias_stamp(stamp).map(|stamp| (Form::Server, stamp)).or_else(|| zone_stamp(stamp))?;
    // `1995~`: SMS 1.x, whose threads are hexadecimal.
    let ancient = matches!(stamp, Stamp::Local(time) if time.year() < 1999);
    let threads = rest.trim_ascii_start().strip_prefix("<thread=").and_then(|rest| rest.split_once('>'));
    let (number, rest, complete) = match threads {
        Some((number, rest)) => (if ancient && !number.contains('(') { hexadecimal(number) } else { thread(number) }, rest, true),
        None => (None, rest, false),
    };
    let component = component.trim();
    Some(Tail { component, form, stamp, thread: number.unwrap_or(0), end: text.len() - rest.len(), complete })
}

/// The first complete record of a line that holds several, and the rest.
pub fn split_first(text: &str) -> Option<(&str, &str)> {
    let mut from = 0;
    while let Some(found) = SERVER.find(text.get(from..)?) {
        from += found + SERVER.len();
        if let Some(tail) = tail(text.get(from..)?).filter(|tail| tail.complete) {
            return text.split_at_checked(from + tail.end).filter(|(_, rest)| !rest.trim().is_empty());
        }
    }
    None
}

/// Whether a line ends inside the marks, so that the record continues on the next line.
pub fn is_torn(text: &str) -> bool {
    let Some(at) = SERVER.rfind(text) else { return false };
    let rest = text.get(at + SERVER.len()..).unwrap_or_default();
    match tail(rest) {
        Some(tail) => !tail.complete && rest.len() < 200,
        // An unclosed `<`, or a component alone.
        None => {
            rest.len() < 200
                && (rest.rfind('<') > rest.rfind('>') || !rest.contains('>') || rest.trim_end().matches('>').count() == 1)
        }
    }
}

/// `MM-DD-YYYY HH:MM:SS.mmm±BIAS`
fn bias_stamp(text: &str) -> Option<Stamp<'_>> {
    let mut scan = Scan::new(text);
    let numeric = (|| {
        let month = scan.number(2)?;
        scan.one_of(b"-")?;
        let day = scan.number(2)?;
        scan.one_of(b"-")?;
        let year = scan.number(4)?;
        scan.blanks();
        let date = date(year, month, day)?;
        let time = scan.time()?;
        let negative = scan.one_of(b"+-")? == b'-';
        let bias = i32::try_from(scan.number(5)?).ok()?;
        (scan.left() == 0).then_some((date.to_datetime(time), if negative { -bias } else { bias }))
    })();
    let (local, bias) = numeric.or_else(|| {
        // In this copy long dashes replaced the hyphens.
        let (day, time) = text.split_once(' ')?;
        let sign = time.rfind(['+', '-'])?;
        let (time, bias) = time.split_at(sign);
        Some((month_day_year(day)?.to_datetime(super::fields::clock(time)?), bias.parse().ok()?))
    })?;
    minutes(bias).map(|bias| Stamp::Biased(local, bias))
}

/// A bias in minutes; no offset exceeds 24 hours.
pub(super) fn minutes(bias: i32) -> Option<i32> {
    Some(bias).filter(|minutes| minutes.abs() <= 24 * 60)
}

/// `Www Mon DD HH:MM:SS.mmm YYYY[ zone]`
fn zone_stamp(text: &str) -> Option<(Form, Stamp<'_>)> {
    let (local, zone) = asctime(text)?;
    Some((Form::Server2007, if zone.is_empty() { Stamp::Local(local) } else { Stamp::Zoned(local, zone) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_records_on_a_line_are_separated_and_a_mark_in_the_text_is_none() {
        let one = "a  $$<X><08-22-2016 04:15:01.917+420><thread=2868 (0xB34)>";
        assert_eq!(split_first(&format!("{one}b $$<X><08-22-2016 04:15:01.917+420><thread=1 (0x1)>")).map(|(a, _)| a), Some(one));
        assert_eq!(split_first(one), None);
        assert_eq!(split_first(&format!("said $$<this> {one}")), None);
    }

    #[test]
    fn a_record_broken_inside_its_marks_is_torn() {
        for torn in [
            "x $$<SMS_DESPOOLER><Mon Dec 04 15:41:45",
            "x $$<SMS_DESPOOLER>",
            "x $$<SMS_DESPOOLER><Mon Dec 04 15:41:45 1995~><thread=",
            "x $$<SMS_CLIENT",
            "x $$<C><Fri Sep 03 12:23:46.229 1999 Central Daylight Time>",
        ] {
            assert!(is_torn(torn), "{torn}");
        }
        assert!(!is_torn("x $$<C><08-22-2016 04:15:01.917+420><thread=2868 (0xB34)>"));
        assert!(!is_torn("plain"));
    }
}
