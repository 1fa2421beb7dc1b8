//! The only thread that writes. It commits all waiting requests together, so that many agents share one fsync: events, marks and
//! checkpoints into the day, the rest into the state. A disk error leaves the stored data unchanged, and the database is reopened
//! at the next request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost::Message;
use supwatch_durable::{Batch, Durable};
use supwatch_model::event::{Event, StoredEvent};
use supwatch_model::finding::Finding;
use supwatch_model::history::AuditEntry;
use supwatch_model::ids::{AgentId, Epoch};
use supwatch_model::place::Place;
use supwatch_proto::wire;
use tokio::sync::{mpsc, oneshot};

use super::block::{Block, Summary};
use super::days::{Day, Days, Extent, number};
use super::keys::{self, VERSION};
use super::{CACHE_BYTES, places_of, read_marks};
use crate::marks::Marks;
use crate::{Claims, Committed, KeptCoverage, LastNotified, Session, StoreError};
use supwatch_model::ids::AGENT_BYTES;

/// Most uncompressed bytes of a block, except for a single larger event.
const BLOCK_BYTES: usize = 32 * 1024;
/// Most requests that wait for the writer; beyond it, agents wait.
pub(super) const WAITING: usize = 256;
/// Marks and checkpoints written per batch at the start of a day.
const COPIED: usize = 500;

/// Interval at which the state records how far events are stored. The marks in the day itself are always current, but are lost
/// with it.
const WITNESS: Duration = Duration::from_secs(1);

/// Channel for the reply to a request.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
pub(super) enum Request {
    Open {
        agent: AgentId,
        claims: Claims,
        reply: Answer<Session>,
    },
    Commit {
        session: Session,
        received_at: Timestamp,
        events: Vec<Event>,
        places: Vec<Place>,
        reply: Answer<Committed>,
    },
    Findings {
        findings: Vec<Finding>,
        reply: Answer<()>,
    },
    Decide {
        entry: AuditEntry,
        finding: Box<Finding>,
        reply: Answer<()>,
    },
    Notified {
        target: String,
        notified: Vec<(String, LastNotified)>,
        reply: Answer<()>,
    },
    Exported {
        waves: Vec<(String, u64)>,
        reply: Answer<()>,
    },
    Coverage {
        coverage: Vec<KeptCoverage>,
        reply: Answer<()>,
    },
    /// Keeps the newest events of a day that is about to be dropped.
    Carry {
        events: Vec<StoredEvent>,
        reply: Answer<()>,
    },
    /// Imports entries of the state of an exported store.
    Keep {
        entries: Vec<(Vec<u8>, Vec<u8>)>,
        reply: Answer<()>,
    },
    /// Imports events of one block, whatever the marks say.
    Import {
        events: Vec<StoredEvent>,
        reply: Answer<()>,
    },
    /// Imports marks.
    Restore {
        agent: AgentId,
        marks: Box<Marks>,
        places: Vec<Place>,
        reply: Answer<()>,
    },
}

/// The day being written.
struct Current {
    day: Day,
    db: Arc<Durable>,
    extent: Extent,
}

pub(super) struct Writer {
    state: Arc<Durable>,
    days: Arc<Days>,
    current: Option<Current>,
    marks: BTreeMap<AgentId, Marks>,
    /// Agents whose marks moved since they were last recorded in the state.
    moved: BTreeSet<AgentId>,
    witnessed: Instant,
}

/// Sends a result once the batches are durable.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Batches and replies of one commit.
#[derive(Default)]
struct Round {
    day: Batch,
    state: Batch,
    replies: Vec<Reply>,
}

impl Writer {
    /// Resumes with the newest intact day.
    pub fn new(state: Arc<Durable>, days: Arc<Days>) -> Result<Writer, StoreError> {
        let (marks, moved, witnessed) = (BTreeMap::new(), BTreeSet::new(), Instant::now());
        let mut writer = Writer { state, days, current: None, marks, moved, witnessed };
        while let Some(day) = writer.days.list().pop() {
            let Some((db, extent)) = writer.days.open(&day)? else { continue };
            if db.get(keys::BEGUN)?.is_some() {
                // The extent is read again: a power cut may have come before it was written.
                let _ = extent;
                let extent = Extent::read(&db)?;
                writer.days.set_extent(day.ordinal, extent);
                writer.current = Some(Current { day, db, extent });
                break;
            }
            // Its creation was interrupted before any event; or sled treated damage as an empty database.
            drop(db);
            writer.days.set_aside(&day, "its first record is missing")?;
        }
        writer.marks = read_marks(writer.base())?;
        Ok(writer)
    }

    /// The database with the current marks and checkpoints.
    fn base(&self) -> &Arc<Durable> {
        self.current.as_ref().map_or(&self.state, |current| &current.db)
    }

    pub fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.blocking_recv() {
            let mut waiting = vec![first];
            while waiting.len() < WAITING {
                let Ok(next) = requests.try_recv() else { break };
                waiting.push(next);
            }
            self.round(waiting);
        }
    }

    fn round(&mut self, waiting: Vec<Request>) {
        let ready = self.reopen_failed().and_then(|()| match came_at(&waiting) {
            Some(date) => self.open_segment(date),
            None => Ok(()),
        });
        // A failure leaves the stored data unchanged, so the marks that this round may move are saved first.
        let (marks, extent) = (self.marks_of(&waiting), self.current.as_ref().map(|current| current.extent));
        let mut round = Round::default();
        for request in waiting {
            self.add_request(request, &mut round);
        }
        if self.witnessed.elapsed() >= WITNESS {
            self.witness(&mut round.state);
        }
        let Round { day, state, replies } = round;
        let result = ready.and_then(|()| {
            if !day.is_empty() {
                self.base().commit(day)?;
            }
            if !state.is_empty() {
                self.state.commit(state)?;
            }
            Ok(())
        });
        match (&result, &mut self.current) {
            (Ok(()), Some(current)) => self.days.set_extent(current.day.ordinal, current.extent),
            (Ok(()), None) => {}
            (Err(_), current) => {
                for (agent, before) in marks {
                    match before {
                        Some(before) => self.marks.insert(agent, before),
                        None => self.marks.remove(&agent),
                    };
                }
                if let (Some(current), Some(extent)) = (current, extent) {
                    current.extent = extent;
                }
            }
        }
        let failed = result.err().map(|error| error.to_string());
        for reply in replies {
            reply(match &failed {
                None => Ok(()),
                Some(reason) => Err(StoreError::Disk(reason.clone())),
            });
        }
    }

    /// The marks of the agents that requests name; `None`: the agent has none yet.
    fn marks_of(&self, waiting: &[Request]) -> BTreeMap<AgentId, Option<Marks>> {
        let named = waiting.iter().filter_map(|request| match request {
            Request::Open { agent, .. } | Request::Restore { agent, .. } => Some(agent),
            Request::Commit { session, .. } => Some(&session.agent),
            _ => None,
        });
        named.map(|agent| (agent.clone(), self.marks.get(agent).cloned())).collect()
    }

    /// Records in the state how far events are stored, for agents whose marks moved.
    fn witness(&mut self, batch: &mut Batch) {
        for agent in std::mem::take(&mut self.moved) {
            if let Some(marks) = self.marks.get(&agent) {
                batch.put(&keys::witness(&agent), VERSION, &serde_json::to_vec(&marks.epochs).unwrap_or_default());
            }
        }
        self.witnessed = Instant::now();
    }

    /// Reopens databases after a disk error. A batch that failed may have been written nevertheless.
    fn reopen_failed(&mut self) -> Result<(), StoreError> {
        if self.state.has_failed() {
            self.state.reopen()?;
        }
        if let Some(current) = self.current.as_mut().filter(|current| current.db.has_failed()) {
            current.db.reopen()?;
            current.extent = Extent::read(&current.db)?;
            self.marks = read_marks(&current.db)?;
            tracing::info!(day = %current.day.date, "daily segment reopened after a disk error");
        }
        Ok(())
    }

    /// Opens the segment of a day unless it is the current one, with all marks and checkpoints, all or nothing.
    fn open_segment(&mut self, date: Date) -> Result<(), StoreError> {
        if self.current.as_ref().is_some_and(|current| current.day.date == date) {
            return Ok(());
        }
        let day = self.days.next(date);
        let db = self.make_day(&day).inspect_err(|_| {
            // On a nearly full disk each attempt would leave a folder. The previous day has all of it.
            let _ = std::fs::remove_dir_all(&day.dir);
        })?;
        tracing::info!(%date, "daily segment opened");
        self.days.begin(day.clone(), Arc::clone(&db));
        self.current = Some(Current { day, db, extent: Extent::default() });
        Ok(())
    }

    fn make_day(&self, day: &Day) -> Result<Arc<Durable>, StoreError> {
        let db = Arc::new(Durable::open(&day.dir, CACHE_BYTES)?);
        let mut batch = Batch::new();
        let mut copied = 0;
        for (agent, marks) in &self.marks {
            if agent.0.len() > AGENT_BYTES {
                // Written by an earlier version; its certificate is refused now.
                tracing::warn!(%agent, "agent name is too long for the store; its position is dropped");
                continue;
            }
            put_marks(&mut batch, agent, marks);
            for place in places_of(self.base(), agent)? {
                batch.put(&keys::place(agent, &place.name), VERSION, &place.checkpoint);
            }
            copied += 1;
            if copied % COPIED == 0 {
                db.commit(std::mem::take(&mut batch))?;
            }
        }
        batch.put(keys::BEGUN, VERSION, day.date.to_string().as_bytes());
        db.commit(batch)?;
        Ok(db)
    }

    /// Adds a request to the round; an invalid one is answered at once.
    fn add_request(&mut self, request: Request, round: &mut Round) {
        // The caller may be gone before the reply; stored data stays stored.
        match request {
            Request::Open { agent, claims, reply } => self.open(&agent, claims, reply, round),
            Request::Commit { session, received_at, events, places, reply } => {
                self.commit(session, received_at, events, &places, reply, round);
            }
            Request::Findings { findings, reply } => {
                findings.iter().for_each(|finding| put_finding(&mut round.state, finding));
                round.then(reply);
            }
            Request::Decide { entry, finding, reply } => {
                put_decision(&mut round.state, &entry);
                put_finding(&mut round.state, &finding);
                round.then(reply);
            }
            Request::Notified { target, notified, reply } => {
                for (id, notified) in &notified {
                    round.state.put(&keys::notified(&target, id), VERSION, &serde_json::to_vec(notified).unwrap_or_default());
                }
                round.then(reply);
            }
            Request::Exported { waves, reply } => {
                for (id, mark) in &waves {
                    round.state.put(&[keys::EXPORTED, id.as_bytes()].concat(), VERSION, &mark.to_be_bytes());
                }
                round.then(reply);
            }
            Request::Coverage { coverage, reply } => {
                for kept in &coverage {
                    let key = keys::coverage(kept.coverage.site, &kept.agent);
                    round.state.put(&key, VERSION, &serde_json::to_vec(kept).unwrap_or_default());
                }
                round.then(reply);
            }
            Request::Carry { events, reply } => {
                for stored in &events {
                    round.state.put(&keys::carried(stored), VERSION, &Block::of(stored).encode());
                }
                round.then(reply);
            }
            Request::Keep { entries, reply } => {
                entries.iter().for_each(|(key, value)| round.state.put(key, VERSION, value));
                round.then(reply);
            }
            Request::Import { events, reply } => {
                if let (Some(first), Some(current)) = (events.first().cloned(), &mut self.current) {
                    let events: Vec<Event> = events.into_iter().map(|stored| stored.event).collect();
                    put_blocks(current, &mut round.day, &first.agent, first.epoch, first.received_at, &events);
                }
                round.then(reply);
            }
            Request::Restore { agent, marks, places, reply } => {
                put_marks(&mut round.day, &agent, &marks);
                for place in &places {
                    round.day.put(&keys::place(&agent, &place.name), VERSION, &place.checkpoint);
                }
                self.marks.insert(agent, *marks);
                round.then(reply);
            }
        }
    }

    fn open(&mut self, agent: &AgentId, claims: Claims, reply: Answer<Session>, round: &mut Round) {
        let marks = self.marks.entry(agent.clone()).or_default();
        let (opened, fence) = (marks.open(claims), marks.fence);
        put_marks(&mut round.day, agent, marks);
        let (base, agent) = (Arc::clone(self.base()), agent.clone());
        round.replies.push(Box::new(move |result| {
            // Answered after the round is written: anything it wrote for this agent comes first.
            let resume = result.and_then(|()| if opened.is_new { places_of(&base, &agent) } else { Ok(Vec::new()) });
            drop(reply.send(resume.map(|resume| Session::new(&agent, claims, fence, opened, resume))));
        }));
    }

    fn commit(
        &mut self,
        session: Session,
        received_at: Timestamp,
        mut events: Vec<Event>,
        places: &[Place],
        reply: Answer<Committed>,
        round: &mut Round,
    ) {
        let marks = self.marks.entry(session.agent.clone()).or_default();
        let durable_sequence = match marks.admit(session.epoch, session.fence, &mut events) {
            Ok(mark) => mark,
            Err(error) => return drop(reply.send(Err(error))),
        };
        if let Some(current) = self.current.as_mut().filter(|_| !events.is_empty()) {
            put_marks(&mut round.day, &session.agent, marks);
            self.moved.insert(session.agent.clone());
            put_blocks(current, &mut round.day, &session.agent, session.epoch, received_at, &events);
            for place in places {
                round.day.put(&keys::place(&session.agent, &place.name), VERSION, &place.checkpoint);
            }
        }
        let Session { agent, epoch, .. } = session;
        let stored = events.into_iter().map(|event| StoredEvent { agent: agent.clone(), epoch, received_at, event }).collect();
        round.replies.push(Box::new(move |result| drop(reply.send(result.map(|()| Committed { durable_sequence, stored })))));
    }
}

impl Round {
    fn then(&mut self, reply: Answer<()>) {
        self.replies.push(Box::new(move |result| drop(reply.send(result))));
    }
}

/// The day on which the first of the events arrived.
fn came_at(waiting: &[Request]) -> Option<Date> {
    waiting.iter().find_map(|request| match request {
        Request::Commit { received_at, .. } => Some(received_at.to_zoned(TimeZone::UTC).date()),
        Request::Import { events, .. } => events.first().map(|first| first.received_at.to_zoned(TimeZone::UTC).date()),
        _ => None,
    })
}

fn put_blocks(current: &mut Current, batch: &mut Batch, agent: &AgentId, epoch: Epoch, received_at: Timestamp, events: &[Event]) {
    let mut rest = events;
    while !rest.is_empty() {
        let (mut bytes, mut count) = (0, 0);
        let mut messages = Vec::new();
        for event in rest {
            let message = wire::Event::from(event.clone());
            let size = message.encoded_len();
            if bytes > 0 && bytes + size > BLOCK_BYTES {
                break;
            }
            bytes += size;
            count += 1;
            messages.push(message);
        }
        let (these, others) = rest.split_at(count);
        let block = Block {
            agent: agent.0.clone(),
            epoch: epoch.0.to_vec(),
            received_at: Some(supwatch_proto::time::to_wire(received_at)),
            events: messages,
        };
        let (number, summary) = (number(current.day.ordinal, current.extent.blocks), Summary::of(these, received_at));
        batch.put(&keys::block(number), VERSION, &block.encode());
        batch.put(&keys::summary(number), VERSION, &summary.encode_to_vec());
        current.extent = current.extent.with(&summary);
        rest = others;
    }
}

fn put_finding(batch: &mut Batch, finding: &Finding) {
    let key = [b"V", finding.id.as_bytes()].concat();
    batch.put(&key, VERSION, &serde_json::to_vec(finding).unwrap_or_default());
}

fn put_decision(batch: &mut Batch, entry: &AuditEntry) {
    let nanoseconds = u128::try_from(entry.at.as_nanosecond()).unwrap_or_default();
    let key = [b"U".as_slice(), &nanoseconds.to_be_bytes(), entry.finding.as_bytes()].concat();
    batch.put(&key, VERSION, &serde_json::to_vec(&entry).unwrap_or_default());
}

fn put_marks(batch: &mut Batch, agent: &AgentId, marks: &Marks) {
    batch.put(&keys::marks(agent), VERSION, &serde_json::to_vec(marks).unwrap_or_default());
}
