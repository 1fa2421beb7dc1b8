//! The command line: one file per command. Data goes to stdout, messages to stderr.
//!
//! Exit codes: [`EXIT_CODES`]; `check` uses the plugin codes alone.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use supwatch_model::finding::Finding;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Lang;
use supwatch_model::verdict::Severity;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::causes::check_folder;
use crate::show::render::Look;
use supwatch_judgement::diagnosis::Catalogue;

mod admin;
mod analyze;
mod check;
mod client;
mod events;
mod explain;
mod findings;
mod part;
mod report;
mod rules;
mod runs;
mod settings;
mod sites;
mod status;
mod store;
mod suppress;
mod wave;
mod whatif;

/// Watches software-update synchronisation across a Configuration Manager hierarchy
#[derive(Debug, Parser)]
#[command(name = "supwatch", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Global {
    /// Output format
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Language of texts
    #[arg(long, global = true, value_enum, default_value_t = Language::En)]
    lang: Language,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,
    /// The collector's address; also SUPWATCH_ENDPOINT
    #[arg(long, global = true, value_name = "URL")]
    endpoint: Option<String>,
    /// Folder with certificate.pem, key.pem and ca.pem; also SUPWATCH_IDENTITY
    #[arg(long, global = true, value_name = "FOLDER")]
    identity: Option<PathBuf>,
    /// The collector's configuration
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of your own causes, for commands that read folders and for explain
    #[arg(long, global = true, value_name = "FOLDER")]
    causes: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// English
    En,
    /// Japanese
    Ja,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Critical,
    Warning,
    Info,
    /// Never exit with 1
    Never,
}

impl FailOn {
    /// Whether any open finding is at least this severe.
    fn fails(self, findings: &[Finding]) -> bool {
        let limit = match self {
            FailOn::Critical => Severity::Critical,
            FailOn::Warning => Severity::Warning,
            FailOn::Info => Severity::Info,
            FailOn::Never => return false,
        };
        findings.iter().any(|finding| finding.is_pressing() && finding.severity <= limit)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole hierarchy on this machine: authority, collector, agents, and a scripted story
    Demo(admin::Demo),
    /// Run the collector
    Serve,
    /// Judge site folders, folders of logs, single logs or a zip, without a collector
    Analyze(analyze::Analyze),
    /// Show the hierarchy as a tree: state, last success, findings, what to do next
    Status(status::Status),
    /// List sites; with a code, show one in full
    Sites(sites::Sites),
    /// List open findings, worst first
    Findings(findings::Findings),
    /// Explain a finding, rule, cause, message id, error code or error text
    Explain(explain::Explain),
    /// List past runs
    Runs(runs::Runs),
    /// Show how far a synchronisation got: which sites were notified, when each began, how long it took, where it stopped
    Wave(wave::Wave),
    /// List past events
    Events(events::Events),
    /// Show the settings of a site: now, at a time, their changes, and compared with another site
    Settings(settings::Settings),
    /// Show which verdicts would change if a site had other settings
    Whatif(whatif::WhatIf),
    /// List the rules with their verdicts
    Rules(rules::Rules),
    /// Print one line for a monitoring system; exit codes 0 to 3 as for plugins
    Check(check::Check),
    /// Check a store for damage; the collector must not run
    Fsck(store::Fsck),
    /// Write a whole store as lines of JSON; the collector must not run
    Export(store::Export),
    /// Create a store from an export
    Import(store::Import),
    /// Create a certificate authority and issue identities
    #[command(subcommand)]
    Pki(admin::Pki),
    /// Check the collector's configuration
    #[command(subcommand)]
    Config(admin::ConfigCommand),
    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Wrong usage or configuration.
const USAGE: u8 = 2;
/// The collector cannot be reached or refuses.
const COLLECTOR: u8 = 3;
/// The command itself failed.
const OWN: u8 = 4;

/// Exit codes and their meaning; the documentation is generated from them.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (0, "success"),
    (
        1,
        "findings at or above `--fail-on` (default `critical`), for `analyze`, `status` and `findings`; `analyze` recognised nothing; `fsck` or `export` found damage",
    ),
    (USAGE, "wrong usage or configuration"),
    (COLLECTOR, "the collector cannot be reached, or it refuses the connection"),
    (OWN, "the command itself failed: input, store, port"),
];

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// [`USAGE`].
    Usage(String),
    /// [`COLLECTOR`].
    Collector(String),
    /// [`OWN`].
    Own(String),
}

impl Failure {
    fn own(error: impl std::fmt::Display) -> Failure {
        Failure::Own(error.to_string())
    }

    fn usage(error: impl std::fmt::Display) -> Failure {
        Failure::Usage(error.to_string())
    }
}

/// 0, or 1 if the findings require it.
type Outcome = Result<u8, Failure>;

/// Parses the arguments, runs the command, returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are not errors; a monitoring system reads 2 as "critical".
            let is_check = std::env::args().skip(1).any(|word| word == "check") && !std::env::args().any(|word| word == "config");
            let code = match (error.use_stderr(), is_check) {
                (false, _) => 0,
                (true, true) => check::UNKNOWN,
                (true, false) => USAGE,
            };
            // If this cannot be written, nobody is reading.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let usual = if matches!(cli.command, Command::Serve) { LevelFilter::INFO } else { LevelFilter::ERROR };
    let wanted = std::env::var("SUPWATCH_LOG").ok().and_then(|text| text.parse().ok());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_filter(wanted.unwrap_or_else(|| Targets::new().with_default(usual)));
    tracing_subscriber::registry().with(lines).init();
    let is_check = matches!(cli.command, Command::Check(_));
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let (code, text) = match failure {
                Failure::Usage(text) => (USAGE, text),
                Failure::Collector(text) => (COLLECTOR, text),
                Failure::Own(text) => (OWN, text),
            };
            if is_check {
                return check::unknown(&text);
            }
            eprintln!("supwatch: {text}");
            ExitCode::from(code)
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let Cli { global, command } = cli;
    match command {
        Command::Demo(demo) => demo.run(&global),
        Command::Serve => admin::serve(&global),
        Command::Analyze(analyze) => analyze.run(&global),
        Command::Status(status) => status.run(&global),
        Command::Sites(sites) => sites.run(&global),
        Command::Findings(findings) => findings.run(&global),
        Command::Explain(explain) => explain.run(&global),
        Command::Runs(runs) => runs.run(&global),
        Command::Wave(wave) => wave.run(&global),
        Command::Events(events) => events.run(&global),
        Command::Settings(settings) => settings.run(&global),
        Command::Whatif(whatif) => whatif.run(&global),
        Command::Rules(rules) => rules.run(&global),
        Command::Check(check) => check.run(&global),
        Command::Fsck(fsck) => fsck.run(&global),
        Command::Export(export) => export.run(&global),
        Command::Import(import) => import.run(&global),
        Command::Pki(pki) => pki.run(),
        Command::Config(config) => config.run(&global),
        Command::Completions { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "supwatch", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| 0)
        }
    }
}

impl Global {
    fn lang(&self) -> Lang {
        match self.lang {
            Language::En => Lang::En,
            Language::Ja => Lang::Ja,
        }
    }

    fn look(&self) -> Look {
        let terminal = std::io::stdout().is_terminal();
        let color = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let measured = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
        // A file or pipe gets wide lines, so that little is cut.
        let width = asked.or_else(measured).unwrap_or(if terminal { 80 } else { 160 }).clamp(40, 240);
        Look { lang: self.lang(), color, width }
    }

    /// The catalogue for diagnosing errors where no collector does it.
    fn catalogue(&self) -> Result<Arc<Catalogue>, Failure> {
        match &self.causes {
            Some(folder) => check_folder(folder).map(Arc::new).map_err(Failure::usage),
            None => Ok(Arc::clone(Catalogue::built_in())),
        }
    }

    fn is_json(&self) -> bool {
        self.output == Output::Json
    }
}

/// Writes data; a reader that closed the pipe (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    print_more(text).map(|_| ())
}

/// Writes data; returns whether the reader is still there.
fn print_more(text: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::own(error)),
    }
}

fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::own)?;
    print(&format!("{text}\n"))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::own)
}

/// `2026-03-01T04:00:00Z`, a date alone, or minus a span such as `-2h`.
fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is not a time: write 2026-03-01T04:00:00Z, 2026-03-01, or a span back from now such as -2h");
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    let back: jiff::SignedDuration = text.strip_prefix('-').ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
    crate::app::now().checked_sub(back).map_err(|_| wrong())
}

/// A time in the future: a time, a date (until its end), or a span such as +14d.
fn moment_ahead(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is not a time in the future: write 2027-01-31, 2027-01-31T18:00:00Z, or a span such as +2w");
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        let end = date.tomorrow().and_then(|next| next.to_zoned(jiff::tz::TimeZone::UTC));
        return end.map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    if let Some(span) = text.strip_prefix('+') {
        let span: jiff::Span = span.parse().map_err(|_| wrong())?;
        let now = crate::app::now().to_zoned(jiff::tz::TimeZone::UTC);
        return now.checked_add(span).map(|zoned| zoned.timestamp()).map_err(|_| wrong());
    }
    text.parse().map_err(|_| wrong())
}

fn site(text: &str) -> Result<SiteCode, String> {
    text.parse().map_err(|error: supwatch_model::ids::BadSiteCode| error.to_string())
}
