//! Lines that every component around WSUS writes in the same words: connections to it, the search for its console, waiting.

use supwatch_model::event::{ConnectionOutcome, EventKind};

use super::phrase::Meaning::{Step, Typed};
use super::phrase::{Phrase, phrase};
use super::text::{component_error, connection};

pub(super) const PHRASES: &[Phrase] = &[
    phrase("Attempting connection to WSUS server:", Typed(attempted)),
    phrase("Attempting connection to local WSUS server", Typed(attempted_locally)),
    phrase("Successfully connected to server:", Typed(connected)),
    phrase("Successfully connected to local WSUS server", Typed(connected_locally)),
    phrase("Checking for supported version of WSUS", Step("console-checked")),
    phrase("Checking runtime", Step("console-checked")),
    // Loading failed with an old runtime; the console counts as missing only when no other runtime finds it.
    phrase("Did not find supported version of assembly", Step("console-assembly-absent")),
    phrase("Found supported assembly", Step("console-assembly-found")),
    phrase("Supported WSUS version found", Step("console-found")),
    phrase("Surface Drivers can", Step("surface-drivers")),
    phrase("Sync Catalog Drivers", Step("catalog-drivers")),
    phrase("Waiting for changes", Step("waiting")),
    phrase("Wait timed out", Step("woken")),
    phrase("Timed Out", Step("woken")),
    phrase("SMS_EXECUTIVE started", Step("service-started")),
    phrase("SMS_EXECUTIVE signalled", Step("service-stopping")),
    phrase("Shutting down", Step("service-stopping")),
    phrase("System.", Typed(exception)),
];

fn attempted(rest: &str) -> Option<EventKind> {
    connection_event(rest, ConnectionOutcome::Attempted)
}

fn attempted_locally(_: &str) -> Option<EventKind> {
    connection_event("", ConnectionOutcome::Attempted)
}

fn connected(rest: &str) -> Option<EventKind> {
    connection_event(rest, ConnectionOutcome::Connected)
}

fn connected_locally(_: &str) -> Option<EventKind> {
    connection_event("", ConnectionOutcome::Connected)
}

fn connection_event(rest: &str, outcome: ConnectionOutcome) -> Option<EventKind> {
    let (server, port, ssl) = connection(rest);
    Some(EventKind::WsusConnection { server, port, ssl, outcome })
}

/// Matches the class of an exception, and no other name below `System`.
fn exception(rest: &str) -> Option<EventKind> {
    let class = rest.split([':', ' ', '~', '\n']).next()?;
    class.ends_with("Exception").then(|| component_error(&format!("System.{rest}")))
}
