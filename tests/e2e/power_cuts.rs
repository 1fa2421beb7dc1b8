//! Power cuts: spool or store are on a loop-mounted file system, whose image is copied while its writer is frozen. The copy holds
//! what a disk would: everything that was truly synced, and nothing of the page cache.
//!
//! SUPWATCH_POWER_CUTS sets the number of each. Needs Linux, root and loop devices; without them the test says why and proves
//! nothing. Method: the collector counts an event once it is durable, and an agent sends an event once it is; both must be found
//! in the copy.

use std::time::{Duration, Instant};

use supwatch_tests::dice::Dice;
use supwatch_tests::disk::Disk;

use crate::nothing_lost::One;

fn cuts() -> u64 {
    std::env::var("SUPWATCH_POWER_CUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

fn write_for_a_while(one: &mut One, dice: &mut Dice) {
    let until = Instant::now() + Duration::from_millis(300 + dice.below(700));
    while Instant::now() < until {
        one.write(1 + dice.below(20));
        let pause = Instant::now() + Duration::from_millis(2);
        while Instant::now() < pause {
            std::thread::yield_now();
        }
    }
}

/// Number of events that the collector reports as durable.
fn durable(one: &One) -> u64 {
    let page = one.house.metrics().unwrap_or_default();
    let line = page.lines().find_map(|line| line.strip_prefix("supwatch_events_total{agent=\"CEN/srv\"} "));
    line.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[test]
fn what_the_collector_acknowledged_survives_power_cuts() {
    let (mut dice, mut one) = (Dice::new(), One::new());
    one.house.kill_collector();
    std::fs::remove_dir_all(one.house.path("store")).expect("removed");
    let Some(disk) = Disk::for_folder(&one.house.path("disk.img"), &one.house.path("store"), "power cuts") else { return };
    one.house.start_collector();
    for _ in 0..cuts() {
        one.start();
        write_for_a_while(&mut one, &mut dice);
        let acknowledged = durable(&one);
        one.house.freeze_collector();
        // The store is checked before any agent can resend what it lost.
        one.kill();
        let house = &mut one.house;
        disk.cut(|| house.kill_collector());
        one.house.start_collector();
        let found = one.house.events().expect("the store opens").len() as u64;
        assert!(found >= acknowledged, "{found} of {acknowledged} acknowledged events are left");
    }
    one.start();
    one.check();
    one.kill();
    one.house.kill_collector();
    disk.unmount();
    println!("{} power cuts of the store: 0 acknowledged events lost, 0 stores that did not open", cuts());
}

#[test]
fn what_an_agent_sent_is_in_its_spool_after_power_cuts() {
    let (mut dice, mut one) = (Dice::new(), One::new());
    let state = one.state();
    let Some(disk) = Disk::for_folder(&one.house.path("disk.img"), &state, "power cuts") else { return };
    for _ in 0..cuts() {
        one.start();
        write_for_a_while(&mut one, &mut dice);
        let agent = one.agent.take().expect("an agent");
        agent.freeze();
        disk.cut(|| agent.kill());
        // Had the agent sent events that its spool does not hold, it would count as rolled back.
        one.start();
        one.check();
        let said = one.agent.as_ref().map(supwatch_tests::Running::said).unwrap_or_default();
        assert!(!said.contains("rolled back"), "{said}");
        assert!(!said.contains("damaged"), "{said}");
        one.kill();
    }
    disk.unmount();
    println!("{} power cuts of the spool: 0 events lost or doubled, 0 spools that did not open", cuts());
}
