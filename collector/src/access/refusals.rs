//! Refused connections and streams, kept for the operator. Bounded, so that a hostile peer cannot fill memory.

use std::collections::VecDeque;
use std::sync::Mutex;

use jiff::Timestamp;
use supwatch_model::picture::Refusal;
use supwatch_model::text::Text;

/// Different refusals kept.
const KEPT: usize = 100;

/// Refusals, newest last.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<(VecDeque<Refusal>, u64)>);

impl Refusals {
    /// Records a refusal; repeats of the same peer and reason are counted.
    pub fn record(&self, at: Timestamp, peer: &str, reason: Text, remedy: Text) {
        tracing::warn!(peer, reason = reason.en, "connection or request refused");
        let mut guard = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (kept, total) = &mut *guard;
        *total += 1;
        let known = kept.iter().position(|refusal| refusal.peer == peer && refusal.reason == reason);
        let times = known.and_then(|index| kept.remove(index)).map_or(1, |refusal| refusal.times.saturating_add(1));
        kept.push_back(Refusal { at: Some(at), peer: peer.to_owned(), reason, remedy, times });
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Newest first.
    pub fn list(&self) -> Vec<Refusal> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.iter().rev().cloned().collect()
    }

    /// Number of refusals since the start.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_counted_and_others_push_old_ones_out() {
        let refusals = Refusals::default();
        for _ in 0..3 {
            refusals.record(Timestamp::UNIX_EPOCH, "a", Text::new("x", "x"), Text::default());
        }
        assert_eq!(refusals.list().iter().map(|r| r.times).collect::<Vec<_>>(), [3]);
        for peer in 0..200 {
            refusals.record(Timestamp::UNIX_EPOCH, &peer.to_string(), Text::new("x", "x"), Text::default());
        }
        assert_eq!((refusals.list().len(), refusals.total()), (KEPT, 203));
        assert_eq!(refusals.list().first().map(|r| r.peer.clone()), Some("199".to_owned()));
    }
}
