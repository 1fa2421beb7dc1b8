//! The picture for people and programs: tables and trees in a terminal, JSON, and a page of HTML.

pub mod render;
pub mod report;
