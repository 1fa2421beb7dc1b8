//! Judgement: events and time in, verdicts, findings, waves and the picture out.
//!
//! ```text
//! Event → settings, runs → hierarchy → rules, diagnosis → judge → consequences, waves → picture
//! ```
//!
//! Pure: no file, network, clock or thread, so live judgement and a replay give the same result. Files (`rules.toml`, an
//! administrator's causes) are passed in as text.

#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests read fixtures and their number of cases

pub mod diagnosis;
pub mod runs;
pub mod settings;
pub mod hierarchy;
pub mod settings_view;
pub mod limits;
pub mod waves;
pub mod rules;
pub mod judge;
pub mod consequences;
pub mod trends;
pub mod whatif;
pub mod picture;
pub mod planted;
