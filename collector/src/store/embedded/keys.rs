//! The keys of the store's databases.
//!
//! In a day: `E`+number blocks of events, `I`+number what each is about, `A`+agent its marks, `P`+agent, zero byte, name how
//! far its files are stored, `M` that the day began whole. In the state: `V`+id findings, `U`+time what operators decided,
//! `T`+target, slash, id what was told of findings, `X`+wave what an OTLP receiver has, `K`… the newest of what forgotten
//! days told, `W`+agent how far its events were stored a moment ago, as a witness when a day is cut; and `E`, `A`, `P` of before there were days.

use supwatch_proto::event::{EventKind, StoredEvent};
use supwatch_proto::ids::AgentId;

use crate::store::StoreError;

/// Version of the values.
pub(super) const VERSION: u8 = 1;
/// Begins the keys of what an OTLP receiver has.
pub(super) const EXPORTED: &[u8] = b"X";
/// The day began with all marks.
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

/// No agent's name holds this byte, so none is the beginning of another's keys.
pub(super) fn place(agent: &AgentId, name: &str) -> Vec<u8> {
    [b"P", agent.0.as_bytes(), b"\0", name.as_bytes()].concat()
}

/// Names of targets hold no slash, so none is the beginning of another's keys.
pub(super) fn told(target: &str, id: &str) -> Vec<u8> {
    [b"T", target.as_bytes(), b"/", id.as_bytes()].concat()
}

/// Of all events with the same key only the newest is carried on when days are forgotten: each kind of each file of a site,
/// status messages by their number, snapshots by their source.
pub(super) fn carried(stored: &StoredEvent) -> Vec<u8> {
    let event = &stored.event;
    let which = match &event.kind {
        EventKind::StatusMessage(message) => message.id.to_string(),
        EventKind::SettingsSnapshot { settings } => {
            settings.get("source").and_then(serde_json::Value::as_str).unwrap_or_default().chars().take(64).collect()
        }
        _ => String::new(),
    };
    let parts = [event.site.as_str(), &stored.agent.0, &event.file, event.kind.name(), &which];
    [b"K", parts.join("\0").as_bytes()].concat()
}
