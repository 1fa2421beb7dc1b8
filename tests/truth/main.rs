//! Generated hierarchies, healthy or with one fault, read and judged as `supwatch analyze` does. A healthy one gives no finding
//! above info; a faulty one gives exactly one cause, which names the fault.
//!
//! `SUPWATCH_TRUTH_COUNT` sets the number of hierarchies (2,000); `SUPWATCH_TRUTH_SEED` repeats one, and `SUPWATCH_TRUTH_KEEP`
//! keeps its folder.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod build;
mod faults;
mod gaps;
mod judge;
mod snapshot;
mod stamp;
mod story;
mod tally;
mod wcm;
mod world;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use supwatch_judgement::diagnosis::Catalogue;
use supwatch_tests::dice::Dice;

use faults::{Expected, Fault};
use tally::{Case, Tally};
use world::World;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// One in this many hierarchies is healthy.
const HEALTHY: u64 = 3;

/// The hierarchy of a seed, with its fault. A seed repeats it as long as the list of faults is unchanged.
fn make(seed: u64, faults: &[Fault]) -> (World, Option<(&'static str, Expected)>, Dice) {
    let mut dice = Dice::of(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5bd1_e995);
    dice.below(2);
    let wanted = match seed % HEALTHY {
        0 => None,
        rest => {
            let at = (seed / HEALTHY) * (HEALTHY - 1) + rest - 1;
            Some(&faults[usize::try_from(at % faults.len() as u64).expect("small")])
        }
    };
    for _ in 0..1000 {
        let mut world = build::healthy(&mut dice);
        let fault = match wanted {
            None => None,
            Some(fault) => match (fault.inject)(&mut world, &mut dice) {
                Some(expected) => Some((fault.name, expected)),
                None => continue,
            },
        };
        story::play(&mut world, &mut dice);
        return (world, fault, dice);
    }
    panic!("no hierarchy fits {:?}", wanted.map(|fault| fault.name));
}

fn judge(seed: u64, faults: &[Fault], catalogue: &Arc<Catalogue>, kept: Option<&PathBuf>) -> Case {
    let (world, fault, mut dice) = make(seed, faults);
    let files = write::files(&world, &mut dice);
    let folder = tempfile::tempdir().expect("a folder");
    let path = kept.cloned().unwrap_or_else(|| folder.path().to_owned());
    write::to(&path, &files);
    let findings = judge::findings(&path, &world, catalogue);
    let causes = judge::causes(&findings);
    let (fault, expected) = fault.unzip();
    Case {
        seed,
        fault,
        right: judge::is_right(&causes, expected.as_ref()),
        found: causes.iter().map(|finding| judge::name(finding)).collect(),
        said: causes.iter().map(|finding| format!("{} {}: {}", finding.site, finding.rule, finding.summary.en)).collect(),
        expected,
        traits: world.traits.clone(),
        sites: world.sites.len(),
    }
}

#[test]
fn the_truth_is_told() {
    let faults = faults::all();
    let catalogue = Catalogue::built_in().clone();
    if let Some(seed) = number("SUPWATCH_TRUTH_SEED") {
        let kept = std::env::var_os("SUPWATCH_TRUTH_KEEP").map(PathBuf::from);
        let case = judge(seed, &faults, &catalogue, kept.as_ref());
        println!("{case}");
        assert!(case.right || case.is_known(), "not the truth");
        return;
    }
    let count = number("SUPWATCH_TRUTH_COUNT").unwrap_or(2000);
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut own = Tally::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count {
                    return own;
                }
                own.add(judge(seed, &faults, &catalogue, None));
            }
        };
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in all {
            tally.merge(worker.join().expect("a worker"));
        }
    });
    println!("{tally}");
    tally.assert_right(count >= 2000);
}
