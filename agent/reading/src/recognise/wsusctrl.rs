//! `WSUSCtrl.log`: the health of the software update point's WSUS.

use supwatch_model::event::EventKind;

use super::phrase::Meaning::{Account, Error, Step, Typed};
use super::phrase::{Phrase, own, phrase};
use super::text::one_line;

pub(super) const PHRASES: &[Phrase] = &[
    phrase("There are no unhealthy WSUS Server components on WSUS Server", Typed(well)),
    phrase("There are unhealthy WSUS Server components on WSUS Server", Typed(unwell)),
    phrase("Successfully checked database connection on WSUS server", Typed(database_well)),
    phrase("Failures reported during periodic health check", Typed(unwell)),
    phrase("WSUS Control Manager failed", Typed(unwell)),
    own("Failed to ", Error),
    phrase("No changes - local WSUS Server Proxy settings are correctly configured as", Step("proxy-set")),
    phrase("Using ", Account("account-used")),
    phrase("Done using ", Account("account-done")),
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
