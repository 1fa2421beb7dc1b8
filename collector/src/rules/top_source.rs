//! The top site's first SUP synchronises from Microsoft Update.
//! Source: the article, general tips; documentation of later generations allows another source if the component says so.

use super::{Failure, Judged, Rule, Scene, name_of, no_parent, no_setting, setting};
use supwatch_proto::describe::Generation;
use supwatch_proto::text::Text;
use supwatch_proto::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "top-source",
    severity: Severity::Critical,
    title: ("the top site synchronises from Microsoft Update", "最上位サイトが Microsoft Update から同期する"),
    why: (
        "Everything below gets its updates from here. WSUS Configuration Manager sets this once, when the SUP is made, and does not put it back when somebody changes it in the WSUS console.",
        "下位のすべてのサイトはここから更新を受け取ります。この設定は SUP の作成時に一度だけ構成され、WSUS コンソールで変更されても WSUS Configuration Manager は元に戻しません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "On the WSUS server of the top site, open the WSUS console: Options > Update Source and Proxy Server.",
            "最上位サイトの WSUS サーバーで WSUS コンソールを開き、[オプション]>[更新元およびプロキシ サーバー]をクリックしてください。",
        ),
        (
            "Select \"Synchronize from Microsoft Update\". WSUS Configuration Manager does not put this setting back by itself.",
            "[Microsoft Update から同期する]を選択してください。WSUS Configuration Manager はこの設定を自動では元に戻しません。",
        ),
        (
            "Since 2012 another source is allowed: then choose it in Software Update Point Component Properties > Sync Settings, not in the WSUS console.",
            "2012 以降では別の同期元も使用できます。その場合は WSUS コンソールではなく[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[同期の設定]で選択してください。",
        ),
    ],
    source: "the article, general tips and \"Run Synchronization is not available\"; documentation: plan for software updates",
    watcher: false,
    judge,
};

const LOOKED_AT: &[&str] = &["wsus[first].sync_from_microsoft_update", "component.sync_source"];

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    match scene.is_top() {
        Some(false) => Vec::new(),
        None => vec![Judged::unknown(LOOKED_AT, vec![no_parent(scene.site.code)])],
        Some(true) => vec![judge_top(scene)],
    }
}

fn judge_top(scene: &Scene<'_>) -> Judged {
    let site = scene.site;
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return Judged::unknown(LOOKED_AT, vec![missing]),
    };
    let source = settings.component.value().and_then(|component| component.sync_source.value()).map(String::as_str);
    let from_microsoft =
        settings.first_sup().and_then(|sup| settings.wsus_of(sup)).and_then(|wsus| wsus.sync_from_microsoft_update.value());
    match from_microsoft {
        Some(true) => Judged::pass(LOOKED_AT),
        None if source == Some("none") && scene.generation() != Generation::Cm2007 => Judged::pass(LOOKED_AT),
        None => Judged::unknown(LOOKED_AT, vec![no_setting(site.code, "wsus[first].sync_from_microsoft_update")]),
        // Since 2012 another WSUS, or none at all, may be the source; the component then says so.
        Some(false) if scene.generation() != Generation::Cm2007 && matches!(source, Some("upstream" | "none")) => {
            Judged::pass(LOOKED_AT)
        }
        Some(false) if source.is_none() && scene.generation() != Generation::Cm2007 => {
            Judged::unknown(LOOKED_AT, vec![no_setting(site.code, "component.sync_source")])
        }
        Some(false) => {
            let sup = settings.first_sup().map_or("?", name_of);
            let summary = Text::new(
                format!("the first SUP of top site {} ({sup}) does not synchronise from Microsoft Update", site.code),
                format!("最上位サイト {} の最初の SUP ({sup}) が Microsoft Update から同期していません", site.code),
            );
            let failure = Failure::new(Severity::Critical, summary).shown_by([setting(
                site,
                format!("wsus[{sup}].sync_from_microsoft_update"),
                false,
            )]);
            Judged::fail(LOOKED_AT, failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    fn world(generation: &str, from_microsoft: bool, source: &str) -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["sync_from_microsoft_update"] = json!(from_microsoft);
        settings["component"]["sync_source"] = json!(source);
        World::new().generation(generation).central("CEN").settings("CEN", settings)
    }

    #[test]
    fn microsoft_update_passes_and_another_source_depends_on_the_generation() {
        world("2007", true, "microsoft-update").check("top-source", "CEN pass");
        world("2007", false, "upstream").check("top-source", "CEN fail");
        for generation in ["2012", "current-branch"] {
            world(generation, false, "microsoft-update").check("top-source", "CEN fail");
            world(generation, false, "upstream").check("top-source", "CEN pass");
        }
    }

    #[test]
    fn without_settings_it_is_unknown_and_a_child_is_not_asked() {
        World::new().central("CEN").primary("P01", "CEN").check("top-source", "CEN unknown");
    }
}
