//! Client-style lines: `<![LOG[text]LOG]!><time="…" date="…" component="…" … type="…" thread="…" …>`. The text may span lines.

use super::fields::{Scan, month_day_year};
use super::marks::{CCM_CLOSE as CLOSE, CCM_OPEN as OPEN};
use super::server::minutes;
use super::{Form, Level, Record, Stamp};

/// Parses a line that holds exactly one record.
pub fn whole(raw: &str) -> Option<Record<'_>> {
    (OPEN.begins(raw) && raw.as_bytes().last() == Some(&b'>') && OPEN.rfind(raw) == Some(0)).then(|| parse(raw)).flatten()
}

/// Whether a line begins a record that does not end on it.
pub fn is_open(text: &str) -> bool {
    OPEN.begins(text.trim_start_matches(['[', ' ', '\t'])) && !is_complete(text)
}

/// Whether the last record that begins in the text also ends in it.
pub fn is_complete(text: &str) -> bool {
    match (OPEN.rfind(text), CLOSE.rfind(text)) {
        (Some(open), Some(close)) => close > open,
        (open, _) => open.is_none(),
    }
}

/// Splits a text before each record that begins after the end of another.
pub fn split_first(text: &str) -> Option<(&str, &str)> {
    let close = CLOSE.find(text)?;
    let next = OPEN.find(text.get(close..)?)?;
    text.split_at_checked(close + next)
}

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    let start = OPEN.find(raw)? + OPEN.len();
    let end = CLOSE.rfind(raw).filter(|end| *end >= start)?;
    let (message, attributes) = (raw.get(start..end)?, raw.get(end + CLOSE.len()..)?);
    let mut record = Record::new(Form::Ccm, raw, message);
    let (mut date, mut time) = (None, None);
    let mut rest = attributes.trim_start_matches('<');
    while let Some((name, tail)) = rest.split_once("=\"") {
        let Some((value, tail)) = tail.split_once('"') else { break };
        rest = tail;
        match name.trim_start() {
            "date" => date = Some(value),
            "time" => time = Some(value),
            "component" => record.component = value,
            "thread" => record.thread = value.parse().unwrap_or(0),
            "type" => {
                record.level = match value {
                    "2" => Level::Warning,
                    "3" => Level::Error,
                    _ => Level::Info,
                }
            }
            _ => {}
        }
    }
    record.stamp = stamp(date?, time?)?;
    Some(record)
}

/// Managed writers omit the bias.
fn stamp(date: &str, time: &str) -> Option<Stamp<'static>> {
    let date = month_day_year(date)?;
    let mut scan = Scan::new(time);
    let local = date.to_datetime(scan.time()?);
    let Some(sign) = scan.one_of(b"+-") else { return (scan.left() == 0).then_some(Stamp::Local(local)) };
    let bias = i32::try_from(scan.number(5)?).ok()?;
    let bias = minutes(if sign == b'-' { -bias } else { bias })?;
    (scan.left() == 0).then_some(Stamp::Biased(local, bias))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_records_share_a_line() {
        let one =
            "<![LOG[a]LOG]!><time=\"1:00:00.1\" date=\"1-1-2026\" component=\"C\" context=\"\" type=\"1\" thread=\"7\" file=\"\">";
        let both = format!("{one}{one}");
        assert_eq!(split_first(&both), Some((one, one)));
        assert_eq!(split_first(one), None);
    }
}
