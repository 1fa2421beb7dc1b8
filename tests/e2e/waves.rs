//! Waves: each synchronisation story gives the reviewed tree, both from folders and through agents and a collector.

use std::process::Command;

use serde_json::{Value, json};
use supwatch_tests::story::{DSS_401, Story};
use supwatch_tests::{House, binary, here, supwatch, text, wait_for};

/// The time as of which every story is viewed.
const AT: &str = "2026-03-01T07:00:00Z";

fn complete() -> Story {
    let mut story = Story::new();
    story
        .top("CEN", "0:00", "5:00", 34, "P01, P02")
        .child("P01", "5:12", "9:00", 34, "S01")
        .child("P02", "5:20", "12:30", 34, "")
        .child("S01", "9:09", "11:00", 34, "");
    story
}

/// Each story and its name.
fn stories() -> Vec<(&'static str, Story)> {
    let story = |tell: &dyn Fn(&mut Story)| {
        let mut story = Story::new();
        tell(&mut story);
        story
    };
    vec![
        ("complete", complete()),
        (
            "top-failed",
            story(&|s| {
                s.say("CEN", "0:00", "Performing sync on regular schedule").fail(
                    "CEN",
                    "0:40",
                    "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'fe2.update.microsoft.com'. Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS",
                );
            }),
        ),
        (
            "broken-below-the-top",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02").child("P02", "5:20", "12:30", 34, "").alive("170:00");
            }),
        ),
        (
            "broken-at-the-bottom",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "5:12", "9:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .begin("S01", "9:09")
                    .fail("S01", "9:40", DSS_401);
            }),
        ),
        (
            "arrived-and-not-begun",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "5:12", "9:00", 34, "S01")
                    .say("P02", "5:20", "Found parent sync notification file CEN.SYN.")
                    .child("S01", "9:09", "11:00", 34, "")
                    .alive("170:00");
            }),
        ),
        (
            "late-child",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "50:00", "54:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "54:10", "56:00", 34, "");
            }),
        ),
        (
            "retried-child",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .begin("P01", "5:12")
                    .fail("P01", "5:40", DSS_401)
                    .say("P01", "65:40", "Performing sync on retry schedule")
                    .end("P01", "68:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "68:09", "70:00", 34, "");
            }),
        ),
        (
            "under-way",
            story(&|s| {
                s.top("CEN", "170:00", "175:00", 34, "P01, P02").begin("P01", "175:12").alive("179:00");
            }),
        ),
        (
            "child-without-agent",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "9:09", "11:00", 34, "")
                    .without_agent("P01");
            }),
        ),
        (
            "child-known-to-the-top-alone",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "5:12", "9:00", 34, "S01")
                    .child("S01", "9:09", "11:00", 34, "")
                    .without_agent("P02")
                    .settings(
                        "CEN",
                        json!({"schema": "supwatch/settings/v1", "site": "CEN", "taken_at": "2026-03-01T06:00:00Z",
                            "sup_status": [{"site": "P02", "server": "p02.corp.example", "state": 6702, "catalog_version": 34}]}),
                    );
            }),
        ),
        (
            "top-without-agent",
            story(&|s| {
                s.child("P01", "5:12", "9:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "9:09", "11:00", 34, "")
                    .without_agent("CEN");
            }),
        ),
        (
            "two-waves-overlap",
            story(&|s| {
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .top("CEN", "6:00", "8:00", 35, "P01, P02")
                    .child("P01", "5:12", "20:00", 34, "S01")
                    .child("P01", "20:05", "22:00", 35, "S01")
                    .child("P02", "9:00", "12:30", 35, "")
                    .child("S01", "20:10", "21:00", 34, "")
                    .child("S01", "22:09", "23:00", 35, "");
            }),
        ),
        (
            "clock-behind",
            story(&|s| {
                s.clock("P01", -600)
                    .top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "5:12", "9:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "9:09", "11:00", 34, "");
            }),
        ),
        (
            "clock-ahead",
            story(&|s| {
                s.clock("P01", 600)
                    .top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .child("P01", "5:12", "9:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "9:09", "11:00", 34, "");
            }),
        ),
        (
            "restart-in-the-middle",
            story(&|s| {
                let stopped = "STATMSG: ID=502 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=p01.corp.example SITE=P01 PID=3088 TID=4312 GMTDATE=Sun Mar 01 04:07:00.000 2026 ISTR0=\"\" NUMATTRS=0";
                s.top("CEN", "0:00", "5:00", 34, "P01, P02")
                    .begin("P01", "5:12")
                    .say("P01", "7:00", stopped)
                    .child("P01", "10:00", "14:00", 34, "S01")
                    .child("P02", "5:20", "12:30", 34, "")
                    .child("S01", "14:09", "16:00", 34, "");
            }),
        ),
    ]
}

fn golden(name: &str, shown: &str) {
    let path = here().join("golden/waves").join(name);
    if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(&path, shown).expect("written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(shown, known, "{name} is another one; read it, then run with SUPWATCH_REGENERATE=1");
}

fn offline(folder: &str, more: &[&str]) -> String {
    let output = supwatch(&[&["wave", "--at", AT, "--read", folder][..], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn waves(shown: &str) -> Value {
    let value: Value = serde_json::from_str(shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    value["waves"].clone()
}

#[test]
fn every_story_gives_the_tree_that_was_read() {
    for (name, story) in stories() {
        let dir = tempfile::tempdir().expect("folder");
        story.write(dir.path());
        let folder = dir.path().to_str().expect("path");
        let list = offline(folder, &["--list"]);
        golden(&format!("{name}.txt"), &format!("{list}\n{}", offline(folder, &[])));
        if name == "broken-at-the-bottom" {
            golden(&format!("{name}-ja.txt"), &offline(folder, &["--lang", "ja"]));
        }
        let shown = supwatch(&["analyze", folder, "--at", AT, "--output", "json"]);
        let analysis: Value = serde_json::from_slice(&shown.stdout).expect("json");
        assert_eq!(analysis["waves"], waves(&offline(folder, &["--list", "--output", "json"])), "{name}");
    }
}

#[test]
fn a_wave_that_stops_at_any_edge_names_that_edge() {
    let edges = [("CEN", "P01"), ("CEN", "P02"), ("P01", "S01")];
    for (parent, child) in edges {
        for failed in [false, true] {
            let mut story = Story::new();
            story.top("CEN", "0:00", "5:00", 34, "P01, P02");
            for (code, from, to, below) in
                [("P01", "5:12", "9:00", "S01"), ("P02", "5:20", "12:30", ""), ("S01", "9:09", "11:00", "")]
            {
                if code == child && failed {
                    story.begin(code, from).fail(code, to, DSS_401);
                } else if code != child && !(code == "S01" && child == "P01") {
                    story.child(code, from, to, 34, below);
                }
            }
            story.alive("170:00");
            let dir = tempfile::tempdir().expect("folder");
            story.write(dir.path());
            let waves = waves(&offline(dir.path().to_str().expect("path"), &["--output", "json"]));
            assert_eq!(waves[0]["outcome"], "broken", "{parent} > {child}, failed: {failed}: {waves:#}");
            assert_eq!(waves[0]["broken_at"], json!({"parent": parent, "child": child}));
            let cause = if failed { json!("dssauth-unauthorized") } else { Value::Null };
            assert_eq!(waves[0]["cause"], cause);
        }
    }
}

#[test]
fn a_live_collector_sees_the_waves_that_the_folders_show() {
    for (name, story) in stories() {
        let dir = tempfile::tempdir().expect("folder");
        let folders = story.write(dir.path());
        let expected = waves(&offline(dir.path().to_str().expect("path"), &["--list", "--output", "json"]));
        let house = House::new(&story.hierarchy);
        let identity = house.identity(&story.read(), "srv");
        let config = house.agent_config("all", &identity, &folders, house.port);
        let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
        assert!(once.status.success(), "{name}: {}", text(&once.stderr));
        wait_for("the same waves", || {
            let live = house.ask(&["wave", "--list", "--at", AT])?["waves"].clone();
            if live == expected { Ok(()) } else { Err(format!("{name}\nlive {live:#}\noffline {expected:#}")) }
        });
    }
}

#[test]
fn a_wave_over_526_sites_is_followed_to_every_one_and_names_the_edge_where_it_stops() {
    let mut story = Story::empty();
    story.add("CEN", "central", None);
    let primaries: Vec<String> = (0..25).map(|n| format!("P{n:02}")).collect();
    let names = primaries.join(", ");
    story.top("CEN", "0:00", "5:00", 34, &names);
    for (n, primary) in primaries.iter().enumerate() {
        story.add(primary, "primary", Some("CEN"));
        let secondaries: Vec<String> = "ABDEFGHIJKLMNOQRSTUV".chars().map(|letter| format!("{letter}{n:02}")).collect();
        let at = |seconds: usize| format!("{}:{:02}", seconds / 60, seconds % 60);
        story.child(primary, &at(310 + n), &at(500 + 7 * n), 34, &secondaries.join(", "));
        for (k, secondary) in secondaries.iter().enumerate() {
            story.add(secondary, "secondary", Some(primary));
            if secondary != "Q13" {
                story.child(secondary, &at(510 + 7 * n + k), &at(700 + 7 * n + 3 * k), 34, "");
            }
        }
    }
    story.alive("170:00");
    let dir = tempfile::tempdir().expect("folder");
    story.write(dir.path());
    let waves = waves(&offline(dir.path().to_str().expect("path"), &["--output", "json"]));
    let edges = waves[0]["edges"].as_array().expect("edges");
    let succeeded = edges.iter().filter(|edge| edge["outcome"] == "succeeded").count();
    assert_eq!((edges.len(), succeeded), (525, 524));
    assert_eq!(waves[0]["broken_at"], json!({"parent": "P13", "child": "Q13"}));
}
