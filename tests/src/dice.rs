//! Random numbers for tests.

/// A seeded random number generator.
pub struct Dice(u64);

impl Default for Dice {
    fn default() -> Dice {
        Dice::new()
    }
}

impl Dice {
    /// Seeded by SUPWATCH_SEED, or differently each time; the seed is printed, so that a failure can be repeated.
    pub fn new() -> Dice {
        let other = || std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
        let seed = std::env::var("SUPWATCH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(other);
        println!("SUPWATCH_SEED={seed}");
        Dice(seed)
    }

    /// Seeded explicitly.
    pub fn of(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below a limit.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }

    /// A number from `low` up to, but not including, `high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.below(u64::try_from(high - low).unwrap_or(0))).expect("small")
    }

    /// True with probability 1/n.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A random element.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }
}
