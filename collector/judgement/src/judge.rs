//! Applies events and time to the state, judges the sites they affect, and collects the findings that changed.
//!
//! Pure: the clock is an argument, and the caller stores the findings. An event triggers judgement of the sites whose verdicts
//! depend on it, which the hierarchy names; ticks judge all sites in turn.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::event::StoredEvent;
use supwatch_model::finding::{Finding, Suppression};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::verdict::Verdict;

use crate::hierarchy::Hierarchy;
use crate::limits::Limits;
use crate::rules::{Failure, RULES, Scene};

mod finding;
mod history;
#[cfg(test)]
mod properties;

pub use finding::opened;

/// The state that is judged: hierarchy, verdicts and findings.
#[derive(Debug)]
pub struct Judge {
    hierarchy: Hierarchy,
    limits: Limits,
    verdicts: BTreeMap<SiteCode, Vec<Verdict>>,
    findings: BTreeMap<SiteCode, BTreeMap<String, Finding>>,
    touched: BTreeSet<SiteCode>,
    /// Sites with an unfinished backlog.
    waiting: BTreeSet<SiteCode>,
    /// Site after which the next tick continues.
    turn: Option<SiteCode>,
    judged: u64,
    live: bool,
}

/// Number of ticks within which every site is judged once for the passage of time.
const TICKS_A_ROUND: usize = 12;

/// Fewest sites judged per tick: a small hierarchy is judged whole.
const SITES_A_TICK: usize = 100;

impl Judge {
    /// Starts from the expected hierarchy and the stored findings.
    pub fn new(mut hierarchy: Hierarchy, limits: Limits, findings: Vec<Finding>, live: bool) -> Judge {
        hierarchy.live = live;
        let mut kept: BTreeMap<SiteCode, BTreeMap<String, Finding>> = BTreeMap::new();
        for finding in findings {
            kept.entry(finding.site).or_default().insert(finding.id.clone(), finding);
        }
        // Findings of removed sites, such as one mistyped in `hierarchy.toml`, are judged too.
        let touched = hierarchy.sites.keys().chain(kept.keys()).copied().collect();
        Judge {
            hierarchy,
            limits,
            verdicts: BTreeMap::new(),
            findings: kept,
            touched,
            waiting: BTreeSet::new(),
            turn: None,
            judged: 0,
            live,
        }
    }

    /// Everything known about all sites and agents.
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Limits and exceptions of the rules.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Replaces the limits; if they differ, every site is judged next.
    pub fn set_limits(&mut self, limits: Limits) {
        if self.limits != limits {
            self.limits = limits;
            self.touch_all();
        }
    }

    /// Every verdict, by site, then in the order of the rules.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.values().flatten()
    }

    /// Every finding, open or resolved.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.values().flat_map(BTreeMap::values)
    }

    /// A finding by its id.
    pub fn finding(&self, id: &str) -> Option<&Finding> {
        self.findings.values().find_map(|of_site| of_site.get(id))
    }

    /// Number of site judgements so far.
    pub fn judged(&self) -> u64 {
        self.judged
    }

    /// Applies an event; the next [`Judge::judge`] judges the sites it affects.
    pub fn apply(&mut self, stored: &StoredEvent) {
        self.touched.extend(self.hierarchy.fold(stored));
    }

    /// Applies the coverage an agent reports for a site. Where it ends a backlog, the site is judged next.
    pub fn apply_coverage(&mut self, agent: &AgentId, epoch: Epoch, coverage: Coverage) {
        let code = coverage.site;
        if self.hierarchy.apply_coverage(agent, epoch, coverage) {
            self.touched.insert(code);
            // Verdicts on the children may have waited for this site.
            self.touched.extend(self.hierarchy.children(code));
        }
    }

    /// Records a contact with an agent; `clock` is the agent's time.
    pub fn mark_seen(&mut self, agent: &AgentId, sites: &[SiteCode], at: Timestamp, spooled_events: u64, clock: Option<Timestamp>) {
        self.hierarchy.mark_seen(agent, sites, at, spooled_events);
        if let Some(known) = self.hierarchy.agents.get_mut(agent) {
            known.lags_since = known.lags_since.or(Some(at)).filter(|_| spooled_events > self.limits.lagging_events);
        }
        if let (Some(clock), Some(known)) = (clock, self.hierarchy.agents.get_mut(agent)) {
            known.clock_ahead_ms = i64::try_from(clock.duration_since(at).as_millis()).ok();
        }
        if spooled_events == 0 && self.hierarchy.agents.get(agent).is_some_and(|known| !known.reports_coverage) {
            self.hierarchy.assume_caught_up(agent);
        }
        self.touched.extend(sites);
    }

    /// Records the spool size and lag that an agent reports.
    pub fn record_spool(&mut self, agent: &AgentId, bytes: u64, waiting_seconds: u32) {
        if let Some(known) = self.hierarchy.agents.get_mut(agent) {
            (known.spool_bytes, known.waiting_seconds) = (bytes, waiting_seconds);
        }
    }

    /// Records that an agent's stream opened.
    pub fn stream_opened(&mut self, agent: &AgentId, fence: u64, version: &str, reports_coverage: bool, lost_events: u64) {
        let known = self.hierarchy.agents.entry(agent.clone()).or_default();
        known.connected = true;
        known.reports_coverage = reports_coverage;
        known.fence = fence;
        known.lost_events = lost_events;
        version.clone_into(&mut known.version);
    }

    /// Records that an agent's stream ended; the end of an older stream than the newest is ignored.
    pub fn stream_closed(&mut self, agent: &AgentId, fence: u64) {
        if let Some(known) = self.hierarchy.agents.get_mut(agent).filter(|known| known.fence == fence) {
            known.connected = false;
        }
    }

    /// Marks the next share of sites for judgement by time.
    pub fn tick(&mut self) {
        let all = self.hierarchy.sites.len();
        let count = all.div_ceil(TICKS_A_ROUND).max(SITES_A_TICK).min(all);
        let from = self.turn;
        let behind = self.hierarchy.sites.keys().filter(|code| from.is_none_or(|from| **code > from));
        let turn: Vec<SiteCode> = behind.chain(self.hierarchy.sites.keys()).take(count).copied().collect();
        self.turn = turn.last().copied();
        self.touched.extend(turn);
    }

    /// Marks every site for the next judgement.
    pub fn touch_all(&mut self) {
        self.touched.extend(self.hierarchy.sites.keys());
        self.touched.extend(self.findings.keys());
    }

    /// Judges the sites marked since the last call and returns the findings that changed. A site whose agents are still reading
    /// a backlog is not judged by its events, which are history; only the rules about agents run meanwhile.
    pub fn judge(&mut self, now: Timestamp) -> Vec<Finding> {
        let mut changed = Vec::new();
        for site in std::mem::take(&mut self.touched) {
            let waits = self.hierarchy.is_reading_back(site);
            let which = if waits { Which::Watchers } else { Which::All };
            let (verdicts, failures) = judged_by(&self.hierarchy, &self.limits, site, now, self.live, which);
            self.judged += 1;
            self.update(site, &verdicts, failures, now, which, &mut changed);
            if waits {
                self.waiting.insert(site);
            } else if self.waiting.remove(&site) {
                changed.extend(self.record_backlog_failure(site));
            }
            if self.hierarchy.site(site).is_none() {
                continue;
            }
            let known = self.verdicts.entry(site).or_default();
            known.retain(|verdict| !which.includes(&verdict.rule));
            known.extend(verdicts);
        }
        changed
    }

    /// Records a failure that occurred and was repaired within a finished backlog, unless its finding was open before or is now.
    fn record_backlog_failure(&mut self, site: SiteCode) -> Option<Finding> {
        let past = history::of(&self.hierarchy, &self.limits, self.hierarchy.site(site)?)?;
        let of_site = self.findings.entry(site).or_default();
        let newer = |known: &Finding| known.resolved_at.is_none() || known.resolved_at >= past.opened_at;
        if of_site.get(&past.id).is_some_and(newer) {
            return None;
        }
        of_site.insert(past.id.clone(), past.clone());
        Some(past)
    }

    /// Suppresses a finding or lifts its suppression. Returns the changed finding.
    pub fn suppress(&mut self, id: &str, suppression: Option<Suppression>) -> Option<Finding> {
        let finding = self.findings.values_mut().find_map(|of_site| of_site.get_mut(id))?;
        finding.suppressed = suppression;
        Some(finding.clone())
    }
}

/// Which rules judge a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Only the rules about agents.
    Watchers,
}

impl Which {
    fn includes(self, rule: &str) -> bool {
        self == Which::All || crate::rules::get(rule).is_some_and(|rule| rule.watcher)
    }
}

/// Judges one site by every rule.
pub fn judge_site(
    hierarchy: &Hierarchy,
    limits: &Limits,
    site: SiteCode,
    now: Timestamp,
    live: bool,
) -> (Vec<Verdict>, Vec<(Verdict, Failure)>) {
    judged_by(hierarchy, limits, site, now, live, Which::All)
}

fn judged_by(
    hierarchy: &Hierarchy,
    limits: &Limits,
    site: SiteCode,
    now: Timestamp,
    live: bool,
    which: Which,
) -> (Vec<Verdict>, Vec<(Verdict, Failure)>) {
    let (mut verdicts, mut failures) = (Vec::new(), Vec::new());
    let Some(site) = hierarchy.site(site) else { return (verdicts, failures) };
    let scene = Scene { hierarchy, site, now, live, limits };
    let rules = RULES.iter().filter(|rule| which == Which::All || rule.watcher);
    for (verdict, failure) in rules.flat_map(|rule| rule.judge(&scene)) {
        if let Some(failure) = failure {
            failures.push((verdict.clone(), failure));
        }
        verdicts.push(verdict);
    }
    (verdicts, failures)
}
