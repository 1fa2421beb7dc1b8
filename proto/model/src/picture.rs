//! The hierarchy at one moment, as the collector answers it and every reading command shows it.

use jiff::{SignedDuration, Timestamp};

use crate::describe::{Generation, SiteType};
use crate::finding::Finding;
use crate::ids::{AgentId, SiteCode};
use crate::run::Run;
use crate::text::Text;
use crate::verdict::Verdict;

/// State of a site in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// The last run succeeded, and in time.
    Ok,
    /// A run goes on.
    Running,
    /// The last run failed.
    Failed,
    /// No success for too long.
    Overdue,
    /// Its agents are silent.
    Silent,
    /// Nothing tells.
    Unknown,
}

crate::describe::words!(SiteState {
    Ok = "ok", Running = "running", Failed = "failed", Overdue = "overdue", Silent = "silent", Unknown = "unknown"
});

/// The hierarchy at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its name.
    pub hierarchy: String,
    /// The moment.
    pub at: Option<Timestamp>,
    /// Its sites, by code.
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
    /// Next scheduled run; `None` where the log does not prove it, and while one goes on.
    pub next_run_at: Option<Timestamp>,
    /// Newest catalogue version.
    pub catalog_version: Option<u64>,
    /// Its open findings.
    pub findings: FindingCounts,
    /// Agents that speak for it.
    pub agents: Vec<AgentPicture>,
    /// Site server.
    pub server: Option<String>,
    /// Generation.
    pub generation: Option<Generation>,
    /// Newest settings snapshot.
    pub settings: Option<serde_json::Value>,
    /// How long its runs take.
    pub trends: Vec<PhaseTrend>,
    /// Up to which moment its wsyncmgr.log is known to be read: nothing later is said to be absent.
    pub judged_as_of: Option<Timestamp>,
    /// Its agents are reading back; what is shown of it is how it stood before.
    pub backlog: Option<Backlog>,
}

/// What is still to come of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Bytes of logs that no agent has read yet.
    pub unread_bytes: u64,
    /// Events that its agents hold.
    pub spooled_events: u64,
}

/// How long a phase of a site's runs takes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseTrend {
    /// `wsus`, `database`, …; `run` is the whole run.
    pub phase: String,
    /// Runs that were counted.
    pub runs: u32,
    /// In the newest of them.
    pub last: SignedDuration,
    /// Half of them took no longer.
    pub median: SignedDuration,
    /// 95 % of them took no longer.
    pub p95: SignedDuration,
    /// How many times as long the newest take as those before; `None` where that is little.
    pub growth: Option<f64>,
}

/// One agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPicture {
    /// Identity.
    pub id: AgentId,
    /// Last sign of life.
    pub last_heard_at: Option<Timestamp>,
    /// Whether its stream is open.
    pub connected: bool,
    /// Events stored from it.
    pub events: u64,
    /// Its version.
    pub version: String,
    /// Events it still holds.
    pub spooled_events: u64,
    /// Events that neither it nor the store has any more.
    pub lost_events: u64,
    /// Bytes of its spool.
    pub spool_bytes: u64,
    /// Seconds since something waits there and nothing was acknowledged.
    pub waiting_seconds: u32,
}

/// A connection or stream that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it last happened.
    pub at: Option<Timestamp>,
    /// Who, as far as known.
    pub peer: String,
    /// Why.
    pub reason: Text,
    /// What to do.
    pub remedy: Text,
    /// How often.
    pub times: u32,
}
