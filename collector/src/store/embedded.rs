//! The embedded store: one durable tree. `A`+agent its marks, `E`+number blocks of events, `V`+id findings, `U`+time what
//! operators decided, `P`+agent, zero byte, name how far its files are stored,
//! `T`+target, slash, id what was told of findings, `X`+wave what an OTLP receiver has.
//!
//! One thread writes. It takes everything that waits and commits it together, so that many agents share one fsync. Events
//! lie in compressed blocks, because a key costs far more than an event.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use prost::Message;
use serde::de::DeserializeOwned;
use supwatch_durable::{Batch, Durable};
use supwatch_proto::event::{Event, StoredEvent};
use supwatch_proto::finding::Finding;
use supwatch_proto::history::AuditEntry;
use supwatch_proto::ids::{AgentId, Epoch};
use supwatch_proto::place::Place;
use supwatch_proto::wire;
use tokio::sync::{mpsc, oneshot};

use super::marks::Marks;
use super::{Claims, Committed, Cursor, EventQuery, PAGE_BLOCKS, Page, Session, Store, StoreError, Told};

/// Version of the values.
const VERSION: u8 = 1;
/// Uncompressed bytes of a block, apart from one event that may be larger.
const BLOCK_BYTES: usize = 32 * 1024;
/// Memory that sled may use, roughly.
const CACHE_BYTES: u64 = 128 << 20;
/// Requests that wait for the writer; beyond it, agents wait.
const WAITING: usize = 256;

/// The embedded store.
#[derive(Debug)]
pub struct Embedded {
    db: Arc<Durable>,
    writer: mpsc::Sender<Request>,
}

/// Begins the keys of what an OTLP receiver has.
const EXPORTED: &[u8] = b"X";

#[derive(Debug)]
enum Request {
    Open {
        agent: AgentId,
        claims: Claims,
        reply: oneshot::Sender<Result<Session, StoreError>>,
    },
    Commit {
        session: Session,
        received_at: Timestamp,
        events: Vec<Event>,
        places: Vec<Place>,
        reply: oneshot::Sender<Result<Committed, StoreError>>,
    },
    Findings {
        findings: Vec<Finding>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Decide {
        entry: AuditEntry,
        finding: Box<Finding>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Told {
        target: String,
        told: Vec<(String, Told)>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    Exported {
        waves: Vec<(String, u64)>,
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// A block of events of one agent that came together.
#[derive(Clone, PartialEq, Message)]
struct Block {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(bytes = "vec", tag = "2")]
    epoch: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    received_at: Option<prost_types::Timestamp>,
    #[prost(message, repeated, tag = "4")]
    events: Vec<wire::Event>,
}

impl Embedded {
    /// Opens or makes a store. A damaged one is named and left alone.
    pub fn open(dir: &Path) -> Result<Embedded, StoreError> {
        let db = Arc::new(Durable::open(dir, CACHE_BYTES)?);
        let mut marks = BTreeMap::new();
        for entry in db.scan(b"A", b"A") {
            let (key, version, value) = entry?;
            check_version(version)?;
            let agent = String::from_utf8_lossy(key.get(1..).unwrap_or_default()).into_owned();
            let read = serde_json::from_slice(&value).map_err(|_| StoreError::Content(format!("the mark of agent {agent}")))?;
            marks.insert(AgentId(agent), read);
        }
        let next_block = match db.last_until(&block_key(u64::MAX), b"E")? {
            Some((key, version, _)) => {
                check_version(version)?;
                number_of(&key)? + 1
            }
            None => 0,
        };
        let (sender, requests) = mpsc::channel(WAITING);
        let writer = Writer { db: Arc::clone(&db), marks, next_block };
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(requests))
            .map_err(|source| StoreError::Open(supwatch_durable::OpenError::Io { dir: dir.to_owned(), source }))?;
        Ok(Embedded { db, writer: sender })
    }

    /// Every entry below a prefix, by what follows it in its key.
    async fn read_by_id<T: Send + 'static>(
        &self,
        prefix: Vec<u8>,
        what: &'static str,
        read: fn(&[u8]) -> Option<T>,
    ) -> Result<BTreeMap<String, T>, StoreError> {
        let db = Arc::clone(&self.db);
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

    /// Everything below a prefix, in the order of keys.
    async fn read_all<T: DeserializeOwned + Send + 'static>(
        &self,
        prefix: &'static [u8],
        what: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        let db = Arc::clone(&self.db);
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
        let (db, query) = (Arc::clone(&self.db), query.clone());
        tokio::task::spawn_blocking(move || scan(&db, &query, after)).await.map_err(|_| StoreError::Closed)?
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

    async fn put_told(&self, target: &str, told: &[(String, Told)]) -> Result<(), StoreError> {
        if told.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Told { target: target.to_owned(), told: told.to_vec(), reply }).await
    }

    async fn told(&self, target: &str) -> Result<BTreeMap<String, Told>, StoreError> {
        self.read_by_id(told_key(target, ""), "what was told", |value| serde_json::from_slice(value).ok()).await
    }

    async fn put_exported(&self, waves: &[(String, u64)]) -> Result<(), StoreError> {
        if waves.is_empty() {
            return Ok(());
        }
        self.ask(|reply| Request::Exported { waves: waves.to_vec(), reply }).await
    }

    async fn exported(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read_by_id(EXPORTED.to_vec(), "what was exported", |value| value.try_into().ok().map(u64::from_be_bytes)).await
    }
}

fn scan(db: &Durable, query: &EventQuery, after: Cursor) -> Result<Page, StoreError> {
    let mut page = Page { next: after, end: true, ..Page::default() };
    for (count, entry) in db.scan(&block_key(after.block), b"E").enumerate() {
        if count == PAGE_BLOCKS {
            page.end = false;
            break;
        }
        let (key, version, value) = entry?;
        check_version(version)?;
        let number = number_of(&key)?;
        let seen = if number == after.block { after.index } else { 0 };
        page.events.extend(read_block(&value, number)?.into_iter().skip(seen).filter(|stored| query.takes(stored)));
        page.next = Cursor { block: number + 1, index: 0 };
    }
    Ok(page)
}

struct Writer {
    db: Arc<Durable>,
    marks: BTreeMap<AgentId, Marks>,
    next_block: u64,
}

/// What to tell once the batch is durable.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

impl Writer {
    fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut waiting = vec![first];
            while waiting.len() < WAITING {
                let Ok(next) = requests.try_recv() else { break };
                waiting.push(next);
            }
            // What fails leaves the marks as they are on disk.
            let (marks, next_block) = (self.marks.clone(), self.next_block);
            let mut batch = Batch::new();
            let replies: Vec<Reply> = waiting.into_iter().filter_map(|request| self.take(request, &mut batch)).collect();
            let result = if batch.is_empty() { Ok(()) } else { self.db.commit(batch) };
            if let Err(error) = &result {
                tracing::error!(%error, "the store cannot write");
                (self.marks, self.next_block) = (marks, next_block);
            }
            let failed = result.err().map(|error| error.to_string());
            for reply in replies {
                reply(match &failed {
                    None => Ok(()),
                    Some(reason) => Err(StoreError::Durable(supwatch_durable::DurableError::Write(reason.clone()))),
                });
            }
        }
    }

    /// Adds a request to the batch; what is wrong with it is told at once.
    fn take(&mut self, request: Request, batch: &mut Batch) -> Option<Reply> {
        // Whoever asked may be gone by the time of the answer; what is stored stays stored.
        match request {
            Request::Open { agent, claims, reply } => {
                let marks = self.marks.entry(agent.clone()).or_default();
                let (opened, fence) = (marks.open(claims), marks.fence);
                put_marks(batch, &agent, marks);
                let resume = if opened.is_new { places_of(&self.db, &agent) } else { Ok(Vec::new()) };
                let session = match resume {
                    Ok(resume) => Session::new(&agent, claims, fence, opened, resume),
                    Err(error) => {
                        drop(reply.send(Err(error)));
                        return None;
                    }
                };
                Some(Box::new(move |result| drop(reply.send(result.map(|()| session)))))
            }
            Request::Commit { session, received_at, mut events, places, reply } => {
                let marks = self.marks.entry(session.agent.clone()).or_default();
                let durable_sequence = match marks.admit(session.epoch, session.fence, &mut events) {
                    Ok(mark) => mark,
                    Err(error) => {
                        drop(reply.send(Err(error)));
                        return None;
                    }
                };
                if !events.is_empty() {
                    put_marks(batch, &session.agent, marks);
                    self.put_blocks(batch, &session, received_at, &events);
                    for place in &places {
                        batch.put(&place_key(&session.agent, &place.name), VERSION, &place.checkpoint);
                    }
                }
                let Session { agent, epoch, .. } = session;
                let stored =
                    events.into_iter().map(|event| StoredEvent { agent: agent.clone(), epoch, received_at, event }).collect();
                Some(Box::new(move |result| drop(reply.send(result.map(|()| Committed { durable_sequence, stored })))))
            }
            Request::Findings { findings, reply } => {
                findings.iter().for_each(|finding| put_finding(batch, finding));
                Some(Box::new(move |result| drop(reply.send(result))))
            }
            Request::Decide { entry, finding, reply } => {
                let nanoseconds = u128::try_from(entry.at.as_nanosecond()).unwrap_or_default();
                let key = [b"U".as_slice(), &nanoseconds.to_be_bytes(), entry.finding.as_bytes()].concat();
                batch.put(&key, VERSION, &serde_json::to_vec(&entry).unwrap_or_default());
                put_finding(batch, &finding);
                Some(Box::new(move |result| drop(reply.send(result))))
            }
            Request::Told { target, told, reply } => {
                for (id, told) in &told {
                    batch.put(&told_key(&target, id), VERSION, &serde_json::to_vec(told).unwrap_or_default());
                }
                Some(Box::new(move |result| drop(reply.send(result))))
            }
            Request::Exported { waves, reply } => {
                for (id, mark) in &waves {
                    batch.put(&[EXPORTED, id.as_bytes()].concat(), VERSION, &mark.to_be_bytes());
                }
                Some(Box::new(move |result| drop(reply.send(result))))
            }
        }
    }

    fn put_blocks(&mut self, batch: &mut Batch, session: &Session, received_at: Timestamp, events: &[Event]) {
        let empty = Block {
            agent: session.agent.0.clone(),
            epoch: session.epoch.0.to_vec(),
            received_at: Some(supwatch_proto::time::to_wire(received_at)),
            events: Vec::new(),
        };
        let (mut block, mut bytes) = (empty.clone(), 0);
        for event in events {
            let message = wire::Event::from(event.clone());
            let size = message.encoded_len();
            if bytes > 0 && bytes + size > BLOCK_BYTES {
                self.put_block(batch, &block);
                (block, bytes) = (empty.clone(), 0);
            }
            bytes += size;
            block.events.push(message);
        }
        self.put_block(batch, &block);
    }

    fn put_block(&mut self, batch: &mut Batch, block: &Block) {
        let value = lz4_flex::compress_prepend_size(&block.encode_to_vec());
        batch.put(&block_key(self.next_block), VERSION, &value);
        self.next_block += 1;
    }
}

fn put_finding(batch: &mut Batch, finding: &Finding) {
    let key = [b"V", finding.id.as_bytes()].concat();
    batch.put(&key, VERSION, &serde_json::to_vec(finding).unwrap_or_default());
}

fn put_marks(batch: &mut Batch, agent: &AgentId, marks: &Marks) {
    let key = [b"A", agent.0.as_bytes()].concat();
    batch.put(&key, VERSION, &serde_json::to_vec(marks).unwrap_or_default());
}

fn read_block(value: &[u8], number: u64) -> Result<Vec<StoredEvent>, StoreError> {
    let wrong = || StoreError::Content(format!("block {number}"));
    let bytes = lz4_flex::decompress_size_prepended(value).map_err(|_| wrong())?;
    let Block { agent, epoch, received_at, events } = Block::decode(bytes.as_slice()).map_err(|_| wrong())?;
    let epoch = Epoch::from_bytes(&epoch).ok_or_else(wrong)?;
    let received_at = supwatch_proto::time::from_wire(received_at).ok_or_else(wrong)?;
    events
        .into_iter()
        .map(|event| {
            let event = Event::try_from(event).map_err(|_| wrong())?;
            Ok(StoredEvent { agent: AgentId(agent.clone()), epoch, received_at, event })
        })
        .collect()
}

/// How far an agent's files are stored.
fn places_of(db: &Durable, agent: &AgentId) -> Result<Vec<Place>, StoreError> {
    let prefix = place_key(agent, "");
    db.scan(&prefix, &prefix)
        .map(|entry| {
            let (key, version, checkpoint) = entry?;
            check_version(version)?;
            let name = String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
            Ok(Place { name, checkpoint })
        })
        .collect()
}

/// No agent's name holds this byte, so none is the beginning of another's keys.
fn place_key(agent: &AgentId, name: &str) -> Vec<u8> {
    [b"P", agent.0.as_bytes(), b"\0", name.as_bytes()].concat()
}

fn check_version(found: u8) -> Result<(), StoreError> {
    if found > VERSION { Err(StoreError::Version { found, known: VERSION }) } else { Ok(()) }
}

fn block_key(number: u64) -> Vec<u8> {
    [b"E".as_slice(), &number.to_be_bytes()].concat()
}

/// Names of targets hold no slash, so none is the beginning of another's keys.
fn told_key(target: &str, id: &str) -> Vec<u8> {
    [b"T", target.as_bytes(), b"/", id.as_bytes()].concat()
}

fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.get(1..).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(|| StoreError::Content("a block's number".to_owned()))
}

#[cfg(test)]
#[path = "conformance.rs"]
mod conformance;
