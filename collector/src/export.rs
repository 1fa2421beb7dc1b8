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

use counters::Counters;
use metrics::Values;

use crate::engine::Engine;

/// The current values of the metrics, from the engine and the counters.
fn values(engine: &Engine, counters: &Counters) -> Values {
    Values {
        picture: engine.picture(None, false),
        waves: engine.measured_waves(),
        refused: engine.refusals.total(),
        notified: counters.targets(),
        exported: counters.otlp(),
        store: engine.store_size(),
    }
}
