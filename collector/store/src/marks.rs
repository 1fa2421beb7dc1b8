//! How far each agent's events are stored. Pure, and shared by all stores, so that exactly-once is decided in one place.

use serde::{Deserialize, Serialize};
use supwatch_model::event::Event;
use supwatch_model::ids::Epoch;

use super::{Claims, StoreError};
use crate::planted::{self, Fault};

/// Most epochs kept for an agent. One begins when an agent's state is lost; many more than that mean two agents with one
/// identity, which replace each other.
const EPOCHS_KEPT: usize = 256;
/// Most ranges of lost events kept by number; older ones are only counted.
const LOST_KEPT: usize = 100;

/// How far an agent's events are stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Marks {
    /// Newest fencing token.
    pub fence: u64,
    /// Events that neither side has any more.
    pub lost: u64,
    /// Ranges of these events, newest last.
    #[serde(default)]
    pub lost_ranges: Vec<LostRange>,
    /// The newest epochs, in the order in which they last stored an event or began.
    pub epochs: Vec<Mark>,
}

/// A range of events that neither side has any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostRange {
    /// Epoch of the range.
    pub epoch: [u8; 16],
    /// First number.
    pub first: u64,
    /// Last number.
    pub last: u64,
}

/// How far the events of an epoch are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Mark {
    /// The epoch.
    pub epoch: [u8; 16],
    /// Everything up to this number is durable.
    pub durable: u64,
    /// [`Event::proof`] of the last of them; `None` if it was lost, or stored by a version that recorded none.
    pub proof: Option<u32>,
}

/// A mark as stored: the first version had two fields, and its stores are still opened.
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

/// State at the start of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Everything up to this number is durable.
    pub durable: u64,
    /// Proof of the last durable event.
    pub proof: Option<u32>,
    /// Events now known to be lost.
    pub lost: u64,
    /// All lost events since its first session.
    pub lost_ever: u64,
    /// Whether nothing of this epoch was ever stored. Its agent may have opened it before without receiving the answer.
    pub is_new: bool,
    /// Whether events of another epoch were stored since: this epoch comes from a state that was replaced, and the other one has
    /// already delivered what this one would read next.
    pub is_replaced: bool,
}

impl Marks {
    /// Opens a session; returns the mark of its epoch, and the number of newly lost events.
    pub fn open(&mut self, claims: Claims) -> Opened {
        self.fence += 1;
        if !self.epochs.iter().any(|mark| mark.epoch == claims.epoch.0) {
            // An unknown epoch that has already begun may be one that is no longer kept.
            if self.epochs.len() >= EPOCHS_KEPT && claims.next_sequence > 1 {
                return Opened { durable: 0, proof: None, lost: 0, lost_ever: self.lost, is_new: false, is_replaced: true };
            }
            self.epochs.push(Mark { epoch: claims.epoch.0, durable: 0, proof: None });
            if self.epochs.len() > EPOCHS_KEPT {
                // Preferably an epoch of which nothing is stored, but never this one.
                let needless = self.epochs.iter().take(EPOCHS_KEPT).position(|mark| mark.durable == 0).unwrap_or(0);
                self.epochs.remove(needless);
            }
        }
        let mut later = self.epochs.iter_mut().skip_while(|mark| mark.epoch != claims.epoch.0);
        let Some(mark) = later.next() else {
            return Opened { durable: 0, proof: None, lost: 0, lost_ever: self.lost, is_new: true, is_replaced: false };
        };
        let is_replaced = later.any(|mark| mark.durable > 0) && !planted::is(Fault::ReplacedGoesOn);
        let is_new = mark.durable == 0;
        // Neither the store nor the agent has the events in between: the store was restored from a copy, or the spool was
        // emptied.
        let next = if planted::is(Fault::EdgeOfTheMark) { mark.durable } else { mark.durable + 1 };
        let lost = claims.oldest_sequence.saturating_sub(next);
        if lost > 0 {
            self.lost_ranges.push(LostRange { epoch: mark.epoch, first: mark.durable + 1, last: mark.durable + lost });
            self.lost_ranges.drain(..self.lost_ranges.len().saturating_sub(LOST_KEPT));
            mark.durable += lost;
            mark.proof = None;
            self.lost += lost;
        }
        Opened { durable: mark.durable, proof: mark.proof, lost, lost_ever: self.lost, is_new, is_replaced }
    }

    /// Records events with consecutive numbers: moves the mark and keeps the new ones.
    pub fn admit(&mut self, epoch: Epoch, fence: u64, events: &mut Vec<Event>) -> Result<u64, StoreError> {
        if fence != self.fence && !planted::is(Fault::FenceIgnored) {
            return Err(StoreError::Fenced);
        }
        let at = self.epochs.iter().position(|mark| mark.epoch == epoch.0).ok_or(StoreError::Epoch)?;
        let mark = self.epochs.get_mut(at).ok_or(StoreError::Epoch)?;
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
        let durable = mark.durable;
        if !events.is_empty() {
            // This epoch is now the newest.
            self.epochs.get_mut(at..).unwrap_or_default().rotate_left(1);
        }
        Ok(durable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_new_until_something_of_it_is_stored() {
        let claims = Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 };
        let mut marks = Marks::default();
        // The answer to the first session is lost: the second one must deliver it.
        assert!(marks.open(claims).is_new && marks.open(claims).is_new);
    }

    #[test]
    fn an_epoch_is_replaced_once_events_of_a_later_one_are_stored() {
        let claims = |epoch| Claims { epoch: Epoch([epoch; 16]), oldest_sequence: 1, next_sequence: 1 };
        let mut marks = Marks::default();
        let open = |marks: &mut Marks, epoch| (marks.open(claims(epoch)).is_replaced, marks.fence);
        assert!(!open(&mut marks, 1).0);
        let (replaced, fence) = open(&mut marks, 2);
        assert!(!replaced && !open(&mut marks, 1).0, "a later one that stored nothing replaces nothing");
        assert!(marks.admit(Epoch([2; 16]), fence, &mut vec![event(1)]).is_err(), "fenced by the last one");
        let fence = open(&mut marks, 2).1;
        marks.admit(Epoch([2; 16]), fence, &mut vec![event(1)]).expect("stored");
        assert!(open(&mut marks, 1).0 && !open(&mut marks, 2).0 && !open(&mut marks, 3).0);
        let fence = open(&mut marks, 2).1;
        marks.admit(Epoch([2; 16]), fence, &mut vec![event(2)]).expect("stored");
        assert!(open(&mut marks, 3).0, "it was told where to begin before that was stored");
    }

    #[test]
    fn however_many_epochs_begin_the_newest_alone_are_kept() {
        let mut marks = Marks::default();
        for number in 0..1_000u64 {
            let mut epoch = [0; 16];
            epoch[..8].copy_from_slice(&number.to_be_bytes());
            marks.open(Claims { epoch: Epoch(epoch), oldest_sequence: 1, next_sequence: 1 });
        }
        assert_eq!((marks.epochs.len(), marks.epochs[EPOCHS_KEPT - 1].epoch[6..8].to_vec()), (EPOCHS_KEPT, vec![3, 231]));
        let under_way = Claims { epoch: Epoch([9; 16]), oldest_sequence: 5, next_sequence: 9 };
        let opened = marks.open(under_way);
        assert!(opened.is_replaced && opened.lost == 0, "it may be one of those that are not kept");
        assert!(!marks.open(Claims { oldest_sequence: 1, next_sequence: 1, ..under_way }).is_replaced, "it begins now");
    }

    fn event(sequence: u64) -> Event {
        Event {
            site: supwatch_model::ids::SiteCode::UNKNOWN,
            sequence,
            time: None,
            time_certainty: supwatch_model::time::Certainty::Local,
            log: String::new(),
            file: String::new(),
            offset: 0,
            component: String::new(),
            thread: 0,
            kind: supwatch_model::event::EventKind::RunSucceeded,
            line: String::new(),
        }
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
