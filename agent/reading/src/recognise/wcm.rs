//! `WCM.log`: connections to WSUS, the configuration state, which upstream server is set and what is subscribed.

use supwatch_model::event::EventKind;

use super::phrase::Meaning::{Account, Error, Quiet, Step, Typed};
use super::phrase::{Phrase, phrase};
use super::text::{between, bounded, number, one_line, step, warning};

pub(super) const PHRASES: &[Phrase] = &[
    phrase("Setting new configuration state to", Typed(state)),
    phrase("Verify Upstream Server settings", Step("upstream-verified")),
    phrase("No changes - WSUS Server settings are correctly configured and Upstream Server is set to", Typed(upstream)),
    phrase("No changes - ", Step("no-changes")),
    phrase("for ", Typed(no_account)),
    phrase("Using ", Account("account-used")),
    phrase("Done using ", Account("account-done")),
    phrase("Successfully refreshed categories", Step("categories-refreshed")),
    phrase("Subscribed Update Categories", Typed(subscribed)),
    phrase("<Category Id=", Typed(category)),
    phrase("<Categories>", Quiet),
    phrase("</Categories>", Quiet),
    phrase("Configuration successful", Step("configured")),
    phrase("Supported WSUS version found", Typed(console_found)),
    phrase("Supported WSUS version not found", Typed(console_absent)),
    phrase("File notification triggered", Step("woken")),
    phrase("SCF change notification triggered", Step("woken")),
    phrase("Trigger event", Step("woken")),
    phrase("Populating config from SCF", Step("configuration-read")),
    phrase("DB Server not detected for SUP", Error),
    phrase("Remote configuration failed on WSUS Server", Error),
    phrase("Failed to set Subscriptions on the WSUS Server", Error),
    phrase("Category Product:", Error),
    phrase("Category Company:", Error),
    phrase("Category UpdateClassification:", Error),
    phrase("Subscription contains categories unknown to WSUS", Error),
    phrase("HandleSMSClientPublication failed", Typed(publication)),
];

fn state(rest: &str) -> Option<EventKind> {
    Some(EventKind::WcmState { state: u32::try_from(number(rest.trim_start())?).ok()? })
}

fn upstream(rest: &str) -> Option<EventKind> {
    let upstream = rest.trim().trim_end_matches('.');
    Some(EventKind::UpstreamSeen { server: (!upstream.eq_ignore_ascii_case("Microsoft Update")).then(|| one_line(upstream)) })
}

/// `for <server>, no connection account is available`
fn no_account(rest: &str) -> Option<EventKind> {
    let (server, _) = rest.split_once(", no connection account")?;
    Some(step("no-connection-account", server))
}

/// A row of `<Category Id="Product:…"><![CDATA[name]]></Category>` elements.
fn subscribed(rest: &str) -> Option<EventKind> {
    let categories = bounded(rest.split("<Category Id=").skip(1).filter_map(one_category));
    Some(EventKind::FiltersSeen { languages: Vec::new(), categories })
}

fn category(rest: &str) -> Option<EventKind> {
    Some(EventKind::FiltersSeen { languages: Vec::new(), categories: vec![one_category(rest)?] })
}

/// `Product=name`, as `wsyncmgr.log` writes it; in a copy, an id may contain a blank from a page break.
fn one_category(text: &str) -> Option<String> {
    let id = between(text, "\"", "\"")?;
    let name = one_line(between(text, "<![CDATA[", "]]>")?);
    Some(match id.split_once(':') {
        Some((kind, _)) => format!("{}={name}", one_line(kind)),
        None => name,
    })
}

fn console_found(_: &str) -> Option<EventKind> {
    Some(EventKind::WsusConsole { found: true })
}

fn console_absent(_: &str) -> Option<EventKind> {
    Some(EventKind::WsusConsole { found: false })
}

/// Publishing the client through WSUS is not a synchronisation.
fn publication(_: &str) -> Option<EventKind> {
    Some(warning("publishing the client through WSUS failed"))
}

#[cfg(test)]
mod tests {
    use super::super::{Log, kind_of};
    use super::*;
    use supwatch_model::event::ConnectionOutcome;

    #[track_caller]
    fn check(message: &str, expected: EventKind) {
        assert_eq!(kind_of(message, Some(Log::Wcm)), Some(expected), "{message}");
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

    #[test]
    fn subscriptions_are_read_from_their_xml() {
        check(
            "Subscribed Update Categories <?xml version=\"1.0\" ?>~~<Categories>~~<Category Id=\"Product:1\"><![CDATA[Windows Server 2019]]></Category>~~<Category Id=\"UpdateClassification:2\"><![CDATA[Security Updates]]></Category>~~</Categories>",
            EventKind::FiltersSeen {
                languages: vec![],
                categories: vec!["Product=Windows Server 2019".into(), "UpdateClassification=Security Updates".into()],
            },
        );
    }

    #[test]
    fn an_assembly_that_is_probed_for_is_no_error_and_an_exception_is() {
        let kind = |message: &str| kind_of(message, Some(Log::Wcm)).map(|kind| kind.name());
        assert_eq!(kind("Did not find supported version of assembly Microsoft.UpdateServices.Administration."), Some("step"));
        assert_eq!(kind("Supported WSUS version found"), Some("wsus-console"));
        assert_eq!(kind("System.Security.SecurityException: Request for principal permission failed."), Some("component-error"));
        assert_eq!(kind("Remote configuration failed on WSUS Server."), Some("component-error"));
    }
}
