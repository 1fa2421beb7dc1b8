//! The story of one seed: logs grow and roll over, faults occur and end, and then everything must settle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use supwatch_agent::config::Site;
use supwatch_agent::spool::{Bounds, Spool};
use supwatch_model::ids::Epoch;
use supwatch_reading::site_folder;
use turmoil::Sim;

use crate::disk::{Backup, Disk};
use crate::hosts::{self, CLONE, COLLECTOR, Home};
use crate::log::Log;
use crate::oracle;
use crate::rng::Rng;

const TICK: Duration = Duration::from_millis(10);
/// Time during which logs grow and faults occur.
const ACTIVE: Duration = Duration::from_secs(80);
/// Time limit for settling: longer than an agent's longest backoff plus the timeouts of a dead connection.
const SETTLING: Duration = Duration::from_secs(300);
/// More time than an agent needs to read new data.
const PLENTY: Duration = Duration::from_secs(3);
/// Observation time after everything has settled.
const QUIET: Duration = Duration::from_secs(3);

/// Result of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// Checksum of everything that happened, in order.
    pub trace: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub lines: u64,
    pub rolled: u64,
    pub sessions: u64,
    pub resent: u64,
    pub simulated: Duration,
}

/// An agent with its logs.
pub struct Agent {
    pub home: Arc<Home>,
    pub logs: Vec<Log>,
    down_until: Option<Duration>,
    /// A clone with the same identity, the same logs and a copy of its spool.
    clone: Arc<Home>,
    clone_until: Option<Duration>,
    /// Whether there ever was a clone.
    pub cloned: bool,
    /// When it, its clone or a file of its logs last started.
    changed: Duration,
    /// An earlier copy of its spool.
    has_copy: bool,
    /// Its epoch and the clone's, and whether each still needs the collector's checkpoints.
    epochs: [Option<(Epoch, bool)>; 2],
    cut_until: Option<Duration>,
    held_until: Option<Duration>,
}

pub struct Story {
    pub rng: Rng,
    pub disk: Arc<Disk>,
    pub agents: Vec<Agent>,
    now: Duration,
    collector_down_until: Option<Duration>,
    backups: Vec<Backup>,
    next_fault: Duration,
    next_backup: Duration,
    faults: BTreeMap<&'static str, u64>,
    rolled: u64,
}

/// Folder of spools and logs: in memory if available, because each write is synced.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("folder")
}

/// Runs the story of a seed.
pub fn run(seed: u64) -> Outcome {
    let folder = folder();
    let mut rng = Rng::new(seed);
    let disk = Arc::new(Disk::new(rng.fork()));
    let mut sim = turmoil::Builder::new()
        .simulation_duration(ACTIVE + SETTLING + QUIET + Duration::from_secs(60))
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(rng.millis(20, 200))
        .tcp_capacity(4096)
        .rng_seed(seed)
        .enable_random_order()
        .build();
    let on = Arc::clone(&disk);
    sim.host(COLLECTOR, move || hosts::collector(Arc::clone(&on)));
    let bounds = match rng.once_in(2) {
        true => Bounds { spool_bytes: 40 << 10, retained_bytes: 12 << 10 },
        false => Bounds::default(),
    };
    let agents = (0..rng.between(1, 4)).map(|number| agent(&mut sim, &mut rng, folder.path(), number, bounds)).collect();
    let mut story = Story {
        rng,
        disk,
        agents,
        now: Duration::ZERO,
        collector_down_until: None,
        backups: Vec::new(),
        next_fault: Duration::from_secs(2),
        next_backup: Duration::from_secs(5),
        faults: BTreeMap::new(),
        rolled: 0,
    };
    story.run(&mut sim);
    drop(sim);
    let aside = std::fs::read_dir(folder.path()).expect("folder");
    let aside = aside.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().contains("quarantine")));
    assert_eq!(aside.count(), 0, "seed {seed}: a spool was damaged");
    let ledger = story.disk.ledger();
    Outcome {
        violations: ledger.violations.clone(),
        trace: ledger.trace,
        faults: story.faults.clone(),
        lines: story.agents.iter().flat_map(|agent| &agent.logs).map(|log| log.written).sum(),
        rolled: story.rolled,
        sessions: ledger.sessions,
        resent: ledger.resent,
        simulated: story.now,
    }
}

fn agent(sim: &mut Sim<'_>, rng: &mut Rng, folder: &Path, number: u64, bounds: Bounds) -> Agent {
    let name = format!("agent{number}");
    let logs: Vec<Log> = ["P", "S"].iter().map(|kind| Log::new(folder, &format!("{kind}0{number}"))).collect();
    let home = |name: String, rng: &mut Rng| {
        let sites = logs.iter().map(|log| {
            let path = log.folder.join("site.toml");
            let file = site_folder::site_file(std::fs::read_to_string(&path), &path).expect("a good file");
            let reading = site_folder::reading(&file, &log.folder).expect("good");
            Site { folder: log.folder.clone(), logs: log.folder.join("logs"), file, reading, command: None, wsus: Vec::new() }
        });
        Arc::new(Home {
            spool: folder.join(format!("spool-{name}")),
            sites: sites.collect(),
            bounds,
            rng: Mutex::new(rng.fork()),
            running: Mutex::new(Weak::new()),
            name,
        })
    };
    let (clone, home) = (home(format!("{name}{CLONE}"), rng), home(name, rng));
    for home in [&home, &clone] {
        let program = Arc::clone(home);
        sim.host(home.name.as_str(), move || hosts::agent(Arc::clone(&program)));
    }
    sim.crash(clone.name.as_str());
    Agent {
        home,
        logs,
        down_until: None,
        clone,
        clone_until: None,
        cloned: false,
        changed: Duration::ZERO,
        has_copy: false,
        epochs: [None; 2],
        cut_until: None,
        held_until: None,
    }
}

impl Agent {
    /// Whether it and its clone have read their logs to the end: the collector's events may come from either.
    fn has_read_everything(&self, now: Duration) -> bool {
        let reads = |home: &Home| home.running().is_some_and(|spool| !spool.is_fresh() && spool.undelivered() == 0);
        now >= self.changed + PLENTY && reads(&self.home) && (self.clone_until.is_none() || reads(&self.clone))
    }
}

/// Whether a time has come; if so, clears it.
fn due(until: &mut Option<Duration>, now: Duration) -> bool {
    let due = until.is_some_and(|until| now >= until);
    if due {
        *until = None;
    }
    due
}

impl Story {
    fn run(&mut self, sim: &mut Sim<'_>) {
        while self.now < ACTIVE && !self.is_over() {
            self.grow();
            if self.now >= self.next_fault {
                self.next_fault = self.now + self.rng.millis(500, 8_000);
                self.fault(sim);
            }
            if self.now >= self.next_backup {
                self.next_backup = self.now + self.rng.millis(4_000, 20_000);
                // Two agents with one identity keep different events under the same numbers: what a restored collector would
                // receive again from that time is undefined.
                if self.agents.iter().all(|agent| agent.clone_until.is_none()) {
                    self.backups.push(self.disk.backup());
                }
            }
            self.step(sim, self.now);
        }
        self.agents.iter_mut().flat_map(|agent| &mut agent.logs).for_each(Log::mend);
        // Faults that would end later end now.
        self.step(sim, Duration::MAX);
        let mut settled = None;
        while !self.is_over() {
            self.step(sim, self.now);
            if settled.is_none() && oracle::is_settled(self) {
                settled = Some(self.now);
            }
            match settled {
                Some(at) if self.now >= at + QUIET => break,
                None if self.now >= ACTIVE + SETTLING => break,
                _ => {}
            }
        }
        oracle::at_the_end(self, settled.is_some());
    }

    /// Whether the story can stop early, because an invariant was violated.
    fn is_over(&self) -> bool {
        !self.disk.ledger().violations.is_empty()
    }

    fn grow(&mut self) {
        let (rng, mut ledger) = (&mut self.rng, self.disk.ledger());
        let mut rolled = Vec::new();
        for agent in &mut self.agents {
            let has_read = !agent.cloned || agent.has_read_everything(self.now);
            for log in &mut agent.logs {
                if rng.once_in(40) {
                    match rng.once_in(4) {
                        true => log.tear(rng.next()),
                        false => log.write(rng.between(1, 8)),
                    }
                }
                // A log that rolls over twice before it is read loses lines for good; and an agent that lost its state resumes in
                // a file of which the collector has a part.
                if rng.once_in(900) && log.written > log.rolled && has_read {
                    let stored = ledger.page.lines.get(&log.site);
                    if (1..=log.rolled + 1).all(|line| stored.is_some_and(|stored| stored.contains(&line))) {
                        log.roll(rng.once_in(2));
                        self.rolled += 1;
                        agent.changed = self.now;
                        rolled.push(format!(
                            "{} {} rolled over at {}, {} gone",
                            self.now.as_millis(),
                            log.site,
                            log.written,
                            log.gone
                        ));
                    }
                }
            }
        }
        rolled.iter().for_each(|what| ledger.note(what));
    }

    /// Ends the faults that are due by `end`, and lets a tick pass.
    fn step(&mut self, sim: &mut Sim<'_>, end: Duration) {
        if due(&mut self.collector_down_until, end) {
            sim.bounce(COLLECTOR);
        }
        for agent in &mut self.agents {
            let name = agent.home.name.as_str();
            if due(&mut agent.cut_until, end) {
                sim.repair(name, COLLECTOR);
            }
            if due(&mut agent.held_until, end) {
                sim.release(name, COLLECTOR);
            }
            if due(&mut agent.down_until, end) {
                agent.changed = self.now;
                sim.bounce(name);
            }
            if due(&mut agent.clone_until, end) {
                sim.crash(agent.clone.name.as_str());
                // Events that only this agent had are lost.
                self.backups.clear();
            }
        }
        supwatch_store::planted::lately::now(self.now);
        sim.step().expect("every program continues");
        self.now += TICK;
        for agent in &mut self.agents {
            for (home, known) in [&agent.home, &agent.clone].into_iter().zip(&mut agent.epochs) {
                let Some(spool) = home.running() else { continue };
                let epoch = Some((spool.epoch(), spool.is_fresh()));
                if *known != epoch {
                    // The events the agent retained for a restored collector went with its old epoch: restoring an earlier backup
                    // would lose them.
                    self.backups.clear();
                    *known = epoch;
                }
            }
        }
        oracle::always(self);
    }

    fn fault(&mut self, sim: &mut Sim<'_>) {
        let (now, kind) = (self.now, self.rng.next() % 12);
        let at = usize::try_from(self.rng.next() % self.agents.len() as u64).expect("small");
        let can_do_without = self.disk_has_what_is_gone(at);
        let rng = &mut self.rng;
        let Some(agent) = self.agents.get_mut(at) else { return };
        let name = agent.home.name.clone();
        let happened = match kind {
            0 if agent.cut_until.is_none() && agent.held_until.is_none() => {
                match rng.once_in(3) {
                    true => sim.partition_oneway(COLLECTOR, name.as_str()),
                    false => sim.partition(name.as_str(), COLLECTOR),
                }
                agent.cut_until = Some(now + rng.millis(500, 40_000));
                "link cut"
            }
            1 | 2 if agent.cut_until.is_none() && agent.held_until.is_none() => {
                sim.hold(name.as_str(), COLLECTOR);
                agent.held_until = Some(now + rng.millis(200, 15_000));
                "messages held"
            }
            3 => {
                sim.set_link_max_message_latency(name.as_str(), COLLECTOR, rng.millis(5, 2_000));
                "latency changed"
            }
            4 | 5 if agent.down_until.is_none() => {
                sim.crash(name.as_str());
                agent.down_until = Some(now + rng.millis(10, 8_000));
                "agent crashed"
            }
            6 | 7 if self.collector_down_until.is_none() => {
                sim.crash(COLLECTOR);
                self.collector_down_until = Some(now + rng.millis(10, 12_000));
                "collector crashed"
            }
            8 if self.collector_down_until.is_none() => {
                let Some(backup) = rng.one_of(&self.backups) else { return };
                sim.crash(COLLECTOR);
                self.disk.restore(backup);
                self.collector_down_until = Some(now + rng.millis(10, 5_000));
                "collector restored from a backup"
            }
            9 if agent.down_until.is_none() => return self.set_back(sim, at, can_do_without),
            10 if agent.down_until.is_none() && can_do_without => {
                sim.crash(name.as_str());
                settle(&agent.home.spool);
                std::fs::remove_dir_all(&agent.home.spool).expect("removed");
                agent.down_until = Some(now + rng.millis(10, 5_000));
                self.backups.clear();
                "agent's state lost"
            }
            11 if agent.down_until.is_none() && agent.clone_until.is_none() && agent.home.spool.is_dir() => {
                sim.crash(name.as_str());
                settle(&agent.home.spool);
                copy(&agent.home.spool, &agent.clone.spool);
                sim.bounce(name.as_str());
                sim.bounce(agent.clone.name.as_str());
                agent.clone_until = Some(now + rng.millis(2_000, 30_000));
                agent.cloned = true;
                agent.changed = now;
                self.backups.clear();
                "agent cloned"
            }
            _ => return,
        };
        self.happened(happened);
    }

    fn happened(&mut self, what: &'static str) {
        self.disk.ledger().note(&format!("{} {what}", self.now.as_millis()));
        *self.faults.entry(what).or_default() += 1;
    }

    /// The first call copies an agent's spool; the next one rolls it back to the copy.
    fn set_back(&mut self, sim: &mut Sim<'_>, at: usize, can_do_without: bool) {
        let agent = &mut self.agents[at];
        let kept = agent.home.spool.with_extension("copy");
        if agent.has_copy && !can_do_without {
            return;
        }
        sim.crash(agent.home.name.as_str());
        agent.down_until = Some(self.now + self.rng.millis(10, 3_000));
        let has_copy = std::mem::replace(&mut agent.has_copy, true);
        if has_copy {
            settle(&agent.home.spool);
            copy(&kept, &agent.home.spool);
            self.backups.clear();
            self.happened("spool set back");
        } else {
            settle(&agent.home.spool);
            copy(&agent.home.spool, &kept);
            self.happened("agent crashed");
        }
    }

    /// Whether the collector has every line of vanished files: otherwise an agent without its spool cannot resend them.
    fn disk_has_what_is_gone(&self, at: usize) -> bool {
        let ledger = self.disk.ledger();
        self.agents[at].logs.iter().all(|log| {
            let stored = ledger.page.lines.get(&log.site);
            (1..=log.gone).all(|line| stored.is_some_and(|stored| stored.contains(&line)))
        })
    }
}

/// Waits until a spool is released and all of it is in its folder.
fn settle(spool: &Path) {
    drop(Spool::open(spool).expect("a good spool"));
}

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).expect("removed");
    }
    std::fs::create_dir_all(to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").map(|entry| entry.expect("entry")) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}
