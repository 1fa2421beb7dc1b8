//! Runs and notifications of all sites → waves: each run of a top site, and how far it got below, edge by edge.
//!
//! Pure, and computed on request: only runs and notifications are stored. `pair` determines which run of a child belongs to which
//! run of its parent; here the pairs are linked into a tree, whose edges `edge` fills. What no log reports is inferred from the
//! runs of the sites below, or from what the top site's provider reports about them. An inferred edge is marked.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::wave::{EdgeOutcome, Wave, WaveEdge, WaveOutcome};

use crate::hierarchy::{Hierarchy, Site};
use crate::limits::Limits;

mod edge;
mod pair;

pub(crate) use edge::{busy_until, is_covered};
pub(crate) use pair::SKEW;
use pair::{Chain, Link};

/// The waves of a hierarchy, computed on request.
pub struct Waves<'a> {
    hierarchy: &'a Hierarchy,
    limits: &'a Limits,
    now: Timestamp,
    /// Pairs of parent and child computed so far.
    links: RefCell<Known<'a>>,
}

/// Edges computed so far.
type Known<'a> = BTreeMap<(SiteCode, SiteCode), Rc<Vec<Link<'a>>>>;

/// State of the parent of an edge.
#[derive(Clone, Copy)]
enum Above<'a> {
    /// Its run succeeded, so it notifies its children.
    Ran(&'a Run),
    /// Its run is still in progress.
    Waiting,
    /// The wave stopped there or further up.
    Cut,
    /// Its log is not read; it cannot have notified its children before this moment.
    Unseen(Timestamp),
}

/// The start of a wave.
#[derive(Clone, Copy)]
enum Begin<'a> {
    /// A run of the top site.
    Run(&'a Run),
    /// A run that no log shows: when the first child was notified, and the version.
    Unseen { at: Timestamp, version: Option<u64> },
}

impl<'a> Begin<'a> {
    fn run(self) -> Option<&'a Run> {
        match self {
            Begin::Run(run) => Some(run),
            Begin::Unseen { .. } => None,
        }
    }

    fn at(self) -> Option<Timestamp> {
        match self {
            Begin::Run(run) => run.started_at.or(run.ended_at),
            Begin::Unseen { at, .. } => Some(at),
        }
    }

    fn id(self, top: SiteCode) -> String {
        match self {
            Begin::Run(run) => run.id.clone(),
            Begin::Unseen { at, .. } => format!("{top}-{}", at.strftime("%Y%m%dT%H%M%SZ")),
        }
    }
}

impl<'a> Waves<'a> {
    /// The waves as of a moment.
    pub fn new(hierarchy: &'a Hierarchy, limits: &'a Limits, now: Timestamp) -> Waves<'a> {
        Waves { hierarchy, limits, now, links: RefCell::default() }
    }

    /// The newest waves, newest first.
    pub fn newest(&self, last: usize) -> Vec<Wave> {
        let mut begun = self.begun();
        begun.sort_by_key(|(top, begin)| std::cmp::Reverse((begin.at(), begin.id(top.code))));
        begun.into_iter().take(last).map(|(top, begin)| self.wave(top, begin)).collect()
    }

    /// A wave by its id, which is that of its top site's run.
    pub fn get(&self, id: &str) -> Option<Wave> {
        self.begun().into_iter().find(|(top, begin)| begin.id(top.code) == id).map(|(top, begin)| self.wave(top, begin))
    }

    /// The starts of all waves.
    fn begun(&self) -> Vec<(&'a Site, Begin<'a>)> {
        let tops = self.hierarchy.tops().iter().filter_map(|code| self.hierarchy.site(*code));
        // If no source names the top site, it is the one without a notification from a parent.
        let nobody = self.hierarchy.tops().is_empty();
        let guessed = self.hierarchy.sites.values().filter(move |site| nobody && site.implied_parent.is_none());
        let begun = |top: &'a Site| -> Vec<(&'a Site, Begin<'a>)> {
            if top.runs.last().is_none() {
                return self.unseen_runs(top).into_iter().map(|begin| (top, begin)).collect();
            }
            top.runs.iter().map(|tracked| (top, Begin::Run(&tracked.run))).collect()
        };
        tops.chain(guessed).flat_map(begun).collect()
    }

    /// Runs of a top site whose log no agent reads, derived from its children's notifications of one version or at one time.
    fn unseen_runs(&self, top: &'a Site) -> Vec<Begin<'a>> {
        let children: Vec<&'a Site> = self.hierarchy.children(top.code).filter_map(|code| self.hierarchy.site(code)).collect();
        let links: Vec<Rc<Vec<Link<'a>>>> = children.iter().map(|child| self.links(top, child)).collect();
        let mut notified: Vec<(Timestamp, Option<u64>)> = links
            .iter()
            .flat_map(|links| links.iter())
            .filter_map(|link| link.chain.as_ref().and_then(|chain| Some((chain.start()?, chain.version()))))
            .collect();
        notified.sort_unstable();
        let apart = SignedDuration::from_mins(i64::from(self.limits.wave_minutes));
        let mut found: Vec<(Timestamp, Option<u64>)> = Vec::new();
        for (at, version) in notified {
            let known = found.iter_mut().rev().find(|(first, known)| match (*known, version) {
                (Some(known), Some(version)) => known == version,
                _ => at.duration_since(*first) <= apart,
            });
            match known {
                Some((_, known)) => *known = known.or(version),
                None => found.push((at, version)),
            }
        }
        found.into_iter().map(|(at, version)| Begin::Unseen { at, version }).collect()
    }

    fn wave(&self, top: &'a Site, begin: Begin<'a>) -> Wave {
        let mut edges = Vec::new();
        let (above, version) = match begin {
            Begin::Run(run) => {
                let above = match run.outcome {
                    RunOutcome::Succeeded => Above::Ran(run),
                    RunOutcome::Running => Above::Waiting,
                    RunOutcome::Failed | RunOutcome::Unknown => Above::Cut,
                };
                (above, run.catalog_version)
            }
            Begin::Unseen { at, version } => (Above::Unseen(at), version),
        };
        let mut seen = BTreeSet::from([top.code]);
        self.descend(top, above, version, &mut seen, &mut edges);
        let broken = edges.iter().find(|edge| matches!(edge.outcome, EdgeOutcome::Failed | EdgeOutcome::Missed));
        let own = begin.run().map_or(RunOutcome::Succeeded, |run| run.outcome);
        let goes_on = |edge: &WaveEdge| matches!(edge.outcome, EdgeOutcome::Running | EdgeOutcome::Waiting);
        let going_on = own == RunOutcome::Running || edges.iter().any(goes_on);
        let outcome = match own {
            RunOutcome::Running => WaveOutcome::Running,
            RunOutcome::Failed => WaveOutcome::Broken,
            RunOutcome::Unknown => WaveOutcome::Unknown,
            RunOutcome::Succeeded if broken.is_some() => WaveOutcome::Broken,
            RunOutcome::Succeeded if going_on => WaveOutcome::Running,
            RunOutcome::Succeeded if edges.iter().all(|edge| edge.outcome == EdgeOutcome::Succeeded) => WaveOutcome::Complete,
            RunOutcome::Succeeded => WaveOutcome::Unknown,
        };
        let ends = edges.iter().map(|edge| edge.ended_at).chain([begin.run().and_then(|run| run.ended_at)]);
        Wave {
            id: begin.id(top.code),
            top: top.code,
            started_at: begin.run().and_then(|run| run.started_at),
            ended_at: ends.max().flatten().filter(|_| !going_on),
            catalog_version: version,
            outcome,
            broken_at: broken.map(|edge| (edge.parent, edge.child)),
            cause: begin.run().and_then(|run| run.cause.clone()).or_else(|| broken.and_then(|edge| edge.cause.clone())),
            edges,
        }
    }

    /// Adds the edges below a site; a parent's come before those of its children.
    fn descend(
        &self,
        parent: &'a Site,
        above: Above<'a>,
        version: Option<u64>,
        seen: &mut BTreeSet<SiteCode>,
        edges: &mut Vec<WaveEdge>,
    ) {
        for child in self.hierarchy.children(parent.code).filter_map(|code| self.hierarchy.site(code)) {
            // A cycle is a separate fault.
            if child.has_no_sup() || !seen.insert(child.code) {
                continue;
            }
            let links = self.links(parent, child);
            let link = match above {
                Above::Ran(run) => links.iter().find(|link| link.run.is_some_and(|of| of.id == run.id)),
                Above::Unseen(from) => unseen(&links, from, version),
                Above::Waiting | Above::Cut => None,
            };
            let chain = link.and_then(|link| link.chain.clone());
            let mut edge = self.edge(parent, child, above, link, chain.as_ref());
            let below = match chain.as_ref().and_then(Chain::last) {
                Some(last) => match last.outcome {
                    RunOutcome::Succeeded => Above::Ran(last),
                    RunOutcome::Running => Above::Waiting,
                    RunOutcome::Failed | RunOutcome::Unknown => Above::Cut,
                },
                None => match edge.outcome {
                    EdgeOutcome::Waiting => Above::Waiting,
                    EdgeOutcome::Unknown if child.runs.last().is_none() => {
                        edge.notified_at.or(self.end_of(above)).map_or(Above::Cut, Above::Unseen)
                    }
                    EdgeOutcome::Succeeded | EdgeOutcome::Unknown => self.end_of(above).map_or(Above::Cut, Above::Unseen),
                    _ => Above::Cut,
                },
            };
            if edge.runs.is_empty() && matches!(edge.outcome, EdgeOutcome::Unknown) {
                self.ask_the_top(child, version, &mut edge);
            }
            let at = edges.len();
            edges.push(edge);
            self.descend(child, below, version, seen, edges);
            edge::infer_from_below(edges, at);
        }
    }

    fn end_of(&self, above: Above<'_>) -> Option<Timestamp> {
        match above {
            Above::Ran(run) => run.ended_at,
            Above::Unseen(from) => Some(from),
            Above::Waiting | Above::Cut => None,
        }
    }

    fn links(&self, parent: &'a Site, child: &'a Site) -> Rc<Vec<Link<'a>>> {
        let mut known = self.links.borrow_mut();
        Rc::clone(known.entry((parent.code, child.code)).or_insert_with(|| Rc::new(pair::links(parent, child))))
    }
}

/// The child's run for a notification of a parent whose log does not show its own run: by the catalogue version, else the first
/// run that it can have caused.
fn unseen<'l, 'a>(links: &'l [Link<'a>], from: Timestamp, version: Option<u64>) -> Option<&'l Link<'a>> {
    let after =
        |link: &&Link<'_>| link.run.is_none() && link.chain.as_ref().is_some_and(|chain| pair::may_follow(chain, Some(from)));
    let same = |link: &&Link<'_>| version.is_some() && link.chain.as_ref().and_then(Chain::version) == version;
    links.iter().filter(after).find(same).or_else(|| links.iter().find(after))
}

#[cfg(test)]
mod tests;
