//! No summary language was added after the top site's first synchronisation: updates synchronised earlier never get it.

use super::{Failure, Judged, Outcome, Rule, Scene, no_setting, setting};
use serde_json::{Value, json};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "languages-added-late",
    severity: Severity::Warning,
    title: ("summary languages were chosen before the first synchronisation", "概要詳細の言語が最初の同期の前に選択されている"),
    why: (
        "A language that is added later is fetched for new and changed updates only; titles and descriptions of the others stay without it, and no full synchronisation adds them.",
        "後から追加した言語は新しい更新と変更された更新についてのみ取得されます。それ以外の更新のタイトルと説明は、完全な同期を行っても追加されません。",
    ),
    looks_at: &["component.summary_languages", "wsyncmgr.log"],
    fix: &[
        (
            "Select every summary language the hierarchy will need before the first synchronisation: Software Update Point Component Properties > Languages.",
            "最初の同期の前に、階層で必要になるすべての概要詳細の言語を[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[言語]で選択してください。",
        ),
        (
            "For updates that are already there: they get the language when Microsoft revises them, or custom updates when they are published again.",
            "既に同期された更新は、Microsoft による改訂時に (カスタム更新は再発行時に) その言語が追加されます。",
        ),
    ],
    source: "the article, \"software updates are not synchronized in the configured languages\"",
    watcher: false,
    judge,
};

const PATH: &str = "component.summary_languages";

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    if scene.is_top() != Some(true) || site.has_no_sup() {
        return Vec::new();
    }
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(missing) => return unknown(missing),
    };
    let Some(now) = settings.component.value().and_then(|component| component.summary_languages.value()) else {
        return unknown(no_setting(site.code, PATH));
    };
    let Some(first) = site.runs.first_success().and_then(|tracked| tracked.run.ended_at) else {
        let code = site.code;
        return unknown(Text::new(format!("a successful run of {code}"), format!("{code} の成功した同期")));
    };
    let mut late: Vec<&str> = Vec::new();
    for change in site.configured.changes().iter().filter(|change| change.path == PATH && change.seen_at > Some(first)) {
        let names = |value: &Option<Value>| -> Vec<String> {
            value
                .as_ref()
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_lowercase))
                .collect()
        };
        let before = names(&change.before);
        late.extend(now.iter().map(String::as_str).filter(|name| {
            let name = name.to_lowercase();
            names(&change.after).contains(&name) && !before.contains(&name)
        }));
    }
    late.sort_unstable();
    late.dedup();
    late.retain(|name| !scene.limits.may_differ(RULE.name, site.code, name, scene.now));
    if late.is_empty() {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let list = late.join(", ");
    let summary = Text::new(
        format!(
            "summary languages of {} were added after its first synchronisation: {list}; earlier updates stay without them",
            site.code
        ),
        format!("{} の概要詳細の言語が最初の同期の後に追加されました: {list}。以前の更新には追加されません", site.code),
    );
    let failure = Failure::new(Severity::Warning, summary).shown_by([setting(site, PATH, json!(now))]);
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn at(hour: u32, languages: &[&str]) -> Value {
        let mut settings = healthy("cen", None);
        settings["taken_at"] = json!(format!("2026-03-01T{hour:02}:00:00Z"));
        settings["component"]["summary_languages"] = json!(languages);
        settings
    }

    #[test]
    fn a_language_that_comes_after_a_success_is_late_and_one_before_is_not() {
        let synced = World::new()
            .central("CEN")
            .settings("CEN", at(3, &["en"]))
            .log("CEN", &["Performing sync on regular schedule", "Sync succeeded. x"]);
        synced.clone().check("languages-added-late", "CEN pass");
        synced.clone().settings("CEN", at(5, &["en", "ja"])).check("languages-added-late", "CEN fail");
        synced.settings("CEN", at(5, &["en", "ja"])).settings("CEN", at(6, &["en"])).check("languages-added-late", "CEN pass");
        let early = World::new().central("CEN").settings("CEN", at(2, &["en"])).settings("CEN", at(3, &["en", "ja"]));
        early.clone().check("languages-added-late", "CEN unknown");
        early.log("CEN", &["Performing sync on regular schedule", "Sync succeeded. x"]).check("languages-added-late", "CEN pass");
    }
}
