//! How far each agent got: pure, and shared by all stores, so that exactly-once is decided in one place.

use serde::{Deserialize, Serialize};
use supwatch_proto::event::Event;
use supwatch_proto::ids::Epoch;

use super::{Claims, StoreError};

/// What is kept of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    /// Newest fencing token.
    pub fence: u64,
    /// Events that neither side has any more.
    pub lost: u64,
    /// Each epoch with the number up to which everything is durable, oldest first. Never forgotten before the agent is.
    pub epochs: Vec<([u8; 16], u64)>,
}

impl Marks {
    /// A new session; gives the mark of its epoch, and how many events are newly known to be lost.
    pub fn open(&mut self, claims: Claims) -> (u64, u64) {
        self.fence += 1;
        let mark = match self.epochs.iter_mut().find(|(epoch, _)| *epoch == claims.epoch.0) {
            Some((_, mark)) => mark,
            None => {
                self.epochs.push((claims.epoch.0, 0));
                match self.epochs.last_mut() {
                    Some((_, mark)) => mark,
                    None => return (0, 0),
                }
            }
        };
        // Neither we nor the agent has what lies between: a store restored from a copy, or a spool that was emptied.
        let lost = claims.oldest_sequence.saturating_sub(*mark + 1);
        *mark += lost;
        self.lost += lost;
        (*mark, lost)
    }

    /// Takes in events with numbers in sequence: moves the mark and leaves those that are new.
    pub fn admit(&mut self, epoch: Epoch, fence: u64, events: &mut Vec<Event>) -> Result<u64, StoreError> {
        if fence != self.fence {
            return Err(StoreError::Fenced);
        }
        let (_, mark) = self.epochs.iter_mut().find(|(known, _)| *known == epoch.0).ok_or(StoreError::Epoch)?;
        let Some(first) = events.first().map(|event| event.sequence) else { return Ok(*mark) };
        if first > *mark + 1 {
            return Err(StoreError::Gap { expected: *mark + 1 });
        }
        let in_sequence = events.iter().zip(first..).all(|(event, number)| event.sequence == number);
        if !in_sequence {
            return Err(StoreError::Gap { expected: *mark + 1 });
        }
        events.retain(|event| event.sequence > *mark);
        if let Some(last) = events.last() {
            *mark = last.sequence;
        }
        Ok(*mark)
    }
}
