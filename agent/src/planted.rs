//! Faults planted to test the tests: the simulation must find each of them.
//!
//! Compiled only with the feature `planted-faults`, which the tests crate enables as a dev-dependency and no program has. Without
//! it every function here is a no-op. A fault is planted for the calling thread: a simulation runs on one.

use supwatch_model::event::Event;

/// A deliberate bug that a simulation must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A checkpoint is stored at once, the events read up to it with the next one.
    CursorBeforeEvents,
    /// Events are dropped when the spool is full, and reading continues.
    DroppedWhenFull,
    /// The checkpoint points into an incomplete line.
    TornLine,
    /// A spool that was rolled back is not detected.
    SetBackUnseen,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a fault on this thread, or removes it.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether this fault is planted on this thread.
#[cfg(feature = "planted-faults")]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Always false: faults are compiled out.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn is(_fault: Fault) -> bool {
    false
}

/// Events held back from their checkpoint; lost with the process.
#[derive(Debug, Default)]
pub(crate) struct Held {
    #[cfg(feature = "planted-faults")]
    events: Vec<Event>,
}

impl Held {
    /// The given events, or with [`Fault::CursorBeforeEvents`] those of the previous call.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn instead_of(&mut self, events: Vec<Event>) -> Vec<Event> {
        if is(Fault::CursorBeforeEvents) { std::mem::replace(&mut self.events, events) } else { events }
    }

    /// The given events.
    #[cfg(not(feature = "planted-faults"))]
    pub(crate) fn instead_of(&mut self, events: Vec<Event>) -> Vec<Event> {
        events
    }
}
