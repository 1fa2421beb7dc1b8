//! Follows one log through everything that happens to it: growth, rotation by rename or by copy, truncation, replacement.
//!
//! A file is the one we were reading if the bytes before our place are the same (`Guard`); names and file numbers only
//! hint. The checkpoint never points into a record: what is unfinished is read again after a restart.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use supwatch_proto::event::{Event, EventKind};
use supwatch_proto::ids::SiteCode;
use supwatch_proto::time::Certainty;

use crate::planted::{self, Fault};
use crate::reader::{Reader, Reading, Resume};
use crate::site_folder::rolled_over;

/// Bytes taken at one look, so that one large log does not starve the others.
const CHUNK: usize = 256 * 1024;
/// Time without news after which a record that more lines might follow is over.
pub const SETTLED: Duration = Duration::from_secs(2);
/// Bytes before a place that a guard covers.
const GUARD: u64 = 256;
/// Bytes kept for guards behind an unfinished record; an endless line is followed without one.
const WINDOW: usize = 1 << 20;

/// Checksum of the bytes right before a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guard {
    length: u64,
    checksum: u32,
}

/// What must be kept to go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of the file as the operating system tells it: volume and file.
    identity: (u64, u64),
    guard: Guard,
    /// Where and how to go on.
    pub resume: Resume,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Quiet,
    /// Something was read, and there may be more.
    More,
}

/// One log under watch.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    site: SiteCode,
    reading: Reading,
    checkpoint: Option<Checkpoint>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    /// The rolled-over sibling, whose end is followed by the log itself from its beginning.
    rolled: bool,
    position: u64,
    /// The bytes as they were read, from shortly before the first unfinished record to `position`. Guards come from here:
    /// the file may hold others by the time one is taken.
    window: Vec<u8>,
    reader: Reader,
    /// Where a look found nothing new, and since when.
    quiet: Option<(u64, Duration)>,
}

impl Tail {
    /// Follows a log from a checkpoint, or from the beginning of its rolled-over sibling.
    pub fn new(path: PathBuf, site: SiteCode, reading: Reading, checkpoint: Option<Checkpoint>) -> Tail {
        Tail { path, site, reading, checkpoint, open: None }
    }

    /// Reads what is new, at most 256 KiB, at a moment counted from the agent's start. Nothing counts as read before its events and [`Tail::checkpoint`] are
    /// stored together.
    pub fn look(&mut self, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        if self.open.is_none() && !self.find(out)? {
            return Ok(Look::Quiet);
        }
        let Some(open) = &mut self.open else { return Ok(Look::Quiet) };
        let size = open.file.metadata()?.len();
        // A log that was rolled over may have grown to the very size we stand at, so the bytes before us are always asked.
        if size < open.position || !open.guard(open.position).holds(&mut open.file, open.position)? {
            return self.truncated(out);
        }
        if open.read(out)? {
            return Ok(Look::More);
        }
        if open.rolled {
            return self.next_generation(out, false);
        }
        match std::fs::metadata(&self.path) {
            // Renamed away and made anew: what we hold is the whole old one, since it was read to its end after the rename.
            Ok(meta) if identity(&meta) != open.identity => {
                if open.read(out)? {
                    Ok(Look::More)
                } else {
                    self.next_generation(out, false)
                }
            }
            Ok(_) => {
                // A writer may be in the middle of a record that spans lines; it is over when nothing came for a while.
                match open.quiet {
                    Some((position, since)) if position == open.position => {
                        if now.saturating_sub(since) >= SETTLED {
                            open.reader.idle(out);
                        }
                    }
                    _ => open.quiet = Some((open.position, now)),
                }
                Ok(Look::Quiet)
            }
            // Between the two halves of a rotation, or gone for good: the handle keeps what there was.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Look::Quiet),
            Err(error) => Err(error),
        }
    }

    /// Where reading stands.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        if let Some(open) = &self.open {
            let mut resume = open.reader.resume();
            if planted::is(Fault::TornLine) {
                resume.offset = open.position;
            }
            self.checkpoint = Some(Checkpoint { identity: open.identity, guard: open.guard(resume.offset), resume });
        }
        self.checkpoint.clone()
    }

    /// Opens the file that the checkpoint is of, wherever it is by now.
    fn find(&mut self, out: &mut Vec<Event>) -> std::io::Result<bool> {
        let rolled = rolled_over(&self.path);
        let Some(checkpoint) = self.checkpoint.clone() else {
            // Never read: history first. Without a sibling the log itself is all there is.
            return Ok(self.begin(&rolled, true, &Resume::default())? || self.begin(&self.path.clone(), false, &Resume::default())?);
        };
        for (path, is_rolled) in [(self.path.clone(), false), (rolled, true)] {
            if is_generation(&path, &checkpoint)? {
                return self.begin(&path, is_rolled, &checkpoint.resume);
            }
        }
        if !self.path.exists() {
            return Ok(false);
        }
        if checkpoint.resume.offset > 0 {
            out.push(self.gap("rotated-away", checkpoint.resume.offset));
        }
        let resume = Resume { offset: 0, framing: None, ..checkpoint.resume };
        self.begin(&self.path.clone(), false, &resume)
    }

    fn begin(&mut self, path: &Path, rolled: bool, resume: &Resume) -> std::io::Result<bool> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let identity = identity(&file.metadata()?);
        let window = Guard::bytes(&mut file, resume.offset, GUARD)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = Reader::new(self.site, &name, &self.reading, resume);
        if resume.offset == 0 {
            let mut beginning = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            (&mut file).take(CHUNK as u64).read_to_end(&mut beginning)?;
            reader.look_ahead(&beginning);
        }
        self.open = Some(Open { file, identity, rolled, position: resume.offset, window, reader, quiet: None });
        Ok(true)
    }

    /// The file under our handle begins anew. Where it was rolled over by copy, the rest of what it held is in the sibling.
    fn truncated(&mut self, out: &mut Vec<Event>) -> std::io::Result<Look> {
        let rolled = rolled_over(&self.path);
        let checkpoint = self.checkpoint();
        if let (Some(open), Some(checkpoint)) = (&self.open, checkpoint)
            && !open.rolled
        {
            let resume = Resume { offset: open.position, ..checkpoint.resume.clone() };
            let held = Checkpoint { identity: open.identity, guard: open.guard(open.position), resume };
            if is_generation(&rolled, &held)? {
                self.begin(&rolled, true, &checkpoint.resume)?;
                return Ok(Look::More);
            }
        }
        self.next_generation(out, true)
    }

    /// Goes on with the log from its beginning.
    fn next_generation(&mut self, out: &mut Vec<Event>, lost: bool) -> std::io::Result<Look> {
        let mut resume = Resume::default();
        if let Some(mut open) = self.open.take() {
            open.reader.finish(out);
            // It is one log: what its lines told of its clock, its code page and its run goes on.
            resume = open.reader.next_generation();
            if lost && open.position > 0 {
                out.push(self.gap("truncated", open.position));
            }
        }
        self.checkpoint = Some(Checkpoint { resume: resume.clone(), ..Checkpoint::default() });
        Ok(if self.begin(&self.path.clone(), false, &resume)? { Look::More } else { Look::Quiet })
    }

    /// What lies behind `from` in the generation that is gone was not to be had; how much nobody can tell.
    fn gap(&self, reason: &str, from: u64) -> Event {
        Event {
            site: self.site,
            sequence: 0,
            time: None,
            time_certainty: Certainty::Local,
            log: crate::recognise::Log::of_file(&self.path.to_string_lossy()).as_str().to_owned(),
            file: self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            offset: from,
            component: String::new(),
            thread: 0,
            kind: EventKind::LogGap { reason: reason.to_owned(), bytes: 0 },
            line: String::new(),
        }
    }
}

impl Open {
    /// Reads the next chunk; false at the end of the file.
    fn read(&mut self, out: &mut Vec<Event>) -> std::io::Result<bool> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut self.file).take(CHUNK as u64).read_to_end(&mut chunk)? as u64;
        if read == 0 {
            return Ok(false);
        }
        self.reader.feed(&chunk, out);
        let given_back = self.reader.give_back_trailing_nuls();
        let kept = read - given_back.min(read);
        self.position += kept;
        self.window.extend(chunk.iter().take(usize::try_from(kept).unwrap_or(usize::MAX)));
        let wanted = self.position - self.reader.offset() + GUARD;
        let wanted = usize::try_from(wanted).unwrap_or(WINDOW).min(WINDOW);
        self.window.drain(..self.window.len().saturating_sub(wanted));
        Ok(kept > 0)
    }

    /// The guard before a place, of the bytes as they were read.
    fn guard(&self, place: u64) -> Guard {
        let behind = usize::try_from(self.position - place).unwrap_or(usize::MAX);
        let end = self.window.len().saturating_sub(behind);
        let start = end.saturating_sub(GUARD as usize);
        Guard::of(self.window.get(start..end).unwrap_or_default())
    }
}

impl Guard {
    fn of(bytes: &[u8]) -> Guard {
        Guard { length: bytes.len() as u64, checksum: crc32c::crc32c(bytes) }
    }

    /// The bytes of a file before a place.
    fn bytes(file: &mut File, place: u64, length: u64) -> std::io::Result<Vec<u8>> {
        let length = place.min(length);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(place - length))?;
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn holds(self, file: &mut File, place: u64) -> std::io::Result<bool> {
        Ok(Guard::of(&Guard::bytes(file, place, self.length)?) == self)
    }
}

/// Whether a file holds what a checkpoint was taken of. At its very beginning there is nothing to compare but its number.
fn is_generation(path: &Path, checkpoint: &Checkpoint) -> std::io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if checkpoint.resume.offset == 0 {
        return Ok(identity(&meta) == checkpoint.identity);
    }
    Ok(meta.len() >= checkpoint.resume.offset && checkpoint.guard.holds(&mut file, checkpoint.resume.offset)?)
}

#[cfg(unix)]
fn identity(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// Without file numbers a replaced file shows by its creation time, which Windows may hand on to a file made anew under
/// the same name within seconds: the Windows agent is to ask for the file index instead.
#[cfg(not(unix))]
fn identity(meta: &Metadata) -> (u64, u64) {
    let created = meta.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    created.map_or((0, 0), |age| (age.as_secs(), u64::from(age.subsec_nanos())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

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

        /// Each line is an event with its number in it; lengths differ so that places do.
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
            // A look after a while tells that the last record is over.
            for _ in 0..2 {
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
            self.tail =
                Tail::new(self.log.clone(), SiteCode::UNKNOWN, Reading::default(), serde_json::from_str(&kept).expect("json"));
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
    fn a_generation_that_is_gone_is_told() {
        let mut world = World::new();
        world.write(9);
        world.read();
        world.restart();
        world.rename();
        std::fs::remove_file(rolled_over(&world.log)).expect("remove");
        world.write(1);
        let mut out = Vec::new();
        world.tail.look(&mut out, Duration::ZERO).expect("look");
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

    #[derive(Debug, Clone)]
    enum Act {
        Write(u64),
        Read,
        Restart,
        Rename,
        Copy,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::invariants::cases(500)))]

        /// One rotation between two reads is followed; two lose what nobody can have, so each is read before the next.
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
                        // A rename leaves no log behind; the writer makes the next one at once.
                        world.write(1);
                        rotated = true;
                    }
                }
            }
            world.read();
            prop_assert_eq!(&world.seen, &(1..=world.written).collect::<Vec<_>>());
        }
    }
}
