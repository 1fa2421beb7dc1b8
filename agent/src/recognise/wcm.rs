//! `WCM.log`: connections to WSUS, the configuration state, and which upstream server is set.

use supwatch_proto::event::{ConnectionOutcome, EventKind};

use super::phrases::{after, connection, number, one_line, starts_with};

pub(super) fn recognise(message: &str) -> Option<EventKind> {
    if let Some(rest) = after(message, "Setting new configuration state to") {
        return Some(EventKind::WcmState { state: u32::try_from(number(rest)?).ok()? });
    }
    if let Some(rest) = after(message, "Attempting connection to WSUS server:") {
        return Some(connected(rest, ConnectionOutcome::Attempted));
    }
    if let Some(rest) = after(message, "Successfully connected to server:") {
        return Some(connected(rest, ConnectionOutcome::Connected));
    }
    if starts_with(message, "Successfully connected to local WSUS server") {
        return Some(EventKind::WsusConnection {
            server: String::new(),
            port: None,
            ssl: None,
            outcome: ConnectionOutcome::Connected,
        });
    }
    let upstream = message.split_once("Upstream Server is set to ")?.1.trim().trim_end_matches('.');
    Some(EventKind::UpstreamSeen { server: (!upstream.eq_ignore_ascii_case("Microsoft Update")).then(|| one_line(upstream)) })
}

fn connected(rest: &str, outcome: ConnectionOutcome) -> EventKind {
    let (server, port, ssl) = connection(rest);
    EventKind::WsusConnection { server, port, ssl, outcome }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: EventKind) {
        assert_eq!(recognise(message), Some(expected));
    }

    #[test]
    fn states_connections_and_upstreams() {
        check("Setting new configuration state to 3 (WSUS_CONFIG_FAILED)", EventKind::WcmState { state: 3 });
        check(
            "Attempting connection to WSUS server: SUP1.corp.example, port: 8531, useSSL: True",
            EventKind::WsusConnection {
                server: "SUP1.corp.example".into(),
                port: Some(8531),
                ssl: Some(true),
                outcome: ConnectionOutcome::Attempted,
            },
        );
        check(
            "Successfully connected to server: SUP1, port: 8530",
            EventKind::WsusConnection { server: "SUP1".into(), port: Some(8530), ssl: None, outcome: ConnectionOutcome::Connected },
        );
        let set = "No changes - WSUS Server settings are correctly configured and Upstream Server is set to";
        check(&format!("{set} Microsoft Update"), EventKind::UpstreamSeen { server: None });
        check(&format!("{set} cen.corp.example"), EventKind::UpstreamSeen { server: Some("cen.corp.example".into()) });
    }
}
