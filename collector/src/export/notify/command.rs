//! Delivers a notification by running a program: JSON on its standard input, the texts in its environment. Exit code 0 means
//! delivered.
//!
//! Run without a shell, so no part of a finding is ever interpreted as a command.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::message::Notice;
use crate::show::render::{fit, safe};

/// Most bytes read of a failed program's standard error.
const COMPLAINT_BYTES: u64 = 4096;
/// Most columns of it in the error text.
const COMPLAINT_COLUMNS: usize = 200;
/// Longest wait for the standard error of a program that has ended: its child processes may keep it open.
const COMPLAINT: Duration = Duration::from_secs(1);

/// A program that delivers notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Why a program did not deliver.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The program cannot be started.
    #[error("{} cannot be started: {source}", path.display())]
    Start {
        /// Path of the program.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program exited with an error.
    #[error("{} failed: {status}{complaint}", path.display())]
    Failed {
        /// Path of the program.
        path: PathBuf,
        /// Its exit status.
        status: ExitStatus,
        /// The end of its standard error, after a colon.
        complaint: String,
    },
}

impl CommandError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            CommandError::Start { .. } => "check `command`: the program must be there, and the collector's user may run it",
            CommandError::Failed { .. } => "make the program exit with 0 once it has delivered",
        }
    }
}

impl Program {
    /// Runs the program for a notification; the caller limits the time, and dropping the future kills the program.
    pub async fn send(&self, notice: &Notice) -> Result<(), CommandError> {
        let failed = |source| CommandError::Start { path: self.path.clone(), source };
        let mut child = self.command(notice).spawn().map_err(failed)?;
        // Both run concurrently with the program, which may write before it reads; they end with this call.
        let mut beside = JoinSet::new();
        if let (Some(mut stdin), json) = (child.stdin.take(), notice.json.clone()) {
            // A program that does not read its input has not failed: its exit code says whether it delivered.
            beside.spawn(async move { drop(stdin.write_all(json.as_bytes()).await) });
        }
        let (said, complaint) = oneshot::channel();
        if let Some(stderr) = child.stderr.take() {
            beside.spawn(async move { drop(said.send(listen(stderr).await)) });
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let complaint = tokio::time::timeout(COMPLAINT, complaint).await.ok().and_then(Result::ok).unwrap_or_default();
        Err(CommandError::Failed { path: self.path.clone(), status, complaint })
    }

    fn command(&self, notice: &Notice) -> Command {
        let finding = &notice.finding;
        let mut command = Command::new(&self.path);
        command
            .args(&self.arguments)
            .env("SUPWATCH_STATE", notice.state.as_str())
            .env("SUPWATCH_KEY", &notice.key)
            .env("SUPWATCH_FINDING", &finding.id)
            .env("SUPWATCH_SITE", finding.site.as_str())
            .env("SUPWATCH_RULE", &finding.rule)
            .env("SUPWATCH_SEVERITY", finding.severity.as_str())
            .env("SUPWATCH_SUMMARY", &notice.summary)
            .env("SUPWATCH_SUBJECT", &notice.subject)
            .env("SUPWATCH_TEXT", &notice.text)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// The last line of the beginning of a program's standard error, sanitised and shortened, after a colon. The rest is discarded.
async fn listen(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    // Whatever was read before an error is enough.
    let _ = (&mut stderr).take(COMPLAINT_BYTES).read_to_end(&mut said).await;
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    let said = String::from_utf8_lossy(&said);
    match said.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!(": {}", fit(&safe(line.trim()), COMPLAINT_COLUMNS)),
        None => String::new(),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::export::notify::message::tests::opened;

    fn shell(script: &str) -> Program {
        Program { path: "/bin/sh".into(), arguments: vec!["-c".to_owned(), script.to_owned()] }
    }

    #[tokio::test]
    async fn a_program_gets_the_json_and_the_texts() {
        let dir = tempfile::tempdir().expect("folder");
        let out = dir.path().join("out");
        let mut program = shell("cat > \"$0\"; printf '\\n%s|%s' \"$SUPWATCH_STATE\" \"$SUPWATCH_SUMMARY\" >> \"$0\"");
        program.arguments.push(out.display().to_string());
        program.send(&opened()).await.expect("told");
        let written = std::fs::read_to_string(out).expect("written");
        assert_eq!(written, format!("{}\nopen|the last run failed", opened().json));
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_is_believed_by_its_exit_code() {
        shell("exit 0").send(&opened()).await.expect("told");
        let error = shell("echo first >&2; printf 'no \\033[31mway\\n' >&2; exit 3").send(&opened()).await.expect_err("failed");
        assert_eq!(error.to_string(), "/bin/sh failed: exit status: 3: no \\u{1b}[31mway");
    }

    #[tokio::test]
    async fn a_program_that_talks_more_than_a_pipe_holds_is_not_stuck() {
        let talk = "i=0; while [ $i -lt 3000 ]; do echo 'a line of some fifty characters, again and again' >&2; i=$((i+1)); done";
        let program = shell(&format!("{talk}; cat > /dev/null"));
        let notified = tokio::time::timeout(Duration::from_secs(20), async { program.send(&opened()).await }).await;
        notified.expect("not stuck").expect("told");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Program { path: "/nowhere/told".into(), arguments: Vec::new() }.send(&opened()).await.expect_err("failed");
        assert!(error.to_string().starts_with("/nowhere/told cannot be started: "), "{error}");
    }
}
