//! How the messages of each log begin, and their meaning: one table per log, searched for the longest matching beginning.
//!
//! The beginnings are in English on every language of Windows: Configuration Manager writes its logs untranslated; only the texts
//! of .NET and Windows inside them are localized.

use std::sync::OnceLock;

use super::phrase::{Phrase, starts_with};
use super::{Log, shared, supsetup, wcm, wsus, wsusctrl, wsyncmgr};

/// The table of each log, followed by the shared one, so that a log's own meaning takes precedence.
const TABLES: [(Option<Log>, &[Phrase]); 6] = [
    (Some(Log::Wsyncmgr), wsyncmgr::PHRASES),
    (Some(Log::Wcm), wcm::PHRASES),
    (Some(Log::WsusCtrl), wsusctrl::PHRASES),
    (Some(Log::SupSetup), supsetup::PHRASES),
    (Some(Log::SoftwareDistribution), wsus::PHRASES),
    (None, shared::PHRASES),
];

/// Phrases by a hash of the first three bytes of their beginning, longest first.
type Index = Vec<Vec<(Option<Log>, &'static Phrase)>>;

const BUCKETS: usize = 1024;

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index: Index = vec![Vec::new(); BUCKETS];
        for (log, table) in TABLES {
            for phrase in table {
                if let Some(bucket) = bucket(phrase.start).and_then(|at| index.get_mut(at)) {
                    bucket.push((log, phrase));
                }
            }
        }
        for bucket in &mut index {
            bucket.sort_by_key(|(_, phrase)| std::cmp::Reverse(phrase.start.len()));
        }
        index
    })
}

/// No beginning is shorter than three bytes.
fn bucket(text: &str) -> Option<usize> {
    let [a, b, c, ..] = text.as_bytes() else { return None };
    let [a, b, c] = [a, b, c].map(|byte| usize::from(byte.to_ascii_lowercase()));
    Some((a * 37 + b * 101 + c * 13) % BUCKETS)
}

/// The phrase a message begins with, ignoring case, and the rest. `log` is the log that the line is known to be from.
pub fn find(message: &str, log: Option<Log>) -> Option<(&'static Phrase, &str)> {
    let candidates = index().get(bucket(message)?)?;
    candidates
        .iter()
        .filter(|(of, phrase)| log.map_or(!phrase.own, |log| of.is_none_or(|of| of == log)))
        .find(|(_, phrase)| starts_with(message, phrase.start))
        .and_then(|(_, phrase)| Some((*phrase, message.get(phrase.start.len()..)?)))
}

/// Whether a text begins a status message.
pub fn is_status_message(text: &str) -> bool {
    starts_with(super::trimmed(text), "STATMSG:")
}

/// Whether a text is the beginning of a message in any of the logs.
pub fn begins_message(text: &str) -> bool {
    let text = super::trimmed(text);
    starts_with(text, "STATMSG:") || find(text, None).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_wins_in_any_case() {
        let start = |message: &str| find(message, None).map(|(phrase, rest)| (phrase.start, rest.to_owned()));
        assert_eq!(start("SYNC FAILED: x"), Some(("Sync failed:", " x".to_owned())));
        assert_eq!(start("Sync failed. Will retry"), Some(("Sync failed.", " Will retry".to_owned())));
        assert_eq!(start("Nothing known"), None);
        assert_eq!(start("é"), None);
    }

    #[test]
    fn no_phrase_stands_twice_in_a_table() {
        for (log, table) in TABLES {
            for (at, phrase) in table.iter().enumerate() {
                let twin = table.iter().skip(at + 1).find(|other| other.start.eq_ignore_ascii_case(phrase.start));
                assert!(twin.is_none(), "{log:?}: {}", phrase.start);
                assert!(phrase.start.len() >= 3, "{log:?}: {}", phrase.start);
            }
        }
    }
}
