//! Files as the tail sees them: opened by path, told apart by a number, read at a place.
//!
//! Behind a trait, so that tests can give what network shares give: numbers that change, sizes that are stale, reads that
//! come short. [`Disk`] is all that runs outside tests.

use std::fmt::Debug;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// Number of a file as the operating system tells it: volume and file. A hint: shares change it, and disks use it again.
pub type Identity = (u64, u64);

/// Where files are opened.
pub trait Files: Debug {
    /// Opens a file for reading; none: there is no such file.
    fn open(&self, path: &Path) -> std::io::Result<Option<Box<dyn Opened>>>;
}

/// An open file; it stays the same file when its name is given to another.
pub trait Opened: Debug {
    /// Its number, asked anew each time.
    fn identity(&self) -> std::io::Result<Identity>;
    /// Its size, asked anew each time.
    fn size(&self) -> std::io::Result<u64>;
    /// At most `limit` bytes from a place on; fewer at its end.
    fn read(&mut self, place: u64, limit: u64) -> std::io::Result<Vec<u8>>;
}

/// The file systems of this computer. On Windows the standard library opens files so that others may read, write, rename
/// and delete them meanwhile: the writer is never in our way, nor we in its.
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

/// Windows tells its file number through no stable part of the standard library, and hands the creation time on to a file
/// made anew under the same name within seconds. So here two files may have one number; their bytes tell them apart.
#[cfg(not(unix))]
fn identity(meta: &Metadata) -> Identity {
    let created = meta.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    created.map_or((0, 0), |age| (age.as_secs(), u64::from(age.subsec_nanos())))
}
