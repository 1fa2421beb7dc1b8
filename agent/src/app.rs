//! Wires the stages together and runs them. The only place that reads the clock.
//!
//! Shutdown follows the data: first the probes and the collecting thread stop, then the uplink delivers what it can within
//! the grace period; the rest stays in the spool. A second signal ends the grace period.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use supwatch_model::config::Faults;
use supwatch_model::ids::SiteCode;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::collect::Collect;
use crate::command::{Handle, Runner};
use crate::config::{Config, Site};
use crate::connector::Connector;
use crate::probe::{ProbeError, Prober};
use crate::spool::{Spool, SpoolError};
use crate::uplink::{Until, Uplink, UplinkError};
use crate::watch::{Waker, Watch};

/// Interval at which a new epoch checks for the collector's checkpoints.
const FRESH: Duration = Duration::from_millis(200);
/// Grace period for delivering the spool at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Why the agent exited.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] Faults),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The collector could not be reached.
    #[error(transparent)]
    Uplink(#[from] UplinkError),
    /// The probes failed.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The operating system refuses a thread, a signal handler or a runtime.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// A log cannot be read.
    #[error("{0}; check the path and the rights to it")]
    Read(std::io::Error),
    /// A command-line option is invalid.
    #[error("{0}")]
    Option(String),
    /// A settings command's thread ended unexpectedly.
    #[error("the thread that runs a settings command ended unexpectedly")]
    Command,
    /// The collecting thread ended unexpectedly.
    #[error("the thread that reads the logs ended unexpectedly")]
    Collecting,
}

/// The current time (UTC).
pub fn now() -> jiff::Timestamp {
    #[allow(clippy::disallowed_methods)]
    jiff::Timestamp::now()
}

/// Watches and delivers until `stop` resolves; `second_signal` is polled only after that, and ends the grace period.
pub async fn run(config: Config, stop: impl Future<Output = ()>, second_signal: impl Future<Output = ()>) -> Result<(), AppError> {
    let spool = Arc::new(Spool::open(&config.state.join("spool"))?);
    tracing::info!(epoch = %spool.epoch(), next = spool.next_sequence(), sites = config.sites.len(), "agent started");
    let (until_sender, until) = watch::channel(Until::Stopped);
    let uplink = uplink_of(&config);
    let (sites, prober) = (config.sites.clone(), Prober::of(&config, &spool, now));
    let (mut commands, handles) = run_commands(&spool, &sites);
    let (stopping, collecting) = collect_thread(Arc::clone(&spool), config, handles.clone())?;
    let delivering = {
        let (spool, until) = (Arc::clone(&spool), until.clone());
        tokio::spawn(async move { uplink.run(&spool, now, until).await })
    };
    let (mut collecting, mut ran) = (collecting, Ok(()));
    let ended = tokio::select! {
        () = stop => None,
        ended = &mut collecting.ended => Some(ended),
        // A runner ends before it is stopped only if the spool failed.
        Some(ended) = commands.join_next() => {
            ran = joined(ended);
            None
        }
        error = probes(prober.as_ref()) => {
            ran = Err(AppError::Probe(error));
            None
        }
    };
    handles.values().for_each(Handle::stop);
    stopping.stop();
    let result = match ended {
        Some(ended) => ended,
        None => collecting.ended.await,
    };
    while let Some(ended) = commands.join_next().await {
        ran = ran.and(joined(ended));
    }
    until_sender.send_replace(Until::Drained);
    let rest = spool.undelivered();
    tracing::info!(undelivered = rest, "log reading stopped; delivering what is left in the spool");
    let (delivered, hurried) = tokio::select! {
        delivered = tokio::time::timeout(GRACE, delivering) => (delivered.is_ok(), false),
        () = second_signal => (false, true),
    };
    let undelivered = spool.undelivered();
    tracing::info!(delivered, hurried, undelivered, delivered_while_stopping = rest.saturating_sub(undelivered), "agent stopped");
    result.map_err(|_| AppError::Collecting)?.map_err(AppError::Spool)?;
    ran
}

/// Probes until dropped or failed; never resolves if probing is off.
async fn probes(prober: Option<&Prober>) -> ProbeError {
    match prober {
        Some(prober) => prober.run().await,
        None => std::future::pending().await,
    }
}

/// Reads the logs as they are, probes once if enabled, delivers everything, and returns.
pub async fn once(config: &Config) -> Result<u64, AppError> {
    let spool = Arc::new(Spool::open(&config.state.join("spool"))?);
    let (uplink, (_keep, mut until)) = (uplink_of(config), watch::channel(Until::Drained));
    // Only the collector knows the checkpoints, and whether the spool was rolled back.
    let mut opened = uplink.session(&spool, now, &mut until).await;
    if matches!(opened, Err(UplinkError::RolledBack | UplinkError::Replaced)) {
        opened = uplink.session(&spool, now, &mut until).await;
    }
    if spool.is_fresh() {
        opened?;
    }
    let (collected, sites, drain) = (Arc::clone(&spool), config.sites.clone(), config.drain);
    let sweep = tokio::task::spawn_blocking(move || {
        for (site, command) in sites.iter().filter_map(|site| Some((site.file.code, site.command.clone()?))) {
            Runner::new(site, command, Arc::clone(&collected)).0.once(now)?;
        }
        let mut collect = Collect::new(&collected, &sites).draining(drain).clocked(now);
        // Later sweeps treat the last records as complete and a renamed log as finished: nothing waits for more lines.
        for sweep in 0..4 {
            collect.sweep((crate::tail::SETTLED + drain) * sweep, &|| false)?;
        }
        Ok::<_, SpoolError>(())
    });
    sweep.await.map_err(|_| AppError::Collecting)??;
    if let Some(prober) = Prober::of(config, &spool, now) {
        prober.once().await?;
    }
    uplink.session(&spool, now, &mut until).await?;
    Ok(spool.next_sequence() - 1)
}

/// The uplink that a configuration describes.
fn uplink_of(config: &Config) -> Uplink {
    let sites: Vec<SiteCode> = config.sites.iter().map(|site| site.file.code).collect();
    Uplink { collector: config.collector.clone(), identity: config.identity.clone(), sites, connector: Connector::Tls }
}

/// Handles of the settings commands, by site.
type Handles = BTreeMap<SiteCode, Handle>;

/// Starts the settings commands, each on a separate thread, so that a slow one delays nothing else.
fn run_commands(spool: &Arc<Spool>, sites: &[Site]) -> (JoinSet<Result<(), SpoolError>>, Handles) {
    let (mut tasks, mut handles) = (JoinSet::new(), Handles::new());
    for site in sites {
        let Some(command) = site.command.clone() else { continue };
        let (runner, handle) = Runner::new(site.file.code, command, Arc::clone(spool));
        tasks.spawn_blocking(move || runner.watch(now));
        handles.insert(site.file.code, handle);
    }
    (tasks, handles)
}

/// The result of a runner's thread.
fn joined(ended: Result<Result<(), SpoolError>, tokio::task::JoinError>) -> Result<(), AppError> {
    ended.map_err(|_| AppError::Command)?.map_err(AppError::Spool)
}

/// Stops the collecting thread.
#[derive(Debug, Clone)]
struct Stopping {
    flag: Arc<AtomicBool>,
    waker: Waker,
}

impl Stopping {
    fn stop(&self) {
        self.flag.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}

struct Collecting {
    ended: oneshot::Receiver<Result<(), SpoolError>>,
}

fn collect_thread(spool: Arc<Spool>, config: Config, commands: Handles) -> Result<(Stopping, Collecting), AppError> {
    let mut watch = if config.notices { Watch::new() } else { Watch::without_notices() };
    for site in &config.sites {
        watch.add(&site.folder);
        watch.add(&site.logs);
    }
    let stopping = Stopping { flag: Arc::new(AtomicBool::new(false)), waker: watch.waker() };
    let (sender, ended) = oneshot::channel();
    let flag = Arc::clone(&stopping.flag);
    let body = move || {
        let stopped = || flag.load(Ordering::Relaxed);
        let mut collect = Collect::new(&spool, &config.sites).draining(config.drain).asking(commands).clocked(now);
        let start = std::time::Instant::now();
        let mut reported = None;
        let result = loop {
            match collect.sweep(start.elapsed(), &stopped) {
                Ok(()) => reported = None,
                // While the spool or its disk is full, the logs are the buffer. Reported once, because each sweep fails alike.
                Err(error) if error.may_pass() => {
                    if reported.replace(std::mem::discriminant(&error)) != Some(std::mem::discriminant(&error)) {
                        tracing::warn!(%error, "spool unavailable; reading paused");
                    }
                }
                Err(error) => break Err(error),
            }
            if stopped() {
                break Ok(());
            }
            watch.wait(if spool.is_fresh() { FRESH } else { config.sweep });
        };
        // The receiver is gone only when the process exits anyway.
        let _ = sender.send(result);
    };
    std::thread::Builder::new().name("collect".to_owned()).spawn(body).map_err(AppError::Start)?;
    Ok((stopping, Collecting { ended }))
}

/// Reads the agent's configuration file.
pub fn config(path: &Path) -> Result<Config, AppError> {
    Ok(Config::read(path)?)
}
