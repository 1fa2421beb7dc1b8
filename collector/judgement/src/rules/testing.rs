//! A small world for testing rules: sites, settings, log lines and a time.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    missing_docs
)]
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supwatch_model::describe::{ExpectedSite, Generation, SiteDescription, SiteType};
use supwatch_model::event::{Event, EventKind, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::time::Certainty;
use supwatch_reading::reader::{Reader, Reading, Resume};

use super::{Failure, Scene, get};
use crate::diagnosis::Catalogue;
use crate::hierarchy::Hierarchy;
use crate::limits::Limits;

/// Turns lines without stamps into events of `wsyncmgr.log`, a minute apart, from 2026-03-01 04:00 UTC.
pub fn events(site: &str, lines: &[&str]) -> Vec<Event> {
    events_from(site, SYNC, lines, 0)
}

/// The same for `WCM.log`.
pub fn wcm_events(site: &str, lines: &[&str]) -> Vec<Event> {
    events_from(site, WCM, lines, 0)
}

/// File and component.
const SYNC: (&str, &str) = ("wsyncmgr.log", "SMS_WSUS_SYNC_MANAGER");
const WCM: (&str, &str) = ("WCM.log", "SMS_WSUS_CONFIGURATION_MANAGER");

fn events_from(site: &str, (file, component): (&str, &str), lines: &[&str], first_minute: usize) -> Vec<Event> {
    let text: String = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            let minutes = i32::try_from(first_minute + index).expect("few lines");
            let time = jiff::civil::date(2026, 3, 1).at(4, 0, 0, 0).saturating_add(jiff::Span::new().minutes(minutes));
            format!("{line}  $$<{component}><{}.000+0><thread=1 (0x1)>\r\n", time.strftime("%m-%d-%Y %H:%M:%S"))
        })
        .collect();
    let mut reader = Reader::new(site.parse().expect("code"), file, &Reading::default(), &Resume::default());
    let mut out = Vec::new();
    reader.feed(text.as_bytes(), &mut out);
    reader.finish(&mut out);
    out
}

/// Settings of a healthy site with one SUP on its own server.
pub fn healthy(server: &str, parent: Option<&str>) -> Value {
    let name = format!("{server}.corp.example");
    json!({
        "schema": "supwatch/settings/v1",
        "taken_at": "2026-03-01T03:00:00Z",
        "sups": [{"server": name, "first": true, "http_port": 8530, "https_port": 8531, "ssl": false}],
        "component": {
            "sync_source": if parent.is_some() { "upstream" } else { "microsoft-update" }, "schedule_hours": 24,
            "summary_languages": ["en", "ja"]
        },
        "wsus": [{
            "server": name, "sync_from_microsoft_update": parent.is_none(), "is_replica": false,
            "upstream": parent.map(|parent| json!({"server": format!("{parent}.corp.example"), "port": 8530, "ssl": false})),
            "languages": ["en", "ja"], "all_languages": false,
            "classifications": ["Security Updates"], "products": ["Windows Server 2019"],
            "website": {"http_port": 8530, "https_port": 8531}
        }]
    })
}

/// Adds an element to a JSON list.
pub fn push(list: &mut Value, value: Value) {
    list.as_array_mut().expect("a list").push(value);
}

/// A hierarchy under construction.
#[derive(Clone)]
pub struct World {
    hierarchy: Hierarchy,
    now: Timestamp,
    live: bool,
    minutes: usize,
    limits: Limits,
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    pub fn new() -> World {
        World {
            hierarchy: Hierarchy::default(),
            now: "2026-03-01T05:00:00Z".parse().expect("time"),
            live: false,
            minutes: 0,
            limits: Limits::default(),
        }
    }

    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    pub fn generation(mut self, word: &str) -> World {
        self.hierarchy.expected.generation = Generation::from_word(word);
        self
    }

    pub fn sync_hours(mut self, hours: u32) -> World {
        self.hierarchy.expected.sync_hours = Some(hours);
        self
    }

    /// With a `rules.toml`.
    pub fn limits(mut self, text: &str) -> World {
        self.limits = Limits::parse(text, std::path::Path::new("rules.toml"), &super::names()).expect("good");
        self
    }

    /// A stand-alone primary site of 2007 in native mode.
    pub fn native(self, code: &str) -> World {
        let description = SiteDescription {
            site_type: Some(SiteType::Primary),
            parent: Some(None),
            generation: Some(Generation::Cm2007),
            mode: Some(supwatch_model::describe::SiteMode::Native),
            ..SiteDescription::default()
        };
        self.fold(code, "agent", EventKind::SiteDescribed(description))
    }

    pub fn central(self, code: &str) -> World {
        self.described(code, Some(SiteType::Central), Some(None))
    }

    pub fn primary(self, code: &str, parent: &str) -> World {
        self.described(code, Some(SiteType::Primary), Some(parent.parse().ok()))
    }

    pub fn secondary(self, code: &str, parent: &str) -> World {
        self.described(code, Some(SiteType::Secondary), Some(parent.parse().ok()))
    }

    pub fn untold(self, code: &str) -> World {
        self.described(code, None, None)
    }

    fn described(self, code: &str, site_type: Option<SiteType>, parent: Option<Option<SiteCode>>) -> World {
        self.fold(code, "agent", EventKind::SiteDescribed(SiteDescription { site_type, parent, ..SiteDescription::default() }))
    }

    pub fn claims(self, code: &str, agent: &str, server: &str, passive: bool) -> World {
        let parent = Some("CEN".parse().ok());
        let description = SiteDescription {
            site_type: Some(SiteType::Primary),
            parent,
            server: Some(server.to_owned()),
            passive,
            ..SiteDescription::default()
        };
        self.fold(code, agent, EventKind::SiteDescribed(description))
    }

    pub fn expect(mut self, code: &str, site_type: &str, parent: &str) -> World {
        let code: SiteCode = code.parse().expect("code");
        let description = SiteDescription {
            site_type: SiteType::from_word(site_type),
            parent: Some(parent.parse().ok()),
            ..SiteDescription::default()
        };
        let mut expected = self.hierarchy.expected.clone();
        expected.sites.push(ExpectedSite { code, description });
        self.hierarchy = Hierarchy::new(expected, std::sync::Arc::clone(Catalogue::built_in()));
        self
    }

    pub fn settings(self, code: &str, settings: Value) -> World {
        let mut event = Self::event(code, EventKind::SettingsSnapshot { settings });
        "settings.json".clone_into(&mut event.file);
        self.fold_event(event, "agent")
    }

    pub fn log(self, code: &str, lines: &[&str]) -> World {
        self.written(code, SYNC, lines)
    }

    /// Moves the next lines this much later.
    pub fn pause_minutes(mut self, minutes: usize) -> World {
        self.minutes += minutes;
        self
    }

    pub fn wcm(self, code: &str, lines: &[&str]) -> World {
        self.written(code, WCM, lines)
    }

    fn written(mut self, code: &str, log: (&str, &str), lines: &[&str]) -> World {
        for event in events_from(code, log, lines, self.minutes) {
            self = self.fold_event(event, "agent");
        }
        self.minutes += lines.len();
        self
    }

    pub fn seen(self, code: &str) -> World {
        self.agent_seen("agent", code, 0)
    }

    pub fn seen_with_spool(self, code: &str, spooled: u64) -> World {
        self.agent_seen("agent", code, spooled)
    }

    pub fn agent_seen(mut self, agent: &str, code: &str, spooled: u64) -> World {
        let now = self.now;
        let id = AgentId(agent.to_owned());
        self.hierarchy.mark_seen(&id, &[code.parse().expect("code")], now, spooled);
        if let Some(known) = self.hierarchy.agents.get_mut(&id) {
            known.lags_since = (spooled > self.limits.lagging_events).then_some(now);
        }
        self
    }

    pub fn clock_of(mut self, code: &str, ahead_ms: i64) -> World {
        let code: SiteCode = code.parse().expect("code");
        let agents = self.hierarchy.agents.values_mut().filter(|agent| agent.sites.contains(&code));
        agents.for_each(|agent| agent.clock_ahead_ms = Some(ahead_ms));
        self
    }

    pub fn cannot_read(self, code: &str, file: &str, why: &str) -> World {
        let kind = EventKind::AgentHealth { version: String::new(), trouble: Some(format!("{file}: {why}")) };
        let mut event = Self::event(code, kind);
        file.clone_into(&mut event.file);
        self.fold_event(event, "agent")
    }

    pub fn live(mut self) -> World {
        self.live = true;
        self
    }

    pub fn later_hours(mut self, hours: i64) -> World {
        self.now = self.now.checked_add(SignedDuration::from_hours(hours)).expect("time");
        self
    }

    pub fn later_minutes(mut self, minutes: i64) -> World {
        self.now = self.now.checked_add(SignedDuration::from_mins(minutes)).expect("time");
        self
    }

    fn fold(self, code: &str, agent: &str, kind: EventKind) -> World {
        self.fold_event(Self::event(code, kind), agent)
    }

    fn event(code: &str, kind: EventKind) -> Event {
        Event {
            site: code.parse().expect("code"),
            sequence: 0,
            time: None,
            time_certainty: Certainty::Local,
            log: String::new(),
            file: String::new(),
            offset: 0,
            component: String::new(),
            thread: 0,
            kind,
            line: String::new(),
        }
    }

    fn fold_event(mut self, event: Event, agent: &str) -> World {
        let received_at = "2026-03-01T04:00:00Z".parse().expect("time");
        let stored = StoredEvent { agent: AgentId(agent.to_owned()), epoch: Epoch([0; 16]), received_at, event };
        self.hierarchy.fold(&stored);
        self
    }

    fn judge(&self, rule: &str) -> Vec<(supwatch_model::verdict::Verdict, Option<Failure>)> {
        let rule = get(rule).expect("a rule");
        self.hierarchy
            .sites
            .values()
            .flat_map(|site| {
                rule.judge(&Scene { hierarchy: &self.hierarchy, site, now: self.now, live: self.live, limits: &self.limits })
            })
            .collect()
    }

    /// A rule's verdict on every site, as `CEN pass, P01 fail`.
    #[track_caller]
    pub fn check(self, rule: &str, expected: &str) {
        let judged = self.judge(rule);
        let shown = judged.iter().map(|(verdict, _)| format!("{} {}", verdict.site, verdict.answer)).collect::<Vec<_>>().join(", ");
        assert_eq!(shown, expected, "{judged:#?}");
        for (verdict, failure) in judged {
            assert!(!verdict.looked_at.is_empty(), "{rule} does not say what it looked at");
            if let Some(failure) = failure {
                assert!(!failure.summary.en.is_empty() && !failure.summary.ja.is_empty());
            }
        }
    }

    #[track_caller]
    pub fn failure(&self, rule: &str, site: &str) -> Failure {
        let found =
            self.judge(rule).into_iter().find_map(|(verdict, failure)| failure.filter(|_| verdict.site.to_string() == site));
        found.expect("a failed verdict")
    }

    /// The data a rule lacks at a site.
    pub fn missing(&self, rule: &str, site: &str) -> Vec<supwatch_model::text::Text> {
        let of = |(verdict, _): (supwatch_model::verdict::Verdict, Option<Failure>)| {
            (verdict.site.to_string() == site).then_some(verdict.missing)
        };
        self.judge(rule).into_iter().filter_map(of).flatten().collect()
    }
}
