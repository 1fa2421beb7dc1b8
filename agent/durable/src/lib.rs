//! Makes sled durable. The only crate that names sled.
//!
//! `sled` 0.34's `flush()` ends in `sync_file_range` on Linux and survives no power cut. [`Durable::commit`] returns only after a
//! real fsync of the database file (`write_through`). There is one tree and one batch per commit, so related writes appear
//! together or not at all. Values are framed with their length, checksum and version, are bounded in size, and are stored in
//! small parts (`value`), because sled writes large pages into files that it never syncs.
//!
//! A database that cannot be opened is reported and left unchanged: the caller decides, and [`set_aside`] helps. After one disk
//! error sled keeps failing, even when space is free again; [`Durable::reopen`] recovers from that. Writes are refused once the
//! disk is nearly full, so such errors are rare.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

mod batch;
mod error;
mod handle;
mod heap;
mod set_aside;
mod space;
mod value;
mod write_through;

pub use batch::Batch;
pub use error::{DurableError, OpenError};
pub use set_aside::set_aside;
pub use value::VALUE_LIMIT;

use handle::{Handle, catch_panic};
use value::{PARTS, further_parts, part_key, unframe};

/// A key with its value and the value's version.
pub type Entry = (Vec<u8>, u8, Vec<u8>);

/// A durable, ordered map.
#[derive(Debug)]
pub struct Durable {
    dir: PathBuf,
    cache_bytes: u64,
    /// Absent after a disk error, until reopening succeeds.
    handle: RwLock<Option<Arc<Handle>>>,
    failed: AtomicBool,
    /// Bytes written and read since it was opened, which sled may still hold in memory.
    touched: AtomicU64,
}

impl Durable {
    /// Opens or creates the database in a folder. `cache_bytes` is the approximate memory limit: sled evicts too rarely (it
    /// counts accesses in 256 shards, each only once in 64 accesses), so the database is reopened after that many bytes are
    /// written and read.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Durable, OpenError> {
        let handle = RwLock::new(Some(Arc::new(Handle::open(dir, cache_bytes)?)));
        let (failed, touched) = (AtomicBool::new(false), AtomicU64::new(0));
        Ok(Durable { dir: dir.to_owned(), cache_bytes, handle, failed, touched })
    }

    /// Reopens the database after a failed write. Only reading shows whether the failed batch was stored.
    pub fn reopen(&self) -> Result<(), OpenError> {
        self.open_again(&mut self.handle.write().unwrap_or_else(PoisonError::into_inner))?;
        self.failed.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn open_again(&self, handle: &mut Option<Arc<Handle>>) -> Result<Arc<Handle>, OpenError> {
        // sled releases its lock when the last handle is dropped.
        *handle = None;
        let opened = Arc::new(Handle::open_again(&self.dir, self.cache_bytes)?);
        self.touched.store(0, Ordering::Relaxed);
        *handle = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Folder of the database.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of the database's files.
    pub fn disk_bytes(&self) -> u64 {
        space::used(&self.dir)
    }

    fn handle(&self) -> Result<Arc<Handle>, DurableError> {
        let is_large = || self.touched.load(Ordering::Relaxed) > self.cache_bytes;
        let open = self.handle.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(handle) = open.filter(|_| !is_large()) {
            return Ok(handle);
        }
        let mut guard = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        match guard.as_ref() {
            // It stays open during a scan, and if its owner must reopen it anyway.
            Some(handle) if Arc::strong_count(handle) > 1 || self.has_failed() || !is_large() => return Ok(Arc::clone(handle)),
            _ => {}
        }
        // It may be closed because reopening failed: the next call retries.
        self.open_again(&mut guard).map_err(|error| DurableError::Read(error.to_string()))
    }

    fn touched(&self, bytes: u64) {
        self.touched.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Writes a batch; it survives a power cut once this returns.
    pub fn commit(&self, batch: Batch) -> Result<(), DurableError> {
        batch.check()?;
        space::check(&self.dir)?;
        let handle = self.handle()?;
        self.write(&handle, batch)?;
        catch_panic(|| handle.db.flush()).map_err(|error| self.failing(error))?;
        handle.file.sync_all().map_err(|error| self.failing(error.to_string()))
    }

    /// Writes a batch that a power cut may undo as a whole: for deletions that an earlier write made possible.
    pub fn apply(&self, batch: Batch) -> Result<(), DurableError> {
        batch.check()?;
        self.write(&*self.handle()?, batch)
    }

    fn write(&self, handle: &Handle, batch: Batch) -> Result<(), DurableError> {
        let written = catch_panic(|| {
            let (batch, bytes) = batch.into_parts(|key| handle.tree.get(key))?;
            handle.tree.apply_batch(batch)?;
            Ok(bytes)
        });
        self.touched(written.map_err(|error| self.failing(error))?);
        Ok(())
    }

    fn failing(&self, error: String) -> DurableError {
        self.failed.store(true, Ordering::Relaxed);
        DurableError::Write(error)
    }

    /// Whether a write has failed: the database must be opened again.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// A value and its version.
    pub fn get(&self, key: &[u8]) -> Result<Option<(u8, Vec<u8>)>, DurableError> {
        let handle = self.handle()?;
        loop {
            let first = || catch_panic(|| handle.tree.get(key)).map_err(DurableError::Read);
            let Some(begun) = first()? else { return Ok(None) };
            match self.whole(&handle, key, &begun) {
                // Another writer may have replaced the value between two of its parts.
                Err(DurableError::Corrupt(_)) if first()? != Some(begun) => {}
                read => return read.map(Some),
            }
        }
    }

    /// Entries from a key on, in key order, as long as they have the prefix. An unreadable entry yields an error in its place; an
    /// error from sled itself ends the iteration.
    pub fn scan<'a>(&'a self, from: &[u8], prefix: &[u8]) -> impl Iterator<Item = Result<Entry, DurableError>> + use<'a> {
        let (from, prefix) = (from.to_owned(), prefix.to_owned());
        let mut failed = None;
        // The scan holds the handle, so that the database is not reopened during it.
        let mut reading = match self.handle() {
            Ok(handle) => Some((handle.tree.range(from.max(vec![PARTS + 1])..), handle)),
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        std::iter::from_fn(move || {
            if let Some(error) = failed.take() {
                return Some(Err(error));
            }
            let (entries, handle) = reading.as_mut()?;
            match catch_panic(|| entries.next().transpose()) {
                Ok(Some((key, first))) if key.starts_with(&prefix) => {
                    let whole = self.whole(handle, &key, &first);
                    Some(whole.map(|(version, value)| (key.to_vec(), version, value)))
                }
                Ok(_) => {
                    reading = None;
                    None
                }
                Err(error) => {
                    reading = None;
                    Some(Err(DurableError::Read(error)))
                }
            }
        })
    }

    /// The last entry with the prefix whose key is not greater than `key`.
    pub fn last_until(&self, until: &[u8], prefix: &[u8]) -> Result<Option<Entry>, DurableError> {
        let handle = self.handle()?;
        let found = catch_panic(|| handle.tree.range(..=until.to_owned()).next_back().transpose()).map_err(DurableError::Read)?;
        match found {
            Some((key, first)) if key.starts_with(prefix) => {
                let (version, value) = self.whole(&handle, &key, &first)?;
                Ok(Some((key.to_vec(), version, value)))
            }
            _ => Ok(None),
        }
    }

    /// Assembles a value from its first part.
    fn whole(&self, handle: &Handle, key: &[u8], first: &[u8]) -> Result<(u8, Vec<u8>), DurableError> {
        let corrupt = || DurableError::Corrupt(key.to_vec());
        let further = further_parts(first);
        self.touched(first.len() as u64);
        if further == 0 {
            return unframe(first).ok_or_else(corrupt);
        }
        let mut framed = first.to_vec();
        for number in 1..=further {
            let part = catch_panic(|| handle.tree.get(part_key(key, number))).map_err(DurableError::Read)?.ok_or_else(corrupt)?;
            framed.extend_from_slice(&part);
        }
        self.touched(framed.len() as u64);
        unframe(&framed).ok_or_else(corrupt)
    }
}

#[cfg(test)]
mod tests;
