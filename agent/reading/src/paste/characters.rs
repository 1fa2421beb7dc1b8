//! Characters that editors, mailers and pages substitute for those of a log: non-breaking blanks, curly quotes, long dashes,
//! zero-width characters, HTML entities, quoted-printable.

use super::Piece;

/// Restores the original characters of each line; a line separator other than a line feed becomes one.
pub(super) fn plain(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if piece.text.is_ascii() && !piece.text.contains(['\u{b}', '\u{c}', '\r']) {
            out.push(piece);
            continue;
        }
        let text: String = piece.text.chars().filter_map(of_log).collect();
        for line in text.split('\n') {
            out.push(Piece { text: line.to_owned(), ..piece.clone() });
        }
    }
    out
}

/// The character that a log has in its place; `None` for an invisible one.
fn of_log(c: char) -> Option<char> {
    Some(match c {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => return None,
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ff02}' => '"',
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{ff07}' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{ff1c}' => '<',
        '\u{ff1e}' => '>',
        '\u{ff04}' => '$',
        other => other,
    })
}

/// Decodes quoted-printable, if the lines use it.
pub(super) fn printable(pieces: Vec<Piece>) -> Vec<Piece> {
    let soft = pieces.iter().filter(|piece| piece.text.ends_with('=')).count();
    let coded = pieces.iter().any(|piece| piece.text.contains("=3D"));
    if soft == 0 || !coded {
        return pieces;
    }
    let mut out: Vec<Piece> = Vec::new();
    let mut goes_on = false;
    for piece in pieces {
        let (text, soft) = match piece.text.strip_suffix('=') {
            Some(text) => (text, true),
            None => (piece.text.as_str(), false),
        };
        match out.last_mut().filter(|_| goes_on) {
            Some(last) => last.text.push_str(text),
            None => out.push(Piece { text: text.to_owned(), width: 0, ..piece }),
        }
        goes_on = soft;
    }
    for piece in &mut out {
        piece.text = octets(&piece.text);
    }
    out
}

/// `=3D` and the like, in UTF-8.
fn octets(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend_from_slice(before.as_bytes());
        let octet = after.get(..2).filter(|two| two.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F')));
        match octet.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(octet) => {
                bytes.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'=');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Names of entities and their characters, including letters of the console languages.
const NAMED: &[(&str, char)] = &[
    ("lt", '<'),
    ("gt", '>'),
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("dollar", '$'),
    ("lowbar", '_'),
    ("colon", ':'),
    ("equals", '='),
    ("lpar", '('),
    ("rpar", ')'),
    ("lsqb", '['),
    ("rsqb", ']'),
    ("lbrack", '['),
    ("rbrack", ']'),
    ("excl", '!'),
    ("sol", '/'),
    ("bsol", '\\'),
    ("period", '.'),
    ("comma", ','),
    ("hyphen", '-'),
    ("ndash", '-'),
    ("mdash", '-'),
    ("minus", '-'),
    ("lsquo", '\''),
    ("rsquo", '\''),
    ("sbquo", '\''),
    ("ldquo", '"'),
    ("rdquo", '"'),
    ("bdquo", '"'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("aacute", 'á'),
    ("eacute", 'é'),
    ("iacute", 'í'),
    ("oacute", 'ó'),
    ("uacute", 'ú'),
    ("Eacute", 'É'),
    ("agrave", 'à'),
    ("egrave", 'è'),
    ("igrave", 'ì'),
    ("ograve", 'ò'),
    ("ugrave", 'ù'),
    ("Agrave", 'À'),
    ("acirc", 'â'),
    ("ecirc", 'ê'),
    ("icirc", 'î'),
    ("ocirc", 'ô'),
    ("ucirc", 'û'),
    ("atilde", 'ã'),
    ("otilde", 'õ'),
    ("ntilde", 'ñ'),
    ("ccedil", 'ç'),
    ("euml", 'ë'),
    ("iuml", 'ï'),
    ("oelig", 'œ'),
    ("aring", 'å'),
    ("iquest", '¿'),
];

/// Longest entity between `&` and `;`.
const ENTITY: usize = 8;
/// Most times that a text may have been escaped.
const ESCAPED: usize = 4;

/// Replaces the entities of a text, even if escaped repeatedly.
pub(super) fn entities(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..ESCAPED {
        match once(&text) {
            Some(plainer) => text = plainer,
            None => break,
        }
    }
    text
}

fn once(text: &str) -> Option<String> {
    memchr::memchr(b'&', text.as_bytes())?;
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut changed) = (text, false);
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match entity(after) {
            Some((c, behind)) => {
                out.extend(of_log(c));
                rest = behind;
                changed = true;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// The character of an entity after its `&`, and the rest; some pages omit the semicolon.
fn entity(text: &str) -> Option<(char, &str)> {
    let end = text.bytes().take(ENTITY + 1).position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'#'))?;
    let (name, rest) = text.split_at_checked(end)?;
    let behind = rest.strip_prefix(';');
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| *c != '\0').zip(behind);
    }
    let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
    if let (Some(c), Some(behind)) = (named, behind) {
        return Some((c, behind));
    }
    // `?a=1&lt=2` has no entity, and one at the end of a line may continue on the next.
    let bare = ["lt", "gt", "amp", "quot", "nbsp"].contains(&name) && !rest.starts_with('=') && !rest.is_empty();
    named.filter(|_| bare).map(|c| (c, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_by_name_and_number_escaped_once_and_again() {
        for (text, expected) in [
            ("a &lt;b&gt; &quot;c&quot; &#39;d&#x27; &amp; e&nbsp;f", "a <b> \"c\" 'd' & e f"),
            ("&amp;lt;b&amp;amp;gt;", "<b>"),
            ("Mitteleurop&auml;ische Zeit", "Mitteleuropäische Zeit"),
            ("http://a.corp.example/?a=1&lt=2&other=3", "http://a.corp.example/?a=1&lt=2&other=3"),
            ("R&D & more &unknown;", "R&D & more &unknown;"),
        ] {
            assert_eq!(entities(text), expected);
        }
    }

    #[test]
    fn mail_in_quoted_printable_is_undone() {
        let lines = ["SOURCE=3D\"SMS Server\" COMP=", "=3D\"X\" Zeit=C3=BC", "next"];
        let texts: Vec<String> =
            printable(lines.iter().map(|line| Piece::of(0, line)).collect()).into_iter().map(|p| p.text).collect();
        assert_eq!(texts, ["SOURCE=\"SMS Server\" COMP=\"X\" Zeitü", "next"]);
    }
}
