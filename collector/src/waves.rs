//! Runs and notifications of all sites → waves: each run of a top site, and how far it got below, edge by edge.
//!
//! Pure, and put together when asked for: what is kept are runs and notifications. [`pair`] tells which run of a child
//! belongs to which of its parent; here they are hung below each other, and what no log tells is inferred from what the
//! sites below did, or from what the provider of the top site says of them. An inferred edge says so.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};
use supwatch_proto::ids::SiteCode;
use supwatch_proto::run::{Run, RunOutcome};
use supwatch_proto::text::Text;
use supwatch_proto::wave::{EdgeOutcome, Wave, WaveEdge, WaveOutcome};

use crate::hierarchy::{Hierarchy, Site};
use crate::limits::Limits;

mod pair;

pub(crate) use pair::SKEW;
use pair::{Chain, Link};

/// Clocks that differ by less are not worth a word.
const NOTICEABLE: SignedDuration = SignedDuration::from_secs(5);

/// The waves of a hierarchy, put together when asked for.
pub struct Waves<'a> {
    hierarchy: &'a Hierarchy,
    limits: &'a Limits,
    now: Timestamp,
    /// Parents and children that were looked at already.
    links: RefCell<Known<'a>>,
}

/// What was put together of parents and children so far.
type Known<'a> = BTreeMap<(SiteCode, SiteCode), Rc<Vec<Link<'a>>>>;

/// How the parent of an edge fared.
#[derive(Clone, Copy)]
enum Above<'a> {
    /// Its run succeeded, so it tells its children.
    Ran(&'a Run),
    /// It is not that far yet.
    Waiting,
    /// The wave stopped there or further up.
    Cut,
    /// Its log is not read; it cannot have told them before this moment.
    Unseen(Timestamp),
}

impl<'a> Waves<'a> {
    /// As they stand at a moment.
    pub fn new(hierarchy: &'a Hierarchy, limits: &'a Limits, now: Timestamp) -> Waves<'a> {
        Waves { hierarchy, limits, now, links: RefCell::default() }
    }

    /// The newest, newest first.
    pub fn newest(&self, last: usize) -> Vec<Wave> {
        let mut runs: Vec<(&Site, &Run)> = self.top_runs().collect();
        runs.sort_by_key(|(_, run)| std::cmp::Reverse((run.started_at.or(run.ended_at), run.id.clone())));
        runs.into_iter().take(last).map(|(top, run)| self.wave(top, run)).collect()
    }

    /// A wave by its id, that of its top site's run.
    pub fn get(&self, id: &str) -> Option<Wave> {
        self.top_runs().find(|(_, run)| run.id == id).map(|(top, run)| self.wave(top, run))
    }

    fn top_runs(&self) -> impl Iterator<Item = (&'a Site, &'a Run)> {
        let tops = self.hierarchy.tops().iter().filter_map(|code| self.hierarchy.site(*code));
        // Where nobody says who is at the top, it is whoever tells others and is told by nobody.
        let nobody = self.hierarchy.tops().is_empty();
        let guessed = self.hierarchy.sites.values().filter(move |site| nobody && site.implied_parent.is_none());
        tops.chain(guessed).flat_map(|top| top.runs.iter().map(move |tracked| (top, &tracked.run)))
    }

    fn wave(&self, top: &'a Site, run: &'a Run) -> Wave {
        let mut edges = Vec::new();
        let above = match run.outcome {
            RunOutcome::Succeeded => Above::Ran(run),
            RunOutcome::Running => Above::Waiting,
            RunOutcome::Failed | RunOutcome::Unknown => Above::Cut,
        };
        let mut seen = BTreeSet::from([top.code]);
        self.descend(top, above, run.catalog_version, &mut seen, &mut edges);
        let broken = edges.iter().find(|edge| matches!(edge.outcome, EdgeOutcome::Failed | EdgeOutcome::Missed));
        let is = |outcome| edges.iter().any(|edge| edge.outcome == outcome);
        let going_on = run.outcome == RunOutcome::Running || is(EdgeOutcome::Running) || is(EdgeOutcome::Waiting);
        let outcome = match run.outcome {
            RunOutcome::Running => WaveOutcome::Running,
            RunOutcome::Failed => WaveOutcome::Broken,
            RunOutcome::Unknown => WaveOutcome::Unknown,
            RunOutcome::Succeeded if broken.is_some() => WaveOutcome::Broken,
            RunOutcome::Succeeded if going_on => WaveOutcome::Running,
            RunOutcome::Succeeded if edges.iter().all(|edge| edge.outcome == EdgeOutcome::Succeeded) => WaveOutcome::Complete,
            RunOutcome::Succeeded => WaveOutcome::Unknown,
        };
        let ends = edges.iter().map(|edge| edge.ended_at).chain([run.ended_at]);
        Wave {
            id: run.id.clone(),
            top: top.code,
            started_at: run.started_at,
            ended_at: ends.max().flatten().filter(|_| !going_on),
            catalog_version: run.catalog_version,
            outcome,
            broken_at: broken.map(|edge| (edge.parent, edge.child)),
            cause: run.cause.clone().or_else(|| broken.and_then(|edge| edge.cause.clone())),
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
            // A circle is a fault of its own.
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
            infer_from_below(edges, at);
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

    fn edge(&self, parent: &Site, child: &Site, above: Above<'_>, link: Option<&Link<'_>>, chain: Option<&Chain<'_>>) -> WaveEdge {
        let told = link.and_then(|link| link.told);
        let mut edge = WaveEdge {
            parent: parent.code,
            child: child.code,
            notified_at: told,
            received_at: None,
            started_at: None,
            ended_at: None,
            outcome: EdgeOutcome::Unknown,
            lag: None,
            runs: Vec::new(),
            catalog_version: None,
            cause: None,
            inferred: false,
            note: None,
        };
        match (above, chain) {
            (_, Some(chain)) => {
                self.ran(child, chain, &mut edge);
                if told.is_none() {
                    edge.inferred = true;
                    edge.note = Some(Text::new(
                        format!("the log of {} does not show that it told {}", parent.code, child.code),
                        format!("{} のログに {} への通知がありません", parent.code, child.code),
                    ));
                } else if link.is_some_and(|link| link.merged) {
                    edge.note = Some(Text::new(
                        format!("{} took it up together with the next one", child.code),
                        format!("{} は次の同期とまとめて処理しました", child.code),
                    ));
                }
            }
            (Above::Waiting, None) => edge.outcome = EdgeOutcome::Waiting,
            (Above::Cut, None) => edge.outcome = EdgeOutcome::Cut,
            (Above::Ran(_) | Above::Unseen(_), None) => self.did_not_run(parent, child, &mut edge),
        }
        edge
    }

    fn ran(&self, child: &Site, chain: &Chain<'_>, edge: &mut WaveEdge) {
        let (Some(first), Some(last)) = (chain.runs.first(), chain.last()) else { return };
        edge.started_at = first.started_at;
        edge.ended_at = last.ended_at;
        edge.runs = chain.runs.iter().map(|run| run.id.clone()).collect();
        edge.catalog_version = last.catalog_version;
        edge.cause.clone_from(&last.cause);
        edge.outcome = match last.outcome {
            RunOutcome::Succeeded => EdgeOutcome::Succeeded,
            RunOutcome::Failed => EdgeOutcome::Failed,
            RunOutcome::Running => EdgeOutcome::Running,
            RunOutcome::Unknown => EdgeOutcome::Unknown,
        };
        if last.outcome == RunOutcome::Unknown {
            edge.note = Some(Text::new(
                format!("the end of the run of {} is not in its log", child.code),
                format!("{} の同期の終わりがログにありません", child.code),
            ));
        }
        let before =
            |(at, parent): &&(Timestamp, SiteCode)| *parent == edge.parent && first.started_at.is_some_and(|start| *at <= start);
        edge.received_at = child.received.iter().rev().find(before).map(|(at, _)| *at);
        if let (Some(told), Some(started)) = (edge.notified_at, first.started_at) {
            let lag = started.duration_since(told);
            edge.lag = Some(lag.max(SignedDuration::ZERO));
            let heard = edge.received_at.unwrap_or(started).min(started);
            let behind = told.duration_since(heard);
            if behind > NOTICEABLE && behind <= SKEW {
                let seconds = behind.as_secs();
                edge.note = Some(Text::new(
                    format!("the clock of {} is at least {seconds} s behind that of {}", child.code, edge.parent),
                    format!("{} の時計は {} より少なくとも {seconds} 秒遅れています", child.code, edge.parent),
                ));
            }
        }
    }

    /// The child was told, or should have been, and no run of it shows.
    fn did_not_run(&self, parent: &Site, child: &Site, edge: &mut WaveEdge) {
        let Some(told) = edge.notified_at else {
            edge.note = Some(Text::new(
                format!("the log of {} does not show that it told {}", parent.code, child.code),
                format!("{} のログに {} への通知がありません", parent.code, child.code),
            ));
            return;
        };
        // The child wrote that it found the notification, by its own clock.
        let near = |(at, from): &&(Timestamp, SiteCode)| *from == parent.code && told.duration_since(*at) <= SKEW;
        edge.received_at = child.received.iter().find(near).map(|(at, _)| *at);
        // A child that is busy with a run takes the word up when that is over.
        let busy_until = child.runs.last().and_then(|last| match last.run.outcome {
            RunOutcome::Running => Some(self.now),
            _ => last.run.ended_at,
        });
        let from = told.max(busy_until.unwrap_or(told));
        let limit = SignedDuration::from_mins(i64::from(self.limits.wave_minutes));
        let covered = child.covered_until.is_some_and(|newest| newest >= told);
        edge.outcome = match (self.now.duration_since(from) <= limit, covered) {
            (true, _) => EdgeOutcome::Waiting,
            (false, true) => EdgeOutcome::Missed,
            (false, false) => EdgeOutcome::Unknown,
        };
        edge.note = match edge.outcome {
            EdgeOutcome::Missed if edge.received_at.is_some() => Some(Text::new(
                format!("the notification arrived at {}, and no run began", child.code),
                format!("通知は {} に届きましたが、同期が開始されていません", child.code),
            )),
            EdgeOutcome::Unknown => Some(Text::new(
                format!("no log of {} from that time", child.code),
                format!("{} のその時刻のログがありません", child.code),
            )),
            _ => None,
        };
    }

    /// Of a site whose log nobody reads, the provider of the top site knows the catalogue version.
    fn ask_the_top(&self, child: &Site, version: Option<u64>, edge: &mut WaveEdge) {
        let Some((top, row)) = self.hierarchy.status_of(child.code) else { return };
        let (Some(has), Some(wanted)) = (row.catalog_version.value().copied(), version) else { return };
        let said = |en: String, ja: String| Some(Text::new(en, ja));
        if has >= wanted {
            edge.outcome = EdgeOutcome::Succeeded;
            edge.catalog_version = Some(has);
            edge.note = said(
                format!("as the provider of {} says: its version is {has}", top.code),
                format!("{} のプロバイダーによるとバージョンは {has} です", top.code),
            );
        } else {
            edge.note = said(
                format!("no log of {}; as the provider of {} says, its version is {has}", child.code, top.code),
                format!("{} のログがありません。{} のプロバイダーによるとバージョンは {has} です", child.code, top.code),
            );
        }
        edge.inferred = true;
    }
}

/// What a child made of the word of a parent whose log does not show its run: by the catalogue version, else the first one
/// that can have come of it.
fn unseen<'l, 'a>(links: &'l [Link<'a>], from: Timestamp, version: Option<u64>) -> Option<&'l Link<'a>> {
    let after =
        |link: &&Link<'_>| link.run.is_none() && link.chain.as_ref().is_some_and(|chain| pair::may_follow(chain, Some(from)));
    let same = |link: &&Link<'_>| version.is_some() && link.chain.as_ref().and_then(Chain::version) == version;
    links.iter().filter(after).find(same).or_else(|| links.iter().find(after))
}

/// A site that has passed on what it got, got it.
fn infer_from_below(edges: &mut [WaveEdge], at: usize) {
    let Some((edge, below)) = edges.split_at_mut_checked(at + 1).and_then(|(head, tail)| Some((head.last_mut()?, tail))) else {
        return;
    };
    if edge.outcome != EdgeOutcome::Unknown || !edge.runs.is_empty() {
        return;
    }
    if let Some(child) = below.iter().find(|below| below.parent == edge.child && below.outcome == EdgeOutcome::Succeeded) {
        edge.outcome = EdgeOutcome::Succeeded;
        edge.inferred = true;
        edge.note = Some(Text::new(
            format!("no log of {}, but {} below it has it", edge.child, child.child),
            format!("{} のログはありませんが、下位の {} に届いています", edge.child, child.child),
        ));
    }
}

#[cfg(test)]
mod tests;
