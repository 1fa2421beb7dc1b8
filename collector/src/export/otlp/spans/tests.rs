//! The trace of a wave equals the wave.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use proptest::prelude::*;
use supwatch_model::run::Phase;
use supwatch_model::wave::WaveOutcome;

use super::*;

fn site(number: usize) -> SiteCode {
    format!("S{number:02}").parse().expect("code")
}

fn at(second: i64) -> Timestamp {
    "2026-03-01T03:00:00Z".parse::<Timestamp>().expect("time") + SignedDuration::from_secs(second)
}

fn run(id: &str, site: SiteCode, start: Option<i64>, outcome: RunOutcome, phases: usize) -> Run {
    let phase = |number: usize| Phase {
        phase: format!("phase{number}"),
        server: "sup".to_owned(),
        started_at: start.map(|start| at(start + 10 * number as i64)),
        ended_at: start.map(|start| at(start + 10 * number as i64 + 9)),
    };
    Run {
        id: id.to_owned(),
        site,
        trigger: Trigger::Parent,
        from: None,
        scope: Scope::Unknown,
        started_at: start.map(at),
        ended_at: start.map(|start| at(start + 100)),
        outcome,
        phases: (0..phases).map(phase).collect(),
        progress: None,
        cause: (outcome == RunOutcome::Failed).then(|| "cannot-connect".to_owned()),
        text: (outcome == RunOutcome::Failed).then(|| "Unable to connect".to_owned()),
        source: None,
        code: None,
        retry_of: None,
        catalog_version: Some(34),
    }
}

/// One child of the hierarchy: its parent, whether it was notified and began, failed runs before the last, phases of each run.
type Child = (usize, Option<i64>, Option<i64>, usize, usize, u8);

fn wave(children: &[Child], seen: bool) -> (Wave, Vec<Run>) {
    let top = site(0);
    let id = "S00-20260301T030000Z".to_owned();
    let mut runs: Vec<Run> = if seen { vec![run(&id, top, Some(0), RunOutcome::Succeeded, 2)] } else { Vec::new() };
    let edges = children
        .iter()
        .enumerate()
        .map(|(number, (parent, notified, began, retries, phases, outcome))| {
            let child = site(number + 1);
            let own: Vec<Run> = (0..=*retries)
                .filter(|_| began.is_some())
                .map(|retry| {
                    let outcome = if retry < *retries { RunOutcome::Failed } else { RunOutcome::Succeeded };
                    run(&format!("{child}-{retry}"), child, began.map(|began| began + 200 * retry as i64), outcome, *phases)
                })
                .collect();
            let ids = own.iter().map(|run| run.id.clone()).collect();
            runs.extend(own);
            WaveEdge {
                parent: site(parent % (number + 1)),
                child,
                notified_at: notified.map(at),
                received_at: None,
                started_at: began.map(at),
                ended_at: None,
                outcome: [EdgeOutcome::Succeeded, EdgeOutcome::Missed, EdgeOutcome::Unknown][usize::from(*outcome % 3)],
                lag: None,
                runs: ids,
                catalog_version: None,
                cause: None,
                inferred: notified.is_none(),
                note: None,
            }
        })
        .collect();
    let wave = Wave {
        id,
        top,
        started_at: seen.then(|| at(0)),
        ended_at: None,
        catalog_version: Some(34),
        edges,
        outcome: WaveOutcome::Complete,
        broken_at: None,
        cause: None,
    };
    (wave, runs)
}

proptest! {
    #[test]
    fn every_run_phase_and_notification_is_one_span_where_it_belongs(
        children in prop::collection::vec(
            (any::<usize>(), prop::option::of(-600i64..600), prop::option::of(-600i64..900), 0usize..3, 0usize..4, any::<u8>()),
            0..12,
        ),
        seen in any::<bool>(),
    ) {
        let (wave, runs) = wave(&children, seen);
        let all = spans("corp", &wave, &runs);
        let phases: usize = runs.iter().map(|run| run.phases.len()).sum();
        prop_assert_eq!(all.len(), runs.len() + phases + wave.edges.len() + usize::from(!seen));
        let ids: BTreeSet<&[u8]> = all.iter().map(|span| span.span_id.as_slice()).collect();
        prop_assert_eq!(ids.len(), all.len(), "ids are unique");
        let mut known = BTreeSet::new();
        for (index, span) in all.iter().enumerate() {
            prop_assert!(span.trace_id.len() == 16 && span.span_id.len() == 8 && span.trace_id == all[0].trace_id);
            prop_assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
            prop_assert_eq!(span.parent_span_id.is_empty(), index == 0, "one root");
            prop_assert!(index == 0 || known.contains(span.parent_span_id.as_slice()), "a parent comes first");
            known.insert(span.span_id.as_slice());
        }
        // The path up from a child's run leads through its notification to a span of its parent.
        let by_id: BTreeMap<&[u8], &Span> = all.iter().map(|span| (span.span_id.as_slice(), span)).collect();
        for edge in wave.edges.iter().filter(|edge| !edge.runs.is_empty()) {
            for span in all.iter().filter(|span| span.name == format!("sync {}", edge.child)) {
                let notification = by_id[span.parent_span_id.as_slice()];
                prop_assert_eq!(&notification.name, &format!("notify {}", edge.child));
                let parent = by_id[notification.parent_span_id.as_slice()];
                prop_assert!(parent.name.ends_with(edge.parent.as_str()), "{} under {}", notification.name, parent.name);
            }
        }
        prop_assert_eq!(spans("corp", &wave, &runs), all.clone(), "the same again");
        prop_assert_ne!(&spans("other", &wave, &runs)[0].trace_id, &all[0].trace_id);
    }
}

#[test]
fn a_failure_is_the_status_of_its_span_with_the_cause() {
    let (mut wave, mut runs) = wave(&[], true);
    runs[0] = run(&wave.id, wave.top, Some(0), RunOutcome::Failed, 1);
    wave.outcome = WaveOutcome::Broken;
    let all = spans("corp", &wave, &runs);
    let root = &all[0];
    let status = root.status.as_ref().expect("a status");
    assert_eq!((status.code, status.message.as_str()), (StatusCode::Error.into(), "cannot-connect"));
    assert!(root.attributes.contains(&text("error.type", "cannot-connect")));
    assert!(root.attributes.contains(&text("supwatch.wave.outcome", "broken")));
    assert_eq!(root.events[0].attributes[1], text("exception.message", "Unable to connect"));
}

#[test]
fn a_child_that_was_notified_and_did_not_begin_is_an_error_and_a_clock_that_is_behind_is_named() {
    let missed = (0, Some(120), None, 0, 0, 1);
    let skewed = (0, Some(120), Some(60), 0, 1, 0);
    let (wave, runs) = wave(&[missed, skewed], true);
    let all = spans("corp", &wave, &runs);
    let named = |name: &str| all.iter().find(|span| span.name == name).expect("a span");
    assert_eq!(named("notify S01").status.as_ref().map(|status| status.message.as_str()), Some("wave-missed"));
    assert!(named("notify S02").attributes.contains(&flag("supwatch.clock_skew")));
    assert!(named("sync S02").start_time_unix_nano < named("notify S02").start_time_unix_nano);
}
