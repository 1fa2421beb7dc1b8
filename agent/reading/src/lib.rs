//! Bytes of a log → typed events, and a settings snapshot or a dump → its event.
//!
//! ```text
//! lines → encoding → assemble → parse → clock → recognise      joined for one file by reader
//! ```
//!
//! Pure: no file, clock or network. The agent feeds it from disk; `supwatch analyze` also feeds it from archives and, after
//! [`paste`] has undone what mailers and forums do to a log, from standard input.

#![cfg_attr(test, allow(clippy::disallowed_methods))] // tests read fixtures and their number of cases

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
#[cfg(any(test, feature = "invariants"))]
pub mod invariants;
