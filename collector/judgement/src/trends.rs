//! Durations of a site's runs and their phases, so that a WSUS that slows down month by month is noticed before it times out.
//!
//! Pure. Only successful runs count: the duration of a failed one depends on the failure. Full runs take far longer than delta
//! runs by nature, so a site's trend is that of its delta runs, unless it has no others.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use supwatch_model::event::Scope;
use supwatch_model::picture::PhaseTrend;
use supwatch_model::run::{Run, RunOutcome};

/// Name of the whole run in the list of its phases.
pub const WHOLE: &str = "run";
/// Number of newest runs that are compared with the earlier ones; with fewer there is no trend.
const COMPARED: usize = 5;
/// Growth below this is noise.
const NOTABLE: f64 = 1.5;

/// Durations of a site's runs and their phases; `runs` oldest first.
pub fn trends<'a>(runs: impl Iterator<Item = &'a Run>) -> Vec<PhaseTrend> {
    let succeeded: Vec<&Run> = runs.filter(|run| run.outcome == RunOutcome::Succeeded).collect();
    let mut counted: Vec<&Run> = succeeded.iter().copied().filter(|run| run.scope != Scope::Full).collect();
    if counted.is_empty() {
        counted = succeeded;
    }
    let mut by_phase: BTreeMap<&str, Vec<SignedDuration>> = BTreeMap::new();
    for run in counted {
        if let Some(took) = span(run.started_at, run.ended_at) {
            by_phase.entry(WHOLE).or_default().push(took);
        }
        // Several replicas are one phase each; their sum is what the run spends on them.
        let mut of_run: BTreeMap<&str, SignedDuration> = BTreeMap::new();
        for phase in &run.phases {
            if let Some(took) = span(phase.started_at, phase.ended_at) {
                *of_run.entry(&phase.phase).or_default() += took;
            }
        }
        for (phase, took) in of_run {
            by_phase.entry(phase).or_default().push(took);
        }
    }
    by_phase.into_iter().filter_map(|(phase, took)| trend(phase, &took)).collect()
}

fn span(from: Option<jiff::Timestamp>, to: Option<jiff::Timestamp>) -> Option<SignedDuration> {
    from.zip(to).map(|(from, to)| to.duration_since(from)).filter(|span| !span.is_negative())
}

fn trend(phase: &str, took: &[SignedDuration]) -> Option<PhaseTrend> {
    let last = *took.last()?;
    Some(PhaseTrend {
        phase: phase.to_owned(),
        runs: u32::try_from(took.len()).unwrap_or(u32::MAX),
        last,
        median: quantile(took, 50)?,
        p95: quantile(took, 95)?,
        growth: growth(took),
    })
}

/// The smallest value that at least this percentage of all values do not exceed.
fn quantile(took: &[SignedDuration], percent: usize) -> Option<SignedDuration> {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// Ratio of the newest durations to the earlier ones; `None` if insignificant or nothing to compare.
fn growth(took: &[SignedDuration]) -> Option<f64> {
    let (before, newest) = took.split_at_checked(took.len().checked_sub(COMPARED)?)?;
    if before.len() < COMPARED {
        return None;
    }
    let (before, newest) = (quantile(before, 50)?.as_secs_f64(), quantile(newest, 50)?.as_secs_f64());
    let growth = if before > 0.0 { newest / before } else { return None };
    (growth >= NOTABLE && newest - before >= 60.0).then_some(growth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_model::event::Trigger;
    use supwatch_model::run::Phase;

    fn run(minute: i64, scope: Scope, minutes: &[(&str, i64)]) -> Run {
        let at = |minute: i64| jiff::Timestamp::from_second(1_772_337_600 + minute * 60).ok();
        let mut now = minute;
        let phases = minutes
            .iter()
            .map(|(phase, took)| {
                let started_at = at(now);
                now += took;
                Phase { phase: (*phase).to_owned(), server: String::new(), started_at, ended_at: at(now) }
            })
            .collect();
        Run {
            id: format!("CEN-{minute}"),
            site: "CEN".parse().expect("code"),
            trigger: Trigger::Schedule,
            from: None,
            scope,
            started_at: at(minute),
            ended_at: at(now),
            outcome: RunOutcome::Succeeded,
            phases,
            progress: None,
            cause: None,
            text: None,
            source: None,
            code: None,
            retry_of: None,
            catalog_version: None,
        }
    }

    #[test]
    fn each_phase_has_its_last_its_median_and_its_95th_percentile() {
        let runs: Vec<Run> = (1..=20).map(|n| run(n * 100, Scope::Delta, &[("wsus", n), ("replica", 1), ("replica", 2)])).collect();
        let all = trends(runs.iter());
        let of = |phase: &str| all.iter().find(|trend| trend.phase == phase).expect("a trend");
        let minutes = |span: SignedDuration| span.as_secs() / 60;
        let wsus = of("wsus");
        assert_eq!((wsus.runs, minutes(wsus.last), minutes(wsus.median), minutes(wsus.p95)), (20, 20, 10, 19));
        assert_eq!(minutes(of("replica").median), 3);
        assert_eq!(minutes(of(WHOLE).last), 23);
    }

    #[test]
    fn a_wsus_that_slows_down_shows_and_noise_full_runs_and_failures_do_not() {
        let slow = |n: i64| if n < 20 { 5 } else { 12 };
        let runs: Vec<Run> = (0..25).map(|n| run(n * 100, Scope::Delta, &[("wsus", slow(n))])).collect();
        let growth = |runs: &[Run]| trends(runs.iter()).iter().find(|trend| trend.phase == "wsus").and_then(|trend| trend.growth);
        assert_eq!(growth(&runs), Some(12.0 / 5.0));
        let even: Vec<Run> = (0..25).map(|n| run(n * 100, Scope::Delta, &[("wsus", 5 + n % 2)])).collect();
        assert_eq!(growth(&even), None);
        assert_eq!(growth(&runs[..9]), None, "too few to compare");
        let mut full = even.clone();
        full.push(run(9000, Scope::Full, &[("wsus", 300)]));
        let mut failed = run(9500, Scope::Delta, &[("wsus", 700)]);
        failed.outcome = RunOutcome::Failed;
        full.push(failed);
        assert_eq!(trends(full.iter()), trends(even.iter()));
    }
}
