//! A run: one synchronisation of one site, from its start line to success or failure.

use jiff::Timestamp;

use crate::event::{Scope, Trigger};
use crate::ids::SiteCode;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// It reached "Sync succeeded" or 6702.
    Succeeded,
    /// It reached "Sync failed" or 6703.
    Failed,
    /// The run is in progress.
    Running,
    /// The log shows no end of the run.
    Unknown,
}

crate::describe::words!(RunOutcome { Succeeded = "succeeded", Failed = "failed", Running = "running", Unknown = "unknown" });

/// One phase of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// `wsus`, `database`, `internet`, …
    pub phase: String,
    /// WSUS server being synchronised.
    pub server: String,
    /// Start time (UTC).
    pub started_at: Option<Timestamp>,
    /// End time (UTC); absent while the phase is in progress.
    pub ended_at: Option<Timestamp>,
}

/// One synchronisation of one site.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Id made of site and start, such as `CEN-20260301T030000Z`.
    pub id: String,
    /// Code of the site.
    pub site: SiteCode,
    /// Trigger of the run.
    pub trigger: Trigger,
    /// Parent site that requested it.
    pub from: Option<SiteCode>,
    /// Full or delta.
    pub scope: Scope,
    /// Start time (UTC); absent if the log has no times, or begins in the middle of the run.
    pub started_at: Option<Timestamp>,
    /// End time (UTC).
    pub ended_at: Option<Timestamp>,
    /// Outcome.
    pub outcome: RunOutcome,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Latest progress: items done, items in total.
    pub progress: Option<(u64, u64)>,
    /// Cause of the failure, from the catalogue of causes.
    pub cause: Option<String>,
    /// Failure text from the log.
    pub text: Option<String>,
    /// Source named in the failure text.
    pub source: Option<String>,
    /// Error code from the log.
    pub code: Option<String>,
    /// Id of the failed run that this one retries.
    pub retry_of: Option<String>,
    /// Catalogue version it set.
    pub catalog_version: Option<u64>,
}
