//! The clocks of the agents' servers, and of the WSUS servers they probe, agree with the collector's. Judges the agent, so it
//! gives no verdict offline.

use super::{Failure, Judged, Outcome, Rule, Scene, setting};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "clock-skew",
    severity: Severity::Warning,
    title: ("clocks agree", "時刻が一致している"),
    why: (
        "Times of different sites are compared with each other; and Kerberos refuses a server that is more than five minutes off.",
        "サイト間で時刻を比較して判定しているほか、5 分を超えてずれたサーバーは Kerberos 認証に失敗します。",
    ),
    looks_at: &["agent heartbeats", "wsus[].reach.clock_offset_s", "limits.clock_skew_seconds"],
    fix: &[(
        "On the server whose clock is off: `w32tm /query /status`, then `w32tm /resync`; make sure that it follows the domain's time.",
        "時刻がずれているサーバーで `w32tm /query /status` を確認し、`w32tm /resync` を実行して、ドメインの時刻に同期していることを確認してください。",
    )],
    source: "supwatch's own",
    watcher: true,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    if !scene.live {
        return Vec::new();
    }
    let (site, limit) = (scene.site, scene.limits.clock_seconds);
    let mut judged = Vec::new();
    for (id, agent) in scene.hierarchy.agents_of(site) {
        let Some(ahead) = agent.clock_ahead_ms.map(|ms| ms / 1000) else { continue };
        judged.push(verdict(&id.0, ahead, limit, None));
    }
    for wsus in site.settings().and_then(|settings| settings.wsus.value()).into_iter().flatten() {
        let (Some(server), Some(offset)) = (wsus.server.value(), wsus.reach.value().and_then(|reach| reach.clock_offset_s.value()))
        else {
            continue;
        };
        let evidence = setting(site, format!("wsus[{server}].reach.clock_offset_s"), *offset);
        judged.push(verdict(server, *offset, limit, Some(evidence)));
    }
    if judged.is_empty() && scene.hierarchy.agents_of(site).next().is_some() {
        let code = site.code;
        let missing = Text::new(format!("a heartbeat of an agent of {code}"), format!("{code} のエージェントのハートビート"));
        judged.push(Judged::usual(Outcome::Unknown(vec![missing])));
    }
    judged
}

fn verdict(who: &str, ahead: i64, limit: i64, evidence: Option<supwatch_model::finding::Evidence>) -> Judged {
    if ahead.abs() <= limit {
        return Judged::usual(Outcome::Pass).of(who);
    }
    let (en, ja) = if ahead > 0 { ("ahead", "進んで") } else { ("behind", "遅れて") };
    let minutes = ahead.abs() / 60;
    let summary =
        Text::new(format!("the clock of {who} is {minutes} minutes {en}"), format!("{who} の時計が {minutes} 分{ja}います"));
    Judged::usual(Outcome::Fail(Box::new(Failure::new(Severity::Warning, summary).shown_by(evidence)))).of(who)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[test]
    fn a_clock_that_is_off_fails_whoever_it_is() {
        let world = World::new().central("CEN").live().seen("CEN");
        world.clone().check("clock-skew", "CEN unknown");
        world.clone().clock_of("CEN", 2_000).check("clock-skew", "CEN pass");
        world.clone().clock_of("CEN", -400_000).check("clock-skew", "CEN fail");
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["reach"] = json!({"clock_offset_s": 900});
        world.settings("CEN", settings).check("clock-skew", "CEN fail");
    }
}
