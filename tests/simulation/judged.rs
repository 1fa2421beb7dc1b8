//! Findings that open while agents read backlogs, leave and return, while the collector restarts, and while a real fault begins.
//!
//! The invariant (J): no finding opens that a judge with complete data at that moment would not have opened; in the end both
//! agree. Findings about the agents themselves are excluded: only the collector under test has them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::judge::Judge;
use supwatch_judgement::limits::Limits;
use supwatch_judgement::{picture, rules};
use supwatch_model::coverage::{Coverage, LogCoverage};
use supwatch_model::describe::{SiteDescription, SiteType};
use supwatch_model::event::{Event, EventKind, Scope, StoredEvent, Trigger};
use supwatch_model::finding::Finding;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::time::Certainty;

use crate::rng::Rng;

const SITES: [&str; 3] = ["CEN", "P01", "S01"];
/// The collector starts when the logs are this old, and the story ends nine days later.
const BACKLOG_DAYS: i64 = 31;
const DAYS: i64 = 40;

fn code(site: usize) -> SiteCode {
    SITES[site].parse().expect("code")
}

fn begin() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("time")
}

fn after(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_mins(minutes)).expect("time")
}

/// A permanent fault.
enum Trouble {
    None,
    /// The top site's runs fail from a given day on.
    Fails(i64),
    /// P01 no longer runs from a given day on.
    Stops(i64),
}

fn wave(rng: &mut Rng, day: i64, trouble: &Trouble, lines: &mut [Vec<(Timestamp, EventKind)>; 3]) {
    let mut at = after(begin(), day * 1440 + 240);
    let started =
        |trigger: Trigger, from: Option<usize>| EventKind::RunStarted { trigger, from: from.map(code), scope: Scope::Delta };
    let failed = || EventKind::RunFailed {
        text: "WebException: The remote name could not be resolved: 'mu.example'".to_owned(),
        source: "X".to_owned(),
        code: None,
    };
    for (site, own) in lines.iter_mut().enumerate() {
        if matches!(trouble, Trouble::Stops(from) if site == 1 && day >= *from) {
            return;
        }
        let trigger = if site == 0 { Trigger::Schedule } else { Trigger::Parent };
        own.push((at, started(trigger, site.checked_sub(1))));
        let for_good = matches!(trouble, Trouble::Fails(from) if site == 0 && day >= *from);
        if for_good || rng.once_in(9) {
            at = after(at, 2);
            own.push((at, failed()));
            own.push((at, EventKind::RetryScheduled { in_minutes: 60 }));
            if for_good {
                return;
            }
            at = after(at, 60);
            own.push((at, started(Trigger::Retry, None)));
        }
        at = after(at, 4);
        let version = 100 + u64::try_from(day).expect("a day");
        own.push((at, EventKind::CatalogVersion { update_source: "{A}".to_owned(), version }));
        at = after(at, 1);
        own.push((at, EventKind::RunSucceeded));
        if site < 2 {
            own.push((at, EventKind::ChildrenNotified { sites: vec![code(site + 1)] }));
        }
        at = after(at, 1);
    }
}

/// The lines of each site in order; each log continues even if nothing happens.
fn write(rng: &mut Rng, trouble: &Trouble) -> [Vec<(Timestamp, EventKind)>; 3] {
    let mut lines: [Vec<(Timestamp, EventKind)>; 3] = Default::default();
    (0..DAYS).for_each(|day| wave(rng, day, trouble, &mut lines));
    for site in &mut lines {
        let poll = |hour| (after(begin(), hour * 60 + 17), EventKind::Step { step: "waiting".to_owned(), detail: String::new() });
        site.extend((0..DAYS * 24).map(poll));
        site.sort_by_key(|(at, _)| *at);
    }
    lines
}

struct World {
    lines: [Vec<(Timestamp, EventKind)>; 3],
    /// Number of lines of each log that the collector has.
    delivered: [usize; 3],
    away_until: [Option<Timestamp>; 3],
    connected: [bool; 3],
    told: Vec<(usize, Coverage)>,
    stored: Vec<StoredEvent>,
    judge: Judge,
    /// Every line written.
    whole: Hierarchy,
    whole_taken: [usize; 3],
    now: Timestamp,
    open: BTreeSet<String>,
    violations: Vec<String>,
}

fn agent(site: usize) -> AgentId {
    AgentId(format!("agent-{}", SITES[site]))
}

fn stored(site: usize, number: usize, at: Option<Timestamp>, kind: EventKind, received_at: Timestamp) -> StoredEvent {
    let event = Event {
        site: code(site),
        sequence: number as u64 + 1,
        time: at,
        time_certainty: Certainty::Zone,
        log: if at.is_some() { "wsyncmgr".to_owned() } else { String::new() },
        file: "wsyncmgr.log".to_owned(),
        offset: number as u64 * 100,
        component: "SMS_WSUS_SYNC_MANAGER".to_owned(),
        thread: 1,
        kind,
        line: format!("line {number}"),
    };
    StoredEvent { agent: agent(site), epoch: Epoch([1; 16]), received_at, event }
}

fn described(site: usize) -> StoredEvent {
    let description = SiteDescription {
        site_type: Some([SiteType::Central, SiteType::Primary, SiteType::Secondary][site]),
        parent: Some(site.checked_sub(1).map(code)),
        ..SiteDescription::default()
    };
    stored(site, 0, None, EventKind::SiteDescribed(description), begin())
}

/// Coverage after this many of the written lines.
fn covered(site: usize, read: u64, written: u64, read_until: Option<Timestamp>) -> Coverage {
    let (log, file) = ("wsyncmgr".to_owned(), "wsyncmgr.log".to_owned());
    let log = LogCoverage { log, file, offset: read * 100, size: written * 100, read_until };
    Coverage { site: code(site), after_sequence: read, caught_up: read == written, logs: vec![log] }
}

fn is_of_agents(rule: &str) -> bool {
    rules::get(rule).is_none_or(|rule| rule.watcher)
}

impl World {
    fn new(rng: &mut Rng) -> World {
        let day = i64::try_from(rng.between(33, 37)).expect("small");
        let trouble = match rng.between(0, 3) {
            0 => Trouble::None,
            1 => Trouble::Fails(day),
            _ => Trouble::Stops(day),
        };
        let mut whole = Hierarchy::default();
        (0..3).for_each(|site| drop(whole.fold(&described(site))));
        World {
            lines: write(rng, &trouble),
            delivered: [0; 3],
            away_until: [None; 3],
            connected: [false; 3],
            told: Vec::new(),
            stored: Vec::new(),
            judge: Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), true),
            whole,
            whole_taken: [0; 3],
            now: after(begin(), BACKLOG_DAYS * 1440),
            open: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    fn written(&self, site: usize) -> usize {
        self.lines[site].partition_point(|(at, _)| *at <= self.now)
    }

    fn catch_up_with_everything(&mut self) {
        for site in 0..3 {
            for number in self.whole_taken[site]..self.written(site) {
                let (at, kind) = self.lines[site][number].clone();
                self.whole.fold(&stored(site, number, Some(at), kind, at));
            }
            self.whole_taken[site] = self.written(site);
            // And nothing more has been written by now.
            let written = self.written(site) as u64;
            let coverage = covered(site, written, written, Some(self.now));
            self.whole.apply_coverage(&agent(site), Epoch([1; 16]), coverage);
        }
    }

    /// Findings of a judge with complete data at this moment.
    fn truth(&mut self) -> BTreeSet<String> {
        self.catch_up_with_everything();
        let found = picture::at(&self.whole, &Limits::default(), self.now).findings;
        found.iter().filter(|finding| !is_of_agents(&finding.rule)).map(|finding| finding.id.clone()).collect()
    }

    fn judge(&mut self) {
        let changed: Vec<Finding> = self.judge.judge(self.now);
        for finding in changed.into_iter().filter(|finding| !is_of_agents(&finding.rule)) {
            if finding.resolved_at.is_some() {
                self.open.remove(&finding.id);
            } else if self.open.insert(finding.id.clone()) && !self.truth().contains(&finding.id) {
                self.violations.push(format!("J {} {}: {} at {}", finding.rule, finding.site, finding.summary.en, self.now));
            }
        }
    }

    fn deliver(&mut self, rng: &mut Rng, site: usize, most: usize) {
        if !self.connected[site] {
            self.connected[site] = true;
            self.judge.stream_opened(&agent(site), 1, "0", true, 0);
            if self.delivered[site] == 0 && !self.stored.iter().any(|event| event.agent == agent(site)) {
                self.store(described(site));
            }
        }
        let until = self.written(site).min(self.delivered[site] + most);
        while self.delivered[site] < until {
            let number = self.delivered[site];
            let (at, kind) = self.lines[site][number].clone();
            self.store(stored(site, number, Some(at), kind, self.now));
            self.delivered[site] += 1;
            if rng.once_in(5) {
                self.judge();
            }
        }
        let caught_up = self.delivered[site] == self.written(site);
        let waiting = (self.written(site) - self.delivered[site]) as u64;
        self.judge.mark_seen(&agent(site), &[code(site)], self.now, waiting, None);
        let before = self.told.iter().rev().find(|(of, _)| *of == site).and_then(|(_, told)| told.logs[0].read_until);
        let read_until = if caught_up { Some(self.now) } else { before };
        let coverage = covered(site, self.delivered[site] as u64, self.written(site) as u64, read_until);
        self.judge.apply_coverage(&agent(site), Epoch([1; 16]), coverage.clone());
        self.told.push((site, coverage));
        self.judge();
    }

    fn store(&mut self, event: StoredEvent) {
        self.judge.apply(&event);
        self.stored.push(event);
    }

    /// The collector restarts with what it stores: events, findings, and each agent's last coverage report.
    fn restart(&mut self) {
        let mut hierarchy = Hierarchy::default();
        self.stored.iter().for_each(|event| drop(hierarchy.fold(event)));
        let kept = self.judge.findings().cloned().collect();
        self.judge = Judge::new(hierarchy, Limits::default(), kept, true);
        for site in 0..3 {
            if let Some((_, coverage)) = self.told.iter().rev().find(|(of, _)| *of == site) {
                self.judge.apply_coverage(&agent(site), Epoch([1; 16]), coverage.clone());
            }
        }
        self.connected = [false; 3];
        self.judge();
    }

    fn step(&mut self, rng: &mut Rng) {
        self.now = after(self.now, i64::try_from(rng.between(10, 50)).expect("small"));
        if rng.once_in(60) {
            self.restart();
        }
        for site in 0..3 {
            if self.away_until[site].is_some_and(|until| until > self.now) {
                continue;
            }
            if rng.once_in(40) {
                self.away_until[site] = Some(after(self.now, i64::try_from(rng.between(60, 2400)).expect("small")));
                self.connected[site] = false;
                self.judge.stream_closed(&agent(site), 1);
                continue;
            }
            let most = usize::try_from(rng.between(1, 400)).expect("small");
            self.deliver(rng, site, most);
        }
        self.judge.tick();
        self.judge();
    }
}

/// Violations of the invariant.
pub fn run(seed: u64) -> Vec<String> {
    let mut rng = Rng::new(seed);
    let mut world = World::new(&mut rng);
    while world.now < after(begin(), DAYS * 1440 - 60) {
        world.step(&mut rng);
    }
    (0..3).for_each(|site| world.deliver(&mut rng, site, usize::MAX / 2));
    world.judge.touch_all();
    world.judge();
    let truth = world.truth();
    if world.open != truth {
        let differs: Vec<&String> = world.open.symmetric_difference(&truth).collect();
        world.violations.push(format!("J in the end: {differs:?}"));
    }
    world.violations
}

#[test]
fn no_finding_opens_that_a_judge_who_knew_everything_would_not_have_opened() {
    for seed in 1..=crate::number("SUPWATCH_JUDGED").unwrap_or(40) {
        let violations = run(seed);
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
    }
}

#[test]
fn a_backlog_that_is_judged_as_it_arrives_is_noticed() {
    supwatch_judgement::planted::plant_backlog_judged(true);
    let caught = (1..=5).any(|seed| !run(seed).is_empty());
    assert!(caught, "not noticed within 5 seeds");
}
