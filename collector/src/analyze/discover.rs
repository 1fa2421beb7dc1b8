//! What lies under the paths given: site folders, plain folders of logs, single logs.

use std::path::{Path, PathBuf};

use supwatch_agent::{settings, site_folder};
use supwatch_proto::describe::HierarchyFile;

use super::{AnalyzeError, SiteFileAt, hierarchy_file, rules_file};
use crate::limits::Limits;

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
    /// What is expected.
    pub hierarchy: HierarchyFile,
    /// Limits and exceptions of the rules.
    pub limits: Limits,
    /// The sites.
    pub sites: Vec<SiteInput>,
}

impl Found {
    /// Takes in what lies at a path.
    pub fn add(&mut self, path: &Path) -> Result<(), AnalyzeError> {
        let unreadable = |source| AnalyzeError::Read { path: path.to_owned(), source };
        let kind = std::fs::metadata(path).map_err(unreadable)?;
        if kind.is_file() {
            // Logs of one folder are of one site; a rolled-over one comes before its current one.
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
        let before = self.sites.len();
        self.expectations(path)?;
        self.folder(path, 3)?;
        if self.sites.len() == before {
            let reason = "this folder holds no logs (*.log, *.lo_) and no site folders (with site.toml)".to_owned();
            return Err(AnalyzeError::Useless { path: path.to_owned(), reason });
        }
        Ok(())
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
        let logs = site_folder::files(path, site_folder::is_log).map_err(unreadable)?;
        let snapshots = site_folder::files(path, settings::is_snapshot).map_err(unreadable)?;
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
        let file = site_folder::read_site_file(site_file)?;
        let folder = path.join("logs");
        let logs = if folder.is_dir() { site_folder::files(&folder, site_folder::is_log).map_err(unreadable)? } else { Vec::new() };
        let snapshots = site_folder::files(path, settings::is_snapshot).map_err(unreadable)?;
        self.sites.push(SiteInput { file: Some((file, site_file.to_owned())), snapshots, logs });
        Ok(())
    }
}
