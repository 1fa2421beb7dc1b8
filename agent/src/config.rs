//! `agent.toml`: what was typed → what it means. All faults are told at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use supwatch_proto::config::{Faults, Table};
use supwatch_proto::describe::SiteFile;

use crate::reader::Reading;
use crate::settings::command::SettingsCommand;
use crate::site_folder;

/// Time after which a settings command is killed.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
/// Minutes between two runs of a settings command.
const COMMAND_MINUTES: i64 = 60;

/// A site to watch.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its folder: `site.toml`, `settings.json`.
    pub folder: PathBuf,
    /// Folder of its logs.
    pub logs: PathBuf,
    /// Its `site.toml`.
    pub file: SiteFile,
    /// How its logs are read.
    pub reading: Reading,
    /// A program that prints its settings.
    pub command: Option<SettingsCommand>,
}

/// The agent's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The collector's address.
    pub collector: String,
    /// Identity folder.
    pub identity: PathBuf,
    /// Folder of the spool.
    pub state: PathBuf,
    /// Time between two looks at everything.
    pub sweep: Duration,
    /// The sites.
    pub sites: Vec<Site>,
}

impl Config {
    /// Reads a configuration file and the `site.toml` of each site. Relative paths are meant from the file's folder.
    pub fn read(path: &Path) -> Result<Config, Faults> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Faults::of_file(path, format!("cannot be read: {error}; name the agent's configuration with --config"))
        })?;
        Config::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Config, Faults> {
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut table = Table::parse(text, path)?;
        let collector =
            table.required("collector", "the collector's address, like \"https://collector.corp.example:7443\"", |text| {
                if text.starts_with("https://") { Ok(text.to_owned()) } else { Err("it must begin with https://") }
            });
        let folder = |text: &str| Ok::<_, String>(base.join(text));
        let identity = table.required("identity", "the folder with certificate.pem, key.pem and ca.pem", folder);
        let state = table.required("state", "a folder for the spool", folder);
        let sweep = table.integer("sweep_seconds", 1..=60).unwrap_or(5);
        let (mut sites, mut inner) = (Vec::new(), Vec::new());
        let tables = table.tables("site");
        if tables.is_empty() {
            table.fault(0, "there is no [[site]]: name at least one site folder");
        }
        for mut site in tables {
            let line = site.line();
            let found = site.required("folder", "the site folder, with its site.toml", folder);
            let logs = site.optional("logs", folder);
            let command = command(&mut site, &base);
            table.absorb(site);
            let Some(found) = found else { continue };
            match read_site(found, logs) {
                Ok(site) => sites.push(Site { command, ..site }),
                Err(faults) => {
                    table.fault(line, "this site's folder has faults, told below");
                    inner.extend(faults.0);
                }
            }
        }
        let sweep = Duration::from_secs(u64::try_from(sweep).unwrap_or(5));
        let finished = table.finish(());
        match (finished, collector, identity, state) {
            (Ok(()), Some(collector), Some(identity), Some(state)) => Ok(Config { collector, identity, state, sweep, sites }),
            (finished, ..) => {
                let mut faults = finished.err().unwrap_or_default();
                faults.0.extend(inner);
                Err(faults)
            }
        }
    }
}

/// `command` and `command_minutes`. A program with a folder before its name is meant from the configuration's folder.
fn command(site: &mut Table, base: &Path) -> Option<SettingsCommand> {
    let minutes = site.integer("command_minutes", 5..=1440);
    let Some(words) = site.strings("command") else {
        if minutes.is_some() {
            site.fault(site.line(), "command_minutes is given without command");
        }
        return None;
    };
    let Some((program, arguments)) = words.split_first() else {
        site.fault(site.line(), "command is empty: name a program and its arguments");
        return None;
    };
    let path = base.join(program);
    // Found from the folder it runs in, a relative path would be meant twice.
    let program = if program.contains(['/', '\\']) { std::path::absolute(&path).unwrap_or(path) } else { PathBuf::from(program) };
    let minutes = u64::try_from(minutes.unwrap_or(COMMAND_MINUTES)).unwrap_or_default();
    Some(SettingsCommand {
        program,
        arguments: arguments.to_vec(),
        folder: if base.as_os_str().is_empty() { PathBuf::from(".") } else { base.to_owned() },
        every: Duration::from_secs(60 * minutes),
        limit: COMMAND_LIMIT,
    })
}

fn read_site(folder: PathBuf, logs: Option<PathBuf>) -> Result<Site, Faults> {
    let path = folder.join("site.toml");
    let file = site_folder::read_site_file(&path)?;
    let reading = site_folder::reading(&file, &path)?;
    Ok(Site { logs: logs.unwrap_or_else(|| folder.join("logs")), folder, file, reading, command: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn command_of(lines: &str) -> Option<SettingsCommand> {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("site.toml"), "code = \"P01\"\n").expect("file");
        let path = dir.path().join("agent.toml");
        let text = format!("collector = \"https://x\"\nidentity = \"id\"\nstate = \"s\"\n[[site]]\nfolder = \".\"\n{lines}");
        std::fs::write(&path, text).expect("file");
        let mut config = Config::read(&path).expect("good");
        let command = config.sites.pop().and_then(|site| site.command)?;
        assert_eq!(command.folder, dir.path());
        Some(SettingsCommand {
            program: command.program.strip_prefix(dir.path()).unwrap_or(&command.program).to_owned(),
            ..command
        })
    }

    #[test]
    fn a_command_runs_hourly_unless_it_is_told_otherwise() {
        assert_eq!(command_of(""), None);
        let named = command_of("command = [\"powershell.exe\", \"-File\", \"x.ps1\"]").expect("a command");
        assert_eq!((named.program.to_str(), named.arguments.len()), (Some("powershell.exe"), 2));
        assert_eq!((named.every, named.limit), (Duration::from_secs(3600), Duration::from_secs(300)));
        let own = command_of("command = [\"bin/dump\"]\ncommand_minutes = 5").expect("a command");
        assert_eq!((own.program.to_str(), own.every), (Some("bin/dump"), Duration::from_secs(300)));
    }

    #[test]
    fn all_faults_of_all_files_are_told_together() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::create_dir(dir.path().join("P01")).expect("folder");
        std::fs::write(dir.path().join("P01/site.toml"), "code = \"P1\"\ncolour = \"red\"\n").expect("file");
        let path = dir.path().join("agent.toml");
        let text = "collector = \"http://x\"\nidentiy = \"id\"\n[[site]]\nfolder = \"P01\"\ncommand = []\ncommand_minutes = 1\n";
        std::fs::write(&path, text).expect("file");
        let shown = Config::read(&path).expect_err("faults").to_string();
        for part in [
            "agent.toml:1: collector: it must begin with https://",
            "did you mean \"identity\"",
            "state is missing",
            "command is empty",
            "agent.toml:6: site.command_minutes is 1: it must be 5 to 1440",
            "site.toml:1: code",
            "site.toml:2: colour",
        ] {
            assert!(shown.contains(part), "{part} not in:\n{shown}");
        }
    }
}
