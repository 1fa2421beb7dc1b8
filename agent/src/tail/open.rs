//! An open log file: its handle, the read position, and the reader that parses its bytes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use supwatch_model::event::Event;

use super::files::{Identity, Opened};
use super::guard::{GUARD, Guard, Mark, Position};
use super::{Checkpoint, SETTLED};
use crate::planted::{self, Fault};
use supwatch_reading::reader::Reader;

/// Most bytes read in one look, so that a large log does not starve the others.
pub const CHUNK: u64 = 256 * 1024;
/// Approximate bytes of a piece of a chunk; reading can resume after each piece. Tests use small files.
const PIECE: usize = if cfg!(test) { 512 } else { 8 * 1024 };
/// Most bytes kept for guards from the first unfinished record on; an endless line is followed without a guard.
const WINDOW: usize = 1 << 20;

/// Name under which the open generation is found now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Location {
    /// It is the log.
    #[default]
    Log,
    /// It is the log, and the sibling is a copy of it: the log is about to be truncated.
    Copied,
    /// It is the rolled-over sibling.
    Sibling,
    /// Neither name: only the handle still refers to it.
    Gone,
}

/// Result of a read.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// Bytes after the read position.
    Bytes(Vec<u8>),
    /// Nothing new.
    End,
    /// The bytes before the read position differ.
    Other,
    /// The file ends before the read position, or returns fewer bytes than its size.
    Doubtful,
}

/// The first events of a look, with the checkpoint after them.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Number of events, counted from the start of the look.
    pub events: usize,
    /// Checkpoint after the last of them.
    pub checkpoint: Checkpoint,
}

/// An open log file.
#[derive(Debug)]
pub struct Open {
    /// Handle of the file.
    pub file: Box<dyn Opened>,
    /// File number when it was opened.
    pub identity: Identity,
    /// Name under which it is found now.
    pub location: Location,
    /// State of the sibling when it last had no unread lines.
    pub behind: Option<Mark>,
    /// Time since the agent's start at which it ceased to be the log; `None`: history, which has no writer.
    pub left: Option<Duration>,
    /// Read position in bytes.
    pub position: u64,
    /// Largest size observed, in bytes.
    pub seen: u64,
    /// The bytes as they were read, from shortly before the first unfinished record to `position`. Guards come from here:
    /// the file may hold others by the time one is taken.
    pub window: Vec<u8>,
    /// Reader that parses the bytes.
    pub reader: Reader,
    /// Position at which looks find nothing new, and the time of the first such look.
    pub quiet: Option<(u64, Duration)>,
}

impl Open {
    /// Reads the bytes after the read position, together with the guard bytes before it: a log that was rolled over may have
    /// grown to exactly that position.
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
        // Preallocated space at the end is not a line that could be lost.
        if chunk.last().is_some_and(|byte| *byte != 0) {
            self.seen = self.seen.max(size);
        }
        Ok(if chunk.is_empty() { Fetched::End } else { Fetched::Bytes(chunk) })
    }

    /// Parses a chunk and records resume points; false if it was only preallocated space.
    pub fn ingest(&mut self, chunk: &[u8], out: &mut Vec<Event>, pieces: &mut Vec<Piece>) -> bool {
        let (mut rest, mut kept) = (chunk, false);
        while !rest.is_empty() {
            // Only trailing zero bytes after a line end can be preallocated space that is handed back.
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

    /// The checkpoint of the read position.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut resume = self.reader.resume();
        if planted::is(Fault::TornLine) {
            resume.offset = self.position;
        }
        let guard = self.guard(resume.offset);
        Checkpoint { identity: self.identity, guard, resume, seen: self.seen, location: self.location, behind: self.behind }
    }

    /// The read position with its guard.
    pub fn guarded_position(&self) -> Position {
        Position { offset: self.position, guard: self.guard(self.position) }
    }

    /// How long no data arrived. A writer may be in the middle of a multi-line record; after a while the record counts as complete.
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

    /// The guard of the bytes before a position, as they were read.
    pub fn guard(&self, place: u64) -> Guard {
        let behind = usize::try_from(self.position - place).unwrap_or(usize::MAX);
        let end = self.window.len().saturating_sub(behind);
        let start = end.saturating_sub(GUARD as usize);
        Guard::of(self.window.get(start..end).unwrap_or_default())
    }
}
