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
