//! Runs and notifications of all sites → waves: each run of a top site, and how far it got below, edge by edge.
//!
//! Pure.

use jiff::Timestamp;
use supwatch_proto::wave::Wave;

use crate::hierarchy::Hierarchy;
use crate::limits::Limits;

/// The waves of a hierarchy, put together when asked for.
pub struct Waves<'a> {
    hierarchy: &'a Hierarchy,
    limits: &'a Limits,
    now: Timestamp,
}

impl<'a> Waves<'a> {
    /// As they stand at a moment.
    pub fn new(hierarchy: &'a Hierarchy, limits: &'a Limits, now: Timestamp) -> Waves<'a> {
        Waves { hierarchy, limits, now }
    }

    /// The newest, newest first.
    pub fn newest(&self, last: usize) -> Vec<Wave> {
        let _ = (self.hierarchy, self.limits, self.now, last);
        Vec::new()
    }

    /// A wave by its id.
    pub fn get(&self, id: &str) -> Option<Wave> {
        let _ = id;
        None
    }
}
