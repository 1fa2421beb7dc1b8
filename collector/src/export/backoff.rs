//! Backoff between attempts at something that fails: doubled each time up to a limit, and scattered.

use std::time::Duration;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row: doubled each time, scattered over its upper half by `share` of 0 to 1, so
    /// that many who failed together do not return in step.
    pub fn after(self, failures: u32, share: f64) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        doubled.min(self.most).mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)
    }
}

/// Anything from 0 to 1.
pub fn share() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers the pause is merely the same for all.
    let number = getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_be_bytes(bytes));
    f64::from(number) / f64::from(u32::MAX)
}
