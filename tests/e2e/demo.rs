//! `supwatch demo --exit`: the story runs to its end, and the final status, which the README shows, lists what remains.

use supwatch_tests::{root, supwatch, text};

/// A status without what differs between runs: the time, and the time since each site's success.
fn timeless(status: &str) -> Vec<String> {
    let of = |line: &str| {
        let line = line.split(" UTC").next().unwrap_or_default();
        match (line.starts_with("demo · "), line.split_once("last success ").zip(line.split_once(" ago"))) {
            (true, _) => line.rsplit_once(" · ").unwrap_or_default().0.to_owned(),
            (_, Some(((before, _), (_, after)))) => format!("{before}last success{after}"),
            _ => line.to_owned(),
        }
    };
    status.trim().lines().map(of).collect()
}

#[test]
fn the_story_ends_with_what_was_left_broken() {
    let output = supwatch(&["demo", "--exit"]);
    let (status, talk) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{talk}");
    for part in ["child-replica", "language-mismatch", "CEN", "P01", "P02", "S01"] {
        assert!(status.contains(part), "{part} not in:\n{status}");
    }
    assert!(!status.contains("sync-failed"), "CEN has recovered:\n{status}");
    assert!(
        talk.contains("supwatch status --endpoint https://localhost:") && talk.contains("the remote name could not be resolved"),
        "{talk}"
    );
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README");
    let (_, shown) = readme.split_once("```\ndemo · ").expect("a transcript");
    let shown = format!("demo · {}", shown.split("```").next().unwrap_or_default());
    assert_eq!(timeless(&shown), timeless(&status), "README.md shows another status; run the demo with COLUMNS=80 and copy it");
}
