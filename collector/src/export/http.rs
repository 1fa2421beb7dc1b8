//! `/metrics`, `/healthz` and `/readyz` over plain HTTP, on the loopback address unless configured otherwise.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::engine::Engine;
use crate::export::counters::Counters;
use crate::export::metrics::{page, registry};
use crate::export::values;

/// Serves until `stop` resolves.
pub async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    counters: Arc<Counters>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let metrics = move || {
        let (engine, counters) = (Arc::clone(&engine), Arc::clone(&counters));
        async move {
            let values = match values(&engine, &counters).await {
                Ok(values) => values,
                Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
            };
            match registry(&values).and_then(|registry| page(&registry)) {
                Ok(page) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response(),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
            }
        }
    };
    // The store is replayed before anything listens, so any answer comes from a ready collector.
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ready\n" }));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}
