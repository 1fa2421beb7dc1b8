//! Agent and collector are killed repeatedly, at any moment, while logs grow and roll over: every line is stored once, in order,
//! under consecutive numbers.
//!
//! SUPWATCH_KILLS sets the number of kills of the agent alone and of the collector alone; both are killed together a third as
//! often. SUPWATCH_SEED repeats a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use supwatch_tests::dice::Dice;
use supwatch_tests::wait_for;

use crate::nothing_lost::{One, stored};

fn kills() -> u64 {
    std::env::var("SUPWATCH_KILLS").ok().and_then(|count| count.parse().ok()).unwrap_or(10)
}

/// Writes for a random time, so that the following action hits any moment of the programs' work.
fn write_for_a_while(one: &mut One, dice: &mut Dice) {
    let until = Instant::now() + Duration::from_millis(dice.below(150));
    while Instant::now() < until {
        one.write(1 + dice.below(20));
        // Writers pause, too.
        let pause = Instant::now() + Duration::from_millis(1 + dice.below(8));
        while Instant::now() < pause {
            std::thread::yield_now();
        }
    }
}

/// A rotation, once everything before the previous one is stored: two in a row lose lines for good.
fn roll_over(one: &mut One, dice: &mut Dice, rolled_at: &mut u64) {
    let have = stored(&one.house).map_or(0, |mut found| found.remove("CEN").map_or(0, |versions| versions.len() as u64));
    if have < *rolled_at || have == 0 {
        return;
    }
    *rolled_at = one.written;
    let (log, old) = (one.site.log(), one.site.folder.join("logs/wsyncmgr.lo_"));
    if dice.below(2) == 0 {
        std::fs::rename(&log, &old).expect("rename");
    } else {
        std::fs::copy(&log, &old).expect("copy");
        std::fs::OpenOptions::new().write(true).truncate(true).open(&log).expect("truncate");
    }
    one.write(1);
}

/// Violations of the invariant.
fn missing(one: &One, found: &[u64]) -> String {
    let known: BTreeSet<u64> = found.iter().copied().collect();
    let missing: Vec<u64> = (0..one.written).filter(|line| !known.contains(line)).take(5).collect();
    let events = one.house.events().unwrap_or_default();
    let gaps: Vec<_> = events.into_iter().filter(|event| event["kind"] == "log-gap").collect();
    let (all, different) = (found.len(), known.len());
    format!("{all} stored, {different} different, of {}; missing from {missing:?}; gaps {gaps:?}", one.written)
}

/// Every line is stored once and in order, and the numbers of each epoch are consecutive (I1).
#[track_caller]
fn check(one: &One) {
    wait_for("every line", || {
        let found = stored(&one.house)?.remove("CEN").unwrap_or_default();
        if found.len() as u64 >= one.written { Ok(()) } else { Err(missing(one, &found)) }
    });
    let found = stored(&one.house).expect("events").remove("CEN").unwrap_or_default();
    assert!(found.iter().copied().eq(0..one.written), "{}", missing(one, &found));
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in one.house.events().expect("events") {
        let epoch = event["epoch"].as_str().expect("epoch").to_owned();
        numbers.entry(epoch).or_default().push(event["sequence"].as_u64().expect("sequence"));
    }
    for (epoch, found) in numbers {
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>(), "epoch {epoch}");
    }
}

fn story(agent: bool, collector: bool, count: u64) {
    let mut dice = Dice::new();
    let mut one = One::new();
    let mut rolled_at = 0;
    one.start();
    for _ in 0..count {
        write_for_a_while(&mut one, &mut dice);
        if dice.below(4) == 0 {
            roll_over(&mut one, &mut dice, &mut rolled_at);
        }
        if agent {
            one.kill();
        }
        if collector {
            one.house.kill_collector();
        }
        one.write(1 + dice.below(30));
        if collector {
            one.house.start_collector();
        }
        if agent {
            one.start();
        }
    }
    write_for_a_while(&mut one, &mut dice);
    check(&one);
    println!("{count} cycles, {} lines: 0 lost, 0 doubled", one.written);
}

#[test]
fn an_agent_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    story(true, false, kills());
}

#[test]
fn a_collector_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    story(false, true, kills());
}

#[test]
fn both_killed_at_any_moment_lose_and_double_nothing() {
    story(true, true, kills().div_ceil(3));
}
