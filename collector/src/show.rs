//! The picture for people and programs: tables and trees in a terminal, JSON, and an HTML page.

pub mod render;
pub mod report;
