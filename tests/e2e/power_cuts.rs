//! The power goes: spool or store lie on a file system of their own in a file, which is copied while its writer is frozen.
//! What the copy holds is what a disk would: everything that was truly synced, and nothing of the page cache.
//!
//! SUPWATCH_POWER_CUTS: how many of each. Needs Linux, root and loop devices; where they are not to be had the test says why it shows
//! nothing. Method: the collector counts an event once it is durable, and an agent sends an event once it is; both must be found
//! in the copy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use supwatch_tests::{House, text, wait_for};

use crate::kills::Dice;
use crate::nothing_lost::One;

fn cuts() -> u64 {
    std::env::var("SUPWATCH_POWER_CUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(3)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {}", text(&output.stderr))) }
}

/// A file system in a file, mounted where a program keeps its data.
struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn new(image: PathBuf, mount: PathBuf) -> Result<Disk, String> {
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(96 << 20).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&mount).map_err(|error| error.to_string())?;
        let name = image.to_str().expect("path");
        run("mkfs.ext4", &["-q", "-F", name])?;
        run("mount", &["-o", "loop", name, mount.to_str().expect("path")])?;
        // What making it left in the page cache is not what is asked here.
        run("sync", &["-f", mount.to_str().expect("path")])?;
        Ok(Disk { image, mount })
    }

    /// What a power cut leaves of it, mounted in its place. Its writer is frozen meanwhile, and killed then.
    fn cut(&self, kill: impl FnOnce()) {
        let (image, copy) = (&self.image, self.image.with_extension("copy"));
        let names = (image.to_str().expect("path"), copy.to_str().expect("path"));
        run("cp", &["--sparse=always", names.0, names.1]).expect("copied");
        kill();
        self.unmount();
        std::fs::rename(&copy, image).expect("renamed");
        run("mount", &["-o", "loop", names.0, self.mount.to_str().expect("path")]).expect("it is mounted again");
    }

    fn unmount(&self) {
        wait_for("the end of its last user", || run("umount", &[self.mount.to_str().expect("path")]));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", self.mount.to_str().unwrap_or_default()]);
    }
}

/// A disk for a folder, or why there is none.
fn disk(house: &House, mount: &Path) -> Option<Disk> {
    match Disk::new(house.path("disk.img"), mount.to_owned()) {
        Ok(disk) => Some(disk),
        Err(why) => {
            eprintln!("power cuts are not shown here: {why}");
            None
        }
    }
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

/// Events that the collector says it has, durably.
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
    let Some(disk) = disk(&one.house, &one.house.path("store")) else { return };
    one.house.start_collector();
    for _ in 0..cuts() {
        one.start();
        write_for_a_while(&mut one, &mut dice);
        let acknowledged = durable(&one);
        one.house.freeze_collector();
        // Nobody may send again what the store lost, before it was asked.
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
    let Some(disk) = disk(&one.house, &state) else { return };
    for _ in 0..cuts() {
        one.start();
        write_for_a_while(&mut one, &mut dice);
        let agent = one.agent.take().expect("an agent");
        agent.freeze();
        disk.cut(|| agent.kill());
        // Had it sent what its spool does not hold, it would have been set back in time.
        one.start();
        one.check();
        let said = one.agent.as_ref().map(supwatch_tests::Running::said).unwrap_or_default();
        assert!(!said.contains("set back in time") && !said.contains("damaged"), "{said}");
        one.kill();
    }
    disk.unmount();
    println!("{} power cuts of the spool: 0 events lost that were sent, 0 spools that did not open", cuts());
}
