//! Prefixes of the lines of a paste: quote marks, numbers, list marks, file and line number of a search result.

use super::{Piece, begins, characters};

/// A kind of mark. Numbers are distinguished by what follows them, so that a year at the start of a line is not a list number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// `>`, `>>`, `|`.
    Quote,
    /// `1.`, `12)`, `12:`, `12 |`, `12` and a tab; with the character after it.
    Number(char),
    /// `-`, `*`, `+`, `•`.
    Bullet,
    /// `wsyncmgr.log:12:`.
    Place,
}

/// Most marks in a row: a quoted list of search results has three.
const DEEP: usize = 5;
/// Largest gap between numbers that have nothing after them.
const STEP: u32 = 200;

/// Removes the marks that precede most messages of the text.
pub(super) fn off(pieces: Vec<Piece>) -> Vec<Piece> {
    let (mut plain, mut marked): (usize, Vec<(Vec<Mark>, usize)>) = (0, Vec::new());
    for piece in &pieces {
        match signature(&piece.text) {
            Some(marks) if marks.is_empty() => plain += 1,
            Some(marks) => match marked.iter_mut().find(|(known, _)| *known == marks) {
                Some((_, count)) => *count += 1,
                None => marked.push((marks, 1)),
            },
            None => {}
        }
    }
    let all: usize = marked.iter().map(|(_, count)| count).sum();
    let Some((usual, _)) = marked.into_iter().max_by_key(|(_, count)| *count).filter(|_| all > plain) else { return pieces };
    let (mut last, mut open) = (None, false);
    let each = |piece: Piece| {
        // On its own after a mark that was broken, it is the end of that mark.
        let end = open && piece.text == ">";
        open = piece.text.rfind('<') > piece.text.rfind('>');
        if end { piece } else { without(piece, &usual, &mut last) }
    };
    pieces.into_iter().map(each).collect()
}

/// The marks before a log message, if any.
fn signature(text: &str) -> Option<Vec<Mark>> {
    let (mut marks, mut rest) = (Vec::new(), text);
    loop {
        if begins(&characters::entities(rest)) {
            return Some(marks);
        }
        let (mark, _, behind) = mark(rest).filter(|_| marks.len() < DEEP)?;
        marks.push(mark);
        rest = behind;
    }
}

fn without(piece: Piece, usual: &[Mark], last: &mut Option<u32>) -> Piece {
    let mut rest = piece.text.as_str();
    let row = rest.trim().strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |")).filter(|cell| !cell.contains(" | "));
    if let Some(cell) = row.filter(|_| usual.contains(&Mark::Quote)) {
        return Piece { text: cell.to_owned(), ..piece };
    }
    for wanted in usual {
        let Some((found, number, behind)) = mark(rest).filter(|(found, ..)| found == wanted) else { continue };
        let far = |number: u32, before: u32| number <= before || number > before.saturating_add(STEP);
        if found == Mark::Number(' ') && number.zip(*last).is_some_and(|(number, before)| far(number, before)) {
            continue;
        }
        *last = number.or(*last);
        rest = behind;
    }
    // A bar before a line may have its counterpart further down.
    if usual.contains(&Mark::Quote) {
        rest = rest.strip_suffix(" |").unwrap_or(rest);
    }
    Piece { text: rest.to_owned(), ..piece }
}

/// The mark at the start of a text, its number, and the rest.
fn mark(text: &str) -> Option<(Mark, Option<u32>, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    quote(text)
        .map(|rest| (Mark::Quote, None, rest))
        .or_else(|| number(text).map(|(end, number, rest)| (Mark::Number(end), Some(number), rest)))
        .or_else(|| bullet(text).map(|rest| (Mark::Bullet, None, rest)))
        .or_else(|| place(text).map(|rest| (Mark::Place, None, rest)))
}

fn quote(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(behind) = [">", "&gt;", "&amp;gt;"].iter().find_map(|mark| rest.strip_prefix(mark)) {
        // Further blanks belong to a line that was broken before a blank.
        rest = behind.strip_prefix(' ').unwrap_or(behind);
    }
    if rest.len() < text.len() {
        return Some(rest);
    }
    // A table row ends in one, too.
    let rest = text.strip_prefix('|').or_else(|| text.strip_prefix('\u{2502}')).filter(|rest| !rest.trim_end().ends_with('|'))?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn number(text: &str) -> Option<(char, u32, &str)> {
    let inner = text.strip_prefix(['[', '(', '#']).unwrap_or(text);
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = inner.split_at_checked(digits).filter(|(digits, _)| (1..=7).contains(&digits.len()))?;
    let number = digits.parse().ok()?;
    let end = rest.chars().next()?;
    let behind = rest.get(end.len_utf8()..)?;
    match end {
        '.' | ')' | ']' => behind.starts_with([' ', '\t']).then(|| (end, number, behind.trim_start())),
        // Hours and minutes are not a line number.
        ':' => (digits.len() > 2 || !is_time(behind)).then(|| (end, number, behind.strip_prefix(' ').unwrap_or(behind))),
        ' ' | '\t' => {
            let behind = behind.trim_start();
            let bar = behind.strip_prefix(['|', '\u{2502}']).map(str::trim_start);
            Some((if bar.is_some() { '|' } else { end }, number, bar.unwrap_or(behind)))
        }
        '|' | '\u{2502}' => Some(('|', number, behind.trim_start())),
        _ => None,
    }
}

/// Whether minutes and seconds follow, without a further colon, as after an hour.
fn is_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let two = |part: Option<&str>| part.is_some_and(|part| part.bytes().take_while(u8::is_ascii_digit).count() == 2);
    two(parts.next()) && (parts.next().is_none_or(|seconds| seconds.len() > 2 || parts.next().is_none()))
}

fn bullet(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let rest = text.get(first.len_utf8()..)?;
    match first {
        '-' | '*' | 'o' | '\u{a7}' => rest.starts_with([' ', '\t']).then(|| rest.trim_start()),
        '+' => Some(rest.trim_start()),
        '\u{2022}' | '\u{b7}' | '\u{25cf}' | '\u{25cb}' | '\u{25e6}' | '\u{25aa}' | '\u{25ab}' | '\u{2023}' | '\u{2043}'
        | '\u{2219}' | '\u{25a0}' | '\u{f0b7}' | '\u{f0a7}' => Some(rest.trim_start()),
        _ => None,
    }
}

/// `C:\Logs\wsyncmgr.log:12:`, `wsyncmgr.log-12-`, `wsyncmgr.log:`.
fn place(text: &str) -> Option<&str> {
    let head = crate::parse::fields::head(text, 300).to_ascii_lowercase();
    let end = [".log", ".lo_", ".txt"].iter().filter_map(|ending| head.find(ending)).min()? + 4;
    let (path, rest) = text.split_at_checked(end)?;
    if path.contains(['<', '$', '"', '|', '\t', '=']) {
        return None;
    }
    let sign = rest.chars().next().filter(|sign| [':', '-', '('].contains(sign))?;
    let rest = rest.get(1..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return (sign == ':').then(|| rest.strip_prefix(' ').unwrap_or(rest));
    }
    let rest = rest.get(digits..)?;
    let rest = rest.strip_prefix(if sign == '(' {
        "):"
    } else if sign == ':' {
        ":"
    } else {
        "-"
    })?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let texts: Vec<String> =
            off(lines.iter().map(|line| Piece::of(0, line)).collect()).into_iter().map(|piece| piece.text).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn each_mark_goes_alone_and_behind_others() {
        for before in [
            "> ",
            ">> ",
            "> > ",
            "| ",
            "&gt; ",
            "7. ",
            "12) ",
            "12: ",
            "12:",
            "[12] ",
            "    12\t",
            "- ",
            "* ",
            "• ",
            "·",
            "wsyncmgr.log:12:",
            "C:\\Program Files\\Logs\\wsyncmgr.log:",
            "wsyncmgr.log-12-",
            "> 3. ",
            "- > ",
            "> wsyncmgr.log:12: ",
        ] {
            check(&[&format!("{before}Starting Sync")], &["Starting Sync"]);
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_stays() {
        for line in ["5 update(s) were deleted from SUSDB", "12:00:01 x", "- x", "> x", "1. x", "a.log:12: x", "*** [23000]x"] {
            check(&["Starting Sync", line], &["Starting Sync", line]);
        }
        // A year in a broken line of a numbered list, and one in a list of bare numbers.
        check(&["1. Starting Sync", "2026 ISTR0=\"\""], &["Starting Sync", "2026 ISTR0=\"\""]);
        check(&["1 Starting Sync", "2026 ISTR0=\"\"", "2 Starting Sync"], &["Starting Sync", "2026 ISTR0=\"\"", "Starting Sync"]);
        // Other programs' text is left alone.
        check(&["1. first buy bread", "2. then milk"], &["1. first buy bread", "2. then milk"]);
    }
}
