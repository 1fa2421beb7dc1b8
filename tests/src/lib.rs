//! Shared by the end-to-end tests: the real binaries, a collector and agents as processes, and fixtures.
//!
//! Nothing here uses the programs' internals: they are built, started, queried and stopped as an administrator would. Tests wait
//! for observable effects, never for a time; a wait that takes too long fails with what was seen.

#![allow(clippy::expect_used, clippy::panic, clippy::missing_panics_doc, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

pub mod dice;
#[cfg(target_os = "linux")]
pub mod disk;
pub mod folder;
pub mod proxy;
pub mod site;
pub mod story;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Folder of this crate.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Root of the repository.
pub fn root() -> PathBuf {
    here().parent().expect("a parent").to_owned()
}

/// A binary of the workspace, built on demand, so that it is never stale.
pub fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(root()).args(["build", "--workspace", "--bins", "--locked", "--message-format=json-render-diagnostics"]);
        let output = build.stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(output.status.success(), "the binaries do not build");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let executables = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let path = executables.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
        path.expect("an executable").parent().expect("a folder").to_owned()
    });
    folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Polls until a look returns a value.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > PATIENCE => panic!("waited in vain for {what}; last seen: {seen}"),
            // The look itself queries a process, which takes time; this only limits the rate.
            Err(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}

/// A running program, with its stderr output; it is stopped with the test.
pub struct Running {
    child: Child,
    said: Arc<Mutex<String>>,
    name: String,
}

impl Running {
    /// Starts a program.
    pub fn start(mut command: Command) -> Running {
        let name = format!("{command:?}");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, keep) = (child.stderr.take().expect("stderr"), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut said = keep.lock().expect("lock");
                said.push_str(&line);
                said.push('\n');
            }
        });
        Running { child, said, name }
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("lock").clone()
    }

    /// Waits for a text in its output, and returns the line.
    #[track_caller]
    pub fn says(&mut self, what: &str) -> String {
        wait_for(what, || {
            let said = self.said();
            if let Some(line) = said.lines().find(|line| line.contains(what)) {
                return Ok(line.to_owned());
            }
            let ended = self.child.try_wait().expect("status");
            assert!(ended.is_none(), "{} ended with {ended:?} before it said {what:?}:\n{said}", self.name);
            Err(said)
        })
    }

    /// Freezes it, and waits until each of its threads has stopped: one that is syncing runs until the disk has answered.
    #[cfg(unix)]
    pub fn freeze(&self) {
        let asked = Command::new("kill").arg("-STOP").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        let tasks = format!("/proc/{}/task", self.child.id());
        wait_for("all threads to stand still", || {
            let stats = std::fs::read_dir(&tasks).expect("threads").flatten();
            let stats = stats.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
            match stats.into_iter().find(|stat| !stat.contains(") T ")) {
                Some(moving) => Err(moving),
                None => Ok(()),
            }
        });
    }

    /// Sends the signal of a service manager, without waiting.
    #[cfg(unix)]
    pub fn ask_to_end(&self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
    }

    /// Kills it, like a power failure.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// Stops it like a service manager; returns its exit code and how long it took.
    #[cfg(unix)]
    pub fn terminate(mut self) -> (i32, Duration) {
        let start = Instant::now();
        self.ask_to_end();
        (self.ends(), start.elapsed())
    }

    /// Waits for it to exit by itself, and returns its exit code.
    pub fn ends(&mut self) -> i32 {
        wait_for("the end of a program", || match self.child.try_wait().expect("status") {
            Some(status) => Ok(status.code().unwrap_or(-1)),
            None => Err(self.said()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.said());
        }
    }
}

/// A hierarchy's authority and collector, in a temporary folder.
pub struct House {
    dir: tempfile::TempDir,
    collector: Option<Running>,
    /// Port for agents and the CLI.
    pub port: u16,
    http: String,
    /// Additional lines of the collector's configuration.
    more: String,
}

impl House {
    /// With a `hierarchy.toml`, and a running collector.
    pub fn new(hierarchy: &str) -> House {
        House::with_rules(hierarchy, None)
    }

    /// With a `rules.toml` too.
    pub fn with_rules(hierarchy: &str, rules: Option<&str>) -> House {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("hierarchy.toml");
        std::fs::write(path, hierarchy).expect("file");
        if let Some(rules) = rules {
            std::fs::write(dir.path().join("rules.toml"), rules).expect("file");
        }
        let mut house = House { dir, collector: None, port: 0, http: "127.0.0.1:0".to_owned(), more: String::new() };
        let pki = house.path("pki");
        house.run(&["pki", "init", pki.to_str().expect("path"), "--hierarchy", "corp"], 0);
        house.start_collector();
        house
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Restarts the collector with additional configuration.
    pub fn configure(&mut self, more: &str) {
        self.kill_collector();
        more.clone_into(&mut self.more);
        self.start_collector();
    }

    /// Starts the collector on the ports it had before.
    pub fn start_collector(&mut self) {
        let config = self.path("supwatch.toml");
        let mut text = format!(
            "listen = \"127.0.0.1:{}\"\nhttp = \"{}\"\nidentity = \"pki/collector\"\nstore = \"store\"\nhierarchy = \"hierarchy.toml\"\n",
            self.port, self.http
        );
        if self.path("rules.toml").is_file() {
            text.push_str("rules = \"rules.toml\"\n");
        }
        text.push_str(&self.more);
        std::fs::write(&config, text).expect("file");
        let mut command = Command::new(binary("supwatch"));
        command.args(["serve", "--config"]).arg(&config).env("NO_COLOR", "1");
        let mut running = Running::start(command);
        let line = running.says("collector is listening");
        let value = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name)).expect("a value").to_owned();
        self.port = value("listen=127.0.0.1:").parse().expect("a port");
        self.http = value("http=");
        self.collector = Some(running);
    }

    /// Kills the collector, like a power failure.
    pub fn kill_collector(&mut self) {
        self.collector.take().expect("a collector").kill();
    }

    /// Freezes the collector.
    #[cfg(unix)]
    pub fn freeze_collector(&self) {
        self.collector.as_ref().expect("a collector").freeze();
    }

    /// The collector's process.
    pub fn collector_pid(&self) -> u32 {
        self.collector.as_ref().expect("a collector").child.id()
    }

    /// The collector's output so far.
    pub fn collector_said(&self) -> String {
        self.collector.as_ref().map(Running::said).unwrap_or_default()
    }

    /// Issues an identity for an agent of some sites.
    pub fn identity(&self, sites: &[&str], host: &str) -> PathBuf {
        let out = self.path(&format!("identity-{}-{host}", sites.join(".")));
        let pki = self.path("pki");
        let mut arguments = vec!["pki", "issue", pki.to_str().expect("path"), "--host", host, "--out", out.to_str().expect("path")];
        for site in sites {
            arguments.extend(["--site", site]);
        }
        self.run(&arguments, 0);
        out
    }

    /// Writes an agent's configuration for some site folders; `port` may be a proxy's.
    pub fn agent_config(&self, name: &str, identity: &Path, folders: &[PathBuf], port: u16) -> PathBuf {
        let mut text = format!(
            "collector = \"https://localhost:{port}\"\nidentity = {:?}\nstate = \"state-{name}\"\nsweep_seconds = 1\ndrain_seconds = 1\n",
            identity.to_str().expect("path")
        );
        for folder in folders {
            text.push_str(&format!("[[site]]\nfolder = {:?}\n", folder.to_str().expect("path")));
        }
        let path = self.path(&format!("agent-{name}.toml"));
        std::fs::write(&path, text).expect("file");
        path
    }

    /// Starts an agent.
    pub fn start_agent(config: &Path) -> Running {
        let mut command = Command::new(binary("supwatch-agent"));
        command.arg("--config").arg(config).arg("run").env("NO_COLOR", "1");
        Running::start(command)
    }

    /// Runs the CLI and checks its exit code.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], code: i32) -> Output {
        let output = supwatch(arguments);
        assert_eq!(output.status.code(), Some(code), "supwatch {arguments:?}\n{}{}", text(&output.stdout), text(&output.stderr));
        output
    }

    /// Runs a CLI command against the collector and checks its exit code.
    #[track_caller]
    pub fn run_asking(&self, arguments: &[&str], code: i32) -> Output {
        let asking = self.asking(arguments);
        let asking: Vec<&str> = asking.iter().map(String::as_str).collect();
        self.run(&asking, code)
    }

    /// Arguments that name this collector and its operator.
    pub fn asking(&self, arguments: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        all.extend([
            "--endpoint".to_owned(),
            format!("https://localhost:{}", self.port),
            "--identity".to_owned(),
            self.path("pki/operator").display().to_string(),
        ]);
        all
    }

    /// Runs a CLI command against the collector and returns its JSON.
    pub fn ask(&self, arguments: &[&str]) -> Result<Value, String> {
        let mut asking = self.asking(arguments);
        asking.extend(["--output".to_owned(), "json".to_owned()]);
        let output = supwatch(&asking);
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(text(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }

    /// All events, oldest first.
    pub fn events(&self) -> Result<Vec<Value>, String> {
        let mut asking = self.asking(&["events", "--last", "0"]);
        asking.extend(["--output".to_owned(), "json".to_owned()]);
        let output = supwatch(&asking);
        if output.status.code() != Some(0) {
            return Err(text(&output.stderr));
        }
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
    }

    /// The metrics page.
    pub fn metrics(&self) -> Result<String, String> {
        self.http("/metrics")
    }

    /// A page of the collector's HTTP server.
    pub fn http(&self, path: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(&self.http).map_err(|error| error.to_string())?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        if head.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(head.to_owned()) }
    }
}

/// Runs the CLI.
pub fn supwatch<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Output {
    let mut command = Command::new(binary("supwatch"));
    command.args(arguments).env_remove("SUPWATCH_ENDPOINT").env_remove("SUPWATCH_IDENTITY").env("COLUMNS", "80");
    command.output().expect("supwatch runs")
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
