//! `supwatch demo --exit`: the story is lived to its end, and the final status tells what is left of it.

use supwatch_tests::{supwatch, text};

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
}
