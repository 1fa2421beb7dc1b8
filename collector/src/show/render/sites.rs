//! Sites as a table, and one site in full.

use supwatch_model::picture::{Picture, SitePicture};
use supwatch_model::text::Lang;

use super::table::Table;
use super::{Look, duration, findings, runs, safe, time};

/// Most runs of one site in full.
const RUNS_SHOWN: usize = 10;

/// Every site on one line.
pub fn list(sites: &[SitePicture], look: Look) -> String {
    let mut table = Table::new(&[
        look.say("site", "サイト"),
        look.say("type", "種類"),
        look.say("parent", "親"),
        look.say("state", "状態"),
        look.say("last success (UTC)", "最終成功 (UTC)"),
        look.say("catalog", "カタログ"),
        look.say("findings", "問題"),
    ]);
    for site in sites {
        let counts = site.findings;
        table.row(vec![
            site.code.as_str().into(),
            site.site_type.map_or("–", |word| word.as_str()).into(),
            site.parent.map_or_else(|| "–".to_owned(), |code| code.to_string()).into(),
            site.state.as_str().into(),
            time(site.last_success_at).into(),
            site.catalog_version.map_or_else(|| "–".to_owned(), |version| version.to_string()).into(),
            format!("{}/{}/{}", counts.critical, counts.warning, counts.info).into(),
        ]);
    }
    table.draw(look)
}

/// One site in full: its agents, newest runs, trends, findings and verdicts.
pub fn full(picture: &Picture, site: &SitePicture, look: Look) -> String {
    let mut out = list(std::slice::from_ref(site), look);
    for agent in &site.agents {
        let state = if agent.connected { look.say("connected", "接続中") } else { look.say("not connected", "未接続") };
        out.push_str(&format!(
            "\n{} {} {} · {} {} · {} {} · {} {}\n",
            look.say("agent", "エージェント"),
            safe(&agent.id.0),
            safe(&agent.version),
            state,
            time(agent.last_seen_at),
            agent.events,
            look.say("events", "イベント"),
            agent.spooled_events,
            look.say("waiting", "待機中"),
        ));
        if agent.lost_events > 0 {
            let lost = look.say(
                "events lost: neither the agent nor the store has them any more",
                "件のイベントが失われました（エージェントにもストアにもありません）",
            );
            out.push_str(&format!("  {} {lost}\n", agent.lost_events));
        }
    }
    let newest = picture.runs.iter().filter(|run| run.site == site.code).take(RUNS_SHOWN);
    out.push_str(&format!("\n{}", runs::list(newest, look)));
    if !site.trends.is_empty() {
        out.push_str(&format!("\n{}", trend_table(site, look)));
    }
    for finding in picture.findings.iter().filter(|f| f.site == site.code) {
        out.push('\n');
        out.push_str(&findings::full(finding, look));
    }
    let mut verdicts =
        Table::new(&[look.say("rule", "ルール"), look.say("verdict", "判定"), look.say("looked at, or lacks", "参照 / 不足")]);
    for verdict in picture.verdicts.iter().filter(|v| v.site == site.code) {
        let missing = verdict.missing.iter().map(|text| safe(look.text(text))).collect::<Vec<_>>().join("; ");
        let detail = if missing.is_empty() { verdict.looked_at.join(", ") } else { missing };
        verdicts.row(vec![verdict.rule.as_ref().into(), verdict.answer.as_str().into(), safe(&detail).into()]);
    }
    out.push_str(&format!("\n{}", verdicts.draw(look)));
    out
}

/// Durations of the site's runs, by phase, the whole run first.
fn trend_table(site: &SitePicture, look: Look) -> String {
    let mut table = Table::new(&[
        look.say("how long it takes", "所要時間"),
        look.say("runs", "回数"),
        look.say("last", "最新"),
        look.say("median", "中央値"),
        look.say("p95", "95 %"),
        "",
    ]);
    let (whole, phases): (Vec<_>, Vec<_>) = site.trends.iter().partition(|trend| trend.phase == supwatch_judgement::trends::WHOLE);
    for trend in whole.into_iter().chain(phases) {
        let slower = trend.growth.map(|growth| match look.lang {
            Lang::En => format!("{growth:.1} times as long as before"),
            Lang::Ja => format!("以前の {growth:.1} 倍"),
        });
        table.row(vec![
            safe(&trend.phase).into(),
            trend.runs.to_string().into(),
            duration(trend.last).into(),
            duration(trend.median).into(),
            duration(trend.p95).into(),
            slower.unwrap_or_default().into(),
        ]);
    }
    table.draw(look)
}
