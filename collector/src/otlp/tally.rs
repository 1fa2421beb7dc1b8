//! How sending over OTLP fares, for the metrics.

use std::sync::{Mutex, PoisonError};

/// The counts of both signals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waves that the receiver has, since the start.
    pub waves_sent: u64,
    /// Waves that the receiver will never take, since the start.
    pub waves_refused: u64,
    /// Waves that it is still to get.
    pub waves_waiting: u64,
    /// Sendings of metrics that it has.
    pub metrics_sent: u64,
    /// Attempts of either that failed.
    pub failed: u64,
}

/// Counts that are shared; nothing where nothing is sent.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Option<Counts>>);

impl Tally {
    /// Changes the counts.
    pub fn note(&self, change: impl FnOnce(&mut Counts)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default());
    }

    /// The counts, once there are any.
    pub fn counts(&self) -> Option<Counts> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
