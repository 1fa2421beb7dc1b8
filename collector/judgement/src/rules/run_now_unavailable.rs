//! The console of the top site offers Run Synchronization. A child's never does: only its parent's request starts a run.

use super::{Failure, Judged, Outcome, Rule, Scene, no_parent, no_setting, setting};
use serde_json::json;
use supwatch_model::describe::Generation;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "run-now-unavailable",
    severity: Severity::Info,
    title: ("Run Synchronization is available at the top site", "最上位サイトで[同期の実行]を使用できる"),
    why: (
        "Where the action is missing or greyed out, the site has no active SUP, or (2007) the SUP does not synchronise from Microsoft Update. Child sites never offer it: they start on their parent's request.",
        "この操作が表示されないか無効な場合、アクティブなソフトウェアの更新ポイントがないか、(2007 では) Microsoft Update から同期していません。子サイトでは親サイトの要求でのみ同期が開始されるため、この操作はありません。",
    ),
    looks_at: &["sups", "wsus[first].sync_from_microsoft_update"],
    fix: &[
        (
            "Open the console at the central site (or the stand-alone primary): Run Synchronization exists only there.",
            "セントラル サイト (またはスタンドアロン プライマリ サイト) のコンソールを開いてください。[同期の実行]はそこでのみ使用できます。",
        ),
        (
            "Install an active software update point there and set it to synchronise from Microsoft Update.",
            "そのサイトにアクティブなソフトウェアの更新ポイントをインストールし、Microsoft Update から同期するように構成してください。",
        ),
    ],
    source: "the article, \"Run Synchronization is not available in the console\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let (site, code) = (scene.site, scene.site.code);
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    match scene.is_top() {
        Some(true) => {}
        Some(false) => return Vec::new(),
        None => return unknown(no_parent(code)),
    }
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return unknown(missing),
    };
    let fail = |en: &str, ja: &str, evidence| {
        let summary = Text::new(
            format!("Run Synchronization is not available at {code}: {en}"),
            format!("{code} で[同期の実行]を使用できません: {ja}"),
        );
        vec![Judged::usual(Outcome::Fail(Box::new(Failure::new(Severity::Info, summary).shown_by([evidence]))))]
    };
    if site.has_no_sup() {
        return fail("it has no software update point", "ソフトウェアの更新ポイントがありません", setting(site, "sups", json!([])));
    }
    if settings.sups.value().is_none() {
        return unknown(no_setting(code, "sups"));
    }
    if scene.generation() != Generation::Cm2007 {
        return vec![Judged::usual(Outcome::Pass)];
    }
    const PATH: &str = "wsus[first].sync_from_microsoft_update";
    match site.first_wsus().and_then(|wsus| wsus.sync_from_microsoft_update.value()) {
        None => unknown(no_setting(code, PATH)),
        Some(true) => vec![Judged::usual(Outcome::Pass)],
        Some(false) => fail(
            "its software update point does not synchronise from Microsoft Update",
            "ソフトウェアの更新ポイントが Microsoft Update から同期していません",
            setting(site, PATH, false),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[test]
    fn the_top_site_needs_a_sup_and_on_2007_microsoft_update() {
        let mut other = healthy("cen", None);
        other["wsus"][0]["sync_from_microsoft_update"] = json!(false);
        for (generation, settings, expected) in [
            ("2007", healthy("cen", None), "pass"),
            ("2007", other.clone(), "fail"),
            ("current-branch", other, "pass"),
            ("current-branch", json!({"sups": []}), "fail"),
            ("2007", json!({"sups": [{"server": "cen.corp.example"}]}), "unknown"),
        ] {
            let world = World::new().generation(generation).central("CEN").primary("P01", "CEN").settings("CEN", settings);
            world.check("run-now-unavailable", &format!("CEN {expected}"));
        }
    }
}
