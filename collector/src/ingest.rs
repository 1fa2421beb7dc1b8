//! Certificate → site; hello → welcome; then the stream: wire event → event, append, acknowledge once durable.
//!
//! **Invariant: an acknowledgement means durable.** Only the certificate determines which agent a peer is and for which sites it
//! may send; a claim beyond that is refused, recorded and shown. A protocol violation ends the stream; unknown fields inside an
//! event are kept.

mod stream;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::text::Text;
use supwatch_proto::wire::ingest_service_server::IngestService;
use supwatch_proto::wire::{self, stream_request};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use self::stream::AgentStream;
use crate::access::caller::{peer_of, refuse};
use crate::access::identity::{Peer, Role};
use crate::engine::Engine;
#[cfg(feature = "planted-faults")]
use supwatch_store::planted;
use supwatch_store::{Claims, Session, StoreError};

/// Protocol version this collector speaks.
const PROTOCOL: u32 = 1;
/// Unacknowledged events an agent may have in flight.
const WINDOW: u32 = 2_000;
/// Largest message from a peer, in bytes.
pub const MESSAGE_BYTES: usize = 4 << 20;
/// Responses queued for the socket.
const ANSWERS: usize = 8;
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// The ingest service.
#[derive(Clone)]
pub struct Ingest {
    /// The collector's state, which ingests the events.
    pub engine: Arc<Engine>,
    /// Trust domain.
    pub hierarchy: String,
}

type Answers = Pin<Box<dyn Stream<Item = Result<wire::StreamResponse, Status>> + Send>>;

#[tonic::async_trait]
impl IngestService for Ingest {
    type StreamStream = Answers;

    async fn stream(&self, request: Request<Streaming<wire::StreamRequest>>) -> Result<Response<Answers>, Status> {
        let peer = peer_of(&request, &self.hierarchy)?;
        let now = (self.engine.clock)();
        let Role::Agent { id, sites: allowed } = &peer.role else {
            return Err(self.refuse_role(now, &peer));
        };
        let mut inbound = request.into_inner();
        let hello = first_message(&mut inbound).await?;
        let sites = claimed(&hello)?;
        if let Some(site) = sites.iter().find(|site| !allowed.contains(site)) {
            return Err(self.refuse_site(now, &peer, id, *site));
        }
        let session = self.engine.store().open_session(id, claims(&hello)?).await.map_err(status)?;
        #[cfg(feature = "planted-faults")]
        let session = match planted::lately::asked_again(session.durable_sequence) {
            Some(durable_sequence) => Session { durable_sequence, proof: None, ..session },
            None => session,
        };
        if session.lost > 0 {
            tracing::warn!(agent = %id, lost = session.lost, "events lost: neither the agent nor the store has them any more");
        }
        if session.is_replaced {
            self.record_replaced(now, &peer, id);
        }
        self.engine.stream_opened(&session, &hello.version, hello.tells_coverage);
        let newest = hello.next_sequence.saturating_sub(1);
        self.engine.mark_seen(id, &sites, newest.saturating_sub(session.durable_sequence), None);
        tracing::info!(agent = %id, durable = session.durable_sequence, version = hello.version, "agent connected");
        let (answers, outbound) = mpsc::channel(ANSWERS);
        let welcome = welcome(&session, now);
        let stream = AgentStream::new(Arc::clone(&self.engine), id.clone(), sites, newest, session);
        tokio::spawn(stream.run(inbound, answers, welcome));
        Ok(Response::new(Box::pin(ReceiverStream::new(outbound))))
    }
}

impl Ingest {
    fn refuse_role(&self, now: Timestamp, peer: &Peer) -> Status {
        let reason = Text::new(
            format!("{peer} is not an agent and may not send events"),
            format!("{peer} はエージェントではないため、イベントを送信できません"),
        );
        let remedy = Text::new(
            "issue an agent identity with `supwatch pki issue --role agent`",
            "`supwatch pki issue --role agent` でエージェントの証明書を発行してください",
        );
        refuse(&self.engine.refusals, now, &peer.uri, reason, remedy)
    }

    fn refuse_site(&self, now: Timestamp, peer: &Peer, id: &AgentId, site: SiteCode) -> Status {
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
        refuse(&self.engine.refusals, now, &peer.uri, reason, remedy)
    }

    /// Not refused: the agent starts over. Shown among the refusals, because a cloned machine does this again and again.
    fn record_replaced(&self, now: Timestamp, peer: &Peer, id: &AgentId) {
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
}

/// The hello, which must come first and in time.
async fn first_message(inbound: &mut Streaming<wire::StreamRequest>) -> Result<wire::Hello, Status> {
    let first = tokio::time::timeout(FIRST_MESSAGE, inbound.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no hello within 10 s"))??;
    match first.and_then(|message| message.body) {
        Some(stream_request::Body::Hello(hello)) => Ok(hello),
        _ => Err(Status::invalid_argument("hello must come first")),
    }
}

/// The sites an agent says it reads.
fn claimed(hello: &wire::Hello) -> Result<Vec<SiteCode>, Status> {
    let sites: Result<Vec<SiteCode>, _> = hello.sites.iter().map(|code| code.parse()).collect();
    sites.map_err(|error| Status::invalid_argument(error.to_string()))
}

/// The spool an agent says it has; refused when it speaks another protocol.
fn claims(hello: &wire::Hello) -> Result<Claims, Status> {
    if hello.protocol_min > PROTOCOL || hello.protocol_max < PROTOCOL {
        return Err(Status::failed_precondition(format!(
            "this collector speaks protocol {PROTOCOL}, the agent {} to {}",
            hello.protocol_min, hello.protocol_max
        )));
    }
    let epoch = Epoch::from_bytes(&hello.epoch).ok_or_else(|| Status::invalid_argument("an epoch has 16 bytes"))?;
    Ok(Claims { epoch, oldest_sequence: hello.oldest_sequence.max(1), next_sequence: hello.next_sequence.max(1) })
}

/// From where the agent is to go on.
fn welcome(session: &Session, now: Timestamp) -> wire::Welcome {
    wire::Welcome {
        protocol: PROTOCOL,
        durable_sequence: session.durable_sequence,
        window_events: WINDOW,
        clock: Some(supwatch_proto::time::to_wire(now)),
        fence: session.fence,
        proof: session.proof,
        resume: session.resume.iter().cloned().map(wire::Place::from).collect(),
        replaced: session.is_replaced,
    }
}

/// A store error as a gRPC status. None makes the agent discard events.
fn status(error: StoreError) -> Status {
    match error {
        StoreError::Fenced => Status::aborted(error.to_string()),
        StoreError::Epoch | StoreError::Gap { .. } => Status::failed_precondition(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}
