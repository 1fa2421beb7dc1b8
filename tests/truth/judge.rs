//! Compares supwatch's findings for a hierarchy with the expected ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use supwatch::analyze::analyze;
use supwatch_judgement::diagnosis::Catalogue;
use supwatch_model::finding::Finding;
use supwatch_model::verdict::Severity;

use crate::faults::{Expected, Name};
use crate::world::World;

/// Findings above info, as `supwatch analyze` gives them.
pub fn findings(folder: &Path, world: &World, catalogue: &Arc<Catalogue>) -> Vec<Finding> {
    let now = Timestamp::from_second(world.now).expect("in range");
    let at = world.judged_at_now.then_some(now);
    let analysis = analyze(&[PathBuf::from(folder)], at, now, catalogue.clone()).expect("an analysis");
    let mut findings = analysis.picture.findings;
    findings.retain(|finding| finding.severity != Severity::Info);
    findings
}

/// Findings that are not consequences of another.
pub fn causes(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.because_of.is_none()).collect()
}

/// The rule, cause and site of a finding.
pub fn name(finding: &Finding) -> Name {
    Name { rule: finding.rule.clone(), cause: finding.cause.clone(), site: finding.site.to_string() }
}

/// Whether exactly one cause is named, and it is the fault; for a healthy hierarchy, whether none is.
pub fn is_right(found: &[&Finding], expected: Option<&Expected>) -> bool {
    let Some(Expected(any_of)) = expected else { return found.is_empty() };
    matches!(found, [only] if any_of.iter().any(|wanted| names(wanted, only)))
}

fn names(wanted: &Name, finding: &Finding) -> bool {
    let Name { rule, cause, site } = wanted;
    finding.rule == *rule && finding.site.to_string() == *site && (cause.is_none() || finding.cause == *cause)
}
