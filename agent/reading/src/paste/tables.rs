//! Tables of log lines, as Markdown, CSV or tab-separated columns in any order → one log line per row.
//!
//! A row counts only if a whole cell is a component, a date or a thread beside a message, or if one cell is a complete line.

use jiff::Timestamp;

use super::{Piece, begins, characters, is_whole};
use crate::parse::fields::{Scan, is_component, thread};
use crate::parse::marks::{CCM_OPEN, SERVER};
use crate::parse::viewer;

/// Separator of the cells of a row.
const SEPARATORS: [char; 4] = ['|', '\t', ',', ';'];
/// Most lines that a quoted cell may span.
const CELL_LINES: usize = 100;

/// Turns table rows into lines, if most messages of the text are in rows of one kind.
pub(super) fn off(pieces: Vec<Piece>) -> Vec<Piece> {
    let separators = SEPARATORS.into_iter().map(|separator| {
        let rows = rows(&pieces, separator);
        let count = rows.iter().filter(|(_, cells)| cells.as_deref().is_some_and(is_row)).count();
        (count, rows)
    });
    let Some((count, rows)) = separators.max_by_key(|(count, _)| *count) else { return pieces };
    let is_line = |text: &str| is_whole(text) || begins(&characters::entities(text));
    let plain = rows.iter().filter(|(piece, cells)| !cells.as_deref().is_some_and(is_row) && is_line(&piece.text)).count();
    if count == 0 || plain > count {
        return pieces;
    }
    let mut out = Vec::with_capacity(rows.len());
    let mut heads = Vec::new();
    for (piece, cells) in rows {
        match cells {
            Some(cells) if is_row(&cells) => {
                let text = line(&cells, &heads);
                let width = if cells.len() == 1 { text.chars().count() } else { 0 };
                out.push(Piece { text, width, ..piece });
            }
            Some(cells) if cells.iter().all(|cell| cell.chars().all(|c| "-: ".contains(c))) => {}
            Some(cells) if cells.len() > 1 && cells.iter().filter(|cell| is_heading(cell)).count() * 2 >= cells.len() => {
                heads = cells
            }
            Some(cells) if cells.len() == 1 && cells.iter().all(|cell| is_heading(cell)) => {}
            // Part of a line that was broken before it was put into a cell.
            Some(cells) if cells.len() == 1 => {
                let text = cells.concat();
                out.push(Piece { width: text.chars().count(), text, ..piece });
            }
            _ => out.push(piece),
        }
    }
    out
}

/// Each line, or the lines that a quoted cell spans, with its cells if it has any.
fn rows(pieces: &[Piece], separator: char) -> Vec<(Piece, Option<Vec<String>>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        let mut piece = piece.clone();
        at += 1;
        if separator != '|' && piece.text.contains('"') {
            let mut whole = piece.text.clone();
            // Quotes that stay open to the end do not delimit cells.
            let more = pieces.iter().skip(at).take(CELL_LINES).position(|next| {
                let done = !is_open(&whole, separator);
                if !done {
                    whole.push(' ');
                    whole.push_str(&next.text);
                }
                done
            });
            let more = more.unwrap_or(pieces.len() - at);
            if more > 0 && !is_open(&whole, separator) {
                piece.text = whole;
                at += more;
            }
        }
        let cells = if separator == '|' { in_bars(&piece.text) } else { in_quotes(&piece.text, separator) };
        out.push((piece, cells));
    }
    out
}

/// Whether a row ends inside a quoted cell.
fn is_open(text: &str, separator: char) -> bool {
    let text = text.trim();
    let starts = text.starts_with('"') || text.contains(&format!("{separator}\""));
    starts && !text.matches('"').count().is_multiple_of(2)
}

/// `| a | b |`; a bar inside a cell is escaped by a backslash.
fn in_bars(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let inner = text.strip_prefix('|').and_then(|inner| inner.strip_suffix('|'));
    let inner = inner.or_else(|| text.contains(" | ").then_some(text))?;
    let mut cells = vec![String::new()];
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'|') => {
                chars.next();
                cells.last_mut()?.push('|');
            }
            '|' => cells.push(String::new()),
            other => cells.last_mut()?.push(other),
        }
    }
    Some(cells.iter().map(|cell| characters::entities(cell.trim().trim_matches('`'))).collect())
}

/// `"a ""b""",c`; also a JSON string.
fn in_quotes(text: &str, separator: char) -> Option<Vec<String>> {
    let text = text.trim_matches([' ', '\r']);
    // The semicolon of an entity separates nothing.
    let entity = separator == ';' && characters::entities(text) != text;
    if entity || !text.contains(separator) && !text.starts_with('"') {
        return None;
    }
    let mut cells = Vec::new();
    let mut rest = text.trim_end_matches(separator);
    loop {
        let Some(inner) = rest.trim_start_matches(' ').strip_prefix('"') else {
            let (cell, behind) = rest.split_once(separator).map_or((rest, None), |(cell, behind)| (cell, Some(behind)));
            cells.push(characters::entities(cell.trim()));
            match behind {
                Some(behind) => rest = behind,
                None => return Some(cells),
            }
            continue;
        };
        let (cell, behind) = quoted(inner)?;
        cells.push(characters::entities(cell.trim()));
        match behind.trim_start_matches(' ').strip_prefix(separator) {
            Some(behind) => rest = behind,
            None if behind.trim().is_empty() => return Some(cells),
            None => return None,
        }
    }
}

/// A cell after its opening quote, and the rest.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        let (before, behind) = rest.split_at_checked(at)?;
        cell.push_str(before);
        let escaped = behind.strip_prefix("\"\"").or_else(|| behind.strip_prefix("\\\""));
        if let Some(behind) = escaped {
            cell.push('"');
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix('"') {
            return Some((cell, behind));
        } else {
            cell.push('\\');
            rest = behind.get(1..)?;
            // JSON writes two backslashes.
            rest = rest.strip_prefix('\\').unwrap_or(rest);
        }
    }
}

fn is_row(cells: &[String]) -> bool {
    let whole = |cell: &String| SERVER.find(cell).is_some() || CCM_OPEN.find(cell).is_some();
    // A line between quotes or bars, possibly with its number.
    if cells.iter().any(whole) {
        return cells.iter().all(|cell| whole(cell) || cell.len() <= 12);
    }
    let said = cells.iter().any(|cell| begins(cell));
    let told = cells.iter().any(|cell| is_component(cell) || when(cell).is_some() || is_thread(cell));
    (said || cells.iter().any(|cell| is_component(cell)) && cells.len() > 2) && (told || cells.len() == 1)
}

fn is_heading(cell: &str) -> bool {
    const WORDS: [&str; 26] = [
        "#",
        "no",
        "no.",
        "nr",
        "line",
        "log text",
        "logtext",
        "text",
        "message",
        "log",
        "component",
        "date",
        "time",
        "date/time",
        "datetime",
        "timestamp",
        "date time",
        "thread",
        "threadid",
        "thread id",
        "source",
        "severity",
        "type",
        "level",
        "file",
        "value",
    ];
    let cell = cell.trim().trim_matches(['*', '"']).to_lowercase();
    cell.is_empty() || WORDS.contains(&cell.as_str())
}

fn is_thread(cell: &str) -> bool {
    cell.contains("(0x") && thread(cell).is_some()
}

/// Time of a line, from a cell.
enum When<'a> {
    /// Local time and bias, as a server line has them.
    Biased(&'a str),
    /// UTC.
    Moment(Timestamp),
    /// Local time as a viewer shows it.
    Shown(String),
}

fn when(cell: &str) -> Option<When<'_>> {
    let cell = cell.trim().trim_matches(['<', '>']);
    if !cell.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if crate::parse::server::tail(&format!("X><{cell}>")).is_some() {
        return Some(When::Biased(cell));
    }
    if let Ok(moment) = cell.replacen(' ', "T", 1).replace(" UTC", "Z").parse() {
        return Some(When::Moment(moment));
    }
    let shown = cell.replacen('T', " ", 1);
    let whole = viewer::dated(&shown).is_some_and(|(_, rest)| rest.trim().is_empty());
    whole.then_some(When::Shown(shown))
}

/// A date or a time of day alone.
fn part_of_time(cell: &str) -> bool {
    let day = |cell: &str| {
        let mut parts = cell.split(['/', '-', '.']);
        parts.by_ref().take(3).all(|part| !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit()))
            && parts.next().is_none()
            && cell.matches(['/', '-', '.']).count() == 2
    };
    day(cell) || Scan::new(cell).time().is_some() && cell.len() <= 20
}

/// The log line rebuilt from a row.
fn line(cells: &[String], heads: &[String]) -> String {
    if let Some(whole) = cells.iter().find(|cell| SERVER.find(cell).is_some() || CCM_OPEN.find(cell).is_some()) {
        return whole.clone();
    }
    let headed = |name: &str| heads.iter().position(|head| head.to_lowercase().contains(name)).and_then(|at| cells.get(at));
    let component = cells.iter().find(|cell| is_component(cell)).or_else(|| headed("component")).map_or("", String::as_str);
    let threads = cells.iter().find(|cell| is_thread(cell)).or_else(|| headed("thread")).or_else(|| {
        cells.last().filter(|cell| cells.len() > 3 && cell.len() < 7 && cell.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let threads = threads.map(|cell| cell.trim_end_matches('>').rsplit('=').next().unwrap_or(cell)).unwrap_or("0");
    let parts: Vec<&str> = cells.iter().map(String::as_str).filter(|cell| part_of_time(cell)).collect();
    let parts = match parts.as_slice() {
        [one, other] if one.contains(':') => format!("{other} {one}"),
        parts => parts.join(" "),
    };
    let text = |cell: &&String| begins(cell);
    let other = |cell: &&String| cell.as_str() != component && when(cell).is_none() && cell.as_str() != threads;
    let message = cells.iter().find(text).or_else(|| cells.iter().filter(other).max_by_key(|cell| cell.len()));
    let message = message.map_or("", String::as_str).replace(['\t', '\n'], " ");
    match cells.iter().find_map(|cell| when(cell)).or_else(|| when(&parts).map(|_| When::Shown(parts.clone()))) {
        Some(When::Biased(stamp)) => format!("{message}  $$<{component}><{stamp}><thread={threads}>"),
        Some(When::Moment(moment)) => {
            let stamp = moment.strftime("%m-%d-%Y %H:%M:%S.%3f+0");
            format!("{message}  $$<{component}><{stamp}><thread={threads}>")
        }
        Some(When::Shown(shown)) => format!("{message}\t{component}\t{shown}\t{threads}"),
        None => format!("{message} {component}").trim_end().to_owned(),
    }
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

    const VIEWER: &str = "Starting Sync\tSMS_WSUS_SYNC_MANAGER\t3/2/2026 2:00:01 AM\t4120 (0x1018)";

    #[test]
    fn rows_of_every_kind_become_lines_of_a_viewer() {
        check(
            &[
                "| Log Text | Component | Date/Time | Thread |",
                "|---|:--|---|---|",
                "| Starting Sync | SMS_WSUS_SYNC_MANAGER | 3/2/2026 2:00:01 AM | 4120 (0x1018) |",
            ],
            &[VIEWER],
        );
        check(
            &[
                "\"Time\",\"Thread\",\"Component\",\"Message\"",
                "\"3/2/2026 2:00:01 AM\",\"4120 (0x1018)\",\"SMS_WSUS_SYNC_MANAGER\",\"Starting Sync\"",
            ],
            &[VIEWER],
        );
        check(&["Starting Sync;SMS_WSUS_SYNC_MANAGER;3/2/2026;2:00:01 AM;4120 (0x1018)"], &[VIEWER]);
        check(
            &["\"STATMSG: ID=6701 SOURCE=\"\"SMS Server\"\"\"\tSMS_WSUS_SYNC_MANAGER\t3/2/2026 2:00:01 AM\t4120 (0x1018)"],
            &["STATMSG: ID=6701 SOURCE=\"SMS Server\"\tSMS_WSUS_SYNC_MANAGER\t3/2/2026 2:00:01 AM\t4120 (0x1018)"],
        );
    }

    #[test]
    fn a_cell_that_is_a_line_is_the_line() {
        let line = "Starting Sync  $$<SMS_WSUS_SYNC_MANAGER><03-02-2026 02:00:01.113+360><thread=4120 (0x1018)>";
        check(&[&format!("| {line} |")], &[line]);
        check(&[&format!("| 1 | {line} |")], &[line]);
        check(&[&format!("\"{line}\",")], &[line]);
        check(&[line], &[line]);
    }

    #[test]
    fn times_that_know_their_zone_keep_it() {
        let server = |stamp: &str| format!("Starting Sync  $$<SMS_WSUS_SYNC_MANAGER><{stamp}><thread=0>");
        check(&["03-02-2026 02:00:01.113+360,SMS_WSUS_SYNC_MANAGER,Starting Sync"], &[&server("03-02-2026 02:00:01.113+360")]);
        check(&["2026-03-02T09:00:01.5+01:00,SMS_WSUS_SYNC_MANAGER,Starting Sync"], &[&server("03-02-2026 08:00:01.500+0")]);
    }

    #[test]
    fn a_cell_may_span_lines_and_commas_of_a_text_part_nothing() {
        check(
            &["\"Sync failed: a", "b. Source: C\",SMS_WSUS_SYNC_MANAGER", "Starting Sync,SMS_WSUS_SYNC_MANAGER"],
            &["Sync failed: a b. Source: C SMS_WSUS_SYNC_MANAGER", "Starting Sync SMS_WSUS_SYNC_MANAGER"],
        );
        check(
            &["Requested categories: Product=A, Product=B", "Starting Sync"],
            &["Requested categories: Product=A, Product=B", "Starting Sync"],
        );
    }
}
