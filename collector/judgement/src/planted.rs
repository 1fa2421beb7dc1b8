//! A fault planted to test the tests: the simulation must find it.
//!
//! Compiled only with the feature `planted-faults`, which the tests crate enables as a dev-dependency and no program has. The
//! fault is planted for the calling thread: a simulation runs on one.

#[cfg(feature = "planted-faults")]
thread_local! {
    static BACKLOG_JUDGED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Plants or removes the fault: a site is judged in the middle of its backlog, and by the wall clock.
#[cfg(feature = "planted-faults")]
pub fn plant_backlog_judged(planted: bool) {
    BACKLOG_JUDGED.set(planted);
}

/// Whether it is planted.
#[cfg(feature = "planted-faults")]
pub(crate) fn is_backlog_judged() -> bool {
    BACKLOG_JUDGED.get()
}

/// Whether it is planted: never.
#[cfg(not(feature = "planted-faults"))]
pub(crate) const fn is_backlog_judged() -> bool {
    false
}
