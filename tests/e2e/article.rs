//! The article's error sections, retyped in the 2007 and the later line form: cause, line and remedies, in both languages.

use serde_json::Value;
use supwatch_tests::{here, root, supwatch, text};

const CAUSES: [&str; 6] = [
    "wsus-not-configured",
    "name-not-resolved",
    "apiremoting-unauthorized",
    "cannot-connect",
    "dssauth-unauthorized",
    "unknown-cause",
];

fn analyze(name: &str, more: &[&str]) -> String {
    let path = here().join("fixtures/article").join(name);
    let mut arguments = vec!["analyze", path.to_str().expect("path")];
    arguments.extend(more);
    let output = supwatch(&arguments);
    assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn each_section_gives_its_cause_its_line_and_its_remedies() {
    let schema: Value =
        serde_json::from_slice(&std::fs::read(root().join("collector/analysis.schema.json")).expect("schema")).expect("json");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for cause in CAUSES {
        for (form, name) in [("server-2007", format!("{cause}-2007.log")), ("server", format!("{cause}-2012.log"))] {
            let analysis: Value = serde_json::from_str(&analyze(&name, &["--output", "json"])).expect("json");
            let faults: Vec<String> = validator.iter_errors(&analysis).map(|fault| fault.to_string()).collect();
            assert!(faults.is_empty(), "{name}: {faults:?}");
            assert_eq!(analysis["input"][0]["form"], form, "{name}");
            let findings = analysis["findings"].as_array().expect("findings");
            let failed: Vec<&Value> = findings.iter().filter(|finding| finding["rule"] == "sync-failed").collect();
            assert_eq!(failed.len(), 1, "{name}: one failure is one finding");
            assert_eq!(failed[0]["cause"], cause, "{name}");
            assert!(
                failed[0]["evidence"].as_array().is_some_and(|lines| lines
                    .iter()
                    .any(|line| line["line"].as_str().is_some_and(|line| line.contains("Sync failed")))),
                "{name}"
            );
            assert!(failed[0]["remedy"].as_array().is_some_and(|steps| !steps.is_empty()), "{name}");
            assert_eq!(analysis["runs"].as_array().map(Vec::len), Some(1), "{name}: one failed run");
        }
    }
}

#[test]
fn people_read_it_in_english_and_japanese_within_the_columns() {
    for cause in CAUSES {
        let english = analyze(&format!("{cause}-2012.log"), &[]);
        assert!(english.contains("what to do") && english.contains("1. "), "{english}");
        let japanese = analyze(&format!("{cause}-2012.log"), &["--lang", "ja"]);
        assert!(japanese.contains("対処方法") && japanese.contains("最後の同期が失敗しました"), "{japanese}");
        for line in english.lines().chain(japanese.lines()) {
            // ASCII is one column, everything else in these texts at most two.
            let columns: usize = line.chars().map(|c| if c.is_ascii() || "●✗✓·→–…│├└─".contains(c) { 1 } else { 2 }).sum();
            assert!(columns <= 82, "{columns} columns: {line}");
        }
    }
}
