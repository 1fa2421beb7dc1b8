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
    /// It goes on.
    Running,
    /// Its end was never seen.
    Unknown,
}

crate::describe::words!(RunOutcome { Succeeded = "succeeded", Failed = "failed", Running = "running", Unknown = "unknown" });

/// A part of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// `wsus`, `database`, `internet`, …
    pub phase: String,
    /// WSUS server it works on.
    pub server: String,
    /// Its start.
    pub started_at: Option<Timestamp>,
    /// Its end; absent while it goes on.
    pub ended_at: Option<Timestamp>,
}

/// One synchronisation of one site.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Site and start, such as `CEN-20260301T030000Z`.
    pub id: String,
    /// Site.
    pub site: SiteCode,
    /// What started it.
    pub trigger: Trigger,
    /// The parent that asked.
    pub from: Option<SiteCode>,
    /// Full or delta.
    pub scope: Scope,
    /// Start; absent where the log has no times, or begins in the middle of the run.
    pub started_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Its phases in order.
    pub phases: Vec<Phase>,
    /// Newest progress: items done, items in all.
    pub progress: Option<(u64, u64)>,
    /// Cause of the failure.
    pub cause: Option<String>,
    /// Text of the failure.
    pub text: Option<String>,
    /// Source the text names.
    pub source: Option<String>,
    /// Error code.
    pub code: Option<String>,
    /// The failed run that this one repeats.
    pub retry_of: Option<String>,
    /// Catalogue version it set.
    pub catalog_version: Option<u64>,
}
