//! The output of the settings script is judged alike, whether the agent runs the script or the output is in a folder.

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, root, supwatch, text, wait_for};

/// A recorded dump in which the WSUS web site listens on port 80, but the software update point is set to 8530.
const DUMP: &str = "agent/reading/tests/dumps/current-branch-half-missing.json";

#[test]
fn a_dump_gives_the_same_finding_by_command_and_as_a_file() {
    let house = House::new("name = \"corp\"\n");
    let p01 = SiteFolder::new(&house.path("sites"), "P01", "primary", Some("CEN"));
    let identity = house.identity(&["P01"], "srv");
    let config = house.agent_config("p01", &identity, std::slice::from_ref(&p01.folder), house.port);
    let mut lines = std::fs::read_to_string(&config).expect("readable");
    lines.push_str(&format!("command = [\"cat\", {:?}]\n", root().join(DUMP)));
    std::fs::write(&config, lines).expect("written");
    let _agent = House::start_agent(&config);
    let live = wait_for("the finding", || {
        let answer = house.ask(&["findings"])?;
        let found = answer["findings"].as_array().into_iter().flatten().find(|finding| finding["rule"] == "port-mismatch");
        found.cloned().ok_or_else(|| answer.to_string())
    });
    assert_eq!(live["subject"], "p01.corp.example", "{live}");

    std::fs::copy(root().join(DUMP), p01.folder.join("settings.json")).expect("copied");
    let output = supwatch(&["analyze", p01.folder.to_str().expect("path"), "--output", "json", "--fail-on", "never"]);
    let offline: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    let mut found = offline["findings"].as_array().into_iter().flatten();
    let found = found.find(|finding| finding["rule"] == "port-mismatch").unwrap_or_else(|| panic!("{offline}"));
    assert_eq!((&found["id"], &found["summary"]), (&live["id"], &live["summary"]));
}
