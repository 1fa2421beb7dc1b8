//! A whole store as lines of JSON, and back: for a copy that outlives the format, for moving a store, and for salvaging a damaged
//! one.
//!
//! The first line names the format. It is followed by how far each agent got, the state, and the blocks of events in order of
//! arrival, each readable and, in `wire`, verbatim. The last line has the number of lines and their checksum, so that a truncated
//! export is detected.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supwatch_durable::Durable;
use supwatch_model::ids::AgentId;
use supwatch_model::place::Place;

use super::block::Block;
use super::days::{Extent, number};
use super::writer::Request;
use super::{Embedded, keys, places_of, read_marks};
use crate::StoreError;
use crate::marks::Marks;

/// Name of the format.
const FORMAT: &str = "supwatch/export/v1";
/// Entries of the state imported at once.
const ENTRIES: usize = 200;

/// Why a store cannot be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store cannot be opened, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The export file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is not an export, or is incomplete.
    #[error("{}:{line}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The target folder is not empty.
    #[error("{}: not empty; import into a folder that is not there yet", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
}

/// What was exported or imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Number of events.
    pub events: u64,
    /// Number of agents.
    pub agents: u64,
    /// Entries of the state: findings, decisions, notifications.
    pub entries: u64,
    /// Unreadable blocks that were skipped.
    pub damaged: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Format(String),
    Agent { agent: String, marks: Marks, places: Vec<(String, String)> },
    State { key: String, value: Value },
    Block { wire: String, events: Vec<Value> },
    End { lines: u64, crc32c: u32 },
}

struct Lines<'a, W> {
    out: &'a mut W,
    lines: u64,
    crc32c: u32,
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.lines += 1;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &text);
        self.out.write_all(&text)
    }
}

/// Exports everything readable of a store that is not open elsewhere.
pub fn export(dir: &Path, path: &Path, out: &mut impl Write) -> Result<Counts, TransferError> {
    let store = Embedded::open(dir)?;
    let file = |source| TransferError::File { path: path.to_owned(), source };
    let mut counts = Counts::default();
    let mut lines = Lines { out, lines: 0, crc32c: 0 };
    lines.write(&Line::Format(FORMAT.to_owned())).map_err(file)?;
    let newest = match store.days.list().pop() {
        Some(day) => store.days.open(&day)?.map(|(db, _)| db),
        None => None,
    };
    let base = newest.unwrap_or_else(|| Arc::clone(&store.state));
    for (agent, marks) in read_marks(&base)? {
        let places = places_of(&base, &agent)?;
        let places = places.into_iter().map(|place| (place.name, STANDARD.encode(place.checkpoint))).collect();
        lines.write(&Line::Agent { agent: agent.0, marks, places }).map_err(file)?;
        counts.agents += 1;
    }
    for entry in store.state.scan(b"", b"") {
        let Ok((key, _, value)) = entry else {
            counts.damaged += 1;
            continue;
        };
        if matches!(key.first(), Some(b'A' | b'P' | b'E')) {
            continue;
        }
        let value = serde_json::from_slice::<Value>(&value).ok().filter(Value::is_object);
        let value = match value {
            Some(json) => json,
            None => Value::String(STANDARD.encode(store.state.get(&key).map_err(StoreError::from)?.unwrap_or_default().1)),
        };
        lines.write(&Line::State { key: STANDARD.encode(&key), value }).map_err(file)?;
        counts.entries += 1;
    }
    let last = store.state.last_until(&keys::block(u64::MAX), b"E").map_err(StoreError::from)?;
    let before = last.map(|(key, ..)| keys::number_of(&key)).transpose()?.map_or(0, |last| last + 1);
    blocks(&store.state, 0, before, false, &mut lines, &mut counts).map_err(file)?;
    for day in store.days.list() {
        if let Some((db, Extent { blocks: count, .. })) = store.days.open(&day)? {
            blocks(&db, day.ordinal, count, true, &mut lines, &mut counts).map_err(file)?;
        }
    }
    let end = Line::End { lines: lines.lines, crc32c: lines.crc32c };
    lines.write(&end).and_then(|()| lines.out.flush()).map_err(file)?;
    Ok(counts)
}

fn blocks(
    db: &Durable,
    ordinal: u32,
    count: u64,
    all: bool,
    lines: &mut Lines<'_, impl Write>,
    counts: &mut Counts,
) -> std::io::Result<()> {
    for place in 0..count {
        let number = number(ordinal, place);
        let read = match db.get(&keys::block(number)) {
            Ok(Some((_, value))) => Block::read(&value, number).map(|events| (value, events)),
            Ok(None) if !all => continue,
            Ok(None) => Err(StoreError::Content(format!("block {number}"))),
            Err(error) => Err(error.into()),
        };
        match read {
            Ok((value, events)) => {
                counts.events += events.len() as u64;
                let readable = events.iter().map(|stored| json!(stored)).collect();
                lines.write(&Line::Block { wire: STANDARD.encode(value), events: readable })?;
            }
            Err(error) => {
                counts.damaged += 1;
                tracing::warn!(%error, "unreadable block skipped in the export");
            }
        }
    }
    Ok(())
}

/// Imports an export into a new store. The file is read twice: first to check that it is complete.
pub fn import(path: &Path, dir: &Path) -> Result<Counts, TransferError> {
    if dir.read_dir().is_ok_and(|mut inside| inside.next().is_some()) {
        return Err(TransferError::NotEmpty { dir: dir.to_owned() });
    }
    each_line(path, |_, _| Ok(()))?;
    let store = Embedded::open(dir)?;
    let (mut counts, mut entries) = (Counts::default(), Vec::new());
    each_line(path, |number, line| {
        let wrong = |reason: &str| TransferError::Content { path: path.to_owned(), line: number, reason: reason.to_owned() };
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| wrong("not the base64 of anything"));
        match line {
            Line::Format(_) | Line::End { .. } => {}
            Line::Agent { agent, marks, places } => {
                counts.agents += 1;
                let places = places.into_iter().map(|(name, checkpoint)| Ok(Place { name, checkpoint: bytes(&checkpoint)? }));
                let places = places.collect::<Result<Vec<_>, TransferError>>()?;
                let (agent, marks) = (AgentId(agent), Box::new(marks));
                store.ask_now(|reply| Request::Restore { agent, marks, places, reply })?;
            }
            Line::State { key, value } => {
                counts.entries += 1;
                let value = match value {
                    Value::String(text) => bytes(&text)?,
                    json => serde_json::to_vec(&json).unwrap_or_default(),
                };
                entries.push((bytes(&key)?, value));
                if entries.len() >= ENTRIES {
                    let entries = std::mem::take(&mut entries);
                    store.ask_now(|reply| Request::Keep { entries, reply })?;
                }
            }
            Line::Block { wire, .. } => {
                let events = Block::read(&bytes(&wire)?, number)?;
                counts.events += events.len() as u64;
                store.ask_now(|reply| Request::Import { events, reply })?;
            }
        }
        Ok(())
    })?;
    store.ask_now(|reply| Request::Keep { entries, reply })?;
    Ok(counts)
}

/// Passes each line of an export to a closure, and checks that the export is complete.
fn each_line(path: &Path, mut take: impl FnMut(u64, Line) -> Result<(), TransferError>) -> Result<(), TransferError> {
    let io = |source| TransferError::File { path: path.to_owned(), source };
    let wrong = |line, reason: &str| TransferError::Content { path: path.to_owned(), line, reason: reason.to_owned() };
    let file = std::io::BufReader::new(std::fs::File::open(path).map_err(io)?);
    let (mut number, mut crc32c, mut ended) = (0, 0, false);
    for text in file.split(b'\n') {
        let text = text.map_err(io)?;
        number += 1;
        if ended {
            return Err(wrong(number, "more follows the last line of an export"));
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(number, &format!("no line of an export: {error}")))?;
        match &line {
            Line::Format(format) if format != FORMAT => {
                return Err(wrong(number, &format!("format {format:?}; this supwatch knows {FORMAT:?}")));
            }
            Line::Format(_) => {}
            _ if number == 1 => return Err(wrong(number, "no export: it does not begin with its format")),
            Line::End { lines, crc32c: expected } => {
                if (*lines, *expected) != (number - 1, crc32c) {
                    return Err(wrong(number, "it was changed: its checksum is another; export again"));
                }
                ended = true;
            }
            _ => {}
        }
        crc32c = crc32c::crc32c_append(crc32c::crc32c_append(crc32c, &text), b"\n");
        take(number, line)?;
    }
    if ended { Ok(()) } else { Err(wrong(number, "the export was cut off here; export again")) }
}
