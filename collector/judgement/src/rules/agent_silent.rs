//! Each agent of a site was seen recently, even if another agent of the site was. Judges the agent, so it gives no verdict
//! offline.

use super::{Failure, Judged, Rule, Scene};
use jiff::SignedDuration;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "agent-silent",
    severity: Severity::Warning,
    title: ("the site's agent has reported recently", "サイトのエージェントから最近連絡がある"),
    why: (
        "Everything else shown for a site whose agent is silent is out of date.",
        "エージェントから連絡がないサイトについて表示される情報は、すべて古いものです。",
    ),
    looks_at: LOOKED_AT,
    fix: &[(
        "On the agent's server, see whether the service supwatch-agent runs and what its log says; then whether the collector's port can be reached from there.",
        "エージェントのサーバーで supwatch-agent サービスの状態とログを確認し、コレクターのポートに接続できるか確認してください。",
    )],
    source: "supwatch's own",
    watcher: true,
    judge,
};

const LOOKED_AT: &[&str] = &["agent heartbeats"];

/// Minutes without a contact, unless `hierarchy.toml` sets another limit.
pub const SILENT_MINUTES: u32 = 5;

/// How long an agent may be silent, while another of the same site is alive, before it counts as replaced.
pub const REPLACED: SignedDuration = SignedDuration::from_hours(7 * 24);

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    if !scene.live {
        return Vec::new();
    }
    let code = scene.site.code;
    let limit = scene.limits.silent_minutes.or(scene.hierarchy.expected.agent_silent_minutes).unwrap_or(SILENT_MINUTES);
    let seen: Vec<_> = scene.hierarchy.agents_of(scene.site).filter_map(|(id, agent)| Some((id, agent.last_seen_at?))).collect();
    if seen.is_empty() {
        let missing = Text::new(
            format!("an agent for {code}: none has ever connected"),
            format!("{code} のエージェント (一度も接続していません)"),
        );
        return vec![Judged::unknown(LOOKED_AT, vec![missing])];
    }
    let newest = seen.iter().map(|(_, at)| *at).max();
    seen.iter()
        // An agent that another replaced a week ago is gone, not silent.
        .filter(|(_, at)| newest.is_none_or(|newest| newest.duration_since(*at) <= REPLACED))
        .map(|(id, at)| one(scene, &id.0, *at, limit))
        .collect()
}

fn one(scene: &Scene<'_>, id: &str, seen: jiff::Timestamp, limit: u32) -> Judged {
    let code = scene.site.code;
    if scene.now.duration_since(seen) <= SignedDuration::from_mins(i64::from(limit)) {
        return Judged::pass(LOOKED_AT).of(id);
    }
    let summary = Text::new(
        format!("the agent of {code} ({id}) has been silent for more than {limit} minutes"),
        format!("{code} のエージェント ({id}) から {limit} 分以上連絡がありません"),
    );
    let mut failure = Failure::new(Severity::Warning, summary);
    failure.since = Some(seen);
    Judged::fail(LOOKED_AT, failure).of(id)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    #[test]
    fn five_minutes_of_silence_fail_and_an_agent_never_seen_is_unknown() {
        let world = World::new().central("CEN").live();
        world.clone().seen("CEN").check("agent-silent", "CEN pass");
        world.clone().seen("CEN").later_hours(1).check("agent-silent", "CEN fail");
        World::new().expect("P01", "primary", "CEN").live().check("agent-silent", "P01 unknown");
        World::new().central("CEN").check("agent-silent", "");
    }

    #[test]
    fn a_silent_agent_beside_a_live_one_is_reported_until_it_counts_as_replaced() {
        let two = World::new().live().agent_seen("old", "P01", 0);
        two.clone().later_hours(1).agent_seen("new", "P01", 0).check("agent-silent", "P01 pass, P01 fail");
        two.later_hours(24 * 8).agent_seen("new", "P01", 0).check("agent-silent", "P01 pass");
    }
}
