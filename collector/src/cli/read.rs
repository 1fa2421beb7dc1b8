//! The reading commands: `status`, `sites`, `findings`, `runs`, `events`.

use jiff::Timestamp;
use supwatch_model::event::StoredEvent;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SitePicture};
use supwatch_model::run::Phase;
use supwatch_model::text::Lang;
use supwatch_model::verdict::{Severity, Verdict};
use supwatch_proto::time::to_wire;
use supwatch_proto::wire;

use super::client::{self, client, picture};
use super::{FailOn, Failure, Global, Outcome, print, print_json, print_more, runtime, suppress};
use crate::show::render::table::Table;
use crate::show::render::{Look, duration, findings, json, safe, time, tree};

#[derive(Debug, clap::Args)]
pub(super) struct Status {
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
}

impl Status {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let picture = picture(global, self.at, false)?;
        if global.is_json() {
            print_json(&json::picture(&picture, global.lang()))?;
        } else {
            print(&tree::draw(&picture, global.look()))?;
        }
        Ok(u8::from(self.fail_on.fails(&picture.findings)))
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Sites {
    /// Show this site in full
    #[arg(value_parser = super::site)]
    site: Option<SiteCode>,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
}

impl Sites {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let picture = picture(global, self.at, false)?;
        let look = global.look();
        match self.site {
            None if global.is_json() => {
                print_json(
                    &serde_json::json!({"schema": "supwatch/sites/v1", "sites": picture.sites.iter().map(json::site).collect::<Vec<_>>()}),
                )?;
            }
            None => print(&site_table(&picture, look))?,
            Some(code) => {
                let known = || picture.sites.iter().map(|site| site.code.to_string()).collect::<Vec<_>>().join(", ");
                let site = picture
                    .sites
                    .iter()
                    .find(|site| site.code == code)
                    .ok_or_else(|| Failure::Own(format!("there is no site {code} here; known: {}", known())))?;
                if global.is_json() {
                    print_json(&site_json(&picture, site, global))?
                } else {
                    print(&site_full(&picture, site, look))?
                }
            }
        }
        Ok(0)
    }
}

fn site_table(picture: &Picture, look: Look) -> String {
    let mut table = Table::new(&[
        look.say("site", "サイト"),
        look.say("type", "種類"),
        look.say("parent", "親"),
        look.say("state", "状態"),
        look.say("last success (UTC)", "最終成功 (UTC)"),
        look.say("catalog", "カタログ"),
        look.say("findings", "問題"),
    ]);
    for site in &picture.sites {
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

fn site_json(picture: &Picture, site: &SitePicture, global: &Global) -> serde_json::Value {
    let lang = global.lang();
    serde_json::json!({
        "schema": "supwatch/site/v1",
        "site": json::site(site),
        "runs": picture.runs.iter().filter(|run| run.site == site.code).map(json::run).collect::<Vec<_>>(),
        "findings": picture.findings.iter().filter(|f| f.site == site.code).map(|f| json::finding(f, lang)).collect::<Vec<_>>(),
        "verdicts": picture.verdicts.iter().filter(|v| v.site == site.code).map(|v| json::verdict(v, lang)).collect::<Vec<_>>(),
        "settings": site.settings,
    })
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

fn site_full(picture: &Picture, site: &SitePicture, look: Look) -> String {
    let one = Picture { sites: vec![site.clone()], refusals: Vec::new(), ..picture.clone() };
    let mut out = site_table(&one, look);
    for agent in &site.agents {
        let state = if agent.connected { look.say("connected", "接続中") } else { look.say("not connected", "未接続") };
        out.push_str(&format!(
            "\n{} {} {} · {} {} · {} {} · {} {}\n",
            look.say("agent", "エージェント"),
            safe(&agent.id.0),
            safe(&agent.version),
            state,
            time(agent.last_heard_at),
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
    let mut runs = picture.clone();
    runs.runs.retain(|run| run.site == site.code);
    runs.runs.truncate(10);
    out.push_str(&format!("\n{}", run_table(&runs, look)));
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

#[derive(Debug, clap::Args)]
pub(super) struct Findings {
    /// Include resolved findings
    #[arg(long)]
    all: bool,
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only this severity or worse
    #[arg(long, value_enum)]
    severity: Option<FailOn>,
    /// Show findings in full, with evidence and remedies
    #[arg(long)]
    full: bool,
    /// Suppress a finding: it is still judged and shown, but not notified; needs --reason
    #[arg(long, value_name = "ID", requires = "reason", conflicts_with_all = ["unsuppress", "audit"])]
    suppress: Option<String>,
    /// Lift the suppression of a finding; needs --reason
    #[arg(long, value_name = "ID", requires = "reason", conflicts_with = "audit")]
    unsuppress: Option<String>,
    /// Reason of --suppress or --unsuppress
    #[arg(long)]
    reason: Option<String>,
    /// When --suppress ends; without it, when an operator lifts it
    #[arg(long, value_parser = super::moment_ahead, requires = "suppress")]
    until: Option<Timestamp>,
    /// List changes above a site that have not reached it yet, and when they are due
    #[arg(long)]
    expected: bool,
    /// List every suppression: who, what, when and why
    #[arg(long)]
    audit: bool,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
}

impl Findings {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let reason = self.reason.as_deref().unwrap_or_default();
        if let Some(id) = &self.suppress {
            return suppress::suppress(global, id, reason, self.until).map(|()| 0);
        }
        if let Some(id) = &self.unsuppress {
            return suppress::unsuppress(global, id, reason).map(|()| 0);
        }
        if self.audit {
            return suppress::audit(global).map(|()| 0);
        }
        let picture = picture(global, self.at, self.all)?;
        if self.expected {
            return self.list_expected(&picture, global).map(|()| 0);
        }
        let mut found = picture.findings;
        let limit = match self.severity {
            Some(FailOn::Critical) => Severity::Critical,
            Some(FailOn::Warning) => Severity::Warning,
            Some(FailOn::Info | FailOn::Never) | None => Severity::Info,
        };
        found.retain(|finding| {
            self.site.is_none_or(|site| finding.site == site)
                && self.rule.as_ref().is_none_or(|rule| finding.rule == *rule)
                && finding.severity <= limit
        });
        let look = global.look();
        if global.is_json() {
            let list: Vec<_> = found.iter().map(|finding| json::finding(finding, global.lang())).collect();
            print_json(&serde_json::json!({"schema": "supwatch/findings/v1", "findings": list}))?;
        } else if self.full {
            let full = |finding| format!("{}{}", findings::full(finding, look), findings::following(finding, &found, look));
            print(&found.iter().map(full).collect::<Vec<_>>().join("\n"))?;
        } else {
            print(&findings::list(&found, look))?;
        }
        Ok(u8::from(self.fail_on.fails(&found)))
    }

    /// Differences whose propagation to the site is still due.
    fn list_expected(&self, picture: &Picture, global: &Global) -> Result<(), Failure> {
        let look = global.look();
        let concerned = |verdict: &&Verdict| {
            verdict.expected_by.is_some()
                && self.site.is_none_or(|site| verdict.site == site)
                && self.rule.as_ref().is_none_or(|rule| verdict.rule == *rule)
        };
        let found: Vec<&Verdict> = picture.verdicts.iter().filter(concerned).collect();
        if global.is_json() {
            let list: Vec<_> = found.iter().map(|verdict| json::verdict(verdict, global.lang())).collect();
            return print_json(&serde_json::json!({"schema": "supwatch/expected/v1", "expected": list}));
        }
        let mut table = Table::new(&[
            look.say("site", "サイト"),
            look.say("rule", "ルール"),
            look.say("by (UTC)", "期限 (UTC)"),
            look.say("what", "内容"),
        ]);
        for verdict in found {
            let what = verdict.missing.iter().map(|text| safe(look.text(text))).collect::<Vec<_>>().join("; ");
            let row = [verdict.site.as_str(), &verdict.rule, &time(verdict.expected_by), &what].map(Into::into);
            table.row(row.into());
        }
        let nothing = look.say("nothing is expected", "反映待ちの変更はありません");
        print(&if table.is_empty() { format!("{nothing}\n") } else { table.draw(look) })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Runs {
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
    /// From this time on
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    until: Option<Timestamp>,
}

impl Runs {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let mut picture = picture(global, None, false)?;
        picture.runs.retain(|run| {
            let at = run.started_at.or(run.ended_at);
            self.site.is_none_or(|site| run.site == site)
                && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
                && self.until.is_none_or(|until| at.is_some_and(|at| at <= until))
        });
        if global.is_json() {
            print_json(
                &serde_json::json!({"schema": "supwatch/runs/v1", "runs": picture.runs.iter().map(json::run).collect::<Vec<_>>()}),
            )?;
        } else {
            print(&run_table(&picture, global.look()))?;
        }
        Ok(0)
    }
}

fn run_table(picture: &Picture, look: Look) -> String {
    let mut table = Table::new(&[
        look.say("site", "サイト"),
        look.say("started (UTC)", "開始 (UTC)"),
        look.say("took", "所要"),
        look.say("trigger", "契機"),
        look.say("outcome", "結果"),
        look.say("phases, cause", "フェーズ・原因"),
    ]);
    for run in &picture.runs {
        let took =
            run.started_at.zip(run.ended_at).map_or_else(|| "–".to_owned(), |(start, end)| duration(end.duration_since(start)));
        let trigger = run.from.map_or_else(|| run.trigger.as_str().to_owned(), |from| format!("{} {from}", run.trigger.as_str()));
        let phase = |phase: &Phase| match phase.started_at.zip(phase.ended_at) {
            Some((start, end)) => format!("{} {}", phase.phase, duration(end.duration_since(start))),
            None => phase.phase.clone(),
        };
        let mut detail = run.phases.iter().map(phase).collect::<Vec<_>>().join(" → ");
        if let Some((done, total)) = run.progress {
            detail.push_str(&format!(" {done}/{total}"));
        }
        if let Some(cause) = &run.cause {
            detail = format!("{cause}: {}", run.text.as_deref().unwrap_or_default());
        }
        table.row(vec![
            run.site.as_str().into(),
            time(run.started_at).into(),
            took.into(),
            trigger.into(),
            run.outcome.as_str().into(),
            safe(&detail).into(),
        ]);
    }
    table.draw(look)
}

#[derive(Debug, clap::Args)]
pub(super) struct Events {
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
    /// From this time on
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Up to this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Only these kinds, such as run-failed
    #[arg(long)]
    kind: Vec<String>,
    /// Number of newest events; 0: all
    #[arg(long, default_value_t = 50)]
    last: u32,
    /// Keep printing new events
    #[arg(long)]
    follow: bool,
}

impl Events {
    /// JSON is one object a line, so that it can be followed.
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let request = wire::EventsRequest {
            sites: self.site.iter().map(SiteCode::to_string).collect(),
            since: self.since.map(to_wire),
            until: self.until.map(to_wire),
            kinds: self.kind.clone(),
            last: self.last,
            follow: self.follow,
        };
        let look = global.look();
        runtime()?.block_on(async {
            let mut client = client(global).await?;
            let mut stream = client.events(request).await.map_err(|status| client::refused(&status))?.into_inner();
            while let Some(message) = stream.message().await.map_err(|status| client::refused(&status))? {
                let mut out = String::new();
                for event in message.events {
                    let stored = StoredEvent::try_from(event)
                        .map_err(|error| Failure::Collector(format!("the collector's answer is invalid: {error}")))?;
                    if global.is_json() {
                        out.push_str(&serde_json::to_string(&stored).map_err(Failure::own)?);
                        out.push('\n');
                    } else {
                        out.push_str(&event_line(&stored, look));
                    }
                }
                if !print_more(&out)? {
                    break;
                }
            }
            Ok(0)
        })
    }
}

fn event_line(stored: &StoredEvent, look: Look) -> String {
    let event = &stored.event;
    let text = if event.line.is_empty() { event.file.clone() } else { event.line.clone() };
    let head = format!("{:<19} {} {:<17} ", time(event.time), event.site, event.kind.name());
    format!("{head}{}\n", crate::show::render::fit(&safe(&text), look.width.saturating_sub(head.len()).max(20)))
}
