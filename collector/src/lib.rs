//! The collector of supwatch: receives events, stores and judges them, answers, exports and notifies.
//!
//! ```text
//! access → ingest → engine (supwatch-store, supwatch-judgement) → query  → cli, show
//!                                                               → export → metrics, OTLP, notifications
//! ```
//!
//! Judgement is pure and in `supwatch-judgement`; here are the edges. `analyze` gives a folder of logs the same judgement
//! without a collector, `demo` runs a whole hierarchy on one machine.

pub mod access;
pub mod engine;
pub mod ingest;
pub mod query;
pub mod export;
pub mod config;
pub mod app;
pub mod analyze;
pub mod show;
pub mod demo;
pub mod cli;
