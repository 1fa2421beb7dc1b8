//! The agent of supwatch: watches the logs and settings of a site server and sends typed events to the collector.
//!
//! ```text
//! watch → tail → (supwatch-reading: bytes → events) → spool → uplink
//!         command, snapshots, probe ────────────────▶┘
//! ```
//!
//! `collect` joins them for the sites of one agent. The edges are `watch` and `tail` (files), `command` (processes), `spool`
//! (disk), `probe` and `uplink` (network); what is pure is in `supwatch-reading`.

pub mod address;
pub mod config;
pub mod spool;
pub mod watch;
pub mod tail;
pub mod command;
pub mod collect;
pub mod probe;
pub mod connector;
pub mod uplink;
pub mod app;
pub mod show;
pub mod planted;
