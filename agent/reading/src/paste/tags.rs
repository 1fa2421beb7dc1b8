//! HTML tags, Markdown's fences and escapes, and the links that mailers add.

use super::Piece;

/// Tags that end a line.
const BREAKING: &[&str] = &[
    "br",
    "p",
    "div",
    "tr",
    "li",
    "ul",
    "ol",
    "table",
    "tbody",
    "thead",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "body",
    "html",
    "head",
    "title",
];
/// Tags that end a cell.
const CELLS: &[&str] = &["td", "th"];
/// Tags without meaning for a line.
const INLINE: &[&str] = &[
    "span", "code", "b", "i", "em", "strong", "font", "a", "u", "s", "tt", "kbd", "samp", "small", "sub", "sup", "mark", "o:p",
    "meta", "link", "col", "colgroup", "img", "wbr", "section", "article", "center", "big", "del", "ins",
];
/// Longest tag.
const TAG: usize = 600;

/// Effect of a tag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Break,
    Cell,
    Nothing,
}

/// Removes tags. In pasted page source, only tags break lines.
pub(super) fn off(pieces: Vec<Piece>) -> Vec<Piece> {
    if !pieces.iter().any(|piece| next(&piece.text).is_some()) {
        return pieces;
    }
    let (mut breaks, mut cells, mut before, lines) = (0, 0, false, pieces.len());
    for piece in &pieces {
        let mut rest = piece.text.as_str();
        while let Some((_, does, after)) = next(rest) {
            breaks += usize::from(does == Does::Break);
            cells += usize::from(does == Does::Cell);
            rest = after;
        }
        before |= piece.text.to_ascii_lowercase().contains("<pre");
    }
    let is_source = !before && (cells > 0 || breaks * 2 >= lines);
    let mut out: Vec<Piece> = Vec::new();
    let mut open: Option<Piece> = None;
    for piece in pieces {
        let mut rest = piece.text.as_str();
        let mut line = open.take().unwrap_or(Piece { text: String::new(), ..piece.clone() });
        if !line.text.is_empty() && !line.text.ends_with([' ', '\t']) {
            line.text.push(' ');
        }
        while let Some((text, does, after)) = next(rest) {
            line.text.push_str(text);
            rest = after;
            match does {
                Does::Break => {
                    out.push(std::mem::replace(&mut line, Piece { text: String::new(), ..piece.clone() }));
                }
                // Only between cells: a row ends without a separator.
                Does::Cell if !line.text.trim().is_empty() => line.text.push('\t'),
                Does::Cell | Does::Nothing => {}
            }
        }
        line.text.push_str(rest);
        if is_source {
            line.width = 0;
            open = Some(line);
        } else {
            out.push(line);
        }
    }
    out.extend(open);
    for piece in &mut out {
        let trimmed = piece.text.trim_end_matches('\t').len();
        piece.text.truncate(trimmed);
    }
    out.retain(|piece| !piece.text.trim().is_empty());
    out
}

/// The text before the first tag, the effect of the tag, and the rest. Of the tags that end a cell, only closing ones count.
fn next(text: &str) -> Option<(&str, Does, &str)> {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'<', text.as_bytes().get(from..)?) {
        let at = from + found;
        from = at + 1;
        // `$$<` is one of the log's own marks.
        if text.get(..at)?.ends_with("$$") {
            continue;
        }
        let inner = crate::parse::fields::head(text.get(from..)?, TAG);
        let Some(end) = inner.find('>') else { continue };
        let tag = inner.get(..end)?;
        let closing = tag.starts_with('/');
        let word = tag.trim_start_matches('/').split([' ', '/', '\t']).next().unwrap_or_default();
        let rest = tag.trim_start_matches('/').get(word.len()..).unwrap_or_default().trim_matches(['/', ' ']);
        let name = word.to_ascii_lowercase();
        // `<a b>` in a text is not a tag: attributes must follow the name.
        let link = ["http:", "https:", "mailto:"].iter().any(|scheme| name.starts_with(scheme));
        if !rest.is_empty() && !rest.contains('=') && !link {
            continue;
        }
        let does = if BREAKING.contains(&name.as_str()) {
            Does::Break
        } else if CELLS.contains(&name.as_str()) {
            if closing { Does::Cell } else { Does::Nothing }
        } else if INLINE.contains(&name.as_str()) || link {
            Does::Nothing
        } else {
            continue;
        };
        return Some((text.get(..at)?, does, text.get(from + end + 1..)?));
    }
    None
}

/// Removes Markdown: fences, code marks around a line, escapes, links.
pub(super) fn markdown(pieces: Vec<Piece>) -> Vec<Piece> {
    let escaped = pieces.iter().any(|piece| ["SMS\\_", "\\<", "\\$\\$", "\\[LOG"].iter().any(|mark| piece.text.contains(mark)));
    let mut out = Vec::with_capacity(pieces.len());
    for mut piece in pieces {
        let trimmed = piece.text.trim();
        if (trimmed.starts_with("```") || trimmed.starts_with("~~~")) && trimmed.trim_start_matches(['`', '~']).len() < 20 {
            continue;
        }
        for mark in ["`", "**", "__"] {
            let inner = trimmed.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
            if let Some(inner) = inner.filter(|inner| !inner.is_empty() && !inner.contains(mark)) {
                piece.text = inner.to_owned();
                break;
            }
        }
        if escaped {
            piece.text = unescaped(&piece.text);
        }
        if piece.text.contains("](http") {
            piece.text = unlinked(&piece.text);
        }
        out.push(piece);
    }
    out
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' || !chars.peek().is_some_and(|next| "_<>*[]#$~|`!+-.()".contains(*next)) {
            out.push(c);
        }
    }
    out
}

/// `[name](http://name/)` → `name`.
fn unlinked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](http") {
        let Some((_, behind)) = after.split_once(')') else { break };
        match before.rsplit_once('[') {
            Some((text, name)) => {
                out.push_str(text);
                out.push_str(name);
            }
            None => out.push_str(before),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let pieces = lines.iter().map(|line| Piece::of(0, line)).collect();
        let texts: Vec<String> = markdown(off(pieces)).into_iter().map(|piece| piece.text.trim().to_owned()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn tags_break_lines_and_part_cells_and_marks_of_a_log_stay() {
        check(&["<p>one $$<SMS_X><stamp></p><p>two<br/>three</p>"], &["one $$<SMS_X><stamp>", "two", "three"]);
        check(
            &["<tr>", "<td>one</td>", "<td class=\"x\">A</td>", "</tr>", "<tr><td>two</td><td>B</td></tr>"],
            &["one\tA", "two\tB"],
        );
        check(&["<pre><code>one", "two</code></pre>"], &["one", "two"]);
        check(&["a <b and c> d", "List<p x>"], &["a <b and c> d", "List<p x>"]);
        check(&["the name 'a.corp.example<http://a.corp.example/>'"], &["the name 'a.corp.example'"]);
    }

    #[test]
    fn fences_code_marks_escapes_and_links_go() {
        check(&["```text", "one", "```", "`two`", "**three**"], &["one", "two", "three"]);
        check(&["x \\$\\$\\<SMS\\_WSUS\\_SYNC\\_MANAGER\\>"], &["x $$<SMS_WSUS_SYNC_MANAGER>"]);
        check(&["name '[a.corp.example](http://a.corp.example/)' x"], &["name 'a.corp.example' x"]);
    }
}
