//! Everything that is to be watched, looked at in turn: logs, settings, `site.toml`; what is new goes to the spool.
//!
//! Runs on a thread of its own, since files block. Trouble with one file never stops the others.

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

/// Looks at everything.
#[derive(Debug)]
pub struct Collect<'a> {
    spool: &'a Spool,
    sites: &'a [Site],
    tails: BTreeMap<String, Tail>,
    /// The epoch in which the tails read.
    epoch: Epoch,
    /// Troubles that were reported, so that each is reported once.
    reported: BTreeSet<String>,
    /// The settings commands of the sites that have one.
    commands: BTreeMap<SiteCode, Handle>,
    /// Time for which a log that was renamed is still read.
    drain: Duration,
    /// How far the logs are read.
    covered: Covered,
}

impl<'a> Collect<'a> {
    /// Goes on where the spool says.
    pub fn new(spool: &'a Spool, sites: &'a [Site]) -> Collect<'a> {
        let (tails, reported, commands) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let covered = Covered::default();
        Collect { spool, sites, tails, epoch: spool.epoch(), reported, commands, drain: DRAIN, covered }
    }

    /// Tells how far the logs are read, by this clock.
    pub fn clocked(self, clock: fn() -> jiff::Timestamp) -> Collect<'a> {
        Collect { covered: Covered::by(clock), ..self }
    }

    /// Lets what WCM does make the settings commands run: it looks at the settings, and may have put them back.
    pub fn asking(self, commands: BTreeMap<SiteCode, Handle>) -> Collect<'a> {
        Collect { commands, ..self }
    }

    /// For how long a log that was renamed is still read.
    pub fn draining(self, drain: Duration) -> Collect<'a> {
        Collect { drain, ..self }
    }

    /// Looks at everything once, until nothing is new, at a moment counted from the agent's start. `stop` ends it early, between two writes.
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
        // In turn, a chunk each, so that one large log does not hold up the others.
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

    /// Tells how far the logs of each site are read, those of `busy` not to their end.
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

    /// Snapshots that changed; one that is no snapshot is reported once, as trouble.
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
                    // The usable fields are in the snapshot; the others are reported after it, since a snapshot clears earlier trouble.
                    if !remarks.is_empty() {
                        self.trouble(site, &path, remarks.join("; "))?;
                    }
                }
                // It may be half written: it is looked at again until it is whole.
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
            // A rolled-over log is read by the tail of its current one, also where that is not there yet.
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
                // Locked, or a share that is away: looked at again at the next sweep, nothing skipped.
                if self.reported.insert(format!("{name}: {error}")) {
                    tracing::warn!(log = name, %error, "log unreadable; retrying at the next sweep");
                }
                // What it had read already is read again.
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
            // What was read is not stored, so it is read again from the last checkpoint that was.
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

/// Files of a folder with a name that fits, in the order in which they are read.
fn files_of(folder: &Path, fits: impl Fn(&str) -> bool) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let files = entries.into_iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    Ok(site_folder::in_order(files.map(|entry| entry.path()).collect(), fits))
}

/// The logs that tell of synchronisation; a site server has hundreds of others in the same folder.
pub fn is_watched(name: &str) -> bool {
    site_folder::is_log(name) && Log::of_file(name) != Log::Other
}

fn path_as_found(path: &Path, log: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("lo_")) { log.to_owned() } else { path.to_owned() }
}
