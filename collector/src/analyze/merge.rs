//! Merges several files of one log, and several logs of one site.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;

/// Reads until the buffer is full or the file ends.
pub(super) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Whether a log begins with the whole of another, non-empty one.
pub(super) fn is_beginning_of(sibling: &Path, log: &Path) -> bool {
    let same_stem = sibling.file_stem() == log.file_stem();
    let size = |path: &Path| std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0);
    let length = size(sibling);
    if !same_stem || length == 0 || length > size(log) {
        return false;
    }
    let open = |path: &Path| std::fs::File::open(path).map(|file| std::io::BufReader::new(file).take(length));
    let (Ok(mut one), Ok(mut other)) = (open(sibling), open(log)) else { return false };
    let (mut here, mut there) = (vec![0u8; 64 * 1024], vec![0u8; 64 * 1024]);
    loop {
        match (fill(&mut one, &mut here), fill(&mut other, &mut there)) {
            (Ok(0), Ok(0)) => return true,
            (Ok(read), Ok(same)) if read == same && here.get(..read) == there.get(..same) => {}
            _ => return false,
        }
    }
}

/// The events of several logs in the order in which they would have arrived live: each log in its own order, whatever its clock
/// did, preceded by its rolled-over generations; different logs interleaved by time.
pub(super) fn by_time(logs: Vec<(String, Vec<Event>)>) -> Vec<Event> {
    let mut streams: BTreeMap<String, VecDeque<Event>> = BTreeMap::new();
    for (stem, events) in logs {
        streams.entry(stem).or_default().extend(events);
    }
    // Each stream with the time of its head; a line without a time gets that of the line before it.
    let mut heads: Vec<(Option<Timestamp>, VecDeque<Event>)> =
        streams.into_values().map(|events| (events.front().and_then(|event| event.time), events)).collect();
    let mut merged = Vec::new();
    while let Some((at, events)) = heads.iter_mut().filter(|(_, events)| !events.is_empty()).min_by_key(|(at, _)| *at) {
        merged.extend(events.pop_front());
        *at = events.front().and_then(|event| event.time).or(*at);
    }
    merged
}

/// The common stem of a log's generations: `wsyncmgr.lo_` is the older part of `wsyncmgr.log`.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// The site code in the status messages of a log.
pub(super) fn reported_site(events: &[Event]) -> Option<SiteCode> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::StatusMessage(message) => message.site,
        _ => None,
    })
}

pub(super) fn single<'a>(codes: impl Iterator<Item = &'a SiteCode>) -> Option<SiteCode> {
    let mut codes = codes.copied();
    let first = codes.next()?;
    codes.all(|code| code == first).then_some(first)
}
