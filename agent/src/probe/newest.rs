//! The newest settings of a site that the agent itself has, from which a probing round is planned.
//!
//! That is the site folder's `settings.json`, or what the site's settings command printed, whichever came last.

use std::path::PathBuf;
use std::time::SystemTime;

use supwatch_model::event::EventKind;
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::{Known, Settings};

use crate::config::Site;
use supwatch_reading::settings;

use crate::command;
use crate::spool::{Spool, SpoolError};

/// The newest settings of one site.
#[derive(Debug, Clone)]
pub struct Newest {
    site: SiteCode,
    path: PathBuf,
    /// Size and modification time at the last read: the file is read again only when they change.
    stamp: Option<(u64, SystemTime)>,
    /// Checksum of the command's last snapshot.
    printed: Option<u32>,
    settings: Option<Settings>,
}

impl Newest {
    /// Starts without settings.
    pub fn of(site: &Site) -> Newest {
        let path = site.folder.join("settings.json");
        Newest { site: site.file.code, path, stamp: None, printed: None, settings: None }
    }

    /// The settings, if any are known.
    pub fn settings(&self) -> Option<&Settings> {
        self.settings.as_ref()
    }

    /// Checks the file and the command's last snapshot; true if either changed the settings.
    pub fn look(&mut self, spool: &Spool) -> Result<bool, SpoolError> {
        let file = self.look_at_file();
        Ok(self.look_at_command(spool)? | file)
    }

    /// A file that is not a snapshot may be half written and changes nothing; `collect` reports it.
    fn look_at_file(&mut self) -> bool {
        let stamp = std::fs::metadata(&self.path).ok().and_then(|file| Some((file.len(), file.modified().ok()?)));
        if stamp.is_none() || stamp == self.stamp {
            return false;
        }
        let Ok((event, _)) = settings::read_file(std::fs::read(&self.path), &self.path, self.site) else { return false };
        self.stamp = stamp;
        let EventKind::SettingsSnapshot { settings } = &event.kind else { return false };
        Settings::from_json(settings).is_ok_and(|settings| self.apply(settings))
    }

    fn look_at_command(&mut self, spool: &Spool) -> Result<bool, SpoolError> {
        let Some((checksum, snapshot)) = command::last(spool, self.site)? else { return Ok(false) };
        if self.printed == Some(checksum) {
            return Ok(false);
        }
        self.printed = Some(checksum);
        Ok(Settings::from_json(&snapshot).is_ok_and(|settings| self.apply(settings)))
    }

    /// Applies a snapshot; true if it differs from the last one in more than its time.
    fn apply(&mut self, settings: Settings) -> bool {
        let settings = Settings { taken_at: Known::Unknown, ..settings };
        let changed = self.settings.as_ref() != Some(&settings);
        self.settings = Some(settings);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_settings_count() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("settings.json");
        let mut newest =
            Newest { site: "P01".parse().expect("code"), path: path.clone(), stamp: None, printed: None, settings: None };
        let mut looks = |text: &str| {
            std::fs::write(&path, text).expect("file");
            let changed = newest.look_at_file();
            (changed, newest.settings().map(|settings| settings.sups.value().map_or(0, Vec::len)))
        };
        assert_eq!(looks(r#"{"sups": [{}]}"#), (true, Some(1)));
        assert_eq!(looks(r#"{"sups": [{}], "taken_at": "2026-03-01T04:00:00Z"}"#), (false, Some(1)));
        assert_eq!(looks(r#"{"sups": [{}, {"#), (false, Some(1)), "half written");
        assert_eq!(looks(r#"{"sups": [{}, {}, {}]}"#), (true, Some(3)));
        assert_eq!(looks(r#"{"site": "P02"}"#), (false, Some(3)), "another site's");
    }
}
