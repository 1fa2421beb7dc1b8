//! The hierarchy at one moment, as the collector answers it and every reading command shows it.

use jiff::{SignedDuration, Timestamp};

use crate::describe::{Generation, SiteType};
use crate::finding::Finding;
use crate::ids::{AgentId, SiteCode};
use crate::run::Run;
use crate::text::Text;
use crate::time::{from_wire, to_wire};
use crate::verdict::Verdict;
use crate::wire::{self, WireError, known};

/// State of a site in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteState {
    /// The last run succeeded, and in time.
    Ok,
    /// A run goes on.
    Running,
    /// The last run failed.
    Failed,
    /// No success for too long.
    Overdue,
    /// Its agents are silent.
    Silent,
    /// Nothing tells.
    Unknown,
}

crate::describe::words!(SiteState {
    Ok = "ok", Running = "running", Failed = "failed", Overdue = "overdue", Silent = "silent", Unknown = "unknown"
});

/// The hierarchy at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Its name.
    pub hierarchy: String,
    /// The moment.
    pub at: Option<Timestamp>,
    /// Its sites, by code.
    pub sites: Vec<SitePicture>,
    /// Runs, newest first.
    pub runs: Vec<Run>,
    /// Findings, worst first.
    pub findings: Vec<Finding>,
    /// Verdicts, by rule and site.
    pub verdicts: Vec<Verdict>,
    /// Refused connections, newest first.
    pub refusals: Vec<Refusal>,
}

/// Open findings by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FindingCounts {
    /// Critical.
    pub critical: u32,
    /// Warning.
    pub warning: u32,
    /// Info.
    pub info: u32,
}

/// One site at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct SitePicture {
    /// Site code.
    pub code: SiteCode,
    /// Type.
    pub site_type: Option<SiteType>,
    /// Parent; `None` at the top and where it is not known.
    pub parent: Option<SiteCode>,
    /// State.
    pub state: SiteState,
    /// End of the last successful run.
    pub last_success_at: Option<Timestamp>,
    /// End of the last failed run.
    pub last_failure_at: Option<Timestamp>,
    /// Next scheduled run; `None` where the log does not prove it, and while one goes on.
    pub next_run_at: Option<Timestamp>,
    /// Newest catalogue version.
    pub catalog_version: Option<u64>,
    /// Its open findings.
    pub findings: FindingCounts,
    /// Agents that speak for it.
    pub agents: Vec<AgentPicture>,
    /// Site server.
    pub server: Option<String>,
    /// Generation.
    pub generation: Option<Generation>,
    /// Newest settings snapshot.
    pub settings: Option<serde_json::Value>,
    /// How long its runs take.
    pub trends: Vec<PhaseTrend>,
    /// Up to which moment its wsyncmgr.log is known to be read: nothing later is said to be absent.
    pub judged_as_of: Option<Timestamp>,
    /// Its agents are reading back; what is shown of it is how it stood before.
    pub backlog: Option<Backlog>,
}

/// What is still to come of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Bytes of logs that no agent has read yet.
    pub unread_bytes: u64,
    /// Events that its agents hold.
    pub spooled_events: u64,
}

/// How long a phase of a site's runs takes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseTrend {
    /// `wsus`, `database`, …; `run` is the whole run.
    pub phase: String,
    /// Runs that were counted.
    pub runs: u32,
    /// In the newest of them.
    pub last: SignedDuration,
    /// Half of them took no longer.
    pub median: SignedDuration,
    /// 95 % of them took no longer.
    pub p95: SignedDuration,
    /// How many times as long the newest take as those before; `None` where that is little.
    pub growth: Option<f64>,
}

/// One agent at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPicture {
    /// Identity.
    pub id: AgentId,
    /// Last sign of life.
    pub last_heard_at: Option<Timestamp>,
    /// Whether its stream is open.
    pub connected: bool,
    /// Events stored from it.
    pub events: u64,
    /// Its version.
    pub version: String,
    /// Events it still holds.
    pub spooled_events: u64,
    /// Events that neither it nor the store has any more.
    pub lost_events: u64,
    /// Bytes of its spool.
    pub spool_bytes: u64,
    /// Seconds since something waits there and nothing was acknowledged.
    pub waiting_seconds: u32,
}

/// A connection or stream that was turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When it last happened.
    pub at: Option<Timestamp>,
    /// Who, as far as known.
    pub peer: String,
    /// Why.
    pub reason: Text,
    /// What to do.
    pub remedy: Text,
    /// How often.
    pub times: u32,
}

// ---- wire ----

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
        let AgentPicture { id, last_heard_at, connected, events, version, .. } = agent;
        let AgentPicture { spooled_events, lost_events, spool_bytes, waiting_seconds, .. } = agent;
        let last_heard_at = last_heard_at.map(to_wire);
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
            last_heard_at: from_wire(last_heard_at),
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
