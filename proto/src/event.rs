//! Events ⇄ their messages.

use supwatch_model::event::{
    ConnectionOutcome, Event, EventKind, Scope, ServiceChange, SetupOutcome, StatusAttribute, StatusMessage, StoredEvent, Trigger,
};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError, known};

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
            kind: into_wire(kind),
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
            // An unknown event type keeps its raw line: refusing it would block the agent forever.
            kind: kind.and_then(|kind| EventKind::try_from(kind).ok()).unwrap_or(EventKind::NotKnown),
            line,
        })
    }
}

fn site_code(field: &'static str, text: &str) -> Result<SiteCode, WireError> {
    text.parse().map_err(|error| WireError::invalid(field, text, error))
}

fn into_wire(kind: EventKind) -> Option<wire::event::Kind> {
    use wire::event::Kind;
    Some(match kind {
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
        EventKind::SettingsSnapshot { settings } => Kind::SettingsSnapshot(wire::SettingsSnapshot { json: settings.to_string() }),
        EventKind::Step { step, detail } => Kind::Step(wire::Step { step, detail }),
        EventKind::ComponentError { text, source } => Kind::ComponentError(wire::ComponentError { text, source }),
        EventKind::UpdateFailed { update, text, source } => Kind::UpdateFailed(wire::UpdateFailed { update, text, source }),
        EventKind::FiltersSeen { languages, categories } => Kind::FiltersSeen(wire::FiltersSeen { languages, categories }),
        EventKind::WsusEvent { id, text } => Kind::WsusEvent(wire::WsusEvent { id, text }),
        EventKind::WsusHealth { healthy, server, text } => Kind::WsusHealth(wire::WsusHealth { healthy, server, text }),
        EventKind::WsusConsole { found } => Kind::WsusConsole(wire::WsusConsole { found }),
        EventKind::RoleSetup { outcome, code } => Kind::RoleSetup(wire::RoleSetup { outcome: outcome.as_str().to_owned(), code }),
        EventKind::ServiceChanged { change } => Kind::ServiceChanged(wire::ServiceChanged { change: change.as_str().to_owned() }),
        EventKind::Notice { severity, text } => Kind::Notice(wire::Notice { severity, text }),
        EventKind::LogGap { reason, bytes } => Kind::LogGap(wire::LogGap { reason, bytes }),
        EventKind::AgentHealth { version, trouble } => {
            Kind::AgentHealth(wire::AgentHealth { version, trouble: trouble.unwrap_or_default() })
        }
        EventKind::NotKnown => return None,
    })
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
