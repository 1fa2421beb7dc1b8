//! Coverage ⇄ its messages.

use supwatch_model::coverage::{Coverage, LogCoverage};

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError};

impl From<Coverage> for wire::Coverage {
    fn from(Coverage { site, after_sequence, caught_up, logs }: Coverage) -> wire::Coverage {
        let logs = logs.into_iter().map(wire::LogCoverage::from).collect();
        wire::Coverage { site: site.to_string(), after_sequence, caught_up, logs }
    }
}

impl From<LogCoverage> for wire::LogCoverage {
    fn from(LogCoverage { log, file, offset, size, read_until }: LogCoverage) -> wire::LogCoverage {
        wire::LogCoverage { log, file, offset, size, read_until: read_until.map(to_wire) }
    }
}

impl TryFrom<wire::Coverage> for Coverage {
    type Error = WireError;

    fn try_from(message: wire::Coverage) -> Result<Coverage, WireError> {
        let wire::Coverage { site, after_sequence, caught_up, logs } = message;
        let logs = logs.into_iter().map(LogCoverage::from).collect();
        let site = site.parse().map_err(|error| WireError::invalid("site", &site, error))?;
        Ok(Coverage { site, after_sequence, caught_up, logs })
    }
}

impl From<wire::LogCoverage> for LogCoverage {
    fn from(message: wire::LogCoverage) -> LogCoverage {
        let wire::LogCoverage { log, file, offset, size, read_until } = message;
        LogCoverage { log, file, offset, size, read_until: from_wire(read_until) }
    }
}
