//! How a file is recognised by its bytes: a checksum of those before a place, and what a file was like at its end.

use std::io::ErrorKind;

use serde::{Deserialize, Serialize};

use super::files::Opened;

/// Bytes before a place that a guard covers.
pub const GUARD: u64 = 256;

/// Checksum of the bytes right before a place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guard {
    /// How many bytes it covers.
    pub length: u64,
    checksum: u32,
}

/// Whether a file has the bytes of a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It has.
    Yes,
    /// It has others there.
    No,
    /// It ends before the place, or gives fewer bytes than its size promises: a share may tell this of the very file.
    Doubtful,
}

/// A place in a file with the guard before it. At the very beginning there is nothing to compare: any file holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub offset: u64,
    /// What stands before.
    pub guard: Guard,
}

/// A file as it was at a look: its size and its last bytes. The default is a file that is empty or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mark {
    /// Its size.
    pub size: u64,
    guard: Guard,
}

impl Guard {
    /// Of bytes.
    pub fn of(bytes: &[u8]) -> Guard {
        Guard { length: bytes.len() as u64, checksum: crc32c::crc32c(bytes) }
    }
}

impl Place {
    /// Whether a file holds it; none holds nothing.
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
    /// Of a file.
    pub fn of(file: Option<&mut Box<dyn Opened>>) -> std::io::Result<Mark> {
        let Some(file) = file else { return Ok(Mark::default()) };
        let size = file.size()?;
        let length = size.min(GUARD);
        Ok(Mark { size, guard: Guard::of(&exactly(file, size - length, length)?) })
    }

    /// The same, where a place of ours in the file shows that its size was an older one.
    pub fn at_least(self, place: Place) -> Mark {
        if self.size < place.offset { Mark { size: place.offset, guard: place.guard } } else { self }
    }

    /// The end of the file as a place.
    pub fn place(self) -> Place {
        Place { offset: self.size, guard: self.guard }
    }
}

/// Bytes that a file must have by its size. Where it does not give them it is looked at again, since nothing can be told of
/// where it stands.
pub fn exactly(file: &mut Box<dyn Opened>, place: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let bytes = file.read(place, length)?;
    if (bytes.len() as u64) < length {
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, "a read gave fewer bytes than the file has"));
    }
    Ok(bytes)
}
