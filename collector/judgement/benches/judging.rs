//! The cost of judging: verdicts a second, and the cost of one event in hierarchies of 10 to 10,000 sites, compared in the same
//! run with judging every site again.
//!
//! Run it with `cargo bench -p supwatch-judgement --bench judging`; `SUPWATCH_BENCH_SITES=100` stops at a smaller hierarchy.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use supwatch_judgement::hierarchy::Hierarchy;
use supwatch_judgement::judge::Judge;
use supwatch_judgement::limits::Limits;
use supwatch_model::coverage::{Coverage, LogCoverage};
use supwatch_model::describe::{SiteDescription, SiteType};
use supwatch_model::event::Scope;
use supwatch_model::event::{Event, EventKind, StoredEvent, Trigger};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::time::Certainty;

/// Measuring time per figure.
const EACH: Duration = Duration::from_secs(1);

/// Secondary sites below each primary.
const BELOW: usize = 20;

fn at(minute: u64) -> Timestamp {
    Timestamp::from_second(1_772_323_200 + 60 * i64::try_from(minute).unwrap_or_default()).expect("a time")
}

fn code(number: usize) -> SiteCode {
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let text: String = [number / 1296, number / 36 % 36, number % 36].iter().map(|digit| char::from(DIGITS[*digit])).collect();
    text.parse().expect("a code")
}

fn stored(site: SiteCode, minute: u64, kind: EventKind) -> StoredEvent {
    let event = Event {
        site,
        sequence: 0,
        time: Some(at(minute)),
        time_certainty: Certainty::Bias,
        log: "wsyncmgr".into(),
        file: "wsyncmgr.log".into(),
        offset: minute,
        component: String::new(),
        thread: 1,
        kind,
        line: "x".repeat(80),
    };
    StoredEvent { agent: AgentId(format!("{site}/srv")), epoch: Epoch([0; 16]), received_at: at(minute), event }
}

fn settings(site: SiteCode, parent: Option<SiteCode>, minute: u64, replica: bool) -> Value {
    let server = |code: SiteCode| format!("sup-{}.corp.example", code.to_string().to_lowercase());
    json!({
        "schema": "supwatch/settings/v1", "taken_at": at(minute).to_string(), "source": "wsus-api",
        "site_server": {"fqdn": server(site), "wsus_console": {"installed": true}},
        "sups": [{"server": server(site), "first": true, "http_port": 8530, "https_port": 8531, "ssl": false, "proxy": {"enabled": false}}],
        "component": {"sync_source": "upstream", "schedule_hours": 24, "languages": ["en", "ja"], "summary_languages": ["en", "ja"],
            "classifications": ["Security Updates"], "products": ["Windows Server 2019"]},
        "wsus": [{
            "server": server(site), "version": "10.0.17763.1", "sync_from_microsoft_update": parent.is_none(), "is_replica": replica,
            "upstream": parent.map(|parent| json!({"server": server(parent), "port": 8530, "ssl": false})), "proxy": {"enabled": false},
            "languages": ["en", "ja"], "all_languages": false, "classifications": ["Security Updates"], "products": ["Windows Server 2019"],
            "website": {"http_port": 8530, "https_port": 8531, "ssl_virtual_directories": []},
            "services": {"WsusService": "running", "W3SVC": "running"},
            "app_pool": {"state": "started", "private_memory_limit_kb": 0, "queue_length": 2000},
        }],
    })
}

fn parent_of(number: usize) -> Option<SiteCode> {
    match number {
        0 => None,
        number if number % (BELOW + 1) == 1 => Some(code(0)),
        number => Some(code(number - (number - 1) % (BELOW + 1))),
    }
}

fn hierarchy(sites: usize) -> Judge {
    let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), true);
    for number in 0..sites {
        let (site, parent) = (code(number), parent_of(number));
        let site_type = match (number, parent) {
            (0, _) => SiteType::Central,
            (_, Some(parent)) if parent == code(0) => SiteType::Primary,
            _ => SiteType::Secondary,
        };
        let description = SiteDescription { site_type: Some(site_type), parent: Some(parent), ..SiteDescription::default() };
        judge.apply(&stored(site, 0, EventKind::SiteDescribed(description)));
        judge.apply(&stored(site, 0, EventKind::SettingsSnapshot { settings: settings(site, parent, 0, false) }));
        judge.apply(&stored(site, 1, EventKind::RunStarted { trigger: Trigger::Parent, from: parent, scope: Scope::Unknown }));
        judge.apply(&stored(site, 2, EventKind::RunSucceeded));
        // A site in the middle of a backlog is not judged, so each site is marked as caught up.
        let read_until = Some(Timestamp::MAX);
        let log = LogCoverage { log: "wsyncmgr".into(), file: "wsyncmgr.log".into(), offset: 0, size: 0, read_until };
        let coverage = Coverage { site, after_sequence: u64::MAX, caught_up: true, logs: vec![log] };
        judge.apply_coverage(&AgentId(format!("{site}/srv")), Epoch([0; 16]), coverage);
    }
    judge.judge(at(3));
    judge
}

/// Mean time of a step, repeated for the measuring time.
fn mean(mut step: impl FnMut(u64)) -> Duration {
    let (start, mut count) = (Instant::now(), 0u64);
    while start.elapsed() < EACH {
        step(count);
        count += 1;
    }
    start.elapsed() / u32::try_from(count.max(1)).unwrap_or(u32::MAX)
}

fn main() {
    let most = std::env::var("SUPWATCH_BENCH_SITES").ok().and_then(|sites| sites.parse().ok()).unwrap_or(10_000usize);
    println!(
        "{:>6}  {:>13}  {:>13}  {:>13}  {:>13}  {:>12}",
        "sites", "log event", "failed run", "one snapshot", "all again", "verdicts/s"
    );
    for sites in [10usize, 100, 1000, 10_000].into_iter().filter(|sites| *sites <= most) {
        let mut judge = hierarchy(sites);
        // A leaf if there is one: most events of a large hierarchy concern leaves.
        let number = sites - 1;
        let (leaf, parent) = (code(number), parent_of(number));
        let line = mean(|count| {
            let minute = 10 + count;
            judge.apply(&stored(leaf, minute, EventKind::RunProgress { done: count, total: 1 << 40, phase: "wsus".into() }));
            judge.judge(at(minute));
        });
        let failed = mean(|count| {
            let kind =
                EventKind::RunFailed { text: "Unable to connect to the remote server".into(), source: "X".into(), code: None };
            judge.apply(&stored(
                leaf,
                100 + 10 * count,
                EventKind::RunStarted { trigger: Trigger::Parent, from: parent, scope: Scope::Unknown },
            ));
            judge.apply(&stored(leaf, 105 + 10 * count, kind));
            judge.judge(at(106 + 10 * count));
        });
        let snapshot = mean(|count| {
            let minute = 1_000_000 + count;
            let settings = settings(leaf, parent, minute, count % 2 == 0);
            judge.apply(&stored(leaf, minute, EventKind::SettingsSnapshot { settings }));
            judge.judge(at(minute));
        });
        let all = mean(|count| {
            judge.touch_all();
            judge.judge(at(2_000_000 + count));
        });
        let verdicts = judge.verdicts().count() as f64 / all.as_secs_f64();
        println!("{sites:>6}  {line:>13.1?}  {failed:>13.1?}  {snapshot:>13.1?}  {all:>13.1?}  {verdicts:>12.0}");
    }
}
