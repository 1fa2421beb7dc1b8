//! How far each agent got: pure, and shared by all stores, so that exactly-once is decided in one place.

use serde::{Deserialize, Serialize};
use supwatch_proto::event::Event;
use supwatch_proto::ids::Epoch;

use super::{Claims, StoreError};
use crate::planted::{self, Fault};

/// Most ranges of lost events that are kept by their numbers; older ones stay counted.
const LOST_KEPT: usize = 100;

/// What is kept of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    /// Newest fencing token.
    pub fence: u64,
    /// Events that neither side has any more.
    pub lost: u64,
    /// Which they were, newest last.
    #[serde(default)]
    pub lost_ranges: Vec<LostRange>,
    /// Each epoch, oldest first. Never forgotten before the agent is.
    pub epochs: Vec<Mark>,
}

/// Events that neither side has any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// Their epoch.
    pub epoch: [u8; 16],
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// How far an epoch got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Mark {
    /// The epoch.
    pub epoch: [u8; 16],
    /// Everything up to this number is durable.
    pub durable: u64,
    /// [`Event::proof`] of the last of them; absent where it was lost, or stored by a version that kept none.
    pub proof: Option<u32>,
}

/// A mark as it is stored: the first version had two fields, and stores of it are still opened.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Proved([u8; 16], u64, Option<u32>),
    First([u8; 16], u64),
}

impl From<Stored> for Mark {
    fn from(stored: Stored) -> Mark {
        match stored {
            Stored::Proved(epoch, durable, proof) => Mark { epoch, durable, proof },
            Stored::First(epoch, durable) => Mark { epoch, durable, proof: None },
        }
    }
}

impl From<Mark> for Stored {
    fn from(Mark { epoch, durable, proof }: Mark) -> Stored {
        Stored::Proved(epoch, durable, proof)
    }
}

/// What a session begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Everything up to this number is durable.
    pub durable: u64,
    /// Proof of the last of it.
    pub proof: Option<u32>,
    /// Events now known to be lost.
    pub lost: u64,
    /// All of them.
    pub lost_ever: u64,
    /// Whether nothing of this epoch was ever stored. Its agent may have opened it before and not have got the answer.
    pub is_new: bool,
}

impl Marks {
    /// A new session; gives the mark of its epoch, and how many events are newly known to be lost.
    pub fn open(&mut self, claims: Claims) -> Opened {
        self.fence += 1;
        if !self.epochs.iter().any(|mark| mark.epoch == claims.epoch.0) {
            self.epochs.push(Mark { epoch: claims.epoch.0, durable: 0, proof: None });
        }
        let Some(mark) = self.epochs.iter_mut().find(|mark| mark.epoch == claims.epoch.0) else {
            return Opened { durable: 0, proof: None, lost: 0, lost_ever: self.lost, is_new: true };
        };
        let is_new = mark.durable == 0;
        // Neither we nor the agent has what lies between: a store restored from a copy, or a spool that was emptied.
        let next = if planted::is(Fault::EdgeOfTheMark) { mark.durable } else { mark.durable + 1 };
        let lost = claims.oldest_sequence.saturating_sub(next);
        if lost > 0 {
            self.lost_ranges.push(LostRange { epoch: mark.epoch, first: mark.durable + 1, last: mark.durable + lost });
            self.lost_ranges.drain(..self.lost_ranges.len().saturating_sub(LOST_KEPT));
            mark.durable += lost;
            mark.proof = None;
            self.lost += lost;
        }
        Opened { durable: mark.durable, proof: mark.proof, lost, lost_ever: self.lost, is_new }
    }

    /// Takes in events with numbers in sequence: moves the mark and leaves those that are new.
    pub fn admit(&mut self, epoch: Epoch, fence: u64, events: &mut Vec<Event>) -> Result<u64, StoreError> {
        if fence != self.fence && !planted::is(Fault::FenceIgnored) {
            return Err(StoreError::Fenced);
        }
        let mark = self.epochs.iter_mut().find(|mark| mark.epoch == epoch.0).ok_or(StoreError::Epoch)?;
        let Some(first) = events.first().map(|event| event.sequence) else { return Ok(mark.durable) };
        if first > mark.durable + 1 {
            return Err(StoreError::Gap { expected: mark.durable + 1 });
        }
        let in_sequence = events.iter().zip(first..).all(|(event, number)| event.sequence == number);
        if !in_sequence {
            return Err(StoreError::Gap { expected: mark.durable + 1 });
        }
        #[cfg(feature = "planted-faults")]
        if planted::is(Fault::DuplicatesByTime) {
            planted::lately::retain(events);
            mark.durable = events.last().map_or(mark.durable, |last| mark.durable.max(last.sequence));
            return Ok(mark.durable);
        }
        events.retain(|event| event.sequence > mark.durable);
        if let Some(last) = events.last() {
            (mark.durable, mark.proof) = (last.sequence, Some(last.proof()));
        }
        Ok(mark.durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_new_until_something_of_it_is_stored() {
        let claims = Claims { epoch: Epoch([1; 16]), oldest_sequence: 1 };
        let mut marks = Marks::default();
        // The answer to the first is lost on its way: the agent must get it from the second.
        assert!(marks.open(claims).is_new && marks.open(claims).is_new);
    }

    #[test]
    fn marks_of_the_first_version_are_read() {
        let first = format!("{{\"fence\":3,\"lost\":0,\"epochs\":[[{:?},7]]}}", [1u8; 16]);
        let marks: Marks = serde_json::from_str(&first).expect("marks");
        assert_eq!(marks.epochs, [Mark { epoch: [1; 16], durable: 7, proof: None }]);
        let again: Marks = serde_json::from_str(&serde_json::to_string(&marks).expect("json")).expect("marks");
        assert_eq!(again, marks);
    }
}
