//! The first SUP of a primary site is not a WSUS replica; SUPs of secondary sites and further SUPs may be (2007) or must be
//! (later). Source: the article, "WSUS server not configured"; documentation, planning for software update points.

use super::{Failure, Judged, Rule, Scene, name_of, no_setting, setting};
use supwatch_model::describe::{Generation, SiteType};
use supwatch_model::settings::{Settings, Sup};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "child-replica",
    severity: Severity::Critical,
    title: (
        "the first SUP of a primary site is not a WSUS replica",
        "プライマリ サイトの最初のソフトウェアの更新ポイントが WSUS レプリカでない",
    ),
    why: (
        "WSUS Configuration Manager cannot configure a replica, so the synchronisation of that site fails with \"WSUS server not configured\".",
        "WSUS Configuration Manager はレプリカを構成できないため、そのサイトの同期は「WSUS サーバーが構成されていません」で失敗します。",
    ),
    looks_at: &["wsus[].is_replica", "site.toml type"],
    fix: &[
        (
            "On the WSUS server of the software update point, open the WSUS console and click Options > Update Source and Proxy Server.",
            "該当するソフトウェアの更新ポイントの WSUS サーバーで WSUS コンソールを開き、[オプション]>[更新ソースとプロキシ サーバー]をクリックしてください。",
        ),
        (
            "First SUP of a primary site: clear \"This server is a replica of the upstream server\". SUP of a secondary site, or a further SUP, since 2012: select it.",
            "プライマリ サイトの最初のソフトウェアの更新ポイントでは[このサーバーは上流サーバーのレプリカである]の選択を解除してください。セカンダリ サイトのソフトウェアの更新ポイントと追加のソフトウェアの更新ポイントでは、2012 以降は選択してください。",
        ),
        (
            "Wait for WSUS Configuration Manager (at most 60 minutes, WCM.log), then synchronise from the top site.",
            "WSUS Configuration Manager の処理 (最大 60 分、WCM.log) を待ってから、最上位サイトで同期を実行してください。",
        ),
    ],
    source: "the article, \"WSUS server not configured\"; documentation: plan for software update points",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let first = &["wsus[first].is_replica"];
    let site_type = scene.hierarchy.site_type(scene.site.code);
    let settings = match scene.settings() {
        Ok(settings) => settings,
        // A secondary site need not have a SUP at all.
        Err(_) if site_type == Some(SiteType::Secondary) => return Vec::new(),
        Err(missing) => return vec![Judged::unknown(first, vec![missing])],
    };
    if scene.site.has_no_sup() {
        return Vec::new();
    }
    let Some(sups) = settings.sups.value() else {
        return vec![Judged::unknown(first, vec![no_setting(scene.site.code, "sups")])];
    };
    sups.iter().map(|sup| judge_sup(scene, settings, sup, site_type)).collect()
}

fn judge_sup(scene: &Scene<'_>, settings: &Settings, sup: &Sup, site_type: Option<SiteType>) -> Judged {
    let site = scene.site;
    let name = name_of(sup);
    let path = format!("wsus[{name}].is_replica");
    let looked_at = std::slice::from_ref(&path);
    let first = settings.first_sup() == Some(sup);
    let Some(is_replica) = settings.wsus_of(sup).and_then(|wsus| wsus.is_replica.value()).copied() else {
        return Judged::unknown(looked_at, vec![no_setting(site.code, &path)]).of(name);
    };
    let secondary = match site_type {
        Some(site_type) => site_type == SiteType::Secondary,
        None if first => return Judged::unknown(looked_at, vec![no_setting(site.code, "type")]).of(name),
        None => false,
    };
    if !secondary && settings.first_sup().is_none() {
        return Judged::unknown(looked_at, vec![no_setting(site.code, "sups[].first")]).of(name);
    }
    // WSUS servers that share a database have one configuration: that of the first.
    let either_will_do = scene.generation() == Generation::Cm2007 && !is_replica;
    let shares = if first || secondary || either_will_do { Some(false) } else { settings.shares_database_with_first(sup) };
    let Some(shares) = shares else {
        return Judged::unknown(looked_at, vec![no_setting(site.code, &format!("wsus[{name}].database"))]).of(name);
    };
    let may_not_be = (first || shares) && !secondary;
    let must_be = !may_not_be && scene.generation() != Generation::Cm2007;
    let summary = if may_not_be && is_replica {
        Text::new(
            format!("the first SUP of {} ({name}) is a WSUS replica", site.code),
            format!("{} の最初のソフトウェアの更新ポイント ({name}) が WSUS レプリカとして構成されています", site.code),
        )
    } else if must_be && !is_replica {
        Text::new(
            format!("SUP {name} of {} must be a WSUS replica and is not", site.code),
            format!("{} のソフトウェアの更新ポイント {name} は WSUS レプリカでなければなりませんが、そうなっていません", site.code),
        )
    } else {
        return Judged::pass(looked_at).of(name);
    };
    let failure = Failure::new(Severity::Critical, summary).shown_by([setting(site, path.clone(), is_replica)]);
    let failure = if is_replica {
        failure.remedied_by(
            "On the WSUS server, open the WSUS console: Options > Update Source and Proxy Server, and clear \"This server is a replica of the upstream server\".",
            "WSUS サーバーで WSUS コンソールの[オプション]>[更新ソースとプロキシ サーバー]を開き、[このサーバーは上流サーバーのレプリカである]の選択を解除してください。",
        )
    } else {
        failure.remedied_by(
            "On the WSUS server, open the WSUS console: Options > Update Source and Proxy Server, and select \"This server is a replica of the upstream server\".",
            "WSUS サーバーで WSUS コンソールの[オプション]>[更新ソースとプロキシ サーバー]を開き、[このサーバーは上流サーバーのレプリカである]を選択してください。",
        )
    };
    Judged::fail(looked_at, failure).of(name)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy, push};
    use serde_json::{Value, json};

    fn settings(replica: bool) -> Value {
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["is_replica"] = json!(replica);
        settings
    }

    #[test]
    fn a_child_primary_must_not_be_a_replica() {
        for generation in ["2007", "2012", "current-branch"] {
            let world = World::new().generation(generation).primary("P01", "CEN");
            world.clone().settings("P01", settings(true)).check("child-replica", "P01 fail");
            world.settings("P01", settings(false)).check("child-replica", "P01 pass");
        }
    }

    #[test]
    fn a_secondary_may_be_one_on_2007_and_must_be_one_later() {
        for (generation, replica, expected) in
            [("2007", true, "pass"), ("2007", false, "pass"), ("2012", true, "pass"), ("current-branch", false, "fail")]
        {
            World::new()
                .generation(generation)
                .secondary("S01", "P01")
                .settings("S01", settings(replica))
                .check("child-replica", &format!("S01 {expected}"));
        }
    }

    #[test]
    fn a_further_sup_is_judged_like_a_secondary_one() {
        let mut two = settings(false);
        two["sups"][0]["first"] = json!(true);
        push(&mut two["sups"], json!({"server": "sup2.corp.example", "first": false}));
        let upstream = json!({"server": "p01.corp.example", "port": 8530, "ssl": false});
        push(&mut two["wsus"], json!({"server": "sup2.corp.example", "is_replica": false, "upstream": upstream}));
        World::new()
            .generation("2007")
            .primary("P01", "CEN")
            .settings("P01", two.clone())
            .check("child-replica", "P01 pass, P01 pass");
        World::new().generation("2012").primary("P01", "CEN").settings("P01", two).check("child-replica", "P01 pass, P01 fail");
    }

    #[test]
    fn without_settings_it_is_unknown() {
        World::new().primary("P01", "CEN").check("child-replica", "P01 unknown");
        World::new().secondary("S01", "P01").check("child-replica", "");
    }

    #[test]
    fn servers_that_share_a_database_have_one_configuration() {
        let mut two = settings(false);
        two["sups"][0]["first"] = json!(true);
        two["wsus"][0]["database"] = json!({"server": "sql1", "shared": true});
        push(&mut two["sups"], json!({"server": "sup2.corp.example", "first": false}));
        push(
            &mut two["wsus"],
            json!({"server": "sup2.corp.example", "is_replica": false, "database": {"server": "sql1", "shared": true}}),
        );
        let world = World::new().generation("current-branch").primary("P01", "CEN");
        world.clone().settings("P01", two.clone()).check("child-replica", "P01 pass, P01 pass");
        two["wsus"][1]["database"] = json!({"server": "MICROSOFT##WID", "shared": false});
        world.clone().settings("P01", two.clone()).check("child-replica", "P01 pass, P01 fail");
        // The database is always named SUSDB, so an instance has only one.
        two["wsus"][0]["database"] = json!({"server": "SQL1.corp.example,1433"});
        two["wsus"][1]["database"] = json!({"server": "sql1"});
        world.clone().settings("P01", two.clone()).check("child-replica", "P01 pass, P01 pass");
        for unknown in [json!({}), json!({"server": "sql1"})] {
            two["wsus"][0]["database"] = json!({});
            two["wsus"][1]["database"] = unknown;
            world.clone().settings("P01", two.clone()).check("child-replica", "P01 pass, P01 unknown");
        }
        two["wsus"][1]["upstream"] = json!({"server": "p01", "port": 8530, "ssl": false});
        world.settings("P01", two).check("child-replica", "P01 pass, P01 fail");
    }

    #[test]
    fn where_nobody_says_which_is_first_it_is_unknown() {
        let mut two = settings(false);
        two["sups"] = json!([{"server": "p01.corp.example"}, {"server": "sup2.corp.example"}]);
        push(&mut two["wsus"], json!({"server": "sup2.corp.example", "is_replica": true}));
        World::new().primary("P01", "CEN").settings("P01", two).check("child-replica", "P01 unknown, P01 unknown");
    }
}
