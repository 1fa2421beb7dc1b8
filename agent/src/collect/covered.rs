//! Coverage: how far each log is read, recorded at each look and reported by site.
//!
//! A look counts with the start time of its sweep, so that lines written during the sweep are not claimed as read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use supwatch_model::coverage::{Coverage, LogCoverage};
use supwatch_model::ids::SiteCode;

use crate::tail::{Look, Progress};
use supwatch_reading::recognise::Log;

/// Interval of coverage reports while a backlog is being read.
const EVERY: SignedDuration = SignedDuration::from_secs(1);

/// Coverage of the agent's logs.
#[derive(Debug, Default)]
pub(super) struct Covered {
    clock: Option<fn() -> Timestamp>,
    /// Start time of the current sweep.
    looked_at: Timestamp,
    reported_at: Timestamp,
    /// Coverage by site and file.
    logs: BTreeMap<String, LogCoverage>,
    /// Logs that are missing or unreadable at present.
    absent: BTreeSet<String>,
}

impl Covered {
    pub(super) fn by(clock: fn() -> Timestamp) -> Covered {
        Covered { clock: Some(clock), ..Covered::default() }
    }

    pub(super) fn clear(&mut self) {
        self.logs.clear();
    }

    /// Starts a sweep.
    pub(super) fn begin(&mut self) {
        self.absent.clear();
        if let Some(clock) = self.clock {
            self.looked_at = clock();
            self.reported_at = self.looked_at;
        }
    }

    /// Records a look at one log.
    pub(super) fn note(&mut self, name: &str, look: Look, progress: Option<Progress>) {
        let Some(Progress { offset, size, at_end }) = progress else {
            self.absent.insert(name.to_owned());
            return;
        };
        let file = name.split_once('/').map_or(name, |(_, file)| file);
        let known = self.logs.entry(name.to_owned()).or_insert_with(|| LogCoverage {
            log: Log::of_file(file).as_str().to_owned(),
            file: file.to_owned(),
            offset,
            size,
            read_until: None,
        });
        (known.offset, known.size) = (offset, size);
        if look == Look::Quiet && at_end {
            // Preallocated space after the last line is not unread data.
            known.offset = size;
            known.read_until = known.read_until.max(Some(self.looked_at));
        }
    }

    /// Whether an interim coverage report is due.
    pub(super) fn is_due(&mut self) -> bool {
        let Some(clock) = self.clock else { return false };
        let now = clock();
        let due = now.duration_since(self.reported_at) >= EVERY;
        if due {
            self.reported_at = now;
        }
        due
    }

    /// Coverage of a site that applies once everything up to a sequence number is stored; `None` without a clock.
    pub(super) fn of(&self, site: SiteCode, after_sequence: u64, busy: &BTreeSet<String>) -> Option<Coverage> {
        self.clock?;
        let own = |name: &&String| name.split_once('/').is_some_and(|(code, _)| code == site.as_str());
        let logs: Vec<LogCoverage> = self.logs.iter().filter(|(name, _)| own(name)).map(|(_, log)| log.clone()).collect();
        let behind = |(name, log): (&String, &LogCoverage)| {
            own(&name) && !self.absent.contains(name) && log.read_until != Some(self.looked_at)
        };
        let caught_up = !busy.iter().any(|name| own(&name)) && !self.logs.iter().any(behind);
        Some(Coverage { site, after_sequence, caught_up, logs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Timestamp {
        "2026-03-01T10:00:00Z".parse().expect("time")
    }

    fn look(covered: &mut Covered, look: Look, offset: u64, at_end: bool) -> Coverage {
        covered.begin();
        covered.note("P01/wsyncmgr.log", look, Some(Progress { offset, size: 100, at_end }));
        covered.of("P01".parse().expect("code"), 7, &BTreeSet::new()).expect("coverage")
    }

    #[test]
    fn only_a_look_that_leaves_nothing_unread_sets_a_time() {
        let mut covered = Covered::by(clock);
        let behind = look(&mut covered, Look::More, 40, true);
        assert_eq!((behind.caught_up, behind.unread(), behind.logs[0].read_until), (false, 60, None));
        let torn = look(&mut covered, Look::Quiet, 100, false);
        assert!(!torn.caught_up && torn.logs[0].read_until.is_none());
        let whole = look(&mut covered, Look::Quiet, 100, true);
        assert!(whole.caught_up && whole.logs[0].read_until == Some(clock()));
        assert_eq!((whole.logs[0].log.as_str(), whole.after_sequence), ("wsyncmgr", 7));
    }

    #[test]
    fn a_missing_log_delays_nothing_and_reports_nothing_new() {
        let mut covered = Covered::by(clock);
        look(&mut covered, Look::Quiet, 100, true);
        covered.begin();
        covered.note("P01/wsyncmgr.log", Look::Quiet, None);
        let absent = covered.of("P01".parse().expect("code"), 7, &BTreeSet::new()).expect("coverage");
        assert!(absent.caught_up);
        assert!(Covered::default().of("P01".parse().expect("code"), 7, &BTreeSet::new()).is_none(), "no clock, no claim");
    }
}
