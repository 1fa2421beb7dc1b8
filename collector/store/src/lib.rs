//! What the collector keeps: events, how far each agent got, findings, and their notifications.
//!
//! A trait in domain terms. **An `Ok` of [`Store::commit`] means that the events survive a power cut**, each exactly once: events
//! already stored are recognised by agent, epoch and sequence, and not stored again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supwatch_model::coverage::Coverage;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::place::Place;
use supwatch_model::verdict::Severity;

pub mod planted;
pub mod marks;
pub mod memory;
pub mod embedded;

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error("store {0}")]
    Open(#[from] supwatch_durable::OpenError),
    /// The database cannot be read or written.
    #[error("store: {0}")]
    Durable(#[from] supwatch_durable::DurableError),
    /// A write failed and changed nothing.
    #[error("store: {0}")]
    Disk(String),
    /// A newer version wrote the store.
    #[error("store: written by a newer supwatch (format {found}, this one knows {known}); upgrade this collector")]
    Version {
        /// Format version of the store.
        found: u8,
        /// Newest format version this collector reads.
        known: u8,
    },
    /// A stored record cannot be decoded.
    #[error("store: {0} cannot be decoded")]
    Content(String),
    /// The batch does not continue at the next sequence number.
    #[error("the batch begins after event {expected}, which is expected next")]
    Gap {
        /// The next expected number.
        expected: u64,
    },
    /// A newer session of the same agent took over.
    #[error("a newer connection with the same certificate took over")]
    Fenced,
    /// The epoch was never opened.
    #[error("the batch belongs to an epoch that was not announced")]
    Epoch,
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
}

impl StoreError {
    /// Whether a retry may succeed: an operator frees disk space, or the disk comes back.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Disk(_) | StoreError::Durable(_))
    }
}

/// Retention policy: segments are dropped when either limit is reached, the oldest day first, never the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days after the one on which the events arrived.
    pub days: u32,
    /// Bytes of the store's files.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { days: 400, bytes: 20 << 30 }
    }
}

/// Size of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreSize {
    /// Bytes of its files.
    pub bytes: u64,
    /// Number of days with events.
    pub days: u64,
    /// Number of events.
    pub events: u64,
    /// Start of the oldest day.
    pub oldest: Option<jiff::civil::Date>,
    /// Days dropped by this pass of retention.
    pub dropped_days: u64,
}

/// What an agent's hello claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Epoch of the agent's spool.
    pub epoch: Epoch,
    /// First sequence number it still has.
    pub oldest_sequence: u64,
    /// Sequence number of the next event; 1 in an epoch that has just begun.
    pub next_sequence: u64,
}

/// The right to commit, until a newer session of the same agent opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The agent.
    pub agent: AgentId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Fencing token.
    pub fence: u64,
    /// Everything up to this number is durable.
    pub durable_sequence: u64,
    /// [`Event::proof`] of the last durable event.
    pub proof: Option<u32>,
    /// Events now known to be lost: neither side has them any more.
    pub lost: u64,
    /// All of them, since its first session.
    pub lost_ever: u64,
    /// For an agent with a new epoch: the checkpoints up to which its files are stored.
    pub resume: Vec<Place>,
    /// Whether events of a later epoch of this agent are stored: it must start a new epoch.
    pub is_replaced: bool,
}

impl Session {
    /// A session as a store opened it.
    pub fn new(agent: &AgentId, claims: Claims, fence: u64, opened: marks::Opened, resume: Vec<Place>) -> Session {
        let marks::Opened { durable, proof, lost, lost_ever, is_new: _, is_replaced } = opened;
        Session {
            agent: agent.clone(),
            epoch: claims.epoch,
            fence,
            durable_sequence: durable,
            proof,
            lost,
            lost_ever,
            resume,
            is_replaced,
        }
    }
}

/// Result of a commit.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Everything up to this number is durable.
    pub durable_sequence: u64,
    /// The events that were new.
    pub stored: Vec<StoredEvent>,
}

/// Position in the order of arrival, before the next event. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// Number of the block.
    pub block: u64,
    /// Number of its events already read.
    pub index: usize,
}

/// Filter of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventQuery {
    /// Sites; empty: all.
    pub sites: Vec<SiteCode>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Up to this time.
    pub until: Option<Timestamp>,
    /// Kinds in kebab-case; empty: all.
    pub kinds: Vec<String>,
}

impl EventQuery {
    /// Whether the filter includes an event. An event without a time counts by its arrival.
    pub fn matches(&self, stored: &StoredEvent) -> bool {
        let time = stored.event.time.unwrap_or(stored.received_at);
        (self.sites.is_empty() || self.sites.contains(&stored.event.site))
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == stored.event.kind.name()))
    }
}

/// Some events, and where to continue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Cursor behind the last event scanned.
    pub next: Cursor,
    /// Whether no event follows it now.
    pub end: bool,
    /// Unreadable blocks that were skipped.
    pub damaged: u64,
}

/// Coverage an agent reported, with the epoch of its sequence numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCoverage {
    /// The agent.
    pub agent: AgentId,
    /// The epoch its sequence numbers belong to.
    pub epoch: Epoch,
    /// The coverage it reported.
    pub coverage: Coverage,
}

/// What a notification target was last notified of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastNotified {
    /// When the finding opened.
    pub opened_at: Option<Timestamp>,
    /// The finding's severity then.
    pub severity: Severity,
    /// Whether its end was notified.
    pub resolved: bool,
    /// Notifications of this finding to this target so far.
    pub times: u64,
}

/// Most blocks scanned for one page, so that no request reads the whole store at once.
pub const PAGE_BLOCKS: usize = 64;

/// The store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Opens a session: a newer one of the same agent fences the older one.
    async fn open_session(&self, agent: &AgentId, claims: Claims) -> Result<Session, StoreError>;

    /// Stores the new ones among events with consecutive numbers, durably and all or nothing. `places` are the checkpoints of
    /// files after the last event; they are stored with the events, unless none of them is new.
    async fn commit(
        &self,
        session: &Session,
        received_at: Timestamp,
        events: Vec<Event>,
        places: Vec<Place>,
    ) -> Result<Committed, StoreError>;

    /// Events after a cursor, from at most [`PAGE_BLOCKS`] blocks.
    async fn scan(&self, query: &EventQuery, after: Cursor) -> Result<Page, StoreError>;

    /// Events before a cursor, or before the end, from at most [`PAGE_BLOCKS`] blocks, in order of arrival. `next` is where they
    /// begin; `end` means that nothing precedes them.
    async fn scan_back(&self, query: &EventQuery, before: Option<Cursor>) -> Result<Page, StoreError>;

    /// The cursor after everything stored.
    async fn end(&self) -> Result<Cursor, StoreError>;

    /// The newest event of each kind from dropped segments, in order of arrival, so that the last known state survives.
    async fn carried(&self) -> Result<Vec<StoredEvent>, StoreError>;

    /// The size of the store now.
    async fn size(&self) -> Result<StoreSize, StoreError>;

    /// Drops what the retention policy no longer keeps; returns the size of the store afterwards.
    async fn expire(&self, now: Timestamp, retention: Retention) -> Result<StoreSize, StoreError>;

    /// Stores the current state of findings.
    async fn put_findings(&self, findings: &[Finding]) -> Result<(), StoreError>;

    /// All findings.
    async fn findings(&self) -> Result<Vec<Finding>, StoreError>;

    /// Stores an operator's decision with the finding it changed, all or nothing. It is never deleted.
    async fn decide(&self, entry: &AuditEntry, finding: &Finding) -> Result<(), StoreError>;

    /// Every decision, oldest first.
    async fn audit(&self) -> Result<Vec<AuditEntry>, StoreError>;

    /// Records, durably, what a target was last notified of some findings, by their ids.
    async fn put_notified(&self, target: &str, notified: &[(String, LastNotified)]) -> Result<(), StoreError>;

    /// What a target was last notified of every finding, by id.
    async fn notified(&self, target: &str) -> Result<BTreeMap<String, LastNotified>, StoreError>;

    /// Records which waves an OTLP receiver has: their ids, and hashes that show whether they changed since.
    async fn put_exported(&self, waves: &[(String, u64)]) -> Result<(), StoreError>;

    /// The waves an OTLP receiver has, with their hashes.
    async fn exported(&self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Stores coverage, the newest report of each agent for each site. Agents report it again, so it need not survive a power
    /// cut; but it is never stored before the events it covers.
    async fn put_coverage(&self, coverage: &[KeptCoverage]) -> Result<(), StoreError>;

    /// The newest coverage of each agent for each site.
    async fn coverage(&self) -> Result<Vec<KeptCoverage>, StoreError>;
}
