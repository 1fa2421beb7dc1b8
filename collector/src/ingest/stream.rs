//! One agent's stream: batches and heartbeats in, acknowledgements out.

use std::sync::Arc;
use std::time::Duration;

use supwatch_model::coverage::Coverage;
use supwatch_model::event::Event;
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::place::Place;
use supwatch_model::text::Text;
use supwatch_proto::wire::{self, stream_request, stream_response};
use supwatch_store::planted::{self, Fault};
use supwatch_store::{Session, StoreError};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::status;
use crate::access::caller::refuse;
use crate::engine::Engine;

/// Most events of a batch.
const BATCH_EVENTS: usize = 2_000;
/// Largest event the store accepts, in bytes.
const EVENT_BYTES: usize = 80 * 1024;
/// Most checkpoints of a batch, and longest file name; bounded so that they fit into one commit.
const PLACES: usize = 16;
const PLACE_NAME_BYTES: usize = 300;
/// Most sites in a coverage report, and most logs of each: more than a certificate names, and more than a site server has.
const COVERED_SITES: usize = 256;
const COVERED_LOGS: usize = 64;
const PLACE_BYTES: usize = 16 * 1024;
/// Retry interval for a batch while the disk rejects writes.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Time without a message after which a stream ends: four heartbeats.
const IDLE: Duration = Duration::from_secs(60);

/// A connected agent, from its welcome to its end.
pub(super) struct AgentStream {
    engine: Arc<Engine>,
    id: AgentId,
    sites: Vec<SiteCode>,
    session: Session,
    /// Everything up to this number is durable.
    durable: u64,
    /// Number of the newest event the agent has reported.
    newest: u64,
}

type Answer = mpsc::Sender<Result<wire::StreamResponse, Status>>;

impl AgentStream {
    /// A stream whose session the store has opened; `newest` is the number of the newest event the agent has.
    pub(super) fn new(engine: Arc<Engine>, id: AgentId, sites: Vec<SiteCode>, newest: u64, session: Session) -> Self {
        Self { engine, id, sites, durable: session.durable_sequence, newest, session }
    }

    /// Answers until the agent leaves, breaks the protocol or falls silent, or the collector stops.
    pub(super) async fn run(mut self, mut inbound: Streaming<wire::StreamRequest>, answers: Answer, welcome: wire::Welcome) {
        let mut result = answer(&answers, stream_response::Body::Welcome(welcome)).await;
        let stopped = self.engine.stopped();
        tokio::pin!(stopped);
        while result.is_ok() {
            let message = tokio::select! {
                biased;
                () = &mut stopped => {
                    result = Err(Status::unavailable("the collector is stopping"));
                    break;
                }
                message = tokio::time::timeout(IDLE, inbound.message()) => message,
            };
            result = match message {
                Ok(Ok(Some(message))) => self.handle(message, &answers).await,
                Ok(Ok(None)) => break,
                Ok(Err(status)) => Err(status),
                Err(_) => Err(Status::deadline_exceeded("no message for 60 s")),
            };
        }
        self.engine.stream_closed(&self.session);
        match result {
            Ok(()) => tracing::info!(agent = %self.id, "agent disconnected"),
            Err(status) => {
                tracing::warn!(agent = %self.id, reason = status.message(), "agent stream failed");
                // The agent may have disconnected already.
                let _ = answers.send(Err(status)).await;
            }
        }
    }

    async fn handle(&mut self, message: wire::StreamRequest, answers: &Answer) -> Result<(), Status> {
        match message.body {
            Some(stream_request::Body::Batch(batch)) => {
                let bytes = u32::try_from(prost::Message::encoded_len(&batch)).unwrap_or(u32::MAX);
                let coverage = self.read_coverage(&batch.coverage)?;
                let (events, places) = self.read(batch)?;
                if let Some(last) = events.last().filter(|_| planted::is(Fault::AcknowledgedFirst)) {
                    answer(answers, stream_response::Body::Ack(wire::Ack { durable_sequence: last.sequence })).await?;
                }
                // Batches waiting for the disk are bounded across all agents; the rest stays in the agents' spools.
                let room = self.engine.reserve(bytes).await;
                let taken = self.store(events, places, &coverage, answers).await;
                drop(room);
                match taken {
                    Ok(durable_sequence) => {
                        self.durable = durable_sequence;
                        self.newest = self.newest.max(durable_sequence);
                        self.engine.mark_seen(&self.id, &self.sites, self.newest - durable_sequence, None);
                        answer(answers, stream_response::Body::Ack(wire::Ack { durable_sequence })).await
                    }
                    Err(StoreError::Gap { expected }) => {
                        answer(answers, stream_response::Body::Resync(wire::Resync { expected_sequence: expected })).await
                    }
                    Err(error) => Err(status(error)),
                }
            }
            Some(stream_request::Body::Heartbeat(heartbeat)) => {
                self.newest = self.durable.saturating_add(heartbeat.spooled_events);
                self.engine.record_spool(&self.id, heartbeat.spool_bytes, heartbeat.waiting_seconds);
                self.engine.mark_seen(
                    &self.id,
                    &self.sites,
                    heartbeat.spooled_events,
                    supwatch_proto::time::from_wire(heartbeat.clock),
                );
                let coverage = self.read_coverage(&heartbeat.coverage)?;
                self.engine.ingest_coverage(&self.session, self.durable, &coverage).await.map_err(status)
            }
            Some(stream_request::Body::Hello(_)) | None => Err(Status::invalid_argument("neither a batch nor a heartbeat")),
        }
    }

    /// Stores a batch, retrying for as long as the disk is unavailable: a rejected batch would only be sent again.
    async fn store(
        &self,
        events: Vec<Event>,
        places: Vec<Place>,
        coverage: &[Coverage],
        answers: &Answer,
    ) -> Result<u64, StoreError> {
        let mut throttled = false;
        loop {
            match self.engine.ingest(&self.session, events.clone(), places.clone(), coverage).await {
                Err(error) if error.is_transient() => {
                    if !throttled {
                        throttled = true;
                        tracing::error!(agent = %self.id, %error, "store unavailable; agents keep spooling");
                        let wait_ms = u32::try_from(RETRY_EVERY.as_millis()).unwrap_or(u32::MAX);
                        let throttle = wire::Throttle { wait_ms, reason: error.to_string() };
                        // The batch is stored even if the agent is gone.
                        let _ = answer(answers, stream_response::Body::Throttle(throttle)).await;
                    }
                    self.engine.mark_seen(&self.id, &self.sites, self.newest - self.durable, None);
                    let stopped = self.engine.stopped();
                    tokio::select! {
                        () = tokio::time::sleep(RETRY_EVERY) => {}
                        () = stopped => return Err(StoreError::Closed),
                        () = answers.closed() => return Err(error),
                    }
                }
                taken => return taken,
            }
        }
    }

    /// Checks and converts the coverage the agent reports for its own sites.
    fn read_coverage(&self, coverage: &[wire::Coverage]) -> Result<Vec<Coverage>, Status> {
        let small = |one: &wire::Coverage| {
            let named = |log: &wire::LogCoverage| log.file.len() <= PLACE_NAME_BYTES && log.log.len() <= PLACE_NAME_BYTES;
            one.logs.len() <= COVERED_LOGS && one.logs.iter().all(named)
        };
        if coverage.len() > COVERED_SITES || !coverage.iter().all(small) {
            return Err(Status::invalid_argument(format!(
                "too much coverage: at most {COVERED_SITES} sites with {COVERED_LOGS} logs each"
            )));
        }
        let read =
            |one: &wire::Coverage| Coverage::try_from(one.clone()).map_err(|error| Status::invalid_argument(error.to_string()));
        let coverage: Vec<Coverage> = coverage.iter().map(read).collect::<Result<_, _>>()?;
        match coverage.iter().find(|one| !self.sites.contains(&one.site)) {
            Some(one) => Err(Status::invalid_argument(format!("{} is not a site of this agent", one.site))),
            None => Ok(coverage),
        }
    }

    fn read(&self, batch: wire::Batch) -> Result<(Vec<Event>, Vec<Place>), Status> {
        if batch.events.len() > BATCH_EVENTS {
            return Err(Status::invalid_argument(format!(
                "batch too large: {} events, at most {BATCH_EVENTS} are allowed",
                batch.events.len()
            )));
        }
        let events = batch.events.into_iter().map(|event| self.read_event(event)).collect::<Result<_, _>>()?;
        let small = |place: &wire::Place| place.name.len() <= PLACE_NAME_BYTES && place.checkpoint.len() <= PLACE_BYTES;
        if batch.places.len() > PLACES || !batch.places.iter().all(small) {
            return Err(Status::invalid_argument(format!(
                "too many or too large read positions: {} files, at most {PLACES} of {PLACE_BYTES} bytes are allowed",
                batch.places.len()
            )));
        }
        // Only for its own sites, so that the store keeps no more checkpoints than their files.
        let own = |place: &wire::Place| {
            let site = place.name.split_once('/').map_or("", |(site, _)| site);
            self.sites.iter().any(|own| own.as_str() == site)
        };
        if let Some(place) = batch.places.iter().find(|place| !own(place)) {
            return Err(Status::invalid_argument(format!("{:?} is not a file of a site of this agent", place.name)));
        }
        Ok((events, batch.places.into_iter().map(Place::from).collect()))
    }

    fn read_event(&self, message: wire::Event) -> Result<Event, Status> {
        if prost::Message::encoded_len(&message) > EVENT_BYTES {
            return Err(Status::invalid_argument(format!("event {} is larger than {EVENT_BYTES} bytes", message.sequence)));
        }
        let number = message.sequence;
        let event = Event::try_from(message).map_err(|error| Status::invalid_argument(format!("event {number}: {error}")))?;
        if self.sites.contains(&event.site) {
            return Ok(event);
        }
        let site = event.site;
        let reason = Text::new(
            format!("{} sent an event of site {site}, for which it may not report", self.id),
            format!("{} が権限のないサイト {site} のイベントを送信しました", self.id),
        );
        let remedy = Text::new(
            format!("issue a certificate for {site}, or take the site out of that agent's configuration"),
            format!("{site} の証明書を発行するか、エージェントの構成から外してください"),
        );
        Err(refuse(&self.engine.refusals, (self.engine.clock)(), &self.id.0, reason, remedy))
    }
}

async fn answer(answers: &Answer, body: stream_response::Body) -> Result<(), Status> {
    let sent = answers.send(Ok(wire::StreamResponse { body: Some(body) })).await;
    sent.map_err(|_| Status::cancelled("the agent has disconnected"))
}
