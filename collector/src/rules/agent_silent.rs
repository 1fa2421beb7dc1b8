//! The agents of a site have been heard of lately. Judges the watcher, so it gives no verdict offline.

use super::{Failure, Judged, Rule, Scene};
use jiff::SignedDuration;
use supwatch_proto::text::Text;
use supwatch_proto::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "agent-silent",
    severity: Severity::Warning,
    title: ("the site's agent has been heard of lately", "サイトのエージェントから最近連絡がある"),
    why: (
        "Of a site whose agent is silent everything else shown is old.",
        "エージェントから連絡がないサイトについて表示される情報は、すべて古いものです。",
    ),
    watcher: true,
    judge,
};

const LOOKED_AT: &[&str] = &["agent heartbeats"];

/// Minutes without a sign of life, unless `hierarchy.toml` says otherwise.
pub const SILENT_MINUTES: u32 = 5;

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let code = scene.site.code;
    let limit = scene.hierarchy.expected.agent_silent_minutes.unwrap_or(SILENT_MINUTES);
    let agents: Vec<_> = scene.hierarchy.agents.iter().filter(|(_, agent)| agent.sites.contains(&code)).collect();
    let heard = agents.iter().filter_map(|(_, agent)| agent.last_heard_at).max();
    let Some(heard) = heard else {
        let missing = Text::new(
            format!("an agent for {code}: none has ever connected"),
            format!("{code} のエージェント (一度も接続していません)"),
        );
        return vec![Judged::unknown(LOOKED_AT, vec![missing])];
    };
    let silent = scene.now.duration_since(heard);
    if silent <= SignedDuration::from_mins(i64::from(limit)) {
        return vec![Judged::pass(LOOKED_AT)];
    }
    let names = agents.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(", ");
    let summary = Text::new(
        format!("the agent of {code} ({names}) has been silent for more than {limit} minutes"),
        format!("{code} のエージェント ({names}) から {limit} 分以上連絡がありません"),
    );
    let mut failure = Failure::new(Severity::Warning, summary).remedied_by(
        "On the agent's server, see whether the service supwatch-agent runs and what its log says; then whether the collector's port can be reached from there.",
        "エージェントのサーバーで supwatch-agent サービスの状態とログを確認し、コレクターのポートに接続できるか確認してください。",
    );
    failure.since = Some(heard);
    vec![Judged::fail(LOOKED_AT, failure)]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn five_minutes_of_silence_fail_and_an_agent_never_seen_is_unknown() {
        let world = World::new().central("CEN").live();
        world.clone().heard("CEN").check("agent-silent", "CEN pass");
        world.clone().heard("CEN").later_hours(1).check("agent-silent", "CEN fail");
        World::new().expect("P01", "primary", "CEN").live().check("agent-silent", "P01 unknown");
        World::new().central("CEN").check("agent-silent", "");
    }
}
