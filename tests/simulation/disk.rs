//! The collector's disk: a store with delays that survives crashes, can be restored from backups, and records everything in the
//! ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::AgentId;
use supwatch_model::place::Place;
use supwatch_store::memory::Memory;
use supwatch_store::{
    Claims, Committed, Cursor, EventQuery, KeptCoverage, LastNotified, Page, Retention, Session, Store, StoreError, StoreSize,
};

use crate::ledger::{self, Ledger};
use crate::rng::Rng;

/// The disk.
pub struct Disk {
    memory: Mutex<Arc<Memory>>,
    rng: Mutex<Rng>,
    ledger: Mutex<Ledger>,
}

/// A backup of it.
pub struct Backup {
    memory: Memory,
    page: ledger::Page,
}

impl Disk {
    pub fn new(rng: Rng) -> Disk {
        Disk { memory: Mutex::default(), rng: Mutex::new(rng), ledger: Mutex::default() }
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("lock")
    }

    pub fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.lock().expect("lock"))
    }

    pub fn backup(&self) -> Backup {
        Backup { memory: self.memory().copy(), page: self.ledger().page.clone() }
    }

    pub fn restore(&self, backup: &Backup) {
        *self.memory.lock().expect("lock") = Arc::new(backup.memory.copy());
        let mut ledger = self.ledger();
        ledger.page = backup.page.clone();
        ledger.restored = true;
    }

    /// A write takes time, during which the collector may crash: before it is done, or before its result is returned.
    async fn works(&self) {
        let time = self.rng.lock().expect("lock").millis(0, 15);
        tokio::time::sleep(time).await;
    }
}

fn now() -> u128 {
    turmoil::sim_elapsed().unwrap_or_default().as_millis()
}

#[async_trait::async_trait]
impl Store for Disk {
    async fn open_session(&self, agent: &AgentId, claims: Claims) -> Result<Session, StoreError> {
        self.works().await;
        let session = self.memory().open_session(agent, claims).await?;
        self.ledger().opened(now(), claims, &session);
        self.works().await;
        Ok(session)
    }

    async fn commit(
        &self,
        session: &Session,
        received_at: Timestamp,
        events: Vec<Event>,
        places: Vec<Place>,
    ) -> Result<Committed, StoreError> {
        self.ledger().came(session, &events);
        self.works().await;
        let committed = self.memory().commit(session, received_at, events, places).await;
        match &committed {
            Ok(committed) => self.ledger().committed(now(), session, committed),
            Err(error) => self.ledger().note(&format!("{} {}: {error}", now(), session.agent)),
        }
        self.works().await;
        committed
    }

    async fn scan(&self, query: &EventQuery, after: Cursor) -> Result<Page, StoreError> {
        self.memory().scan(query, after).await
    }

    async fn scan_back(&self, query: &EventQuery, before: Option<Cursor>) -> Result<Page, StoreError> {
        self.memory().scan_back(query, before).await
    }

    async fn end(&self) -> Result<Cursor, StoreError> {
        self.memory().end().await
    }

    async fn carried(&self) -> Result<Vec<StoredEvent>, StoreError> {
        self.memory().carried().await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.memory().size().await
    }

    async fn expire(&self, now: Timestamp, retention: Retention) -> Result<StoreSize, StoreError> {
        self.memory().expire(now, retention).await
    }

    async fn put_findings(&self, findings: &[Finding]) -> Result<(), StoreError> {
        self.memory().put_findings(findings).await
    }

    async fn findings(&self) -> Result<Vec<Finding>, StoreError> {
        self.memory().findings().await
    }

    async fn decide(&self, entry: &AuditEntry, finding: &Finding) -> Result<(), StoreError> {
        self.memory().decide(entry, finding).await
    }

    async fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        self.memory().audit().await
    }

    async fn put_notified(&self, target: &str, notified: &[(String, LastNotified)]) -> Result<(), StoreError> {
        self.memory().put_notified(target, notified).await
    }

    async fn notified(&self, target: &str) -> Result<BTreeMap<String, LastNotified>, StoreError> {
        self.memory().notified(target).await
    }

    async fn put_exported(&self, waves: &[(String, u64)]) -> Result<(), StoreError> {
        self.memory().put_exported(waves).await
    }

    async fn exported(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.memory().exported().await
    }

    async fn put_coverage(&self, coverage: &[KeptCoverage]) -> Result<(), StoreError> {
        self.memory().put_coverage(coverage).await
    }

    async fn coverage(&self) -> Result<Vec<KeptCoverage>, StoreError> {
        self.memory().coverage().await
    }
}
