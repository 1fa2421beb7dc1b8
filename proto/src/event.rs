//! What happened on a site server, typed. An agent makes events from log lines and settings; the collector judges them.
//!
//! An event is a fact: nothing in here says whether it is good or bad.

use jiff::Timestamp;
use serde::Serialize;

use crate::describe::SiteDescription;
use crate::ids::{AgentId, Epoch, SiteCode};
use crate::time::{Certainty, from_wire, to_wire};
use crate::wire::{self, WireError, known};

/// One thing that happened, with where it was read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Site it happened at.
    pub site: SiteCode,
    /// Number within the agent's epoch, from 1; 0 before the spool gave it one.
    pub sequence: u64,
    /// UTC; absent where neither the line nor one before it in its file has a time.
    pub time: Option<Timestamp>,
    /// How sure `time` is.
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
    /// Checksum of what tells this event from others under the same number: an agent whose spool was set back in time has
    /// another. Of fields that every version has, in a form that no version may change.
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

/// An event as the collector keeps it: with who said it and when it came.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredEvent {
    /// Who said it.
    pub agent: AgentId,
    /// The agent's epoch.
    pub epoch: Epoch,
    /// When it came (collector's clock).
    pub received_at: Timestamp,
    /// The event.
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
    /// Not told by the log.
    Unknown,
}

impl Trigger {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Schedule => "schedule",
            Trigger::Local => "local",
            Trigger::Parent => "parent",
            Trigger::Retry => "retry",
            Trigger::Unknown => "unknown",
        }
    }

    /// From the wire; a word that is not known is [`Trigger::Unknown`].
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
    /// Not told by the log.
    Unknown,
}

impl Scope {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Full => "full",
            Scope::Delta => "delta",
            Scope::Unknown => "unknown",
        }
    }

    /// From the wire.
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
    /// Its value.
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
    /// Of a newer agent; kept as the raw line alone.
    NotKnown,
}

/// How far a connection of WCM or WSyncMgr to WSUS got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionOutcome {
    /// The attempt was announced.
    Attempted,
    /// It worked.
    Connected,
}

impl ConnectionOutcome {
    /// The word of the contract.
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
    /// It began.
    Started,
    /// It, or a part of it, worked.
    Succeeded,
    /// It did not.
    Failed,
}

crate::describe::words!(SetupOutcome { Started = "started", Succeeded = "succeeded", Failed = "failed" });

/// What became of a component of the site server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceChange {
    /// It was started.
    Started,
    /// It was told to stop.
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
    /// The component it names.
    #[serde(rename = "message_component")]
    pub component: String,
    /// The computer it names.
    pub system: String,
    /// The site it names.
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

// ---- wire ----

impl From<Event> for wire::Event {
    fn from(event: Event) -> wire::Event {
        let Event { site, sequence, time, time_certainty, log, file, offset, component, thread, kind, line } = event;
        wire::Event {
            sequence,
            site: site.to_string(),
            time: time.map(to_wire),
            time_certainty: wire::TimeCertainty::from(time_certainty).into(),
            log,
            file,
            offset,
            component,
            thread,
            line,
            kind: kind.into_wire(),
        }
    }
}

impl TryFrom<wire::Event> for Event {
    type Error = WireError;

    fn try_from(message: wire::Event) -> Result<Event, WireError> {
        let time_certainty = message.time_certainty().into();
        let wire::Event { sequence, site, time, time_certainty: _, log, file, offset, component, thread, line, kind } = message;
        Ok(Event {
            site: site_code("site", &site)?,
            sequence,
            time: from_wire(time),
            time_certainty,
            log,
            file,
            offset,
            component,
            thread,
            // What is not understood is kept as its raw line: refusing it would block its agent for ever.
            kind: kind.and_then(|kind| EventKind::try_from(kind).ok()).unwrap_or(EventKind::NotKnown),
            line,
        })
    }
}

fn site_code(field: &'static str, text: &str) -> Result<SiteCode, WireError> {
    text.parse().map_err(|error| WireError::invalid(field, text, error))
}

impl EventKind {
    fn into_wire(self) -> Option<wire::event::Kind> {
        use wire::event::Kind;
        Some(match self {
            EventKind::SiteDescribed(description) => Kind::SiteDescribed(description.into()),
            EventKind::RunStarted { trigger, from, scope } => Kind::RunStarted(wire::RunStarted {
                trigger: trigger.as_str().to_owned(),
                from: from.map(|site| site.to_string()).unwrap_or_default(),
                scope: scope.as_str().to_owned(),
            }),
            EventKind::RunPhase { phase, server } => Kind::RunPhase(wire::RunPhase { phase, server }),
            EventKind::RunProgress { done, total, phase } => Kind::RunProgress(wire::RunProgress { done, total, phase }),
            EventKind::RunSucceeded => Kind::RunSucceeded(wire::RunSucceeded {}),
            EventKind::RunFailed { text, source, code } => {
                Kind::RunFailed(wire::RunFailed { text, source, code: code.unwrap_or_default() })
            }
            EventKind::RetryScheduled { in_minutes } => Kind::RetryScheduled(wire::RetryScheduled { in_minutes }),
            EventKind::NextRun { at, next, at_utc } => Kind::NextRun(wire::NextRun { at, kind: next, at_utc: at_utc.map(to_wire) }),
            EventKind::ChildrenNotified { sites } => {
                Kind::ChildrenNotified(wire::ChildrenNotified { sites: sites.iter().map(SiteCode::to_string).collect() })
            }
            EventKind::ParentNotified { parent } => Kind::ParentNotified(wire::ParentNotified { parent: parent.to_string() }),
            EventKind::CatalogVersion { update_source, version } => {
                Kind::CatalogVersion(wire::CatalogVersion { update_source, version })
            }
            EventKind::StatusMessage(message) => Kind::StatusMessage(message.into()),
            EventKind::WcmState { state } => Kind::WcmState(wire::WcmState { state }),
            EventKind::WsusConnection { server, port, ssl, outcome } => Kind::WsusConnection(wire::WsusConnection {
                server,
                port: port.map(u32::from).unwrap_or_default(),
                ssl,
                outcome: outcome.as_str().to_owned(),
            }),
            EventKind::UpstreamSeen { server } => Kind::UpstreamSeen(wire::UpstreamSeen { server: server.unwrap_or_default() }),
            EventKind::SettingsSnapshot { settings } => {
                Kind::SettingsSnapshot(wire::SettingsSnapshot { json: settings.to_string() })
            }
            EventKind::Step { step, detail } => Kind::Step(wire::Step { step, detail }),
            EventKind::ComponentError { text, source } => Kind::ComponentError(wire::ComponentError { text, source }),
            EventKind::UpdateFailed { update, text, source } => Kind::UpdateFailed(wire::UpdateFailed { update, text, source }),
            EventKind::FiltersSeen { languages, categories } => Kind::FiltersSeen(wire::FiltersSeen { languages, categories }),
            EventKind::WsusEvent { id, text } => Kind::WsusEvent(wire::WsusEvent { id, text }),
            EventKind::WsusHealth { healthy, server, text } => Kind::WsusHealth(wire::WsusHealth { healthy, server, text }),
            EventKind::WsusConsole { found } => Kind::WsusConsole(wire::WsusConsole { found }),
            EventKind::RoleSetup { outcome, code } => {
                Kind::RoleSetup(wire::RoleSetup { outcome: outcome.as_str().to_owned(), code })
            }
            EventKind::ServiceChanged { change } => {
                Kind::ServiceChanged(wire::ServiceChanged { change: change.as_str().to_owned() })
            }
            EventKind::Notice { severity, text } => Kind::Notice(wire::Notice { severity, text }),
            EventKind::LogGap { reason, bytes } => Kind::LogGap(wire::LogGap { reason, bytes }),
            EventKind::AgentHealth { version, trouble } => {
                Kind::AgentHealth(wire::AgentHealth { version, trouble: trouble.unwrap_or_default() })
            }
            EventKind::NotKnown => return None,
        })
    }
}

impl TryFrom<wire::event::Kind> for EventKind {
    type Error = WireError;

    fn try_from(kind: wire::event::Kind) -> Result<EventKind, WireError> {
        use wire::event::Kind;
        Ok(match kind {
            Kind::SiteDescribed(description) => EventKind::SiteDescribed(description.try_into()?),
            Kind::RunStarted(wire::RunStarted { trigger, from, scope }) => EventKind::RunStarted {
                trigger: Trigger::from_word(&trigger),
                from: known(from).map(|code| site_code("from", &code)).transpose()?,
                scope: Scope::from_word(&scope),
            },
            Kind::RunPhase(wire::RunPhase { phase, server }) => EventKind::RunPhase { phase, server },
            Kind::RunProgress(wire::RunProgress { done, total, phase }) => EventKind::RunProgress { done, total, phase },
            Kind::RunSucceeded(wire::RunSucceeded {}) => EventKind::RunSucceeded,
            Kind::RunFailed(wire::RunFailed { text, source, code }) => EventKind::RunFailed { text, source, code: known(code) },
            Kind::RetryScheduled(wire::RetryScheduled { in_minutes }) => EventKind::RetryScheduled { in_minutes },
            Kind::NextRun(wire::NextRun { at, kind, at_utc }) => EventKind::NextRun { at, next: kind, at_utc: from_wire(at_utc) },
            Kind::ChildrenNotified(wire::ChildrenNotified { sites }) => {
                EventKind::ChildrenNotified { sites: sites.iter().map(|code| site_code("sites", code)).collect::<Result<_, _>>()? }
            }
            Kind::ParentNotified(wire::ParentNotified { parent }) => {
                EventKind::ParentNotified { parent: site_code("parent", &parent)? }
            }
            Kind::CatalogVersion(wire::CatalogVersion { update_source, version }) => {
                EventKind::CatalogVersion { update_source, version }
            }
            Kind::StatusMessage(message) => EventKind::StatusMessage(message.try_into()?),
            Kind::WcmState(wire::WcmState { state }) => EventKind::WcmState { state },
            Kind::WsusConnection(wire::WsusConnection { server, port, ssl, outcome }) => EventKind::WsusConnection {
                server,
                port: u16::try_from(port).ok().filter(|port| *port != 0),
                ssl,
                outcome: if outcome == "connected" { ConnectionOutcome::Connected } else { ConnectionOutcome::Attempted },
            },
            Kind::UpstreamSeen(wire::UpstreamSeen { server }) => EventKind::UpstreamSeen { server: known(server) },
            Kind::SettingsSnapshot(wire::SettingsSnapshot { json }) => EventKind::SettingsSnapshot {
                settings: serde_json::from_str(&json).map_err(|error| WireError::invalid("json", "…", error))?,
            },
            Kind::Step(wire::Step { step, detail }) => EventKind::Step { step, detail },
            Kind::ComponentError(wire::ComponentError { text, source }) => EventKind::ComponentError { text, source },
            Kind::UpdateFailed(wire::UpdateFailed { update, text, source }) => EventKind::UpdateFailed { update, text, source },
            Kind::FiltersSeen(wire::FiltersSeen { languages, categories }) => EventKind::FiltersSeen { languages, categories },
            Kind::WsusEvent(wire::WsusEvent { id, text }) => EventKind::WsusEvent { id, text },
            Kind::WsusHealth(wire::WsusHealth { healthy, server, text }) => EventKind::WsusHealth { healthy, server, text },
            Kind::WsusConsole(wire::WsusConsole { found }) => EventKind::WsusConsole { found },
            Kind::RoleSetup(wire::RoleSetup { outcome, code }) => EventKind::RoleSetup {
                outcome: SetupOutcome::from_word(&outcome)
                    .ok_or_else(|| WireError::invalid("outcome", &outcome, "unknown word"))?,
                code,
            },
            Kind::ServiceChanged(wire::ServiceChanged { change }) => EventKind::ServiceChanged {
                change: ServiceChange::from_word(&change).ok_or_else(|| WireError::invalid("change", &change, "unknown word"))?,
            },
            Kind::Notice(wire::Notice { severity, text }) => EventKind::Notice { severity, text },
            Kind::LogGap(wire::LogGap { reason, bytes }) => EventKind::LogGap { reason, bytes },
            Kind::AgentHealth(wire::AgentHealth { version, trouble }) => {
                EventKind::AgentHealth { version, trouble: known(trouble) }
            }
        })
    }
}

impl From<StatusMessage> for wire::StatusMessage {
    fn from(message: StatusMessage) -> wire::StatusMessage {
        let StatusMessage { id, severity, component, system, site, strings, attributes, last_error } = message;
        wire::StatusMessage {
            id,
            severity,
            component,
            system,
            site: site.map(|site| site.to_string()).unwrap_or_default(),
            strings,
            attributes: attributes.into_iter().map(|StatusAttribute { id, value }| wire::StatusAttribute { id, value }).collect(),
            last_error: last_error.unwrap_or_default(),
        }
    }
}

impl TryFrom<wire::StatusMessage> for StatusMessage {
    type Error = WireError;

    fn try_from(message: wire::StatusMessage) -> Result<StatusMessage, WireError> {
        let wire::StatusMessage { id, severity, component, system, site, strings, attributes, last_error } = message;
        Ok(StatusMessage {
            id,
            severity,
            component,
            system,
            site: known(site).map(|code| site_code("site", &code)).transpose()?,
            strings,
            attributes: attributes.into_iter().map(|wire::StatusAttribute { id, value }| StatusAttribute { id, value }).collect(),
            last_error: known(last_error),
        })
    }
}

impl From<StoredEvent> for wire::StoredEvent {
    fn from(stored: StoredEvent) -> wire::StoredEvent {
        let StoredEvent { agent, epoch, received_at, event } = stored;
        wire::StoredEvent {
            agent: agent.0,
            epoch: epoch.0.to_vec(),
            received_at: Some(to_wire(received_at)),
            event: Some(event.into()),
        }
    }
}

impl TryFrom<wire::StoredEvent> for StoredEvent {
    type Error = WireError;

    fn try_from(message: wire::StoredEvent) -> Result<StoredEvent, WireError> {
        let wire::StoredEvent { agent, epoch, received_at, event } = message;
        let missing = |field| WireError::Missing { message: "StoredEvent", field };
        Ok(StoredEvent {
            agent: AgentId(agent),
            epoch: Epoch::from_bytes(&epoch).ok_or_else(|| missing("epoch"))?,
            received_at: from_wire(received_at).ok_or_else(|| missing("received_at"))?,
            event: event.ok_or_else(|| missing("event"))?.try_into()?,
        })
    }
}
