//! Probes the WSUS servers of the agent's sites and their update sources: name, TCP, TLS, HTTP, clock.
//!
//! Read-only: anonymous GETs that leave no state on a server. One server at a time, over one connection, at most one request
//! a second, so that probing adds no noticeable load. It runs in parallel with collecting and delays neither that nor the
//! agent's shutdown. Results are sent as a partial settings snapshot when they change.

pub mod plan;
pub mod certificate;
pub mod http;
pub mod seen;
pub mod limits;
pub mod connect;
pub mod steps;
pub mod partial;
pub mod newest;
pub mod pace;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use supwatch_model::settings::Settings;
use tokio::task::JoinError;

use crate::config::{Config, Site};
use crate::spool::{Spool, SpoolError};
use limits::Limits;
use newest::Newest;
use pace::{Pace, Schedule};
use supwatch_reading::settings::{self, SettingsError};

/// Why probing ended.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The results do not form a valid snapshot.
    #[error("probes: {0}")]
    Snapshot(#[from] SettingsError),
    /// The worker thread that reads and stores for the probes ended.
    #[error("probes: the worker thread ended unexpectedly: {0}")]
    Thread(#[from] JoinError),
}

/// Probes the servers of some sites.
#[derive(Debug)]
pub struct Prober {
    /// Spool that receives the snapshots.
    pub spool: Arc<Spool>,
    /// Sites whose servers are probed.
    pub sites: Vec<Site>,
    /// Whether update sources are probed too.
    pub upstream: bool,
    /// Intervals.
    pub pace: Pace,
    /// Time limits.
    pub limits: Limits,
    /// The agent's clock.
    pub clock: fn() -> Timestamp,
}

impl Prober {
    /// A prober as configured; `None` if probing is off.
    pub fn of(config: &Config, spool: &Arc<Spool>, clock: fn() -> Timestamp) -> Option<Prober> {
        let probing = config.probe?;
        Some(Prober {
            spool: Arc::clone(spool),
            sites: config.sites.clone(),
            upstream: probing.upstream,
            pace: Pace::every(probing.every),
            limits: Limits::default(),
            clock,
        })
    }

    /// Probes each site on its schedule, indefinitely. Returns only on failure; stops at once when dropped.
    pub async fn run(&self) -> ProbeError {
        match self.rounds().await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    async fn rounds(&self) -> Result<Infallible, ProbeError> {
        let start = tokio::time::Instant::now();
        let newest = |site: &Site| (Newest::of(site), Schedule::new(&self.pace, random()));
        let mut watched: Vec<(Newest, Schedule)> = self.sites.iter().map(newest).collect();
        loop {
            for (site, (newest, schedule)) in self.sites.iter().zip(&mut watched) {
                if looked(newest, &self.spool).await? {
                    schedule.bring_forward(start.elapsed(), &self.pace);
                }
                if schedule.is_due(start.elapsed()) {
                    self.round(site, newest.settings()).await?;
                    schedule.ended(start.elapsed(), &self.pace, random());
                    // The next site may share a server with this one.
                    tokio::time::sleep(self.limits.pause).await;
                }
            }
            tokio::time::sleep(self.pace.look).await;
        }
    }

    /// One round of each site.
    pub async fn once(&self) -> Result<(), ProbeError> {
        for (index, site) in self.sites.iter().enumerate() {
            if index > 0 {
                tokio::time::sleep(self.limits.pause).await;
            }
            let mut newest = Newest::of(site);
            looked(&mut newest, &self.spool).await?;
            self.round(site, newest.settings()).await?;
        }
        Ok(())
    }

    /// Probes every server of a site in turn and stores a changed snapshot.
    async fn round(&self, site: &Site, settings: Option<&Settings>) -> Result<(), ProbeError> {
        let plan = plan::targets(settings, &site.wsus, self.upstream);
        if plan.len() == plan::SERVERS {
            tracing::warn!(site = %site.file.code, "more than {} servers to probe at this site; the rest are skipped", plan::SERVERS);
        }
        let mut round = Vec::new();
        for target in plan {
            if !round.is_empty() {
                tokio::time::sleep(self.limits.pause).await;
            }
            let seen = steps::ask(&target, &self.limits, self.clock).await;
            tracing::debug!(site = %site.file.code, server = target.address.host_and_port(), outcome = seen.outcome().as_str(), "probed");
            round.push((target, seen));
        }
        if round.is_empty() {
            return Ok(());
        }
        self.store(site, partial::snapshot(site.file.code, (self.clock)(), &round)).await
    }

    async fn store(&self, site: &Site, snapshot: Settings) -> Result<(), ProbeError> {
        let (spool, code) = (Arc::clone(&self.spool), site.file.code);
        let stored = tokio::task::spawn_blocking(move || {
            let name = format!("{code}/probe");
            if !partial::is_news(spool.checkpoint::<Settings>(&name)?.as_ref(), &snapshot) {
                return Ok(());
            }
            let event = settings::read_text(&json(&snapshot), Path::new("probe"), code)?;
            Ok(spool.commit(vec![event], &name, &snapshot)?)
        });
        match stored.await? {
            // The next round sends it again.
            Err(ProbeError::Spool(error)) if error.may_pass() => {
                tracing::warn!(%error, "probe results not stored; retrying in the next round")
            }
            Err(ProbeError::Snapshot(error)) => tracing::warn!(%error, "probe results dropped"),
            stored => return stored,
        }
        Ok(())
    }
}

/// Checks for newer settings on a blocking thread, because a share may be slow.
async fn looked(newest: &mut Newest, spool: &Arc<Spool>) -> Result<bool, ProbeError> {
    let (mut own, spool) = (newest.clone(), Arc::clone(spool));
    let (own, changed) = tokio::task::spawn_blocking(move || {
        let changed = own.look(&spool);
        (own, changed)
    })
    .await?;
    *newest = own;
    match changed {
        // An unreadable file is read at the next check.
        Err(error) if error.may_pass() => Ok(false),
        changed => Ok(changed?),
    }
}

/// Our own types cannot fail to be written; an empty text would be refused as a snapshot.
fn json(snapshot: &Settings) -> String {
    serde_json::to_string(snapshot).unwrap_or_default()
}

/// A random number for jitter; without one the agents of a hierarchy merely probe at the same time.
fn random() -> u32 {
    getrandom::u32().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::sync::Mutex;
    use std::time::{Duration, Instant};
    use supwatch_model::describe::SiteFile;
    use supwatch_model::event::{Event, EventKind};
    use supwatch_reading::reader::Reading;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A web server on loopback: its port, the status it returns from now on, and when it was queried.
    #[derive(Clone)]
    struct Web {
        port: u16,
        status: Arc<Mutex<u16>>,
        asked: Arc<Mutex<Vec<Instant>>>,
    }

    impl Web {
        async fn start() -> Web {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("listener");
            let port = listener.local_addr().expect("address").port();
            let web = Web { port, status: Arc::new(Mutex::new(200)), asked: Arc::default() };
            let serving = web.clone();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let web = serving.clone();
                    tokio::spawn(async move {
                        let mut chunk = [0; 4096];
                        while let Ok(1..) = stream.read(&mut chunk).await {
                            web.asked.lock().expect("lock").push(Instant::now());
                            let status = *web.status.lock().expect("lock");
                            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                            stream.write_all(answer.as_bytes()).await.expect("written");
                        }
                    });
                }
            });
            web
        }

        fn asked(&self) -> usize {
            self.asked.lock().expect("lock").len()
        }

        async fn asked_times(&self, count: usize) {
            let waiting = async {
                while self.asked() < count {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("asked in time");
        }
    }

    const ROUND: usize = 4;

    fn prober(folder: &Path, servers: &[String]) -> Prober {
        let spool = Arc::new(Spool::open(&folder.join("spool")).expect("spool"));
        let site = Site {
            folder: folder.to_owned(),
            logs: folder.to_owned(),
            file: SiteFile::parse("code = \"P01\"\n", Path::new("site.toml")).expect("site"),
            reading: Reading { code_page: None, zone: None },
            command: None,
            wsus: servers.iter().map(|url| url.parse().expect("an address")).collect(),
        };
        let pace = Pace {
            every: Duration::from_secs(600),
            first: Duration::ZERO,
            apart: Duration::from_millis(400),
            look: Duration::from_millis(20),
        };
        let limits = Limits { pause: Duration::from_millis(50), ..Limits::default() };
        Prober { spool, sites: vec![site], upstream: true, pace, limits, clock: crate::app::now }
    }

    fn stored(prober: &Prober) -> Vec<Value> {
        let (mut found, mut at) = (Vec::new(), 1);
        loop {
            let block = prober.spool.read_from(at).expect("read");
            let Some(last) = block.events.last() else { return found };
            at = last.sequence + 1;
            found.extend(block.events.into_iter().map(|event| match Event::try_from(event).expect("an event").kind {
                EventKind::SettingsSnapshot { settings } => settings,
                other => panic!("{other:?}"),
            }));
        }
    }

    #[tokio::test]
    async fn the_same_answers_are_stored_once_and_others_again() {
        let (dir, web) = (tempfile::tempdir().expect("folder"), Web::start().await);
        let prober = prober(dir.path(), &[format!("http://127.0.0.1:{}", web.port)]);
        for _ in 0..3 {
            prober.once().await.expect("a round");
        }
        assert_eq!(stored(&prober).len(), 1);
        *web.status.lock().expect("lock") = 503;
        prober.once().await.expect("a round");
        let statuses = |snapshot: &Value| snapshot["wsus"][0]["virtual_directories"]["ApiRemoting30"]["status"].as_u64();
        assert_eq!(stored(&prober).iter().filter_map(statuses).collect::<Vec<_>>(), [200, 503]);
    }

    #[tokio::test]
    async fn requests_to_a_server_are_never_closer_than_the_pause() {
        let (dir, web) = (tempfile::tempdir().expect("folder"), Web::start().await);
        let servers = [format!("http://127.0.0.1:{}", web.port), format!("http://localhost:{}", web.port)];
        let prober = prober(dir.path(), &servers);
        prober.once().await.expect("a round");
        let asked = web.asked.lock().expect("lock").clone();
        assert_eq!(asked.len(), 2 * ROUND);
        let closest = asked.windows(2).map(|pair| pair[1] - pair[0]).min().expect("a gap");
        assert!(closest >= Duration::from_millis(45), "{closest:?}");
    }

    #[tokio::test]
    async fn new_settings_bring_a_round_but_not_at_once() {
        let (dir, web) = (tempfile::tempdir().expect("folder"), Web::start().await);
        let prober = prober(dir.path(), &[]);
        let settings =
            |server: &str| format!("{{\"sups\": [{{\"server\": {server:?}, \"ssl\": false, \"http_port\": {}}}]}}", web.port);
        let path = dir.path().join("settings.json");
        std::fs::write(&path, settings("127.0.0.1")).expect("file");
        let steps = async {
            web.asked_times(ROUND).await;
            let first = Instant::now();
            std::fs::write(&path, settings("localhost")).expect("file");
            web.asked_times(ROUND + 1).await;
            assert!(first.elapsed() >= Duration::from_millis(350), "{:?}", first.elapsed());
            web.asked_times(2 * ROUND).await;
            tokio::time::sleep(Duration::from_millis(600)).await;
        };
        tokio::select! {
            error = prober.run() => panic!("{error}"),
            () = steps => {}
        }
        assert_eq!(web.asked(), 2 * ROUND, "without news the next round is ten minutes off");
        let hosts: Vec<Value> = stored(&prober).iter().map(|snapshot| snapshot["wsus"][0]["server"].clone()).collect();
        assert_eq!(hosts, ["127.0.0.1", "localhost"]);
    }

    #[tokio::test]
    async fn without_servers_nothing_is_asked_and_nothing_stored() {
        let dir = tempfile::tempdir().expect("folder");
        let prober = prober(dir.path(), &[]);
        prober.once().await.expect("a round");
        assert!(stored(&prober).is_empty());
    }
}
