//! The days of the store: one folder with a database for the events that arrived on each day, so that dropping a day frees its
//! space, and damage is limited to one day.
//!
//! Days have ordinals that only grow: the calendar may jump back when a clock is set, and a day that was set aside may be opened
//! again. A block's number is its day's ordinal and its place in the day, so it never changes. Ordinal 0 stands for what a store
//! held before it had days, which is in the state database.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;
use prost::Message;
use serde::{Deserialize, Serialize};
use supwatch_durable::{Durable, OpenError, set_aside};

use super::block::Summary;
use super::keys;
use crate::StoreError;

/// Bits of a block's number that hold its place in its day.
const PLACE_BITS: u32 = 40;
/// Most days open for reading at the same time.
const OPEN: usize = 4;
/// Approximate memory limit of sled for a day that is only read.
const READ_CACHE_BYTES: u64 = 8 << 20;
/// File with the extent of a closed day, read without opening its database.
const EXTENT: &str = "extent.json";

/// Number of a block.
pub(super) fn number(ordinal: u32, place: u64) -> u64 {
    (u64::from(ordinal) << PLACE_BITS) | place
}

/// Ordinal and place in a block's number.
pub(super) fn parts(number: u64) -> (u32, u64) {
    (u32::try_from(number >> PLACE_BITS).unwrap_or(u32::MAX), number & ((1 << PLACE_BITS) - 1))
}

/// Blocks, events and time range of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Extent {
    /// Upper bound of the places of its blocks.
    pub blocks: u64,
    /// Events.
    pub events: u64,
    /// Earliest time of an event, in milliseconds since 1970.
    pub from_ms: i64,
    /// Latest.
    pub until_ms: i64,
}

impl Extent {
    /// The extent with one more block.
    pub fn with(self, block: &Summary) -> Extent {
        let first = self.blocks == 0;
        Extent {
            blocks: self.blocks + 1,
            events: self.events + block.events,
            from_ms: if first { block.from_ms } else { self.from_ms.min(block.from_ms) },
            until_ms: if first { block.until_ms } else { self.until_ms.max(block.until_ms) },
        }
    }

    /// Derives the extent by reading all summaries.
    pub fn read(db: &Durable) -> Result<Extent, StoreError> {
        let mut extent = Extent::default();
        for entry in db.scan(b"I", b"I") {
            let (key, _, value) = entry?;
            let wrong = || StoreError::Content(format!("the summary {key:02x?}"));
            extent = extent.with(&Summary::decode(value.as_slice()).map_err(|_| wrong())?);
            // A place whose block is lost to damage still counts.
            extent.blocks = extent.blocks.max(parts(keys::number_of(&key)?).1 + 1);
        }
        Ok(extent)
    }
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Day {
    pub ordinal: u32,
    pub date: Date,
    pub dir: PathBuf,
    /// `None` until the day is read, if the collector stopped before writing it.
    pub extent: Option<Extent>,
}

impl Day {
    /// Parses a folder name: `00000012-2026-03-01`.
    fn of(path: &Path) -> Option<Day> {
        let (ordinal, date) = path.file_name()?.to_str()?.split_once('-')?;
        let (ordinal, date) = (ordinal.parse().ok()?, date.parse().ok()?);
        let extent = std::fs::read(path.join(EXTENT)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Some(Day { ordinal, date, dir: path.to_owned(), extent })
    }
}

/// All days, oldest first.
#[derive(Debug)]
pub(super) struct Days {
    folder: PathBuf,
    known: Mutex<Vec<Day>>,
    open: Mutex<VecDeque<(u32, Arc<Durable>)>>,
}

impl Days {
    /// The existing days.
    pub fn find(folder: PathBuf) -> std::io::Result<Days> {
        std::fs::create_dir_all(&folder)?;
        let mut known = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "forgotten" || extension == "new") {
                // Its removal or its creation was interrupted.
                std::fs::remove_dir_all(&path)?;
            } else if let Some(day) = Day::of(&path) {
                known.push(day);
            }
        }
        known.sort_by_key(|day| day.ordinal);
        Ok(Days { folder, known: Mutex::new(known), open: Mutex::default() })
    }

    /// The days, oldest first.
    pub fn list(&self) -> Vec<Day> {
        self.known().clone()
    }

    /// The folder of the next day. The ordinal of a day that was set aside is not reused.
    pub fn next(&self, date: Date) -> Day {
        let used = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ordinal = |entry: std::fs::DirEntry| entry.file_name().to_str()?.split_once('-')?.0.parse::<u32>().ok();
        let ordinal = used.filter_map(ordinal).max().unwrap_or(0) + 1;
        Day { ordinal, date, dir: self.folder.join(format!("{ordinal:08}-{date}")), extent: Some(Extent::default()) }
    }

    /// Starts a day; the previous one is closed.
    pub fn begin(&self, day: Day, db: Arc<Durable>) {
        let mut known = self.known();
        if let Some(Day { dir, extent: Some(extent), .. }) = known.last() {
            // Without this file, the day is scanned once.
            let _ = std::fs::write(dir.join(EXTENT), serde_json::to_vec(extent).unwrap_or_default());
        }
        keep_open(&mut self.opened(), day.ordinal, db);
        known.push(day);
    }

    /// Updates the extent of the current day.
    pub fn set_extent(&self, ordinal: u32, extent: Extent) {
        if let Some(day) = self.known().iter_mut().find(|day| day.ordinal == ordinal) {
            day.extent = Some(extent);
        }
    }

    /// A day's database and extent. A damaged day is set aside and no longer read.
    pub fn open(&self, day: &Day) -> Result<Option<(Arc<Durable>, Extent)>, StoreError> {
        // Locked while opening, because a database can be opened only once.
        let mut open = self.opened();
        let found = open.iter().find(|(ordinal, _)| *ordinal == day.ordinal).map(|(_, db)| Arc::clone(db));
        let db = match found {
            Some(db) => db,
            None => match Durable::open(&day.dir, READ_CACHE_BYTES) {
                Ok(db) => Arc::new(db),
                Err(error @ OpenError::Damaged { .. }) => {
                    drop(open);
                    self.set_aside(day, &error.to_string())?;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            },
        };
        keep_open(&mut open, day.ordinal, Arc::clone(&db));
        drop(open);
        let extent = match day.extent {
            Some(extent) => extent,
            None => {
                let extent = Extent::read(&db)?;
                self.set_extent(day.ordinal, extent);
                extent
            }
        };
        Ok(Some((db, extent)))
    }

    /// Sets a day aside.
    pub fn set_aside(&self, day: &Day, reason: &str) -> Result<(), StoreError> {
        self.opened().retain(|(ordinal, _)| *ordinal != day.ordinal);
        let io = |source| StoreError::Open(OpenError::Io { dir: day.dir.clone(), source });
        let aside = set_aside(&day.dir).map_err(io)?;
        self.known().retain(|known| known.ordinal != day.ordinal);
        tracing::error!(day = %day.date, aside = %aside.display(), reason, "a damaged daily segment was set aside; `supwatch fsck` shows what is missing, and agents resend what they still have");
        Ok(())
    }

    /// Removes a day and frees its space.
    pub fn remove(&self, day: &Day) -> Result<(), StoreError> {
        self.opened().retain(|(ordinal, _)| *ordinal != day.ordinal);
        self.known().retain(|known| known.ordinal != day.ordinal);
        let io = |source| StoreError::Open(OpenError::Io { dir: day.dir.clone(), source });
        // Renamed to a name that no day has, so that a half-removed day is never taken for a day.
        let mut name = day.dir.clone().into_os_string();
        name.push(".forgotten");
        std::fs::rename(&day.dir, &name).map_err(io)?;
        std::fs::remove_dir_all(&name).map_err(io)
    }

    /// Bytes of each day's files, oldest first.
    pub fn sizes(&self) -> Vec<(Day, u64)> {
        let bytes = |dir: &Path| {
            let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file).map(|meta| meta.len()).sum()
        };
        self.list().into_iter().map(|day| (bytes(&day.dir), day)).map(|(bytes, day)| (day, bytes)).collect()
    }

    fn known(&self) -> MutexGuard<'_, Vec<Day>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> MutexGuard<'_, VecDeque<(u32, Arc<Durable>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep_open(open: &mut VecDeque<(u32, Arc<Durable>)>, ordinal: u32, db: Arc<Durable>) {
    open.retain(|(known, _)| *known != ordinal);
    open.push_back((ordinal, db));
    let mut many = open.len().saturating_sub(OPEN);
    // A day in use is kept: it would stay open anyway, and could not be opened a second time.
    open.retain(|(_, db)| {
        let goes = many > 0 && Arc::strong_count(db) == 1;
        many -= usize::from(goes);
        !goes
    });
}
