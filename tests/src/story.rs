//! A synchronisation, site by site: the content of each `wsyncmgr.log`, with times.
//!
//! Times are minutes and seconds after 2026-03-01 04:00 UTC by a true clock; a site's own clock may differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The failure of a child that is refused by its parent's WSUS.
pub const DSS_401: &str = "Sync failed: DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized.~~at System.Web.Services.Protocols.SoapHttpClientProtocol.ReadResponse(SoapClientMessage message). Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS";

/// A hierarchy whose logs are being written.
pub struct Story {
    sites: BTreeMap<String, Site>,
    /// Content of `hierarchy.toml`.
    pub hierarchy: String,
}

struct Site {
    kind: &'static str,
    parent: Option<String>,
    clock_off: i64,
    lines: Vec<(i64, String)>,
    silent: bool,
    settings: Option<serde_json::Value>,
}

/// Converts `minutes:seconds` to seconds.
fn seconds(at: &str) -> i64 {
    let (minutes, seconds) = at.split_once(':').expect("m:ss");
    minutes.parse::<i64>().expect("minutes") * 60 + seconds.parse::<i64>().expect("seconds")
}

impl Default for Story {
    fn default() -> Story {
        Story::new()
    }
}

impl Story {
    /// CEN above P01 and P02, P01 above S01.
    pub fn new() -> Story {
        let mut story = Story { sites: BTreeMap::new(), hierarchy: "generation = \"current-branch\"\n".to_owned() };
        story.add("CEN", "central", None);
        story.add("P01", "primary", Some("CEN"));
        story.add("S01", "secondary", Some("P01"));
        story.add("P02", "primary", Some("CEN"));
        story
    }

    /// Without sites.
    pub fn empty() -> Story {
        Story { sites: BTreeMap::new(), hierarchy: "generation = \"current-branch\"\n".to_owned() }
    }

    /// Adds a site.
    pub fn add(&mut self, code: &str, kind: &'static str, parent: Option<&str>) {
        let parent = parent.map(str::to_owned);
        let site = Site { kind, parent, clock_off: 0, lines: Vec::new(), silent: false, settings: None };
        self.sites.insert(code.to_owned(), site);
    }

    /// Sets its clock off by this many seconds.
    pub fn clock(&mut self, code: &str, off: i64) -> &mut Story {
        self.site(code).clock_off = off;
        self
    }

    /// Gives it no agent: its log is not read, and `hierarchy.toml` names it.
    pub fn without_agent(&mut self, code: &str) -> &mut Story {
        self.site(code).silent = true;
        let (kind, parent) = (self.site(code).kind, self.site(code).parent.clone());
        let parent = parent.map(|parent| format!("parent = \"{parent}\"\n")).unwrap_or_default();
        self.hierarchy.push_str(&format!("[[site]]\ncode = \"{code}\"\ntype = \"{kind}\"\n{parent}"));
        self
    }

    /// Adds its settings snapshot.
    pub fn settings(&mut self, code: &str, settings: serde_json::Value) -> &mut Story {
        self.site(code).settings = Some(settings);
        self
    }

    fn site(&mut self, code: &str) -> &mut Site {
        self.sites.get_mut(code).expect("a site of the story")
    }

    /// Adds a line to its log.
    pub fn say(&mut self, code: &str, at: &str, line: &str) -> &mut Story {
        let at = seconds(at);
        self.site(code).lines.push((at, line.to_owned()));
        self
    }

    /// Adds the top site's run, from and to, with the version it sets; at its end the site notifies its children.
    pub fn top(&mut self, code: &str, from: &str, to: &str, version: u64, children: &str) -> &mut Story {
        self.say(code, from, "Performing sync on regular schedule");
        self.say(code, from, &format!("Synchronizing WSUS server {}.corp.example ...", code.to_lowercase()));
        self.end(code, to, version, children)
    }

    /// Adds a child's run that its parent's notification triggers.
    pub fn child(&mut self, code: &str, from: &str, to: &str, version: u64, children: &str) -> &mut Story {
        self.begin(code, from);
        self.end(code, to, version, children)
    }

    /// A child starts on its parent's notification.
    pub fn begin(&mut self, code: &str, from: &str) -> &mut Story {
        let parent = self.site(code).parent.clone().expect("a parent");
        self.say(code, from, &format!("Found parent sync notification file {parent}.SYN."));
        self.say(code, from, "Performing sync on parent request");
        self.say(code, from, &format!("Synchronizing WSUS server {}.corp.example ...", code.to_lowercase()))
    }

    /// A run succeeds.
    pub fn end(&mut self, code: &str, to: &str, version: u64, children: &str) -> &mut Story {
        self.say(
            code,
            to,
            &format!("Set content version of update source {{7B0C1E54-93D2-4A6F-8E11-5D20A9C3F6B8}} for site {code} to {version}"),
        );
        self.say(code, to, "Sync succeeded. Setting sync alert to canceled state on this site");
        if !children.is_empty() {
            self.say(code, to, &format!("Sending sync notification to child site(s): {children}"));
        }
        self
    }

    /// A run fails.
    pub fn fail(&mut self, code: &str, to: &str, line: &str) -> &mut Story {
        self.say(code, to, line);
        self.say(code, to, "Sync failed. Will retry in 60 minutes")
    }

    /// Adds lines that only show that the log continues, at a time.
    pub fn alive(&mut self, at: &str) -> &mut Story {
        let codes: Vec<String> = self.sites.keys().cloned().collect();
        for code in codes {
            self.say(&code, at, "Wakeup for a polling cycle");
        }
        self
    }

    /// Codes of the sites whose logs are read.
    pub fn read(&self) -> Vec<&str> {
        self.sites.iter().filter(|(_, site)| !site.silent).map(|(code, _)| code.as_str()).collect()
    }

    /// Writes the folders.
    pub fn write(&self, base: &Path) -> Vec<PathBuf> {
        std::fs::write(base.join("hierarchy.toml"), &self.hierarchy).expect("file");
        let mut folders = Vec::new();
        for (code, site) in self.sites.iter().filter(|(_, site)| !site.silent) {
            let folder = base.join(code);
            std::fs::create_dir_all(folder.join("logs")).expect("folder");
            let parent = site.parent.as_ref().map(|parent| format!("parent = \"{parent}\"\n")).unwrap_or_default();
            let described = format!("code = \"{code}\"\ntype = \"{}\"\n{parent}", site.kind);
            std::fs::write(folder.join("site.toml"), described).expect("file");
            let mut lines = site.lines.clone();
            lines.sort_by_key(|(at, _)| *at);
            let log: String = lines.iter().map(|(at, line)| stamped(*at + site.clock_off, line)).collect();
            std::fs::write(folder.join("logs/wsyncmgr.log"), log).expect("file");
            if let Some(settings) = &site.settings {
                std::fs::write(folder.join("settings.json"), settings.to_string()).expect("file");
            }
            folders.push(folder);
        }
        folders
    }
}

fn stamped(at: i64, line: &str) -> String {
    let start = jiff::civil::date(2026, 3, 1).at(4, 0, 0, 0);
    let at = start.checked_add(jiff::SignedDuration::from_secs(at)).expect("time");
    format!("{line}  $$<SMS_WSUS_SYNC_MANAGER><{}.000+0><thread=4312 (0x10D8)>\r\n", at.strftime("%m-%d-%Y %H:%M:%S"))
}
