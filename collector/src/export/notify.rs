//! Tells people when a finding opens, grows worse or resolves: findings → plan → notice → webhook, mail or program.
//!
//! ```text
//! config → plan → message → webhook / smtp / command
//! ```
//!
//! `plan` and `message` are pure; `dispatcher` joins them with the store and one target. Each target has a task of its own with
//! at most one notification on its way, so a target that is down holds up neither the others nor the judge. What is told is
//! told at least once: a collector that dies between the sending and the record tells again, under the same key.

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

/// Why a target was not told.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Over HTTP.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// By mail.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// By a program.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// In time.
    #[error("not told within {} s", SEND.as_secs())]
    Late,
}

impl DeliverError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            DeliverError::Webhook(error) => error.remedy(),
            DeliverError::Smtp(error) => error.remedy(),
            DeliverError::Command(error) => error.remedy(),
            DeliverError::Late => "check whether the receiver hangs, and the way there",
        }
    }
}

/// Who brings a notification to its target.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Brings one; `Ok` means that the target has it.
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

/// Tells one target until the collector stops. Only a store that fails ends it early.
pub async fn run(engine: Arc<Engine>, counters: Arc<Counters>, target: Target, hierarchy: String) -> Result<(), StoreError> {
    let Target { name, filter, lang, way } = target;
    let address = Address { hierarchy, target: name, lang };
    let dispatcher = Dispatcher::new(address, filter, way, BACKOFF, Arc::clone(engine.store()), counters).await?;
    dispatcher.run(|| engine.findings(), engine.findings_changed(), engine.clock, engine.stopped()).await
}
