//! Events lie in blocks, since a key costs far more than an event: how they are filled, and where each ends.

use prost::Message;
use supwatch_durable::Batch;
use supwatch_proto::wire;

use super::{SpoolError, VERSION};

/// Bytes of a block of events; well below what the database takes, so that one large event more still fits.
const BLOCK_BYTES: usize = 24 * 1024;
/// A large event begins a block of its own, so that no block is more than the database takes.
const BLOCK_LIMIT: usize = 64 * 1024;
/// Events of a block, at the next end of a piece.
const BLOCK_EVENTS: usize = 256;
/// Events of a block, wherever that is.
const BLOCK_EVENTS_LIMIT: usize = 512;
/// A larger checkpoint does not travel: it belongs to no log, and reading it again loses and doubles no line.
pub(super) const PLACE_BYTES: usize = 8 * 1024;

/// A block that is being filled.
#[derive(Default)]
pub(super) struct Block {
    events: Vec<wire::Event>,
    /// How far the file was read when the last of the events was.
    place: Option<wire::Place>,
    bytes: usize,
}

impl Block {
    /// Whether it ends here: with a piece, so that each block tells how far its file was read, unless a piece is too large.
    pub(super) fn is_full(&self) -> bool {
        self.place.is_some() && (self.bytes >= BLOCK_BYTES || self.events.len() >= BLOCK_EVENTS)
    }

    /// Whether an event does not go into it any more.
    pub(super) fn has_no_room(&self, next: &wire::Event) -> bool {
        self.bytes + next.encoded_len() > BLOCK_LIMIT || self.events.len() >= BLOCK_EVENTS_LIMIT
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: wire::Event) {
        self.bytes += event.encoded_len();
        self.events.push(event);
        self.place = None;
    }

    /// Behind the last event, a file can be gone on with from a checkpoint.
    pub(super) fn ends_a_piece(&mut self, name: &str, checkpoint: Vec<u8>) {
        self.place = (checkpoint.len() <= PLACE_BYTES).then(|| wire::Place { name: name.to_owned(), checkpoint });
    }

    /// Puts it into a batch, if there is anything in it, and begins the next; gives its bytes.
    pub(super) fn store(&mut self, batch: &mut Batch) -> u64 {
        let events = std::mem::take(&mut self.events);
        self.bytes = 0;
        let Some(first) = events.first().map(|event| event.sequence) else { return 0 };
        let places = self.place.take().into_iter().collect();
        let value = wire::Batch { events, places, coverage: Vec::new() }.encode_to_vec();
        batch.put(&block_key(first), VERSION, &value);
        value.len() as u64
    }
}

/// What a block holds from a number on.
pub(super) fn trimmed(value: &[u8], sequence: u64) -> Result<wire::Batch, SpoolError> {
    let mut block = wire::Batch::decode(value).map_err(|_| SpoolError::Content("a block of events"))?;
    block.events.retain(|event| event.sequence >= sequence);
    Ok(block)
}

/// Key of the block that begins with a number.
pub(super) fn block_key(sequence: u64) -> [u8; 9] {
    let mut key = [b'Q'; 9];
    if let Some(number) = key.get_mut(1..) {
        number.copy_from_slice(&sequence.to_be_bytes());
    }
    key
}

/// The number of a key.
pub(super) fn sequence_of(key: &[u8]) -> Result<u64, SpoolError> {
    key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).ok_or(SpoolError::Content("a block's number"))
}
