//! Invariants of judging, for any input: the stored verdicts equal those of a replay, and an event triggers judgement of few
//! sites.

use super::*;
use crate::rules::testing::{events, healthy};
use proptest::prelude::*;
use serde_json::{Value, json};
use supwatch_model::describe::{Generation, SiteDescription, SiteType};
use supwatch_model::event::EventKind;
use supwatch_model::ids::Epoch;

const SITES: [&str; 5] = ["CEN", "P01", "P02", "S01", "S02"];

fn now() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().expect("time")
}

fn stored(site: &str, kind: EventKind) -> StoredEvent {
    let mut event = events(site, &["Sync succeeded. x"]).remove(0);
    event.kind = kind;
    wrap(event)
}

fn wrap(event: supwatch_model::event::Event) -> StoredEvent {
    let received_at = "2026-03-01T04:00:00Z".parse().expect("time");
    StoredEvent { agent: AgentId("a".into()), epoch: Epoch([0; 16]), received_at, event }
}

/// Lines that are relevant to some rule.
const LINES: &[&str] = &[
    "Performing sync on regular schedule",
    "Performing sync on local request",
    "Performing sync on parent request",
    "Sync succeeded. x",
    "Sync failed: Unable to connect to the remote server. Source: X",
    "Sync failed: DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized. Source: X",
    "Sending sync notification to child site(s): P01, P02",
    "Sending sync notification to child site(s): S01",
    "Found parent sync notification file CEN.SYN",
    "Found parent sync notification file P01.SYN",
    "Found parent sync notification file P02.SYN",
    "Set content version of update source {G} for site CEN to 34",
    "Set content version of update source {G} for site CEN to 35",
    "requested localization languages: en,ja,de",
    "DCM digest has invalid schema",
    "Synchronizing WSUS server sup1 ...",
];

/// Settings that are relevant to some rule.
fn mutations() -> Vec<(&'static str, Value)> {
    vec![
        ("/wsus/0/is_replica", json!(true)),
        ("/wsus/0/languages", json!(["en", "de"])),
        ("/wsus/0/classifications", json!(["Drivers"])),
        ("/wsus/0/version", json!("10.0.1")),
        ("/wsus/0/upstream", json!({"server": "p02.corp.example", "port": 8530, "ssl": false})),
        ("/wsus/0/upstream", json!({"server": "vip.corp.example", "port": 8530, "ssl": false})),
        ("/wsus/0/wsus_sync", json!({"started_at": "2026-03-01T04:30:00Z"})),
        ("/sups/0/names", json!(["vip.corp.example"])),
        ("/sups/0/http_port", json!(80)),
        ("/sups", json!([])),
        ("/component/schedule_hours", json!(1)),
        ("/component/summary_languages", json!(["en", "fr"])),
        ("/component/classifications", json!(["Drivers"])),
        ("/sup_status", json!([{"site": "P01", "catalog_version": 33}, {"site": "S01", "last_success_at": null}])),
        ("/taken_at", json!("2026-03-01T05:00:00Z")),
    ]
}

fn snapshot(site: &str, parent: Option<&str>, changes: &[usize]) -> StoredEvent {
    let lower = |code: &str| code.to_lowercase();
    let mut settings = healthy(&lower(site), parent.map(lower).as_deref());
    settings["sup_status"] = Value::Null;
    settings["wsus"][0]["version"] = json!("10.0.5");
    settings["wsus"][0]["wsus_sync"] = Value::Null;
    settings["sups"][0]["names"] = json!([]);
    let all = mutations();
    for (path, value) in changes.iter().map(|change| &all[change % all.len()]) {
        let (part, field) = path.rsplit_once('/').expect("a path");
        let Some(fields) = settings.pointer_mut(part).and_then(Value::as_object_mut) else { continue };
        fields.insert(field.to_owned(), value.clone());
    }
    stored(site, EventKind::SettingsSnapshot { settings })
}

fn site() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(SITES.as_slice())
}

fn event() -> impl Strategy<Value = StoredEvent> {
    let types = proptest::sample::select(vec![None, Some(SiteType::Central), Some(SiteType::Primary), Some(SiteType::Secondary)]);
    let parents = || proptest::option::of(proptest::option::of(site()));
    let generations = proptest::option::of(proptest::sample::select(vec![Generation::Cm2007, Generation::Cm2012]));
    let described = (site(), types, parents(), generations, site()).prop_map(|(site, site_type, parent, generation, server)| {
        let parent = parent.map(|parent| parent.map(|code| code.parse().expect("code")));
        let server = Some(format!("{}.corp.example", server.to_lowercase()));
        stored(site, EventKind::SiteDescribed(SiteDescription { site_type, parent, generation, server, ..Default::default() }))
    });
    let line = (site(), proptest::sample::select(LINES), 0i64..180).prop_map(|(site, line, minute)| {
        let mut event = events(site, &[line]).remove(0);
        event.time = event.time.and_then(|time| time.checked_add(jiff::SignedDuration::from_mins(minute)).ok());
        wrap(event)
    });
    let settings = (site(), proptest::option::of(site()), proptest::collection::vec(0usize..100, 0..4))
        .prop_map(|(site, parent, changes)| snapshot(site, parent, &changes));
    prop_oneof![1 => described, 5 => line, 3 => settings]
}

fn replayed(events: &[StoredEvent]) -> Vec<Verdict> {
    let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
    events.iter().for_each(|event| judge.apply(event));
    judge.touch_all();
    judge.judge(now());
    judge.verdicts().cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    /// Without any tick: an event changes no verdict of a site that it does not mark.
    #[test]
    fn the_verdicts_kept_are_those_of_a_replay_at_any_moment(events in proptest::collection::vec(event(), 1..40)) {
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
        for (count, event) in (1..).zip(&events) {
            judge.apply(event);
            judge.judge(now());
            if count % 5 == 0 || count == events.len() {
                let kept: Vec<Verdict> = judge.verdicts().cloned().collect();
                let replayed = replayed(&events[..count]);
                let stale: Vec<&Verdict> = kept.iter().filter(|verdict| !replayed.contains(verdict)).collect();
                let lacking: Vec<&Verdict> = replayed.iter().filter(|verdict| !kept.contains(verdict)).collect();
                prop_assert!(stale.is_empty() && lacking.is_empty(), "stale {stale:#?}\nlacking {lacking:#?}");
            }
        }
    }

    /// Settings do not depend on the order in which snapshots arrive.
    #[test]
    fn snapshots_in_any_order_give_the_same_settings(
        changes in proptest::collection::vec((0u32..50, proptest::collection::vec(0usize..100, 0..3)), 1..8),
        seed in any::<u64>(),
    ) {
        let snapshots: Vec<Value> = changes.iter().enumerate().map(|(place, (minute, changes))| {
            let EventKind::SettingsSnapshot { mut settings } = snapshot("P01", Some("CEN"), changes).event.kind else { return Value::Null };
            settings["taken_at"] = json!(format!("2026-03-01T{:02}:{minute:02}:00Z", place + 1));
            settings
        }).collect();
        let mut shuffled = snapshots.clone();
        let mut state = seed | 1;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(place, usize::try_from(state >> 33).unwrap_or_default() % (place + 1));
        }
        let take = |all: &[Value]| {
            let mut settings = crate::settings::SiteSettings::default();
            all.iter().for_each(|raw| { settings.apply(&AgentId("a".into()), raw); });
            settings
        };
        let (one, other) = (take(&snapshots), take(&shuffled));
        // For a value that lasted a while, the first and last time are kept: a late snapshot in between may date a change less
        // precisely, or hide that a value returned meanwhile. The current values are the same.
        prop_assert_eq!(one.merged().map(|merged| &merged.raw), other.merged().map(|merged| &merged.raw));
    }
}

/// Few in CI, many in `tests/long.sh`.
fn cases() -> u32 {
    std::env::var("SUPWATCH_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}

/// 1 + 25 + 500 sites, all with settings, all judged.
fn large() -> Judge {
    let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
    let describe = |judge: &mut Judge, site: &str, site_type, parent: Option<&str>| {
        let parent = Some(parent.map(|code| code.parse().expect("code")));
        judge.apply(&stored(
            site,
            EventKind::SiteDescribed(SiteDescription { site_type: Some(site_type), parent, ..Default::default() }),
        ));
        judge.apply(&snapshot(site, parent.flatten().map(|_: SiteCode| "cen"), &[]));
    };
    describe(&mut judge, "CEN", SiteType::Central, None);
    for primary in 0..25 {
        let code = format!("P{primary:02}");
        describe(&mut judge, &code, SiteType::Primary, Some("CEN"));
        for secondary in 0..20 {
            describe(&mut judge, &format!("{:03}", primary * 20 + secondary), SiteType::Secondary, Some(&code));
        }
    }
    judge.judge(now());
    judge
}

/// Sites that an event marks for judgement.
fn cost(judge: &mut Judge, event: &StoredEvent) -> u64 {
    let before = judge.judged();
    judge.apply(event);
    judge.judge(now());
    judge.judged() - before
}

#[test]
fn a_changed_snapshot_judges_only_whom_it_touches() {
    let mut judge = large();
    assert_eq!(judge.hierarchy().sites.len(), 526);
    assert_eq!(cost(&mut judge, &snapshot("P03", Some("cen"), &[])), 1, "nothing changed: the site alone");
    assert_eq!(cost(&mut judge, &snapshot("P03", Some("cen"), &[1])), 21, "itself and its 20 children");
    assert_eq!(cost(&mut judge, &snapshot("065", Some("cen"), &[1])), 1, "a site without children");
    assert_eq!(cost(&mut judge, &snapshot("CEN", None, &[3])), 26, "the top site's WSUS: itself and its 25 children");
    assert_eq!(cost(&mut judge, &snapshot("CEN", None, &[3, 10])), 526, "what the top site says for everybody");
    let line = |site: &str, line: &str| wrap(events(site, &[line]).remove(0));
    assert_eq!(cost(&mut judge, &line("065", "Performing sync on parent request")), 1);
    assert_eq!(
        cost(&mut judge, &line("065", "Sync failed: Unable to connect to the remote server. Source: X")),
        2,
        "and its parent"
    );
}

#[test]
fn a_tick_looks_at_a_part_of_a_large_hierarchy_and_at_all_of_it_in_a_round() {
    let mut judge = large();
    let before = judge.judged();
    judge.tick();
    judge.judge(now());
    let one = judge.judged() - before;
    assert!(one <= 101, "{one}");
    for _ in 1..TICKS_A_ROUND {
        judge.tick();
        judge.judge(now());
    }
    assert!(judge.judged() - before >= 526);
}
