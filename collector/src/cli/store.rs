//! `supwatch fsck`, `export` and `import`: for a store that no collector has open.

use std::io::Write;
use std::path::PathBuf;

use super::{Failure, Global, Outcome, print, print_json};
use crate::config::Config;
use supwatch_store::StoreError;
use supwatch_store::embedded::fsck;
use supwatch_store::embedded::transfer::{self, TransferError};

#[derive(Debug, clap::Args)]
pub(super) struct Fsck {
    /// Folder of the store; by default the one in the collector's configuration
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// File to write; by default standard output
    file: Option<PathBuf>,
    /// Folder of the store; by default the one in the collector's configuration
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// File that `supwatch export` wrote
    file: PathBuf,
    /// Folder of the new store; by default the one in the collector's configuration
    #[arg(long, value_name = "FOLDER")]
    store: Option<PathBuf>,
}

fn folder(store: Option<&PathBuf>, global: &Global) -> Result<PathBuf, Failure> {
    match store {
        Some(store) => Ok(store.clone()),
        None => {
            let path = global.config.clone().unwrap_or_else(|| PathBuf::from("supwatch.toml"));
            Ok(Config::read(&path).map_err(Failure::usage)?.store)
        }
    }
}

impl Fsck {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let dir = folder(self.store.as_ref(), global)?;
        let report = fsck::check(&dir).map_err(failure)?;
        if global.is_json() {
            print_json(&report)?;
        } else {
            let mut text = String::new();
            for problem in &report.problems {
                text.push_str(&format!("{problem}\n"));
            }
            for path in &report.set_aside {
                text.push_str(&format!("{}: set aside by an earlier start; it is no longer read\n", path.display()));
            }
            let fsck::Report { days, events, agents, .. } = report;
            let verdict = if report.problems.is_empty() { "sound" } else { "damaged" };
            text.push_str(&format!("{}: {verdict}; {events} events of {agents} agents in {days} days\n", dir.display()));
            print(&text)?;
        }
        Ok(u8::from(!report.problems.is_empty()))
    }
}

impl Export {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let dir = folder(self.store.as_ref(), global)?;
        // Opening would create a store if there is none.
        if !dir.join("db").is_file() && !dir.join("state").is_dir() {
            return Err(Failure::usage(format!("{}: there is no store here", dir.display())));
        }
        let counts = match &self.file {
            Some(path) => {
                let file = std::fs::File::create(path);
                let file = file.map_err(|source| TransferError::File { path: path.clone(), source }).map_err(transferred)?;
                let mut out = std::io::BufWriter::new(file);
                let counts = transfer::export(&dir, path, &mut out).map_err(transferred)?;
                let synced = out.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all());
                synced.map_err(|error| Failure::own(format!("{}: {error}", path.display())))?;
                counts
            }
            None => {
                let mut out = std::io::BufWriter::new(std::io::stdout().lock());
                let path = PathBuf::from("standard output");
                let counts = transfer::export(&dir, &path, &mut out).map_err(transferred)?;
                out.flush().map_err(Failure::own)?;
                counts
            }
        };
        let transfer::Counts { events, agents, entries, damaged } = counts;
        eprintln!("exported {events} events of {agents} agents and {entries} entries of the state; {damaged} left out as damaged");
        Ok(u8::from(damaged > 0))
    }
}

impl Import {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let dir = folder(self.store.as_ref(), global)?;
        let transfer::Counts { events, agents, entries, .. } = transfer::import(&self.file, &dir).map_err(transferred)?;
        eprintln!("imported {events} events of {agents} agents and {entries} entries of the state into {}", dir.display());
        Ok(0)
    }
}

fn transferred(error: TransferError) -> Failure {
    match error {
        TransferError::Store(error) => failure(error),
        TransferError::NotEmpty { .. } => Failure::usage(error),
        TransferError::File { .. } | TransferError::Content { .. } => Failure::own(error),
    }
}

/// A store that is open elsewhere is a usage error.
fn failure(error: StoreError) -> Failure {
    match &error {
        StoreError::Open(supwatch_durable::OpenError::Locked { .. }) => {
            Failure::Usage(format!("{error}; stop the collector first, or use a copy that was made while it was stopped"))
        }
        _ => Failure::own(error),
    }
}
