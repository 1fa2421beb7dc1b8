//! Line → record: component, time and message.
//!
//! Pure, borrows everything, and never fails: a line in no known form is a [`Form::Bare`] record. The form is determined per
//! line, since one file may mix them. [`crate::assemble`] joins records that span lines.

use jiff::Timestamp;
use jiff::civil::DateTime;

pub mod ccm;
pub mod fields;
pub mod server;
pub mod viewer;
pub mod wsus;
pub(crate) mod marks;
mod mended;
pub mod setup;

/// The form of a line.
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
    /// A copy from a log viewer: text, component, time and thread in columns, or the date first.
    Viewer,
    /// `YYYY-MM-DD HH:MM:SS.mmm UTC …`: WSUS's own log.
    Wsus,
    /// Text alone.
    Bare,
}

impl Form {
    /// Every form, in the order they are declared.
    pub const ALL: [Form; 7] = [Form::Server, Form::Server2007, Form::Ccm, Form::Setup, Form::Viewer, Form::Wsus, Form::Bare];

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

/// The time on a line, before conversion to UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stamp<'a> {
    /// No time.
    Absent,
    /// Local time, and the minutes to add to get UTC.
    Biased(DateTime, i32),
    /// Local time and the name of its Windows time zone.
    Zoned(DateTime, &'a str),
    /// Local time alone.
    Local(DateTime),
    /// Local time with a date whose order of day and month depends on a locale.
    Dated(viewer::Dated),
    /// UTC, as WSUS writes.
    Utc(DateTime),
}

/// Severity of a line, in forms that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The form has none.
    Absent,
    /// Informational.
    Info,
    /// A warning.
    Warning,
    /// An error: what the line says, not a judgement.
    Error,
}

/// The parsed parts of a record, which is one line or several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Length in the file, in bytes.
    pub length: u64,
    /// Number of lines of text.
    pub lines: u64,
    /// Its form.
    pub form: Form,
    /// The whole record, decoded.
    pub raw: &'a str,
    /// Message text.
    pub message: &'a str,
    /// Component; empty where the form has none.
    pub component: &'a str,
    /// Thread; 0 where the form has none.
    pub thread: u32,
    /// Time as written.
    pub stamp: Stamp<'a>,
    /// Severity, if the form has one.
    pub level: Level,
    /// Whether damaged marks were repaired to read it (`$<` for `$$<` and the like).
    pub mended: bool,
}

/// Parses a whole record in the first form that fits.
pub fn parse(raw: &str) -> Record<'_> {
    let first = raw.trim_start().as_bytes().first().copied().unwrap_or_default();
    let marked = match first {
        b'<' | b'[' => ccm::parse(raw).or_else(|| server::parse(raw)).or_else(|| setup::parse(raw)),
        _ => server::parse(raw).or_else(|| ccm::parse(raw)),
    };
    marked.or_else(|| wsus::parse(raw)).or_else(|| viewer::parse(raw)).or_else(|| mended::parse(raw)).unwrap_or_else(|| bare(raw))
}

impl<'a> Record<'a> {
    /// A record of a form that has only a message.
    fn new(form: Form, raw: &'a str, message: &'a str) -> Record<'a> {
        Record {
            offset: 0,
            length: 0,
            lines: 1,
            form,
            raw,
            message,
            component: "",
            thread: 0,
            stamp: Stamp::Absent,
            level: Level::Absent,
            mended: false,
        }
    }
}

/// Bare text; copies often keep the component's name at the end.
fn bare(raw: &str) -> Record<'_> {
    let trimmed = raw.trim();
    match split_component(trimmed) {
        Some((message, component)) => Record { component, ..Record::new(Form::Bare, raw, message) },
        None => Record::new(Form::Bare, raw, trimmed),
    }
}

/// A component's name at the end of a text.
pub fn split_component(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_end();
    let start = text.rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |blank| blank + 1);
    let (message, last) = text.split_at(start);
    fields::is_component(last).then(|| (message.trim(), last))
}

/// `GMTDATE=Www Mon DD HH:MM:SS.mmm YYYY` of a status message line: the UTC time at which it was written.
pub fn gmtdate(message: &str) -> Option<Timestamp> {
    if !message.trim_start_matches(['~', '?', ' ']).starts_with("STATMSG:") {
        return None;
    }
    let rest = message.get(message.find("GMTDATE=")? + 8..)?;
    let end = rest.find("ISTR").unwrap_or(rest.len());
    let (local, zone) = fields::asctime(rest.get(..end)?)?;
    zone.is_empty().then(|| jiff::tz::Offset::UTC.to_timestamp(local).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[track_caller]
    fn check(text: &str, form: Form, message: &str, component: &str, thread: u32, stamp: Stamp<'_>) {
        let record = parse(text);
        assert_eq!(
            (record.form, record.message, record.component, record.thread, record.stamp, record.mended),
            (form, message, component, thread, stamp, false)
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
            "a < b $$< c $$<SMS Provider><03-01-2026 04:05:06.789-60><thread=1 (0x1)>",
            Form::Server,
            "a < b $$< c",
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
            Stamp::Zoned(at, "Eastern Daylight Time"),
        );
        check("x $$<C><Mon Aug 06 07:54:25.519 2007><thread=756>", Form::Server2007, "x", "C", 756, Stamp::Local(at));
        let old = date(1995, 12, 4).at(15, 41, 45, 0);
        check("x~ $$<SMS_DESPOOLER><Mon Dec 04 15:41:45 1995~><thread=168>", Form::Server2007, "x~", "SMS_DESPOOLER", 0x168, {
            Stamp::Local(old)
        });
    }

    #[test]
    fn ccm_records_may_span_lines_and_lack_a_bias() {
        let at = date(2026, 3, 1).at(4, 5, 6, 789_000_000);
        let one = "<![LOG[two\nlines ] here]LOG]!><time=\"04:05:06.789-060\" date=\"3-01-2026\" component=\"C\" context=\"\" type=\"1\" thread=\"7\" file=\"a.cpp:1\">";
        check(one, Form::Ccm, "two\nlines ] here", "C", 7, Stamp::Biased(at, -60));
        let managed = "<![LOG[]LOG]!><time=\"04:05:06.7890000\" date=\"3-1-2026\" component=\"C\" context=\"\" type=\"3\" thread=\"7\" file=\"\">";
        check(managed, Form::Ccm, "", "C", 7, Stamp::Local(at));
        assert_eq!(parse(managed).level, Level::Error);
    }

    #[test]
    fn a_setup_line() {
        check(
            "<Sun Mar  1 04:05:06 2026> SMSWSUS Setup Started....",
            Form::Setup,
            "SMSWSUS Setup Started....",
            "",
            0,
            Stamp::Local(date(2026, 3, 1).at(4, 5, 6, 0)),
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
        check("a plain text", Form::Bare, "a plain text", "", 0, Stamp::Absent);
    }

    #[test]
    fn gmtdate_is_utc() {
        let line = "STATMSG: ID=6701 GMTDATE=Mon Aug 06 17:54:25.519 2007 ISTR0=\"\"";
        assert_eq!(gmtdate(line).map(|t| t.to_string()), Some("2007-08-06T17:54:25.519Z".to_owned()));
        assert_eq!(gmtdate("STATMSG: GMTDATE=<Date & Time> ISTR0="), None);
        assert_eq!(gmtdate("said GMTDATE=Mon Aug 06 17:54:25.519 2007"), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(crate::invariants::cases(10_000)))]

        #[test]
        fn parsing_never_panics_and_keeps_the_text(text in "[\\PC\n\t<>$!\\[\\]~\"=0-9: /.]{0,160}") {
            crate::invariants::parse(&text);
        }
    }
}
