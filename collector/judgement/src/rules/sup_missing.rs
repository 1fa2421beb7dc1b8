//! The central site and every primary site have a software update point; on a secondary it is optional.
//! Source: the article, "synchronization fails for unknown reasons"; documentation, planning for software update points.

use super::{Failure, Judged, Rule, Scene, no_setting, setting};
use serde_json::json;
use supwatch_model::describe::SiteType;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "sup-missing",
    severity: Severity::Critical,
    title: ("the site has a software update point", "サイトにソフトウェアの更新ポイントがある"),
    why: (
        "Without one the site cannot synchronise, and nothing below it can.",
        "ソフトウェアの更新ポイントがないと、そのサイトと下位サイトは同期できません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "Install a software update point for the site: Administration > Site Configuration > Servers and Site System Roles > Add Site System Roles.",
            "[管理]>[サイトの構成]>[サーバーとサイト システムの役割]>[サイト システムの役割の追加]で、サイトにソフトウェアの更新ポイントをインストールしてください。",
        ),
        (
            "Follow SUPSetup.log until \"Installation was successful\", then WCM.log.",
            "SUPSetup.log に「Installation was successful」と記録されるまで確認し、続いて WCM.log を確認してください。",
        ),
    ],
    source: "the article, \"synchronization fails for unknown reasons\"; documentation: plan for software update points",
    watcher: false,
    judge,
};

const LOOKED_AT: &[&str] = &["sups"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let code = scene.site.code;
    match scene.hierarchy.site_type(code) {
        Some(SiteType::Secondary) => return Vec::new(),
        None => return vec![Judged::unknown(LOOKED_AT, vec![no_setting(code, "type")])],
        Some(_) => {}
    }
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return vec![Judged::unknown(LOOKED_AT, vec![missing])],
    };
    vec![match settings.sups.value() {
        None if !scene.site.has_no_sup() => Judged::unknown(LOOKED_AT, vec![no_setting(code, "sups")]),
        Some(sups) if !sups.is_empty() => Judged::pass(LOOKED_AT),
        Some(_) | None => {
            let summary = Text::new(
                format!("{code} has no software update point"),
                format!("{code} にソフトウェアの更新ポイントがありません"),
            );
            let failure = Failure::new(Severity::Critical, summary).shown_by([setting(scene.site, "sups", json!([]))]);
            Judged::fail(LOOKED_AT, failure)
        }
    }]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[test]
    fn a_primary_needs_one_and_a_secondary_does_not() {
        let world = World::new().central("CEN").primary("P01", "CEN").secondary("S01", "P01");
        world.clone().check("sup-missing", "CEN unknown, P01 unknown");
        world
            .settings("CEN", healthy("cen", None))
            .settings("P01", json!({"sups": []}))
            .settings("S01", json!({"sups": []}))
            .check("sup-missing", "CEN pass, P01 fail");
    }
}
