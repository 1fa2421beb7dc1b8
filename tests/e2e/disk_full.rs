//! The disk of the spool, or of the store, is full for a while: nothing is lost, and both resume by themselves.
//!
//! SUPWATCH_DISK_FULL sets how often each disk is filled and freed. If no disk can be set up, the test says why and proves
//! nothing.

use std::time::Instant;

use supwatch_tests::dice::Dice;
use supwatch_tests::disk::Disk;
use supwatch_tests::wait_for;

use crate::nothing_lost::One;

fn cycles() -> u64 {
    std::env::var("SUPWATCH_DISK_FULL").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

/// Fills and frees the disk; `waits` is the message a program logs when it notices.
fn story(one: &mut One, disk: &Disk, dice: &mut Dice, waits: &str, said: impl Fn(&One) -> String) {
    let mut longest = std::time::Duration::ZERO;
    for cycle in 1..=cycles() {
        // To the last byte, or leaving a little for other programs.
        let left = if dice.below(2) == 0 { 0 } else { dice.below(6 << 20) };
        one.write(50);
        disk.fill(left);
        one.write(200);
        if left == 0 {
            let before = usize::try_from(cycle).expect("small");
            wait_for("a word that it waits", || {
                let said = said(one);
                if said.matches(waits).count() >= before.min(1) { Ok(()) } else { Err(said) }
            });
        }
        one.write(20);
        disk.free();
        let freed = Instant::now();
        one.check();
        longest = longest.max(freed.elapsed());
    }
    println!("filled {} times: 0 lost, everything stored at most {longest:.1?} after there was space", cycles());
}

#[test]
fn a_full_disk_of_the_spool_loses_nothing_and_passes() {
    let (mut dice, mut one) = (Dice::new(), One::new());
    let state = one.state();
    let Some(disk) = Disk::for_folder(&one.house.path("disk.img"), &state, "full disks") else { return };
    one.start();
    one.write(10);
    one.check();
    story(&mut one, &disk, &mut dice, "reading paused", |one| one.agent.as_ref().expect("an agent").said());
    one.kill();
    disk.unmount();
}

#[test]
fn a_full_disk_of_the_store_loses_nothing_and_passes() {
    let (mut dice, mut one) = (Dice::new(), One::new());
    one.house.kill_collector();
    std::fs::remove_dir_all(one.house.path("store")).expect("removed");
    let Some(disk) = Disk::for_folder(&one.house.path("disk.img"), &one.house.path("store"), "full disks") else { return };
    one.house.start_collector();
    one.start();
    one.write(10);
    one.check();
    story(&mut one, &disk, &mut dice, "store unavailable; agents keep spooling", |one| one.house.collector_said());
    one.kill();
    one.house.kill_collector();
    disk.unmount();
}
