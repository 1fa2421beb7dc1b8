//! Tables in the pages that are generated from the code, between markers; a test fails if they are stale.
//!
//! `SUPWATCH_REGENERATE=1 cargo test -p supwatch-tests --test tidy generated` writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use supwatch::cli::EXIT_CODES;
use supwatch::export::metrics;
use supwatch_judgement::diagnosis::{Catalogue, Kind};
use supwatch_judgement::rules::RULES;
use supwatch_tests::root;

use super::{files, read};

/// Generates a table.
type Make = fn() -> String;

/// Page, name of the table, and its generator.
const TABLES: &[(&str, &str, Make)] = &[
    ("deploy/docs/rules.md", "rules", rules),
    ("deploy/docs/monitoring.md", "metrics", metrics_table),
    ("deploy/docs/reference.md", "exit-codes", exit_codes),
    ("deploy/docs/causes.md", "causes", causes),
];

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | ").replace('\n', " "));
    let mut out = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
    out.extend(rows.into_iter().map(line));
    out
}

/// Names as code, separated by commas.
fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `wsyncmgr.log of the parent`: a name, possibly with words around it.
fn looked_at(what: &str) -> String {
    let (name, rest) = what.split_once(' ').map_or((what, String::new()), |(name, rest)| (name, format!(" {rest}")));
    if rest.is_empty() || name.contains(['.', '[', '_']) { format!("`{name}`{rest}") } else { what.to_owned() }
}

fn rules() -> String {
    let rows = RULES.iter().map(|rule| {
        let looks_at = rule.looks_at.iter().map(|what| looked_at(what)).collect::<Vec<_>>().join(", ");
        vec![names([rule.name]), rule.severity.as_str().to_owned(), rule.title.0.to_owned(), looks_at]
    });
    table(&["rule", "severity", "what must hold", "looks at"], rows)
}

fn metrics_table() -> String {
    let rows = metrics::listed().map(|metric| {
        let labels = names(metric.labels.iter().copied());
        vec![names([metric.name]), metric.kind.to_owned(), labels, metric.help.to_owned()]
    });
    table(&["metric", "type", "labels", "value"], rows)
}

fn exit_codes() -> String {
    table(&["code", "meaning"], EXIT_CODES.iter().map(|(code, meaning)| vec![code.to_string(), (*meaning).to_owned()]))
}

fn causes() -> String {
    let mut counts = BTreeMap::new();
    for cause in Catalogue::built_in().causes() {
        let (order, kind, meaning) = match cause.kind {
            Kind::Cause => (0, "cause", "why synchronisation failed"),
            Kind::General => (1, "general", "that something failed and where to look; an entry of kind *cause* outweighs it"),
            Kind::Harmless => (2, "harmless", "a line that looks like a failure and is none"),
            Kind::Term => (3, "term", "a state or number of the console or a log, explained; never the cause of a run"),
        };
        counts.entry((order, kind, meaning)).or_insert_with(Vec::new).push(cause.id.as_str());
    }
    let rows = counts.into_iter().map(|((_, kind, meaning), ids)| {
        vec![format!("`{kind}`"), ids.len().to_string(), meaning.to_owned(), format!("`{}`", ids[0])]
    });
    table(&["kind", "entries", "says", "for example"], rows)
}

/// Position of the table in a page, without the markers.
fn between(page: &str, text: &str, name: &str) -> std::ops::Range<usize> {
    let mark = format!("<!-- generated: {name} -->\n");
    let start = text.find(&mark).unwrap_or_else(|| panic!("{page} has no {mark}")) + mark.len();
    let length = text[start..].find("<!-- end -->").unwrap_or_else(|| panic!("{page}: {name} has no end"));
    start..start + length
}

#[test]
fn the_generated_tables_say_what_the_code_says() {
    for (page, name, make) in TABLES {
        let (mut text, table) = (read(Path::new(page)), format!("\n{}\n", make()));
        let place = between(page, &text, name);
        if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
            text.replace_range(place, &table);
            std::fs::write(root().join(page), text).expect("written");
            continue;
        }
        let (found, wanted): (BTreeSet<&str>, BTreeSet<&str>) = (text[place.clone()].lines().collect(), table.lines().collect());
        let (stale, new): (Vec<_>, Vec<_>) = (found.difference(&wanted).collect(), wanted.difference(&found).collect());
        assert!(
            text[place] == table,
            "{page}: the table {name} is stale: {stale:#?} instead of {new:#?}; \
             run `SUPWATCH_REGENERATE=1 cargo test -p supwatch-tests --test tidy generated`"
        );
    }
}

#[test]
fn every_mark_of_a_generated_table_has_a_generator() {
    for path in files(".md") {
        let text = read(&path);
        for name in text.lines().filter_map(|line| line.strip_prefix("<!-- generated: ")?.strip_suffix(" -->")) {
            let known =
                TABLES.iter().any(|(page, known, _)| Path::new(page) == path && *known == name) || name == super::graph::MARK;
            assert!(known, "{}: nothing generates the table {name}", path.display());
        }
    }
}

/// First cells of the rows of a table, without backticks.
fn first_cells(table: &str) -> Vec<&str> {
    let cells = table.lines().filter_map(|line| line.strip_prefix("| `")).flat_map(|line| line.split(" | ").next());
    cells.flat_map(|cell| cell.split(',')).map(|name| name.trim_matches(['`', ' ', '|'])).collect()
}

#[test]
fn every_rule_says_when_it_fails() {
    let page = read(Path::new("deploy/docs/rules.md"));
    let described = page.split("## When each rule fails").nth(1).expect("a section").split("\n## ").next().expect("a section");
    let mut described = first_cells(described);
    let mut known: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    described.sort_unstable();
    known.sort_unstable();
    assert_eq!(described, known, "deploy/docs/rules.md: the table of when each rule fails has other rules than the code");
}
