//! `supwatch-agent`: runs on a site server, or on one server that reads several sites' logs over shares.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use supwatch_agent::app::{self, AppError};

#[derive(Parser)]
#[command(version, about = "Tails the synchronisation logs of a site server and streams typed events to the collector")]
struct Cli {
    /// The agent's configuration
    #[arg(long, global = true, default_value = "agent.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch and deliver until stopped
    Run,
    /// Read what is there, deliver it, and end
    Once,
    /// Print the events of logs as JSON lines, delivering nothing
    Read {
        /// Logs
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check it, with the site.toml of every site
    Check,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("SUPWATCH_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("supwatch-agent: {error}");
            ExitCode::from(match error {
                AppError::Config(_) => 2,
                AppError::Uplink(_) => 3,
                AppError::Spool(_) | AppError::Start(_) | AppError::Collector => 4,
            })
        }
    }
}

fn run(cli: &Cli) -> Result<(), AppError> {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(AppError::Start);
    match &cli.command {
        Command::Run => runtime()?.block_on(async { app::run(app::config(&cli.config)?, stop_signal()).await }),
        Command::Once => {
            let events = runtime()?.block_on(async { app::once(&app::config(&cli.config)?).await })?;
            eprintln!("delivered up to event {events}");
            Ok(())
        }
        Command::Read { paths } => {
            let mut out = std::io::stdout().lock();
            app::read(paths, &mut out).and_then(|()| out.flush()).map_err(AppError::Start)
        }
        Command::Config(ConfigCommand::Check) => {
            let config = app::config(&cli.config)?;
            eprintln!("{}: good, {} site(s)", cli.config.display(), config.sites.len());
            Ok(())
        }
    }
}

/// Ctrl-C, or what a service manager sends.
async fn stop_signal() {
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
    // Without signals the process ends the hard way, which the spool survives.
    let _ = tokio::signal::ctrl_c().await;
}
