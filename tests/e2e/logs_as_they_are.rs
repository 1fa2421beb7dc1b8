//! Logs of every form, language and code page, complete or rolled over, through the real programs.

use std::process::Command;

use serde_json::Value;
use supwatch_tests::{House, binary, here, supwatch, text, wait_for};

fn analyze(path: &str) -> Value {
    let path = here().join("fixtures").join(path);
    let output = supwatch(&["analyze", path.to_str().expect("path"), "--output", "json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", path.display(), text(&output.stderr)))
}

fn read(path: &str) -> String {
    let path = here().join("fixtures").join(path);
    let output = Command::new(binary("supwatch-agent")).arg("read").arg(path).output().expect("agent");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Language, name of the code page, and letters that only the right decoding gives.
const LANGUAGES: [(&str, &str, &str); 8] = [
    ("en", "utf-8", "Service Unavailable"),
    ("de", "windows-1252", "verfügbar"),
    ("fr", "windows-1252", "Échec"),
    ("es", "windows-1252", "La solicitud"),
    ("it", "windows-1252", "è disponibile"),
    ("ja", "Shift_JIS", "サービスを利用できません"),
    ("ko", "EUC-KR", "서비스를 사용할 수 없음"),
    ("zh", "GBK", "服务不可用"),
];

#[test]
fn one_failure_has_one_cause_in_eight_languages_whatever_their_code_page() {
    for (language, encoding, letters) in LANGUAGES {
        let log = analyze(&format!("languages/wsyncmgr-{language}.log"));
        assert_eq!(
            (&log["input"][0]["encoding"], &log["input"][0]["form"]),
            (&encoding.into(), &"server-2007".into()),
            "{language}"
        );
        assert_eq!(log["input"][0]["typed"], 4, "{language}");
        let viewer = analyze(&format!("languages/viewer-{language}.log"));
        for (what, analysis) in [("log", &log), ("viewer", &viewer)] {
            let runs = analysis["runs"].as_array().expect("runs");
            assert_eq!(runs.len(), 1, "{language} {what}: one failure is one run");
            assert_eq!(runs[0]["cause"], "wsus-unavailable", "{language} {what}");
            assert!(runs[0]["text"].as_str().is_some_and(|text| text.contains(letters)), "{language} {what}: {}", runs[0]["text"]);
        }
        assert_eq!(viewer["runs"][0]["code"], "0x80004005", "{language}: the decimal of the viewer");
        // The zone name is in the same code page: 03:05 local time is another moment in each.
        let hour = match language {
            "en" => "08",
            "ja" | "ko" => "18",
            "zh" => "19",
            _ => "02",
        };
        assert!(
            log["runs"][0]["started_at"].as_str().is_some_and(|time| time.contains(&format!("T{hour}:05:02"))),
            "{language}: {}",
            log["runs"][0]["started_at"]
        );
    }
}

#[test]
fn a_japanese_log_of_2007_is_read_without_being_told_its_code_page() {
    let analysis = analyze("article/name-not-resolved-ja-2007.log");
    assert_eq!(analysis["input"][0]["encoding"], "Shift_JIS");
    assert_eq!(analysis["runs"][0]["cause"], "name-not-resolved");
}

#[test]
fn every_form_is_read_in_one_file_and_shown_line_by_line() {
    let shown = read("forms/wsyncmgr.log");
    let rows: Vec<(String, String)> = shown
        .lines()
        .take(13)
        .map(|line| {
            let form = line.get(8..19).unwrap_or_default().trim().to_owned();
            let kind = line.get(57..77).unwrap_or_default().trim().to_owned();
            (form, kind)
        })
        .collect();
    let expected = [
        ("bare", "step"),
        ("server", "step"),
        ("server-2007", "run-started"),
        ("ccm", "step"),
        ("ccm", "step"),
        ("viewer", "step"),
        ("viewer", "run-phase"),
        ("wsus", "wsus-event"),
        ("server-2007", "step"),
        ("server", "run-failed"),
        ("server", "(unrecognised)"),
        ("server", "(other component)"),
    ];
    for (row, expected) in rows.iter().zip(expected) {
        assert_eq!((row.0.as_str(), row.1.as_str()), expected, "{shown}");
    }
    assert!(shown.contains("(mended)") && shown.contains("1 mended, 1 records of several lines"), "{shown}");
    assert!(shown.contains("2026-03-01T04:00:03.000Z"), "the year first leaves no choice: {shown}");
    let analysis = analyze("forms/wsyncmgr.log");
    assert_eq!(analysis["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(analysis["runs"][0]["cause"], "name-not-resolved");
}

#[test]
fn a_run_that_begins_in_the_rolled_over_log_is_one_run() {
    let analysis = analyze("rolled");
    let runs = analysis["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1);
    assert_eq!((&runs[0]["outcome"], &runs[0]["trigger"]), (&"succeeded".into(), &"schedule".into()));
    assert_eq!(runs[0]["phases"].as_array().map(Vec::len), Some(2));
    assert_eq!(analyze("just-copied")["runs"].as_array().map(Vec::len), Some(1), "a copy of the log is not read twice");
}

#[test]
fn one_failure_in_three_logs_is_one_finding_with_their_evidence_live_and_offline() {
    let folder = "rules/sync-failed/fail-three-logs";
    let offline = analyze(folder);
    let failed = |list: &Value| -> Vec<Value> {
        list["findings"].as_array().expect("findings").iter().filter(|f| f["rule"] == "sync-failed").cloned().collect()
    };
    let found = failed(&offline);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["cause"], "wsus-unavailable", "WCM names what wsyncmgr only points to");
    let files: Vec<&str> = found[0]["evidence"].as_array().expect("evidence").iter().filter_map(|e| e["file"].as_str()).collect();
    assert_eq!(files, ["WCM.log", "SoftwareDistribution.log", "wsyncmgr.log", "wsyncmgr.log"], "in the order of time");
    assert_eq!(offline["sites"][0]["next_run_at"], "2026-03-01T05:05:01Z", "a date that can be read in one way only");
    assert!(!offline.to_string().contains("svc-sup"), "the account's name stays where it is");

    let house = House::new("name = \"corp\"\ngeneration = \"current-branch\"\n");
    let site = here().join("fixtures").join(folder).join("CEN");
    let config = house.agent_config("all", &house.identity(&["CEN"], "srv"), &[site], house.port);
    let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
    assert!(once.status.success(), "{}", text(&once.stderr));
    wait_for("the same finding", || {
        let live = failed(&house.ask(&["findings"])?);
        let same = |name: &str| live.len() == 1 && live[0][name] == found[0][name];
        if ["id", "cause", "evidence"].iter().all(|name| same(name)) {
            Ok(())
        } else {
            Err(format!("{live:#?}\noffline {found:#?}"))
        }
    });
}
