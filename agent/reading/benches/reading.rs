//! Bytes → events, for a generated log of each form: MiB/s on one core and CPU seconds per GiB, compared in the same run with
//! counting the lines of the file and with mtail doing equal work (component, time, thread, and counts by kind).
//!
//! Run it with `cargo bench -p supwatch-reading --bench reading`. `SUPWATCH_BENCH_MIB` sets the size of each log (256),
//! `SUPWATCH_BENCH_FORM` selects one form. The best of three alternating rounds counts. mtail is measured if it is installed
//! (Debian's package `mtail`).

#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use supwatch_reading::reader::{Reader, Reading, Resume};

const ROUNDS: usize = 3;
const CHUNK: usize = 256 * 1024;

type Log = (&'static str, &'static str, fn(&mut String, u64, &str));

/// Form name, file name, and the writer of one line.
const LOGS: [Log; 7] = [
    ("server", "wsyncmgr.log", server),
    ("server-2007", "wsyncmgr.log", server_2007),
    ("ccm", "wsyncmgr.log", ccm),
    ("viewer", "wsyncmgr.log", viewer),
    ("setup", "SUPSetup.log", setup),
    ("wsus", "SoftwareDistribution.log", wsus),
    ("bare", "wsyncmgr.log", bare),
];

fn main() {
    let mib: u64 = std::env::var("SUPWATCH_BENCH_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(256);
    let dir = tempfile::tempdir().expect("a folder for the logs");
    let mtail = Command::new("mtail").arg("--version").output().is_ok();
    println!("{mib} MiB of each form; best of {ROUNDS} rounds; MiB/s of one core (CPU seconds per GiB)");
    println!("{:<12} {:>9} {:>9}  {:>17} {:>17} {:>17}", "form", "lines", "events", "line count", "supwatch", "mtail");
    let only = std::env::var("SUPWATCH_BENCH_FORM").ok();
    for (name, file, line) in LOGS.into_iter().filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name)) {
        let path = dir.path().join(file);
        let size = generate(&path, mib << 20, line);
        let (mut count, mut read, mut peer) = (f64::MAX, f64::MAX, f64::MAX);
        let (mut lines, mut events) = (0, 0);
        for _ in 0..ROUNDS {
            let (seconds, result) = on_cpu(|| count_lines(&path));
            (count, lines) = (count.min(seconds), result);
            let (seconds, result) = on_cpu(|| read_events(&path, file));
            (read, events) = (read.min(seconds), result);
            // mtail parses lines with marks; the other forms would not be equal work for it.
            if mtail && name == "server" {
                peer = peer.min(run_mtail(dir.path(), &path));
            }
        }
        let show = |seconds: f64| {
            let rate = size as f64 / f64::from(1 << 20) / seconds;
            if seconds == f64::MAX { "-".to_owned() } else { format!("{rate:.0} ({:.2})", 1024.0 / rate) }
        };
        println!("{name:<12} {lines:>9} {events:>9}  {:>17} {:>17} {:>17}", show(count), show(read), show(peer));
        std::fs::remove_file(&path).expect("removed");
    }
    if !mtail {
        println!("mtail is not installed: no comparison");
    }
}

/// Repeated runs of a top site: mostly lines about single updates, as in a full synchronisation.
fn generate(path: &Path, size: u64, line: fn(&mut String, u64, &str)) -> u64 {
    use std::io::Write;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("a log"));
    let (mut written, mut second, mut text) = (0, 0, String::new());
    let mut message = String::new();
    while written < size {
        for part in 0..2100_u64 {
            message.clear();
            match part {
                0 => message.push_str("Performing sync on regular schedule"),
                1 => message.push_str("STATMSG: ID=6701 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=cen.corp.example SITE=CEN PID=432 TID=3404 ISTR0=\"\" ISTR1=\"\" NUMATTRS=0"),
                2 => message.push_str("Synchronizing WSUS server cen.corp.example ..."),
                3..=49 => {
                    let percent = part * 2;
                    write!(message, "sync: WSUS synchronizing updates, processed {part} out of 50 items ({percent}%), ETA in 00:00:03").expect("text");
                }
                50 => message.push_str("Set content version of update source {C2D17964-BBDD-4339-B9F3-12D7205B39CC} for site CEN to 33"),
                2098 => message.push_str("Sync succeeded. Setting sync alert to canceled state on site CEN"),
                2099 => message.push_str("Sending sync notification to child site(s): P01, P02"),
                _ if part % 20 == 0 => {
                    let percent = part / 21;
                    write!(message, "sync: SMS synchronizing updates, processed {part} out of 2100 items ({percent}%)").expect("text");
                }
                _ => write!(message, "Synchronizing update af5eb87e-cdd6-40bf-984f-{part:012x} - Definition Update for Microsoft Endpoint Protection - KB2461484 (Definition 1.165.{part}.0)").expect("text"),
            }
            second += 1;
            text.clear();
            line(&mut text, second, &message);
            file.write_all(text.as_bytes()).expect("written");
            written += text.len() as u64;
        }
    }
    file.flush().expect("written");
    std::fs::metadata(path).expect("a size").len()
}

/// Day, hour, minute and second of a line, at ten lines a second.
fn clock(line: u64) -> (u64, u64, u64, u64) {
    let second = line / 10;
    (1 + second / 86_400 % 28, second / 3600 % 24, second / 60 % 60, second % 60)
}

fn server(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let _ = write!(
        out,
        "{message}  $$<SMS_WSUS_SYNC_MANAGER><03-{day:02}-2026 {hour:02}:{minute:02}:{second:02}.{:03}+480><thread=9640 (0x25A8)>\r\n",
        line % 10 * 100
    );
}

fn server_2007(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let _ = write!(
        out,
        "{message}  $$<SMS_WSUS_SYNC_MANAGER><Sun Mar {day:02} {hour}:{minute:02}:{second:02}.{:03} 2009 Eastern Standard Time><thread=756 (0x2F4)>\r\n",
        line % 10 * 100
    );
}

fn ccm(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let _ = write!(
        out,
        "<![LOG[{message}]LOG]!><time=\"{hour:02}:{minute:02}:{second:02}.{:03}+480\" date=\"03-{day:02}-2026\" component=\"SMS_WSUS_SYNC_MANAGER\" context=\"\" type=\"1\" thread=\"9640\" file=\"wsyncmgr.cpp:1\">\r\n",
        line % 10 * 100
    );
}

fn viewer(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let (half, hour) = if hour < 12 { ("AM", hour) } else { ("PM", hour - 12) };
    let hour = if hour == 0 { 12 } else { hour };
    let _ =
        write!(out, "{message}\tSMS_WSUS_SYNC_MANAGER\t3/{day}/2026 {hour}:{minute:02}:{second:02} {half}\t9640 (0x25A8)\t\r\n");
}

fn setup(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let _ = write!(out, "<Sun Mar {day:>2} {hour:02}:{minute:02}:{second:02} 2026> {message}\r\n");
}

fn wsus(out: &mut String, line: u64, message: &str) {
    let (day, hour, minute, second) = clock(line);
    let _ = write!(
        out,
        "2026-03-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC\tInfo\tWsusService.15\tCatalogSyncAgent.Work\t{message}\r\n",
        line % 10 * 100
    );
}

fn bare(out: &mut String, _: u64, message: &str) {
    out.push_str(message);
    out.push_str("\r\n");
}

fn chunks(path: &Path, mut each: impl FnMut(&[u8])) {
    let mut file = std::fs::File::open(path).expect("a log");
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).expect("read");
        if read == 0 {
            return;
        }
        each(chunk.get(..read).unwrap_or_default());
    }
}

fn count_lines(path: &Path) -> u64 {
    let mut lines = 0;
    chunks(path, |chunk| lines += memchr::memchr_iter(b'\n', chunk).count() as u64);
    lines
}

fn read_events(path: &Path, name: &str) -> u64 {
    let site = "CEN".parse().expect("a code");
    let mut reader = Reader::new(site, name, &Reading::default(), &Resume::default());
    let (mut events, mut count) = (Vec::new(), 0);
    chunks(path, |chunk| {
        reader.feed(chunk, &mut events);
        count += events.len() as u64;
        events.clear();
    });
    reader.finish(&mut events);
    count + events.len() as u64
}

/// CPU seconds used by this thread.
fn on_cpu<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let now = || -> f64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps it");
        let nanos: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        nanos / 1e9
    };
    let before = now();
    let result = work();
    (now() - before, result)
}

/// CPU seconds mtail takes for a log: component, time and thread of every line, and counts by kind.
fn run_mtail(dir: &Path, log: &Path) -> f64 {
    let programs = dir.join("mtail");
    std::fs::create_dir_all(&programs).expect("a folder");
    let program = r#"counter lines_total by component, thread
counter events_total by kind
gauge progress by phase
/\$\$<(?P<component>[^>]+)><(?P<date>\d\d-\d\d-\d{4} \d\d:\d\d:\d\d)\.\d+(?P<bias>[+-]\d+)><thread=(?P<thread>\d+)/ {
  strptime($date, "01-02-2006 15:04:05")
  lines_total[$component][$thread]++
}
/^Performing sync on (regular schedule|local request|parent request|retry schedule)/ {
  events_total["run-started"]++
}
/^Synchronizing WSUS server (?P<server>\S+) \.\.\./ {
  events_total["run-phase"]++
}
/^sync: (?P<phase>\S+) synchronizing \w+, processed (?P<done>\d+) out of (?P<total>\d+) items/ {
  progress[$phase] = $done
}
/^STATMSG: ID=(?P<id>\d+) / {
  events_total["status-message"]++
}
/^Set content version of update source \{[^}]+\} for site \w+ to (?P<version>\d+)/ {
  events_total["catalog-version"]++
}
/^Sync succeeded/ {
  events_total["run-succeeded"]++
}
/^Sync failed: (?P<text>.*) Source: (?P<source>\S+)/ {
  events_total["run-failed"]++
}
/^Sending sync notification to child site\(s\): (?P<sites>.*?) +\$\$/ {
  events_total["children-notified"]++
}
"#;
    std::fs::write(programs.join("sync.mtail"), program).expect("written");
    let children = || -> f64 {
        let text = std::fs::read_to_string("/proc/self/stat").expect("Linux keeps it");
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| -> f64 { fields.get(at).and_then(|word| word.parse().ok()).unwrap_or(0.0) };
        (ticks(13) + ticks(14)) / 100.0
    };
    let before = children();
    let output = Command::new("mtail")
        .args(["--one_shot", "--logtostderr"])
        .arg("--progs")
        .arg(&programs)
        .arg("--logs")
        .arg(log)
        .output()
        .expect("mtail runs");
    assert!(output.status.success(), "mtail: {}", String::from_utf8_lossy(&output.stderr));
    children() - before
}
