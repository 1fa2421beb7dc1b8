//! The file that is read: its handle, the place in it, and the reader behind.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use supwatch_model::event::Event;

use super::files::{Identity, Opened};
use super::guard::{GUARD, Guard, Mark, Place};
use super::{Checkpoint, SETTLED};
use crate::planted::{self, Fault};
use supwatch_reading::reader::Reader;

/// Bytes taken at one look, so that one large log does not starve the others.
pub const CHUNK: u64 = 256 * 1024;
/// A chunk is read in pieces of about this many bytes, each of which can be gone on behind. Tests have small files.
const PIECE: usize = if cfg!(test) { 512 } else { 8 * 1024 };
/// Bytes kept for guards behind an unfinished record; an endless line is followed without one.
const WINDOW: usize = 1 << 20;

/// Under which name the generation stands that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Location {
    /// It is the log.
    #[default]
    Log,
    /// It is the log, and the sibling is a copy of it: the log is about to be truncated.
    Copied,
    /// It is the rolled-over sibling.
    Sibling,
    /// Under neither: only the handle still has it.
    Gone,
}

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Bytes that follow on what was read.
    Bytes(Vec<u8>),
    /// Nothing new.
    End,
    /// The file has other bytes where we were.
    Other,
    /// It ends before our place, or gives fewer bytes than its size promises.
    Doubtful,
}

/// Events of a look up to one, and where to go on behind it.
#[derive(Debug, Clone)]
pub struct Piece {
    /// How many of the look's events.
    pub events: usize,
    /// Where to go on.
    pub checkpoint: Checkpoint,
}

/// A file that is read.
#[derive(Debug)]
pub struct Open {
    /// Its handle.
    pub file: Box<dyn Opened>,
    /// Its number when it was opened.
    pub identity: Identity,
    /// Under which name it stands.
    pub location: Location,
    /// The sibling as it was when it was last known to hold no lines that are still to be read.
    pub behind: Option<Mark>,
    /// Since when it is known to be no longer the log; none: history, which nobody writes to.
    pub left: Option<Duration>,
    /// How far its bytes were read.
    pub position: u64,
    /// The largest size it was seen with.
    pub seen: u64,
    /// The bytes as they were read, from shortly before the first unfinished record to `position`. Guards come from here:
    /// the file may hold others by the time one is taken.
    pub window: Vec<u8>,
    /// What becomes of the bytes.
    pub reader: Reader,
    /// Where a look found nothing new, and since when.
    pub quiet: Option<(u64, Duration)>,
}

impl Open {
    /// The bytes that follow on our place. They come in one read with those before it, since a log that was rolled over may
    /// have grown to the very size we stand at.
    pub fn fetch(&mut self) -> std::io::Result<Fetched> {
        let size = self.file.size()?;
        if size < self.position {
            return Ok(Fetched::Doubtful);
        }
        let guard = self.guard(self.position);
        let mut before = self.file.read(self.position.saturating_sub(guard.length), guard.length + CHUNK)?;
        if (before.len() as u64) < guard.length {
            return Ok(Fetched::Doubtful);
        }
        let chunk = before.split_off(usize::try_from(guard.length).unwrap_or(before.len()));
        if Guard::of(&before) != guard {
            return Ok(Fetched::Other);
        }
        // Reserved space at the end is no line that could be lost.
        if chunk.last().is_some_and(|byte| *byte != 0) {
            self.seen = self.seen.max(size);
        }
        Ok(if chunk.is_empty() { Fetched::End } else { Fetched::Bytes(chunk) })
    }

    /// Takes what was fetched, and notes where it could be gone on; false if it was nothing but reserved space.
    pub fn ingest(&mut self, chunk: &[u8], out: &mut Vec<Event>, pieces: &mut Vec<Piece>) -> bool {
        let (mut rest, mut kept) = (chunk, false);
        while !rest.is_empty() {
            // Behind a line end nothing can be reserved space that is given back.
            let line_end = rest.get(PIECE..).and_then(|rest| memchr::memchr(b'\n', rest));
            let (piece, behind) = rest.split_at(line_end.map_or(rest.len(), |at| PIECE + at + 1));
            kept |= self.ingest_piece(piece, out);
            rest = behind;
            if !rest.is_empty() && pieces.last().map_or(0, |piece| piece.events) < out.len() {
                pieces.push(Piece { events: out.len(), checkpoint: self.checkpoint() });
            }
        }
        kept
    }

    fn ingest_piece(&mut self, chunk: &[u8], out: &mut Vec<Event>) -> bool {
        let read = chunk.len() as u64;
        self.reader.feed(chunk, out);
        let given_back = self.reader.give_back_trailing_nuls();
        let kept = read - given_back.min(read);
        self.position += kept;
        self.seen = self.seen.max(self.position);
        self.window.extend(chunk.iter().take(usize::try_from(kept).unwrap_or(usize::MAX)));
        let wanted = self.position - self.reader.offset() + GUARD;
        let wanted = usize::try_from(wanted).unwrap_or(WINDOW).min(WINDOW);
        self.window.drain(..self.window.len().saturating_sub(wanted));
        kept > 0
    }

    /// What must be kept to go on here.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut resume = self.reader.resume();
        if planted::is(Fault::TornLine) {
            resume.offset = self.position;
        }
        let guard = self.guard(resume.offset);
        Checkpoint { identity: self.identity, guard, resume, seen: self.seen, location: self.location, behind: self.behind }
    }

    /// Our place.
    pub fn place(&self) -> Place {
        Place { offset: self.position, guard: self.guard(self.position) }
    }

    /// For how long nothing came. A writer may be in the middle of a record that spans lines; it is over after a while.
    pub fn settle(&mut self, now: Duration, out: &mut Vec<Event>) -> Duration {
        let quiet = match self.quiet {
            Some((position, since)) if position == self.position => now.saturating_sub(since),
            _ => {
                self.quiet = Some((self.position, now));
                Duration::ZERO
            }
        };
        if quiet >= SETTLED {
            self.reader.idle(out);
        }
        quiet
    }

    /// The guard before a place, of the bytes as they were read.
    pub fn guard(&self, place: u64) -> Guard {
        let behind = usize::try_from(self.position - place).unwrap_or(usize::MAX);
        let end = self.window.len().saturating_sub(behind);
        let start = end.saturating_sub(GUARD as usize);
        Guard::of(self.window.get(start..end).unwrap_or_default())
    }
}
