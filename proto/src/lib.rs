//! What agent and collector agree on: domain types, each with its wire conversion at its foot.
//!
//! ```text
//! line → record → Event ──wire──▶ Event → Run, SettingsSnapshot → Verdict → Finding → Picture ──wire──▶ CLI
//! ```
//!
//! Generated protobuf types live in [`wire`] and go no further than the edges of the programs.

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
pub mod channel;
pub mod wire;
