//! Lines that report no error → their meaning, so that `explain` can call a normal line normal.

use std::sync::OnceLock;

use serde::Deserialize;
use supwatch_model::text::Text;

use super::subject::{bare, normal};
use super::table;

/// A kind of line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its beginnings; any of them.
    pub start: Vec<String>,
    /// The log in which it is best known.
    pub log: String,
    /// Whether it follows an error and is none itself.
    #[serde(default)]
    pub follows_failure: bool,
    /// Its meaning.
    pub meaning: Text,
}

#[derive(Default, Deserialize)]
struct File {
    line: Vec<Line>,
}

/// Every kind of line.
pub fn all() -> &'static [Line] {
    static ALL: OnceLock<File> = OnceLock::new();
    &ALL.get_or_init(|| table::read(include_str!("normal.toml"))).line
}

/// The kind of a line in any form, by its longest matching beginning.
pub fn of_line(line: &str) -> Option<&'static Line> {
    let text = normal(bare(line).trim_start_matches(['~', '?', ' ', '\t']));
    let longest = |line: &Line| {
        let fitting = line.start.iter().map(|start| normal(start)).filter(|start| text.starts_with(start.as_str()));
        fitting.map(|start| start.len()).max()
    };
    all().iter().filter_map(|line| Some((longest(line)?, line))).max_by_key(|(length, _)| *length).map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use super::super::{Catalogue, Subject, UNKNOWN};
    use super::*;

    #[test]
    fn every_line_is_found_in_any_form_and_is_no_cause() {
        for line in all() {
            assert!(!line.meaning.en.is_empty() && !line.meaning.ja.is_empty());
            for start in &line.start {
                for form in [
                    format!("{start} x"),
                    format!("~{start}"),
                    format!("{start} x  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>"),
                    format!("<![LOG[{start} x]LOG]!><time=\"04:00:00.000+000\" date=\"03-01-2026\" component=\"x\">"),
                    start.to_uppercase(),
                ] {
                    assert_eq!(of_line(&form), Some(line), "{form}");
                }
                let cause = Catalogue::built_in().cause_of(&Subject::of_line(start));
                assert_eq!(cause.id, UNKNOWN, "{start}");
            }
        }
    }

    #[test]
    fn the_longest_beginning_counts() {
        let retry = of_line("Next scheduled sync is a retry sync at 03/01/2026 05:00:00").expect("known");
        assert!(retry.meaning.en.contains("failed"), "{retry:?}");
        assert!(of_line("Sleeping 120 more seconds for WSUS server sync results to become available").is_some());
        assert_eq!(of_line("Sync failed: WSUS server not configured. Source: CWSyncMgr::DoSync"), None);
        assert_eq!(of_line("anything else"), None);
    }
}
