//! One file, from bytes to events: joins the stages from `lines` to `recognise`.
//!
//! Pure. Its [`Resume`] is the state from which reading resumes after a restart.

use encoding_rs::Encoding;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use supwatch_model::event::Event;
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use crate::assemble::{Assembler, Decoded};
use crate::clock::{Calibration, Clock};
use crate::encoding::{Decoder, Sample};
use crate::lines::{Framing, Line, Lines};
use crate::parse::{self, Form, Record};
use crate::recognise::{Memory, Recogniser, Understood, Written};

/// Options for reading the logs of a site.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Code page of text that is not UTF-8.
    pub code_page: Option<&'static Encoding>,
    /// Time zone of local times without one.
    pub zone: Option<TimeZone>,
}

/// State from which reading of a file resumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resume {
    /// Offset of the first unfinished record.
    pub offset: u64,
    /// State of the line splitter.
    pub framing: Option<Framing>,
    /// Calibration of the file's clock.
    pub clock: Calibration,
    /// Sample on which the code page was guessed.
    pub sample: Sample,
    /// Time of its newest line.
    pub last: Option<Timestamp>,
    /// Certainty of that time.
    pub last_certainty: Option<Certainty>,
    /// State of the recogniser.
    pub memory: Memory,
}

/// Counters of a file's lines and records; `analyze` shows them.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Lines with text.
    pub lines: u64,
    /// Recognised lines: typed, known to be irrelevant, or written by another component.
    pub recognised: u64,
    /// Typed lines: events, or progress that is reported thinned.
    pub typed: u64,
    /// Records whose marks were repaired.
    pub mended: u64,
    /// Records by form, in the order of [`Form::ALL`].
    forms: [u64; Form::ALL.len()],
    /// Newest time of known zone.
    pub newest_sure: Option<Timestamp>,
    /// Newest time of all.
    pub newest: Option<Timestamp>,
}

impl Counters {
    /// Records by form, of the forms that occur.
    pub fn forms(&self) -> impl Iterator<Item = (Form, u64)> {
        Form::ALL.into_iter().zip(self.forms).filter(|(_, count)| *count > 0)
    }
}

/// Reads one file.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
    rest: AfterLines,
}

/// The stages after line splitting, kept in a separate struct because a line is borrowed while they run.
#[derive(Debug)]
struct AfterLines {
    decoder: Decoder,
    assembler: Assembler,
    records: Records,
}

#[derive(Debug)]
struct Records {
    recogniser: Recogniser,
    counters: Counters,
}

/// Receives every record with its classification and events.
pub trait Observer {
    /// A record: its time, its classification, and its events.
    fn record(&mut self, record: &Record<'_>, written: Written, understood: Understood, events: &[Event]);
}

impl Observer for () {
    fn record(&mut self, _: &Record<'_>, _: Written, _: Understood, _: &[Event]) {}
}

impl Reader {
    /// Starts, or resumes where an earlier reader stopped.
    pub fn new(site: SiteCode, file: &str, reading: &Reading, resume: &Resume) -> Reader {
        let clock = Clock::new(reading.zone.clone(), resume.clock.clone(), resume.last.zip(resume.last_certainty));
        Reader {
            lines: Lines::new(resume.offset, resume.framing),
            rest: AfterLines {
                decoder: Decoder::new(reading.code_page, resume.sample.clone()),
                assembler: Assembler::default(),
                records: Records {
                    recogniser: Recogniser::new(site, file, clock, resume.memory.clone()),
                    counters: Counters::default(),
                },
            },
        }
    }

    /// Looks at the beginning of a file before it is read, so that its first lines benefit from later ones: the
    /// code page, the offset from UTC (first GMTDATE), the order of dates.
    pub fn look_ahead(&mut self, beginning: &[u8]) {
        let mut lines = Lines::new(0, self.lines.framing());
        let AfterLines { decoder, records, .. } = &mut self.rest;
        lines.feed(beginning, &mut |line| decoder.look_ahead(&line));
        let (mut lines, mut assembler) = (Lines::new(0, self.lines.framing()), Assembler::default());
        let mut clock = records.recogniser.clock.clone();
        lines.feed(beginning, &mut |line| {
            let text = decoder.clone().text(&line);
            assembler.push(Decoded { offset: line.offset, length: line.length, text: &text }, &mut |record| {
                clock.resolve(&record.stamp, parse::gmtdate(record.message));
            });
        });
        let learnt = &mut records.recogniser.clock.learnt;
        // A resumed file's own calibration is newer.
        if learnt.calibrations.is_empty() {
            learnt.calibrations = clock.learnt.calibrations;
        }
        learnt.order = learnt.order.or(clock.learnt.order);
    }

    /// Parses the next bytes.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        self.feed_observed(bytes, out, &mut ());
    }

    /// Parses the next bytes and passes each record to an observer.
    pub fn feed_observed(&mut self, bytes: &[u8], out: &mut Vec<Event>, observer: &mut impl Observer) {
        let Reader { lines, rest } = self;
        lines.feed(bytes, &mut |line| rest.line(&line, out, observer));
    }

    /// See [`Lines::give_back_trailing_nuls`].
    pub fn give_back_trailing_nuls(&mut self) -> u64 {
        self.lines.give_back_trailing_nuls()
    }

    /// Completes, after a quiet time, the record that waits for more lines.
    pub fn idle(&mut self, out: &mut Vec<Event>) {
        self.rest.idle(out, &mut ());
    }

    /// Ends the file.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        self.finish_observed(out, &mut ());
    }

    /// Ends the file and passes the last records to an observer.
    pub fn finish_observed(&mut self, out: &mut Vec<Event>, observer: &mut impl Observer) {
        let Reader { lines, rest } = self;
        lines.finish(&mut |line| rest.line(&line, out, observer));
        rest.idle(out, observer);
        rest.records.recogniser.release(out);
    }

    /// The state from which to resume.
    pub fn resume(&self) -> Resume {
        let clock = &self.rest.records.recogniser.clock;
        Resume {
            offset: self.offset(),
            framing: self.lines.framing(),
            clock: clock.learnt.clone(),
            sample: self.rest.decoder.sample().clone(),
            last: clock.last.map(|(time, _)| time),
            last_certainty: clock.last.map(|(_, certainty)| certainty),
            memory: self.rest.records.recogniser.memory(),
        }
    }

    /// The state with which the next generation of the same log starts.
    pub fn next_generation(&self) -> Resume {
        Resume { offset: 0, framing: None, ..self.resume() }
    }

    /// Offset of the first unfinished record.
    pub fn offset(&self) -> u64 {
        self.rest.assembler.open_offset().unwrap_or_else(|| self.lines.resume_offset())
    }

    /// Counters of the file so far.
    pub fn counters(&self) -> &Counters {
        &self.rest.records.counters
    }

    /// Number of records assembled from several lines.
    pub fn joined(&self) -> u64 {
        self.rest.assembler.joined()
    }

    /// The encoding's name.
    pub fn encoding_name(&self) -> &'static str {
        self.rest.decoder.name()
    }
}

impl AfterLines {
    fn line(&mut self, line: &Line<'_>, out: &mut Vec<Event>, observer: &mut impl Observer) {
        let AfterLines { decoder, assembler, records } = self;
        let text = decoder.text(line);
        let decoded = Decoded { offset: line.offset, length: line.length, text: &text };
        assembler.push(decoded, &mut |record| records.take(record, out, observer));
    }

    fn idle(&mut self, out: &mut Vec<Event>, observer: &mut impl Observer) {
        let AfterLines { assembler, records, .. } = self;
        assembler.flush(&mut |record| records.take(record, out, observer));
    }
}

impl Records {
    fn take(&mut self, record: &Record<'_>, out: &mut Vec<Event>, observer: &mut impl Observer) {
        let before = out.len();
        let understood = self.recogniser.recognise(record, out);
        observer.record(record, self.recogniser.written, understood, out.get(before..).unwrap_or_default());
        let counters = &mut self.counters;
        if let (Some(time), certainty) = self.recogniser.written {
            counters.newest = counters.newest.max(Some(time));
            if certainty != Certainty::Local {
                counters.newest_sure = counters.newest_sure.max(Some(time));
            }
        }
        if record.raw.trim_ascii_start().is_empty() {
            return;
        }
        let lines = record.lines;
        counters.lines += lines;
        if let Some(count) = counters.forms.get_mut(record.form as usize) {
            *count += 1;
        }
        counters.mended += u64::from(record.mended);
        match understood {
            Understood::Typed => {
                counters.typed += lines;
                counters.recognised += lines;
            }
            Understood::Quiet | Understood::Foreign => counters.recognised += lines,
            Understood::Noticed | Understood::Unknown => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "Found parent sync notification file CEN.SYN.  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.000+0><thread=1 (0x1)>\r\n\
        Performing sync on parent request  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.500+0><thread=1 (0x1)>\r\n\
        sync: WSUS synchronizing updates, processed 1 out of 9 items (11%)  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.600+0><thread=1 (0x1)>\r\n\
        sync: WSUS synchronizing updates, processed 2 out of 9 items (22%)  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.700+0><thread=1 (0x1)>\r\n\
        Synchronizing update 1 - title  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.800+0><thread=1 (0x1)>\r\n\
        sync: WSUS synchronizing updates, processed 3 out of 9 items (33%)  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 03:59:59.900+0><thread=1 (0x1)>\r\n\
        Performing sync on regular schedule  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n\
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
        assert_eq!(whole.len(), 8);
        for stop in 0..bytes.len() {
            let (mut events, resume) = read(&bytes[..stop], &Resume::default());
            let kept = serde_json::to_string(&resume).expect("json");
            let resume: Resume = serde_json::from_str(&kept).expect("json");
            let (more, _) = read(&bytes[usize::try_from(resume.offset).expect("small")..], &resume);
            events.extend(more);
            assert_eq!(events, whole, "stopped at {stop}");
        }
    }

    #[test]
    fn first_lines_benefit_from_later_ones() {
        let log = "Starting Sync~  $$<SMS_WSUS_SYNC_MANAGER><Mon Aug 06 10:54:24.000 2007 東京の時間><thread=756 (0x2F4)>\r\n\
            STATMSG: ID=6701 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=S SITE=CEN PID=1 TID=2 GMTDATE=Mon Aug 06 01:54:25.519 2007 ISTR0=\"\" NUMATTRS=0  $$<SMS_WSUS_SYNC_MANAGER><Mon Aug 06 10:54:25.519 2007 東京の時間><thread=756 (0x2F4)>\r\n\
            同期に失敗しました  $$<SMS_WSUS_SYNC_MANAGER><Mon Aug 06 10:54:26.000 2007 東京の時間><thread=756 (0x2F4)>\r\n";
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(log);
        let mut reader = Reader::new(SiteCode::UNKNOWN, "wsyncmgr.log", &Reading::default(), &Resume::default());
        let mut out = Vec::new();
        reader.look_ahead(&bytes);
        reader.feed(&bytes, &mut out);
        let first = out.first().expect("an event");
        assert_eq!(first.time.map(|time| time.to_string()).as_deref(), Some("2007-08-06T01:54:24Z"));
        assert_eq!((first.time_certainty, reader.encoding_name()), (Certainty::Calibrated, "Shift_JIS"));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(crate::invariants::cases(10_000)))]

        #[test]
        fn any_split_of_any_log_gives_the_same_events(
            text in proptest::collection::vec(proptest::prelude::prop_oneof![
                proptest::prelude::Just("Sync failed: x. Source: y  "),
                proptest::prelude::Just("sync: WSUS synchronizing updates, processed 3 out of 9 items (33%)  "),
                proptest::prelude::Just("Synchronizing update 1 - title  "),
                proptest::prelude::Just("$$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n"),
                proptest::prelude::Just("$$<SMS_WSUS_SYNC_MANAGER><Mon Aug 06 10:54:26.000 2007 Mitteleurop\u{e4}ische Zeit>"),
                proptest::prelude::Just("<![LOG["), proptest::prelude::Just("]LOG]!>"),
                proptest::prelude::Just("STATMSG: ID=6703 "), proptest::prelude::Just("NUMATTRS=0"),
                proptest::prelude::Just("Meldung: x"), proptest::prelude::Just("Quelle: UpdateServices.X"),
                proptest::prelude::Just("2026-03-01 04:05:06.789 UTC\tError\tw3wp.94\tA.B\tfailed"),
                proptest::prelude::Just("\n"), proptest::prelude::Just("\u{feff}"), proptest::prelude::Just(" SMS_WSUS_SYNC_MANAGER\n"),
            ], 0..14),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..6),
            at in 0usize..200,
            sizes in proptest::collection::vec(1usize..40, 1..6),
        ) {
            let mut bytes = text.concat().into_bytes();
            let at = at.min(bytes.len());
            bytes.splice(at..at, noise);
            crate::invariants::recognise(&bytes, &sizes);
        }
    }
}
