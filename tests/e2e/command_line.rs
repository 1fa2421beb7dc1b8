//! The command line as monitoring systems and scripts use it.

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, supwatch, text, wait_for};

#[test]
fn check_speaks_the_plugin_format_with_all_four_codes() {
    let house = House::new("name = \"corp\"\n[[site]]\ncode = \"CEN\"\ntype = \"central\"\n");
    let check = || {
        let output = supwatch(&house.asking(&["check"]));
        (output.status.code().unwrap_or(-1), text(&output.stdout))
    };
    let until = |code: i32, word: &str| {
        wait_for(word, || {
            let (found, line) = check();
            if found == code { Ok(line) } else { Err(format!("{found} {line}")) }
        })
    };
    // Nothing is known to be wrong.
    let line = until(0, "OK");
    assert!(
        line.starts_with("SUPWATCH OK - ")
            && line.contains(" | critical=0;;0 warning=0;0 info=0 sites=1")
            && line.lines().count() == 1,
        "{line}"
    );

    let mut cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let mut p01 = SiteFolder::new(&house.path("sites"), "P01", "primary", Some("CEN"));
    let settings = |languages: &str, parent: bool| {
        format!(
            "{{\"schema\":\"supwatch/settings/v1\",\"taken_at\":\"2026-03-01T00:00:00Z\",\"sups\":[{{\"server\":\"{0}\",\"first\":true}}],\
            \"component\":{{\"summary_languages\":[\"en\",\"ja\"]}},\"wsus\":[{{\"server\":\"{0}\",\"is_replica\":false,\"languages\":{languages}}}]}}",
            if parent { "cen" } else { "p01" }
        )
    };
    std::fs::write(cen.folder.join("settings.json"), settings("[\"en\",\"ja\"]", true)).expect("file");
    std::fs::write(p01.folder.join("settings.json"), settings("[\"en\"]", false)).expect("file");
    let identity = house.identity(&["CEN", "P01"], "srv");
    let config = house.agent_config("both", &identity, &[cen.folder.clone(), p01.folder.clone()], house.port);
    let _agent = House::start_agent(&config);
    p01.write(&["Performing sync on parent request".to_owned(), "Sync succeeded. x".to_owned()]);
    assert!(until(1, "WARNING").starts_with("SUPWATCH WARNING - 0 critical, 1 warning; "));
    cen.write(&[
        "Performing sync on local request".to_owned(),
        "Sync failed: Unable to connect to the remote server. Source: X".to_owned(),
    ]);
    assert!(until(2, "CRITICAL").starts_with("SUPWATCH CRITICAL - 1 critical, 1 warning; "));
    let unknown =
        supwatch(&["check", "--endpoint", "https://localhost:1", "--identity", house.path("pki/operator").to_str().expect("path")]);
    assert_eq!(unknown.status.code(), Some(3));
    assert!(text(&unknown.stdout).starts_with("SUPWATCH UNKNOWN - "), "{}", text(&unknown.stdout));
    assert_eq!(supwatch(&["check", "--no-such-option"]).status.code(), Some(3), "usage errors too");
}

#[test]
fn every_reading_command_answers_in_both_forms_and_languages() {
    let house = House::new("name = \"corp\"\n[[site]]\ncode = \"CEN\"\ntype = \"central\"\n");
    for command in [
        vec!["status"],
        vec!["sites"],
        vec!["sites", "CEN"],
        vec!["findings"],
        vec!["runs"],
        vec!["rules"],
        vec!["explain", "6703"],
        vec!["explain", "child-replica"],
        vec!["explain", "cannot-connect"],
        vec!["explain", "Unable to connect to the remote server"],
    ] {
        for more in [vec![], vec!["--lang", "ja"], vec!["--output", "json"]] {
            let arguments: Vec<&str> = command.iter().chain(&more).copied().collect();
            let output = house.run(&house.asking(&arguments).iter().map(String::as_str).collect::<Vec<_>>(), 0);
            assert!(!output.stdout.is_empty(), "{arguments:?}");
            if more.contains(&"json") {
                let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
                assert!(value["schema"].as_str().is_some_and(|schema| schema.starts_with("supwatch/")), "{arguments:?}");
            }
        }
    }
    let missing = supwatch(&house.asking(&["sites", "XXX"]));
    assert_eq!(missing.status.code(), Some(4));
    assert!(text(&missing.stderr).contains("known: CEN"));
    assert_eq!(supwatch(&["status"]).status.code(), Some(2), "no collector named");
    assert_eq!(supwatch(&["completions", "bash"]).status.code(), Some(0));
}
