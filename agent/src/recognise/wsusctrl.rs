//! `WSUSCtrl.log`: whether the software update point's WSUS is well.

use supwatch_proto::event::{ConnectionOutcome, EventKind};

use super::text::one_line;
use super::vocabulary::Meaning::{Account, Error, Step, Typed};
use super::vocabulary::{Phrase, own, phrase};

pub(super) const PHRASES: &[Phrase] = &[
    phrase("There are no unhealthy WSUS Server components on WSUS Server", Typed(well)),
    phrase("There are unhealthy WSUS Server components on WSUS Server", Typed(unwell)),
    phrase("Successfully checked database connection on WSUS server", Typed(database_well)),
    phrase("Failures reported during periodic health check", Typed(unwell)),
    phrase("WSUS Control Manager failed", Typed(unwell)),
    own("Failed to ", Error),
    phrase("No changes - local WSUS Server Proxy settings are correctly configured as", Step("proxy-set")),
    phrase("Attempting connection to local WSUS server", Typed(attempted)),
    phrase("Successfully connected to local WSUS server", Typed(connected)),
    phrase("Using ", Account("account-used")),
    phrase("Done using ", Account("account-done")),
    phrase("Checking for supported version of WSUS", Step("console-checked")),
    phrase("Checking runtime", Step("console-checked")),
    phrase("Did not find supported version of assembly", Step("console-assembly-absent")),
    phrase("Found supported assembly", Step("console-assembly-found")),
    phrase("Supported WSUS version found", Step("console-found")),
    phrase("Waiting for changes", Step("waiting")),
    phrase("Wait timed out", Step("woken")),
    phrase("Timed Out", Step("woken")),
    phrase("SMS_EXECUTIVE started", Step("service-started")),
    phrase("SMS_EXECUTIVE signalled", Step("service-stopping")),
    phrase("System.", Typed(super::wsyncmgr::exception)),
    phrase("Microsoft.UpdateServices.", Error),
];

fn health(healthy: bool, rest: &str, what: &str) -> Option<EventKind> {
    let server = one_line(rest.trim_start_matches([' ', ':']).trim_end_matches(['~', '.', ' ']));
    Some(EventKind::WsusHealth { healthy, server, text: what.to_owned() })
}

fn well(rest: &str) -> Option<EventKind> {
    health(true, rest, "components")
}

fn database_well(rest: &str) -> Option<EventKind> {
    health(true, rest, "database")
}

fn unwell(rest: &str) -> Option<EventKind> {
    Some(EventKind::WsusHealth { healthy: false, server: String::new(), text: one_line(rest) })
}

fn connection(outcome: ConnectionOutcome) -> Option<EventKind> {
    Some(EventKind::WsusConnection { server: String::new(), port: None, ssl: None, outcome })
}

fn attempted(_: &str) -> Option<EventKind> {
    connection(ConnectionOutcome::Attempted)
}

fn connected(_: &str) -> Option<EventKind> {
    connection(ConnectionOutcome::Connected)
}

#[cfg(test)]
mod tests {
    use super::super::{Log, kind_of};
    use super::*;

    #[test]
    fn health_is_told() {
        assert_eq!(
            kind_of("There are no unhealthy WSUS Server components on WSUS Server SUP1.corp.example~", Some(Log::WsusCtrl)),
            Some(EventKind::WsusHealth { healthy: true, server: "SUP1.corp.example".into(), text: "components".into() })
        );
        let kind = kind_of("WSUS Control Manager failed to configure proxy settings on WSUS Server \"s\".", Some(Log::WsusCtrl));
        assert!(matches!(kind, Some(EventKind::WsusHealth { healthy: false, .. })), "{kind:?}");
    }
}
