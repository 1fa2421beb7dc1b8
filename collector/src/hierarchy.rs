//! Events → what is last known of each site, and of the hierarchy they form.
//!
//! Pure: folding one event touches one site. What people expect (`hierarchy.toml`) stands beside what agents tell; what an
//! agent says of its own site wins, and what logs merely imply (a notification names parent and child) comes last.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use supwatch_proto::describe::{Generation, HierarchyFile, SiteDescription, SiteType};
use supwatch_proto::event::{EventKind, StoredEvent};
use supwatch_proto::ids::{AgentId, SiteCode};
use supwatch_proto::settings::{Known, Settings, Sup, Wsus};

use crate::diagnosis::Catalogue;
use crate::runs::Runs;

/// Snapshots kept in memory for a site.
const SNAPSHOTS_KEPT: usize = 50;

/// All sites, their parents, and what is last known of each.
#[derive(Debug, Clone, Default)]
pub struct Hierarchy {
    /// What `hierarchy.toml` says.
    pub expected: HierarchyFile,
    /// Its sites by code, since every question about a parent asks for one.
    listed: BTreeMap<SiteCode, SiteDescription>,
    /// Sites by code.
    pub sites: BTreeMap<SiteCode, Site>,
    /// Agents by identity.
    pub agents: BTreeMap<AgentId, Agent>,
}

/// What is last known of a site.
#[derive(Debug, Clone)]
pub struct Site {
    /// Its code.
    pub code: SiteCode,
    /// What each agent says of it.
    pub descriptions: BTreeMap<AgentId, SiteDescription>,
    /// Parent that a log implies.
    pub implied_parent: Option<SiteCode>,
    /// Generation that a log implies.
    pub implied_generation: Option<Generation>,
    /// Its runs.
    pub runs: Runs,
    /// Its settings, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Next scheduled run, where the log proves it and it has not begun.
    pub next_run: Option<Timestamp>,
    /// Newest catalogue version and when it was set.
    pub catalog_versions: Vec<(Option<Timestamp>, u64)>,
    /// Time of the first event of wsyncmgr.log: how far back it covers.
    pub covered_since: Option<Timestamp>,
    /// Time of the newest event.
    pub newest: Option<Timestamp>,
}

/// A settings snapshot with its raw form.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: Option<Timestamp>,
    /// Read.
    pub settings: Settings,
    /// As it came.
    pub raw: serde_json::Value,
}

/// What is known of an agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agent {
    /// Sites it speaks for.
    pub sites: BTreeSet<SiteCode>,
    /// Last sign of life (collector's clock).
    pub last_heard_at: Option<Timestamp>,
    /// Whether its stream is open.
    pub connected: bool,
    /// Fencing token of its newest stream: the end of an older one says nothing.
    pub fence: u64,
    /// Events taken in from it.
    pub events: u64,
    /// Its version.
    pub version: String,
    /// Events it still holds.
    pub spooled_events: u64,
}

/// Where a site stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// At the top.
    Top,
    /// Below this site.
    Of(SiteCode),
    /// Nobody says.
    Unknown,
}

impl Hierarchy {
    /// With the sites that are expected.
    pub fn new(expected: HierarchyFile) -> Hierarchy {
        let sites = expected.sites.iter().map(|site| (site.code, Site::new(site.code))).collect();
        let listed = expected.sites.iter().map(|site| (site.code, site.description.clone())).collect();
        Hierarchy { expected, listed, sites, agents: BTreeMap::new() }
    }

    /// Takes an event in.
    pub fn fold(&mut self, stored: &StoredEvent, catalogue: &Catalogue) {
        let event = &stored.event;
        let agent = self.agents.entry(stored.agent.clone()).or_default();
        agent.sites.insert(event.site);
        agent.events += 1;
        agent.last_heard_at = agent.last_heard_at.max(Some(stored.received_at));
        let site = self.sites.entry(event.site).or_insert_with(|| Site::new(event.site));
        if matches!(&event.kind, EventKind::SettingsSnapshot { .. } | EventKind::SiteDescribed(_)) {
            // What a snapshot says holds from when it was taken; it does not show that the log covers that time.
        } else if let Some(time) = event.time {
            if event.log == "wsyncmgr" {
                site.covered_since = Some(site.covered_since.map_or(time, |since| since.min(time)));
            }
            site.newest = site.newest.max(Some(time));
        }
        match &event.kind {
            EventKind::SiteDescribed(description) => {
                site.descriptions.insert(stored.agent.clone(), description.clone());
            }
            EventKind::SettingsSnapshot { settings } => site.take_snapshot(settings),
            // A date that nobody can read in one way does not undo what the retry line told.
            EventKind::NextRun { at_utc, .. } => site.next_run = at_utc.or(site.next_run),
            EventKind::RetryScheduled { in_minutes } => {
                let minutes = jiff::SignedDuration::from_secs(i64::from(*in_minutes) * 60);
                site.next_run = event.time.and_then(|time| time.checked_add(minutes).ok());
            }
            EventKind::RunStarted { .. } => site.next_run = None,
            EventKind::CatalogVersion { version, .. } => site.take_catalog_version(event.time, *version),
            EventKind::AgentHealth { version, .. } => agent.version.clone_from(version),
            EventKind::ParentNotified { parent } => site.implied_parent = Some(*parent),
            EventKind::ChildrenNotified { sites } => {
                for child in sites {
                    self.sites.entry(*child).or_insert_with(|| Site::new(*child)).implied_parent = Some(event.site);
                }
            }
            EventKind::RunFailed { source, .. } => {
                if source.contains("SoftwareUpdatesManagement.WSyncAction") {
                    site.implied_generation = Some(Generation::Cm2007);
                } else if source.contains("WsusSyncAction") {
                    site.implied_generation = Some(Generation::CurrentBranch);
                }
            }
            _ => {}
        }
        if let Some(site) = self.sites.get_mut(&event.site) {
            site.runs.fold(event, catalogue);
        }
    }

    /// A sign of life of an agent.
    pub fn heard(&mut self, id: &AgentId, sites: &[SiteCode], at: Timestamp, spooled_events: u64) {
        let agent = self.agents.entry(id.clone()).or_default();
        agent.sites.extend(sites);
        agent.last_heard_at = agent.last_heard_at.max(Some(at));
        agent.spooled_events = spooled_events;
        for site in sites {
            self.sites.entry(*site).or_insert_with(|| Site::new(*site));
        }
    }

    /// The hierarchy as it was known to be at a moment.
    pub fn as_of(&self, at: Timestamp) -> Hierarchy {
        let mut past = self.clone();
        for site in past.sites.values_mut() {
            site.runs = site.runs.as_of(at);
            site.snapshots.retain(|snapshot| snapshot.taken_at.is_none_or(|taken| taken <= at));
            site.catalog_versions.retain(|(set, _)| set.is_none_or(|set| set <= at));
        }
        past
    }

    /// A site.
    pub fn site(&self, code: SiteCode) -> Option<&Site> {
        self.sites.get(&code)
    }

    fn expected_site(&self, code: SiteCode) -> Option<&SiteDescription> {
        self.listed.get(&code)
    }

    /// What agents, then `hierarchy.toml`, say of a site.
    fn said<'a, T>(&'a self, code: SiteCode, read: impl Fn(&'a SiteDescription) -> Option<T>) -> Option<T> {
        let told = self.site(code).into_iter().flat_map(|site| site.descriptions.values());
        told.chain(self.expected_site(code)).find_map(read)
    }

    /// Its type. A site that logs show to be told by a parent, or to have one, is not the top; more is not guessed.
    pub fn site_type(&self, code: SiteCode) -> Option<SiteType> {
        self.said(code, |description| description.site_type)
    }

    /// Its generation.
    pub fn generation(&self, code: SiteCode) -> Option<Generation> {
        self.said(code, |description| description.generation)
            .or(self.expected.generation)
            .or_else(|| self.site(code)?.implied_generation)
    }

    /// Its site server.
    pub fn server(&self, code: SiteCode) -> Option<&str> {
        self.said(code, |description| description.server.as_deref())
    }

    /// Where it stands.
    pub fn parent(&self, code: SiteCode) -> Parent {
        match self.said(code, |description| description.parent) {
            Some(Some(parent)) => Parent::Of(parent),
            Some(None) => Parent::Top,
            None => match self.site(code).and_then(|site| site.implied_parent) {
                Some(parent) => Parent::Of(parent),
                None if self.site_type(code) == Some(SiteType::Central) => Parent::Top,
                None => Parent::Unknown,
            },
        }
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
        self.sites.keys().copied().filter(move |child| self.parent(*child) == Parent::Of(code))
    }
}

impl Site {
    fn new(code: SiteCode) -> Site {
        Site {
            code,
            descriptions: BTreeMap::new(),
            implied_parent: None,
            implied_generation: None,
            runs: Runs::new(code),
            snapshots: Vec::new(),
            next_run: None,
            catalog_versions: Vec::new(),
            covered_since: None,
            newest: None,
        }
    }

    fn take_snapshot(&mut self, raw: &serde_json::Value) {
        // What cannot be read is kept in the store and judged by nobody.
        let Ok(settings) = Settings::from_json(raw) else { return };
        let taken_at = settings.taken_at.value().copied();
        let place = self.snapshots.partition_point(|kept| kept.taken_at <= taken_at);
        self.snapshots.insert(place, Snapshot { taken_at, settings, raw: raw.clone() });
        if self.snapshots.len() > SNAPSHOTS_KEPT {
            self.snapshots.remove(0);
        }
    }

    fn take_catalog_version(&mut self, time: Option<Timestamp>, version: u64) {
        if self.catalog_versions.last().is_none_or(|(_, newest)| *newest != version) {
            self.catalog_versions.push((time, version));
            if self.catalog_versions.len() > SNAPSHOTS_KEPT {
                self.catalog_versions.remove(0);
            }
        }
    }

    /// Newest catalogue version.
    pub fn catalog_version(&self) -> Option<u64> {
        self.catalog_versions.last().map(|(_, version)| *version)
    }

    /// Newest snapshot.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshots.last()
    }

    /// Newest settings.
    pub fn settings(&self) -> Option<&Settings> {
        self.snapshot().map(|snapshot| &snapshot.settings)
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
