//! The settings of a site as a snapshot, in the form of `Get-SyncSettings.ps1` and the contract.

use serde_json::{Map, Value, json};

use crate::stamp::utc;
use crate::world::{CLASSIFICATIONS, Category, PRODUCTS, Point, Proxy, Seconds, Site, Titles, Upstream, World};

/// When the newest snapshot of a site was taken. An agent takes one after each check of WCM, so no line of WCM is newer.
pub fn taken_at(world: &World, site: usize) -> Seconds {
    let own = &world.sites[site];
    let looked = own.wcm.last().filter(|_| own.tells_wcm).map_or(0, |line| line.at + 1);
    (world.now - own.snapshot_age).max(world.first_run - 60).max(looked).min(world.now)
}

/// A time in the script's form, by the site server's clock; a request for a given time gets values older than that.
fn stamped(world: &World, own: &Site, at: Seconds) -> String {
    let latest = if world.judged_at_now { world.now } else { Seconds::MAX };
    utc((at + own.clock).min(latest))
}

/// The newest snapshot of a site.
pub fn newest(world: &World, site: usize) -> Value {
    let own = &world.sites[site];
    let at = taken_at(world, site);
    let mut all = json!({
        "schema": "supwatch/settings/v1", "site": own.code, "taken_at": stamped(world, own, at), "source": "wsus-api",
        "site_server": {
            "fqdn": own.server,
            "wsus_console": if own.console { json!({"installed": true, "version": own.points.first().map(|point| &point.version)}) }
                else { json!({"installed": false, "version": null}) },
        },
        "sups": own.points.iter().enumerate().map(|(number, point)| role(point, number == 0)).collect::<Vec<_>>(),
        "component": component(world, own),
        "wsus": own.points.iter().enumerate().map(|(number, point)| wsus(own, point, number == 0, at)).collect::<Vec<_>>(),
    });
    if own.parent.is_none() {
        all["sup_status"] = status(world, at);
    }
    for path in &own.lacks {
        remove(&mut all, path);
    }
    all
}

/// The previous snapshot, if languages were added since.
pub fn earlier(world: &World, site: usize) -> Option<(String, Value)> {
    let own = &world.sites[site];
    let summary = own.earlier_summary.as_ref()?;
    let at = world.last_wave() - 3600;
    let mut all = newest(world, site);
    all["taken_at"] = json!(stamped(world, own, at));
    all["component"]["summary_languages"] = json!(summary);
    for wsus in all["wsus"].as_array_mut().expect("a list") {
        let had = |language: &Value| {
            let language = language.as_str().unwrap_or_default();
            summary.contains(&language) || own.component.languages.contains(&language)
        };
        let list = wsus["languages"].as_array().expect("languages").iter().filter(|one| had(one)).cloned().collect::<Vec<_>>();
        wsus["languages"] = json!(list);
    }
    all.as_object_mut().expect("an object").remove("sup_status");
    Some((format!("settings-{}.json", utc(at).replace(':', "-")), all))
}

/// Removes a field; in lists, from every element.
fn remove(all: &mut Value, path: &str) {
    if path == "sups.first" {
        return remove(all, "sups/first");
    }
    let mut parts: Vec<&str> = path.split(['.', '/']).collect();
    let last = parts.pop().expect("a field");
    let mut at = vec![all];
    for part in parts {
        at = at
            .into_iter()
            .filter_map(|value| value.get_mut(part))
            .flat_map(|value| match value {
                Value::Array(list) => list.iter_mut().collect::<Vec<_>>(),
                other => vec![other],
            })
            .collect();
    }
    for value in at {
        if let Some(object) = value.as_object_mut() {
            object.remove(last);
        }
    }
}

fn role(point: &Point, first: bool) -> Value {
    json!({
        "server": point.role_name, "names": point.aliases, "first": first, "http_port": point.http, "https_port": point.https,
        "ssl": point.ssl, "internet": point.internet, "proxy": proxy(point.role_proxy.as_ref()),
    })
}

fn proxy(proxy: Option<&Proxy>) -> Value {
    match proxy {
        Some(Proxy { server, port, account }) => json!({"enabled": true, "server": server, "port": port, "account": account}),
        None => json!({"enabled": false, "server": null, "port": null, "account": false}),
    }
}

fn component(world: &World, own: &Site) -> Value {
    let component = &own.component;
    let mut all = Map::new();
    all.insert("sync_source".into(), json!(component.source));
    if let Some(upstream) = &component.upstream {
        all.insert("upstream".into(), json!(upstream));
    }
    if own.parent.is_none() {
        all.insert("schedule_hours".into(), json!(world.gap));
        all.insert("alert_on_failure".into(), json!(true));
    }
    all.insert("languages".into(), json!(component.languages));
    if let Some(summary) = &component.summary {
        all.insert("summary_languages".into(), json!(summary));
    }
    if let Some(list) = &component.classifications {
        all.insert("classifications".into(), titles(own, list, CLASSIFICATIONS));
    }
    if let Some(list) = &component.products {
        all.insert("products".into(), titles(own, list, PRODUCTS));
    }
    Value::Object(all)
}

fn titles(own: &Site, list: &[usize], all: &[Category]) -> Value {
    let shown = |at: &usize| {
        let category = &all[*at];
        match own.titles {
            Titles::Names => json!(category.title(own.tongue)),
            Titles::Ids => json!(category.id),
            Titles::Both => json!({"id": category.id, "name": category.title(own.tongue)}),
        }
    };
    list.iter().map(shown).collect()
}

fn wsus(own: &Site, point: &Point, first: bool, at: Seconds) -> Value {
    let upstream = |Upstream { server, port, ssl }: &Upstream| json!({"server": server, "port": port, "ssl": ssl});
    let mut all = json!({
        "server": point.wsus_name, "version": point.version, "sync_from_microsoft_update": point.from_microsoft,
        "is_replica": point.replica, "upstream": point.upstream.as_ref().map(upstream), "proxy": proxy(point.proxy.as_ref()),
        "languages": point.languages, "all_languages": point.all_languages,
        "classifications": titles(own, &point.classifications, CLASSIFICATIONS),
        "products": titles(own, &point.products, PRODUCTS),
        "website": {"http_port": point.web_http, "https_port": point.web_https, "ssl_virtual_directories": point.ssl_directories},
        "services": point.services.iter().map(|(name, state)| ((*name).to_owned(), json!(state))).collect::<Map<_, _>>(),
        "app_pool": {"state": point.pool.0, "private_memory_limit_kb": point.pool.1, "queue_length": point.pool.2},
        "virtual_directories": {
            "ApiRemoting30": {"status": point.api_status, "authenticated": point.api_authenticated},
            "DssAuthWebService": {"status": point.dss_status, "authenticated": false},
        },
        "database": {"server": point.database.0, "shared": point.database.1},
    });
    if let Some(sync) = synchronisation(own, point, first, at) {
        all["wsus_sync"] = sync;
    }
    let certificate = point.certificate.as_ref().map(|(names, end)| json!({"names": names, "expires_at": utc(*end)}));
    if let Some(outcome) = point.reach {
        let answers = outcome == "answers";
        all["reach"] = json!({
            "host": point.role_name, "port": point.port(), "ssl": point.ssl, "outcome": outcome,
            "status": answers.then_some(200), "clock_offset_s": answers.then_some(0),
        });
    } else if certificate.is_some() {
        all["reach"] = json!({"host": point.role_name, "port": point.port(), "ssl": true, "outcome": "answers", "status": 200});
    }
    if let Some(certificate) = certificate {
        all["reach"]["certificate"] = certificate;
    }
    all
}

/// The newest synchronisation of a WSUS before a given time.
fn synchronisation(own: &Site, point: &Point, first: bool, at: Seconds) -> Option<Value> {
    if let Some((from, runs)) = point.outside.filter(|(from, _)| *from <= at) {
        let status = if runs { "running" } else { "not-processing" };
        let end = (!runs).then(|| utc(from + 400));
        return Some(
            json!({"status": status, "last_result": "succeeded", "started_at": utc(from), "last_end": end, "started_manually": true}),
        );
    }
    if !first {
        return None;
    }
    let run = own.runs.iter().rev().find(|run| run.wsus_from <= at && (run.succeeded || run.wsus_to > run.wsus_from))?;
    let runs = run.wsus_to > at;
    let before = own.runs.iter().rev().find(|run| run.wsus_to <= at && run.succeeded);
    let ended = if runs { before.map(|run| run.wsus_to) } else { Some(run.wsus_to) };
    let result = if ended.is_some() { "succeeded" } else { "never-run" };
    Some(json!({
        "status": if runs { "running" } else { "not-processing" }, "last_result": result, "started_at": utc(run.wsus_from),
        "last_end": ended.map(utc), "started_manually": true,
    }))
}

/// The top site's provider's report about every software update point.
fn status(world: &World, at: Seconds) -> Value {
    let row = |own: &Site| {
        let point = own.points.first()?;
        let ended = own.runs.iter().rev().find(|run| run.ended <= at);
        let success = own.runs.iter().rev().find(|run| run.ended <= at && run.succeeded);
        let runs = own.runs.iter().any(|run| run.wsus_from <= at && at < run.ended);
        let state = match ended {
            _ if runs => 6704,
            Some(run) if run.succeeded => 6702,
            Some(_) => 6703,
            None => return None,
        };
        let source = point.upstream.as_ref().filter(|_| !point.from_microsoft).map_or("Microsoft Update", |up| up.server.as_str());
        Some(json!({
            "site": own.code, "server": point.role_name, "source": source, "state": state,
            "error": if state == 6703 { -2_146_233_088_i64 } else { 0 },
            "catalog_version": success.map(|run| run.version), "last_success_at": success.map(|run| utc(run.ended)),
        }))
    };
    world.sites.iter().filter_map(row).collect()
}
