//! Faults planted into agent and collector: an invariant must detect each of them within a few seeds.

use supwatch_agent::planted as agent;
use supwatch_store::planted as collector;

use crate::story;

/// Runs seeds until an invariant is violated; returns the seed and the violation.
fn caught(within: u64) -> (u64, Vec<String>) {
    for seed in 1..=within {
        let violations = story::run(seed).violations;
        if !violations.is_empty() {
            println!("seed {seed}: {}", violations.join("; ").chars().take(200).collect::<String>());
            return (seed, violations);
        }
    }
    panic!("not noticed within {within} seeds");
}

#[track_caller]
fn shows(invariants: &[&str], within: u64) {
    let (seed, violations) = caught(within);
    let named = violations.iter().any(|violation| invariants.iter().any(|name| violation.starts_with(name)));
    assert!(named, "seed {seed} should show {invariants:?}: {violations:?}");
}

#[track_caller]
fn of_the_agent(fault: agent::Fault, invariants: &[&str], within: u64) {
    agent::plant(Some(fault));
    shows(invariants, within);
}

#[track_caller]
fn of_the_collector(fault: collector::Fault, invariants: &[&str], within: u64) {
    collector::plant(Some(fault));
    shows(invariants, within);
}

#[test]
fn events_acknowledged_before_they_are_stored_are_noticed() {
    of_the_collector(collector::Fault::AcknowledgedFirst, &["I5"], 1);
}

#[test]
fn duplicates_recognised_by_time_are_noticed() {
    of_the_collector(collector::Fault::DuplicatesByTime, &["I1", "I2"], 3);
}

#[test]
fn an_ignored_fence_is_noticed() {
    of_the_collector(collector::Fault::FenceIgnored, &["F"], 10);
}

#[test]
fn a_replaced_epoch_that_continues_is_noticed() {
    of_the_collector(collector::Fault::ReplacedGoesOn, &["I2", "I3"], 20);
}

#[test]
fn an_event_too_many_counted_as_lost_is_noticed() {
    of_the_collector(collector::Fault::EdgeOfTheMark, &["I1"], 1);
}

#[test]
fn a_checkpoint_stored_before_its_events_is_noticed() {
    of_the_agent(agent::Fault::CursorBeforeEvents, &["I3"], 2);
}

#[test]
fn events_dropped_by_a_full_spool_are_noticed() {
    of_the_agent(agent::Fault::DroppedWhenFull, &["I3"], 10);
}

#[test]
fn a_checkpoint_in_a_torn_line_is_noticed() {
    of_the_agent(agent::Fault::TornLine, &["I3"], 3);
}

#[test]
fn a_spool_set_back_unseen_is_noticed() {
    of_the_agent(agent::Fault::SetBackUnseen, &["I2", "I3", "I5"], 20);
}
