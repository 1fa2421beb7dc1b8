//! Applies events and time to the state, judges the sites they affect, and collects the findings that changed.
//!
//! Pure: the clock is an argument, and the caller stores the findings. An event triggers judgement of the sites whose verdicts
//! depend on it, which the hierarchy names; ticks judge all sites in turn.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::event::StoredEvent;
use supwatch_model::finding::{Evidence, Finding, Suppression, finding_id};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::verdict::{Answer, Verdict};

use crate::hierarchy::Hierarchy;
use crate::limits::Limits;
use crate::rules::{Failure, RULES, Scene, closing_note};

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
    pub fn connected(&mut self, agent: &AgentId, fence: u64, version: &str, reports_coverage: bool, lost_events: u64) {
        let known = self.hierarchy.agents.entry(agent.clone()).or_default();
        known.connected = true;
        known.reports_coverage = reports_coverage;
        known.fence = fence;
        known.lost_events = lost_events;
        version.clone_into(&mut known.version);
    }

    /// Records that an agent's stream ended; the end of an older stream than the newest is ignored.
    pub fn disconnected(&mut self, agent: &AgentId, fence: u64) {
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

    fn update(
        &mut self,
        site: SiteCode,
        verdicts: &[Verdict],
        failures: Vec<(Verdict, Failure)>,
        now: Timestamp,
        which: Which,
        changed: &mut Vec<Finding>,
    ) {
        if failures.is_empty() && !self.findings.contains_key(&site) {
            return;
        }
        let findings = self.findings.entry(site).or_default();
        let mut failing = BTreeSet::new();
        for (verdict, failure) in failures {
            let new = opened(&verdict, failure, now);
            failing.insert(new.id.clone());
            let mut next = match findings.get(&new.id) {
                Some(old) if old.resolved_at.is_none() => continued(old, new, now),
                // A reopened finding may have another cause: only a suppression with an end time still covers it.
                Some(old) => Finding { suppressed: old.suppressed.clone().filter(|suppressed| suppressed.until.is_some()), ..new },
                None => new,
            };
            next.suppressed = next.suppressed.filter(|suppressed| suppressed.until.is_none_or(|until| until > now));
            if findings.get(&next.id) != Some(&next) {
                changed.push(next.clone());
                findings.insert(next.id.clone(), next);
            }
        }
        let over = |finding: &Finding| finding.suppressed.as_ref().is_some_and(|s| s.until.is_some_and(|until| until <= now));
        for finding in findings.values_mut().filter(|finding| over(finding)) {
            finding.suppressed = None;
            changed.push(finding.clone());
        }
        // A finding that can no longer be judged is not resolved: it stays open until its rule has data again.
        let undecided = |finding: &Finding| {
            let concerns = |verdict: &&Verdict| {
                verdict.rule == finding.rule && (verdict.subject.is_empty() || verdict.subject == finding.subject)
            };
            verdicts.iter().filter(concerns).any(|verdict| verdict.answer == Answer::Unknown)
        };
        let scene = self.hierarchy.site(site).map(|site| Scene {
            hierarchy: &self.hierarchy,
            site,
            now,
            live: self.live,
            limits: &self.limits,
        });
        for finding in findings.values_mut().filter(|finding| which.includes(&finding.rule)) {
            if finding.resolved_at.is_none() && !failing.contains(&finding.id) && !undecided(finding) {
                // An exception or a disabled rule also resolves a finding, without a repair.
                let mended = verdicts.iter().any(|verdict| {
                    verdict.rule == finding.rule
                        && verdict.answer == Answer::Pass
                        && !verdict.looked_at.iter().any(|looked| looked.starts_with("rules.toml:"))
                });
                if let Some(note) = scene.filter(|_| mended).and_then(|scene| closing_note(&scene, finding)) {
                    finding.summary.en.push_str(&format!(". {}", note.en));
                    finding.summary.ja.push_str(&format!("。{}", note.ja));
                }
                finding.resolved_at = Some(now);
                finding.changed_at = Some(now);
                changed.push(finding.clone());
            }
        }
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

/// A new finding of a failed verdict.
pub fn opened(verdict: &Verdict, failure: Failure, now: Timestamp) -> Finding {
    let Failure { severity, summary, evidence, remedy, cause, confidence, reasons, since, occurrences } = failure;
    Finding {
        id: finding_id(&verdict.rule, verdict.site, &verdict.subject),
        rule: verdict.rule.to_string(),
        severity,
        site: verdict.site,
        subject: verdict.subject.clone(),
        cause,
        summary,
        evidence,
        remedy,
        opened_at: Some(since.unwrap_or(now)),
        changed_at: Some(since.unwrap_or(now)),
        resolved_at: None,
        occurrences,
        suppressed: None,
        confidence,
        reasons,
        because_of: None,
        consequences: Vec::new(),
    }
}

/// An open finding that fails again: it keeps its opening time, and changes only if its content does.
fn continued(old: &Finding, new: Finding, now: Timestamp) -> Finding {
    let mut next = Finding { opened_at: old.opened_at, changed_at: old.changed_at, suppressed: old.suppressed.clone(), ..new };
    // A summary that counts hours changes with the clock alone; that change is not worth a notification.
    let same = next.severity == old.severity
        && next.cause == old.cause
        && next.confidence == old.confidence
        && same_evidence(&next.evidence, &old.evidence)
        && next.occurrences == old.occurrences;
    if same {
        next.summary.clone_from(&old.summary);
        next.evidence.clone_from(&old.evidence);
        next.reasons.clone_from(&old.reasons);
    } else {
        next.changed_at = Some(now);
    }
    next
}

/// Whether two pieces of evidence are the same; a setting repeated by a later snapshot is.
fn same_evidence(one: &[Evidence], other: &[Evidence]) -> bool {
    let bare = |evidence: &Evidence| match evidence.clone() {
        Evidence::Setting { site, setting, value, .. } => {
            Evidence::Setting { site, setting, value, taken_at: None, source: String::new(), since: None }
        }
        line @ Evidence::Line { .. } => line,
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| bare(one) == bare(other))
}

mod history;

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::events;
    use supwatch_model::event::EventKind;
    use supwatch_model::ids::Epoch;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    fn feed(judge: &mut Judge, lines: &[&str]) {
        for event in events("CEN", lines) {
            judge.apply(&StoredEvent {
                agent: AgentId("a".into()),
                epoch: Epoch([0; 16]),
                received_at: at("2026-03-01T04:00:00Z"),
                event,
            });
        }
    }

    fn failed(judge: &Judge) -> Option<Finding> {
        judge.findings().find(|finding| finding.rule == "sync-failed").cloned()
    }

    #[test]
    fn a_finding_opens_changes_resolves_and_keeps_its_id_when_it_opens_again() {
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
        let fail = &["Performing sync on local request", "Sync failed: Unable to connect to the remote server. Source: X"];
        feed(&mut judge, fail);
        assert!(!judge.judge(at("2026-03-01T05:00:00Z")).is_empty());
        let first = failed(&judge).expect("open");
        assert!(first.resolved_at.is_none());
        judge.tick();
        assert_eq!(judge.judge(at("2026-03-01T06:00:00Z")), [], "nothing new is no change");
        feed(&mut judge, fail);
        judge.judge(at("2026-03-01T07:00:00Z"));
        let again = failed(&judge).expect("open");
        assert_eq!((again.occurrences, again.opened_at), (2, first.opened_at));
        assert_eq!(again.changed_at, Some(at("2026-03-01T07:00:00Z")));
        feed(&mut judge, &["Performing sync on retry schedule", "Sync succeeded. x"]);
        judge.judge(at("2026-03-01T08:00:00Z"));
        assert_eq!(failed(&judge).and_then(|f| f.resolved_at), Some(at("2026-03-01T08:00:00Z")));
        feed(&mut judge, fail);
        judge.judge(at("2026-03-01T09:00:00Z"));
        let reopened = failed(&judge).expect("open");
        assert_eq!((reopened.id, reopened.resolved_at), (first.id, None));
    }

    #[test]
    fn a_finding_that_can_no_longer_be_judged_stays_open() {
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
        let snapshot = |judge: &mut Judge, taken: &str, replica: serde_json::Value| {
            let mut settings = crate::rules::testing::healthy("cen", None);
            settings["taken_at"] = taken.into();
            settings["wsus"][0]["is_replica"] = replica;
            if settings["wsus"][0]["is_replica"].is_null() {
                settings["wsus"][0].as_object_mut().expect("object").remove("is_replica");
            }
            let mut event = events("CEN", &["Sync succeeded. x"]).remove(0);
            event.kind = EventKind::SettingsSnapshot { settings };
            judge.apply(&StoredEvent {
                agent: AgentId("a".into()),
                epoch: Epoch([0; 16]),
                received_at: at("2026-03-01T04:00:00Z"),
                event,
            });
        };
        let mut described = events("CEN", &["Sync succeeded. x"]).remove(0);
        described.kind = EventKind::SiteDescribed(supwatch_model::describe::SiteDescription {
            site_type: Some(supwatch_model::describe::SiteType::Central),
            ..Default::default()
        });
        judge.apply(&StoredEvent {
            agent: AgentId("a".into()),
            epoch: Epoch([0; 16]),
            received_at: at("2026-03-01T04:00:00Z"),
            event: described,
        });
        let found = |judge: &Judge| judge.findings().find(|finding| finding.rule == "child-replica").cloned().expect("a finding");
        snapshot(&mut judge, "2026-03-01T03:00:00Z", true.into());
        judge.judge(at("2026-03-01T05:00:00Z"));
        let first = found(&judge);
        snapshot(&mut judge, "2026-03-01T04:00:00Z", true.into());
        judge.judge(at("2026-03-01T06:00:00Z"));
        assert_eq!(found(&judge), first, "the same setting in a later snapshot is nothing new");
        snapshot(&mut judge, "2026-03-01T05:00:00Z", serde_json::Value::Null);
        judge.judge(at("2026-03-01T07:00:00Z"));
        assert_eq!(found(&judge).resolved_at, None, "unknown is not mended");
        snapshot(&mut judge, "2026-03-01T06:00:00Z", false.into());
        judge.judge(at("2026-03-01T08:00:00Z"));
        assert_eq!(found(&judge).resolved_at, Some(at("2026-03-01T08:00:00Z")));
    }
}
