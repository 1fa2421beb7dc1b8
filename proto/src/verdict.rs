//! A verdict: what a rule says of one site in its hierarchy. *Unknown* is an answer, and names what is missing.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::SiteCode;
use crate::text::Text;
use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError};

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

// ---- wire ----

impl From<Verdict> for wire::Verdict {
    fn from(Verdict { rule, site, subject, answer, looked_at, missing, expected_by }: Verdict) -> wire::Verdict {
        wire::Verdict {
            rule: rule.into_owned(),
            site: site.to_string(),
            verdict: answer.as_str().to_owned(),
            subject,
            looked_at: looked_at.into_iter().map(Cow::into_owned).collect(),
            missing: missing.into_iter().map(wire::Text::from).collect(),
            expected_by: expected_by.map(to_wire),
        }
    }
}

impl TryFrom<wire::Verdict> for Verdict {
    type Error = WireError;

    fn try_from(message: wire::Verdict) -> Result<Verdict, WireError> {
        let wire::Verdict { rule, site, verdict, subject, looked_at, missing, expected_by } = message;
        Ok(Verdict {
            rule: rule.into(),
            site: site.parse().map_err(|error| WireError::invalid("site", &site, error))?,
            subject,
            answer: Answer::from_word(&verdict).ok_or_else(|| WireError::invalid("verdict", &verdict, "no such answer"))?,
            looked_at: looked_at.into_iter().map(Cow::from).collect(),
            missing: missing.into_iter().map(Text::from).collect(),
            expected_by: from_wire(expected_by),
        })
    }
}
