//! A child's first SUP synchronises from its parent's first SUP; a further SUP from its own site's first one. Source:
//! documentation, planning for software update points; the article, "WSUS server not configured".

use std::borrow::Cow;

use super::{Failure, Judged, Rule, Scene, name_of, no_parent, no_setting, no_settings, setting};
use crate::hierarchy::{Parent, Site};
use serde_json::json;
use supwatch_model::describe::Generation;
use supwatch_model::finding::Evidence;
use supwatch_model::settings::{Known, Settings, Sup, Upstream, Wsus};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "child-upstream",
    severity: Severity::Critical,
    title: (
        "each SUP synchronises from the one above it",
        "各ソフトウェアの更新ポイントが一つ上のソフトウェアの更新ポイントから同期する",
    ),
    why: (
        "A SUP that synchronises from anywhere else gets different updates from its hierarchy, or none.",
        "別の場所から同期するソフトウェアの更新ポイントは、階層と異なる更新を受け取るか、まったく受け取りません。",
    ),
    looks_at: &["wsus[].upstream", "wsus[].sync_from_microsoft_update", "sups[first] above"],
    fix: &[
        (
            "On the child's WSUS server, open the WSUS console: Options > Update Source and Proxy Server, and set the name and port of the parent's first SUP, with SSL if that one uses SSL.",
            "子サイトの WSUS サーバーで WSUS コンソールの[オプション]>[更新ソースとプロキシ サーバー]を開き、親サイトの最初のソフトウェアの更新ポイントの名前とポート (SSL を使用している場合は SSL も) を設定してください。",
        ),
        (
            "WSUS Configuration Manager sets the same every 60 minutes; if it does not, WCM.log of the child says why.",
            "WSUS Configuration Manager は 60 分ごとに同じ設定を行います。行われない場合は、子サイトの WCM.log に理由が記録されています。",
        ),
    ],
    source: "the article, \"WSUS server not configured\"; documentation: plan for software update points",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let first_path = &["wsus[first].upstream"];
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => {
            let concerned = scene.is_top() != Some(true)
                && scene.hierarchy.site_type(site.code) != Some(supwatch_model::describe::SiteType::Secondary);
            return if concerned { vec![Judged::unknown(first_path, vec![missing])] } else { Vec::new() };
        }
    };
    if site.has_no_sup() {
        return Vec::new();
    }
    let Some(sups) = settings.sups.value() else {
        return if scene.is_top() == Some(true) {
            Vec::new()
        } else {
            vec![Judged::unknown(first_path, vec![no_setting(site.code, "sups")])]
        };
    };
    sups.iter().filter_map(|sup| judge_sup(scene, settings, sup)).collect()
}

fn judge_sup(scene: &Scene<'_>, settings: &Settings, sup: &Sup) -> Option<Judged> {
    let (site, name) = (scene.site, name_of(sup));
    let path = format!("wsus[{name}].upstream");
    let looked_at = std::slice::from_ref(&path);
    let unknown = |missing| Some(Judged::unknown(looked_at, vec![missing]).of(name));
    let first = match settings.first_sup() {
        Some(first) if first == sup => true,
        Some(_) if settings.wsus_of(sup).is_some() => match settings.shares_database_with_first(sup) {
            Some(shares) => shares,
            None => return unknown(no_setting(site.code, &format!("wsus[{name}].database"))),
        },
        _ => false,
    };
    let above = if first {
        match scene.hierarchy.parent(site.code) {
            Parent::Top => return None,
            Parent::Unknown => return unknown(no_parent(site.code)),
            Parent::Of(parent) => match scene.hierarchy.site(parent) {
                Some(parent) if parent.settings().is_some() => parent,
                _ => return unknown(no_settings(parent)),
            },
        }
    } else {
        site
    };
    let Some(wanted) = above.first_sup() else { return unknown(no_setting(above.code, "sups[first]")) };
    let Some(wsus) = settings.wsus_of(sup) else { return unknown(no_setting(site.code, &format!("wsus[{name}]"))) };
    Some(judge_edge(scene, &Edge { above, wanted, sup, wsus, path: &path }).of(name))
}

struct Edge<'a> {
    above: &'a Site,
    wanted: &'a Sup,
    sup: &'a Sup,
    wsus: &'a Wsus,
    path: &'a str,
}

/// Each step returns its verdict, or `None` to leave it to the next.
fn judge_edge(scene: &Scene<'_>, edge: &Edge<'_>) -> Judged {
    filled_by_hand(scene, edge).or_else(|| from_microsoft(scene, edge)).unwrap_or_else(|| judge_upstream(scene, edge))
}

/// The upstream server's name, then SSL, then the port: the first difference is the finding.
fn judge_upstream(scene: &Scene<'_>, edge: &Edge<'_>) -> Judged {
    let upstream = match &edge.wsus.upstream {
        Known::Some(upstream) => upstream,
        Known::Unknown => return edge.unknown(no_setting(scene.site.code, edge.path)),
        Known::None => {
            let what = Text::new("has no upstream server", "上流サーバーが設定されていません");
            return edge.fail(scene, what, vec![setting(scene.site, edge.path, json!(null))]);
        }
    };
    let name = judge_server(scene, edge, upstream).or_else(|| judge_ssl(scene, edge, upstream));
    name.unwrap_or_else(|| judge_port(scene, edge, upstream))
}

/// In 2007 an internet SUP that cannot reach the active one is filled by export and import, whatever its source is set to.
fn filled_by_hand(scene: &Scene<'_>, edge: &Edge<'_>) -> Option<Judged> {
    let may_be_filled_by_hand =
        scene.generation() == Generation::Cm2007 && edge.above.code == scene.site.code && edge.sup.internet == Known::Some(true);
    let takes_from_none_here = edge.wsus.sync_from_microsoft_update == Known::Some(true)
        || edge.wsus.upstream.value().is_none_or(|upstream| upstream.server.value().is_none());
    if !(may_be_filled_by_hand && takes_from_none_here) {
        return None;
    }
    let name = name_of(edge.sup);
    Some(edge.unknown(Text::new(
        format!("whether {name} is disconnected and filled by wsusutil export and import"),
        format!("{name} が切断されたソフトウェアの更新ポイントで、wsusutil の export と import で更新されているかどうか"),
    )))
}

fn from_microsoft(scene: &Scene<'_>, edge: &Edge<'_>) -> Option<Judged> {
    let path = edge.path.replace(".upstream", ".sync_from_microsoft_update");
    match edge.wsus.sync_from_microsoft_update {
        Known::Some(true) => {
            let what = Text::new("takes from Microsoft Update", "Microsoft Update から同期しています");
            Some(edge.fail(scene, what, vec![setting(scene.site, path, true)]))
        }
        // The upstream name stays set while WSUS synchronises from Microsoft Update.
        ref known if known.is_unknown() => Some(edge.unknown(no_setting(scene.site.code, &path))),
        _ => None,
    }
}

fn judge_server(scene: &Scene<'_>, edge: &Edge<'_>, upstream: &Upstream) -> Option<Judged> {
    let path = format!("{}.server", edge.path);
    let Some(server) = upstream.server.value() else {
        return Some(edge.unknown(no_setting(scene.site.code, &path)));
    };
    if edge.wanted.server.is_unknown() {
        return Some(edge.unknown(no_setting(edge.above.code, "sups[first].server")));
    }
    if edge.wanted.has_name(server) {
        return None;
    }
    let evidence = setting(scene.site, path, server.as_str());
    if is_another_server(scene, server) {
        let what = Text::new(format!("takes from {server}"), format!("{server} から同期しています"));
        return Some(edge.fail(scene, what, vec![evidence]));
    }
    let (above, sup, wanted, site) = (edge.above.code, name_of(edge.sup), name_of(edge.wanted), scene.site.code);
    let summary = Text::new(
        format!(
            "SUP {sup} of {site} takes from {server}, which is no known name of {above}'s SUP {wanted}; \
             if it is an alias, list it under sups[].names of {above}"
        ),
        format!(
            "{site} のソフトウェアの更新ポイント {sup} は {server} から同期していますが、{above} のソフトウェアの更新ポイント {wanted} の既知の名前ではありません。\
             別名であれば {above} の sups[].names に書いてください"
        ),
    );
    Some(Judged::fail(&edge.looked_at(), Failure::new(Severity::Warning, summary).shown_by([evidence])))
}

fn judge_ssl(scene: &Scene<'_>, edge: &Edge<'_>, upstream: &Upstream) -> Option<Judged> {
    let (ssl, wanted) = (*upstream.ssl.value()?, *edge.wanted.ssl.value()?);
    if ssl == wanted {
        return None;
    }
    let what = if ssl {
        Text::new("uses SSL, which that SUP does not", "SSL を使用しています (相手は使用していません)")
    } else {
        Text::new("does not use SSL, which that SUP does", "SSL を使用していません (相手は使用しています)")
    };
    let evidence = vec![
        setting(scene.site, format!("{}.ssl", edge.path), ssl),
        setting(edge.above, format!("sups[{}].ssl", name_of(edge.wanted)), wanted),
    ];
    Some(edge.fail(scene, what, evidence))
}

fn judge_port(scene: &Scene<'_>, edge: &Edge<'_>, upstream: &Upstream) -> Judged {
    let (path, wanted_sup) = (format!("{}.port", edge.path), name_of(edge.wanted));
    let wanted = match upstream.ssl.value().or(edge.wanted.ssl.value()) {
        Some(true) => edge.wanted.https_port.value(),
        Some(false) => edge.wanted.http_port.value(),
        None => None,
    };
    match (upstream.port.value(), wanted) {
        (Some(port), Some(wanted)) if port != wanted => {
            let what = Text::new(
                format!("uses port {port} instead of {wanted}"),
                format!("ポート {wanted} ではなく {port} を使用しています"),
            );
            let evidence =
                vec![setting(scene.site, path, *port), setting(edge.above, format!("sups[{wanted_sup}].port"), json!(wanted))];
            edge.fail(scene, what, evidence)
        }
        (Some(_), Some(_)) => Judged::pass(&edge.looked_at()),
        (None, _) => edge.unknown(no_setting(scene.site.code, &path)),
        (_, None) => edge.unknown(no_setting(edge.above.code, &format!("sups[{wanted_sup}].http_port"))),
    }
}

impl Edge<'_> {
    fn looked_at(&self) -> [Cow<'static, str>; 2] {
        [Cow::Owned(self.path.to_owned()), Cow::Borrowed("sups[first] above")]
    }

    fn unknown(&self, missing: Text) -> Judged {
        Judged::unknown(&self.looked_at(), vec![missing])
    }

    fn fail(&self, scene: &Scene<'_>, what: Text, evidence: Vec<Evidence>) -> Judged {
        let (sup, site, wanted, above) = (name_of(self.sup), scene.site.code, name_of(self.wanted), self.above.code);
        let summary = Text::new(
            format!("SUP {sup} of {site} must take from {wanted} of {above}, but {}", what.en),
            format!("{site} のソフトウェアの更新ポイント {sup} は {above} の {wanted} から同期しなければなりませんが、{}", what.ja),
        );
        Judged::fail(&self.looked_at(), Failure::new(Severity::Critical, summary).shown_by(evidence))
    }
}

/// Whether a name is known to be some other server of the hierarchy; an unknown name may be an alias.
fn is_another_server(scene: &Scene<'_>, name: &str) -> bool {
    scene.hierarchy.sites.values().any(|site| {
        let server = scene.hierarchy.server(site.code).is_some_and(|server| supwatch_model::settings::same_server(server, name));
        let sup = site
            .settings()
            .and_then(|settings| settings.sups.value())
            .is_some_and(|sups| sups.iter().any(|sup| sup.has_name(name)));
        server || sup
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy, push};
    use serde_json::{Value, json};

    fn world(upstream: Value) -> World {
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["upstream"] = upstream;
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .primary("P02", "CEN")
            .settings("CEN", healthy("cen", None))
            .settings("P01", settings)
            .settings("P02", healthy("p02", Some("cen")))
    }

    #[test]
    fn the_parents_first_sup_with_its_port_passes_under_any_of_its_names() {
        for name in ["cen.corp.example", "CEN", "Cen.Corp.Example"] {
            world(json!({"server": name, "port": 8530, "ssl": false})).check("child-upstream", "P01 pass, P02 pass");
        }
    }

    #[test]
    fn another_server_port_or_ssl_fails() {
        world(json!({"server": "p02.corp.example", "port": 8530, "ssl": false})).check("child-upstream", "P01 fail, P02 pass");
        world(json!({"server": "cen", "port": 80, "ssl": false})).check("child-upstream", "P01 fail, P02 pass");
        world(json!({"server": "cen", "port": 8531, "ssl": true})).check("child-upstream", "P01 fail, P02 pass");
    }

    #[test]
    fn an_unknown_name_is_reported_and_missing_settings_are_unknown() {
        world(json!({"server": "wsus-alias", "port": 8530, "ssl": false})).check("child-upstream", "P01 fail, P02 pass");
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("P01", healthy("p01", Some("cen")))
            .check("child-upstream", "P01 unknown");
        World::new().central("CEN").primary("P01", "CEN").check("child-upstream", "P01 unknown");
    }

    #[test]
    fn microsoft_update_at_a_child_fails() {
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["sync_from_microsoft_update"] = json!(true);
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("CEN", healthy("cen", None))
            .settings("P01", settings)
            .check("child-upstream", "P01 fail");
    }

    #[test]
    fn a_further_sup_takes_from_the_first_of_its_site() {
        let mut settings = healthy("cen", None);
        settings["sups"][0]["first"] = json!(true);
        push(&mut settings["sups"], json!({"server": "cen2.corp.example"}));
        push(
            &mut settings["wsus"],
            json!({"server": "cen2.corp.example", "sync_from_microsoft_update": false, "upstream": {"server": "cen", "port": 8530, "ssl": false}}),
        );
        World::new().central("CEN").settings("CEN", settings.clone()).check("child-upstream", "CEN pass");
        settings["wsus"][1]["upstream"]["port"] = json!(80);
        World::new().central("CEN").settings("CEN", settings).check("child-upstream", "CEN fail");
    }
}
