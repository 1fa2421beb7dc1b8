//! Compares what a target was last notified of with the current findings → what it is to be notified of.
//!
//! Pure. Only the difference between the two states counts, not the way there: a finding that opened and resolved before
//! a notification went out causes none, a restart sends nothing twice, and what could not be sent is still due next time.
//! Nothing queues, so nothing can overflow.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::finding::Finding;
use supwatch_model::ids::SiteCode;
use supwatch_model::verdict::Severity;

use supwatch_store::LastNotified;

/// Selects the findings a target is notified of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Least severity.
    pub severity: Severity,
    /// Sites; empty: all.
    pub sites: Vec<SiteCode>,
    /// Rules; empty: all.
    pub rules: Vec<String>,
    /// Whether it is notified when a finding opens or gets worse.
    pub open: bool,
    /// Whether it is notified when a finding resolves.
    pub resolve: bool,
    /// How long a finding must be open before it is notified; `None`: the delay of its rule.
    pub delay: Option<SignedDuration>,
}

/// How long a finding must be open before it is notified: those that resolve, or turn out to be consequences, within minutes are
/// not.
const DELAY: SignedDuration = SignedDuration::from_mins(3);

impl Filter {
    fn delay(&self, finding: &Finding) -> SignedDuration {
        let usual =
            if supwatch_judgement::rules::waits_for_wcm(&finding.rule) { supwatch_judgement::rules::WCM_TURN } else { DELAY };
        self.delay.unwrap_or(usual)
    }

    fn concerns(&self, finding: &Finding) -> bool {
        (self.sites.is_empty() || self.sites.contains(&finding.site))
            && (self.rules.is_empty() || self.rules.contains(&finding.rule))
    }
}

/// What a notification reports of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It opened.
    Open,
    /// It is worse than last notified.
    Changed,
    /// It resolved.
    Resolved,
}

impl State {
    /// The value of `state` in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Changed => "changed",
            State::Resolved => "resolved",
        }
    }
}

/// One notification that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The finding.
    pub id: String,
    /// What it reports.
    pub state: State,
    /// Whether the target's filter includes it; otherwise it is only recorded, as the basis of later steps.
    pub wanted: bool,
    /// The record after delivery.
    pub becomes: LastNotified,
}

/// Findings waiting for their delay: when each opened, and when this collector first saw it open. A finding can be old when
/// its line arrives, so the two differ.
pub type Pending = BTreeMap<String, (Option<Timestamp>, Timestamp)>;

/// What is due, and when the next notification is due even without changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Findings that opened or got worse first, worst first; then those that resolved.
    pub steps: Vec<Step>,
    /// When the next delay ends.
    pub next: Option<Timestamp>,
    /// Findings waiting for their delay, for the next plan.
    pub pending: Pending,
}

/// Whether the target is notified of a finding: not of a suppressed one, nor of the consequence of one it is notified of. A
/// target notified of a finding is notified of its end.
fn is_reportable(filter: &Filter, findings: &[Finding], finding: &Finding) -> bool {
    let cause = finding.because_of.as_ref().and_then(|id| findings.iter().find(|other| other.id == *id));
    let with_its_cause = cause.is_some_and(|cause| cause.suppressed.is_some() || filter.concerns(cause));
    finding.resolved_at.is_some() || (finding.suppressed.is_none() && !with_its_cause)
}

/// What a target is to be notified of now; `pending` comes from the previous plan.
pub fn plan(
    filter: &Filter,
    findings: &[Finding],
    notified: &BTreeMap<String, LastNotified>,
    pending: &Pending,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    for finding in findings.iter().filter(|finding| filter.concerns(finding) && is_reportable(filter, findings, finding)) {
        let known = notified.get(&finding.id);
        let Some(state) = difference(filter, finding, known) else { continue };
        if state == State::Open {
            let before = pending.get(&finding.id).filter(|(opened_at, _)| *opened_at == finding.opened_at);
            let since = before.map_or(now, |(_, since)| *since);
            plan.pending.insert(finding.id.clone(), (finding.opened_at, since));
            let due = since.saturating_add(filter.delay(finding)).unwrap_or(now);
            if due > now {
                plan.next = Some(plan.next.map_or(due, |next| next.min(due)));
                continue;
            }
        }
        plan.steps.push(step(filter, finding, known, state));
    }
    plan.steps.sort_by(|one, other| {
        let order = |step: &Step| (step.state == State::Resolved, step.becomes.severity, step.becomes.opened_at);
        order(one).cmp(&order(other)).then_with(|| one.id.cmp(&other.id))
    });
    plan
}

fn difference(filter: &Filter, finding: &Finding, known: Option<&LastNotified>) -> Option<State> {
    let open = known.filter(|notified| !notified.resolved);
    if finding.resolved_at.is_some() {
        return open.map(|_| State::Resolved);
    }
    match open.filter(|notified| notified.opened_at == finding.opened_at) {
        // Severities are in order from the worst.
        Some(notified) => (finding.severity < notified.severity).then_some(State::Changed),
        None => (finding.severity <= filter.severity).then_some(State::Open),
    }
}

fn step(filter: &Filter, finding: &Finding, known: Option<&LastNotified>, state: State) -> Step {
    let wanted = if state == State::Resolved { filter.resolve } else { filter.open };
    let becomes = LastNotified {
        opened_at: finding.opened_at,
        severity: finding.severity,
        resolved: state == State::Resolved,
        times: known.map_or(0, |notified| notified.times).saturating_add(1),
    };
    Step { id: finding.id.clone(), state, wanted, becomes }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::Strategy;
    use supwatch_model::text::Text;

    pub fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_772_323_200 + second).expect("time")
    }

    pub fn finding(id: &str, severity: Severity, opened: i64) -> Finding {
        Finding {
            id: id.to_owned(),
            rule: "sync-failed".to_owned(),
            severity,
            site: "P01".parse().expect("code"),
            subject: String::new(),
            cause: None,
            summary: Text::new("the last run failed", "最後の実行が失敗しました"),
            evidence: Vec::new(),
            remedy: Vec::new(),
            opened_at: Some(at(opened)),
            changed_at: Some(at(opened)),
            resolved_at: None,
            occurrences: 1,
            suppressed: None,
            confidence: None,
            reasons: Vec::new(),
            because_of: None,
            consequences: Vec::new(),
        }
    }

    pub fn resolved(mut finding: Finding, second: i64) -> Finding {
        finding.resolved_at = Some(at(second));
        finding
    }

    pub fn filter() -> Filter {
        Filter {
            severity: Severity::Warning,
            sites: Vec::new(),
            rules: Vec::new(),
            open: true,
            resolve: true,
            delay: Some(SignedDuration::ZERO),
        }
    }

    /// Any severity, for the property tests of code that uses the plan.
    pub fn severity() -> impl Strategy<Value = Severity> {
        proptest::sample::select(vec![Severity::Critical, Severity::Warning, Severity::Info])
    }

    /// Plays stages of one finding to a target that gets everything, and returns its notifications.
    #[track_caller]
    fn check(filter: &Filter, stages: &[(Finding, i64)], expected: &[(&str, bool)]) {
        let (mut notified, mut sent, mut pending) = (BTreeMap::new(), Vec::new(), Pending::new());
        for (finding, now) in stages {
            let plan = plan(filter, std::slice::from_ref(finding), &notified, &pending, at(*now));
            pending = plan.pending;
            for step in plan.steps {
                sent.push((step.state.as_str(), step.wanted));
                notified.insert(step.id, step.becomes);
            }
        }
        assert_eq!(sent, expected);
    }

    #[test]
    fn a_suppressed_finding_is_not_notified() {
        let mut suppressed = finding("a", Severity::Critical, 0);
        suppressed.suppressed =
            Some(supwatch_model::finding::Suppression { reason: "known".into(), by: "operator/a".into(), at: None, until: None });
        assert!(!is_reportable(&filter(), &[], &suppressed) && is_reportable(&filter(), &[], &finding("a", Severity::Critical, 0)));
    }

    #[test]
    fn a_consequence_is_notified_only_with_its_cause() {
        let cause = finding("a", Severity::Critical, 0);
        let follows =
            Finding { site: "P02".parse().expect("code"), because_of: Some("a".into()), ..finding("b", Severity::Critical, 0) };
        let notified = |filter: &Filter, findings: &[Finding]| -> Vec<String> {
            let plan = plan(filter, findings, &BTreeMap::new(), &Pending::new(), at(0));
            plan.steps.into_iter().map(|step| step.id).collect()
        };
        let both = [cause.clone(), follows.clone()];
        assert_eq!(notified(&filter(), &both), ["a"]);
        let of_p02 = Filter { sites: vec![follows.site], ..filter() };
        assert_eq!(notified(&of_p02, &both), ["b"], "who hears nothing of the cause hears of what follows from it");
        // Once the cause is gone, what remains is reported itself.
        let remains = [Finding { resolved_at: cause.opened_at, ..cause }, Finding { because_of: None, ..follows }];
        assert_eq!(notified(&filter(), &remains), ["b"]);
    }

    #[test]
    fn a_finding_is_notified_once_when_it_opens_and_once_when_it_resolves() {
        let open = finding("a", Severity::Warning, 0);
        let stages = [(open.clone(), 1), (open.clone(), 2), (resolved(open.clone(), 3), 3), (resolved(open, 3), 4)];
        check(&filter(), &stages, &[("open", true), ("resolved", true)]);
    }

    #[test]
    fn a_finding_that_opened_and_resolved_in_between_is_not_notified() {
        check(&filter(), &[(resolved(finding("a", Severity::Critical, 0), 1), 2)], &[]);
    }

    #[test]
    fn a_reopened_finding_is_notified_again_even_with_the_same_start() {
        let open = finding("a", Severity::Critical, 0);
        let stages = [(open.clone(), 1), (resolved(open.clone(), 2), 2), (open, 3), (finding("a", Severity::Critical, 4), 4)];
        check(&filter(), &stages, &[("open", true), ("resolved", true), ("open", true), ("open", true)]);
    }

    #[test]
    fn a_worse_finding_is_notified_again_and_a_milder_one_is_not() {
        let (warning, critical) = (finding("a", Severity::Warning, 0), finding("a", Severity::Critical, 0));
        let stages = [(warning.clone(), 1), (critical.clone(), 2), (warning, 3), (critical, 4)];
        check(&filter(), &stages, &[("open", true), ("changed", true)]);
    }

    #[test]
    fn a_finding_below_the_threshold_is_notified_once_it_reaches_it() {
        let stages = [(finding("a", Severity::Info, 0), 1), (finding("a", Severity::Warning, 0), 2)];
        check(&filter(), &stages, &[("open", true)]);
    }

    #[test]
    fn a_notified_finding_now_below_the_threshold_is_still_notified_as_resolved() {
        let (critical, info) = (finding("a", Severity::Critical, 0), finding("a", Severity::Info, 0));
        check(&filter(), &[(critical, 1), (info.clone(), 2), (resolved(info, 3), 3)], &[("open", true), ("resolved", true)]);
    }

    #[test]
    fn other_sites_and_rules_are_not_notified() {
        let open = [(finding("a", Severity::Critical, 0), 1)];
        check(&Filter { sites: vec!["P02".parse().expect("code")], ..filter() }, &open, &[]);
        check(&Filter { rules: vec!["topology".to_owned()], ..filter() }, &open, &[]);
        let both = Filter { sites: vec!["P01".parse().expect("code")], rules: vec!["sync-failed".to_owned()], ..filter() };
        check(&both, &open, &[("open", true)]);
    }

    #[test]
    fn who_wants_one_kind_hears_one_kind() {
        let open = finding("a", Severity::Critical, 0);
        let stages = [(open.clone(), 1), (resolved(open, 2), 2)];
        check(&Filter { open: false, ..filter() }, &stages, &[("open", false), ("resolved", true)]);
        check(&Filter { resolve: false, ..filter() }, &stages, &[("open", true), ("resolved", false)]);
    }

    #[test]
    fn without_a_delay_filters_get_the_turn_of_wcm_and_others_a_few_minutes() {
        let usual = Filter { delay: None, ..filter() };
        for (rule, seconds) in [("sync-failed", 180), ("filter-drift", 3900), ("product-mismatch", 3900)] {
            let open = Finding { rule: rule.to_owned(), ..finding("a", Severity::Warning, 0) };
            let next = plan(&usual, &[open], &BTreeMap::new(), &Pending::new(), at(0)).next;
            assert_eq!(next, Some(at(seconds)), "{rule}");
        }
    }

    #[test]
    fn a_finding_must_be_open_for_the_delay_however_old_it_is() {
        let patient = Filter { delay: Some(SignedDuration::from_secs(60)), ..filter() };
        for opened in [-9000, 0, 9000] {
            let open = finding("a", Severity::Critical, opened);
            check(&patient, &[(open.clone(), 0), (open.clone(), 59)], &[]);
            check(&patient, &[(open.clone(), 0), (open.clone(), 60)], &[("open", true)]);
            check(&patient, &[(open.clone(), 0), (resolved(open.clone(), 40), 40), (open, 70)], &[]);
        }
        check(&patient, &[(finding("a", Severity::Critical, 0), 0), (finding("a", Severity::Critical, 30), 60)], &[]);
    }

    #[test]
    fn the_plan_says_when_the_first_of_those_that_wait_is_due() {
        let patient = Filter { delay: Some(SignedDuration::from_secs(60)), ..filter() };
        let findings = [finding("a", Severity::Critical, 0), finding("b", Severity::Critical, 0)];
        let first = plan(&patient, &findings[..1], &BTreeMap::new(), &Pending::new(), at(0));
        let second = plan(&patient, &findings, &BTreeMap::new(), &first.pending, at(10));
        assert_eq!((first.next, second.next, second.steps.len()), (Some(at(60)), Some(at(60)), 0));
        let third = plan(&patient, &findings, &BTreeMap::new(), &second.pending, at(60));
        assert_eq!((third.next, third.steps.len()), (Some(at(70)), 1));
    }

    #[test]
    fn the_worst_comes_first_and_what_resolved_last() {
        let notified = plan(&filter(), &[finding("d", Severity::Critical, 0)], &BTreeMap::new(), &Pending::new(), at(1)).steps;
        let notified = notified.into_iter().map(|step| (step.id, step.becomes)).collect();
        let findings = [
            resolved(finding("d", Severity::Critical, 0), 1),
            finding("c", Severity::Warning, 0),
            finding("b", Severity::Critical, 5),
            finding("a", Severity::Critical, 4),
        ];
        let ids: Vec<String> =
            plan(&filter(), &findings, &notified, &Pending::new(), at(9)).steps.into_iter().map(|step| step.id).collect();
        assert_eq!(ids, ["a", "b", "c", "d"]);
    }
}
