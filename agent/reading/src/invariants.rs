//! Invariants of the reading stages for any input, checked by the property tests with generated text and by the fuzz targets.
//! Each function panics on a violation.

#![allow(clippy::disallowed_methods)] // for tests and fuzz targets alone: the number of cases, and the corpus
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing, clippy::missing_panics_doc)]

use supwatch_model::event::Event;
use supwatch_model::ids::SiteCode;

use crate::assemble::{Assembler, Decoded};
use crate::encoding::{Decoder, Sample};
use crate::lines::{Framing, LINE_LIMIT, Line, Lines};
use crate::parse::{self, Record};
use crate::reader::{Reader, Reading, Resume};

/// Number of cases per property test: `PROPTEST_CASES`, or what fits CI.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A line that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedLine {
    /// Offset in the file.
    pub offset: u64,
    /// Length in the file.
    pub length: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How it was framed.
    pub framing: Framing,
    /// Whether bytes were dropped.
    pub cut: bool,
}

impl OwnedLine {
    /// The line as the stages see it.
    pub fn line(&self) -> Line<'_> {
        Line { offset: self.offset, length: self.length, bytes: &self.bytes, framing: self.framing, cut: self.cut }
    }
}

/// The lines of some bytes that arrive in reads of these sizes.
pub fn lines_of(bytes: &[u8], sizes: &[usize]) -> Vec<OwnedLine> {
    let mut lines = Lines::new(0, None);
    let mut out = Vec::new();
    let mut keep = |line: Line<'_>| {
        let Line { offset, length, bytes, framing, cut } = line;
        out.push(OwnedLine { offset, length, bytes: bytes.to_vec(), framing, cut });
    };
    each_read(bytes, sizes, |read| lines.feed(read, &mut keep));
    lines.finish(&mut keep);
    out
}

fn each_read(bytes: &[u8], sizes: &[usize], mut read: impl FnMut(&[u8])) {
    let (mut rest, mut sizes) = (bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (now, after) = rest.split_at(size);
        read(now);
        rest = after;
    }
}

/// Any split into reads gives the same lines; offsets, bytes and lengths rebuild the file.
pub fn lines(bytes: &[u8], sizes: &[usize]) {
    let whole = lines_of(bytes, &[usize::MAX]);
    assert_eq!(whole, lines_of(bytes, sizes));
    let mut at = 0;
    for line in &whole {
        assert_eq!(line.offset, at as u64);
        let length = usize::try_from(line.length).expect("small");
        let place = &bytes[at..at + length];
        let nuls = if line.framing == Framing::Bytes { place.iter().take_while(|byte| **byte == 0).count() } else { 0 };
        assert!(place[nuls..].starts_with(&line.bytes), "a line is not what stands at its place");
        let behind = &place[nuls + line.bytes.len()..];
        assert!(line.cut || behind.iter().all(|byte| [0, b'\n', b'\r'].contains(byte)), "bytes are in no line");
        at += length;
    }
    assert_eq!(at, bytes.len(), "bytes are in no line");
}

/// Decoding never fails, limits its text, and does not depend on the sample of an earlier decoder.
pub fn decode(bytes: &[u8]) {
    let mut decoder = Decoder::new(None, Sample::new());
    for line in lines_of(bytes, &[usize::MAX]) {
        let text = decoder.text(&line.line());
        assert!(text.len() <= LINE_LIMIT);
        if std::str::from_utf8(&line.bytes).is_ok_and(|text| !text.contains(['\0', '\u{feff}']) && text.len() <= LINE_LIMIT)
            && line.framing == Framing::Bytes
        {
            assert_eq!(text.as_bytes(), line.bytes);
        }
    }
    let again = Decoder::new(None, decoder.sample().clone());
    assert_eq!(again.sample(), decoder.sample());
}

/// The records of a text.
pub fn records(text: &str, sink: &mut impl FnMut(&Record<'_>)) {
    let mut assembler = Assembler::default();
    let mut decoder = Decoder::default();
    for line in lines_of(text.as_bytes(), &[usize::MAX]) {
        let decoded = decoder.text(&line.line());
        assembler.push(Decoded { offset: line.offset, length: line.length, text: &decoded }, sink);
    }
    assembler.flush(sink);
}

/// Parsing never panics, the records cover the lines in order, and their raw texts contain every byte of every line.
pub fn parse(text: &str) {
    let mut at = 0;
    let mut raw = String::new();
    records(text, &mut |record| {
        if record.length > 0 {
            assert_eq!(record.offset, at);
            at += record.length;
        } else {
            assert_eq!(record.offset, at, "a record that shares a line begins where the line does");
        }
        assert!(record.raw.contains(record.message) && record.raw.contains(record.component));
        raw.push_str(record.raw);
        let _ = parse::gmtdate(record.message);
    });
    assert_eq!(at, text.len() as u64);
    if lines_of(text.as_bytes(), &[usize::MAX]).iter().any(|line| line.framing != Framing::Bytes || line.cut) {
        // Zero bytes that look like UTF-16 decode to other text.
        return;
    }
    let bare = |text: &str| text.replace(['\n', '\r', '\0', '\u{feff}'], "");
    assert_eq!(bare(&raw), bare(text), "raw texts do not rebuild the file");
}

/// The events of some bytes that arrive in reads of these sizes.
pub fn events_of(bytes: &[u8], sizes: &[usize]) -> Vec<Event> {
    let mut reader = Reader::new(SiteCode::UNKNOWN, "wsyncmgr.log", &Reading::default(), &Resume::default());
    let mut out = Vec::new();
    each_read(bytes, sizes, |read| reader.feed(read, &mut out));
    reader.finish(&mut out);
    out
}

/// Bytes → events never panics, whatever the reads; every event fits the spool.
pub fn recognise(bytes: &[u8], sizes: &[usize]) {
    let whole = events_of(bytes, &[usize::MAX]);
    assert_eq!(whole, events_of(bytes, sizes));
    for event in whole {
        let size = prost::Message::encoded_len(&supwatch_proto::wire::Event::from(event));
        assert!(size < 88 * 1024, "an event of {size} bytes");
    }
}

/// Names of the fuzz targets; each has a folder of inputs in `fuzz/corpus`.
pub const TARGETS: [&str; 4] = ["lines", "decode", "parse", "recognise"];

/// Runs one input of a fuzz target. Where read sizes matter, the first two bytes give them.
pub fn target(name: &str, data: &[u8]) {
    let (sizes, rest) = data.split_at(data.len().min(2));
    let sizes: Vec<usize> = sizes.iter().map(|byte| usize::from(*byte) + 1).chain([1]).collect();
    match name {
        "lines" => lines(rest, &sizes),
        "decode" => decode(data),
        "parse" => parse(&String::from_utf8_lossy(data)),
        "recognise" => recognise(rest, &sizes),
        other => panic!("no such target: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_a_fuzzer_found_worth_keeping_holds() {
        for name in TARGETS {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut inputs = 0;
            for entry in std::fs::read_dir(&folder).expect("the corpus") {
                target(name, &std::fs::read(entry.expect("an input").path()).expect("read"));
                inputs += 1;
            }
            assert!(inputs >= 10, "{name} has {inputs} inputs");
        }
    }
}
