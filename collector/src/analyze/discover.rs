//! Finds the input under the given paths: site folders, plain folders of logs, single logs, standard input.
//!
//! A site server's folder holds hundreds of logs, of which a handful concern synchronisation: those are read by name, others
//! only if their beginning or end has a line that does.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use supwatch_model::describe::HierarchyFile;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;
use supwatch_reading::reader::{Reader, Reading, Resume};
use supwatch_reading::recognise::Log;
use supwatch_reading::{paste, settings, site_folder};

use super::merge::fill;
use super::{AnalyzeError, STANDARD_INPUT, SiteFileAt, hierarchy_file, nothing, rules_file};
use supwatch_judgement::limits::Limits;

/// One site to read.
#[derive(Debug, Default)]
pub struct SiteInput {
    /// Its `site.toml`.
    pub file: Option<SiteFileAt>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<PathBuf>,
    /// Its logs, rolled-over ones first.
    pub logs: Vec<PathBuf>,
}

/// Everything found.
#[derive(Debug, Default)]
pub struct Found {
    /// The expected hierarchy.
    pub hierarchy: HierarchyFile,
    /// Limits and exceptions of the rules.
    pub limits: Limits,
    /// The sites.
    pub sites: Vec<SiteInput>,
    /// How paths are shown.
    pub names: Names,
    /// Why a path has no input.
    pub reasons: Vec<Text>,
    /// Logs that are not read.
    others: Others,
}

/// Logs that do not concern synchronisation.
#[derive(Debug, Default)]
struct Others {
    count: usize,
    first: Option<PathBuf>,
}

/// Paths as given: unpacked files are shown inside their archive.
#[derive(Debug, Default, Clone)]
pub struct Names(Vec<(PathBuf, String)>);

impl Names {
    /// Records where an archive was unpacked to.
    pub fn unpacked(&mut self, folder: &Path, archive: &Path) {
        self.0.push((folder.to_owned(), archive.display().to_string()));
    }

    /// A path for display: `b.zip:CEN/logs/wsyncmgr.log`.
    pub fn shown(&self, path: &Path) -> String {
        let inside = self.0.iter().find_map(|(folder, archive)| Some((archive, path.strip_prefix(folder).ok()?)));
        match inside {
            Some((archive, rest)) if rest.as_os_str().is_empty() => archive.clone(),
            Some((archive, rest)) => format!("{archive}:{}", rest.display()),
            None => path.display().to_string(),
        }
    }

    /// A text with every path in it rewritten for display.
    pub fn shown_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (folder, archive)| {
            let folder = folder.display().to_string();
            text.replace(&format!("{folder}{}", std::path::MAIN_SEPARATOR), &format!("{archive}:")).replace(&folder, archive)
        })
    }
}

/// Deepest nesting of folders; stops at mount loops.
const DEEPEST: u32 = 64;
/// Bytes examined at the beginning and at the end of a log.
const LOOK: usize = 64 * 1024;

impl Found {
    /// Adds the input at a path.
    pub fn add(&mut self, path: &Path) -> Result<(), AnalyzeError> {
        if path == Path::new(STANDARD_INPUT) {
            self.sites.push(SiteInput { logs: vec![path.to_owned()], ..SiteInput::default() });
            return Ok(());
        }
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if !kind.is_dir() {
            // Logs of one folder belong to one site; a rolled-over log precedes its current one.
            let beside =
                |site: &&mut SiteInput| site.file.is_none() && site.logs.first().is_some_and(|log| log.parent() == path.parent());
            match self.sites.iter_mut().find(beside) {
                Some(site) => site.logs.push(path.to_owned()),
                None => self.sites.push(SiteInput { logs: vec![path.to_owned()], ..SiteInput::default() }),
            }
            for site in &mut self.sites {
                site.logs.sort_by_key(|log| site_folder::reading_order(log));
            }
            return Ok(());
        }
        let (before, others) = (self.sites.len(), self.others.count);
        self.expectations(path)?;
        self.folder(path, DEEPEST)?;
        if self.sites.len() == before {
            let shown = self.names.shown(path);
            self.reasons.push(match self.others.count - others {
                0 => Text::new(
                    format!("{shown}: this folder holds no logs (*.log, *.lo_) and no site folders (with site.toml)"),
                    format!("{shown}: フォルダにログ (*.log、*.lo_) もサイト フォルダ (site.toml のあるもの) もありません"),
                ),
                count => Text::new(
                    format!("{shown}: none of its {count} logs concerns software update synchronisation"),
                    format!("{shown}: {count} 個のログのいずれにも、ソフトウェアの更新の同期に関する行がありません"),
                ),
            });
        }
        Ok(())
    }

    /// Remarks; all logs that are not read share one.
    pub fn remarks(&self) -> Vec<String> {
        let Others { count, first } = &self.others;
        let Some(first) = first else { return Vec::new() };
        let such = self.names.shown(first);
        vec![match count {
            1 => format!("1 other log is not read, since it does not concern software update synchronisation: {such}"),
            _ => format!(
                "{count} other logs are not read, since they do not concern software update synchronisation, such as {such}"
            ),
        }]
    }

    fn expectations(&mut self, path: &Path) -> Result<(), AnalyzeError> {
        if let Some(file) = hierarchy_file(path)? {
            self.hierarchy = file;
        }
        if let Some(limits) = rules_file(path)? {
            self.limits = limits;
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path, depth: u32) -> Result<(), AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let site_file = path.join("site.toml");
        if site_file.is_file() {
            return self.site_folder(path, &site_file);
        }
        let logs = self.logs(path)?;
        let snapshots = files(path, settings::is_snapshot).map_err(unreadable)?;
        if !logs.is_empty() {
            self.sites.push(SiteInput { file: None, snapshots, logs });
        }
        if depth == 0 {
            return Ok(());
        }
        self.expectations(path)?;
        let mut below: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_type().map_err(unreadable)?.is_dir() {
                below.push(entry.path());
            }
        }
        below.sort();
        below.iter().try_for_each(|folder| self.folder(folder, depth - 1))
    }

    fn site_folder(&mut self, path: &Path, site_file: &Path) -> Result<(), AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let file = site_folder::site_file(std::fs::read_to_string(site_file), site_file)?;
        let folder = path.join("logs");
        let logs = if folder.is_dir() { self.logs(&folder)? } else { Vec::new() };
        let snapshots = files(path, settings::is_snapshot).map_err(unreadable)?;
        self.sites.push(SiteInput { file: Some((file, site_file.to_owned())), snapshots, logs });
        Ok(())
    }

    /// The logs of a folder that may concern synchronisation.
    fn logs(&mut self, folder: &Path) -> Result<Vec<PathBuf>, AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: folder.to_owned(), source };
        let all = files(folder, site_folder::is_log).map_err(unreadable)?;
        let (ours, others): (Vec<PathBuf>, Vec<PathBuf>) = all.into_iter().partition(|path| may_be_relevant(path));
        self.others.count += others.len();
        self.others.first = self.others.first.take().or_else(|| others.into_iter().next());
        Ok(ours)
    }
}

/// Files of a folder with matching names, in reading order.
fn files(folder: &Path, fits: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(site_folder::in_order(found, fits))
}

/// Whether a log concerns synchronisation, by its name or by a line at its beginning or end. An unreadable log is kept, so that
/// the error is reported.
fn may_be_relevant(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if Log::of_file(&name) != Log::Other {
        return true;
    }
    let Ok(mut file) = File::open(path) else { return true };
    let mut look = |from: SeekFrom| -> std::io::Result<bool> {
        file.seek(from)?;
        let mut buffer = vec![0u8; LOOK];
        let read = fill(&mut file.by_ref(), &mut buffer)?;
        Ok(is_relevant(buffer.get(..read).unwrap_or_default(), &name))
    };
    let beginning = look(SeekFrom::Start(0)).unwrap_or(true);
    beginning || look(SeekFrom::End(-(LOOK as i64))).unwrap_or(false)
}

fn is_relevant(bytes: &[u8], name: &str) -> bool {
    let reading = Reading::default();
    let mut reader = Reader::new(SiteCode::UNKNOWN, name, &reading, &Resume::default());
    let mut events = Vec::new();
    reader.feed(bytes, &mut events);
    reader.finish(&mut events);
    events.iter().any(nothing::is_relevant) || paste::plain(bytes, name, &reading).is_some()
}
