//! `--report FILE.html`: writes the page completely or not at all, and overwrites nothing but an earlier page.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::Failure;

/// A file that a report may be written to.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
}

impl Target {
    /// Checks the path before the analysis starts.
    pub(super) fn new(path: &Path) -> Result<Target, Failure> {
        // A symbolic link is kept: its target is replaced.
        let target = Target { path: path.canonicalize().unwrap_or_else(|_| path.to_owned()) };
        let folder = target.folder();
        if !folder.is_dir() {
            return Err(refused(path, &format!("there is no folder {}; make it, or give another path", folder.display())));
        }
        match std::fs::metadata(path) {
            Ok(meta) if !meta.is_file() => Err(refused(path, "this is not a file; give the name of a file, such as report.html")),
            // A typing mistake must not overwrite a log.
            Ok(_) if !is_page(path) => Err(refused(path, "it is there already and is no HTML page; give another name")),
            _ => Ok(target),
        }
    }

    /// Writes the page next to its final path, then renames it.
    pub(super) fn write(&self, page: &str) -> Result<(), Failure> {
        let failed = |error: std::io::Error| refused(&self.path, &format!("{error}; check the folder's permissions and space"));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // Permissions of any new file, as the user's umask allows.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let mut file = builder.prefix(".supwatch-report-").suffix(".tmp").tempfile_in(self.folder()).map_err(failed)?;
        file.write_all(page.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn folder(&self) -> &Path {
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(out)
    }
}

fn refused(path: &Path, reason: &str) -> Failure {
    Failure::Own(format!("{}: the report cannot be written: {reason}", path.display()))
}

/// Whether a file is empty or begins like an HTML page.
fn is_page(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut start));
    read.is_ok() && (start.is_empty() || String::from_utf8_lossy(&start).trim_start().to_lowercase().starts_with("<!doctype html"))
}
