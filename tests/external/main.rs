//! Tests against third-party tools: promtool, buf, tree-sitter, nginx in place of WSUS' web site, Chromium, mail, web and OTLP
//! servers. A missing tool is a failure.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod nginx;
mod notify;
mod otlp;
mod powershell;
mod probes;

use std::io::Write;
use std::process::{Command, Stdio};

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, root, text, wait_for};

mod report;

#[test]
fn promtool_accepts_the_metrics_of_a_collector_with_findings() {
    let house = House::new(
        "name = \"corp\"\n[[site]]\ncode = \"CEN\"\ntype = \"central\"\n[[site]]\ncode = \"P01\"\ntype = \"primary\"\nparent = \"CEN\"\n",
    );
    let mut cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    cen.write(&[
        "Performing sync on local request".to_owned(),
        "Sync failed: Unable to connect to the remote server. Source: X".to_owned(),
    ]);
    let identity = house.identity(&["CEN"], "srv");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&cen.folder), house.port);
    let _agent = House::start_agent(&config);
    let page = wait_for("the failed run", || {
        let page = house.metrics()?;
        if page.contains("supwatch_last_run_failed{") { Ok(page) } else { Err(page) }
    });
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().expect("stdin").write_all(page.as_bytes()).expect("written");
    let output = promtool.wait_with_output().expect("promtool ends");
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{page}");
}

#[test]
fn promtool_accepts_the_alert_rules_and_their_tests() {
    let folder = root().join("deploy/prometheus");
    for arguments in [["check", "rules", "supwatch.rules.yml"], ["test", "rules", "supwatch.rules.test.yml"]] {
        let output = Command::new("promtool").args(arguments).current_dir(&folder).output().expect("promtool is installed");
        assert!(output.status.success(), "{arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn buf_finds_nothing_wrong_with_the_protos() {
    let output = Command::new("buf").arg("lint").current_dir(root().join("proto")).output().expect("buf is installed");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
