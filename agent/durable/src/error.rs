//! Errors with their remedies.

use std::path::PathBuf;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{}: in use by another process; stop that process, or choose another folder", dir.display())]
    Locked {
        /// Folder.
        dir: PathBuf,
    },
    /// The folder is damaged, or not a database.
    #[error("{}: damaged, or not a database ({reason}); nothing in it was changed. Move the folder away to start from scratch, or restore a copy", dir.display())]
    Damaged {
        /// Folder.
        dir: PathBuf,
        /// Message from sled.
        reason: String,
    },
    /// The file system returned an error.
    #[error("{}: {source}; check that the folder exists, is writable and has space", dir.display())]
    Io {
        /// Folder.
        dir: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

/// Why a commit, or a read, failed.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    /// A disk error. sled keeps failing after one until the database is reopened.
    #[error("cannot write to the database: {0}; check the free space and the health of the disk")]
    Write(String),
    /// The disk is nearly full, so writes are refused.
    #[error("{}: only {free} bytes are free on this disk, and {floor} stay reserved; free some space, and writing resumes by itself", dir.display())]
    DiskFull {
        /// Folder.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes reserved as free.
        floor: u64,
    },
    /// Cannot be read.
    #[error("cannot read the database: {0}")]
    Read(String),
    /// A value is larger than [`VALUE_LIMIT`](crate::VALUE_LIMIT).
    #[error("a value of {0} bytes exceeds the limit of the database")]
    TooLarge(usize),
    /// A key is longer than the limit, or uses the prefix reserved for parts.
    #[error("key {0:02x?} is too long or reserved")]
    Key(Vec<u8>),
    /// A value has a wrong checksum or length.
    #[error("the value of key {0:02x?} is damaged")]
    Corrupt(Vec<u8>),
}
