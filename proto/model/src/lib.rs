//! The domain types that agent and collector share, as plain values: events, settings, runs, verdicts, findings, the picture,
//! and the TOML files that describe a site.
//!
//! ```text
//! Event → Run, Settings → Verdict → Finding → Picture
//! ```
//!
//! No I/O, no clock, no protobuf: their messages and the conversions are `supwatch-proto`'s.

pub mod ids;
pub mod time;
pub mod text;
pub mod event;
pub mod place;
pub mod coverage;
pub mod settings;
pub mod names;
pub mod run;
pub mod wave;
pub mod verdict;
pub mod finding;
pub mod picture;
pub mod history;
pub mod describe;
pub mod config;
