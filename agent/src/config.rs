//! `agent.toml`: TOML text → configuration. All errors are reported at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use supwatch_model::config::{Faults, Table};
use supwatch_model::describe::SiteFile;
use supwatch_model::settings::same_server;

use crate::address::Address;
use crate::command::SettingsCommand;
use crate::tail::DRAIN;
use supwatch_reading::reader::Reading;
use supwatch_reading::site_folder;

/// Time after which a settings command is killed.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);
/// Least time between two requested runs of a settings command.
const COMMAND_APART: Duration = Duration::from_secs(300);
/// Minutes between two runs of a settings command.
const COMMAND_MINUTES: i64 = 60;

/// A site to watch.
#[derive(Debug, Clone)]
pub struct Site {
    /// Site folder with `site.toml` and `settings.json`.
    pub folder: PathBuf,
    /// Folder of its logs.
    pub logs: PathBuf,
    /// Contents of `site.toml`.
    pub file: SiteFile,
    /// Code page and time zone of its logs.
    pub reading: Reading,
    /// Command that prints its settings.
    pub command: Option<SettingsCommand>,
    /// WSUS servers to probe even if no snapshot names them.
    pub wsus: Vec<Address>,
}

/// How servers are probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probing {
    /// Time between two rounds.
    pub every: Duration,
    /// Whether update sources are probed too.
    pub upstream: bool,
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
    /// Interval of sweeps over all logs and settings.
    pub sweep: Duration,
    /// Whether to use the operating system's change notifications between sweeps.
    pub notices: bool,
    /// Time for which a log that was renamed is still read.
    pub drain: Duration,
    /// How servers are probed; `None`: probing is off.
    pub probe: Option<Probing>,
    /// Sites to watch.
    pub sites: Vec<Site>,
}

impl Config {
    /// Reads a configuration file and the `site.toml` of each site. Relative paths refer to the file's folder.
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
        let notices = table.boolean("notices").unwrap_or(true);
        let drain = table.integer("drain_seconds", 1..=600).and_then(|seconds| u64::try_from(seconds).ok());
        let drain = drain.map_or(DRAIN, Duration::from_secs);
        let probe = table.table("probe").map(|mut probe| {
            let probing = probing(&mut probe);
            table.absorb(probe);
            probing
        });
        let (mut sites, mut inner) = (Vec::new(), Vec::new());
        let tables = table.tables("site");
        if tables.is_empty() {
            table.fault(0, "no [[site]]: name at least one site folder");
        }
        for mut site in tables {
            let line = site.line();
            let found = site.required("folder", "the site folder, with its site.toml", folder);
            let logs = site.optional("logs", folder);
            let command = command(&mut site, &base);
            let wsus = wsus(&mut site);
            table.absorb(site);
            let Some(found) = found else { continue };
            match read_site(found, logs) {
                Ok(site) => sites.push(Site { command, wsus, ..site }),
                Err(faults) => {
                    table.fault(line, "this site's folder has errors; they are listed below");
                    inner.extend(faults.0);
                }
            }
        }
        let sweep = Duration::from_secs(u64::try_from(sweep).unwrap_or(5));
        let finished = table.finish(());
        match (finished, collector, identity, state) {
            (Ok(()), Some(collector), Some(identity), Some(state)) => {
                Ok(Config { collector, identity, state, sweep, notices, drain, probe, sites })
            }
            (finished, ..) => {
                let mut faults = finished.err().unwrap_or_default();
                faults.0.extend(inner);
                Err(faults)
            }
        }
    }
}

/// `command` and `command_minutes`. A program path with a folder refers to the configuration's folder.
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
    // Resolved against the working directory, a relative path would be applied twice.
    let program = if program.contains(['/', '\\']) { std::path::absolute(&path).unwrap_or(path) } else { PathBuf::from(program) };
    let minutes = u64::try_from(minutes.unwrap_or(COMMAND_MINUTES)).unwrap_or_default();
    Some(SettingsCommand {
        program,
        arguments: arguments.to_vec(),
        folder: if base.as_os_str().is_empty() { PathBuf::from(".") } else { base.to_owned() },
        every: Duration::from_secs(60 * minutes),
        limit: COMMAND_LIMIT,
        apart: COMMAND_APART,
    })
}

fn probing(table: &mut Table) -> Probing {
    let minutes = table.integer("minutes", 5..=1440).unwrap_or(15);
    let upstream = table.boolean("upstream").unwrap_or(true);
    Probing { every: Duration::from_secs(60 * u64::try_from(minutes).unwrap_or(15)), upstream }
}

/// The servers to probe. Each server is one WSUS, so that its results belong to one entry.
fn wsus(site: &mut Table) -> Vec<Address> {
    let servers = site.each("wsus", str::parse::<Address>).unwrap_or_default();
    for (index, one) in servers.iter().enumerate() {
        if servers.iter().skip(index + 1).any(|other| same_server(&one.host, &other.host)) {
            site.fault(site.line(), format!("site.wsus names {} twice: give each server once", one.host));
        }
    }
    servers
}

fn read_site(folder: PathBuf, logs: Option<PathBuf>) -> Result<Site, Faults> {
    let path = folder.join("site.toml");
    let file = site_folder::site_file(std::fs::read_to_string(&path), &path)?;
    let reading = site_folder::reading(&file, &path)?;
    Ok(Site { logs: logs.unwrap_or_else(|| folder.join("logs")), folder, file, reading, command: None, wsus: Vec::new() })
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
    fn a_command_runs_hourly_unless_configured_otherwise() {
        assert_eq!(command_of(""), None);
        let named = command_of("command = [\"powershell.exe\", \"-File\", \"x.ps1\"]").expect("a command");
        assert_eq!((named.program.to_str(), named.arguments.len()), (Some("powershell.exe"), 2));
        assert_eq!((named.every, named.limit), (Duration::from_secs(3600), Duration::from_secs(300)));
        let own = command_of("command = [\"bin/dump\"]\ncommand_minutes = 5").expect("a command");
        assert_eq!((own.program.to_str(), own.every), (Some("bin/dump"), Duration::from_secs(300)));
    }

    /// Reads the configuration of a good site with some lines more.
    fn read(more: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("site.toml"), "code = \"P01\"\n").expect("file");
        let path = dir.path().join("agent.toml");
        let text = "collector = \"https://x\"\nidentity = \"i\"\nstate = \"s\"\n[[site]]\nfolder = \".\"\n";
        std::fs::write(&path, format!("{text}{more}")).expect("file");
        Config::read(&path).map_err(|faults| faults.to_string())
    }

    #[track_caller]
    fn refused(more: &str, expected: &str) {
        let shown = read(more).expect_err("faults");
        assert!(shown.contains(expected), "{expected} not in:\n{shown}");
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn probes_are_off_until_they_are_turned_on() {
        assert_eq!(read("").expect("good").probe, None);
        let probing = |minutes: u64, upstream| Some(Probing { every: Duration::from_secs(60 * minutes), upstream });
        assert_eq!(read("[probe]\n").expect("good").probe, probing(15, true));
        assert_eq!(read("[probe]\nminutes = 5\nupstream = false\n").expect("good").probe, probing(5, false));
        refused("[probe]\nminutes = 4\n", "agent.toml:7: probe.minutes is 4: it must be 5 to 1440");
        refused("[probe]\nminuts = 5\n", "agent.toml:7: probe.minuts is not a known key; did you mean \"minutes\"?");
    }

    #[test]
    fn changes_are_noticed_and_renamed_logs_drained_unless_configured_otherwise() {
        let top = |more: &str| {
            let dir = tempfile::tempdir().expect("folder");
            std::fs::write(dir.path().join("site.toml"), "code = \"P01\"\n").expect("file");
            let path = dir.path().join("agent.toml");
            let text = "collector = \"https://x\"\nidentity = \"i\"\nstate = \"s\"\n";
            std::fs::write(&path, format!("{text}{more}[[site]]\nfolder = \".\"\n")).expect("file");
            Config::read(&path).map(|config| (config.notices, config.drain.as_secs())).map_err(|faults| faults.to_string())
        };
        assert_eq!(top(""), Ok((true, 30)));
        assert_eq!(top("notices = false\ndrain_seconds = 1\n"), Ok((false, 1)));
        let shown = top("drain_seconds = 0\n").expect_err("a fault");
        assert!(shown.contains("agent.toml:4: drain_seconds is 0: it must be 1 to 600"), "{shown}");
    }

    #[test]
    fn servers_to_probe_are_urls_without_accounts_each_named_once() {
        let config = read("wsus = [\"https://sup1.corp.example:8531\", \"http://sup2:8530\"]\n").expect("good");
        assert_eq!(
            config.sites[0].wsus.iter().map(Address::authority).collect::<Vec<_>>(),
            ["sup1.corp.example:8531", "sup2:8530"]
        );
        refused("wsus = [\n  \"https://svc:secret@sup1:8531\",\n]\n", "agent.toml:7: site.wsus: leave out user name and password");
        refused("wsus = [\"sup1\"]\n", "agent.toml:6: site.wsus: write each server like");
        refused("wsus = [\"http://sup1\", \"https://SUP1.corp.example\"]\n", "site.wsus names sup1 twice");
    }

    #[test]
    fn all_errors_of_all_files_are_reported_together() {
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
