//! File checkpoints ⇄ their message.

use supwatch_model::place::Place;

use crate::wire;

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
