//! Fifty agents in one process for a while, with lines, rotations and broken connections: every line is stored once, and neither
//! memory nor open files grow.
//!
//! SUPWATCH_SOAK_SECONDS sets the duration. SUPWATCH_SEED repeats the random numbers. Real TLS and a real collector.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use supwatch_tests::dice::Dice;
use supwatch_tests::proxy::Proxy;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, wait_for};

mod overload;

const AGENTS: usize = 50;

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|count| count.parse().ok()).unwrap_or(otherwise)
}

fn seconds() -> u64 {
    number("SUPWATCH_SOAK_SECONDS", 20)
}

/// MiB of memory and open files of a process.
fn size(pid: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: u64 = resident.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    (kib / 1024, std::fs::read_dir(format!("/proc/{pid}/fd")).expect("fd").count())
}

/// Number of stored events of each agent.
fn counts(house: &House) -> Result<BTreeMap<String, u64>, String> {
    let page = house.metrics()?;
    let of = |line: &str| {
        let (agent, count) = line.strip_prefix("supwatch_events_total{agent=\"")?.split_once("/srv\"} ")?;
        Some((agent.to_owned(), count.parse().ok()?))
    };
    Ok(page.lines().filter_map(of).collect())
}

struct One {
    site: SiteFolder,
    written: u64,
    rolled_at: u64,
}

impl One {
    fn write(&mut self, lines: u64) {
        self.site.write_numbered(self.written..self.written + lines);
        self.written += lines;
    }

    /// Rolls over once everything before the previous rotation is stored: two in a row lose lines for good.
    fn roll_over(&mut self, stored: u64, by_rename: bool) {
        // The description of the site is an event, too.
        if stored <= self.rolled_at + 1 || self.written == 0 {
            return;
        }
        self.rolled_at = self.written;
        let (log, old) = (self.site.log(), self.site.folder.join("logs/wsyncmgr.lo_"));
        if by_rename {
            std::fs::rename(&log, &old).expect("rename");
        } else {
            std::fs::copy(&log, &old).expect("copy");
            std::fs::OpenOptions::new().write(true).truncate(true).open(&log).expect("truncate");
        }
        self.write(1);
    }
}

fn start(runtime: &tokio::runtime::Runtime, config: &Path, stop: &tokio::sync::watch::Receiver<bool>) {
    let config = supwatch_agent::app::config(config).expect("configuration");
    let mut stop = stop.clone();
    runtime.spawn(async move {
        let stopped = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        supwatch_agent::app::run(config, stopped, std::future::pending()).await.expect("the agent runs");
    });
}

#[test]
fn fifty_agents_run_for_a_while_and_nothing_grows() {
    let (mut dice, house) = (Dice::new(), House::new("name = \"corp\"\n"));
    let proxy = Proxy::to(house.port);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let mut agents: Vec<One> = (0..AGENTS)
        .map(|number| {
            let code: &'static str = Box::leak(format!("A{number:02}").into_boxed_str());
            let kind = if number == 0 { "central" } else { "primary" };
            let site = SiteFolder::new(&house.path("sites"), code, kind, (number > 0).then_some("A00"));
            let identity = house.identity(&[code], "srv");
            let config = house.agent_config(code, &identity, std::slice::from_ref(&site.folder), proxy.port);
            start(&runtime, &config, &stopping);
            One { site, written: 0, rolled_at: 0 }
        })
        .collect();
    let (begin, mut measured, mut sizes, mut breaks) = (Instant::now(), Instant::now(), Vec::new(), 0);
    while begin.elapsed() < Duration::from_secs(seconds()) {
        for _ in 0..5 {
            let which = usize::try_from(dice.below(AGENTS as u64)).expect("small");
            agents[which].write(1 + dice.below(10));
        }
        if dice.below(5) == 0 {
            breaks += proxy.break_some(dice.below(3));
        }
        if dice.below(3) == 0 {
            let stored = counts(&house).expect("metrics");
            let which = usize::try_from(dice.below(AGENTS as u64)).expect("small");
            let code = agents[which].site.code;
            agents[which].roll_over(stored.get(code).copied().unwrap_or(0), dice.below(2) == 0);
        }
        if measured.elapsed() > Duration::from_secs(seconds() / 20) {
            measured = Instant::now();
            sizes.push((size(std::process::id()), size(house.collector_pid())));
        }
        // Writers pause.
        std::thread::sleep(Duration::from_millis(50));
    }
    let lines: u64 = agents.iter().map(|one| one.written).sum();
    wait_for("every line", || {
        let stored = counts(&house)?;
        let have: u64 = stored.values().sum();
        if have >= lines + AGENTS as u64 { Ok(()) } else { Err(format!("{have} of {lines} and {AGENTS} descriptions")) }
    });
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in house.events().expect("events").iter().filter(|event| event["kind"] == "catalog-version") {
        let site = event["site"].as_str().expect("site").to_owned();
        found.entry(site).or_default().push(event["version"].as_u64().expect("version"));
    }
    for one in agents.iter().filter(|one| one.written > 0) {
        assert!(found[one.site.code].iter().copied().eq(0..one.written), "{}: each line once, in order", one.site.code);
    }
    let rolled: usize = agents.iter().filter(|one| one.rolled_at > 0).count();
    println!("{} s, {lines} lines, {breaks} links broken, {rolled} agents rolled over: 0 lost, 0 doubled", seconds());
    for ((own, files), (collector, collector_files)) in &sizes {
        println!("agents {own:>4} MiB {files:>4} files   collector {collector:>4} MiB {collector_files:>4} files");
    }
    stop.send_replace(true);
    // Caches fill at first; then memory stays constant. In a short run they fill for half of the time.
    if let (true, Some(middle), Some(end)) = (seconds() >= 600, sizes.get(sizes.len() / 2), sizes.last()) {
        let (middle, end) = (middle.0.0 + middle.1.0, end.0.0 + end.1.0);
        assert!(end <= middle + middle / 3, "{middle} MiB in the middle, {end} at the end");
    }
    // A connection that is being re-established may hold open files; a leak would grow with each break.
    let files: Vec<usize> = sizes.iter().map(|((_, own), (_, collector))| own + collector).collect();
    let (early, late) = files.split_at(files.len() / 2);
    let (early, late) = (early.iter().max().copied().unwrap_or(0), late.iter().max().copied().unwrap_or(0));
    assert!(late <= early + 2 * AGENTS, "open files grow: {early}, then {late}");
}
