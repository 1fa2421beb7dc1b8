//! Moves a damaged database out of the way, so that its owner continues without it and an operator can inspect it.

use std::path::{Path, PathBuf};

/// Renames a folder to the first of `<folder>.quarantine-1`, `-2`, … that is free, and gives the new name.
pub fn set_aside(dir: &Path) -> std::io::Result<PathBuf> {
    let mut number = 1u32;
    loop {
        let mut name = dir.file_name().unwrap_or_default().to_owned();
        name.push(format!(".quarantine-{number}"));
        let aside = dir.with_file_name(name);
        if !aside.exists() {
            std::fs::rename(dir, &aside)?;
            return Ok(aside);
        }
        number += 1;
    }
}
