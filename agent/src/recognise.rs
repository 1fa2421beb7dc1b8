//! Record → event: what a line says happened, one table of phrases per log.
//!
//! Pure apart from what one file has to remember: its clock, who asked for the next run, and when progress was last told.
//! Facts only: a line with "error" in it is a [`EventKind::Notice`] at most; whether a run failed is for 6703 and
//! "Sync failed" to say.

use jiff::{SignedDuration, Timestamp};
use supwatch_proto::event::{Event, EventKind, Trigger};
use supwatch_proto::ids::SiteCode;
use supwatch_proto::time::Certainty;

use crate::clock::Clock;
use crate::parse::{self, Record};

mod status_message;
mod wcm;
mod wsyncmgr;
mod phrases;

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

    fn of_component(component: &str) -> Option<Log> {
        match component {
            "SMS_WSUS_SYNC_MANAGER" => Some(Log::Wsyncmgr),
            "SMS_WSUS_CONFIGURATION_MANAGER" => Some(Log::Wcm),
            "SMS_WSUS_CONTROL_MANAGER" => Some(Log::WsusCtrl),
            _ => None,
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

/// What recognising one file has to remember from line to line.
#[derive(Debug)]
pub struct Recogniser {
    site: SiteCode,
    file: String,
    by_name: Log,
    /// The file's clock.
    pub clock: Clock,
    asked_by: Option<SiteCode>,
    progress: Option<Progress>,
}

/// Progress is told first, last, and at most once a minute between.
#[derive(Debug)]
struct Progress {
    phase: String,
    told_at: Option<Timestamp>,
    held: Option<Event>,
}

/// Longest raw line in an event: together with the texts taken out of it, it must fit the spool and the collector.
pub const RAW_LIMIT: usize = 40 * 1024;

const PROGRESS_EVERY: SignedDuration = SignedDuration::from_secs(60);

impl Recogniser {
    /// For one file of one site; [`SiteCode::UNKNOWN`] until a status message tells the code.
    pub fn new(site: SiteCode, file: &str, clock: Clock) -> Recogniser {
        Recogniser { site, file: file.to_owned(), by_name: Log::of_file(file), clock, asked_by: None, progress: None }
    }

    /// The events of a record: usually none or one; held-back progress may come before it.
    pub fn recognise(&mut self, record: &Record, out: &mut Vec<Event>) {
        let (time, time_certainty) = self.clock.resolve(&record.stamp, parse::gmtdate(&record.message));
        let Some(kind) = self.kind(record) else { return };
        let log = Log::of_component(&record.component).unwrap_or(self.by_name);
        let event = self.event(record, log, time, time_certainty, kind);
        self.thin(event, out);
    }

    /// Whether a record is one of those that a run consists of and that need no event of their own.
    pub fn is_known_line(record: &Record) -> bool {
        phrases::KNOWN_WITHOUT_EVENT.iter().any(|start| phrases::starts_with(&record.message, start))
    }

    fn kind(&mut self, record: &Record) -> Option<EventKind> {
        let message = record.message.trim_start_matches(['~', '?']).trim();
        if let Some(status) = status_message::read(message) {
            return Some(EventKind::StatusMessage(status));
        }
        // The phrases of the two logs differ, so a line of unknown origin may be asked of both.
        let kind = match Log::of_component(&record.component) {
            Some(Log::Wcm) => wcm::recognise(message),
            Some(Log::Wsyncmgr) => wsyncmgr::recognise(message),
            _ if record.component.is_empty() => wsyncmgr::recognise(message).or_else(|| wcm::recognise(message)),
            // Another component may use the same words for something else.
            _ => None,
        }
        .or_else(|| phrases::trouble(message));
        match kind {
            Some(EventKind::ParentNotified { parent }) => {
                self.asked_by = Some(parent);
                Some(EventKind::ParentNotified { parent })
            }
            Some(EventKind::RunStarted { trigger: Trigger::Parent, scope, .. }) => {
                Some(EventKind::RunStarted { trigger: Trigger::Parent, from: self.asked_by.take(), scope })
            }
            other => other,
        }
    }

    fn event(&self, record: &Record, log: Log, time: Option<Timestamp>, time_certainty: Certainty, kind: EventKind) -> Event {
        Event {
            site: self.site,
            sequence: 0,
            time,
            time_certainty,
            log: log.as_str().to_owned(),
            file: self.file.clone(),
            offset: record.offset,
            component: phrases::head(&record.component, 200).to_owned(),
            thread: record.thread,
            kind,
            line: phrases::head(&record.raw, RAW_LIMIT).to_owned(),
        }
    }

    fn thin(&mut self, event: Event, out: &mut Vec<Event>) {
        let EventKind::RunProgress { phase, done, total } = &event.kind else {
            out.extend(self.progress.take().and_then(|progress| progress.held));
            out.push(event);
            return;
        };
        let last = done >= total;
        let due = match &self.progress {
            Some(told) if told.phase == *phase => match (told.told_at, event.time) {
                (Some(before), Some(now)) => now.duration_since(before) >= PROGRESS_EVERY,
                // Without times a minute cannot be told; the last one still is.
                _ => false,
            },
            Some(_) | None => true,
        };
        if due || last {
            self.progress = Some(Progress { phase: phase.clone(), told_at: event.time, held: None });
            out.push(event);
        } else if let Some(progress) = &mut self.progress {
            progress.held = Some(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Form, Stamp};
    use supwatch_proto::event::Scope;

    fn record(message: &str, second: i8) -> Record {
        Record {
            offset: 0,
            length: 0,
            form: Form::Server,
            raw: message.to_owned(),
            message: message.to_owned(),
            component: "SMS_WSUS_SYNC_MANAGER".to_owned(),
            thread: 1,
            stamp: Stamp::Biased(jiff::civil::date(2026, 3, 1).at(4, second / 60, second % 60, 0), 0),
        }
    }

    fn kinds(messages: &[&str]) -> Vec<EventKind> {
        let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default());
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
    fn progress_is_told_first_last_and_once_a_minute() {
        let line = |done: u64| format!("sync: WSUS synchronizing updates, processed {done} out of 9 items ({}%)", done * 11);
        let lines: Vec<String> = (1..=6).map(line).collect();
        let mut messages: Vec<&str> = lines.iter().map(String::as_str).collect();
        messages.push("Done synchronizing WSUS Server sup1");
        let done: Vec<u64> = kinds(&messages)
            .into_iter()
            .filter_map(|kind| if let EventKind::RunProgress { done, .. } = kind { Some(done) } else { None })
            .collect();
        assert_eq!(done, [1, 4]);
        messages[6] = "Sync succeeded. Setting sync alert to canceled state on site CEN";
        let done: Vec<u64> = kinds(&messages)
            .into_iter()
            .filter_map(|kind| if let EventKind::RunProgress { done, .. } = kind { Some(done) } else { None })
            .collect();
        assert_eq!(done, [1, 4, 6], "the last one held back comes before what ends it");
    }

    #[test]
    fn an_event_of_an_over_long_line_still_fits_the_spool_and_the_collector() {
        let long = "東".repeat(crate::lines::LINE_LIMIT / 3);
        let strings: String = (0..10).map(|n| format!(" ISTR{n}=\"{long}\"")).collect();
        for text in [
            format!("Sync failed: {long}. Source: {long}"),
            format!("System.Exception: {long}"),
            format!("STATMSG: ID=6703 SEV={long} COMP=\"{long}\" SYS={long}{strings} NUMATTRS=1 AID0=1 AVAL0=\"{long}\" LE={long}"),
            format!("Attempting connection to WSUS server: {long}, port: 1"),
            format!("Set content version of update source {{{long}}} for site X to 1"),
        ] {
            let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default());
            let mut out = Vec::new();
            recogniser.recognise(&Record { raw: long.clone(), component: String::new(), ..record(&text, 0) }, &mut out);
            let size: usize =
                out.drain(..).map(|event| prost::Message::encoded_len(&supwatch_proto::wire::Event::from(event))).sum();
            assert!(size > 0 && size < 72 * 1024, "{size} bytes: {}", text.get(..40).unwrap_or_default());
        }
    }

    #[test]
    fn another_components_words_are_its_own() {
        let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "wsyncmgr.log", Clock::default());
        let mut out = Vec::new();
        let foreign = Record {
            component: "SMS_AZUREAD_DISCOVERY_AGENT".to_owned(),
            ..record("Sync failed: could not reach the tenant. Source: X", 0)
        };
        recogniser.recognise(&foreign, &mut out);
        assert_eq!(out, []);
    }

    #[test]
    fn a_line_of_no_meaning_is_no_event() {
        assert_eq!(kinds(&["Inbox source is local on CM1.corp.example"]), []);
    }
}
