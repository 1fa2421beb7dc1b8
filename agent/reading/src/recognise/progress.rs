//! Thinning of progress: the first and the last record are reported, and at most one a minute in between.
//!
//! A held-back record is kept as raw text in a reused buffer: a run writes thousands of such lines, and all but a few are never
//! reported.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use supwatch_model::time::Certainty;

use super::Written;
use crate::parse::{self, Record};

const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Progress of one file, by subject: several run in parallel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Thinning {
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kind {
    key: String,
    /// Whether this kind was reported since the last record of another kind.
    #[serde(rename = "told")]
    reported: bool,
    /// Time of the newest reported record (UTC).
    #[serde(rename = "told_at")]
    reported_at: Option<Timestamp>,
    held: Held,
    holds: bool,
}

/// A record that is held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    raw: String,
    offset: u64,
    length: u64,
    pub written: Written,
}

impl Held {
    /// The record as it was read.
    pub fn record(&self) -> Record<'_> {
        Record { offset: self.offset, length: self.length, ..parse::parse(&self.raw) }
    }
}

impl Thinning {
    fn kind(&mut self, key: &str) -> Option<&mut Kind> {
        if !self.kinds.iter().any(|kind| kind.key == key) {
            let held = Held { raw: String::new(), offset: 0, length: 0, written: (None, Certainty::Local) };
            self.kinds.push(Kind { key: key.to_owned(), reported: false, reported_at: None, held, holds: false });
        }
        self.kinds.iter_mut().find(|kind| kind.key == key)
    }

    /// Whether to report this record now; an earlier held-back record is then obsolete.
    pub fn is_due(&mut self, key: &str, time: Option<Timestamp>, last: bool) -> bool {
        let Some(kind) = self.kind(key) else { return true };
        let due = match (kind.reported_at, time) {
            _ if !kind.reported => true,
            (Some(before), Some(now)) => now.duration_since(before) >= EVERY,
            // Without times the interval cannot be measured; the last record is still reported.
            _ => false,
        };
        if due || last {
            (kind.reported, kind.reported_at, kind.holds) = (true, time, false);
        }
        due || last
    }

    /// Holds a record back until another kind follows.
    pub fn hold(&mut self, key: &str, record: &Record<'_>, written: Written) {
        let Some(kind) = self.kind(key) else { return };
        kind.held.raw.clear();
        kind.held.raw.push_str(super::text::head(record.raw, super::RAW_LIMIT));
        (kind.held.offset, kind.held.length, kind.held.written) = (record.offset, record.length, written);
        kind.holds = true;
    }

    /// Removes and returns the held records in written order; the next record of each kind counts as a first one.
    pub fn take(&mut self) -> Vec<Held> {
        let mut all: Vec<Held> = Vec::new();
        for kind in &mut self.kinds {
            kind.reported = false;
            if std::mem::take(&mut kind.holds) {
                all.push(kind.held.clone());
            }
        }
        all.sort_by_key(|held| held.offset);
        all
    }

    /// State from which to resume after a restart, without kinds that another record ended.
    pub fn kept(&self) -> Thinning {
        let mut kinds: Vec<Kind> = self.kinds.iter().filter(|kind| kind.reported || kind.holds).cloned().collect();
        for kind in kinds.iter_mut().filter(|kind| !kind.holds) {
            kind.held.raw.clear();
        }
        Thinning { kinds }
    }
}
