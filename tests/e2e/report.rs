//! `analyze --report`: the page that the real program writes, and the paths it refuses.

use std::path::Path;

use supwatch_tests::{here, supwatch, text};

fn analyze(input: &Path, report: &Path, more: &[&str]) -> (i32, String, String) {
    let mut arguments = vec!["analyze", input.to_str().expect("path"), "--report", report.to_str().expect("path")];
    arguments.extend(more);
    let output = supwatch(&arguments);
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_article_gives_one_page_with_every_cause_and_nothing_else_changes() {
    let folder = tempfile::tempdir().expect("folder");
    let (input, report) = (here().join("fixtures/article"), folder.path().join("report.html"));
    let plain = supwatch(&["analyze", input.to_str().expect("path")]);
    let (code, stdout, stderr) = analyze(&input, &report, &[]);
    assert_eq!((Some(code), stdout), (plain.status.code(), text(&plain.stdout)), "exit code and output are as without a report");
    assert!(stderr.contains("report written to") && stderr.contains("report.html"), "{stderr}");
    let page = std::fs::read_to_string(&report).expect("the page");
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{}", &page[..200]);
    for file in std::fs::read_dir(&input).expect("fixtures").map(|entry| entry.expect("entry").file_name()) {
        assert!(page.contains(file.to_str().expect("name")), "{file:?} is not listed");
    }
    for part in ["sync-failed", "Sync failed", "What to do", "13 files read"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="), "the page loads and runs nothing");

    // Over an earlier page, in the other language; no temporary file remains.
    let (code, ..) = analyze(&input, &report, &["--lang", "ja", "--output", "json", "--fail-on", "never"]);
    assert_eq!(code, 0);
    let page = std::fs::read_to_string(&report).expect("the page");
    assert!(page.contains("<html lang=\"ja\">") && page.contains("対処方法") && !page.contains("What to do"));
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
}

#[test]
fn a_log_is_shown_and_does_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let (log, report) = (folder.path().join("wsyncmgr.log"), folder.path().join("report.html"));
    let hostile = "</code></pre><script>alert(1)</script><img src=\"http://evil.example/\">\u{202e}";
    let line =
        format!("Sync failed: {hostile}. Source: X  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>\r\n");
    std::fs::write(&log, line).expect("log");
    analyze(&log, &report, &[]);
    let page = std::fs::read_to_string(&report).expect("the page");
    let shown = "&lt;/code&gt;&lt;/pre&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=&quot;http://evil.example/&quot;&gt;<span class=\"char\">\\u{202e}</span>";
    assert!(page.contains(shown), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_and_costs_no_log() {
    let folder = tempfile::tempdir().expect("folder");
    let input = here().join("fixtures/article/cannot-connect-2012.log");
    let log = folder.path().join("wsyncmgr.log");
    std::fs::copy(&input, &log).expect("copied");
    for (report, reason) in [
        (folder.path().join("nowhere/report.html"), "there is no folder"),
        (folder.path().to_owned(), "this is not a file"),
        (log.clone(), "is no HTML page"),
    ] {
        let (code, stdout, stderr) = analyze(&log, &report, &[]);
        assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
        assert!(stderr.contains("the report cannot be written") && stderr.contains(reason), "{stderr}");
    }
    if cfg!(target_os = "linux") {
        // That a folder is not writable shows only at the end; the result is not lost by it.
        let (code, stdout, stderr) = analyze(&log, Path::new("/proc/report.html"), &[]);
        assert_eq!(code, 4, "{stderr}");
        assert!(stdout.contains("sync-failed") && stderr.contains("check the folder's permissions and space"), "{stdout}{stderr}");
    }
    assert_eq!(std::fs::read(&log).expect("log"), std::fs::read(&input).expect("log"), "a log is never written to");
}
