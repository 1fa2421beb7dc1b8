//! When a site is asked next. Pure; moments are counted from the agent's start.
//!
//! Rounds are spread by random, so that the agents of a hierarchy, restarted by one update of Windows, do not ask the
//! servers they share in step.

use std::time::Duration;

/// How often.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two rounds of a site, a tenth more or less.
    pub every: Duration,
    /// The first round comes within this time.
    pub first: Duration,
    /// A change of the site's settings brings the next round forward, but not closer to the last one than this.
    pub apart: Duration,
    /// Between two looks at whether the settings changed.
    pub look: Duration,
}

impl Pace {
    /// What is used in earnest.
    pub fn every(every: Duration) -> Pace {
        Pace { every, first: Duration::from_secs(5), apart: Duration::from_secs(60), look: Duration::from_secs(2) }
    }
}

/// When one site is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    next: Duration,
    last: Option<Duration>,
}

impl Schedule {
    /// From the start; `random` is any number. The looks take their part of the time.
    pub fn new(pace: &Pace, random: u32) -> Schedule {
        Schedule { next: part(pace.first.saturating_sub(pace.look), random), last: None }
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.next
    }

    /// The settings changed.
    pub fn bring_forward(&mut self, now: Duration, pace: &Pace) {
        let earliest = self.last.map_or(self.next, |last| now.max(last + pace.apart));
        self.next = self.next.min(earliest);
    }

    /// A round has ended.
    pub fn ended(&mut self, now: Duration, pace: &Pace, random: u32) {
        self.last = Some(now);
        self.next = now + pace.every - pace.every / 10 + part(pace.every / 5, random);
    }
}

/// A part of a time, by random.
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
