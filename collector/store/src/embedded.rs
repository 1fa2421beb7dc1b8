//! The embedded store: a folder with the state (findings, decisions, notifications) and a folder for each day of events.
//!
//! ```text
//! <store>/state/                    one database
//! <store>/days/00000012-2026-03-01/ one database a day
//! ```
//!
//! Damaged parts are renamed out of the way, and the store continues: agents resend what they still have and the store lost.
//! Reading scans the summaries of blocks first, and a bounded number of blocks at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use supwatch_durable::{Durable, OpenError, set_aside};
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::AgentId;
use supwatch_model::place::Place;
use tokio::sync::{mpsc, oneshot};

use self::days::Days;
use self::keys::check_version;
use self::writer::{Request, WAITING, Writer};
use super::marks::Marks;
use super::{
    Claims, Committed, Cursor, EventQuery, KeptCoverage, LastNotified, Page, Retention, Session, Store, StoreError, StoreSize,
};

mod block;
mod days;
mod first_form;
pub mod fsck;
mod keys;
mod read;
mod retain;
pub mod transfer;
mod writer;

/// Approximate memory limit of sled for the database being written: recent events are the ones read.
const CACHE_BYTES: u64 = 16 << 20;

/// The embedded store.
#[derive(Debug)]
pub struct Embedded {
    state: Arc<Durable>,
    days: Arc<Days>,
    writer: mpsc::Sender<Request>,
}

impl Embedded {
    /// Opens or creates a store. Damaged parts are set aside.
    pub fn open(dir: &Path) -> Result<Embedded, StoreError> {
        let io = |source| StoreError::Open(OpenError::Io { dir: dir.to_owned(), source });
        std::fs::create_dir_all(dir).map_err(io)?;
        first_form::move_into_place(dir).map_err(io)?;
        let state_dir = dir.join("state");
        let state = match Durable::open(&state_dir, CACHE_BYTES) {
            Err(OpenError::Damaged { dir, reason }) => {
                let aside = set_aside(&dir).map_err(io)?;
                tracing::error!(aside = %aside.display(), reason, "the state of the store is damaged and was set aside: findings are judged again; suppressions and the record of notifications are lost unless an export is imported");
                Durable::open(&dir, CACHE_BYTES)?
            }
            opened => opened?,
        };
        let state = Arc::new(state);
        let days = Arc::new(Days::find(dir.join("days")).map_err(io)?);
        let writer = Writer::new(Arc::clone(&state), Arc::clone(&days))?;
        let (sender, requests) = mpsc::channel(WAITING);
        std::thread::Builder::new().name("store".to_owned()).spawn(move || writer.run(requests)).map_err(io)?;
        Ok(Embedded { state, days, writer: sender })
    }

    /// Every entry with a prefix, keyed by the rest of its key.
    async fn read_by_id<T: Send + 'static>(
        &self,
        prefix: Vec<u8>,
        what: &'static str,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, StoreError> {
        let db = Arc::clone(&self.state);
        let all = move || {
            db.scan(&prefix, &prefix)
                .map(|entry| {
                    let (key, version, value) = entry?;
                    check_version(version)?;
                    let id = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
                    let wrong = || StoreError::Content(format!("{what}: {}", String::from_utf8_lossy(&key)));
                    Ok((id, read(&value).ok_or_else(wrong)?))
                })
                .collect()
        };
        tokio::task::spawn_blocking(all).await.map_err(|_| StoreError::Closed)?
    }

    /// Every value with a prefix, in key order.
    async fn read_all<T: DeserializeOwned + Send + 'static>(
        &self,
        prefix: &'static [u8],
        what: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        let db = Arc::clone(&self.state);
        let read = move || {
            db.scan(prefix, prefix)
                .map(|entry| {
                    let (key, version, value) = entry?;
                    check_version(version)?;
                    serde_json::from_slice(&value)
                        .map_err(|_| StoreError::Content(format!("{what} {}", String::from_utf8_lossy(&key))))
                })
                .collect()
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?
    }

    /// Sends a request to the writer and blocks the thread until the reply.
    fn ask_now<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writer.blocking_send(request(reply)).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(request(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

#[async_trait]
impl Store for Embedded {
    async fn open_session(&self, agent: &AgentId, claims: Claims) -> Result<Session, StoreError> {
        self.ask(|reply| Request::Open { agent: agent.clone(), claims, reply }).await
    }

    async fn commit(
        &self,
        session: &Session,
        received_at: Timestamp,
        events: Vec<Event>,
        places: Vec<Place>,
    ) -> Result<Committed, StoreError> {
        self.ask(|reply| Request::Commit { session: session.clone(), received_at, events, places, reply }).await
    }

    async fn scan(&self, query: &EventQuery, after: Cursor) -> Result<Page, StoreError> {
        let (state, days, query) = (Arc::clone(&self.state), Arc::clone(&self.days), query.clone());
        let read = move || read::forward(&state, &days, &query, after);
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?
    }

    async fn scan_back(&self, query: &EventQuery, before: Option<Cursor>) -> Result<Page, StoreError> {
        let (state, days, query) = (Arc::clone(&self.state), Arc::clone(&self.days), query.clone());
        let read = move || read::back(&state, &days, &query, before);
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closed)?
    }

    async fn end(&self) -> Result<Cursor, StoreError> {
        let (state, days) = (Arc::clone(&self.state), Arc::clone(&self.days));
        tokio::task::spawn_blocking(move || read::end(&state, &days)).await.map_err(|_| StoreError::Closed)?
    }

    async fn carried(&self) -> Result<Vec<StoredEvent>, StoreError> {
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || retain::carried(&state)).await.map_err(|_| StoreError::Closed)?
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let (state, days) = (Arc::clone(&self.state), Arc::clone(&self.days));
        let measure = move || retain::size(&days.sizes(), state.disk_bytes());
        tokio::task::spawn_blocking(measure).await.map_err(|_| StoreError::Closed)
    }

    async fn expire(&self, now: Timestamp, retention: Retention) -> Result<StoreSize, StoreError> {
        retain::expire(self, now, retention).await
    }

    async fn put_findings(&self, findings: &[Finding]) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Findings { findings: findings.to_vec(), reply }).await
    }

    async fn findings(&self) -> Result<Vec<Finding>, StoreError> {
        self.read_all(b"V", "finding").await
    }

    async fn decide(&self, entry: &AuditEntry, finding: &Finding) -> Result<(), StoreError> {
        self.ask(|reply| Request::Decide { entry: entry.clone(), finding: Box::new(finding.clone()), reply }).await
    }

    async fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        self.read_all(b"U", "decision").await
    }

    async fn put_notified(&self, target: &str, notified: &[(String, LastNotified)]) -> Result<(), StoreError> {
        if notified.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Notified { target: target.to_owned(), notified: notified.to_vec(), reply }).await
    }

    async fn notified(&self, target: &str) -> Result<BTreeMap<String, LastNotified>, StoreError> {
        self.read_by_id(keys::notified(target, ""), "the record of notifications", |value| serde_json::from_slice(value).ok()).await
    }

    async fn put_exported(&self, waves: &[(String, u64)]) -> Result<(), StoreError> {
        if waves.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Exported { waves: waves.to_vec(), reply }).await
    }

    async fn put_coverage(&self, coverage: &[KeptCoverage]) -> Result<(), StoreError> {
        if coverage.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Coverage { coverage: coverage.to_vec(), reply }).await
    }

    async fn coverage(&self) -> Result<Vec<KeptCoverage>, StoreError> {
        self.read_all(keys::COVERAGE, "coverage").await
    }

    async fn exported(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read_by_id(keys::EXPORTED.to_vec(), "what was exported", |value| value.try_into().ok().map(u64::from_be_bytes)).await
    }
}

fn read_marks(db: &Durable) -> Result<BTreeMap<AgentId, Marks>, StoreError> {
    db.scan(b"A", b"A")
        .map(|entry| {
            let (key, version, value) = entry?;
            check_version(version)?;
            let agent = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            let read = serde_json::from_slice(&value).map_err(|_| StoreError::Content(format!("the mark of agent {agent}")))?;
            Ok((AgentId(agent), read))
        })
        .collect()
}

/// How far an agent's files are stored.
fn places_of(db: &Durable, agent: &AgentId) -> Result<Vec<Place>, StoreError> {
    let mut places = BTreeMap::new();
    // Today's keys take precedence over those an earlier version left.
    for prefix in [keys::place_of_first_form(agent), keys::place(agent, "")] {
        for entry in db.scan(&prefix, &prefix) {
            let (key, version, checkpoint) = entry?;
            check_version(version)?;
            places.insert(String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned(), checkpoint);
        }
    }
    Ok(places.into_iter().map(|(name, checkpoint)| Place { name, checkpoint }).collect())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "conformance.rs"]
mod conformance;
