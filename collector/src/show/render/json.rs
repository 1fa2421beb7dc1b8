//! The JSON forms of the contract. They only grow: fields are added, never renamed.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use supwatch_model::finding::{Evidence, Finding};
use supwatch_model::picture::{AgentPicture, Backlog, PhaseTrend, Picture, Refusal, SitePicture};
use supwatch_model::run::{Phase, Run};
use supwatch_model::text::{Lang, Text};
use supwatch_model::verdict::Verdict;
use supwatch_model::wave::{Wave, WaveEdge};

use crate::analyze::{Analysis, InputFile, Nothing};

fn stamp(time: Option<jiff::Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// `supwatch/analysis/v1`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnalysisJson {
    /// `supwatch/analysis/v1`.
    pub schema: String,
    /// Moment of judging (UTC).
    pub at: Option<String>,
    /// What was read.
    pub input: Vec<InputJson>,
    /// Things worth knowing of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// That nothing was recognised, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_recognised: Option<NothingJson>,
    /// Sites by code.
    pub sites: Vec<SiteJson>,
    /// Runs, newest first.
    pub runs: Vec<RunJson>,
    /// Waves, newest first.
    pub waves: Vec<WaveJson>,
    /// Findings, worst first.
    pub findings: Vec<FindingJson>,
    /// Verdicts by site and rule.
    pub verdicts: Vec<VerdictJson>,
}

/// One file that was read.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct InputJson {
    pub path: String,
    pub form: String,
    pub encoding: String,
    pub lines: u64,
    pub recognised: u64,
    pub unrecognised: u64,
    /// Lines with a type: an event, or progress that is reported thinned out.
    pub typed: u64,
    /// Records whose marks had to be mended.
    pub mended: u64,
    /// Records put together from several lines.
    pub joined: u64,
    /// What stood around the lines of a paste and was taken off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_off: Vec<String>,
}

/// Set where nothing of a synchronisation was recognised: the empty list of findings is then no clean bill.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct NothingJson {
    pub summary: String,
    /// Why, for each input.
    pub reasons: Vec<String>,
    /// What to do, in order.
    pub remedy: Vec<String>,
    /// A cause that the text by itself speaks of.
    pub cause: Option<String>,
}

/// One site.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SiteJson {
    pub site: String,
    #[serde(rename = "type")]
    pub site_type: Option<String>,
    pub parent: Option<String>,
    pub server: Option<String>,
    pub generation: Option<String>,
    /// `ok`, `running`, `failed`, `overdue`, `silent` or `unknown`.
    pub state: String,
    pub last_success_at: Option<String>,
    pub last_failure_at: Option<String>,
    pub next_run_at: Option<String>,
    pub catalog_version: Option<u64>,
    pub findings: CountsJson,
    #[serde(default, rename = "agent", skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentJson>,
    /// How long its runs take, by phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trends: Vec<TrendJson>,
    /// Up to which moment its wsyncmgr.log is known to be read: nothing later is said to be absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_as_of: Option<String>,
    /// Its agents are reading back; what is shown of it is how it stood before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reading_back: Option<BacklogJson>,
}

/// What is still to come of a site.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BacklogJson {
    /// Bytes of logs that no agent has read yet.
    pub unread_bytes: u64,
    /// Events that its agents hold.
    pub spooled_events: u64,
}

/// How long a phase of a site's runs takes.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct TrendJson {
    /// `run` is the whole run.
    pub phase: String,
    /// Runs that were counted.
    pub runs: u32,
    pub last_s: f64,
    pub median_s: f64,
    pub p95_s: f64,
    /// How many times as long the newest take as those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<f64>,
}

/// Open findings by severity.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct CountsJson {
    pub critical: u32,
    pub warning: u32,
    pub info: u32,
}

/// One agent.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct AgentJson {
    pub id: String,
    pub last_heard_at: Option<String>,
    pub connected: bool,
    pub events: u64,
    pub version: String,
    pub spooled_events: u64,
    pub lost_events: u64,
    pub spool_bytes: u64,
    pub waiting_s: u32,
}

/// One run.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct RunJson {
    pub id: String,
    pub site: String,
    /// `schedule`, `local`, `parent`, `retry` or `unknown`.
    pub trigger: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `full`, `delta` or `unknown`.
    pub scope: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// `succeeded`, `failed`, `running` or `unknown`.
    pub outcome: String,
    pub phases: Vec<PhaseJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<String>,
    /// Catalogue version it set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_version: Option<u64>,
}

/// One phase of a run.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct PhaseJson {
    pub phase: String,
    pub server: String,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
}

/// Progress of a run.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct ProgressJson {
    pub done: u64,
    pub total: u64,
}

/// One wave.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct WaveJson {
    pub id: String,
    /// The run of the top site that began it.
    pub top_run: String,
    /// The top site.
    pub site: String,
    pub started_at: Option<String>,
    /// Absent while it is on its way.
    pub ended_at: Option<String>,
    pub catalog_version: Option<u64>,
    pub edges: Vec<EdgeJson>,
    /// `complete`, `running`, `broken` or `unknown`.
    pub outcome: String,
    /// The first edge at which it stopped; absent where the top site's own run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_at: Option<BrokenJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The way of a wave from a parent to a child.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct EdgeJson {
    pub parent: String,
    pub child: String,
    /// By the parent's clock.
    pub notified_at: Option<String>,
    /// By the child's clock, as the next two.
    pub received_at: Option<String>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
    /// `succeeded`, `failed`, `running`, `waiting`, `missed`, `cut` (the wave stopped further up) or `unknown`.
    pub outcome: String,
    /// Seconds from notification to start.
    pub lag_s: Option<f64>,
    /// The child's runs for it, oldest first.
    pub runs: Vec<String>,
    pub catalog_version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Whether it was put together from less than both logs.
    pub inferred: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The edge at which a wave stopped.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct BrokenJson {
    pub parent: String,
    pub child: String,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct FindingJson {
    pub id: String,
    pub rule: String,
    /// `critical`, `warning` or `info`.
    pub severity: String,
    pub site: String,
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// `confirmed`, `likely` or `weak`: how sure the cause is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<String>,
    /// Why it is as sure as that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    pub summary: String,
    pub evidence: Vec<EvidenceJson>,
    pub remedy: Vec<String>,
    pub opened_at: Option<String>,
    pub changed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
    pub occurrences: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<SuppressionJson>,
    /// Id of the finding whose consequence it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<String>,
    /// Ids of the findings that follow from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<String>,
}

/// An operator's suppression of a finding.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SuppressionJson {
    pub reason: String,
    pub by: String,
    pub at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// One piece of evidence: a line or a setting.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum EvidenceJson {
    Line { site: String, file: String, offset: u64, time: Option<String>, line: String },
    Setting { site: String, setting: String, value: Value, taken_at: Option<String>, source: String, since: Option<String> },
}

/// One verdict.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct VerdictJson {
    pub rule: String,
    pub site: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// `pass`, `fail` or `unknown`.
    pub verdict: String,
    pub looked_at: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Of an unknown one: when what was changed above the site is expected to have reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<String>,
}

/// One refused connection.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct RefusalJson {
    pub at: Option<String>,
    pub peer: String,
    pub reason: String,
    pub remedy: String,
    pub times: u32,
}

/// The JSON Schema of `supwatch/analysis/v1`, derived from the types.
pub fn analysis_schema() -> Value {
    schemars::schema_for!(AnalysisJson).to_value()
}

/// An analysis.
pub fn analysis(analysis: &Analysis, lang: Lang) -> AnalysisJson {
    let picture = &analysis.picture;
    AnalysisJson {
        schema: "supwatch/analysis/v1".to_owned(),
        at: stamp(picture.at),
        input: analysis.input.iter().map(input).collect(),
        remarks: analysis.remarks.clone(),
        nothing_recognised: analysis.nothing.as_ref().map(|found| nothing(found, lang)),
        sites: picture.sites.iter().map(site).collect(),
        runs: picture.runs.iter().map(run).collect(),
        waves: analysis.waves.iter().map(|w| wave(w, lang)).collect(),
        findings: picture.findings.iter().map(|f| finding(f, lang)).collect(),
        verdicts: picture.verdicts.iter().map(|v| verdict(v, lang)).collect(),
    }
}

fn nothing(Nothing { summary, reasons, remedies, cause }: &Nothing, lang: Lang) -> NothingJson {
    let said = |text: &Text| text.get(lang).to_owned();
    NothingJson {
        summary: said(summary),
        reasons: reasons.iter().map(said).collect(),
        remedy: remedies.iter().map(said).collect(),
        cause: cause.clone(),
    }
}

fn input(file: &InputFile) -> InputJson {
    let InputFile { path, form, encoding, lines, recognised, unrecognised, typed, mended, joined, taken_off } = file;
    InputJson {
        path: path.clone(),
        form: form.clone(),
        encoding: encoding.clone(),
        lines: *lines,
        recognised: *recognised,
        unrecognised: *unrecognised,
        typed: *typed,
        mended: *mended,
        joined: *joined,
        taken_off: taken_off.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// The whole picture, as `status` gives it.
pub fn picture(picture: &Picture, lang: Lang) -> Value {
    serde_json::json!({
        "schema": "supwatch/status/v1",
        "hierarchy": picture.hierarchy,
        "at": stamp(picture.at),
        "sites": picture.sites.iter().map(site).collect::<Vec<_>>(),
        "findings": picture.findings.iter().map(|f| finding(f, lang)).collect::<Vec<_>>(),
        "refused": picture.refusals.iter().map(|r| refusal(r, lang)).collect::<Vec<_>>(),
    })
}

/// A site.
pub fn site(site: &SitePicture) -> SiteJson {
    SiteJson {
        site: site.code.to_string(),
        site_type: site.site_type.map(|word| word.to_string()),
        parent: site.parent.map(|code| code.to_string()),
        server: site.server.clone(),
        generation: site.generation.map(|word| word.to_string()),
        state: site.state.to_string(),
        last_success_at: stamp(site.last_success_at),
        last_failure_at: stamp(site.last_failure_at),
        next_run_at: stamp(site.next_run_at),
        catalog_version: site.catalog_version,
        findings: CountsJson { critical: site.findings.critical, warning: site.findings.warning, info: site.findings.info },
        agents: site.agents.iter().map(agent).collect(),
        trends: site.trends.iter().map(trend).collect(),
        judged_as_of: stamp(site.judged_as_of),
        reading_back: site.backlog.map(|Backlog { unread_bytes, spooled_events }| BacklogJson { unread_bytes, spooled_events }),
    }
}

fn trend(PhaseTrend { phase, runs, last, median, p95, growth }: &PhaseTrend) -> TrendJson {
    TrendJson {
        phase: phase.clone(),
        runs: *runs,
        last_s: last.as_secs_f64(),
        median_s: median.as_secs_f64(),
        p95_s: p95.as_secs_f64(),
        growth: *growth,
    }
}

fn agent(agent: &AgentPicture) -> AgentJson {
    let AgentPicture { id, last_seen_at, connected, events, version, .. } = agent;
    let AgentPicture { spooled_events, lost_events, spool_bytes, waiting_seconds, .. } = agent;
    AgentJson {
        id: id.to_string(),
        last_heard_at: stamp(*last_seen_at),
        connected: *connected,
        events: *events,
        version: version.clone(),
        spooled_events: *spooled_events,
        lost_events: *lost_events,
        spool_bytes: *spool_bytes,
        waiting_s: *waiting_seconds,
    }
}

/// A run.
pub fn run(run: &Run) -> RunJson {
    RunJson {
        id: run.id.clone(),
        site: run.site.to_string(),
        trigger: run.trigger.as_str().to_owned(),
        from: run.from.map(|code| code.to_string()),
        scope: run.scope.as_str().to_owned(),
        started_at: stamp(run.started_at),
        ended_at: stamp(run.ended_at),
        outcome: run.outcome.to_string(),
        phases: run
            .phases
            .iter()
            .map(|Phase { phase, server, started_at, ended_at }| PhaseJson {
                phase: phase.clone(),
                server: server.clone(),
                started_at: stamp(*started_at),
                ended_at: stamp(*ended_at),
            })
            .collect(),
        progress: run.progress.map(|(done, total)| ProgressJson { done, total }),
        cause: run.cause.clone(),
        text: run.text.clone(),
        source: run.source.clone(),
        code: run.code.clone(),
        retry_of: run.retry_of.clone(),
        catalog_version: run.catalog_version,
    }
}

/// A wave.
pub fn wave(wave: &Wave, lang: Lang) -> WaveJson {
    WaveJson {
        id: wave.id.clone(),
        top_run: wave.id.clone(),
        site: wave.top.to_string(),
        started_at: stamp(wave.started_at),
        ended_at: stamp(wave.ended_at),
        catalog_version: wave.catalog_version,
        edges: wave.edges.iter().map(|e| edge(e, lang)).collect(),
        outcome: wave.outcome.to_string(),
        broken_at: wave.broken_at.map(|(parent, child)| BrokenJson { parent: parent.to_string(), child: child.to_string() }),
        cause: wave.cause.clone(),
    }
}

fn edge(edge: &WaveEdge, lang: Lang) -> EdgeJson {
    EdgeJson {
        parent: edge.parent.to_string(),
        child: edge.child.to_string(),
        notified_at: stamp(edge.notified_at),
        received_at: stamp(edge.received_at),
        started_at: stamp(edge.started_at),
        ended_at: stamp(edge.ended_at),
        outcome: edge.outcome.to_string(),
        lag_s: edge.lag.map(|lag| lag.as_secs_f64()),
        runs: edge.runs.clone(),
        catalog_version: edge.catalog_version,
        cause: edge.cause.clone(),
        inferred: edge.inferred,
        note: edge.note.as_ref().map(|note| note.get(lang).to_owned()),
    }
}

/// A finding.
pub fn finding(finding: &Finding, lang: Lang) -> FindingJson {
    FindingJson {
        id: finding.id.clone(),
        rule: finding.rule.clone(),
        severity: finding.severity.to_string(),
        site: finding.site.to_string(),
        subject: finding.subject.clone(),
        cause: finding.cause.clone(),
        confidence: finding.confidence.map(|confidence| confidence.to_string()),
        reasons: finding.reasons.iter().map(|text| text.get(lang).to_owned()).collect(),
        summary: finding.summary.get(lang).to_owned(),
        evidence: finding.evidence.iter().map(evidence).collect(),
        remedy: finding.remedy.iter().map(|text| text.get(lang).to_owned()).collect(),
        opened_at: stamp(finding.opened_at),
        changed_at: stamp(finding.changed_at),
        resolved_at: stamp(finding.resolved_at),
        occurrences: finding.occurrences,
        suppressed: finding.suppressed.as_ref().map(|suppressed| SuppressionJson {
            reason: suppressed.reason.clone(),
            by: suppressed.by.clone(),
            at: stamp(suppressed.at),
            until: stamp(suppressed.until),
        }),
        because_of: finding.because_of.clone(),
        consequences: finding.consequences.clone(),
    }
}

fn evidence(evidence: &Evidence) -> EvidenceJson {
    match evidence {
        Evidence::Line { site, file, offset, time, line } => EvidenceJson::Line {
            site: site.to_string(),
            file: file.clone(),
            offset: *offset,
            time: stamp(*time),
            line: line.clone(),
        },
        Evidence::Setting { site, setting, value, taken_at, source, since } => EvidenceJson::Setting {
            site: site.to_string(),
            setting: setting.clone(),
            value: value.clone(),
            taken_at: stamp(*taken_at),
            source: source.clone(),
            since: stamp(*since),
        },
    }
}

/// A verdict.
pub fn verdict(verdict: &Verdict, lang: Lang) -> VerdictJson {
    VerdictJson {
        rule: verdict.rule.to_string(),
        site: verdict.site.to_string(),
        subject: verdict.subject.clone(),
        verdict: verdict.answer.to_string(),
        looked_at: verdict.looked_at.iter().map(ToString::to_string).collect(),
        missing: verdict.missing.iter().map(|text| text.get(lang).to_owned()).collect(),
        expected_by: stamp(verdict.expected_by),
    }
}

fn refusal(Refusal { at, peer, reason, remedy, times }: &Refusal, lang: Lang) -> RefusalJson {
    RefusalJson {
        at: stamp(*at),
        peer: peer.clone(),
        reason: reason.get(lang).to_owned(),
        remedy: remedy.get(lang).to_owned(),
        times: *times,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run with `SUPWATCH_REGENERATE=1` after a change that only adds.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/analysis.schema.json");
        let schema = format!("{}\n", serde_json::to_string_pretty(&analysis_schema()).expect("json"));
        if std::env::var_os("SUPWATCH_REGENERATE").is_some() {
            std::fs::write(path, &schema).expect("written");
        }
        let published = std::fs::read_to_string(path).expect("the schema");
        assert!(published == schema, "analysis.schema.json is not what the types say; regenerate it");
    }
}
