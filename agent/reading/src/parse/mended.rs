//! Server lines whose marks were damaged in a copy: `$<` or `$$>` for `$$<`, `&<`, a missing or doubled `>`, no stamp at all.
//!
//! This form is tried last. Lines read this way are counted, so that an operator sees that a file was modified.

use super::fields::{asctime, clock, month_day_year, thread};
use super::{Form, Record, Stamp};

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    memchr::memchr(b'$', raw.as_bytes())?;
    let marks = ["$$<", "$$>", "$$&<", "$<"].into_iter().filter_map(|mark| raw.rfind(mark).map(|at| (at, mark)));
    let (at, mark) = marks.max_by_key(|(at, mark)| (at + mark.len(), mark.len()))?;
    let mut parts = raw.get(at + mark.len()..)?.split(['<', '>', '&']).map(str::trim).filter(|part| !part.is_empty());
    let component = parts.next().filter(|name| is_name(name))?;
    let (mut form, mut stamp, mut threads, mut broken) = (Form::Server2007, Stamp::Absent, 0, mark != "$$<");
    for part in parts {
        if let Some(number) = part.strip_prefix("thread=") {
            threads = thread(number)?;
            broken = true;
        } else if let Some((local, zone)) = asctime(part) {
            stamp = if zone.is_empty() { Stamp::Local(local) } else { Stamp::Zoned(local, zone) };
            broken = true;
        } else if let Some(biased) = biased(part) {
            (form, stamp) = (Form::Server, biased);
            broken = true;
        } else if !part.bytes().all(|byte| byte == b'.' || byte == b'/') && !part.eq_ignore_ascii_case("br/") {
            // Not part of a mark: the `$` was text.
            return None;
        }
    }
    let message = raw.get(..at)?.trim_end();
    Some(Record { component, thread: threads, stamp, mended: broken, ..Record::new(form, raw, message) })
}

/// Components are names, file names or paths.
fn is_name(text: &str) -> bool {
    text.len() < 100
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_ .\\:-\n".contains(c))
}

fn biased(text: &str) -> Option<Stamp<'_>> {
    let (day, time) = text.split_once(' ')?;
    let (time, bias) = time.split_at(time.rfind(['+', '-'])?);
    let bias = super::server::minutes(bias.parse().ok()?)?;
    Some(Stamp::Biased(month_day_year(day)?.to_datetime(clock(time)?), bias))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn typos_of_the_wild_are_read_and_marked() {
        let local = jiff::civil::date(1999, 4, 22).at(9, 36, 15, 716_000_000);
        for line in [
            "x $<APM><Thu Apr 22 09:36:15.716 1999><thread=561 (0x231)>",
            "x $$>APM><Thu Apr 22 09:36:15.716 1999><thread=561 (0x231)>",
            "x $$<APM><Thu Apr 22 09:36:15.716 1999>>thread=561 (0x231)>",
            "x $$<APM<Thu Apr 22 09:36:15.716 1999><thread=561 (0x231)>",
            "x $$&<APM&>&<Thu Apr 22 09:36:15.716 1999&>&<thread=561 (0x231)&>",
        ] {
            let record = parse(line);
            assert_eq!(
                (record.form, record.message, record.component, record.thread, record.stamp, record.mended),
                (Form::Server2007, "x", "APM", 561, Stamp::Local(local), true),
                "{line}"
            );
        }
    }

    #[test]
    fn a_component_alone_is_enough_and_money_is_not() {
        let record = parse("Reading the RAW file $$<SMS_INVENTORY_PROCESSOR>");
        assert_eq!((record.form, record.component, record.mended), (Form::Server2007, "SMS_INVENTORY_PROCESSOR", false));
        assert_eq!(parse("it costs $<5> or so").form, Form::Bare);
        assert_eq!(parse("$$<broken").form, Form::Server2007);
    }
}
