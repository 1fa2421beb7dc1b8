//! How far a site's logs are known to be read, and whether its agents are still reading back.
//!
//! An agent that connects has a backlog: a month of logs on its first day, two hours after an outage. Those events are history,
//! and only the agent's coverage shows where the backlog ends. Until then the site is not judged by them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use supwatch_model::coverage::{Coverage, LogCoverage};
use supwatch_model::event::StoredEvent;
use supwatch_model::ids::{AgentId, Epoch};

/// How far each agent of a site has read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SiteCoverage(BTreeMap<AgentId, AgentCoverage>);

/// How far one agent has read the logs of one site.
#[derive(Debug, Clone, Default, PartialEq)]
struct AgentCoverage {
    /// Epoch and number of its newest event of the site.
    newest: Option<(Epoch, u64)>,
    /// Up to which event it was known to have read everything.
    settled: Option<(Epoch, u64)>,
    /// Its newest report of each log.
    logs: Vec<LogCoverage>,
}

impl SiteCoverage {
    /// Records the newest event of an agent.
    pub(super) fn record_event(&mut self, stored: &StoredEvent) {
        let one = match self.0.get_mut(&stored.agent) {
            Some(one) => one,
            None => self.0.entry(stored.agent.clone()).or_default(),
        };
        one.newest = Some((stored.epoch, stored.event.sequence));
    }

    /// Applies the coverage an agent reports.
    pub(super) fn apply_coverage(&mut self, agent: &AgentId, epoch: Epoch, coverage: Coverage) {
        let one = self.0.entry(agent.clone()).or_default();
        let Coverage { after_sequence, caught_up, logs, .. } = coverage;
        if caught_up {
            one.settled = Some((epoch, after_sequence));
        }
        // What was known to be read stays so, even if a restarted agent has not looked yet.
        let known = std::mem::take(&mut one.logs);
        let until = |file: &str| known.iter().find(|log| log.file == file).and_then(|log| log.read_until);
        one.logs = logs.into_iter().map(|log| LogCoverage { read_until: log.read_until.max(until(&log.file)), ..log }).collect();
    }

    /// Treats an agent that does not report coverage as caught up: everything it read has arrived.
    pub(super) fn assume_caught_up(&mut self, agent: &AgentId) {
        if let Some(one) = self.0.get_mut(agent) {
            one.settled = one.newest;
        }
    }

    /// Whether the site is in the middle of a backlog; `is_connected` says whether an agent's stream is open.
    pub(super) fn is_reading_back(&self, is_connected: impl Fn(&AgentId) -> bool) -> bool {
        let back = |(agent, one): (&AgentId, &AgentCoverage)| !one.is_settled() && is_connected(agent);
        // An agent that disconnected for good in the middle of its backlog does not block a site that another agent has read.
        self.0.iter().any(back) || (!self.0.is_empty() && self.0.values().all(|one| !one.is_settled()))
    }

    /// The time up to which a log is known to be read: nothing later may be concluded to be absent.
    pub fn read_until(&self, log: &str) -> Option<Timestamp> {
        let logs = self.0.values().flat_map(|one| &one.logs);
        logs.filter(|known| known.log == log).filter_map(|known| known.read_until).max()
    }

    /// Bytes of the site's logs not yet read.
    pub fn unread(&self) -> u64 {
        let logs = self.0.values().filter(|one| !one.is_settled()).flat_map(|one| &one.logs);
        logs.map(|log| log.size.saturating_sub(log.offset)).sum()
    }
}

impl AgentCoverage {
    /// Whether the agent is known to have read everything up to its newest event.
    fn is_settled(&self) -> bool {
        match (self.newest, self.settled) {
            (None, _) => true,
            (Some((epoch, newest)), Some((known, number))) => epoch == known && number >= newest,
            (Some(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::events;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_772_323_200 + 60 * minute).expect("time")
    }

    fn agent(name: &str) -> AgentId {
        AgentId(name.to_owned())
    }

    fn event(agent_name: &str, sequence: u64) -> StoredEvent {
        let mut event = events("P01", &["Sync succeeded. x"]).remove(0);
        event.sequence = sequence;
        StoredEvent { agent: agent(agent_name), epoch: Epoch([1; 16]), received_at: at(0), event }
    }

    fn report(after_sequence: u64, caught_up: bool, until: Option<Timestamp>) -> Coverage {
        let log =
            LogCoverage { log: "wsyncmgr".to_owned(), file: "wsyncmgr.log".to_owned(), offset: 40, size: 100, read_until: until };
        Coverage { site: "P01".parse().expect("code"), after_sequence, caught_up, logs: vec![log] }
    }

    #[test]
    fn a_backlog_ends_where_the_agent_reports_that_everything_is_read() {
        let mut coverage = SiteCoverage::default();
        assert!(!coverage.is_reading_back(|_| true), "who said nothing holds nothing back");
        coverage.record_event(&event("a", 1));
        coverage.apply_coverage(&agent("a"), Epoch([1; 16]), report(1, false, None));
        assert!(coverage.is_reading_back(|_| true));
        assert_eq!((coverage.unread(), coverage.read_until("wsyncmgr")), (60, None));
        coverage.record_event(&event("a", 2));
        coverage.apply_coverage(&agent("a"), Epoch([1; 16]), report(1, true, Some(at(1))));
        assert!(coverage.is_reading_back(|_| true), "said of less than what came");
        coverage.apply_coverage(&agent("a"), Epoch([1; 16]), report(2, true, Some(at(2))));
        assert!(!coverage.is_reading_back(|_| true));
        assert_eq!((coverage.unread(), coverage.read_until("wsyncmgr")), (0, Some(at(2))));
        coverage.record_event(&event("a", 3));
        assert!(coverage.is_reading_back(|_| false), "its only agent disconnected in the middle");
        coverage.apply_coverage(&agent("a"), Epoch([1; 16]), report(3, false, None));
        assert_eq!(coverage.read_until("wsyncmgr"), Some(at(2)), "what was read stays read");
    }

    #[test]
    fn an_agent_that_disconnected_in_its_backlog_blocks_no_other() {
        let mut coverage = SiteCoverage::default();
        coverage.record_event(&event("gone", 1));
        coverage.record_event(&event("b", 1));
        coverage.apply_coverage(&agent("b"), Epoch([1; 16]), report(1, true, Some(at(1))));
        assert!(!coverage.is_reading_back(|id| id.0 == "b"));
        assert!(coverage.is_reading_back(|_| true));
    }

    #[test]
    fn a_report_of_another_epoch_settles_nothing() {
        let mut coverage = SiteCoverage::default();
        coverage.record_event(&event("a", 2));
        coverage.apply_coverage(&agent("a"), Epoch([2; 16]), report(9, true, Some(at(1))));
        assert!(coverage.is_reading_back(|_| true));
    }
}
