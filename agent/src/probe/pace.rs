//! When a site is probed next. Pure; times are durations since the agent's start.
//!
//! Rounds are jittered, so that the agents of a hierarchy, restarted together by a Windows update, do not probe shared
//! servers at the same time.

use std::time::Duration;

/// Intervals of probing.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Time between two rounds of a site, jittered by a tenth.
    pub every: Duration,
    /// Latest start of the first round.
    pub first: Duration,
    /// Least time between two rounds when a settings change brings the next one forward.
    pub apart: Duration,
    /// Time between two checks for changed settings.
    pub look: Duration,
}

impl Pace {
    /// The production intervals, with this time between rounds.
    pub fn every(every: Duration) -> Pace {
        Pace { every, first: Duration::from_secs(5), apart: Duration::from_secs(60), look: Duration::from_secs(2) }
    }
}

/// The probing schedule of one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    next: Duration,
    last: Option<Duration>,
}

impl Schedule {
    /// Schedules the first round; `random` is any number. The check interval is subtracted from the time allowed.
    pub fn new(pace: &Pace, random: u32) -> Schedule {
        Schedule { next: part(pace.first.saturating_sub(pace.look), random), last: None }
    }

    /// Whether a round is due.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// Brings the next round forward after a settings change.
    pub fn bring_forward(&mut self, now: Duration, pace: &Pace) {
        let earliest = self.last.map_or(self.next, |last| now.max(last + pace.apart));
        self.next = self.next.min(earliest);
    }

    /// Schedules the next round after one ended.
    pub fn ended(&mut self, now: Duration, pace: &Pace, random: u32) {
        self.last = Some(now);
        self.next = now + pace.every - pace.every / 10 + part(pace.every / 5, random);
    }
}

/// A random part of a duration.
fn part(whole: Duration, random: u32) -> Duration {
    whole.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const LIKELY: [u32; 3] = [0, u32::MAX / 2, u32::MAX];

    #[test]
    fn the_first_round_comes_within_its_time() {
        let pace = Pace::every(s(900));
        for random in LIKELY {
            assert!(Schedule::new(&pace, random).is_due(pace.first - pace.look));
        }
        assert!(!Schedule::new(&pace, u32::MAX).is_due(s(1)), "a fleet does not begin in step");
    }

    #[test]
    fn rounds_are_a_tenth_more_or_less_than_the_interval_apart() {
        let pace = Pace::every(s(900));
        for random in LIKELY {
            let mut schedule = Schedule::new(&pace, 0);
            schedule.ended(s(100), &pace, random);
            assert!(!schedule.is_due(s(100 + 809)) && schedule.is_due(s(100 + 991)), "{schedule:?}");
        }
    }

    #[test]
    fn a_change_brings_a_round_but_at_most_one_a_minute() {
        let pace = Pace::every(s(900));
        let mut schedule = Schedule::new(&pace, 0);
        schedule.ended(s(100), &pace, 0);
        schedule.bring_forward(s(105), &pace);
        assert!(!schedule.is_due(s(159)) && schedule.is_due(s(160)));
        schedule.bring_forward(s(130), &pace);
        assert!(schedule.is_due(s(160)), "a further change neither hastens nor delays it");
        schedule.ended(s(160), &pace, 0);
        schedule.bring_forward(s(700), &pace);
        assert!(schedule.is_due(s(700)));
    }

    #[test]
    fn a_change_before_the_first_round_changes_nothing() {
        let pace = Pace::every(s(900));
        let mut schedule = Schedule::new(&pace, u32::MAX);
        schedule.bring_forward(s(0), &pace);
        assert_eq!(schedule, Schedule::new(&pace, u32::MAX));
    }
}
