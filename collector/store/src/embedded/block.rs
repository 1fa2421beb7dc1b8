//! Blocks of the store: compressed events that arrived together, each with a summary, so that a query for some sites, kinds or
//! times reads only the blocks that can match.

use std::collections::BTreeSet;

use jiff::Timestamp;
use prost::Message;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch};
use supwatch_proto::wire;

use crate::{EventQuery, StoreError};

/// A block of events of one agent that arrived together.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Block {
    #[prost(string, tag = "1")]
    pub agent: String,
    #[prost(bytes = "vec", tag = "2")]
    pub epoch: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    pub received_at: Option<prost_types::Timestamp>,
    #[prost(message, repeated, tag = "4")]
    pub events: Vec<wire::Event>,
}

impl Block {
    /// Encodes the block for storage.
    pub fn encode(&self) -> Vec<u8> {
        lz4_flex::compress_prepend_size(&self.encode_to_vec())
    }

    /// Decodes a stored block.
    pub fn read(value: &[u8], number: u64) -> Result<Vec<StoredEvent>, StoreError> {
        let wrong = || StoreError::Content(format!("block {number}"));
        let bytes = lz4_flex::decompress_size_prepended(value).map_err(|_| wrong())?;
        let Block { agent, epoch, received_at, events } = Block::decode(bytes.as_slice()).map_err(|_| wrong())?;
        let epoch = Epoch::from_bytes(&epoch).ok_or_else(wrong)?;
        let received_at = supwatch_proto::time::from_wire(received_at).ok_or_else(wrong)?;
        events
            .into_iter()
            .map(|event| {
                let event = Event::try_from(event).map_err(|_| wrong())?;
                Ok(StoredEvent { agent: AgentId(agent.clone()), epoch, received_at, event })
            })
            .collect()
    }

    /// A block of one event.
    pub fn of(stored: &StoredEvent) -> Block {
        Block {
            agent: stored.agent.0.clone(),
            epoch: stored.epoch.0.to_vec(),
            received_at: Some(supwatch_proto::time::to_wire(stored.received_at)),
            events: vec![stored.event.clone().into()],
        }
    }
}

/// Summary of a block.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    /// Earliest time of an event, in milliseconds since 1970.
    #[prost(sint64, tag = "1")]
    pub from_ms: i64,
    /// Latest time of an event, in milliseconds since 1970.
    #[prost(sint64, tag = "2")]
    pub until_ms: i64,
    #[prost(string, repeated, tag = "3")]
    pub sites: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub kinds: Vec<String>,
    #[prost(uint64, tag = "5")]
    pub events: u64,
}

impl Summary {
    /// The summary of some events. An event without a time counts by its arrival, as in queries.
    pub fn of(events: &[Event], received_at: Timestamp) -> Summary {
        let times = || events.iter().map(|event| event.time.unwrap_or(received_at).as_millisecond());
        let sites: BTreeSet<String> = events.iter().map(|event| event.site.to_string()).collect();
        let kinds: BTreeSet<&str> = events.iter().map(|event| event.kind.name()).collect();
        Summary {
            from_ms: times().min().unwrap_or_default(),
            until_ms: times().max().unwrap_or_default(),
            sites: sites.into_iter().collect(),
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            events: events.len() as u64,
        }
    }

    /// Whether an event of the block may match. Milliseconds are truncated, so the boundaries are included.
    pub fn may_hold(&self, query: &EventQuery) -> bool {
        within(self.from_ms, self.until_ms, query)
            && (query.sites.is_empty() || query.sites.iter().any(|site| self.sites.iter().any(|own| own == site.as_str())))
            && (query.kinds.is_empty() || query.kinds.iter().any(|kind| self.kinds.contains(kind)))
    }
}

/// Whether a time span overlaps the requested time.
pub(super) fn within(from_ms: i64, until_ms: i64, query: &EventQuery) -> bool {
    query.since.is_none_or(|since| until_ms >= since.as_millisecond() - 1)
        && query.until.is_none_or(|until| from_ms <= until.as_millisecond() + 1)
}
