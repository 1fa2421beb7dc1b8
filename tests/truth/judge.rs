//! What supwatch says of a hierarchy, and whether it is what it must say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::json;
use supwatch::analyze::analyze;
use supwatch::diagnosis::Catalogue;
use supwatch_proto::finding::Finding;
use supwatch_proto::verdict::Severity;

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

/// Those that no other finding explains.
pub fn causes(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| because_of(finding).is_none_or(|because| because.is_null())).collect()
}

fn because_of(finding: &Finding) -> Option<serde_json::Value> {
    serde_json::to_value(finding).ok()?.get("because_of").cloned()
}

/// Whether findings tell what they follow from.
pub fn folds() -> bool {
    static FOLDS: OnceLock<bool> = OnceLock::new();
    *FOLDS.get_or_init(|| {
        let words = json!({"en": "", "ja": ""});
        let any = json!({"id": "0", "rule": "sync-failed", "severity": "critical", "site": "P01", "subject": "", "cause": null,
            "summary": words, "evidence": [], "remedy": [], "opened_at": null, "changed_at": null, "resolved_at": null,
            "occurrences": 1, "suppressed": null});
        let any: Finding = serde_json::from_value(any).expect("a finding");
        because_of(&any).is_some()
    })
}

/// What a finding names.
pub fn name(finding: &Finding) -> Name {
    Name { rule: finding.rule.clone(), cause: finding.cause.clone(), site: finding.site.to_string() }
}

/// Whether exactly one cause is named, and it is the fault; of a healthy hierarchy, whether none is. As long as findings do not
/// say what they follow from, a fault is to be among those named.
pub fn is_right(found: &[&Finding], expected: Option<&Expected>) -> bool {
    let Some(Expected(any_of)) = expected else { return found.is_empty() };
    let named = |finding: &&Finding| any_of.iter().any(|wanted| names(wanted, finding));
    if folds() { matches!(found, [only] if named(only)) } else { found.iter().any(named) }
}

fn names(wanted: &Name, finding: &Finding) -> bool {
    let Name { rule, cause, site } = wanted;
    finding.rule == *rule && finding.site.to_string() == *site && (cause.is_none() || finding.cause == *cause)
}
