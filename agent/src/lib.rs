//! The agent of supwatch: what happens in the logs and settings of a site, as typed events.
//!
//! ```text
//! watch → tail → lines → encoding → assemble → parse → clock → recognise → spool → uplink
//!                                   settings (snapshot, site.toml), probe ───────▶┘
//! ```
//!
//! The stages from `lines` to `recognise` are pure; [`reader`] joins them for one file and is, with [`paste`], all that the
//! offline commands need. The edges are `tail` (files), `spool` (disk), `probe` and `uplink` (network).

pub mod lines;
pub mod encoding;
pub mod assemble;
pub mod parse;
pub mod clock;
pub mod recognise;
pub mod reader;
pub mod paste;
pub mod settings;
pub mod site_folder;
pub mod watch;
pub mod tail;
pub mod spool;
pub mod collect;
pub mod probe;
pub mod uplink;
pub mod connector;
pub mod config;
pub mod app;
pub mod show;
pub mod planted;
#[cfg(any(test, feature = "invariants"))]
pub mod invariants;
