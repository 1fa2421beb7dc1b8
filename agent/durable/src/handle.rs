//! Opens sled with retries, on a separate thread because it panics on some damage, and never leaves a half-created database.

use std::fs::{File, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{OpenError, heap, write_through};

/// An open database.
#[derive(Debug)]
pub(crate) struct Handle {
    pub tree: sled::Tree,
    pub db: sled::Db,
    pub file: File,
}

impl Handle {
    /// Opens or creates a database. A new one is created completely before it gets its final name: a power cut while sled writes
    /// its first files would leave a folder that does not open.
    pub fn open(dir: &Path, cache_bytes: u64) -> Result<Handle, OpenError> {
        write_through::ensure();
        heap::ensure();
        if is_new(dir) {
            let made = beside(dir);
            let io = |source| OpenError::Io { dir: made.clone(), source };
            if made.exists() {
                // Left by an interrupted creation.
                std::fs::remove_dir_all(&made).map_err(io)?;
            }
            drop(Handle::open_at(&made, cache_bytes)?);
            std::fs::rename(&made, dir).map_err(|source| OpenError::Io { dir: dir.to_owned(), source })?;
        }
        Handle::open_at(dir, cache_bytes)
    }

    /// Reopens a database; if it is gone, no new one is created in its place.
    pub fn open_again(dir: &Path, cache_bytes: u64) -> Result<Handle, OpenError> {
        if let Err(source) = std::fs::metadata(dir.join("db")) {
            return Err(OpenError::Io { dir: dir.to_owned(), source });
        }
        Handle::open_at(dir, cache_bytes)
    }

    fn open_at(dir: &Path, cache_bytes: u64) -> Result<Handle, OpenError> {
        let io = |source| OpenError::Io { dir: dir.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        remove_torn_snapshots(dir).map_err(io)?;
        let db = open_patiently(dir, cache_bytes)?;
        let damaged = |reason: String| OpenError::Damaged { dir: dir.to_owned(), reason };
        let tree = catch_panic(|| db.open_tree("supwatch")).map_err(damaged)?;
        catch_panic(|| db.flush()).map_err(damaged)?;
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

/// Whether a folder does not exist. An existing one, even if empty, may be a mount point and is used as it stands.
fn is_new(dir: &Path) -> bool {
    dir.file_name().is_some() && !dir.exists()
}

/// Where a database is created before it is renamed.
fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    dir.with_file_name(name)
}

/// Runs an operation on sled and turns a panic, which some damage causes, into an error.
pub(crate) fn catch_panic<T>(ask: impl FnOnce() -> sled::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(ask)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("reading it failed".to_owned()),
    }
}

/// sled releases its lock a moment after the last handle is dropped, and a previous process may still be exiting: the
/// database counts as locked only after retries.
fn open_patiently(dir: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    const LONGEST: Duration = Duration::from_millis(50);
    const PATIENCE: Duration = Duration::from_secs(2);
    let (mut pause, mut waited) = (Duration::from_millis(1), Duration::ZERO);
    loop {
        match open_caught(dir, cache_bytes) {
            Err(OpenError::Locked { .. }) if waited < PATIENCE => {
                std::thread::sleep(pause);
                waited += pause;
                pause = (pause * 2).min(LONGEST);
            }
            opened => return opened,
        }
    }
}

/// Opens sled on a separate thread, because it panics on some damage.
fn open_caught(dir: &Path, cache_bytes: u64) -> Result<sled::Db, OpenError> {
    let path = dir.to_owned();
    let opening = std::thread::spawn(move || {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes).segment_size(512 * 1024);
        // The flusher also collects garbage, so it must run.
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

/// Removes snapshots whose writing was interrupted. sled takes any file named `snap.*` for a complete one and then refuses the
/// database; without the file it reads its log from an older snapshot. (Earlier versions renamed it to `.torn`.)
fn remove_torn_snapshots(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && (name.ends_with(".generating") || name.ends_with(".torn")) {
            tracing::warn!(path = %path.display(), "removing an incomplete snapshot");
            std::fs::remove_file(&path)?;
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
