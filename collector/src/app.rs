//! Wires the collector together and runs it. The only place that reads the clock.
//!
//! Start order: identity, store, replay, listeners. Stop order: nothing new is accepted, streams end, the store closes last.

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

/// Interval between judgements of what changes with time alone.
const TICK: Duration = Duration::from_secs(5);
/// Interval between two passes of retention over the store.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Largest request of the query and operate services, in bytes.
const REQUEST_BYTES: usize = 64 * 1024;
/// Time open streams get to end when the collector stops.
const GRACE: Duration = Duration::from_secs(5);

/// Why the collector ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The collector's certificate, key or authority is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listen address is unavailable.
    #[error(
        "cannot listen on {address}: {source}; if another program uses this address, stop it, or choose another address with `{key}`"
    )]
    Listen {
        /// The configured listen address.
        address: SocketAddr,
        /// Key of `supwatch.toml` that sets it.
        key: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
    /// A task ended that must run until the collector stops.
    #[error("{part} ended unexpectedly: {reason}")]
    Part {
        /// Name of the task, for the error text.
        part: &'static str,
        /// The error it ended with.
        reason: String,
    },
}

/// The current time.
pub fn now() -> jiff::Timestamp {
    #[allow(clippy::disallowed_methods)]
    jiff::Timestamp::now()
}

/// A running collector.
pub struct Collector {
    /// Address of the gRPC listener, for agents and the CLI.
    pub listen: SocketAddr,
    /// Address of the HTTP listener, for `/metrics`.
    pub http: SocketAddr,
    /// The collector's state.
    pub engine: Arc<Engine>,
    parts: JoinSet<Result<(), AppError>>,
}

impl Collector {
    /// Starts the collector; when this returns, it listens.
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
        let engine = Arc::new(Engine::replay(store, Hierarchy::new(expected, config.catalogue), config.limits, now).await?);
        let (listen, http) = (address(&listener, config.listen), address(&http_listener, config.http));
        let (mut parts, counters) = (JoinSet::new(), Arc::new(Counters::default()));
        parts.spawn(serve_grpc(listener, identity, Arc::clone(&engine), hierarchy.clone()));
        parts.spawn(serve_http(http_listener, Arc::clone(&engine), Arc::clone(&counters)));
        let judging = Arc::clone(&engine);
        parts.spawn(async move { Ok(judging.judge_arrivals().await?) });
        parts.spawn(tick(Arc::clone(&engine), config.rules));
        parts.spawn(expire(Arc::clone(&engine), config.retention));
        for target in config.notify {
            parts.spawn(notify(Arc::clone(&engine), Arc::clone(&counters), target, hierarchy.clone()));
        }
        if let Some(otlp) = config.otlp {
            parts.spawn(export(Arc::clone(&engine), counters, otlp, hierarchy.clone()));
        }
        tracing::info!(%listen, %http, store = %config.store.display(), "collector is listening");
        Ok(Collector { listen, http, engine, parts })
    }

    /// Runs until `stop` resolves or a part ends; `hurry` is polled only after that, and cuts short the wait for open streams.
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
            tracing::warn!(parts = self.parts.len(), "some connections did not close in time and were dropped");
        }
        tracing::info!(
            events = *self.engine.arrived().borrow(),
            hurried,
            "collector is stopping; every acknowledged event is durable"
        );
        match early {
            None => Ok(()),
            Some(Ok(Ok(()))) => Err(AppError::Part { part: "a collector task", reason: "no reason given".to_owned() }),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(AppError::Part { part: "a collector task", reason: error.to_string() }),
        }
    }
}

fn log_part(ended: &Result<Result<(), AppError>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a task failed during shutdown"),
        Err(error) => tracing::warn!(%error, "a task failed during shutdown"),
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
        retry_later("notifications", error, &engine).await?;
    }
    Ok(())
}

async fn export(engine: Arc<Engine>, counters: Arc<Counters>, config: Otlp, hierarchy: String) -> Result<(), AppError> {
    while let Err(error) =
        crate::export::otlp::run(Arc::clone(&engine), Arc::clone(&counters), config.clone(), hierarchy.clone()).await
    {
        retry_later("OTLP export", error, &engine).await?;
    }
    Ok(())
}

/// Waits while the disk rejects writes; the task then restarts from the stored state.
async fn retry_later(part: &'static str, error: StoreError, engine: &Engine) -> Result<(), AppError> {
    if !error.is_transient() {
        return Err(error.into());
    }
    tracing::warn!(part, %error, "store unavailable; retrying");
    tokio::select! {
        () = tokio::time::sleep(TICK) => {}
        () = engine.stopped() => {}
    }
    Ok(())
}

/// Applies the retention policy and measures the store.
async fn expire(engine: Arc<Engine>, retention: Retention) -> Result<(), AppError> {
    let mut ticks = tokio::time::interval(EXPIRE_EVERY);
    loop {
        tokio::select! {
            () = engine.stopped() => return Ok(()),
            _ = ticks.tick() => {}
        }
        // Retried at the next tick; only disk space depends on it.
        if let Err(error) = engine.expire(retention).await {
            tracing::warn!(%error, "retention failed; will retry");
        }
    }
}

/// Judges what changes with time, and reloads `rules.toml` when it changed.
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
            reload_rules(&engine, path, &mut read).await?;
        }
    }
}

/// Reloads a changed `rules.toml`. A faulty one changes nothing and is logged once.
async fn reload_rules(engine: &Engine, path: &Path, read: &mut Vec<u8>) -> Result<(), AppError> {
    let Ok(bytes) = tokio::fs::read(path).await else { return Ok(()) };
    if bytes == *read {
        return Ok(());
    }
    match Limits::parse(&String::from_utf8_lossy(&bytes), path, &supwatch_judgement::rules::names()) {
        Ok(limits) => {
            tracing::info!(rules = %path.display(), "rules reloaded");
            engine.set_limits(limits).await?;
        }
        Err(faults) => tracing::warn!(%faults, "rules.toml rejected; the previous rules stay in effect"),
    }
    *read = bytes;
    Ok(())
}
