//! A wave: one run of the top site and all the runs it caused below, edge by edge.

use jiff::{SignedDuration, Timestamp};

use crate::ids::SiteCode;
use crate::text::Text;

/// Overall outcome of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveOutcome {
    /// Every site below the top completed its run.
    Complete,
    /// Runs are in progress or still expected.
    Running,
    /// It stopped: at the top site itself, or at the edge [`Wave::broken_at`].
    Broken,
    /// No failure is known, but data is missing for some sites.
    Unknown,
}

crate::describe::words!(WaveOutcome { Complete = "complete", Running = "running", Broken = "broken", Unknown = "unknown" });

/// Outcome of a wave between a parent and a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeOutcome {
    /// The child's run succeeded.
    Succeeded,
    /// The child's run failed, and no retry has succeeded.
    Failed,
    /// The child's run is in progress.
    Running,
    /// The child was notified and has not started, but is not late.
    Waiting,
    /// The child was notified and did not start in time.
    Missed,
    /// The wave stopped at an edge above.
    Cut,
    /// Neither site's log shows it.
    Unknown,
}

crate::describe::words!(EdgeOutcome {
    Succeeded = "succeeded",
    Failed = "failed",
    Running = "running",
    Waiting = "waiting",
    Missed = "missed",
    Cut = "cut",
    Unknown = "unknown"
});

/// A wave's passage from a parent to a child. Times are those of the server that wrote the line.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveEdge {
    /// Parent site, which sent the notification.
    pub parent: SiteCode,
    /// Child site, which received it.
    pub child: SiteCode,
    /// When the parent sent its notification (parent's clock).
    pub notified_at: Option<Timestamp>,
    /// When the child picked it up (child's clock).
    pub received_at: Option<Timestamp>,
    /// Start of the child's first run for it (child's clock).
    pub started_at: Option<Timestamp>,
    /// End of the child's last run for it (child's clock).
    pub ended_at: Option<Timestamp>,
    /// Outcome of this edge.
    pub outcome: EdgeOutcome,
    /// Time from notification to start; clamped at zero, because clocks may differ.
    pub lag: Option<SignedDuration>,
    /// The child's runs for it, oldest first; more than one where it was retried.
    pub runs: Vec<String>,
    /// Catalogue version that the child received.
    pub catalog_version: Option<u64>,
    /// Cause of the failure, from the catalogue of causes.
    pub cause: Option<String>,
    /// Whether it was inferred without one of the two logs.
    pub inferred: bool,
    /// Remarks, such as the source of an inference.
    pub note: Option<Text>,
}

/// One run of the top site and all it caused.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// Id of the top site's run; if no log shows that run, the site and the time of its first notification.
    pub id: String,
    /// Code of the top site.
    pub top: SiteCode,
    /// Start of the top site's run; absent where no log shows it.
    pub started_at: Option<Timestamp>,
    /// End of its last run anywhere; absent while it is in progress.
    pub ended_at: Option<Timestamp>,
    /// Catalogue version it carries.
    pub catalog_version: Option<u64>,
    /// Edges from the top down, a parent's before those of its children.
    pub edges: Vec<WaveEdge>,
    /// Overall outcome.
    pub outcome: WaveOutcome,
    /// The first edge at which it stopped; absent where the top site's own run failed.
    pub broken_at: Option<(SiteCode, SiteCode)>,
    /// Cause of the failure there.
    pub cause: Option<String>,
}

impl Wave {
    /// Whether no run of it is in progress or expected.
    pub fn is_settled(&self) -> bool {
        self.outcome != WaveOutcome::Running
            && self.edges.iter().all(|edge| !matches!(edge.outcome, EdgeOutcome::Running | EdgeOutcome::Waiting))
    }
}
