//! House rules as tests: crate boundaries, paths named in documents, and habits that have caused bugs before.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

use supwatch_tests::root;

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/keys.rs"]
mod keys;
#[path = "tidy/tables.rs"]
mod tables;
#[path = "tidy/words.rs"]
mod words;

/// Files known to git, relative to the root.
fn files(suffix: &str) -> Vec<PathBuf> {
    let listed = Command::new("git").current_dir(root()).args(["ls-files", "--cached", "--others", "--exclude-standard"]).output();
    let listed = listed.ok().filter(|output| output.status.success());
    let mut found: Vec<PathBuf> = match listed {
        Some(output) => String::from_utf8(output.stdout).expect("UTF-8").lines().map(PathBuf::from).collect(),
        // An unpacked archive has no git.
        None => walk(&root()),
    };
    found.retain(|path| path.to_string_lossy().ends_with(suffix) && root().join(path).is_file());
    found
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path()) {
        if entry.is_dir() && !entry.ends_with("target") && !entry.ends_with(".git") {
            found.extend(walk(&entry));
        } else if entry.is_file() {
            found.push(entry.strip_prefix(root()).expect("below the root").to_owned());
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Source without its tests.
fn code(path: &Path) -> String {
    if path.ends_with("tests.rs") || path.ends_with("testing.rs") {
        return String::new();
    }
    let text = read(path);
    let (mut kept, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push(line);
            continue;
        }
        // A module in another file ends here, one in this file with its closing brace.
        if lines.next().is_some_and(|item| !item.ends_with(';')) {
            lines.by_ref().find(|line| *line == "}");
        }
    }
    kept.join("\n")
}

#[test]
fn each_outside_crate_is_named_where_it_belongs() {
    let allowed: [(&str, &[&str]); 7] = [
        ("sled::", &["agent/durable/src"]),
        // The collector has a module of this name, and does not use the crate.
        ("notify::", &["agent/src/watch.rs", "collector/src"]),
        ("lettre::", &["collector/src/export/notify/smtp.rs"]),
        ("hyper::", &["agent/src/probe/http.rs", "collector/src/export/notify/webhook.rs"]),
        ("zip::", &["collector/src/analyze/archive.rs"]),
        ("prometheus::", &["collector/src/export/metrics.rs", "collector/src/export/otlp/numbers.rs"]),
        ("opentelemetry_proto::", &["collector/src/export/otlp.rs", "collector/src/export/otlp"]),
    ];
    for path in files(".rs").iter().filter(|path| !path.starts_with("tests")) {
        for (name, homes) in allowed {
            let at_home = homes.iter().any(|home| path.starts_with(home));
            assert!(at_home || !code(path).contains(name), "{} names {name}; it belongs in {homes:?}", path.display());
        }
    }
}

#[test]
fn the_collector_uses_the_agent_for_its_demo_alone() {
    for path in files(".rs").iter().filter(|path| path.starts_with("collector")) {
        let home = path.starts_with("collector/src/demo") || path.ends_with("src/demo.rs");
        assert!(home || !code(path).contains("supwatch_agent::"), "{} uses the agent's library", path.display());
    }
    for path in files(".rs").iter().filter(|path| path.starts_with("agent")) {
        assert!(!read(path).contains("use supwatch::"), "{} uses the collector", path.display());
    }
}

/// The crates in a crate's dependency tree, itself included.
fn built_of(name: &str, features: &[&str]) -> Vec<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(root())
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "-p", name])
        .args(features);
    let output = tree.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn pure_crates_have_no_runtime_no_network_and_no_files() {
    let edges = ["tokio", "mio", "socket2", "hyper", "tonic", "prost", "rustls", "sled", "notify", "tempfile", "tracing"];
    for name in ["supwatch-model", "supwatch-reading", "supwatch-judgement"] {
        let all = built_of(name, &[]);
        let found: Vec<&String> = all.iter().filter(|dependency| edges.contains(&dependency.as_str())).collect();
        assert!(found.is_empty(), "{name} is pure and is built of {found:?}");
        assert!(all.contains(&"jiff".to_owned()), "{name}: {all:?}");
    }
    assert!(built_of("supwatch-store", &[]).contains(&"tokio".to_owned()), "the store shows that this test can fail");
    // The source shows what the dependencies do not.
    for path in files(".rs") {
        let pure =
            ["proto/model/src", "agent/reading/src", "collector/judgement/src"].iter().any(|folder| path.starts_with(folder))
                || path.ends_with("src/export/metrics.rs")
                || path.starts_with("collector/src/show");
        let tool = path.ends_with("invariants.rs");
        for word in [
            "wire::",
            "tokio::",
            "std::fs",
            "std::net::Tcp",
            "ToSocketAddrs",
            "std::process",
            "std::thread",
            "Timestamp::now",
            "Instant::now",
        ] {
            assert!(!pure || tool || !code(&path).contains(word), "{} is pure and names {word}", path.display());
        }
    }
}

#[test]
fn no_program_is_built_with_planted_faults() {
    let features = |name: &str, edges: &str| {
        let mut tree = Command::new(env!("CARGO"));
        tree.current_dir(root()).args(["tree", "--workspace", "--locked", "--offline", "--invert", name, "--edges", edges]);
        let output = tree.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").contains("planted-faults")
    };
    // Builds without tests have no features of dev-dependencies; the tests themselves do.
    for name in ["supwatch-agent", "supwatch-judgement", "supwatch-store"] {
        assert!(!features(name, "features,no-dev") && features(name, "features"), "{name}");
    }
}

#[test]
fn no_assertion_is_forgotten_and_nothing_is_left_for_later() {
    // Concatenated, so that this file does not match itself.
    let later = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore]")];
    for path in files(".rs") {
        for (number, line) in read(&path).lines().enumerate() {
            let bare = line.trim_start().starts_with("matches!(") && line.trim_end().ends_with(';');
            assert!(!bare, "{}:{}: a matches! that nobody looks at", path.display(), number + 1);
            for word in later {
                assert!(!line.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code_but_for_one_module() {
    const DURABLE: &str = "agent/durable";
    let workspace = read(Path::new("Cargo.toml"));
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    // One C library call has no safe form; elsewhere in that crate unsafe code is an error, too.
    let of_workspace = workspace.split_once("[workspace.lints.rust]").expect("lints").1;
    let of_workspace: Vec<&str> = of_workspace.lines().take_while(|line| !line.starts_with("[profile")).collect();
    let manifest = read(&Path::new(DURABLE).join("Cargo.toml"));
    for line in of_workspace.iter().filter(|line| line.contains(" = ")) {
        let line = line.replace("forbid", "deny");
        assert!(manifest.contains(&line), "{DURABLE} lacks {line}");
    }
    for path in files(".rs").iter().filter(|path| path.starts_with(DURABLE) && !path.ends_with("heap.rs")) {
        assert!(!read(path).contains("allow(unsafe_code)"), "{}", path.display());
    }
    // The fuzz targets belong to no program: one line each, with a macro that needs `unsafe`, outside the workspace.
    let ours =
        |path: &&PathBuf| path.components().count() > 1 && !path.starts_with("agent/reading/fuzz") && !path.starts_with(DURABLE);
    for path in files("Cargo.toml").iter().filter(ours) {
        assert!(read(path).contains("[lints]\nworkspace = true"), "{} does not take the workspace's lints", path.display());
    }
}

#[test]
fn nothing_but_what_belongs_stands_at_the_top() {
    let known = ["agent", "collector", "proto", "tests", "deploy", ".ci"];
    for path in files("") {
        let top = path.components().next().expect("a part").as_os_str().to_string_lossy().into_owned();
        assert!(path.components().count() == 1 || known.contains(&top.as_str()), "{top} grows at the top of the repository");
    }
}

#[test]
fn the_examples_in_deploy_are_good() {
    for (program, file) in [("supwatch", "supwatch.toml"), ("supwatch-agent", "agent.toml")] {
        let dir = tempfile::tempdir().expect("folder");
        for name in ["supwatch.toml", "agent.toml", "hierarchy.toml", "site.toml"] {
            std::fs::copy(root().join("deploy").join(name), dir.path().join(name)).expect("copied");
        }
        // The identity is the only thing an example cannot include.
        let config = dir.path().join(file);
        let output = Command::new(supwatch_tests::binary(program))
            .arg("--config")
            .arg(&config)
            .args(["config", "check"])
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let only_identity = said.contains("certificate.pem") && !said.contains(".toml:");
        assert!(output.status.success() || only_identity, "{file}: {said}");
    }
}
