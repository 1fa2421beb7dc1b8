//! A wave: one run of the top site and all the runs it caused below, edge by edge.

use jiff::{SignedDuration, Timestamp};

use crate::ids::SiteCode;
use crate::text::Text;

/// How far a wave got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaveOutcome {
    /// Every site below has it.
    Complete,
    /// It is still on its way.
    Running,
    /// It stopped somewhere: at the top site itself, or at the edge that [`Wave::broken_at`] names.
    Broken,
    /// Nothing is known to be wrong, and not every site tells.
    Unknown,
}

crate::describe::words!(WaveOutcome { Complete = "complete", Running = "running", Broken = "broken", Unknown = "unknown" });

/// What became of a wave between a parent and a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeOutcome {
    /// The child has it.
    Succeeded,
    /// The child's run failed, and no retry has succeeded.
    Failed,
    /// The child's run goes on.
    Running,
    /// The child was told and has not begun; there is still time.
    Waiting,
    /// The child was told and did not begin.
    Missed,
    /// The wave stopped further up.
    Cut,
    /// Nothing tells.
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

/// The way of a wave from a parent to a child. Times are those of the server that wrote the line.
#[derive(Debug, Clone, PartialEq)]
pub struct WaveEdge {
    /// Who told.
    pub parent: SiteCode,
    /// Who was told.
    pub child: SiteCode,
    /// When the parent sent its notification (parent's clock).
    pub notified_at: Option<Timestamp>,
    /// When the child found it (child's clock).
    pub received_at: Option<Timestamp>,
    /// When the child's first run for it began (child's clock).
    pub started_at: Option<Timestamp>,
    /// When its last run for it ended (child's clock).
    pub ended_at: Option<Timestamp>,
    /// What became of it.
    pub outcome: EdgeOutcome,
    /// From notification to start; never negative, clocks may differ.
    pub lag: Option<SignedDuration>,
    /// The child's runs for it, oldest first; more than one where it was retried.
    pub runs: Vec<String>,
    /// Catalogue version the child has from it.
    pub catalog_version: Option<u64>,
    /// Cause of the failure.
    pub cause: Option<String>,
    /// Whether it was put together from less than both logs.
    pub inferred: bool,
    /// What is to be known about it, such as what it was inferred from.
    pub note: Option<Text>,
}

/// One run of the top site and all it caused.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// That of the top site's run; of one that no log shows, the site and when its first child was told.
    pub id: String,
    /// The top site.
    pub top: SiteCode,
    /// Start of the top site's run; absent where no log shows it.
    pub started_at: Option<Timestamp>,
    /// End of its last run anywhere; absent while it is on its way.
    pub ended_at: Option<Timestamp>,
    /// Catalogue version it carries.
    pub catalog_version: Option<u64>,
    /// Edges from the top down, a parent's before those of its children.
    pub edges: Vec<WaveEdge>,
    /// How far it got.
    pub outcome: WaveOutcome,
    /// The first edge at which it stopped; absent where the top site's own run failed.
    pub broken_at: Option<(SiteCode, SiteCode)>,
    /// Cause of the failure there.
    pub cause: Option<String>,
}

impl Wave {
    /// Whether nothing of it goes on or is still waited for.
    pub fn is_settled(&self) -> bool {
        self.outcome != WaveOutcome::Running
            && self.edges.iter().all(|edge| !matches!(edge.outcome, EdgeOutcome::Running | EdgeOutcome::Waiting))
    }
}
