//! `supwatch.toml`: parsed and checked. All faults are reported at once.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use supwatch_model::config::{Faults, Table};
use supwatch_model::describe::HierarchyFile;

use crate::config::causes::check_folder;
use crate::export::notify::config::{Target, targets};
use crate::export::otlp::config::{Otlp, otlp};
use supwatch_judgement::diagnosis::Catalogue;
use supwatch_judgement::limits::Limits;
use supwatch_store::Retention;

pub mod causes;

/// The collector's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where agents and the CLI connect.
    pub listen: SocketAddr,
    /// Address of `/metrics`.
    pub http: SocketAddr,
    /// Identity folder.
    pub identity: PathBuf,
    /// Folder of the store.
    pub store: PathBuf,
    /// How long events are kept.
    pub retention: Retention,
    /// The expected hierarchy.
    pub hierarchy: HierarchyFile,
    /// Limits and exceptions of the rules.
    pub limits: Limits,
    /// The `rules.toml` they come from; reloaded when it changes.
    pub rules: Option<PathBuf>,
    /// The catalogue: the built-in causes and the administrator's own.
    pub catalogue: Arc<Catalogue>,
    /// Notification targets.
    pub notify: Vec<Target>,
    /// Where waves and metrics are sent over OTLP.
    pub otlp: Option<Otlp>,
}

impl Config {
    /// Reads a configuration file and the `hierarchy.toml` it names. Relative paths refer to the file's folder.
    pub fn read(path: &Path) -> Result<Config, Faults> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Faults::of_file(path, format!("cannot be read: {error}; name the collector's configuration with --config"))
        })?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let folder = |text: &str| Ok::<_, String>(base.join(text));
        let address = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| format!("{text:?} is not an address: write one like \"0.0.0.0:7443\""))
        };
        let mut table = Table::parse(&text, path)?;
        let listen = table.required("listen", "the address for agents and the CLI, like \"0.0.0.0:7443\"", address);
        let http = table.optional("http", address).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9464)));
        let identity = table.required("identity", "the folder with certificate.pem, key.pem and ca.pem", folder);
        let store = table.required("store", "a folder for the store", folder);
        let (hierarchy, mut inner) = match table.optional("hierarchy", folder).map(|path| read_hierarchy(&path)) {
            None => (HierarchyFile::default(), Faults::default()),
            Some(Ok(file)) => (file, Faults::default()),
            Some(Err(faults)) => (HierarchyFile::default(), faults),
        };
        let retention = retention(&mut table);
        let notify = targets(&mut table, &base);
        let otlp = otlp(&mut table, &base);
        let rules = table.optional("rules", folder);
        let limits = match rules
            .as_deref()
            .map(|path| Limits::of_file(std::fs::read_to_string(path), path, &supwatch_judgement::rules::names()))
        {
            None => Limits::default(),
            Some(Ok(limits)) => limits,
            Some(Err(mut faults)) => {
                inner.0.append(&mut faults.0);
                Limits::default()
            }
        };
        let catalogue = match table.optional("causes", folder).map(|path| check_folder(&path)) {
            None => Arc::clone(Catalogue::built_in()),
            Some(Ok(catalogue)) => Arc::new(catalogue),
            Some(Err(mut faults)) => {
                inner.0.append(&mut faults.0);
                Arc::clone(Catalogue::built_in())
            }
        };
        let finished = table.finish(());
        match (finished, listen, identity, store) {
            (Ok(()), Some(listen), Some(identity), Some(store)) if inner.0.is_empty() => {
                Ok(Config { listen, http, identity, store, retention, hierarchy, limits, rules, catalogue, notify, otlp })
            }
            (finished, ..) => {
                let mut faults = finished.err().unwrap_or_default();
                faults.0.append(&mut inner.0);
                Err(faults)
            }
        }
    }
}

/// `keep_days` and `keep_gib`.
fn retention(table: &mut Table) -> Retention {
    let mut whole = |key: &str| table.integer(key, 1..=1_000_000).and_then(|number| u32::try_from(number).ok());
    let built_in = Retention::default();
    Retention {
        days: whole("keep_days").unwrap_or(built_in.days),
        bytes: whole("keep_gib").map_or(built_in.bytes, |gib| u64::from(gib) << 30),
    }
}

fn read_hierarchy(path: &Path) -> Result<HierarchyFile, Faults> {
    match std::fs::read_to_string(path) {
        Ok(text) => HierarchyFile::parse(&text, path),
        Err(error) => Err(Faults::of_file(path, format!("cannot be read: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_both_files_are_reported_together() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("hierarchy.toml"), "nmae = \"x\"\n").expect("file");
        let path = dir.path().join("supwatch.toml");
        std::fs::write(&path, "listen = \"7443\"\nstor = \"s\"\nhierarchy = \"hierarchy.toml\"\n").expect("file");
        let shown = Config::read(&path).expect_err("faults").to_string();
        for part in [
            "supwatch.toml:1: listen",
            "identity is missing",
            "did you mean \"store\"",
            "hierarchy.toml:1: nmae is not a known key; did you mean \"name\"?",
        ] {
            assert!(shown.contains(part), "{part} not in:\n{shown}");
        }
    }

    #[test]
    fn the_default_retention_is_that_of_the_example() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("supwatch.toml");
        let read = |more: &str| {
            let text = format!("listen = \"[::1]:0\"\nidentity = \"i\"\nstore = \"s\"\n{more}");
            std::fs::write(&path, text).expect("file");
            Config::read(&path).map(|config| config.retention)
        };
        assert_eq!(read("keep_days = 30\nkeep_gib = 2\n").expect("good"), Retention { days: 30, bytes: 2 << 30 });
        assert_eq!(read("").expect("good"), Retention::default());
        assert!(read("keep_days = 0\n").expect_err("fault").to_string().contains("it must be 1 to"));
    }
}
