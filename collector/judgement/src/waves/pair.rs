//! Pairs the runs of one parent with those of one child.
//!
//! The two logs are written by different clocks, and either may be missing. The catalogue version is the strongest evidence: the
//! child's run ends with the version of the parent's run. Failed runs have none, so order and times decide, with a tolerance for
//! clock differences.

use jiff::{SignedDuration, Timestamp};
use supwatch_model::event::Trigger;
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Run, RunOutcome};

use crate::hierarchy::Site;

/// Largest tolerated clock difference of two servers.
pub(crate) const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Runs of a child that form one attempt: the first and its retries.
#[derive(Debug, Clone)]
pub(super) struct Chain<'a> {
    /// Oldest first; never empty.
    pub runs: Vec<&'a Run>,
}

impl<'a> Chain<'a> {
    fn first(&self) -> Option<&'a Run> {
        self.runs.first().copied()
    }

    /// The run that determines the outcome.
    pub fn last(&self) -> Option<&'a Run> {
        self.runs.last().copied()
    }

    /// When it began, as far as its log shows.
    pub fn start(&self) -> Option<Timestamp> {
        self.first().and_then(|run| run.started_at.or(run.ended_at))
    }

    /// Whether its log names this parent's notification.
    fn is_notified_by(&self, parent: SiteCode) -> bool {
        self.first().is_some_and(|first| first.trigger == Trigger::Parent && first.from.is_none_or(|from| from == parent))
    }

    /// Catalogue version it ended with.
    pub fn version(&self) -> Option<u64> {
        self.runs.iter().rev().find_map(|run| run.catalog_version)
    }

    pub fn succeeded(&self) -> bool {
        self.last().is_some_and(|last| last.outcome == RunOutcome::Succeeded)
    }
}

/// A run of the parent and the child's response to it.
#[derive(Debug)]
pub(super) struct Link<'a> {
    /// The parent's run; `None` if its log does not show it.
    pub run: Option<&'a Run>,
    /// When the parent notified the child.
    pub notified: Option<Timestamp>,
    /// The child's attempt.
    pub chain: Option<Chain<'a>>,
    /// Whether the attempt also covers the parent's next run.
    pub merged: bool,
}

impl Link<'_> {
    /// Earliest start of the child's run, by the parent's clock.
    fn from(&self) -> Option<Timestamp> {
        self.notified.or(self.run.and_then(|run| run.ended_at))
    }
}

/// A child's runs grouped into attempts, oldest first. Runs without any time cannot be placed.
pub(super) fn chains(child: &Site) -> Vec<Chain<'_>> {
    let mut chains: Vec<Chain<'_>> = Vec::new();
    for run in child.runs.iter().map(|tracked| &tracked.run) {
        if run.started_at.or(run.ended_at).is_none() {
            continue;
        }
        match chains.last_mut().filter(|last| run.trigger == Trigger::Retry && !last.succeeded()) {
            Some(last) => last.runs.push(run),
            None => chains.push(Chain { runs: vec![run] }),
        }
    }
    chains
}

/// Every run of the parent that may have notified the child, oldest first, with the child's response; then notifications that
/// only the child's log shows.
pub(super) fn links<'a>(parent: &'a Site, child: &'a Site) -> Vec<Link<'a>> {
    let notified = notifications(parent, child);
    let mut links: Vec<Link<'a>> =
        notified.into_iter().map(|(run, notified)| Link { run: Some(run), notified, chain: None, merged: false }).collect();
    let mut free: Vec<Option<Chain<'a>>> = chains(child).into_iter().map(Some).collect();
    by_version(&mut links, &mut free);
    by_time(&mut links, &mut free, parent.code);
    again(&mut links, &mut free);
    merge(&mut links);
    links.extend(free.into_iter().flatten().filter(|chain| chain.is_notified_by(parent.code)).map(|chain| Link {
        run: None,
        notified: None,
        chain: Some(chain),
        merged: false,
    }));
    links
}

/// Runs of the parent that succeeded, or notified the child anyway.
fn notifications<'a>(parent: &'a Site, child: &Site) -> Vec<(&'a Run, Option<Timestamp>)> {
    let times: Vec<Timestamp> =
        child.notified.iter().filter(|notified| notified.parent == parent.code).map(|notified| notified.at).collect();
    let runs: Vec<&Run> = parent.runs.iter().map(|tracked| &tracked.run).collect();
    let begin = |run: &Run| run.started_at.or(run.ended_at);
    let mut found = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let Some(start) = begin(run) else { continue };
        let next = runs.get(index + 1..).into_iter().flatten().find_map(|next| begin(next));
        let notified = times.iter().copied().find(|notified| *notified >= start && next.is_none_or(|next| *notified < next));
        if notified.is_some() || run.outcome == RunOutcome::Succeeded {
            found.push((*run, notified));
        }
    }
    found
}

/// Whether a child's attempt may have begun after a moment of the parent's clock.
pub(super) fn may_follow(chain: &Chain<'_>, from: Option<Timestamp>) -> bool {
    chain.start().zip(from).is_some_and(|(start, from)| from.duration_since(start) <= SKEW)
}

fn by_version<'a>(links: &mut [Link<'a>], free: &mut [Option<Chain<'a>>]) {
    for link in links {
        let Some(version) = link.run.and_then(|run| run.catalog_version) else { continue };
        let from = link.from();
        let fits = |chain: &Option<Chain<'_>>| {
            chain.as_ref().is_some_and(|chain| chain.succeeded() && chain.version() == Some(version) && may_follow(chain, from))
        };
        link.chain = free.iter_mut().find(|chain| fits(chain)).and_then(Option::take);
    }
}

/// Whether an attempt began after the parent's next notification or, with clock differences, just before it.
fn is_nearer(chain: &Chain<'_>, from: Option<Timestamp>, next: Option<Timestamp>) -> bool {
    let (Some(start), Some(from), Some(next)) = (chain.start(), from, next) else { return false };
    let before = next.duration_since(start);
    before <= SKEW && before < start.duration_since(from)
}

/// Pairs in the order of both: the first unpaired attempt that is not too early, and not nearer to the parent's next
/// notification.
fn by_time<'a>(links: &mut [Link<'a>], free: &mut [Option<Chain<'a>>], parent: SiteCode) {
    let froms: Vec<Option<Timestamp>> = links.iter().map(Link::from).collect();
    for (index, link) in links.iter_mut().enumerate() {
        if link.chain.is_some() {
            continue;
        }
        let from = link.from();
        let next = froms.get(index + 1..).into_iter().flatten().find_map(|from| *from);
        let wanted = link.run.and_then(|run| run.catalog_version);
        let fits = |chain: &Option<Chain<'_>>| {
            let Some(chain) = chain else { return false };
            // A run with an unknown trigger belongs here only if the parent sent a notification.
            let by_itself = |first: &Run| matches!(first.trigger, Trigger::Unknown | Trigger::Retry) && link.notified.is_some();
            let of_parent = chain.is_notified_by(parent) || chain.first().is_some_and(by_itself);
            // An attempt that ended with another version belongs to another run.
            let other = chain.version().zip(wanted).is_some_and(|(has, wanted)| chain.succeeded() && has < wanted);
            of_parent && !other && may_follow(chain, from) && !is_nearer(chain, from, next)
        };
        link.chain = free.iter_mut().find(|chain| fits(chain)).and_then(Option::take);
    }
}

/// Whatever the child ran next, before the parent's next notification, continues an attempt that did not succeed.
fn again<'a>(links: &mut [Link<'a>], free: &mut [Option<Chain<'a>>]) {
    let starts: Vec<Option<Timestamp>> = links.iter().map(|link| link.chain.as_ref().and_then(Chain::start)).collect();
    for (index, link) in links.iter_mut().enumerate() {
        let Some(chain) = link.chain.as_mut() else { continue };
        let next = starts.get(index + 1..).into_iter().flatten().find_map(|start| *start);
        for later in free.iter_mut() {
            let fits = !chain.succeeded()
                && later.as_ref().is_some_and(|later| {
                    later.start() > chain.last().and_then(|last| last.started_at.or(last.ended_at))
                        && next.is_none_or(|next| later.start() < Some(next))
                });
            if fits {
                chain.runs.extend(later.take().into_iter().flat_map(|later| later.runs));
            }
        }
    }
}

/// A busy child acts on several notifications at once: its run for the later one also covers the earlier ones.
fn merge(links: &mut [Link<'_>]) {
    let mut next: Option<Chain<'_>> = None;
    for link in links.iter_mut().rev() {
        match &link.chain {
            Some(chain) => next = Some(chain.clone()),
            None if next.as_ref().is_some_and(|next| next.succeeded() && may_follow(next, link.from())) => {
                link.chain.clone_from(&next);
                link.merged = true;
            }
            None => {}
        }
    }
}
