//! Behaviour of a tail on a real folder, step by step; `model` tests everything at once.

use super::*;
use proptest::prelude::*;
use std::io::Write;

mod model;
mod share;

struct World {
    _dir: tempfile::TempDir,
    log: PathBuf,
    written: u64,
    tail: Tail,
    seen: Vec<u64>,
    now: Duration,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("folder");
        let log = dir.path().join("wsyncmgr.log");
        let tail = Tail::new(log.clone(), SiteCode::UNKNOWN, Reading::default(), None);
        World { _dir: dir, log, written: 0, tail, seen: Vec::new(), now: Duration::ZERO }
    }

    /// Each line is an event with its number in it; lengths differ, so offsets do too.
    fn write(&mut self, lines: u64) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("log");
        for _ in 0..lines {
            self.written += 1;
            let pad = "x".repeat(usize::try_from(self.written * 7 % 40).expect("small"));
            writeln!(file, "Updated 1 items {pad} in SMS database, new update source content version is {}\r", self.written)
                .expect("line");
        }
    }

    fn read(&mut self) {
        let mut out = Vec::new();
        // Later looks confirm that the last record is complete, that the old log has no writer, that a log is shorter.
        for _ in 0..4 {
            self.now += SETTLED;
            while self.tail.look(&mut out, self.now).expect("look") == Look::More {}
        }
        for event in out {
            match event.kind {
                EventKind::CatalogVersion { version, .. } => self.seen.push(version),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn restart(&mut self) {
        let checkpoint = self.tail.checkpoint();
        let kept = serde_json::to_string(&checkpoint).expect("json");
        self.tail = Tail::new(self.log.clone(), SiteCode::UNKNOWN, Reading::default(), serde_json::from_str(&kept).expect("json"));
    }

    fn rename(&mut self) {
        if self.log.exists() {
            std::fs::rename(&self.log, rolled_over(&self.log)).expect("rename");
        }
    }

    fn copy(&mut self) {
        if self.log.exists() {
            std::fs::copy(&self.log, rolled_over(&self.log)).expect("copy");
            std::fs::OpenOptions::new().write(true).truncate(true).open(&self.log).expect("truncate");
        }
    }

    #[track_caller]
    fn check(&mut self) {
        self.read();
        assert_eq!(self.seen, (1..=self.written).collect::<Vec<_>>());
    }
}

#[test]
fn growth_and_restarts_lose_and_double_nothing() {
    let mut world = World::new();
    world.write(3);
    world.read();
    world.restart();
    world.write(2);
    world.check();
}

#[test]
fn both_ways_of_rolling_over_are_followed_with_unread_lines_in_the_old_file() {
    for copy in [false, true] {
        for restart in [false, true] {
            let mut world = World::new();
            world.write(5);
            world.read();
            world.write(4);
            if restart {
                world.restart();
            }
            if copy {
                world.copy()
            } else {
                world.rename()
            }
            world.write(3);
            world.check();
        }
    }
}

#[test]
fn history_in_a_rolled_over_log_is_read_first() {
    let mut world = World::new();
    world.write(3);
    world.rename();
    world.write(3);
    world.check();
}

#[test]
fn a_lost_generation_is_reported() {
    let mut world = World::new();
    world.write(9);
    world.read();
    world.restart();
    world.rename();
    std::fs::remove_file(rolled_over(&world.log)).expect("remove");
    world.write(1);
    let mut out = Vec::new();
    // It may be a share that reports a stale size, until a later look confirms it.
    assert_eq!(world.tail.look(&mut out, world.now).expect("look"), Look::Quiet);
    assert_eq!(out, []);
    world.tail.look(&mut out, world.now + SETTLED).expect("look");
    assert!(matches!(out.first().map(|event| &event.kind), Some(EventKind::LogGap { .. })), "{out:?}");
}

#[test]
fn a_file_that_regrew_past_our_place_between_two_looks_is_seen() {
    let mut world = World::new();
    world.write(2);
    world.read();
    world.copy();
    world.write(30);
    world.check();
}

#[test]
fn reserved_space_is_read_when_it_is_filled() {
    let mut world = World::new();
    std::fs::write(&world.log, [0; 5000]).expect("reserve");
    world.read();
    let line = "Updated 1 items in SMS database, new update source content version is 1\r\n";
    let mut bytes = vec![0; 5000];
    bytes[..line.len()].copy_from_slice(line.as_bytes());
    std::fs::write(&world.log, bytes).expect("fill");
    world.written = 1;
    world.check();
}

#[test]
fn a_share_that_once_reports_a_stale_size_or_reads_short_has_not_truncated_anything() {
    for trouble in 0..40 {
        let mut world = World::new();
        let share = share::Share::default();
        world.tail = Tail::new(world.log.clone(), SiteCode::UNKNOWN, Reading::default(), None).on(Box::new(share.clone()));
        world.write(9);
        world.read();
        world.write(2);
        let mut out = Vec::new();
        {
            let mood = &mut *share.0.borrow_mut();
            (mood.size, mood.short) = if trouble % 2 == 0 { (Some(trouble * 7), false) } else { (None, true) };
        }
        // Whether it is checked again or read further, nothing counts as lost.
        world.now += SETTLED;
        let _ = world.tail.look(&mut out, world.now);
        for event in out {
            match event.kind {
                EventKind::CatalogVersion { version, .. } => world.seen.push(version),
                other => panic!("unexpected {other:?}"),
            }
        }
        world.check();
    }
}

#[test]
fn what_comes_to_a_renamed_log_during_its_grace_comes_before_the_new_one() {
    let mut world = World::new();
    world.tail = Tail::new(world.log.clone(), SiteCode::UNKNOWN, Reading::default(), None).draining(SETTLED * 10);
    world.write(3);
    world.read();
    let mut old = std::fs::OpenOptions::new().append(true).open(&world.log).expect("log");
    world.rename();
    std::fs::write(&world.log, "").expect("the new log");
    // Nobody writes to the new log yet, and the old one has been quiet for longer than a line takes.
    world.read();
    world.written += 1;
    writeln!(old, "Updated 1 items in SMS database, new update source content version is {}\r", world.written).expect("line");
    world.write(2);
    world.check();
}

#[test]
fn a_second_rotation_during_the_grace_leaves_the_middle_one_in_the_sibling() {
    let mut world = World::new();
    world.write(3);
    world.read();
    for _ in 0..2 {
        world.write(3);
        world.rename();
        world.tail.look(&mut Vec::new(), world.now).map(|_| ()).unwrap_or_default();
    }
    world.write(3);
    world.read();
    // The events of the two plain looks are not checked here; only the middle and the last ones matter.
    assert!((7..=12).all(|line| world.seen.iter().filter(|seen| **seen == line).count() == 1), "{:?}", world.seen);
}

#[test]
fn two_rotations_while_the_agent_was_down_are_reported_in_place_and_the_middle_one_is_read() {
    let mut world = World::new();
    world.write(5);
    world.read();
    let place = std::fs::metadata(&world.log).expect("log").len();
    world.restart();
    world.write(4);
    world.rename();
    world.write(3);
    world.rename();
    world.write(2);
    let mut out = Vec::new();
    for _ in 0..4 {
        world.now += SETTLED;
        while world.tail.look(&mut out, world.now).expect("look") == Look::More {}
    }
    let gap = out.first().expect("a gap");
    assert!(matches!(&gap.kind, EventKind::LogGap { reason, .. } if reason == "rotated-away"), "{out:?}");
    assert_eq!(gap.offset, place);
    let lines: Vec<u64> = out
        .iter()
        .filter_map(|event| if let EventKind::CatalogVersion { version, .. } = event.kind { Some(version) } else { None })
        .collect();
    assert_eq!(lines, [10, 11, 12, 13, 14]);
}

#[derive(Debug, Clone)]
enum Act {
    Write(u64),
    Read,
    Restart,
    Rename,
    Copy,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(supwatch_reading::invariants::cases(500)))]

    /// Each rotation is read before the next: one rotation between two reads is followed, two lose lines for good.
    #[test]
    fn whatever_happens_every_line_is_read_once(acts in proptest::collection::vec(prop_oneof![
        4 => (1u64..6).prop_map(Act::Write), 3 => Just(Act::Read), 2 => Just(Act::Restart), 1 => Just(Act::Rename), 1 => Just(Act::Copy),
    ], 1..25)) {
        let mut world = World::new();
        let mut rotated = false;
        for act in acts {
            match act {
                Act::Write(lines) => world.write(lines),
                Act::Read => { world.read(); rotated = false; }
                Act::Restart => world.restart(),
                Act::Rename | Act::Copy => {
                    if rotated { world.read(); }
                    if matches!(act, Act::Rename) { world.rename() } else { world.copy() }
                    // A rename leaves no log behind; the writer creates the next one at once.
                    world.write(1);
                    rotated = true;
                }
            }
        }
        world.read();
        prop_assert_eq!(&world.seen, &(1..=world.written).collect::<Vec<_>>());
    }
}
