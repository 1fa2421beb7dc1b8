//! A verdict: what a rule says of one site in its hierarchy. *Unknown* is an answer, and names what is missing.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::text::Text;

/// How bad a failed verdict is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Updates do not come.
    Critical,
    /// Updates come late, or not as intended.
    Warning,
    /// Worth knowing.
    Info,
}

crate::describe::words!(Severity { Critical = "critical", Warning = "warning", Info = "info" });

/// The three answers of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The rule holds.
    Pass,
    /// It does not.
    Fail,
    /// There is not enough data to say.
    Unknown,
}

crate::describe::words!(Answer { Pass = "pass", Fail = "fail", Unknown = "unknown" });

/// What a rule says of one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Rule.
    pub rule: Cow<'static, str>,
    /// Site.
    pub site: SiteCode,
    /// Part of the site it is about, such as a SUP; often empty.
    pub subject: String,
    /// The answer.
    pub answer: Answer,
    /// What it looked at, such as `wsus[sup1].languages`.
    pub looked_at: Vec<Cow<'static, str>>,
    /// What it lacked.
    pub missing: Vec<Text>,
    /// Of an unknown one: when what was changed above the site is expected to have reached it.
    pub expected_by: Option<Timestamp>,
}
