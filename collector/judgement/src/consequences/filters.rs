//! Which languages, classifications and products a finding concerns, and which finding explains the difference.

use std::collections::BTreeSet;

use serde_json::Value;
use supwatch_model::finding::{Evidence, Finding};

use super::Tree;
use crate::hierarchy::Site;
use crate::rules::Names;

/// A child that differs from its parent because one of the two deviates from the component, or because the parent differs from
/// its own parent in the same names.
pub(super) fn of_a_mismatch(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let field = field(&finding.rule);
    let differs = differing(tree, finding, field);
    if differs.is_empty() {
        return Vec::new();
    }
    let parent = tree.parent(finding.site);
    let places = [(Some(finding.site), "filter-drift"), (parent, "filter-drift"), (parent, finding.rule.as_str())];
    let known = places.into_iter().filter_map(|(place, rule)| {
        let index = tree.at(place?, &[rule], "").into_iter().next()?;
        Some((index, differing(tree, tree.findings.get(index)?, field)))
    });
    let known: Vec<(usize, BTreeSet<String>)> = known.filter(|(_, names)| !names.is_disjoint(&differs)).collect();
    // One finding that explains all names, else the first of those that explain them together.
    let all: BTreeSet<&String> = known.iter().flat_map(|(_, names)| names).collect();
    let whole = known.iter().find(|(_, names)| differs.is_subset(names));
    let part = known.first().filter(|_| differs.iter().all(|name| all.contains(name)));
    whole.or(part).map(|(index, _)| *index).into_iter().collect()
}

/// A WSUS that deviates from the component in the same way as its parent's.
pub(super) fn of_a_drift(tree: &Tree<'_>, finding: &Finding) -> Vec<usize> {
    let Some(parent) = tree.parent(finding.site) else { return Vec::new() };
    let explains = |index: &usize| {
        let Some(other) = tree.findings.get(*index) else { return false };
        FIELDS.iter().all(|field| differing(tree, finding, field).is_subset(&differing(tree, other, field)))
    };
    tree.at(parent, &["filter-drift"], "").into_iter().filter(explains).collect()
}

const FIELDS: &[&str] = &["languages", "classifications", "products"];

fn field(rule: &str) -> &'static str {
    match rule {
        "language-mismatch" => "languages",
        "classification-mismatch" => "classifications",
        _ => "products",
    }
}

/// Names that differ according to a finding, in normalised form; expected differences are excluded.
fn differing(tree: &Tree<'_>, finding: &Finding, field: &str) -> BTreeSet<String> {
    let reported = finding.evidence.iter().filter_map(|evidence| match evidence {
        Evidence::Setting { site, setting, value, .. } if setting.rsplit('.').next().is_some_and(|end| end.ends_with(field)) => {
            Some((tree.hierarchy.site(*site)?, setting.as_str(), names(value)))
        }
        _ => None,
    });
    let reported: Vec<(&Site, &str, Vec<String>)> = reported.collect();
    let mut lists = reported.iter().map(|(site, path, list)| (*path, Names::of_field(list, site, field)));
    let Some((_, own)) = lists.next() else { return BTreeSet::new() };
    let one_way = finding.rule == "language-mismatch";
    let mut found = Vec::new();
    for (path, other) in lists {
        // A child may have fewer languages than its parent, and more than the summary languages.
        if !(one_way && path.starts_with("component.")) {
            found.extend(own.keys_without(&other));
        }
        if !(one_way && path.starts_with("wsus[")) {
            found.extend(other.keys_without(&own));
        }
    }
    let meant = |name: &str| tree.limits.may_differ(&finding.rule, finding.site, name, tree.now);
    found.into_iter().filter(|(_, name)| !meant(name)).map(|(key, _)| key).collect()
}

fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        Value::String(word) => vec![word.clone()],
        _ => Vec::new(),
    }
}
