//! Events → the last known state of each site, and the hierarchy they form.
//!
//! Pure: one event changes its site and those it names: a parent's notification also changes its children, and adds those not
//! known yet. Applying it returns the sites whose verdicts may depend on it, so that no event judges the whole hierarchy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use supwatch_model::coverage::Coverage;
use supwatch_model::describe::{HierarchyFile, SiteDescription};
use supwatch_model::event::{Event, EventKind, StoredEvent};
use supwatch_model::ids::{AgentId, Epoch, SiteCode};
use supwatch_model::settings::SupStatus;

use crate::diagnosis::Catalogue;
use crate::runs::line_of;

mod coverage;
mod database;
mod described;
mod index;
mod listed;
mod site;

use index::Index;
use site::{NOTIFICATIONS_KEPT, Shared, starts_on_schedule};

pub use coverage::SiteCoverage;
pub use site::{Notification, Site, Unreadable};

/// All sites, their parents, and what is last known of each.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    /// Content of `hierarchy.toml`.
    pub expected: HierarchyFile,
    /// Its sites by code, because every query about a parent looks one up.
    expected_sites: BTreeMap<SiteCode, SiteDescription>,
    /// Sites by code.
    pub sites: BTreeMap<SiteCode, Site>,
    /// Agents by identity.
    pub agents: BTreeMap<AgentId, Agent>,
    index: Index,
    /// Whether agents deliver the events; offline, all logs are read whole.
    pub live: bool,
    /// The catalogue for diagnosing errors.
    pub catalogue: Arc<Catalogue>,
}

impl Default for Hierarchy {
    fn default() -> Hierarchy {
        Hierarchy::new(HierarchyFile::default(), Arc::clone(Catalogue::built_in()))
    }
}

/// What is known of an agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Sites whose events it sends.
    pub sites: BTreeSet<SiteCode>,
    /// Last contact (collector's clock).
    pub last_seen_at: Option<Timestamp>,
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
    /// It is the top site.
    Top,
    /// It is below this site.
    Of(SiteCode),
    /// No source reports it.
    Unknown,
}

impl Hierarchy {
    /// A hierarchy with the expected sites.
    pub fn new(expected: HierarchyFile, catalogue: Arc<Catalogue>) -> Hierarchy {
        let sites: BTreeMap<SiteCode, Site> = expected.sites.iter().map(|site| (site.code, Site::new(site.code))).collect();
        let expected_sites = expected.sites.iter().map(|site| (site.code, site.description.clone())).collect();
        let codes: Vec<SiteCode> = sites.keys().copied().collect();
        let mut hierarchy =
            Hierarchy { expected, expected_sites, sites, agents: BTreeMap::new(), index: Index::default(), live: false, catalogue };
        codes.into_iter().for_each(|code| hierarchy.place(code, &mut BTreeSet::new()));
        hierarchy
    }

    /// Applies an event, and returns the sites whose verdicts may have changed.
    pub fn fold(&mut self, stored: &StoredEvent) -> BTreeSet<SiteCode> {
        let event = &stored.event;
        let mut touched = BTreeSet::from([event.site]);
        self.record_sender(stored);
        let new = !self.sites.contains_key(&event.site);
        let site = self.sites.entry(event.site).or_insert_with(|| Site::new(event.site));
        if !site.agents.contains(&stored.agent) {
            site.agents.insert(stored.agent.clone());
        }
        match &event.kind {
            // A report of the current state is no backlog.
            EventKind::SettingsSnapshot { .. } | EventKind::SiteDescribed(_) | EventKind::AgentHealth { .. } => {}
            _ => site.coverage.record_event(stored),
        }
        let synced = site.synced_version();
        site.extend_log(event);
        match &event.kind {
            EventKind::SiteDescribed(description) => {
                site.descriptions.insert(stored.agent.clone(), description.clone());
                touched.extend(self.index.children(event.site));
                self.place(event.site, &mut touched);
                self.rename(event.site, &mut touched);
            }
            EventKind::SettingsSnapshot { settings } => {
                site.clear_unreadable(event);
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
            EventKind::AgentHealth { trouble, .. } => site.set_unreadable(stored, trouble.as_deref()),
            _ => self.fold_line(event, &mut touched),
        }
        if new {
            self.place(event.site, &mut touched);
        }
        if let EventKind::RunSucceeded | EventKind::RunFailed { .. } | EventKind::StatusMessage(_) = &event.kind {
            // A child's failure may be its parent's fault.
            if let Parent::Of(parent) = self.parent(event.site) {
                touched.insert(parent);
            }
        }
        if self.parent(event.site) == Parent::Top && self.site(event.site).and_then(Site::synced_version) != synced {
            // All sites below are compared with it.
            self.index.below(event.site, &mut touched);
        }
        touched
    }

    /// Records which agent sent an event.
    fn record_sender(&mut self, stored: &StoredEvent) {
        let agent = self.agents.entry(stored.agent.clone()).or_default();
        agent.events += 1;
        agent.last_seen_at = agent.last_seen_at.max(Some(stored.received_at));
        if let EventKind::AgentHealth { version, .. } = &stored.event.kind {
            agent.version.clone_from(version);
        }
        agent.sites.insert(stored.event.site);
    }

    /// Applies a log line, and marks the sites that depend on what it changes.
    fn fold_line(&mut self, event: &Event, touched: &mut BTreeSet<SiteCode>) {
        let catalogue = Arc::clone(&self.catalogue);
        let Some(site) = self.sites.get_mut(&event.site) else { return };
        let (before, scheduled) = (site.shared_settings(), site.scheduled);
        // Where no schedule is configured, all sites below the top are judged by the one its runs show.
        let hours = |site: &Site| starts_on_schedule(event).then(|| site.hours_between_runs());
        let hours_before = hours(site);
        let changed = site.fold(event, &catalogue);
        let now_a_top = site.scheduled != scheduled;
        if hours_before != hours(site) {
            self.index.below(event.site, touched);
        }
        if changed {
            self.settings_changed(event.site, &before, touched);
        }
        if now_a_top {
            touched.extend(self.index.children(event.site));
            self.place(event.site, touched);
        }
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

    /// What the provider of a top site reports about a site, and which top site that is.
    pub fn status_of(&self, code: SiteCode) -> Option<(&Site, &SupStatus)> {
        let tops = self.index.tops().iter().filter_map(|top| self.sites.get(top));
        let rows = tops.flat_map(|top| top.status_rows().map(move |row| (top, row)));
        // If a site has several software update points, the worst one counts.
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

    /// Sites with a server of this name, compared by first label.
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
        agent.last_seen_at = agent.last_seen_at.max(Some(at));
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
        site.coverage.apply_coverage(agent, epoch, coverage);
        before && !self.is_reading_back(code)
    }

    /// Treats an agent that does not report coverage as caught up.
    pub fn assume_caught_up(&mut self, agent: &AgentId) {
        let sites: Vec<SiteCode> = self.agents.get(agent).into_iter().flat_map(|agent| agent.sites.iter().copied()).collect();
        for code in sites {
            if let Some(site) = self.sites.get_mut(&code) {
                site.coverage.assume_caught_up(agent);
            }
        }
    }

    /// Whether a site's agents are still reading a backlog, so that it is not judged yet.
    pub fn is_reading_back(&self, code: SiteCode) -> bool {
        if crate::planted::is_backlog_judged() {
            return false;
        }
        let connected = |agent: &AgentId| self.agents.get(agent).is_some_and(|agent| agent.connected);
        self.site(code).filter(|_| self.live).is_some_and(|site| site.coverage.is_reading_back(connected))
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

    /// Codes of the direct children of a site.
    pub fn children(&self, code: SiteCode) -> impl Iterator<Item = SiteCode> + '_ {
        self.index.children(code)
    }
}
