//! Thinning of progress: told first, last, and at most once a minute between.
//!
//! What is held back is kept as its raw text, in memory that is used again: a run writes thousands of such lines, and all
//! but a few are never told.

use jiff::{SignedDuration, Timestamp};

use super::Written;
use crate::parse::{self, Record};

const EVERY: SignedDuration = SignedDuration::from_secs(60);

/// Progress of one file, by what it is the progress of: several go on side by side.
#[derive(Debug, Default)]
pub(super) struct Thinning {
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    key: &'static str,
    /// When it was last told; `None` once something else ended it.
    told: Option<Option<Timestamp>>,
    held: Held,
    holds: bool,
}

/// A record that is held back.
#[derive(Debug, Clone)]
pub(super) struct Held {
    raw: String,
    offset: u64,
    length: u64,
    pub written: Written,
}

impl Held {
    /// As it was read.
    pub fn record(&self) -> Record<'_> {
        Record { offset: self.offset, length: self.length, ..parse::parse(&self.raw) }
    }
}

impl Thinning {
    fn kind(&mut self, key: &'static str) -> Option<&mut Kind> {
        if !self.kinds.iter().any(|kind| kind.key == key) {
            let written = (None, supwatch_proto::time::Certainty::Local);
            let held = Held { raw: String::new(), offset: 0, length: 0, written };
            self.kinds.push(Kind { key, told: None, held, holds: false });
        }
        self.kinds.iter_mut().find(|kind| kind.key == key)
    }

    /// Whether this one is to be told; the one held back is then out of date.
    pub fn is_due(&mut self, key: &'static str, time: Option<Timestamp>, last: bool) -> bool {
        let Some(kind) = self.kind(key) else { return true };
        let due = match (kind.told, time) {
            (None, _) => true,
            (Some(Some(before)), Some(now)) => now.duration_since(before) >= EVERY,
            // Without times a minute cannot be told; the last one still is.
            (Some(_), _) => false,
        };
        if due || last {
            kind.told = Some(time);
            kind.holds = false;
        }
        due || last
    }

    /// Keeps a record for when something else comes.
    pub fn hold(&mut self, key: &'static str, record: &Record<'_>, written: Written) {
        let Some(kind) = self.kind(key) else { return };
        kind.held.raw.clear();
        kind.held.raw.push_str(record.raw);
        (kind.held.offset, kind.held.length, kind.held.written) = (record.offset, record.length, written);
        kind.holds = true;
    }

    /// What is held back, in the order it was written; the next one of each is a first one again.
    pub fn take(&mut self) -> Vec<Held> {
        let mut all: Vec<Held> = Vec::new();
        for kind in &mut self.kinds {
            kind.told = None;
            if std::mem::take(&mut kind.holds) {
                all.push(kind.held.clone());
            }
        }
        all.sort_by_key(|held| held.offset);
        all
    }
}
