//! Disk space available to a database and used by it.
//!
//! The last bytes of a disk stay reserved: sled fails for good on a full disk, and other programs on the server need space.

use std::path::Path;

use crate::DurableError;

/// Bytes that stay free on a large disk; on a small one, a twentieth.
const FLOOR: u64 = 1 << 30;

/// Refuses writes if too little space is free. A file system that does not report its free space is accepted.
pub(crate) fn check(dir: &Path) -> Result<(), DurableError> {
    let Ok(stats) = fs4::statvfs(dir) else { return Ok(()) };
    let (free, floor) = (stats.available_space(), (stats.total_space() / 20).min(FLOOR));
    if free < floor {
        return Err(DurableError::DiskFull { dir: dir.to_owned(), free, floor });
    }
    Ok(())
}

/// Total size in bytes of all files below a folder.
pub(crate) fn used(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => used(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}
