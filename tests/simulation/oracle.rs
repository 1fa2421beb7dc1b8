//! Checks the invariants of a story (see `ledger`): some at every tick, the others at its end. They also hold for a cloned agent:
//! two with one identity replace each other, and each continues where the other stopped.

use std::collections::{BTreeMap, BTreeSet};

use supwatch_model::event::StoredEvent;
use supwatch_model::ids::AgentId;
use supwatch_store::{Cursor, EventQuery, Store};

use crate::hosts::Home;
use crate::ledger::line_of;
use crate::story::{Agent, Story};

/// More than one look at a log can add beyond the spool's limit.
const ONE_LOOK: u64 = 512 << 10;

fn id(home: &Home) -> AgentId {
    let number = home.name.trim_start_matches("agent");
    AgentId(format!("P0{number}.S0{number}/{}", home.name))
}

/// Invariants that hold at every moment.
pub fn always(story: &Story) {
    let mut ledger = story.disk.ledger();
    for agent in &story.agents {
        let Some(spool) = agent.home.running() else { continue };
        let (id, epoch) = (id(&agent.home), spool.epoch());
        let acknowledged = spool.next_sequence() - 1 - spool.undelivered();
        let durable = ledger.highest.get(&(id.clone(), epoch.0)).copied().unwrap_or_default();
        // Everything below the first retained event counts as acknowledged.
        if acknowledged > durable.max(spool.oldest_sequence() - 1) {
            ledger.violated(format!("I5 {id}: {acknowledged} is acknowledged, {durable} is durable"));
        }
        if spool.bytes() > agent.home.bounds.spool_bytes + ONE_LOOK {
            ledger.violated(format!("I7 {id}: the spool has {} bytes", spool.bytes()));
        }
    }
}

/// Whether every written line is stored, or reported lost, and acknowledged to the agents.
pub fn is_settled(story: &Story) -> bool {
    let delivered = |agent: &Agent| agent.home.running().is_some_and(|spool| !spool.is_fresh() && spool.undelivered() == 0);
    if !story.agents.iter().all(delivered) {
        return false;
    }
    let ledger = story.disk.ledger();
    story.agents.iter().flat_map(|agent| &agent.logs).all(|log| {
        let stored = ledger.page.lines.get(&log.site).map_or(0, BTreeSet::len) as u64;
        stored == log.written || stored + ledger.reported_lost(log.site).len() as u64 >= log.written
    })
}

/// Every stored event, in order of arrival.
fn stored(story: &Story) -> Vec<StoredEvent> {
    let memory = story.disk.memory();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let page = runtime.block_on(async move { memory.scan(&EventQuery::default(), Cursor::default()).await });
    page.expect("read").events
}

/// Invariants that hold when everything has settled, or has had time to.
pub fn at_the_end(story: &Story, settled: bool) {
    let stored = stored(story);
    let mut ledger = story.disk.ledger();
    if !ledger.violations.is_empty() {
        return;
    }
    let mut numbers: BTreeMap<(AgentId, [u8; 16]), Vec<u64>> = BTreeMap::new();
    for event in &stored {
        numbers.entry((event.agent.clone(), event.epoch.0)).or_default().push(event.event.sequence);
    }
    for (life, mark) in ledger.page.marks.clone() {
        let mut all = numbers.remove(&life).unwrap_or_default();
        for (first, last) in ledger.page.lost.get(&life).into_iter().flatten() {
            all.extend(*first..=*last);
        }
        all.sort_unstable();
        if !all.iter().copied().eq(1..=mark) {
            ledger.violated(format!("I1 {}: {} numbers up to the mark {mark}, each once", life.0, all.len()));
        }
    }
    for agent in &story.agents {
        lines(agent, &stored, &mut ledger);
    }
    if !settled {
        ledger.violated("I3: not everything arrives".to_owned());
    }
}

fn lines(agent: &Agent, stored: &[StoredEvent], ledger: &mut crate::ledger::Ledger) {
    for log in &agent.logs {
        let of = stored.iter().filter_map(|stored| line_of(&stored.event));
        let of: Vec<u64> = of.filter(|(site, _)| *site == log.site).map(|(_, line)| line).collect();
        let told = ledger.reported_lost(log.site);
        let have: BTreeSet<u64> = of.iter().copied().collect();
        let missing: Vec<u64> = (1..=log.written).filter(|line| !have.contains(line) && !told.contains(line)).collect();
        if !missing.is_empty() {
            ledger.violated(format!("I3 {}: of {} lines these are missing: {missing:?}", log.site, log.written));
        }
        for pair in of.windows(2) {
            let invariant = match pair {
                [before, after] if before == after => "I2",
                [before, after] if before > after && of.iter().filter(|line| *line == after).count() > 1 => "I2",
                [before, after] if before > after => "I3",
                _ => continue,
            };
            ledger.violated(format!("{invariant} {}: {pair:?} stored one after the other", log.site));
        }
    }
}
