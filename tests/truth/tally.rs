//! Counts the results of each fault.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::{Expected, Name};
use crate::gaps;

/// One judged hierarchy.
pub struct Case {
    pub seed: u64,
    pub fault: Option<&'static str>,
    pub expected: Option<Expected>,
    pub right: bool,
    pub found: Vec<Name>,
    pub said: Vec<String>,
    pub traits: BTreeSet<&'static str>,
    pub sites: usize,
}

impl Case {
    fn fault(&self) -> &'static str {
        self.fault.unwrap_or("healthy")
    }

    /// Whether `gaps` explains why it is wrong.
    pub fn is_known(&self) -> bool {
        self.gaps().next().is_some()
    }

    fn gaps(&self) -> impl Iterator<Item = &'static str> + '_ {
        let concerns = |name: &str| self.fault == Some(name) || self.traits.contains(name);
        gaps::ALL.iter().map(|(name, _)| *name).filter(move |name| concerns(name))
    }

    /// Rule and cause of each finding, without sites.
    fn shape(&self) -> String {
        if self.right {
            return "right".to_owned();
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for name in &self.found {
            let cause = name.cause.as_ref().map(|cause| format!("/{cause}")).unwrap_or_default();
            *counts.entry(format!("{}{cause}", name.rule)).or_default() += 1;
        }
        if counts.is_empty() {
            return "nothing".to_owned();
        }
        let show = |(name, count): (String, usize)| if count == 1 { name } else { format!("{count} x {name}") };
        counts.into_iter().map(show).collect::<Vec<_>>().join(" + ")
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "seed {}: {} of {} sites, {:?}", self.seed, self.fault(), self.sites, self.traits)?;
        if let Some(Expected(any_of)) = &self.expected {
            let shown: Vec<String> =
                any_of.iter().map(|name| format!("{} {} {}", name.site, name.rule, name.cause.as_deref().unwrap_or(""))).collect();
            writeln!(out, "  wanted: {}", shown.join(" or "))?;
        }
        for said in &self.said {
            writeln!(out, "  found: {said}")?;
        }
        write!(out, "  {}", if self.right { "right" } else { "WRONG" })
    }
}

/// Results of many hierarchies.
#[derive(Default)]
pub struct Tally {
    count: u64,
    /// Fault → result → count, and one of its seeds.
    table: BTreeMap<&'static str, BTreeMap<String, (u64, u64)>>,
    /// Unexplained wrong results, a few of which are shown.
    wrong: Vec<Case>,
    wrong_count: u64,
    /// Entries of `gaps` that were needed.
    needed: BTreeSet<&'static str>,
}

const SHOWN: usize = 30;

impl Tally {
    pub fn add(&mut self, case: Case) {
        self.count += 1;
        let cell = self.table.entry(case.fault()).or_default().entry(case.shape()).or_insert((0, case.seed));
        *cell = (cell.0 + 1, cell.1.min(case.seed));
        if case.right {
            return;
        }
        if case.is_known() {
            self.needed.extend(case.gaps());
            return;
        }
        self.wrong_count += 1;
        self.wrong.push(case);
        self.keep_few();
    }

    fn keep_few(&mut self) {
        self.wrong.sort_by_key(|case| (case.sites, case.seed));
        self.wrong.truncate(SHOWN);
    }

    pub fn merge(&mut self, other: Tally) {
        self.count += other.count;
        for (fault, cells) in other.table {
            let own = self.table.entry(fault).or_default();
            for (shape, (count, seed)) in cells {
                let cell = own.entry(shape).or_insert((0, seed));
                *cell = (cell.0 + count, cell.1.min(seed));
            }
        }
        self.wrong.extend(other.wrong);
        self.wrong_count += other.wrong_count;
        self.needed.extend(other.needed);
        self.keep_few();
    }

    /// Fails on an unexplained wrong result and, if the run was long enough, on a gap that was not needed.
    pub fn assert_right(&self, long: bool) {
        let unneeded = gaps::ALL.iter().map(|(name, _)| *name).filter(|name| !self.needed.contains(name));
        let unneeded: Vec<&str> = unneeded.collect();
        assert!(self.wrong_count == 0, "{} of {} hierarchies are not told as they are", self.wrong_count, self.count);
        assert!(!long || unneeded.is_empty(), "mended, so take them out of tests/truth/gaps.rs: {}", unneeded.join(", "));
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "{} hierarchies, {} faults", self.count, self.table.keys().filter(|fault| **fault != "healthy").count())?;
        writeln!(out, "{:<34} {:>6}  {:<8} found", "fault", "count", "seed")?;
        for (fault, cells) in &self.table {
            let mut cells: Vec<_> = cells.iter().collect();
            cells.sort_by_key(|(shape, (count, _))| (*shape != "right", std::cmp::Reverse(*count)));
            for (shape, (count, seed)) in cells {
                writeln!(out, "{fault:<34} {count:>6}  {seed:<8} {shape}")?;
            }
        }
        for case in &self.wrong {
            writeln!(out, "{case}")?;
        }
        if self.wrong_count > 0 {
            writeln!(out, "repeat one: SUPWATCH_TRUTH_SEED=<seed> cargo test -p supwatch-tests --test truth -- --nocapture")?;
        }
        Ok(())
    }
}
