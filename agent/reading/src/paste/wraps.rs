//! Rejoins lines that an editor, a mailer or a terminal broke at its width.
//!
//! Lines with marks end with them. A line without marks continues on the next one if that begins no message and its first word
//! did not fit.

use super::{Piece, begins, characters, is_whole};
use crate::parse::marks::{CCM_CLOSE, SERVER};

/// Most pieces of one line: a status message in a narrow column.
const BROKEN: usize = 80;
/// Widest column at which lines are broken.
const WIDEST: usize = 260;
/// Number of lines of equal width that prove a break at that width, whatever the text there.
const SHOWN: usize = 3;

/// How the lines of a text were broken.
#[derive(Debug, Clone, Copy)]
struct Width {
    /// Characters of the widest broken line.
    limit: usize,
    /// Whether breaks also occur within words.
    hard: bool,
    /// The line as pasted, or as rebuilt so far.
    as_it_came: bool,
}

impl Width {
    fn of(self, piece: &Piece) -> usize {
        if self.as_it_came { piece.width } else { piece.text.chars().count() }
    }
}

/// Rejoins broken lines.
pub(super) fn off(pieces: Vec<Piece>) -> Vec<Piece> {
    let pieces: Vec<Piece> = pieces.into_iter().filter(|piece| !piece.text.trim().is_empty()).collect();
    let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let all = characters::entities(&all);
    let marked = all.contains("<thread=") || CCM_CLOSE.find(&all).is_some() || pieces.iter().any(|piece| ends_whole(&piece.text));
    let broken = broken_lines(&pieces);
    let Some(width) = width(&pieces, &broken) else { return pieces };
    // Unrelated lines follow each other too, so most lines must be full.
    let full =
        |at: &&usize| pieces.get(**at).zip(pieces.get(**at + 1)).is_some_and(|(piece, next)| is_full(piece, &next.text, width));
    if !marked && broken.iter().filter(full).count() * 3 < broken.len() * 2 {
        return pieces;
    }
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        let lines = group(&pieces, at, marked, width);
        let mut line = piece.clone();
        for (before, next) in pieces.iter().skip(at).zip(pieces.iter().skip(at + 1)).take(lines - 1) {
            join(&mut line.text, before, &next.text, width);
            line.width = 0;
        }
        out.push(line);
        at += lines;
    }
    out
}

/// Number of lines from here that form one.
fn group(pieces: &[Piece], at: usize, marked: bool, width: Width) -> usize {
    let Some(first) = pieces.get(at) else { return 1 };
    let mut text = first.text.clone();
    let (mut lines, mut full) = (1, true);
    // If no marks end it, lines that were joined only in expectation of marks are separated again.
    let mut sure = 1;
    while !ends_whole(&text) && lines < BROKEN {
        let (Some(before), Some(next)) = (pieces.get(at + lines - 1), pieces.get(at + lines)) else { return sure };
        let fits_not = is_full(before, &next.text, width);
        let goes_on = marked && fits_not && !is_whole(&next.text) && !has_end(&text);
        if starts(&next.text) && !goes_on {
            return sure;
        }
        if !marked && (!fits_not || has_end(&text)) {
            return sure;
        }
        // A whole line of unknown words, below text that a person typed.
        if marked && !fits_not && is_whole(&next.text) && !starts(&first.text) {
            return sure;
        }
        join(&mut text, before, &next.text, width);
        lines += 1;
        full &= fits_not;
        if full {
            sure = lines;
        }
    }
    if ends_whole(&text) { lines } else { sure }
}

/// Whether a text contains the last field of its status message.
fn has_end(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("STATMSG:") && text.contains("NUMATTRS=") && !text.ends_with('=')
}

/// Whether a text ends in the marks that end a line, after a message's text.
fn ends_whole(text: &str) -> bool {
    is_whole(&characters::entities(text))
}

/// Whether a line begins a log line.
fn starts(text: &str) -> bool {
    begins(&characters::entities(text.trim_start()))
}

/// Whether the first word of the next line did not fit on this one.
fn is_full(piece: &Piece, next: &str, width: Width) -> bool {
    let word = next.split_whitespace().next().map_or(0, |word| word.chars().count());
    let length = width.of(piece);
    length <= width.limit && length + 1 + word > width.limit
}

/// Indexes of lines that continue on the next one, as far as that shows without knowing the width.
fn broken_lines(pieces: &[Piece]) -> Vec<usize> {
    let follows = |at: usize| pieces.get(at + 1).is_some_and(|next| !starts(&next.text));
    let (mut open, mut found) = (false, Vec::new());
    for (at, piece) in pieces.iter().enumerate() {
        open = (open || starts(&piece.text)) && !ends_whole(&piece.text);
        if open && follows(at) && piece.width > 0 {
            found.push(at);
        }
    }
    found
}

/// The width at which lines were broken; `None` if they were not.
fn width(pieces: &[Piece], broken: &[usize]) -> Option<Width> {
    let measured = [true, false].map(|as_it_came| {
        let mut widths: Vec<usize> = broken
            .iter()
            .filter_map(|at| pieces.get(*at))
            .map(|piece| if as_it_came { piece.width } else { piece.text.chars().count() })
            .collect();
        widths.sort_unstable();
        let limit = widths.last().copied().unwrap_or(0);
        // An editor may have removed trailing blanks.
        let at_limit = widths.iter().filter(|width| **width == limit).count();
        let near = widths.iter().filter(|width| **width + 2 >= limit).count();
        let hard = at_limit >= SHOWN && near == widths.len();
        (Width { limit, hard, as_it_came }, at_limit)
    });
    // The marks may precede or follow the breaks; at the right width, more lines end in them.
    let [(came, by_coming), (stands, by_standing)] = measured;
    let shorter = by_standing == by_coming && stands.limit < came.limit;
    let width = if by_standing > by_coming || shorter { stands } else { came };
    (width.limit > 0 && width.limit <= WIDEST).then_some(width)
}

/// Appends the next line to a text, with a blank between them where there was one.
fn join(text: &mut String, before: &Piece, next: &str, width: Width) {
    let at_limit = width.of(before) >= width.limit;
    if width.hard && at_limit {
        text.push_str(next);
        return;
    }
    let next = next.trim_start();
    let last = text.rsplit([' ', '\t']).next().unwrap_or_default();
    let first = next.split([' ', '\t']).next().unwrap_or_default();
    let cut = at_limit && !SERVER.begins(first) && last.chars().count() + first.chars().count() > width.limit;
    let hyphen = last.len() > 1 && last.ends_with('-') && first.starts_with(|c: char| c.is_ascii_alphanumeric());
    let wide = |c: Option<char>| c.is_some_and(|c| c >= '\u{2e80}');
    let unspaced = wide(last.chars().next_back()) && wide(first.chars().next());
    if !(last.is_empty() || cut || hyphen || unspaced) {
        text.push(' ');
    }
    text.push_str(next);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 4] = [
        "Performing sync on regular schedule  $$<SMS_WSUS_SYNC_MANAGER><03-02-2026 02:00:01.113+360><thread=4120 (0x1018)>",
        "STATMSG: ID=6704 SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=a.corp.example SITE=P01 PID=1 TID=2 GMTDATE=Mon Mar 02 08:00:02.113 2026 ISTR0=\"\" NUMATTRS=0  $$<SMS_WSUS_SYNC_MANAGER><03-02-2026 02:00:02.113+360><thread=4120 (0x1018)>",
        "Sync failed: WebException: The remote name could not be resolved: 'mu.example'~~at System.Net.X(Y& z). Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS  $$<SMS_WSUS_SYNC_MANAGER><03-02-2026 02:03:21.113+360><thread=4120 (0x1018)>",
        "Sync failed. Will retry in 60 minutes  $$<SMS_WSUS_SYNC_MANAGER><03-02-2026 02:03:21.313+360><thread=4120 (0x1018)>",
    ];

    fn words(text: &str) -> String {
        text.replace("$$<", " $$<").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Breaks at blanks, and within a word only if it is longer than a line.
    fn soft(line: &str, width: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in line.split(' ') {
            let mut word = word.to_owned();
            loop {
                let Some(last) = lines.last_mut() else { return lines };
                let blank = usize::from(!last.is_empty());
                if last.len() + blank + word.len() <= width {
                    last.push_str(if blank > 0 { " " } else { "" });
                    last.push_str(&word);
                    break;
                } else if word.len() > width {
                    let room = width.saturating_sub(last.len() + blank);
                    let rest = word.split_off(room);
                    last.push_str(if blank > 0 { " " } else { "" });
                    last.push_str(&word);
                    word = rest;
                }
                lines.push(String::new());
            }
        }
        lines
    }

    fn hard(line: &str, width: usize) -> Vec<String> {
        line.as_bytes().chunks(width).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    }

    #[test]
    fn lines_broken_at_any_width_in_either_way_are_what_they_were() {
        for width in 40..=140 {
            for broken in [soft, hard] {
                let lines: Vec<String> = LINES.iter().flat_map(|line| broken(line, width)).collect();
                let whole = off(lines.iter().map(|line| Piece::of(0, line)).collect());
                let found: Vec<String> = whole.iter().map(|piece| words(&piece.text)).collect();
                assert_eq!(found, LINES.map(words), "at {width}");
            }
        }
    }

    #[test]
    fn without_marks_a_line_continues_where_the_next_word_did_not_fit() {
        let messages = LINES.map(|line| line.split("  $$<").next().unwrap_or_default());
        for width in [60, 72, 80, 100] {
            for broken in [soft, hard] {
                let lines: Vec<String> = messages.iter().flat_map(|line| broken(line, width)).collect();
                let whole = off(lines.iter().map(|line| Piece::of(0, line)).collect());
                let found: Vec<String> = whole.iter().map(|piece| words(&piece.text)).collect();
                assert_eq!(found, messages.map(words), "at {width}");
            }
        }
    }

    #[test]
    fn whole_lines_and_what_people_write_around_them_stay() {
        let lines = ["Hello all,", "we see this since yesterday:", LINES[0], LINES[3], "Any ideas?", "Thanks"];
        let whole = off(lines.iter().map(|line| Piece::of(0, line)).collect());
        assert_eq!(whole.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>(), lines);
    }
}
