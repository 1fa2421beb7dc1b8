//! What-if queries: the verdicts on a hierarchy with changed settings, compared with the current ones.
//!
//! Pure; stores nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use supwatch_model::history::VerdictChange;
use supwatch_model::ids::SiteCode;
use supwatch_model::text::Text;
use supwatch_model::verdict::Verdict;

use crate::hierarchy::Hierarchy;
use crate::judge::judge_site;
use crate::limits::Limits;
use crate::settings::{PathError, assign};

/// Why a what-if query is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    /// No such site.
    #[error("there is no site {site} here; known: {known}")]
    Site {
        /// The site code that was given.
        site: SiteCode,
        /// The known site codes, for the error text.
        known: String,
    },
    /// The query sets nothing.
    #[error("no setting is changed: give --set, like --set wsus.is_replica=true")]
    Nothing,
    /// A setting that cannot be set.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The changed settings form no valid snapshot.
    #[error("these settings form no valid snapshot: {0}")]
    Snapshot(String),
}

type Verdicts = BTreeMap<(SiteCode, String, String), (Verdict, Option<Text>)>;

/// The verdicts that would change, by site and rule.
pub fn whatif(
    hierarchy: &Hierarchy,
    limits: &Limits,
    site: SiteCode,
    set: &[String],
    now: Timestamp,
) -> Result<Vec<VerdictChange>, WhatIfError> {
    let Some(known) = hierarchy.site(site) else {
        let known = hierarchy.sites.keys().map(SiteCode::to_string).collect::<Vec<_>>().join(", ");
        return Err(WhatIfError::Site { site, known });
    };
    if set.is_empty() {
        return Err(WhatIfError::Nothing);
    }
    let raw = known.merged().map(|merged| merged.raw.clone()).unwrap_or_default();
    let raw = assign(&raw, site.as_str(), set)?;
    let changed = hierarchy.assuming(site, raw, now).map_err(|error| WhatIfError::Snapshot(error.to_string()))?;
    let (before, mut after) = (judge(hierarchy, limits, now), judge(&changed, limits, now));
    let mut found = Vec::new();
    for (key, (verdict, wrong)) in before {
        match after.remove(&key) {
            Some((next, next_wrong)) if next.answer != verdict.answer || next_wrong != wrong => {
                found.push(VerdictChange { before: Some(verdict), after: Some(next), summary: next_wrong.or(wrong) });
            }
            Some(_) => {}
            None => found.push(VerdictChange { before: Some(verdict), after: None, summary: wrong }),
        }
    }
    found.extend(after.into_values().map(|(next, wrong)| VerdictChange { before: None, after: Some(next), summary: wrong }));
    Ok(found)
}

/// Rules about agents are skipped: they do not depend on settings.
fn judge(hierarchy: &Hierarchy, limits: &Limits, now: Timestamp) -> Verdicts {
    let mut all = Verdicts::new();
    for site in hierarchy.sites.keys() {
        let (verdicts, failures) = judge_site(hierarchy, limits, *site, now, false);
        for verdict in verdicts {
            let wrong = failures.iter().find(|(failed, _)| *failed == verdict).map(|(_, failure)| failure.summary.clone());
            all.insert((verdict.site, verdict.rule.to_string(), verdict.subject.clone()), (verdict, wrong));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{World, healthy};

    fn ask(site: &str, set: &[&str]) -> Result<Vec<String>, WhatIfError> {
        let world = World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("CEN", healthy("cen", None))
            .settings("P01", healthy("p01", Some("cen")));
        let set: Vec<String> = set.iter().map(|assignment| (*assignment).to_owned()).collect();
        let now = "2026-03-01T05:00:00Z".parse().expect("time");
        let changes = whatif(world.hierarchy(), &Limits::default(), site.parse().expect("code"), &set, now)?;
        let word = |verdict: &Option<Verdict>| verdict.as_ref().map_or("none", |verdict| verdict.answer.as_str());
        Ok(changes
            .iter()
            .map(|change| {
                let verdict = change.before.as_ref().or(change.after.as_ref()).expect("one of them");
                format!("{} {} {}>{}", verdict.site, verdict.rule, word(&change.before), word(&change.after))
            })
            .collect())
    }

    #[test]
    fn what_would_change_is_reported_for_the_site_and_those_below() {
        assert_eq!(
            ask("P01", &["wsus.is_replica=true"]),
            Ok(vec![
                "P01 child-replica pass>fail".to_owned(),
                "P01 classification-mismatch pass>none".to_owned(),
                "P01 filter-drift unknown>none".to_owned(),
                "P01 product-mismatch pass>none".to_owned(),
            ])
        );
        assert_eq!(ask("CEN", &["wsus.classifications=Drivers"]), Ok(vec!["P01 classification-mismatch pass>fail".to_owned()]));
        assert_eq!(ask("CEN", &["wsus.is_replica=false"]), Ok(vec![]));
    }

    #[test]
    fn an_invalid_query_says_why() {
        assert!(matches!(ask("P09", &["wsus.is_replica=true"]), Err(WhatIfError::Site { .. })));
        assert_eq!(ask("P01", &[]), Err(WhatIfError::Nothing));
        assert!(matches!(ask("P01", &["wsus.colour=red"]), Err(WhatIfError::Path(_))));
    }
}
