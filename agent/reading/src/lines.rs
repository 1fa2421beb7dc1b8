//! Bytes of a log → complete lines, independent of read boundaries.
//!
//! Pure. Splits bytes before any decoding, so a read may end anywhere, and returns slices of the input, so a line costs no copy.
//! It does not interpret lines and never drops a byte silently: the lines' offsets and lengths, with the bytes still held back,
//! cover the file.

use serde::{Deserialize, Serialize};

/// Longest text of a line that is kept; longer values would become blobs in sled, and no log line needs more.
pub const LINE_LIMIT: usize = 64 * 1024;

/// Most bytes of a line that are held: [`LINE_LIMIT`] characters of UTF-16.
const HELD: usize = LINE_LIMIT * 2;

/// How the bytes of a file are split into lines.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Length in the file, in bytes, line end included.
    pub length: u64,
    /// Bytes as in the file, without leading NULs.
    pub bytes: &'a [u8],
    /// How it was framed.
    pub framing: Framing,
    /// Whether bytes beyond the limit were dropped.
    pub cut: bool,
}

/// Splits a file into lines.
#[derive(Debug)]
pub struct Lines {
    framing: Option<Framing>,
    /// Offset of the first byte of `pending`.
    offset: u64,
    pending: Vec<u8>,
    /// Bytes of an over-long line that were dropped.
    skipped: u64,
    /// NULs before the first byte of the line, and after the last one so far: preallocated space, counted and not stored.
    nuls: (u64, u64),
    /// How far `pending` has been searched for a line end.
    searched: usize,
}

impl Lines {
    /// Starts at an offset. `framing` is known when a file is resumed; from offset 0 it is detected.
    pub fn new(offset: u64, framing: Option<Framing>) -> Lines {
        let framing = framing.or((offset > 0).then_some(Framing::Bytes));
        Lines { framing, offset, pending: Vec::new(), skipped: 0, nuls: (0, 0), searched: 0 }
    }

    /// Offset of the first byte that no finished line covers: reading can resume here.
    pub fn resume_offset(&self) -> u64 {
        self.offset
    }

    /// The framing, once known.
    pub fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// Takes the next bytes and returns the lines they complete.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        match self.framing {
            Some(Framing::Bytes) => self.feed_bytes(bytes, sink),
            Some(_) => {
                self.pending.extend_from_slice(bytes);
                self.cut_wide(sink);
            }
            None => {
                self.pending.extend_from_slice(bytes);
                // Four bytes distinguish UTF-16 from the rest; a shorter file holds no line yet.
                if self.pending.len() >= 4 {
                    self.begin(sink);
                }
            }
        }
    }

    /// Trailing NUL bytes of the input: space that a writer preallocated and may still fill. They are given back: the caller
    /// reads them again from [`Lines::resume_offset`] plus what is pending.
    pub fn give_back_trailing_nuls(&mut self) -> u64 {
        let before = if self.pending.is_empty() && self.skipped == 0 { std::mem::take(&mut self.nuls.0) } else { 0 };
        before + std::mem::take(&mut self.nuls.1)
    }

    /// Ends the file: the remaining bytes become a last line without a line end.
    pub fn finish(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        if self.framing.is_none() {
            self.begin(sink);
        }
        let rest = std::mem::take(&mut self.pending);
        self.searched = 0;
        let skipped = std::mem::take(&mut self.skipped);
        let (before, behind) = std::mem::take(&mut self.nuls);
        let length = before + rest.len() as u64 + skipped + behind;
        if length > 0 {
            self.emit(&rest, length, skipped > 0, sink);
        }
    }

    /// Detects the framing from the first bytes.
    fn begin(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        let held = std::mem::take(&mut self.pending);
        self.framing = Some(detect(&held));
        self.feed(&held, sink);
    }

    fn feed_bytes(&mut self, bytes: &[u8], sink: &mut impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        if !self.pending.is_empty() || self.skipped > 0 || self.nuls != (0, 0) {
            let Some(end) = memchr::memchr(b'\n', rest) else { return self.hold(rest) };
            let (head, tail) = rest.split_at(end + 1);
            self.hold(head);
            rest = tail;
            let mut line = std::mem::take(&mut self.pending);
            let skipped = std::mem::take(&mut self.skipped);
            let (before, behind) = std::mem::take(&mut self.nuls);
            self.emit(&line, before + line.len() as u64 + skipped + behind, skipped > 0, sink);
            // Its memory is reused for the next line.
            line.clear();
            self.pending = line;
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', rest) {
            let whole = rest.get(start..=end).unwrap_or_default();
            start = end + 1;
            let nuls = leading_nuls(whole);
            let line = whole.get(nuls..).unwrap_or_default();
            self.emit(line.get(..HELD).unwrap_or(line), whole.len() as u64, line.len() > HELD, sink);
        }
        self.hold(rest.get(start..).unwrap_or_default());
    }

    /// Keeps the beginning of a line. Memory stays bounded for an endless line, and preallocated space takes none.
    fn hold(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.pending.is_empty() && self.skipped == 0 {
            let nuls = leading_nuls(bytes);
            self.nuls.0 += nuls as u64;
            bytes = bytes.get(nuls..).unwrap_or_default();
        }
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            self.nuls.1 += bytes.len() as u64;
            return;
        };
        // NULs that turn out to be inside the line belong to it.
        let inner = std::mem::take(&mut self.nuls.1);
        let room = HELD.saturating_sub(self.pending.len());
        let zeros = room.min(usize::try_from(inner).unwrap_or(usize::MAX));
        self.pending.resize(self.pending.len() + zeros, 0);
        self.skipped += inner - zeros as u64;
        let (body, behind) = bytes.split_at(last + 1);
        let room = HELD.saturating_sub(self.pending.len());
        let (kept, gone) = body.split_at(body.len().min(room));
        self.pending.extend_from_slice(kept);
        self.skipped += gone.len() as u64;
        self.nuls.1 = behind.len() as u64;
    }

    /// UTF-16: a line end is a whole code unit, counted from the start of the line.
    fn cut_wide(&mut self, sink: &mut impl FnMut(Line<'_>)) {
        let unit = if self.framing == Some(Framing::Utf16Le) { [b'\n', 0] } else { [0, b'\n'] };
        let pending = std::mem::take(&mut self.pending);
        let (mut start, mut searched) = (0, self.searched);
        while let Some(end) = wide_line_end(pending.get(start..).unwrap_or_default(), searched, unit) {
            searched = 0;
            let line = pending.get(start..start + end).unwrap_or_default();
            start += end;
            let skipped = std::mem::take(&mut self.skipped);
            let cut = skipped > 0 || line.len() > HELD;
            self.emit(line.get(..HELD).unwrap_or(line), line.len() as u64 + skipped, cut, sink);
        }
        self.pending = if start == 0 { pending } else { pending.get(start..).unwrap_or_default().to_vec() };
        let excess = self.pending.len().saturating_sub(HELD) & !1;
        // The tail is cut: the beginning identifies the line.
        self.skipped += excess as u64;
        self.pending.truncate(self.pending.len() - excess);
        self.searched = self.pending.len();
    }

    fn emit(&mut self, bytes: &[u8], length: u64, cut: bool, sink: &mut impl FnMut(Line<'_>)) {
        let framing = self.framing.unwrap_or(Framing::Bytes);
        let bytes = if cut { bytes } else { without_line_end(bytes, framing) };
        sink(Line { offset: self.offset, length, bytes, framing, cut });
        self.offset += length;
    }
}

fn wide_line_end(bytes: &[u8], searched: usize, unit: [u8; 2]) -> Option<usize> {
    let start = searched.saturating_sub(1) & !1;
    let units = bytes.get(start..)?.chunks_exact(2);
    units.enumerate().find(|(_, pair)| *pair == unit).map(|(index, _)| start + index * 2 + 2)
}

fn leading_nuls(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())
}

/// Removes one line feed, and one carriage return before it.
fn without_line_end(bytes: &[u8], framing: Framing) -> &[u8] {
    let (feed, back): (&[u8], &[u8]) = match framing {
        Framing::Bytes => (b"\n", b"\r"),
        Framing::Utf16Le => (b"\n\0", b"\r\0"),
        Framing::Utf16Be => (b"\0\n", b"\0\r"),
    };
    match bytes.strip_suffix(feed) {
        Some(line) => line.strip_suffix(back).unwrap_or(line),
        None => bytes,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::{self, cases};
    use proptest::prelude::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str]) {
        let lines = invariants::lines_of(bytes, &[3]);
        let texts: Vec<String> = lines.iter().map(|line| String::from_utf8_lossy(&line.bytes).into_owned()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn line_ends_are_taken_off_once() {
        check(b"one\r\ntwo\nthree\r\r\n\nlast", &["one", "two", "three\r", "", "last"]);
    }

    #[test]
    fn an_unfinished_line_is_held_back() {
        let mut lines = Lines::new(0, None);
        let mut count = 0;
        lines.feed(b"whole line\nhalf a", &mut |_| count += 1);
        assert_eq!((count, lines.resume_offset()), (1, 11));
    }

    #[test]
    fn trailing_nuls_are_given_back_and_inner_ones_read_again() {
        let mut lines = Lines::new(0, None);
        let mut out = Vec::new();
        lines.feed(b"one\n\0\0\0\0", &mut |line| out.push(line.bytes.to_vec()));
        assert_eq!(lines.give_back_trailing_nuls(), 4);
        lines.feed(b"\0\0two\n", &mut |line| out.push(line.bytes.to_vec()));
        assert_eq!(out, [b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn reserved_space_of_any_size_hides_no_text() {
        for size in [10, 140_000, 300_000] {
            let mut bytes = b"half a line".to_vec();
            bytes.resize(size, 0);
            let mut lines = Lines::new(0, None);
            let mut out = Vec::new();
            for chunk in bytes.chunks(64 * 1024) {
                lines.feed(chunk, &mut |line| out.push(line.bytes.to_vec()));
                lines.give_back_trailing_nuls();
            }
            lines.feed(b", whole\n", &mut |line| out.push(line.bytes.to_vec()));
            assert_eq!(
                out,
                [b"half a line, whole"
                    .get(..if size == 10 { 10 } else { 11 })
                    .map_or(Vec::new(), |head| { [head, b", whole"].concat() })]
            );
            let mut whole = vec![0; size];
            whole.extend_from_slice(b"text\n");
            assert_eq!(invariants::lines_of(&whole, &[4096]).last().map(|line| line.bytes.clone()), Some(b"text".to_vec()));
            invariants::lines(&whole, &[4096, 7]);
        }
    }

    #[test]
    fn an_endless_line_takes_bounded_memory_and_is_marked_as_cut() {
        let mut lines = Lines::new(0, None);
        let mut out = Vec::new();
        let mut feed = |lines: &mut Lines, bytes: &[u8]| {
            lines.feed(bytes, &mut |line| out.push((line.offset, line.length, line.bytes.len(), line.cut)));
        };
        for _ in 0..400 {
            feed(&mut lines, &[b'x'; 4096]);
            assert!(lines.pending.len() <= HELD);
        }
        feed(&mut lines, b"\nnext\n");
        assert_eq!(out, [(0, 400 * 4096 + 1, HELD, true), (400 * 4096 + 1, 5, 4, false)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases(10_000)))]

        #[test]
        fn any_split_into_reads_gives_the_same_lines_and_they_rebuild_the_file(
            bytes in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n'), 1 => Just(0u8)], 0..200),
            sizes in proptest::collection::vec(1usize..20, 1..8),
        ) {
            invariants::lines(&bytes, &sizes);
        }
    }
}
