//! What the agent cannot use at present: reported once, withdrawn once it can be used, remembered across restarts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use supwatch_model::ids::SiteCode;
use supwatch_reading::site_folder;

use crate::spool::{Spool, SpoolError};

/// A file may be locked for a moment, while it is written, rolled over or scanned; after this long it is reported as unreadable.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest text kept, in characters: the report is stored as a checkpoint, which the collector bounds.
const TEXT_CHARS: usize = 200;
/// Most troubles kept by site: a checkpoint is sent up to 8 KiB.
const KEPT: usize = 10;

/// Texts of what cannot be used, by the file's name or the folder's path.
type Reported = BTreeMap<String, String>;

/// The troubles of all sites.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// What the collector knows, by site; read from the spool at the first use.
    reported: BTreeMap<SiteCode, Reported>,
    /// Files that could not be read in the last sweep, with the time since the agent's start of the first failure.
    failing: BTreeMap<(SiteCode, String), Duration>,
}

impl Troubles {
    /// Forgets what was read from the spool, for a new epoch.
    pub(super) fn clear(&mut self) {
        *self = Troubles::default();
    }

    /// Reports a file that cannot be used, unless the same was reported last.
    pub(super) fn report(&mut self, spool: &Spool, site: SiteCode, file: &str, text: &str) -> Result<(), SpoolError> {
        let text: String = text.chars().take(TEXT_CHARS).collect();
        let mut reported = self.known(spool, site)?.clone();
        if reported.get(file).is_some_and(|known| *known == text) || (reported.len() >= KEPT && !reported.contains_key(file)) {
            return Ok(());
        }
        tracing::warn!(%site, file, trouble = text, "file or folder of the site cannot be used");
        reported.insert(file.to_owned(), text.clone());
        spool.commit(vec![site_folder::unusable(site, file.to_owned(), text)], &name(site), &reported)?;
        self.reported.insert(site, reported);
        Ok(())
    }

    /// Withdraws the report of a file that can be used again.
    pub(super) fn withdraw(&mut self, spool: &Spool, site: SiteCode, file: &str) -> Result<(), SpoolError> {
        let known = self.known(spool, site)?;
        if !known.contains_key(file) {
            return Ok(());
        }
        let mut reported = known.clone();
        reported.remove(file);
        tracing::info!(%site, file, "file or folder of the site can be used again");
        spool.commit(vec![site_folder::usable(site, file.to_owned())], &name(site), &reported)?;
        self.reported.insert(site, reported);
        Ok(())
    }

    /// Withdraws the reports of all files that a condition names, such as those that no longer exist.
    pub(super) fn withdraw_where(
        &mut self,
        spool: &Spool,
        site: SiteCode,
        is_over: impl Fn(&str) -> bool,
    ) -> Result<(), SpoolError> {
        let over: Vec<String> = self.known(spool, site)?.keys().filter(|file| is_over(file)).cloned().collect();
        over.iter().try_for_each(|file| self.withdraw(spool, site, file))
    }

    /// A file could not be read. Reported once this has lasted: the next sweep retries, and nothing is skipped.
    pub(super) fn look_failed(
        &mut self,
        spool: &Spool,
        (site, file): (SiteCode, &str),
        error: &std::io::Error,
        now: Duration,
    ) -> Result<(), SpoolError> {
        let since = *self.failing.entry((site, file.to_owned())).or_insert_with(|| {
            tracing::warn!(%site, file, %error, "file unreadable; retrying at the next sweep");
            now
        });
        if now.saturating_sub(since) < PATIENCE { Ok(()) } else { self.report(spool, site, file, &format!("{file}: {error}")) }
    }

    /// A look at a log succeeded.
    pub(super) fn looked(&mut self, spool: &Spool, site: SiteCode, file: &str) -> Result<(), SpoolError> {
        if self.failing.remove(&(site, file.to_owned())).is_some() {
            tracing::info!(%site, log = file, "log readable again");
        }
        self.withdraw(spool, site, file)
    }

    fn known(&mut self, spool: &Spool, site: SiteCode) -> Result<&Reported, SpoolError> {
        Ok(match self.reported.entry(site) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(spool.checkpoint::<Reported>(&name(site))?.unwrap_or_default()),
        })
    }
}

fn name(site: SiteCode) -> String {
    format!("{site}/troubles")
}
