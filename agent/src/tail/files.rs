//! Files as the tail uses them: opened by path, distinguished by file number, read at a position.
//!
//! Behind a trait, so that tests can give what network shares give: numbers that change, sizes that are stale, reads that
//! come short. [`Disk`] is all that runs outside tests.

use std::fmt::Debug;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// File number from the operating system: volume and file. A hint only: shares change it, and disks reuse it.
pub type Identity = (u64, u64);

/// A file system that opens files.
pub trait Files: Debug {
    /// Opens a file for reading; `None` if it does not exist.
    fn open(&self, path: &Path) -> std::io::Result<Option<Box<dyn Opened>>>;
}

/// An open file; it remains the same file when it is renamed or replaced.
pub trait Opened: Debug {
    /// File number, queried at each call.
    fn identity(&self) -> std::io::Result<Identity>;
    /// Size in bytes, queried at each call.
    fn size(&self) -> std::io::Result<u64>;
    /// At most `limit` bytes from a position on; fewer at the end.
    fn read(&mut self, place: u64, limit: u64) -> std::io::Result<Vec<u8>>;
}

/// The file systems of this computer. On Windows the standard library opens files so that others may read, write, rename
/// and delete them meanwhile: neither the writer nor the agent blocks the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn open(&self, path: &Path) -> std::io::Result<Option<Box<dyn Opened>>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Opened for File {
    fn identity(&self) -> std::io::Result<Identity> {
        Ok(identity(&self.metadata()?))
    }

    fn size(&self) -> std::io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read(&mut self, place: u64, limit: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.seek(SeekFrom::Start(place))?;
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn identity(meta: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

/// The stable standard library exposes no file number on Windows, and a file recreated under the same name within seconds
/// inherits the creation time. Two files may therefore share a number here; their bytes distinguish them.
#[cfg(not(unix))]
fn identity(meta: &Metadata) -> Identity {
    let created = meta.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    created.map_or((0, 0), |age| (age.as_secs(), u64::from(age.subsec_nanos())))
}
