//! Joins store and judge: what is stored is judged, what is judged is kept, who follows is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::{Finding, Suppression};
use supwatch_model::history::{AuditEntry, SettingsView, VerdictChange};
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::picture::Picture;
use supwatch_model::place::Place;
use supwatch_model::run::Run;
use supwatch_model::wave::Wave;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::access::refusals::Refusals;
use supwatch_judgement::consequences;
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::judge::Judge;
use supwatch_judgement::limits::Limits;
use supwatch_judgement::picture;
use supwatch_judgement::settings_view;
use supwatch_judgement::waves::Waves;
use supwatch_judgement::whatif::{WhatIfError, whatif};
use supwatch_store::{Cursor, EventQuery, Retention, Session, Store, StoreError, StoreSize};

/// An agent heard of so shortly before the newest was there when the collector went away.
const LATELY: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// KiB of batches that may wait for the store, of all agents together.
const ROOM_KIB: usize = 64 * 1024;

/// Newest waves that are looked at for metrics: those that go on, and the last that ended of each top site.
const MEASURED_WAVES: usize = 8;

mod covered;

use covered::Kept;

/// What somebody decides about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// To bear with it.
    Suppress {
        /// Why.
        reason: String,
        /// Until when; `None`: until somebody lifts it.
        until: Option<Timestamp>,
    },
    /// No longer to.
    Unsuppress {
        /// Why.
        reason: String,
    },
}

/// The collector's state, shared by ingest, query and metrics.
pub struct Engine {
    judge: RwLock<Judge>,
    store: Arc<dyn Store>,
    /// What was turned away.
    pub refusals: Arc<Refusals>,
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// What of the agents' coverage is kept.
    covered: Mutex<Kept>,
    /// The newest waves as they were when nobody read back.
    measured: Mutex<Vec<Wave>>,
    /// Findings that the store could not keep yet.
    unsaved: Mutex<BTreeMap<String, Finding>>,
    room: Arc<Semaphore>,
    /// How large the store was at the last look.
    size: RwLock<StoreSize>,
    arrived: watch::Sender<u64>,
    findings_changed: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
}

impl Engine {
    /// Replays the store, so that a restarted collector knows what it knew.
    pub async fn awake(
        store: Arc<dyn Store>,
        hierarchy: Hierarchy,
        limits: Limits,
        clock: fn() -> Timestamp,
    ) -> Result<Engine, StoreError> {
        let mut judge = Judge::new(hierarchy, limits, store.findings().await?, true);
        let carried = store.carried().await?;
        carried.iter().for_each(|stored| judge.take(stored));
        let (mut at, mut count, mut damaged) = (Cursor::default(), 0u64, 0);
        loop {
            let page = store.scan(&EventQuery::default(), at).await?;
            damaged += page.damaged;
            page.events.iter().for_each(|stored| judge.take(stored));
            count += page.events.len() as u64;
            at = page.next;
            if page.end {
                break;
            }
        }
        // What agents said of their reading: where events came behind it, the site is still reading back.
        for kept in store.coverage().await? {
            judge.cover(&kept.agent, kept.epoch, kept.coverage);
        }
        // While the collector was away nobody could be heard: silence counts from now. Who was silent long before stays so.
        let newest = judge.hierarchy().agents.values().filter_map(|agent| agent.last_heard_at).max();
        let lately = |at: Timestamp| newest.is_some_and(|newest| newest.duration_since(at) <= LATELY);
        let agents: Vec<(AgentId, Vec<SiteCode>)> = judge
            .hierarchy()
            .agents
            .iter()
            .filter(|(_, agent)| agent.last_heard_at.is_some_and(lately))
            .map(|(id, agent)| (id.clone(), agent.sites.iter().copied().collect()))
            .collect();
        for (agent, sites) in agents {
            judge.heard(&agent, &sites, clock(), 0, None);
        }
        let (arrived, _) = watch::channel(count);
        let (stopping, _) = watch::channel(false);
        let (findings_changed, _) = watch::channel(0);
        let (judge, refusals) = (RwLock::new(judge), Arc::new(Refusals::default()));
        let (covered, measured, unsaved, size) = (Mutex::default(), Mutex::default(), Mutex::default(), RwLock::default());
        let room = Arc::new(Semaphore::new(ROOM_KIB));
        let engine =
            Engine { covered, measured, unsaved, size, room, judge, store, refusals, clock, arrived, findings_changed, stopping };
        engine.judge_and_keep().await?;
        tracing::info!(events = count, carried = carried.len(), damaged_blocks = damaged, "store replayed");
        Ok(engine)
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Tells when events arrive: how many so far.
    pub fn arrived(&self) -> watch::Receiver<u64> {
        self.arrived.subscribe()
    }

    /// Every finding, open or resolved; each consequence names its cause.
    pub fn findings(&self) -> Vec<Finding> {
        let judge = self.read();
        let mut findings = judge.findings().cloned().collect::<Vec<_>>();
        consequences::fold(judge.hierarchy(), judge.limits(), (self.clock)(), &mut findings);
        findings
    }

    /// Tells when findings changed and are kept: how often so far.
    pub fn findings_changed(&self) -> watch::Receiver<u64> {
        self.findings_changed.subscribe()
    }

    /// Asks every stream and part to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves when the collector stops.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.subscribe();
        async move {
            // A sender that is gone means the same.
            let _ = stopping.wait_for(|stop| *stop).await;
        }
    }

    /// Stores events, durably, then judges those that were new. Gives the mark to acknowledge.
    pub async fn take(
        &self,
        session: &Session,
        events: Vec<Event>,
        places: Vec<Place>,
        coverage: &[Coverage],
    ) -> Result<u64, StoreError> {
        let committed = self.store.commit(session, (self.clock)(), events, places).await?;
        self.learn(&committed.stored);
        self.learn_coverage(session, committed.durable_sequence, coverage).await?;
        self.judge_and_keep().await?;
        Ok(committed.durable_sequence)
    }

    /// An agent says how far it has read; `durable` is how far its events are stored.
    pub async fn cover(&self, session: &Session, durable: u64, coverage: &[Coverage]) -> Result<(), StoreError> {
        if coverage.is_empty() {
            return Ok(());
        }
        self.learn_coverage(session, durable, coverage).await?;
        self.judge_and_keep().await
    }

    /// Takes over what holds by now, and keeps what is worth a write.
    async fn learn_coverage(&self, session: &Session, durable: u64, coverage: &[Coverage]) -> Result<(), StoreError> {
        let holds: Vec<&Coverage> = coverage.iter().filter(|one| one.after_sequence <= durable).collect();
        if holds.is_empty() {
            return Ok(());
        }
        let news = {
            let mut judge = self.write();
            holds.iter().for_each(|one| judge.cover(&session.agent, session.epoch, (*one).clone()));
            drop(judge);
            let mut kept = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
            kept.worth_keeping(&session.agent, session.epoch, &holds)
        };
        if news.is_empty() {
            return Ok(());
        }
        match self.store.put_coverage(&news).await {
            // What is not kept is told again by the agent.
            Err(error) if error.may_pass() => Ok(()),
            kept => kept,
        }
    }

    /// Room for a batch of that many bytes; given back when dropped.
    pub async fn room(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.room).acquire_many_owned((bytes / 1024 + 1).min(8 * 1024)).await.ok()
    }

    fn learn(&self, stored: &[StoredEvent]) {
        if stored.is_empty() {
            return;
        }
        let mut judge = self.write();
        stored.iter().for_each(|event| judge.take(event));
        drop(judge);
        self.arrived.send_modify(|count| *count += stored.len() as u64);
    }

    /// A sign of life.
    pub fn heard(&self, agent: &AgentId, sites: &[SiteCode], spooled_events: u64, clock: Option<Timestamp>) {
        self.write().heard(agent, sites, (self.clock)(), spooled_events, clock);
    }

    /// What an agent says of its spool.
    pub fn spool(&self, agent: &AgentId, bytes: u64, waiting_seconds: u32) {
        self.write().spool(agent, bytes, waiting_seconds);
    }

    /// An agent's stream opened.
    pub fn connected(&self, session: &Session, version: &str, tells_coverage: bool) {
        self.write().connected(&session.agent, session.fence, version, tells_coverage, session.lost_ever);
    }

    /// An agent's stream ended.
    pub fn disconnected(&self, session: &Session) {
        self.write().disconnected(&session.agent, session.fence);
    }

    /// Time passed.
    pub async fn tick(&self) -> Result<(), StoreError> {
        self.write().tick();
        self.judge_and_keep().await
    }

    async fn judge_and_keep(&self) -> Result<(), StoreError> {
        let changed = self.write().judge((self.clock)());
        for finding in &changed {
            let state = if finding.resolved_at.is_some() { "resolved" } else { "open" };
            tracing::info!(rule = finding.rule, site = %finding.site, severity = %finding.severity, state, summary = finding.summary.en, "finding");
        }
        let any = !changed.is_empty();
        self.keep(changed).await?;
        if any {
            self.findings_changed.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Keeps findings, with those that could not be kept before. A disk that is full holds up no judgement.
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
                    // One that changed meanwhile waits for the next time.
                    if unsaved.get(&finding.id) == Some(finding) {
                        unsaved.remove(&finding.id);
                    }
                }
                Ok(())
            }
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, findings = waiting.len(), "findings are not kept now; they are with the next");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets events that are no longer to be kept.
    pub async fn expire(&self, retention: Retention) -> Result<(), StoreError> {
        let size = self.store.expire((self.clock)(), retention).await?;
        *self.size.write().unwrap_or_else(PoisonError::into_inner) = size;
        Ok(())
    }

    /// The picture, now or at a moment in the past.
    pub fn picture(&self, at: Option<Timestamp>, resolved: bool) -> Picture {
        let judge = self.read();
        match at {
            Some(at) => picture::at(judge.hierarchy(), judge.limits(), at),
            None => picture::now(&judge, (self.clock)(), resolved, self.refusals.list()),
        }
    }

    /// The newest waves, newest first, now or at a moment in the past.
    pub fn waves(&self, at: Option<Timestamp>, last: usize) -> Vec<Wave> {
        self.with_waves(at, |waves| waves.newest(last))
    }

    /// A wave by its id.
    pub fn wave(&self, at: Option<Timestamp>, id: &str) -> Option<Wave> {
        self.with_waves(at, |waves| waves.get(id))
    }

    /// How large the store was at the last look.
    pub fn store_size(&self) -> StoreSize {
        *self.size.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest waves for metrics. While a site reads back, what arrives is history: those of before count.
    pub fn measured_waves(&self) -> Vec<Wave> {
        let reads_back = {
            let judge = self.read();
            let hierarchy = judge.hierarchy();
            let mut connected = hierarchy.sites.values().filter(|site| hierarchy.agents_of(site).any(|(_, agent)| agent.connected));
            connected.any(|site| hierarchy.is_reading_back(site.code))
        };
        let waves = (!reads_back).then(|| self.waves(None, MEASURED_WAVES));
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waves) = waves {
            *measured = waves;
        }
        measured.clone()
    }

    /// Of the newest waves those on which nothing goes on, each with its runs.
    pub fn settled_waves(&self, last: usize) -> Vec<(Wave, Vec<Run>)> {
        let judge = self.read();
        let settled =
            Waves::new(judge.hierarchy(), judge.limits(), (self.clock)()).newest(last).into_iter().filter(Wave::is_settled);
        let runs = |wave: &Wave| -> Vec<Run> {
            let of = |site: SiteCode, id: &str| {
                let mut all = judge.hierarchy().site(site)?.runs.iter().rev();
                all.find(|tracked| tracked.run.id == id).map(|tracked| tracked.run.clone())
            };
            let below = wave.edges.iter().flat_map(|edge| edge.runs.iter().filter_map(move |id| of(edge.child, id)));
            of(wave.top, &wave.id).into_iter().chain(below).collect()
        };
        settled.map(|wave| (runs(&wave), wave)).map(|(runs, wave)| (wave, runs)).collect()
    }

    fn with_waves<T>(&self, at: Option<Timestamp>, ask: impl FnOnce(&Waves<'_>) -> T) -> T {
        let judge = self.read();
        match at {
            Some(at) => ask(&Waves::new(&judge.hierarchy().as_of(at), judge.limits(), at)),
            None => ask(&Waves::new(judge.hierarchy(), judge.limits(), (self.clock)())),
        }
    }

    /// The settings of a site, now or at a moment in the past; `None` where there is no such site.
    pub fn settings(&self, site: SiteCode, at: Option<Timestamp>) -> Option<SettingsView> {
        let judge = self.read();
        let known = judge.hierarchy().site(site)?;
        let now = (self.clock)();
        Some(match at {
            Some(at) => {
                let mut past = known.clone();
                past.configured = known.configured.as_of(at);
                settings_view::view(judge.hierarchy(), &past, at)
            }
            None => settings_view::view(judge.hierarchy(), known, now),
        })
    }

    /// Which verdicts would be others if a site were set otherwise.
    pub fn whatif(&self, site: SiteCode, set: &[String]) -> Result<Vec<VerdictChange>, WhatIfError> {
        let judge = self.read();
        whatif(judge.hierarchy(), judge.limits(), site, set, (self.clock)())
    }

    /// Somebody decides to bear with a finding, or no longer to. Durable when this returns; `None` where
    /// there is no such finding.
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
        self.store.decide(&entry, &finding).await?;
        tracing::info!(by, action, finding = id, rule = finding.rule, site = %finding.site, "decided");
        let decided = self.write().suppress(id, suppression);
        // A judgement meanwhile may have kept the finding as it was before.
        self.keep(decided.iter().cloned().collect()).await?;
        self.findings_changed.send_modify(|count| *count += 1);
        Ok(decided)
    }

    /// Other limits of the rules, from now on.
    pub async fn set_limits(&self, limits: Limits) -> Result<(), StoreError> {
        self.write().set_limits(limits);
        self.judge_and_keep().await
    }

    fn read(&self) -> RwLockReadGuard<'_, Judge> {
        // A panic while folding cannot be mended; what is shown next is what was known.
        self.judge.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Judge> {
        self.judge.write().unwrap_or_else(PoisonError::into_inner)
    }
}
