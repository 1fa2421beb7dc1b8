//! `supwatch demo`, `serve`, `pki` and `config`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use supwatch_model::ids::SiteCode;

use super::{Failure, Global, Outcome, print, runtime};
use crate::access::pki::{self, PkiError, Subject};
use crate::app::{AppError, Collector};
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Exit after the story instead of keeping the collector running
    #[arg(long)]
    exit: bool,
    /// Keep the hierarchy's folder here instead of in a temporary one
    #[arg(long)]
    folder: Option<PathBuf>,
}

impl Demo {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let look = global.look();
        runtime()?.block_on(async {
            let demo = crate::demo::Demo::start(self.folder.as_deref(), look).await.map_err(Failure::own)?;
            tokio::select! {
                status = demo.story() => print(&status.map_err(Failure::own)?)?,
                () = interrupted() => return demo.end(async {}).await.map_err(Failure::own),
            }
            if self.exit {
                return demo.end(async {}).await.map_err(Failure::own);
            }
            eprintln!("\nthe collector stays up; Ctrl-C ends it");
            demo.end(interrupted()).await.map_err(Failure::own)
        })?;
        Ok(0)
    }
}

pub(super) fn serve(global: &Global) -> Outcome {
    let path = global.config.clone().unwrap_or_else(|| PathBuf::from("supwatch.toml"));
    let config = Config::read(&path).map_err(Failure::usage)?;
    runtime()?.block_on(async {
        let collector = Collector::start(config).await.map_err(failure)?;
        collector.run(interrupted(), interrupted()).await.map_err(failure)
    })?;
    Ok(0)
}

fn failure(error: AppError) -> Failure {
    match error {
        AppError::Tls(error) => Failure::usage(error),
        other => Failure::own(other),
    }
}

/// Ctrl-C, or the signal that a service manager sends.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    // Without signal handlers the process is killed, which the store survives.
    let _ = tokio::signal::ctrl_c().await;
}

#[derive(Debug, Subcommand)]
pub(super) enum Pki {
    /// Create an authority, the collector's identity and an operator's
    Init {
        /// Folder of the authority
        folder: PathBuf,
        /// Name of the hierarchy, such as corp.example
        #[arg(long)]
        hierarchy: String,
        /// Host names and addresses of the collector, besides localhost
        #[arg(long = "name")]
        names: Vec<String>,
    },
    /// Issue another identity
    Issue {
        /// Folder of the authority
        folder: PathBuf,
        /// Role of the identity
        #[arg(long, value_enum, default_value_t = RoleName::Agent)]
        role: RoleName,
        /// Sites whose events an agent may send
        #[arg(long = "site", value_parser = super::site)]
        sites: Vec<SiteCode>,
        /// Host of the agent, or name of the operator or reader
        #[arg(long)]
        host: String,
        /// Folder of the new identity
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleName {
    /// Sends events of its sites
    Agent,
    /// Reads
    Reader,
    /// Reads and administers
    Operator,
    /// A collector; --host is its name in certificates
    Collector,
}

impl Pki {
    pub(super) fn run(&self) -> Outcome {
        let now = time::OffsetDateTime::from_unix_timestamp(crate::app::now().as_second()).map_err(Failure::own)?;
        match self {
            Pki::Init { folder, hierarchy, names } => {
                pki::init(folder, hierarchy, names, now).map_err(pki_failure)?;
                let folder = folder.display();
                eprintln!(
                    "authority        {folder}/ca.pem, key {folder}/ca-key.pem (keep the key safe: whoever holds it can impersonate any site)"
                );
                eprintln!("collector        {folder}/collector → `identity` in supwatch.toml");
                eprintln!("operator         {folder}/operator → --identity of this command line");
                eprintln!("next             supwatch pki issue {folder} --site P01 --host p01.corp.example --out p01-identity");
            }
            Pki::Issue { folder, role, sites, host, out } => {
                let codes = sites.iter().map(SiteCode::to_string).collect::<Vec<_>>().join(".");
                if *role == RoleName::Agent && sites.is_empty() {
                    return Err(Failure::Usage("an agent speaks for sites: name each with --site CODE".to_owned()));
                }
                let (path, server) = match role {
                    RoleName::Agent => (format!("agent/{codes}/{host}"), false),
                    RoleName::Reader => (format!("reader/{host}"), false),
                    RoleName::Operator => (format!("operator/{host}"), false),
                    RoleName::Collector => (format!("collector/{host}"), true),
                };
                let hosts = if server { vec![host.clone()] } else { Vec::new() };
                pki::issue(folder, &Subject { path, hosts, server }, out, now).map_err(pki_failure)?;
                let out = out.display();
                eprintln!("identity         {out}");
                if *role == RoleName::Agent {
                    eprintln!("on the agent     copy the folder there, and in agent.toml: identity = \"<that folder>\"");
                    eprintln!(
                        "                 then: supwatch-agent --config agent.toml config check && supwatch-agent --config agent.toml run"
                    );
                }
            }
        }
        Ok(0)
    }
}

fn pki_failure(error: PkiError) -> Failure {
    match error {
        PkiError::Name { .. } | PkiError::Exists { .. } => Failure::usage(error),
        PkiError::File { .. } | PkiError::Certificate(_) => Failure::own(error),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check it, with the hierarchy.toml it names and the identity
    Check,
}

impl ConfigCommand {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let ConfigCommand::Check = self;
        let path = global.config.clone().unwrap_or_else(|| PathBuf::from("supwatch.toml"));
        let config = Config::read(&path).map_err(Failure::usage)?;
        let identity = crate::access::tls::ServerIdentity::read(&config.identity).map_err(Failure::usage)?;
        let (sites, targets) = (config.hierarchy.sites.len(), config.notify.len());
        eprintln!("{}: good; {}, {sites} site(s) expected, {targets} target(s) to notify", path.display(), identity.own);
        let ended = config.limits.ended(crate::app::now());
        if let (Some(rules), 1..) = (&config.rules, ended) {
            eprintln!("{}: {ended} exception(s) have expired and have no effect; remove them", rules.display());
        }
        Ok(0)
    }
}
