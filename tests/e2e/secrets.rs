//! A secret planted in every source appears nowhere: not in the spool, on the wire, in the store, in a log, in the metrics, or in
//! any output.

use std::path::Path;
use std::process::Command;

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, binary, supwatch, text, wait_for};

/// This text occurs nowhere else in the tests.
const SECRET: &str = "hunter2zebra";

fn settings() -> serde_json::Value {
    serde_json::json!({
        "schema": "supwatch/settings/v1", "site": "CEN", "taken_at": "2026-03-01T00:00:00Z", "source": "file",
        "sups": [{"server": "sup1.corp.example", "connection_account": format!("CORP\\{SECRET}"), "user": SECRET, "proxy": {
            "enabled": true, "server": format!("http://svc:{SECRET}@proxy.corp.example:8080"), "port": 8080, "account": SECRET, "password": SECRET}}],
        "component": {"upstream": format!("https://{SECRET}:x@wsus.other.example/")},
        "wsus": [{"server": "sup1.corp.example", "proxy": {"enabled": true, "account": true, "ProxyPassword": SECRET},
            "credentials": {"name": SECRET}}],
    })
}

/// The same in the script's form, with more than it would ever read.
fn dump() -> serde_json::Value {
    let user = format!("CORP\\{SECRET}");
    serde_json::json!({
        "schema": "supwatch/dump/v1", "taken_at": "2026-03-01T00:00:00Z", "computer": "p01.corp.example", "site": "P01",
        "sections": {
            "sups": {"ok": true, "data": [{"NetworkOSPath": "\\\\sup1.corp.example", "Props": [
                {"PropertyName": "WSUSAccessAccount", "Value2": user}, {"PropertyName": "UserName", "Value2": SECRET},
                {"PropertyName": "ProxyName", "Value2": format!("http://{SECRET}:x@proxy")}]}]},
            "wsus": {"ok": false, "reason": format!("Login failed for user '{user}' with password {SECRET}")},
        },
    })
}

fn lines() -> Vec<String> {
    [
        "Performing sync on regular schedule".to_owned(),
        format!("Using account CORP\\{SECRET} to connect to WSUS Server"),
        format!("Sync failed: The login failed for user 'CORP\\{SECRET}'. Source: X"),
    ]
    .into()
}

/// Every file below a folder, as bytes.
fn holds_secret(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(holds_secret(&path));
        } else if std::fs::read(&path).expect("file").windows(SECRET.len()).any(|window| window == SECRET.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_in_every_source_is_found_nowhere() {
    let house = House::new("name = \"corp\"\n");
    let base = tempfile::tempdir().expect("folder");
    let mut top = SiteFolder::new(base.path(), "CEN", "central", None);
    let child = SiteFolder::new(base.path(), "P01", "primary", Some("CEN"));
    top.write(&lines());
    std::fs::write(top.folder.join("settings.json"), settings().to_string()).expect("file");
    std::fs::write(child.folder.join("settings.json"), dump().to_string()).expect("file");
    // A file that is not a snapshot is reported without its content.
    std::fs::write(child.folder.join("settings-1.json"), format!("{{\"sups\": \"{SECRET}\"}}")).expect("file");
    let config =
        house.agent_config("all", &house.identity(&["CEN", "P01"], "srv"), &[top.folder.clone(), child.folder.clone()], house.port);
    let command =
        "command = [\"/bin/sh\", \"-c\", \"echo Password=SECRET for user SECRET >&2; exit 3\"]\n".replace("SECRET", SECRET);
    let text_of = std::fs::read_to_string(&config).expect("file");
    std::fs::write(&config, text_of + &command).expect("file");

    // First the spool alone, before anything is sent and deleted: the collector is down.
    let away = House::new("name = \"away\"\n");
    let before = std::fs::read_to_string(&config).expect("file").replace(&format!(":{}", house.port), ":1");
    let spooling = away.path("spooling.toml");
    std::fs::write(&spooling, before).expect("file");
    let output = Command::new(binary("supwatch-agent")).arg("--config").arg(&spooling).arg("once").output().expect("agent");
    assert_ne!(output.status.code(), Some(0), "there is no collector");
    assert!(!text(&output.stderr).contains(SECRET), "{}", text(&output.stderr));
    let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
    assert!(once.status.success(), "{}", text(&once.stderr));
    assert!(!text(&once.stderr).contains(SECRET), "{}", text(&once.stderr));
    assert_eq!(holds_secret(&away.path("")), [away.path("spooling.toml").display().to_string()]);

    let events = wait_for("the events", || {
        let events = house.events()?;
        let snapshots = events.iter().filter(|event| event["kind"] == "settings-snapshot").count();
        if snapshots >= 2 { Ok(events) } else { Err(format!("{events:#?}")) }
    });
    let shown = serde_json::to_string(&events).expect("json");
    assert!(shown.contains("proxy.corp.example"), "the rest of the settings is there");
    assert!(shown.contains("settings command"), "the trouble of the command is told");
    assert!(!shown.contains(SECRET), "{shown}");
    for question in [&["status"][..], &["findings", "--full"], &["sites", "CEN"], &["sites", "P01"], &["settings", "CEN"]] {
        for form in ["table", "json"] {
            let output = supwatch(&house.asking(&[question, &["--output", form]].concat()));
            assert!(!text(&output.stdout).contains(SECRET), "{question:?}\n{}", text(&output.stdout));
        }
    }
    assert!(!house.metrics().expect("metrics").contains(SECRET));
    assert!(!house.collector_said().contains(SECRET));
    let agents_own = house.path("agent-all.toml").display().to_string();
    assert_eq!(holds_secret(&house.path("")), [agents_own], "only the configuration that somebody wrote it into");

    let report = base.path().join("report.html");
    let analyzed = supwatch(&["analyze", base.path().to_str().expect("path"), "--report", report.to_str().expect("path")]);
    let refused = text(&analyzed.stderr);
    assert!(!refused.contains(SECRET), "{refused}");
    std::fs::remove_file(child.folder.join("settings-1.json")).expect("file");
    let analyzed = supwatch(&["analyze", base.path().to_str().expect("path"), "--report", report.to_str().expect("path")]);
    assert!(!text(&analyzed.stdout).contains(SECRET), "{}", text(&analyzed.stdout));
    assert!(!std::fs::read_to_string(&report).expect("report").contains(SECRET));
}
