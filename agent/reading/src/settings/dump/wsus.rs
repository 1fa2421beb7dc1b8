//! WSUS settings: its administration interface (`Microsoft.UpdateServices.Administration`), and for a WSUS on the computer on
//! which the script ran also IIS, the services, the registry and the database.

use std::collections::{BTreeMap, BTreeSet};

use supwatch_model::settings::{AppPool, Component, Database, Known, Proxy, Upstream, Website, Wsus, WsusSync};

use super::Sections;
use super::bag::{self, Bag, known};
use super::site::{self, Own, Told};

/// `SynchronizationStatus`, by number.
const STATUS: [(&str, &str); 3] = [("NotProcessing", "not-processing"), ("Running", "running"), ("Stopping", "stopping")];
/// `SynchronizationResult`, by number.
const RESULT: [(&str, &str); 5] =
    [("NeverRun", "never-run"), ("Succeeded", "succeeded"), ("Failed", "failed"), ("Canceled", "canceled"), ("Unknown", "unknown")];
/// `ServiceControllerStatus`, by number, starting at 1.
const SERVICE: [(&str, &str); 8] = [
    ("", "unknown"),
    ("Stopped", "stopped"),
    ("StartPending", "start-pending"),
    ("StopPending", "stop-pending"),
    ("Running", "running"),
    ("ContinuePending", "continue-pending"),
    ("PausePending", "pause-pending"),
    ("Paused", "paused"),
];
/// State of an application pool, by number of `ObjectState`.
const POOL: [(&str, &str); 4] =
    [("Starting", "starting"), ("Started", "started"), ("Stopping", "stopping"), ("Stopped", "stopped")];
/// Services that belong to a WSUS server; others are not collected.
const SERVICES: [&str; 4] = ["WsusService", "W3SVC", "IISADMIN", "WAS"];
/// `AccessSSL` among the `sslFlags` of `system.webServer/security/access`.
const SSL_FLAG: i64 = 8;

/// Our term for a value of an enumeration, which is given by name or by number.
fn word(bag: Bag<'_>, name: &str, table: &[(&str, &str)]) -> Known<String> {
    let by_number = bag.number(name).and_then(|number| usize::try_from(number).ok()).and_then(|number| table.get(number));
    let by_name = || {
        let text = bag.text(name)?;
        table.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(&text))
    };
    known(by_number.or_else(by_name).map(|(_, ours)| (*ours).to_owned()))
}

/// Names of products and classifications by id, as the site knows them.
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    pub(super) fn of(sections: &Sections<'_>) -> Names {
        let pair = |row: Bag<'_>| Some((site::category_id(row)?, row.text("LocalizedCategoryInstanceName")?));
        Names(sections.bags("categories").into_iter().filter_map(pair).collect())
    }

    /// The name for `Id` and `Title` of an `IUpdateCategory` or `IUpdateClassification`: the site's name, else the title, else
    /// the id.
    fn name(&self, category: Bag<'_>) -> Option<String> {
        let id = category.text("Id").map(|id| id.trim_matches(['{', '}']).to_lowercase());
        let known = id.as_ref().and_then(|id| self.0.get(id)).cloned();
        known.or_else(|| category.text("Title")).or(id)
    }
}

/// Ids by title of the classifications and products to which the site or a WSUS server is set.
pub(super) fn category_ids(
    sections: &Sections<'_>,
    component: &Known<Component>,
    servers: &Known<Vec<Wsus>>,
) -> Known<BTreeMap<String, String>> {
    let mut used: BTreeSet<&String> = BTreeSet::new();
    if let Known::Some(component) = component {
        used.extend([&component.classifications, &component.products].into_iter().filter_map(Known::value).flatten());
    }
    for wsus in servers.value().into_iter().flatten() {
        used.extend([&wsus.classifications, &wsus.products].into_iter().filter_map(Known::value).flatten());
    }
    let of_site = |row: Bag<'_>| Some((row.text("LocalizedCategoryInstanceName")?, site::category_id(row)?));
    let of_wsus = |row: Bag<'_>| Some((row.text("Title")?, row.text("Id")?.trim_matches(['{', '}']).to_lowercase()));
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for (_, data) in sections.read.iter().filter(|(name, _)| *name == "wsus" || name.starts_with("wsus@")) {
        for server in bag::bags(data) {
            let rows = ["UpdateClassifications", "UpdateCategories"].into_iter().flat_map(|list| server.bags(list));
            ids.extend(rows.filter_map(of_wsus));
        }
    }
    ids.extend(sections.bags("categories").into_iter().filter_map(of_site));
    ids.retain(|title, id| used.contains(title) && title != id);
    if ids.is_empty() { Known::Unknown } else { Known::Some(ids) }
}

/// The WSUS servers that were queried, and the one on this computer even if it gave no answer. Unknown if there are none.
pub(super) fn servers(sections: &Sections<'_>, own: &Own, names: &Names) -> Known<Vec<Wsus>> {
    let sections_of_servers = sections.read.iter().filter(|(name, _)| *name == "wsus" || name.starts_with("wsus@"));
    let mut servers: Vec<Wsus> = sections_of_servers.flat_map(|(_, data)| bag::bags(data)).map(|bag| wsus(bag, names)).collect();
    let here = |wsus: &Wsus| wsus.server.value().is_some_and(|server| own.is_here(server));
    let installed = sections.bag("wsus_setup").is_some_and(|setup| setup.text("SqlServerName").is_some());
    if installed && !servers.iter().any(here) {
        servers.push(Wsus { server: known(own.computer.clone()), ..Wsus::default() });
    }
    for wsus in servers.iter_mut().filter(|wsus| here(wsus)) {
        local(wsus, sections);
    }
    if servers.is_empty() { Known::Unknown } else { Known::Some(servers) }
}

/// `IUpdateServer`, its `IUpdateServerConfiguration` and its `ISubscription`.
fn wsus(bag: Bag<'_>, names: &Names) -> Wsus {
    let set = bag.bag("Configuration");
    let flag = |name: &str| known(set.and_then(|set| set.boolean(name)));
    Wsus {
        server: bag.server("Server"),
        version: site::version(bag, "Version"),
        sync_from_microsoft_update: flag("SyncFromMicrosoftUpdate"),
        is_replica: flag("IsReplicaServer"),
        upstream: set.map_or(Known::Unknown, upstream),
        proxy: set.map_or(Known::Unknown, |set| Known::Some(proxy(set)).filter_known()),
        languages: known(bag.get("EnabledUpdateLanguages").map(|list| {
            let texts = bag::items(list).into_iter().filter_map(bag::text);
            texts.filter_map(|text| site::language(&text)).collect()
        })),
        all_languages: flag("AllUpdateLanguagesEnabled"),
        classifications: filters(bag, "UpdateClassifications", names),
        products: filters(bag, "UpdateCategories", names),
        wsus_sync: Known::Some(synchronisation(bag)).filter_known(),
        ..Wsus::default()
    }
}

/// `UpstreamWsusServerName`, `UpstreamWsusServerPortNumber`, `UpstreamWsusServerUseSsl`; none if the name is empty.
fn upstream(set: Bag<'_>) -> Known<Upstream> {
    match set.server("UpstreamWsusServerName") {
        Known::None => Known::None,
        server => Known::Some(Upstream {
            server,
            port: set.port("UpstreamWsusServerPortNumber"),
            ssl: known(set.boolean("UpstreamWsusServerUseSsl")),
        })
        .filter_known(),
    }
}

/// `UseProxy`, `ProxyName`, `ProxyServerPort`; unless `AnonymousProxyAccess` is set there are credentials.
fn proxy(set: Bag<'_>) -> Proxy {
    Proxy {
        enabled: known(set.boolean("UseProxy")),
        server: set.server("ProxyName"),
        port: set.port("ProxyServerPort"),
        account: known(set.boolean("AnonymousProxyAccess").map(|anonymous| !anonymous)),
    }
}

/// `GetUpdateCategories()` or `GetUpdateClassifications()`; companies are omitted, since they filter nothing by themselves.
fn filters(bag: Bag<'_>, list: &str, names: &Names) -> Known<Vec<String>> {
    if bag.get(list).is_none() {
        return Known::Unknown;
    }
    let counts = |category: &Bag<'_>| category.text("Type").is_none_or(|kind| !kind.eq_ignore_ascii_case("Company"));
    Known::Some(bag.bags(list).into_iter().filter(counts).filter_map(|category| names.name(category)).collect())
}

/// `GetSynchronizationStatus()` and `GetLastSynchronizationInfo()`, whose times are in UTC.
fn synchronisation(bag: Bag<'_>) -> WsusSync {
    let status = word(bag, "SynchronizationStatus", &STATUS);
    let Some(last) = bag.bag("LastSynchronization") else { return WsusSync { status, ..WsusSync::default() } };
    WsusSync {
        status,
        last_result: word(last, "Result", &RESULT),
        started_at: last.time("StartTime"),
        last_end: last.time("EndTime"),
        started_manually: known(last.boolean("StartedManually")),
    }
}

/// WSUS settings that only the computer itself can read.
fn local(wsus: &mut Wsus, sections: &Sections<'_>) {
    if let Some(setup) = sections.bag("wsus_setup")
        && wsus.version.is_unknown()
    {
        wsus.version = site::version(setup, "VersionString");
    }
    if let Some(iis) = sections.bag("iis") {
        wsus.website = Known::Some(website(iis)).filter_known();
        wsus.app_pool = known(iis.bag("Pool").map(app_pool)).filter_known();
    }
    if sections.data("services").is_some() {
        wsus.services = Known::Some(sections.bags("services").into_iter().filter_map(service).collect());
    }
    wsus.database = Known::Some(database(sections)).filter_known();
}

/// `bindingInformation` is address, port and host (`*:8530:`); `sslFlags` of each virtual directory.
fn website(iis: Bag<'_>) -> Website {
    let bindings = iis.bags("Bindings");
    let port = |protocol: &str| {
        if bindings.is_empty() {
            return Known::Unknown;
        }
        let bound = bindings.iter().find(|bag| bag.text("protocol").is_some_and(|own| own.eq_ignore_ascii_case(protocol)));
        let Some(binding) = bound else { return Known::None };
        let text = binding.text("bindingInformation").unwrap_or_default();
        known(text.rsplit(':').nth(1).and_then(|port| port.parse().ok()))
    };
    let requires_ssl = |directory: &Bag<'_>| match directory.number("Flags") {
        Some(flags) => flags & SSL_FLAG != 0,
        None => directory.text("Flags").is_some_and(|flags| flags.split(',').any(|flag| flag.trim().eq_ignore_ascii_case("Ssl"))),
    };
    let directories = iis.get("SslFlags").map(|_| {
        let directories = iis.bags("SslFlags").into_iter().filter(requires_ssl);
        directories.filter_map(|directory| directory.server("Directory").value().cloned()).collect()
    });
    Website { http_port: port("http"), https_port: port("https"), ssl_virtual_directories: known(directories) }
}

/// The pool of ApiRemoting30: its state, `recycling.periodicRestart.privateMemory` and `queueLength`.
fn app_pool(pool: Bag<'_>) -> AppPool {
    AppPool {
        state: word(pool, "State", &POOL),
        private_memory_limit_kb: pool.fit("PrivateMemory"),
        queue_length: pool.fit("QueueLength"),
    }
}

/// `Get-Service`.
fn service(bag: Bag<'_>) -> Option<(String, String)> {
    let name = bag.text("Name")?;
    let name = SERVICES.into_iter().find(|own| own.eq_ignore_ascii_case(&name))?;
    match word(bag, "Status", &SERVICE) {
        Known::Some(state) => Some((name.to_owned(), state)),
        Known::None | Known::Unknown => None,
    }
}

/// `SqlServerName` of the registry; rows of `spGetFrontEndServers` in SUSDB, one for each WSUS that uses it; `max server memory
/// (MB)` of `sys.configurations`. A Windows Internal Database serves only its own computer.
fn database(sections: &Sections<'_>) -> Database {
    let (setup, told) = (sections.bag("wsus_setup"), sections.bag("database"));
    let server = setup.into_iter().chain(told).find_map(|bag| bag.text("SqlServerName"));
    let good = |name: &String| name.chars().all(|c| c.is_alphanumeric() || "-._\\#$,:".contains(c));
    let server = server.filter(good);
    let internal = server.as_deref().is_some_and(|name| name.contains("##"));
    let shared = told.and_then(|bag| bag.number("FrontEndServers")).filter(|rows| *rows > 0).map(|rows| rows > 1);
    Database {
        server: known(server),
        shared: known(shared.or(internal.then_some(false))),
        max_server_memory_mb: told.map_or(Known::Unknown, |bag| bag.fit("MaxServerMemory")),
        physical_memory_mb: Known::Unknown,
    }
}
