//! Events → what is last known of each site, and of the hierarchy they form.
//!
//! Pure: applying one event changes one site, and returns the other sites whose verdicts may depend on it, so that no event
//! judges the whole hierarchy. What an agent reports of its own site wins over `hierarchy.toml`; what logs merely imply (a
//! notification names parent and child) comes last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::describe::{Generation, HierarchyFile, SiteDescription, SiteMode, SiteType};
use supwatch_model::event::{ConnectionOutcome, Event, EventKind, StoredEvent, Trigger};
use supwatch_model::finding::Evidence;
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::settings::{Known, Settings, Sup, SupStatus, Wsus};

use crate::diagnosis::Catalogue;
use crate::runs::{Runs, line_of};
use crate::settings::{Merged, Seen, SiteSettings};

mod database;
mod index;
mod listed;
mod reading;

use index::Index;
pub use reading::Readings;

/// Gaps between scheduled starts that are considered, and the fewest that give a schedule.
const GAPS_SEEN: usize = 14;
const FEWEST_GAPS: usize = 3;

/// Catalogue versions, notifications and troubles kept in memory for a site.
const KEPT: usize = 50;
/// Notifications kept of a site: a week of hourly ones.
const NOTIFICATIONS_KEPT: usize = 170;

/// All sites, their parents, and what is last known of each.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Content of `hierarchy.toml`.
    pub expected: HierarchyFile,
    /// Its sites by code, since every question about a parent asks for one.
    listed: BTreeMap<SiteCode, SiteDescription>,
    /// Sites by code.
    pub sites: BTreeMap<SiteCode, Site>,
    /// Agents by identity.
    pub agents: BTreeMap<AgentId, Agent>,
    index: Index,
    /// Whether agents deliver the events; offline, all logs are read whole.
    pub live: bool,
    /// The catalogue that errors are diagnosed with.
    pub catalogue: Arc<Catalogue>,
}

impl Default for Hierarchy {
    fn default() -> Hierarchy {
        Hierarchy::new(HierarchyFile::default(), Arc::clone(Catalogue::built_in()))
    }
}

/// What is last known of a site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its code.
    pub code: SiteCode,
    /// What each agent reports of the site.
    pub descriptions: BTreeMap<AgentId, SiteDescription>,
    /// Parent that a log implies.
    pub implied_parent: Option<SiteCode>,
    /// What the SMS Provider of a site reports of it.
    pub listed: Option<SiteDescription>,
    /// Whether its log has a run on the schedule or its own database phase (6705), which only a top site has.
    pub scheduled: bool,
    /// Generation that a log implies.
    pub implied_generation: Option<Generation>,
    /// Its runs.
    pub runs: Runs,
    /// Its settings over time.
    pub configured: SiteSettings,
    /// WSUS server that WCM asked last.
    active_wsus: Option<String>,
    /// Notifications that its parent sent it, oldest first.
    pub notified: Vec<Notification>,
    /// When it found the notification of which parent (its own clock), oldest first.
    pub received: Vec<(Timestamp, SiteCode)>,
    /// Lines that report database errors since the last success.
    pub database_trouble: Vec<Evidence>,
    /// What its agents could not read, by agent and file.
    pub unreadable: BTreeMap<(AgentId, String), Unreadable>,
    /// Agents that send its events.
    pub agents: BTreeSet<AgentId>,
    /// Next scheduled run, where the log names it and it has not begun.
    pub next_run: Option<Timestamp>,
    /// Newest catalogue version and when it was set.
    pub catalog_versions: Vec<(Option<Timestamp>, u64)>,
    /// Time of the first event of wsyncmgr.log: how far back it covers.
    pub covered_since: Option<Timestamp>,
    /// Time of the newest event of wsyncmgr.log: how far it covers.
    pub covered_until: Option<Timestamp>,
    /// Time of the newest event.
    pub newest: Option<Timestamp>,
    /// How far its agents have read its logs.
    pub readings: Readings,
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

/// What is known of an agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Sites whose events it sends.
    pub sites: BTreeSet<SiteCode>,
    /// Last contact (collector's clock).
    pub last_heard_at: Option<Timestamp>,
    /// Whether its stream is open.
    pub connected: bool,
    /// Fencing token of its newest stream: the end of an older one is ignored.
    pub fence: u64,
    /// Events received from it.
    pub events: u64,
    /// Its version.
    pub version: String,
    /// Events in its spool, not yet acknowledged.
    pub spooled_events: u64,
    /// Events that neither it nor the store has any more.
    pub lost_events: u64,
    /// Bytes of its spool.
    pub spool_bytes: u64,
    /// Seconds the oldest spooled event has waited without an acknowledgement.
    pub waiting_seconds: u32,
    /// Its clock minus the collector's, in milliseconds, where it reported its time.
    pub clock_ahead_ms: Option<i64>,
    /// Whether it reports coverage (older versions do not).
    pub reports_coverage: bool,
    /// Since when its spool is above the lag limit.
    pub lags_since: Option<Timestamp>,
}

/// A site's place in the hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// At the top.
    Top,
    /// Below this site.
    Of(SiteCode),
    /// No source reports it.
    Unknown,
}

impl Hierarchy {
    /// A hierarchy with the expected sites.
    pub fn new(expected: HierarchyFile, catalogue: Arc<Catalogue>) -> Hierarchy {
        let sites: BTreeMap<SiteCode, Site> = expected.sites.iter().map(|site| (site.code, Site::new(site.code))).collect();
        let listed = expected.sites.iter().map(|site| (site.code, site.description.clone())).collect();
        let codes: Vec<SiteCode> = sites.keys().copied().collect();
        let mut hierarchy =
            Hierarchy { expected, listed, sites, agents: BTreeMap::new(), index: Index::default(), live: false, catalogue };
        codes.into_iter().for_each(|code| hierarchy.place(code, &mut BTreeSet::new()));
        hierarchy
    }

    /// Applies an event, and returns the sites whose verdicts may have changed.
    pub fn fold(&mut self, stored: &StoredEvent) -> BTreeSet<SiteCode> {
        let event = &stored.event;
        let catalogue = Arc::clone(&self.catalogue);
        let mut touched = BTreeSet::from([event.site]);
        let agent = self.agents.entry(stored.agent.clone()).or_default();
        agent.events += 1;
        agent.last_heard_at = agent.last_heard_at.max(Some(stored.received_at));
        if let EventKind::AgentHealth { version, .. } = &event.kind {
            agent.version.clone_from(version);
        }
        agent.sites.insert(event.site);
        let new = !self.sites.contains_key(&event.site);
        let site = self.sites.entry(event.site).or_insert_with(|| Site::new(event.site));
        if !site.agents.contains(&stored.agent) {
            site.agents.insert(stored.agent.clone());
        }
        match &event.kind {
            // A report of the current state is no backlog.
            EventKind::SettingsSnapshot { .. } | EventKind::SiteDescribed(_) | EventKind::AgentHealth { .. } => {}
            _ => site.readings.record_event(stored),
        }
        let synced = site.synced_version();
        site.extend_covered(event);
        match &event.kind {
            EventKind::SiteDescribed(description) => {
                site.descriptions.insert(stored.agent.clone(), description.clone());
                touched.extend(self.index.children(event.site));
                self.place(event.site, &mut touched);
                self.rename(event.site, &mut touched);
            }
            EventKind::SettingsSnapshot { settings } => {
                site.is_read_again(event);
                let before = site.shared_settings();
                if site.configured.apply(&stored.agent, settings) {
                    self.settings_changed(event.site, &before, &mut touched);
                }
            }
            EventKind::ParentNotified { parent } => {
                site.implied_parent = Some(*parent);
                site.received.extend(event.time.map(|at| (at, *parent)));
                site.received.drain(..site.received.len().saturating_sub(NOTIFICATIONS_KEPT));
                self.place(event.site, &mut touched);
            }
            EventKind::ChildrenNotified { sites } => sites.iter().for_each(|child| self.notify(event, *child, &mut touched)),
            EventKind::AgentHealth { trouble, .. } => site.trouble(stored, trouble.as_deref()),
            _ => {
                let (before, scheduled) = (site.shared_settings(), site.scheduled);
                // Where no schedule is configured, all sites below the top are measured by the one its runs show.
                let hours = |site: &Site| starts_on_schedule(event).then(|| site.hours_between_runs());
                let hours_before = hours(site);
                let changed = site.fold(event, &catalogue);
                let now_a_top = site.scheduled != scheduled;
                if hours_before != hours(site) {
                    self.index.below(event.site, &mut touched);
                }
                if changed {
                    self.settings_changed(event.site, &before, &mut touched);
                }
                if now_a_top {
                    touched.extend(self.index.children(event.site));
                    self.place(event.site, &mut touched);
                }
            }
        }
        if new {
            self.place(event.site, &mut touched);
        }
        if let EventKind::RunSucceeded | EventKind::RunFailed { .. } | EventKind::StatusMessage(_) = &event.kind {
            // What a child fails of may be its parent's fault.
            if let Parent::Of(parent) = self.parent(event.site) {
                touched.insert(parent);
            }
        }
        if self.parent(event.site) == Parent::Top && self.site(event.site).and_then(Site::synced_version) != synced {
            // All sites below are measured by it.
            self.index.below(event.site, &mut touched);
        }
        touched
    }

    /// A parent notified a child of new metadata.
    fn notify(&mut self, event: &Event, child: SiteCode, touched: &mut BTreeSet<SiteCode>) {
        let site = self.sites.entry(child).or_insert_with(|| Site::new(child));
        site.implied_parent = Some(event.site);
        if let Some(at) = event.time {
            site.notified.push(Notification { at, parent: event.site, evidence: line_of(event) });
            site.notified.drain(..site.notified.len().saturating_sub(NOTIFICATIONS_KEPT));
        }
        touched.insert(child);
        self.place(child, touched);
    }

    /// Marks the sites affected by changed settings: the site's children, and for settings of the top site that apply to all,
    /// every site.
    fn settings_changed(&mut self, code: SiteCode, before: &Shared, touched: &mut BTreeSet<SiteCode>) {
        touched.extend(self.index.children(code));
        self.rename(code, touched);
        self.list(code, touched);
        let Some(site) = self.site(code).filter(|site| site.shared_settings() != *before) else { return };
        let reported: Vec<SiteCode> = site.status_rows().filter_map(|row| row.site.value().copied()).collect();
        if self.parent(code) == Parent::Top {
            self.index.below(code, touched);
        }
        // The provider of the top site knows every site, also those without an agent.
        for known in reported {
            touched.insert(known);
            self.sites.entry(known).or_insert_with(|| Site::new(known));
            self.place(known, touched);
        }
    }

    /// What the provider of a top site says of a site, and which top site that is.
    pub fn status_of(&self, code: SiteCode) -> Option<(&Site, &SupStatus)> {
        let tops = self.index.tops().iter().filter_map(|top| self.sites.get(top));
        let rows = tops.flat_map(|top| top.status_rows().map(move |row| (top, row)));
        // Of several software update points the worst one counts for the site.
        let worst = |(_, row): &(&Site, &SupStatus)| (row.state.value() != Some(&6703), row.last_success_at.value().copied());
        rows.filter(|(_, row)| row.site.value() == Some(&code)).min_by_key(worst)
    }

    /// Updates the index of parents and children.
    fn place(&mut self, code: SiteCode, touched: &mut BTreeSet<SiteCode>) {
        let (parent, top) = match self.parent(code) {
            Parent::Of(parent) => (Some(parent), false),
            Parent::Top => (None, true),
            Parent::Unknown => (None, false),
        };
        self.index.place(code, parent, top, touched);
    }

    /// Updates the index of server names.
    fn rename(&mut self, code: SiteCode, touched: &mut BTreeSet<SiteCode>) {
        let mut names: BTreeSet<String> = self.server(code).map(str::to_owned).into_iter().collect();
        let settings = self.site(code).and_then(Site::settings);
        for sup in settings.and_then(|settings| settings.sups.value()).into_iter().flatten() {
            names.extend(sup.server.value().cloned());
            names.extend(sup.names.value().into_iter().flatten().cloned());
        }
        let upstreams = settings.and_then(|settings| settings.wsus.value()).into_iter().flatten();
        let asks = upstreams.filter_map(|wsus| wsus.upstream.value()?.server.value().cloned()).collect();
        self.index.rename(code, names, asks, touched);
    }

    /// Sites one of whose servers may go by a name: by its first label.
    pub fn sites_named(&self, name: &str) -> impl Iterator<Item = &Site> {
        self.index.named(name).filter_map(|code| self.sites.get(&code))
    }

    /// Sites at the top; more than one is a fault.
    pub fn tops(&self) -> &BTreeSet<SiteCode> {
        self.index.tops()
    }

    /// Records a contact with an agent.
    pub fn mark_seen(&mut self, id: &AgentId, sites: &[SiteCode], at: Timestamp, spooled_events: u64) {
        let agent = self.agents.entry(id.clone()).or_default();
        agent.sites.extend(sites);
        agent.last_heard_at = agent.last_heard_at.max(Some(at));
        agent.spooled_events = spooled_events;
        for code in sites {
            let site = self.sites.entry(*code).or_insert_with(|| Site::new(*code));
            site.agents.insert(id.clone());
            self.place(*code, &mut BTreeSet::new());
        }
    }

    /// Applies the coverage an agent reports for a site. Returns whether it ended a backlog.
    pub fn apply_coverage(&mut self, agent: &AgentId, epoch: Epoch, coverage: Coverage) -> bool {
        let code = coverage.site;
        let before = self.is_reading_back(code);
        let site = self.sites.entry(code).or_insert_with(|| Site::new(code));
        site.readings.apply_coverage(agent, epoch, coverage);
        before && !self.is_reading_back(code)
    }

    /// Treats an agent that does not report coverage as caught up.
    pub fn assume_caught_up(&mut self, agent: &AgentId) {
        let sites: Vec<SiteCode> = self.agents.get(agent).into_iter().flat_map(|agent| agent.sites.iter().copied()).collect();
        for code in sites {
            if let Some(site) = self.sites.get_mut(&code) {
                site.readings.assume_caught_up(agent);
            }
        }
    }

    /// Whether a site's agents are still reading a backlog, so that it is not judged yet.
    pub fn is_reading_back(&self, code: SiteCode) -> bool {
        if crate::planted::is_backlog_judged() {
            return false;
        }
        let connected = |agent: &AgentId| self.agents.get(agent).is_some_and(|agent| agent.connected);
        self.site(code).filter(|_| self.live).is_some_and(|site| site.readings.is_reading_back(connected))
    }

    /// Agents that send a site's events.
    pub fn agents_of<'a>(&'a self, site: &'a Site) -> impl Iterator<Item = (&'a AgentId, &'a Agent)> {
        site.agents.iter().filter_map(|id| self.agents.get_key_value(id))
    }

    /// The hierarchy as known at a moment in the past.
    pub fn as_of(&self, at: Timestamp) -> Hierarchy {
        let mut past = self.clone();
        for site in past.sites.values_mut() {
            *site = site.as_of(at);
        }
        let codes: Vec<SiteCode> = past.sites.keys().copied().collect();
        codes.into_iter().for_each(|code| past.rename(code, &mut BTreeSet::new()));
        past
    }

    /// The same hierarchy with other settings for one site, for what-if queries.
    pub fn assuming(&self, code: SiteCode, raw: serde_json::Value, at: Timestamp) -> Result<Hierarchy, serde_json::Error> {
        let mut next = self.clone();
        if let Some(site) = next.sites.get_mut(&code) {
            site.configured.assume(raw, at)?;
        }
        next.rename(code, &mut BTreeSet::new());
        Ok(next)
    }

    /// A site.
    pub fn site(&self, code: SiteCode) -> Option<&Site> {
        self.sites.get(&code)
    }

    fn expected_site(&self, code: SiteCode) -> Option<&SiteDescription> {
        self.listed.get(&code)
    }

    /// What agents, then `hierarchy.toml`, then the provider of a site say of a site.
    fn described<'a, T>(&'a self, code: SiteCode, read: impl Fn(&'a SiteDescription) -> Option<T>) -> Option<T> {
        let reported = self.site(code).into_iter().flat_map(|site| site.descriptions.values());
        reported.chain(self.expected_site(code)).chain(self.site(code).and_then(|site| site.listed.as_ref())).find_map(read)
    }

    /// Its type. A site whose logs show a parent or its notifications is not the top; more is not guessed.
    pub fn site_type(&self, code: SiteCode) -> Option<SiteType> {
        self.described(code, |description| description.site_type)
    }

    /// Its generation.
    pub fn generation(&self, code: SiteCode) -> Option<Generation> {
        self.described(code, |description| description.generation)
            .or(self.expected.generation)
            .or_else(|| self.site(code)?.implied_generation)
    }

    /// Its security mode, on 2007.
    pub fn mode(&self, code: SiteCode) -> Option<SiteMode> {
        self.described(code, |description| description.mode)
    }

    /// Its site server.
    pub fn server(&self, code: SiteCode) -> Option<&str> {
        self.described(code, |description| description.server.as_deref())
    }

    /// Its place in the hierarchy.
    pub fn parent(&self, code: SiteCode) -> Parent {
        match self.described(code, |description| description.parent) {
            Some(Some(parent)) => Parent::Of(parent),
            Some(None) => Parent::Top,
            None => match self.site(code).and_then(|site| site.implied_parent) {
                Some(parent) => Parent::Of(parent),
                None if self.site_type(code) == Some(SiteType::Central) => Parent::Top,
                None if self.is_scheduled(code) => Parent::Top,
                None => Parent::Unknown,
            },
        }
    }

    /// Whether the site synchronises on a schedule of its own and is not known to be a secondary one.
    fn is_scheduled(&self, code: SiteCode) -> bool {
        self.site(code).is_some_and(|site| site.scheduled) && self.site_type(code) != Some(SiteType::Secondary)
    }

    /// The site at the top above a site; `None` where the way up is not known or turns in a circle.
    pub fn top_of(&self, code: SiteCode) -> Option<SiteCode> {
        let mut at = code;
        for _ in 0..=self.sites.len() {
            match self.parent(at) {
                Parent::Top => return Some(at),
                Parent::Of(parent) => at = parent,
                Parent::Unknown => return None,
            }
        }
        None
    }

    /// Codes of the sites right below a site.
    pub fn children(&self, code: SiteCode) -> impl Iterator<Item = SiteCode> + '_ {
        self.index.children(code)
    }
}

fn starts_on_schedule(event: &Event) -> bool {
    matches!(&event.kind, EventKind::RunStarted { trigger: Trigger::Schedule, .. })
}

/// Settings of a top site that apply to all sites below it.
type Shared = Option<(Option<serde_json::Value>, Option<serde_json::Value>)>;

impl Site {
    fn new(code: SiteCode) -> Site {
        Site {
            code,
            descriptions: BTreeMap::new(),
            implied_parent: None,
            listed: None,
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
            covered_since: None,
            covered_until: None,
            newest: None,
            readings: Readings::default(),
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
        past.covered_until = past.covered_until.map(|newest| newest.min(at));
        past.next_run = past.next_run.filter(|_| self.newest.is_none_or(|newest| newest <= at));
        past
    }

    /// Whole hours of the longest gap between the newest scheduled starts, once there are enough of them.
    pub fn hours_between_runs(&self) -> Option<u32> {
        let scheduled = self.runs.iter().rev().filter(|tracked| tracked.run.trigger == Trigger::Schedule);
        let starts: Vec<Timestamp> = scheduled.filter_map(|tracked| tracked.run.started_at).take(GAPS_SEEN + 1).collect();
        if starts.len() <= FEWEST_GAPS {
            return None;
        }
        let gaps = starts.iter().zip(starts.iter().skip(1)).map(|(later, earlier)| later.duration_since(*earlier));
        u32::try_from((gaps.max()?.as_secs() + 1800) / 3600).ok().filter(|hours| *hours > 0)
    }

    /// Extends the time that its logs cover.
    fn extend_covered(&mut self, event: &Event) {
        if matches!(&event.kind, EventKind::SettingsSnapshot { .. } | EventKind::SiteDescribed(_) | EventKind::AgentHealth { .. }) {
            // A snapshot is valid from when it was taken; it does not show that the log covers that time.
        } else if let Some(time) = event.time {
            if event.log == "wsyncmgr" {
                self.covered_until = self.covered_until.max(Some(time));
                self.covered_since = Some(self.covered_since.map_or(time, |since| since.min(time)));
            }
            self.newest = self.newest.max(Some(time));
        }
    }

    /// Applies a log line, and returns whether the settings changed.
    fn fold(&mut self, event: &Event, catalogue: &Catalogue) -> bool {
        match &event.kind {
            // An ambiguous date does not undo what the retry line said.
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
            self.is_read_again(event);
        }
        self.runs.fold(event, catalogue);
        let seen = Seen::of(event, self.active_wsus.as_deref());
        seen.iter().fold(false, |changed, seen| self.configured.see(seen, event.time) | changed)
    }

    fn is_read_again(&mut self, event: &Event) {
        self.unreadable.retain(|(_, file), _| *file != event.file);
    }

    fn trouble(&mut self, stored: &StoredEvent, trouble: Option<&str>) {
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

    fn set_catalog_version(&mut self, time: Option<Timestamp>, version: u64) {
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
            // The line may come a moment after the one that reports the success.
            (Some(set), Some(ended)) => set.duration_since(ended) <= jiff::SignedDuration::from_mins(1),
            _ => true,
        };
        self.catalog_versions.iter().rev().find(known).map(|(_, version)| *version)
    }

    /// All that is known of its settings, with where each field comes from.
    pub fn merged(&self) -> Option<&Merged> {
        self.configured.merged()
    }

    /// Up to which moment its wsyncmgr.log is known to be read. Its newest line shows as much, where no agent says more.
    pub fn read_until(&self) -> Option<Timestamp> {
        self.readings.read_until("wsyncmgr").max(self.covered_until)
    }

    /// Newest settings.
    pub fn settings(&self) -> Option<&Settings> {
        self.merged().map(|merged| &merged.settings)
    }

    /// What its SMS Provider reports of all sites.
    fn status_rows(&self) -> impl Iterator<Item = &SupStatus> {
        self.settings().and_then(|settings| settings.sup_status.value()).into_iter().flatten()
    }

    fn shared_settings(&self) -> Shared {
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
