//! UTC times and how sure they are.

use serde::{Deserialize, Serialize};

/// How sure the UTC time of an event is, best first.
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
    /// Not known: the local time is taken as it stands.
    Local,
}

impl Certainty {
    /// The word of the contract.
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
