//! Hierarchy, verdicts and findings → the picture that every reading command shows.
//!
//! Pure, and the same for a live collector, for a moment in the past, and for a folder of logs.

use jiff::Timestamp;
use supwatch_model::finding::Finding;
use supwatch_model::ids::SiteCode;
use supwatch_model::picture::{AgentPicture, Backlog, FindingCounts, Picture, Refusal, SitePicture, SiteState};
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::verdict::{Answer, Severity, Verdict};

use crate::consequences;
use crate::hierarchy::{Hierarchy, Parent, Site};
use crate::judge::{Judge, judge_site, opened};
use crate::limits::Limits;
use crate::trends::trends;

/// Most runs of a site in a picture.
pub const RUNS_SHOWN: usize = 100;

/// The picture now, with the current findings.
pub fn now(judge: &Judge, at: Timestamp, resolved: bool, refusals: Vec<Refusal>) -> Picture {
    let findings = judge.findings().filter(|finding| resolved || finding.resolved_at.is_none()).cloned().collect();
    let verdicts = judge.verdicts().cloned().collect();
    draw(judge.hierarchy(), judge.limits(), at, findings, verdicts, refusals, true)
}

/// The picture at a moment in the past, judged again from what was known then.
pub fn at(hierarchy: &Hierarchy, limits: &Limits, at: Timestamp) -> Picture {
    let mut past = hierarchy.as_of(at);
    // Past connections are not stored, so rules about agents do not judge the past.
    past.agents.clear();
    let (mut verdicts, mut findings) = (Vec::new(), Vec::new());
    for site in past.sites.keys() {
        let (of_site, failures) = judge_site(&past, limits, *site, at, false);
        verdicts.extend(of_site);
        findings.extend(failures.into_iter().map(|(verdict, failure)| opened(&verdict, failure, at)));
    }
    draw(&past, limits, at, findings, verdicts, Vec::new(), false)
}

fn draw(
    hierarchy: &Hierarchy,
    limits: &Limits,
    at: Timestamp,
    mut findings: Vec<Finding>,
    verdicts: Vec<Verdict>,
    refusals: Vec<Refusal>,
    live: bool,
) -> Picture {
    consequences::fold(hierarchy, limits, at, &mut findings);
    let order = |f: &Finding| (f.resolved_at.is_some(), f.suppressed.is_some(), f.because_of.is_some());
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (order(f), f.severity, f.site, f.rule.clone(), f.subject.clone());
        key(a).cmp(&key(b))
    });
    let mut runs: Vec<Run> = hierarchy
        .sites
        .values()
        .flat_map(|site| site.runs.iter().rev().take(RUNS_SHOWN).map(|tracked| tracked.run.clone()))
        .collect();
    runs.sort_by(|a, b| (b.started_at.or(b.ended_at), &b.id).cmp(&(a.started_at.or(a.ended_at), &a.id)));
    Picture {
        hierarchy: hierarchy.expected.name.clone().unwrap_or_default(),
        at: Some(at),
        sites: hierarchy.sites.values().map(|site| draw_site(hierarchy, site, &findings, &verdicts, live)).collect(),
        runs,
        findings,
        verdicts,
        refusals,
    }
}

fn draw_site(hierarchy: &Hierarchy, site: &Site, findings: &[Finding], verdicts: &[Verdict], live: bool) -> SitePicture {
    let code = site.code;
    // Events of an unfinished backlog are history: the site is shown as of when it was last completely read.
    let backlog = (live && hierarchy.is_reading_back(code)).then(|| Backlog {
        unread_bytes: site.coverage.unread(),
        spooled_events: hierarchy.agents_of(site).map(|(_, agent)| agent.spooled_events).sum(),
    });
    let judged_as_of = if live { site.coverage.read_until("wsyncmgr") } else { None };
    let whole = backlog.map(|_| site.as_of(judged_as_of.unwrap_or(Timestamp::MIN)));
    let shown = whole.as_ref().unwrap_or(site);
    let mut counts = FindingCounts::default();
    for finding in findings.iter().filter(|finding| finding.site == code && finding.is_pressing()) {
        match finding.severity {
            Severity::Critical => counts.critical += 1,
            Severity::Warning => counts.warning += 1,
            Severity::Info => counts.info += 1,
        }
    }
    // The provider of the top site knows sites whose logs no agent reads.
    let reported = hierarchy.status_of(code).and_then(|(_, row)| row.last_success_at.value().copied());
    let agents = hierarchy.agents.iter().filter(|(_, agent)| agent.sites.contains(&code) && agent.last_seen_at.is_some());
    SitePicture {
        code,
        site_type: hierarchy.site_type(code),
        parent: match hierarchy.parent(code) {
            Parent::Of(parent) => Some(parent),
            Parent::Top | Parent::Unknown => None,
        },
        state: state(shown, reported.is_some(), findings, verdicts),
        last_success_at: shown.runs.last_success().and_then(|tracked| tracked.run.ended_at).max(reported),
        last_failure_at: shown.runs.last_failure().and_then(|tracked| tracked.run.ended_at),
        next_run_at: shown.next_run,
        catalog_version: shown.catalog_version(),
        findings: counts,
        agents: agents
            .map(|(id, agent)| AgentPicture {
                id: id.clone(),
                last_seen_at: agent.last_seen_at,
                connected: agent.connected,
                events: agent.events,
                version: agent.version.clone(),
                spooled_events: agent.spooled_events,
                lost_events: agent.lost_events,
                spool_bytes: agent.spool_bytes,
                waiting_seconds: agent.waiting_seconds,
            })
            .collect(),
        server: hierarchy.server(code).map(str::to_owned),
        generation: hierarchy.generation(code),
        settings: site.merged().map(|merged| merged.raw.clone()),
        trends: trends(shown.runs.iter().map(|tracked| &tracked.run)),
        judged_as_of,
        backlog,
    }
}

fn state(site: &Site, reported_success: bool, findings: &[Finding], verdicts: &[Verdict]) -> SiteState {
    // A finding stays open while its site is not judged: after a restart, and while agents read a backlog.
    let is_open = |rule: &str| findings.iter().any(|f| f.rule == rule && f.site == site.code && f.resolved_at.is_none());
    let failed = |rule: &str| verdicts.iter().any(|v| failed_at(v, rule, site.code)) || is_open(rule);
    let outcome = site.runs.last().map(|tracked| tracked.run.outcome);
    if failed("agent-silent") {
        SiteState::Silent
    } else if outcome == Some(RunOutcome::Running) {
        SiteState::Running
    } else if failed("sync-failed") {
        SiteState::Failed
    } else if failed("sync-overdue") {
        SiteState::Overdue
    } else if reported_success || site.runs.last_success().is_some() {
        SiteState::Ok
    } else {
        SiteState::Unknown
    }
}

fn failed_at(verdict: &Verdict, rule: &str, site: SiteCode) -> bool {
    verdict.rule == rule && verdict.site == site && verdict.answer == Answer::Fail
}
