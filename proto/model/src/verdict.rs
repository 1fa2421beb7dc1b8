//! A verdict: the result of one rule for one site. *Unknown* is a valid answer and names the missing data.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::text::Text;

/// How bad a failed verdict is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Updates do not arrive.
    Critical,
    /// Updates arrive late, or not as intended.
    Warning,
    /// Informational.
    Info,
}

crate::describe::words!(Severity { Critical = "critical", Warning = "warning", Info = "info" });

/// The three answers of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The rule holds.
    Pass,
    /// The rule is violated.
    Fail,
    /// There is not enough data to decide.
    Unknown,
}

crate::describe::words!(Answer { Pass = "pass", Fail = "fail", Unknown = "unknown" });

/// The result of one rule for one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Id of the rule.
    pub rule: Cow<'static, str>,
    /// Code of the site.
    pub site: SiteCode,
    /// Part of the site concerned, such as a SUP; often empty.
    pub subject: String,
    /// Pass, fail or unknown.
    pub answer: Answer,
    /// Data that the rule used, such as `wsus[sup1].languages`.
    pub looked_at: Vec<Cow<'static, str>>,
    /// Data that was missing.
    pub missing: Vec<Text>,
    /// For an unknown answer: when a change above the site is expected to have reached it.
    pub expected_by: Option<Timestamp>,
}
