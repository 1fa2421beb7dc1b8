//! Events and file checkpoints on disk, until the collector has them.
//!
//! **Invariant: the checkpoint of a file and the events read up to it move in one durable write**, so a crash neither loses
//! nor doubles a line. Numbers are given in that same write. One tree: `M` epoch and next number, `Q`+first number blocks of
//! events, `F`+file checkpoints.

use std::path::Path;
use std::sync::Mutex;

use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use supwatch_durable::{Batch, Durable, DurableError, OpenError, set_aside};
use supwatch_proto::event::Event;
use supwatch_proto::ids::Epoch;
use supwatch_proto::wire;
use tokio::sync::watch;

use crate::planted::{self, Fault, Held};

/// Bytes of a block of events; well below what the database takes, so that one large event more still fits.
const BLOCK_BYTES: usize = 24 * 1024;
/// A large event begins a block of its own, so that no block is more than the database takes.
const BLOCK_LIMIT: usize = 64 * 1024;
/// Events of a block, at the next end of a piece.
const BLOCK_EVENTS: usize = 256;
/// Events of a block, wherever that is.
const BLOCK_EVENTS_LIMIT: usize = 512;
/// Events that are delivered together, but for those of one block more; less than the collector takes.
const PIECE_EVENTS: usize = 1_000;
/// Memory that sled may use, roughly.
const CACHE_BYTES: u64 = 4 << 20;
/// Bytes of events kept when the collector is away; then the logs themselves are the buffer.
pub const SPOOL_BYTES: u64 = 2 << 30;
/// Bytes of acknowledged events that stay, so that a collector that was restored from a copy gets again what it lost.
pub const RETAINED_BYTES: u64 = 64 << 20;
/// A larger checkpoint does not travel: it belongs to no log, and reading it again loses and doubles no line.
const PLACE_BYTES: usize = 8 * 1024;

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
    #[error("spool: the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// What is stored makes no sense.
    #[error("spool: {0} cannot be read back")]
    Content(&'static str),
    /// A new epoch has begun meanwhile.
    #[error("spool: a new epoch has begun, so what was read by the old one is read anew")]
    Anew,
    /// The cap is reached.
    #[error("spool: full with {0} bytes; reading waits until the collector has taken some")]
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
        Ok(State { acknowledged: oldest_sequence - 1, meta, oldest_sequence, bytes, held: Held::default() })
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
                tracing::error!(spool = %dir.display(), aside = %aside.display(), %reason, "the spool is damaged and was set aside; logs are read from where the collector has them");
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
    pub fn begin_anew(&self) -> Result<(), SpoolError> {
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
        *state = State { meta, oldest_sequence: 1, acknowledged: 0, bytes: 0, held: Held::default() };
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
            return Err(SpoolError::Anew);
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
                block.ends_a_piece(block_place(name, json(end)));
            }
            if block.is_full() {
                bytes += block.store(&mut batch);
            }
        }
        block.ends_a_piece(block_place(name, checkpoint.clone()));
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
            tracing::info!(next = state.meta.next_sequence, "the spool was opened again after a disk error");
            self.grown.send_replace(state.meta.next_sequence);
        }
        Ok(state)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while holding it leaves numbers as they were before the write, which is what is on disk.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Block {
    events: Vec<wire::Event>,
    /// How far the file was read when the last of the events was.
    place: Option<wire::Place>,
    bytes: usize,
}

impl Block {
    /// Whether it ends here: with a piece, so that each block tells how far its file was read, unless a piece is too large.
    fn is_full(&self) -> bool {
        self.place.is_some() && (self.bytes >= BLOCK_BYTES || self.events.len() >= BLOCK_EVENTS)
    }

    fn has_no_room(&self, next: &wire::Event) -> bool {
        self.bytes + next.encoded_len() > BLOCK_LIMIT || self.events.len() >= BLOCK_EVENTS_LIMIT
    }

    fn push(&mut self, event: wire::Event) {
        self.bytes += event.encoded_len();
        self.events.push(event);
        self.place = None;
    }

    fn ends_a_piece(&mut self, place: Option<wire::Place>) {
        self.place = place;
    }

    fn store(&mut self, batch: &mut Batch) -> u64 {
        let events = std::mem::take(&mut self.events);
        self.bytes = 0;
        let Some(first) = events.first().map(|event| event.sequence) else { return 0 };
        let places = self.place.take().into_iter().collect();
        let value = wire::Batch { events, places }.encode_to_vec();
        batch.put(&block_key(first), VERSION, &value);
        value.len() as u64
    }
}

/// How far a file was read, as it travels.
fn block_place(name: &str, checkpoint: Vec<u8>) -> Option<wire::Place> {
    (checkpoint.len() <= PLACE_BYTES).then(|| wire::Place { name: name.to_owned(), checkpoint })
}

fn trimmed(value: &[u8], sequence: u64) -> Result<wire::Batch, SpoolError> {
    let mut block = wire::Batch::decode(value).map_err(|_| SpoolError::Content("a block of events"))?;
    block.events.retain(|event| event.sequence >= sequence);
    Ok(block)
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

fn block_key(sequence: u64) -> [u8; 9] {
    let mut key = [b'Q'; 9];
    if let Some(number) = key.get_mut(1..) {
        number.copy_from_slice(&sequence.to_be_bytes());
    }
    key
}

fn sequence_of(key: &[u8]) -> Result<u64, SpoolError> {
    key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).ok_or(SpoolError::Content("a block's number"))
}

fn file_key(name: &str) -> Vec<u8> {
    [b"F", name.as_bytes()].concat()
}

/// Our own types have string keys and no foreign serialisers, so this cannot fail; an empty value would not be read back.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_proto::event::EventKind;
    use supwatch_proto::ids::SiteCode;
    use supwatch_proto::time::Certainty;

    fn event(line: &str) -> Event {
        Event {
            site: SiteCode::UNKNOWN,
            sequence: 0,
            time: None,
            time_certainty: Certainty::Local,
            log: String::new(),
            file: String::new(),
            offset: 0,
            component: String::new(),
            thread: 0,
            kind: EventKind::RunSucceeded,
            line: line.to_owned(),
        }
    }

    fn numbers(spool: &Spool, from: u64) -> Vec<u64> {
        let (mut all, mut at) = (Vec::new(), from);
        loop {
            let block = spool.read_from(at).expect("read");
            let Some(last) = block.events.last() else { return all };
            at = last.sequence + 1;
            all.extend(block.events.iter().map(|event| event.sequence));
        }
    }

    #[test]
    fn events_are_numbered_without_gaps_over_restarts() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("spool");
        let epoch = {
            let spool = Spool::open(&path).expect("open");
            spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "P01/a.log", &7).expect("commit");
            spool.epoch()
        };
        let spool = Spool::open(&path).expect("open");
        spool.commit(vec![event("x")], "P01/a.log", &8).expect("commit");
        assert_eq!((spool.epoch(), spool.next_sequence()), (epoch, 602));
        assert_eq!(numbers(&spool, 1), (1..=601).collect::<Vec<_>>());
        assert_eq!(numbers(&spool, 300), (300..=601).collect::<Vec<_>>());
        assert_eq!(spool.checkpoint::<u32>("P01/a.log").expect("read"), Some(8));
        assert_eq!(spool.checkpoint::<u32>("P01/b.log").expect("read"), None);
    }

    #[test]
    fn what_is_acknowledged_is_forgotten_by_whole_blocks() {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Spool::open(dir.path()).expect("open");
        spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "a", &0).expect("commit");
        spool.forget(511, 0).expect("forget");
        assert_eq!(spool.oldest_sequence(), 1, "its block holds one more");
        spool.forget(550, 0).expect("forget");
        assert_eq!(spool.oldest_sequence(), 513);
        assert_eq!(numbers(&spool, 551), (551..=600).collect::<Vec<_>>());
        spool.forget(600, 0).expect("forget");
        assert_eq!((numbers(&spool, 1), spool.oldest_sequence()), (vec![], 601));
        spool.commit(vec![event("x")], "a", &0).expect("commit");
        assert_eq!(numbers(&spool, 601), [601]);
    }

    #[test]
    fn what_is_acknowledged_stays_for_a_collector_that_is_restored() {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Spool::open(dir.path()).expect("open");
        spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "a", &0).expect("commit");
        spool.acknowledged(600).expect("taken note");
        assert_eq!((spool.undelivered(), spool.oldest_sequence()), (0, 1));
        // Restored from a copy it has less than it acknowledged.
        spool.acknowledged(10).expect("taken note");
        assert_eq!((spool.undelivered(), numbers(&spool, 11)), (590, (11..=600).collect()));
    }

    #[test]
    fn a_new_epoch_reads_nothing_before_it_knows_where_and_what_an_old_one_read_is_refused() {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Spool::open(dir.path()).expect("open");
        let first = spool.epoch();
        assert!(spool.is_fresh());
        let place = wire::Place { name: "P01/a.log".to_owned(), checkpoint: b"7".to_vec() };
        spool.resume(std::slice::from_ref(&place)).expect("resumed");
        assert_eq!((spool.is_fresh(), spool.checkpoint::<u32>("P01/a.log").expect("read")), (false, Some(7)));
        spool.resume(&[wire::Place { checkpoint: b"9".to_vec(), ..place }]).expect("no more");
        assert_eq!(spool.checkpoint::<u32>("P01/a.log").expect("read"), Some(7), "only the first answer counts");
        spool.commit(vec![event("x")], "P01/a.log", &8).expect("commit");

        spool.begin_anew().expect("anew");
        assert!(spool.epoch() != first && spool.is_fresh() && spool.next_sequence() == 1);
        assert_eq!((numbers(&spool, 1), spool.checkpoint::<u32>("P01/a.log").expect("read")), (vec![], None));
        assert!(matches!(spool.commit_in(first, vec![event("y")], "P01/a.log", &[(1, 9)]), Err(SpoolError::Anew)));
    }

    #[test]
    fn a_block_ends_with_a_piece_and_tells_how_far_its_file_was_read() {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Spool::open(dir.path()).expect("open");
        let place = |at: u64| [wire::Place { name: "P01/a.log".to_owned(), checkpoint: at.to_string().into_bytes() }];
        let events = |count: u64| (0..count).map(|n| event(&n.to_string())).collect();
        spool.commit_in(spool.epoch(), events(700), "P01/a.log", &[(100, 10), (300, 30), (400, 40), (700, 70)]).expect("commit");
        let block = |from| {
            spool.read_from(from).map(|block| (block.events.last().map(|event| event.sequence), block.places)).expect("read")
        };
        assert_eq!(block(1), (Some(300), place(30).to_vec()));
        assert_eq!(block(301), (Some(700), place(70).to_vec()));
        // A piece too large for one block is still delivered whole.
        spool.commit(events(1_200), "P01/a.log", &99).expect("commit");
        assert_eq!(block(701), (Some(700 + 512), vec![]));
        let whole = spool.read_piece(750).expect("read");
        let numbers: Vec<u64> = whole.events.iter().map(|event| event.sequence).collect();
        assert_eq!((numbers, whole.places), ((750..=1_900).collect(), place(99).to_vec()));
        assert_eq!(spool.read_piece(301).expect("read").events.len(), 400, "the next piece does not come with it");
    }

    #[test]
    fn a_large_event_fits_beside_others() {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Spool::open(dir.path()).expect("open");
        let events = vec![event(&"x".repeat(23_000)), event(&"y".repeat(79_000)), event("z")];
        spool.commit(events, "a", &"c".repeat(PLACE_BYTES - 100)).expect("commit");
        assert_eq!(numbers(&spool, 1), [1, 2, 3]);
    }

    #[test]
    fn a_damaged_spool_is_set_aside_and_a_new_epoch_begins() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("spool");
        std::fs::create_dir(&path).expect("folder");
        std::fs::write(path.join("conf"), b"no database").expect("write");
        let spool = Spool::open(&path).expect("open");
        assert_eq!(spool.next_sequence(), 1);
        assert!(dir.path().join("spool.quarantine-1/conf").exists());
    }
}
