//! What the collector exports: metrics over HTTP and OTLP, waves as traces, notifications.
//!
//! ```text
//! engine → metrics ─┬→ http
//!                   └→ otlp       engine → notify → webhook, mail, program
//! ```
//!
//! Each asks the engine, which knows none of them; what they count about themselves is in `counters`.

pub mod backoff;
pub mod counters;
pub mod metrics;
pub mod http;
pub mod otlp;
pub mod notify;

use counters::Counters;
use metrics::Snapshot;

use crate::engine::Engine;

/// The values of the metrics as the engine and the counters have them now.
fn snapshot(engine: &Engine, counters: &Counters) -> Snapshot {
    Snapshot {
        picture: engine.picture(None, false),
        waves: engine.measured_waves(),
        refused: engine.refusals.total(),
        notified: counters.targets(),
        exported: counters.otlp(),
        store: engine.store_size(),
    }
}
