//! Counters of what leaves the collector, since its start, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All of them, shared by those who send and those who show.
#[derive(Debug, Default)]
pub struct Counters {
    notified: Mutex<BTreeMap<String, Notified>>,
    exported: Mutex<Option<Exported>>,
}

/// Notifications of one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notified {
    /// Delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Due now, not yet delivered.
    pub waiting: u64,
}

/// What is sent over OTLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Waves that the receiver has.
    pub waves_sent: u64,
    /// Waves that the receiver refused for good.
    pub waves_refused: u64,
    /// Waves not yet sent.
    pub waves_waiting: u64,
    /// Exports of the metrics that the receiver has.
    pub metrics_sent: u64,
    /// Attempts of either that failed.
    pub failed: u64,
}

impl Counters {
    /// Changes the counters of a target.
    pub fn notified(&self, target: &str, change: impl FnOnce(&mut Notified)) {
        change(lock(&self.notified).entry(target.to_owned()).or_default());
    }

    /// Changes those of OTLP.
    pub fn exported(&self, change: impl FnOnce(&mut Exported)) {
        change(lock(&self.exported).get_or_insert_default());
    }

    /// Those of every target, by its name; there are as many as are configured.
    pub fn targets(&self) -> Vec<(String, Notified)> {
        lock(&self.notified).iter().map(|(target, counts)| (target.clone(), *counts)).collect()
    }

    /// Those of OTLP; `None` where it is not configured.
    pub fn otlp(&self) -> Option<Exported> {
        *lock(&self.exported)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
