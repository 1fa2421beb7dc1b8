//! A program that prints a dump or a snapshot, run at the start, periodically, and on request.
//!
//! Any program will do; `Get-SyncSettings.ps1` is one. It runs in parallel with log reading, limited in time and output;
//! its child processes are not killed with it. A snapshot is sent when it changed, and otherwise every six hours, so that
//! its age is known. An error is reported once, until a run succeeds.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;

use supwatch_reading::settings::dump::without_names;
use supwatch_reading::settings::{DUMP_LIMIT, SettingsError, read_text};
use supwatch_reading::site_folder;

use crate::spool::{Spool, SpoolError};

/// Time after which an unchanged snapshot is sent again.
const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// Interval at which the program is polled for its exit.
const POLL: Duration = Duration::from_millis(20);
/// Bytes of standard error kept; its first line is reported.
const STDERR_BYTES: u64 = 16 * 1024;

/// A command as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsCommand {
    /// Program path or name.
    pub program: PathBuf,
    /// Command-line arguments.
    pub arguments: Vec<String>,
    /// Working directory, to which relative paths refer.
    pub folder: PathBuf,
    /// Time between two runs.
    pub every: Duration,
    /// Time limit of one run; then the program is killed.
    pub limit: Duration,
    /// Least time between two requested runs, so that a burst of changes causes one run.
    pub apart: Duration,
}

/// Why a settings command returned no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program cannot be started.
    #[error("cannot be started: {0}; check `command` in the agent's configuration, and the rights to the program")]
    Start(std::io::Error),
    /// Waiting for the program failed.
    #[error("cannot wait for it: {0}")]
    Wait(std::io::Error),
    /// The program exited with an error.
    #[error("exited with {status}{said}; run it by hand under the agent's account")]
    Exit {
        /// Exit status.
        status: std::process::ExitStatus,
        /// First line of standard error, preceded by a colon; may be empty.
        said: String,
    },
    /// The time limit was reached.
    #[error("was killed after {} s; run it by hand under the agent's account to see what it waits for", .0.as_secs_f64())]
    TooLong(Duration),
    /// The output limit was reached.
    #[error("printed more than {} KiB; it must print one dump or snapshot and nothing else", DUMP_LIMIT / 1024)]
    TooMuch,
    /// The output is not a snapshot.
    #[error("printed unusable output: {0}")]
    Output(#[from] SettingsError),
    /// The agent is stopping.
    #[error("was killed because the agent is stopping")]
    Stopped,
}

/// The last snapshot sent, as the spool keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sent {
    /// CRC-32C of the snapshot without `taken_at`.
    checksum: u32,
    at: Timestamp,
    snapshot: serde_json::Value,
}

fn checkpoint(site: SiteCode) -> String {
    format!("{site}/settings command")
}

fn trouble_checkpoint(site: SiteCode) -> String {
    format!("{site}/settings command trouble")
}

/// The last snapshot that a site's command returned, with its checksum.
pub fn last(spool: &Spool, site: SiteCode) -> Result<Option<(u32, serde_json::Value)>, SpoolError> {
    Ok(spool.checkpoint::<Sent>(&checkpoint(site))?.map(|sent| (sent.checksum, sent.snapshot)))
}

/// A handle to a [`Runner`], for requests and for stopping it.
#[derive(Debug, Clone)]
pub struct Handle {
    stop: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

impl Handle {
    /// Requests a run; a request that is already pending is enough.
    pub fn request(&self) {
        let _ = self.wake.try_send(());
    }

    /// Stops the runner and kills a running program.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.request();
    }
}

/// Runs the command of one site.
#[derive(Debug)]
pub struct Runner {
    site: SiteCode,
    command: SettingsCommand,
    spool: Arc<Spool>,
    stop: Arc<AtomicBool>,
    woken: Receiver<()>,
}

impl Runner {
    /// A runner with its handle; nothing runs yet.
    pub fn new(site: SiteCode, command: SettingsCommand, spool: Arc<Spool>) -> (Runner, Handle) {
        // Requests carry nothing: many are one.
        let (wake, woken) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let handle = Handle { stop: Arc::clone(&stop), wake };
        (Runner { site, command, spool, stop, woken }, handle)
    }

    /// Runs until stopped. Blocks, so it needs a thread of its own.
    pub fn watch(mut self, now: fn() -> Timestamp) -> Result<(), SpoolError> {
        loop {
            match self.once(now) {
                // The spool or its disk is full; the next run may succeed.
                Err(error) if error.may_pass() => tracing::warn!(%error),
                result => result?,
            }
            if self.is_stopped() {
                return Ok(());
            }
            let ran = Instant::now();
            let _ = self.woken.recv_timeout(self.command.every);
            while !self.is_stopped()
                && let Some(rest) = self.command.apart.checked_sub(ran.elapsed())
            {
                let _ = self.woken.recv_timeout(rest);
            }
            if self.is_stopped() {
                return Ok(());
            }
        }
    }

    /// Runs the command once; a changed snapshot or a new error goes to the spool.
    pub fn once(&mut self, now: fn() -> Timestamp) -> Result<(), SpoolError> {
        match self.snapshot() {
            Ok(event) => {
                self.send(event, now())?;
                self.withdraw()
            }
            Err(CommandError::Stopped) => Ok(()),
            Err(error) => self.trouble(&error),
        }
    }

    fn send(&self, event: Event, now: Timestamp) -> Result<(), SpoolError> {
        let name = checkpoint(self.site);
        let snapshot = match &event.kind {
            EventKind::SettingsSnapshot { settings } => settings.clone(),
            _ => serde_json::Value::Null,
        };
        let sent = Sent { checksum: checksum(&snapshot), at: now, snapshot };
        let news = match self.spool.checkpoint::<Sent>(&name)? {
            // A clock that was set back must not delay the next snapshot for long.
            Some(last) => last.checksum != sent.checksum || now.duration_since(last.at).abs() >= RESEND_AFTER,
            None => true,
        };
        if news { self.spool.commit(vec![event], &name, &sent) } else { Ok(()) }
    }

    fn trouble(&self, error: &CommandError) -> Result<(), SpoolError> {
        let text = format!("settings command {}: {error}", self.command.file().display());
        if self.reported()?.as_ref() == Some(&text) {
            return Ok(());
        }
        tracing::warn!(site = %self.site, trouble = text, "settings command failed");
        let event = site_folder::unusable(self.site, self.command.file().display().to_string(), text.clone());
        self.spool.commit(vec![event], &trouble_checkpoint(self.site), &Some(text))
    }

    /// Withdraws the last error; a snapshot that is no news would not.
    fn withdraw(&self) -> Result<(), SpoolError> {
        if self.reported()?.is_none() {
            return Ok(());
        }
        tracing::info!(site = %self.site, "settings command works again");
        let event = site_folder::usable(self.site, self.command.file().display().to_string());
        self.spool.commit(vec![event], &trouble_checkpoint(self.site), &None::<String>)
    }

    /// The error the collector knows; kept in the spool, because the command may be repaired while the agent is stopped.
    fn reported(&self) -> Result<Option<String>, SpoolError> {
        Ok(self.spool.checkpoint::<Option<String>>(&trouble_checkpoint(self.site))?.flatten())
    }

    fn snapshot(&self) -> Result<Event, CommandError> {
        let printed = self.command.run(&|| self.is_stopped())?;
        Ok(read_text(&String::from_utf8_lossy(&printed), &self.command.file(), self.site)?)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// CRC-32C of a snapshot without `taken_at`.
fn checksum(snapshot: &serde_json::Value) -> u32 {
    let mut said = snapshot.clone();
    if let Some(object) = said.as_object_mut() {
        object.remove("taken_at");
    }
    crc32c::crc32c(said.to_string().as_bytes())
}

impl SettingsCommand {
    /// The file that identifies the command to an operator: the script given to a shell, else the program.
    fn file(&self) -> PathBuf {
        let script = self.arguments.iter().find(|argument| argument.to_ascii_lowercase().ends_with(".ps1"));
        script.map_or_else(|| self.program.clone(), PathBuf::from)
    }

    /// Runs the program and returns its output. Kills it at the time limit, at the output limit, and when `stopped`.
    fn run(&self, stopped: &dyn Fn() -> bool) -> Result<Vec<u8>, CommandError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(CommandError::Start)?;
        let result = self.attend(&mut child, stopped);
        if result.is_err() {
            // It may have exited meanwhile.
            let _ = child.kill();
        }
        let _ = child.wait();
        result
    }

    fn attend(&self, child: &mut Child, stopped: &dyn Fn() -> bool) -> Result<Vec<u8>, CommandError> {
        let start = Instant::now();
        let printed = read_aside(child.stdout.take(), DUMP_LIMIT + 1)?;
        let complained = read_aside(child.stderr.take(), STDERR_BYTES)?;
        let (mut output, mut stderr, mut status) = (None, None, None);
        loop {
            output = output.or_else(|| printed.try_recv().ok());
            stderr = stderr.or_else(|| complained.try_recv().ok());
            if output.as_ref().is_some_and(|output: &Vec<u8>| output.len() as u64 > DUMP_LIMIT) {
                return Err(CommandError::TooMuch);
            }
            if status.is_none() {
                status = child.try_wait().map_err(CommandError::Wait)?;
            }
            // Both pipes are closed, unless a child process still holds them open.
            if let (Some(status), Some(output), Some(stderr)) = (status, &mut output, &stderr) {
                return if status.success() { Ok(std::mem::take(output)) } else { Err(ended(status, stderr)) };
            }
            if stopped() {
                return Err(CommandError::Stopped);
            }
            if start.elapsed() >= self.limit {
                return Err(CommandError::TooLong(self.limit));
            }
            std::thread::sleep(POLL);
        }
    }
}

fn ended(status: std::process::ExitStatus, stderr: &[u8]) -> CommandError {
    let text = String::from_utf8_lossy(stderr);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    CommandError::Exit { status, said: first.map_or_else(String::new, |line| format!(": {}", without_names(line))) }
}

/// Reads a pipe on a separate thread, to its end or to a limit; further output is read and discarded, so that the program
/// does not block.
fn read_aside(pipe: Option<impl Read + Send + 'static>, limit: u64) -> Result<Receiver<Vec<u8>>, CommandError> {
    let (sender, receiver) = sync_channel(1);
    let body = move || {
        let mut bytes = Vec::new();
        let Some(mut pipe) = pipe else { return };
        let _ = pipe.by_ref().take(limit).read_to_end(&mut bytes);
        // The receiver is gone once the program was killed.
        let _ = sender.send(bytes);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    };
    std::thread::Builder::new().name("settings command".to_owned()).spawn(body).map_err(CommandError::Start)?;
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::Collect;
    use crate::config::Site;
    use supwatch_model::describe::SiteFile;
    use supwatch_reading::reader::Reading;

    #[test]
    fn what_wcm_does_makes_the_command_run() {
        let dir = tempfile::tempdir().expect("folder");
        let line =
            |text: &str| format!("{text}  $$<SMS_WSUS_CONFIGURATION_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n");
        let write = |text: &str| std::fs::write(dir.path().join("WCM.log"), text).expect("log");
        let spool = Arc::new(Spool::open(&dir.path().join("spool")).expect("spool"));
        let (every, limit) = (Duration::from_secs(3600), Duration::from_secs(1));
        let command = SettingsCommand {
            program: "/nowhere".into(),
            arguments: Vec::new(),
            folder: dir.path().to_owned(),
            every,
            limit,
            apart: Duration::ZERO,
        };
        let site = Site {
            folder: dir.path().to_owned(),
            logs: dir.path().to_owned(),
            file: SiteFile::parse("code = \"P01\"\n", std::path::Path::new("site.toml")).expect("site"),
            reading: Reading::default(),
            command: Some(command.clone()),
            wsus: Vec::new(),
        };
        spool.resume(&[]).expect("nothing is known of its files");
        let (runner, handle) = Runner::new(site.file.code, command, Arc::clone(&spool));
        let sites = [site];
        let mut collect = Collect::new(&spool, &sites).asking([(sites[0].file.code, handle)].into());
        let waiting = line("Waiting for changes for 57 minutes");
        write(&waiting);
        collect.sweep(Duration::ZERO, &|| false).expect("sweep");
        assert!(runner.woken.try_recv().is_err(), "nothing was done");
        write(&(waiting + &line("Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)").repeat(3)));
        collect.sweep(Duration::from_secs(5), &|| false).expect("sweep");
        assert!(runner.woken.try_recv().is_ok(), "WCM wrote its settings");
        assert!(runner.woken.try_recv().is_err(), "many are one");
    }
}
