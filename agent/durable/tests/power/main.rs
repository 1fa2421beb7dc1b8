//! Power cuts at every moment, computed: `record.c` records a writer's file system calls, and from the record the test derives
//! what a disk may hold after a cut at any of them. Every such state must open and contain everything that was acknowledged.
//!
//! The disk keeps everything written before a sync that has returned, and any part of the rest, torn anywhere. Renames are
//! ordered, and a sync persists the ones before it, as in journalling file systems. Writers are killed, resume from the page
//! cache, and then resume from one of the derived states.
//!
//! SUPWATCH_CUT_STATES sets the number of states. SUPWATCH_SEED repeats the random choices, but not the writer's thread schedule.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod disk;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use disk::Disk;
use supwatch_durable::{Batch, Durable};

/// Small, so that the writer reopens its database often.
const CACHE: u64 = 512 << 10;
/// Number of entries that a writer retains.
const KEPT: u64 = 120;
const FOLDER: &str = "SUPWATCH_CUT_FOLDER";

/// A seeded random number generator.
pub struct Dice(u64);

impl Dice {
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn key(number: u64) -> Vec<u8> {
    [b"Q".as_slice(), &number.to_be_bytes()].concat()
}

/// The value of an entry, derived from its number; some are large.
fn value(number: u64) -> Vec<u8> {
    let mut dice = Dice(number);
    let size = if dice.below(12) == 0 { dice.below(60_000) } else { dice.below(3_000) };
    (0..size).map(|_| dice.below(256) as u8).collect()
}

/// The first retained entry and the number of the next one, according to the database.
fn bounds(db: &Durable) -> Result<(u64, u64), String> {
    let Some((_, meta)) = db.get(b"M").map_err(|error| error.to_string())? else { return Ok((1, 1)) };
    let half = |at: usize| u64::from_be_bytes(meta[at..at + 8].try_into().expect("eight bytes"));
    Ok((half(0), half(8)))
}

/// The writer process: when requested, writes entries with their count and removes the oldest, until it is killed.
#[test]
fn a_writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let db = Durable::open(&PathBuf::from(folder).join("db"), CACHE).expect("it opens");
    let mut dice = Dice(number_of("SUPWATCH_SEED").unwrap_or(1));
    for _ in 0..5_000 {
        let (oldest, next) = bounds(&db).expect("read");
        let after = next + 1 + dice.below(4);
        let first = oldest.max(after.saturating_sub(KEPT));
        let mut batch = Batch::new();
        (next..after).for_each(|number| batch.put(&key(number), 1, &value(number)));
        batch.put(b"M", 1, &[first.to_be_bytes(), after.to_be_bytes()].concat());
        batch.put(b"F", 1, &vec![b'f'; 100 + dice.below(2_000) as usize]);
        db.commit(batch).expect("written");
        println!("acknowledged {} ", after - 1);
        let mut batch = Batch::new();
        (oldest..first).for_each(|number| batch.remove(&key(number)));
        db.apply(batch).expect("forgotten");
    }
}

/// What is wrong with the database in a state, if anything.
fn wrong(folder: &Path, acknowledged: u64) -> Option<String> {
    if !folder.join("db").exists() && acknowledged == 0 {
        return None;
    }
    let read = || -> Result<(), String> {
        let db = Durable::open(&folder.join("db"), CACHE).map_err(|error| error.to_string())?;
        let (oldest, next) = bounds(&db)?;
        if next - 1 < acknowledged {
            return Err(format!("{} of {acknowledged} acknowledged entries are left", next - 1));
        }
        for number in oldest..next {
            match db.get(&key(number)).map_err(|error| error.to_string())? {
                Some((_, found)) if found == value(number) => {}
                Some(_) => return Err(format!("entry {number} is another")),
                None => return Err(format!("entry {number} of {oldest} to {next} is missing")),
            }
        }
        // The database accepts new writes.
        let mut batch = Batch::new();
        batch.put(b"X", 1, b"x");
        db.commit(batch).map_err(|error| error.to_string())
    };
    read().err()
}

/// Builds the recorder; needs the C compiler that some dependencies need anyway.
fn recorder(folder: &Path) -> PathBuf {
    let library = folder.join("record.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/record.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-pthread", "-o"]).arg(&library).arg(source).output();
    let made = made.expect("a C compiler, cc");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library
}

/// Runs a writer in a folder until it has made this many file system calls.
fn write(folder: &Path, log: &Path, recorder: &Path, things: u64, seed: u64) {
    let mut writer = Command::new(std::env::current_exe().expect("this program"));
    writer.args(["a_writer", "--exact", "--nocapture", "--test-threads", "1"]).env(FOLDER, folder);
    writer.env("LD_PRELOAD", recorder).env("RECORD_FOLDER", folder).env("RECORD_LOG", log);
    writer.env("RECORD_KILL", things.to_string()).env("SUPWATCH_SEED", seed.to_string());
    let output = writer.stdout(Stdio::piped()).output().expect("it runs");
    let killed = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(9);
    assert!(killed, "the writer ended by itself: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn whatever_a_power_cut_leaves_opens_with_all_that_was_acknowledged() {
    let wanted = number_of("SUPWATCH_CUT_STATES").unwrap_or(400);
    let seed = number_of("SUPWATCH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("SUPWATCH_SEED={seed}");
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let folder = made.expect("folder");
    let (work, state, log) = (folder.path().join("work"), folder.path().join("state"), folder.path().join("log"));
    let recorder = recorder(folder.path());
    let (mut dice, mut tried, mut syncs, mut cycles, mut kept) = (Dice(seed), 0, 0, 0, 0);
    std::fs::create_dir(&work).expect("folder");
    while tried < wanted {
        let before = Disk::of(&work);
        let _ = std::fs::remove_file(&log);
        for _ in 0..1 + dice.below(3) {
            // Some runs end during opening.
            let things = if dice.below(3) == 0 { 5 + dice.below(80) } else { 50 + dice.below(2_500) };
            write(&work, &log, &recorder, things, dice.below(u64::MAX));
        }
        let record = std::fs::read(&log).expect("a record");
        let moments = disk::count(&record);
        let chosen = usize::try_from(dice.below(moments as u64)).expect("small");
        let mut go_on = None;
        // Moments around creating and opening a database are sampled more often than the rest.
        let every = 1 + moments / 24;
        disk::moments(&before, kept, &record, |number, moment| {
            let opens = moment.since_begin < 100 && dice.below(6) == 0;
            if !opens && number % every != 0 && number != chosen && number + 1 != moments {
                return;
            }
            let mut states = vec![("all that was written, as after a kill", moment.killed())];
            if moment.cut {
                states.push(("what was synced", moment.disk.clone()));
                states.push(("some of the rest", moment.torn(&mut dice, false)));
                states.push(("some of the rest, and all names", moment.torn(&mut dice, true)));
            }
            for (what, disk) in states {
                disk.write(&state);
                tried += 1;
                if let Some(wrong) = wrong(&state, moment.acknowledged) {
                    panic!("cycle {cycles}, moment {number} of {moments}, {what}: {wrong}");
                }
            }
            if number == chosen {
                let disk = if dice.below(3) == 0 { moment.torn(&mut dice, false) } else { moment.disk.clone() };
                go_on = Some((disk, moment.acknowledged));
            }
        });
        let (disk, acknowledged) = go_on.expect("chosen");
        disk.write(&work);
        kept = acknowledged;
        syncs += moments;
        cycles += 1;
    }
    println!("{tried} states of {syncs} moments in {cycles} cycles: each opens with all that was acknowledged");
}
