//! Pictures to draw: with one text in every field, with a distinct text for each field, empty, wide, deep, in a cycle.

use jiff::Timestamp;
use serde_json::json;
use supwatch_model::describe::SiteType;
use supwatch_model::event::{Scope, Trigger};
use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{FindingCounts, Picture, SitePicture, SiteState};
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::text::{Lang, Text};
use supwatch_model::verdict::{Answer, Severity, Verdict};

use crate::show::render::Look;

pub(super) const LOOK: Look = Look { lang: Lang::En, color: false, width: 0 };

/// Codes that are the same in every language.
pub(super) const CODES: [&str; 11] = ["child", "replica", "wsus", "sup", "is", "example", "corp", "file", "log", "sync", "failed"];

/// The texts of [`named`].
pub(super) const NAMES: [&str; 20] = [
    "hierarchy-name",
    "server-name",
    "rule-name",
    "subject-name",
    "cause-name",
    "summary-text",
    "evidence-file",
    "evidence-line",
    "setting-path",
    "setting-value",
    "remedy-text",
    "run-cause",
    "run-text",
    "verdict-rule",
    "verdict-subject",
    "missing-text",
    "parent-sup",
    "child-sup",
    "product-here",
    "proxy-name",
];

fn code(text: &str) -> SiteCode {
    text.parse().expect("a code")
}

fn at(minute: i64) -> Option<Timestamp> {
    Timestamp::new(1_772_000_000 + minute * 60, 0).ok()
}

pub(super) fn empty() -> Picture {
    Picture {
        hierarchy: String::new(),
        at: None,
        sites: Vec::new(),
        runs: Vec::new(),
        findings: Vec::new(),
        verdicts: Vec::new(),
        refusals: Vec::new(),
    }
}

fn site(name: &str, parent: Option<&str>, text: impl Fn(&str) -> String) -> SitePicture {
    let (sup, above) = if parent.is_some() { ("child-sup", "parent-sup") } else { ("parent-sup", "upstream-of-parent") };
    let settings = json!({
        "sups": [{"server": text(sup), "first": true, "ssl": false}],
        "wsus": [{
            "server": text(sup), "sync_from_microsoft_update": false, "is_replica": parent.is_some(),
            "upstream": {"server": text(above), "port": 8530, "ssl": true},
            "languages": if parent.is_some() { json!(["en", "ja"]) } else { json!(["ja", "EN"]) },
            "classifications": [text("classification")], "products": [text(if parent.is_some() { "product-here" } else { "product-there" })],
            "website": {"http_port": 8530, "https_port": 8531},
            "proxy": {"enabled": true, "server": text("proxy-name"), "port": 8080, "account": true}
        }]
    });
    SitePicture {
        code: code(name),
        site_type: Some(if parent.is_some() { SiteType::Primary } else { SiteType::Central }),
        parent: parent.map(code),
        state: if parent.is_some() { SiteState::Failed } else { SiteState::Running },
        last_success_at: at(0),
        last_failure_at: at(9),
        next_run_at: None,
        catalog_version: Some(35),
        findings: FindingCounts { critical: u32::from(parent.is_some()), warning: 0, info: 0 },
        agents: Vec::new(),
        server: Some(text("server-name")),
        generation: None,
        settings: Some(settings),
        trends: Vec::new(),
        judged_as_of: None,
        backlog: None,
    }
}

fn run(name: &str, minute: i64, text: impl Fn(&str) -> String) -> Run {
    Run {
        id: format!("{name}-{minute}"),
        site: code(name),
        trigger: Trigger::Parent,
        from: Some(code("CEN")),
        scope: Scope::Delta,
        started_at: at(minute),
        ended_at: at(minute + 3),
        outcome: RunOutcome::Failed,
        phases: Vec::new(),
        progress: Some((1, 2)),
        cause: Some(text("run-cause")),
        text: Some(text("run-text")),
        source: None,
        code: None,
        retry_of: None,
        catalog_version: None,
    }
}

fn finding(name: &str, lines: usize, text: impl Fn(&str) -> String) -> Finding {
    let both = |name: &str| Text::new(text(name), text(name));
    let line =
        |offset| Evidence::Line { site: code(name), file: text("evidence-file"), offset, time: at(1), line: text("evidence-line") };
    let setting = Evidence::Setting {
        site: code(name),
        setting: text("setting-path"),
        value: json!(text("setting-value")),
        taken_at: at(2),
        source: text("setting-source"),
        since: at(1),
    };
    Finding {
        id: text("finding-id"),
        rule: text("rule-name"),
        severity: Severity::Critical,
        site: code(name),
        subject: text("subject-name"),
        cause: Some(text("cause-name")),
        summary: both("summary-text"),
        evidence: std::iter::once(setting).chain((0..lines as u64).map(line)).collect(),
        remedy: vec![both("remedy-text"); 2],
        opened_at: at(1),
        changed_at: None,
        resolved_at: None,
        occurrences: 3,
        suppressed: None,
        confidence: None,
        reasons: Vec::new(),
        because_of: None,
        consequences: Vec::new(),
    }
}

fn verdict(name: &str, text: impl Fn(&str) -> String) -> Verdict {
    Verdict {
        rule: text("verdict-rule").into(),
        site: code(name),
        subject: text("verdict-subject"),
        answer: Answer::Unknown,
        looked_at: Vec::new(),
        missing: vec![Text::new(text("missing-text"), text("missing-text"))],
        expected_by: None,
    }
}

fn two(text: impl Fn(&str) -> String) -> Picture {
    Picture {
        hierarchy: text("hierarchy-name"),
        at: at(60),
        sites: vec![site("CEN", None, &text), site("P01", Some("CEN"), &text)],
        runs: vec![run("P01", 10, &text)],
        findings: vec![finding("P01", 2, &text)],
        verdicts: vec![verdict("P01", &text)],
        ..empty()
    }
}

/// The same text in every field.
pub(super) fn filled(text: &str) -> Picture {
    two(|_| text.to_owned())
}

/// A distinct text for each field.
pub(super) fn named() -> Picture {
    two(str::to_owned)
}

fn numbered(number: usize) -> String {
    let digit = |value: usize| char::from_digit((value % 36) as u32, 36).expect("a digit").to_ascii_uppercase();
    [number / 1296 + 33, number / 36, number].into_iter().map(digit).collect()
}

/// This many sites, all below one, each with much data.
pub(super) fn wide(sites: usize) -> Picture {
    full(sites, &"値 ".repeat(20))
}

/// Sites whose texts all have the greatest length, and take the most room on the page.
pub(super) fn hostile(sites: usize) -> Picture {
    full(sites, &"<\u{202e}".repeat(3_000))
}

fn full(sites: usize, value: &str) -> Picture {
    let text = |_: &str| value.to_owned();
    let mut picture = Picture { sites: vec![site("CEN", None, text)], at: at(60), ..empty() };
    for name in (0..sites.saturating_sub(1)).map(numbered) {
        picture.sites.push(site(&name, Some("CEN"), text));
        // With thousands of sites, the picture holds only one run of each.
        let runs = if sites > 1_000 { 1 } else { 15 };
        picture.runs.extend((0..runs).map(|minute| run(&name, minute, text)));
        picture.findings.extend([finding(&name, 15, text), finding(&name, 3, text)]);
        picture.verdicts.push(verdict(&name, |_| format!("{name} {value}")));
    }
    picture
}

/// Each site below the one before it.
pub(super) fn deep(sites: usize) -> Picture {
    let names: Vec<String> = (0..sites).map(numbered).collect();
    let parents = std::iter::once(None).chain(names.iter().map(|name| Some(name.as_str())));
    let sites = names.iter().zip(parents).map(|(name, parent)| SitePicture { settings: None, ..site(name, parent, str::to_owned) });
    Picture { sites: sites.collect(), ..empty() }
}

/// Three sites in a cycle.
pub(super) fn round() -> Picture {
    let sites = [("AAA", "BBB"), ("BBB", "CCC"), ("CCC", "AAA")];
    Picture { sites: sites.map(|(name, parent)| site(name, Some(parent), str::to_owned)).to_vec(), ..empty() }
}
