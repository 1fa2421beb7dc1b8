//! The site's settings: registry of the site server, and the provider's classes in `root\SMS\site_<code>`.
//!
//! Class and property names are those of the Configuration Manager SDK; names inside `Props` are those of the site control file,
//! as `Get-CMSoftwareUpdatePointComponent` shows them. Values are in `Value` (a number), `Value1` or `Value2` (texts).
//! `UseParentWSUS` of a SUP is ignored: sources disagree on its meaning.

use supwatch_model::ids::SiteCode;
use supwatch_model::settings::{Component, Known, ListedSite, Proxy, SiteServer, Sup, SupStatus, WsusConsole, same_server};

use super::Sections;
use super::bag::{self, Bag, known};
use super::schedule;

const SUP_ROLE: &str = "SMS Software Update Point";
/// The role of every site system. Since 2012 it holds the proxy's name, and the SUP only says whether it uses the proxy.
const SYSTEM_ROLE: &str = "SMS Site System";

/// Origin of a dump.
pub(super) struct Own {
    /// The site: the one requested, else registry `Identification`, `Site Code`.
    pub(super) site: Option<SiteCode>,
    /// The computer on which the script ran.
    pub(super) computer: Option<String>,
    /// The site server: registry `Identification`, `Site Server`.
    server: Option<String>,
    /// Whether the site has a parent: `ReportingSiteCode` of its `SMS_Site`, empty at the top.
    has_parent: Option<bool>,
}

impl Own {
    pub(super) fn of(sections: &Sections<'_>, dump: Bag<'_>) -> Own {
        let identification = sections.bag("site");
        let site = code(dump, "site").or_else(|| identification.and_then(|bag| code(bag, "Site Code")));
        let row = sections.bags("sites").into_iter().find(|row| site.is_some() && code(*row, "SiteCode") == site);
        let has_parent = row.and_then(|row| {
            if row.is_empty("ReportingSiteCode") { Some(false) } else { code(row, "ReportingSiteCode").map(|_| true) }
        });
        let server = identification.and_then(|bag| bag.server("Site Server").value().cloned());
        Own { site, computer: dump.server("computer").value().cloned(), server, has_parent }
    }

    /// Whether a name is that of the computer on which the script ran.
    pub(super) fn is_here(&self, server: &str) -> bool {
        self.computer.as_deref().is_some_and(|computer| same_server(computer, server))
    }
}

fn code(bag: Bag<'_>, name: &str) -> Option<SiteCode> {
    bag.text(name)?.parse().ok().filter(|code| *code != SiteCode::UNKNOWN)
}

/// The site server. The console is reported only if the script ran there: it is installed if
/// `Microsoft.UpdateServices.Administration` can be loaded, which is also WCM's test; the version is that assembly's.
pub(super) fn site_server(sections: &Sections<'_>, own: &Own) -> Known<SiteServer> {
    let Some(server) = &own.server else { return Known::Unknown };
    let here = own.is_here(server);
    // The registry may have the bare name; the computer knows its full name.
    let fqdn = own.computer.as_ref().filter(|_| here).unwrap_or(server);
    let console = sections
        .bag("console")
        .filter(|_| here)
        .map(|bag| WsusConsole { installed: known(bag.boolean("Installed")), version: version(bag, "Version") });
    Known::Some(SiteServer { fqdn: Known::Some(fqdn.clone()), wsus_console: known(console) })
}

/// A version, such as 10.0.17763.1, without trailing text.
pub(super) fn version(bag: Bag<'_>, name: &str) -> Known<String> {
    if bag.is_empty(name) {
        return Known::None;
    }
    let text = bag.text(name).unwrap_or_default();
    let number = text.split_whitespace().next().unwrap_or_default();
    let good = number.contains('.') && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    known(good.then(|| number.to_owned()))
}

/// The properties of one or several objects; earlier objects take precedence.
struct Props<'a>(Vec<Bag<'a>>);

impl<'a> Props<'a> {
    fn of(objects: &[Bag<'a>]) -> Props<'a> {
        Props(objects.iter().flat_map(|object| object.bags("Props")).collect())
    }

    fn get(&self, name: &str) -> Option<Bag<'a>> {
        self.0.iter().copied().find(|prop| prop.text("PropertyName").is_some_and(|own| own.eq_ignore_ascii_case(name)))
    }

    fn flag(&self, name: &str) -> Known<bool> {
        known(self.get(name).and_then(|prop| prop.boolean("Value")))
    }

    fn port(&self, name: &str) -> Known<u16> {
        self.get(name).map_or(Known::Unknown, |prop| prop.port("Value"))
    }

    /// The text of a property, empty if it has none; `None` if there is no such property.
    fn text(&self, name: &str) -> Option<String> {
        let prop = self.get(name)?;
        Some(prop.text("Value2").or_else(|| prop.text("Value1")).unwrap_or_default())
    }

    fn server(&self, name: &str) -> Known<String> {
        match self.text(name) {
            Some(text) if text.is_empty() => Known::None,
            text => known(text.as_deref().and_then(bag::server)),
        }
    }

    /// A comma list.
    fn list(&self, name: &str) -> Known<Vec<String>> {
        let split = |text: String| -> Vec<String> { text.split(',').filter_map(language).collect() };
        known(self.text(name).map(split))
    }

    /// Whether an account is set: what the script computed, or whether a name is present. The name itself is dropped.
    fn is_set(&self, name: &str) -> Known<bool> {
        let Some(prop) = self.get(name) else { return Known::Unknown };
        let told = ["Value1", "Value2"].into_iter().filter(|value| prop.get(value).is_some());
        let by_name = told.map(|value| prop.text(value).is_some()).reduce(|one, other| one || other);
        known(prop.boolean("set").or(by_name))
    }
}

/// A language such as `en` or `zh-CN`.
pub(super) fn language(text: &str) -> Option<String> {
    let text = text.trim();
    let good = (2..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    good.then(|| text.to_owned())
}

/// Software update points: `SMS_SCI_SysResUse` with that `RoleName`, of this site. The provider returns no rows to an account
/// without rights, so a site is known to have no SUP only if its site systems are visible and none of them is one.
pub(super) fn sups(sections: &Sections<'_>, own: &Own) -> Known<Vec<Sup>> {
    let rows = sections.bags("sups");
    if rows.is_empty() {
        return Known::Unknown;
    }
    let first = configuration(sections, own).server("DefaultWSUS");
    let ours = |row: &&Bag<'_>| own.site.is_none() || code(**row, "SiteCode").is_none_or(|code| Some(code) == own.site);
    let role = |row: &Bag<'_>| row.text("RoleName").unwrap_or_else(|| SUP_ROLE.to_owned());
    let systems: Vec<Bag<'_>> = rows.iter().filter(|row| role(row) == SYSTEM_ROLE).copied().collect();
    Known::Some(rows.iter().filter(ours).filter(|row| role(row) == SUP_ROLE).map(|row| sup(*row, &first, &systems)).collect())
}

/// `NetworkOSPath` (`\\server`) names the server; `WSUSIISPort`, `WSUSIISSSLPort`, `SSLWSUS`, `IsINF`, `WSUSAccessAccount` are
/// its properties. The first one is the component's `DefaultWSUS`.
fn sup(row: Bag<'_>, first: &Known<String>, systems: &[Bag<'_>]) -> Sup {
    let server = row.server("NetworkOSPath");
    let props = Props::of(&[row]);
    let same = |system: &&Bag<'_>| match (server.value(), system.server("NetworkOSPath").value()) {
        (Some(server), Some(other)) => same_server(server, other),
        _ => false,
    };
    let system = Props::of(&systems.iter().filter(same).copied().collect::<Vec<Bag<'_>>>());
    let is_first = match (server.value(), first) {
        (Some(server), Known::Some(first)) => Known::Some(same_server(server, first)),
        _ => Known::Unknown,
    };
    Sup {
        first: is_first,
        names: Known::Unknown,
        http_port: props.port("WSUSIISPort"),
        https_port: props.port("WSUSIISSSLPort"),
        ssl: props.flag("SSLWSUS"),
        internet: props.flag("IsINF"),
        proxy: Known::Some(proxy(&props, &system)).filter_known(),
        connection_account: props.is_set("WSUSAccessAccount"),
        server,
    }
}

/// `UseProxy` of the SUP; `ProxyName`, `ProxyServerPort`, `UserName` and `AnonymousProxyAccess` of the SUP, else of its site
/// system.
fn proxy(sup: &Props<'_>, system: &Props<'_>) -> Proxy {
    let holder =
        if sup.text("ProxyName").is_some_and(|name| !name.is_empty()) || system.get("ProxyName").is_none() { sup } else { system };
    let account = match (holder.is_set("UserName"), holder.flag("AnonymousProxyAccess")) {
        (Known::Unknown, Known::Some(anonymous)) => Known::Some(!anonymous),
        (set, _) => set,
    };
    Proxy { enabled: sup.flag("UseProxy"), server: holder.server("ProxyName"), port: holder.port("ProxyServerPort"), account }
}

/// A part whose fields are all unknown is unknown itself.
pub(super) trait Told {
    fn filter_known(self) -> Self;
}

impl<T: Default + PartialEq> Told for Known<T> {
    fn filter_known(self) -> Known<T> {
        match self {
            Known::Some(part) if part == T::default() => Known::Unknown,
            part => part,
        }
    }
}

/// SMS_WSUS_CONFIGURATION_MANAGER: a site may have an object for each server; the site server's own takes precedence.
fn configuration<'a>(sections: &Sections<'a>, own: &Own) -> Props<'a> {
    let mut objects = sections.bags("configuration_manager");
    objects.sort_by_key(|object| {
        let item = object.text("ItemName").unwrap_or_default();
        let server = item.split_once('|').and_then(|(_, server)| bag::server(server));
        !matches!((&server, &own.server), (Some(server), Some(own)) if same_server(server, own))
    });
    Props::of(&objects)
}

/// `SMS_SCI_Component` SMS_WSUS_CONFIGURATION_MANAGER and SMS_WSUS_SYNC_MANAGER, the subscribed `SMS_UpdateCategoryInstance`,
/// and WCM's `ConfigurationState` in the registry.
pub(super) fn component(sections: &Sections<'_>, own: &Own) -> Known<Component> {
    let props = configuration(sections, own);
    let source = props.get("DefaultUseParentWSUS").and_then(|prop| prop.number("Value"));
    let (sync_source, upstream) = match source {
        Some(0) => (Known::Some("microsoft-update".to_owned()), Known::None),
        Some(1) => (Known::Some("upstream".to_owned()), upstream(&props)),
        Some(2) => (Known::Some("none".to_owned()), Known::None),
        _ => (Known::Unknown, Known::Unknown),
    };
    let schedule = Props::of(&sections.bags("sync_manager")).text("Sync Schedule");
    let state = sections.bag("wcm_state");
    Known::Some(Component {
        sync_source,
        upstream,
        schedule_hours: schedule.map_or(Known::Unknown, |token| schedule::hours(&token)),
        languages: props.list("SupportedUpdateLanguages"),
        summary_languages: props.list("SupportedTitleLanguages"),
        classifications: subscribed(sections, own, &["UpdateClassification"]),
        products: subscribed(sections, own, &["Product", "ProductFamily"]),
        // The alert is an object of its own, and only its localized name distinguishes it from others.
        alert_on_failure: Known::Unknown,
        first_sup: props.server("DefaultWSUS"),
        configuration_state: state.map_or(Known::Unknown, |state| state.fit("ConfigurationState")),
    })
    .filter_known()
}

/// `ParentWSUS`, `ParentWSUSPort` and `SSLToParentWSUS` as a URL.
fn upstream(props: &Props<'_>) -> Known<String> {
    let text = props.text("ParentWSUS").unwrap_or_default();
    let Known::Some(server) = props.server("ParentWSUS") else { return props.server("ParentWSUS") };
    let ssl = props.flag("SSLToParentWSUS") == Known::Some(true) || text.starts_with("https://");
    let scheme = if ssl { "https" } else { "http" };
    let inside = text.rsplit_once(':').and_then(|(_, port)| port.trim_end_matches('/').parse::<u16>().ok());
    match props.port("ParentWSUSPort").value().copied().or(inside) {
        Some(port) => Known::Some(format!("{scheme}://{server}:{port}")),
        None => Known::Some(format!("{scheme}://{server}")),
    }
}

/// `LocalizedCategoryInstanceName`, else the id in `CategoryInstance_UniqueID`, of a given `CategoryTypeName`. A child also sees
/// the top site's subscription: its own entries have itself as `SourceSite`, and without any it has no filters of its own.
fn subscribed(sections: &Sections<'_>, own: &Own, types: &[&str]) -> Known<Vec<String>> {
    let rows = sections.bags("categories");
    if rows.is_empty() {
        return Known::Unknown;
    }
    let is_top = own.has_parent == Some(false);
    let names: Vec<String> = rows
        .into_iter()
        .filter(|row| is_top || code(*row, "SourceSite").is_some_and(|source| Some(source) == own.site))
        .filter(|row| types.iter().any(|name| category_type(*row).eq_ignore_ascii_case(name)))
        .filter_map(|row| row.text("LocalizedCategoryInstanceName").or_else(|| category_id(row)))
        .collect();
    if names.is_empty() && !is_top { Known::Unknown } else { Known::Some(names) }
}

fn category_type(row: Bag<'_>) -> String {
    let id = row.text("CategoryInstance_UniqueID").unwrap_or_default();
    row.text("CategoryTypeName").unwrap_or_else(|| id.split(':').next().unwrap_or_default().to_owned())
}

/// The id without its type: `Product:<GUID>`.
pub(super) fn category_id(row: Bag<'_>) -> Option<String> {
    let id = row.text("CategoryInstance_UniqueID")?;
    Some(id.rsplit(':').next().unwrap_or_default().trim_matches(['{', '}']).to_lowercase())
}

/// `SMS_Site`; at the top site it lists every site of the hierarchy.
pub(super) fn sites(sections: &Sections<'_>) -> Known<Vec<ListedSite>> {
    let listed = |row: Bag<'_>| ListedSite {
        site: known(code(row, "SiteCode")),
        parent: if row.is_empty("ReportingSiteCode") { Known::None } else { known(code(row, "ReportingSiteCode")) },
        type_number: row.fit("Type"),
        server: row.server("ServerName"),
    };
    Known::Some(sections.bags("sites").into_iter().map(listed).filter(|row| !row.site.is_unknown()).collect()).filter_known()
}

/// `SMS_SUPSyncStatus`; at the top site it covers the whole hierarchy. `LastSyncErrorCode` is unsigned there.
pub(super) fn sup_status(sections: &Sections<'_>) -> Known<Vec<SupStatus>> {
    let status = |row: Bag<'_>| SupStatus {
        site: known(code(row, "SiteCode")),
        server: row.server("WSUSServerName"),
        source: match row.text("WSUSSourceServer") {
            Some(source) if source.eq_ignore_ascii_case("Microsoft Update") => Known::Some("Microsoft Update".to_owned()),
            _ => row.server("WSUSSourceServer"),
        },
        state: row.fit("LastSyncState"),
        error: row.fit("LastSyncErrorCode"),
        catalog_version: row.fit("SyncCatalogVersion"),
        last_success_at: row.time("LastSuccessfulSyncTime"),
    };
    Known::Some(sections.bags("sup_status").into_iter().map(status).collect()).filter_known()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::settings::dump::{SCHEMA, snapshot};

    #[track_caller]
    fn check(sections: Value, pointer: &str, expected: Option<Value>) {
        let dump = json!({"schema": SCHEMA, "computer": "p01.corp.example", "site": "P01", "sections": sections});
        assert_eq!(snapshot(&dump).pointer(pointer).cloned(), expected, "{pointer} of {sections}");
    }

    fn read(data: Value) -> Value {
        json!({"ok": true, "data": data})
    }

    #[test]
    fn a_site_without_sup_differs_from_one_whose_roles_are_hidden() {
        let system = json!({"RoleName": "SMS Site System", "SiteCode": "P01", "NetworkOSPath": "\\\\p01"});
        let of_child = json!({"RoleName": "SMS Software Update Point", "SiteCode": "S01", "NetworkOSPath": "\\\\s01"});
        check(json!({"sups": read(json!([]))}), "/sups", None);
        check(json!({"sups": {"ok": false, "data": [system]}}), "/sups", None);
        check(json!({"sups": read(json!([system, of_child]))}), "/sups", Some(json!([])));
    }

    #[test]
    fn the_source_is_a_number_and_everything_else_is_not_known() {
        for (value, expected) in [
            (json!(0), Some(json!("microsoft-update"))),
            (json!("1"), Some(json!("upstream"))),
            (json!(2), Some(json!("none"))),
            (json!(3), None),
            (json!(null), None),
        ] {
            let props = json!([{"PropertyName": "DefaultUseParentWSUS", "Value": value}]);
            check(json!({"configuration_manager": read(json!({"Props": props}))}), "/component/sync_source", expected);
        }
    }

    #[test]
    fn a_child_takes_no_filters_of_its_parent_for_its_own() {
        let category = |source: &str| json!({"CategoryInstance_UniqueID": "Product:1", "LocalizedCategoryInstanceName": "Windows", "SourceSite": source});
        let site = |parent: &str| read(json!({"SiteCode": "P01", "ReportingSiteCode": parent}));
        let sections = |parent: &str, source: &str| json!({"sites": site(parent), "categories": read(category(source))});
        check(sections("CEN", "CEN"), "/component/products", None);
        check(sections("CEN", "P01"), "/component/products", Some(json!(["Windows"])));
        check(sections("", "OLD"), "/component/products", Some(json!(["Windows"])));
        check(sections("", "OLD"), "/component/classifications", Some(json!([])));
    }
}
