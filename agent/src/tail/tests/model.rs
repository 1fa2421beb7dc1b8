//! Everything at once, compared with a model: a writer that stops at any byte, rolls over in every way and continues in renamed
//! logs; generations that begin with the same bytes; an agent that is killed between any two looks.
//!
//! SUPWATCH_ROTATIONS sets the number of rotations. SUPWATCH_SEED repeats a run.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::rc::Rc;

use super::share::{Mood, Share};
use super::*;

/// Truncated numbers have fewer digits, so they are never mistaken for another line.
const FIRST: u64 = 100_000_000;
const BANNER: usize = 4096;
/// Longer than the quiet time, so that both ends of the grace period occur.
const GRACE: Duration = Duration::from_secs(10);

/// A seeded random number generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// A whole line in a generation.
#[derive(Debug, Clone)]
struct Written {
    number: u64,
    bytes: Range<u64>,
    /// Whether it may be missing if a gap covers it.
    excused: bool,
}

#[derive(Debug, Default)]
struct Generation {
    lines: Vec<Written>,
    size: u64,
    /// The rest of the line in which the writer stopped.
    rest: Vec<u8>,
}

/// A log that was renamed while its writer has it open.
struct Held {
    file: File,
    generation: usize,
    renamed: Duration,
    touched: Duration,
    /// Whether the agent may have left it, so that later lines are reported as a gap and not read.
    late: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Line(u64, u64),
    Gap { reason: String, offset: u64, bytes: u64 },
}

struct Model {
    dir: tempfile::TempDir,
    dice: Dice,
    share: Option<Share>,
    /// Whether the share misbehaved at the last look: if it did so twice in a row, that would be the truth.
    moody: bool,
    /// Whether a rotation is between its two halves.
    halfway: bool,
    tail: Tail,
    stored: Option<Checkpoint>,
    /// The stored events, in order.
    items: Vec<Item>,
    now: Duration,
    started: Duration,
    generations: Vec<Generation>,
    writer: File,
    held: Option<Held>,
    /// Which generation is the sibling.
    sibling: Option<usize>,
    /// Whether a line was appended to a renamed log so late that only its size shows it, and no look followed.
    unlooked: bool,
    next: u64,
    kills: u64,
    rotations: [u64; 4],
}

impl Model {
    fn new(seed: u64, share: bool) -> Model {
        let dir = tempfile::tempdir().expect("folder");
        let log = dir.path().join("wsyncmgr.log");
        let writer = OpenOptions::new().create(true).append(true).open(&log).expect("log");
        let share = share.then(|| Share(Rc::new(RefCell::new(Mood { ..Mood::default() }))));
        let tail = Tail::new(log, SiteCode::UNKNOWN, Reading::default(), None);
        let (now, generations) = (Duration::ZERO, vec![Generation::default()]);
        let mut model = Model {
            dir,
            dice: Dice(seed),
            share,
            moody: false,
            halfway: false,
            tail,
            stored: None,
            items: Vec::new(),
            now,
            started: now,
            generations,
            writer,
            held: None,
            sibling: None,
            next: FIRST,
            unlooked: false,
            kills: 0,
            rotations: [0; 4],
        };
        model.start();
        model.kills = 0;
        model
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("wsyncmgr.log")
    }

    /// Data that was read but not stored is lost with the process; its clock restarts.
    fn start(&mut self) {
        let kept = serde_json::to_string(&self.stored).expect("json");
        let stored = serde_json::from_str(&kept).expect("json");
        self.tail = Tail::new(self.log(), SiteCode::UNKNOWN, Reading::default(), stored).draining(GRACE);
        if let Some(share) = &self.share {
            let tail = std::mem::replace(&mut self.tail, Tail::new(PathBuf::new(), SiteCode::UNKNOWN, Reading::default(), None));
            self.tail = tail.on(Box::new(share.clone()));
        }
        self.started = self.now;
        self.kills += 1;
    }

    /// One look; its events are stored with the checkpoint, unless the agent is killed first.
    fn look(&mut self, killed: bool) -> Look {
        let mut out = Vec::new();
        self.mood();
        let look = match self.tail.look(&mut out, self.now - self.started) {
            Ok(look) => look,
            Err(error) => {
                assert!(self.share.is_some() && error.kind() == std::io::ErrorKind::UnexpectedEof, "{error}");
                if !out.is_empty() {
                    self.start();
                }
                return Look::Quiet;
            }
        };
        let mut pieces = self.tail.pieces();
        if killed {
            // Or its state was lost, and the collector has the checkpoint of one of the pieces.
            let piece = usize::try_from(self.dice.below(2 * pieces.len() as u64)).expect("small");
            if piece >= pieces.len() {
                self.start();
                return Look::Quiet;
            }
            let Piece { events, checkpoint } = pieces.swap_remove(piece);
            out.truncate(events);
            self.stored = Some(checkpoint);
            self.start();
        } else {
            self.stored = self.tail.checkpoint();
        }
        self.unlooked = false;
        for event in out {
            match event.kind {
                EventKind::CatalogVersion { version, .. } if version >= FIRST => self.items.push(Item::Line(version, event.offset)),
                EventKind::LogGap { reason, bytes } => self.items.push(Item::Gap { reason, offset: event.offset, bytes }),
                _ => {}
            }
        }
        look
    }

    /// A share sometimes reports a stale size, or returns half of a read. It does not do so between copy and truncation: a stale
    /// size of the copy in that very look, followed by a second rotation before the next, is undetectable.
    fn mood(&mut self) {
        let Some(share) = self.share.clone().filter(|_| !self.halfway) else { return };
        let (size, short) = (self.dice.below(8) == 0, self.dice.below(8) == 0);
        self.moody = !self.moody && (size || short);
        let mut mood = share.0.borrow_mut();
        mood.size = (self.moody && size).then(|| self.dice.below(self.generations.last().map_or(0, |now| now.size)));
        mood.short = self.moody && short;
    }

    fn look_halfway(&mut self) {
        self.halfway = true;
        self.look(false);
        self.halfway = false;
    }

    fn looks(&mut self, most: u64) {
        for _ in 0..self.dice.below(most) {
            self.pass();
            let killed = self.dice.below(12) == 0;
            self.look(killed);
        }
    }

    /// Looks until everything obtainable is stored.
    fn catch_up(&mut self) {
        for _ in 0..40 {
            self.now += Duration::from_secs(1);
            while self.look(false) == Look::More {}
        }
    }

    fn pass(&mut self) {
        self.now += Duration::from_millis(self.dice.below(1500));
    }

    /// Writes lines; the last may stop at any byte.
    fn write(&mut self, lines: u64) {
        let (generation, now) = (self.generations.len() - 1, self.now);
        let stop = self.dice.below(2) == 0;
        append(&mut self.writer, &mut self.generations[generation], lines, stop, &mut self.next, &mut self.dice);
        if let Some(held) = &mut self.held
            && now.saturating_sub(held.renamed) < GRACE
            && self.dice.below(2) == 0
        {
            held.late |= now.saturating_sub(held.touched) >= SETTLED;
            let excused = held.late;
            self.unlooked |= excused;
            held.touched = now;
            let old = &mut self.generations[held.generation];
            let before = old.size;
            append(&mut held.file, old, 1, stop, &mut self.next, &mut self.dice);
            // The line in which the writer had stopped counts as late.
            for line in old.lines.iter_mut().filter(|line| line.bytes.end > before) {
                line.excused |= excused;
            }
        }
    }

    /// Generation of the last stored line.
    fn reading(&self) -> Option<usize> {
        let last = self.items.iter().rev().find_map(|item| if let Item::Line(number, _) = item { Some(*number) } else { None })?;
        self.generations.iter().rposition(|generation| generation.lines.iter().any(|line| line.number == last))
    }

    /// A generation is about to vanish: its lines that are not stored may be missing from now on. It may not vanish before the
    /// agent has seen more of it than the beginning that all generations share, or its existence would be undetectable.
    fn vanish(&mut self, gone: usize, current: bool) -> bool {
        let seen = self.stored.as_ref().is_some_and(|stored| stored.resume.offset > BANNER as u64);
        let copied = self.stored.as_ref().is_some_and(|stored| stored.location == Location::Copied);
        match self.reading() {
            Some(reading) if reading > gone => return true,
            // If everything read is in the sibling as a copy, the file that replaces it may be the next generation or a later
            // one.
            Some(reading) if seen && (reading == gone || !current && !copied) => {
                if reading < gone {
                    self.start();
                }
            }
            _ => return false,
        }
        for generation in &mut self.generations[..=gone] {
            generation.lines.iter_mut().for_each(|line| line.excused = true);
        }
        true
    }

    fn rotate(&mut self) {
        let (log, old) = (self.log(), rolled_over(&self.log()));
        let current = self.generations.len() - 1;
        let kind = [0, 0, 0, 1, 1, 1, 2, 3][usize::try_from(self.dice.below(8)).expect("small")];
        // A generation that is no longer than the common beginning looks like any other, so none is rolled over that early.
        if self.generations[current].size < BANNER as u64 + 200 {
            return;
        }
        let gone = if kind < 2 { self.sibling } else { Some(current) };
        if kind < 2 && self.unlooked {
            self.catch_up();
        }
        if gone.is_some_and(|gone| !self.vanish(gone, kind >= 2)) {
            return self.looks(6);
        }
        let fresh = || OpenOptions::new().create(true).append(true).open(&log).expect("log");
        match kind {
            0 => {
                std::fs::copy(&log, &old).expect("copy");
                // The agent may look while two copies of it exist.
                if self.dice.below(3) == 0 {
                    self.look_halfway();
                }
                self.writer.set_len(0).expect("truncate");
                (self.sibling, self.held) = (Some(current), None);
            }
            1 => {
                std::fs::rename(&log, &old).expect("rename");
                if self.dice.below(3) == 0 {
                    self.look_halfway();
                }
                let file = std::mem::replace(&mut self.writer, fresh());
                self.held = Some(Held { file, generation: current, renamed: self.now, touched: self.now, late: false });
                self.sibling = Some(current);
            }
            2 => {
                std::fs::remove_file(&log).expect("remove");
                self.writer = fresh();
            }
            _ => self.writer.set_len(0).expect("truncate"),
        }
        self.rotations[kind] += 1;
        self.generations.push(Generation::default());
    }

    /// Every whole line is stored once, in file order, or it is excused and a gap in its place covers it.
    #[track_caller]
    fn check(&self) {
        let whole = |one: &&Written, generation: &Generation| one.bytes.end <= generation.size;
        let all: Vec<(usize, &Written)> = self
            .generations
            .iter()
            .enumerate()
            .flat_map(|(g, generation)| {
                generation.lines.iter().filter(move |line| whole(line, generation)).map(move |line| (g, line))
            })
            .collect();
        let places: std::collections::HashMap<u64, usize> = all.iter().enumerate().map(|(i, (_, line))| (line.number, i)).collect();
        let late: Vec<Range<u64>> = self
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Gap { reason, offset, bytes } if reason == "written-late" => Some(*offset..*offset + *bytes),
                _ => None,
            })
            .collect();
        let (mut next, mut gaps) = (0, Vec::new());
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Line(number, offset) => {
                    // A line that its writer never finished may be reported at the end of its generation as if it were whole.
                    let Some(place) = places.get(number).copied() else { continue };
                    let around = &self.items[index.saturating_sub(3)..(index + 2).min(self.items.len())];
                    assert!(place >= next, "line {number} comes twice or too late: {around:?}");
                    assert_eq!(*offset, all[place].1.bytes.start, "line {number}: {around:?}");
                    self.covered(&all[next..place], &gaps, &late, next.checked_sub(1).map(|last| all[last].0));
                    (next, gaps) = (place + 1, Vec::new());
                }
                Item::Gap { reason, offset, bytes } if reason != "written-late" => gaps.push((*offset, *bytes)),
                Item::Gap { .. } => {}
            }
        }
        self.covered(&all[next..], &gaps, &late, next.checked_sub(1).map(|last| all[last].0));
    }

    #[track_caller]
    fn covered(&self, missing: &[(usize, &Written)], gaps: &[(u64, u64)], late: &[Range<u64>], reading: Option<usize>) {
        for (generation, line) in missing {
            assert!(line.excused, "{line:?} of generation {generation} is missing; gaps {gaps:?}, late {late:?}");
            let held = gaps.iter().any(|(offset, bytes)| {
                let first = Some(*generation) == reading.or(Some(0));
                let known = *bytes == 0 || self.generations[..=*generation].iter().any(|one| offset + bytes <= one.size);
                known && (!first || *offset <= line.bytes.start)
            });
            let told = late.iter().any(|gap| gap.start < line.bytes.end && line.bytes.start < gap.end);
            assert!(held || told, "{line:?} of generation {generation} is in no gap: {gaps:?}, late {late:?}");
        }
    }
}

/// Finishes the interrupted line, writes further lines, and may stop in the last one.
fn append(file: &mut File, generation: &mut Generation, lines: u64, stop: bool, next: &mut u64, dice: &mut Dice) {
    let mut bytes = std::mem::take(&mut generation.rest);
    if generation.size == 0 && bytes.is_empty() {
        let line = "Nothing is told here  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n";
        bytes = line.repeat(BANNER / line.len() + 1).into_bytes()[..BANNER - 2].to_vec();
        bytes.extend_from_slice(b"\r\n");
    }
    for _ in 0..lines {
        let start = generation.size + bytes.len() as u64;
        let pad = "x".repeat(usize::try_from(dice.below(60)).expect("small"));
        let text = format!(
            "Updated 1 items {pad} in SMS database, new update source content version is {next}  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n"
        );
        bytes.extend_from_slice(text.as_bytes());
        generation.lines.push(Written { number: *next, bytes: start..start + text.len() as u64, excused: false });
        *next += 1;
    }
    if stop {
        let kept = usize::try_from(dice.below(bytes.len() as u64)).expect("small");
        generation.rest = bytes.split_off(kept);
    }
    file.write_all(&bytes).expect("write");
    generation.size += bytes.len() as u64;
}

fn story(share: bool) {
    // The same run each time, unless another seed is given.
    let seed = number_of("SUPWATCH_SEED").unwrap_or(2026);
    let rotations = number_of("SUPWATCH_ROTATIONS").unwrap_or(100);
    println!("SUPWATCH_SEED={seed} SUPWATCH_ROTATIONS={rotations}");
    let mut model = Model::new(seed, share);
    while model.rotations.iter().sum::<u64>() < rotations {
        match model.dice.below(20) {
            0..8 => {
                let lines = model.dice.below(8);
                model.write(lines);
            }
            8..15 => model.looks(5),
            15..18 => model.rotate(),
            18 => model.start(),
            _ => model.catch_up(),
        }
        model.pass();
    }
    model.catch_up();
    model.check();
    let lines: usize = model.generations.iter().map(|generation| generation.lines.len()).sum();
    let stored = model.items.iter().filter(|item| matches!(item, Item::Line(..))).count();
    println!(
        "{:?} rotations by copy, rename, removal and truncation, {} kills, {lines} lines begun, {stored} stored, {} gaps",
        model.rotations,
        model.kills,
        model.items.len() - stored
    );
}

#[test]
fn every_line_is_stored_once_and_in_order_or_a_gap_holds_it() {
    story(false);
}

#[test]
fn a_share_that_gives_files_other_numbers_at_each_look_changes_nothing() {
    story(true);
}
