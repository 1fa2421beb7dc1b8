//! The modules of each crate and their dependencies: no cycle, neither between folders nor between the files in one.
//!
//! `SUPWATCH_REGENERATE=1 cargo test -p supwatch-tests --test tidy graph` writes the graph into ARCHITECTURE.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use supwatch_tests::root;

use super::{code, files, read};

/// Crates, in the order of data flow, and their source folders.
const CRATES: &[(&str, &str)] = &[
    ("supwatch-model", "proto/model/src"),
    ("supwatch-proto", "proto/src"),
    ("supwatch-reading", "agent/reading/src"),
    ("supwatch-durable", "agent/durable/src"),
    ("supwatch-agent", "agent/src"),
    ("supwatch-judgement", "collector/judgement/src"),
    ("supwatch-store", "collector/store/src"),
    ("supwatch", "collector/src"),
];

/// The name of the graph's section in ARCHITECTURE.md.
pub const MARK: &str = "modules";

/// A module by its path from the root of its crate.
type Module = Vec<String>;

/// Dependencies between the modules below one parent.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The modules of a crate, with their code outside tests and comments.
fn modules(source: &str) -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    for path in files(".rs").iter().filter(|path| path.starts_with(source)) {
        let inner = path.strip_prefix(source).expect("below it").with_extension("");
        let module: Module = inner.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        let is_test =
            module.iter().any(|part| part == "tests" || part == "testing" || part == "properties" || part == "conformance");
        if module == ["lib"] || module == ["main"] || is_test {
            continue;
        }
        let bare: Vec<String> = code(path).lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect();
        found.insert(module, bare.join("\n"));
    }
    found
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The paths that begin here, such as `a::{b, c::d}`, each with its prefix; returns the rest of the text.
fn paths<'a>(text: &'a str, before: &[String], found: &mut Vec<Module>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = paths(rest, before, found).trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let name = word(text);
    let rest = &text[name.len()..];
    let mut path = before.to_vec();
    path.extend((!name.is_empty()).then(|| name.to_owned()));
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => paths(rest, &path, found),
        _ => {
            found.push(path);
            rest
        }
    }
}

/// The modules that a module's code refers to.
fn named(module: &Module, text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (start, up) in [("crate::", None), ("super::", Some(1))] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let (mut rest, mut up) = (&text[at + start.len()..], up);
            while let Some(more) = rest.strip_prefix("super::").filter(|_| up.is_some()) {
                (rest, up) = (more, up.map(|up| up + 1));
            }
            let base = up.map_or(&[][..], |up: usize| &module[..module.len().saturating_sub(up)]);
            paths(rest, base, &mut found);
        }
    }
    found
}

/// The graphs of a crate, by the module whose children they connect; that of the root has the empty path.
fn graphs(source: &str) -> BTreeMap<Module, Graph> {
    let modules = modules(source);
    let mut graphs: BTreeMap<Module, Graph> = BTreeMap::new();
    for module in modules.keys() {
        for depth in 0..module.len() {
            graphs.entry(module[..depth].to_vec()).or_default().entry(module[depth].clone()).or_default();
        }
    }
    for (module, text) in &modules {
        for other in named(module, text) {
            let common = module.iter().zip(&other).take_while(|(one, other)| one == other).count();
            let (Some(from), Some(to)) = (module.get(common), other.get(common)) else { continue };
            let Some(graph) = graphs.get_mut(&module[..common]) else { continue };
            if graph.contains_key(to) {
                graph.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    graphs
}

/// A path from a module back to itself.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn walk(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let at = way.last()?.clone();
        for next in graph.get(&at).into_iter().flatten() {
            if let Some(start) = way.iter().position(|known| known == next) {
                return Some(way[start..].iter().chain([next]).cloned().collect());
            }
            if !done.contains(next) {
                way.push(next.clone());
                if let Some(found) = walk(graph, way, done) {
                    return Some(found);
                }
                way.pop();
            }
        }
        done.insert(at);
        None
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|start| walk(graph, &mut vec![start.clone()], &mut done))
}

/// The modules of a graph, dependents first.
fn in_order(graph: &Graph) -> Vec<&String> {
    fn height<'a>(graph: &'a Graph, name: &'a str, known: &mut BTreeMap<&'a str, usize>) -> usize {
        if let Some(height) = known.get(name) {
            return *height;
        }
        let below = graph.get(name).into_iter().flatten().map(|next| height(graph, next, known) + 1).max().unwrap_or(0);
        known.insert(name, below);
        below
    }
    let mut known = BTreeMap::new();
    let mut all: Vec<&String> = graph.keys().collect();
    all.sort_by_key(|name| (std::cmp::Reverse(height(graph, name, &mut known)), *name));
    all
}

fn drawn() -> String {
    let mut out = String::from("```text\n");
    for (name, source) in CRATES {
        let graphs = graphs(source);
        let Some(graph) = graphs.get(&Module::new()) else { continue };
        out.push_str(&format!("{name}  ({source})\n"));
        let width = graph.keys().map(String::len).max().unwrap_or(0);
        for module in in_order(graph) {
            let below = graph[module].iter().cloned().collect::<Vec<_>>().join(", ");
            let line = if below.is_empty() { format!("  {module}") } else { format!("  {module:width$} → {below}") };
            out.push_str(&format!("{line}\n"));
        }
        out.push('\n');
    }
    format!("{}\n```\n", out.trim_end())
}

#[test]
fn no_module_names_one_that_names_it() {
    let mut circles = Vec::new();
    for (name, source) in CRATES {
        for (parent, graph) in graphs(source) {
            if let Some(way) = circle(&graph) {
                circles.push(format!(
                    "{name}{}: {}",
                    parent.iter().map(|part| format!("::{part}")).collect::<String>(),
                    way.join(" → ")
                ));
            }
        }
    }
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_is_found_wherever_it_stands() {
    let graph = |pairs: &[(&str, &str)]| -> Graph {
        let mut graph = Graph::new();
        for (from, to) in pairs {
            graph.entry((*to).to_owned()).or_default();
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])), Some(["b", "c", "b"].map(str::to_owned).to_vec()));
    let module: Module = vec!["a".to_owned(), "b".to_owned()];
    let text = "use crate::c::{d, e::{f, g}};\nuse super::h;\nlet x = super::super::i::j();\nnot_crate::k::l;";
    let mut found: Vec<String> = named(&module, text).iter().map(|path| path.join("::")).collect();
    found.sort();
    assert_eq!(found, ["a::h", "c::d", "c::e::f", "c::e::g", "i::j"]);
}

#[test]
fn the_graph_in_the_architecture_is_that_of_the_code() {
    const END: &str = "<!-- end -->";
    let begin = format!("<!-- generated: {MARK} -->\n");
    let path = Path::new("ARCHITECTURE.md");
    let text = read(path);
    if CRATES.iter().flat_map(|(_, source)| graphs(source).into_values()).any(|graph| circle(&graph).is_some()) {
        return; // another test reports cycles, which have no order
    }
    let (head, rest) = text.split_once(&begin).expect("ARCHITECTURE.md has the mark of the graph");
    let (old, tail) = rest.split_once(END).expect("and its end");
    let new = drawn();
    if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
        std::fs::write(root().join(path), format!("{head}{begin}{new}{END}{tail}")).expect("written");
    } else {
        assert!(
            old == new,
            "the graph in ARCHITECTURE.md is stale: SUPWATCH_REGENERATE=1 cargo test -p supwatch-tests --test tidy graph"
        );
    }
}
