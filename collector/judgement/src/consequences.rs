//! Findings → which findings are consequences of which: one cause, one finding.
//!
//! Pure: computed from all findings and the hierarchy and never stored, so the result is the same live, for a moment in the past,
//! and offline. A finding can only be a consequence of one that precedes it in a fixed order (further up in the tree, then nearer
//! to the root cause). This rules out cycles, and a finding reported as a cause is never a consequence itself.

use std::collections::BTreeMap;

use supwatch_model::finding::{Confidence, Finding};
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;

use crate::hierarchy::{Hierarchy, Parent};
use crate::limits::Limits;

mod filters;
mod roots;

/// Rules in order from root causes to their effects: at one site, a finding is only a consequence of a rule listed before its
/// own. Rules not listed here are never consequences.
const ORDER: &[&str] = &[
    "topology",
    "agent-silent",
    "agent-lagging",
    "clock-skew",
    "sup-missing",
    "service-stopped",
    "app-pool",
    "top-source",
    "wsus-console-missing",
    "proxy-mismatch",
    "proxy-account",
    "fqdn-mismatch",
    "port-mismatch",
    "ssl-mismatch",
    "wsus-version",
    "child-replica",
    "child-upstream",
    "vdir-access",
    "filter-drift",
    "language-mismatch",
    "classification-mismatch",
    "product-mismatch",
    "sync-started-outside",
    "wsus-busy",
    "sync-failed",
    "database-trouble",
    "sync-stuck",
    "wave-missed",
    "sync-overdue",
    "catalog-lag",
];

/// Rules that report one fault at several sites.
const SPREAD: &[&str] = &["topology", "agent-silent", "agent-lagging", "clock-skew"];

/// The findings by site and rule, and the hierarchy.
struct Tree<'a> {
    hierarchy: &'a Hierarchy,
    limits: &'a Limits,
    now: jiff::Timestamp,
    findings: &'a [Finding],
    open: BTreeMap<(SiteCode, &'a str), Vec<usize>>,
    above: BTreeMap<SiteCode, Vec<SiteCode>>,
    /// Findings that several sites may have about the same thing, by rule and subject.
    spread: BTreeMap<(&'a str, &'a str), Vec<usize>>,
    places: Vec<Option<Place<'a>>>,
}

/// A finding's position in the order that puts causes before consequences.
type Place<'a> = (usize, usize, SiteCode, &'a str);

/// Links each open finding to its cause and its consequences. A cause is as severe as the worst of its
/// consequences. A suppressed finding covers only what is no worse than itself.
pub fn fold(hierarchy: &Hierarchy, limits: &Limits, now: jiff::Timestamp, findings: &mut [Finding]) {
    let causes = causes(&Tree::new(hierarchy, limits, now, findings));
    for (index, cause) in &causes {
        let Some((finding, root)) = findings.get(*index).zip(findings.get(*cause)) else { continue };
        let (id, severity) = (finding.id.clone(), finding.severity);
        let (root_id, lead) = (root.id.clone(), lead(root));
        let counts = finding.suppressed.is_none();
        if let Some(root) = findings.get_mut(*cause) {
            root.consequences.push(id);
            if counts {
                root.severity = root.severity.min(severity);
            }
        }
        if let Some(finding) = findings.get_mut(*index) {
            finding.because_of = Some(root_id);
            // The cause already has the remedy for what it confirms.
            if finding.confidence != Some(Confidence::Confirmed) {
                finding.remedy.insert(0, lead);
            }
        }
    }
}

fn lead(root: &Finding) -> Text {
    let Finding { id, rule, site, .. } = root;
    Text::new(
        format!("This is a consequence of {rule} at {site} ({id}): mend that first. The steps below are for what remains then."),
        format!(
            "これは {site} の {rule} ({id}) の結果です。先にそちらに対処してください。以下の手順は、その後も解消しない場合に行います。"
        ),
    )
}

/// The consequences, in order, each with its cause.
fn causes(tree: &Tree<'_>) -> Vec<(usize, usize)> {
    let mut order: Vec<(Place<'_>, usize)> = (0..tree.findings.len()).filter_map(|i| Some((tree.place(i)?, i))).collect();
    order.sort_unstable();
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    let mut reported = Vec::new();
    for (place, index) in &order {
        let before = |other: &usize| tree.place(*other).is_some_and(|other| other < *place);
        let root = |other: usize| found.get(&other).copied().unwrap_or(other);
        let cause = roots::candidates(tree, *index).into_iter().filter(before).map(root).find(|root| tree.covers(*root, *index));
        if let Some(cause) = cause {
            found.insert(*index, cause);
            reported.push((*index, cause));
        }
    }
    reported
}

impl<'a> Tree<'a> {
    fn new(hierarchy: &'a Hierarchy, limits: &'a Limits, now: jiff::Timestamp, findings: &'a [Finding]) -> Tree<'a> {
        let mut tree = Tree {
            hierarchy,
            limits,
            now,
            findings,
            open: BTreeMap::new(),
            above: BTreeMap::new(),
            spread: BTreeMap::new(),
            places: vec![None; findings.len()],
        };
        for (index, finding) in findings.iter().enumerate().filter(|(_, finding)| finding.resolved_at.is_none()) {
            let (rule, subject) = (finding.rule.as_str(), finding.subject.as_str());
            tree.open.entry((finding.site, rule)).or_default().push(index);
            if SPREAD.contains(&rule) {
                tree.spread.entry((rule, subject)).or_default().push(index);
            }
            let above = tree.above.entry(finding.site).or_insert_with(|| sites_above(hierarchy, finding.site)).len();
            let rank = ORDER.iter().position(|known| *known == rule);
            if let (Some(rank), Some(place)) = (rank, tree.places.get_mut(index)) {
                *place = Some((above, rank, finding.site, subject));
            }
        }
        let Tree { spread, open, places, .. } = &mut tree;
        for alike in spread.values_mut().chain(open.values_mut()) {
            alike.sort_by_key(|index| places.get(*index).copied().flatten());
        }
        tree
    }

    fn place(&self, index: usize) -> Option<Place<'a>> {
        self.places.get(index).copied().flatten()
    }

    /// The sites above a site, nearest first.
    fn above(&self, site: SiteCode) -> &[SiteCode] {
        self.above.get(&site).map_or(&[], Vec::as_slice)
    }

    fn parent(&self, site: SiteCode) -> Option<SiteCode> {
        self.above(site).first().copied()
    }

    /// Open findings of the given rules at a site, in the order of the rules; those about the same subject come first.
    fn at(&self, site: SiteCode, rules: &[&str], subject: &str) -> Vec<usize> {
        let of = |rule: &&str| {
            let mut all = self.open.get(&(site, *rule)).cloned().unwrap_or_default();
            all.sort_by_key(|index| self.findings.get(*index).is_none_or(|finding| finding.subject != subject));
            all
        };
        rules.iter().flat_map(of).collect()
    }

    /// Whether a finding may be reported with its consequences.
    fn covers(&self, root: usize, index: usize) -> bool {
        let Some((root, finding)) = self.findings.get(root).zip(self.findings.get(index)) else { return false };
        root.suppressed.is_none() || root.severity <= finding.severity
    }
}

/// The sites above a site, nearest first; stops where the path loops.
fn sites_above(hierarchy: &Hierarchy, site: SiteCode) -> Vec<SiteCode> {
    let (mut way, mut at) = (Vec::new(), site);
    while let Parent::Of(parent) = hierarchy.parent(at) {
        if parent == site || way.contains(&parent) {
            break;
        }
        way.push(parent);
        at = parent;
    }
    way
}

#[cfg(test)]
mod tests;
