//! Sends one target its due notifications, one at a time, and records which were delivered.
//!
//! Nothing is queued: after every send, and whenever findings change, the plan is computed again. What cannot be sent now is
//! still due later. Failed notifications are retried after the others, so that one the target never accepts does not block the
//! rest.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use supwatch_model::finding::Finding;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Deliver;
use super::message::{Address, Notice};
use super::plan::{Filter, Pending, Plan, Step, plan};
use crate::export::backoff::{Backoff, share};
use crate::export::counters::Counters;
use supwatch_store::{LastNotified, Store, StoreError};

/// Shortest wait for a finding's delay to pass, because clocks do not agree to the millisecond.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Backoff while a target is unavailable.
pub const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) };

/// Sends notifications to one target.
pub struct Dispatcher<D> {
    address: Address,
    filter: Filter,
    way: D,
    backoff: Backoff,
    store: Arc<dyn Store>,
    counters: Arc<Counters>,
    notified: BTreeMap<String, LastNotified>,
    pending: Pending,
    /// Failed attempts by finding, until one is delivered.
    failed: BTreeMap<String, u32>,
    /// Failures of the target in a row.
    outage: u32,
}

impl<D: Deliver> Dispatcher<D> {
    /// Resumes from the deliveries recorded in the store.
    pub async fn new(
        address: Address,
        filter: Filter,
        way: D,
        backoff: Backoff,
        store: Arc<dyn Store>,
        counters: Arc<Counters>,
    ) -> Result<Dispatcher<D>, StoreError> {
        let notified = store.notified(&address.target).await?;
        let (pending, failed) = (Pending::new(), BTreeMap::new());
        Ok(Dispatcher { address, filter, way, backoff, store, counters, notified, pending, failed, outage: 0 })
    }

    /// Runs until `stop` resolves; a notification being sent is completed first.
    pub async fn run(
        mut self,
        findings: impl Fn() -> Vec<Finding>,
        mut changed: watch::Receiver<u64>,
        clock: fn() -> Timestamp,
        stop: impl Future<Output = ()>,
    ) -> Result<(), StoreError> {
        let mut stop = pin!(stop);
        let mut backoff_until: Option<Instant> = None;
        loop {
            changed.mark_unchanged();
            let (findings, now) = (findings(), clock());
            let plan = self.update_plan(&findings, now).await?;
            let due = plan.next.map(|due| Instant::now() + wait(now, due));
            backoff_until = backoff_until.filter(|until| *until > Instant::now());
            let step = if backoff_until.is_none() { self.choose(&plan) } else { None };
            if step.is_none() {
                let wake = [due, backoff_until.filter(|_| !plan.steps.is_empty())].into_iter().flatten().min();
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(()),
                    change = changed.changed() => if change.is_err() { return Ok(()) },
                    () = sleep_until(wake) => {}
                }
                continue;
            }
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = std::future::ready(()) => {}
            }
            if let Some(step) = step {
                backoff_until = self.send(&step, &findings, now).await?.map(|pause| Instant::now() + pause);
            }
        }
    }

    /// Plans what is due now. Changes that the target's filter excludes are recorded without being sent.
    async fn update_plan(&mut self, findings: &[Finding], now: Timestamp) -> Result<Plan, StoreError> {
        let mut plan = plan(&self.filter, findings, &self.notified, &self.pending, now);
        self.pending.clone_from(&plan.pending);
        let (wanted, unwanted): (Vec<Step>, Vec<Step>) = plan.steps.into_iter().partition(|step| step.wanted);
        self.record(unwanted).await?;
        self.counters.notified(&self.address.target, |counts| counts.waiting = wanted.len() as u64);
        plan.steps = wanted;
        Ok(plan)
    }

    /// The next step to send: the first among those with the fewest failures.
    fn choose(&self, plan: &Plan) -> Option<Step> {
        plan.steps.iter().min_by_key(|step| self.failed.get(&step.id).copied().unwrap_or(0)).cloned()
    }

    /// Sends a step; returns the backoff if that failed.
    async fn send(&mut self, step: &Step, findings: &[Finding], now: Timestamp) -> Result<Option<Duration>, StoreError> {
        let Some(finding) = findings.iter().find(|finding| finding.id == step.id) else { return Ok(None) };
        let notice = Notice::new(&self.address, step, finding);
        let to = &self.address.target;
        if let Err(error) = self.way.deliver(&notice, now).await {
            self.counters.notified(to, |counts| counts.failed += 1);
            if self.outage == 0 {
                tracing::warn!(to, %error, remedy = error.remedy(), "notification failed; retrying with backoff");
            }
            self.outage = self.outage.saturating_add(1);
            *self.failed.entry(step.id.clone()).or_default() += 1;
            return Ok(Some(self.backoff.after(self.outage, share())));
        }
        if self.outage > 0 {
            tracing::info!(to, failures = self.outage, "notifications resumed");
        }
        self.outage = 0;
        self.failed.remove(&step.id);
        self.counters.notified(to, |counts| counts.sent += 1);
        tracing::info!(to, key = notice.key, "notification delivered");
        self.record(vec![step.clone()]).await?;
        Ok(None)
    }

    async fn record(&mut self, steps: Vec<Step>) -> Result<(), StoreError> {
        if steps.is_empty() {
            return Ok(());
        }
        let notified: Vec<(String, LastNotified)> = steps.into_iter().map(|step| (step.id, step.becomes)).collect();
        self.store.put_notified(&self.address.target, &notified).await?;
        self.notified.extend(notified);
        Ok(())
    }
}

fn wait(now: Timestamp, due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default().max(SHORTEST_WAIT)
}

/// Sleeps until a time; forever without one.
async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
