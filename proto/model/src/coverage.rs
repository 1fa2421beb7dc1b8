//! How far the logs of a site are known to be read: what nobody can know without it is that something is absent.
//!
//! State, not an event: the newest replaces the older ones. Nothing later than a log's `read_until` may be concluded to be absent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;

/// How far one agent has read the logs of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// The site.
    pub site: SiteCode,
    /// It holds once all events of the agent up to this number are stored.
    pub after_sequence: u64,
    /// Whether the last look left nothing unread in any log of the site.
    pub caught_up: bool,
    /// Every log of the site that the agent follows.
    pub logs: Vec<LogCoverage>,
}

/// How far one log is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCoverage {
    /// Which log, such as `wsyncmgr`.
    pub log: String,
    /// Its file name.
    pub file: String,
    /// Bytes read.
    pub offset: u64,
    /// Bytes it has.
    pub size: u64,
    /// The moment (agent's clock) of the last look that found nothing unread; `None` before the first such look.
    pub read_until: Option<Timestamp>,
}

impl Coverage {
    /// Bytes that are still to be read.
    pub fn unread(&self) -> u64 {
        self.logs.iter().map(|log| log.size.saturating_sub(log.offset)).sum()
    }
}
