//! A hierarchy as it truly is: its sites, their servers and settings, and what goes wrong there and when.
//!
//! Nothing here knows how supwatch judges. Times are seconds since 1970 by a true clock.

use std::collections::BTreeSet;

/// Seconds since 1970, UTC.
pub type Seconds = i64;

/// Later than anything.
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

/// A Windows time zone: its name in the tz database, and the names that the system writes in winter and in summer.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    pub iana: &'static str,
    pub names: [&'static str; 2],
}

/// The language of a server: of the titles its WSUS gives, and of its zone's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    English,
    Japanese,
    German,
}

/// How languages, products and classifications are written into a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Titles {
    Names,
    Ids,
    Both,
}

/// A classification or product of Microsoft's: one id, a title in each language.
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

/// A failed run: what the failing component says, and where.
#[derive(Debug, Clone)]
pub struct Failure {
    pub text: String,
    pub source: &'static str,
    /// Lines of `wsyncmgr.log` before it.
    pub lines: Vec<String>,
    pub place: Place,
    /// The exception in `WCM.log`, where WCM meets the same trouble.
    pub wcm: Vec<String>,
    /// What WSUS itself writes in `SoftwareDistribution.log`.
    pub wsus: Vec<String>,
}

/// How far the run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Start,
    Wsus,
    Database,
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    Schedule,
    Local,
    Parent,
    Retry,
}

/// Runs that begin within it fail.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub from: Seconds,
    pub until: Seconds,
    pub failure: Failure,
}

impl Trouble {
    /// From then on.
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

/// A software update point: the role as the site has it, and its WSUS server as it is.
#[derive(Debug, Clone)]
pub struct Point {
    pub host: String,
    pub aliases: Vec<String>,
    /// As the role names it, and as WSUS does: the same server.
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
    /// As the site server's account, or as nobody.
    pub api_authenticated: bool,
    pub dss_status: u16,
    pub database: (String, bool),
    pub certificate: Option<(Vec<String>, Seconds)>,
    /// What a probe of it ended with, if one was made.
    pub reach: Option<&'static str>,
    /// A synchronisation that no run asked for, and whether it still runs.
    pub outside: Option<(Seconds, bool)>,
}

impl Point {
    pub fn port(&self) -> u16 {
        if self.ssl { self.https } else { self.http }
    }
}

/// What the site's component says.
#[derive(Debug, Clone, Default)]
pub struct Component {
    pub source: &'static str,
    pub upstream: Option<String>,
    /// The source that WCM sets up and sees.
    pub above: String,
    pub languages: Vec<&'static str>,
    pub summary: Option<Vec<&'static str>>,
    pub classifications: Option<Vec<usize>>,
    pub products: Option<Vec<usize>>,
}

/// A run as it was.
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
    /// Zone names on its lines are in the code page of its Windows.
    pub ansi: bool,
    /// Its clock is ahead by so many seconds.
    pub clock: Seconds,
    pub points: Vec<Point>,
    pub component: Component,
    pub console: bool,
    pub native: bool,

    // What of it can be read.
    pub tells_logs: bool,
    pub tells_wcm: bool,
    pub tells_settings: bool,
    pub tells_site: bool,
    pub rolled: bool,
    /// Hundredths of each log that rolled away.
    pub lost: usize,
    pub titles: Titles,
    /// Fields that the snapshot lacks.
    pub lacks: Vec<&'static str>,
    /// Its newest snapshot is so old at the end.
    pub snapshot_age: Seconds,
    /// An older snapshot had these summary languages.
    pub earlier_summary: Option<Vec<&'static str>>,
    /// The parent that its `site.toml` names, where that is not the true one.
    pub claims_parent: Option<Option<String>>,
    pub claims_kind: Option<Kind>,

    // What goes wrong.
    pub troubles: Vec<Trouble>,
    pub deaf_from: Option<Seconds>,
    pub hangs_from: Option<Seconds>,
    pub version_kept_from: Option<Seconds>,
    pub local_at: Vec<Seconds>,

    // What happened.
    pub version: u64,
    pub runs: Vec<Run>,
    pub busy_until: Seconds,
    pub wcm_minute: Seconds,
    pub wsync: Vec<Line>,
    pub wcm: Vec<Line>,
    /// `SoftwareDistribution.log` of its first WSUS, where that is read.
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
    /// Hours between scheduled runs; none: by hand, once a day.
    pub gap: Option<i64>,
    pub first_run: Seconds,
    pub scheduler_stops: Option<Seconds>,
    /// How it differs from the plainest hierarchy.
    pub traits: BTreeSet<&'static str>,
    /// `hierarchy.toml` lists the sites.
    pub listed: bool,
    /// A site that `hierarchy.toml` does not list.
    pub unlisted: Option<usize>,
    /// One more folder that claims the code of a site.
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

    /// When the newest wave began.
    pub fn last_wave(&self) -> Seconds {
        self.first_run + (self.now - self.first_run) / self.gap_seconds() * self.gap_seconds()
    }

    /// Moves the end of the story back until this much of it was told.
    pub fn at_least_until(&mut self, at: Seconds) {
        self.now = self.now.max(at);
    }

    /// The site itself and all above it.
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
