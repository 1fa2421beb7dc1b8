//! What the collector exports: metrics over HTTP and OTLP, waves as traces, notifications.
//!
//! ```text
//! engine → metrics ─┬→ http
//!                   └→ otlp       engine → notify → webhook, mail, program
//! ```
//!
//! Each queries the engine, which depends on none of them; `counters` holds their own statistics.

pub mod backoff;
pub mod counters;
pub mod metrics;
pub mod http;
pub mod otlp;
pub mod notify;

use std::sync::Arc;

use counters::Counters;
use metrics::Values;

use supwatch_store::StoreError;

use crate::engine::Engine;

/// The current values of the metrics, from the engine and the counters.
///
/// # Errors
/// The store cannot be measured, or its new findings cannot be written.
async fn values(engine: &Arc<Engine>, counters: &Counters) -> Result<Values, StoreError> {
    engine.judge_now().await?;
    let asked = Arc::clone(engine);
    // Thousands of sites take a while; the connections of agents must not wait for it.
    let shown = tokio::task::spawn_blocking(move || (asked.picture(None, false), asked.measured_waves())).await;
    let (picture, waves) = shown.map_err(|_| StoreError::Closed)?;
    Ok(Values {
        picture,
        waves,
        refused: engine.refusals.total(),
        notified: counters.targets(),
        exported: counters.otlp(),
        store: engine.store().size().await?,
    })
}
