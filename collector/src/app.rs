//! Wires the collector together and runs it. The only place that reads the clock.
//!
//! Order of starting: identity, store, replay, listeners. Order of stopping: nothing new is accepted, streams end, the store
//! is let go last.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use supwatch_proto::wire::ingest_service_server::IngestServiceServer;
use supwatch_proto::wire::operate_service_server::OperateServiceServer;
use supwatch_proto::wire::query_service_server::QueryServiceServer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::access::tls::{self, ServerIdentity, TlsError};
use crate::config::Config;
use crate::engine::Engine;
use crate::export::counters::Counters;
use crate::export::notify::config::Target;
use crate::export::otlp::config::Otlp;
use crate::ingest::{Ingest, MESSAGE_BYTES};
use crate::query::Query;
use crate::query::operate::Operate;
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::limits::Limits;
use supwatch_store::embedded::Embedded;
use supwatch_store::{Retention, Store, StoreError};

/// Time between two judgements of what time alone changes.
const TICK: Duration = Duration::from_secs(5);
/// Time between two looks whether days of the store are to be forgotten.
const FORGET: Duration = Duration::from_secs(60);
/// Largest question or order.
const REQUEST_BYTES: usize = 64 * 1024;
/// Time that streams have to end when stopping.
const GRACE: Duration = Duration::from_secs(5);

/// Why the collector ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Its identity is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be had.
    #[error("{address}: {source}; another program may listen there: stop it, or choose another address with `{key}`")]
    Listen {
        /// Address.
        address: SocketAddr,
        /// Key of the configuration.
        key: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A part ended that must not.
    #[error("{part} ended unexpectedly: {reason}")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        reason: String,
    },
}

/// The clock.
pub fn now() -> jiff::Timestamp {
    #[allow(clippy::disallowed_methods)]
    jiff::Timestamp::now()
}

/// A collector that runs.
pub struct Collector {
    /// Where agents and the CLI connect.
    pub listen: SocketAddr,
    /// Where `/metrics` is.
    pub http: SocketAddr,
    /// What it knows.
    pub engine: Arc<Engine>,
    parts: JoinSet<Result<(), AppError>>,
}

impl Collector {
    /// Starts one; when this returns it listens.
    pub async fn start(config: Config) -> Result<Collector, AppError> {
        let identity = ServerIdentity::read(&config.identity)?;
        let listener = bind(config.listen, "listen").await?;
        let http_listener = bind(config.http, "http").await?;
        let path = config.store.clone();
        let store = tokio::task::spawn_blocking(move || Embedded::open(&path)).await;
        let store = store.map_err(|error| AppError::Part { part: "opening the store", reason: error.to_string() })??;
        let store: Arc<dyn Store> = Arc::new(store);
        let mut expected = config.hierarchy;
        let hierarchy = identity.own.hierarchy.clone();
        expected.name.get_or_insert_with(|| hierarchy.clone());
        let engine = Arc::new(Engine::awake(store, Hierarchy::new(expected, config.catalogue), config.limits, now).await?);
        let (listen, http) = (address(&listener, config.listen), address(&http_listener, config.http));
        let (mut parts, counters) = (JoinSet::new(), Arc::new(Counters::default()));
        parts.spawn(serve_grpc(listener, identity, Arc::clone(&engine), hierarchy.clone()));
        parts.spawn(serve_http(http_listener, Arc::clone(&engine), Arc::clone(&counters)));
        parts.spawn(tick(Arc::clone(&engine), config.rules));
        parts.spawn(forget(Arc::clone(&engine), config.retention));
        for target in config.notify {
            parts.spawn(notify(Arc::clone(&engine), Arc::clone(&counters), target, hierarchy.clone()));
        }
        if let Some(otlp) = config.otlp {
            parts.spawn(export(Arc::clone(&engine), counters, otlp, hierarchy.clone()));
        }
        tracing::info!(%listen, %http, store = %config.store.display(), "collector listens");
        Ok(Collector { listen, http, engine, parts })
    }

    /// Runs until `stop` resolves or a part ends; `hurry` is asked only then, and ends the wait for streams to end.
    pub async fn run(mut self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> Result<(), AppError> {
        let early = tokio::select! {
            () = stop => None,
            part = self.parts.join_next() => part,
        };
        self.engine.stop();
        let rest = async {
            while let Some(ended) = self.parts.join_next().await {
                log_part(&ended);
            }
        };
        let (ended, hurried) = tokio::select! {
            ended = tokio::time::timeout(GRACE, rest) => (ended.is_ok(), false),
            () = hurry => (false, true),
        };
        if !ended {
            tracing::warn!(parts = self.parts.len(), "some connections did not end in time and were cut");
        }
        tracing::info!(events = *self.engine.arrived().borrow(), hurried, "collector stops; what was acknowledged is durable");
        match early {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err(AppError::Part { part: "a part of the collector", reason: "no reason given".to_owned() }),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(AppError::Part { part: "a part of the collector", reason: error.to_string() }),
        }
    }
}

fn log_part(ended: &Result<Result<(), AppError>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "while stopping"),
        Err(error) => tracing::warn!(%error, "while stopping"),
    }
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|source| AppError::Listen { address, key, source })
}

fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

async fn serve_grpc(
    listener: TcpListener,
    identity: ServerIdentity,
    engine: Arc<Engine>,
    hierarchy: String,
) -> Result<(), AppError> {
    let accepted = tls::accept(listener, &identity, Arc::clone(&engine.refusals), now);
    let stopped = engine.stopped();
    let (reporter, health) = tonic_health::server::health_reporter();
    let ingest = IngestServiceServer::new(Ingest { engine: Arc::clone(&engine), hierarchy: hierarchy.clone() })
        .max_decoding_message_size(MESSAGE_BYTES);
    let operate = OperateServiceServer::new(Operate { engine: Arc::clone(&engine), hierarchy: hierarchy.clone() })
        .max_decoding_message_size(REQUEST_BYTES);
    let query = QueryServiceServer::new(Query { engine, hierarchy }).max_decoding_message_size(REQUEST_BYTES);
    reporter.set_serving::<IngestServiceServer<Ingest>>().await;
    reporter.set_serving::<QueryServiceServer<Query>>().await;
    reporter.set_serving::<OperateServiceServer<Operate>>().await;
    Server::builder()
        .max_concurrent_streams(16)
        .concurrency_limit_per_connection(16)
        .http2_max_header_list_size(16 * 1024)
        .http2_max_pending_accept_reset_streams(Some(20))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(health)
        .add_service(ingest)
        .add_service(query)
        .add_service(operate)
        .serve_with_incoming_shutdown(ReceiverStream::new(accepted), stopped)
        .await
        .map_err(|error| AppError::Part { part: "the gRPC server", reason: supwatch_proto::channel::words(&error) })
}

async fn serve_http(listener: TcpListener, engine: Arc<Engine>, counters: Arc<Counters>) -> Result<(), AppError> {
    let stopped = engine.stopped();
    let served = crate::export::http::serve(listener, engine, counters, stopped).await;
    served.map_err(|error| AppError::Part { part: "the HTTP server", reason: error.to_string() })
}

async fn notify(engine: Arc<Engine>, counters: Arc<Counters>, target: Target, hierarchy: String) -> Result<(), AppError> {
    while let Err(error) =
        crate::export::notify::run(Arc::clone(&engine), Arc::clone(&counters), target.clone(), hierarchy.clone()).await
    {
        bear("notifying", error, &engine).await?;
    }
    Ok(())
}

async fn export(engine: Arc<Engine>, counters: Arc<Counters>, config: Otlp, hierarchy: String) -> Result<(), AppError> {
    while let Err(error) =
        crate::export::otlp::run(Arc::clone(&engine), Arc::clone(&counters), config.clone(), hierarchy.clone()).await
    {
        bear("sending over OTLP", error, &engine).await?;
    }
    Ok(())
}

/// A disk that takes nothing now is waited for; a part that depends on it then begins again from what is stored.
async fn bear(part: &'static str, error: StoreError, engine: &Engine) -> Result<(), AppError> {
    if !error.may_pass() {
        return Err(error.into());
    }
    tracing::warn!(part, %error, "waits for the store");
    tokio::select! {
        () = tokio::time::sleep(TICK) => {}
        () = engine.stopped() => {}
    }
    Ok(())
}

/// Forgets what is no longer to be kept, and looks how large the store is.
async fn forget(engine: Arc<Engine>, retention: Retention) -> Result<(), AppError> {
    let mut ticks = tokio::time::interval(FORGET);
    loop {
        tokio::select! {
            () = engine.stopped() => return Ok(()),
            _ = ticks.tick() => {}
        }
        // Looked at again at the next tick; nothing depends on it but space.
        if let Err(error) = engine.expire(retention).await {
            tracing::warn!(%error, "cannot forget old days now");
        }
    }
}

/// Time passes, and `rules.toml` may have changed.
async fn tick(engine: Arc<Engine>, rules: Option<PathBuf>) -> Result<(), AppError> {
    let mut ticks = tokio::time::interval(TICK);
    let stop = engine.stopped();
    let mut read = match &rules {
        Some(path) => tokio::fs::read(path).await.unwrap_or_default(),
        None => Vec::new(),
    };
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = ticks.tick() => engine.tick().await?,
        }
        if let Some(path) = &rules {
            reread(&engine, path, &mut read).await?;
        }
    }
}

/// A `rules.toml` that is wrong changes nothing, and is told once.
async fn reread(engine: &Engine, path: &Path, read: &mut Vec<u8>) -> Result<(), AppError> {
    let Ok(bytes) = tokio::fs::read(path).await else { return Ok(()) };
    if bytes == *read {
        return Ok(());
    }
    match Limits::parse(&String::from_utf8_lossy(&bytes), path, &supwatch_judgement::rules::names()) {
        Ok(limits) => {
            tracing::info!(rules = %path.display(), "rules reloaded");
            engine.set_limits(limits).await?;
        }
        Err(faults) => tracing::warn!(%faults, "rules.toml has faults; the rules stay as they were"),
    }
    *read = bytes;
    Ok(())
}
