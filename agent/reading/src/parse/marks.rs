//! Finds the marks of the forms. Each contains a byte that is rare in text; the search looks for that byte.

use memchr::{memchr_iter, memrchr_iter};

/// A mark, and the index of its rarest byte.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    text: &'static str,
    rare: usize,
}

/// `$$<`, between text and component of a server line.
pub(crate) const SERVER: Mark = Mark { text: "$$<", rare: 1 };
/// `<![LOG[`, the beginning of a client-style record.
pub(crate) const CCM_OPEN: Mark = Mark { text: "<![LOG[", rare: 1 };
/// `]LOG]!>`, the end of its text.
pub(crate) const CCM_CLOSE: Mark = Mark { text: "]LOG]!>", rare: 5 };

impl Mark {
    /// Its bytes.
    pub const fn len(self) -> usize {
        self.text.len()
    }

    /// Whether a text begins with it.
    pub fn begins(self, text: &str) -> bool {
        text.starts_with(self.text)
    }

    /// Its first position in a text.
    pub fn find(self, text: &str) -> Option<usize> {
        let rare = *self.text.as_bytes().get(self.rare)?;
        memchr_iter(rare, text.as_bytes()).find_map(|at| self.at(text, at))
    }

    /// Its last position in a text.
    pub fn rfind(self, text: &str) -> Option<usize> {
        let rare = *self.text.as_bytes().get(self.rare)?;
        memrchr_iter(rare, text.as_bytes()).find_map(|at| self.at(text, at))
    }

    /// Position of the mark around a hit of its rarest byte.
    fn at(self, text: &str, rare: usize) -> Option<usize> {
        let start = rare.checked_sub(self.rare)?;
        text.as_bytes().get(start..)?.starts_with(self.text.as_bytes()).then_some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_place() {
        let text = "$5 $$<a $$ $$<b $";
        assert_eq!((SERVER.find(text), SERVER.rfind(text)), (Some(3), Some(11)));
        assert_eq!((SERVER.find("$<"), SERVER.rfind("$$")), (None, None));
        assert_eq!(CCM_CLOSE.rfind("x]LOG]!>y!"), Some(1));
        assert_eq!(CCM_OPEN.find("!<![LOG["), Some(1));
    }
}
