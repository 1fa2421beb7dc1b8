//! Record → event, by one table of phrases per log.
//!
//! Pure, apart from per-file state: the clock, the requester of the next run, and the last reported progress. Facts only: a line
//! with "error" in it is at most an [`EventKind::ComponentError`] or [`EventKind::Notice`]; only 6703 and "Sync failed" mean that
//! a run failed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supwatch_model::event::{Event, EventKind, Trigger};
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use crate::clock::Clock;
use crate::parse::{self, Form, Level, Record};

pub mod localized;
mod phrase;
pub mod vocabulary;
mod accounts;
mod progress;
mod shared;
mod status_message;
mod supsetup;
mod text;
mod trouble;
mod wcm;
mod wsus;
mod wsusctrl;
mod wsyncmgr;

use phrase::Meaning;
use progress::Thinning;

/// Kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// WSUS Synchronization Manager.
    Wsyncmgr,
    /// WSUS Configuration Manager.
    Wcm,
    /// WSUS Control Manager.
    WsusCtrl,
    /// Software update point setup.
    SupSetup,
    /// WSUS itself.
    SoftwareDistribution,
    /// None of these.
    Other,
}

impl Log {
    /// The log's name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Log::Wsyncmgr => "wsyncmgr",
            Log::Wcm => "wcm",
            Log::WsusCtrl => "wsusctrl",
            Log::SupSetup => "supsetup",
            Log::SoftwareDistribution => "softwaredistribution",
            Log::Other => "other",
        }
    }

    /// From a record's component and form, which are more reliable than the file name.
    fn of_record(record: &Record<'_>) -> Option<Log> {
        match (record.form, record.component) {
            (_, "SMS_WSUS_SYNC_MANAGER") => Some(Log::Wsyncmgr),
            (_, "SMS_WSUS_CONFIGURATION_MANAGER") => Some(Log::Wcm),
            (_, "SMS_WSUS_CONTROL_MANAGER") => Some(Log::WsusCtrl),
            (Form::Wsus, _) => Some(Log::SoftwareDistribution),
            (Form::Setup, _) => Some(Log::SupSetup),
            (_, "") => None,
            _ => Some(Log::Other),
        }
    }

    /// From the file's name, the last resort.
    pub fn of_file(name: &str) -> Log {
        let name = name.to_ascii_lowercase();
        [
            ("wsyncmgr", Log::Wsyncmgr),
            ("wcm", Log::Wcm),
            ("wsusctrl", Log::WsusCtrl),
            ("supsetup", Log::SupSetup),
            ("softwaredistribution", Log::SoftwareDistribution),
        ]
        .into_iter()
        .find(|(stem, _)| name.contains(stem))
        .map_or(Log::Other, |(_, log)| log)
    }
}

/// Classification of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Understood {
    /// Typed: an event, or progress that is reported later or not at all.
    Typed,
    /// Untyped, but its wording suggests trouble.
    Noticed,
    /// Known and irrelevant.
    Quiet,
    /// Written by another component.
    Foreign,
    /// Unrecognised.
    Unknown,
}

/// Result of recognising a message.
enum Found<'a> {
    Kind(EventKind),
    /// Held back, unless it is due or the last of its kind.
    Progress {
        key: &'static str,
        last: bool,
        kind: Lazy<'a>,
    },
    /// A step whose line names an account.
    Private(&'static str),
    Quiet,
}

/// A progress event, built only when it is reported: thousands are not.
enum Lazy<'a> {
    Step(&'static str, &'a str),
    Progress { done: u64, total: u64, phase: &'static str },
}

impl Lazy<'_> {
    fn made(self) -> EventKind {
        match self {
            Lazy::Step(step, detail) => text::step(step, detail),
            Lazy::Progress { done, total, phase } => EventKind::RunProgress { done, total, phase: phase.to_owned() },
        }
    }
}

/// State of recognising a file, from line to line and across a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Site code of the requesting parent, until the run starts.
    asked_by: Option<String>,
    /// Whether setup lines belong to another role, according to the log.
    setup_of_other: bool,
    thinning: Thinning,
}

/// Turns the records of one file into events.
#[derive(Debug)]
pub struct Recogniser {
    site: SiteCode,
    file: String,
    by_name: Log,
    /// The file's clock.
    pub clock: Clock,
    /// When the newest record was written.
    pub written: Written,
    memory: Memory,
}

/// Longest raw line in an event: with the texts extracted from it, it must fit the spool and the collector.
pub const RAW_LIMIT: usize = 40 * 1024;

/// When a record was written, as far as its file shows.
pub type Written = (Option<Timestamp>, Certainty);

impl Recogniser {
    /// Creates a recogniser for one file of one site; [`SiteCode::UNKNOWN`] until a status message gives the code.
    pub fn new(site: SiteCode, file: &str, clock: Clock, memory: Memory) -> Recogniser {
        let by_name = Log::of_file(file);
        let written = (None, Certainty::Local);
        Recogniser { site, file: file.to_owned(), by_name, clock, written, memory }
    }

    /// State from which to resume after a restart.
    pub fn memory(&self) -> Memory {
        Memory { thinning: self.memory.thinning.kept(), ..self.memory.clone() }
    }

    /// The events of a record: usually none or one; held-back progress may precede it. Account names are removed first, so that
    /// no text of an event contains one.
    pub fn recognise(&mut self, record: &Record<'_>, out: &mut Vec<Event>) -> Understood {
        match accounts::without(record.raw) {
            None => self.recognise_clean(record, out),
            Some(raw) => {
                let clean = Record { offset: record.offset, length: record.length, lines: record.lines, ..parse::parse(&raw) };
                self.recognise_clean(&clean, out)
            }
        }
    }

    fn recognise_clean(&mut self, record: &Record<'_>, out: &mut Vec<Event>) -> Understood {
        let gmtdate = parse::gmtdate(record.message);
        let written = self.clock.resolve(&record.stamp, gmtdate);
        self.written = written;
        let log = Log::of_record(record);
        let message = trimmed(record.message);
        if record.form == Form::Setup && message.contains(" Setup Started") {
            self.memory.setup_of_other = !message.starts_with("SMSWSUS");
        }
        if log == Some(Log::Other) || (record.form == Form::Setup && self.memory.setup_of_other) {
            return Understood::Foreign;
        }
        let kind = match find(record, message, log, self.by_name) {
            Some(Found::Quiet) => return Understood::Quiet,
            Some(Found::Progress { key, last, kind }) => {
                if self.memory.thinning.is_due(key, written.0, last) {
                    out.push(self.event(record, written, kind.made()));
                } else {
                    self.memory.thinning.hold(key, record, written);
                }
                return Understood::Typed;
            }
            Some(Found::Private(step)) => {
                self.release(out);
                let mut event = self.event(record, written, text::step(step, ""));
                event.line = accounts::without_any(&event.line);
                out.push(event);
                return Understood::Typed;
            }
            Some(Found::Kind(kind)) => self.completed(kind, written.0),
            // WSUS does much besides synchronising, and states the severity itself.
            None if log == Some(Log::SoftwareDistribution) && record.level == Level::Info => return Understood::Quiet,
            None => match trouble::notice(message) {
                Some(kind) => {
                    self.release(out);
                    out.push(self.event(record, written, kind));
                    return Understood::Noticed;
                }
                None if log == Some(Log::SoftwareDistribution) => return Understood::Quiet,
                None => return Understood::Unknown,
            },
        };
        self.release(out);
        out.push(self.event(record, written, kind));
        Understood::Typed
    }

    /// Returns the progress that is held back, in written order.
    pub fn release(&mut self, out: &mut Vec<Event>) {
        for held in self.memory.thinning.take() {
            let record = held.record();
            let log = Log::of_record(&record);
            let kind = match find(&record, trimmed(record.message), log, self.by_name) {
                Some(Found::Progress { kind, .. }) => kind.made(),
                _ => continue,
            };
            out.push(self.event(&record, held.written, kind));
        }
    }

    /// Completes the event from earlier lines and the file's clock.
    fn completed(&mut self, kind: EventKind, time: Option<Timestamp>) -> EventKind {
        match kind {
            EventKind::ParentNotified { parent } => {
                self.memory.asked_by = Some(parent.to_string());
                EventKind::ParentNotified { parent }
            }
            EventKind::RunStarted { trigger: Trigger::Parent, scope, .. } => {
                let from = self.memory.asked_by.take().and_then(|code| code.parse().ok());
                EventKind::RunStarted { trigger: Trigger::Parent, from, scope }
            }
            EventKind::NextRun { at, next, .. } => {
                let at_utc = time.and_then(|line| self.clock.prove_after(&at, line));
                EventKind::NextRun { at, next, at_utc }
            }
            other => other,
        }
    }

    fn event(&self, record: &Record<'_>, (time, time_certainty): Written, kind: EventKind) -> Event {
        let log = Log::of_record(record).unwrap_or(self.by_name);
        Event {
            site: self.site,
            sequence: 0,
            time,
            time_certainty,
            log: log.as_str().to_owned(),
            file: self.file.clone(),
            offset: record.offset,
            component: text::head(record.component, 200).to_owned(),
            thread: record.thread,
            kind,
            line: text::head(record.raw, RAW_LIMIT).to_owned(),
        }
    }
}

/// A message without surrounding line breaks, byte order marks and blanks.
pub(crate) fn trimmed(message: &str) -> &str {
    message.trim_start_matches(['~', '?', ' ', '\t', '\n']).trim_end_matches(['~', ' ', '\t', '\r', '\n'])
}

/// Looks a message up in the table of its log; one of unknown origin is looked up in all tables.
fn find<'a>(record: &Record<'_>, message: &'a str, log: Option<Log>, by_name: Log) -> Option<Found<'a>> {
    if let Some(status) = status_message::read(message) {
        return Some(Found::Kind(EventKind::StatusMessage(status)));
    }
    match log {
        // Both components write some of the same lines.
        Some(Log::Wsyncmgr) => known(message, Some(Log::Wsyncmgr)).or_else(|| known(message, Some(Log::Wcm))),
        Some(Log::Wcm) => known(message, Some(Log::Wcm)).or_else(|| known(message, Some(Log::Wsyncmgr))),
        Some(Log::SoftwareDistribution) => known(message, log).or_else(|| wsus::by_level(record).map(Found::Kind)),
        Some(log) => known(message, Some(log)),
        None if by_name == Log::Other => known(message, None),
        None => known(message, Some(by_name)).or_else(|| known(message, None)),
    }
    .or_else(|| unusual(message, log))
}

/// Messages that a table of beginnings cannot describe.
fn unusual(message: &str, log: Option<Log>) -> Option<Found<'_>> {
    match log {
        Some(Log::Wsyncmgr | Log::Wcm) => wsyncmgr::unusual(message).map(Found::Kind),
        Some(Log::SupSetup) => supsetup::unusual(message).map(Found::Kind),
        Some(_) => None,
        // Copies and exports.
        None => wsyncmgr::unusual(message)
            .or_else(|| supsetup::unusual(message))
            .or_else(|| localized::read(message))
            .or_else(|| wsus::unusual(message))
            .map(Found::Kind)
            .or_else(|| wsus::is_property(message).then_some(Found::Quiet)),
    }
}

fn known(message: &str, log: Option<Log>) -> Option<Found<'_>> {
    let (phrase, rest) = vocabulary::find(message, log)?;
    Some(match phrase.meaning {
        Meaning::Typed(read) => Found::Kind(read(rest)?),
        Meaning::Progress(read) => match read(rest) {
            Some((done, total, phase)) => {
                Found::Progress { key: phase, last: done >= total, kind: Lazy::Progress { done, total, phase } }
            }
            None => Found::Kind(text::step("phase-working", rest)),
        },
        Meaning::Step(step) => Found::Kind(text::step(step, rest)),
        Meaning::Item(step) => Found::Progress { key: step, last: false, kind: Lazy::Step(step, rest) },
        Meaning::Account(step) => Found::Private(step),
        Meaning::Error => Found::Kind(text::component_error(message)),
        Meaning::Quiet => Found::Quiet,
    })
}

#[cfg(test)]
fn kind_of(message: &str, log: Option<Log>) -> Option<EventKind> {
    let record = parse::parse(message);
    match find(&record, trimmed(message), log, log.unwrap_or(Log::Other)) {
        Some(Found::Kind(kind)) => Some(kind),
        Some(Found::Progress { kind, .. }) => Some(kind.made()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Stamp;
    use supwatch_model::event::Scope;

    fn record(message: &str, second: i8) -> Record<'_> {
        Record {
            offset: 0,
            length: 0,
            lines: 1,
            form: Form::Server,
            raw: message,
            message,
            component: "SMS_WSUS_SYNC_MANAGER",
            thread: 1,
            stamp: Stamp::Biased(jiff::civil::date(2026, 3, 1).at(4, second / 60, second % 60, 0), 0),
            level: Level::Absent,
            mended: false,
        }
    }

    fn kinds(messages: &[&str]) -> Vec<EventKind> {
        let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default(), Memory::default());
        let mut out = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            recogniser.recognise(&record(message, i8::try_from(index * 20).unwrap_or(0)), &mut out);
        }
        out.into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn the_parent_that_asked_is_named_in_the_run_it_started() {
        let cen: SiteCode = "CEN".parse().expect("code");
        assert_eq!(
            kinds(&["Found parent sync notification file CEN.SYN.", "Performing sync on parent request"]),
            [
                EventKind::ParentNotified { parent: cen },
                EventKind::RunStarted { trigger: Trigger::Parent, from: Some(cen), scope: Scope::Unknown },
            ]
        );
    }

    #[test]
    fn progress_is_reported_first_last_and_once_a_minute() {
        let line = |done: u64| {
            format!(
                "sync: WSUS synchronizing updates, processed {done} out of 9 items ({}%)  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>",
                done * 11
            )
        };
        let lines: Vec<String> = (1..=6).map(line).collect();
        let done = |last: &str| -> Vec<u64> {
            let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default(), Memory::default());
            let mut out = Vec::new();
            for (index, line) in lines.iter().enumerate() {
                let at = record("", i8::try_from(index * 20).unwrap_or(0)).stamp;
                recogniser.recognise(&Record { stamp: at, ..parse::parse(line) }, &mut out);
            }
            recogniser.recognise(&record(last, 120), &mut out);
            out.into_iter()
                .filter_map(|event| if let EventKind::RunProgress { done, .. } = event.kind { Some(done) } else { None })
                .collect()
        };
        assert_eq!(done("a line of no meaning"), [1, 4]);
        assert_eq!(done("Sync succeeded. x"), [1, 4, 6], "the last one held back comes before what ends it");
    }

    #[test]
    fn an_event_of_an_over_long_line_still_fits_the_spool_and_the_collector() {
        let long = "東".repeat(crate::lines::LINE_LIMIT / 3);
        let strings: String = (0..10).map(|n| format!(" ISTR{n}=\"{long}\"")).collect();
        let many = "Product=東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東東, ".repeat(2000);
        for text in [
            format!("Sync failed: {long}. Source: {long}"),
            format!("System.Exception: {long}"),
            format!("STATMSG: ID=6703 SEV={long} COMP=\"{long}\" SYS={long}{strings} NUMATTRS=1 AID0=1 AVAL0=\"{long}\" LE={long}"),
            format!("Attempting connection to WSUS server: {long}, port: 1"),
            format!("Set content version of update source {{{long}}} for site X to 1"),
            format!("Requested categories: {many}"),
            format!("Failed to sync update {long}. Error: {long}. Source: {long}"),
            format!("Message: {long}. Source: CWSyncMgr{}", "x".repeat(60_000)),
        ] {
            let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default(), Memory::default());
            let mut out = Vec::new();
            recogniser.recognise(&Record { raw: &long, component: "", ..record(&text, 0) }, &mut out);
            let size: usize =
                out.drain(..).map(|event| prost::Message::encoded_len(&supwatch_proto::wire::Event::from(event))).sum();
            assert!(size > 0 && size < 72 * 1024, "{size} bytes: {}", text.get(..40).unwrap_or_default());
        }
    }

    #[test]
    fn another_components_words_are_its_own() {
        let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default(), Memory::default());
        let mut out = Vec::new();
        let foreign =
            Record { component: "SMS_AZUREAD_DISCOVERY_AGENT", ..record("Sync failed: could not reach the tenant. Source: X", 0) };
        assert_eq!(recogniser.recognise(&foreign, &mut out), Understood::Foreign);
        assert_eq!(out, []);
    }

    #[test]
    fn the_name_of_an_account_stays_on_the_server() {
        let trace = "Discarding stack trace for user CORP\\svc, IP Address ::1, exception System.InvalidOperationException: x";
        for line in
            [trace, "Using account CORP\\svc to connect to WSUS Server", "Done using CORP\\svc credentials", "Using CORP\\svc?"]
        {
            let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default(), Memory::default());
            let mut out = Vec::new();
            let understood = recogniser.recognise(&record(line, 0), &mut out);
            assert!(matches!(understood, Understood::Typed | Understood::Noticed) && out.len() == 1);
            assert!(!format!("{out:?}").contains("svc"), "{out:?}");
        }
    }

    #[test]
    fn the_next_run_is_in_utc_where_its_date_proves_it() {
        let [EventKind::NextRun { at_utc, .. }] = kinds(&["Next scheduled sync is a retry sync at 3/1/2026 5:00:00 AM"])[..] else {
            panic!("one event");
        };
        assert_eq!(at_utc.map(|time| time.to_string()).as_deref(), Some("2026-03-01T05:00:00Z"));
    }

    #[test]
    fn a_line_of_no_meaning_is_no_event() {
        assert_eq!(kinds(&["Nothing that any table has"]), []);
    }
}
