//! sled, made durable: the only crate that names it.
//!
//! `sled` 0.34's `flush()` ends in `sync_file_range` on Linux and survives no power cut. [`Durable::commit`] returns only
//! when a real fsync of the database file is done. One tree, one batch a commit, so that what belongs together is there
//! together or not at all. Values are framed with their length, checksum and version, and are bounded, because sled writes
//! larger ones into files that it never syncs.
//!
//! A database that cannot be opened is named and left as it is: what to do is the caller's decision, and [`set_aside`] helps.
//! sled keeps failing after one disk error, also when there is space again: [`Durable::reopen`] mends that, and nothing is
//! written any more once the disk is nearly full, so that it seldom comes to it.

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

mod set_aside;
mod space;
mod write_through;

pub use set_aside::set_aside;

/// Largest value, header included.
pub const VALUE_LIMIT: usize = 96 * 1024;

const HEADER: usize = 9;

/// Why a database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{}: in use by another process; stop that one, or give this one another folder", dir.display())]
    Locked {
        /// Folder.
        dir: PathBuf,
    },
    /// It is damaged, or no database.
    #[error("{}: damaged or no database ({reason}); nothing in it was changed. Move the folder away to start afresh, or restore a copy", dir.display())]
    Damaged {
        /// Folder.
        dir: PathBuf,
        /// What sled says.
        reason: String,
    },
    /// The file system refuses.
    #[error("{}: {source}; check that the folder exists, is writable and has space", dir.display())]
    Io {
        /// Folder.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Why a commit, or a read, failed.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    /// Disk trouble. sled keeps failing after one such error until the database is opened again.
    #[error("cannot write to the database: {0}; check space and health of the disk")]
    Write(String),
    /// So little is free that nothing more is written.
    #[error("{}: {free} bytes are free on this disk, and the last {floor} are left alone; make space, it goes on by itself", dir.display())]
    DiskFull {
        /// Folder.
        dir: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes that stay free.
        floor: u64,
    },
    /// Cannot be read.
    #[error("cannot read the database: {0}")]
    Read(String),
    /// A value is larger than [`VALUE_LIMIT`].
    #[error("a value of {0} bytes is larger than the database takes")]
    TooLarge(usize),
    /// A value whose checksum or length is wrong.
    #[error("the value of key {0:02x?} is damaged")]
    Corrupt(Vec<u8>),
}

/// What is written together.
#[derive(Debug, Default)]
pub struct Batch {
    inner: sled::Batch,
    too_large: Option<usize>,
    empty: bool,
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Batch {
        Batch { inner: sled::Batch::default(), too_large: None, empty: true }
    }

    /// Sets a key.
    pub fn put(&mut self, key: &[u8], version: u8, value: &[u8]) {
        let framed = frame(version, value);
        if framed.len() > VALUE_LIMIT {
            self.too_large = Some(framed.len());
        }
        self.inner.insert(key, framed);
        self.empty = false;
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &[u8]) {
        self.inner.remove(key);
        self.empty = false;
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.empty
    }
}

/// A key with its value and the value's version.
pub type Entry = (Vec<u8>, u8, Vec<u8>);

/// A durable, ordered map.
#[derive(Debug)]
pub struct Durable {
    dir: PathBuf,
    cache_bytes: u64,
    /// Absent after a disk error that opening again did not mend yet.
    handle: RwLock<Option<Arc<Handle>>>,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Handle {
    tree: sled::Tree,
    db: sled::Db,
    file: File,
}

impl Handle {
    fn open(dir: &Path, cache_bytes: u64) -> Result<Handle, OpenError> {
        write_through::ensure();
        let io = |source| OpenError::Io { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        set_aside_torn_snapshots(dir).map_err(io)?;
        let db = open_patiently(dir, cache_bytes)?;
        let damaged = |reason: String| OpenError::Damaged { dir: dir.to_owned(), reason };
        let tree = caught(|| db.open_tree("supwatch")).map_err(damaged)?;
        caught(|| db.flush()).map_err(damaged)?;
        let file = OpenOptions::new().read(true).write(true).open(dir.join("db")).map_err(io)?;
        file.sync_all().map_err(io)?;
        sync(&dir.join("conf")).map_err(io)?;
        sync(dir).map_err(io)?;
        if let Some(parent) = dir.parent() {
            // A folder that is not ours to open is not ours to sync; it was there before.
            let _ = sync(parent);
        }
        Ok(Handle { tree, db, file })
    }
}

impl Durable {
    /// Opens or makes the database in a folder. `cache_bytes` bounds what sled keeps in memory, roughly.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Durable, OpenError> {
        let handle = RwLock::new(Some(Arc::new(Handle::open(dir, cache_bytes)?)));
        Ok(Durable { dir: dir.to_owned(), cache_bytes, handle, failed: AtomicBool::new(false) })
    }

    /// Opens it again after a write has failed. Whether the failed batch is in it only reading tells.
    pub fn reopen(&self) -> Result<(), OpenError> {
        let mut handle = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        // sled lets go of its lock when the last handle is gone.
        *handle = None;
        *handle = Some(Arc::new(Handle::open(&self.dir, self.cache_bytes)?));
        self.failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of the database's files.
    pub fn disk_bytes(&self) -> u64 {
        space::used(&self.dir)
    }

    fn handle(&self) -> Result<Arc<Handle>, DurableError> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        handle.ok_or_else(|| DurableError::Read("it is closed after a disk error".to_owned()))
    }

    /// Writes a batch; it survives a power cut once this returns.
    pub fn commit(&self, batch: Batch) -> Result<(), DurableError> {
        if batch.too_large.is_none() {
            space::check(&self.dir)?;
        }
        let handle = self.handle()?;
        self.write(&handle, batch)?;
        let failing = |error: String| {
            self.failed.store(true, Ordering::Relaxed);
            DurableError::Write(error)
        };
        caught(|| handle.db.flush()).map_err(failing)?;
        handle.file.sync_all().map_err(|error| failing(error.to_string()))
    }

    /// Writes a batch that may be lost in a power cut, whole: for forgetting what another write has made needless.
    pub fn apply(&self, batch: Batch) -> Result<(), DurableError> {
        self.write(&*self.handle()?, batch)
    }

    fn write(&self, handle: &Handle, batch: Batch) -> Result<(), DurableError> {
        if let Some(size) = batch.too_large {
            return Err(DurableError::TooLarge(size));
        }
        caught(|| handle.tree.apply_batch(batch.inner)).map_err(|error| {
            self.failed.store(true, Ordering::Relaxed);
            DurableError::Write(error)
        })
    }

    /// Whether a write has failed: the database must be opened again.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A value and its version.
    pub fn get(&self, key: &[u8]) -> Result<Option<(u8, Vec<u8>)>, DurableError> {
        let handle = self.handle()?;
        match caught(|| handle.tree.get(key)).map_err(DurableError::Read)? {
            Some(value) => unframe(key, &value).map(Some),
            None => Ok(None),
        }
    }

    /// Entries from a key on, as long as they begin with a prefix, in order. After one that cannot be read nothing more comes.
    pub fn scan(&self, from: &[u8], prefix: &[u8]) -> impl Iterator<Item = Result<Entry, DurableError>> + use<> {
        let prefix = prefix.to_owned();
        let (mut entries, mut first) = match self.handle() {
            Ok(handle) => (Some(handle.tree.range(from.to_owned()..)), None),
            Err(error) => (None, Some(Err(error))),
        };
        std::iter::from_fn(move || {
            if let Some(error) = first.take() {
                return Some(error);
            }
            let found = caught(|| entries.as_mut().and_then(Iterator::next).transpose());
            let (key, value) = match found {
                Ok(entry) => entry?,
                Err(error) => {
                    entries = None;
                    return Some(Err(DurableError::Read(error)));
                }
            };
            if !key.starts_with(&prefix) {
                entries = None;
                return None;
            }
            Some(unframe(&key, &value).map(|(version, value)| (key.to_vec(), version, value)))
        })
    }

    /// The last entry whose key is not above a key and begins with a prefix.
    pub fn last_until(&self, until: &[u8], prefix: &[u8]) -> Result<Option<Entry>, DurableError> {
        let handle = self.handle()?;
        let found = caught(|| handle.tree.range(..=until.to_owned()).next_back().transpose()).map_err(DurableError::Read)?;
        match found {
            Some((key, value)) if key.starts_with(prefix) => {
                let (version, value) = unframe(&key, &value)?;
                Ok(Some((key.to_vec(), version, value)))
            }
            _ => Ok(None),
        }
    }
}

/// sled panics on some damage; that is an error like others.
fn caught<T>(ask: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("reading it failed".to_owned()),
    }
}

/// sled lets go of its lock a moment after the last handle is dropped, and a service's predecessor may still be ending: a
/// lock is believed once it has held for a while.
fn open_patiently(dir: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    const TRIES: u32 = 40;
    for _ in 1..TRIES {
        match open_caught(dir, cache_bytes) {
            Err(OpenError::Locked { .. }) => std::thread::sleep(std::time::Duration::from_millis(50)),
            opened => return opened,
        }
    }
    open_caught(dir, cache_bytes)
}

/// sled panics on some damage, so it is opened on a thread of its own.
fn open_caught(dir: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    let path = dir.to_owned();
    let opening = std::thread::spawn(move || {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).segment_size(512 * 1024);
        // The flusher is what collects garbage, so it must run.
        config.flush_every_ms(Some(500)).open()
    });
    match opening.join() {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(error))) => Err(match error.kind() {
            std::io::ErrorKind::Other | std::io::ErrorKind::WouldBlock if error.to_string().contains("lock") => {
                OpenError::Locked { dir: dir.to_owned() }
            }
            _ => OpenError::Io { dir: dir.to_owned(), source: error },
        }),
        Ok(Err(error)) => Err(OpenError::Damaged { dir: dir.to_owned(), reason: error.to_string() }),
        Err(_) => Err(OpenError::Damaged { dir: dir.to_owned(), reason: "reading it failed".to_owned() }),
    }
}

/// A snapshot whose writing was cut off makes sled refuse the database; without it sled reads its log from an older one.
fn set_aside_torn_snapshots(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".generating")) {
            tracing::warn!(path = %path.display(), "setting aside a snapshot that was cut off");
            std::fs::rename(&path, path.with_extension("torn"))?;
        }
    }
    Ok(())
}

fn sync(path: &Path) -> std::io::Result<()> {
    // Windows cannot open folders as files; NTFS journals the entry itself.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

/// Length, checksum, version, value.
fn frame(version: u8, value: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(HEADER + value.len());
    framed.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&crc32c::crc32c_append(crc32c::crc32c(&[version]), value).to_be_bytes());
    framed.push(version);
    framed.extend_from_slice(value);
    framed
}

fn unframe(key: &[u8], framed: &[u8]) -> Result<(u8, Vec<u8>), DurableError> {
    let parts = || {
        let (length, rest) = framed.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let (version, value) = rest.split_first()?;
        let good = u32::from_be_bytes(*length) as usize == value.len()
            && u32::from_be_bytes(*checksum) == crc32c::crc32c_append(crc32c::crc32c(&[*version]), value);
        good.then(|| (*version, value.to_vec()))
    };
    parts().ok_or_else(|| DurableError::Corrupt(key.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("db");
        {
            let durable = Durable::open(&path, 1 << 20).expect("open");
            let mut batch = Batch::new();
            for key in ["E1", "E2", "F1"] {
                batch.put(key.as_bytes(), 1, key.to_lowercase().as_bytes());
            }
            durable.commit(batch).expect("commit");
        }
        let durable = Durable::open(&path, 1 << 20).expect("open");
        assert_eq!(durable.get(b"E2").expect("read"), Some((1, b"e2".to_vec())));
        let keys: Vec<_> = durable.scan(b"E2", b"E").map(|entry| entry.expect("read").0).collect();
        assert_eq!(keys, [b"E2".to_vec()]);
        assert_eq!(durable.last_until(b"E\xff", b"E").expect("read").map(|entry| entry.0), Some(b"E2".to_vec()));
        assert_eq!(durable.last_until(b"D", b"E").expect("read"), None);
    }

    #[test]
    fn a_second_opener_is_told_that_it_is_locked() {
        let dir = tempfile::tempdir().expect("folder");
        let _first = Durable::open(dir.path(), 1 << 20).expect("open");
        assert!(matches!(Durable::open(dir.path(), 1 << 20), Err(OpenError::Locked { .. })));
    }

    #[test]
    fn a_damaged_database_is_named_and_left_alone() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("conf"), b"this is no database").expect("write");
        std::fs::write(dir.path().join("db"), vec![7; 4096]).expect("write");
        let error = Durable::open(dir.path(), 1 << 20).expect_err("refused");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join("conf")).expect("read"), b"this is no database");
    }

    #[test]
    fn a_value_too_large_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().expect("folder");
        let durable = Durable::open(dir.path(), 1 << 20).expect("open");
        let mut batch = Batch::new();
        batch.put(b"small", 1, b"x");
        batch.put(b"large", 1, &vec![0; VALUE_LIMIT]);
        assert!(matches!(durable.commit(batch), Err(DurableError::TooLarge(_))));
        assert_eq!(durable.get(b"small").expect("read"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_flipped_bit_is_found(value in proptest::collection::vec(any::<u8>(), 0..64), at in any::<usize>(), bit in 0u8..8) {
            let mut framed = frame(3, &value);
            prop_assert_eq!(unframe(b"k", &framed).ok(), Some((3, value)));
            let index = at % framed.len();
            framed[index] ^= 1 << bit;
            prop_assert!(unframe(b"k", &framed).is_err());
        }
    }
}
