//! Spool → stream → acknowledgements.
//!
//! One bidirectional stream: Hello, then batches in order from the collector's mark, at most a window of events in flight.
//! Acknowledged events are durable at the collector and may be deleted here. A lost connection is retried with
//! exponential backoff and jitter.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use supwatch_model::coverage::Coverage;
use supwatch_model::ids::SiteCode;
use supwatch_proto::channel::{ConnectError, IdentityFiles, connect, explain};
use supwatch_proto::wire::ingest_service_client::IngestServiceClient;
use supwatch_proto::wire::{self, stream_request, stream_response};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::connector::Connector;
use crate::planted::{self, Fault};
use crate::spool::{Spool, SpoolError};

/// Protocol version that `Hello` announces.
const PROTOCOL: u32 = 1;
/// Messages between this task and the socket; flow control does the rest.
const OUTBOUND: usize = 8;
const HEARTBEAT: Duration = Duration::from_secs(15);
const FIRST_ANSWER: Duration = Duration::from_secs(15);
/// Time to flush unacknowledged messages, such as coverage, before the connection closes.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);
const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The connection failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The collector rejected the stream, or the connection was lost.
    #[error("collector: {0}")]
    Refused(String),
    /// The spool was rolled back: the collector has other events under its sequence numbers.
    #[error(
        "the spool was rolled back (restored from a copy or a virtual machine snapshot); starting a new epoch at the collector's checkpoints"
    )]
    RolledBack,
    /// The collector has events of a later spool of this agent.
    #[error(
        "the collector knows a later spool of this agent (this one is a restored copy, or a second agent uses this certificate); starting a new epoch at the collector's checkpoints"
    )]
    Replaced,
    /// Another connection with this certificate took over.
    #[error("collector: {0}; if this repeats, a second agent uses this certificate: stop it, or issue it a certificate of its own")]
    Fenced(String),
    /// The collector violated the protocol.
    #[error("collector: {0}; check that agent and collector run compatible versions")]
    Protocol(&'static str),
}

/// Delivery of the spool to the collector.
#[derive(Debug, Clone)]
pub struct Uplink {
    /// Endpoint URL of the collector.
    pub collector: String,
    /// Identity folder; read again at each connection, so that a renewed certificate takes effect.
    pub identity: PathBuf,
    /// Sites this agent reports for.
    pub sites: Vec<SiteCode>,
    /// Transport: TLS, or a simulated network.
    pub connector: Connector,
}

/// When delivery stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// Never.
    #[default]
    Stopped,
    /// When everything in the spool is acknowledged.
    Drained,
}

impl Uplink {
    /// Delivers until `until` asks for an end; reconnects after each failure.
    pub async fn run(&self, spool: &Arc<Spool>, clock: fn() -> jiff::Timestamp, mut until: watch::Receiver<Until>) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let before = spool.undelivered();
            let error = match self.session(spool, clock, &mut until).await {
                Ok(()) => return,
                Err(error) => error,
            };
            // A session that delivered events resets the backoff, except where two agents with one identity replace each
            // other: those keep backing off.
            let is_alone = !matches!(error, UplinkError::RolledBack | UplinkError::Replaced | UplinkError::Fenced(_));
            if spool.undelivered() < before && is_alone {
                backoff = BACKOFF_MIN;
            }
            let wait = self.connector.jittered(backoff);
            tracing::warn!(%error, retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(0), "delivery interrupted; retrying");
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::select! {
                // Biased, so that a simulation polls the branches in the same order each time.
                biased;
                // Stopping while the collector is unreachable: undelivered events stay in the spool.
                changed = until.changed() => if changed.is_err() || *until.borrow() == Until::Drained { return },
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Runs one connection to its end. `Ok`: everything that `until` asks for is delivered.
    pub async fn session(
        &self,
        spool: &Arc<Spool>,
        clock: fn() -> jiff::Timestamp,
        until: &mut watch::Receiver<Until>,
    ) -> Result<(), UplinkError> {
        let channel = match &self.connector {
            Connector::Tls => connect(&self.collector, &IdentityFiles::read(&self.identity)?).await?,
            Connector::Simulated(simulated) => simulated.connect().await?,
        };
        let (outbound, requests) = mpsc::channel(OUTBOUND);
        send(&outbound, stream_request::Body::Hello(self.hello(spool, clock()))).await?;
        let mut client = IngestServiceClient::new(channel);
        let opened = tokio::time::timeout(FIRST_ANSWER, client.stream(ReceiverStream::new(requests))).await;
        let mut inbound =
            opened.map_err(|_| UplinkError::Protocol("did not answer"))?.map_err(|status| ended(&status))?.into_inner();
        let welcome = tokio::time::timeout(FIRST_ANSWER, next(&mut inbound))
            .await
            .map_err(|_| UplinkError::Protocol("sent no welcome"))??;
        let stream_response::Body::Welcome(welcome) = welcome else { return Err(UplinkError::Protocol("sent no welcome")) };
        if welcome.replaced {
            spool.begin_new_epoch()?;
            return Err(UplinkError::Replaced);
        }
        if was_rolled_back(spool, &welcome)? {
            spool.begin_new_epoch()?;
            return Err(UplinkError::RolledBack);
        }
        if spool.is_fresh() {
            tracing::info!(files = welcome.resume.len(), "new spool epoch; reading resumes at the collector's checkpoints");
            spool.resume(&welcome.resume)?;
        }
        tracing::info!(collector = self.collector, durable = welcome.durable_sequence, "connected to the collector; delivering");
        spool.acknowledge(welcome.durable_sequence)?;
        let window = u64::from(welcome.window_events.max(1));
        let (connector, durable) = (&self.connector, welcome.durable_sequence);
        let mut session =
            Session { spool, connector, outbound, acked: durable, sent: durable, window, waiting_since: None, covered: None };
        session.deliver(&mut inbound, clock, until).await
    }

    fn hello(&self, spool: &Spool, now: jiff::Timestamp) -> wire::Hello {
        wire::Hello {
            sites: self.sites.iter().map(SiteCode::to_string).collect(),
            epoch: spool.epoch().0.to_vec(),
            oldest_sequence: spool.oldest_sequence(),
            next_sequence: spool.next_sequence(),
            protocol_min: PROTOCOL,
            protocol_max: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            clock: Some(supwatch_proto::time::to_wire(now)),
            tells_coverage: true,
        }
    }
}

struct Session<'a> {
    spool: &'a Arc<Spool>,
    connector: &'a Connector,
    outbound: mpsc::Sender<wire::StreamRequest>,
    acked: u64,
    sent: u64,
    window: u64,
    /// Start of the current wait: events are undelivered and none was acknowledged since.
    waiting_since: Option<tokio::time::Instant>,
    /// Coverage last sent: the event number it follows, and for each site whether it is caught up.
    covered: Option<(u64, Vec<bool>)>,
}

impl Session<'_> {
    async fn deliver(
        &mut self,
        inbound: &mut Streaming<wire::StreamResponse>,
        clock: fn() -> jiff::Timestamp,
        until: &mut watch::Receiver<Until>,
    ) -> Result<(), UplinkError> {
        let mut grown = self.spool.watch();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            self.fill_window().await?;
            self.report_coverage(clock()).await?;
            let waits = self.acked + 1 < self.spool.next_sequence();
            self.waiting_since = self.waiting_since.filter(|_| waits).or_else(|| waits.then(tokio::time::Instant::now));
            if *until.borrow() == Until::Drained && self.acked + 1 >= self.spool.next_sequence() {
                return self.end(inbound).await;
            }
            tokio::select! {
                // Answers may arrive without pause, so rarer branches come first; the window is refilled after each answer.
                biased;
                changed = until.changed() => if changed.is_err() { return Ok(()) },
                _ = heartbeat.tick() => {
                    let beat = self.heartbeat(clock());
                    send(&self.outbound, stream_request::Body::Heartbeat(beat)).await?;
                }
                answer = next(inbound) => self.answered(answer?).await?,
                changed = grown.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }

    /// Closes the sending side and waits until the collector has received what is in flight, such as coverage.
    async fn end(&mut self, inbound: &mut Streaming<wire::StreamResponse>) -> Result<(), UplinkError> {
        // Replacing the sender drops the stream's own, which closes the request stream.
        self.outbound = mpsc::channel(1).0;
        let ended = async { while let Ok(Some(_)) = inbound.message().await {} };
        // All events are durable; a timeout loses at most a coverage report.
        let _ = tokio::time::timeout(FLUSH_LIMIT, ended).await;
        Ok(())
    }

    /// Sends a heartbeat as soon as the coverage changed.
    async fn report_coverage(&mut self, now: jiff::Timestamp) -> Result<(), UplinkError> {
        let Some(known) = self.spool.coverage(self.sent).map(|(number, all)| (number, caught_up(&all))) else { return Ok(()) };
        if self.covered.as_ref() == Some(&known) {
            return Ok(());
        }
        let beat = self.heartbeat(now);
        send(&self.outbound, stream_request::Body::Heartbeat(beat)).await?;
        self.covered = Some(known);
        Ok(())
    }

    fn heartbeat(&self, now: jiff::Timestamp) -> wire::Heartbeat {
        let coverage = self.spool.coverage(self.sent).map(|(_, all)| all).unwrap_or_default();
        let waiting = self.waiting_since.map(|since| since.elapsed().as_secs()).unwrap_or_default();
        wire::Heartbeat {
            spooled_events: self.spool.next_sequence() - self.acked - 1,
            clock: Some(supwatch_proto::time::to_wire(now)),
            spool_bytes: self.spool.bytes(),
            waiting_seconds: u32::try_from(waiting).unwrap_or(u32::MAX),
            coverage: coverage.into_iter().map(wire::Coverage::from).collect(),
        }
    }

    async fn fill_window(&mut self) -> Result<(), UplinkError> {
        while self.sent - self.acked < self.window && self.sent + 1 < self.spool.next_sequence() {
            let (spool, from) = (Arc::clone(self.spool), self.sent + 1);
            let read = self.connector.blocking(move || spool.read_piece(from)).await;
            let mut batch = read.ok_or(UplinkError::Protocol("stopping"))??;
            let Some(last) = batch.events.last().map(|event| event.sequence) else { break };
            if let Some((number, coverage)) = self.spool.coverage(last).filter(|(number, _)| *number >= from) {
                self.covered = Some((number, caught_up(&coverage)));
                batch.coverage = coverage.into_iter().map(wire::Coverage::from).collect();
            }
            send(&self.outbound, stream_request::Body::Batch(batch)).await?;
            self.sent = last;
        }
        Ok(())
    }

    async fn answered(&mut self, answer: stream_response::Body) -> Result<(), UplinkError> {
        match answer {
            stream_response::Body::Ack(wire::Ack { durable_sequence }) => {
                if durable_sequence > self.sent {
                    return Err(UplinkError::Protocol("acknowledged an event that was never sent"));
                }
                self.acked = self.acked.max(durable_sequence);
                self.waiting_since = None;
                let (spool, acked) = (Arc::clone(self.spool), self.acked);
                let noted = self.connector.blocking(move || spool.acknowledge(acked)).await;
                noted.ok_or(UplinkError::Protocol("stopping"))??;
            }
            stream_response::Body::Resync(wire::Resync { expected_sequence }) => {
                self.sent = expected_sequence.saturating_sub(1).max(self.acked);
            }
            stream_response::Body::Throttle(wire::Throttle { wait_ms, reason }) => {
                tracing::warn!(reason, "the collector asked the agent to slow down; events stay in the spool");
                tokio::time::sleep(Duration::from_millis(u64::from(wait_ms.min(60_000)))).await;
            }
            stream_response::Body::Welcome(_) => return Err(UplinkError::Protocol("sent a second welcome")),
        }
        Ok(())
    }
}

fn caught_up(coverage: &[Coverage]) -> Vec<bool> {
    coverage.iter().map(|site| site.caught_up).collect()
}

/// Whether the collector has other events under our sequence numbers.
fn was_rolled_back(spool: &Spool, welcome: &wire::Welcome) -> Result<bool, SpoolError> {
    if planted::is(Fault::SetBackUnseen) {
        return Ok(false);
    }
    if welcome.durable_sequence >= spool.next_sequence() {
        return Ok(true);
    }
    let Some(proof) = welcome.proof else { return Ok(false) };
    // An event deleted here was acknowledged to this very spool.
    Ok(spool.event(welcome.durable_sequence)?.is_some_and(|event| event.proof() != proof))
}

async fn send(outbound: &mpsc::Sender<wire::StreamRequest>, body: stream_request::Body) -> Result<(), UplinkError> {
    let sent = outbound.send(wire::StreamRequest { body: Some(body) }).await;
    sent.map_err(|_| UplinkError::Refused("connection lost".to_owned()))
}

async fn next(inbound: &mut Streaming<wire::StreamResponse>) -> Result<stream_response::Body, UplinkError> {
    match inbound.message().await {
        Ok(Some(wire::StreamResponse { body: Some(body) })) => Ok(body),
        Ok(Some(wire::StreamResponse { body: None })) => Err(UplinkError::Protocol("sent an empty answer")),
        Ok(None) => Err(UplinkError::Refused("ended the stream".to_owned())),
        Err(status) => Err(ended(&status)),
    }
}

fn ended(status: &tonic::Status) -> UplinkError {
    match status.code() {
        tonic::Code::Aborted => UplinkError::Fenced(status_text(status)),
        _ => UplinkError::Refused(status_text(status)),
    }
}

fn status_text(status: &tonic::Status) -> String {
    let cause = std::error::Error::source(status).map(explain);
    match cause {
        Some(cause) => format!("{} ({cause})", status.message()),
        None => status.message().to_owned(),
    }
}
