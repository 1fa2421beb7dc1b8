//! A line written in any form, zone and encoding is read back as its original: text, component, thread and time.

#![allow(clippy::disallowed_methods, clippy::expect_used, clippy::indexing_slicing)]

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use supwatch_model::time::Certainty;
use supwatch_reading::assemble::{Assembler, Decoded};
use supwatch_reading::clock::{Calibration, Clock, zones};
use supwatch_reading::encoding::{Decoder, Sample, code_page};
use supwatch_reading::lines::Lines;
use supwatch_reading::parse::{self, Form, Record};

/// An encoding for the text of a file: name, and the letters beyond ASCII that it supports.
const ENCODINGS: [(&str, &str); 9] = [
    ("utf-8", "é東한ж"),
    ("utf-8 with bom", "é東한ж"),
    ("utf-16le", "é東한ж"),
    ("utf-16be", "é東한ж"),
    ("cp932", "東京ソ表"),
    ("cp1252", "éüß€"),
    ("cp949", "한국어"),
    ("cp936", "中国时"),
    ("cp1251", "жщЁ"),
];

#[derive(Debug, Clone)]
struct Written {
    form: Form,
    message: String,
    component: String,
    thread: u32,
    /// Milliseconds since 1970.
    moment: i64,
    bias: i32,
    zone: usize,
    variant: u8,
    encoding: usize,
}

fn written() -> impl Strategy<Value = Written> {
    let form = prop_oneof![
        Just(Form::Server),
        Just(Form::Server2007),
        Just(Form::Ccm),
        Just(Form::Setup),
        Just(Form::Viewer),
        Just(Form::Wsus)
    ];
    let zones = zones::names().count();
    // Years in which the rules of every zone in the table are settled.
    let moment = 1_520_000_000_000_i64..1_900_000_000_000;
    (
        form,
        "[A-Za-z][A-Za-z0-9 ,.'<>$~\\[\\]\u{1}]{0,60}[A-Za-z0-9]",
        "SMS_[A-Z_]{3,20}",
        0..100_000_u32,
        moment,
        -56..=56_i32,
        0..zones,
        0..8_u8,
        0..ENCODINGS.len(),
    )
        .prop_map(|(form, message, component, thread, moment, quarters, zone, variant, encoding)| {
            // Letters of the encoding replace the generator's placeholders.
            let mut letters = ENCODINGS[encoding].1.chars().cycle();
            let message = message.chars().map(|c| if c == '\u{1}' { letters.next().unwrap_or('x') } else { c }).collect::<String>();
            let message = message.replace("$$<", "$<").replace("]LOG]!>", "]");
            Written { form, message, component, thread, moment, bias: quarters * 15, zone, variant, encoding }
        })
}

/// The expected result of reading it.
struct Expected {
    line: String,
    moment: Timestamp,
    certainty: Certainty,
    thread: u32,
    component: String,
    /// The zone that is configured for local times.
    configured: Option<TimeZone>,
}

fn write(written: &Written) -> Expected {
    let Written { form, message, component, thread, bias, variant, .. } = written;
    let moment = Timestamp::from_millisecond(written.moment).expect("a time");
    let whole = Timestamp::from_second(moment.as_second()).expect("a time");
    let shifted = moment - jiff::SignedDuration::from_mins(i64::from(*bias));
    let local = TimeZone::UTC.to_datetime(shifted);
    let mut line = String::new();
    let mut expected = Expected {
        line: String::new(),
        moment,
        certainty: Certainty::Bias,
        thread: *thread,
        component: component.clone(),
        configured: None,
    };
    let tokyo = || TimeZone::get("Asia/Tokyo").expect("known");
    match form {
        Form::Server => {
            let sign = if *bias < 0 { '-' } else { '+' };
            let width = if variant % 2 == 0 { 0 } else { 3 };
            let blanks = " ".repeat(usize::from(variant % 3));
            let stamp = local.strftime("%m-%d-%Y %H:%M:%S%.3f");
            write!(line, "{message}{blanks}$$<{component}><{stamp}{sign}{:0width$}><thread={thread} (0x{thread:X})>", bias.abs())
                .expect("text");
        }
        Form::Server2007 => {
            let (name, zone, daylight) = zones::names().nth(written.zone).expect("a zone");
            // A name in another alphabet, or of the other half of the year, cannot appear on this line.
            let zone = TimeZone::get(zone).expect("known");
            let is_daylight = zone.to_offset_info(moment).dst().is_dst();
            let encodable = name.is_ascii() || written.encoding < 4;
            let local = zone.to_datetime(moment);
            let stamp = local.strftime(if variant % 2 == 0 { "%a %b %d %H:%M:%S%.3f %Y" } else { "%a %b %-d %-H:%M:%S%.3f %Y" });
            if encodable && is_daylight == daylight {
                expected.certainty = Certainty::Zone;
                write!(line, "{message}  $$<{component}><{stamp} {name}><thread={thread} (0x{thread:X})>").expect("text");
            } else {
                expected.certainty = Certainty::Configured;
                expected.configured = Some(tokyo());
                let stamp = tokyo().to_datetime(moment).strftime("%a %b %d %H:%M:%S%.3f %Y");
                write!(line, "{message}  $$<{component}><{stamp}><thread={thread} (0x{thread:X})>").expect("text");
            }
        }
        Form::Ccm => {
            let (time, date) = if variant % 2 == 0 {
                let sign = if *bias < 0 { '-' } else { '+' };
                (format!("{}{sign}{:03}", local.strftime("%H:%M:%S%.3f"), bias.abs()), local.strftime("%m-%d-%Y").to_string())
            } else {
                (expected.certainty, expected.configured) = (Certainty::Configured, Some(tokyo()));
                let local = tokyo().to_datetime(moment);
                (local.strftime("%H:%M:%S%.7f").to_string(), local.strftime("%-m-%-d-%Y").to_string())
            };
            write!(line, "<![LOG[{message}]LOG]!><time=\"{time}\" date=\"{date}\" component=\"{component}\" context=\"\" type=\"1\" thread=\"{thread}\" file=\"a.cpp:1\">").expect("text");
        }
        Form::Setup => {
            (expected.certainty, expected.configured) = (Certainty::Configured, Some(tokyo()));
            (expected.moment, expected.thread, expected.component) = (whole, 0, String::new());
            write!(line, "<{}> {message}", tokyo().to_datetime(whole).strftime("%a %b %e %H:%M:%S %Y")).expect("text");
        }
        Form::Viewer => {
            (expected.certainty, expected.configured, expected.moment) = (Certainty::Configured, Some(tokyo()), whole);
            let local = tokyo().to_datetime(whole);
            let stamp = match variant % 3 {
                0 if local.day() > 12 => local.strftime("%-m/%-d/%Y %-I:%M:%S %p").to_string(),
                1 => local.strftime("%d.%m.%Y %H:%M:%S").to_string(),
                _ => local.strftime("%Y/%m/%d %H:%M:%S").to_string(),
            };
            let trailing = if variant % 2 == 0 { "\t" } else { "" };
            write!(line, "{message}\t{component}\t{stamp}\t{thread} (0x{thread:X}){trailing}").expect("text");
        }
        Form::Wsus => {
            expected.certainty = Certainty::Zone;
            expected.component = "CatalogSyncAgent.Work".to_owned();
            let stamp = TimeZone::UTC.to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S%.3f");
            write!(line, "{stamp} UTC\tInfo\tWsusService.{thread}\tCatalogSyncAgent.Work\t{message}").expect("text");
        }
        Form::Bare => {}
    }
    line.push_str(if variant % 4 == 3 { "\n" } else { "\r\n" });
    Expected { line, ..expected }
}

fn encoded(text: &str, encoding: &str) -> Vec<u8> {
    match encoding {
        "utf-8" => text.as_bytes().to_vec(),
        "utf-8 with bom" => format!("\u{feff}{text}").into_bytes(),
        "utf-16le" => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "utf-16be" => format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
        label => {
            let (bytes, _, lossy) = code_page(label).expect("known").encode(text);
            assert!(!lossy, "{text:?} is not all in {label}");
            bytes.into_owned()
        }
    }
}

fn check(written: &Written) -> Result<(), TestCaseError> {
    let expected = write(written);
    let label = ENCODINGS[written.encoding].0;
    let bytes = encoded(&expected.line, label);
    let mut decoder = Decoder::new(code_page(label).filter(|_| label.starts_with("cp")), Sample::new());
    let mut clock = Clock::new(expected.configured.clone(), Calibration::default(), None);
    let (mut lines, mut assembler, mut seen) = (Lines::new(0, None), Assembler::default(), Vec::new());
    let mut keep = |record: &Record<'_>| {
        let (time, certainty) = clock.resolve(&record.stamp, parse::gmtdate(record.message));
        seen.push((
            record.form,
            record.message.to_owned(),
            record.component.to_owned(),
            record.thread,
            time,
            certainty,
            record.mended,
        ));
    };
    let mut line = |line: supwatch_reading::lines::Line<'_>| {
        let text = decoder.text(&line);
        assembler.push(Decoded { offset: line.offset, length: line.length, text: &text }, &mut keep);
    };
    lines.feed(&bytes, &mut line);
    lines.finish(&mut line);
    assembler.flush(&mut keep);
    prop_assert_eq!(seen.len(), 1, "{:?} of {:?}", seen, expected.line);
    let (form, message, component, thread, time, certainty, mended) = &seen[0];
    prop_assert_eq!((*form, message, component), (written.form, &written.message, &expected.component), "{:?}", expected.line);
    prop_assert_eq!(
        (*thread, *time, *certainty, *mended),
        (expected.thread, Some(expected.moment), expected.certainty, false),
        "{:?}",
        expected.line
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
    ))]

    #[test]
    fn what_is_written_is_what_is_read(written in written()) {
        check(&written)?;
    }
}
