//! Blocks of events, because a key costs far more than an event: how they are filled and where each ends.

use prost::Message;
use supwatch_durable::Batch;
use supwatch_proto::wire;

use super::{SpoolError, VERSION};

/// Bytes of a block of events; well below the database's limit, so that one more large event still fits.
const BLOCK_BYTES: usize = 24 * 1024;
/// Most bytes of a block; an event that would exceed it starts a block of its own.
const BLOCK_LIMIT: usize = 64 * 1024;
/// Events after which a block closes at the next end of a piece.
const BLOCK_EVENTS: usize = 256;
/// Events after which a block closes anywhere.
pub(super) const BLOCK_EVENTS_LIMIT: usize = 512;
/// Most bytes of a checkpoint that is sent. A larger one belongs to no log, and rereading its file loses and duplicates nothing.
pub(super) const PLACE_BYTES: usize = 8 * 1024;

/// A block that is being filled.
#[derive(Default)]
pub(super) struct Block {
    events: Vec<wire::Event>,
    /// Checkpoint of the file after the last event.
    place: Option<wire::Place>,
    bytes: usize,
}

impl Block {
    /// Whether the block closes here: at the end of a piece, so that it carries a checkpoint, unless the piece is too large.
    pub(super) fn is_full(&self) -> bool {
        self.place.is_some() && (self.bytes >= BLOCK_BYTES || self.events.len() >= BLOCK_EVENTS)
    }

    /// Whether an event no longer fits.
    pub(super) fn has_no_room(&self, next: &wire::Event) -> bool {
        self.bytes + next.encoded_len() > BLOCK_LIMIT || self.events.len() >= BLOCK_EVENTS_LIMIT
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: wire::Event) {
        self.bytes += event.encoded_len();
        self.events.push(event);
        self.place = None;
    }

    /// Marks the end of a piece: reading can resume after the last event from this checkpoint.
    pub(super) fn ends_a_piece(&mut self, name: &str, checkpoint: Vec<u8>) {
        self.place = (checkpoint.len() <= PLACE_BYTES).then(|| wire::Place { name: name.to_owned(), checkpoint });
    }

    /// Writes the block to a batch unless it is empty, and starts the next; returns the bytes written.
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

/// The events of a block from a sequence number on.
pub(super) fn trimmed(value: &[u8], sequence: u64) -> Result<wire::Batch, SpoolError> {
    let mut block = wire::Batch::decode(value).map_err(|_| SpoolError::Content("a block of events"))?;
    block.events.retain(|event| event.sequence >= sequence);
    Ok(block)
}

/// Key of the block whose first event has this sequence number.
pub(super) fn block_key(sequence: u64) -> [u8; 9] {
    let mut key = [b'Q'; 9];
    if let Some(number) = key.get_mut(1..) {
        number.copy_from_slice(&sequence.to_be_bytes());
    }
    key
}

/// First sequence number of the block with this key.
pub(super) fn sequence_of(key: &[u8]) -> Result<u64, SpoolError> {
    key.get(1..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes).ok_or(SpoolError::Content("a block's number"))
}
