//! Certificate → site; wire event → event; append; acknowledge once durable.
//!
//! **Invariant: an acknowledgement means durable.** Only the certificate determines which agent a peer is and for which sites it
//! may send; a claim beyond that is refused, recorded and shown. A protocol violation ends the stream; unknown fields inside an
//! event are kept.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use supwatch_model::coverage::Coverage;
use supwatch_model::event::Event;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::place::Place;
use supwatch_model::text::Text;
use supwatch_proto::wire::ingest_service_server::IngestService;
use supwatch_proto::wire::{self, stream_request, stream_response};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Request, Response, Status, Streaming};

use crate::access::identity::{Peer, Role};
use crate::access::refusals::Refusals;
use crate::engine::Engine;
use supwatch_store::planted::{self, Fault};
use supwatch_store::{Claims, Session, StoreError};

/// Protocol version this collector speaks.
const PROTOCOL: u32 = 1;
/// Unacknowledged events an agent may have in flight.
const WINDOW: u32 = 2_000;
/// Largest message from a peer, in bytes.
pub const MESSAGE_BYTES: usize = 4 << 20;
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
/// Responses queued for the socket.
const ANSWERS: usize = 8;
const FIRST_MESSAGE: Duration = Duration::from_secs(10);
/// Retry interval for a batch while the disk rejects writes.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// Time without a message after which a stream ends: four heartbeats.
const IDLE: Duration = Duration::from_secs(60);

/// The ingest service.
#[derive(Clone)]
pub struct Ingest {
    /// The collector's state, which ingests the events.
    pub engine: Arc<Engine>,
    /// Trust domain.
    pub hierarchy: String,
}

type Answers = Pin<Box<dyn Stream<Item = Result<wire::StreamResponse, Status>> + Send>>;

/// The peer of a request, by its certificate.
pub fn peer_of<T>(request: &Request<T>, hierarchy: &str) -> Result<Peer, Status> {
    let peer = match request.extensions().get::<Peer>() {
        // Set by the server within this process, as the simulation does; no data from a peer becomes an extension.
        Some(peer) => peer.clone(),
        None => peer_certificate(request)?,
    };
    if peer.hierarchy != hierarchy {
        return Err(Status::permission_denied(format!("{peer} belongs to another hierarchy than {hierarchy}")));
    }
    Ok(peer)
}

fn peer_certificate<T>(request: &Request<T>) -> Result<Peer, Status> {
    let info = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    let certificates =
        info.and_then(TlsConnectInfo::peer_certs).ok_or_else(|| Status::unauthenticated("no client certificate was shown"))?;
    let leaf = certificates.first().ok_or_else(|| Status::unauthenticated("no client certificate was shown"))?;
    Peer::of_certificate(leaf).map_err(|error| Status::unauthenticated(error.to_string()))
}

/// Records a refusal and returns the gRPC status for it.
pub fn refuse(refusals: &Refusals, at: jiff::Timestamp, peer: &str, reason: Text, remedy: Text) -> Status {
    let status = Status::permission_denied(format!("{}; {}", reason.en, remedy.en));
    refusals.record(at, peer, reason, remedy);
    status
}

#[tonic::async_trait]
impl IngestService for Ingest {
    type StreamStream = Answers;

    async fn stream(&self, request: Request<Streaming<wire::StreamRequest>>) -> Result<Response<Answers>, Status> {
        let peer = peer_of(&request, &self.hierarchy)?;
        let now = (self.engine.clock)();
        let Role::Agent { id, sites: allowed } = &peer.role else {
            let reason = Text::new(
                format!("{peer} is not an agent and may not send events"),
                format!("{peer} はエージェントではないため、イベントを送信できません"),
            );
            let remedy = Text::new(
                "issue an agent identity with `supwatch pki issue --role agent`",
                "`supwatch pki issue --role agent` でエージェントの証明書を発行してください",
            );
            return Err(refuse(&self.engine.refusals, now, &peer.uri, reason, remedy));
        };
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(FIRST_MESSAGE, inbound.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??;
        let Some(stream_request::Body::Hello(hello)) = first.and_then(|message| message.body) else {
            return Err(Status::invalid_argument("hello must come first"));
        };
        let sites = claimed(&hello)?;
        if let Some(site) = sites.iter().find(|site| !allowed.contains(site)) {
            let reason = Text::new(
                format!("{id} claims site {site}, which is not in its certificate"),
                format!("{id} が証明書にないサイト {site} を名乗りました"),
            );
            let remedy = Text::new(
                format!(
                    "issue a certificate with `supwatch pki issue --role agent --site {site} …`, or take {site} out of that agent's configuration"
                ),
                format!(
                    "`supwatch pki issue --role agent --site {site} …` で証明書を発行するか、エージェントの構成から {site} を外してください"
                ),
            );
            return Err(refuse(&self.engine.refusals, now, &peer.uri, reason, remedy));
        }
        if hello.protocol_min > PROTOCOL || hello.protocol_max < PROTOCOL {
            return Err(Status::failed_precondition(format!(
                "this collector speaks protocol {PROTOCOL}, the agent {} to {}",
                hello.protocol_min, hello.protocol_max
            )));
        }
        let epoch = Epoch::from_bytes(&hello.epoch).ok_or_else(|| Status::invalid_argument("an epoch has 16 bytes"))?;
        let (oldest_sequence, next_sequence) = (hello.oldest_sequence.max(1), hello.next_sequence.max(1));
        let claims = Claims { epoch, oldest_sequence, next_sequence };
        let session = self.engine.store().open_session(id, claims).await.map_err(status)?;
        #[cfg(feature = "planted-faults")]
        let session = match planted::lately::asked_again(session.durable_sequence) {
            Some(durable_sequence) => Session { durable_sequence, proof: None, ..session },
            None => session,
        };
        if session.lost > 0 {
            tracing::warn!(agent = %id, lost = session.lost, "events lost: neither the agent nor the store has them any more");
        }
        self.engine.connected(&session, &hello.version, hello.tells_coverage);
        let newest = hello.next_sequence.saturating_sub(1);
        self.engine.mark_seen(id, &sites, newest.saturating_sub(session.durable_sequence), None);
        let (answers, outbound) = mpsc::channel(ANSWERS);
        let welcome = wire::Welcome {
            protocol: PROTOCOL,
            durable_sequence: session.durable_sequence,
            window_events: WINDOW,
            clock: Some(supwatch_proto::time::to_wire(now)),
            fence: session.fence,
            proof: session.proof,
            resume: session.resume.iter().cloned().map(wire::Place::from).collect(),
            replaced: session.is_replaced,
        };
        if session.is_replaced {
            let reason = Text::new(
                format!("{id} connected with a state that was replaced since; it starts a new epoch at the stored checkpoints"),
                format!("{id} がその後置き換えられた古い状態で接続しました。保存済みの位置から新しく始めます"),
            );
            let remedy = Text::new(
                "if this repeats, two agents use one certificate (a cloned machine): stop one of them, and issue it its own identity with `supwatch pki issue --role agent`",
                "繰り返し発生する場合は、2 つのエージェントが同じ証明書を使用しています (複製されたコンピュータなど)。一方を停止し、`supwatch pki issue --role agent` で専用の証明書を発行してください",
            );
            self.engine.refusals.record(now, &peer.uri, reason, remedy);
        }
        tracing::info!(agent = %id, durable = session.durable_sequence, version = hello.version, "agent connected");
        let stream = AgentStream {
            engine: Arc::clone(&self.engine),
            id: id.clone(),
            sites,
            durable: session.durable_sequence,
            newest,
            session,
        };
        tokio::spawn(stream.run(inbound, answers, welcome));
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }
}

fn claimed(hello: &wire::Hello) -> Result<Vec<SiteCode>, Status> {
    let sites: Result<Vec<SiteCode>, _> = hello.sites.iter().map(|code| code.parse()).collect();
    sites.map_err(|error| Status::invalid_argument(error.to_string()))
}

struct AgentStream {
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
    async fn run(mut self, mut inbound: Streaming<wire::StreamRequest>, answers: Answer, welcome: wire::Welcome) {
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
        self.engine.disconnected(&self.session);
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

/// A store error as a gRPC status. None makes the agent discard events.
fn status(error: StoreError) -> Status {
    match error {
        StoreError::Fenced => Status::aborted(error.to_string()),
        StoreError::Epoch | StoreError::Gap { .. } => Status::failed_precondition(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}
