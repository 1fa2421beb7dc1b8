//! Reading TOML files written by operators: all errors at once, each with file, line and remedy.
//!
//! A reader queries a [`Table`] for the keys it knows; [`Table::finish`] then reports the errors and every unknown key,
//! with the closest known one.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One error in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the file.
    pub path: PathBuf,
    /// Line number, from 1; 0 for the whole file.
    pub line: usize,
    /// Error text with the remedy.
    pub text: String,
}

/// All errors of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// One error that concerns a whole file.
    pub fn of_file(path: &Path, text: impl Into<String>) -> Faults {
        Faults(vec![Fault { path: path.to_owned(), line: 0, text: text.into() }])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            write!(out, "{}", fault.path.display())?;
            if fault.line > 0 {
                write!(out, ":{}", fault.line)?;
            }
            write!(out, ": {}", fault.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

type Entry = (String, usize, Value);

/// A TOML value with the line number of each part.
#[derive(Debug, Clone)]
enum Value {
    String(String),
    Integer(i64),
    Boolean(bool),
    Table(Vec<Entry>),
    Array(Vec<(usize, Value)>),
    Other(&'static str),
}

/// A TOML table being read.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    name: String,
    line: usize,
    entries: Vec<Entry>,
    asked: Vec<String>,
    faults: Vec<Fault>,
}

impl Table {
    /// Parses a whole file. Invalid TOML gives one error, at the line where parsing stopped.
    pub fn parse(text: &str, path: &Path) -> Result<Table, Faults> {
        let lines = LineIndex::new(text);
        match DeTable::parse(text) {
            Ok(table) => Ok(Table {
                path: path.to_owned(),
                name: String::new(),
                line: 1,
                entries: entries(table.into_inner(), &lines),
                asked: Vec::new(),
                faults: Vec::new(),
            }),
            Err(error) => {
                let line = error.span().map_or(0, |span| lines.line(span.start));
                Err(Faults(vec![Fault { path: path.to_owned(), line, text: format!("invalid TOML: {}", error.message()) }]))
            }
        }
    }

    /// Records an error at a line.
    pub fn fault(&mut self, line: usize, text: impl Into<String>) {
        self.faults.push(Fault { path: self.path.clone(), line, text: text.into() });
    }

    /// The line at which this table begins.
    pub fn line(&self) -> usize {
        self.line
    }

    fn take(&mut self, key: &str) -> Option<(usize, Value)> {
        self.asked.push(key.to_owned());
        let index = self.entries.iter().position(|(name, ..)| name == key)?;
        let (_, line, value) = self.entries.remove(index);
        Some((line, value))
    }

    fn wrong(&mut self, key: &str, line: usize, wanted: &str, value: &Value) {
        let found = match value {
            Value::String(_) => "a string",
            Value::Integer(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Table(_) => "a table",
            Value::Array(_) => "a list",
            Value::Other(kind) => kind,
        };
        let text = format!("{} must be {wanted}, not {found}", self.full(key));
        self.fault(line, text);
    }

    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// A string, if the key is present.
    pub fn string(&mut self, key: &str) -> Option<String> {
        self.optional(key, |text| Ok::<_, String>(text.to_owned()))
    }

    /// A string that `read` parses, if the key is present.
    pub fn optional<T, E: fmt::Display>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let (line, value) = self.take(key)?;
        let Value::String(text) = &value else {
            self.wrong(key, line, "a string", &value);
            return None;
        };
        match read(text) {
            Ok(meant) => Some(meant),
            Err(error) => {
                let text = format!("{}: {error}", self.full(key));
                self.fault(line, text);
                None
            }
        }
    }

    /// A required string that `read` parses; `what` describes its purpose.
    pub fn required<T, E: fmt::Display>(&mut self, key: &str, what: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        if !self.entries.iter().any(|(name, ..)| name == key) {
            self.asked.push(key.to_owned());
            let (line, text) = (self.line, format!("{} is missing: give {what}", self.full(key)));
            self.fault(line, text);
            return None;
        }
        self.optional(key, read)
    }

    /// A boolean, if the key is present.
    pub fn boolean(&mut self, key: &str) -> Option<bool> {
        match self.take(key)? {
            (_, Value::Boolean(value)) => Some(value),
            (line, value) => {
                self.wrong(key, line, "true or false", &value);
                None
            }
        }
    }

    /// A list of strings, if the key is present.
    pub fn strings(&mut self, key: &str) -> Option<Vec<String>> {
        self.each(key, |text| Ok::<_, String>(text.to_owned()))
    }

    /// A list of strings that `read` parses one by one, if the key is present. Every invalid item is reported.
    pub fn each<T, E: fmt::Display>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
        let (line, value) = self.take(key)?;
        let Value::Array(items) = value else {
            self.wrong(key, line, "a list of strings", &value);
            return None;
        };
        let mut meant = Vec::with_capacity(items.len());
        for (line, item) in items {
            match item {
                Value::String(text) => match read(&text) {
                    Ok(one) => meant.push(one),
                    Err(error) => {
                        let text = format!("{}: {error}", self.full(key));
                        self.fault(line, text);
                    }
                },
                other => self.wrong(key, line, "a list of strings", &other),
            }
        }
        Some(meant)
    }

    /// An integer within bounds, if the key is present.
    pub fn integer(&mut self, key: &str, bounds: RangeInclusive<i64>) -> Option<i64> {
        match self.take(key)? {
            (_, Value::Integer(value)) if bounds.contains(&value) => Some(value),
            (line, Value::Integer(value)) => {
                let text = format!("{} is {value}: it must be {} to {}", self.full(key), bounds.start(), bounds.end());
                self.fault(line, text);
                None
            }
            (line, value) => {
                self.wrong(key, line, "a number", &value);
                None
            }
        }
    }

    /// A sub-table, if the key is present. Return it with [`Table::absorb`].
    pub fn table(&mut self, key: &str) -> Option<Table> {
        match self.take(key)? {
            (line, Value::Table(entries)) => Some(self.child(key, line, entries)),
            (line, value) => {
                self.wrong(key, line, "a table", &value);
                None
            }
        }
    }

    /// Every `[[key]]`. Return each with [`Table::absorb`].
    pub fn tables(&mut self, key: &str) -> Vec<Table> {
        let mut found = Vec::new();
        match self.take(key) {
            None => {}
            Some((_, Value::Array(items))) => {
                for (line, item) in items {
                    match item {
                        Value::Table(entries) => found.push(self.child(key, line, entries)),
                        other => self.wrong(key, line, "a table", &other),
                    }
                }
            }
            Some((line, value)) => self.wrong(key, line, "a list of tables ([[...]])", &value),
        }
        found
    }

    fn child(&self, key: &str, line: usize, entries: Vec<Entry>) -> Table {
        Table { path: self.path.clone(), name: self.full(key), line, entries, asked: Vec::new(), faults: Vec::new() }
    }

    /// Merges a sub-table's errors and unknown keys.
    pub fn absorb(&mut self, mut child: Table) {
        child.report_unknown();
        self.faults.append(&mut child.faults);
    }

    fn report_unknown(&mut self) {
        for (key, line, _) in std::mem::take(&mut self.entries) {
            let near = self
                .asked
                .iter()
                .map(|known| (strsim::damerau_levenshtein(&key, known), known))
                .filter(|(distance, known)| *distance <= 2.max(known.len() / 3))
                .min();
            let hint = match near {
                Some((_, known)) => format!("did you mean {known:?}?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            let text = format!("{} is not a known key; {hint}", self.full(&key));
            self.fault(line, text);
        }
    }

    /// Returns the value, or all errors in line order.
    pub fn finish<T>(mut self, value: T) -> Result<T, Faults> {
        self.report_unknown();
        if self.faults.is_empty() {
            return Ok(value);
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(Faults(self.faults))
    }
}

fn entries(table: DeTable<'_>, lines: &LineIndex) -> Vec<Entry> {
    table
        .into_iter()
        .map(|(key, value)| {
            let line = lines.line(key.span().start);
            (key.into_inner().into_owned(), line, owned(value.into_inner(), lines))
        })
        .collect()
}

fn owned(value: DeValue<'_>, lines: &LineIndex) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(number) => number.to_string().parse().map_or(Value::Other("a number too large"), Value::Integer),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(table) => Value::Table(entries(table, lines)),
        DeValue::Array(items) => Value::Array(
            items
                .into_iter()
                .map(|item: Spanned<DeValue<'_>>| (lines.line(item.span().start), owned(item.into_inner(), lines)))
                .collect(),
        ),
    }
}

struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> LineIndex {
        LineIndex(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|newline| *newline < offset) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn faults(text: &str) -> Vec<String> {
        let mut table = match Table::parse(text, Path::new("a.toml")) {
            Ok(table) => table,
            Err(faults) => return faults.0.iter().map(|f| format!("{}: {}", f.line, f.text)).collect(),
        };
        table.required("listen", "an address", str::parse::<std::net::SocketAddr>);
        table.integer("port", 1..=65535);
        table.boolean("tls");
        table.each("sites", str::parse::<crate::ids::SiteCode>);
        if let Some(mut inner) = table.table("limits") {
            inner.integer("window", 1..=10);
            table.absorb(inner);
        }
        match table.finish(()) {
            Ok(()) => Vec::new(),
            Err(faults) => faults.0.iter().map(|f| format!("{}: {}", f.line, f.text)).collect(),
        }
    }

    #[test]
    fn a_good_file_has_none() {
        assert_eq!(faults("listen = \"127.0.0.1:1\"\nport = 5\n[limits]\nwindow = 3\n"), Vec::<String>::new());
    }

    #[test]
    fn unknown_keys_are_named_with_the_nearest_known_one() {
        assert_eq!(
            faults("listen = \"127.0.0.1:1\"\nprt = 5\n\n[limits]\nwindw = 1\nzzzzzz = 2\n"),
            [
                "2: prt is not a known key; did you mean \"port\"?",
                "5: limits.windw is not a known key; did you mean \"window\"?",
                "6: limits.zzzzzz is not a known key; known here: window",
            ]
        );
    }

    #[test]
    fn wrong_types_bounds_and_missing_keys_are_reported_together() {
        assert_eq!(
            faults("port = 70000\ntls = \"yes\"\n"),
            [
                "1: listen is missing: give an address",
                "1: port is 70000: it must be 1 to 65535",
                "2: tls must be true or false, not a string",
            ]
        );
    }

    #[test]
    fn a_list_of_strings_holds_nothing_else() {
        let read = |text: &str| {
            let mut table = Table::parse(text, Path::new("a.toml")).expect("TOML");
            let found = table.strings("command");
            table.finish(found).map_err(|faults| faults.to_string())
        };
        assert_eq!(read("command = [\"a\", \"b\"]"), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(read(""), Ok(None));
        for (text, found) in [
            ("command = \"a\"", "1: command must be a list of strings, not a string"),
            ("command = [\n\"a\",\n3]", "3: command must be a list of strings, not a number"),
        ] {
            assert!(read(text).expect_err("a fault").contains(found), "{text}");
        }
    }

    #[test]
    fn every_item_of_a_list_is_looked_at() {
        let good = "listen = \"127.0.0.1:1\"\n";
        assert_eq!(faults(&format!("{good}sites = []\n")), Vec::<String>::new());
        assert_eq!(faults(&format!("{good}sites = \"P01\"\n")), ["2: sites must be a list of strings, not a string"]);
        let shown = faults(&format!("{good}sites = [\"P01\",\n  \"way too long\", 7]\n"));
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].starts_with("3: sites: ") && shown[1] == "3: sites must be a list of strings, not a number", "{shown:?}");
    }

    #[test]
    fn invalid_toml_is_reported_with_its_line() {
        let shown = faults("listen = \"x\"\nport = = 3\n");
        assert!(shown[0].starts_with("2: invalid TOML"), "{shown:?}");
    }
}
