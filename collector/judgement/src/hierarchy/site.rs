//! What is last known of one site: its descriptions, runs, settings, notifications and troubles, one event at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use supwatch_model::describe::{Generation, SiteDescription};
use supwatch_model::event::{ConnectionOutcome, Event, EventKind, StoredEvent, Trigger};
use supwatch_model::finding::Evidence;
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::settings::{Known, Settings, Sup, SupStatus, Wsus};

use super::coverage::SiteCoverage;
use super::database;
use crate::diagnosis::Catalogue;
use crate::runs::{Runs, line_of};
use crate::settings::{Merged, Seen, SiteSettings};

/// Number of intervals between scheduled starts that are considered, and the fewest from which a schedule is derived.
const GAPS_SEEN: usize = 14;
const FEWEST_GAPS: usize = 3;

/// Catalogue versions, notifications and troubles kept in memory for a site.
const KEPT: usize = 50;
/// Notifications kept of a site: a week of hourly ones.
pub(super) const NOTIFICATIONS_KEPT: usize = 170;

/// What is last known of a site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its code.
    pub code: SiteCode,
    /// What each agent reports about the site.
    pub descriptions: BTreeMap<AgentId, SiteDescription>,
    /// Parent that a log implies.
    pub implied_parent: Option<SiteCode>,
    /// What the SMS Provider of a site reports about it.
    pub provider_description: Option<SiteDescription>,
    /// Whether its log has a run on the schedule or its own database phase (6705), which only a top site has.
    pub scheduled: bool,
    /// Generation that a log implies.
    pub implied_generation: Option<Generation>,
    /// Its runs.
    pub runs: Runs,
    /// Its settings over time.
    pub configured: SiteSettings,
    /// The WSUS server that WCM connected to last.
    active_wsus: Option<String>,
    /// Notifications that its parent sent it, oldest first.
    pub notified: Vec<Notification>,
    /// When it picked up a notification (its own clock), and from which parent, oldest first.
    pub received: Vec<(Timestamp, SiteCode)>,
    /// Lines that report database errors since the last success.
    pub database_trouble: Vec<Evidence>,
    /// Errors its agents reported, by agent and file.
    pub unreadable: BTreeMap<(AgentId, String), Unreadable>,
    /// Agents that send its events.
    pub agents: BTreeSet<AgentId>,
    /// Next scheduled run, if the log names it and it has not begun.
    pub next_run: Option<Timestamp>,
    /// Catalogue versions and when each was set, the newest last.
    pub catalog_versions: Vec<(Option<Timestamp>, u64)>,
    /// Time of the first event of wsyncmgr.log: how far back it reaches.
    pub log_since: Option<Timestamp>,
    /// Time of the newest event of wsyncmgr.log: how far it reaches.
    pub log_until: Option<Timestamp>,
    /// Time of the newest event.
    pub newest: Option<Timestamp>,
    /// How far its agents have read its logs.
    pub coverage: SiteCoverage,
}

/// A parent's notification that new metadata is available.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// When it was sent (the parent's clock).
    pub at: Timestamp,
    /// Site code of the parent.
    pub parent: SiteCode,
    /// The parent's line.
    pub evidence: Evidence,
}

/// Something an agent could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The error the agent reported.
    pub text: String,
    /// When it was first reported (collector's clock).
    pub since: Timestamp,
}

pub(super) fn starts_on_schedule(event: &Event) -> bool {
    matches!(&event.kind, EventKind::RunStarted { trigger: Trigger::Schedule, .. })
}

/// Settings of a top site that apply to all sites below it.
pub(super) type Shared = Option<(Option<serde_json::Value>, Option<serde_json::Value>)>;

impl Site {
    pub(super) fn new(code: SiteCode) -> Site {
        Site {
            code,
            descriptions: BTreeMap::new(),
            implied_parent: None,
            provider_description: None,
            scheduled: false,
            implied_generation: None,
            runs: Runs::new(code),
            configured: SiteSettings::default(),
            active_wsus: None,
            notified: Vec::new(),
            received: Vec::new(),
            database_trouble: Vec::new(),
            unreadable: BTreeMap::new(),
            agents: BTreeSet::new(),
            next_run: None,
            catalog_versions: Vec::new(),
            log_since: None,
            log_until: None,
            newest: None,
            coverage: SiteCoverage::default(),
        }
    }

    /// The site as known at a moment in the past.
    pub fn as_of(&self, at: Timestamp) -> Site {
        let mut past = self.clone();
        past.runs = past.runs.as_of(at);
        past.configured = past.configured.as_of(at);
        past.catalog_versions.retain(|(set, _)| set.is_none_or(|set| set <= at));
        past.notified.retain(|notification| notification.at <= at);
        past.received.retain(|(received, _)| *received <= at);
        past.database_trouble.retain(|line| !matches!(line, Evidence::Line { time: Some(time), .. } if *time > at));
        past.newest = past.newest.map(|newest| newest.min(at));
        past.log_until = past.log_until.map(|newest| newest.min(at));
        past.next_run = past.next_run.filter(|_| self.newest.is_none_or(|newest| newest <= at));
        past
    }

    /// Longest interval between the newest scheduled starts in whole hours, once there are enough of them.
    pub fn hours_between_runs(&self) -> Option<u32> {
        let scheduled = self.runs.iter().rev().filter(|tracked| tracked.run.trigger == Trigger::Schedule);
        let starts: Vec<Timestamp> = scheduled.filter_map(|tracked| tracked.run.started_at).take(GAPS_SEEN + 1).collect();
        if starts.len() <= FEWEST_GAPS {
            return None;
        }
        let gaps = starts.iter().zip(starts.iter().skip(1)).map(|(later, earlier)| later.duration_since(*earlier));
        u32::try_from((gaps.max()?.as_secs() + 1800) / 3600).ok().filter(|hours| *hours > 0)
    }

    /// Extends the span of its log by an event.
    pub(super) fn extend_log(&mut self, event: &Event) {
        if matches!(&event.kind, EventKind::SettingsSnapshot { .. } | EventKind::SiteDescribed(_) | EventKind::AgentHealth { .. }) {
            // A snapshot is valid from when it was taken; it does not show that the log reaches that time.
        } else if let Some(time) = event.time {
            if event.log == "wsyncmgr" {
                self.log_until = self.log_until.max(Some(time));
                self.log_since = Some(self.log_since.map_or(time, |since| since.min(time)));
            }
            self.newest = self.newest.max(Some(time));
        }
    }

    /// Applies a log line, and returns whether the settings changed.
    pub(super) fn fold(&mut self, event: &Event, catalogue: &Catalogue) -> bool {
        match &event.kind {
            // An ambiguous date does not override the time from the retry line.
            EventKind::NextRun { at_utc, .. } => self.next_run = at_utc.or(self.next_run),
            EventKind::RetryScheduled { in_minutes } => {
                let minutes = jiff::SignedDuration::from_secs(i64::from(*in_minutes) * 60);
                self.next_run = event.time.and_then(|time| time.checked_add(minutes).ok());
            }
            EventKind::RunStarted { trigger, .. } => {
                self.next_run = None;
                self.scheduled |= *trigger == Trigger::Schedule;
            }
            EventKind::StatusMessage(message) if message.id == 6705 && event.log == "wsyncmgr" => self.scheduled = true,
            EventKind::CatalogVersion { version, .. } => self.set_catalog_version(event.time, *version),
            EventKind::RunFailed { source, .. } => {
                if source.contains("SoftwareUpdatesManagement.WSyncAction") {
                    self.implied_generation = Some(Generation::Cm2007);
                } else if source.contains("WsusSyncAction") {
                    self.implied_generation = Some(Generation::CurrentBranch);
                }
            }
            EventKind::WsusConnection { server, outcome: ConnectionOutcome::Attempted, .. } if event.log == "wcm" => {
                self.active_wsus = (!server.is_empty()).then(|| server.clone());
            }
            EventKind::RunSucceeded => self.database_trouble.clear(),
            _ => {}
        }
        if database::is_trouble(event) {
            self.database_trouble.push(line_of(event));
            self.database_trouble.drain(..self.database_trouble.len().saturating_sub(KEPT));
        }
        if event.log == "wsyncmgr" || event.log == "wcm" {
            self.clear_unreadable(event);
        }
        self.runs.fold(event, catalogue);
        let seen = Seen::of(event, self.active_wsus.as_deref());
        seen.iter().fold(false, |changed, seen| self.configured.see(seen, event.time) | changed)
    }

    /// Clears the error of a file that its agents read again.
    pub(super) fn clear_unreadable(&mut self, event: &Event) {
        self.unreadable.retain(|(_, file), _| *file != event.file);
    }

    /// Records the error an agent reports for a file, or that there is none any more.
    pub(super) fn set_unreadable(&mut self, stored: &StoredEvent, trouble: Option<&str>) {
        let key = (stored.agent.clone(), stored.event.file.clone());
        match trouble {
            Some(text) => {
                let new = Unreadable { text: text.to_owned(), since: stored.received_at };
                self.unreadable.entry(key).or_insert(new).text = text.to_owned();
                while self.unreadable.len() > KEPT {
                    self.unreadable.pop_first();
                }
            }
            None => {
                self.unreadable.remove(&key);
            }
        }
    }

    pub(super) fn set_catalog_version(&mut self, time: Option<Timestamp>, version: u64) {
        if self.catalog_versions.last().is_none_or(|(_, newest)| *newest != version) {
            self.catalog_versions.push((time, version));
            self.catalog_versions.drain(..self.catalog_versions.len().saturating_sub(KEPT));
        }
    }

    /// Newest catalogue version.
    pub fn catalog_version(&self) -> Option<u64> {
        self.catalog_versions.last().map(|(_, version)| *version)
    }

    /// The catalogue version its last success ended with.
    pub fn synced_version(&self) -> Option<u64> {
        let ended = self.runs.last_success()?.run.ended_at;
        let known = |(set, _): &&(Option<Timestamp>, u64)| match (set, ended) {
            // The line may follow shortly after the one that reports the success.
            (Some(set), Some(ended)) => set.duration_since(ended) <= jiff::SignedDuration::from_mins(1),
            _ => true,
        };
        self.catalog_versions.iter().rev().find(known).map(|(_, version)| *version)
    }

    /// All known settings, with the origin of each field.
    pub fn merged(&self) -> Option<&Merged> {
        self.configured.merged()
    }

    /// The time up to which its wsyncmgr.log is known to be read: that of its newest line, unless an agent reports a later one.
    pub fn read_until(&self) -> Option<Timestamp> {
        self.coverage.read_until("wsyncmgr").max(self.log_until)
    }

    /// Newest settings.
    pub fn settings(&self) -> Option<&Settings> {
        self.merged().map(|merged| &merged.settings)
    }

    /// What its SMS Provider reports about all sites.
    pub(super) fn status_rows(&self) -> impl Iterator<Item = &SupStatus> {
        self.settings().and_then(|settings| settings.sup_status.value()).into_iter().flatten()
    }

    pub(super) fn shared_settings(&self) -> Shared {
        self.merged().map(|merged| (merged.raw.get("component").cloned(), merged.raw.get("sup_status").cloned()))
    }

    /// First software update point.
    pub fn first_sup(&self) -> Option<&Sup> {
        self.settings()?.first_sup()
    }

    /// WSUS of the first software update point.
    pub fn first_wsus(&self) -> Option<&Wsus> {
        let settings = self.settings()?;
        settings.wsus_of(settings.first_sup()?)
    }

    /// Whether the site is known to have no software update point.
    pub fn has_no_sup(&self) -> bool {
        self.settings().is_some_and(|settings| match &settings.sups {
            Known::None => true,
            Known::Some(sups) => sups.is_empty(),
            Known::Unknown => false,
        })
    }
}
