//! Events and file checkpoints on disk, until the collector has them.
//!
//! **Invariant: the checkpoint of a file and the events read up to it move in one durable write**, so a crash neither loses
//! nor doubles a line. Numbers are given in that same write. One tree: `M` epoch and next number, `Q`+first number blocks of
//! events, `F`+file checkpoints.

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

use self::block::{Block, block_key, sequence_of, trimmed};
use crate::planted::{self, Fault, Held};

mod block;

/// Events that are delivered together, but for those of one block more; less than the collector takes.
const PIECE_EVENTS: usize = 1_000;
/// Bytes of them, likewise; a piece of a log has far fewer. What has no place of its own, such as a large snapshot, is no piece.
const PIECE_BYTES: usize = 1 << 20;
/// Memory that sled may use, roughly.
const CACHE_BYTES: u64 = 4 << 20;
/// Bytes of events kept when the collector is away; then the logs themselves are the buffer.
pub const SPOOL_BYTES: u64 = 2 << 30;
/// Bytes of acknowledged events that stay, so that a collector that was restored from a copy gets again what it lost.
pub const RETAINED_BYTES: u64 = 64 << 20;

/// Statements of how far the logs are read that wait for what they are about to be sent.
const STATEMENTS: usize = 16;

const META: &[u8] = b"M";
const VERSION: u8 = 1;

/// Why the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Cannot be opened.
    #[error("spool {0}")]
    Open(#[from] OpenError),
    /// Cannot be read or written.
    #[error("spool: {0}")]
    Durable(#[from] DurableError),
    /// No random numbers.
    #[error("spool: the operating system provides no random numbers: {0}")]
    Random(getrandom::Error),
    /// What is stored makes no sense.
    #[error("spool: cannot decode {0}")]
    Content(&'static str),
    /// A new epoch has begun meanwhile.
    #[error("spool: a new epoch has started; logs are read again from its checkpoints")]
    NewEpoch,
    /// The cap is reached.
    #[error("spool: full at {0} bytes; reading resumes once the collector acknowledges events")]
    Full(u64),
}

impl SpoolError {
    /// Whether waiting may mend it: the collector takes events, somebody makes room on the disk, a share comes back.
    pub fn may_pass(&self) -> bool {
        !matches!(self, SpoolError::Open(OpenError::Damaged { .. }) | SpoolError::Random(_) | SpoolError::Content(_))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    epoch: [u8; 16],
    next_sequence: u64,
    /// Whether the collector is still to be asked how far it has our files.
    #[serde(default)]
    fresh: bool,
}

/// How much a spool keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of events beyond which nothing more is taken in.
    pub spool_bytes: u64,
    /// Bytes of acknowledged events that stay; less than the former.
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
    /// How far the logs are read once everything up to a number is stored, oldest first.
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

/// The spool.
#[derive(Debug)]
pub struct Spool {
    db: Durable,
    bounds: Bounds,
    state: Mutex<State>,
    grown: watch::Sender<u64>,
}

impl Spool {
    /// Opens or makes a spool. A damaged one is set aside under another name, so that the agent goes on in a new epoch.
    pub fn open(dir: &Path) -> Result<Spool, SpoolError> {
        Spool::open_within(dir, Bounds::default())
    }

    /// The same, with other bounds than the usual ones.
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

    /// The spool's epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.state().meta.epoch)
    }

    /// Number the next event is going to get.
    pub fn next_sequence(&self) -> u64 {
        self.state().meta.next_sequence
    }

    /// First number still kept.
    pub fn oldest_sequence(&self) -> u64 {
        self.state().oldest_sequence
    }

    /// Events that the collector does not have, as far as this process knows.
    pub fn undelivered(&self) -> u64 {
        let state = self.state();
        state.meta.next_sequence - 1 - state.acknowledged.min(state.meta.next_sequence - 1)
    }

    /// Bytes of events in it.
    pub fn bytes(&self) -> u64 {
        self.state().bytes
    }

    /// Whether the collector is still to be asked how far it has our files: nothing is read before it has answered, or a spool
    /// that was lost would send everything twice.
    pub fn is_fresh(&self) -> bool {
        self.state().meta.fresh
    }

    /// Takes over how far the collector has our files, durably; only the first answer in an epoch counts.
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

    /// Forgets everything and begins a new epoch: the spool was set back in time, so its numbers mean other events than those
    /// that the collector has.
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

    /// An event that is still kept, whether acknowledged or not.
    pub fn event(&self, sequence: u64) -> Result<Option<Event>, SpoolError> {
        let found = self.read_from(sequence)?.events.into_iter().next().filter(|event| event.sequence == sequence);
        found.map(Event::try_from).transpose().map_err(|_| SpoolError::Content("an event"))
    }

    /// Tells when there are more events: the next number.
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

    /// The same, if the epoch is still the one in which the events were read, and in pieces: how many of the events each ends
    /// behind, and with which checkpoint. The last one ends them.
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

    /// Events from a number on up to the end of a piece: what is delivered together, so that the collector always knows a place
    /// from which what it has not is read.
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

    /// Events from a number on: those of one block, none when there are none yet; and how far files were read by its end.
    pub fn read_from(&self, sequence: u64) -> Result<wire::Batch, SpoolError> {
        let block = match self.db.last_until(&block_key(sequence), b"Q")? {
            Some((_, _, value)) => trimmed(&value, sequence)?,
            None => wire::Batch::default(),
        };
        if !block.events.is_empty() {
            return Ok(block);
        }
        match self.db.scan(&block_key(sequence), b"Q").next() {
            Some(entry) => trimmed(&entry?.2, sequence),
            None => Ok(wire::Batch::default()),
        }
    }

    /// Takes note how far the logs are read once everything up to a number is stored. In memory: after a restart it is found
    /// out again.
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

    /// The newest word on how far the logs are read that holds once everything up to a number is stored, and its own number.
    pub fn coverage(&self, sent: u64) -> Option<(u64, Vec<Coverage>)> {
        self.state().coverage.iter().rev().find(|(number, _)| *number <= sent).cloned()
    }

    /// Takes note that the collector has everything up to a number, and forgets blocks of it, the oldest first, beyond
    /// what [`Bounds`] retain. A collector that was restored from a copy has less than it had before.
    pub fn acknowledged(&self, durable: u64) -> Result<(), SpoolError> {
        self.forget(durable, self.bounds.retained_bytes)
    }

    fn forget(&self, durable: u64, retained: u64) -> Result<(), SpoolError> {
        let mut state = self.state();
        state.acknowledged = durable;
        let (mut batch, mut left, mut oldest) = (Batch::new(), state.bytes, state.oldest_sequence);
        // A block goes when the one after it begins at most behind what is acknowledged: then it holds nothing beyond.
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

    /// The state for a write. After a disk error the database is opened again, and what it then holds is the state: a batch
    /// that failed may be in it.
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
        // A panic while holding it leaves numbers as they were before the write, which is what is on disk.
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
