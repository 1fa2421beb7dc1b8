//! Bytes of a log → whole lines, whatever the encoding and however the reads fall.
//!
//! Pure. Cuts on bytes and decodes afterwards, so a read may end anywhere. It never judges a line and never drops a
//! byte silently: offsets and lengths of the lines, with the bytes still held back, cover the file.

use std::sync::OnceLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use serde::{Deserialize, Serialize};

/// Longest text of a line that is kept; sled must not make a blob of it, and no log line means more.
pub const LINE_LIMIT: usize = 64 * 1024;

/// How the bytes of a file are cut into lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// One byte per line feed: UTF-8 and all ANSI code pages.
    Bytes,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

/// One line without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Bytes it takes in the file, line end included.
    pub length: u64,
    /// Its text, decoded.
    pub text: String,
    /// Whether a line end was there.
    pub terminated: bool,
    /// Whether text beyond [`LINE_LIMIT`] was cut away.
    pub cut: bool,
}

/// Cuts a file into lines.
#[derive(Debug)]
pub struct Lines {
    framing: Option<Framing>,
    code_page: Option<&'static Encoding>,
    guessed: OnceLock<&'static Encoding>,
    not_utf8: bool,
    /// Offset of the first byte of `pending`.
    offset: u64,
    pending: Vec<u8>,
    /// Bytes of an over-long line that were let go.
    skipped: u64,
    /// How far `pending` was searched for a line end.
    searched: usize,
}

impl Lines {
    /// Begins at an offset. `framing` is known when a file is resumed; from offset 0 it is found out.
    pub fn new(offset: u64, framing: Option<Framing>, code_page: Option<&'static Encoding>) -> Lines {
        let framing = framing.or((offset > 0).then_some(Framing::Bytes));
        Lines {
            framing,
            code_page,
            guessed: OnceLock::new(),
            not_utf8: false,
            offset,
            pending: Vec::new(),
            skipped: 0,
            searched: 0,
        }
    }

    /// Offset of the first byte that no finished line covers: reading may be resumed here.
    pub fn resume_offset(&self) -> u64 {
        self.offset
    }

    /// How the file is cut, once known.
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Name of the encoding, as far as it showed.
    pub fn encoding_name(&self) -> &'static str {
        match self.framing {
            Some(Framing::Utf16Le) => "utf-16le",
            Some(Framing::Utf16Be) => "utf-16be",
            _ if !self.not_utf8 => "utf-8",
            _ => self.code_page.or(self.guessed.get().copied()).map_or("utf-8", Encoding::name),
        }
    }

    /// Takes the next bytes and gives the lines they end.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Line>) {
        self.pending.extend_from_slice(bytes);
        if self.framing.is_none() {
            // Four bytes decide between UTF-16 and the rest; a file this short holds no line yet.
            if self.pending.len() < 4 {
                return;
            }
            self.framing = Some(detect(&self.pending));
        }
        self.cut_lines(out);
        self.limit();
    }

    /// Bytes at the end of what was fed that are NUL: space that a writer reserved and may still fill. They are given
    /// back: the caller reads them again from [`Lines::resume_offset`] plus what is pending.
    pub fn give_back_trailing_nuls(&mut self) -> u64 {
        if self.framing != Some(Framing::Bytes) {
            return 0;
        }
        let kept = self.pending.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let nuls = self.pending.len() - kept;
        self.pending.truncate(kept);
        self.searched = self.searched.min(kept);
        nuls as u64
    }

    /// The file is finished: what is left becomes a last line without an end.
    pub fn finish(&mut self, out: &mut Vec<Line>) {
        if self.framing.is_none() {
            self.framing = Some(detect(&self.pending));
            self.cut_lines(out);
        }
        let rest = std::mem::take(&mut self.pending);
        self.searched = 0;
        if !rest.is_empty() || self.skipped > 0 {
            let length = rest.len() as u64 + std::mem::take(&mut self.skipped);
            out.push(self.line(&rest, length, false));
            self.offset += length;
        }
    }

    fn cut_lines(&mut self, out: &mut Vec<Line>) {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        let mut searched = self.searched;
        while let Some(end) = self.find_line_end(rest, searched) {
            searched = 0;
            let (line, after) = rest.split_at(end);
            rest = after;
            let length = line.len() as u64 + std::mem::take(&mut self.skipped);
            out.push(self.line(line, length, true));
            self.offset += length;
        }
        self.searched = rest.len();
        self.pending = if rest.len() == pending.len() { pending } else { rest.to_vec() };
    }

    /// Index behind the next line end.
    fn find_line_end(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let wide = |unit: [u8; 2]| {
            let start = from.saturating_sub(1) & !1;
            let units = bytes.get(start..)?.chunks_exact(2);
            units.enumerate().find(|(_, pair)| *pair == unit).map(|(index, _)| start + index * 2 + 2)
        };
        match self.framing {
            Some(Framing::Utf16Le) => wide([b'\n', 0]),
            Some(Framing::Utf16Be) => wide([0, b'\n']),
            _ => bytes.get(from..)?.iter().position(|byte| *byte == b'\n').map(|index| from + index + 1),
        }
    }

    /// Keeps the memory of an endless line bounded.
    fn limit(&mut self) {
        let limit = LINE_LIMIT * 2;
        if self.pending.len() > limit {
            let excess = (self.pending.len() - limit) & !1;
            self.skipped += excess as u64;
            // The tail is what goes: the head tells what the line is.
            self.pending.truncate(self.pending.len() - excess);
            self.searched = self.searched.min(self.pending.len());
        }
    }

    fn line(&mut self, bytes: &[u8], length: u64, terminated: bool) -> Line {
        let cut_bytes = length > bytes.len() as u64;
        let mut text = self.decode(bytes);
        while text.ends_with(['\n', '\r']) && terminated {
            let was_feed = text.pop() == Some('\n');
            if !was_feed {
                break;
            }
        }
        let mut cut = cut_bytes;
        if text.len() > LINE_LIMIT {
            let end = (0..=LINE_LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            cut = true;
        }
        Line { offset: self.offset, length, text, terminated, cut }
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        let wide = match self.framing {
            Some(Framing::Utf16Le) => Some(UTF_16LE),
            Some(Framing::Utf16Be) => Some(UTF_16BE),
            _ => None,
        };
        let text = match wide {
            Some(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            None => {
                let bytes = trim_nuls(bytes);
                match std::str::from_utf8(bytes) {
                    Ok(text) => text.to_owned(),
                    Err(_) => {
                        self.not_utf8 = true;
                        self.ansi(bytes).decode_without_bom_handling(bytes).0.into_owned()
                    }
                }
            }
        };
        // A BOM may stand before every line (role setup logs), so it goes wherever a line begins with one.
        match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        }
    }

    /// The configured code page, or one guess per file: the first line that is not UTF-8 decides.
    fn ansi(&self, bytes: &[u8]) -> &'static Encoding {
        self.code_page.unwrap_or_else(|| {
            self.guessed.get_or_init(|| {
                let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
                detector.feed(bytes, true);
                detector.guess(None, Utf8Detection::Deny)
            })
        })
    }
}

fn trim_nuls(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(start, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

fn detect(bytes: &[u8]) -> Framing {
    match bytes {
        [0xff, 0xfe, ..] => Framing::Utf16Le,
        [0xfe, 0xff, ..] => Framing::Utf16Be,
        // Without a BOM: the first two characters of a log are ASCII.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Framing::Utf16Le,
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Framing::Utf16Be,
        _ => Framing::Bytes,
    }
}

/// The encoding that a configured label names; the labels administrators use for Windows code pages too.
pub fn code_page(label: &str) -> Option<&'static Encoding> {
    let standard = match label.to_ascii_lowercase().trim_start_matches("cp") {
        "932" => "shift_jis".to_owned(),
        "936" => "gbk".to_owned(),
        "949" => "euc-kr".to_owned(),
        "950" => "big5".to_owned(),
        "65001" => "utf-8".to_owned(),
        number if number.len() == 4 && number.starts_with("125") => format!("windows-{number}"),
        _ => label.to_owned(),
    };
    Encoding::for_label(standard.as_bytes()).filter(|encoding| *encoding != UTF_8 || standard.starts_with("utf"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(bytes: &[u8], sizes: &[usize], code_page: Option<&'static Encoding>) -> Vec<Line> {
        let mut lines = Lines::new(0, None, code_page);
        let (mut out, mut rest, mut sizes) = (Vec::new(), bytes, sizes.iter().cycle());
        while !rest.is_empty() {
            let (now, after) = rest.split_at(rest.len().min(*sizes.next().unwrap_or(&1).max(&1)));
            lines.feed(now, &mut out);
            rest = after;
        }
        lines.finish(&mut out);
        out
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str]) {
        let texts: Vec<String> = cut(bytes, &[3], None).into_iter().map(|line| line.text).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn line_ends_are_taken_off_once() {
        check(b"one\r\ntwo\nthree\r\r\n\nlast", &["one", "two", "three\r", "", "last"]);
    }

    #[test]
    fn utf16_of_both_kinds_with_and_without_a_bom_is_read() {
        for (bom, big) in [(true, false), (true, true), (false, false), (false, true)] {
            let text = format!("{}one\r\n東京\n", if bom { "\u{feff}" } else { "" });
            let bytes: Vec<u8> = text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect();
            check(&bytes, &["one", "東京"]);
        }
    }

    #[test]
    fn a_bom_goes_wherever_a_line_begins_with_one() {
        check("\u{feff}one\n\u{feff}two\n".as_bytes(), &["one", "two"]);
    }

    #[test]
    fn ansi_text_is_guessed_or_configured() {
        let text = "リモート名を解決できませんでした。同期に失敗しました";
        let (bytes, ..) = encoding_rs::SHIFT_JIS.encode(text);
        assert_eq!(cut(&bytes, &[5], None).first().map(|l| l.text.as_str()), Some(text));
        let (bytes, ..) = encoding_rs::WINDOWS_1252.encode("Gerät");
        assert_eq!(cut(&bytes, &[5], code_page("cp1252")).first().map(|l| l.text.as_str()), Some("Gerät"));
    }

    #[test]
    fn an_unfinished_line_is_held_back() {
        let mut lines = Lines::new(0, None, None);
        let mut out = Vec::new();
        lines.feed(b"whole line\nhalf a", &mut out);
        assert_eq!((out.len(), lines.resume_offset()), (1, 11));
    }

    #[test]
    fn trailing_nuls_are_given_back_and_inner_ones_skipped() {
        let mut lines = Lines::new(0, None, None);
        let mut out = Vec::new();
        lines.feed(b"one\n\0\0\0\0", &mut out);
        assert_eq!(lines.give_back_trailing_nuls(), 4);
        lines.feed(b"\0\0two\n", &mut out);
        assert_eq!(out.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    }

    #[test]
    fn an_endless_line_takes_bounded_memory_and_says_it_was_cut() {
        let mut lines = Lines::new(0, None, None);
        let mut out = Vec::new();
        for _ in 0..400 {
            lines.feed(&[b'x'; 4096], &mut out);
            assert!(lines.pending.len() <= LINE_LIMIT * 2);
        }
        lines.feed(b"\nnext\n", &mut out);
        assert_eq!(out.len(), 2);
        assert!(out[0].cut && out[0].length == 400 * 4096 + 1 && out[0].text.len() == LINE_LIMIT);
        assert_eq!((out[1].text.as_str(), out[1].offset), ("next", 400 * 4096 + 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn any_split_into_reads_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(0u8)], 0..200),
            sizes in proptest::collection::vec(1usize..20, 1..8),
        ) {
            let whole = cut(&bytes, &[usize::MAX], None);
            prop_assert_eq!(&whole, &cut(&bytes, &sizes, None));
            let mut at = 0;
            for line in &whole {
                prop_assert_eq!(line.offset, at);
                at += line.length;
            }
            prop_assert_eq!(at, bytes.len() as u64);
        }
    }
}
