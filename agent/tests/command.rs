//! Settings commands, with shell scripts in place of the real one: changed output is sent, and errors are reported with their
//! remedy.

#![cfg(unix)]
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use supwatch_agent::command::{Handle, Runner, SettingsCommand};
use supwatch_agent::spool::Spool;
use supwatch_model::event::{Event, EventKind};

struct Bench {
    dir: tempfile::TempDir,
    spool: Arc<Spool>,
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().expect("a time")
}

fn before_six() -> Timestamp {
    "2026-03-01T17:59:00Z".parse().expect("a time")
}

fn six() -> Timestamp {
    "2026-03-01T18:00:00Z".parse().expect("a time")
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().expect("folder");
        let spool = Arc::new(Spool::open(&dir.path().join("spool")).expect("a spool"));
        let dump = Path::new(env!("CARGO_MANIFEST_DIR")).join("reading/tests/dumps/current-branch-healthy.json");
        std::fs::copy(dump, dir.path().join("dump.json")).expect("copied");
        Bench { dir, spool }
    }

    fn runner(&self, script: &str, limit: Duration) -> (Runner, Handle) {
        let command = SettingsCommand {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned(), "Get-SyncSettings.ps1".to_owned()],
            folder: self.dir.path().to_owned(),
            every: Duration::from_secs(3600),
            limit,
            apart: Duration::ZERO,
        };
        Runner::new("P01".parse().expect("code"), command, Arc::clone(&self.spool))
    }

    fn once(&self, script: &str) {
        self.runner(script, Duration::from_secs(20)).0.once(noon).expect("runs");
    }

    /// Contents of the spool: `settings <fqdn>` or the trouble.
    fn told(&self) -> Vec<String> {
        let shown = |event: Event| match event.kind {
            EventKind::SettingsSnapshot { settings } => {
                format!("settings {}", settings["site_server"]["fqdn"].as_str().unwrap_or_default())
            }
            EventKind::AgentHealth { trouble, .. } => trouble.unwrap_or_else(|| "works again".to_owned()),
            other => panic!("{other:?}"),
        };
        let mut told = Vec::new();
        loop {
            let read = self.spool.read_from(told.len() as u64 + 1).expect("readable");
            if read.events.is_empty() {
                return told;
            }
            told.extend(read.events.into_iter().map(|event| shown(Event::try_from(event).expect("an event"))));
        }
    }

    #[track_caller]
    fn check(&self, expected: &[&str]) {
        let told = self.told();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told}\nhas not: {expected}");
        }
    }
}

#[test]
fn a_snapshot_travels_when_it_is_news_and_otherwise_every_six_hours() {
    let bench = Bench::new();
    let print = "cat dump.json";
    bench.once(print);
    bench.once("sed s/T04:00:00Z/T05:00:00Z/ dump.json");
    bench.check(&["settings p01.corp.example"]);

    let minutes = Duration::from_secs(20);
    bench.runner(print, minutes).0.once(before_six).expect("runs");
    bench.check(&["settings p01.corp.example"]);
    bench.runner(print, minutes).0.once(six).expect("runs");
    bench.check(&["settings p01.corp.example", "settings p01.corp.example"]);

    bench.once("sed 's/\"ConfigurationState\": 2/\"ConfigurationState\": 3/' dump.json");
    assert_eq!(bench.told().len(), 3);
}

#[test]
fn failures_are_reported_with_file_cause_and_remedy_but_no_names() {
    let bench = Bench::new();
    bench.once("echo; echo \"Login failed for user 'CORP\\\\\\\\svc'.\" >&2; echo more >&2; exit 7");
    bench.once("echo hello");
    bench.once("sed 's/\"site\": \"P01\"/\"site\": \"P02\"/' dump.json");
    bench.once("cat /dev/zero");
    bench.check(&[
        "settings command Get-SyncSettings.ps1: exited with exit status: 7: Login failed for user <name>.; run it by hand",
        "printed unusable output: Get-SyncSettings.ps1: not a settings snapshot",
        "it is of site P02",
        "printed more than 4096 KiB",
    ]);
    assert!(!bench.told().concat().contains("svc"));

    let command = SettingsCommand {
        program: "/nowhere/powershell".into(),
        arguments: Vec::new(),
        folder: bench.dir.path().to_owned(),
        every: Duration::from_secs(3600),
        limit: Duration::from_secs(20),
        apart: Duration::ZERO,
    };
    Runner::new("P01".parse().expect("code"), command, Arc::clone(&bench.spool)).0.once(noon).expect("runs");
    assert!(bench.told()[4].starts_with("settings command /nowhere/powershell: cannot be started"), "{:?}", bench.told());
}

#[test]
fn an_error_is_reported_once_until_a_run_succeeds() {
    let bench = Bench::new();
    let (mut runner, _handle) = bench.runner("test -e good && cat dump.json", Duration::from_secs(20));
    let good = bench.dir.path().join("good");
    for exists in [false, false, true, true, false, false] {
        if exists {
            std::fs::write(&good, "").expect("written")
        } else {
            let _ = std::fs::remove_file(&good);
        }
        runner.once(noon).expect("runs");
    }
    bench.check(&["exit status: 1", "settings p01", "works again", "exit status: 1"]);
}

#[test]
fn a_program_that_takes_too_long_is_ended_and_one_that_complains_at_length_is_not_held_up() {
    let bench = Bench::new();
    let start = Instant::now();
    bench.runner("exec sleep 60", Duration::from_millis(200)).0.once(noon).expect("runs");
    // A child process that it left behind still holds the pipe.
    bench.runner("sleep 60 & exit 0", Duration::from_millis(200)).0.once(noon).expect("runs");
    assert!(start.elapsed() < Duration::from_secs(30), "nobody waits for it");
    bench.once("head -c 300000 /dev/zero >&2; cat dump.json");
    bench.check(&["was killed after 0.2 s", "settings p01", "works again"]);
}

/// A clock that the runner below advances, so that each of its runs counts as a change.
static HOURS: AtomicI64 = AtomicI64::new(0);

fn each_run_seven_hours_later() -> Timestamp {
    let hours = HOURS.fetch_add(7, Ordering::Relaxed);
    Timestamp::from_second(1_772_334_000 + hours * 3600).expect("a time")
}

#[test]
fn a_runner_runs_at_once_and_on_request_and_stops_with_its_program() {
    let bench = Bench::new();
    let (runner, handle) = bench.runner("test -e long && exec sleep 60; cat dump.json", Duration::from_secs(50));
    let thread = std::thread::spawn(move || runner.watch(each_run_seven_hours_later));
    let wait_for = |count: usize| {
        let start = Instant::now();
        while bench.told().len() < count {
            assert!(start.elapsed() < Duration::from_secs(20), "{:?}", bench.told());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for(1);
    handle.request();
    wait_for(2);
    std::fs::write(bench.dir.path().join("long"), "").expect("written");
    handle.request();
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    handle.stop();
    thread.join().expect("joined").expect("ended well");
    assert!(start.elapsed() < Duration::from_secs(20));
    bench.check(&["settings p01", "settings p01"]);
}
