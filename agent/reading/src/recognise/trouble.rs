//! Lines of the watched logs that match no table but suggest trouble: reported as notices, so that a newer collector can name
//! them. A notice records wording; it is never a failure.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use supwatch_model::event::EventKind;

use super::text::one_line;

/// Words that suggest trouble; the first ones make it an error.
const WORDS: [&str; 14] = [
    "exception",
    "violation",
    "deadlock",
    "has invalid schema",
    "returns an error",
    "error",
    "fail",
    "denied",
    "unable to",
    "could not",
    "cannot",
    "timed out",
    "timeout",
    "refused",
];
const ERRORS: usize = 5;

pub(super) fn notice(message: &str) -> Option<EventKind> {
    static FINDER: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let finder = FINDER
        .get_or_init(|| AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(WORDS).ok())
        .as_ref()?;
    let worst = finder.find_iter(message).map(|found| found.pattern().as_usize()).min()?;
    let severity = if worst < ERRORS { "error" } else { "warning" };
    Some(EventKind::Notice { severity: severity.to_owned(), text: one_line(message) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severity_is_that_of_the_worst_word() {
        let severity = |message: &str| match notice(message) {
            Some(EventKind::Notice { severity, .. }) => severity,
            _ => String::new(),
        };
        assert_eq!(severity("Some ERROR: Violation of key"), "error");
        assert_eq!(severity("Operation Timed out"), "warning");
        assert_eq!(severity("all is well"), "");
    }
}
