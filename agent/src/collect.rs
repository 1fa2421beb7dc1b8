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

mod covered;

/// Sweeps over the files of all sites.
#[derive(Debug)]
pub struct Collect<'a> {
    spool: &'a Spool,
    sites: &'a [Site],
    tails: BTreeMap<String, Tail>,
    /// Spool epoch of the tails' checkpoints.
    epoch: Epoch,
    /// Errors already reported, so that each is reported once.
    reported: BTreeSet<String>,
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
        let (tails, reported, commands) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let covered = Covered::default();
        Collect { spool, sites, tails, epoch: spool.epoch(), reported, commands, drain: DRAIN, covered }
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
        }
        if self.spool.is_fresh() {
            return Ok(());
        }
        self.covered.begin();
        for site in self.sites {
            self.site_file(site)?;
            self.snapshots(site)?;
            self.find_logs(site)?;
        }
        let names: Vec<String> = self.tails.keys().cloned().collect();
        let mut busy: BTreeSet<String> = names.into_iter().collect();
        // In turn, one chunk each, so that a large log does not delay the others.
        while !busy.is_empty() && !stop() {
            let mut still = BTreeSet::new();
            for name in &busy {
                let look = self.log(name, now)?;
                if look == Look::More {
                    still.insert(name.clone());
                }
                let progress = self.tails.get(name).and_then(|tail| tail.progress(now));
                self.covered.note(name, look, progress);
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
    fn snapshots(&mut self, site: &Site) -> Result<(), SpoolError> {
        let found = match files_of(&site.folder, settings::is_snapshot) {
            Ok(found) => found,
            Err(error) => return self.trouble(site, &site.folder, format!("{}: {error}", site.folder.display())),
        };
        for path in found {
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name = format!("{}/{file}", site.file.code);
            let checksum = crc32c::crc32c(&bytes);
            if self.spool.checkpoint::<u32>(&name)? == Some(checksum) {
                continue;
            }
            match settings::read_file(Ok(bytes), &path, site.file.code) {
                Ok((event, remarks)) => {
                    let own = path.display().to_string();
                    self.reported.retain(|reported| !reported.starts_with(&own));
                    self.spool.commit(vec![event], &name, &checksum)?;
                    // The snapshot has the usable fields; the others are reported after it, because it clears earlier errors.
                    if !remarks.is_empty() {
                        self.trouble(site, &path, remarks.join("; "))?;
                    }
                }
                // It may be half written, so each sweep reads it again until it is valid.
                Err(error) => self.trouble(site, &path, error.to_string())?,
            }
        }
        Ok(())
    }

    fn find_logs(&mut self, site: &Site) -> Result<(), SpoolError> {
        let found = match files_of(&site.logs, is_watched) {
            Ok(found) => found,
            Err(error) => return self.trouble(site, &site.logs, format!("{}: {error}", site.logs.display())),
        };
        for path in found {
            // The tail of the current log reads the rolled-over one too, even if the current log does not exist yet.
            let log = path.with_extension("log");
            let log = if log.exists() || path.extension().is_some_and(|e| e != "lo_") { path_as_found(&path, &log) } else { log };
            let Some(file) = log.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
            let name = format!("{}/{file}", site.file.code);
            if !self.tails.contains_key(&name) {
                let checkpoint = self.spool.checkpoint::<Checkpoint>(&name)?;
                let tail = Tail::new(log, site.file.code, site.reading.clone(), checkpoint).draining(self.drain);
                self.tails.insert(name, tail);
            }
        }
        Ok(())
    }

    fn log(&mut self, name: &str, now: Duration) -> Result<Look, SpoolError> {
        let Some(tail) = self.tails.get_mut(name) else { return Ok(Look::Quiet) };
        let before = tail.checkpoint();
        let mut events = Vec::new();
        let look = match tail.look(&mut events, now) {
            Ok(look) => look,
            Err(error) => {
                // Locked, or the share is unreachable: the next sweep retries, and nothing is skipped.
                if self.reported.insert(format!("{name}: {error}")) {
                    tracing::warn!(log = name, %error, "log unreadable; retrying at the next sweep");
                }
                // Events read before the error are read again.
                if !events.is_empty() {
                    self.tails.remove(name);
                }
                return Ok(Look::Quiet);
            }
        };
        let (pieces, after) = (tail.pieces(), tail.checkpoint());
        for event in events.iter().filter(|event| event.log == "wcm" && matches!(event.kind, EventKind::WcmState { .. })) {
            if let Some(command) = self.commands.get(&event.site) {
                command.request();
            }
        }
        if (!events.is_empty() || before != after)
            && let Some(checkpoint) = after
            && let Err(error) = {
                let pieces = pieces.into_iter().map(|piece| (piece.events, piece.checkpoint));
                let pieces: Vec<_> = pieces.chain([(events.len(), checkpoint)]).collect();
                self.spool.commit_in(self.epoch, events, name, &pieces)
            }
        {
            // These events were not stored, so they are read again from the last stored checkpoint.
            self.tails.remove(name);
            return if matches!(error, SpoolError::NewEpoch) { Ok(Look::Quiet) } else { Err(error) };
        }
        Ok(look)
    }

    fn trouble(&mut self, site: &Site, path: &Path, text: String) -> Result<(), SpoolError> {
        if self.reported.contains(&text) {
            return Ok(());
        }
        tracing::warn!(site = %site.file.code, trouble = text, "site folder or settings file rejected");
        let event = site_folder::unusable(site.file.code, site_folder::file_name(path), text.clone());
        self.spool.commit(vec![event], &format!("{}/trouble", site.file.code), &0)?;
        self.reported.insert(text);
        Ok(())
    }
}

/// Files of a folder whose names match, in reading order.
fn files_of(folder: &Path, fits: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            found.push(entry.path());
        }
    }
    Ok(site_folder::in_order(found, fits))
}

/// Whether a log concerns synchronisation; a site server has hundreds of others in the same folder.
pub fn is_watched(name: &str) -> bool {
    site_folder::is_log(name) && Log::of_file(name) != Log::Other
}

fn path_as_found(path: &Path, log: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lo_")) { log.to_owned() } else { path.to_owned() }
}
