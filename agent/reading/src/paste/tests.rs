//! A log decorated in every way that people paste one, and in two ways at once, yields the events of the log.

use super::*;
use supwatch_model::event::EventKind;

const LOG: [&str; 9] = [
    "Wakeup for scheduled regular sync",
    "Starting Sync",
    "Performing sync on regular schedule",
    "STATMSG: ID=6701 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=cm1.corp.example SITE=CEN PID=7 TID=9 GMTDATE=Tue Apr 07 06:00:02.250 2026 ISTR0=\"\" ISTR1=\"\" ISTR2=\"\" NUMATTRS=0",
    "STATMSG: ID=6704 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=cm1.corp.example SITE=CEN PID=7 TID=9 GMTDATE=Tue Apr 07 06:00:03.250 2026 ISTR0=\"\" ISTR1=\"\" ISTR2=\"\" NUMATTRS=0",
    "Synchronizing WSUS server cm1.corp.example ...",
    "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'~~at System.Net.HttpWebRequest.GetRequestStream(TransportContext& context). Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS",
    "STATMSG: ID=6703 SEV=E LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=cm1.corp.example SITE=CEN PID=7 TID=9 GMTDATE=Tue Apr 07 06:03:21.250 2026 ISTR0=\"Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS\" ISTR1=\"UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'\" ISTR2=\"\" NUMATTRS=0 LE=0X80131500",
    "Sync failed. Will retry in 60 minutes",
];
const SECONDS: [&str; 9] = ["00:01", "00:01", "00:01", "00:02", "00:03", "00:04", "03:21", "03:21", "03:21"];

fn log() -> Vec<String> {
    let line = |(message, time): (&&str, &&str)| {
        format!("{message}  $$<SMS_WSUS_SYNC_MANAGER><04-07-2026 08:{time}.250-120><thread=9 (0x9)>")
    };
    LOG.iter().zip(&SECONDS).map(line).collect()
}

fn told(text: &str) -> Vec<(EventKind, Option<String>)> {
    let mut reader = Reader::new(SiteCode::UNKNOWN, "paste.txt", &Reading::default(), &Resume::default());
    let mut out = Vec::new();
    reader.look_ahead(text.as_bytes());
    reader.feed(text.as_bytes(), &mut out);
    reader.finish(&mut out);
    let time = |time: jiff::Timestamp| time.strftime("%T").to_string();
    out.into_iter().map(|event| (without_blanks(event.kind), event.time.map(time))).collect()
}

/// Where a word fills its line, it is undecidable whether a blank followed.
fn without_blanks(kind: EventKind) -> EventKind {
    match kind {
        EventKind::RunFailed { text, source, code } => {
            EventKind::RunFailed { text: text.replace(' ', "").replace('\u{2019}', "'"), source, code }
        }
        EventKind::StatusMessage(mut message) => {
            message.strings.iter_mut().for_each(|string| *string = string.replace(' ', "").replace('\u{2019}', "'"));
            EventKind::StatusMessage(message)
        }
        other => other,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn each(lines: &[String], dress: impl Fn(usize, &str) -> String) -> Vec<String> {
    lines.iter().enumerate().map(|(at, line)| dress(at + 1, line)).collect()
}

/// Breaks at blanks, if there are any.
fn soft(lines: &[String], width: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in lines {
        let mut rest = line.as_str();
        while rest.chars().count() > width {
            let end = rest.char_indices().nth(width).map_or(rest.len(), |(at, _)| at);
            let blank = rest[..end].rfind(' ').filter(|at| *at > 0);
            let (now, after) = rest.split_at(blank.map_or(end, |at| at + 1));
            out.push(now.trim_end().to_owned());
            rest = after;
        }
        out.push(rest.to_owned());
    }
    out
}

fn hard(lines: &[String], width: usize) -> Vec<String> {
    let cut = |line: &String| -> Vec<String> {
        line.chars().collect::<Vec<_>>().chunks(width).map(|part| part.iter().collect()).collect()
    };
    lines.iter().flat_map(cut).collect()
}

type Dress = Box<dyn Fn(&[String]) -> Vec<String>>;

fn named(name: &'static str, dress: impl Fn(&[String]) -> Vec<String> + 'static) -> (&'static str, Dress) {
    (name, Box::new(dress))
}

/// Decorations of messages, of lines, and of the whole text.
fn dresses() -> [Vec<(&'static str, Dress)>; 3] {
    let before = |mark: &'static str| named(mark, move |lines| each(lines, |_, line| format!("{mark}{line}")));
    let inside = vec![
        named("entities", |lines| each(lines, |_, line| escaped(line))),
        named("escaped twice", |lines| each(lines, |_, line| escaped(&escaped(line)))),
        named("no-break spaces", |lines| each(lines, |_, line| line.replace(' ', "\u{a0}"))),
        named("curly quotes", |lines| each(lines, |_, line| line.replace('"', "\u{201d}").replace('\'', "\u{2019}"))),
        named("zero width", |lines| each(lines, |_, line| line.replace("SMS_", "SMS_\u{200b}").replace("STAT", "\u{200d}STAT"))),
        named("lost dollars", |lines| each(lines, |_, line| line.replace("$$<", "<"))),
        named("escapes", |lines| each(lines, |_, line| line.replace('_', "\\_").replace("<", "\\<"))),
    ];
    let marks = vec![
        before("> "),
        before(">> "),
        before("| "),
        before("- "),
        before("* "),
        before("\u{2022} "),
        before("wsyncmgr.log:12:"),
        named("numbers", |lines| each(lines, |at, line| format!("{at}. {line}"))),
        named("brackets", |lines| each(lines, |at, line| format!("{at}) {line}"))),
        named("line numbers", |lines| each(lines, |at, line| format!("{}:{line}", at + 99))),
        named("cat -n", |lines| each(lines, |at, line| format!("{at:6}\t{line}"))),
        named("bars", |lines| each(lines, |_, line| format!("| {line} |"))),
        named("quoted", |lines| each(lines, |_, line| format!("\"{}\"", line.replace('"', "\"\"")))),
        named("code", |lines| each(lines, |_, line| format!("`{line}`"))),
        named("fence", |lines| [&["```".to_owned()], lines, &["```".to_owned()]].concat()),
    ];
    let whole = vec![
        named("60", |lines| soft(lines, 60)),
        named("72", |lines| soft(lines, 72)),
        named("80", |lines| soft(lines, 80)),
        named("100", |lines| soft(lines, 100)),
        named("120", |lines| soft(lines, 120)),
        named("hard 60", |lines| hard(lines, 60)),
        named("hard 72", |lines| hard(lines, 72)),
        named("hard 100", |lines| hard(lines, 100)),
        named("<br>", |lines| vec![lines.join("<br>")]),
        named("<p>", |lines| each(lines, |_, line| format!("<p><code>{line}</code></p>"))),
        named("<td>", |lines| each(lines, |_, line| format!("<tr><td>{line}</td></tr>"))),
        named("blank lines", |lines| lines.iter().flat_map(|line| [line.clone(), String::new()]).collect()),
    ];
    [inside, marks, whole]
}

fn fails(name: &str, lines: &[String], failed: &mut Vec<String>) {
    let pasted = lines.join("\r\n");
    let text = plain(pasted.as_bytes(), "paste.txt", &Reading::default()).map_or_else(|| pasted.clone(), |plain| plain.text);
    let expected = told(&log().join("\n"));
    let found = told(&text);
    if found != expected {
        let at = expected.iter().zip(&found).position(|(one, other)| one != other).unwrap_or(found.len());
        failed.push(format!("{name}:\n{} of {}: {:?}", found.len(), expected.len(), found.get(at)));
    }
}

#[test]
fn a_log_in_any_dress_gives_its_own_events() {
    let mut failed = Vec::new();
    for (name, dress) in dresses().iter().flatten() {
        fails(name, &dress(&log()), &mut failed);
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_log_in_two_dresses_gives_its_own_events() {
    let [inside, marks, whole] = dresses();
    let mut failed = Vec::new();
    let mut pairs = 0;
    for (first, second) in [(&inside, &marks), (&inside, &whole), (&marks, &whole), (&whole, &marks)] {
        for (one, dress) in first {
            for (other, over) in second {
                // Combinations that lose information: a paste in one line has one mark, and quotes that are broken, or look like
                // those inside, are lost.
                if *one == "<br>"
                    || ["quoted", "code"].contains(one) && other.contains(|c: char| c.is_ascii_digit())
                    || *other == "quoted" && ["curly quotes", "<p>", "<td>"].contains(one)
                {
                    continue;
                }
                pairs += 1;
                fails(&format!("{one} + {other}"), &over(&dress(&log())), &mut failed);
            }
        }
    }
    assert!(failed.is_empty(), "{} of {pairs} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn a_log_as_it_was_written_is_no_paste() {
    assert_eq!(plain(log().join("\r\n").as_bytes(), "paste.txt", &Reading::default()), None);
    let french = "Sync failed: La demande a \u{e9}chou\u{e9}\u{a0}: Service non disponible. Source: X  $$<SMS_WSUS_SYNC_MANAGER><04-07-2026 08:00:01.250-120><thread=9 (0x9)>";
    assert_eq!(plain(french.as_bytes(), "paste.txt", &Reading::default()), None);
    assert_eq!(plain(b"- milk\n- bread\n", "paste.txt", &Reading::default()), None);
}

#[test]
fn each_line_knows_where_it_came_from() {
    let pasted = log().iter().map(|line| format!("> {line}\r\n")).collect::<String>();
    let plain = plain(pasted.as_bytes(), "paste.txt", &Reading::default()).expect("a paste");
    let second = plain.text.find("Starting Sync").expect("the line") as u64;
    assert_eq!(plain.place(second), pasted.find("> Starting Sync").expect("the line") as u64);
}
