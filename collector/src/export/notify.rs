//! Notifies people when a finding opens, gets worse or resolves: findings → plan → notice → webhook, mail or program.
//!
//! ```text
//! config → plan → message → webhook / smtp / command
//! ```
//!
//! `plan` and `message` are pure; `dispatcher` joins them with the store and one target. Each target has its own task with at
//! most one notification in flight, so a target that is down delays neither the others nor judging. Delivery is at least once: a
//! collector that dies between sending and recording sends again, under the same key.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::engine::Engine;
use crate::export::counters::Counters;
use supwatch_store::StoreError;

pub mod config;
pub mod plan;
pub mod message;
pub mod dispatcher;
pub mod webhook;
pub mod smtp;
pub mod command;
pub mod secret;

use command::CommandError;
use config::{Target, Way};
use dispatcher::{BACKOFF, Dispatcher};
use message::{Address, Notice};
use smtp::SmtpError;
use webhook::WebhookError;

/// Longest time for one notification; a program that runs longer is killed.
const SEND: Duration = Duration::from_secs(30);

/// Why a notification was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// A webhook failed.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// The mail was not sent.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// The program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// It was not delivered in time.
    #[error("not delivered within {} s", SEND.as_secs())]
    Late,
}

impl DeliverError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            DeliverError::Webhook(error) => error.remedy(),
            DeliverError::Smtp(error) => error.remedy(),
            DeliverError::Command(error) => error.remedy(),
            DeliverError::Late => "check whether the receiver hangs, and the network path to it",
        }
    }
}

/// Delivers notifications to a target.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Delivers one; `Ok` means that the target has it.
    async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), DeliverError>;
}

#[async_trait]
impl Deliver for Way {
    async fn deliver(&self, notice: &Notice, now: Timestamp) -> Result<(), DeliverError> {
        let sent = async {
            match self {
                Way::Webhook(webhook) => Ok(webhook.send(notice).await?),
                Way::Smtp(smtp) => Ok(smtp.send(notice, SystemTime::from(now)).await?),
                Way::Command(program) => Ok(program.send(notice).await?),
            }
        };
        tokio::time::timeout(SEND, sent).await.unwrap_or(Err(DeliverError::Late))
    }
}

/// Notifies one target until the collector stops. Only a store error ends it early.
pub async fn run(engine: Arc<Engine>, counters: Arc<Counters>, target: Target, hierarchy: String) -> Result<(), StoreError> {
    let Target { name, filter, lang, way } = target;
    let address = Address { hierarchy, target: name, lang };
    let dispatcher = Dispatcher::new(address, filter, way, BACKOFF, Arc::clone(engine.store()), counters).await?;
    dispatcher.run(|| engine.findings(), engine.findings_changed(), engine.clock, engine.stopped()).await
}
