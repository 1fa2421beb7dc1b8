//! Ledger of what must hold, recorded as it happens: marks, fences, the highest durable numbers, the stored lines.
//!
//! The invariants: **I1** the stored and lost numbers of an epoch are 1 to its mark, each once. **I2** no line is stored twice.
//! **I3** the lines of a file are present, in order, except those reported lost. **I4** a mark never decreases. **I5**
//! acknowledged events are durable. **I7** queues are bounded. **F** only the newest session stores.

use std::collections::{BTreeMap, BTreeSet};

use supwatch_model::event::{Event, EventKind, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_store::{Claims, Committed, Session};

/// An agent and an epoch.
pub type Life = (AgentId, [u8; 16]);

/// State that restoring a backup rolls back.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub marks: BTreeMap<Life, u64>,
    pub lost: BTreeMap<Life, Vec<(u64, u64)>>,
    fences: BTreeMap<AgentId, u64>,
    /// Numbers of the stored lines, by site.
    pub lines: BTreeMap<SiteCode, BTreeSet<u64>>,
}

/// Records what the store does, and violations of the invariants.
#[derive(Debug, Default)]
pub struct Ledger {
    pub page: Page,
    /// The highest mark that was ever durable.
    pub highest: BTreeMap<Life, u64>,
    /// The line of every event that was ever stored.
    pub history: BTreeMap<(Life, u64), (SiteCode, u64)>,
    seen: BTreeSet<(Life, u64)>,
    /// Epochs in order of appearance; their bytes are random, so traces refer to them by index.
    epochs: Vec<[u8; 16]>,
    pub restored: bool,
    pub sessions: u64,
    pub resent: u64,
    pub violations: Vec<String>,
    pub trace: u64,
}

/// The number in a line.
pub fn line_of(event: &Event) -> Option<(SiteCode, u64)> {
    match event.kind {
        EventKind::CatalogVersion { version, .. } => Some((event.site, version)),
        _ => None,
    }
}

impl Ledger {
    /// Adds an entry to the trace.
    pub fn note(&mut self, what: &str) {
        if std::env::var_os("SUPWATCH_TRACE").is_some() {
            eprintln!("{what}");
        }
        for byte in what.bytes().chain([b'\n']) {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn violated(&mut self, what: String) {
        if self.violations.len() < 20 && !self.violations.contains(&what) {
            self.note(&what);
            self.violations.push(what);
        }
    }

    pub fn name(&mut self, epoch: Epoch) -> usize {
        if let Some(at) = self.epochs.iter().position(|known| *known == epoch.0) {
            return at;
        }
        self.epochs.push(epoch.0);
        self.epochs.len() - 1
    }

    pub fn opened(&mut self, now: u128, claims: Claims, session: &Session) {
        self.sessions += 1;
        let name = self.name(claims.epoch);
        let (agent, durable, lost) = (&session.agent, session.durable_sequence, session.lost);
        self.note(&format!("{now} {agent} opens {name}: oldest {}, durable {durable}, lost {lost}", claims.oldest_sequence));
        let life = (session.agent.clone(), claims.epoch.0);
        if lost > 0 {
            if !self.restored {
                self.violated(format!("I1 {agent}: {lost} events count as lost although no backup was restored"));
            }
            self.page.lost.entry(life.clone()).or_default().push((durable + 1 - lost, durable));
        }
        self.page.fences.insert(session.agent.clone(), session.fence);
        self.moved(life, durable);
    }

    /// Records a received batch, whether or not it is stored later.
    pub fn came(&mut self, session: &Session, events: &[Event]) {
        let life = (session.agent.clone(), session.epoch.0);
        let again = events.iter().filter(|event| !self.seen.insert((life.clone(), event.sequence))).count();
        self.resent += again as u64;
    }

    pub fn committed(&mut self, now: u128, session: &Session, committed: &Committed) {
        let name = self.name(session.epoch);
        let (agent, durable) = (&session.agent, committed.durable_sequence);
        if self.page.fences.get(agent) != Some(&session.fence) {
            self.violated(format!("F {agent}: an older session stored events beside the newer one"));
        }
        let life = (session.agent.clone(), session.epoch.0);
        for StoredEvent { event, .. } in &committed.stored {
            self.note(&format!("{now} {agent} {name}/{} {} {} {}", event.sequence, event.kind.name(), event.site, event.line));
            if let Some((site, line)) = line_of(event) {
                self.page.lines.entry(site).or_default().insert(line);
                self.history.insert((life.clone(), event.sequence), (site, line));
            }
        }
        self.note(&format!("{now} {agent} {name}: durable {durable}"));
        self.moved(life, durable);
    }

    fn moved(&mut self, life: Life, durable: u64) {
        let mark = self.page.marks.entry(life.clone()).or_default();
        let before = std::mem::replace(mark, durable);
        if durable < before {
            self.violated(format!("I4 {}: the mark goes back from {before} to {durable}", life.0));
        }
        let highest = self.highest.entry(life).or_default();
        *highest = durable.max(*highest);
    }

    /// Lines of a site that were reported lost.
    pub fn reported_lost(&self, site: SiteCode) -> BTreeSet<u64> {
        let ranges = self.page.lost.iter().flat_map(|(life, ranges)| ranges.iter().map(move |range| (life, *range)));
        let numbers = ranges.flat_map(|(life, (first, last))| (first..=last).map(move |number| (life.clone(), number)));
        numbers.filter_map(|key| self.history.get(&key)).filter(|(of, _)| *of == site).map(|(_, line)| *line).collect()
    }
}
