//! `rules.toml`: limits, severities, disabled rules and intended differences, set by an administrator. Each exception has a
//! reason and an end, so that it does not outlive its purpose.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use supwatch_model::config::{Faults, Table};
use supwatch_model::ids::SiteCode;
use supwatch_model::verdict::{Severity, Verdict};

/// Limits of the rules, and exceptions from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Schedule intervals without success before a warning.
    pub overdue_warning_gaps: u32,
    /// Schedule intervals without success before a critical finding.
    pub overdue_critical_gaps: u32,
    /// Minutes a run may go without progress.
    pub stuck_minutes: u32,
    /// Minutes a child may take to start after its parent's notification.
    pub wave_minutes: u32,
    /// Most minutes between a WSUS synchronisation and the run it belongs to.
    pub outside_minutes: u32,
    /// Minutes of silence of an agent; `None`: what `hierarchy.toml` says, or 5.
    pub silent_minutes: Option<u32>,
    /// Events an agent's spool may hold before it counts as lagging.
    pub lagging_events: u64,
    /// Seconds by which clocks may differ.
    pub clock_seconds: i64,
    rules: Vec<Setting>,
    expected: Vec<Expected>,
}

/// A changed severity of a rule, or its disabling.
#[derive(Debug, Clone, PartialEq)]
struct Setting {
    rule: String,
    sites: Vec<SiteCode>,
    severity: Option<Severity>,
    disabled: bool,
    until: Option<Timestamp>,
}

/// An intended difference.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    rule: String,
    sites: Vec<SiteCode>,
    subject: Option<String>,
    /// Names that may differ; empty: any.
    values: BTreeSet<String>,
    reason: String,
    until: Option<Timestamp>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            overdue_warning_gaps: 2,
            overdue_critical_gaps: 4,
            stuck_minutes: 120,
            wave_minutes: 60,
            outside_minutes: 5,
            silent_minutes: None,
            lagging_events: 10_000,
            clock_seconds: 300,
            rules: Vec::new(),
            expected: Vec::new(),
        }
    }
}

impl Limits {
    /// Parses the text of a `rules.toml`; reports all faults at once. `known` are the names of the rules.
    pub fn parse(text: &str, path: &Path, known: &[&str]) -> Result<Limits, Faults> {
        let mut table = Table::parse(text, path)?;
        let mut limits = Limits::default();
        if let Some(mut numbers) = table.table("limits") {
            limits.read_numbers(&mut numbers);
            table.absorb(numbers);
        }
        for mut entry in table.tables("rule") {
            let common = common(&mut entry, "name", known);
            let severity = entry.optional("severity", |word| {
                Severity::from_word(word).ok_or_else(|| format!("{word:?} is not a severity: write critical, warning or info"))
            });
            let disabled = entry.boolean("disabled").unwrap_or(false);
            if severity.is_none() && !disabled {
                entry.fault(entry.line(), "this says nothing about the rule: give severity or disabled = true");
            }
            if let Some(Common { rule, sites, until, .. }) = common {
                limits.rules.push(Setting { rule, sites, severity, disabled, until });
            }
            table.absorb(entry);
        }
        for mut entry in table.tables("expected") {
            let common = common(&mut entry, "rule", known);
            let subject = entry.string("subject");
            let values = entry.each("values", |name| Ok::<_, String>(name.to_lowercase())).unwrap_or_default();
            if let Some(common) = common.as_ref().filter(|common| !values.is_empty() && !BY_NAME.contains(&common.rule.as_str())) {
                entry.fault(entry.line(), format!("values: {} names nothing that could be listed; leave it out", common.rule));
            }
            if let Some(Common { rule, sites, reason, until }) = common {
                limits.expected.push(Expected { rule, sites, subject, values: values.into_iter().collect(), reason, until });
            }
            table.absorb(entry);
        }
        if limits.overdue_critical_gaps < limits.overdue_warning_gaps {
            table.fault(1, "limits.sync_overdue_critical_gaps is below sync_overdue_warning_gaps: a warning comes first");
        }
        table.finish(limits)
    }

    /// Parses the result of reading the file.
    pub fn of_file(text: std::io::Result<String>, path: &Path, known: &[&str]) -> Result<Limits, Faults> {
        match text {
            Ok(text) => Limits::parse(&text, path, known),
            Err(error) => Err(Faults::of_file(path, format!("cannot be read: {error}"))),
        }
    }

    fn read_numbers(&mut self, table: &mut Table) {
        let mut number = |key: &str, most: i64| table.integer(key, 1..=most).and_then(|number| u32::try_from(number).ok());
        let mut set = |into: &mut u32, key: &str, most: i64| *into = number(key, most).unwrap_or(*into);
        set(&mut self.overdue_warning_gaps, "sync_overdue_warning_gaps", 1000);
        set(&mut self.overdue_critical_gaps, "sync_overdue_critical_gaps", 1000);
        set(&mut self.stuck_minutes, "sync_stuck_minutes", 100_000);
        set(&mut self.wave_minutes, "wave_missed_minutes", 100_000);
        set(&mut self.outside_minutes, "sync_started_outside_minutes", 1000);
        self.silent_minutes = number("agent_silent_minutes", 100_000);
        self.lagging_events = number("agent_lagging_events", 1_000_000_000).map_or(self.lagging_events, u64::from);
        self.clock_seconds = number("clock_skew_seconds", 100_000).map_or(self.clock_seconds, i64::from);
    }

    /// Whether a rule is disabled at a site now.
    pub fn disabled(&self, rule: &str, site: SiteCode, now: Timestamp) -> bool {
        self.settings(rule, site, now).any(|setting| setting.disabled)
    }

    /// The severity configured for a rule at a site; the last entry counts.
    pub fn severity(&self, rule: &str, site: SiteCode, now: Timestamp) -> Option<Severity> {
        self.settings(rule, site, now).filter_map(|setting| setting.severity).last()
    }

    fn settings<'a>(&'a self, rule: &'a str, site: SiteCode, now: Timestamp) -> impl Iterator<Item = &'a Setting> {
        self.rules.iter().filter(move |entry| entry.rule == rule && concerns(&entry.sites, site) && is_active(entry.until, now))
    }

    /// The reason of an exception that covers a failed verdict as a whole.
    pub fn expected_reason(&self, verdict: &Verdict, now: Timestamp) -> Option<&str> {
        let fits = |entry: &&Expected| {
            entry.values.is_empty()
                && entry.rule == verdict.rule
                && concerns(&entry.sites, verdict.site)
                && entry.subject.as_ref().is_none_or(|subject| subject.eq_ignore_ascii_case(&verdict.subject))
                && is_active(entry.until, now)
        };
        self.expected.iter().find(fits).map(|entry| entry.reason.as_str())
    }

    /// Whether a name may differ at a site.
    pub fn may_differ(&self, rule: &str, site: SiteCode, name: &str, now: Timestamp) -> bool {
        self.expected.iter().any(|entry| {
            entry.rule == rule
                && concerns(&entry.sites, site)
                && entry.values.contains(&name.to_lowercase())
                && is_active(entry.until, now)
        })
    }

    /// Number of expired entries, which can be removed.
    pub fn ended(&self, now: Timestamp) -> usize {
        let ends = self.rules.iter().map(|entry| entry.until).chain(self.expected.iter().map(|entry| entry.until));
        ends.filter(|until| !is_active(*until, now)).count()
    }
}

fn concerns(sites: &[SiteCode], site: SiteCode) -> bool {
    sites.is_empty() || sites.contains(&site)
}

fn is_active(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// Rules whose findings name what differs.
const BY_NAME: &[&str] =
    &["language-mismatch", "classification-mismatch", "product-mismatch", "filter-drift", "languages-added-late"];

/// Fields common to all exceptions.
struct Common {
    rule: String,
    sites: Vec<SiteCode>,
    reason: String,
    until: Option<Timestamp>,
}

fn common(entry: &mut Table, key: &str, known: &[&str]) -> Option<Common> {
    let rule = entry.required(key, "the rule's name, as `supwatch rules` lists it", |name| {
        if known.contains(&name) {
            return Ok(name.to_owned());
        }
        let near = known.iter().find(|rule| strsim::damerau_levenshtein(rule, name) <= 3);
        Err(match near {
            Some(near) => format!("{name:?} is not a rule; did you mean {near:?}?"),
            None => format!("{name:?} is not a rule: `supwatch rules` lists them"),
        })
    });
    let sites = entry.each("sites", str::parse::<SiteCode>).unwrap_or_default();
    let reason = entry.required("reason", "why, for whoever reads it in a year", |text| {
        if text.trim().is_empty() { Err("an empty reason is none") } else { Ok(text.to_owned()) }
    });
    let until = entry.required("until", "the day it ends, like \"2027-01-31\", or \"never\"", end);
    Some(Common { rule: rule?, sites, reason: reason?, until: until? })
}

/// A day counts until its end.
fn end(text: &str) -> Result<Option<Timestamp>, String> {
    if text == "never" {
        return Ok(None);
    }
    let wrong = || format!("{text:?} is not a day: write one like \"2027-01-31\", or \"never\"");
    let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
    let next = day.tomorrow().map_err(|_| wrong())?;
    next.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| Some(zoned.timestamp())).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["language-mismatch", "sync-overdue"];

    fn at(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    #[test]
    fn an_exception_holds_for_its_sites_and_until_its_end() {
        let text = "[limits]\nwave_missed_minutes = 90\n[[expected]]\nrule = \"language-mismatch\"\nsites = [\"S01\"]\nvalues = [\"FR\"]\nreason = \"x\"\nuntil = \"2026-03-31\"\n[[rule]]\nname = \"sync-overdue\"\nseverity = \"info\"\nreason = \"x\"\nuntil = \"never\"\n";
        let limits = Limits::parse(text, Path::new("rules.toml"), KNOWN).expect("good");
        let (s01, p01) = ("S01".parse().expect("code"), "P01".parse().expect("code"));
        assert_eq!(limits.wave_minutes, 90);
        assert!(limits.may_differ("language-mismatch", s01, "fr", at("2026-03-31T23:00:00Z")));
        assert!(!limits.may_differ("language-mismatch", p01, "fr", at("2026-03-31T23:00:00Z")));
        assert!(!limits.may_differ("language-mismatch", s01, "fr", at("2026-04-01T00:00:00Z")));
        assert_eq!(limits.ended(at("2026-04-01T00:00:00Z")), 1);
        assert_eq!(limits.severity("sync-overdue", p01, at("2030-01-01T00:00:00Z")), Some(Severity::Info));
    }

    #[test]
    fn the_example_says_what_holds_without_it() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/rules.toml"));
        assert_eq!(Limits::of_file(std::fs::read_to_string(path), path, KNOWN).expect("good"), Limits::default());
        let text = std::fs::read_to_string(path).expect("file");
        let uncommented = text.replace("\n#[[", "\n[[").replace("\n#name", "\nname");
        let keys = ["rule", "severity", "sites", "reason", "until", "values", "agent_silent_minutes"];
        let uncommented = keys.iter().fold(uncommented, |text, key| text.replace(&format!("\n#{key} "), &format!("\n{key} ")));
        Limits::parse(&uncommented, path, &crate::rules::names()).expect("good");
    }

    #[test]
    fn all_faults_are_reported_with_their_lines() {
        let text = "[limits]\nwave_mised_minutes = 9\n[[rule]]\nname = \"sync-overdu\"\nuntil = \"soon\"\n[[expected]]\nrule = \"language-mismatch\"\nreason = \" \"\nsites = [\"TOOLONG\"]\n";
        let shown = Limits::parse(text, Path::new("rules.toml"), KNOWN).expect_err("faults").to_string();
        for part in [
            "rules.toml:2: limits.wave_mised_minutes is not a known key; did you mean \"wave_missed_minutes\"?",
            "rules.toml:4: rule.name: \"sync-overdu\" is not a rule; did you mean \"sync-overdue\"?",
            "\"soon\" is not a day",
            "an empty reason is none",
            "expected.until is missing",
            "this says nothing about the rule",
            "rules.toml:9: expected.sites",
        ] {
            assert!(shown.contains(part), "{part} not in:\n{shown}");
        }
    }
}
