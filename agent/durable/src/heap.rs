//! Makes the C library return large buffers to the operating system.
//!
//! sled uses buffers of half a MiB in several threads, mostly while it opens. By default glibc reacts to the first freed one by
//! keeping later ones in its per-thread heaps, between small long-lived allocations: an agent that reopens its spool now and then
//! grew to 60 MiB that way, of which it used 10. A fixed threshold, set to glibc's initial value, keeps large buffers apart. No
//! safe call sets it, so this module alone may use an unsafe one.

#![allow(unsafe_code)]

use std::sync::Once;

/// Size in bytes from which a buffer is allocated directly from the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const THRESHOLD: libc::c_int = 128 * 1024;

/// Fixes the threshold, once per process.
pub(super) fn ensure() {
    static ONCE: Once = Once::new();
    ONCE.call_once(fix);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn fix() {
    // SAFETY: mallopt takes two integers, locks the heap while it sets them, and touches no memory of ours.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD) };
    if taken == 0 {
        tracing::debug!("the C library rejects a threshold for large buffers; memory may grow");
    }
}

/// Other C libraries have fixed thresholds.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn fix() {}
