//! Events and file checkpoints on disk, kept until the collector acknowledges them.
//!
//! **Invariant: the checkpoint of a file and the events read up to it move in one durable write**, so a crash neither loses
//! nor duplicates a line. That same write assigns the sequence numbers. One tree: `M` epoch and next number, `Q`+first
//! number blocks of events, `F`+file checkpoints.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use supwatch_durable::{Batch, Durable, DurableError, OpenError, set_aside};
use supwatch_model::coverage::Coverage;
use supwatch_model::event::Event;
use supwatch_model::ids::Epoch;
use supwatch_proto::wire;
use tokio::sync::watch;

use self::block::{BLOCK_EVENTS_LIMIT, Block, block_key, sequence_of, trimmed};
use crate::planted::{self, Fault, Held};

mod block;

/// Events delivered in one batch, plus at most one block; below the collector's limit.
const PIECE_EVENTS: usize = 1_000;
/// Bytes delivered in one batch, likewise; a piece of a log is far smaller. Events without a checkpoint, such as a large
/// snapshot, form no piece.
const PIECE_BYTES: usize = 1 << 20;
/// Approximate memory limit of sled.
const CACHE_BYTES: u64 = 4 << 20;
/// Most bytes of events kept while the collector is unreachable; beyond that the logs themselves are the buffer.
pub const SPOOL_BYTES: u64 = 2 << 30;
/// Bytes of acknowledged events retained, so that a collector restored from a backup can receive them again.
pub const RETAINED_BYTES: u64 = 64 << 20;

/// Most coverage reports that wait for the events they follow.
const STATEMENTS: usize = 16;

const META: &[u8] = b"M";
const VERSION: u8 = 1;

/// A failure of the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The database cannot be opened.
    #[error("spool {0}")]
    Open(#[from] OpenError),
    /// The database cannot be read or written.
    #[error("spool: {0}")]
    Durable(#[from] DurableError),
    /// The operating system provides no random numbers for a new epoch.
    #[error("spool: the operating system provides no random numbers: {0}")]
    Random(getrandom::Error),
    /// A stored value cannot be decoded; the text names it.
    #[error("spool: cannot decode {0}")]
    Content(&'static str),
    /// A new epoch started after these events were read.
    #[error("spool: a new epoch has started; logs are read again from its checkpoints")]
    NewEpoch,
    /// The size limit is reached; the value is the spool's size in bytes.
    #[error("spool: full at {0} bytes; reading resumes once the collector acknowledges events")]
    Full(u64),
}

impl SpoolError {
    /// Whether the failure is transient: the collector acknowledges events, an operator frees disk space, a share comes back.
    pub fn may_pass(&self) -> bool {
        !matches!(self, SpoolError::Open(OpenError::Damaged { .. }) | SpoolError::Random(_) | SpoolError::Content(_))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    epoch: [u8; 16],
    next_sequence: u64,
    /// Whether the collector's checkpoints are still to be received.
    #[serde(default)]
    fresh: bool,
}

/// Size limits of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of events beyond which commits are refused.
    pub spool_bytes: u64,
    /// Bytes of acknowledged events to retain; less than the limit above.
    pub retained_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { spool_bytes: SPOOL_BYTES, retained_bytes: RETAINED_BYTES }
    }
}

#[derive(Debug)]
struct State {
    meta: Meta,
    oldest_sequence: u64,
    /// Everything up to this number is acknowledged, as far as this process knows.
    acknowledged: u64,
    bytes: u64,
    held: Held,
    /// Coverage reports with the event number each follows, oldest first.
    coverage: VecDeque<(u64, Vec<Coverage>)>,
}

impl State {
    fn load(db: &Durable) -> Result<State, SpoolError> {
        let meta = match db.get(META)? {
            Some((_, value)) => serde_json::from_slice(&value).map_err(|_| SpoolError::Content("its epoch"))?,
            None => new_epoch(db)?,
        };
        let (mut oldest_sequence, mut bytes) = (meta.next_sequence, 0);
        for entry in db.scan(b"Q", b"Q") {
            let (key, _, value) = entry?;
            oldest_sequence = oldest_sequence.min(sequence_of(&key)?);
            bytes += value.len() as u64;
        }
        let (held, coverage) = (Held::default(), VecDeque::new());
        Ok(State { acknowledged: oldest_sequence - 1, meta, oldest_sequence, bytes, held, coverage })
    }
}

/// The agent's durable queue of events, with the checkpoint of each file.
#[derive(Debug)]
pub struct Spool {
    db: Durable,
    bounds: Bounds,
    state: Mutex<State>,
    grown: watch::Sender<u64>,
}

impl Spool {
    /// Opens or creates a spool. A damaged one is renamed, and the agent continues in a new epoch.
    pub fn open(dir: &Path) -> Result<Spool, SpoolError> {
        Spool::open_within(dir, Bounds::default())
    }

    /// Opens or creates a spool with limits other than the default.
    pub fn open_within(dir: &Path, bounds: Bounds) -> Result<Spool, SpoolError> {
        let db = match Durable::open(dir, CACHE_BYTES) {
            Err(OpenError::Damaged { dir, reason }) => {
                let aside = set_aside(&dir).map_err(|source| OpenError::Io { dir: dir.clone(), source })?;
                tracing::error!(spool = %dir.display(), aside = %aside.display(), %reason, "spool damaged; it was set aside, and reading resumes at the collector's checkpoints");
                Durable::open(&dir, CACHE_BYTES)?
            }
            opened => opened?,
        };
        let state = State::load(&db)?;
        let (grown, _) = watch::channel(state.meta.next_sequence);
        Ok(Spool { db, bounds, state: Mutex::new(state), grown })
    }

    /// The current epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.state().meta.epoch)
    }

    /// Sequence number of the next event.
    pub fn next_sequence(&self) -> u64 {
        self.state().meta.next_sequence
    }

    /// Lowest sequence number still stored.
    pub fn oldest_sequence(&self) -> u64 {
        self.state().oldest_sequence
    }

    /// Number of events that the collector has not acknowledged to this process.
    pub fn undelivered(&self) -> u64 {
        let state = self.state();
        state.meta.next_sequence - 1 - state.acknowledged.min(state.meta.next_sequence - 1)
    }

    /// Bytes of events stored.
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Whether the collector's checkpoints are still to be received. No log is read before, or an agent that lost its spool
    /// would send everything twice.
    pub fn is_fresh(&self) -> bool {
        self.state().meta.fresh
    }

    /// Stores the collector's checkpoints durably; only the first call in an epoch has an effect.
    pub fn resume(&self, places: &[wire::Place]) -> Result<(), SpoolError> {
        let mut state = self.sound_state()?;
        if !state.meta.fresh {
            return Ok(());
        }
        let meta = Meta { fresh: false, ..state.meta.clone() };
        let mut batch = Batch::new();
        for place in places {
            batch.put(&file_key(&place.name), VERSION, &place.checkpoint);
        }
        batch.put(META, VERSION, &json(&meta));
        self.db.commit(batch)?;
        state.meta = meta;
        drop(state);
        self.grown.send_modify(|_| {});
        Ok(())
    }

    /// Deletes everything and starts a new epoch: the spool was rolled back, so its sequence numbers no longer match the
    /// collector's.
    pub fn begin_new_epoch(&self) -> Result<(), SpoolError> {
        let mut state = self.sound_state()?;
        let meta = new_meta()?;
        let mut batch = Batch::new();
        for prefix in [b"Q", b"F"] {
            for entry in self.db.scan(prefix, prefix) {
                batch.remove(&entry?.0);
            }
        }
        batch.put(META, VERSION, &json(&meta));
        self.db.commit(batch)?;
        let (held, coverage) = (Held::default(), VecDeque::new());
        *state = State { meta, oldest_sequence: 1, acknowledged: 0, bytes: 0, held, coverage };
        Ok(())
    }

    /// A stored event, acknowledged or not.
    pub fn event(&self, sequence: u64) -> Result<Option<Event>, SpoolError> {
        let found = self.read_from(sequence)?.events.into_iter().next().filter(|event| event.sequence == sequence);
        found.map(Event::try_from).transpose().map_err(|_| SpoolError::Content("an event"))
    }

    /// A channel that holds the next sequence number and changes with each commit.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// A checkpoint by its file's name.
    pub fn checkpoint<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SpoolError> {
        if self.db.has_failed() {
            drop(self.sound_state()?);
        }
        match self.db.get(&file_key(name))? {
            Some((_, value)) => serde_json::from_slice(&value).map(Some).map_err(|_| SpoolError::Content("a checkpoint")),
            None => Ok(None),
        }
    }

    /// Numbers events and stores them with a checkpoint, durably, all or nothing.
    pub fn commit<T: Serialize>(&self, events: Vec<Event>, name: &str, checkpoint: &T) -> Result<(), SpoolError> {
        let (epoch, pieces) = (self.epoch(), [(events.len(), checkpoint)]);
        self.commit_in(epoch, events, name, &pieces)
    }

    /// Commits in pieces, provided the epoch is still the one the events were read in. Each piece gives the number of events up
    /// to its end and the checkpoint there; the last piece covers all events.
    pub fn commit_in<T: Serialize>(
        &self,
        epoch: Epoch,
        mut events: Vec<Event>,
        name: &str,
        pieces: &[(usize, T)],
    ) -> Result<(), SpoolError> {
        let Some((_, checkpoint)) = pieces.last() else { return Ok(()) };
        let mut state = self.sound_state()?;
        if state.meta.epoch != epoch.0 {
            return Err(SpoolError::NewEpoch);
        }
        match state.bytes > self.bounds.spool_bytes {
            true if planted::is(Fault::DroppedWhenFull) => events.clear(),
            true => return Err(SpoolError::Full(state.bytes)),
            false => {}
        }
        let events = state.held.instead_of(events);
        let checkpoint = json(checkpoint);
        let mut batch = Batch::new();
        let (mut next, mut bytes) = (state.meta.next_sequence, 0);
        let (mut block, mut ends) = (Block::default(), pieces.iter().peekable());
        for (taken, event) in (1..).zip(events) {
            let message = wire::Event { sequence: next, ..wire::Event::from(event) };
            next += 1;
            if block.has_no_room(&message) {
                bytes += block.store(&mut batch);
            }
            block.push(message);
            let mut end = None;
            while let Some((_, checkpoint)) = ends.next_if(|(end, _)| *end <= taken) {
                end = Some(checkpoint);
            }
            if let Some(end) = end {
                block.ends_a_piece(name, json(end));
            }
            if block.is_full() {
                bytes += block.store(&mut batch);
            }
        }
        block.ends_a_piece(name, checkpoint.clone());
        bytes += block.store(&mut batch);
        let meta = Meta { next_sequence: next, ..state.meta.clone() };
        if next != state.meta.next_sequence {
            batch.put(META, VERSION, &json(&meta));
        }
        batch.put(&file_key(name), VERSION, &checkpoint);
        self.db.commit(batch)?;
        state.meta = meta;
        state.bytes += bytes;
        self.grown.send_replace(next);
        Ok(())
    }

    /// Events from a sequence number to the end of a piece. They are delivered together, so that the collector always has a
    /// checkpoint from which the rest can be read.
    pub fn read_piece(&self, sequence: u64) -> Result<wire::Batch, SpoolError> {
        let mut batch = self.read_from(sequence)?;
        while batch.places.is_empty()
            && batch.events.len() < PIECE_EVENTS
            && batch.encoded_len() < PIECE_BYTES
            && let Some(last) = batch.events.last().map(|event| event.sequence)
        {
            let more = self.read_from(last + 1)?;
            if more.events.is_empty() {
                break;
            }
            batch.events.extend(more.events);
            batch.places = more.places;
        }
        Ok(batch)
    }

    /// Events of one block from a sequence number on, with the file checkpoints at its end; empty if there are none yet.
    pub fn read_from(&self, sequence: u64) -> Result<wire::Batch, SpoolError> {
        if let Some((_, value)) = self.db.get(&block_key(sequence))? {
            return trimmed(&value, sequence);
        }
        // The block that holds it starts at most a block's length before. Only forward: sled's way back costs a MiB of program.
        let mut held = None;
        for entry in self.db.scan(&block_key(sequence.saturating_sub(BLOCK_EVENTS_LIMIT as u64)), b"Q") {
            // An unreadable block matters only if no later one starts at or before the number.
            let next = match entry {
                Ok((key, _, value)) if sequence_of(&key)? > sequence => value,
                other => {
                    held = Some(other.map(|(_, _, value)| value));
                    continue;
                }
            };
            let block = held.transpose()?.map(|value| trimmed(&value, sequence)).transpose()?;
            return block.filter(|block| !block.events.is_empty()).map_or_else(|| trimmed(&next, sequence), Ok);
        }
        Ok(held.transpose()?.map(|value| trimmed(&value, sequence)).transpose()?.unwrap_or_default())
    }

    /// Records the coverage that applies once everything up to a sequence number is stored. Kept in memory: a restart
    /// determines it again.
    pub fn cover(&self, after_sequence: u64, coverage: Vec<Coverage>) {
        let mut state = self.state();
        let changed = state.coverage.back().is_none_or(|(last, known)| {
            let caught_up = |all: &[Coverage]| all.iter().map(|one| one.caught_up).collect::<Vec<_>>();
            *last != after_sequence || caught_up(known) != caught_up(&coverage)
        });
        state.coverage.retain(|(number, _)| *number != after_sequence);
        state.coverage.push_back((after_sequence, coverage));
        while state.coverage.len() > STATEMENTS {
            state.coverage.pop_front();
        }
        drop(state);
        if changed {
            self.grown.send_modify(|_| {});
        }
    }

    /// The newest coverage that applies once everything up to `sent` is stored, with the event number it follows.
    pub fn coverage(&self, sent: u64) -> Option<(u64, Vec<Coverage>)> {
        self.state().coverage.iter().rev().find(|(number, _)| *number <= sent).cloned()
    }

    /// Records that the collector has everything up to a sequence number, and deletes the oldest acknowledged blocks beyond
    /// what [`Bounds`] retain. The number decreases when a collector is restored from a backup.
    pub fn acknowledge(&self, durable: u64) -> Result<(), SpoolError> {
        self.forget(durable, self.bounds.retained_bytes)
    }

    fn forget(&self, durable: u64, retained: u64) -> Result<(), SpoolError> {
        let mut state = self.state();
        state.acknowledged = durable;
        let (mut batch, mut left, mut oldest) = (Batch::new(), state.bytes, state.oldest_sequence);
        // A block is deleted when the next one starts no later than just after the last acknowledged event.
        let mut begun: Option<(Vec<u8>, u64)> = None;
        let mut blocks = self.db.scan(b"Q", b"Q");
        while left > retained {
            let next = blocks.next().transpose()?;
            let end = next.as_ref().map_or(Ok(state.meta.next_sequence), |(key, ..)| sequence_of(key))?;
            if end > durable + 1 {
                break;
            }
            if let Some((key, bytes)) = begun.take() {
                batch.remove(&key);
                left = left.saturating_sub(bytes);
                oldest = end;
            }
            let Some((key, _, value)) = next else { break };
            begun = Some((key, value.len() as u64));
        }
        drop(blocks);
        if !batch.is_empty() {
            self.db.apply(batch)?;
            (state.bytes, state.oldest_sequence) = (left, oldest);
        }
        Ok(())
    }

    /// The state for a write. After a disk error the database is reopened and the state loaded from it: the failed batch may
    /// have been stored.
    fn sound_state(&self) -> Result<std::sync::MutexGuard<'_, State>, SpoolError> {
        let mut state = self.state();
        if self.db.has_failed() {
            self.db.reopen()?;
            *state = State { acknowledged: state.acknowledged, ..State::load(&self.db)? };
            tracing::info!(next = state.meta.next_sequence, "spool reopened after a disk error");
            self.grown.send_replace(state.meta.next_sequence);
        }
        Ok(state)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic under the lock leaves the numbers from before the write, which are those on disk.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn new_meta() -> Result<Meta, SpoolError> {
    let mut epoch = [0; 16];
    getrandom::fill(&mut epoch).map_err(SpoolError::Random)?;
    Ok(Meta { epoch, next_sequence: 1, fresh: true })
}

fn new_epoch(db: &Durable) -> Result<Meta, SpoolError> {
    let meta = new_meta()?;
    let mut batch = Batch::new();
    batch.put(META, VERSION, &json(&meta));
    db.commit(batch)?;
    Ok(meta)
}

fn file_key(name: &str) -> Vec<u8> {
    [b"F", name.as_bytes()].concat()
}

/// Our own types have string keys and no foreign serialisers, so this cannot fail; an empty value would not be read back.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;
