//! Sends waves as traces, and the metrics, to an OTLP receiver.
//!
//! ```text
//! engine → settled waves with their runs → spans ─┐
//! engine → picture → metrics' registry → numbers ─┴→ sender → receiver
//! ```
//!
//! Nothing is queued, and the export never blocks ingest: a task of its own polls for waves that the receiver does not have.
//! A wave is sent once it has not changed for a while, and again, under the same ids, when it changes later. Accepted waves
//! are recorded, so a restart sends none twice. The backlog is bounded at [`BACKLOG`] waves: a receiver that is down for
//! longer misses the oldest.
//! Metrics are a state: a failed export is not retried, the next one has newer values.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use supwatch_model::run::Run;
use supwatch_model::wave::Wave;
use supwatch_proto::wire;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::export::backoff::{Backoff, share};
use crate::export::counters::Counters;
use crate::export::{metrics, values};
use supwatch_store::StoreError;

pub mod config;
pub mod spans;
pub mod numbers;
pub mod sender;

use config::Otlp;
use sender::{SendError, Sender};

/// Newest waves considered for export.
pub const BACKLOG: usize = 100;
/// Interval between two polls for settled waves.
const POLL_EVERY: Duration = Duration::from_secs(2);
/// Number of polls without new events after which waves are compared anyway: they also settle with time.
const IDLE_POLLS: u32 = 15;
/// Most spans in one request.
const SPANS: usize = 1_000;
/// Time for a last export when the collector stops.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Backoff while the receiver is unavailable.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(60) };
/// Key of the record with the time from which waves are sent.
const BEGIN: &str = "";

/// Exports until the collector stops. Only a store error ends it early.
pub async fn run(engine: Arc<Engine>, counters: Arc<Counters>, config: Otlp, hierarchy: String) -> Result<(), StoreError> {
    let mut exporter = Exporter::new(Arc::clone(&engine), counters, config, hierarchy).await?;
    let mut stop = pin!(engine.stopped());
    tokio::select! {
        () = &mut stop => {}
        ended = exporter.run() => ended?,
    }
    // An export in flight is dropped: it was not recorded, so it is sent again.
    match tokio::time::timeout(FLUSH_TIMEOUT, exporter.flush()).await {
        Ok(flushed) => flushed,
        Err(_) => Ok(()),
    }
}

struct Exporter {
    engine: Arc<Engine>,
    counters: Arc<Counters>,
    hierarchy: String,
    config: Otlp,
    sender: Sender,
    started: u64,
    /// Marks of the waves that the receiver has, by id.
    sent: BTreeMap<String, u64>,
    /// Waves waiting to settle: their mark, and since when it has not changed.
    pending: BTreeMap<String, (u64, Instant)>,
    /// Whether each wave goes in a request of its own, because the receiver rejected several together.
    alone: bool,
    /// Outages of traces and of metrics: a receiver may accept one and not the other, and neither may delay the other.
    traces_outage: Outage,
    metrics_outage: Outage,
}

/// Failures in a row.
struct Outage {
    what: &'static str,
    failures: u32,
    /// When the next attempt may be made.
    until: Option<Instant>,
}

impl Outage {
    fn none(what: &'static str) -> Outage {
        Outage { what, failures: 0, until: None }
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }

    fn failed(&mut self, error: &SendError) {
        if self.failures == 0 {
            let what = self.what;
            tracing::warn!(%error, remedy = error.remedy(), what, "OTLP export failed; retrying with backoff");
        }
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + BACKOFF.after(self.failures, share()));
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, what = self.what, "OTLP export resumed");
        }
        (self.failures, self.until) = (0, None);
    }
}

/// A wave that is due, with a hash that shows whether it changed.
struct Due {
    wave: Wave,
    runs: Vec<Run>,
    mark: u64,
}

impl Exporter {
    async fn new(engine: Arc<Engine>, counters: Arc<Counters>, config: Otlp, hierarchy: String) -> Result<Exporter, StoreError> {
        let mut sent = engine.store().exported().await?;
        let now = (engine.clock)();
        if !sent.contains_key(BEGIN) {
            let begin = u64::try_from(now.as_second()).unwrap_or(0).saturating_sub(config.since.as_secs());
            engine.store().put_exported(&[(BEGIN.to_owned(), begin)]).await?;
            sent.insert(BEGIN.to_owned(), begin);
        }
        let sender = Sender::new(config.clone(), &hierarchy);
        counters.exported(|_| {});
        let (started, pending) = (nanos(now), BTreeMap::new());
        let (traces_outage, metrics_outage) = (Outage::none("traces"), Outage::none("metrics"));
        Ok(Exporter {
            engine,
            counters,
            hierarchy,
            config,
            sender,
            started,
            sent,
            pending,
            alone: false,
            traces_outage,
            metrics_outage,
        })
    }

    async fn run(&mut self) -> Result<(), StoreError> {
        let mut polls = tokio::time::interval(POLL_EVERY);
        let mut exports = tokio::time::interval(self.config.interval);
        for ticks in [&mut polls, &mut exports] {
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        }
        let mut arrived = self.engine.arrived();
        let mut idle = 0;
        arrived.mark_changed();
        loop {
            tokio::select! {
                _ = polls.tick(), if self.config.traces => {
                    idle += 1;
                    let called_for = arrived.has_changed().unwrap_or(false) || !self.pending.is_empty() || idle >= IDLE_POLLS;
                    if called_for && self.traces_outage.is_over() {
                        idle = 0;
                        arrived.mark_unchanged();
                        self.traces(self.config.settle).await?;
                    }
                }
                _ = exports.tick(), if self.config.metrics => self.metrics().await,
            }
        }
    }

    /// Exports what has settled by now, and the final metrics.
    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.config.traces {
            self.traces(self.config.settle).await?;
        }
        if self.config.metrics {
            self.metrics().await;
        }
        Ok(())
    }

    /// Sends the waves whose current state the receiver does not have.
    async fn traces(&mut self, settle: Duration) -> Result<(), StoreError> {
        let due = self.due(settle).await;
        self.counters.exported(|counts| counts.waves_waiting = self.pending.len() as u64);
        let mut spans: Vec<Span> = Vec::new();
        let mut waves: Vec<(String, u64)> = Vec::new();
        let last = due.len().saturating_sub(1);
        for (index, Due { wave, runs, mark }) in due.into_iter().enumerate() {
            spans.extend(spans::spans(&self.hierarchy, &wave, &runs));
            waves.push((wave.id, mark));
            if !self.alone && spans.len() < SPANS && index < last {
                continue;
            }
            let sent = self.send(std::mem::take(&mut spans)).await;
            let count = waves.len() as u64;
            match sent {
                Ok(()) => self.counters.exported(|counts| counts.waves_sent += count),
                // The receiver rejects one of them; sending each alone shows which.
                Err(error) if error.is_final() && waves.len() > 1 => {
                    tracing::info!(%error, waves = count, "OTLP receiver rejected a batch of waves; sending each alone");
                    self.alone = true;
                    return Ok(());
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(%error, remedy = error.remedy(), waves = count, "OTLP receiver rejected these waves permanently; they are skipped");
                    self.counters.exported(|counts| counts.waves_refused += count);
                }
                Err(error) => {
                    self.counters.exported(|counts| counts.failed += 1);
                    self.traces_outage.failed(&error);
                    return Ok(());
                }
            }
            self.traces_outage.recovered();
            self.engine.store().put_exported(&waves).await?;
            for (id, mark) in waves.drain(..) {
                self.pending.remove(&id);
                self.sent.insert(id, mark);
            }
            self.counters.exported(|counts| counts.waves_waiting = self.pending.len() as u64);
        }
        self.alone = false;
        Ok(())
    }

    /// The waves that are settled and whose current state was not sent; oldest first.
    async fn due(&mut self, settle: Duration) -> Vec<Due> {
        let (engine, begin) = (Arc::clone(&self.engine), self.sent.get(BEGIN).copied().unwrap_or(0));
        let asked = tokio::task::spawn_blocking(move || engine.settled_waves(BACKLOG)).await;
        // It fails only by a panic, which may not recur at the next poll.
        let Ok(settled) = asked else { return Vec::new() };
        let now = Instant::now();
        let mut pending = BTreeMap::new();
        let mut due = Vec::new();
        for (wave, runs) in settled {
            let began = wave.started_at.or(wave.ended_at).map_or(0, |at| u64::try_from(at.as_second()).unwrap_or(0));
            let mark = mark(&wave, &runs);
            if began < begin || self.sent.get(&wave.id) == Some(&mark) {
                continue;
            }
            let since = self.pending.get(&wave.id).filter(|(known, _)| *known == mark).map_or(now, |(_, since)| *since);
            pending.insert(wave.id.clone(), (mark, since));
            if now.duration_since(since) >= settle {
                due.push(Due { wave, runs, mark });
            }
        }
        self.pending = pending;
        due.sort_by(|one, other| (one.wave.started_at, &one.wave.id).cmp(&(other.wave.started_at, &other.wave.id)));
        due
    }

    async fn send(&mut self, mut spans: Vec<Span>) -> Result<(), SendError> {
        while !spans.is_empty() {
            let rest = spans.split_off(spans.len().min(SPANS));
            let rejected = self.sender.traces(std::mem::replace(&mut spans, rest)).await?;
            if rejected > 0 {
                tracing::warn!(rejected, "OTLP receiver rejected spans");
            }
        }
        Ok(())
    }

    async fn metrics(&mut self) {
        if !self.metrics_outage.is_over() {
            return;
        }
        let now = nanos((self.engine.clock)());
        let values = match values(&self.engine, &self.counters).await {
            Ok(values) => values,
            Err(error) => {
                tracing::error!(%error, "metrics cannot be collected for OTLP export");
                return;
            }
        };
        let metrics = match metrics::registry(&values) {
            Ok(registry) => numbers::metrics(&registry.gather(), self.started, now),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be collected for OTLP export");
                return;
            }
        };
        match self.sender.metrics(metrics).await {
            Ok(_) => {
                self.counters.exported(|counts| counts.metrics_sent += 1);
                self.metrics_outage.recovered();
            }
            Err(error) => {
                self.counters.exported(|counts| counts.failed += 1);
                self.metrics_outage.failed(&error);
            }
        }
    }
}

/// A hash of a wave and its runs.
fn mark(wave: &Wave, runs: &[Run]) -> u64 {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    hash.update(&wire::Wave::from(wave.clone()).encode_to_vec());
    for run in runs {
        hash.update(&wire::Run::from(run.clone()).encode_to_vec());
    }
    let hash = hash.finish();
    hash.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn nanos(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}
