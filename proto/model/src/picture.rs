//! The hierarchy at one moment, as the collector answers it and every reading command shows it.

use jiff::{SignedDuration, Timestamp};

use crate::describe::{Generation, SiteType};
use crate::finding::Finding;
use crate::ids::{AgentId, SiteCode};
use crate::run::Run;
use crate::text::Text;
use crate::verdict::Verdict;

/// Summary state of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// The last run succeeded, and in time.
    Ok,
    /// A run is in progress.
    Running,
    /// The last run failed.
    Failed,
    /// No success for too long.
    Overdue,
    /// None of its agents sends heartbeats.
    Silent,
    /// No data.
    Unknown,
}

crate::describe::words!(SiteState {
    Ok = "ok", Running = "running", Failed = "failed", Overdue = "overdue", Silent = "silent", Unknown = "unknown"
});

/// The hierarchy at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Name of the hierarchy.
    pub hierarchy: String,
    /// Time of this picture (collector's clock, UTC).
    pub at: Option<Timestamp>,
    /// Sites, by code.
    pub sites: Vec<SitePicture>,
    /// Runs, newest first.
    pub runs: Vec<Run>,
    /// Findings, worst first.
    pub findings: Vec<Finding>,
    /// Verdicts, by rule and site.
    pub verdicts: Vec<Verdict>,
    /// Refused connections, newest first.
    pub refusals: Vec<Refusal>,
}

/// Open findings by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingCounts {
    /// Critical.
    pub critical: u32,
    /// Warning.
    pub warning: u32,
    /// Info.
    pub info: u32,
}

/// One site at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SitePicture {
    /// Site code.
    pub code: SiteCode,
    /// Type.
    pub site_type: Option<SiteType>,
    /// Parent; `None` at the top and where it is not known.
    pub parent: Option<SiteCode>,
    /// State.
    pub state: SiteState,
    /// End of the last successful run.
    pub last_success_at: Option<Timestamp>,
    /// End of the last failed run.
    pub last_failure_at: Option<Timestamp>,
    /// Next scheduled run; `None` where the log does not prove it, and while a run is in progress.
    pub next_run_at: Option<Timestamp>,
    /// Newest catalogue version.
    pub catalog_version: Option<u64>,
    /// Its open findings.
    pub findings: FindingCounts,
    /// Agents that report for it.
    pub agents: Vec<AgentPicture>,
    /// Site server.
    pub server: Option<String>,
    /// Generation.
    pub generation: Option<Generation>,
    /// Newest settings snapshot.
    pub settings: Option<serde_json::Value>,
    /// Durations of its runs, by phase.
    pub trends: Vec<PhaseTrend>,
    /// Time up to which its wsyncmgr.log is read; no absence is concluded beyond it.
    pub judged_as_of: Option<Timestamp>,
    /// Set while its agents work off a backlog; the rest of the picture is then the last known state.
    pub backlog: Option<Backlog>,
}

/// Backlog of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Unread log bytes.
    pub unread_bytes: u64,
    /// Events in its agents' spools.
    pub spooled_events: u64,
}

/// Duration statistics of one phase of a site's runs.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseTrend {
    /// `wsus`, `database`, …; `run` is the whole run.
    pub phase: String,
    /// Number of runs counted.
    pub runs: u32,
    /// Duration in the newest run.
    pub last: SignedDuration,
    /// Median duration.
    pub median: SignedDuration,
    /// 95th percentile of the duration.
    pub p95: SignedDuration,
    /// Ratio of the newest durations to the earlier ones; `None` if insignificant.
    pub growth: Option<f64>,
}

/// One agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPicture {
    /// Agent id, from its certificate.
    pub id: AgentId,
    /// Time of the last heartbeat or batch (collector's clock).
    pub last_seen_at: Option<Timestamp>,
    /// Whether the agent is connected.
    pub connected: bool,
    /// Events stored from it.
    pub events: u64,
    /// Its version.
    pub version: String,
    /// Events in its spool that are not acknowledged.
    pub spooled_events: u64,
    /// Events lost: neither its spool nor the store has them.
    pub lost_events: u64,
    /// Size of its spool in bytes.
    pub spool_bytes: u64,
    /// Seconds that undelivered events have waited without any acknowledgement.
    pub waiting_seconds: u32,
}

/// A refused connection or stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it last happened.
    pub at: Option<Timestamp>,
    /// Peer, as far as known.
    pub peer: String,
    /// Reason for the refusal.
    pub reason: Text,
    /// Remedy.
    pub remedy: Text,
    /// Number of refusals.
    pub times: u32,
}
