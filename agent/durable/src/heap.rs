//! Makes the C library give large buffers back to the system.
//!
//! sled works with buffers of half a MiB, in several threads, above all while it opens. glibc takes a freed one as a sign to
//! keep such buffers in its heaps from then on, each thread's its own, between small things that stay: an agent that opens
//! its spool now and then grew to 60 MiB that way, of which it used 10. A fixed threshold, the one glibc begins with, keeps
//! them apart. There is no safe call for that, so this module alone is allowed an unsafe one.

#![allow(unsafe_code)]

use std::sync::Once;

/// Bytes from which on a buffer is the system's own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const THRESHOLD: libc::c_int = 128 * 1024;

/// Fixes the threshold, once for the process.
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
