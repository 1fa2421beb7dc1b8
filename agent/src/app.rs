//! Wires the stages together and runs them. The only place that reads the clock.
//!
//! Stopping travels with the data: first probes and the collecting thread end, then the uplink delivers what it can within the grace
//! period; what it cannot stays in the spool. A second signal ends the grace period.

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

/// Time between two looks whether the collector has told a new epoch where to begin.
const FRESH: Duration = Duration::from_millis(200);
/// Time to deliver the rest when stopping.
const GRACE: Duration = Duration::from_secs(5);

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
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
    /// The operating system refuses.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// A log cannot be read.
    #[error("{0}; check the path and the rights to it")]
    Read(std::io::Error),
    /// An option of the command line is wrong.
    #[error("{0}")]
    Option(String),
    /// A thread that runs a settings command is gone.
    #[error("the thread that runs a settings command ended unexpectedly")]
    Command,
    /// The collecting thread is gone.
    #[error("the thread that reads the logs ended unexpectedly")]
    Collector,
}

/// The clock.
pub fn now() -> jiff::Timestamp {
    #[allow(clippy::disallowed_methods)]
    jiff::Timestamp::now()
}

/// Watches and delivers until `stop` resolves; `second_signal` is asked only then, and ends the wait for the rest.
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
        // Nothing comes of a runner before it is stopped, unless the spool failed it.
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
    result.map_err(|_| AppError::Collector)?.map_err(AppError::Spool)?;
    ran
}

/// Probes until dropped, or until it fails; for ever where probes are off.
async fn probes(prober: Option<&Prober>) -> ProbeError {
    match prober {
        Some(prober) => prober.run().await,
        None => std::future::pending().await,
    }
}

/// Reads what is there, probes once where probes are on, delivers it, and ends.
pub async fn once(config: &Config) -> Result<u64, AppError> {
    let spool = Arc::new(Spool::open(&config.state.join("spool"))?);
    let (uplink, (_keep, mut until)) = (uplink_of(config), watch::channel(Until::Drained));
    // Where to begin, or that the spool was set back, is the collector's to say.
    let mut opened = uplink.session(&spool, now, &mut until).await;
    if matches!(opened, Err(UplinkError::SetBack | UplinkError::Replaced)) {
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
        // Later sweeps take the last records as whole, and a renamed log as left: nobody waits for more of them.
        for sweep in 0..4 {
            collect.sweep((crate::tail::SETTLED + drain) * sweep, &|| false)?;
        }
        Ok::<_, SpoolError>(())
    });
    sweep.await.map_err(|_| AppError::Collector)??;
    if let Some(prober) = Prober::of(config, &spool, now) {
        prober.once().await?;
    }
    uplink.session(&spool, now, &mut until).await?;
    Ok(spool.next_sequence() - 1)
}

/// The sites that a configuration names.
fn uplink_of(config: &Config) -> Uplink {
    let sites: Vec<SiteCode> = config.sites.iter().map(|site| site.file.code).collect();
    Uplink { collector: config.collector.clone(), identity: config.identity.clone(), sites, connector: Connector::Tls }
}

/// How to reach the settings command of each site that has one.
type Handles = BTreeMap<SiteCode, Handle>;

/// The settings commands, each on a thread of its own: one that waits for its server holds up nobody.
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

/// How a runner ended.
fn joined(ended: Result<Result<(), SpoolError>, tokio::task::JoinError>) -> Result<(), AppError> {
    ended.map_err(|_| AppError::Command)?.map_err(AppError::Spool)
}

/// How to end the collecting thread.
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
                // The logs are the buffer while the spool or its disk is full; told once, since each sweep meets it again.
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
        // Nobody listens any more only when the process ends anyway.
        let _ = sender.send(result);
    };
    std::thread::Builder::new().name("collect".to_owned()).spawn(body).map_err(AppError::Start)?;
    Ok((stopping, Collecting { ended }))
}

/// Reads a configuration.
pub fn config(path: &Path) -> Result<Config, AppError> {
    Ok(Config::read(path)?)
}
