//! Each fixture folder gives its expected verdicts through `analyze`, and the same ones through agents and a collector.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use supwatch_tests::folder::Folder;
use supwatch_tests::{House, binary, here, supwatch, text, wait_for};

fn folders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for rule in std::fs::read_dir(here().join("fixtures/rules")).expect("fixtures") {
        for variant in std::fs::read_dir(rule.expect("entry").path()).expect("rule") {
            found.push(variant.expect("entry").path());
        }
    }
    found.sort();
    assert!(found.len() >= 109, "fixtures are missing: {found:?}");
    found
}

fn analyze(folder: &Path) -> Value {
    let output = supwatch(&["analyze", folder.to_str().expect("path"), "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", folder.display(), text(&output.stderr)))
}

type Verdicts = BTreeMap<(String, String, String), String>;

fn verdicts(list: &Value) -> Verdicts {
    let field = |verdict: &Value, name: &str| verdict[name].as_str().unwrap_or_default().to_owned();
    let list = list.as_array().expect("verdicts");
    list.iter()
        .filter(|verdict| verdict["rule"] != "agent-silent")
        .map(|verdict| ((field(verdict, "rule"), field(verdict, "site"), field(verdict, "subject")), field(verdict, "verdict")))
        .collect()
}

#[test]
fn every_rule_has_folders_that_pass_fail_and_lack_data_and_each_is_judged_as_expected() {
    let known = supwatch(&["rules", "--output", "json"]);
    let known: Value = serde_json::from_slice(&known.stdout).expect("rules");
    for rule in known["rules"].as_array().expect("rules") {
        let (name, watcher) = (rule["rule"].as_str().expect("name"), rule["watcher"] == true);
        for variant in ["pass", "fail", "unknown"] {
            let folder = here().join("fixtures/rules").join(name).join(variant);
            assert!(watcher || folder.is_dir(), "{} is missing", folder.display());
        }
    }
    let rank = |verdict: &str| ["pass", "unknown", "fail"].iter().position(|known| *known == verdict);
    let mut wrong = Vec::new();
    for variant in folders() {
        let folder = Folder::of(&variant);
        let expected = &folder.expected;
        let mut worst: BTreeMap<String, String> = BTreeMap::new();
        for ((rule, site, _), verdict) in verdicts(&analyze(folder.path())["verdicts"]) {
            if expected["rule"] == rule.as_str() {
                let known = worst.entry(site).or_insert_with(|| verdict.clone());
                if rank(&verdict) > rank(known) {
                    *known = verdict;
                }
            }
        }
        let wanted: BTreeMap<String, String> = serde_json::from_value(expected["verdicts"].clone()).expect("verdicts");
        if worst != wanted {
            wrong.push(format!("{}: {worst:?}, expected {wanted:?}", variant.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_healthy_hierarchy_passes_every_rule() {
    let verdicts = &analyze(&here().join("fixtures/healthy"))["verdicts"];
    let not_passed: Vec<&Value> = verdicts.as_array().expect("verdicts").iter().filter(|v| v["verdict"] != "pass").collect();
    assert!(not_passed.is_empty(), "{not_passed:#?}");
}

#[test]
fn a_live_collector_judges_each_folder_as_analyze_does() {
    for variant in folders() {
        let composed = Folder::of(&variant);
        let folder = composed.path();
        let offline = analyze(folder);
        let at = offline["at"].as_str().expect("at").to_owned();
        let hierarchy = std::fs::read_to_string(folder.join("hierarchy.toml")).expect("hierarchy.toml");
        let house = House::new(&hierarchy);
        let sites = composed.sites();
        let codes: Vec<String> = sites.iter().map(|path| path.file_name().expect("name").to_string_lossy().into_owned()).collect();
        let identity = house.identity(&codes.iter().map(String::as_str).collect::<Vec<_>>(), "srv");
        let config = house.agent_config("all", &identity, &sites, house.port);
        let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
        assert!(once.status.success(), "{}: {}", variant.display(), text(&once.stderr));
        let expected = verdicts(&offline["verdicts"]);
        wait_for("the same verdicts", || {
            let mut found = Verdicts::new();
            for code in &codes {
                found.extend(verdicts(&house.ask(&["sites", code, "--at", &at])?["verdicts"]));
            }
            let mut same: Verdicts =
                expected.iter().filter(|((_, site, _), _)| codes.contains(site)).map(|(k, v)| (k.clone(), v.clone())).collect();
            // Live, it is known how far a log is read, even if its last line is older: what offline merely seems absent is
            // certainly absent.
            for (key, verdict) in &mut same {
                let absence = matches!(key.0.as_str(), "wave-missed" | "sync-stuck");
                if absence && verdict == "unknown" && found.get(key).is_some_and(|live| live == "fail") {
                    "fail".clone_into(verdict);
                }
            }
            if found == same { Ok(()) } else { Err(format!("{}\nlive {found:#?}\noffline {same:#?}", variant.display())) }
        });
    }
}
