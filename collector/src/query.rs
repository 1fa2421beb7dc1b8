//! Read-only answers over gRPC, for certificates of the roles reader and operator.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use supwatch_model::event::StoredEvent;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;
use supwatch_proto::time::from_wire;
use supwatch_proto::wire;
use supwatch_proto::wire::query_service_server::QueryService;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::access::caller::{peer_of, refuse};
use crate::engine::Engine;
use supwatch_store::{Cursor, EventQuery};

pub mod operate;

/// Most events of one message.
const MESSAGE_EVENTS: usize = 200;
/// Most waves of one message.
const WAVES_SENT: usize = 20;
/// Messages queued for the socket.
const WAITING: usize = 4;

/// The query service.
#[derive(Clone)]
pub struct Query {
    /// The collector's state, which answers the queries.
    pub engine: Arc<Engine>,
    /// Trust domain.
    pub hierarchy: String,
}

type EventStream = Pin<Box<dyn Stream<Item = Result<wire::EventsResponse, Status>> + Send>>;

impl Query {
    /// Admits a reader; what it asks is answered from everything acknowledged before.
    async fn admit<T: Sync>(&self, request: &Request<T>) -> Result<(), Status> {
        let peer = peer_of(request, &self.hierarchy)?;
        if peer.may_read() {
            return self.engine.judge_now().await.map_err(|error| Status::unavailable(error.to_string()));
        }
        let reason = Text::new(format!("{peer} may not read"), format!("{peer} には読み取りの権限がありません"));
        let remedy = Text::new(
            "use an identity made with `supwatch pki issue --role reader`",
            "`supwatch pki issue --role reader` で発行した証明書を使用してください",
        );
        Err(refuse(&self.engine.refusals, (self.engine.clock)(), &peer.uri, reason, remedy))
    }
}

#[tonic::async_trait]
impl QueryService for Query {
    type EventsStream = EventStream;

    async fn picture(&self, request: Request<wire::PictureRequest>) -> Result<Response<wire::PictureResponse>, Status> {
        self.admit(&request).await?;
        let wire::PictureRequest { at, resolved } = request.into_inner();
        let engine = Arc::clone(&self.engine);
        // Thousands of sites take a while; the connections of agents must not wait for it.
        let picture = tokio::task::spawn_blocking(move || engine.picture(from_wire(at), resolved)).await;
        let picture = picture.map_err(|_| Status::internal("the picture query failed"))?;
        Ok(Response::new(wire::PictureResponse { picture: Some(picture.into()) }))
    }

    async fn settings(&self, request: Request<wire::SettingsRequest>) -> Result<Response<wire::SettingsResponse>, Status> {
        self.admit(&request).await?;
        let wire::SettingsRequest { site, at } = request.into_inner();
        let site = code(&site)?;
        let view =
            self.engine.settings(site, from_wire(at)).ok_or_else(|| Status::not_found(format!("there is no site {site} here")))?;
        Ok(Response::new(view.into()))
    }

    async fn what_if(&self, request: Request<wire::WhatIfRequest>) -> Result<Response<wire::WhatIfResponse>, Status> {
        self.admit(&request).await?;
        let wire::WhatIfRequest { site, set } = request.into_inner();
        let engine = Arc::clone(&self.engine);
        let site = code(&site)?;
        // Judging everything twice takes long with thousands of sites.
        let changes = tokio::task::spawn_blocking(move || engine.whatif(site, &set)).await;
        let changes = changes.map_err(|_| Status::internal("the what-if query failed"))?;
        let changes = changes.map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Response::new(wire::WhatIfResponse { changes: changes.into_iter().map(wire::VerdictChange::from).collect() }))
    }

    async fn audit(&self, request: Request<wire::AuditRequest>) -> Result<Response<wire::AuditResponse>, Status> {
        self.admit(&request).await?;
        let wire::AuditRequest {} = request.into_inner();
        let entries = self.engine.store().audit().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(Response::new(wire::AuditResponse { entries: entries.into_iter().map(wire::AuditEntry::from).collect() }))
    }

    async fn waves(&self, request: Request<wire::WavesRequest>) -> Result<Response<wire::WavesResponse>, Status> {
        self.admit(&request).await?;
        let wire::WavesRequest { at, id, last } = request.into_inner();
        let engine = Arc::clone(&self.engine);
        let last = if last == 0 { WAVES_SENT } else { (last as usize).min(WAVES_SENT) };
        let waves = tokio::task::spawn_blocking(move || match id.as_str() {
            "" => engine.waves(from_wire(at), last),
            id => engine.wave(from_wire(at), id).into_iter().collect(),
        });
        let waves = waves.await.map_err(|_| Status::internal("the waves query failed"))?;
        Ok(Response::new(wire::WavesResponse { waves: waves.into_iter().map(wire::Wave::from).collect() }))
    }

    async fn events(&self, request: Request<wire::EventsRequest>) -> Result<Response<EventStream>, Status> {
        self.admit(&request).await?;
        let wire::EventsRequest { sites, since, until, kinds, last, follow } = request.into_inner();
        let sites = sites.iter().map(|code| code.parse()).collect::<Result<Vec<_>, _>>();
        let sites = sites.map_err(|error: supwatch_model::ids::BadSiteCode| Status::invalid_argument(error.to_string()))?;
        let query = EventQuery { sites, since: from_wire(since), until: from_wire(until), kinds };
        let (sender, receiver) = mpsc::channel(WAITING);
        let engine = Arc::clone(&self.engine);
        tokio::spawn(async move {
            if let Err(status) = stream_events(&engine, &query, last as usize, follow, &sender).await {
                // The client may have disconnected.
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn code(text: &str) -> Result<SiteCode, Status> {
    text.parse().map_err(|error: supwatch_model::ids::BadSiteCode| Status::invalid_argument(error.to_string()))
}

type Sender = mpsc::Sender<Result<wire::EventsResponse, Status>>;

async fn stream_events(engine: &Engine, query: &EventQuery, last: usize, follow: bool, sender: &Sender) -> Result<(), Status> {
    let mut arrived = engine.arrived();
    let unavailable = |error: supwatch_store::StoreError| Status::unavailable(error.to_string());
    let mut at = Cursor::default();
    if last > 0 {
        at = engine.store().end().await.map_err(unavailable)?;
        send(sender, newest(engine, query, last, at).await?).await?;
    }
    // Events that arrived meanwhile follow those already sent; none is sent twice.
    let mut more = last == 0 || follow;
    while more {
        arrived.borrow_and_update();
        let page = engine.store().scan(query, at).await.map_err(unavailable)?;
        at = page.next;
        send(sender, page.events).await?;
        more = !page.end;
    }
    if !follow {
        return Ok(());
    }
    loop {
        tokio::select! {
            changed = arrived.changed() => changed.map_err(|_| Status::unavailable("the collector is stopping"))?,
            () = sender.closed() => return Ok(()),
            () = engine.stopped() => return Ok(()),
        }
        loop {
            let page = engine.store().scan(query, at).await.map_err(unavailable)?;
            at = page.next;
            send(sender, page.events).await?;
            if page.end {
                break;
            }
        }
    }
}

/// The newest events before a cursor, found by scanning backwards.
async fn newest(engine: &Engine, query: &EventQuery, last: usize, before: Cursor) -> Result<Vec<StoredEvent>, Status> {
    let (mut found, mut before) = (VecDeque::new(), before);
    loop {
        let page = engine.store().scan_back(query, Some(before)).await.map_err(|error| Status::unavailable(error.to_string()))?;
        for stored in page.events.into_iter().rev().take(last - found.len()) {
            found.push_front(stored);
        }
        before = page.next;
        if page.end || found.len() >= last {
            return Ok(found.into());
        }
    }
}

async fn send(sender: &Sender, events: Vec<StoredEvent>) -> Result<(), Status> {
    let mut events = events.into_iter().map(wire::StoredEvent::from).peekable();
    while events.peek().is_some() {
        let some: Vec<wire::StoredEvent> = events.by_ref().take(MESSAGE_EVENTS).collect();
        sender
            .send(Ok(wire::EventsResponse { events: some }))
            .await
            .map_err(|_| Status::cancelled("the client has disconnected"))?;
    }
    Ok(())
}
