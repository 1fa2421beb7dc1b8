//! A whole hierarchy on this machine: authority, collector, an agent per site, and a scripted story.
//!
//! Everything is real – certificates, TLS, spools, store – except the hierarchy itself, whose logs and settings the story writes
//! as site servers would. Agents and collector share one process, on ports that the system chooses.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use supwatch_agent::app as agent;
use supwatch_agent::config::Config as AgentConfig;
use supwatch_model::describe::HierarchyFile;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::Picture;
use supwatch_model::run::RunOutcome;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::access::pki::{self, Subject};
use crate::app::{AppError, Collector, now};
use crate::config::Config;
use crate::show::render::{Look, tree};

mod site;

use site::DemoSite;

/// Longest wait until the collector sees a step of the story.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two steps, so that a person can follow.
const PACE: Duration = Duration::from_millis(1200);

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The certificate authority cannot be made.
    #[error(transparent)]
    Pki(#[from] pki::PkiError),
    /// The collector failed.
    #[error(transparent)]
    Collector(#[from] AppError),
    /// An agent failed.
    #[error("agent: {0}")]
    Agent(#[from] agent::AppError),
    /// A file of the demo cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The configuration the demo wrote has faults.
    #[error(transparent)]
    Faults(#[from] supwatch_model::config::Faults),
    /// The collector did not see what the story did.
    #[error("the collector did not report within 20 s: {0}")]
    Unseen(&'static str),
}

/// The running demo hierarchy.
pub struct Demo {
    folder: PathBuf,
    /// Removed with the demo, unless the user named a folder.
    _temporary: Option<tempfile::TempDir>,
    collector: Collector,
    agents: JoinSet<Result<(), agent::AppError>>,
    stop: watch::Sender<bool>,
    sites: Vec<DemoSite>,
    look: Look,
}

const HIERARCHY: &str = r#"name = "demo"
generation = "current-branch"

[intervals]
sync_hours = 24

[[site]]
code = "CEN"
type = "central"

[[site]]
code = "P01"
type = "primary"
parent = "CEN"

[[site]]
code = "P02"
type = "primary"
parent = "CEN"

[[site]]
code = "S01"
type = "secondary"
parent = "P01"
"#;

impl Demo {
    /// Creates and starts everything.
    pub async fn start(folder: Option<&Path>, look: Look) -> Result<Demo, DemoError> {
        let (folder, temporary) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let made = tempfile::Builder::new().prefix("supwatch-demo-").tempdir();
                let made = made.map_err(|source| DemoError::File { path: std::env::temp_dir(), source })?;
                (made.path().to_owned(), Some(made))
            }
        };
        let pki_folder = folder.join("pki");
        let today = time::OffsetDateTime::from_unix_timestamp(now().as_second()).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        pki::init(&pki_folder, "demo", &[], today)?;
        let hierarchy_path = folder.join("hierarchy.toml");
        write(&hierarchy_path, HIERARCHY)?;
        let collector = Collector::start(Config {
            listen: ([127, 0, 0, 1], 0).into(),
            http: ([127, 0, 0, 1], 0).into(),
            identity: pki_folder.join("collector"),
            store: folder.join("store"),
            retention: supwatch_store::Retention::default(),
            hierarchy: HierarchyFile::parse(HIERARCHY, &hierarchy_path)?,
            catalogue: std::sync::Arc::clone(supwatch_judgement::diagnosis::Catalogue::built_in()),
            limits: supwatch_judgement::limits::Limits::default(),
            rules: None,
            notify: Vec::new(),
            otlp: None,
        })
        .await?;
        let (stop, stopping) = watch::channel(false);
        let (mut agents, mut sites) = (JoinSet::new(), Vec::new());
        for site in DemoSite::all(&folder)? {
            let identity = folder.join("identities").join(site.code);
            pki::issue(
                &pki_folder,
                &Subject { path: format!("agent/{}/{}", site.code, site.server()), hosts: Vec::new(), server: false },
                &identity,
                today,
            )?;
            let path = folder.join(format!("agent-{}.toml", site.code));
            let text = format!(
                "collector = \"https://localhost:{}\"\nidentity = \"identities/{code}\"\nstate = \"state/{code}\"\nsweep_seconds = 1\n\n[[site]]\nfolder = \"{code}\"\n",
                collector.listen.port(),
                code = site.code
            );
            write(&path, &text)?;
            let mut stopping = stopping.clone();
            let config = AgentConfig::read(&path)?;
            agents.spawn(agent::run(
                config,
                async move {
                    // A dropped sender means the same.
                    let _ = stopping.wait_for(|stop| *stop).await;
                },
                std::future::pending(),
            ));
            sites.push(site);
        }
        let demo = Demo { folder, _temporary: temporary, collector, agents, stop, sites, look };
        demo.print_commands();
        Ok(demo)
    }

    fn print_commands(&self) {
        let program = std::env::current_exe().map_or_else(|_| "supwatch".to_owned(), |path| path.display().to_string());
        let endpoint = format!("https://localhost:{}", self.collector.listen.port());
        let identity = self.folder.join("pki/operator");
        eprintln!("demo hierarchy in {}", self.folder.display());
        eprintln!("collector at {endpoint}, metrics at http://{}/metrics", self.collector.http);
        eprintln!("ask it from another terminal:");
        for question in ["status", "findings --full", "events --follow"] {
            eprintln!("  {program} {question} --endpoint {endpoint} --identity {}", identity.display());
        }
        eprintln!();
    }

    /// Plays the story; returns the final status.
    pub async fn story(&self) -> Result<String, DemoError> {
        self.act("four sites connect and describe themselves", |picture| {
            picture.sites.iter().filter(|site| !site.agents.is_empty()).count() == 4
        })
        .await?;
        for site in &self.sites {
            site.run(if site.parent.is_some() { "parent request" } else { "regular schedule" }, 34)?;
        }
        self.act("CEN synchronises from Microsoft Update; its children follow, then S01", |picture| {
            picture.sites.iter().all(|site| site.last_success_at.is_some())
        })
        .await?;
        self.what_if("P02", "wsus.is_replica=true");
        self.site("P02")?.change_settings(|settings| set(settings, "/wsus/0/is_replica", true.into()))?;
        self.act("an administrator turns the WSUS of P02 into a replica", finding("child-replica", "P02", true)).await?;
        self.site("P01")?.change_settings(|settings| set(settings, "/wsus/0/languages", serde_json::json!(["en"])))?;
        self.act("P01 loses Japanese", finding("language-mismatch", "P01", true)).await?;
        self.site("CEN")?.fail("regular schedule")?;
        self.act("CEN fails: its proxy is gone, \"the remote name could not be resolved\"", finding("sync-failed", "CEN", true))
            .await?;
        self.site("CEN")?.run("retry schedule", 35)?;
        self.act("the proxy is back, and the retry succeeds", finding("sync-failed", "CEN", false)).await?;
        self.act("P02 and P01 are still as they were left", |picture| {
            finding("child-replica", "P02", true)(picture) && finding("language-mismatch", "P01", true)(picture)
        })
        .await?;
        eprintln!();
        Ok(tree::draw(&self.collector.engine.picture(None, false), self.look))
    }

    /// Runs a what-if query before the change.
    fn what_if(&self, site: &str, set: &str) {
        eprintln!("  what if {site} {set}? (supwatch whatif --site {site} --set {set})");
        let Ok(code) = site.parse() else { return };
        // A failed query is not part of the story.
        let changes = self.collector.engine.whatif(code, &[set.to_owned()]).unwrap_or_default();
        for verdict in changes.iter().filter_map(|change| change.after.as_ref()) {
            let subject = if verdict.subject.is_empty() { String::new() } else { format!(" {}", verdict.subject) };
            eprintln!("    {} {}{subject} would {}", verdict.site, verdict.rule, verdict.answer);
        }
    }

    /// Prints what happens, and waits until the collector has seen it.
    async fn act(&self, what: &'static str, seen: impl Fn(&Picture) -> bool) -> Result<(), DemoError> {
        let clock = now().strftime("%H:%M:%S").to_string();
        eprint!("{clock}  {what} … ");
        let watching = async {
            let mut polls = tokio::time::interval(Duration::from_millis(50));
            while !seen(&self.collector.engine.picture(None, true)) {
                polls.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, watching).await.map_err(|_| DemoError::Unseen(what))?;
        eprintln!("seen");
        tokio::time::sleep(PACE).await;
        Ok(())
    }

    fn site(&self, code: &'static str) -> Result<&DemoSite, DemoError> {
        self.sites.iter().find(|site| site.code == code).ok_or(DemoError::Unseen(code))
    }

    /// Runs until `stop` resolves, then stops everything in order.
    pub async fn end(mut self, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
        let agents = &mut self.agents;
        tokio::select! {
            () = stop => {}
            Some(ended) = agents.join_next() => match ended {
                Ok(ended) => ended?,
                Err(error) => tracing::error!(%error, "an agent ended unexpectedly"),
            },
        }
        self.stop.send_replace(true);
        while let Some(ended) = self.agents.join_next().await {
            if let Ok(ended) = ended {
                ended?;
            }
        }
        self.collector.run(async {}, std::future::pending()).await?;
        Ok(())
    }
}

fn finding(rule: &'static str, site: &'static str, open: bool) -> impl Fn(&Picture) -> bool {
    move |picture| {
        let code: Option<SiteCode> = site.parse().ok();
        let found = picture
            .findings
            .iter()
            .any(|finding| finding.rule == rule && Some(finding.site) == code && finding.resolved_at.is_none());
        // A finding resolves only once the run that ends it has been seen.
        let running = picture.runs.iter().any(|run| Some(run.site) == code && run.outcome == RunOutcome::Running);
        found == open && !running
    }
}

/// Changes one setting that is known to exist.
fn set(settings: &mut serde_json::Value, path: &str, value: serde_json::Value) {
    if let Some(setting) = settings.pointer_mut(path) {
        *setting = value;
    }
}

/// When a site of the story last acted.
fn stamp(time: Timestamp) -> String {
    time.strftime("%m-%d-%Y %H:%M:%S%.3f").to_string()
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let failed = |source| DemoError::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    // Atomically, as any writer of snapshots should: an agent may be reading.
    let whole = path.with_extension("new");
    std::fs::write(&whole, text).and_then(|()| std::fs::rename(&whole, path)).map_err(failed)
}
