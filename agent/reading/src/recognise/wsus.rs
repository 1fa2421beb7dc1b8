//! `SoftwareDistribution.log`, written by WSUS itself: its synchronisations and its errors.
//!
//! Most of its lines concern other work of WSUS and yield nothing; every error and every exception yields an event.

use supwatch_model::event::EventKind;

use super::phrase::Meaning::{Error, Quiet, Step, Typed};
use super::phrase::{Phrase, phrase};
use super::text::{between, component_error, number, one_line};
use crate::parse::{Level, Record};

pub(super) const PHRASES: &[Phrase] = &[
    phrase("EventId=", Typed(event)),
    phrase("Synchronization manually started", Step("wsus-sync-requested")),
    phrase("Synchronization failed. Reason:", Typed(failed)),
    phrase("Found config says USS is MU site", Typed(microsoft_update)),
    phrase("Firing event SyncFinish", Step("wsus-sync-finished")),
    phrase("SqlException occurred", Error),
    phrase("ProcessWebServiceProxyException found Exception", Error),
    phrase("Discarding stack trace for user", Error),
    phrase("File cert verification failed", Error),
    phrase("Invalid file deleted", Error),
    phrase("LicenseAgreement file does not exist", Error),
    phrase("SCHANNEL Protocol", Step("schannel")),
    phrase("State Machine Reset Agent", Step("wsus-reset")),
    phrase("DispatchManager Worker Thread Processing NotificationEvent: StateMachineReset", Step("wsus-reset")),
    phrase("DispatchManager Worker Thread", Quiet),
    phrase("TriggerEvent called for NotificationEventName: StateMachineReset", Step("wsus-reset")),
    phrase("TriggerEvent called", Quiet),
    phrase("RegisterEventHandler called", Quiet),
    phrase("ThreadHelper.ThreadStart", Quiet),
];

/// A record of this log, classified by its level if its words are not known.
pub(super) fn by_level(record: &Record<'_>) -> Option<EventKind> {
    let is_error = record.level == Level::Error || (record.level == Level::Warning && record.message.contains("xception"));
    is_error.then(|| {
        let (text, named) = match component_error(record.message) {
            EventKind::ComponentError { text, source } => (text, source),
            _ => (one_line(record.message), String::new()),
        };
        EventKind::ComponentError { text, source: if named.is_empty() { record.component.to_owned() } else { named } }
    })
}

/// `EventId=382,Type=Information,Category=Synchronization,Message=…`
fn event(rest: &str) -> Option<EventKind> {
    let id = u32::try_from(number(rest)?).ok()?;
    let text = rest.split_once("Message=").map_or(rest, |(_, text)| text);
    Some(EventKind::WsusEvent { id, text: one_line(text) })
}

/// The text of event 386 as PowerShell and the console show it.
fn failed(rest: &str) -> Option<EventKind> {
    Some(EventKind::WsusEvent { id: 386, text: one_line(rest.trim_end_matches('.')) })
}

fn microsoft_update(_: &str) -> Option<EventKind> {
    Some(EventKind::UpstreamSeen { server: None })
}

/// Whether a line is a property of a synchronisation event, as PowerShell prints it, that carries no information by itself.
pub(super) fn is_property(message: &str) -> bool {
    const NAMES: [&str; 13] = [
        "EventCategory",
        "Error",
        "ErrorText",
        "Administrator",
        "UpdateErrors",
        "WsusEventId",
        "WsusEventSource",
        "Id",
        "CreationDate",
        "Message",
        "IsError",
        "ErrorCode",
        "Row",
    ];
    let Some((name, _)) = message.trim_start_matches(['#', ' ']).split_once(':') else { return false };
    // Padded to equal width.
    name.ends_with(' ') && NAMES.contains(&name.trim())
}

/// Properties of a synchronisation event as PowerShell prints them, and texts of the Windows event log.
pub(super) fn unusual(message: &str) -> Option<EventKind> {
    let property = message.trim_start_matches(['#', ' ']);
    if let Some((name, value)) = property.split_once(" : ") {
        return match name.trim() {
            "Message" if value.contains("Synchronization failed") => failed(value),
            "ErrorText" if value.contains("xception") => Some(component_error(value)),
            _ => None,
        };
    }
    // `On <date>, component X on computer Y reported: …`
    let (_, said) = message.split_once(" reported: ")?;
    between(message, "component ", " on computer").filter(|name| name.starts_with("SMS_WSUS_"))?;
    said.contains("failed").then(|| EventKind::WsusHealth { healthy: false, server: String::new(), text: one_line(said) })
}

#[cfg(test)]
mod tests {
    use super::super::{Log, kind_of};
    use super::*;

    #[test]
    fn events_requests_and_upstream() {
        let kind = |message: &str| kind_of(message, Some(Log::SoftwareDistribution));
        assert_eq!(
            kind("EventId=382,Type=Information,Category=Synchronization,Message=A manual synchronization was started."),
            Some(EventKind::WsusEvent { id: 382, text: "A manual synchronization was started.".into() })
        );
        assert_eq!(kind("Found config says USS is MU site"), Some(EventKind::UpstreamSeen { server: None }));
        assert_eq!(kind("calculated sha2 sha256 hash is 1"), None);
    }

    #[test]
    fn errors_keep_the_method_that_reported_them() {
        let record = crate::parse::parse(
            "2026-03-01 04:05:06.789 UTC\tError\tw3wp.9\tSoapUtilities.LogException\tUSS ThrowException: Actor = x",
        );
        assert_eq!(
            by_level(&record),
            Some(EventKind::ComponentError {
                text: "USS ThrowException: Actor = x".into(),
                source: "SoapUtilities.LogException".into()
            })
        );
    }
}
