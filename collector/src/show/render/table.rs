//! Tables: columns as wide as their widest cell, the last one cut to the terminal.

use super::{Look, Tone, fit, width};

/// One cell.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// With a tone.
    pub fn new(tone: Tone, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), tone: Tone::Plain }
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// With its headings.
    pub fn new(head: &[&str]) -> Table {
        Table { head: head.iter().map(|text| (*text).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Draws it.
    pub fn draw(&self, look: Look) -> String {
        let columns = self.head.len();
        let mut widths: Vec<usize> = self.head.iter().map(|text| width(text)).collect();
        for row in &self.rows {
            for (size, cell) in widths.iter_mut().zip(row) {
                *size = (*size).max(width(&cell.text));
            }
        }
        let head: Vec<Cell> = self.head.iter().map(|text| Cell::new(Tone::Strong, text.as_str())).collect();
        let mut out = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            let mut used = 0;
            for (index, (cell, size)) in row.iter().zip(&widths).enumerate() {
                if index + 1 == columns {
                    let text = fit(&cell.text, look.width.saturating_sub(used).max(20));
                    line.push_str(&look.paint(cell.tone, &text));
                } else {
                    line.push_str(&look.paint(cell.tone, &cell.text));
                    line.push_str(&" ".repeat(size - width(&cell.text) + 2));
                    used += size + 2;
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_model::text::Lang;

    #[test]
    fn columns_align_with_wide_characters() {
        let mut table = Table::new(&["サイト", "state"]);
        table.row(vec!["P01".into(), "失敗".into()]);
        table.row(vec!["最上位サイト".into(), "ok".into()]);
        let drawn = table.draw(Look { lang: Lang::Ja, color: false, width: 80 });
        assert_eq!(drawn, "サイト        state\nP01           失敗\n最上位サイト  ok\n");
    }
}
