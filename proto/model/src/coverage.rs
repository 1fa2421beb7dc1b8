//! Coverage: how far the logs of a site are read. Only with it can the collector conclude that something is absent.
//!
//! State, not an event: the newest replaces older ones. No conclusion about absence holds beyond a log's `read_until`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;

/// How far one agent has read the logs of one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Code of the site.
    pub site: SiteCode,
    /// Sequence number of the agent up to which events must be stored before this coverage applies.
    pub after_sequence: u64,
    /// Whether the last look left nothing unread in any log of the site.
    pub caught_up: bool,
    /// Every log of the site that the agent follows.
    pub logs: Vec<LogCoverage>,
}

/// Coverage of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogCoverage {
    /// Kind of log, such as `wsyncmgr`.
    pub log: String,
    /// File name.
    pub file: String,
    /// Bytes read.
    pub offset: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Time (agent's clock) of the last look that found nothing unread; `None` before the first such look.
    pub read_until: Option<Timestamp>,
}

impl Coverage {
    /// Bytes not yet read.
    pub fn unread(&self) -> u64 {
        self.logs.iter().map(|log| log.size.saturating_sub(log.offset)).sum()
    }
}
