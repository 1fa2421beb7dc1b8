//! Site folders, folders of logs, single logs and zip archives → the same picture that a live collector shows.
//!
//! An agent and a collector in one process: it reads with the agent's library and judges with the collector's rules. Where
//! no `site.toml` says so, the site code comes from `SITE=` in status messages, else the site is named `?`.

use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use supwatch_agent::reader::{Reader, Reading, Resume};
use supwatch_agent::{settings, site_folder};
use supwatch_proto::config::Faults;
use supwatch_proto::describe::{HierarchyFile, SiteFile};
use supwatch_proto::event::{Event, EventKind, StoredEvent};
use supwatch_proto::ids::{AgentId, Epoch, SiteCode};
use supwatch_proto::picture::Picture;

use crate::diagnosis::Catalogue;
use crate::hierarchy::Hierarchy;

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
}

/// What came of it.
#[derive(Debug)]
pub struct Analysis {
    /// What was read.
    pub input: Vec<InputFile>,
    /// The picture.
    pub picture: Picture,
    /// Things worth telling on the way, such as an empty log.
    pub remarks: Vec<String>,
}

/// Reads and judges everything, at `at` or at the newest time in the input; `now` stands in where it has none.
pub fn analyze(paths: &[PathBuf], at: Option<Timestamp>, now: Timestamp) -> Result<Analysis, AnalyzeError> {
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
    let mut work =
        Work { hierarchy: Hierarchy::new(found.hierarchy), input: Vec::new(), remarks: Vec::new(), newest: None, bytes: 0 };
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
    let judged_at = at.or(work.newest).unwrap_or(now);
    let picture = crate::picture::at(&work.hierarchy, judged_at);
    Ok(Analysis { input: work.input, picture, remarks: work.remarks })
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

struct Work {
    hierarchy: Hierarchy,
    input: Vec<InputFile>,
    remarks: Vec<String>,
    newest: Option<Timestamp>,
    bytes: usize,
}

impl Work {
    fn read_site(&mut self, site: &SiteInput) -> Result<(), AnalyzeError> {
        // Two folders that claim one code are two claims, as two agents would be.
        let agent = AgentId(site.file.as_ref().map_or_else(|| "offline".to_owned(), |(_, path)| path.display().to_string()));
        let code = site.file.as_ref().map_or(SiteCode::UNKNOWN, |(file, _)| file.code);
        let reading = match &site.file {
            Some((file, path)) => site_folder::reading(file, path)?,
            None => Reading::default(),
        };
        let mut logs = Vec::new();
        for path in &site.logs {
            logs.push(self.read_log(path, code, &reading)?);
        }
        let told: Vec<Option<SiteCode>> = logs.iter().map(|events| code_told(events)).collect();
        let only = single(told.iter().flatten());
        let of_site = if code == SiteCode::UNKNOWN { only.unwrap_or(code) } else { code };
        if let Some((file, _)) = &site.file {
            self.fold(site_folder::described(file), &agent);
        }
        for path in &site.snapshots {
            let mut event = settings::read_file(path, code)?;
            event.site = of_site;
            self.newest = self.newest.max(event.time);
            self.fold(event, &agent);
        }
        for (events, told) in logs.into_iter().zip(told) {
            let site = if code == SiteCode::UNKNOWN { told.or(only).unwrap_or(code) } else { code };
            for mut event in events {
                event.site = site;
                self.fold(event, &agent);
            }
        }
        Ok(())
    }

    fn fold(&mut self, event: Event, agent: &AgentId) {
        let received_at = event.time.unwrap_or(Timestamp::UNIX_EPOCH);
        let stored = StoredEvent { agent: agent.clone(), epoch: Epoch([0; 16]), received_at, event };
        self.hierarchy.fold(&stored, Catalogue::built_in());
    }

    fn read_log(&mut self, path: &Path, site: SiteCode, reading: &Reading) -> Result<Vec<Event>, AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = Reader::new(site, &name, reading, &Resume::default());
        let (mut events, mut buffer, mut size, mut binary) = (Vec::new(), vec![0u8; 256 * 1024], 0usize, 0usize);
        loop {
            let read = file.read(&mut buffer).map_err(unreadable)?;
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
        self.newest = self.newest.max(reader.resume().last);
        let tally = reader.tally();
        if tally.lines == 0 {
            self.remarks.push(format!("{}: no line of text in it", path.display()));
        }
        let form = tally.forms.iter().max_by_key(|(_, count)| **count).map_or("none", |(form, _)| form.as_str());
        self.input.push(InputFile {
            path: path.display().to_string(),
            form: form.to_owned(),
            encoding: reader.encoding_name().to_owned(),
            lines: tally.lines,
            recognised: tally.recognised,
            unrecognised: tally.lines - tally.recognised,
        });
        Ok(events)
    }
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
