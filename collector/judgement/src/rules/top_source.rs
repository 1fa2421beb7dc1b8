//! The top site's first SUP synchronises from Microsoft Update.
//! Source: the article, general tips; documentation of later generations allows another source if the component says so.

use super::{Failure, Judged, Rule, Scene, name_of, no_parent, no_setting, setting};
use supwatch_model::describe::Generation;
use supwatch_model::names::same_server;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "top-source",
    severity: Severity::Critical,
    title: ("the top site synchronises from Microsoft Update", "最上位サイトが Microsoft Update から同期する"),
    why: (
        "Everything below gets its updates from here. WSUS Configuration Manager sets this once, when the SUP is created, and does not reset it when it is changed in the WSUS console.",
        "下位のすべてのサイトはここから更新を受け取ります。この設定はソフトウェアの更新ポイントの作成時に一度だけ構成され、WSUS コンソールで変更されても WSUS Configuration Manager は元に戻しません。",
    ),
    looks_at: LOOKED_AT,
    fix: &[
        (
            "On the WSUS server of the top site, open the WSUS console: Options > Update Source and Proxy Server.",
            "最上位サイトの WSUS サーバーで WSUS コンソールを開き、[オプション]>[更新ソースとプロキシ サーバー]をクリックしてください。",
        ),
        (
            "Select \"Synchronize from Microsoft Update\". WSUS Configuration Manager does not restore this setting by itself.",
            "[Microsoft Update から同期する]を選択してください。WSUS Configuration Manager はこの設定を自動では元に戻しません。",
        ),
        (
            "Since 2012 another source is allowed: then choose it in Software Update Point Component Properties > Sync Settings, not in the WSUS console.",
            "2012 以降では別の更新ソースも使用できます。その場合は WSUS コンソールではなく[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[同期の設定]で選択してください。",
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
        Some(true) => [judge_top(scene)].into_iter().chain(cut_off_members(scene)).collect(),
    }
}

/// SUPs that share the first one's database and cannot reach Microsoft Update: since 1902 any SUP that shares it may be used for
/// a run.
fn cut_off_members(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let Some(settings) = scene.settings().ok().filter(|_| scene.generation() != Generation::Cm2007) else { return Vec::new() };
    let further = settings.sups.value().into_iter().flatten().filter(|sup| settings.first_sup().is_some_and(|first| first != *sup));
    let judge = |sup| {
        let wsus = settings.wsus_of(sup).filter(|_| settings.shares_database_with_first(sup) == Some(true))?;
        let from_microsoft = wsus.sync_from_microsoft_update.value() == Some(&true);
        let outcome = wsus.upstream_reach.value()?.outcome.value().filter(|outcome| from_microsoft && *outcome != "answers")?;
        let name = name_of(sup);
        let summary = Text::new(
            format!(
                "SUP {name} of top site {} shares the first SUP's database and cannot reach Microsoft Update ({outcome}): \
                 since 1902 a run picks any of the sharing SUPs at random, so some runs fail",
                site.code
            ),
            format!(
                "最上位サイト {} のソフトウェアの更新ポイント {name} は最初のソフトウェアの更新ポイントとデータベースを共有していますが、Microsoft Update に接続できません ({outcome})。\
                 1902 以降は共有する SUP のいずれかが無作為に選ばれるため、一部の同期が失敗します",
                site.code
            ),
        );
        let mut evidence = vec![setting(site, format!("wsus[{name}].upstream_reach.outcome"), outcome.as_str())];
        if let Some(server) = wsus.database.value().and_then(|database| database.server.value()) {
            evidence.push(setting(site, format!("wsus[{name}].database.server"), server.as_str()));
        }
        Some(Judged::fail(LOOKED_AT, Failure::new(Severity::Warning, summary).shown_by(evidence)).of(name))
    };
    further.filter_map(judge).collect()
}

fn judge_top(scene: &Scene<'_>) -> Judged {
    let site = scene.site;
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return Judged::unknown(LOOKED_AT, vec![missing]),
    };
    let source = settings.component.value().and_then(|component| component.sync_source.value()).map(String::as_str);
    let wsus = settings.first_sup().and_then(|sup| settings.wsus_of(sup));
    let from_microsoft = wsus.and_then(|wsus| wsus.sync_from_microsoft_update.value());
    let sup = settings.first_sup().map_or("?", name_of);
    let from_microsoft_path = format!("wsus[{sup}].sync_from_microsoft_update");
    // The server WSUS synchronises from and the one the component names, if they differ.
    let used = wsus.and_then(|wsus| wsus.upstream.value()?.server.value());
    let set = settings.component.value().and_then(|component| component.upstream.value());
    let used_and_set = used.zip(set).filter(|(used, set)| !same_server(used, set)).map(|(used, set)| (used.as_str(), set.as_str()));
    match from_microsoft {
        // The component names another source, but WSUS synchronises from Microsoft Update.
        Some(true) if source == Some("upstream") && scene.generation() != Generation::Cm2007 => {
            let summary = Text::new(
                format!(
                    "the first SUP of top site {} ({sup}) synchronises from Microsoft Update, but its component says another upstream",
                    site.code
                ),
                format!(
                    "最上位サイト {} の最初のソフトウェアの更新ポイント ({sup}) は Microsoft Update から同期していますが、コンポーネントでは別の上流が設定されています",
                    site.code
                ),
            );
            let evidence = [setting(site, from_microsoft_path, true), setting(site, "component.sync_source", "upstream")];
            Judged::fail(LOOKED_AT, Failure::new(Severity::Critical, summary).shown_by(evidence))
        }
        Some(true) => Judged::pass(LOOKED_AT),
        None if source == Some("none") && scene.generation() != Generation::Cm2007 => Judged::pass(LOOKED_AT),
        None => Judged::unknown(LOOKED_AT, vec![no_setting(site.code, "wsus[first].sync_from_microsoft_update")]),
        Some(false) if source == Some("upstream") && scene.generation() != Generation::Cm2007 && used_and_set.is_some() => {
            let (used, set) = used_and_set.unwrap_or_default();
            let summary = Text::new(
                format!("the first SUP of top site {} ({sup}) synchronises from {used}, but its component says {set}", site.code),
                format!(
                    "最上位サイト {} の最初のソフトウェアの更新ポイント ({sup}) は {used} から同期していますが、コンポーネントの設定は {set} です",
                    site.code
                ),
            );
            let evidence = [setting(site, format!("wsus[{sup}].upstream.server"), used), setting(site, "component.upstream", set)];
            Judged::fail(LOOKED_AT, Failure::new(Severity::Critical, summary).shown_by(evidence))
        }
        // Since 2012 another WSUS, or none at all, may be the source; the component then says so.
        Some(false) if scene.generation() != Generation::Cm2007 && matches!(source, Some("upstream" | "none")) => {
            Judged::pass(LOOKED_AT)
        }
        Some(false) if source.is_none() && scene.generation() != Generation::Cm2007 => {
            Judged::unknown(LOOKED_AT, vec![no_setting(site.code, "component.sync_source")])
        }
        Some(false) => {
            let summary = Text::new(
                format!("the first SUP of top site {} ({sup}) does not synchronise from Microsoft Update", site.code),
                format!(
                    "最上位サイト {} の最初のソフトウェアの更新ポイント ({sup}) が Microsoft Update から同期していません",
                    site.code
                ),
            );
            let failure = Failure::new(Severity::Critical, summary).shown_by([setting(site, from_microsoft_path, false)]);
            Judged::fail(LOOKED_AT, failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy, push};
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
    fn another_source_than_the_component_says_fails() {
        world("current-branch", true, "upstream").check("top-source", "CEN fail");
        for (used, expected) in [("wsus.corp.example", "CEN pass"), ("WSUS:8530", "CEN pass"), ("other.corp.example", "CEN fail")] {
            let mut settings = healthy("cen", None);
            settings["wsus"][0]["sync_from_microsoft_update"] = json!(false);
            settings["wsus"][0]["upstream"] = json!({"server": used, "port": 8530, "ssl": false});
            settings["component"]["sync_source"] = json!("upstream");
            settings["component"]["upstream"] = json!("wsus.corp.example");
            World::new().generation("current-branch").central("CEN").settings("CEN", settings).check("top-source", expected);
        }
    }

    #[test]
    fn a_member_of_a_shared_database_must_reach_microsoft_update_too() {
        let mut settings = healthy("cen", None);
        push(&mut settings["sups"], json!({"server": "cen2.corp.example"}));
        let mut second = settings["wsus"][0].clone();
        second["server"] = json!("cen2.corp.example");
        second["upstream_reach"] = json!({"outcome": "timed-out"});
        push(&mut settings["wsus"], second);
        let world = |settings: &serde_json::Value| World::new().central("CEN").settings("CEN", settings.clone());
        world(&settings).check("top-source", "CEN pass");
        for (index, name) in ["SQL1", "tcp:sql1.corp.example,1433"].into_iter().enumerate() {
            settings["wsus"][index]["database"] = json!({"server": name, "shared": true});
        }
        world(&settings).check("top-source", "CEN pass, CEN fail");
        settings["wsus"][1]["upstream_reach"]["outcome"] = json!("answers");
        world(&settings).check("top-source", "CEN pass");
    }

    #[test]
    fn without_settings_it_is_unknown_and_a_child_is_not_asked() {
        World::new().central("CEN").primary("P01", "CEN").check("top-source", "CEN unknown");
    }
}
