//! Checks a whole store that is not open elsewhere, and names what is damaged or missing. Changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;
use serde::Serialize;
use supwatch_durable::{Durable, Entry, OpenError};
use supwatch_model::event::StoredEvent;
use supwatch_model::ids::{AgentId, Epoch};

use super::block::{Block, Summary};
use super::days::Days;
use super::{CACHE_BYTES, keys, read_marks};
use crate::StoreError;
use crate::marks::{Mark, Marks};

/// Result of a check.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Days checked.
    pub days: u64,
    /// Events present.
    pub events: u64,
    /// Agents of these events.
    pub agents: u64,
    /// Folders that an earlier start set aside.
    pub set_aside: Vec<PathBuf>,
    /// What is damaged or missing, as sentences.
    pub problems: Vec<String>,
}

/// Sequence numbers in an agent's epoch.
type Numbers = BTreeMap<(AgentId, Epoch), Vec<(u64, u64)>>;

/// Checks the store in a folder. Fails if the folder is no store or the store is open elsewhere.
pub fn check(dir: &Path) -> Result<Report, StoreError> {
    let io = |source| StoreError::Open(OpenError::Io { dir: dir.to_owned(), source });
    let mut report = Report::default();
    let (mut numbers, mut marks) = (Numbers::new(), BTreeMap::new());
    let mut witnesses = Vec::new();
    let first_form = dir.join("db").is_file();
    let state = if first_form { dir.to_owned() } else { dir.join("state") };
    if !state.join("db").is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::NotFound, "there is no store here")));
    }
    if let Some(db) = opened(&state, &mut report)? {
        check_database(&db, "the state", &mut report, &mut numbers);
        newest(&mut marks, &db, &mut report);
        witnesses = witnessed(&db);
    }
    let folder = dir.join("days");
    if folder.is_dir() {
        for day in Days::find(folder.clone()).map_err(io)?.list() {
            report.days += 1;
            let Some(db) = opened(&day.dir, &mut report)? else { continue };
            if !matches!(db.get(keys::BEGUN), Ok(Some(_))) {
                report.problems.push(format!("day {}: its beginning is lost, and possibly all of it", day.date));
            }
            check_database(&db, &format!("day {}", day.date), &mut report, &mut numbers);
            newest(&mut marks, &db, &mut report);
        }
    }
    for folder in [dir, &folder] {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        report.set_aside.extend(inside.filter(|path| path.to_string_lossy().contains(".quarantine-")));
    }
    report.set_aside.sort();
    find_missing(&numbers, &marks, &mut report);
    for (agent, then) in witnesses {
        let now = marks.get(&agent).and_then(|marks| marks.epochs.iter().find(|mark| mark.epoch == then.epoch));
        let now = now.map_or(0, |mark| mark.durable);
        if now < then.durable {
            let epoch = Epoch(then.epoch);
            report.problems.push(format!(
                "events {} to {} of {agent}, epoch {epoch}, were stored and are lost; the agent will be asked to resend them",
                now + 1,
                then.durable
            ));
        }
    }
    report.agents = marks.len() as u64;
    Ok(report)
}

/// A database, unless it is damaged as a whole.
fn opened(dir: &Path, report: &mut Report) -> Result<Option<Durable>, StoreError> {
    match Durable::open(dir, CACHE_BYTES) {
        Ok(db) => Ok(Some(db)),
        Err(error @ OpenError::Damaged { .. }) => {
            report.problems.push(error.to_string());
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// How far each agent's newest epochs were stored, as last noted.
fn witnessed(db: &Durable) -> Vec<(AgentId, Mark)> {
    let read = |entry: Entry| {
        let agent = AgentId(String::from_utf8_lossy(entry.0.get(1..)?).into_owned());
        let marks: Vec<Mark> = serde_json::from_slice(&entry.2).ok()?;
        Some(marks.into_iter().map(move |mark| (agent.clone(), mark)))
    };
    db.scan(b"W", b"W").filter_map(Result::ok).filter_map(read).flatten().collect()
}

/// Marks of a later database replace those of an earlier one.
fn newest(marks: &mut BTreeMap<AgentId, Marks>, db: &Durable, report: &mut Report) {
    match read_marks(db) {
        Ok(found) => marks.extend(found),
        Err(error) => report.problems.push(error.to_string()),
    }
}

fn check_database(db: &Durable, what: &str, report: &mut Report, numbers: &mut Numbers) {
    let (mut blocks, mut summaries) = (Vec::new(), Vec::new());
    for entry in db.scan(b"", b"") {
        let (key, value) = match entry {
            Ok((key, version, value)) => {
                if let Err(error) = keys::check_version(version) {
                    report.problems.push(format!("{what}: {error}"));
                    continue;
                }
                (key, value)
            }
            Err(error) => {
                report.problems.push(format!("{what}: {error}"));
                continue;
            }
        };
        let number = keys::number_of(&key).unwrap_or_default();
        let sound = match key.first() {
            Some(b'E') => match Block::read(&value, number) {
                Ok(events) => {
                    blocks.push(number);
                    report.events += events.len() as u64;
                    events.iter().for_each(|stored| note(numbers, stored));
                    true
                }
                Err(_) => false,
            },
            Some(b'I') => {
                summaries.push(number);
                Summary::decode(value.as_slice()).is_ok()
            }
            Some(b'K') => Block::read(&value, 0).is_ok(),
            Some(b'V' | b'U' | b'T' | b'A' | b'W') => serde_json::from_slice::<serde_json::Value>(&value).is_ok(),
            _ => true,
        };
        if !sound {
            let name: String = String::from_utf8_lossy(&key).chars().take(1).collect();
            report.problems.push(format!("{what}: an entry of kind {name}, number {number}, cannot be read back"));
        }
    }
    for number in summaries.iter().filter(|number| !blocks.contains(number)) {
        report.problems.push(format!("{what}: block {number} is gone"));
    }
}

/// Adds an event's number to the ranges.
fn note(numbers: &mut Numbers, stored: &StoredEvent) {
    let ranges = numbers.entry((stored.agent.clone(), stored.epoch)).or_default();
    let number = stored.event.sequence;
    match ranges.last_mut() {
        Some((_, last)) if *last + 1 == number => *last = number,
        _ => ranges.push((number, number)),
    }
}

/// Numbers of each epoch up to its mark that are neither present nor known to be lost. Numbers before the first one present have
/// expired.
fn find_missing(numbers: &Numbers, marks: &BTreeMap<AgentId, Marks>, report: &mut Report) {
    for ((agent, epoch), ranges) in numbers {
        let known = marks.get(agent);
        let mark = known.and_then(|known| known.epochs.iter().find(|mark| mark.epoch == epoch.0));
        let lost: Vec<(u64, u64)> = known
            .into_iter()
            .flat_map(|known| &known.lost_ranges)
            .filter(|range| range.epoch == epoch.0)
            .map(|range| (range.first, range.last))
            .collect();
        let mut ranges: Vec<(u64, u64)> = ranges.iter().copied().chain(lost).collect();
        ranges.sort_unstable();
        let mut next = ranges.first().map_or(1, |(first, _)| *first);
        let end = mark.map_or(0, |mark| mark.durable);
        for (first, last) in ranges.into_iter().chain(std::iter::once((end + 1, end))) {
            if first > next {
                report.problems.push(format!("events {next} to {} of {agent}, epoch {epoch}, are gone", first - 1));
            } else if first < next && last >= first {
                report
                    .problems
                    .push(format!("events {first} to {} of {agent}, epoch {epoch}, are stored twice", last.min(next - 1)));
            }
            next = next.max(last + 1);
        }
        if mark.is_none() {
            report.problems.push(format!("the mark of {agent}, epoch {epoch}, is lost: its events would be sent again"));
        }
    }
}
