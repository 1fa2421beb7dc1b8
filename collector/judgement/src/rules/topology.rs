//! The hierarchy is a tree: one top site, no cycles, one active site server per code, secondary sites without children. Source:
//! documentation of hierarchy design; every other rule relies on it.

use std::collections::BTreeSet;

use super::{Failure, Judged, Rule, Scene, no_parent};
use crate::hierarchy::Parent;
use supwatch_model::describe::SiteType;
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::same_server;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "topology",
    severity: Severity::Critical,
    title: ("the hierarchy is one tree", "階層が一つの木になっている"),
    why: (
        "Updates flow from one top site down. Two top sites, a cycle, or two servers with one site code mean that what is monitored is not what is running.",
        "更新は一つの最上位サイトから下へ流れます。最上位が二つある、循環している、一つのサイト コードを二台のサーバーが名乗る場合、監視対象と実態が一致していません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "Compare type and parent in each site's site.toml with the console: Administration > Site Configuration > Sites.",
            "各サイトの site.toml の type と parent を、コンソールの[管理]>[サイトの構成]>[サイト]と比較してください。",
        ),
        (
            "If two servers claim one site code, mark the passive site server with passive = true in its site.toml, or correct the code.",
            "二台のサーバーが同じサイト コードを名乗っている場合は、パッシブ サイト サーバーの site.toml に passive = true と書くか、コードを訂正してください。",
        ),
    ],
    source: "documentation: design a hierarchy of sites",
    watcher: false,
    judge,
};

const LOOKED_AT: &[&str] = &["site.toml", "hierarchy.toml"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let problem =
        two_servers(scene).or_else(|| cycle(scene)).or_else(|| two_tops(scene)).or_else(|| secondary_with_children(scene));
    if let Some(summary) = problem {
        let failure = Failure::new(Severity::Critical, summary);
        return vec![Judged::fail(LOOKED_AT, failure)];
    }
    vec![parent_known(scene)]
}

fn parent_known(scene: &Scene<'_>) -> Judged {
    let (code, hierarchy) = (scene.site.code, scene.hierarchy);
    let parent = match hierarchy.parent(code) {
        Parent::Top => return Judged::pass(LOOKED_AT),
        Parent::Unknown => return Judged::unknown(LOOKED_AT, vec![no_parent(code)]),
        Parent::Of(parent) => parent,
    };
    let listed = &hierarchy.expected.sites;
    if !listed.is_empty() && !listed.iter().any(|site| site.code == parent) {
        let summary = Text::new(
            format!("{code} names {parent} as its parent, which hierarchy.toml does not list"),
            format!("{code} は親サイトを {parent} としていますが、hierarchy.toml にありません"),
        );
        return Judged::fail(LOOKED_AT, Failure::new(Severity::Critical, summary));
    }
    // A parent that a log merely implies exists in the hierarchy only as a name.
    let reported =
        hierarchy.site(parent).is_some_and(|site| !site.descriptions.is_empty()) || listed.iter().any(|site| site.code == parent);
    if reported {
        Judged::pass(LOOKED_AT)
    } else {
        let missing =
            Text::new(format!("anything from {parent}, the parent of {code}"), format!("{code} の親サイト {parent} の情報"));
        Judged::unknown(LOOKED_AT, vec![missing])
    }
}

/// A passive site server, or an agent on a software update point that reports no server, claims no site code.
fn two_servers(scene: &Scene<'_>) -> Option<Text> {
    let mut servers: Vec<&str> = Vec::new();
    // An agent that another replaced a week ago claims nothing any more.
    let seen = |id| scene.hierarchy.agents.get(id).and_then(|agent| agent.last_seen_at);
    let newest = scene.site.descriptions.keys().filter_map(seen).max();
    let replaced = |id| newest.zip(seen(id)).is_some_and(|(newest, at)| newest.duration_since(at) > super::agent_silent::REPLACED);
    let claims_nothing = |id, passive: bool| passive || (scene.live && replaced(id));
    let claims = scene.site.descriptions.iter().filter(|(id, description)| !claims_nothing(*id, description.passive));
    for (_, description) in claims {
        if let Some(server) = &description.server
            && !servers.iter().any(|known| same_server(known, server))
        {
            servers.push(server);
        }
    }
    let code = scene.site.code;
    (servers.len() > 1).then(|| {
        let list = servers.join(", ");
        Text::new(
            format!("{code} is claimed by {} active site servers: {list}", servers.len()),
            format!("{code} を {} 台のアクティブなサイト サーバーが名乗っています: {list}", servers.len()),
        )
    })
}

fn cycle(scene: &Scene<'_>) -> Option<Text> {
    let code = scene.site.code;
    let mut way: Vec<SiteCode> = vec![code];
    let mut at = code;
    while let Parent::Of(parent) = scene.hierarchy.parent(at) {
        if parent == code {
            let shown = way.iter().chain([&code]).map(SiteCode::to_string).collect::<Vec<_>>().join(" → ");
            return Some(Text::new(
                format!("the parents form a cycle: {shown}"),
                format!("親サイトの関係が循環しています: {shown}"),
            ));
        }
        if way.contains(&parent) {
            return None; // a cycle further up, which its own sites report
        }
        way.push(parent);
        at = parent;
    }
    None
}

fn two_tops(scene: &Scene<'_>) -> Option<Text> {
    let code = scene.site.code;
    if scene.hierarchy.parent(code) != Parent::Top {
        return None;
    }
    let tops: BTreeSet<SiteCode> =
        scene.hierarchy.sites.keys().copied().filter(|site| scene.hierarchy.parent(*site) == Parent::Top).collect();
    (tops.len() > 1).then(|| {
        let list = tops.iter().map(SiteCode::to_string).collect::<Vec<_>>().join(", ");
        Text::new(
            format!("there are {} top sites: {list}", tops.len()),
            format!("最上位サイトが {} つあります: {list}", tops.len()),
        )
    })
}

fn secondary_with_children(scene: &Scene<'_>) -> Option<Text> {
    let code = scene.site.code;
    if scene.hierarchy.site_type(code) != Some(SiteType::Secondary) {
        return None;
    }
    let children: Vec<String> = scene.hierarchy.children(code).map(|child| child.to_string()).collect();
    (!children.is_empty()).then(|| {
        let list = children.join(", ");
        Text::new(
            format!("{code} is a secondary site and has child sites: {list}"),
            format!("セカンダリ サイト {code} に子サイトがあります: {list}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn a_tree_passes() {
        World::new().central("CEN").primary("P01", "CEN").secondary("S01", "P01").check("topology", "CEN pass, P01 pass, S01 pass");
    }

    #[test]
    fn two_top_sites_fail_at_both() {
        World::new().central("CEN").central("CE2").primary("P01", "CEN").check("topology", "CE2 fail, CEN fail, P01 pass");
    }

    #[test]
    fn a_cycle_fails_at_every_site_of_it() {
        World::new().primary("P01", "P02").primary("P02", "P01").check("topology", "P01 fail, P02 fail");
    }

    #[test]
    fn a_secondary_has_no_children() {
        World::new()
            .central("CEN")
            .secondary("S01", "CEN")
            .secondary("S02", "S01")
            .check("topology", "CEN pass, S01 fail, S02 pass");
    }

    #[test]
    fn two_active_servers_of_one_code_fail_and_a_passive_one_does_not() {
        let world = World::new().central("CEN").claims("P01", "a", "srv1.corp.example", false);
        world.clone().claims("P01", "b", "srv2.corp.example", false).check("topology", "CEN pass, P01 fail");
        world.clone().claims("P01", "b", "srv2.corp.example", true).check("topology", "CEN pass, P01 pass");
        world.claims("P01", "b", "SRV1", false).check("topology", "CEN pass, P01 pass");
    }

    #[test]
    fn a_parent_without_a_report_is_unknown_and_one_that_is_not_listed_fails() {
        World::new().primary("P01", "CEN").check("topology", "P01 unknown");
        World::new().expect("P01", "primary", "CEN").primary("P01", "CEN").check("topology", "P01 fail");
        World::new().untold("P01").check("topology", "P01 unknown");
    }
}
