//! Mistakes planted for the tests of the tests: the simulation must find each of them.
//!
//! Only with the feature `planted-faults`, which the tests crate asks for as a dev-dependency and no program has. Without it
//! every function here is what the code would be if it were not there. A mistake is planted for the thread that asks for
//! it: a simulation runs on one.

use supwatch_model::event::Event;

/// A mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A checkpoint is stored at once, the events read up to it with the next one.
    CursorBeforeEvents,
    /// Events are dropped when the spool is full, and reading goes on.
    DroppedWhenFull,
    /// The checkpoint points into a line that is not whole yet.
    TornLine,
    /// A spool that was set back in time is not recognised.
    SetBackUnseen,
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Fault>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake on this thread, or takes it away.
#[cfg(feature = "planted-faults")]
pub fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}

/// Whether a mistake is planted.
#[cfg(feature = "planted-faults")]
pub fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

/// Whether a mistake is planted: never.
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
    /// The events themselves, or with [`Fault::CursorBeforeEvents`] those of the time before.
    #[cfg(feature = "planted-faults")]
    pub(crate) fn instead_of(&mut self, events: Vec<Event>) -> Vec<Event> {
        if is(Fault::CursorBeforeEvents) { std::mem::replace(&mut self.events, events) } else { events }
    }

    /// The events themselves.
    #[cfg(not(feature = "planted-faults"))]
    pub(crate) fn instead_of(&mut self, events: Vec<Event>) -> Vec<Event> {
        events
    }
}
