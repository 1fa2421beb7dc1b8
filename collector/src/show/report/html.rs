//! An HTML writer that cannot emit unescaped text: element and attribute names are literals of this program, every other text
//! goes through [`Html::text`] or an attribute, and each element closes after the closure that fills it.
//!
//! Log text is hostile, so escaping is not enough: characters that are invisible, change the writing direction or are invalid in
//! HTML are shown by number, `\u{202e}`, in a separate box. Line feeds and tabs are kept, for `pre`.

use crate::show::render::Look;

/// An HTML page being written.
#[derive(Debug)]
pub(super) struct Html {
    out: String,
    /// Output options, such as the language.
    pub look: Look,
}

/// An element's name and attributes.
#[derive(Debug)]
pub(super) struct Tag {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
}

impl From<&'static str> for Tag {
    fn from(name: &'static str) -> Tag {
        Tag { name, attributes: Vec::new() }
    }
}

impl Tag {
    /// Adds a class.
    pub fn class(name: &'static str, class: &'static str) -> Tag {
        Tag::from(name).attribute("class", class)
    }

    /// Adds an attribute.
    pub fn attribute(mut self, name: &'static str, value: impl Into<String>) -> Tag {
        self.attributes.push((name, value.into()));
        self
    }

    /// Adds an attribute without a value, if a condition holds.
    pub fn flag(self, name: &'static str, holds: bool) -> Tag {
        if holds { self.attribute(name, "") } else { self }
    }
}

impl Html {
    /// An empty page.
    pub fn new(look: Look) -> Html {
        Html { out: "<!DOCTYPE html>\n".to_owned(), look }
    }

    /// Returns the page.
    pub fn finish(self) -> String {
        self.out
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes an element with the content that the closure writes.
    pub fn element(&mut self, tag: impl Into<Tag>, fill: impl FnOnce(&mut Html)) {
        let tag = tag.into();
        self.open(&tag);
        fill(self);
        self.out.push_str("</");
        self.out.push_str(tag.name);
        self.out.push('>');
        if is_block(tag.name) {
            self.out.push('\n');
        }
    }

    /// Writes an element with a text.
    pub fn with(&mut self, tag: impl Into<Tag>, text: &str) {
        self.element(tag, |html| html.text(text));
    }

    /// Writes an element without content or end tag.
    pub fn void(&mut self, tag: Tag) {
        self.open(&tag);
        self.out.push('\n');
    }

    /// Writes the title of the page. Browsers allow no elements in it, so escaped characters appear without a box.
    pub fn title(&mut self, text: &str) {
        self.open(&Tag::from("title"));
        self.unboxed(text);
        self.out.push_str("</title>\n");
    }

    /// Writes the stylesheet, the only unescaped text: it comes from the program itself, and its hash is in the page's policy.
    pub fn style(&mut self, sheet: &'static str) {
        self.out.push_str("<style>");
        self.out.push_str(sheet);
        self.out.push_str("</style>\n");
    }

    /// Writes a text.
    pub fn text(&mut self, text: &str) {
        let mut boxed = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\r' && chars.peek() == Some(&'\n') {
                continue;
            }
            if is_hidden(c) != boxed {
                boxed = !boxed;
                self.out.push_str(if boxed { "<span class=\"char\">" } else { "</span>" });
            }
            self.char(c);
        }
        if boxed {
            self.out.push_str("</span>");
        }
    }

    /// Writes at most a number of characters of a text, and how many are left out.
    pub fn cut(&mut self, text: &str, limit: usize) {
        let Some((end, _)) = text.char_indices().nth(limit) else { return self.text(text) };
        let (shown, rest) = text.split_at(end);
        self.text(shown);
        let left = rest.chars().count();
        let note = match self.look.lang {
            supwatch_model::text::Lang::En => format!("… {left} more characters left out"),
            supwatch_model::text::Lang::Ja => format!("… ほか {left} 文字省略"),
        };
        self.with(Tag::class("span", "left-out"), &note);
    }

    /// Writes one of two literals.
    pub fn say(&mut self, en: &str, ja: &str) {
        let look = self.look;
        self.text(look.say(en, ja));
    }

    fn open(&mut self, tag: &Tag) {
        self.out.push('<');
        self.out.push_str(tag.name);
        for (name, value) in &tag.attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.unboxed(value);
            self.out.push('"');
        }
        self.out.push('>');
    }

    fn unboxed(&mut self, text: &str) {
        text.replace("\r\n", "\n").chars().for_each(|c| self.char(c));
    }

    fn char(&mut self, c: char) {
        match c {
            '&' => self.out.push_str("&amp;"),
            '<' => self.out.push_str("&lt;"),
            '>' => self.out.push_str("&gt;"),
            '"' => self.out.push_str("&quot;"),
            c if is_hidden(c) => self.out.extend(c.escape_default()),
            c => self.out.push(c),
        }
    }
}

/// Elements followed by a line break in the source, so that a page can be read and compared as text.
fn is_block(name: &str) -> bool {
    !matches!(name, "span" | "a" | "code" | "strong" | "time" | "bdi" | "h3" | "pre")
}

/// Whether a character is invisible, or changes how others are shown.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        // Soft hyphen, letter marks, zero-width and directional marks, fillers, tags, and noncharacters.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' => true,
        '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{e0000}'..='\u{e0fff}' => true,
        c => u32::from(c) & 0xfffe == 0xfffe,
    }
}

/// How a text appears on the page.
#[cfg(test)]
pub(super) fn as_seen(text: &str) -> String {
    let mut out = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        if is_hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_model::text::Lang;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut html = Html::new(Look { lang: Lang::En, color: false, width: 0 });
        html.text(text);
        assert_eq!(html.finish().strip_prefix("<!DOCTYPE html>\n"), Some(expected));
    }

    #[test]
    fn marks_of_html_are_text() {
        check("</pre><script>a && \"b\"", "&lt;/pre&gt;&lt;script&gt;a &amp;&amp; &quot;b&quot;");
    }

    #[test]
    fn what_cannot_be_seen_is_shown_by_its_number() {
        check("a\u{202e}\u{0}b\r\n\tc\r", "a<span class=\"char\">\\u{202e}\\u{0}</span>b\n\tc<span class=\"char\">\\r</span>");
    }

    #[test]
    fn an_attribute_cannot_be_left() {
        let mut html = Html::new(Look { lang: Lang::En, color: false, width: 0 });
        html.with(Tag::from("a").attribute("href", "\"><script>").flag("open", false).flag("hidden", true), "x");
        assert!(html.finish().ends_with("<a href=\"&quot;&gt;&lt;script&gt;\" hidden=\"\">x</a>"));
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        let mut html = Html::new(Look { lang: Lang::En, color: false, width: 0 });
        html.cut("日本語の文", 2);
        html.cut("日本", 2);
        let page = html.finish();
        assert!(page.contains("日本<span class=\"left-out\">… 3 more characters left out</span>日本"), "{page}");
    }
}
