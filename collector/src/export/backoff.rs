//! Exponential backoff with a limit and jitter.

use std::time::Duration;

/// Delays between attempts.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Delay after the first failure.
    pub first: Duration,
    /// Longest delay.
    pub most: Duration,
}

impl Backoff {
    /// The delay after this many failures in a row: doubled each time, with jitter over its upper half by `share` of 0 to 1, so
    /// that senders that failed together do not retry together.
    pub fn after(self, failures: u32, share: f64) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.most).mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)
    }
}

/// A random number from 0 to 1, for the jitter.
pub fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers there is simply no jitter.
    let number = getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_be_bytes(bytes));
    f64::from(number) / f64::from(u32::MAX)
}
