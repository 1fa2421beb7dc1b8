//! Fixture folders: complete ones, and ones that contain only the differences from the healthy hierarchy.
//!
//! `expected.json` with `"on": "healthy"` marks a folder of differences. There, `settings.patch.json` is merged into the site's
//! settings (`null` removes a field; list elements are merged one by one), `X.log.more` is appended to a log, `"without"` lists
//! files to remove, and any other file replaces the healthy one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::here;

/// A complete fixture in a temporary folder.
pub struct Folder {
    dir: tempfile::TempDir,
    /// Content of its `expected.json`.
    pub expected: Value,
}

impl Folder {
    /// Assembles a fixture.
    pub fn of(variant: &Path) -> Folder {
        let text = std::fs::read(variant.join("expected.json")).expect("expected.json");
        let expected: Value = serde_json::from_slice(&text).expect("json");
        let dir = tempfile::tempdir().expect("folder");
        if let Some(base) = expected["on"].as_str() {
            lay(&here().join("fixtures").join(base), dir.path());
        }
        for absent in expected["without"].as_array().into_iter().flatten() {
            std::fs::remove_file(dir.path().join(absent.as_str().expect("a path"))).expect("a file that is there");
        }
        lay(variant, dir.path());
        Folder { dir, expected }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its site folders.
    pub fn sites(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path()).expect("folder").map(|entry| entry.expect("entry").path());
        let mut sites: Vec<PathBuf> = entries.filter(|path| path.join("site.toml").is_file()).collect();
        sites.sort();
        sites
    }
}

fn lay(from: &Path, onto: &Path) {
    std::fs::create_dir_all(onto).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder") {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_str().expect("UTF-8").to_owned();
        if path.is_dir() {
            lay(&path, &onto.join(name));
        } else if name == "settings.patch.json" {
            let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("file")).expect("json") };
            let mut settings = read(&onto.join("settings.json"));
            patch(&mut settings, &read(&path));
            std::fs::write(onto.join("settings.json"), settings.to_string()).expect("file");
        } else if let Some(log) = name.strip_suffix(".more") {
            let mut whole = std::fs::read(onto.join(log)).expect("a log to append to");
            whole.extend(std::fs::read(&path).expect("file"));
            std::fs::write(onto.join(log), whole).expect("file");
        } else if name != "expected.json" {
            std::fs::copy(&path, onto.join(name)).expect("copied");
        }
    }
}

/// Merges one value into another.
pub fn patch(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (name, over) in over {
                if over.is_null() {
                    fields.shift_remove(name);
                } else {
                    patch(fields.entry(name).or_insert(Value::Null), over);
                }
            }
        }
        (Value::Array(list), Value::Array(over)) if over.len() == list.len() && over.iter().all(Value::is_object) => {
            list.iter_mut().zip(over).for_each(|(value, over)| patch(value, over));
        }
        (value, over) => *value = over.clone(),
    }
}
