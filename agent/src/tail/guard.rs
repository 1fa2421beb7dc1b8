//! Recognises a file by its bytes: a checksum of those before a position, and the size and last bytes of a file.

use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::files::Opened;

/// Bytes before a position that a guard covers.
pub const GUARD: u64 = 256;

/// Checksum of the bytes right before a position in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guard {
    /// Number of bytes covered.
    pub length: u64,
    checksum: u32,
}

/// Whether a file matches a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The bytes match.
    Yes,
    /// The bytes differ.
    No,
    /// The file ends before the position, or returns fewer bytes than its size; a share may report this of the same file.
    Doubtful,
}

/// A position in a file with the guard before it. At the start there is nothing to compare: any file matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Byte offset.
    pub offset: u64,
    /// Guard of the bytes before it.
    pub guard: Guard,
}

/// State of a file at one look: its size and its last bytes. The default is a file that is empty or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Size in bytes.
    pub size: u64,
    guard: Guard,
}

impl Guard {
    /// The guard of these bytes.
    pub fn of(bytes: &[u8]) -> Guard {
        Guard { length: bytes.len() as u64, checksum: crc32c::crc32c(bytes) }
    }
}

impl Position {
    /// Whether a file matches; a missing file does not.
    pub fn held_by(self, file: Option<&mut Box<dyn Opened>>) -> std::io::Result<Holds> {
        let Some(file) = file else { return Ok(Holds::No) };
        if file.size()? < self.offset {
            return Ok(Holds::Doubtful);
        }
        let bytes = file.read(self.offset.saturating_sub(self.guard.length), self.guard.length)?;
        if (bytes.len() as u64) < self.guard.length {
            return Ok(Holds::Doubtful);
        }
        Ok(if Guard::of(&bytes) == self.guard { Holds::Yes } else { Holds::No })
    }
}

impl Mark {
    /// The mark of a file; the default for a missing one.
    pub fn of(file: Option<&mut Box<dyn Opened>>) -> std::io::Result<Mark> {
        let Some(file) = file else { return Ok(Mark::default()) };
        let size = file.size()?;
        let length = size.min(GUARD);
        Ok(Mark { size, guard: Guard::of(&exactly(file, size - length, length)?) })
    }

    /// The mark corrected by a read position that proves the reported size was stale.
    pub fn at_least(self, position: Position) -> Mark {
        if self.size < position.offset { Mark { size: position.offset, guard: position.guard } } else { self }
    }

    /// The end of the file as a position with its guard.
    pub fn end(self) -> Position {
        Position { offset: self.size, guard: self.guard }
    }
}

/// Reads bytes that the file must have according to its size. A short read is an error, so that the file is checked again
/// later: nothing can be concluded from it.
pub fn exactly(file: &mut Box<dyn Opened>, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let bytes = file.read(offset, length)?;
    if (bytes.len() as u64) < length {
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "a read returned fewer bytes than the file has"));
    }
    Ok(bytes)
}
