//! Log lines → what they show of the settings: which server WCM connects to and on which port, its update source, what is
//! synchronised, whether the console is installed; and when WCM checked and wrote.

use serde_json::{Value, json};
use supwatch_model::event::{Event, EventKind};

/// What a line shows of the settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Fields of a snapshot.
    Fields {
        /// Kind of line: a newer line replaces an older one of the same kind.
        facet: String,
        /// The fields.
        raw: Value,
    },
    /// WCM checked the settings of WSUS.
    Checked,
    /// WCM wrote its settings to WSUS.
    Written,
}

impl Seen {
    /// What an event shows; `active` is the WSUS server that WCM connected to last.
    pub fn of(event: &Event, active: Option<&str>) -> Vec<Seen> {
        match &event.kind {
            EventKind::WsusConnection { server, port: Some(port), ssl: Some(ssl), .. } if !server.is_empty() => {
                let field = if *ssl { "https_port" } else { "http_port" };
                let raw = json!({"sups": [{"server": server, field: port, "ssl": ssl}]});
                vec![Seen::Fields { facet: format!("connection {}", server.to_lowercase()), raw }]
            }
            EventKind::UpstreamSeen { server } if event.log == "wcm" => {
                let upstream = active.map(|active| upstream(active, server.as_deref()));
                std::iter::once(Seen::Checked).chain(upstream).collect()
            }
            EventKind::FiltersSeen { languages, categories } if event.log == "wsyncmgr" => filters(languages, categories),
            EventKind::WsusConsole { found } => {
                let raw = json!({"site_server": {"wsus_console": {"installed": found}}});
                vec![Seen::Fields { facet: "console".to_owned(), raw }]
            }
            EventKind::Step { step, .. } if event.log == "wcm" && step == "configured" => vec![Seen::Checked, Seen::Written],
            EventKind::Step { step, .. } if event.log == "wcm" && step == "upstream-verified" => vec![Seen::Checked],
            _ => Vec::new(),
        }
    }
}

/// WCM verifies the upstream server of the *active* WSUS, so this is the first software update point.
fn upstream(active: &str, server: Option<&str>) -> Seen {
    let mut wsus = json!({"server": active, "sync_from_microsoft_update": server.is_none()});
    if let (Some(server), Some(fields)) = (server, wsus.as_object_mut()) {
        fields.insert("upstream".to_owned(), json!({"server": host_of(server)}));
    }
    let raw = json!({"sups": [{"server": active, "first": true}], "wsus": [wsus]});
    Seen::Fields { facet: "upstream".to_owned(), raw }
}

/// The log writes a name, or an address with scheme and port.
fn host_of(server: &str) -> &str {
    let host = server.rsplit("://").next().unwrap_or(server);
    host.split(['/', ':']).next().unwrap_or(host)
}

/// What a run requests: the languages of titles and texts, and the categories to import into the site's database.
fn filters(languages: &[String], categories: &[String]) -> Vec<Seen> {
    let of_kind = |kind: &str| -> Vec<&str> {
        categories
            .iter()
            .filter_map(|category| category.split_once('='))
            .filter(|(own, _)| *own == kind)
            .map(|(_, name)| name)
            .collect()
    };
    let mut found = Vec::new();
    let mut add = |field: &str, list: Value| {
        let raw = json!({"component": {field: list}});
        found.push(Seen::Fields { facet: field.to_owned(), raw });
    };
    if !languages.is_empty() {
        add("summary_languages", json!(languages));
    }
    for (field, kind) in [("products", "Product"), ("classifications", "UpdateClassification")] {
        let names = of_kind(kind);
        if !names.is_empty() {
            add(field, json!(names));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{events, wcm_events};

    #[track_caller]
    fn fields(seen: &[Seen]) -> Vec<Value> {
        seen.iter().filter_map(|seen| if let Seen::Fields { raw, .. } = seen { Some(raw.clone()) } else { None }).collect()
    }

    #[test]
    fn a_connection_shows_server_port_and_ssl() {
        let event = &wcm_events("P01", &["Attempting connection to WSUS server: SUP1.corp.example, port: 8531, useSSL: True"])[0];
        assert_eq!(
            fields(&Seen::of(event, None)),
            [json!({"sups": [{"server": "SUP1.corp.example", "https_port": 8531, "ssl": true}]})]
        );
    }

    #[test]
    fn an_upstream_is_the_active_servers() {
        let line =
            "No changes - WSUS Server settings are correctly configured and Upstream Server is set to http://cen.corp.example:8530";
        let event = &wcm_events("P01", &[line])[0];
        let seen = Seen::of(event, Some("sup1"));
        assert!(seen.contains(&Seen::Checked));
        assert_eq!(fields(&seen)[0]["wsus"][0]["upstream"]["server"], "cen.corp.example");
        assert_eq!(fields(&Seen::of(event, None)), Vec::<Value>::new(), "whose upstream it is must be known");
    }

    #[test]
    fn a_run_shows_its_languages_and_categories() {
        let event = &events("CEN", &["requested localization languages: en,ja"])[0];
        assert_eq!(fields(&Seen::of(event, None)), [json!({"component": {"summary_languages": ["en", "ja"]}})]);
    }
}
