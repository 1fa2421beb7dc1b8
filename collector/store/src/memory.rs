//! An in-memory store: for tests, and as the model for the others.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::place::Place;

use super::marks::Marks;
use super::{
    Claims, Committed, Cursor, EventQuery, KeptCoverage, LastNotified, Page, Retention, Session, Store, StoreError, StoreSize,
};

/// An in-memory store.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Inner>);

#[derive(Debug, Default, Clone)]
struct Inner {
    marks: BTreeMap<AgentId, Marks>,
    blocks: Vec<Vec<StoredEvent>>,
    places: BTreeMap<AgentId, BTreeMap<String, Vec<u8>>>,
    findings: BTreeMap<String, Finding>,
    audit: Vec<AuditEntry>,
    notified: BTreeMap<String, BTreeMap<String, LastNotified>>,
    exported: BTreeMap<String, u64>,
    coverage: BTreeMap<(AgentId, SiteCode), KeptCoverage>,
}

impl Memory {
    /// A copy of its current state, like a backup.
    pub fn copy(&self) -> Memory {
        Memory(Mutex::new(self.inner().clone()))
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Memory {
    async fn open_session(&self, agent: &AgentId, claims: Claims) -> Result<Session, StoreError> {
        let mut inner = self.inner();
        let marks = inner.marks.entry(agent.clone()).or_default();
        let (opened, fence) = (marks.open(claims), marks.fence);
        let resume = if opened.is_new { inner.places.get(agent).cloned().unwrap_or_default() } else { BTreeMap::new() };
        let resume = resume.into_iter().map(|(name, checkpoint)| Place { name, checkpoint }).collect();
        Ok(Session::new(agent, claims, fence, opened, resume))
    }

    async fn commit(
        &self,
        session: &Session,
        received_at: Timestamp,
        mut events: Vec<Event>,
        places: Vec<Place>,
    ) -> Result<Committed, StoreError> {
        let mut inner = self.inner();
        let marks = inner.marks.entry(session.agent.clone()).or_default();
        let durable_sequence = marks.admit(session.epoch, session.fence, &mut events)?;
        let stored: Vec<StoredEvent> = events
            .into_iter()
            .map(|event| StoredEvent { agent: session.agent.clone(), epoch: session.epoch, received_at, event })
            .collect();
        if !stored.is_empty() {
            inner.blocks.push(stored.clone());
            let known = inner.places.entry(session.agent.clone()).or_default();
            known.extend(places.into_iter().map(|place| (place.name, place.checkpoint)));
        }
        Ok(Committed { durable_sequence, stored })
    }

    async fn scan(&self, query: &EventQuery, after: Cursor) -> Result<Page, StoreError> {
        let inner = self.inner();
        let mut page = Page { next: after, end: true, ..Page::default() };
        for (number, block) in (0u64..).zip(&inner.blocks) {
            if number < after.block {
                continue;
            }
            let seen = if number == after.block { after.index } else { 0 };
            page.events.extend(block.iter().skip(seen).filter(|stored| query.matches(stored)).cloned());
            page.next = Cursor { block: number + 1, index: 0 };
        }
        Ok(page)
    }

    async fn scan_back(&self, query: &EventQuery, before: Option<Cursor>) -> Result<Page, StoreError> {
        let inner = self.inner();
        let end = before.map_or(inner.blocks.len(), |before| usize::try_from(before.block).unwrap_or(usize::MAX));
        let all = inner.blocks.iter().take(end).flatten();
        Ok(Page { events: all.filter(|stored| query.matches(stored)).cloned().collect(), end: true, ..Page::default() })
    }

    async fn end(&self) -> Result<Cursor, StoreError> {
        Ok(Cursor { block: self.inner().blocks.len() as u64, index: 0 })
    }

    async fn carried(&self) -> Result<Vec<StoredEvent>, StoreError> {
        Ok(Vec::new())
    }

    /// Drops nothing: a store in memory is short-lived.
    async fn expire(&self, _: Timestamp, _: Retention) -> Result<StoreSize, StoreError> {
        self.size().await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let blocks = &self.inner().blocks;
        Ok(StoreSize { events: blocks.iter().map(|block| block.len() as u64).sum(), ..StoreSize::default() })
    }

    async fn put_findings(&self, findings: &[Finding]) -> Result<(), StoreError> {
        self.inner().findings.extend(findings.iter().map(|finding| (finding.id.clone(), finding.clone())));
        Ok(())
    }

    async fn findings(&self) -> Result<Vec<Finding>, StoreError> {
        Ok(self.inner().findings.values().cloned().collect())
    }

    async fn decide(&self, entry: &AuditEntry, finding: &Finding) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.audit.push(entry.clone());
        inner.findings.insert(finding.id.clone(), finding.clone());
        Ok(())
    }

    async fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.inner().audit.clone())
    }

    async fn put_notified(&self, target: &str, notified: &[(String, LastNotified)]) -> Result<(), StoreError> {
        self.inner().notified.entry(target.to_owned()).or_default().extend(notified.iter().cloned());
        Ok(())
    }

    async fn notified(&self, target: &str) -> Result<BTreeMap<String, LastNotified>, StoreError> {
        Ok(self.inner().notified.get(target).cloned().unwrap_or_default())
    }

    async fn put_exported(&self, waves: &[(String, u64)]) -> Result<(), StoreError> {
        self.inner().exported.extend(waves.iter().cloned());
        Ok(())
    }

    async fn exported(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        Ok(self.inner().exported.clone())
    }

    async fn put_coverage(&self, coverage: &[KeptCoverage]) -> Result<(), StoreError> {
        let mut inner = self.inner();
        for kept in coverage {
            inner.coverage.insert((kept.agent.clone(), kept.coverage.site), kept.clone());
        }
        Ok(())
    }

    async fn coverage(&self) -> Result<Vec<KeptCoverage>, StoreError> {
        Ok(self.inner().coverage.values().cloned().collect())
    }
}
