//! No agent's spool exceeds the lag limit. Judges the agent, so it gives no verdict offline.

use jiff::SignedDuration;

use super::{Failure, Judged, Outcome, Rule, Scene};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "agent-lagging",
    severity: Severity::Warning,
    title: ("the site's agents deliver what they read", "エージェントが読み取った内容を送信できている"),
    why: (
        "What an agent has not sent yet is not judged: everything shown for the site is older than it looks.",
        "エージェントに滞留しているイベントはまだ判定されていないため、表示は見かけより古い状態です。",
    ),
    looks_at: &["agent heartbeats", "limits.agent_lagging_events"],
    fix: &[
        (
            "After a long outage this passes by itself; `supwatch sites SITE` shows the number going down.",
            "長い停止の後であれば自然に解消します。`supwatch sites SITE` で件数が減ることを確認してください。",
        ),
        (
            "If it grows, look at the connection between agent and collector and at the collector's load.",
            "増え続ける場合は、エージェントとコレクターの間の回線とコレクターの負荷を確認してください。",
        ),
    ],
    source: "supwatch's own",
    watcher: true,
    judge,
};

/// Time for an agent to deliver a backlog.
const CATCHES_UP: SignedDuration = SignedDuration::from_mins(15);
/// Seconds without an acknowledgement after which delivery counts as stalled.
const STALLED_SECONDS: u32 = 60;

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    if !scene.live {
        return Vec::new();
    }
    let code = scene.site.code;
    let agents = scene.hierarchy.agents_of(scene.site).filter(|(_, agent)| agent.last_seen_at.is_some());
    agents
        .map(|(id, agent)| {
            // A shrinking backlog is normal; `status` shows how much is left.
            let stays = agent.lags_since.is_some_and(|since| scene.now.duration_since(since) >= CATCHES_UP);
            let stalled = agent.waiting_seconds >= STALLED_SECONDS;
            if agent.spooled_events <= scene.limits.lagging_events || !(stays || stalled) {
                return Judged::usual(Outcome::Pass).of(&id.0);
            }
            let summary = Text::new(
                format!("agent {id} of {code} holds back more than {} events", scene.limits.lagging_events),
                format!("{code} のエージェント {id} に {} 件を超えるイベントが滞留しています", scene.limits.lagging_events),
            );
            Judged::usual(Outcome::Fail(Box::new(Failure::new(Severity::Warning, summary)))).of(&id.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn a_large_backlog_fails_once_it_has_stayed() {
        let world = World::new().central("CEN").live();
        world.clone().seen_with_spool("CEN", 10).later_minutes(20).check("agent-lagging", "CEN pass");
        world.clone().seen_with_spool("CEN", 10_001).later_minutes(14).check("agent-lagging", "CEN pass");
        world.clone().seen_with_spool("CEN", 10_001).later_minutes(15).check("agent-lagging", "CEN fail");
        World::new().expect("P01", "primary", "CEN").live().check("agent-lagging", "");
    }
}
