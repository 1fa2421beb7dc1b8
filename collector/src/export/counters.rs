//! Counters of exports and notifications since the collector's start, for the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The counters, shared by the senders and `/metrics`.
#[derive(Debug, Default)]
pub struct Counters {
    notified: Mutex<BTreeMap<String, Notified>>,
    exported: Mutex<Option<Exported>>,
}

/// Counters of one notification target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notified {
    /// Notifications delivered.
    pub sent: u64,
    /// Delivery attempts that failed.
    pub failed: u64,
    /// Notifications due now and not yet delivered.
    pub waiting: u64,
}

/// Counters of the OTLP export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Waves the receiver accepted.
    pub waves_sent: u64,
    /// Waves the receiver rejected permanently.
    pub waves_refused: u64,
    /// Waves not yet sent.
    pub waves_waiting: u64,
    /// Metrics exports the receiver accepted.
    pub metrics_sent: u64,
    /// Export attempts of waves or metrics that failed.
    pub failed: u64,
}

impl Counters {
    /// Changes the counters of a target.
    pub fn notified(&self, target: &str, change: impl FnOnce(&mut Notified)) {
        change(lock(&self.notified).entry(target.to_owned()).or_default());
    }

    /// Changes the counters of the OTLP export.
    pub fn exported(&self, change: impl FnOnce(&mut Exported)) {
        change(lock(&self.exported).get_or_insert_default());
    }

    /// Counters of every configured target, by name.
    pub fn targets(&self) -> Vec<(String, Notified)> {
        lock(&self.notified).iter().map(|(target, counts)| (target.clone(), *counts)).collect()
    }

    /// Counters of the OTLP export; `None` where it is not configured.
    pub fn otlp(&self) -> Option<Exported> {
        *lock(&self.exported)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
