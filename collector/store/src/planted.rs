//! Faults planted to test the tests: the simulation must find each of them.
//!
//! Compiled only with the feature `planted-faults`, which the tests crate enables as a dev-dependency and no program has. Without
//! it the functions here change nothing. A fault is planted for the calling thread: a simulation runs on one.

/// A deliberate bug that a simulation must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Events are acknowledged before they are stored.
    AcknowledgedFirst,
    /// Duplicates are recognised by their recent arrival, not by number.
    DuplicatesByTime,
    /// An older session of an agent keeps storing beside the newer one.
    FenceIgnored,
    /// An epoch that was replaced by a later one continues.
    ReplacedGoesOn,
    /// Off by one at the mark: the first event that the agent still has counts as lost.
    EdgeOfTheMark,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault on this thread, or removes it.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
    lately::forget();
}

/// Whether this fault is planted on this thread.
#[cfg(feature = "planted-faults")]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Always false: faults are compiled out.
#[cfg(not(feature = "planted-faults"))]
pub const fn is(_fault: Fault) -> bool {
    false
}

/// Recently arrived events.
#[cfg(feature = "planted-faults")]
pub mod lately {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::time::Duration;

    use supwatch_model::event::Event;

    /// How long an arrival is remembered.
    const WINDOW: Duration = Duration::from_secs(5);
    /// How many events before the mark an agent must send again.
    const AGAIN: u64 = 20;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static SEEN: RefCell<BTreeMap<(String, String, String), Duration>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Advances the time.
    pub fn now(now: Duration) {
        NOW.set(now);
    }

    pub(super) fn forget() {
        SEEN.with_borrow_mut(BTreeMap::clear);
    }

    /// Keeps events that did not arrive recently, instead of those after the mark.
    pub(crate) fn retain(events: &mut Vec<Event>) {
        let now = NOW.get();
        SEEN.with_borrow_mut(|seen| {
            events.retain(|event| {
                let key = (event.site.to_string(), event.file.clone(), event.line.clone());
                seen.insert(key, now).is_none_or(|before| now.saturating_sub(before) > WINDOW)
            });
        });
    }

    /// If the fault is planted, a lower mark, which makes the agent send some events again.
    pub fn asked_again(durable_sequence: u64) -> Option<u64> {
        super::is(super::Fault::DuplicatesByTime).then(|| durable_sequence.saturating_sub(AGAIN))
    }
}
