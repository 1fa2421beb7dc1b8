//! The true state of a hierarchy: its sites, their servers and settings, and what goes wrong there and when.
//!
//! Nothing here depends on how supwatch judges. Times are seconds since 1970 by a true clock.

use std::collections::BTreeSet;

/// Seconds since 1970, UTC.
pub type Seconds = i64;

/// Later than any time.
pub const NEVER: Seconds = 1 << 40;

pub const MINUTE: Seconds = 60;
pub const HOUR: Seconds = 3600;

pub const DAY: Seconds = 24 * HOUR;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    Y2007,
    Y2012,
    Current,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Central,
    Primary,
    Secondary,
}

/// A Windows time zone: its name in the tz database, and its standard and daylight names.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    pub iana: &'static str,
    pub names: [&'static str; 2],
}

/// The language of a server: of its WSUS titles, and of its zone name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    English,
    Japanese,
    German,
}

/// How languages, products and classifications are written in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Titles {
    Names,
    Ids,
    Both,
}

/// A Microsoft classification or product: one id, a title in each language.
#[derive(Debug)]
pub struct Category {
    pub id: &'static str,
    pub titles: [&'static str; 3],
}

impl Category {
    pub fn title(&self, tongue: Tongue) -> &'static str {
        let [english, japanese, german] = self.titles;
        match tongue {
            Tongue::English => english,
            Tongue::Japanese => japanese,
            Tongue::German => german,
        }
    }
}

const fn category(id: &'static str, titles: [&'static str; 3]) -> Category {
    Category { id, titles }
}

pub const CLASSIFICATIONS: &[Category] = &[
    category("e6cf1350-c01b-414d-a61f-263d14d133b4", ["Critical Updates", "重要な更新", "Wichtige Updates"]),
    category(
        "0fa1201d-4330-4fa8-8ae9-b877473b6441",
        ["Security Updates", "セキュリティ問題の修正プログラム", "Sicherheitsupdates"],
    ),
    category("e0789628-ce08-4437-be74-2495b842f43b", ["Definition Updates", "定義更新プログラム", "Definitionsupdates"]),
    category("28bc880e-0592-4cbf-8f95-c79b17911d5f", ["Update Rollups", "修正プログラム集", "Update-Rollups"]),
];

pub const PRODUCTS: &[Category] = &[
    category("f702a48c-919b-45d6-9aef-ca4248d50397", ["Windows Server 2019", "Windows Server 2019", "Windows Server 2019"]),
    category("569e8e8f-c6cd-42c8-92a3-efbb20a0f6f5", ["Windows Server 2016", "Windows Server 2016", "Windows Server 2016"]),
    category("72e7624a-5b00-45d2-b92f-e561c0a6a160", ["Windows 11", "Windows 11", "Windows 11"]),
    category("a3c2375d-0c8a-42f9-bce0-28333e198407", ["Windows 10", "Windows 10", "Windows 10"]),
    category(
        "8c3fcc84-7410-4a95-8b89-a166a0190486",
        ["Microsoft Defender Antivirus", "Microsoft Defender ウイルス対策", "Microsoft Defender Antivirus"],
    ),
];

/// A failed run: the component's message, and its log.
#[derive(Debug, Clone)]
pub struct Failure {
    pub text: String,
    pub source: &'static str,
    /// Lines of `wsyncmgr.log` before it.
    pub lines: Vec<String>,
    pub place: Place,
    /// The exception in `WCM.log`, if WCM has the same problem.
    pub wcm: Vec<String>,
    /// Lines that WSUS itself writes in `SoftwareDistribution.log`.
    pub wsus: Vec<String>,
}

/// How far the run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Start,
    Wsus,
    Database,
}

/// The requester of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    Schedule,
    Local,
    Parent,
    Retry,
}

/// Runs that begin in this period fail.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub from: Seconds,
    pub until: Seconds,
    pub failure: Failure,
}

impl Trouble {
    /// From this time on.
    pub fn since(from: Seconds, failure: Failure) -> Trouble {
        Trouble { from, until: NEVER, failure }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    pub server: String,
    pub port: u16,
    pub account: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    pub server: String,
    pub port: u16,
    pub ssl: bool,
}

/// A software update point: the role as the site configures it, and its actual WSUS server.
#[derive(Debug, Clone)]
pub struct Point {
    pub host: String,
    pub aliases: Vec<String>,
    /// The same server's name in the role, and in WSUS.
    pub role_name: String,
    pub wsus_name: String,
    pub internet: bool,
    pub ssl: bool,
    pub http: u16,
    pub https: u16,
    pub role_proxy: Option<Proxy>,
    pub version: String,
    pub from_microsoft: bool,
    pub upstream: Option<Upstream>,
    pub replica: bool,
    pub languages: Vec<&'static str>,
    pub all_languages: bool,
    pub classifications: Vec<usize>,
    pub products: Vec<usize>,
    pub proxy: Option<Proxy>,
    pub web_http: u16,
    pub web_https: u16,
    pub ssl_directories: Vec<&'static str>,
    pub services: Vec<(&'static str, Option<&'static str>)>,
    pub pool: (&'static str, u64, u64),
    pub api_status: u16,
    /// With the site server's account, or anonymously.
    pub api_authenticated: bool,
    pub dss_status: u16,
    pub database: (String, bool),
    pub certificate: Option<(Vec<String>, Seconds)>,
    /// Outcome of a probe, if one was made.
    pub reach: Option<&'static str>,
    /// A synchronisation that no run requested, and whether it is still running.
    pub outside: Option<(Seconds, bool)>,
}

impl Point {
    pub fn port(&self) -> u16 {
        if self.ssl { self.https } else { self.http }
    }
}

/// Settings of the site's component.
#[derive(Debug, Clone, Default)]
pub struct Component {
    pub source: &'static str,
    pub upstream: Option<String>,
    /// The source that WCM configures and reports.
    pub above: String,
    pub languages: Vec<&'static str>,
    pub summary: Option<Vec<&'static str>>,
    pub classifications: Option<Vec<usize>>,
    pub products: Option<Vec<usize>>,
}

/// A run as it happened.
#[derive(Debug, Clone)]
pub struct Run {
    pub wsus_from: Seconds,
    pub wsus_to: Seconds,
    pub ended: Seconds,
    pub succeeded: bool,
    pub version: u64,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub at: Seconds,
    pub text: String,
    pub thread: u32,
}

#[derive(Debug, Clone)]
pub struct Site {
    pub code: String,
    pub kind: Kind,
    pub parent: Option<usize>,
    pub server: String,
    pub tongue: Tongue,
    pub zone: &'static Zone,
    /// Whether zone names on its lines are in the code page of its Windows.
    pub ansi: bool,
    /// Seconds by which its clock is ahead.
    pub clock: Seconds,
    pub points: Vec<Point>,
    pub component: Component,
    pub console: bool,
    pub native: bool,

    // Readable data.
    pub tells_logs: bool,
    pub tells_wcm: bool,
    pub tells_settings: bool,
    pub tells_site: bool,
    pub rolled: bool,
    /// Percentage of each log that has rolled away.
    pub lost: usize,
    pub titles: Titles,
    /// Fields missing from the snapshot.
    pub lacks: Vec<&'static str>,
    /// Age of its newest snapshot at the end.
    pub snapshot_age: Seconds,
    /// Summary languages of an older snapshot.
    pub earlier_summary: Option<Vec<&'static str>>,
    /// The parent in its `site.toml`, if it is wrong.
    pub claims_parent: Option<Option<String>>,
    pub claims_kind: Option<Kind>,

    // Faults.
    pub troubles: Vec<Trouble>,
    pub deaf_from: Option<Seconds>,
    pub hangs_from: Option<Seconds>,
    pub version_kept_from: Option<Seconds>,
    pub local_at: Vec<Seconds>,

    // Events.
    pub version: u64,
    pub runs: Vec<Run>,
    pub busy_until: Seconds,
    pub wcm_minute: Seconds,
    pub wsync: Vec<Line>,
    pub wcm: Vec<Line>,
    /// `SoftwareDistribution.log` of its first WSUS, if it can be read.
    pub wsus: Vec<(Seconds, String)>,
}

impl Site {
    pub fn trouble_at(&self, at: Seconds) -> Option<&Failure> {
        self.troubles.iter().find(|trouble| trouble.from <= at && at < trouble.until).map(|trouble| &trouble.failure)
    }

    pub fn has_sup(&self) -> bool {
        !self.points.is_empty()
    }
}

#[derive(Debug)]
pub struct World {
    pub generation: Generation,
    pub sites: Vec<Site>,
    pub now: Seconds,
    /// Hours between scheduled runs; none: started manually, once a day.
    pub gap: Option<i64>,
    pub first_run: Seconds,
    pub scheduler_stops: Option<Seconds>,
    /// Differences from the simplest hierarchy.
    pub traits: BTreeSet<&'static str>,
    /// Whether `hierarchy.toml` lists the sites.
    pub listed: bool,
    /// A site missing from `hierarchy.toml`.
    pub unlisted: Option<usize>,
    /// A second folder that claims a site's code.
    pub twin: Option<usize>,
    pub judged_at_now: bool,
}

impl World {
    pub fn top(&self) -> &Site {
        &self.sites[0]
    }

    pub fn children(&self, site: usize) -> Vec<usize> {
        (0..self.sites.len()).filter(|child| self.sites[*child].parent == Some(site)).collect()
    }

    pub fn gap_seconds(&self) -> Seconds {
        self.gap.unwrap_or(24) * HOUR
    }

    /// Start of the newest wave.
    pub fn last_wave(&self) -> Seconds {
        self.first_run + (self.now - self.first_run) / self.gap_seconds() * self.gap_seconds()
    }

    /// Moves the end of the story back to this point of it.
    pub fn at_least_until(&mut self, at: Seconds) {
        self.now = self.now.max(at);
    }

    /// The site and all sites above it.
    pub fn above(&self, site: usize) -> Vec<usize> {
        let mut all = vec![site];
        while let Some(parent) = self.sites[*all.last().expect("one")].parent {
            all.push(parent);
        }
        all
    }

    pub fn any_sites(&self, wanted: impl Fn(usize, &Site) -> bool) -> Vec<usize> {
        self.sites.iter().enumerate().filter(|(at, site)| wanted(*at, site)).map(|(at, _)| at).collect()
    }
}
