//! Power cuts at every moment, computed: a writer's calls to the file system are recorded (`record.c`), and from them follows what
//! a disk may hold after a cut at any of them. Each such state must open, with everything that was acknowledged.
//!
//! The disk keeps what was written before a sync that has returned; of the rest any part, torn anywhere. Names change in
//! order, and a sync keeps those before it, as journals of file systems do. Writers are killed, go on in what the page cache has, and
//! then go on in one of the states.
//!
//! SUPWATCH_CUT_STATES: how many states. SUPWATCH_SEED: repeats the random choices, though not the writer's threads.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod disk;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use disk::Disk;
use supwatch_durable::{Batch, Durable};

/// Small, so that the writer opens its database anew often.
const CACHE: u64 = 512 << 10;
/// Entries that a writer keeps.
const KEPT: u64 = 120;
const FOLDER: &str = "SUPWATCH_CUT_FOLDER";

/// Random numbers that a seed repeats.
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

/// The value of an entry follows from its number; some are large.
fn value(number: u64) -> Vec<u8> {
    let mut dice = Dice(number);
    let size = if dice.below(12) == 0 { dice.below(60_000) } else { dice.below(3_000) };
    (0..size).map(|_| dice.below(256) as u8).collect()
}

/// The first entry that is kept and the one that comes next, as the database says.
fn bounds(db: &Durable) -> Result<(u64, u64), String> {
    let Some((_, meta)) = db.get(b"M").map_err(|error| error.to_string())? else { return Ok((1, 1)) };
    let half = |at: usize| u64::from_be_bytes(meta[at..at + 8].try_into().expect("eight bytes"));
    Ok((half(0), half(8)))
}

/// Writes until it is killed, if it is asked to: entries with how many there are, and forgets the oldest.
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

/// What is wrong with the database in a state, if anything is.
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
        // It can be gone on with.
        let mut batch = Batch::new();
        batch.put(b"X", 1, b"x");
        db.commit(batch).map_err(|error| error.to_string())
    };
    read().err()
}

/// The recorder, made here: it needs the C compiler that some dependencies need anyway.
fn recorder(folder: &Path) -> PathBuf {
    let library = folder.join("record.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/record.c");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-pthread", "-o"]).arg(&library).arg(source).output();
    let made = made.expect("a C compiler, cc");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library
}

/// Runs a writer in a folder until it has done so many things to it.
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
            // Some end while they open.
            let things = if dice.below(3) == 0 { 5 + dice.below(80) } else { 50 + dice.below(2_500) };
            write(&work, &log, &recorder, things, dice.below(u64::MAX));
        }
        let record = std::fs::read(&log).expect("a record");
        let moments = disk::count(&record);
        let chosen = usize::try_from(dice.below(moments as u64)).expect("small");
        let mut go_on = None;
        // More of the beginnings, where a database is made or opened, than of the rest.
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
