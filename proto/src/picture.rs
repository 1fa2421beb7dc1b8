//! The picture ⇄ its messages.

use jiff::SignedDuration;
use supwatch_model::describe::{Generation, SiteType};
use supwatch_model::finding::Finding;
use supwatch_model::ids::{AgentId, SiteCode};
use supwatch_model::picture::{AgentPicture, Backlog, FindingCounts, PhaseTrend, Picture, Refusal, SitePicture, SiteState};
use supwatch_model::run::Run;
use supwatch_model::verdict::Verdict;

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError, known};

impl From<Picture> for wire::Picture {
    fn from(Picture { hierarchy, at, sites, runs, findings, verdicts, refusals }: Picture) -> wire::Picture {
        wire::Picture {
            hierarchy,
            at: at.map(to_wire),
            sites: sites.into_iter().map(wire::Site::from).collect(),
            runs: runs.into_iter().map(wire::Run::from).collect(),
            findings: findings.into_iter().map(wire::Finding::from).collect(),
            verdicts: verdicts.into_iter().map(wire::Verdict::from).collect(),
            refusals: refusals.into_iter().map(wire::Refusal::from).collect(),
        }
    }
}

impl TryFrom<wire::Picture> for Picture {
    type Error = WireError;

    fn try_from(message: wire::Picture) -> Result<Picture, WireError> {
        let wire::Picture { hierarchy, at, sites, runs, findings, verdicts, refusals } = message;
        Ok(Picture {
            hierarchy,
            at: from_wire(at),
            sites: sites.into_iter().map(SitePicture::try_from).collect::<Result<_, _>>()?,
            runs: runs.into_iter().map(Run::try_from).collect::<Result<_, _>>()?,
            findings: findings.into_iter().map(Finding::try_from).collect::<Result<_, _>>()?,
            verdicts: verdicts.into_iter().map(Verdict::try_from).collect::<Result<_, _>>()?,
            refusals: refusals.into_iter().map(Refusal::from).collect(),
        })
    }
}

impl From<SitePicture> for wire::Site {
    fn from(site: SitePicture) -> wire::Site {
        let SitePicture {
            code,
            site_type,
            parent,
            state,
            last_success_at,
            last_failure_at,
            next_run_at,
            catalog_version,
            findings,
            agents,
            server,
            generation,
            settings,
            trends,
            judged_as_of,
            backlog,
        } = site;
        wire::Site {
            code: code.to_string(),
            r#type: site_type.map(|word| word.as_str().to_owned()).unwrap_or_default(),
            parent: parent.map(|code| code.to_string()).unwrap_or_default(),
            state: state.as_str().to_owned(),
            last_success_at: last_success_at.map(to_wire),
            last_failure_at: last_failure_at.map(to_wire),
            next_run_at: next_run_at.map(to_wire),
            catalog_version,
            findings: Some(wire::FindingCounts { critical: findings.critical, warning: findings.warning, info: findings.info }),
            agents: agents.into_iter().map(wire::Agent::from).collect(),
            server: server.unwrap_or_default(),
            generation: generation.map(|word| word.as_str().to_owned()).unwrap_or_default(),
            settings: settings.map(|json| json.to_string()).unwrap_or_default(),
            trends: trends.into_iter().map(wire::PhaseTrend::from).collect(),
            judged_as_of: judged_as_of.map(to_wire),
            backlog: backlog.map(|Backlog { unread_bytes, spooled_events }| wire::Backlog { unread_bytes, spooled_events }),
        }
    }
}

impl TryFrom<wire::Site> for SitePicture {
    type Error = WireError;

    fn try_from(message: wire::Site) -> Result<SitePicture, WireError> {
        let wire::Site {
            code,
            r#type,
            parent,
            state,
            last_success_at,
            last_failure_at,
            next_run_at,
            catalog_version,
            findings,
            agents,
            server,
            generation,
            settings,
            trends,
            judged_as_of,
            backlog,
        } = message;
        let site = |field, text: &str| text.parse::<SiteCode>().map_err(|error| WireError::invalid(field, text, error));
        let wire::FindingCounts { critical, warning, info } = findings.unwrap_or_default();
        Ok(SitePicture {
            code: site("code", &code)?,
            site_type: SiteType::from_word(&r#type),
            parent: known(parent).map(|text| site("parent", &text)).transpose()?,
            state: SiteState::from_word(&state).unwrap_or(SiteState::Unknown),
            last_success_at: from_wire(last_success_at),
            last_failure_at: from_wire(last_failure_at),
            next_run_at: from_wire(next_run_at),
            catalog_version,
            findings: FindingCounts { critical, warning, info },
            agents: agents.into_iter().map(AgentPicture::from).collect(),
            server: known(server),
            generation: Generation::from_word(&generation),
            settings: known(settings).and_then(|json| serde_json::from_str(&json).ok()),
            trends: trends.into_iter().map(PhaseTrend::from).collect(),
            judged_as_of: from_wire(judged_as_of),
            backlog: backlog.map(|wire::Backlog { unread_bytes, spooled_events }| Backlog { unread_bytes, spooled_events }),
        })
    }
}

impl From<AgentPicture> for wire::Agent {
    fn from(agent: AgentPicture) -> wire::Agent {
        let AgentPicture { id, last_seen_at, connected, events, version, .. } = agent;
        let AgentPicture { spooled_events, lost_events, spool_bytes, waiting_seconds, .. } = agent;
        let last_heard_at = last_seen_at.map(to_wire);
        wire::Agent {
            id: id.0,
            last_heard_at,
            connected,
            events,
            version,
            spooled_events,
            lost_events,
            spool_bytes,
            waiting_seconds,
        }
    }
}

impl From<wire::Agent> for AgentPicture {
    fn from(agent: wire::Agent) -> AgentPicture {
        let wire::Agent { id, last_heard_at, connected, events, version, .. } = agent;
        let wire::Agent { spooled_events, lost_events, spool_bytes, waiting_seconds, .. } = agent;
        AgentPicture {
            id: AgentId(id),
            last_seen_at: from_wire(last_heard_at),
            connected,
            events,
            version,
            spooled_events,
            lost_events,
            spool_bytes,
            waiting_seconds,
        }
    }
}

impl From<Refusal> for wire::Refusal {
    fn from(Refusal { at, peer, reason, remedy, times }: Refusal) -> wire::Refusal {
        wire::Refusal { at: at.map(to_wire), peer, reason: Some(reason.into()), remedy: Some(remedy.into()), times }
    }
}

impl From<wire::Refusal> for Refusal {
    fn from(wire::Refusal { at, peer, reason, remedy, times }: wire::Refusal) -> Refusal {
        Refusal {
            at: from_wire(at),
            peer,
            reason: reason.unwrap_or_default().into(),
            remedy: remedy.unwrap_or_default().into(),
            times,
        }
    }
}

impl From<PhaseTrend> for wire::PhaseTrend {
    fn from(PhaseTrend { phase, runs, last, median, p95, growth }: PhaseTrend) -> wire::PhaseTrend {
        wire::PhaseTrend {
            phase,
            runs,
            last_seconds: last.as_secs_f64(),
            median_seconds: median.as_secs_f64(),
            p95_seconds: p95.as_secs_f64(),
            growth,
        }
    }
}

impl From<wire::PhaseTrend> for PhaseTrend {
    fn from(message: wire::PhaseTrend) -> PhaseTrend {
        let wire::PhaseTrend { phase, runs, last_seconds, median_seconds, p95_seconds, growth } = message;
        let span = |seconds: f64| SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::ZERO);
        PhaseTrend { phase, runs, last: span(last_seconds), median: span(median_seconds), p95: span(p95_seconds), growth }
    }
}
