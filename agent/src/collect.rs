//! Sweeps over everything watched (logs, settings, `site.toml`) and commits what is new to the spool.
//!
//! Runs on a separate thread, because file access blocks. A failure of one file never stops the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use supwatch_model::event::EventKind;
use supwatch_model::ids::{Epoch, SiteCode};

use crate::config::Site;
use supwatch_reading::recognise::Log;
use supwatch_reading::settings;

use crate::command::Handle;
use crate::spool::{Spool, SpoolError};
use crate::tail::{Checkpoint, DRAIN, Look, Tail};
use supwatch_reading::site_folder::{self, described};

use self::covered::Covered;
use self::troubles::Troubles;

mod covered;
mod troubles;

/// Sweeps over the files of all sites.
#[derive(Debug)]
pub struct Collect<'a> {
    spool: &'a Spool,
    sites: &'a [Site],
    tails: BTreeMap<String, Tail>,
    /// Spool epoch of the tails' checkpoints.
    epoch: Epoch,
    /// What cannot be used at present.
    troubles: Troubles,
    /// Handles of the settings commands, by site.
    commands: BTreeMap<SiteCode, Handle>,
    /// Time for which a log that was renamed is still read.
    drain: Duration,
    /// Coverage of the logs.
    covered: Covered,
}

impl<'a> Collect<'a> {
    /// Resumes from the spool's checkpoints.
    pub fn new(spool: &'a Spool, sites: &'a [Site]) -> Collect<'a> {
        let (tails, commands) = (BTreeMap::new(), BTreeMap::new());
        let (troubles, covered) = (Troubles::default(), Covered::default());
        Collect { spool, sites, tails, epoch: spool.epoch(), troubles, commands, drain: DRAIN, covered }
    }

    /// Reports coverage, with times of this clock.
    pub fn clocked(self, clock: fn() -> jiff::Timestamp) -> Collect<'a> {
        Collect { covered: Covered::by(clock), ..self }
    }

    /// Runs the settings commands after WCM activity: WCM checks the settings and may have reverted them.
    pub fn asking(self, commands: BTreeMap<SiteCode, Handle>) -> Collect<'a> {
        Collect { commands, ..self }
    }

    /// Sets how long a renamed log is still read.
    pub fn draining(self, drain: Duration) -> Collect<'a> {
        Collect { drain, ..self }
    }

    /// Sweeps until nothing is new. `now` is the time since the agent's start. `stop` ends the sweep early, between two writes.
    pub fn sweep(&mut self, now: Duration, stop: &dyn Fn() -> bool) -> Result<(), SpoolError> {
        if self.spool.epoch() != self.epoch {
            self.epoch = self.spool.epoch();
            self.tails.clear();
            self.covered.clear();
            self.troubles.clear();
        }
        if self.spool.is_fresh() {
            return Ok(());
        }
        self.covered.begin();
        for site in self.sites {
            self.site_file(site)?;
            self.snapshots(site, now)?;
            self.find_logs(site)?;
        }
        let names: Vec<String> = self.tails.keys().cloned().collect();
        let mut busy: BTreeSet<String> = names.into_iter().collect();
        // In turn, one chunk each, so that a large log does not delay the others.
        while !busy.is_empty() && !stop() {
            let mut still = BTreeSet::new();
            for name in &busy {
                let look = self.log(name, now)?;
                if look == Some(Look::More) {
                    still.insert(name.clone());
                }
                let progress = look.and_then(|_| self.tails.get(name)?.progress(now));
                self.covered.note(name, look.unwrap_or(Look::Quiet), progress);
            }
            busy = still;
            if !busy.is_empty() && self.covered.is_due() {
                self.report_coverage(&busy);
            }
        }
        if busy.is_empty() {
            self.report_coverage(&busy);
        }
        Ok(())
    }

    /// Records the coverage of each site; the logs in `busy` have unread data.
    fn report_coverage(&mut self, busy: &BTreeSet<String>) {
        let after = self.spool.next_sequence() - 1;
        let sites = self.sites.iter().map(|site| site.file.code);
        let coverage: Vec<_> = sites.filter_map(|site| self.covered.of(site, after, busy)).collect();
        self.spool.cover(after, coverage);
    }

    fn site_file(&mut self, site: &Site) -> Result<(), SpoolError> {
        let name = format!("{}/site.toml", site.file.code);
        let event = described(&site.file);
        let checksum = crc32c::crc32c(format!("{:?}", event.kind).as_bytes());
        if self.spool.checkpoint::<u32>(&name)? != Some(checksum) {
            self.spool.commit(vec![event], &name, &checksum)?;
        }
        Ok(())
    }

    /// Commits changed snapshots; an invalid one is reported once.
    fn snapshots(&mut self, site: &Site, now: Duration) -> Result<(), SpoolError> {
        let found = self.files_of(site.file.code, &site.folder, settings::is_snapshot)?;
        let is_gone = |file: &str| settings::is_snapshot(file) && !found.iter().any(|path| site_folder::file_name(path) == file);
        self.troubles.withdraw_where(self.spool, site.file.code, is_gone)?;
        for path in found {
            let file = site_folder::file_name(&path);
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.troubles.look_failed(self.spool, (site.file.code, &file), &error, now)?;
                    continue;
                }
            };
            let name = format!("{}/{file}", site.file.code);
            let checksum = crc32c::crc32c(&bytes);
            if self.spool.checkpoint::<u32>(&name)? == Some(checksum) {
                continue;
            }
            match settings::read_file(Ok(bytes), &path, site.file.code) {
                Ok((event, remarks)) => {
                    self.troubles.withdraw(self.spool, site.file.code, &file)?;
                    self.spool.commit(vec![event], &name, &checksum)?;
                    // The snapshot has the usable fields; the others are reported after it, because it clears earlier errors.
                    if !remarks.is_empty() {
                        self.troubles.report(self.spool, site.file.code, &file, &remarks.join("; "))?;
                    }
                }
                // It may be half written, so each sweep reads it again until it is valid.
                Err(error) => self.troubles.report(self.spool, site.file.code, &file, &error.to_string())?,
            }
        }
        Ok(())
    }

    fn find_logs(&mut self, site: &Site) -> Result<(), SpoolError> {
        for path in self.files_of(site.file.code, &site.logs, is_watched)? {
            // The tail of the current log reads the rolled-over one too, even if the current log does not exist yet.
            let is_rolled_over = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lo_"));
            let log = if is_rolled_over { path.with_extension("log") } else { path };
            let name = format!("{}/{}", site.file.code, site_folder::file_name(&log));
            if !self.tails.contains_key(&name) {
                let checkpoint = self.spool.checkpoint::<Checkpoint>(&name)?;
                let tail = Tail::new(log, site.file.code, site.reading.clone(), checkpoint).draining(self.drain);
                self.tails.insert(name, tail);
            }
        }
        Ok(())
    }

    /// Files of a folder whose names match, in reading order; none, and a report, if the folder cannot be listed.
    fn files_of(&mut self, site: SiteCode, folder: &Path, fits: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, SpoolError> {
        // By its path: the folder of the site and that of its logs may have one name.
        let name = folder.display().to_string();
        match listed(folder) {
            Ok(found) => {
                self.troubles.withdraw(self.spool, site, &name)?;
                Ok(site_folder::in_order(found, fits))
            }
            Err(error) => {
                self.troubles.report(self.spool, site, &name, &format!("{name}: {error}"))?;
                Ok(Vec::new())
            }
        }
    }

    /// Looks at one log and commits what is new in it; `None` if it could not be read.
    fn log(&mut self, name: &str, now: Duration) -> Result<Option<Look>, SpoolError> {
        let Some(tail) = self.tails.get_mut(name) else { return Ok(None) };
        let (site, file) = (tail.site(), name.split_once('/').map_or(name, |(_, file)| file));
        let before = tail.checkpoint();
        let mut events = Vec::new();
        let look = match tail.look(&mut events, now) {
            Ok(look) => look,
            Err(error) => {
                // Events read before the error are read again.
                if !events.is_empty() {
                    self.tails.remove(name);
                }
                self.troubles.look_failed(self.spool, (site, file), &error, now)?;
                return Ok(None);
            }
        };
        let (pieces, after) = (tail.pieces(), tail.checkpoint());
        for event in events.iter().filter(|event| event.log == "wcm" && matches!(event.kind, EventKind::WcmState { .. })) {
            if let Some(command) = self.commands.get(&event.site) {
                command.request();
            }
        }
        if let Some(checkpoint) = after.filter(|after| !events.is_empty() || before.as_ref() != Some(after)) {
            let pieces = pieces.into_iter().map(|piece| (piece.events, piece.checkpoint));
            let pieces: Vec<_> = pieces.chain([(events.len(), checkpoint)]).collect();
            if let Err(error) = self.spool.commit_in(self.epoch, events, name, &pieces) {
                // These events were not stored, so they are read again from the last stored checkpoint.
                self.tails.remove(name);
                return if matches!(error, SpoolError::NewEpoch) { Ok(None) } else { Err(error) };
            }
        }
        // Last: if the spool is full, what was read is stored or read again either way.
        self.troubles.looked(self.spool, site, file)?;
        Ok(Some(look))
    }
}

/// The plain files of a folder.
fn listed(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Whether a log concerns synchronisation; a site server has hundreds of others in the same folder.
pub fn is_watched(name: &str) -> bool {
    site_folder::is_log(name) && Log::of_file(name) != Log::Other
}
