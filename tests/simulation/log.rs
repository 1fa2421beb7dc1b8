//! A log that the simulation writes: numbered lines, sometimes half of one, rolled over by rename or by copy.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use supwatch_model::ids::SiteCode;

/// A log and the folder of its site.
pub struct Log {
    pub site: SiteCode,
    pub folder: PathBuf,
    path: PathBuf,
    /// Number of complete lines.
    pub written: u64,
    /// The second half of an incomplete line.
    torn: Option<String>,
    /// Number of lines at the last rotation; the file with the lines of the rotation before is gone.
    pub rolled: u64,
    pub gone: u64,
}

impl Log {
    pub fn new(base: &Path, code: &str) -> Log {
        let folder = base.join(code);
        let path = folder.join("logs/wsyncmgr.log");
        std::fs::create_dir_all(folder.join("logs")).expect("folder");
        std::fs::write(folder.join("site.toml"), format!("code = \"{code}\"\ntype = \"primary\"\n")).expect("file");
        std::fs::write(&path, "").expect("file");
        Log { site: code.parse().expect("a code"), folder, path, written: 0, torn: None, rolled: 0, gone: 0 }
    }

    /// Lengths differ, so offsets do too.
    fn line(&self) -> String {
        let number = self.written + 1;
        let pad = "x".repeat(usize::try_from(number * 7 % 40).expect("small"));
        let (minute, second) = (number / 60 % 60, number % 60);
        let hour = number / 3600;
        format!(
            "Set content version of update source {{G{pad}}} for site {} to {number}  $$<SMS_WSUS_SYNC_MANAGER><03-04-2026 {hour:02}:{minute:02}:{second:02}.000+0><thread=4312 (0x10D8)>\r\n",
            self.site
        )
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).expect("log");
        file.write_all(text.as_bytes()).expect("written");
    }

    pub fn write(&mut self, lines: u64) {
        self.mend();
        for _ in 0..lines {
            self.append(&self.line());
            self.written += 1;
        }
    }

    /// Writes a line up to a position inside it.
    pub fn tear(&mut self, at: u64) {
        self.mend();
        let mut line = self.line();
        let rest = line.split_off(usize::try_from(1 + at % (line.len() as u64 - 1)).expect("small"));
        self.append(&line);
        self.torn = Some(rest);
    }

    /// Writes the rest of an incomplete line.
    pub fn mend(&mut self) {
        if let Some(rest) = self.torn.take() {
            self.append(&rest);
            self.written += 1;
        }
    }

    pub fn roll(&mut self, copied: bool) {
        self.mend();
        let sibling = self.path.with_extension("lo_");
        if copied {
            std::fs::copy(&self.path, sibling).expect("copied");
            std::fs::write(&self.path, "").expect("truncated");
        } else {
            std::fs::rename(&self.path, sibling).expect("renamed");
            std::fs::write(&self.path, "").expect("file");
        }
        self.gone = std::mem::replace(&mut self.rolled, self.written);
    }
}
