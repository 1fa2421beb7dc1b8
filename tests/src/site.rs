//! A site folder that a test controls: its logs grow and roll over, and its settings change.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A site folder.
pub struct SiteFolder {
    /// Site code.
    pub code: &'static str,
    /// The folder.
    pub folder: PathBuf,
    minute: i64,
}

impl SiteFolder {
    /// Creates it with its `site.toml` and an empty log.
    pub fn new(base: &Path, code: &'static str, kind: &str, parent: Option<&str>) -> SiteFolder {
        let folder = base.join(code);
        std::fs::create_dir_all(folder.join("logs")).expect("folder");
        let parent = parent.map(|parent| format!("parent = \"{parent}\"\n")).unwrap_or_default();
        std::fs::write(folder.join("site.toml"), format!("code = \"{code}\"\ntype = \"{kind}\"\n{parent}")).expect("file");
        std::fs::write(folder.join("logs/wsyncmgr.log"), "").expect("file");
        SiteFolder { code, folder, minute: 0 }
    }

    /// Its synchronisation log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("logs/wsyncmgr.log")
    }

    /// Appends lines, a minute apart.
    pub fn write(&mut self, lines: &[String]) {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.log()).expect("log");
        for line in lines {
            let at = jiff::civil::date(2026, 3, 1)
                .at(0, 0, 0, 0)
                .checked_add(jiff::SignedDuration::from_mins(self.minute))
                .expect("time");
            self.minute += 1;
            write!(file, "{line}  $$<SMS_WSUS_SYNC_MANAGER><{}.000+0><thread=4312 (0x10D8)>\r\n", at.strftime("%m-%d-%Y %H:%M:%S"))
                .expect("line");
        }
    }

    /// Appends numbered lines, each of which is one event.
    pub fn write_numbered(&mut self, numbers: std::ops::Range<u64>) {
        let lines: Vec<String> =
            numbers.map(|n| format!("Set content version of update source {{G}} for site {} to {n}", self.code)).collect();
        self.write(&lines);
    }
}
