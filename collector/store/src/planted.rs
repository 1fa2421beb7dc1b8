//! Mistakes planted for the tests of the tests: the simulation must find each of them.
//!
//! Only with the feature `planted-faults`, which the tests crate asks for as a dev-dependency and no program has. Without it
//! every function here is what the code would be if it were not there. A mistake is planted for the thread that asks for
//! it: a simulation runs on one.

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Events are acknowledged before they are stored.
    AcknowledgedFirst,
    /// Duplicates are recognised because they arrived lately, whatever their number.
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

/// Plants a mistake on this thread, or removes it.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
    lately::forget();
}

/// Whether a mistake is planted.
#[cfg(feature = "planted-faults")]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether a mistake is planted: never.
#[cfg(not(feature = "planted-faults"))]
pub const fn is(_fault: Fault) -> bool {
    false
}

/// Events that arrived lately.
#[cfg(feature = "planted-faults")]
pub mod lately {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::time::Duration;

    use supwatch_model::event::Event;

    /// How long something is remembered.
    const WINDOW: Duration = Duration::from_secs(5);
    /// How many events before the mark an agent is made to send again.
    const AGAIN: u64 = 20;

    thread_local! {
        static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        static SEEN: RefCell<BTreeMap<(String, String, String), Duration>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Time passes.
    pub fn now(now: Duration) {
        NOW.set(now);
    }

    pub(super) fn forget() {
        SEEN.with_borrow_mut(BTreeMap::clear);
    }

    /// Keeps events that did not arrive lately, instead of those after the mark.
    pub(crate) fn retain(events: &mut Vec<Event>) {
        let now = NOW.get();
        SEEN.with_borrow_mut(|seen| {
            events.retain(|event| {
                let key = (event.site.to_string(), event.file.clone(), event.line.clone());
                seen.insert(key, now).is_none_or(|before| now.saturating_sub(before) > WINDOW)
            });
        });
    }

    /// A lower mark, which makes an agent send some events again, if the mistake is planted.
    pub fn asked_again(durable_sequence: u64) -> Option<u64> {
        super::is(super::Fault::DuplicatesByTime).then(|| durable_sequence.saturating_sub(AGAIN))
    }
}
