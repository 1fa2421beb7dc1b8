//! `supwatch-agent read`: how a log is parsed, line by line, so that an operator sees why a line was not recognised.

use std::io::{Read, Write};
use std::path::Path;

use jiff::Timestamp;
use supwatch_model::event::Event;
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use supwatch_reading::parse::{Form, Record};
use supwatch_reading::reader::{Observer, Reader, Reading, Resume};
use supwatch_reading::recognise::{Understood, Written};

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One line per record.
    Table,
    /// The events alone, as JSON lines: what the agent would send.
    Json,
}

/// Reads a log and writes how each record was parsed.
pub fn read(path: &Path, reading: &Reading, shape: Shape, out: &mut dyn Write) -> std::io::Result<()> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut file = std::fs::File::open(path).map_err(named)?;
    let mut reader = Reader::new(SiteCode::UNKNOWN, &name, reading, &Resume::default());
    let mut table = Table { out, line: 1, shape, result: Ok(()) };
    let (mut events, mut chunk, mut first) = (Vec::new(), Vec::new(), true);
    loop {
        chunk.clear();
        (&mut file).take(1 << 20).read_to_end(&mut chunk).map_err(named)?;
        if chunk.is_empty() {
            break;
        }
        if std::mem::take(&mut first) {
            reader.look_ahead(&chunk);
        }
        reader.feed_observed(&chunk, &mut events, &mut table);
        table.events(&mut events);
    }
    reader.finish_observed(&mut events, &mut table);
    table.events(&mut events);
    let result = table.result;
    if shape == Shape::Table {
        summary(path, &reader, out)?;
    }
    result
}

struct Table<'a> {
    out: &'a mut dyn Write,
    line: u64,
    shape: Shape,
    result: std::io::Result<()>,
}

impl Table<'_> {
    fn events(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            if self.shape == Shape::Json && self.result.is_ok() {
                let text = serde_json::to_string(&event).unwrap_or_default();
                self.result = writeln!(self.out, "{text}");
            }
        }
    }
}

impl Observer for Table<'_> {
    fn record(&mut self, record: &Record<'_>, written: Written, understood: Understood, events: &[Event]) {
        let line = self.line;
        // Records that share a line, or span several, are numbered in order.
        let inside = record.raw.len() - record.raw.trim_start_matches('\n').len();
        let line = line + inside as u64;
        self.line += record.raw.matches('\n').count() as u64 + u64::from(record.length > 0);
        if self.shape == Shape::Json || record.raw.trim().is_empty() || self.result.is_err() {
            return;
        }
        let (time, certainty) = when(record, written);
        let kind = kind(record, understood, events);
        let message: String = record.message.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mended = if record.mended { " (mended)" } else { "" };
        let form = record.form.as_str();
        self.result = writeln!(self.out, "{line:>6}  {form:<11}  {time:<24}  {certainty:<10}  {kind:<20}  {message}{mended}");
    }
}

fn when(record: &Record<'_>, (time, certainty): Written) -> (String, &'static str) {
    let has_stamp = record.stamp != supwatch_reading::parse::Stamp::Absent;
    match time {
        Some(time) => (round(time), if has_stamp { certainty.as_str() } else { "before" }),
        None => ("-".to_owned(), "-"),
    }
}

fn round(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The kind of event, or why there is none.
fn kind(record: &Record<'_>, understood: Understood, events: &[Event]) -> String {
    match understood {
        Understood::Typed | Understood::Noticed => events
            .iter()
            .find(|event| event.offset == record.offset)
            .map_or_else(|| "(thinned progress)".to_owned(), |event| event.kind.name().to_owned()),
        Understood::Quiet => "(known, no event)".to_owned(),
        Understood::Foreign => "(other component)".to_owned(),
        Understood::Unknown if record.form == Form::Bare => "(no form, unrecognised)".to_owned(),
        Understood::Unknown => "(unrecognised)".to_owned(),
    }
}

fn summary(path: &Path, reader: &Reader, out: &mut dyn Write) -> std::io::Result<()> {
    let counters = reader.counters();
    let forms: Vec<String> = counters.forms().map(|(form, count)| format!("{count} {}", form.as_str())).collect();
    writeln!(
        out,
        "{}: {}; {} lines, {} recognised, {} with a type, {} mended, {} records of several lines; forms: {}",
        path.display(),
        reader.encoding_name(),
        counters.lines,
        counters.recognised,
        counters.typed,
        counters.mended,
        reader.joined(),
        if forms.is_empty() { "none".to_owned() } else { forms.join(", ") }
    )?;
    if counters.newest.is_some() && counters.newest_sure.is_none() {
        let local = Certainty::Local.as_str();
        writeln!(out, "times are {local} times of unknown zone, shown unchanged; give --time-zone")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_shown_with_its_form_time_and_kind() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("wsyncmgr.log");
        let log = "Starting Sync  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+60><thread=1 (0x1)>\r\n\
            something new  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:01.000+60><thread=1 (0x1)>\r\n\
            plain\r\n";
        std::fs::write(&path, log).expect("log");
        let mut out = Vec::new();
        read(&path, &Reading::default(), Shape::Table, &mut out).expect("shown");
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "     1  server       2026-03-01T05:00:00.000Z  bias        step                  Starting Sync");
        assert_eq!(lines[1], "     2  server       2026-03-01T05:00:01.000Z  bias        (unrecognised)        something new");
        assert_eq!(lines[2], "     3  bare         2026-03-01T05:00:01.000Z  before      (no form, unrecognised)  plain");
        assert!(lines[3].contains("3 lines, 1 recognised, 1 with a type"), "{}", lines[3]);
        let mut out = Vec::new();
        read(&path, &Reading::default(), Shape::Json, &mut out).expect("shown");
        assert_eq!(String::from_utf8(out).expect("text").lines().count(), 1);
    }
}
