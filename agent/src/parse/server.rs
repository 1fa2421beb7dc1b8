//! Server lines, `text $$<COMPONENT><stamp><thread=N (0xN)>`, of 2012 and later (numeric bias) and of 2007 (zone name).
//!
//! **UTC = local + bias**: the bias is Windows' own, positive west of Greenwich.

use super::fields::{asctime, clock, month_day_year, thread};
use super::{Form, Parsed, Stamp};

pub(super) fn parse(text: &str) -> Option<Parsed> {
    // The text may hold `$$<` itself, so the last one counts.
    let (message, tail) = text.rsplit_once("$$<")?;
    let (component, tail) = tail.split_once('>')?;
    let (stamp, tail) = tail.strip_prefix('<')?.split_once('>')?;
    let (form, stamp) = bias_stamp(stamp).or_else(|| zone_stamp(stamp))?;
    let thread = tail.trim_start().strip_prefix("<thread=").and_then(|rest| thread(rest.trim_end_matches('>'))).unwrap_or(0);
    Some(Parsed { form, message: message.trim_end().to_owned(), component: component.to_owned(), thread, stamp })
}

/// `MM-DD-YYYY HH:MM:SS.mmm±BIAS`
fn bias_stamp(text: &str) -> Option<(Form, Stamp)> {
    let (day, time) = text.split_once(' ')?;
    let date = month_day_year(day, '-')?;
    let sign = time.rfind(['+', '-'])?;
    let (time, bias) = time.split_at(sign);
    Some((Form::Server, Stamp::Biased(date.to_datetime(clock(time)?), minutes(bias)?)))
}

/// A bias as written, such as `+480` or `-060`; no zone is further than 24 hours away.
pub(super) fn minutes(bias: &str) -> Option<i32> {
    bias.parse().ok().filter(|minutes: &i32| minutes.abs() <= 24 * 60)
}

/// `Www Mon DD HH:MM:SS.mmm YYYY[ zone]`
fn zone_stamp(text: &str) -> Option<(Form, Stamp)> {
    let (local, zone) = asctime(text)?;
    let stamp = if zone.is_empty() { Stamp::Local(local) } else { Stamp::Zoned(local, zone.to_owned()) };
    Some((Form::Server2007, stamp))
}
