//! Files with secrets: tokens and passwords for targets. Read at every use, so that a change needs no restart; never logged,
//! shown or kept.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file, in bytes: a secret is a few lines.
const BYTES: u64 = 64 * 1024;

/// Why a file with secrets is unusable. The text never shows its content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Other users may read it.
    #[error("{} is readable by other users: chmod 600 it", path.display())]
    Exposed {
        /// Path of the file.
        path: PathBuf,
    },
    /// Its content has the wrong form.
    #[error("{}:{line}: {wanted}", path.display())]
    Form {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What the line must contain.
        wanted: &'static str,
    },
}

/// The lines of a file that only its owner may read.
pub fn lines(path: &Path) -> Result<Vec<String>, SecretError> {
    let failed = |source| SecretError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES + 1).read_to_string(&mut text)).map_err(failed)?;
    if supwatch_proto::channel::is_exposed(path) {
        return Err(SecretError::Exposed { path: path.to_owned() });
    }
    if read as u64 > BYTES {
        return Err(SecretError::Form { path: path.to_owned(), line: 1, wanted: "the file is longer than 64 KiB" });
    }
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Writes a file that only its owner may read.
    pub fn write(path: &Path, text: &str) {
        std::fs::write(path, text).expect("file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("token");
        write(&path, "secret\n");
        assert_eq!(lines(&path).expect("lines"), ["secret"]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mode");
        assert!(matches!(lines(&path), Err(SecretError::Exposed { .. })));
    }

    #[test]
    fn a_file_that_is_no_secret_by_its_size_is_refused() {
        let dir = tempfile::tempdir().expect("folder");
        write(&dir.path().join("log"), &"x".repeat(70_000));
        assert!(matches!(lines(&dir.path().join("log")), Err(SecretError::Form { .. })));
        assert!(matches!(lines(&dir.path().join("none")), Err(SecretError::Read { .. })));
    }
}
