//! One failure, seen in several logs: what WCM, WSUS Control Manager and WSUS itself write around a failed run.
//!
//! Experts read a failure the same way: `wsyncmgr.log` says "not configured", `WCM.log` has the exception, and
//! `SoftwareDistribution.log` the reason. Times decide which lines belong together, never threads; logs may arrive in any order.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use supwatch_model::event::{Event, EventKind};

use super::line_of;
use super::tracked::{Joined, TrackedRun};
use crate::diagnosis::{Catalogue, Said};

/// Most error lines kept per log of a site: a failing WSUS writes hundreds an hour.
const KEPT: usize = 100;
/// WCM retries once an hour, and its result is valid until then.
const WCM_BEFORE: SignedDuration = SignedDuration::from_mins(65);
/// All other components write while the run is in progress, with a small tolerance.
const SLACK: SignedDuration = SignedDuration::from_mins(2);
/// How far back a run without a start may reach.
const STARTLESS: SignedDuration = SignedDuration::from_mins(10);

/// A line that may explain a failed run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    log: String,
    time: Timestamp,
    joined: Joined,
}

/// Error lines of one site, and when WCM recovered.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Troubles {
    kept: BTreeMap<String, VecDeque<Trouble>>,
    /// Times at which WCM reported success: its earlier errors are over.
    well: VecDeque<Timestamp>,
}

impl Troubles {
    /// Records an event that reports an error, and returns it.
    pub fn record(&mut self, event: &Event, catalogue: &Catalogue) -> Option<Trouble> {
        let time = event.time?;
        let (text, source, code) = reported_error(&event.kind)?;
        let message = match &event.kind {
            EventKind::StatusMessage(message) => Some(message.id),
            _ => None,
        };
        let best = catalogue.best(Said { text, source, code, message });
        // A line that only looks like trouble explains no failure.
        if best.is_harmless {
            return None;
        }
        let joined = Joined {
            log: event.log.clone(),
            time,
            evidence: line_of(event),
            cause: best.cause.id.clone(),
            score: best.score,
            specific: !best.cause.is_general(),
        };
        let trouble = Trouble { log: event.log.clone(), time, joined };
        let kept = self.kept.entry(event.log.clone()).or_default();
        // Once there are many, the newest of several equal lines within minutes represents all.
        let soon = trouble.time.checked_sub(SLACK).unwrap_or(Timestamp::MIN);
        let same = |known: &Trouble| {
            known.joined.cause == trouble.joined.cause && known.joined.score == trouble.joined.score && known.time >= soon
        };
        if kept.len() >= KEPT && kept.back().is_some_and(same) {
            kept.pop_back();
        }
        kept.push_back(trouble.clone());
        if kept.len() > KEPT {
            kept.pop_front();
        }
        Some(trouble)
    }

    /// Records a success of WCM.
    pub fn record_success(&mut self, event: &Event) {
        self.well.extend(event.time);
        if self.well.len() > KEPT {
            self.well.pop_front();
        }
    }

    /// Removes errors of WCM that precede its success from a run that failed later.
    pub fn clear(&self, tracked: &mut TrackedRun, event: &Event) -> bool {
        let before = tracked.joined.len();
        let over = |joined: &Joined| joined.log == "wcm" && Some(joined.time) < event.time;
        tracked.joined.retain(|joined| !over(joined));
        before != tracked.joined.len()
    }

    /// The recorded error lines.
    pub fn iter(&self) -> impl Iterator<Item = &Trouble> {
        self.kept.values().flatten()
    }

    /// Joins a line to a failed run if it belongs there and says more than the line joined from that log so far.
    pub fn consider(&self, tracked: &mut TrackedRun, trouble: &Trouble) -> bool {
        let Some(ended) = tracked.run.ended_at else { return false };
        let ago = |span: SignedDuration| ended.checked_sub(span).unwrap_or(Timestamp::MIN);
        let from = match trouble.log.as_str() {
            "wcm" => {
                let well = self.well.iter().filter(|time| **time <= ended).max();
                well.map_or(ago(WCM_BEFORE), |well| ago(WCM_BEFORE).max(*well))
            }
            _ => tracked.run.started_at.map_or(ago(STARTLESS), |start| start.checked_sub(SLACK).unwrap_or(Timestamp::MIN)),
        };
        let until = ended.checked_add(SLACK).unwrap_or(Timestamp::MAX);
        if trouble.time < from || trouble.time > until {
            return false;
        }
        match tracked.joined.iter_mut().find(|joined| joined.log == trouble.log) {
            // A line that says why beats one that only says that something failed; of equals, the last one before the end wins.
            Some(known) if trouble.joined.weight() <= known.weight() => return false,
            Some(known) => *known = trouble.joined.clone(),
            None => tracked.joined.push(trouble.joined.clone()),
        }
        true
    }
}

/// Whether WCM reports success.
pub(super) fn is_well(event: &Event) -> bool {
    matches!(event.kind, EventKind::WcmState { state: 2 })
}

/// The error an event reports: text, source, code.
fn reported_error(kind: &EventKind) -> Option<(&str, &str, Option<&str>)> {
    Some(match kind {
        EventKind::ComponentError { text, source } | EventKind::UpdateFailed { text, source, .. } => (text, source, None),
        EventKind::WcmState { state: 3 } => ("", "", None),
        EventKind::WsusEvent { id: 386 | 387, text } | EventKind::WsusHealth { healthy: false, text, .. } => (text, "", None),
        EventKind::Notice { severity, text } if severity == "error" => (text, "", None),
        EventKind::StatusMessage(message) if matches!(message.id, 6600 | 6602 | 6603 | 6607 | 7000..=7004) => {
            (message.strings.first().map_or("", String::as_str), "", message.last_error.as_deref())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use supwatch_model::finding::Evidence;
    use supwatch_model::run::Run;
    use supwatch_reading::reader::{Reader, Reading, Resume};

    use super::super::Runs;
    use super::*;

    fn events(file: &str, component: &str, lines: &[(&str, &str)]) -> Vec<Event> {
        let text: String = lines
            .iter()
            .map(|(time, line)| format!("{line}  $$<{component}><03-01-2026 {time}.000+0><thread=1 (0x1)>\r\n"))
            .collect();
        let mut reader = Reader::new("CEN".parse().expect("code"), file, &Reading::default(), &Resume::default());
        let mut out = Vec::new();
        reader.feed(text.as_bytes(), &mut out);
        reader.finish(&mut out);
        out
    }

    fn failed(logs: &[Vec<Event>]) -> (Run, Vec<String>) {
        let mut runs = Runs::new("CEN".parse().expect("code"));
        for event in logs.iter().flatten() {
            runs.fold(event, Catalogue::built_in());
        }
        let all: Vec<_> = runs.iter().collect();
        assert_eq!(all.len(), 1, "one failure is one run");
        let lines = all[0].evidence().into_iter().map(|evidence| match evidence {
            Evidence::Line { file, .. } => file,
            Evidence::Setting { .. } => String::new(),
        });
        (all[0].run.clone(), lines.collect())
    }

    fn story() -> [Vec<Event>; 3] {
        let mut wsus =
            Reader::new("CEN".parse().expect("code"), "SoftwareDistribution.log", &Reading::default(), &Resume::default());
        let mut reported = Vec::new();
        wsus.feed(
            b"2026-03-01 04:00:30.000 UTC\tError\tw3wp.9\tSoapUtilities.LogException\tUSS ThrowException: ErrorCode=InternalServerError\r\n",
            &mut reported,
        );
        wsus.finish(&mut reported);
        [
            events(
                "wsyncmgr.log",
                "SMS_WSUS_SYNC_MANAGER",
                &[
                    ("04:00:00", "Performing sync on regular schedule"),
                    (
                        "04:05:01",
                        "Sync failed: WSUS server not configured. Please refer to WCM.log for configuration error details. Source: CWSyncMgr::DoSync",
                    ),
                    ("04:05:02", "Sync failed. Will retry in 60 minutes"),
                ],
            ),
            events(
                "WCM.log",
                "SMS_WSUS_CONFIGURATION_MANAGER",
                &[
                    ("02:00:00", "System.Net.WebException: The remote name could not be resolved: 'old'"),
                    ("02:30:00", "Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)"),
                    ("03:20:00", "System.Net.WebException: The request failed with HTTP status 503: Service Unavailable"),
                    ("03:20:01", "Setting new configuration state to 3 (WSUS_CONFIG_FAILED)"),
                ],
            ),
            reported,
        ]
    }

    #[test]
    fn three_logs_report_one_failure_in_the_order_of_time_whichever_is_read_first() {
        let [sync, wcm, wsus] = story();
        for order in [[&sync, &wcm, &wsus], [&wsus, &wcm, &sync], [&wcm, &sync, &wsus]] {
            let (run, files) = failed(&order.map(Clone::clone));
            assert_eq!(run.cause.as_deref(), Some("wsus-unavailable"), "what WCM says is more than what wsyncmgr does");
            assert_eq!(files, ["WCM.log", "SoftwareDistribution.log", "wsyncmgr.log"]);
        }
    }

    #[test]
    fn the_line_that_says_why_beats_the_one_that_says_that() {
        let [sync, ..] = story();
        for (exception, cause) in [
            (
                "System.Net.WebException: Unable to connect to the remote server ---> System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it",
                "connection-refused",
            ),
            (
                "System.Net.WebException: The underlying connection was closed: Could not establish trust relationship for the SSL/TLS secure channel.",
                "certificate-not-trusted",
            ),
            ("System.Net.WebException: The remote name could not be resolved: 'sup'", "name-not-resolved"),
            ("System.Net.WebException: The operation has timed out", "operation-timed-out"),
        ] {
            let lines = [("04:00:01", exception), ("04:00:02", "Remote configuration failed on WSUS Server.")];
            let wcm = events("WCM.log", "SMS_WSUS_CONFIGURATION_MANAGER", &lines);
            for order in [[&sync, &wcm], [&wcm, &sync]] {
                let (run, _) = failed(&order.map(Clone::clone));
                assert_eq!(run.cause.as_deref(), Some(cause), "{exception}");
            }
        }
    }

    #[test]
    fn what_was_over_before_is_not_joined() {
        let [sync, ..] = story();
        let complaint = "System.Net.WebException: The request failed with HTTP status 503: Service Unavailable";
        let state = "Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)";
        for (reported, well, lines) in [("03:30:00", "03:40:00", 1), ("02:30:00", "02:40:00", 1), ("03:30:00", "03:20:00", 2)] {
            let mut wcm = vec![(reported, complaint), (well, state)];
            wcm.sort_unstable();
            let wcm = events("WCM.log", "SMS_WSUS_CONFIGURATION_MANAGER", &wcm);
            for order in [[&sync, &wcm], [&wcm, &sync]] {
                assert_eq!(failed(&order.map(Clone::clone)).1.len(), lines, "reported at {reported}, well at {well}");
            }
        }
    }
}
