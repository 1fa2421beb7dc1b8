//! Lines → records: joins the lines that belong to one record.
//!
//! Pure. A record may span lines because its text does (client-style lines, exceptions, WSUS's stack traces), or because a mailer
//! or a page broke it (inside the marks, before a component's name, inside a status message). A complete line passes through
//! unchanged as the slice it came in, without a copy. Several records on one line are separated; together they cover it.

use crate::lines::LINE_LIMIT;
use crate::parse::marks::{CCM_CLOSE, CCM_OPEN, SERVER};
use crate::parse::{Form, Record, ccm, parse, server, setup, split_component, viewer, wsus};
use crate::recognise::{localized, vocabulary};

/// Lines that may follow a broken one before it is closed as it is.
const BROKEN_LINES: u32 = 8;
/// Most lines of an exception with its stack traces.
const STACK_LINES: u32 = 1000;
/// Most lines of text before the marks that end them.
const PREFACE_LINES: u32 = 60;

/// Most lines that a viewer shows for one message, blank lines included.
const LABELLED_LINES: u32 = 20;

/// Assembles records from lines.
#[derive(Debug, Default)]
pub struct Assembler {
    open: Option<Open>,
    /// Whether bare records of this file end in a component's name.
    named: bool,
    joined: u64,
}

#[derive(Debug)]
struct Open {
    offset: u64,
    length: u64,
    lines: u32,
    text: String,
    kind: Kind,
}

/// Why a record is still open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Client-style: open until its end mark.
    Ccm,
    /// WSUS: open until the next record begins.
    Wsus,
    /// Broken inside the marks of a server line.
    Torn,
    /// A status message: open until its last field.
    Status,
    /// A viewer's message text: open until its source.
    Labelled,
    /// Bare text: the marks may follow on a later line.
    Preface,
}

/// A line with its text.
#[derive(Debug, Clone, Copy)]
pub struct Decoded<'a> {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Length in the file, in bytes.
    pub length: u64,
    /// Its text.
    pub text: &'a str,
}

impl Assembler {
    /// Adds a line and returns the records it completes.
    pub fn push(&mut self, line: Decoded<'_>, sink: &mut impl FnMut(&Record<'_>)) {
        if let Some(open) = &mut self.open {
            // A line that does not fit closes the open record and becomes one itself.
            if open.text.len() + line.text.len() < LINE_LIMIT && takes(open, line.text, self.named) {
                open.append(&line);
                if open.kind == Kind::Preface && server::is_torn(&open.text) {
                    // The marks followed, but are themselves broken.
                    (open.kind, open.lines) = (Kind::Torn, 1);
                }
                if is_complete(open, line.text) {
                    self.close(sink);
                }
                return;
            }
            self.close(sink);
        }
        self.begin(line, sink);
    }

    /// Returns the record that is still open, at the end of the input.
    pub fn flush(&mut self, sink: &mut impl FnMut(&Record<'_>)) {
        self.close(sink);
    }

    /// Offset of the first byte of the record that is still open.
    pub fn open_offset(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.offset)
    }

    /// Number of records assembled from several lines.
    pub fn joined(&self) -> u64 {
        self.joined
    }

    fn begin(&mut self, line: Decoded<'_>, sink: &mut impl FnMut(&Record<'_>)) {
        let text = line.text;
        // Nearly every line of an unmodified log is complete.
        if let Some(record) = whole(text) {
            return sink(&Record { offset: line.offset, length: line.length, ..record });
        }
        let kind = if ccm::is_open(text) {
            Some(Kind::Ccm)
        } else if server::is_torn(text) {
            Some(Kind::Torn)
        } else if wsus::begins(text) {
            Some(Kind::Wsus)
        } else if vocabulary::is_status_message(text) && !is_whole_status(text) && split_component(text).is_none() {
            Some(Kind::Status)
        } else if localized::opens(text) {
            Some(Kind::Labelled)
        } else if !text.trim().is_empty() && !ends_a_record(text) {
            Some(Kind::Preface)
        } else {
            None
        };
        match kind {
            Some(kind) => {
                let text = text.to_owned();
                self.open = Some(Open { offset: line.offset, length: line.length, lines: 1, text, kind });
            }
            None => self.emit(line, sink),
        }
    }

    fn close(&mut self, sink: &mut impl FnMut(&Record<'_>)) {
        if let Some(Open { offset, length, text, lines, .. }) = self.open.take() {
            self.joined += u64::from(lines > 1);
            self.emit(Decoded { offset, length, text: &text }, sink);
        }
    }

    /// Several records may share a line; the line's bytes are attributed to the last one.
    fn emit(&mut self, line: Decoded<'_>, sink: &mut impl FnMut(&Record<'_>)) {
        let mut rest = line.text;
        // A mark that is not in the text is not in any suffix of it either.
        let mut marked = true;
        loop {
            let split = if marked { server::split_first(rest) } else { None };
            marked = split.is_some();
            let Some((first, after)) = split.or_else(|| ccm::split_first(rest)) else { break };
            rest = after;
            sink(&Record { offset: line.offset, length: 0, lines: lines_of(first), ..parse(first) });
        }
        let record = Record { offset: line.offset, length: line.length, lines: lines_of(rest), ..parse(rest) };
        if record.form == Form::Bare && !record.message.is_empty() {
            self.named |= !record.component.is_empty();
        }
        sink(&record);
    }
}

impl Open {
    fn append(&mut self, line: &Decoded<'_>) {
        self.length += line.length;
        self.lines += 1;
        self.text.push('\n');
        self.text.push_str(line.text);
    }
}

fn lines_of(raw: &str) -> u64 {
    1 + memchr::memchr_iter(b'\n', raw.trim_matches('\n').as_bytes()).count() as u64
}

/// The record of a complete line that holds only one.
fn whole(text: &str) -> Option<Record<'_>> {
    let first = *text.as_bytes().first()?;
    match first {
        b'<' => ccm::whole(text).or_else(|| server::whole(text)).or_else(|| setup::whole(text)),
        _ => server::whole(text).or_else(|| viewer::whole(text)),
    }
}

/// Whether a bare line is complete: in copies with a component's name at the end, it is.
fn ends_a_record(text: &str) -> bool {
    split_component(text).is_some() || !matches!(parse(text).form, Form::Bare)
}

/// Whether the next line belongs to the open record.
fn takes(open: &Open, next: &str, named: bool) -> bool {
    let blank = next.trim().is_empty();
    if blank {
        // A blank line ends bare text; inside any other record it stands for a page break.
        return !matches!(open.kind, Kind::Preface | Kind::Torn) && open.lines < STACK_LINES;
    }
    let broken = open.lines < BROKEN_LINES;
    match open.kind {
        // A record without an end, such as after a crash, ends where any other record begins.
        Kind::Ccm => !CCM_OPEN.begins(next.trim_start()) && whole(next).is_none(),
        // A copy without stamps may contain lines of other logs.
        Kind::Wsus if !wsus::is_stamped(&open.text) => {
            wsus::continues(next) && (!vocabulary::begins_message(next) || next.starts_with(' ') || wsus_part(next))
        }
        Kind::Wsus => open.lines < STACK_LINES && wsus::continues(next),
        Kind::Torn => broken && completes_marks(&open.text, next),
        Kind::Status => broken && is_status_part(next),
        // Only the operating system's error follows the source.
        Kind::Labelled if localized::has_source(&open.text) => localized::tells_code(next),
        Kind::Labelled => open.lines < LABELLED_LINES && !vocabulary::begins_message(next),
        Kind::Preface => belongs_to_text(open, next, named),
    }
}

/// In a copy, the message of a WSUS record may be on the next line.
fn wsus_part(next: &str) -> bool {
    next.trim_start().starts_with("EventId=") || next.trim_start().starts_with("DispatchManager")
}

/// Whether the last line completes the record.
fn is_complete(open: &Open, last: &str) -> bool {
    match open.kind {
        Kind::Ccm => CCM_CLOSE.find(last).is_some() && ccm::is_complete(&open.text),
        Kind::Torn => !server::is_torn(&open.text),
        Kind::Status => is_whole_status(&open.text) && open.text.trim_end().ends_with(|c: char| c.is_ascii_uppercase()),
        Kind::Labelled => open.text.lines().next_back().is_some_and(localized::tells_code),
        Kind::Preface => !matches!(parse(&open.text).form, Form::Bare) && !server::is_torn(&open.text) || named_at_end(&open.text),
        Kind::Wsus => false,
    }
}

fn named_at_end(text: &str) -> bool {
    split_component(text).is_some()
}

/// Whether a line continues the marks in which the previous line broke off.
fn completes_marks(open: &str, next: &str) -> bool {
    if SERVER.find(next).is_some() {
        return false;
    }
    let joined = format!("{open}\n{next}");
    let whole = !server::is_torn(&joined) && matches!(parse(&joined).form, Form::Server | Form::Server2007);
    whole || server::is_torn(&joined)
}

/// Whether a line continues bare text, or has the closing marks.
fn belongs_to_text(open: &Open, next: &str, named: bool) -> bool {
    let marked = SERVER.find(next);
    if let Some(at) = marked {
        // The text before the marks ends the same message, unless it begins a message itself.
        let own = next.get(..at).unwrap_or_default().trim();
        // A synchronisation message does not end on a line of another component.
        if !parse(next).component.starts_with("SMS_WSUS_") && vocabulary::begins_message(&open.text) {
            return own.is_empty();
        }
        return own.is_empty() || (open.lines < PREFACE_LINES && !vocabulary::begins_message(own));
    }
    if vocabulary::begins_message(next) {
        return false;
    }
    if let Some((own, component)) = split_component(next) {
        let foreign = !component.starts_with("SMS_WSUS_") && vocabulary::begins_message(&open.text);
        return own.is_empty() || (named && !foreign && open.lines < BROKEN_LINES);
    }
    // Continued message text, accepted only where its end is known to follow.
    // Stack traces are indented, in every language of .NET.
    let stack = next.starts_with([' ', '\t']) && vocabulary::begins_message(&open.text) && !named;
    let stack = stack || ["at ", "--- ", "-- End"].iter().any(|start| next.trim_start().starts_with(start));
    stack && open.lines < PREFACE_LINES || (named && open.lines < BROKEN_LINES && parse(next).form == Form::Bare)
}

/// Whether a status message has its last field.
fn is_whole_status(text: &str) -> bool {
    text.contains("NUMATTRS=") || text.contains('…') || text.contains('\t') || text.trim_end().ends_with("...")
}

/// Whether a line looks like the middle of a status message.
fn is_status_part(next: &str) -> bool {
    if vocabulary::is_status_message(next) {
        return false;
    }
    let fields = ["ISTR", "NUMATTRS", "COMP=", "SYS=", "SITE=", "PID=", "TID=", "GMTDATE=", "SOURCE=", "AVAL", "LE="];
    fields.iter().any(|field| next.contains(field)) || split_component(next).is_some_and(|(own, _)| own.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(Form, String, String)> {
        let mut out = Vec::new();
        crate::invariants::records(text, &mut |record| {
            out.push((record.form, record.message.replace('\n', "|"), record.component.to_owned()));
        });
        out
    }

    #[track_caller]
    fn check(text: &str, expected: &[(Form, &str, &str)]) {
        let found = records(text);
        let found: Vec<(Form, &str, &str)> = found.iter().map(|(form, m, c)| (*form, m.as_str(), c.as_str())).collect();
        assert_eq!(found, expected);
    }

    const TAIL: &str = "$$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:05:06.789+480><thread=9640 (0x25A8)>";
    const SYNC: &str = "SMS_WSUS_SYNC_MANAGER";

    #[test]
    fn whole_lines_go_through() {
        check(&format!("one  {TAIL}\r\ntwo  {TAIL}\r\n"), &[(Form::Server, "one", SYNC), (Form::Server, "two", SYNC)]);
    }

    #[test]
    fn a_message_of_several_lines_ends_with_its_marks() {
        check(
            &format!("Sync failed: a\n   at B.C()\n   at D.E(). Source: F  {TAIL}\nSync succeeded.  {TAIL}\n"),
            &[(Form::Server, "Sync failed: a|   at B.C()|   at D.E(). Source: F", SYNC), (Form::Server, "Sync succeeded.", SYNC)],
        );
    }

    #[test]
    fn bare_lines_before_a_line_that_begins_a_message_are_their_own() {
        check(
            &format!("Starting Sync\nSync succeeded. x  {TAIL}\n"),
            &[(Form::Bare, "Starting Sync", ""), (Form::Server, "Sync succeeded. x", SYNC)],
        );
    }

    #[test]
    fn records_broken_inside_their_marks_are_mended() {
        check(
            "   got access~   $$<SMS_DESPOOLER><Mon Dec 04 15:41:45\n   1995~><thread=E0>\n   next\n   $$<SMS_DESPOOLER><Mon Dec\n   04 15:41:46 1995~><thread=E0>\n",
            &[(Form::Server2007, "   got access~", "SMS_DESPOOLER"), (Form::Server2007, "   next", "SMS_DESPOOLER")],
        );
        check(
            "a $$<SMS_DISTRIBUTION_MANAGER>\n<Fri Oct 15 17:09:46.507 1999 Pacific Daylight Time><thread=225 (0xE1)>\n",
            &[(Form::Server2007, "a", "SMS_DISTRIBUTION_MANAGER")],
        );
    }

    #[test]
    fn copies_with_names_at_the_end_and_broken_lines() {
        check(
            "  Starting Sync SMS_WSUS_SYNC_MANAGER\n  STATMSG: ID=6701 SEV=I SOURCE=\"SMS Server\"\n  COMP=\"SMS_WSUS_SYNC_MANAGER\" SITE=CEN GMTDATE=Thu Jan 16\n  18:58:37.599 2014 ISTR0=\"\" NUMATTRS=0\n  SMS_WSUS_SYNC_MANAGER\n  sync: WSUS synchronizing updates, processed 1 out of 2 items (50%)\n  SMS_WSUS_SYNC_MANAGER\n  Set content version of update source {A} for\n  site CEN to 34 SMS_WSUS_SYNC_MANAGER\n",
            &[
                (Form::Bare, "Starting Sync", SYNC),
                (
                    Form::Bare,
                    "STATMSG: ID=6701 SEV=I SOURCE=\"SMS Server\"|  COMP=\"SMS_WSUS_SYNC_MANAGER\" SITE=CEN GMTDATE=Thu Jan 16|  18:58:37.599 2014 ISTR0=\"\" NUMATTRS=0",
                    SYNC,
                ),
                (Form::Bare, "sync: WSUS synchronizing updates, processed 1 out of 2 items (50%)", SYNC),
                (Form::Bare, "Set content version of update source {A} for|  site CEN to 34", SYNC),
            ],
        );
    }

    #[test]
    fn a_record_that_never_ends_takes_no_other_with_it() {
        let whole = format!("Sync failed: x. Source: y  {TAIL}");
        let ccm = "<![LOG[Sync failed: z]LOG]!><time=\"04:05:06.789-060\" date=\"3-01-2026\" component=\"SMS_WSUS_SYNC_MANAGER\" context=\"\" type=\"1\" thread=\"7\" file=\"\">";
        for (torn, next, said) in [
            ("<![LOG[Starting Sync", whole.as_str(), "Sync failed: x. Source: y"),
            ("<![LOG[Starting Sync", ccm, "Sync failed: z"),
            ("Some text $$<SMS_WSUS_SYN", whole.as_str(), "Sync failed: x. Source: y"),
            ("STATMSG: ID=6701 SEV=I COMP=\"X\"", "STATMSG: ID=6703 SEV=E NUMATTRS=0", "STATMSG: ID=6703 SEV=E NUMATTRS=0"),
            ("STATMSG: ID=6701 SEV=I SMS_WSUS_SYNC_MANAGER", "STATMSG: ID=6703 NUMATTRS=0", "STATMSG: ID=6703 NUMATTRS=0"),
        ] {
            let found = records(&format!("{torn}\r\n{next}\r\n"));
            assert_eq!((found.len(), found.last().map(|(_, message, _)| message.as_str())), (2, Some(said)), "{torn}: {found:?}");
        }
        let found = records(
            "Sync failed: x. Source: y\nsomething else  $$<SMS_HIERARCHY_MANAGER><03-01-2026 04:05:06.789+480><thread=1 (0x1)>\n",
        );
        assert_eq!(found.len(), 2, "{found:?}");
        // Nothing is lost of a record that exceeds its limit.
        let lines: String = (0..3000).map(|line| format!("line number {line} of a text without an end\n")).collect();
        let text = format!("<![LOG[{lines}");
        let mut count = 0;
        crate::invariants::records(&text, &mut |record| count += record.raw.matches("line number").count());
        assert_eq!(count, 3000);
    }

    #[test]
    fn stack_traces_of_every_language_stay_with_their_exception() {
        for line in ["   at A.B()", "   場所 A.B()", "   bei A.B()", "   --- End of inner exception stack trace ---"] {
            check(
                &format!("Sync failed: a\n{line}\n   at C.D(). Source: F  {TAIL}\n"),
                &[(Form::Server, &format!("Sync failed: a|{line}|   at C.D(). Source: F"), SYNC)],
            );
        }
    }

    #[test]
    fn plain_bare_text_stays_line_by_line() {
        check(
            "Installing the role\nsomething else\nStarting Sync\n",
            &[(Form::Bare, "Installing the role", ""), (Form::Bare, "something else", ""), (Form::Bare, "Starting Sync", "")],
        );
    }

    #[test]
    fn a_viewers_text_is_one_with_its_source() {
        check(
            "Meldung: Die Anforderung ist fehlgeschlagen.\n\nQuelle: Microsoft.UpdateServices.X.\n",
            &[(Form::Bare, "Meldung: Die Anforderung ist fehlgeschlagen.||Quelle: Microsoft.UpdateServices.X.", "")],
        );
    }

    #[test]
    fn a_wsus_record_takes_its_stack_along() {
        check(
            "2026-03-01 04:05:06.789 UTC\tWarning\tw3wp.94\tHmtWebServices.Check\tfailed\n   at A.B()\n\n   at C.D()\n2026-03-01 04:05:07.000 UTC\tInfo\tw3wp.9\tX.Y\tnext\n",
            &[(Form::Wsus, "failed|   at A.B()||   at C.D()", "HmtWebServices.Check"), (Form::Wsus, "next", "X.Y")],
        );
    }

    #[test]
    fn client_style_records_span_lines_and_share_them() {
        let one = "<![LOG[two\nlines]LOG]!><time=\"04:05:06.789-060\" date=\"3-01-2026\" component=\"C\" context=\"\" type=\"1\" thread=\"7\" file=\"\">";
        check(one, &[(Form::Ccm, "two|lines", "C")]);
        let short = one.replace("two\n", "");
        check(&format!("{short}{short}"), &[(Form::Ccm, "lines", "C"), (Form::Ccm, "lines", "C")]);
    }
}
