//! The life of a finding: it opens when a verdict fails, continues while it fails, is resolved when it passes, and opens again
//! under the same id.
//!
//! [`Judge::judge`] brings the findings of each judged site up to date here. A verdict that is unknown ends nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use supwatch_model::finding::{Evidence, Finding, finding_id};
use supwatch_model::ids::SiteCode;
use supwatch_model::verdict::{Answer, Verdict};

use super::{Judge, Which};
use crate::rules::{Failure, Scene, closing_note};

/// The findings of one site, by id.
type Findings = BTreeMap<String, Finding>;

impl Judge {
    /// Brings the findings of a site up to date with its verdicts, and adds those that changed to `changed`.
    pub(super) fn update(
        &mut self,
        site: SiteCode,
        verdicts: &[Verdict],
        failures: Vec<(Verdict, Failure)>,
        now: Timestamp,
        which: Which,
        changed: &mut Vec<Finding>,
    ) {
        if failures.is_empty() && !self.findings.contains_key(&site) {
            return;
        }
        let findings = self.findings.entry(site).or_default();
        let failing = record_failures(findings, failures, now, changed);
        lift_ended_suppressions(findings, now, changed);
        let scene = self.hierarchy.site(site).map(|site| Scene {
            hierarchy: &self.hierarchy,
            site,
            now,
            live: self.live,
            limits: &self.limits,
        });
        let passing = |finding: &&mut Finding| which.includes(&finding.rule) && !failing.contains(&finding.id);
        for finding in findings.values_mut().filter(passing) {
            if finding.resolved_at.is_none() && !is_undecided(finding, verdicts) {
                resolve(finding, verdicts, scene.as_ref(), now);
                changed.push(finding.clone());
            }
        }
    }
}

/// Opens, continues or reopens a finding for each failure, and returns their ids.
fn record_failures(
    findings: &mut Findings,
    failures: Vec<(Verdict, Failure)>,
    now: Timestamp,
    changed: &mut Vec<Finding>,
) -> BTreeSet<String> {
    let mut failing = BTreeSet::new();
    for (verdict, failure) in failures {
        let new = opened(&verdict, failure, now);
        failing.insert(new.id.clone());
        let mut next = match findings.get(&new.id) {
            Some(old) if old.resolved_at.is_none() => continued(old, new, now),
            // A reopened finding may have another cause: only a suppression with an end time still covers it.
            Some(old) => Finding { suppressed: old.suppressed.clone().filter(|suppressed| suppressed.until.is_some()), ..new },
            None => new,
        };
        next.suppressed = next.suppressed.filter(|suppressed| suppressed.until.is_none_or(|until| until > now));
        if findings.get(&next.id) != Some(&next) {
            changed.push(next.clone());
            findings.insert(next.id.clone(), next);
        }
    }
    failing
}

/// Lifts the suppressions whose end has passed.
fn lift_ended_suppressions(findings: &mut Findings, now: Timestamp, changed: &mut Vec<Finding>) {
    let over = |finding: &Finding| finding.suppressed.as_ref().is_some_and(|s| s.until.is_some_and(|until| until <= now));
    for finding in findings.values_mut().filter(|finding| over(finding)) {
        finding.suppressed = None;
        changed.push(finding.clone());
    }
}

/// Whether a finding can no longer be judged: it stays open until its rule has data again.
fn is_undecided(finding: &Finding, verdicts: &[Verdict]) -> bool {
    let concerns =
        |verdict: &&Verdict| verdict.rule == finding.rule && (verdict.subject.is_empty() || verdict.subject == finding.subject);
    verdicts.iter().filter(concerns).any(|verdict| verdict.answer == Answer::Unknown)
}

/// Resolves a finding, with the closing note of its rule where the fault was repaired.
fn resolve(finding: &mut Finding, verdicts: &[Verdict], scene: Option<&Scene<'_>>, now: Timestamp) {
    // An exception or a disabled rule also resolves a finding, without a repair.
    let mended = verdicts.iter().any(|verdict| {
        verdict.rule == finding.rule
            && verdict.answer == Answer::Pass
            && !verdict.looked_at.iter().any(|looked| looked.starts_with("rules.toml:"))
    });
    if let Some(note) = scene.filter(|_| mended).and_then(|scene| closing_note(scene, finding)) {
        finding.summary.en.push_str(&format!(". {}", note.en));
        finding.summary.ja.push_str(&format!("。{}", note.ja));
    }
    finding.resolved_at = Some(now);
    finding.changed_at = Some(now);
}

/// A new finding of a failed verdict.
pub fn opened(verdict: &Verdict, failure: Failure, now: Timestamp) -> Finding {
    let Failure { severity, summary, evidence, remedy, cause, confidence, reasons, since, occurrences } = failure;
    Finding {
        id: finding_id(&verdict.rule, verdict.site, &verdict.subject),
        rule: verdict.rule.to_string(),
        severity,
        site: verdict.site,
        subject: verdict.subject.clone(),
        cause,
        summary,
        evidence,
        remedy,
        opened_at: Some(since.unwrap_or(now)),
        changed_at: Some(since.unwrap_or(now)),
        resolved_at: None,
        occurrences,
        suppressed: None,
        confidence,
        reasons,
        because_of: None,
        consequences: Vec::new(),
    }
}

/// An open finding that fails again: it keeps its opening time, and changes only if its content does.
fn continued(old: &Finding, new: Finding, now: Timestamp) -> Finding {
    let mut next = Finding { opened_at: old.opened_at, changed_at: old.changed_at, suppressed: old.suppressed.clone(), ..new };
    // A summary that counts hours changes with the clock alone; that change is not worth a notification.
    let same = next.severity == old.severity
        && next.cause == old.cause
        && next.confidence == old.confidence
        && same_evidence(&next.evidence, &old.evidence)
        && next.occurrences == old.occurrences;
    if same {
        next.summary.clone_from(&old.summary);
        next.evidence.clone_from(&old.evidence);
        next.reasons.clone_from(&old.reasons);
    } else {
        next.changed_at = Some(now);
    }
    next
}

/// Whether two pieces of evidence are the same; a setting repeated by a later snapshot is.
fn same_evidence(one: &[Evidence], other: &[Evidence]) -> bool {
    let bare = |evidence: &Evidence| match evidence.clone() {
        Evidence::Setting { site, setting, value, .. } => {
            Evidence::Setting { site, setting, value, taken_at: None, source: String::new(), since: None }
        }
        line @ Evidence::Line { .. } => line,
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| bare(one) == bare(other))
}

#[cfg(test)]
mod tests {
    use supwatch_model::event::{EventKind, StoredEvent};
    use supwatch_model::ids::{AgentId, Epoch};

    use super::*;
    use crate::hierarchy::Hierarchy;
    use crate::limits::Limits;
    use crate::rules::testing::events;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("time")
    }

    fn feed(judge: &mut Judge, lines: &[&str]) {
        for event in events("CEN", lines) {
            judge.apply(&StoredEvent {
                agent: AgentId("a".into()),
                epoch: Epoch([0; 16]),
                received_at: at("2026-03-01T04:00:00Z"),
                event,
            });
        }
    }

    fn failed(judge: &Judge) -> Option<Finding> {
        judge.findings().find(|finding| finding.rule == "sync-failed").cloned()
    }

    #[test]
    fn a_finding_opens_changes_resolves_and_keeps_its_id_when_it_opens_again() {
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
        let fail = &["Performing sync on local request", "Sync failed: Unable to connect to the remote server. Source: X"];
        feed(&mut judge, fail);
        assert!(!judge.judge(at("2026-03-01T05:00:00Z")).is_empty());
        let first = failed(&judge).expect("open");
        assert!(first.resolved_at.is_none());
        judge.tick();
        assert_eq!(judge.judge(at("2026-03-01T06:00:00Z")), [], "nothing new is no change");
        feed(&mut judge, fail);
        judge.judge(at("2026-03-01T07:00:00Z"));
        let again = failed(&judge).expect("open");
        assert_eq!((again.occurrences, again.opened_at), (2, first.opened_at));
        assert_eq!(again.changed_at, Some(at("2026-03-01T07:00:00Z")));
        feed(&mut judge, &["Performing sync on retry schedule", "Sync succeeded. x"]);
        judge.judge(at("2026-03-01T08:00:00Z"));
        assert_eq!(failed(&judge).and_then(|f| f.resolved_at), Some(at("2026-03-01T08:00:00Z")));
        feed(&mut judge, fail);
        judge.judge(at("2026-03-01T09:00:00Z"));
        let reopened = failed(&judge).expect("open");
        assert_eq!((reopened.id, reopened.resolved_at), (first.id, None));
    }

    #[test]
    fn a_finding_that_can_no_longer_be_judged_stays_open() {
        let mut judge = Judge::new(Hierarchy::default(), Limits::default(), Vec::new(), false);
        let snapshot = |judge: &mut Judge, taken: &str, replica: serde_json::Value| {
            let mut settings = crate::rules::testing::healthy("cen", None);
            settings["taken_at"] = taken.into();
            settings["wsus"][0]["is_replica"] = replica;
            if settings["wsus"][0]["is_replica"].is_null() {
                settings["wsus"][0].as_object_mut().expect("object").remove("is_replica");
            }
            let mut event = events("CEN", &["Sync succeeded. x"]).remove(0);
            event.kind = EventKind::SettingsSnapshot { settings };
            judge.apply(&StoredEvent {
                agent: AgentId("a".into()),
                epoch: Epoch([0; 16]),
                received_at: at("2026-03-01T04:00:00Z"),
                event,
            });
        };
        let mut described = events("CEN", &["Sync succeeded. x"]).remove(0);
        described.kind = EventKind::SiteDescribed(supwatch_model::describe::SiteDescription {
            site_type: Some(supwatch_model::describe::SiteType::Central),
            ..Default::default()
        });
        judge.apply(&StoredEvent {
            agent: AgentId("a".into()),
            epoch: Epoch([0; 16]),
            received_at: at("2026-03-01T04:00:00Z"),
            event: described,
        });
        let found = |judge: &Judge| judge.findings().find(|finding| finding.rule == "child-replica").cloned().expect("a finding");
        snapshot(&mut judge, "2026-03-01T03:00:00Z", true.into());
        judge.judge(at("2026-03-01T05:00:00Z"));
        let first = found(&judge);
        snapshot(&mut judge, "2026-03-01T04:00:00Z", true.into());
        judge.judge(at("2026-03-01T06:00:00Z"));
        assert_eq!(found(&judge), first, "the same setting in a later snapshot is nothing new");
        snapshot(&mut judge, "2026-03-01T05:00:00Z", serde_json::Value::Null);
        judge.judge(at("2026-03-01T07:00:00Z"));
        assert_eq!(found(&judge).resolved_at, None, "unknown is not mended");
        snapshot(&mut judge, "2026-03-01T06:00:00Z", false.into());
        judge.judge(at("2026-03-01T08:00:00Z"));
        assert_eq!(found(&judge).resolved_at, Some(at("2026-03-01T08:00:00Z")));
    }
}
