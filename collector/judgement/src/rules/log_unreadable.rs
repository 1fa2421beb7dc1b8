//! The agents can read their logs and settings. Offline it fails only if a file could not be used.

use super::{Failure, Judged, Outcome, Rule, Scene};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "log-unreadable",
    severity: Severity::Warning,
    title: ("the agents can read logs and settings", "エージェントがログと設定を読み取れる"),
    why: (
        "What cannot be read is not judged: a site may look healthy only because its logs are not seen.",
        "読み取れないものは判定されないため、問題があっても正常に見えることがあります。",
    ),
    looks_at: &["what the agents report about their files"],
    fix: &[
        (
            "On the agent's server, check the path and the rights of the service's account to it.",
            "エージェントのサーバーで、パスと、サービス アカウントのアクセス権を確認してください。",
        ),
        (
            "If a snapshot is refused, compare it with the published schema, or run Get-SyncSettings.ps1 again.",
            "設定スナップショットが不正な場合は、公開スキーマと比較するか、Get-SyncSettings.ps1 で作り直してください。",
        ),
    ],
    source: "supwatch's own",
    watcher: true,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let (site, code) = (scene.site, scene.site.code);
    if site.agents.is_empty() {
        return Vec::new();
    }
    if site.unreadable.is_empty() {
        return if scene.live { vec![Judged::usual(Outcome::Pass)] } else { Vec::new() };
    }
    site.unreadable
        .iter()
        .map(|((agent, file), trouble)| {
            let text = &trouble.text;
            let summary = if scene.live {
                Text::new(format!("agent {agent} of {code}: {text}"), format!("{code} のエージェント {agent}: {text}"))
            } else {
                Text::new(
                    format!("what this file says of {code} is unknown: {text}"),
                    format!("{code} のこのファイルの内容は不明として扱います: {text}"),
                )
            };
            let mut failure = Failure::new(Severity::Warning, summary);
            failure.since = Some(trouble.since).filter(|_| scene.live);
            if !scene.live {
                failure = failure.remedied_by(
                    "Ask for the file again, or run Get-SyncSettings.ps1 again; compare one that was written by hand with the published schema.",
                    "ファイルを再度入手するか、Get-SyncSettings.ps1 を再実行してください。手書きの場合は公開スキーマと比較してください。",
                );
            }
            Judged::usual(Outcome::Fail(Box::new(failure))).of(file)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn a_file_that_cannot_be_read_fails_until_it_is_read() {
        let world = World::new().central("CEN").live();
        world.clone().seen("CEN").check("log-unreadable", "CEN pass");
        let trouble = world.clone().cannot_read("CEN", "wsyncmgr.log", "access is denied");
        trouble.clone().check("log-unreadable", "CEN fail");
        trouble.log("CEN", &["Sync succeeded. x"]).check("log-unreadable", "CEN pass");
        let torn = world.cannot_read("CEN", "settings.json", "EOF while parsing");
        torn.clone().check("log-unreadable", "CEN fail");
        torn.settings("CEN", serde_json::json!({})).check("log-unreadable", "CEN pass");
    }
}
