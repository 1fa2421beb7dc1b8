//! The collector of supwatch: takes events in, keeps them, judges the hierarchy, and answers.
//!
//! ```text
//! ingest → store → hierarchy → rules, diagnosis → judge → findings → metrics / notify / query → CLI
//! ```
//!
//! `hierarchy`, `runs`, `rules`, `diagnosis`, `judge`, `metrics`, `render` and `report` are pure: what they say depends on the
//! events and on the time passed in, so judging live and judging a replay give the same.

pub mod identity;
pub mod tls;
pub mod refusals;
pub mod mind;
pub mod ingest;
pub mod causes;
pub mod pauses;
pub mod notify;
pub mod metrics;
pub mod otlp;
pub mod http;
pub mod query;
pub mod operate;
pub mod config;
pub mod app;
pub mod pki;
pub mod analyze;
pub mod demo;
pub mod render;
pub mod report;
pub mod cli;
