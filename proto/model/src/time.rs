//! Certainty of UTC times.

use serde::{Deserialize, Serialize};

/// Certainty of an event's UTC time, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// From the numeric bias on the line itself.
    Bias,
    /// From the zone name on the line, or a line that is always in UTC.
    Zone,
    /// From the GMTDATE of a status message in the same file.
    Calibrated,
    /// From the zone configured for the site.
    Configured,
    /// Unknown zone: the local time is used unchanged.
    Local,
}

impl Certainty {
    /// The name used on the wire and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Certainty::Bias => "bias",
            Certainty::Zone => "zone",
            Certainty::Calibrated => "calibrated",
            Certainty::Configured => "configured",
            Certainty::Local => "local",
        }
    }
}
