//! How notifications fare, by target, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counts of every target; there are as many as are configured.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, Counts>>);

/// The counts of one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notifications told since the start.
    pub sent: u64,
    /// Attempts that failed since the start.
    pub failed: u64,
    /// Notifications that are to be told now.
    pub waiting: u64,
}

impl Tally {
    /// Changes the counts of a target.
    pub fn note(&self, target: &str, change: impl FnOnce(&mut Counts)) {
        change(self.inner().entry(target.to_owned()).or_default());
    }

    /// The counts of every target.
    pub fn counts(&self) -> Vec<(String, Counts)> {
        self.inner().iter().map(|(target, counts)| (target.clone(), *counts)).collect()
    }

    fn inner(&self) -> MutexGuard<'_, BTreeMap<String, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
