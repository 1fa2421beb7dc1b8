//! What happened on a site server, typed. An agent makes events from log lines and settings; the collector judges them.
//!
//! An event is a fact and carries no judgement.

use jiff::Timestamp;
use serde::Serialize;

use crate::describe::SiteDescription;
use crate::ids::{AgentId, Epoch, SiteCode};
use crate::time::Certainty;

/// One event, with the place in the log it was read from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Site it happened at.
    pub site: SiteCode,
    /// Number within the agent's epoch, from 1; 0 before the spool gave it one.
    pub sequence: u64,
    /// UTC; absent where neither the line nor one before it in its file has a time.
    pub time: Option<Timestamp>,
    /// Certainty of `time`.
    pub time_certainty: Certainty,
    /// Kind of log (`wsyncmgr`, `wcm`, …); empty for what comes from no log.
    pub log: String,
    /// File name as seen by the agent.
    pub file: String,
    /// Byte offset of the record in the file.
    pub offset: u64,
    /// Component that wrote the line.
    pub component: String,
    /// Its thread; 0 where the line has none.
    pub thread: u32,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The raw line, decoded.
    pub line: String,
}

impl Event {
    /// Checksum that distinguishes this event from others with the same sequence number, as an agent with a rolled-back spool
    /// has them. Covers fields that every version has, in a form that no version may change.
    pub fn proof(&self) -> u32 {
        let site = self.site.to_string();
        let texts = [site.as_str(), &self.log, &self.file, &self.line];
        let numbers = [self.sequence, self.offset].into_iter().flat_map(u64::to_be_bytes).collect::<Vec<u8>>();
        texts.into_iter().fold(crc32c::crc32c(&numbers), |crc, text| {
            let length = (text.len() as u64).to_be_bytes();
            crc32c::crc32c_append(crc32c::crc32c_append(crc, &length), text.as_bytes())
        })
    }
}

/// An event as the collector stores it: with its agent and the time of receipt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredEvent {
    /// Agent that sent it.
    pub agent: AgentId,
    /// The agent's epoch.
    pub epoch: Epoch,
    /// Time of receipt (collector's clock).
    pub received_at: Timestamp,
    /// The event as the agent sent it.
    #[serde(flatten)]
    pub event: Event,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The synchronisation schedule.
    Schedule,
    /// A request on this site: console, cmdlet or API.
    Local,
    /// The parent site's notification.
    Parent,
    /// The retry after a failure.
    Retry,
    /// Not stated in the log.
    Unknown,
}

impl Trigger {
    /// The name used on the wire and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Schedule => "schedule",
            Trigger::Local => "local",
            Trigger::Parent => "parent",
            Trigger::Retry => "retry",
            Trigger::Unknown => "unknown",
        }
    }

    /// Parses the name; an unknown one gives [`Trigger::Unknown`].
    pub fn from_word(word: &str) -> Trigger {
        [Trigger::Schedule, Trigger::Local, Trigger::Parent, Trigger::Retry]
            .into_iter()
            .find(|trigger| trigger.as_str() == word)
            .unwrap_or(Trigger::Unknown)
    }
}

/// Whether a run fetches everything or what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everything.
    Full,
    /// What changed since the last run.
    Delta,
    /// Not stated in the log.
    Unknown,
}

impl Scope {
    /// The name used on the wire and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Full => "full",
            Scope::Delta => "delta",
            Scope::Unknown => "unknown",
        }
    }

    /// Parses the name; an unknown one gives [`Scope::Unknown`].
    pub fn from_word(word: &str) -> Scope {
        match word {
            "full" => Scope::Full,
            "delta" => Scope::Delta,
            _ => Scope::Unknown,
        }
    }
}

/// One attribute (`AIDn`, `AVALn`) of a status message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusAttribute {
    /// Attribute id.
    pub id: u32,
    /// Attribute value.
    pub value: String,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[allow(missing_docs)] // the fields are documented in event.proto, which they mirror
pub enum EventKind {
    SiteDescribed(SiteDescription),
    RunStarted {
        trigger: Trigger,
        from: Option<SiteCode>,
        scope: Scope,
    },
    RunPhase {
        phase: String,
        server: String,
    },
    RunProgress {
        done: u64,
        total: u64,
        phase: String,
    },
    RunSucceeded,
    RunFailed {
        text: String,
        source: String,
        code: Option<String>,
    },
    RetryScheduled {
        in_minutes: u32,
    },
    NextRun {
        at: String,
        next: String,
        at_utc: Option<Timestamp>,
    },
    ChildrenNotified {
        sites: Vec<SiteCode>,
    },
    ParentNotified {
        parent: SiteCode,
    },
    CatalogVersion {
        update_source: String,
        version: u64,
    },
    StatusMessage(StatusMessage),
    WcmState {
        state: u32,
    },
    WsusConnection {
        server: String,
        port: Option<u16>,
        ssl: Option<bool>,
        outcome: ConnectionOutcome,
    },
    UpstreamSeen {
        server: Option<String>,
    },
    SettingsSnapshot {
        settings: serde_json::Value,
    },
    Step {
        step: String,
        detail: String,
    },
    ComponentError {
        text: String,
        source: String,
    },
    UpdateFailed {
        update: String,
        text: String,
        source: String,
    },
    FiltersSeen {
        languages: Vec<String>,
        categories: Vec<String>,
    },
    WsusEvent {
        id: u32,
        text: String,
    },
    WsusHealth {
        healthy: bool,
        server: String,
        text: String,
    },
    WsusConsole {
        found: bool,
    },
    RoleSetup {
        outcome: SetupOutcome,
        code: Option<i64>,
    },
    ServiceChanged {
        change: ServiceChange,
    },
    Notice {
        severity: String,
        text: String,
    },
    LogGap {
        reason: String,
        bytes: u64,
    },
    AgentHealth {
        version: String,
        trouble: Option<String>,
    },
    /// An event type of a newer agent; only the raw line is kept.
    NotKnown,
}

/// How far a connection of WCM or WSyncMgr to WSUS got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionOutcome {
    /// The attempt was announced.
    Attempted,
    /// The connection succeeded.
    Connected,
}

impl ConnectionOutcome {
    /// The name used on the wire and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionOutcome::Attempted => "attempted",
            ConnectionOutcome::Connected => "connected",
        }
    }
}

/// How an installation of the software update point role went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetupOutcome {
    /// The installation started.
    Started,
    /// The installation, or a part of it, succeeded.
    Succeeded,
    /// The installation failed.
    Failed,
}

crate::describe::words!(SetupOutcome { Started = "started", Succeeded = "succeeded", Failed = "failed" });

/// State change of a component of the site server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceChange {
    /// The component was started.
    Started,
    /// The component was asked to stop.
    Stopping,
}

crate::describe::words!(ServiceChange { Started = "started", Stopping = "stopping" });

/// A Configuration Manager status message (`STATMSG:` line).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusMessage {
    /// Message id, such as 6703.
    pub id: u32,
    /// `I`, `W` or `E`.
    pub severity: String,
    /// Reporting component.
    #[serde(rename = "message_component")]
    pub component: String,
    /// Reporting computer.
    pub system: String,
    /// Reporting site.
    #[serde(rename = "message_site")]
    pub site: Option<SiteCode>,
    /// `ISTR0` to `ISTR9`, trailing empty ones dropped.
    pub strings: Vec<String>,
    /// Attributes.
    pub attributes: Vec<StatusAttribute>,
    /// `LE=` as written, current branch only.
    pub last_error: Option<String>,
}

impl EventKind {
    /// The kind's name in kebab-case, as JSON, CLI and metrics spell it.
    pub fn name(&self) -> &'static str {
        match self {
            EventKind::SiteDescribed(_) => "site-described",
            EventKind::RunStarted { .. } => "run-started",
            EventKind::RunPhase { .. } => "run-phase",
            EventKind::RunProgress { .. } => "run-progress",
            EventKind::RunSucceeded => "run-succeeded",
            EventKind::RunFailed { .. } => "run-failed",
            EventKind::RetryScheduled { .. } => "retry-scheduled",
            EventKind::NextRun { .. } => "next-run",
            EventKind::ChildrenNotified { .. } => "children-notified",
            EventKind::ParentNotified { .. } => "parent-notified",
            EventKind::CatalogVersion { .. } => "catalog-version",
            EventKind::StatusMessage(_) => "status-message",
            EventKind::WcmState { .. } => "wcm-state",
            EventKind::WsusConnection { .. } => "wsus-connection",
            EventKind::UpstreamSeen { .. } => "upstream-seen",
            EventKind::SettingsSnapshot { .. } => "settings-snapshot",
            EventKind::Step { .. } => "step",
            EventKind::ComponentError { .. } => "component-error",
            EventKind::UpdateFailed { .. } => "update-failed",
            EventKind::FiltersSeen { .. } => "filters-seen",
            EventKind::WsusEvent { .. } => "wsus-event",
            EventKind::WsusHealth { .. } => "wsus-health",
            EventKind::WsusConsole { .. } => "wsus-console",
            EventKind::RoleSetup { .. } => "role-setup",
            EventKind::ServiceChanged { .. } => "service-changed",
            EventKind::Notice { .. } => "notice",
            EventKind::LogGap { .. } => "log-gap",
            EventKind::AgentHealth { .. } => "agent-health",
            EventKind::NotKnown => "not-known",
        }
    }
}
