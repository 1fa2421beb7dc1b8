//! The collector's disk: a store that takes its time, survives crashes, can be restored from backups, and keeps the book.

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

use crate::book::{self, Book};
use crate::chance::Chance;

/// The disk.
pub struct Disk {
    memory: Mutex<Arc<Memory>>,
    chance: Mutex<Chance>,
    book: Mutex<Book>,
}

/// A backup of it.
pub struct Backup {
    memory: Memory,
    page: book::Page,
}

impl Disk {
    pub fn new(chance: Chance) -> Disk {
        Disk { memory: Mutex::default(), chance: Mutex::new(chance), book: Mutex::default() }
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("lock")
    }

    pub fn memory(&self) -> Arc<Memory> {
        Arc::clone(&self.memory.lock().expect("lock"))
    }

    pub fn backup(&self) -> Backup {
        Backup { memory: self.memory().copy(), page: self.book().page.clone() }
    }

    pub fn restore(&self, backup: &Backup) {
        *self.memory.lock().expect("lock") = Arc::new(backup.memory.copy());
        let mut book = self.book();
        book.page = backup.page.clone();
        book.restored = true;
    }

    /// A write takes some time, in which the collector may crash: before it is done, or after but before anybody is told.
    async fn works(&self) {
        let time = self.chance.lock().expect("lock").millis(0, 15);
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
        self.book().opened(now(), claims, &session);
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
        self.book().came(session, &events);
        self.works().await;
        let committed = self.memory().commit(session, received_at, events, places).await;
        match &committed {
            Ok(committed) => self.book().committed(now(), session, committed),
            Err(error) => self.book().note(&format!("{} {}: {error}", now(), session.agent)),
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
