//! `supwatch-agent`: runs on a site server, or on one server that reads several sites' logs over shares.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use supwatch_agent::app::{self, AppError};
use supwatch_agent::show::{self, Shape};
use supwatch_reading::encoding;
use supwatch_reading::reader::Reading;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

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
    /// Read the logs as they are, deliver the events, and exit
    Once,
    /// Show how logs are parsed, line by line: form, time, kind; delivers nothing
    Read {
        /// Logs
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// One line per record, or the events as JSON lines
        #[arg(long, value_enum, default_value = "table")]
        output: Output,
        /// Code page of text that is not UTF-8, such as cp932; guessed if not given
        #[arg(long)]
        code_page: Option<String>,
        /// Time zone of lines that carry none, such as Asia/Tokyo
        #[arg(long)]
        time_zone: Option<String>,
    },
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check it, with the site.toml of every site
    Check,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let wanted = std::env::var("SUPWATCH_LOG").ok().and_then(|text| text.parse().ok());
    let filter = wanted.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(filter);
    tracing_subscriber::registry().with(lines).init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("supwatch-agent: {error}");
            ExitCode::from(match error {
                AppError::Config(_) | AppError::Option(_) => 2,
                AppError::Uplink(_) => 3,
                AppError::Spool(_)
                | AppError::Probe(_)
                | AppError::Start(_)
                | AppError::Read(_)
                | AppError::Command
                | AppError::Collecting => 4,
            })
        }
    }
}

fn run(cli: &Cli) -> Result<(), AppError> {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AppError::Start);
    match &cli.command {
        Command::Run => runtime()?.block_on(async { app::run(app::config(&cli.config)?, stop_signal(), stop_signal()).await }),
        Command::Once => {
            let events = runtime()?.block_on(async { app::once(&app::config(&cli.config)?).await })?;
            eprintln!("delivered all events up to number {events}");
            Ok(())
        }
        Command::Read { paths, output, code_page, time_zone } => {
            let reading = reading(code_page.as_deref(), time_zone.as_deref())?;
            let shape = match output {
                Output::Table => Shape::Table,
                Output::Json => Shape::Json,
            };
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let shown = paths.iter().try_for_each(|path| show::read(path, &reading, shape, &mut out));
            match shown.and_then(|()| out.flush()) {
                // `| head` is no error.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                result => result.map_err(AppError::Read),
            }
        }
        Command::Config(ConfigCommand::Check) => {
            let config = app::config(&cli.config)?;
            eprintln!("{}: valid, {} site(s)", cli.config.display(), config.sites.len());
            Ok(())
        }
    }
}

fn reading(code_page: Option<&str>, time_zone: Option<&str>) -> Result<Reading, AppError> {
    let code_page = code_page
        .map(|label| {
            encoding::code_page(label).ok_or_else(|| AppError::Option(format!("--code-page {label}: write one like cp932")))
        })
        .transpose()?;
    let zone = time_zone
        .map(|name| {
            let known = jiff::tz::TimeZone::get(name);
            known.map_err(|_| AppError::Option(format!("--time-zone {name}: write a name of the tz database like Asia/Tokyo")))
        })
        .transpose()?;
    Ok(Reading { code_page, zone })
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
    // Without signal handlers the process is killed, which the spool survives.
    let _ = tokio::signal::ctrl_c().await;
}
