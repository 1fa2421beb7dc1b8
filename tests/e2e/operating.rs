//! What operators do: suppress findings, and change the limits of rules while the collector runs.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use supwatch_tests::{House, binary, here, supwatch, text, wait_for};

/// A collector with one primary site whose SUP must not be a replica but is.
fn house_of(rules: Option<&str>) -> House {
    let folder = here().join("fixtures/rules/child-replica/fail");
    let house = House::with_rules(&std::fs::read_to_string(folder.join("hierarchy.toml")).expect("file"), rules);
    let sites: Vec<PathBuf> = ["CEN", "P01"].iter().map(|code| folder.join(code)).collect();
    let config = house.agent_config("all", &house.identity(&["CEN", "P01"], "srv"), &sites, house.port);
    let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
    assert!(once.status.success(), "{}", text(&once.stderr));
    house
}

fn findings(house: &House, rule: &str) -> Result<Vec<Value>, String> {
    let all = house.ask(&["findings", "--rule", rule])?;
    Ok(all["findings"].as_array().cloned().unwrap_or_default())
}

fn only(house: &House, rule: &str) -> Value {
    wait_for("the finding", || findings(house, rule)?.first().cloned().ok_or("none".to_owned()))
}

#[test]
fn a_suppressed_finding_is_shown_but_presses_nobody_and_every_decision_is_kept() {
    let mut house = house_of(None);
    let id = only(&house, "child-replica")["id"].as_str().expect("id").to_owned();
    let code = |house: &House| supwatch(&house.asking(&["findings", "--rule", "child-replica"])).status.code();
    assert_eq!(code(&house), Some(1));
    house.run_asking(&["findings", "--suppress", &id], 2);
    house.run_asking(&["findings", "--suppress", &id, "--reason", " "], 2);
    house.run_asking(&["findings", "--suppress", "0123456789ab", "--reason", "x"], 4);
    house.run_asking(&["findings", "--suppress", &id, "--reason", "new server on Monday", "--until", "+2w"], 0);
    let suppressed = &only(&house, "child-replica")["suppressed"];
    assert_eq!(suppressed["reason"], "new server on Monday");
    assert!(suppressed["by"].as_str().is_some_and(|by| by.contains("operator")), "{suppressed}");
    assert!(suppressed["until"].is_string());
    assert_eq!(code(&house), Some(0), "it presses nobody");
    let open = |metrics: &str| metrics.contains("supwatch_findings_open{rule=\"child-replica\"");
    assert!(!open(&house.metrics().expect("metrics")));
    // The suppression survives a restart of the collector.
    house.kill_collector();
    house.start_collector();
    assert_eq!(only(&house, "child-replica")["suppressed"]["reason"], "new server on Monday");
    house.run_asking(&["findings", "--unsuppress", &id, "--reason", "it is there"], 0);
    assert_eq!(code(&house), Some(1));
    let audit = house.ask(&["findings", "--audit"]).expect("audit");
    let said: Vec<(&str, &str)> = audit["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap_or_default(), entry["reason"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(said, [("suppress", "new server on Monday"), ("unsuppress", "it is there")]);
}

#[test]
fn a_reader_may_look_and_not_decide() {
    let house = house_of(None);
    let id = only(&house, "child-replica")["id"].as_str().expect("id").to_owned();
    let (pki, out) = (house.path("pki"), house.path("reader"));
    let (pki, out) = (pki.to_str().expect("path"), out.to_str().expect("path"));
    house.run(&["pki", "issue", pki, "--role", "reader", "--host", "anna", "--out", out], 0);
    let endpoint = format!("https://localhost:{}", house.port);
    let ask = |arguments: &[&str]| supwatch(&[arguments, &["--endpoint", &endpoint, "--identity", out]].concat());
    assert_eq!(ask(&["findings", "--fail-on", "never"]).status.code(), Some(0));
    assert_eq!(ask(&["findings", "--audit"]).status.code(), Some(0));
    let refused = ask(&["findings", "--suppress", &id, "--reason", "x"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(text(&refused.stderr).contains("may not change anything"), "{}", text(&refused.stderr));
    assert!(only(&house, "child-replica").get("suppressed").is_none());
}

#[test]
fn limits_change_while_the_collector_runs_and_faults_change_nothing() {
    let house = house_of(Some(""));
    assert_eq!(only(&house, "child-replica")["severity"], "critical");
    let rules = house.path("rules.toml");
    let entry = "[[rule]]\nname = \"child-replica\"\nseverity = \"info\"\nreason = \"test bed\"\nuntil = \"never\"\n";
    std::fs::write(&rules, entry).expect("file");
    let severity = |wanted: &str| {
        wait_for("another severity", || {
            let found = findings(&house, "child-replica")?;
            if found.iter().all(|finding| finding["severity"] == wanted) { Ok(()) } else { Err(format!("{found:#?}")) }
        });
    };
    severity("info");
    std::fs::write(&rules, "[[rule]]\nname = \"child-replca\"\n").expect("file");
    wait_for("a warning", || {
        let said = house.collector_said();
        if said.contains("did you mean \"child-replica\"?") { Ok(()) } else { Err(said) }
    });
    severity("info");
    let check = supwatch(&["config", "check", "--config", house.path("supwatch.toml").to_str().expect("path")]);
    assert_eq!(check.status.code(), Some(2));
    assert!(text(&check.stderr).contains("rules.toml:2"), "{}", text(&check.stderr));
    std::fs::write(&rules, format!("{entry}\n[[expected]]\nrule = \"child-replica\"\nreason = \"test bed\"\nuntil = \"never\"\n"))
        .expect("file");
    wait_for("no finding", || if findings(&house, "child-replica")?.is_empty() { Ok(()) } else { Err("still there".to_owned()) });
}
