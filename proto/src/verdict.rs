//! Verdicts ⇄ their messages.

use std::borrow::Cow;

use supwatch_model::text::Text;
use supwatch_model::verdict::{Answer, Verdict};

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError};

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
