//! The collector's state: stores events, judges them, keeps the findings, and wakes subscribers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::{Finding, Suppression};
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::place::Place;
use supwatch_model::wave::Wave;
use tokio::sync::{MutexGuard, Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::access::refusals::Refusals;
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::judge::Judge;
use supwatch_judgement::limits::Limits;
use supwatch_store::{Cursor, EventQuery, Retention, Session, Store, StoreError};

/// An agent counts as connected when the collector stopped if its last contact was within this time of the newest one.
const RECENT: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// A lock that is held across writes to the store.
type Judging = tokio::sync::Mutex<()>;

/// Time in which what arrives is judged together.
const COALESCED: Duration = Duration::from_millis(100);

/// KiB of batches that may wait for the store, over all agents.
const ROOM_KIB: usize = 64 * 1024;

mod answers;
mod kept_coverage;

use kept_coverage::Kept;

/// An operator's decision on a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Suppress it.
    Suppress {
        /// The operator's reason.
        reason: String,
        /// End of the suppression; `None`: until an operator lifts it.
        until: Option<Timestamp>,
    },
    /// Lift a suppression.
    Unsuppress {
        /// The operator's reason.
        reason: String,
    },
}

/// The collector's state, shared by ingest, query and metrics.
pub struct Engine {
    judge: RwLock<Judge>,
    store: Arc<dyn Store>,
    /// Refused connections and streams.
    pub refusals: Arc<Refusals>,
    /// Source of the current time.
    pub clock: fn() -> Timestamp,
    /// Coverage last written to the store, by agent and site.
    kept_coverage: Mutex<Kept>,
    /// The newest waves as of when no site was reading a backlog.
    measured: Mutex<Vec<Wave>>,
    /// Findings not yet written, because the store was unavailable.
    unsaved: Mutex<BTreeMap<String, Finding>>,
    room: Arc<Semaphore>,
    /// Whether anything arrived that is not judged yet, and a signal that it did.
    unjudged: (AtomicBool, Notify),
    /// Held while judging and writing what changed, so that an older finding never replaces a newer one in the store.
    judging: Judging,
    arrived: watch::Sender<u64>,
    findings_changed: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

impl Engine {
    /// Rebuilds the collector's state by replaying the store.
    pub async fn replay(
        store: Arc<dyn Store>,
        hierarchy: Hierarchy,
        limits: Limits,
        clock: fn() -> Timestamp,
    ) -> Result<Engine, StoreError> {
        let mut judge = Judge::new(hierarchy, limits, store.findings().await?, true);
        let carried = store.carried().await?;
        carried.iter().for_each(|stored| judge.apply(stored));
        let (mut at, mut count, mut damaged) = (Cursor::default(), 0u64, 0);
        loop {
            let page = store.scan(&EventQuery::default(), at).await?;
            damaged += page.damaged;
            page.events.iter().for_each(|stored| judge.apply(stored));
            count += page.events.len() as u64;
            at = page.next;
            if page.end {
                break;
            }
        }
        // Coverage last reported: a site with later events is still reading its backlog.
        for kept in store.coverage().await? {
            judge.apply_coverage(&kept.agent, kept.epoch, kept.coverage);
        }
        // While the collector was down, no agent could reach it: silence counts from now, except for agents silent long before.
        let newest = judge.hierarchy().agents.values().filter_map(|agent| agent.last_seen_at).max();
        let recent = |at: Timestamp| newest.is_some_and(|newest| newest.duration_since(at) <= RECENT);
        let agents: Vec<(AgentId, Vec<SiteCode>)> = judge
            .hierarchy()
            .agents
            .iter()
            .filter(|(_, agent)| agent.last_seen_at.is_some_and(recent))
            .map(|(id, agent)| (id.clone(), agent.sites.iter().copied().collect()))
            .collect();
        for (agent, sites) in agents {
            judge.mark_seen(&agent, &sites, clock(), 0, None);
        }
        let (arrived, _) = watch::channel(count);
        let (stopping, _) = watch::channel(false);
        let (findings_changed, _) = watch::channel(0);
        let (judge, refusals) = (RwLock::new(judge), Arc::new(Refusals::default()));
        let (kept_coverage, measured, unsaved) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (unjudged, judging) = ((AtomicBool::default(), Notify::new()), Judging::default());
        let room = Arc::new(Semaphore::new(ROOM_KIB));
        let engine = Engine {
            kept_coverage,
            measured,
            unsaved,
            unjudged,
            judging,
            room,
            judge,
            store,
            refusals,
            clock,
            arrived,
            findings_changed,
            stopping,
        };
        engine.judge_and_keep().await?;
        tracing::info!(events = count, carried = carried.len(), damaged_blocks = damaged, "store replayed");
        Ok(engine)
    }

    /// The store that events and findings are kept in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Notifies of new events; the value counts them since the store began.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// Notifies when changed findings are stored; the value counts the changes.
    pub fn findings_changed(&self) -> watch::Receiver<u64> {
        self.findings_changed.subscribe()
    }

    /// Asks every stream and task to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves when the collector stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // A dropped sender means the same.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    /// Stores events durably and applies them; [`Engine::judge_arrivals`] judges what they change. Returns the sequence number to
    /// acknowledge.
    pub async fn ingest(
        &self,
        session: &Session,
        events: Vec<Event>,
        places: Vec<Place>,
        coverage: &[Coverage],
    ) -> Result<u64, StoreError> {
        let committed = self.store.commit(session, (self.clock)(), events, places).await?;
        self.apply(&committed.stored);
        self.apply_coverage(session, committed.durable_sequence, coverage).await?;
        self.wake_judge();
        Ok(committed.durable_sequence)
    }

    /// Applies the coverage an agent reports; `durable` is how far its events are stored.
    pub async fn ingest_coverage(&self, session: &Session, durable: u64, coverage: &[Coverage]) -> Result<(), StoreError> {
        if coverage.is_empty() {
            return Ok(());
        }
        self.apply_coverage(session, durable, coverage).await?;
        self.wake_judge();
        Ok(())
    }

    fn wake_judge(&self) {
        self.unjudged.0.store(true, Ordering::Release);
        self.unjudged.1.notify_one();
    }

    /// Judges what arrives until the collector stops: the first at once, and what follows within 100 ms together. A crash
    /// between the commit of an event and its judgement loses nothing, because the start judges everything.
    pub async fn judge_arrivals(&self) -> Result<(), StoreError> {
        let stopped = self.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                () = self.unjudged.1.notified() => {}
            }
            self.judge_now().await?;
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(()),
                () = tokio::time::sleep(COALESCED) => {}
            }
        }
    }

    /// Judges what arrived and is not judged yet, so that an answer covers everything acknowledged before its question.
    pub async fn judge_now(&self) -> Result<(), StoreError> {
        // The lock comes first: whoever finds nothing left to judge has then waited for who took it.
        let alone = self.judging.lock().await;
        if self.unjudged.0.swap(false, Ordering::AcqRel) { self.judge_alone(&alone).await } else { Ok(()) }
    }

    /// Applies coverage whose events are durable, and stores it if that is worth a write.
    async fn apply_coverage(&self, session: &Session, durable: u64, coverage: &[Coverage]) -> Result<(), StoreError> {
        let settled: Vec<&Coverage> = coverage.iter().filter(|one| one.after_sequence <= durable).collect();
        if settled.is_empty() {
            return Ok(());
        }
        let news = {
            let mut judge = self.write();
            settled.iter().for_each(|one| judge.apply_coverage(&session.agent, session.epoch, (*one).clone()));
            drop(judge);
            let mut kept = self.kept_coverage.lock().unwrap_or_else(PoisonError::into_inner);
            kept.worth_keeping(&session.agent, session.epoch, &settled)
        };
        if news.is_empty() {
            return Ok(());
        }
        match self.store.put_coverage(&news).await {
            // The agent reports it again.
            Err(error) if error.is_transient() => Ok(()),
            kept => kept,
        }
    }

    /// Reserves memory for a batch of this many bytes, until dropped.
    pub async fn reserve(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.room).acquire_many_owned((bytes / 1024 + 1).min(8 * 1024)).await.ok()
    }

    fn apply(&self, stored: &[StoredEvent]) {
        if stored.is_empty() {
            return;
        }
        let mut judge = self.write();
        stored.iter().for_each(|event| judge.apply(event));
        drop(judge);
        self.arrived.send_modify(|count| *count += stored.len() as u64);
    }

    /// Records a contact with an agent; `clock` is the agent's time.
    pub fn mark_seen(&self, agent: &AgentId, sites: &[SiteCode], spooled_events: u64, clock: Option<Timestamp>) {
        self.write().mark_seen(agent, sites, (self.clock)(), spooled_events, clock);
    }

    /// Records the spool size and lag that an agent reports.
    pub fn record_spool(&self, agent: &AgentId, bytes: u64, waiting_seconds: u32) {
        self.write().record_spool(agent, bytes, waiting_seconds);
    }

    /// Records that an agent's stream opened.
    pub fn stream_opened(&self, session: &Session, version: &str, reports_coverage: bool) {
        self.write().stream_opened(&session.agent, session.fence, version, reports_coverage, session.lost_ever);
    }

    /// Records that an agent's stream ended.
    pub fn stream_closed(&self, session: &Session) {
        self.write().stream_closed(&session.agent, session.fence);
    }

    /// Judges what changes with time.
    pub async fn tick(&self) -> Result<(), StoreError> {
        self.write().tick();
        self.judge_and_keep().await
    }

    async fn judge_and_keep(&self) -> Result<(), StoreError> {
        let alone = self.judging.lock().await;
        self.judge_alone(&alone).await
    }

    /// Judges and writes what changed, with the lock held.
    async fn judge_alone(&self, _: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let changed = self.write().judge((self.clock)());
        for finding in &changed {
            let state = if finding.resolved_at.is_some() { "resolved" } else { "open" };
            tracing::info!(rule = finding.rule, site = %finding.site, severity = %finding.severity, state, summary = finding.summary.en, "finding changed");
        }
        let any = !changed.is_empty();
        self.keep(changed).await?;
        if any {
            self.findings_changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Stores changed findings, with those that failed before. A full disk does not stop judgement.
    async fn keep(&self, changed: Vec<Finding>) -> Result<(), StoreError> {
        let waiting: Vec<Finding> = {
            let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
            unsaved.extend(changed.into_iter().map(|finding| (finding.id.clone(), finding)));
            unsaved.values().cloned().collect()
        };
        match self.store.put_findings(&waiting).await {
            Ok(()) => {
                let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
                for finding in &waiting {
                    // One that changed meanwhile is stored with the next.
                    if unsaved.get(&finding.id) == Some(finding) {
                        unsaved.remove(&finding.id);
                    }
                }
                Ok(())
            }
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, findings = waiting.len(), "findings not stored; will retry with the next change");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Applies the retention policy to the store.
    pub async fn expire(&self, retention: Retention) -> Result<(), StoreError> {
        self.store.expire((self.clock)(), retention).await.map(|_| ())
    }

    /// Suppresses a finding or lifts its suppression. Durable when this returns; `None` if there is no such finding.
    pub async fn decide(&self, id: &str, by: &str, decision: Decision) -> Result<Option<Finding>, StoreError> {
        let now = (self.clock)();
        let (action, reason, until) = match &decision {
            Decision::Suppress { reason, until } => ("suppress", reason.clone(), *until),
            Decision::Unsuppress { reason } => ("unsuppress", reason.clone(), None),
        };
        let suppression = match decision {
            Decision::Suppress { reason, until } => Some(Suppression { reason, by: by.to_owned(), at: Some(now), until }),
            Decision::Unsuppress { .. } => None,
        };
        let Some(finding) = self.read().finding(id).cloned().map(|finding| Finding { suppressed: suppression.clone(), ..finding })
        else {
            return Ok(None);
        };
        let entry = AuditEntry {
            at: now,
            by: by.to_owned(),
            action: action.to_owned(),
            finding: id.to_owned(),
            rule: finding.rule.clone(),
            site: finding.site,
            reason,
            until,
        };
        let _alone = self.judging.lock().await;
        self.store.decide(&entry, &finding).await?;
        tracing::info!(by, action, finding = id, rule = finding.rule, site = %finding.site, "decision recorded");
        let decided = self.write().suppress(id, suppression);
        // A judgement meanwhile may have stored the finding without the decision.
        self.keep(decided.iter().cloned().collect()).await?;
        self.findings_changed.send_modify(|count| *count += 1);
        Ok(decided)
    }

    /// Replaces the limits and exceptions of the rules.
    pub async fn set_limits(&self, limits: Limits) -> Result<(), StoreError> {
        self.write().set_limits(limits);
        self.judge_and_keep().await
    }

    fn read(&self) -> RwLockReadGuard<'_, Judge> {
        // After a panic the state may lack part of one event until a restart replays the store; it still answers.
        self.judge.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Judge> {
        self.judge.write().unwrap_or_else(PoisonError::into_inner)
    }
}
