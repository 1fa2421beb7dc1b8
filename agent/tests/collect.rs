//! Sweeps over a site folder whose files come and go: what cannot be read is never claimed as read, is reported once, and the
//! report is withdrawn once it can be read again.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use supwatch_agent::collect::Collect;
use supwatch_agent::config::Site;
use supwatch_agent::spool::{Bounds, Spool};
use supwatch_model::coverage::Coverage;
use supwatch_model::event::{Event, EventKind};
use supwatch_reading::site_folder;

const START: i64 = 1_772_366_400;

/// The time of the current sweep. Tests run in threads of their own, so each has its own clock.
fn clock() -> Timestamp {
    Timestamp::from_second(START + NOW.with(|now| now.load(Ordering::Relaxed))).expect("time")
}

thread_local! {
    static NOW: AtomicI64 = const { AtomicI64::new(0) };
}

struct Bench {
    dir: tempfile::TempDir,
    spool: Spool,
    sites: Vec<Site>,
}

impl Bench {
    fn new() -> Bench {
        Bench::within(Bounds::default())
    }

    fn within(bounds: Bounds) -> Bench {
        let dir = tempfile::tempdir().expect("folder");
        let (folder, logs) = (dir.path().join("P01"), dir.path().join("P01/Logs"));
        std::fs::create_dir_all(&logs).expect("created");
        std::fs::write(folder.join("site.toml"), "code = \"P01\"\n").expect("written");
        std::fs::write(logs.join("wsyncmgr.log"), line("Sync succeeded. Setting sync alert to canceled state on site P01"))
            .expect("written");
        let file = site_folder::site_file(Ok("code = \"P01\"\n".to_owned()), &folder).expect("valid");
        let reading = site_folder::reading(&file, &folder).expect("known");
        let spool = Spool::open_within(&dir.path().join("spool"), bounds).expect("a spool");
        spool.resume(&[]).expect("resumed");
        Bench { sites: vec![Site { folder, logs, file, reading, command: None, wsus: Vec::new() }], dir, spool }
    }

    fn log(&self) -> std::path::PathBuf {
        self.sites[0].logs.join("wsyncmgr.log")
    }

    /// What the agent has reported of its files: `file: text`, or `file` when withdrawn.
    fn reports(&self) -> Vec<String> {
        let mut sequence = 1;
        let mut found = Vec::new();
        while let Some(event) = self.spool.event(sequence).expect("read") {
            if let EventKind::AgentHealth { trouble, .. } = event.kind {
                let file = event.file.strip_prefix(&format!("{}/", self.dir.path().display())).unwrap_or(&event.file).to_owned();
                found.push(if trouble.is_some() { format!("{file}!") } else { file });
            }
            sequence += 1;
        }
        found
    }

    fn coverage(&self) -> Coverage {
        let (_, mut coverage) = self.spool.coverage(u64::MAX).expect("coverage");
        coverage.remove(0)
    }
}

/// A line in the form of SMS trace logs.
fn line(text: &str) -> String {
    format!("{text}  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 11:00:00.000+00><thread=5028 (0x13A4)>\r\n")
}

/// Sweeps once at a second.
fn sweep(collect: &mut Collect<'_>, second: u64) {
    NOW.with(|now| now.store(i64::try_from(second).expect("small"), Ordering::Relaxed));
    collect.sweep(Duration::from_secs(second), &|| false).expect("swept");
}

fn read_until(coverage: &Coverage) -> Option<i64> {
    coverage.logs[0].read_until.map(|time| time.as_second() - START)
}

/// What stands in the way of a log, put there and taken away again.
fn obstructed(put: impl Fn(&Bench), remove: impl Fn(&Bench), expected: &[&str]) {
    let bench = Bench::new();
    let mut collect = Collect::new(&bench.spool, &bench.sites).clocked(clock);
    (0..=5).for_each(|second| sweep(&mut collect, second));
    assert_eq!(read_until(&bench.coverage()), Some(5));
    put(&bench);
    (6..=40).for_each(|second| sweep(&mut collect, second));
    let hidden = bench.coverage();
    assert_eq!(read_until(&hidden), Some(5), "nothing is known to be read while the log cannot be read");
    assert!(hidden.caught_up, "a log that cannot be read does not hold its site back");
    (41..=90).for_each(|second| sweep(&mut collect, second));
    assert_eq!(bench.reports(), [expected[0]], "reported once");
    // A restart neither repeats nor forgets the report.
    drop(collect);
    let mut collect = Collect::new(&bench.spool, &bench.sites).clocked(clock);
    (0..=70).for_each(|second| sweep(&mut collect, 100 + second));
    assert_eq!(bench.reports(), [expected[0]], "reported once");
    remove(&bench);
    (0..=5).for_each(|second| sweep(&mut collect, 200 + second));
    assert_eq!(bench.reports(), expected, "withdrawn");
    assert_eq!(read_until(&bench.coverage()), Some(205));
}

#[test]
fn a_log_that_cannot_be_read_is_not_read_to_now_and_is_reported() {
    let aside = |bench: &Bench| bench.dir.path().join("aside");
    let put = |bench: &Bench| {
        std::fs::rename(bench.log(), aside(bench)).expect("renamed");
        std::fs::create_dir(bench.log()).expect("created");
    };
    let remove = |bench: &Bench| {
        std::fs::remove_dir(bench.log()).expect("removed");
        std::fs::rename(aside(bench), bench.log()).expect("renamed");
    };
    obstructed(put, remove, &["wsyncmgr.log!", "wsyncmgr.log"]);
}

#[test]
fn a_folder_that_is_gone_is_not_read_to_now_and_is_reported() {
    let rename = |from: &Path, to: &Path| std::fs::rename(from, to).expect("renamed");
    let aside = |bench: &Bench| bench.dir.path().join("aside");
    let put = |bench: &Bench| rename(&bench.sites[0].logs, &aside(bench));
    let remove = |bench: &Bench| rename(&aside(bench), &bench.sites[0].logs);
    // Folders are named by their path.
    obstructed(put, remove, &["P01/Logs!", "P01/Logs"]);
}

#[test]
fn a_log_that_is_locked_for_a_moment_is_not_reported() {
    let bench = Bench::new();
    let mut collect = Collect::new(&bench.spool, &bench.sites).clocked(clock);
    sweep(&mut collect, 0);
    let aside = bench.dir.path().join("aside");
    std::fs::rename(bench.log(), &aside).expect("renamed");
    std::fs::create_dir(bench.log()).expect("created");
    (1..=50).for_each(|second| sweep(&mut collect, second));
    std::fs::remove_dir(bench.log()).expect("removed");
    std::fs::rename(&aside, bench.log()).expect("renamed");
    (51..=55).for_each(|second| sweep(&mut collect, second));
    assert!(bench.reports().is_empty());
    let kinds = |event: &Event| matches!(event.kind, EventKind::RunSucceeded);
    assert!(kinds(&bench.spool.event(2).expect("read").expect("there")), "read once, and no gap was made of it");
    assert!(bench.spool.event(3).expect("read").is_none());
}

#[test]
fn what_is_read_while_a_report_cannot_be_withdrawn_is_not_lost() {
    let bounds = Bounds { spool_bytes: 700, retained_bytes: 0 };
    let bench = Bench::within(bounds);
    let mut collect = Collect::new(&bench.spool, &bench.sites).clocked(clock);
    sweep(&mut collect, 0);
    let aside = bench.dir.path().join("aside");
    std::fs::rename(bench.log(), &aside).expect("renamed");
    std::fs::create_dir(bench.log()).expect("created");
    (1..=90).for_each(|second| sweep(&mut collect, second));
    assert_eq!(bench.reports(), ["wsyncmgr.log!"]);
    std::fs::remove_dir(bench.log()).expect("removed");
    std::fs::rename(&aside, bench.log()).expect("renamed");
    let more = line("Sync succeeded. Setting sync alert to canceled state on site P01");
    std::fs::write(bench.log(), [std::fs::read(bench.log()).expect("read"), more.into_bytes()].concat()).expect("written");
    assert!(collect.sweep(Duration::from_secs(91), &|| false).is_err(), "the spool is full");
    let before = bench.spool.next_sequence();
    bench.spool.acknowledge(before - 1).expect("noted");
    (92..=95).for_each(|second| sweep(&mut collect, second));
    let added: Vec<Event> =
        (before..bench.spool.next_sequence()).map(|at| bench.spool.event(at).expect("read").expect("there")).collect();
    assert!(added.iter().any(|event| matches!(event.kind, EventKind::RunSucceeded)), "{added:?}");
    assert_eq!(added.iter().filter(|event| matches!(event.kind, EventKind::AgentHealth { trouble: None, .. })).count(), 1);
}

#[test]
fn a_report_of_a_snapshot_ends_with_the_file() {
    let bench = Bench::new();
    let mut collect = Collect::new(&bench.spool, &bench.sites).clocked(clock);
    let snapshot = bench.sites[0].folder.join("settings.json");
    std::fs::write(&snapshot, "{").expect("written");
    (0..=3).for_each(|second| sweep(&mut collect, second));
    assert_eq!(bench.reports(), ["settings.json!"]);
    std::fs::remove_file(&snapshot).expect("removed");
    (4..=6).for_each(|second| sweep(&mut collect, second));
    assert_eq!(bench.reports(), ["settings.json!", "settings.json"]);
}
