//! What people give to `analyze`: pastes, collected folders, archives, and files that are not logs.

use supwatch_model::run::RunOutcome;

use super::*;

const MESSAGES: [(&str, &str); 5] = [
    ("00:01", "Performing sync on regular schedule"),
    (
        "00:02",
        "STATMSG: ID=6701 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=s.corp.example SITE=CEN PID=1 TID=2 GMTDATE=Tue Apr 07 06:00:02.000 2026 ISTR0=\"\" NUMATTRS=0",
    ),
    (
        "03:20",
        "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'. Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS",
    ),
    (
        "03:21",
        "STATMSG: ID=6703 SEV=E LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=s.corp.example SITE=CEN PID=1 TID=2 GMTDATE=Tue Apr 07 06:03:21.000 2026 ISTR0=\"Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS\" ISTR1=\"UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'\" NUMATTRS=0 LE=0X80131500",
    ),
    ("03:21", "Sync failed. Will retry in 60 minutes"),
];

fn server(dress: impl Fn(usize, &str) -> String) -> String {
    let line = |(at, (time, message)): (usize, &(&str, &str))| {
        let line = format!("{message}  $$<SMS_WSUS_SYNC_MANAGER><04-07-2026 08:{time}.000-120><thread=9 (0x9)>");
        format!("{}\r\n", dress(at + 1, &line))
    };
    MESSAGES.iter().enumerate().map(line).collect()
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
    std::fs::write(&path, text).expect("file");
    path
}

fn of(paths: &[PathBuf]) -> Analysis {
    let now = "2026-11-01T00:00:00Z".parse().expect("a time");
    analyze(paths, None, now, Catalogue::built_in().clone()).expect("an analysis")
}

fn pasted(text: &str) -> Analysis {
    let folder = tempfile::tempdir().expect("folder");
    of(&[write(folder.path(), "paste.txt", text)])
}

/// Site, trigger, outcome, cause, start and end of the only run.
fn only_run(text: &str) -> [String; 6] {
    let analysis = pasted(text);
    let [run] = analysis.picture.runs.as_slice() else { panic!("{} runs of {text}", analysis.picture.runs.len()) };
    let time = |time: Option<Timestamp>| time.map(|time| time.strftime("%T").to_string()).unwrap_or_default();
    assert_eq!((run.outcome, analysis.picture.findings.len()), (RunOutcome::Failed, 1));
    let cause = run.cause.clone().unwrap_or_default();
    [
        run.site.to_string(),
        run.trigger.as_str().to_owned(),
        run.outcome.to_string(),
        cause,
        time(run.started_at),
        time(run.ended_at),
    ]
}

fn run(start: &str, end: &str) -> [String; 6] {
    ["CEN", "schedule", "failed", "name-not-resolved", start, end].map(str::to_owned)
}

#[test]
fn a_paste_is_the_run_of_its_log() {
    let viewer = |parted: fn(&str, &str) -> String| -> String {
        MESSAGES.iter().map(|(time, message)| format!("{}\n", parted(message, &format!("4/7/2026 8:{time} AM")))).collect()
    };
    for text in [
        server(|_, line| line.to_owned()),
        server(|_, line| format!("> {line}")),
        server(|at, line| format!("{at}. {line}")),
        server(|at, line| format!("wsyncmgr.log:{at}:{line}")),
        server(|_, line| format!("| {line} |")),
        server(|_, line| line.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")),
        server(|_, line| line.replace(' ', "\u{a0}")),
        server(|_, line| line.replace("$$<", "<")),
        viewer(|message, time| format!("{message}\tSMS_WSUS_SYNC_MANAGER\t{time}\t9 (0x9)")),
        viewer(|message, time| format!("| {message} | SMS_WSUS_SYNC_MANAGER | {time} | 9 (0x9) |")),
        viewer(|message, time| format!("\"{}\",\"SMS_WSUS_SYNC_MANAGER\",\"{time}\",\"9 (0x9)\"", message.replace('"', "\"\""))),
        viewer(|message, time| format!("{time};9 (0x9);SMS_WSUS_SYNC_MANAGER;\"{}\"", message.replace('"', "\"\""))),
        viewer(|message, time| format!("<tr><td>{message}</td><td>SMS_WSUS_SYNC_MANAGER</td><td>{time}</td><td>9 (0x9)</td></tr>")),
    ] {
        assert_eq!(only_run(&text), run("06:00:01", "06:03:20"), "{text}");
    }
}

#[test]
fn messages_alone_are_one_failure_at_the_time_that_its_message_has() {
    let messages: String = MESSAGES.iter().map(|(_, message)| format!("{message}\n")).collect();
    for text in [messages.clone(), messages.lines().map(|line| format!("> {line}\n")).collect()] {
        assert_eq!(only_run(&text), run("06:00:02", "06:03:21"), "{text}");
    }
}

#[test]
fn no_time_is_given_where_the_input_has_none() {
    let analysis = pasted(
        "Message ID: 6703\n\nWSUS Synchronization failed.\n\nMessage: The request failed with HTTP status 503: Service Unavailable.\n\nSource: Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer.\n\nThe operating system reported error 2148734217:\n",
    );
    let json =
        serde_json::to_string(&crate::show::render::json::analysis(&analysis, supwatch_model::text::Lang::En)).expect("json");
    assert!(json.contains("wsus-unavailable") && json.contains("0x80131509") && !json.contains("2026"), "{json}");
}

#[test]
fn nothing_recognised_is_said() {
    for text in
        ["", "\0\0\0", "Dear all,\nplease buy milk.\n", "MZ\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}", "Found 3 eggs\nWaiting for a bus\n"]
    {
        let nothing = pasted(text).nothing.unwrap_or_else(|| panic!("a clean bill of {text:?}"));
        assert!(!nothing.remedies.is_empty() && !nothing.reasons.is_empty(), "{text:?}: {nothing:?}");
    }
    let folder = tempfile::tempdir().expect("folder");
    assert!(of(&[folder.path().to_owned()]).nothing.is_some());
    assert!(of(&[folder.path().to_owned()]).with_substance().is_err());
    // A bare error message gets its cause.
    let alone = pasted("The remote name could not be resolved: 'mu.example'\n");
    assert!(alone.nothing.is_some_and(|nothing| nothing.cause.as_deref() == Some("name-not-resolved")));
    assert_eq!(pasted(&server(|_, line| line.to_owned())).nothing, None);
}

#[test]
fn a_broken_snapshot_costs_its_settings_and_is_reported() {
    let folder = tempfile::tempdir().expect("folder");
    for (code, settings) in [("CEN", "{\n \"sups\": [\n"), ("P01", "{\"sups\": []}")] {
        let site = folder.path().join(code);
        write(&site, "site.toml", &format!("code = \"{code}\"\n"));
        write(&site, "logs/wsyncmgr.log", &server(|_, line| line.to_owned()));
        write(&site, "settings.json", settings);
    }
    let analysis = of(&[folder.path().to_owned()]);
    let reported = |rule: &str| -> Vec<_> { analysis.picture.findings.iter().filter(|finding| finding.rule == rule).collect() };
    let [finding] = reported("log-unreadable").try_into().expect("one finding");
    assert_eq!((finding.site.as_str(), finding.severity), ("CEN", supwatch_model::verdict::Severity::Warning));
    let summary = &finding.summary.en;
    assert!(summary.contains("settings.json") && summary.contains("line 3"), "{summary}");
    assert_eq!(reported("sync-failed").len(), 2, "everything else is judged");
}

#[test]
fn of_a_collected_folder_only_relevant_logs_are_read() {
    let folder = tempfile::tempdir().expect("folder");
    let deep = folder.path().join("2026/April/CEN/Program Files/Logs");
    write(&deep, "wsyncmgr.log", &server(|_, line| line.to_owned()));
    write(&deep, "copy of the log.log", &server(|_, line| format!("> {line}")));
    for number in 0..30 {
        let line = "Running.  $$<SMS_INBOX_MONITOR><04-07-2026 08:00:00.000-120><thread=9 (0x9)>\r\n";
        write(&deep, &format!("other{number}.log"), &line.repeat(10));
    }
    let analysis = of(&[folder.path().to_owned()]);
    assert_eq!(analysis.input.len(), 2);
    let others: Vec<&String> = analysis.remarks.iter().filter(|remark| remark.contains("other logs are not read")).collect();
    assert!(matches!(others.as_slice(), [one] if one.starts_with("30 ")), "{:?}", analysis.remarks);
    assert!(analysis.picture.runs.iter().all(|run| run.site.to_string() == "CEN"));
}

#[test]
fn what_lies_in_an_archive_is_shown_in_it() {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("b.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).expect("file"));
    archive.start_file("CEN/Logs/wsyncmgr.log", zip::write::SimpleFileOptions::default()).expect("entry");
    archive.write_all(server(|_, line| line.to_owned()).as_bytes()).expect("bytes");
    archive.finish().expect("archive");
    let analysis = of(std::slice::from_ref(&path));
    let shown: Vec<&str> = analysis.input.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(shown, [format!("{}:CEN/Logs/wsyncmgr.log", path.display())]);
}
