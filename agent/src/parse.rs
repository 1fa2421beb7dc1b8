//! Line → record: who wrote it, when, and what it says.
//!
//! Pure, and it never fails: a line in no known form is a [`Form::Bare`] record. The form is decided line by line, since
//! one file may hold several. Records that span lines are put together by [`Assembler`].

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::lines::{LINE_LIMIT, Line};

mod ccm;
mod server;
mod setup;
mod viewer;
mod wsus;
pub mod fields;

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// `text $$<COMPONENT><MM-DD-YYYY HH:MM:SS.mmm+BIAS><thread=N (0xN)>`: Configuration Manager 2012 and later.
    Server,
    /// The same with `Www Mon DD HH:MM:SS.mmm YYYY zone`: SMS and Configuration Manager 2007.
    Server2007,
    /// `<![LOG[text]LOG]!><time=… date=… component=…>`.
    Ccm,
    /// `<Www Mon DD HH:MM:SS YYYY> text`: role setup.
    Setup,
    /// A copy from a log viewer: text, component, time, thread between tabs.
    Viewer,
    /// `YYYY-MM-DD HH:MM:SS.mmm UTC …`: WSUS's own log.
    Wsus,
    /// Text alone.
    Bare,
}

impl Form {
    /// The form's name in `analyze`.
    pub fn as_str(self) -> &'static str {
        match self {
            Form::Server => "server",
            Form::Server2007 => "server-2007",
            Form::Ccm => "ccm",
            Form::Setup => "setup",
            Form::Viewer => "viewer",
            Form::Wsus => "wsus",
            Form::Bare => "bare",
        }
    }
}

/// The time that stands on a line, before anybody made UTC of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Stamp {
    /// None.
    Absent,
    /// Local time, and the minutes to add to get UTC.
    Biased(DateTime, i32),
    /// Local time and the name of its Windows time zone.
    Zoned(DateTime, String),
    /// Local time alone.
    Local(DateTime),
    /// UTC, as WSUS writes.
    Utc(DateTime),
}

/// What the grammar understood of a line, or of several that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Bytes it takes in the file.
    pub length: u64,
    /// Its shape.
    pub form: Form,
    /// All of it, decoded.
    pub raw: String,
    /// What it says.
    pub message: String,
    /// Component; empty where the form has none.
    pub component: String,
    /// Thread; 0 where the form has none.
    pub thread: u32,
    /// Time as written.
    pub stamp: Stamp,
}

/// A form's reading of one line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parsed {
    pub form: Form,
    pub message: String,
    pub component: String,
    pub thread: u32,
    pub stamp: Stamp,
}

/// Puts records together from lines.
#[derive(Debug, Default)]
pub struct Assembler {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    offset: u64,
    length: u64,
    text: String,
    /// A WSUS record, whose lines go on until the next one begins; else a CCM one, which ends with its mark.
    wsus: bool,
}

impl Assembler {
    /// Takes a line and gives the records it completes.
    pub fn push(&mut self, line: &Line, out: &mut Vec<Record>) {
        match &mut self.open {
            Some(open) if !open.wsus => {
                open.append(line);
                let (complete, too_long) = (ccm::is_complete(&open.text), open.text.len() >= LINE_LIMIT);
                if complete || too_long {
                    self.close(out);
                }
                return;
            }
            Some(open) if wsus::continues(&line.text) => {
                open.append(line);
                return;
            }
            Some(_) => self.close(out),
            None => {}
        }
        let wsus = wsus::begins(&line.text);
        if wsus || ccm::is_open(&line.text) {
            self.open = Some(Open { offset: line.offset, length: line.length, text: line.text.clone(), wsus });
        } else {
            emit(line.offset, line.length, &line.text, out);
        }
    }

    /// Gives the record that is still open: nothing more is going to come.
    pub fn flush(&mut self, out: &mut Vec<Record>) {
        if self.open.is_some() {
            self.close(out);
        }
    }

    /// Offset of the first byte of the record that is still open.
    pub fn open_offset(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.offset)
    }

    fn close(&mut self, out: &mut Vec<Record>) {
        if let Some(open) = self.open.take() {
            emit(open.offset, open.length, &open.text, out);
        }
    }
}

impl Open {
    fn append(&mut self, line: &Line) {
        self.length += line.length;
        if self.text.len() + line.text.len() < LINE_LIMIT {
            self.text.push('\n');
            self.text.push_str(&line.text);
        }
    }
}

/// Two CCM records may share a line; each becomes one record, and together they cover the line.
fn emit(offset: u64, length: u64, text: &str, out: &mut Vec<Record>) {
    let parts = ccm::split(text);
    let count = parts.len();
    for (index, raw) in parts.into_iter().enumerate() {
        let Parsed { form, message, component, thread, stamp } = parse(raw);
        // The bytes of a shared line belong to its last record.
        let length = if index + 1 == count { length } else { 0 };
        out.push(Record { offset, length, form, raw: raw.to_owned(), message, component, thread, stamp });
    }
}

/// Reads one line in the first form that fits it.
fn parse(text: &str) -> Parsed {
    ccm::parse(text)
        .or_else(|| server::parse(text))
        .or_else(|| wsus::parse(text))
        .or_else(|| viewer::parse(text))
        .or_else(|| setup::parse(text))
        .unwrap_or_else(|| bare(text))
}

/// Text alone; copies often keep the component's name at the end.
fn bare(text: &str) -> Parsed {
    let trimmed = text.trim();
    let (message, component) = match trimmed.rsplit_once([' ', '\t']) {
        Some((before, last)) if fields::is_component(last) => (before.trim_end(), last),
        _ => (trimmed, ""),
    };
    Parsed { form: Form::Bare, message: message.to_owned(), component: component.to_owned(), thread: 0, stamp: Stamp::Absent }
}

/// `GMTDATE=Www Mon DD HH:MM:SS.mmm YYYY` of a status message line: UTC at the moment it was written.
pub fn gmtdate(message: &str) -> Option<Timestamp> {
    let (_, rest) = message.split_once("GMTDATE=")?;
    let end = rest.find(" ISTR").or_else(|| rest.find("ISTR")).unwrap_or(rest.len());
    let (local, zone) = fields::asctime(rest.get(..end)?.trim())?;
    zone.is_empty().then(|| local.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    pub(crate) fn records(text: &str) -> Vec<Record> {
        let mut lines = crate::lines::Lines::new(0, None, None);
        let (mut cut, mut out, mut assembler) = (Vec::new(), Vec::new(), Assembler::default());
        lines.feed(text.as_bytes(), &mut cut);
        lines.finish(&mut cut);
        for line in &cut {
            assembler.push(line, &mut out);
        }
        assembler.flush(&mut out);
        out
    }

    #[track_caller]
    fn check(text: &str, form: Form, message: &str, component: &str, thread: u32, stamp: Stamp) {
        let all = records(text);
        let record = all.first().expect("a record");
        assert_eq!(
            (record.form, record.message.as_str(), record.component.as_str(), record.thread, &record.stamp),
            (form, message, component, thread, &stamp)
        );
    }

    #[test]
    fn a_server_line_with_a_numeric_bias() {
        let at = date(2026, 3, 1).at(4, 5, 6, 789_000_000);
        check(
            "Sync succeeded.  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:05:06.789+480><thread=9640 (0x25A8)>",
            Form::Server,
            "Sync succeeded.",
            "SMS_WSUS_SYNC_MANAGER",
            9640,
            Stamp::Biased(at, 480),
        );
        check(
            "a < b $$<SMS Provider><03-01-2026 04:05:06.789-60><thread=1 (0x1)>",
            Form::Server,
            "a < b",
            "SMS Provider",
            1,
            Stamp::Biased(at, -60),
        );
    }

    #[test]
    fn a_2007_line_with_and_without_a_zone_name() {
        let at = date(2007, 8, 6).at(7, 54, 25, 519_000_000);
        check(
            "x~  $$<SMS_WSUS_SYNC_MANAGER><Mon Aug 6 7:54:25.519 2007 Eastern Daylight Time><thread=756 (0x2F4)>",
            Form::Server2007,
            "x~",
            "SMS_WSUS_SYNC_MANAGER",
            756,
            Stamp::Zoned(at, "Eastern Daylight Time".into()),
        );
        check("x $$<C><Mon Aug 06 07:54:25.519 2007><thread=756>", Form::Server2007, "x", "C", 756, Stamp::Local(at));
    }

    #[test]
    fn ccm_records_span_lines_and_share_them() {
        let at = date(2026, 3, 1).at(4, 5, 6, 789_000_000);
        let one = "<![LOG[two\nlines ] here]LOG]!><time=\"04:05:06.789-060\" date=\"3-01-2026\" component=\"C\" context=\"\" type=\"1\" thread=\"7\" file=\"a.cpp:1\">";
        check(one, Form::Ccm, "two\nlines ] here", "C", 7, Stamp::Biased(at, -60));
        let shared = format!("{one}{one}");
        assert_eq!(records(&shared.replace("two\n", "")).len(), 2);
        let managed = "<![LOG[]LOG]!><time=\"04:05:06.7890000\" date=\"3-1-2026\" component=\"C\" context=\"\" type=\"1\" thread=\"7\" file=\"\">";
        check(managed, Form::Ccm, "", "C", 7, Stamp::Local(at));
    }

    #[test]
    fn a_setup_line_and_a_viewer_copy() {
        check(
            "<Sun Mar  1 04:05:06 2026> SMSWSUS Setup Started....",
            Form::Setup,
            "SMSWSUS Setup Started....",
            "",
            0,
            Stamp::Local(date(2026, 3, 1).at(4, 5, 6, 0)),
        );
        check(
            "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t8/2/2024 1:54:24 PM\t9640 (0x25A8)\t",
            Form::Viewer,
            "Starting Sync",
            "SMS_WSUS_SYNC_MANAGER",
            9640,
            Stamp::Local(date(2024, 8, 2).at(13, 54, 24, 0)),
        );
    }

    #[test]
    fn a_wsus_line_takes_its_stack_along() {
        let text = "2026-03-01 04:05:06.789 UTC\tWarning\tw3wp.94\tHmtWebServices.Check\tfailed\n   at A.B()\n\n   at C.D()\n2026-03-01 04:05:07.000 UTC\tInfo\tw3wp.9\tX.Y\tnext\n";
        let all = records(text);
        assert_eq!(all.len(), 2);
        check(
            text,
            Form::Wsus,
            "failed\n   at A.B()\n\n   at C.D()",
            "HmtWebServices.Check",
            94,
            Stamp::Utc(date(2026, 3, 1).at(4, 5, 6, 789_000_000)),
        );
    }

    #[test]
    fn bare_text_loses_a_trailing_component_and_keeps_everything_else() {
        check(
            "Found 1 SUPs                SMS_WSUS_SYNC_MANAGER",
            Form::Bare,
            "Found 1 SUPs",
            "SMS_WSUS_SYNC_MANAGER",
            0,
            Stamp::Absent,
        );
        check("$$<broken", Form::Bare, "$$<broken", "", 0, Stamp::Absent);
    }

    #[test]
    fn gmtdate_is_utc() {
        let line = "STATMSG: ID=6701 GMTDATE=Mon Aug 06 17:54:25.519 2007 ISTR0=\"\"";
        assert_eq!(gmtdate(line).map(|t| t.to_string()), Some("2007-08-06T17:54:25.519Z".to_owned()));
        assert_eq!(gmtdate("STATMSG: GMTDATE=<Date & Time> ISTR0="), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(10_000))]

        #[test]
        fn parsing_never_panics_and_records_cover_the_lines(text in "[\\PC\n<>$!\\[\\]~\"=0-9: ]{0,120}") {
            let all = records(&text);
            let covered: u64 = all.iter().map(|record| record.length).sum();
            proptest::prop_assert_eq!(covered, text.len() as u64);
        }
    }
}
