//! One file, from bytes to events: joins `lines`, `parse`, `clock` and `recognise`.
//!
//! Pure. Its [`Resume`] is what must be kept to go on after a restart as if nothing had happened.

use encoding_rs::Encoding;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use supwatch_proto::event::{Event, EventKind};
use supwatch_proto::ids::SiteCode;

use crate::clock::Clock;
use crate::lines::{Framing, Line, Lines};
use crate::parse::{Assembler, Form, Record};
use crate::recognise::Recogniser;

/// How the logs of a site are to be read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Code page of text that is not UTF-8.
    pub code_page: Option<&'static Encoding>,
    /// Zone of local times that tell none.
    pub zone: Option<TimeZone>,
}

/// Where and how to go on reading a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resume {
    /// First byte of the first record that was not finished.
    pub offset: u64,
    /// How the file is cut into lines.
    pub framing: Option<Framing>,
    /// Calibration of its clock, in minutes.
    pub calibration: Option<i32>,
    /// Time of its newest line.
    pub last: Option<Timestamp>,
}

/// What a file was made of; `analyze` shows it.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Lines with text.
    pub lines: u64,
    /// Lines that are understood: an event, or known to need none.
    pub recognised: u64,
    /// Records by form.
    pub forms: std::collections::BTreeMap<Form, u64>,
}

/// Reads one file.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    assembler: Assembler,
    recogniser: Recogniser,
    cut: Vec<Line>,
    records: Vec<Record>,
    tally: Tally,
}

impl Reader {
    /// Begins, or goes on where an earlier reader stopped.
    pub fn new(site: SiteCode, file: &str, reading: &Reading, resume: &Resume) -> Reader {
        let clock = Clock {
            configured: reading.zone.clone(),
            calibration: resume.calibration,
            last: resume.last.map(|time| (time, supwatch_proto::time::Certainty::Local)),
        };
        Reader {
            lines: Lines::new(resume.offset, resume.framing, reading.code_page),
            assembler: Assembler::default(),
            recogniser: Recogniser::new(site, file, clock),
            cut: Vec::new(),
            records: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        self.lines.feed(bytes, &mut self.cut);
        self.assemble(out);
    }

    /// See [`Lines::give_back_trailing_nuls`].
    pub fn give_back_trailing_nuls(&mut self) -> u64 {
        self.lines.give_back_trailing_nuls()
    }

    /// Gives the record that waits for more lines: the writer has been quiet for a while.
    pub fn idle(&mut self, out: &mut Vec<Event>) {
        self.assembler.flush(&mut self.records);
        self.recognise(out);
    }

    /// The file is finished.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        self.lines.finish(&mut self.cut);
        self.assemble(out);
        self.idle(out);
    }

    /// What to keep in order to go on later.
    pub fn resume(&self) -> Resume {
        Resume {
            offset: self.assembler.open_offset().unwrap_or_else(|| self.lines.resume_offset()),
            framing: self.lines.framing(),
            calibration: self.recogniser.clock.calibration,
            last: self.recogniser.clock.last.map(|(time, _)| time),
        }
    }

    /// What the file was made of so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The encoding's name.
    pub fn encoding_name(&self) -> &'static str {
        self.lines.encoding_name()
    }

    fn assemble(&mut self, out: &mut Vec<Event>) {
        for line in self.cut.drain(..) {
            self.assembler.push(&line, &mut self.records);
        }
        self.recognise(out);
    }

    fn recognise(&mut self, out: &mut Vec<Event>) {
        for record in self.records.drain(..) {
            let before = out.len();
            self.recogniser.recognise(&record, out);
            let typed =
                out.get(before..).is_some_and(|new| new.iter().any(|event| !matches!(event.kind, EventKind::Notice { .. })));
            if !record.raw.trim().is_empty() {
                let lines = record.raw.lines().count().max(1) as u64;
                self.tally.lines += lines;
                *self.tally.forms.entry(record.form).or_default() += 1;
                if typed || record.form != Form::Bare || Recogniser::is_known_line(&record) {
                    self.tally.recognised += lines;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "Performing sync on regular schedule  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n\
        <![LOG[Sync failed: two\r\nlines. Source: X]LOG]!><time=\"04:00:01.000+000\" date=\"03-01-2026\" component=\"SMS_WSUS_SYNC_MANAGER\" context=\"\" type=\"3\" thread=\"1\" file=\"\">\r\n\
        Sync failed. Will retry in 60 minutes  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:02.000+0><thread=1 (0x1)>\r\n";

    fn read(bytes: &[u8], resume: &Resume) -> (Vec<Event>, Resume) {
        let mut reader = Reader::new(SiteCode::UNKNOWN, "wsyncmgr.log", &Reading::default(), resume);
        let mut out = Vec::new();
        reader.feed(bytes, &mut out);
        let resume = reader.resume();
        (out, resume)
    }

    #[test]
    fn stopping_anywhere_and_going_on_gives_the_same_events() {
        let bytes = LOG.as_bytes();
        let (whole, _) = read(bytes, &Resume::default());
        assert_eq!(whole.len(), 3);
        for stop in 0..bytes.len() {
            let (mut events, resume) = read(&bytes[..stop], &Resume::default());
            let (more, _) = read(&bytes[usize::try_from(resume.offset).expect("small")..], &resume);
            events.extend(more);
            assert_eq!(events, whole, "stopped at {stop}");
        }
    }
}
