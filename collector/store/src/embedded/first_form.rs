//! A store in the first on-disk format was one database in the folder itself. It becomes the state database, and the events in it
//! precede those of any day.

use std::path::Path;

/// Names of sled's files and folders.
const PARTS: [&str; 3] = ["blobs", "conf", "db"];

/// Moves a database in the folder itself to `state`. May be interrupted at any moment and continues at the next start: the file
/// that identifies the database is moved last.
pub(super) fn move_into_place(dir: &Path) -> std::io::Result<()> {
    if !dir.join("db").is_file() {
        return Ok(());
    }
    let state = dir.join("state");
    std::fs::create_dir_all(&state)?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_part = PARTS.contains(&name.as_str()) || name.starts_with("snap.");
        if is_part && name != "db" {
            std::fs::rename(&path, state.join(&name))?;
        }
    }
    std::fs::rename(dir.join("db"), state.join("db"))?;
    tracing::info!(store = %dir.display(), "store in the first on-disk format migrated");
    Ok(())
}
