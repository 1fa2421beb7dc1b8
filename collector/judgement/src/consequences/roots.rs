//! The possible causes of a finding, likeliest first.

use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::ids::SiteCode;

use super::{Tree, filters};
use crate::diagnosis::{At, Cause, UNKNOWN};
use crate::rules::judged_at;

/// Faults of a site's servers and their settings: they explain a failed run with an unspecific error.
const FAULTS: &[&str] = &[
    "sup-missing",
    "service-stopped",
    "app-pool",
    "wsus-console-missing",
    "fqdn-mismatch",
    "port-mismatch",
    "ssl-mismatch",
    "child-replica",
    "child-upstream",
    "vdir-access",
];
/// Faults that keep a site from having what its children request from it.
const BROKEN: &[&str] = &["sup-missing", "service-stopped", "app-pool", "sync-failed", "database-trouble", "sync-stuck"];
/// Rules whose failure stops the sites below.
const STOPPED: &[&str] = &["sup-missing", "sync-failed", "sync-stuck", "wave-missed"];
/// Rules that depend on each site's parent and type.
const OF_THE_TREE: &[&str] = &[
    "top-source",
    "child-replica",
    "child-upstream",
    "filter-drift",
    "language-mismatch",
    "classification-mismatch",
    "product-mismatch",
    "sync-started-outside",
    "wave-missed",
    "catalog-lag",
];
/// Errors that blame the site's update source without saying how it fails.
const OF_THE_SOURCE: &[&str] =
    &["upstream-communication", "update-source-not-found", "no-parent-server", "import-update-error", UNKNOWN];

/// Indexes of the findings that the given one may be a consequence of, whatever their place in the order.
pub(super) fn candidates(tree: &Tree<'_>, index: usize) -> Vec<usize> {
    let Some(finding) = tree.findings.get(index) else { return Vec::new() };
    let here = |rules: &[&str]| tree.at(finding.site, rules, &finding.subject);
    let mut found = Vec::new();
    // Where the topology is unknown, a rule that depends on it has no finding of its own.
    if OF_THE_TREE.contains(&finding.rule.as_str()) {
        found.extend(tree.at(finding.site, &["topology"], ""));
    }
    found.extend(match finding.rule.as_str() {
        "sync-failed" => failed(tree, finding),
        "database-trouble" => here(&["service-stopped"]).into_iter().chain(same_run(tree, finding)).collect(),
        "sync-stuck" => here(&["service-stopped", "app-pool", "sync-failed", "database-trouble", "wsus-busy"]),
        "wave-missed" => here(STOPPED).into_iter().chain(of_sites_above(tree, finding, STOPPED, |_| true)).collect(),
        "sync-overdue" => {
            let above = [STOPPED, &["sync-overdue"]].concat();
            here(STOPPED)
                .into_iter()
                .chain(here(&["database-trouble"]))
                .chain(of_sites_above(tree, finding, &above, |site| !is_better_off(tree, site, finding.site)))
                .collect()
        }
        "catalog-lag" => {
            let own = [STOPPED, &["sync-overdue", "child-upstream"]].concat();
            let above = [STOPPED, &["sync-overdue", "catalog-lag"]].concat();
            // A child is compared with what the top site has: a failure there explains no lag.
            let behind = |site: SiteCode| tree.parent(site).is_some() && is_behind(tree, site, finding.site);
            here(&own).into_iter().chain(of_sites_above(tree, finding, &above, behind)).collect()
        }
        "language-mismatch" | "classification-mismatch" | "product-mismatch" => filters::of_a_mismatch(tree, finding),
        "filter-drift" => filters::of_a_drift(tree, finding),
        "app-pool" => here(&["service-stopped"]),
        "port-mismatch" if says(finding, ".reach.outcome") => here(&["service-stopped"]),
        "ssl-mismatch" if !says(finding, ".ssl") && says(finding, ".certificate.names") => here(&["fqdn-mismatch"]),
        "vdir-access" if says_value(finding, ".status", 403) => here(&["ssl-mismatch"]),
        "wsus-busy" => here(&["sync-started-outside"]),
        "child-upstream" => edge(tree, finding),
        "wsus-version" => beside(tree, finding, |_| true),
        "agent-lagging" => here(&["agent-silent"]).into_iter().chain(same_agent(tree, finding)).collect(),
        "agent-silent" | "clock-skew" => same_agent(tree, finding),
        "topology" => same_topology_fault(tree, finding),
        _ => Vec::new(),
    });
    found
}

/// A failed run, or a failed configuration.
fn failed(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let (here, parent) = (finding.site, tree.parent(finding.site));
    let id = finding.cause.as_deref().unwrap_or(UNKNOWN);
    let cause = tree.hierarchy.catalogue.get(id);
    let mut found = Vec::new();
    for rule in cause.into_iter().flat_map(|cause| &cause.confirmed_by).filter(|rule| *rule != "sync-failed") {
        let place = cause.map_or(here, |cause| judged_at(cause, rule, here, parent));
        found.extend(tree.at(place, &[rule.as_str()], first_sup(tree, place)));
    }
    let at_parent = cause.is_some_and(|cause| cause.at == At::Parent);
    if finding.subject == "WCM" {
        let alike = |index: &usize| {
            let other = tree.findings.get(*index).and_then(|other| other.cause.as_deref()).unwrap_or(UNKNOWN);
            other == id || [cause, tree.hierarchy.catalogue.get(other)].iter().any(|cause| cause.is_none_or(Cause::is_general))
        };
        found.extend(tree.at(here, &["sync-failed"], "").into_iter().filter(alike));
    }
    if id == UNKNOWN {
        found.extend(tree.at(here, FAULTS, first_sup(tree, here)));
    }
    if let Some(parent) = parent {
        if at_parent || OF_THE_SOURCE.contains(&id) {
            found.extend(tree.at(parent, BROKEN, ""));
        }
        let same = |index: &usize| tree.findings.get(*index).is_some_and(|other| other.cause == finding.cause);
        found.extend(tree.at(parent, &["sync-failed"], "").into_iter().filter(same));
    }
    if at_parent {
        found.extend(beside(tree, finding, |other| other.cause == finding.cause));
    }
    found
}

fn first_sup<'a>(tree: &Tree<'a>, site: SiteCode) -> &'a str {
    let sup = tree.hierarchy.site(site).and_then(|site| site.first_sup());
    sup.and_then(|sup| sup.server.value()).map_or("", String::as_str)
}

/// A failed run in whose log the trouble was written.
fn same_run(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let run = tree.hierarchy.site(finding.site).and_then(|site| site.runs.last_failure());
    let within = |evidence: &Evidence| match (evidence, run) {
        (Evidence::Line { time, .. }, Some(run)) => run.is_around(*time),
        _ => false,
    };
    if finding.evidence.last().is_some_and(within) { tree.at(finding.site, &["sync-failed"], "") } else { Vec::new() }
}

/// Findings of the sites above that satisfy a condition, nearest first.
fn of_sites_above(tree: &Tree<'_>, finding: &Finding, rules: &[&str], holds: impl Fn(SiteCode) -> bool) -> Vec<usize> {
    let above = tree.above(finding.site).iter().copied().filter(|site| holds(*site));
    above.flat_map(|site| tree.at(site, rules, "")).collect()
}

/// Whether a site above has succeeded since, so that its trouble does not explain this one.
fn is_better_off(tree: &Tree<'_>, above: SiteCode, below: SiteCode) -> bool {
    let success = |code: SiteCode| {
        let seen = tree.hierarchy.site(code).and_then(|site| site.runs.last_success()?.run.ended_at);
        seen.max(tree.hierarchy.status_of(code).and_then(|(_, row)| row.last_success_at.value().copied()))
    };
    let since = success(below).or_else(|| tree.hierarchy.site(below)?.log_since);
    success(above).is_some_and(|above| since.is_some_and(|since| above > since))
}

/// Whether a site's catalogue is no newer than another's.
fn is_behind(tree: &Tree<'_>, above: SiteCode, below: SiteCode) -> bool {
    let version = |code: SiteCode| tree.hierarchy.site(code).and_then(|site| site.catalog_version());
    version(above).zip(version(below)).is_none_or(|(above, below)| above <= below)
}

/// The same failure at other children of the parent: the fault is at the parent.
fn beside(tree: &Tree<'_>, finding: &Finding, alike: impl Fn(&Finding) -> bool) -> Vec<usize> {
    let Some(parent) = tree.parent(finding.site) else { return Vec::new() };
    let others = tree.hierarchy.children(parent).filter(|code| *code < finding.site);
    let same = |index: &usize| tree.findings.get(*index).is_some_and(|other| other.subject == finding.subject && alike(other));
    others.flat_map(|code| tree.at(code, &[finding.rule.as_str()], &finding.subject)).find(same).into_iter().collect()
}

/// A child whose upstream setting differs from its parent's SUP, if the setting of that SUP is itself wrong.
fn edge(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let above = finding.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Setting { site, setting, .. } if setting.starts_with("sups[") => Some(*site),
        _ => None,
    });
    let Some(above) = above.or(tree.parent(finding.site)) else { return Vec::new() };
    let rule = match () {
        () if says(finding, ".port") => "port-mismatch",
        () if says(finding, ".ssl") => "ssl-mismatch",
        () if says(finding, ".server") => "fqdn-mismatch",
        () => return Vec::new(),
    };
    tree.at(above, &[rule], first_sup(tree, above))
}

/// What several sites of one agent report about it.
fn same_agent(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    tree.spread.get(&(finding.rule.as_str(), finding.subject.as_str())).cloned().unwrap_or_default()
}

/// Two top sites, or a cycle, are one fault that each of their sites reports.
fn same_topology_fault(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let here = finding.site;
    let circle = |site: SiteCode| tree.above(here).contains(&site) && tree.above(site).contains(&here);
    // The reports of two sites about one parent differ only in their own codes.
    let bare = |finding: &Finding| finding.summary.en.strip_prefix(finding.site.as_str()).map(str::to_owned);
    let own = bare(finding);
    let alike = |other: &Finding| other.summary == finding.summary || (own.is_some() && bare(other) == own) || circle(other.site);
    let all = tree.spread.get(&("topology", "")).into_iter().flatten().copied();
    all.filter(|index| tree.findings.get(*index).is_some_and(alike)).collect()
}

/// Whether the evidence includes a setting whose path has this suffix.
fn says(finding: &Finding, end: &str) -> bool {
    finding.evidence.iter().any(|evidence| matches!(evidence, Evidence::Setting { setting, .. } if setting.ends_with(end)))
}

fn says_value(finding: &Finding, end: &str, wanted: u16) -> bool {
    let fits = |evidence: &Evidence| match evidence {
        Evidence::Setting { setting, value, .. } => setting.ends_with(end) && value.as_u64() == Some(u64::from(wanted)),
        Evidence::Line { .. } => false,
    };
    finding.evidence.iter().any(fits)
}
