//! How far a file was read: the agent's own words, which the collector keeps for it.

use crate::wire;

/// How far a file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Site code, slash, file name.
    pub name: String,
    /// What the agent needs to go on from there.
    pub checkpoint: Vec<u8>,
}

impl From<Place> for wire::Place {
    fn from(place: Place) -> wire::Place {
        let Place { name, checkpoint } = place;
        wire::Place { name, checkpoint }
    }
}

impl From<wire::Place> for Place {
    fn from(message: wire::Place) -> Place {
        let wire::Place { name, checkpoint } = message;
        Place { name, checkpoint }
    }
}
