//! One site of the demo: writes the logs and settings that its site server would.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DemoError, stamp, write};
use crate::app::now;

/// One site of the story.
#[derive(Debug)]
pub struct DemoSite {
    /// Site code.
    pub code: &'static str,
    /// Parent's site code.
    pub parent: Option<&'static str>,
    kind: &'static str,
    children: &'static [&'static str],
    folder: PathBuf,
}

impl DemoSite {
    /// The four sites, each with its folder.
    pub fn all(folder: &Path) -> Result<Vec<DemoSite>, DemoError> {
        let plan: [(&str, &str, Option<&str>, &[&str]); 4] = [
            ("CEN", "central", None, &["P01", "P02"]),
            ("P01", "primary", Some("CEN"), &["S01"]),
            ("P02", "primary", Some("CEN"), &[]),
            ("S01", "secondary", Some("P01"), &[]),
        ];
        let mut sites = Vec::new();
        for (code, kind, parent, children) in plan {
            let site = DemoSite { code, parent, kind, children, folder: folder.join(code) };
            let parent_line = parent.map(|parent| format!("parent = \"{parent}\"\n")).unwrap_or_default();
            let text = format!("code = \"{code}\"\ntype = \"{kind}\"\n{parent_line}server = \"{}\"\n", site.server());
            write(&site.folder.join("site.toml"), &text)?;
            write(&site.folder.join("logs/wsyncmgr.log"), "")?;
            write(&site.folder.join("logs/WCM.log"), "")?;
            write(&site.folder.join("settings.json"), &site.settings().to_string())?;
            sites.push(site);
        }
        Ok(sites)
    }

    /// The site server, which is also its SUP.
    pub fn server(&self) -> String {
        format!("{}.corp.example", self.code.to_lowercase())
    }

    fn settings(&self) -> Value {
        let upstream = self
            .parent
            .map(|parent| json!({"server": format!("{}.corp.example", parent.to_lowercase()), "port": 8530, "ssl": false}));
        json!({
            "schema": "supwatch/settings/v1", "site": self.code, "taken_at": now().to_string(), "source": "demo",
            "sups": [{"server": self.server(), "first": true, "http_port": 8530, "https_port": 8531, "ssl": false}],
            "component": {
                "sync_source": if self.parent.is_some() { "upstream" } else { "microsoft-update" },
                "schedule_hours": 24, "summary_languages": ["en", "ja"],
            },
            "wsus": [{
                "server": self.server(), "version": "10.0.17763.1", "sync_from_microsoft_update": self.parent.is_none(),
                "is_replica": self.kind == "secondary", "upstream": upstream, "languages": ["en", "ja"], "all_languages": false,
                "classifications": ["Critical Updates", "Security Updates"], "products": ["Windows Server 2019", "Windows 11"],
                "website": {"http_port": 8530, "https_port": 8531},
            }],
        })
    }

    /// Changes the settings as an administrator in the WSUS console would.
    pub fn change_settings(&self, change: impl FnOnce(&mut Value)) -> Result<(), DemoError> {
        let mut settings = self.settings();
        change(&mut settings);
        write(&self.folder.join("settings.json"), &settings.to_string())
    }

    /// A complete successful run.
    pub fn run(&self, reason: &str, version: u64) -> Result<(), DemoError> {
        let server = self.server();
        let mut lines = self.start(reason);
        lines.push("sync: WSUS synchronizing categories".to_owned());
        for done in [1, 44, 130] {
            lines.push(format!("sync: WSUS synchronizing updates, processed {done} out of 130 items ({}%)", done * 100 / 130));
        }
        lines.push(format!("Done synchronizing WSUS Server {server}"));
        lines.push(format!(
            "Set content version of update source {{2F6A64F5-6D36-4B0B-9C5E-4C2F2B1E7A10}} for site {} to {version}",
            self.code
        ));
        if self.parent.is_none() {
            lines.push(self.status(6705));
            lines.push(format!("Synchronizing SMS database with WSUS server {server} ..."));
            lines.push("sync: SMS synchronizing updates, processed 130 out of 130 items (100%)".to_owned());
            lines.push(format!("Done synchronizing SMS with WSUS Server {server}"));
        }
        lines.push(self.status(6702));
        lines.push(format!("Sync succeeded. Setting sync alert to canceled state on site {}", self.code));
        match self.parent {
            None => lines.push(format!("Updated 130 items in SMS database, new update source content version is {version}")),
            Some(parent) => lines.push(format!("Successfully synced site with parent {parent}, version {version}")),
        }
        lines.push("Sync time: 0d00h03m53s".to_owned());
        if !self.children.is_empty() {
            lines.push(format!("Sending sync notification to child site(s): {}", self.children.join(", ")));
        }
        self.write(&lines)
    }

    /// A run that fails because the name of Microsoft Update cannot be resolved.
    pub fn fail(&self, reason: &str) -> Result<(), DemoError> {
        let text = "UssCommunicationError: WebException: The remote name could not be resolved: 'sws.update.microsoft.com'~~at System.Net.HttpWebRequest.GetRequestStream()";
        let source = "Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS";
        let mut lines = self.start(reason);
        lines.push(format!("Sync failed: {text}. Source: {source}"));
        lines.push(
            self.status(6703)
                .replace("ISTR0=\"\" ISTR1=\"\"", &format!("ISTR0=\"{source}\" ISTR1=\"{text}\""))
                .replace("SEV=I", "SEV=E"),
        );
        lines.push("Sync failed. Will retry in 60 minutes".to_owned());
        lines.push(format!("Setting sync alert to active state on site {}", self.code));
        self.write(&lines)
    }

    fn start(&self, reason: &str) -> Vec<String> {
        let server = self.server();
        let mut lines = Vec::new();
        if let Some(parent) = self.parent {
            lines.push("Wakeup by inbox drop".to_owned());
            lines.push(format!("Found parent sync notification file {parent}.SYN"));
        } else {
            lines.push("Wakeup for scheduled regular sync".to_owned());
        }
        lines.push("Starting Sync".to_owned());
        lines.push(format!("Performing sync on {reason}"));
        lines.push(format!("Read SUPs from SCF for {server}"));
        lines.push("Found 1 SUPs".to_owned());
        lines.push(self.status(6701));
        lines.push(format!("Synchronizing WSUS, default server is {server}"));
        lines.push(self.status(6704));
        lines.push(format!("Synchronizing WSUS server {server} ..."));
        lines.push("sync: Starting WSUS synchronization".to_owned());
        lines
    }

    fn status(&self, id: u32) -> String {
        let at = now().strftime("%a %b %d %H:%M:%S%.3f %Y").to_string();
        let strings = (0..10).map(|n| format!("ISTR{n}=\"\"")).collect::<Vec<_>>().join(" ");
        format!(
            "STATMSG: ID={id} SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS={} SITE={} PID=2836 TID=9640 GMTDATE={at} {strings} NUMATTRS=0",
            self.server(),
            self.code
        )
    }

    fn write(&self, lines: &[String]) -> Result<(), DemoError> {
        let path = self.folder.join("logs/wsyncmgr.log");
        let failed = |source| DemoError::File { path: path.clone(), source };
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).map_err(failed)?;
        for line in lines {
            write!(file, "{line}  $$<SMS_WSUS_SYNC_MANAGER><{}+0><thread=9640 (0x25A8)>\r\n", stamp(now())).map_err(failed)?;
        }
        Ok(())
    }
}
