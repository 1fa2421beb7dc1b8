//! Unpacks a zip archive of logs into a folder of its own, with bounds: an archive is untrusted input.

use std::fs::File;
use std::io::{Read, copy};
use std::path::Path;

use super::AnalyzeError;

/// Most entries of an archive.
const ENTRIES: usize = 10_000;
/// Most bytes that an archive may unpack to.
const BYTES: u64 = 2 << 30;
/// Highest compression ratio of an entry, beyond a first mebibyte; logs compress to a twentieth at best.
const RATIO: u64 = 200;

/// Unpacks an archive; the folder is removed when the value is dropped.
pub fn unpack(path: &Path) -> Result<tempfile::TempDir, AnalyzeError> {
    let refuse = |reason: String| AnalyzeError::Archive { path: path.to_owned(), reason };
    let failed = |source| AnalyzeError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| refuse(format!("not a readable zip archive ({error})")))?;
    if archive.len() > ENTRIES {
        return Err(refuse(format!("it has {} entries, more than {ENTRIES}", archive.len())));
    }
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut left = BYTES;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| refuse(format!("entry {index} cannot be read ({error})")))?;
        let Some(name) = entry.enclosed_name() else {
            return Err(refuse(format!("its entry {:?} points outside of the archive", entry.name())));
        };
        let target = folder.path().join(name);
        if entry.is_dir() {
            std::fs::create_dir_all(&target).map_err(failed)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let bound = left.min((entry.compressed_size().saturating_mul(RATIO)).max(1 << 20));
        let mut out = File::create(&target).map_err(failed)?;
        let written = copy(&mut entry.by_ref().take(bound + 1), &mut out).map_err(failed)?;
        if written > bound {
            return Err(refuse(format!("its entry {:?} unpacks to far more than its packed size (a zip bomb)", entry.name())));
        }
        left -= written;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn archive(name: &str, bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("file");
        let mut writer = zip::ZipWriter::new(file.reopen().expect("file"));
        writer.start_file(name, zip::write::SimpleFileOptions::default()).expect("entry");
        writer.write_all(bytes).expect("bytes");
        writer.finish().expect("archive");
        file
    }

    #[track_caller]
    fn refused(name: &str, bytes: &[u8], expected: &str) {
        let error = unpack(archive(name, bytes).path()).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn paths_out_of_the_archive_bombs_and_other_files_are_refused() {
        refused("../evil.log", b"x", "points outside");
        refused("bomb.log", &vec![b'0'; 64 << 20], "zip bomb");
        let text = tempfile::NamedTempFile::new().expect("file");
        let error = unpack(text.path()).expect_err("refused").to_string();
        assert!(error.contains("not a readable zip"), "{error}");
    }

    #[test]
    fn a_good_archive_is_unpacked() {
        let folder = unpack(archive("CEN/logs/wsyncmgr.log", b"line\n").path()).expect("good");
        assert_eq!(std::fs::read(folder.path().join("CEN/logs/wsyncmgr.log")).expect("file"), b"line\n");
    }
}
