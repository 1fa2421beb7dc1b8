//! The keys of the store's databases.
//!
//! In a day: `E`+number blocks of events, `I`+number their summaries, `A`+agent its marks, `P`+agent, zero byte, name the
//! checkpoints of its files, `M` that the day was started completely. In the state: `V`+id findings, `U`+time operators'
//! decisions, `T`+target, slash, id the notifications of findings, `X`+wave what an OTLP receiver has, `C`+site, zero byte, agent
//! its coverage, `K`… the newest events of dropped days, `W`+agent how far its events were recently stored, as a witness if a day
//! is truncated; and `E`, `A`, `P` from before daily segments.

use std::borrow::Cow;

use supwatch_model::event::{EventKind, StoredEvent};
use supwatch_model::ids::{AgentId, SiteCode};

use crate::StoreError;

/// Version of the values.
pub(super) const VERSION: u8 = 1;
/// Prefix of the keys for what an OTLP receiver has.
pub(super) const EXPORTED: &[u8] = b"X";
/// Prefix of the keys for coverage.
pub(super) const COVERAGE: &[u8] = b"C";
/// Key that marks a day as started with all marks.
pub(super) const BEGUN: &[u8] = b"M";

pub(super) fn check_version(found: u8) -> Result<(), StoreError> {
    if found > VERSION { Err(StoreError::Version { found, known: VERSION }) } else { Ok(()) }
}

pub(super) fn block(number: u64) -> Vec<u8> {
    [b"E".as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn summary(number: u64) -> Vec<u8> {
    [b"I".as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    let bytes = key.get(1..).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or_else(|| StoreError::Content("a block's number".to_owned()))
}

pub(super) fn marks(agent: &AgentId) -> Vec<u8> {
    [b"A", agent.0.as_bytes()].concat()
}

pub(super) fn witness(agent: &AgentId) -> Vec<u8> {
    [b"W", agent.0.as_bytes()].concat()
}

pub(super) fn coverage(site: SiteCode, agent: &AgentId) -> Vec<u8> {
    [COVERAGE, site.as_str().as_bytes(), b"\0", short(&agent.0).as_bytes()].concat()
}

/// Agent names never contain this byte, so no key prefix of one agent matches another's keys.
pub(super) fn place(agent: &AgentId, name: &str) -> Vec<u8> {
    [b"P", short(&agent.0).as_bytes(), b"\0", name.as_bytes()].concat()
}

/// Prefix of checkpoint keys from before names were shortened.
pub(super) fn place_of_first_form(agent: &AgentId) -> Vec<u8> {
    [b"P", agent.0.as_bytes(), b"\0"].concat()
}

/// Shortens text from outside, so that a key stays within the limit: a longer text ends in a hash of the whole.
fn short(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 120;
    const HASH: usize = 8;
    if text.len() <= LONGEST {
        return Cow::Borrowed(text);
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hash: String = hash.as_ref().iter().take(HASH).map(|byte| format!("{byte:02x}")).collect();
    let ends = text.char_indices().map(|(at, sign)| at + sign.len_utf8());
    let end = ends.take_while(|end| *end < LONGEST - 2 * HASH).last().unwrap_or(0);
    Cow::Owned(format!("{}#{hash}", text.get(..end).unwrap_or_default()))
}

/// Target names never contain a slash, so no key prefix of one target matches another's keys.
pub(super) fn notified(target: &str, id: &str) -> Vec<u8> {
    [b"T", target.as_bytes(), b"/", id.as_bytes()].concat()
}

/// Of all events with the same key, only the newest is carried over when days are dropped: one of each kind of each file of a
/// site, status messages by number, snapshots by source.
pub(super) fn carried(stored: &StoredEvent) -> Vec<u8> {
    let event = &stored.event;
    let which = match &event.kind {
        EventKind::StatusMessage(message) => message.id.to_string(),
        EventKind::SettingsSnapshot { settings } => {
            settings.get("source").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    };
    let parts = [event.site.as_str(), &short(&stored.agent.0), &short(&event.file), event.kind.name(), &short(&which)];
    [b"K", parts.join("\0").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_a_name_is_its_key_is_short_and_its_own() {
        let long = |end: &str| short(&format!("{}{end}", "あ".repeat(100))).into_owned();
        assert_eq!(short("P01/srv1"), "P01/srv1");
        assert!(long("a").len() <= 120 && long("a") != long("b"));
        let agent = |end: &str| AgentId(format!("{}/{end}", vec!["P01"; 100].join(".")));
        let (one, other) = (place(&agent("a"), &"n".repeat(300)), place(&agent("b"), &"n".repeat(300)));
        assert!(one.len() <= 480 && one != other);
    }
}
