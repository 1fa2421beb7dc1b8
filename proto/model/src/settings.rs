//! The settings snapshot `supwatch/settings/v1`: what WSUS, the software update point and the site are configured to.
//!
//! Every field may be absent, which means *not known*; `null` means *known to be none*. The two must never be mixed up:
//! a rule that lacks data says so. Field names are those of the WSUS API and the site's WMI classes, in our words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::names::same_instance;
pub use crate::names::same_server;

pub use self::known::Known;

mod known;
pub mod lenient;

macro_rules! settings {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
        #[serde(default)]
        pub struct $name {
            $($(#[$doc])* #[serde(skip_serializing_if = "Known::is_unknown")] pub $field: Known<$type>,)+
        }
    };
}

settings! {
    /// One snapshot of one site.
    Settings {
        /// `supwatch/settings/v1`.
        schema: String,
        /// Code of the site.
        site: SiteCode,
        /// When it was taken (server's clock, UTC).
        taken_at: Timestamp,
        /// Where it comes from, such as `wsus-api`.
        source: String,
        /// The site server.
        site_server: SiteServer,
        /// Software update points; an empty list: the site has none.
        sups: Vec<Sup>,
        /// The software update point component of the site.
        component: Component,
        /// The WSUS servers behind the SUPs.
        wsus: Vec<Wsus>,
        /// Synchronisation state of all sites from the top site's provider (`SMS_SUPSyncStatus`).
        sup_status: Vec<SupStatus>,
        /// The sites that the provider of this one knows (`SMS_Site`).
        sites: Vec<ListedSite>,
        /// Ids of classifications and products, by their titles on this site's servers.
        category_ids: BTreeMap<String, String>,
    }
}
settings! {
    /// The site server.
    SiteServer {
        /// Its fully qualified name.
        fqdn: String,
        /// WSUS administration console on it.
        wsus_console: WsusConsole,
    }
}
settings! {
    /// The WSUS administration console.
    WsusConsole {
        /// Whether it is there.
        installed: bool,
        /// Its version.
        version: String,
    }
}
settings! {
    /// One software update point as the site configures it (`SMS_SCI_SysResUse`).
    Sup {
        /// Its server.
        server: String,
        /// Aliases and balanced names.
        names: Vec<String>,
        /// Whether it is the first (active) one.
        first: bool,
        /// HTTP port.
        http_port: u16,
        /// HTTPS port.
        https_port: u16,
        /// Whether the site uses SSL to it.
        ssl: bool,
        /// Whether it serves internet clients.
        internet: bool,
        /// Its proxy.
        proxy: Proxy,
        /// Whether an account is set for the site server's connection to WSUS (`WSUSAccessAccount`); its name is never collected.
        connection_account: bool,
    }
}
settings! {
    /// A proxy; only whether an account is set is collected, never its name or password.
    Proxy {
        /// Whether it is used.
        enabled: bool,
        /// Its name.
        server: String,
        /// Its port.
        port: u16,
        /// Whether credentials are set.
        account: bool,
    }
}
settings! {
    /// The software update point component.
    Component {
        /// `microsoft-update`, `upstream` or `none`.
        sync_source: String,
        /// Upstream outside the hierarchy.
        upstream: String,
        /// Hours between scheduled runs; `null`: not scheduled.
        schedule_hours: u32,
        /// Update-file languages.
        languages: Vec<String>,
        /// Summary-detail languages.
        summary_languages: Vec<String>,
        /// Classifications.
        classifications: Vec<String>,
        /// Products.
        products: Vec<String>,
        /// Whether an alert is raised on failure.
        alert_on_failure: bool,
        /// Server of the first (active) software update point (`DefaultWSUS`).
        first_sup: String,
        /// `ConfigurationState` of WCM: 0 none, 1 pending, 2 success, 3 failed, 4 subscription pending.
        configuration_state: u32,
    }
}
settings! {
    /// One WSUS server, from its API.
    Wsus {
        /// Its name.
        server: String,
        /// Its build.
        version: String,
        /// `SyncFromMicrosoftUpdate`.
        sync_from_microsoft_update: bool,
        /// `IsReplicaServer`.
        is_replica: bool,
        /// Upstream WSUS.
        upstream: Upstream,
        /// Proxy.
        proxy: Proxy,
        /// Enabled update languages.
        languages: Vec<String>,
        /// `AllUpdateLanguagesEnabled`.
        all_languages: bool,
        /// Classifications of its subscription.
        classifications: Vec<String>,
        /// Products of its subscription.
        products: Vec<String>,
        /// The WSUS web site in IIS.
        website: Website,
        /// Windows services and their states, such as `running` and `stopped`; one that is not installed is not listed.
        services: BTreeMap<String, String>,
        /// The application pool of the WSUS web services.
        app_pool: AppPool,
        /// HTTP answers of the virtual directories' web services, by name such as `ApiRemoting30`.
        virtual_directories: BTreeMap<String, VirtualDirectory>,
        /// The newest synchronisation, from WSUS itself.
        wsus_sync: WsusSync,
        /// Its database.
        database: Database,
        /// Probe of the connection from the agent to it.
        reach: Reach,
        /// Probe of the connection from the agent to its update source.
        upstream_reach: Reach,
    }
}
settings! {
    /// The application pool of the WSUS web services (`WsusPool`).
    AppPool {
        /// `started` or `stopped`.
        state: String,
        /// Private memory limit in KB; 0: none.
        private_memory_limit_kb: u64,
        /// Limit of the request queue.
        queue_length: u64,
    }
}
settings! {
    /// Response of a web service.
    VirtualDirectory {
        /// HTTP status.
        status: u16,
        /// Whether the request carried the site server's credentials; an anonymous one proves less.
        authenticated: bool,
    }
}
settings! {
    /// The newest synchronisation of a WSUS server, whoever started it.
    WsusSync {
        /// `not-processing`, `running` or `stopping`.
        status: String,
        /// `never-run`, `succeeded`, `failed`, `canceled` or `unknown`.
        last_result: String,
        /// Start of the last one.
        started_at: Timestamp,
        /// End of the last one.
        last_end: Timestamp,
        /// Whether it was started by hand; WSUS calls every synchronisation of Configuration Manager manual.
        started_manually: bool,
    }
}
settings! {
    /// The database of a WSUS server.
    Database {
        /// SQL Server instance; `MICROSOFT##WID` is the Windows Internal Database.
        server: String,
        /// Whether several WSUS servers share it.
        shared: bool,
        /// Memory limit of SQL Server, in MB.
        max_server_memory_mb: u64,
        /// Memory of its computer, in MB.
        physical_memory_mb: u64,
    }
}
settings! {
    /// Result of a probe by the agent, step by step: name, TCP, TLS, HTTP.
    Reach {
        /// Host it went to.
        host: String,
        /// Port it went to.
        port: u16,
        /// Whether over SSL.
        ssl: bool,
        /// Whether through the configured proxy.
        via_proxy: bool,
        /// `answers`, `name-not-resolved`, `refused`, `timed-out`, `unreachable`, `tls-failed`, `proxy-refused` or `no-http`.
        outcome: String,
        /// HTTP status of the last answer.
        status: u16,
        /// The certificate presented, whether trusted or not.
        certificate: Certificate,
        /// The server's clock minus the agent's, in seconds, from the `Date` of its answer.
        clock_offset_s: i64,
    }
}
settings! {
    /// A server's certificate.
    Certificate {
        /// DNS names of the certificate.
        names: Vec<String>,
        /// Its end.
        expires_at: Timestamp,
    }
}
settings! {
    /// The upstream server of a WSUS.
    Upstream {
        /// Name.
        server: String,
        /// Port.
        port: u16,
        /// SSL.
        ssl: bool,
    }
}
settings! {
    /// The WSUS web site in IIS.
    Website {
        /// HTTP port.
        http_port: u16,
        /// HTTPS port.
        https_port: u16,
        /// Virtual directories that require SSL.
        ssl_virtual_directories: Vec<String>,
    }
}
settings! {
    /// One row of `SMS_Site`.
    ListedSite {
        /// Site.
        site: SiteCode,
        /// The site it reports to; null at the top.
        parent: SiteCode,
        /// `Type`: 1 secondary, 2 primary, 4 central administration site.
        type_number: u32,
        /// Its site server.
        server: String,
    }
}
settings! {
    /// One row of `SMS_SUPSyncStatus`.
    SupStatus {
        /// Site.
        site: SiteCode,
        /// SUP.
        server: String,
        /// Where it synchronises from.
        source: String,
        /// `LastSyncState`: a status message id such as 6702.
        state: u32,
        /// `LastSyncErrorCode`.
        error: i64,
        /// Catalogue version.
        catalog_version: u64,
        /// Last success.
        last_success_at: Timestamp,
    }
}

/// The published JSON Schema of a snapshot. A test compares it with the types, so that no program carries a generator.
pub fn schema() -> serde_json::Value {
    serde_json::from_str(include_str!("../../settings.schema.json")).unwrap_or_default()
}

impl Settings {
    /// Reads a snapshot; the error says what is wrong with it.
    pub fn from_json(value: &serde_json::Value) -> Result<Settings, serde_json::Error> {
        Settings::deserialize(value)
    }

    /// The first (active) software update point: the one marked so, or the only one.
    pub fn first_sup(&self) -> Option<&Sup> {
        let sups = self.sups.value()?;
        match sups.as_slice() {
            [only] => Some(only),
            many => many.iter().find(|sup| sup.first == Known::Some(true)),
        }
    }

    /// Whether the WSUS of a SUP shares the database, and so the configuration, of the first SUP's; `None`: not known.
    pub fn shares_database_with_first(&self, sup: &Sup) -> Option<bool> {
        let (own, first) = (self.wsus_of(sup)?, self.wsus_of(self.first_sup()?)?);
        let told = own.database.value().and_then(|database| database.shared.value()).copied();
        let name = |wsus: &Wsus| wsus.database.value().and_then(|database| database.server.value().cloned());
        match (name(own), name(first)) {
            // The database is always named SUSDB, so an instance has at most one.
            (Some(own), Some(first)) => {
                return Some(same_instance(&own, &first) && !own.to_uppercase().contains("##WID") && told != Some(false));
            }
            (Some(one), None) | (None, Some(one)) if one.to_uppercase().contains("##WID") => return Some(false),
            _ => {}
        }
        // Servers of one database have one configuration.
        let differs = |one: Option<&bool>, other: Option<&bool>| one.zip(other).is_some_and(|(one, other)| one != other);
        let server = |wsus: &Wsus| wsus.upstream.value().and_then(|upstream| upstream.server.value().cloned());
        let other_source = server(own).zip(server(first)).is_some_and(|(own, first)| !same_server(&own, &first));
        let other = differs(own.is_replica.value(), first.is_replica.value())
            || differs(own.sync_from_microsoft_update.value(), first.sync_from_microsoft_update.value())
            || other_source;
        told.or(other.then_some(false))
    }

    /// The WSUS server behind a SUP, by any of its names.
    pub fn wsus_of(&self, sup: &Sup) -> Option<&Wsus> {
        self.wsus.value()?.iter().find(|wsus| wsus.server.value().is_some_and(|name| sup.has_name(name)))
    }
}

impl Sup {
    /// Whether this SUP goes by the name.
    pub fn has_name(&self, name: &str) -> bool {
        self.server.value().is_some_and(|server| same_server(server, name))
            || self.names.value().is_some_and(|names| names.iter().any(|alias| same_server(alias, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with `SUPWATCH_REGENERATE=1` after a change that only adds.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../settings.schema.json");
        let generated = schemars::schema_for!(Settings).to_value();
        let text = format!("{}\n", serde_json::to_string_pretty(&generated).expect("json"));
        if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
            std::fs::write(path, &text).expect("written");
        }
        let published = std::fs::read_to_string(path).expect("the schema");
        assert!(published == text, "settings.schema.json is not what the types say; regenerate it");
        assert!(schema().is_object());
    }

    #[test]
    fn absent_null_and_known_are_three_things() {
        let json = serde_json::json!({"sups": [], "component": {"schedule_hours": null}, "wsus": [{"is_replica": true}]});
        let settings = Settings::from_json(&json).expect("good");
        assert_eq!(settings.sups, Known::Some(vec![]));
        assert_eq!(settings.site, Known::Unknown);
        assert_eq!(settings.component.value().map(|c| c.schedule_hours), Some(Known::None));
        assert_eq!(serde_json::to_value(&settings).expect("json"), json);
    }

    #[test]
    fn the_first_sup_is_the_marked_one_or_the_only_one() {
        let two = serde_json::json!({"sups": [{"server": "a"}, {"server": "b", "first": true}]});
        let settings = Settings::from_json(&two).expect("good");
        assert_eq!(settings.first_sup().and_then(|s| s.server.value().cloned()), Some("b".to_owned()));
        let unmarked = serde_json::json!({"sups": [{"server": "a"}, {"server": "b"}]});
        assert_eq!(Settings::from_json(&unmarked).expect("good").first_sup(), None);
    }
}
