//! Waves against the truth: synchronisations are generated and logged with differing clocks, and the waves computed from the logs
//! must equal the generated ones.

use proptest::prelude::*;
use supwatch_model::describe::{SiteDescription, SiteType};
use supwatch_model::event::{Event, EventKind, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch};
use supwatch_model::time::Certainty;
use supwatch_reading::reader::{Reader, Reading, Resume};

use super::*;

/// A child's response to its parent's notification.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Succeeds,
    Fails,
    FailsThenRetries,
    Misses,
}

/// A true wave: its time, and what each child does.
#[derive(Debug, Clone)]
struct Truth {
    minute: i64,
    does: [Does; 3],
}

const SITES: [(&str, Option<&str>, SiteType); 4] = [
    ("CEN", None, SiteType::Central),
    ("P01", Some("CEN"), SiteType::Primary),
    ("P02", Some("CEN"), SiteType::Primary),
    ("S01", Some("P01"), SiteType::Secondary),
];

/// Logs by site: seconds by the site's own clock, and lines.
struct Logs {
    lines: BTreeMap<&'static str, Vec<(i64, String)>>,
    off: [i64; 4],
}

impl Logs {
    fn say(&mut self, site: &'static str, at: i64, line: &str) {
        let index = SITES.iter().position(|(code, ..)| *code == site).expect("a site");
        self.lines.entry(site).or_default().push((at + self.off[index], line.to_owned()));
    }

    fn succeed(&mut self, site: &'static str, at: i64, version: usize, children: &str) {
        self.say(site, at, &format!("Set content version of update source {{G}} for site {site} to {version}"));
        self.say(site, at, "Sync succeeded. x");
        if !children.is_empty() {
            self.say(site, at + 1, &format!("Sending sync notification to child site(s): {children}"));
        }
    }

    /// Plays a child's part and returns the time of its success.
    fn child(&mut self, site: &'static str, notified: i64, does: Does, version: usize, children: &str) -> Option<i64> {
        let parent = if site == "S01" { "P01" } else { "CEN" };
        if does == Does::Misses {
            return None;
        }
        self.say(site, notified + 10, &format!("Found parent sync notification file {parent}.SYN."));
        self.say(site, notified + 10, "Performing sync on parent request");
        if does == Does::Succeeds {
            self.succeed(site, notified + 100, version, children);
            return Some(notified + 101);
        }
        self.say(site, notified + 60, "Sync failed: Unable to connect to the remote server. Source: X");
        if does == Does::Fails {
            return None;
        }
        self.say(site, notified + 1000, "Performing sync on retry schedule");
        self.succeed(site, notified + 1100, version, children);
        Some(notified + 1101)
    }

    fn hierarchy(&self) -> Hierarchy {
        let mut hierarchy = Hierarchy::default();
        let mut take = |event: Event| {
            let stored =
                StoredEvent { agent: AgentId("agent".into()), epoch: Epoch([0; 16]), received_at: Timestamp::UNIX_EPOCH, event };
            hierarchy.fold(&stored);
        };
        for (code, parent, kind) in SITES {
            let site: SiteCode = code.parse().expect("code");
            let description = SiteDescription {
                site_type: Some(kind),
                parent: Some(parent.map(|parent| parent.parse().expect("code"))),
                ..SiteDescription::default()
            };
            take(Event {
                site,
                sequence: 0,
                time: None,
                time_certainty: Certainty::Local,
                log: String::new(),
                file: String::new(),
                offset: 0,
                component: String::new(),
                thread: 0,
                kind: EventKind::SiteDescribed(description),
                line: String::new(),
            });
            let mut reader = Reader::new(site, "wsyncmgr.log", &Reading::default(), &Resume::default());
            let mut lines = self.lines.get(code).cloned().unwrap_or_default();
            lines.sort_by_key(|(at, _)| *at);
            let text: String = lines
                .iter()
                .map(|(at, line)| {
                    let at =
                        jiff::civil::date(2026, 3, 1).at(4, 0, 0, 0).checked_add(SignedDuration::from_secs(*at)).expect("time");
                    format!("{line}  $$<SMS_WSUS_SYNC_MANAGER><{}.000+0><thread=1 (0x1)>\r\n", at.strftime("%m-%d-%Y %H:%M:%S"))
                })
                .collect();
            let mut events = Vec::new();
            reader.feed(text.as_bytes(), &mut events);
            reader.finish(&mut events);
            events.into_iter().for_each(&mut take);
        }
        hierarchy
    }
}

fn truths() -> impl Strategy<Value = Vec<Truth>> {
    let does =
        prop_oneof![4 => Just(Does::Succeeds), 1 => Just(Does::Fails), 1 => Just(Does::FailsThenRetries), 1 => Just(Does::Misses)];
    let one = (60i64..400, [does.clone(), does.clone(), does]).prop_map(|(minute, does)| Truth { minute, does });
    // So close together that clocks mislead: only the versions decide.
    let close = (8i64..15).prop_map(|minute| Truth { minute, does: [Does::Succeeds; 3] });
    prop_oneof![prop::collection::vec(one, 1..6), prop::collection::vec(close, 1..6)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("SUPWATCH_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000)
    ))]

    #[test]
    fn what_the_logs_show_is_what_was(truths in truths(), off in prop::array::uniform4(-280i64..280)) {
        let mut logs = Logs { lines: BTreeMap::new(), off };
        let mut expected: Vec<BTreeMap<&str, EdgeOutcome>> = Vec::new();
        let mut at = 0;
        for (index, truth) in truths.iter().enumerate() {
            at += truth.minute * 60;
            let version = 30 + index;
            logs.say("CEN", at, "Performing sync on regular schedule");
            logs.succeed("CEN", at + 300, version, "P01, P02");
            let notified = at + 301;
            let does = truth.does;
            let through = logs.child("P01", notified, does[0], version, "S01");
            logs.child("P02", notified, does[1], version, "");
            let outcome = |does| match does {
                Does::Succeeds | Does::FailsThenRetries => EdgeOutcome::Succeeded,
                Does::Fails => EdgeOutcome::Failed,
                Does::Misses => EdgeOutcome::Missed,
            };
            let mut edges = BTreeMap::from([("P01", outcome(does[0])), ("P02", outcome(does[1]))]);
            if let Some(notified) = through {
                logs.child("S01", notified, does[2], version, "");
                edges.insert("S01", outcome(does[2]));
            } else {
                edges.insert("S01", EdgeOutcome::Cut);
            }
            expected.push(edges);
        }
        let end = at + 12 * 3600;
        for (code, ..) in SITES {
            logs.say(code, end, "Wakeup for a polling cycle");
        }
        // The next wave covers a missed notification, as far as the versions show: that site has what it missed.
        for site in ["P01", "P02", "S01"] {
            let mut later = false;
            for edges in expected.iter_mut().rev() {
                match edges[site] {
                    EdgeOutcome::Missed if later => { edges.insert(site, EdgeOutcome::Succeeded); }
                    EdgeOutcome::Succeeded => later = true,
                    EdgeOutcome::Failed => later = false,
                    _ => {}
                }
            }
        }
        let hierarchy = logs.hierarchy();
        let now = Timestamp::from_second(1_772_337_600 + end).expect("time");
        let limits = Limits::default();
        let waves = Waves::new(&hierarchy, &limits, now);
        let mut found = waves.newest(100);
        found.reverse();
        prop_assert_eq!(found.len(), truths.len());
        for (index, (wave, expected)) in found.iter().zip(&expected).enumerate() {
            prop_assert_eq!(wave.catalog_version, Some(30 + index as u64));
            prop_assert_eq!(wave.edges.len(), 3);
            for edge in &wave.edges {
                let wanted = expected[edge.child.as_str()];
                // Below a site that acted on a notification later, the later run counts.
                let taken_up_later = wave.edges.iter().any(|up| up.child == edge.parent && truths[index].does[0] == Does::Misses && up.outcome == EdgeOutcome::Succeeded);
                if !taken_up_later {
                    prop_assert_eq!(edge.outcome, wanted, "wave {} to {}: {:?} off {:?}", index, edge.child, truths, off);
                }
                if truths.iter().all(|truth| truth.does == [Does::Succeeds; 3]) {
                    prop_assert_eq!(edge.catalog_version, wave.catalog_version, "wave {} to {}", index, edge.child);
                }
                prop_assert!(edge.lag.is_none_or(|lag| lag >= SignedDuration::ZERO));
            }
            let again = waves.get(&wave.id);
            prop_assert_eq!(again.as_ref(), Some(wave));
        }
    }
}
