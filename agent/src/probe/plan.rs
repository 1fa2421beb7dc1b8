//! A site's newest snapshot and the servers its configuration names → which servers to probe, and which requests to send.
//!
//! Pure. A server is probed once a round, however many entries of the snapshot refer to it. Unknown values are not guessed:
//! a wrong port would report a healthy server as broken.

use supwatch_model::settings::{Known, Settings, Sup, Wsus, same_server};

use crate::address::Address;

/// Where WSUS synchronises with Microsoft Update.
const MICROSOFT_UPDATE: (&str, u16) = ("sws.update.microsoft.com", 443);
/// Most servers probed for one site; a snapshot with more is implausible, and its results would not fit one event.
pub const SERVERS: usize = 32;

/// One server to probe, and the snapshot entries its results belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Address of the server.
    pub address: Address,
    /// Proxy to use: host and port. Requests carry no proxy credentials.
    pub proxy: Option<Address>,
    /// Set of requests to send.
    pub ask: Ask,
    /// Snapshot entries that receive the results.
    pub slots: Vec<ResultSlot>,
}

/// Set of requests for a server; each variant includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// The front page: whether Microsoft Update answers at all.
    Front,
    /// The services that a downstream server needs.
    Upstream,
    /// All services of a WSUS.
    Wsus,
}

/// A request path with its virtual directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Virtual directory; none for the front page.
    pub directory: Option<&'static str>,
    /// Path of the request.
    pub path: &'static str,
}

/// A snapshot entry that a result belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultSlot {
    /// Name of the WSUS server, as the snapshot writes it.
    pub wsus: String,
    /// Whether the probed server is that WSUS or its update source.
    pub part: Part,
}

/// Role of a probed server for a WSUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The WSUS itself.
    Itself,
    /// Its update source.
    Source,
}

const fn service(directory: &'static str, path: &'static str) -> Service {
    Service { directory: Some(directory), path }
}

const FRONT: [Service; 1] = [Service { directory: None, path: "/" }];
/// [MS-WSUSSS] and [MS-WUSP], 2.1; `ApiRemoting30` is what the WSUS console and WCM use. The ones a downstream server
/// needs come last.
const SERVICES: [Service; 4] = [
    service("ApiRemoting30", "/ApiRemoting30/WebService.asmx"),
    service("SimpleAuthWebService", "/SimpleAuthWebService/SimpleAuth.asmx"),
    service("DssAuthWebService", "/DssAuthWebService/DssAuthWebService.asmx"),
    service("ServerSyncWebService", "/ServerSyncWebService/ServerSyncWebService.asmx"),
];

impl Ask {
    /// The requests, in order.
    pub fn services(self) -> &'static [Service] {
        match self {
            Ask::Front => &FRONT,
            Ask::Upstream => SERVICES.last_chunk::<2>().map_or(&[], |last| last.as_slice()),
            Ask::Wsus => &SERVICES,
        }
    }
}

/// Servers to probe for a site; `extra` are configured servers, used where no snapshot names them.
pub fn targets(settings: Option<&Settings>, extra: &[Address], upstream: bool) -> Vec<Target> {
    let mut plan = Vec::new();
    let servers = settings.map(servers).unwrap_or_default();
    let configured = extra.iter().filter(|one| !servers.iter().any(|(name, host, _)| names(one, name) || names(one, host)));
    let configured = configured.map(|address| (address.host.clone(), address.host.clone(), Some(address.clone())));
    for (wsus, _, address) in servers.iter().cloned().chain(configured) {
        if let Some(address) = address {
            add(&mut plan, address, None, Ask::Wsus, ResultSlot { wsus, part: Part::Itself });
        }
    }
    let sources = settings.and_then(|settings| settings.wsus.value()).filter(|_| upstream);
    for wsus in sources.into_iter().flatten() {
        if let (Some(name), Some((address, ask)), Some(proxy)) = (wsus.server.value(), source(wsus), proxy(wsus)) {
            add(&mut plan, address, proxy, ask, ResultSlot { wsus: name.clone(), part: Part::Source });
        }
    }
    plan.truncate(SERVERS);
    plan
}

fn names(address: &Address, server: &str) -> bool {
    same_server(&address.host, server)
}

fn add(plan: &mut Vec<Target>, address: Address, proxy: Option<Address>, ask: Ask, slot: ResultSlot) {
    let same = |target: &&mut Target| target.address == address && target.proxy == proxy;
    match plan.iter_mut().find(same) {
        Some(target) => {
            target.ask = target.ask.max(ask);
            if !target.slots.contains(&slot) {
                target.slots.push(slot);
            }
        }
        None => plan.push(Target { address, proxy, ask, slots: vec![slot] }),
    }
}

/// Each WSUS server of the site: name of its entry, host name, and its address if known.
fn servers(settings: &Settings) -> Vec<(String, String, Option<Address>)> {
    let mut found: Vec<(String, String, Option<Address>)> = Vec::new();
    for sup in settings.sups.value().into_iter().flatten() {
        let wsus = settings.wsus_of(sup);
        let Some(host) = sup.server.value() else { continue };
        // The name of the WSUS's own entry, so that probe results merge with those of the WSUS API.
        let name = wsus.and_then(|wsus| wsus.server.value()).unwrap_or(host);
        found.push((name.clone(), host.clone(), address_of_sup(sup, wsus)));
    }
    for wsus in settings.wsus.value().into_iter().flatten() {
        if let Some(name) = wsus.server.value()
            && !found.iter().any(|(known, ..)| same_server(known, name))
        {
            found.push((name.clone(), name.clone(), address_of_wsus(wsus)));
        }
    }
    found
}

fn address_of_sup(sup: &Sup, wsus: Option<&Wsus>) -> Option<Address> {
    let ssl = *sup.ssl.value()?;
    let website = wsus.and_then(|wsus| wsus.website.value());
    let told = if ssl { &sup.https_port } else { &sup.http_port };
    let found = website.map(|website| if ssl { &website.https_port } else { &website.http_port });
    let port = told.value().or_else(|| found.and_then(Known::value))?;
    Address::new(sup.server.value()?, *port, ssl)
}

/// A WSUS without a SUP: its web site settings show whether its services require SSL.
fn address_of_wsus(wsus: &Wsus) -> Option<Address> {
    let website = wsus.website.value()?;
    let ssl = !website.ssl_virtual_directories.value()?.is_empty();
    let port = if ssl { &website.https_port } else { &website.http_port };
    Address::new(wsus.server.value()?, *port.value()?, ssl)
}

fn source(wsus: &Wsus) -> Option<(Address, Ask)> {
    if wsus.sync_from_microsoft_update == Known::Some(true) {
        let (host, port) = MICROSOFT_UPDATE;
        return Some((Address::new(host, port, true)?, Ask::Front));
    }
    let upstream = wsus.upstream.value()?;
    let address = Address::new(upstream.server.value()?, *upstream.port.value()?, *upstream.ssl.value()?)?;
    Some((address, Ask::Upstream))
}

/// The proxy to the update source: none, or one; `None` where a proxy is used and the snapshot does not name it.
fn proxy(wsus: &Wsus) -> Option<Option<Address>> {
    let Some(proxy) = wsus.proxy.value().filter(|proxy| proxy.enabled == Known::Some(true)) else { return Some(None) };
    Address::new(proxy.server.value()?, *proxy.port.value()?, false).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A plan as text: address, proxy, slots and services, one server a line.
    #[track_caller]
    fn check(settings: &Value, extra: &[&str], expected: &[&str]) {
        let settings = Settings::from_json(settings).expect("settings");
        let extra: Vec<Address> = extra.iter().map(|text| text.parse().expect("an address")).collect();
        let shown: Vec<String> = targets(Some(&settings), &extra, true).iter().map(shown).collect();
        assert_eq!(shown, expected);
    }

    fn shown(target: &Target) -> String {
        let Target { address, proxy, ask, slots } = target;
        let scheme = if address.ssl { "https" } else { "http" };
        let proxy = proxy.as_ref().map(|proxy| format!(" via {}", proxy.host_and_port())).unwrap_or_default();
        let slots: Vec<String> = slots.iter().map(|slot| format!("{:?} of {}", slot.part, slot.wsus)).collect();
        format!("{scheme}://{}{proxy}: {ask:?} for {}", address.host_and_port(), slots.join(", "))
    }

    #[test]
    fn a_sup_is_asked_at_the_port_its_site_uses() {
        let sup = |ssl: bool| json!({"sups": [{"server": "sup1", "http_port": 8530, "https_port": 8531, "ssl": ssl}]});
        check(&sup(false), &[], &["http://sup1:8530: Wsus for Itself of sup1"]);
        check(&sup(true), &[], &["https://sup1:8531: Wsus for Itself of sup1"]);
    }

    #[test]
    fn answers_go_to_the_entry_of_the_wsus() {
        let settings = json!({
            "sups": [{"server": "SUP1.corp.example", "ssl": true}],
            "wsus": [{"server": "sup1", "website": {"http_port": 80, "https_port": 443}}],
        });
        check(&settings, &[], &["https://SUP1.corp.example:443: Wsus for Itself of sup1"]);
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        check(&json!({"sups": [{"server": "sup1", "https_port": 8531}]}), &[], &[]);
        check(&json!({"sups": [{"server": "sup1", "ssl": true, "http_port": 8530}]}), &[], &[]);
        check(&json!({"wsus": [{"server": "sup1"}]}), &[], &[]);
        check(&json!({"wsus": [{"server": "sup1", "upstream": {"server": "cen"}}]}), &[], &[]);
        let proxy = json!({"wsus": [{"server": "sup1", "sync_from_microsoft_update": true, "proxy": {"enabled": true}}]});
        check(&proxy, &[], &[]);
        assert_eq!(targets(None, &[], true), []);
    }

    #[test]
    fn a_wsus_without_a_sup_is_asked_as_its_web_site_is_set() {
        let wsus = |ssl: Value| json!({"wsus": [{"server": "w", "website": {"http_port": 80, "https_port": 443, "ssl_virtual_directories": ssl}}]});
        check(&wsus(json!([])), &[], &["http://w:80: Wsus for Itself of w"]);
        check(&wsus(json!(["ApiRemoting30"])), &[], &["https://w:443: Wsus for Itself of w"]);
    }

    #[test]
    fn the_source_is_microsoft_update_or_the_upstream_through_the_proxy_of_the_wsus() {
        let settings = json!({"wsus": [
            {"server": "a", "sync_from_microsoft_update": true, "proxy": {"enabled": true, "server": "proxy", "port": 8080}},
            {"server": "b", "sync_from_microsoft_update": false, "upstream": {"server": "cen", "port": 8530, "ssl": false},
             "proxy": {"enabled": false, "server": "proxy", "port": 8080}},
        ]});
        let both = [
            "https://sws.update.microsoft.com:443 via proxy:8080: Front for Source of a",
            "http://cen:8530: Upstream for Source of b",
        ];
        check(&settings, &[], &both);
        let settings = Settings::from_json(&settings).expect("settings");
        assert_eq!(targets(Some(&settings), &[], false), [], "`upstream = false` asks no source");
    }

    #[test]
    fn a_server_that_several_want_to_know_of_is_asked_once() {
        let wsus = |name: &str| json!({"server": name, "upstream": {"server": "sup1", "port": 8530, "ssl": false}});
        let settings = json!({
            "sups": [{"server": "sup1", "ssl": false, "http_port": 8530}],
            "wsus": [wsus("sup2"), wsus("sup3"), wsus("sup3")],
        });
        check(&settings, &[], &["http://sup1:8530: Wsus for Itself of sup1, Source of sup2, Source of sup3"]);
    }

    #[test]
    fn a_configured_server_counts_where_no_snapshot_names_it() {
        let settings = json!({"sups": [{"server": "sup1.corp.example", "ssl": false, "http_port": 8530}]});
        let extra = ["https://SUP1:8531", "https://sup2:8531"];
        let expected =
            ["http://sup1.corp.example:8530: Wsus for Itself of sup1.corp.example", "https://sup2:8531: Wsus for Itself of sup2"];
        check(&settings, &extra, &expected);
    }

    #[test]
    fn a_configured_server_is_also_known_by_the_name_of_its_sup() {
        let settings = json!({
            "sups": [{"server": "sup1", "names": ["wsus-vip"], "ssl": false, "http_port": 8530}],
            "wsus": [{"server": "wsus-vip"}],
        });
        check(&settings, &["https://sup1:8531", "https://wsus-vip:8531"], &["http://sup1:8530: Wsus for Itself of wsus-vip"]);
    }

    #[test]
    fn an_upstream_needs_two_services_and_a_wsus_four() {
        let directories = |ask: Ask| ask.services().iter().filter_map(|service| service.directory).collect::<Vec<_>>();
        assert_eq!(directories(Ask::Upstream), ["DssAuthWebService", "ServerSyncWebService"]);
        assert_eq!(directories(Ask::Wsus).len(), 4);
        assert_eq!(Ask::Front.services().iter().map(|service| service.path).collect::<Vec<_>>(), ["/"]);
    }

    #[test]
    fn a_snapshot_of_far_too_many_servers_is_cut() {
        let sups: Vec<Value> = (0..100).map(|n| json!({"server": format!("s{n}"), "ssl": false, "http_port": 8530})).collect();
        let settings = Settings::from_json(&json!({ "sups": sups })).expect("settings");
        assert_eq!(targets(Some(&settings), &[], true).len(), SERVERS);
    }
}
