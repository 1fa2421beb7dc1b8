//! The protocol: the generated protobuf and gRPC types, and how each domain type becomes its message and back.
//!
//! ```text
//! supwatch-model ⇄ wire ⇄ the network
//! ```
//!
//! Generated types go no further than the edges of the programs.

pub mod wire;
pub mod time;
pub mod channel;
mod text;
mod event;
mod place;
mod coverage;
mod run;
mod wave;
mod verdict;
mod finding;
mod picture;
mod history;
mod describe;
