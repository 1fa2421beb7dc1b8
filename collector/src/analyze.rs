//! Site folders, folders of logs, single logs and zip archives → the same picture that a live collector shows.
//!
//! An agent and a collector in one process: it reads with the agent's library and judges with the collector's rules. Where
//! no `site.toml` says so, the site code comes from `SITE=` in status messages, else the site is named `?`.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use supwatch_agent::reader::{Reader, Reading, Resume};
use supwatch_agent::{settings, site_folder};
use supwatch_proto::config::Faults;
use supwatch_proto::describe::{HierarchyFile, SiteFile};
use supwatch_proto::event::{Event, EventKind, StoredEvent};
use supwatch_proto::ids::{AgentId, Epoch, SiteCode};
use supwatch_proto::picture::Picture;
use supwatch_proto::wave::Wave;

use crate::diagnosis::Catalogue;
use crate::hierarchy::Hierarchy;
use crate::limits::Limits;
use crate::waves::Waves;

mod archive;
mod discover;

pub use discover::SiteInput;

/// Why an input cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalyzeError {
    /// Cannot be opened or read.
    #[error("{}: {source}; check the path and the rights to it", path.display())]
    Read {
        /// Path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing in it is of use.
    #[error("{}: {reason}", path.display())]
    Useless {
        /// Path.
        path: PathBuf,
        /// Why, and what to give instead.
        reason: String,
    },
    /// An archive that must not be opened.
    #[error("{}: {reason}; unpack it yourself and give the folder", path.display())]
    Archive {
        /// Path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// `site.toml` or `hierarchy.toml` is wrong.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A snapshot is wrong.
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
}

/// Waves an analysis gives.
const WAVES_SHOWN: usize = 100;

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Path.
    pub path: String,
    /// The form of most of its records.
    pub form: String,
    /// Its encoding.
    pub encoding: String,
    /// Lines with text.
    pub lines: u64,
    /// Lines that are understood.
    pub recognised: u64,
    /// Lines that are not.
    pub unrecognised: u64,
    /// Lines that have a type: an event, or progress that is told thinned.
    pub typed: u64,
    /// Records whose marks had to be mended.
    pub mended: u64,
    /// Records put together from several lines.
    pub joined: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Analysis {
    /// What was read.
    pub input: Vec<InputFile>,
    /// The picture.
    pub picture: Picture,
    /// Waves, newest first.
    pub waves: Vec<Wave>,
    /// What it was drawn from.
    pub hierarchy: Hierarchy,
    /// Limits and exceptions it was judged by.
    pub limits: Limits,
    /// The moment it was judged at.
    pub judged_at: Timestamp,
    /// Things worth telling on the way, such as an empty log.
    pub remarks: Vec<String>,
}

/// Reads and judges everything, at `at` or at the newest time in the input; `now` stands in where it has none.
pub fn analyze(
    paths: &[PathBuf],
    at: Option<Timestamp>,
    now: Timestamp,
    catalogue: Arc<Catalogue>,
) -> Result<Analysis, AnalyzeError> {
    let mut unpacked = Vec::new();
    let mut found = discover::Found::default();
    for path in paths {
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            let folder = archive::unpack(path)?;
            found.add(folder.path())?;
            unpacked.push(folder);
        } else {
            found.add(path)?;
        }
    }
    let mut work = Work {
        hierarchy: Hierarchy::new(found.hierarchy, catalogue),
        input: Vec::new(),
        remarks: Vec::new(),
        newest: Newest::default(),
        bytes: 0,
    };
    for site in &found.sites {
        work.read_site(site)?;
    }
    if work.bytes == 0 && found.sites.iter().all(|site| site.snapshots.is_empty() && site.file.is_none()) {
        let path = paths.first().cloned().unwrap_or_default();
        return Err(AnalyzeError::Useless {
            path,
            reason: "empty: there is nothing in it to read; give a wsyncmgr.log, a folder of logs, or site folders".into(),
        });
    }
    let judged_at = at.or(work.newest.of_all()).unwrap_or(now);
    let picture = crate::picture::at(&work.hierarchy, &found.limits, judged_at);
    let Work { hierarchy, input, remarks, .. } = work;
    let past = hierarchy.as_of(judged_at);
    let waves = Waves::new(&past, &found.limits, judged_at).newest(WAVES_SHOWN);
    Ok(Analysis { input, picture, waves, hierarchy, limits: found.limits, judged_at, remarks })
}

/// What `hierarchy.toml` says, if a folder has one.
pub fn hierarchy_file(folder: &Path) -> Result<Option<HierarchyFile>, AnalyzeError> {
    let path = folder.join("hierarchy.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(HierarchyFile::parse(&text, &path)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(AnalyzeError::Read { path, source }),
    }
}

/// What `rules.toml` says, if a folder has one.
pub fn rules_file(folder: &Path) -> Result<Option<Limits>, AnalyzeError> {
    let path = folder.join("rules.toml");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(Limits::read(&path, &crate::rules::names())?))
}

struct Work {
    hierarchy: Hierarchy,
    input: Vec<InputFile>,
    remarks: Vec<String>,
    newest: Newest,
    bytes: usize,
}

/// The newest time of the input. One that is only a local time taken as it stands may be hours off, so it counts only
/// where there is no better one.
#[derive(Debug, Default)]
struct Newest {
    sure: Option<Timestamp>,
    any: Option<Timestamp>,
}

impl Newest {
    fn of_all(&self) -> Option<Timestamp> {
        self.sure.or(self.any)
    }
}

/// Bytes of a log that are looked at before it is read.
const LOOK_AHEAD: usize = 1 << 20;

impl Work {
    fn read_site(&mut self, site: &SiteInput) -> Result<(), AnalyzeError> {
        // Two folders that claim one code are two claims, as two agents would be.
        let agent = AgentId(site.file.as_ref().map_or_else(|| "offline".to_owned(), |(_, path)| path.display().to_string()));
        let code = site.file.as_ref().map_or(SiteCode::UNKNOWN, |(file, _)| file.code);
        let reading = match &site.file {
            Some((file, path)) => site_folder::reading(file, path)?,
            None => Reading::default(),
        };
        let mut logs: Vec<(String, Vec<Event>, Resume)> = Vec::new();
        for (place, path) in site.logs.iter().enumerate() {
            // Copied a moment ago and not yet begun anew: the sibling is the beginning of the log, and is read with it.
            if let Some(log) = site.logs.iter().skip(place + 1).find(|log| is_beginning_of(path, log)) {
                self.remarks.push(format!("{}: is the beginning of {}, read once", path.display(), log.display()));
                continue;
            }
            let older = logs.last().filter(|(name, ..)| *name == stem(path)).map(|(_, _, resume)| Resume {
                offset: 0,
                framing: None,
                ..resume.clone()
            });
            match self.read_log(path, code, &reading, &older.unwrap_or_default()) {
                Ok((events, resume)) => logs.push((stem(path), events, resume)),
                // One file that is none of ours does not end the reading of the others.
                Err(AnalyzeError::Useless { path, reason }) if site.logs.len() > 1 => {
                    self.remarks.push(format!("{}: left out: {reason}", path.display()));
                }
                Err(error) => return Err(error),
            }
        }
        let told: Vec<Option<SiteCode>> = logs.iter().map(|(_, events, _)| code_told(events)).collect();
        let only = single(told.iter().flatten());
        let of_site = if code == SiteCode::UNKNOWN { only.unwrap_or(code) } else { code };
        if let Some((file, _)) = &site.file {
            self.fold(site_folder::described(file), &agent);
        }
        for path in &site.snapshots {
            // One snapshot that cannot be used costs what it would have told.
            let mut event = match settings::read_file_with_remarks(path, code) {
                Ok((event, remarks)) => {
                    self.remarks.extend(remarks);
                    event
                }
                Err(error) => {
                    self.remarks.push(format!("{error}; its settings count as unknown"));
                    continue;
                }
            };
            event.site = of_site;
            self.newest.sure = self.newest.sure.max(event.time);
            self.fold(event, &agent);
        }
        for ((_, events, _), told) in logs.iter_mut().zip(told) {
            let site = if code == SiteCode::UNKNOWN { told.or(only).unwrap_or(code) } else { code };
            events.iter_mut().for_each(|event| event.site = site);
        }
        for event in by_time(logs.into_iter().map(|(stem, events, _)| (stem, events)).collect()) {
            self.fold(event, &agent);
        }
        Ok(())
    }

    fn fold(&mut self, event: Event, agent: &AgentId) {
        let received_at = event.time.unwrap_or(Timestamp::UNIX_EPOCH);
        let stored = StoredEvent { agent: agent.clone(), epoch: Epoch([0; 16]), received_at, event };
        self.hierarchy.fold(&stored);
    }

    /// Reads a log; one that goes on where an older generation ended keeps what that one told.
    fn read_log(
        &mut self,
        path: &Path,
        site: SiteCode,
        reading: &Reading,
        older: &Resume,
    ) -> Result<(Vec<Event>, Resume), AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = Reader::new(site, &name, reading, older);
        let (mut events, mut buffer, mut size, mut binary) = (Vec::new(), vec![0u8; LOOK_AHEAD], 0usize, 0usize);
        loop {
            let read = fill(&mut file, &mut buffer).map_err(unreadable)?;
            if size == 0 {
                reader.look_ahead(buffer.get(..read).unwrap_or_default());
            }
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            size += read;
            binary += bytes.iter().filter(|byte| matches!(**byte, 1..=8 | 14..=31)).count();
            reader.feed(bytes, &mut events);
        }
        reader.finish(&mut events);
        self.bytes += size;
        if binary * 20 > size {
            let reason = "this is a binary file, not a log; give a text log such as wsyncmgr.log".to_owned();
            return Err(AnalyzeError::Useless { path: path.to_owned(), reason });
        }
        let tally = reader.tally();
        self.newest.sure = self.newest.sure.max(tally.newest_sure);
        self.newest.any = self.newest.any.max(tally.newest);
        if tally.lines == 0 {
            self.remarks.push(format!("{}: no line of text in it", path.display()));
        }
        let form = tally.forms().max_by_key(|(_, count)| *count).map_or("none", |(form, _)| form.as_str());
        self.input.push(InputFile {
            path: path.display().to_string(),
            form: form.to_owned(),
            encoding: reader.encoding_name().to_owned(),
            lines: tally.lines,
            recognised: tally.recognised,
            unrecognised: tally.lines - tally.recognised,
            typed: tally.typed,
            mended: tally.mended,
            joined: reader.joined(),
        });
        Ok((events, reader.resume()))
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Whether a log begins with the whole of another, which is not empty.
fn is_beginning_of(sibling: &Path, log: &Path) -> bool {
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

/// The events of several logs as they would have come live: each log in its own order, whatever its clock did, with its
/// rolled-over generations before it; the logs among each other by time.
fn by_time(logs: Vec<(String, Vec<Event>)>) -> Vec<Event> {
    let mut streams: BTreeMap<String, VecDeque<Event>> = BTreeMap::new();
    for (stem, events) in logs {
        streams.entry(stem).or_default().extend(events);
    }
    // Each stream with the time of its head; a line without one is as old as the line before it.
    let mut heads: Vec<(Option<Timestamp>, VecDeque<Event>)> =
        streams.into_values().map(|events| (events.front().and_then(|event| event.time), events)).collect();
    let mut merged = Vec::new();
    while let Some((at, events)) = heads.iter_mut().filter(|(_, events)| !events.is_empty()).min_by_key(|(at, _)| *at) {
        merged.extend(events.pop_front());
        *at = events.front().and_then(|event| event.time).or(*at);
    }
    merged
}

/// What the generations of one log have in common: `wsyncmgr.lo_` is the older part of `wsyncmgr.log`.
fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// The site code that the status messages of a log tell.
fn code_told(events: &[Event]) -> Option<SiteCode> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::StatusMessage(message) => message.site,
        _ => None,
    })
}

fn single<'a>(codes: impl Iterator<Item = &'a SiteCode>) -> Option<SiteCode> {
    let mut codes = codes.copied();
    let first = codes.next()?;
    codes.all(|code| code == first).then_some(first)
}

/// A site's `site.toml` with its path.
pub type SiteFileAt = (SiteFile, PathBuf);
