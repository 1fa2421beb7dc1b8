//! Times and their certainty ⇄ their messages.

use jiff::Timestamp;
use supwatch_model::time::Certainty;

use crate::wire;

impl From<Certainty> for wire::TimeCertainty {
    fn from(certainty: Certainty) -> wire::TimeCertainty {
        match certainty {
            Certainty::Bias => wire::TimeCertainty::Bias,
            Certainty::Zone => wire::TimeCertainty::Zone,
            Certainty::Calibrated => wire::TimeCertainty::Calibrated,
            Certainty::Configured => wire::TimeCertainty::Configured,
            Certainty::Local => wire::TimeCertainty::Local,
        }
    }
}

impl From<wire::TimeCertainty> for Certainty {
    /// An unknown value from a newer peer counts as the least certain.
    fn from(certainty: wire::TimeCertainty) -> Certainty {
        match certainty {
            wire::TimeCertainty::Bias => Certainty::Bias,
            wire::TimeCertainty::Zone => Certainty::Zone,
            wire::TimeCertainty::Calibrated => Certainty::Calibrated,
            wire::TimeCertainty::Configured => Certainty::Configured,
            wire::TimeCertainty::Local | wire::TimeCertainty::Unspecified => Certainty::Local,
        }
    }
}

/// A time as its protobuf message.
pub fn to_wire(time: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    prost_types::Timestamp { seconds, nanos }
}

/// A time from its protobuf message; `None` if absent or out of range.
pub fn from_wire(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    let time = time?;
    Timestamp::new(time.seconds, time.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_wire_also_before_1970() {
        for text in ["2026-03-01T04:00:00.123Z", "1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"] {
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!(from_wire(Some(to_wire(time))), Some(time));
        }
    }
}
