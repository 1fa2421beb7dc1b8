//! Delivery under faults chosen by a seed: real agents and a real collector on a simulated network, in simulated time.
//!
//! `SUPWATCH_SEEDS` sets the number of seeds (50), `SUPWATCH_SEED` runs a single one, `SUPWATCH_TRACE=1` prints what happens.
//! There is no TLS, no thread, and no real disk below the collector: those have their own tests.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod ledger;
mod rng;
mod disk;
mod hosts;
mod judged;
mod log;
mod oracle;
mod planted;
mod story;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn whatever_happens_every_line_is_stored_once_and_in_order() {
    let seeds = match number("SUPWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..number("SUPWATCH_SEEDS").unwrap_or(50) + 1,
    };
    let (start, mut faults, mut failed) = (Instant::now(), BTreeMap::<&str, u64>::new(), Vec::new());
    let (mut simulated, mut lines, mut rolled, mut sessions, mut resent) = (Duration::ZERO, 0, 0, 0, 0);
    for seed in seeds.clone() {
        let outcome = story::run(seed);
        outcome.faults.iter().for_each(|(kind, times)| *faults.entry(kind).or_default() += times);
        simulated += outcome.simulated;
        lines += outcome.lines;
        rolled += outcome.rolled;
        sessions += outcome.sessions;
        resent += outcome.resent;
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {:?}", outcome.violations);
            println!(
                "  SUPWATCH_SEED={seed} SUPWATCH_TRACE=1 cargo test -p supwatch-tests --test simulation whatever -- --nocapture"
            );
            failed.push(seed);
        }
    }
    println!(
        "{} seeds, {} faults, {lines} lines, {rolled} times a log rolled over, {sessions} sessions, {resent} events sent again, {} s simulated in {:.1} s",
        seeds.end - seeds.start,
        faults.values().sum::<u64>(),
        simulated.as_secs(),
        start.elapsed().as_secs_f64(),
    );
    println!("{faults:?}");
    assert!(failed.is_empty(), "seeds {failed:?} break an invariant; the lines above repeat them");
}

/// Runs in its own process each time: what a process did before is not part of a seed.
fn run_in_own_process(seed: u64) -> String {
    let program = std::env::current_exe().expect("this program");
    let mut tell = std::process::Command::new(program);
    tell.args(["whatever_happens", "--nocapture", "--test-threads", "1"]);
    tell.env("SUPWATCH_SEED", seed.to_string()).env("SUPWATCH_TRACE", "1");
    let told = tell.output().expect("it runs");
    assert!(told.status.success(), "seed {seed}");
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    // Only the trace: its lines begin with a time.
    told.lines().filter(|line| line.starts_with(|sign: char| sign.is_ascii_digit())).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_same_seed_gives_the_same_story() {
    for seed in 1..=number("SUPWATCH_TWICE").unwrap_or(3) {
        let (first, second) = (run_in_own_process(seed), run_in_own_process(seed));
        assert!(first.lines().count() > 1_000, "a story is told: {first}");
        let differs = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        assert!(first == second, "seed {seed}: {differs:?}");
    }
}
