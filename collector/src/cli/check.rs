//! `supwatch check`: one line with performance data, exit codes of monitoring plugins: 0 ok, 1 warning, 2 critical, 3 unknown.

use std::collections::BTreeSet;
use std::process::ExitCode;

use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{Picture, SiteState};
use supwatch_model::verdict::Severity;

use super::client::picture;
use super::{Global, Outcome, print};
use crate::show::render::safe;

/// The plugin code for "unknown".
pub(super) const UNKNOWN: u8 = 3;

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Only this site
    #[arg(long, value_parser = super::site)]
    site: Option<SiteCode>,
}

impl Check {
    pub(super) fn run(&self, global: &Global) -> Outcome {
        let mut picture = picture(global, None, false)?;
        if let Some(site) = self.site {
            picture.sites.retain(|other| other.code == site);
            picture.findings.retain(|finding| finding.site == site);
            // For a single site, the consequence of a fault elsewhere is all that can be shown.
            let here: BTreeSet<String> = picture.findings.iter().map(|finding| finding.id.clone()).collect();
            for finding in &mut picture.findings {
                finding.because_of = finding.because_of.take().filter(|cause| here.contains(cause));
            }
        }
        let (code, line) = judge(&picture, global);
        print(&format!("{line}\n"))?;
        Ok(code)
    }
}

/// An unreachable collector is "unknown", on the one line that the monitoring system shows.
pub(super) fn unknown(text: &str) -> ExitCode {
    // The exit code reports it even if the line cannot be written.
    let _ = print(&format!("SUPWATCH UNKNOWN - {}\n", safe(text)));
    ExitCode::from(UNKNOWN)
}

fn judge(picture: &Picture, global: &Global) -> (u8, String) {
    let pressing = || picture.findings.iter().filter(|finding| finding.is_pressing());
    let count = |severity| pressing().filter(|finding| finding.severity == severity).count();
    let (critical, warning, info) = (count(Severity::Critical), count(Severity::Warning), count(Severity::Info));
    let (code, word) = match (critical, warning) {
        _ if picture.sites.is_empty() => (UNKNOWN, "UNKNOWN"),
        (0, 0) => (0, "OK"),
        (0, _) => (1, "WARNING"),
        _ => (2, "CRITICAL"),
    };
    let ok = picture.sites.iter().filter(|site| matches!(site.state, SiteState::Ok | SiteState::Running)).count();
    let text = match pressing().min_by_key(|finding| finding.severity) {
        Some(worst) => format!("{critical} critical, {warning} warning; {}", safe(worst.summary.get(global.lang()))),
        None if picture.sites.is_empty() => "no sites known".to_owned(),
        None => format!("{ok} of {} sites ok", picture.sites.len()),
    };
    // A bar would end the text and start the performance data.
    let text = text.replace('|', "/");
    (
        code,
        format!(
            "SUPWATCH {word} - {text} | critical={critical};;0 warning={warning};0 info={info} sites={} sites_ok={ok}",
            picture.sites.len()
        ),
    )
}
