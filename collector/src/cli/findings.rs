//! `supwatch findings`: what is wrong, what is expected, and operators' decisions on findings.

use jiff::Timestamp;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::Picture;
use supwatch_model::verdict::{Severity, Verdict};

use super::client::picture;
use super::{FailOn, Failure, Global, Outcome, print, print_json, suppress};
use crate::show::render::{findings, json};

#[derive(Debug, clap::Args)]
pub(super) struct Findings {
    /// Include resolved findings
    #[arg(long)]
    all: bool,
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
    /// Only this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only this severity or worse
    #[arg(long, value_enum)]
    severity: Option<FailOn>,
    /// Show findings in full, with evidence and remedies
    #[arg(long)]
    full: bool,
    /// Suppress a finding: it is still judged and shown, but not notified; needs --reason
    #[arg(long, value_name = "ID", requires = "reason", conflicts_with_all = ["unsuppress", "audit"])]
    suppress: Option<String>,
    /// Lift the suppression of a finding; needs --reason
    #[arg(long, value_name = "ID", requires = "reason", conflicts_with = "audit")]
    unsuppress: Option<String>,
    /// Reason of --suppress or --unsuppress
    #[arg(long)]
    reason: Option<String>,
    /// When --suppress ends; without it, when an operator lifts it
    #[arg(long, value_parser = super::moment_ahead, requires = "suppress")]
    until: Option<Timestamp>,
    /// List changes above a site that have not reached it yet, and when they are due
    #[arg(long)]
    expected: bool,
    /// List every suppression: who, what, when and why
    #[arg(long)]
    audit: bool,
    /// As of this time
    #[arg(long, value_parser = super::moment, allow_hyphen_values = true)]
    at: Option<Timestamp>,
    /// Exit with 1 from this severity on
    #[arg(long, value_enum, default_value_t = FailOn::Critical)]
    fail_on: FailOn,
}

impl Findings {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let reason = self.reason.as_deref().unwrap_or_default();
        if let Some(id) = &self.suppress {
            return suppress::suppress(global, id, reason, self.until).map(|()| 0);
        }
        if let Some(id) = &self.unsuppress {
            return suppress::unsuppress(global, id, reason).map(|()| 0);
        }
        if self.audit {
            return suppress::audit(global).map(|()| 0);
        }
        let picture = picture(global, self.at, self.all)?;
        if self.expected {
            return self.list_expected(&picture, global).map(|()| 0);
        }
        let mut found = picture.findings;
        let limit = match self.severity {
            Some(FailOn::Critical) => Severity::Critical,
            Some(FailOn::Warning) => Severity::Warning,
            Some(FailOn::Info | FailOn::Never) | None => Severity::Info,
        };
        found.retain(|finding| {
            self.site.is_none_or(|site| finding.site == site)
                && self.rule.as_ref().is_none_or(|rule| finding.rule == *rule)
                && finding.severity <= limit
        });
        let look = global.look();
        if global.is_json() {
            let list: Vec<_> = found.iter().map(|finding| json::finding(finding, global.lang())).collect();
            print_json(&serde_json::json!({"schema": "supwatch/findings/v1", "findings": list}))?;
        } else if self.full {
            let full = |finding| format!("{}{}", findings::full(finding, look), findings::following(finding, &found, look));
            print(&found.iter().map(full).collect::<Vec<_>>().join("\n"))?;
        } else {
            print(&findings::list(&found, look))?;
        }
        Ok(u8::from(self.fail_on.fails(&found)))
    }

    /// Differences whose propagation to the site is still due.
    fn list_expected(&self, picture: &Picture, global: &Global) -> Result<(), Failure> {
        let look = global.look();
        let concerned = |verdict: &&Verdict| {
            verdict.expected_by.is_some()
                && self.site.is_none_or(|site| verdict.site == site)
                && self.rule.as_ref().is_none_or(|rule| verdict.rule == *rule)
        };
        let found: Vec<&Verdict> = picture.verdicts.iter().filter(concerned).collect();
        if global.is_json() {
            let list: Vec<_> = found.iter().map(|verdict| json::verdict(verdict, global.lang())).collect();
            return print_json(&serde_json::json!({"schema": "supwatch/expected/v1", "expected": list}));
        }
        print(&findings::expected(&found, look))
    }
}
