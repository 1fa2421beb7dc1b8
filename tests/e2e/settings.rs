//! `settings`, `settings --history`, `settings --diff`, `whatif` and `explain RULE` as an administrator sees them: golden
//! transcripts, and the same answers from a live collector as from folders.
//!
//! `SUPWATCH_REGENERATE=1` rewrites the transcripts; review them afterwards.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use supwatch_tests::folder::patch;
use supwatch_tests::{House, binary, here, supwatch, text, wait_for};

/// The healthy hierarchy, but someone keeps editing the filters of P01's WSUS, and WCM reverts them.
struct Edited(tempfile::TempDir);

impl Edited {
    fn new() -> Edited {
        let dir = tempfile::tempdir().expect("folder");
        copy(&here().join("fixtures/healthy"), dir.path());
        let edited = Edited(dir);
        for (time, languages) in [
            ("2026-02-26T09:10:00Z", &["en", "ja"][..]),
            ("2026-02-26T10:10:00Z", &["en", "ja", "de"]),
            ("2026-02-26T11:10:00Z", &["en", "ja"]),
            ("2026-02-27T10:10:00Z", &["en", "ja", "de", "fr"]),
            ("2026-02-27T11:10:00Z", &["en", "ja"]),
        ] {
            edited.snapshot(time, &json!({"wsus": [{"languages": languages}]}));
        }
        edited.wcm(&["02-26-2026 19:58:00", "02-27-2026 19:58:00"]);
        edited
    }

    fn path(&self) -> &str {
        self.0.path().to_str().expect("UTF-8")
    }

    fn snapshot(&self, time: &str, over: &Value) {
        let newest = self.0.path().join("P01/settings.json");
        let mut settings: Value = serde_json::from_slice(&std::fs::read(&newest).expect("file")).expect("json");
        settings["taken_at"] = time.into();
        patch(&mut settings, over);
        let name = format!("settings-{}.json", time.replace([':', '-'], ""));
        std::fs::write(newest.with_file_name(name), settings.to_string()).expect("file");
    }

    /// WCM logs that it wrote its settings, before everything else in its log.
    fn wcm(&self, times: &[&str]) {
        let path = self.0.path().join("P01/logs/WCM.log");
        let lines: String = times
            .iter()
            .map(|time| {
                format!("Configuration successful. Will wait for 1 minute for any subscription or proxy changes  $$<SMS_WSUS_CONFIGURATION_MANAGER><{time}.000-540><thread=4620 (0x120C)>\r\n")
            })
            .collect();
        let rest = std::fs::read_to_string(&path).expect("log");
        std::fs::write(path, lines + &rest).expect("log");
    }
}

fn copy(from: &Path, onto: &Path) {
    std::fs::create_dir_all(onto).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let target = onto.join(path.file_name().expect("name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

#[track_caller]
fn golden(name: &str, arguments: &[&str]) {
    let output = supwatch(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    let shown = text(&output.stdout);
    let path = here().join("golden").join(name);
    if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
        std::fs::write(&path, &shown).expect("written");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(shown, known, "{name} is another one; read it, then run with SUPWATCH_REGENERATE=1");
}

#[test]
fn transcripts_are_as_they_were_read() {
    let edited = Edited::new();
    let folder = edited.path();
    golden("settings.txt", &["settings", "P01", folder]);
    golden("settings-at.txt", &["settings", "P01", "--at", "2026-02-26T10:30:00Z", folder]);
    golden("settings-history.txt", &["settings", "P01", "--history", folder]);
    golden("settings-history-ja.txt", &["settings", "P01", "--history", "--lang", "ja", folder]);
    golden("settings-diff.txt", &["settings", "P01", "--diff", "CEN", folder]);
    let ask = ["whatif", "--site", "P01", "--set", "wsus.is_replica=true", "--set", "wsus.languages=en,de"];
    golden("whatif.txt", &[&ask[..], &[folder]].concat());
    golden("whatif-ja.txt", &[&ask[..], &["--lang", "ja", folder]].concat());
    golden("explain-rule.txt", &["explain", "ssl-mismatch"]);
    golden("explain-rule-ja.txt", &["explain", "ssl-mismatch", "--lang", "ja"]);
}

#[test]
fn a_live_collector_answers_as_the_folders_do() {
    let edited = Edited::new();
    let house = House::new(&std::fs::read_to_string(edited.0.path().join("hierarchy.toml")).expect("file"));
    let sites: Vec<PathBuf> = ["CEN", "P01", "S01"].iter().map(|code| edited.0.path().join(code)).collect();
    let config = house.agent_config("all", &house.identity(&["CEN", "P01", "S01"], "srv"), &sites, house.port);
    let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
    assert!(once.status.success(), "{}", text(&once.stderr));
    for question in [
        &["settings", "P01"][..],
        &["settings", "P01", "--history"],
        &["settings", "P01", "--diff", "CEN"],
        &["whatif", "--site", "P01", "--set", "wsus.is_replica=true"],
    ] {
        let offline = supwatch(&[question, &["--output", "json", edited.path()]].concat());
        let mut offline: Value = serde_json::from_slice(&offline.stdout).expect("json");
        wait_for("the same answer", || {
            let mut live = house.ask(question)?;
            // The time of WCM's next check depends on the time of the query.
            for answer in [&mut live, &mut offline] {
                if let Some(fields) = answer.as_object_mut() {
                    fields.remove("wcm_looks_at");
                    fields.remove("notes");
                }
            }
            if live == offline { Ok(()) } else { Err(format!("{question:?}\nlive {live:#}\noffline {offline:#}")) }
        });
    }
    // Nonsense is reported with the exit code for wrong usage.
    let asking = house.asking(&["whatif", "--site", "P01", "--set", "wsus.is_replca=true"]);
    let refused = supwatch(&asking);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("did you mean \"is_replica\"?"), "{}", text(&refused.stderr));
}
