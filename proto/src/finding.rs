//! Findings ⇄ their messages.

use supwatch_model::finding::{Confidence, Evidence, Finding, Suppression};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError, known};

impl From<Finding> for wire::Finding {
    fn from(finding: Finding) -> wire::Finding {
        let Finding {
            id,
            rule,
            severity,
            site,
            subject,
            cause,
            summary,
            evidence,
            remedy,
            opened_at,
            changed_at,
            resolved_at,
            occurrences,
            suppressed,
            confidence,
            reasons,
            because_of,
            consequences,
        } = finding;
        wire::Finding {
            id,
            rule,
            severity: severity.as_str().to_owned(),
            site: site.to_string(),
            subject,
            cause: cause.unwrap_or_default(),
            summary: Some(summary.into()),
            evidence: evidence.into_iter().map(wire::Evidence::from).collect(),
            remedy: remedy.into_iter().map(wire::Text::from).collect(),
            opened_at: opened_at.map(to_wire),
            changed_at: changed_at.map(to_wire),
            resolved_at: resolved_at.map(to_wire),
            occurrences,
            suppressed: suppressed.map(wire::Suppression::from),
            confidence: confidence.map(|confidence| confidence.as_str().to_owned()).unwrap_or_default(),
            reasons: reasons.into_iter().map(wire::Text::from).collect(),
            because_of: because_of.unwrap_or_default(),
            consequences,
        }
    }
}

impl TryFrom<wire::Finding> for Finding {
    type Error = WireError;

    fn try_from(message: wire::Finding) -> Result<Finding, WireError> {
        let wire::Finding {
            id,
            rule,
            severity,
            site,
            subject,
            cause,
            summary,
            evidence,
            remedy,
            opened_at,
            changed_at,
            resolved_at,
            occurrences,
            suppressed,
            confidence,
            reasons,
            because_of,
            consequences,
        } = message;
        Ok(Finding {
            id,
            rule,
            severity: Severity::from_word(&severity)
                .ok_or_else(|| WireError::invalid("severity", &severity, "no such severity"))?,
            site: site.parse().map_err(|error| WireError::invalid("site", &site, error))?,
            subject,
            cause: known(cause),
            summary: summary.unwrap_or_default().into(),
            evidence: evidence.into_iter().map(Evidence::try_from).collect::<Result<_, _>>()?,
            remedy: remedy.into_iter().map(Text::from).collect(),
            opened_at: from_wire(opened_at),
            changed_at: from_wire(changed_at),
            resolved_at: from_wire(resolved_at),
            occurrences,
            suppressed: suppressed.map(Suppression::from),
            confidence: Confidence::from_word(&confidence),
            reasons: reasons.into_iter().map(Text::from).collect(),
            because_of: known(because_of),
            consequences,
        })
    }
}

impl From<Suppression> for wire::Suppression {
    fn from(Suppression { reason, by, at, until }: Suppression) -> wire::Suppression {
        wire::Suppression { reason, by, at: at.map(to_wire), until: until.map(to_wire) }
    }
}

impl From<wire::Suppression> for Suppression {
    fn from(wire::Suppression { reason, by, at, until }: wire::Suppression) -> Suppression {
        Suppression { reason, by, at: from_wire(at), until: from_wire(until) }
    }
}

impl From<Evidence> for wire::Evidence {
    fn from(evidence: Evidence) -> wire::Evidence {
        use wire::evidence::What;
        match evidence {
            Evidence::Line { site, file, offset, time, line } => wire::Evidence {
                site: site.to_string(),
                what: Some(What::Line(wire::LineEvidence { file, offset, time: time.map(to_wire), line })),
            },
            Evidence::Setting { site, setting, value, taken_at, source, since } => wire::Evidence {
                site: site.to_string(),
                what: Some(What::Setting(wire::SettingEvidence {
                    setting,
                    value: value.to_string(),
                    taken_at: taken_at.map(to_wire),
                    source,
                    since: since.map(to_wire),
                })),
            },
        }
    }
}

impl TryFrom<wire::Evidence> for Evidence {
    type Error = WireError;

    fn try_from(message: wire::Evidence) -> Result<Evidence, WireError> {
        use wire::evidence::What;
        let wire::Evidence { site, what } = message;
        let site = site.parse().map_err(|error| WireError::invalid("site", &site, error))?;
        match what.ok_or(WireError::Missing { message: "Evidence", field: "what" })? {
            What::Line(wire::LineEvidence { file, offset, time, line }) => {
                Ok(Evidence::Line { site, file, offset, time: from_wire(time), line })
            }
            What::Setting(wire::SettingEvidence { setting, value, taken_at, source, since }) => Ok(Evidence::Setting {
                site,
                setting,
                value: serde_json::from_str(&value).map_err(|error| WireError::invalid("value", &value, error))?,
                taken_at: from_wire(taken_at),
                source,
                since: from_wire(since),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use supwatch_model::finding::finding_id;

    use super::*;

    #[test]
    fn a_finding_survives_the_wire() {
        let site = "P01".parse().expect("code");
        let finding = Finding {
            id: finding_id("r", site, ""),
            rule: "r".into(),
            severity: Severity::Warning,
            site,
            subject: String::new(),
            cause: Some("c".into()),
            summary: Text::new("a", "b"),
            evidence: vec![
                Evidence::Line { site, file: "wsyncmgr.log".into(), offset: 7, time: None, line: "x".into() },
                Evidence::Setting {
                    site,
                    setting: "s".into(),
                    value: serde_json::json!(["en"]),
                    taken_at: Some(Timestamp::UNIX_EPOCH),
                    source: "wsus-api".into(),
                    since: Some(Timestamp::UNIX_EPOCH),
                },
            ],
            remedy: vec![Text::new("do", "する")],
            opened_at: Some(Timestamp::UNIX_EPOCH),
            changed_at: None,
            resolved_at: None,
            occurrences: 3,
            suppressed: Some(Suppression { reason: "known".into(), by: "operator/a".into(), at: None, until: None }),
            confidence: Some(Confidence::Likely),
            reasons: vec![Text::new("as the log says", "ログによる")],
            because_of: Some("0123456789ab".into()),
            consequences: vec!["ba9876543210".into()],
        };
        assert_eq!(Finding::try_from(wire::Finding::from(finding.clone())), Ok(finding));
    }
}
