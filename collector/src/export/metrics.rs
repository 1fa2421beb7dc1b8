//! The collector's state as Prometheus metrics: every name, help and label in one place.
//!
//! Pure. Labels are sites, agents, rules, causes, states and notification targets, never message text, so the configuration
//! bounds their number.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::{Encoder, Gauge, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};
use supwatch_model::picture::{AgentPicture, Picture, SitePicture, SiteState};
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::wave::Wave;

use crate::export::counters::{Exported, Notified};
use supwatch_store::StoreSize;

/// Name, help and labels of every gauge.
const GAUGES: &[(&str, &str, &[&str])] = &[
    ("supwatch_build_info", "Version of the collector; always 1.", &["version"]),
    ("supwatch_site_state", "1 for the state the site is in, 0 for the others.", &["site", "state"]),
    ("supwatch_site_last_success_timestamp_seconds", "End of the last run that succeeded, in seconds since 1970.", &["site"]),
    ("supwatch_site_last_failure_timestamp_seconds", "End of the last run that failed, in seconds since 1970.", &["site"]),
    ("supwatch_site_catalog_version", "Newest catalogue version of the site.", &["site"]),
    (
        "supwatch_site_judged_as_of_timestamp_seconds",
        "Time up to which the site's wsyncmgr.log is known to be read, in seconds since 1970.",
        &["site"],
    ),
    (
        "supwatch_site_reading_back",
        "1 while the site's agents read back; the site's other metrics keep their earlier values.",
        &["site"],
    ),
    (
        "supwatch_findings_open",
        "Open findings that are neither suppressed nor a consequence of another.",
        &["site", "rule", "severity"],
    ),
    ("supwatch_verdicts", "Verdicts of each rule, by answer.", &["rule", "verdict"]),
    ("supwatch_last_run_failed", "1 while the last finished run of the site is a failed one of this cause.", &["site", "cause"]),
    (
        "supwatch_phase_duration_seconds",
        "Duration of a phase of the site's successful runs: last, median, 95th percentile; phase run is the whole run.",
        &["site", "phase", "stat"],
    ),
    ("supwatch_agent_connected", "1 while the agent's stream is open.", &["agent"]),
    ("supwatch_agent_last_heard_timestamp_seconds", "Last contact with the agent, in seconds since 1970.", &["agent"]),
    ("supwatch_agent_spooled_events", "Events the agent still holds.", &["agent"]),
    ("supwatch_notifications_waiting", "Notifications not yet delivered to the target.", &["target"]),
    ("supwatch_wave_outcome", "1 for the outcome of the newest finished wave of the top site.", &["site", "outcome"]),
    ("supwatch_wave_started_timestamp_seconds", "Start of that wave, in seconds since 1970.", &["site"]),
    ("supwatch_wave_duration_seconds", "Time from the start of that wave to its end at the last site it reached.", &["site"]),
    ("supwatch_wave_edge_outcome", "1 for the outcome of the newest finished wave at the site.", &["site", "outcome"]),
    ("supwatch_wave_edge_lag_seconds", "Time from the parent's notification to the start at the site, in that wave.", &["site"]),
    ("supwatch_store_bytes", "Size of the store's files in bytes.", &[]),
    ("supwatch_store_events", "Events in the store.", &[]),
    ("supwatch_store_oldest_day_timestamp_seconds", "Start of the oldest day in the store, in seconds since 1970.", &[]),
    ("supwatch_agent_lost_events", "Events of the agent that neither the agent nor the store has any more.", &["agent"]),
    ("supwatch_agent_spool_bytes", "Size of the agent's spool in bytes.", &["agent"]),
    ("supwatch_agent_waiting_seconds", "Time for which events have waited at the agent without an acknowledgement.", &["agent"]),
    ("supwatch_otlp_waves_waiting", "Waves not yet sent to the OTLP receiver.", &[]),
];

/// Phases that may become labels, so that no agent can create arbitrary ones.
const PHASES: &[&str] = &[supwatch_judgement::trends::WHOLE, "wsus", "database", "replica", "internet", "maintenance"];

/// Name, help and labels of every counter.
const COUNTERS: &[(&str, &str, &[&str])] = &[
    ("supwatch_events_total", "Events stored from the agent.", &["agent"]),
    ("supwatch_refused_connections_total", "Connections and streams refused since the start.", &[]),
    ("supwatch_otlp_waves_total", "Waves sent as traces since the start, or rejected by the receiver.", &["outcome"]),
    ("supwatch_otlp_requests_failed_total", "Failed attempts to send over OTLP since the start.", &[]),
    ("supwatch_otlp_metrics_sent_total", "Successful sends of metrics over OTLP since the start.", &[]),
    ("supwatch_notifications_total", "Attempts to notify the target since the start, by outcome.", &["target", "outcome"]),
];

/// One metric of the page.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// `gauge` or `counter`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Its help text.
    pub help: &'static str,
}

/// Every metric, in the order of the tables above; the documentation is generated from them.
pub fn listed() -> impl Iterator<Item = Listed> {
    let of = |kind| {
        move |&(name, help, labels): &(&'static str, &'static str, &'static [&'static str])| Listed { name, kind, labels, help }
    };
    GAUGES.iter().map(of("gauge")).chain(COUNTERS.iter().map(of("counter")))
}

/// The values that the metrics are made of.
#[derive(Debug, Clone)]
pub struct Values {
    /// The hierarchy's current state.
    pub picture: Picture,
    /// Its newest waves, newest first.
    pub waves: Vec<Wave>,
    /// Number of refused connections and streams.
    pub refused: u64,
    /// Counters of notifications, by target.
    pub notified: Vec<(String, Notified)>,
    /// Size of the store when last measured.
    pub store: StoreSize,
    /// Counters of the OTLP export, where it is configured.
    pub exported: Option<Exported>,
}

/// The metrics in text form.
pub fn page(registry: &Registry) -> Result<String, prometheus::Error> {
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The metrics as a registry that can be encoded.
pub fn registry(known: &Values) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let families = Families::new(&registry)?;
    families.set("supwatch_build_info", &[env!("CARGO_PKG_VERSION")], 1.0);
    families.count("supwatch_refused_connections_total", &[], known.refused);
    store(known.store, &families);
    exports(known, &families);
    waves(&known.waves, &families);
    for site in &known.picture.sites {
        of_site(site, &families);
        site.agents.iter().for_each(|agent| of_agent(agent, &families));
        if let Some(cause) = last_failure(&known.picture, site) {
            families.set("supwatch_last_run_failed", &[site.code.as_str(), cause], 1.0);
        }
    }
    // An agent may report for several sites.
    let agents = known.picture.sites.iter().flat_map(|site| &site.agents);
    for (agent, events) in agents.map(|agent| (&agent.id.0, agent.events)).collect::<BTreeMap<_, _>>() {
        families.count("supwatch_events_total", &[agent], events);
    }
    for finding in known.picture.findings.iter().filter(|finding| finding.is_pressing()) {
        families.increment("supwatch_findings_open", &[finding.site.as_str(), &finding.rule, finding.severity.as_str()]);
    }
    for verdict in &known.picture.verdicts {
        families.increment("supwatch_verdicts", &[verdict.rule.as_ref(), verdict.answer.as_str()]);
    }
    Ok(registry)
}

/// Every gauge and counter by its name.
struct Families {
    gauges: BTreeMap<&'static str, GaugeVec>,
    counters: BTreeMap<&'static str, IntCounterVec>,
}

impl Families {
    fn new(registry: &Registry) -> Result<Families, prometheus::Error> {
        let (mut gauges, mut counters) = (BTreeMap::new(), BTreeMap::new());
        for (name, help, labels) in GAUGES {
            let gauge = GaugeVec::new(Opts::new(*name, *help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            gauges.insert(*name, gauge);
        }
        for (name, help, labels) in COUNTERS {
            let counter = IntCounterVec::new(Opts::new(*name, *help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            counters.insert(*name, counter);
        }
        Ok(Families { gauges, counters })
    }

    fn gauge(&self, name: &str, labels: &[&str]) -> Option<Gauge> {
        self.gauges.get(name)?.get_metric_with_label_values(labels).ok()
    }

    fn set(&self, name: &str, labels: &[&str], value: f64) {
        self.gauge(name, labels).into_iter().for_each(|gauge| gauge.set(value));
    }

    fn increment(&self, name: &str, labels: &[&str]) {
        self.gauge(name, labels).into_iter().for_each(|gauge| gauge.inc());
    }

    fn count(&self, name: &str, labels: &[&str], value: u64) {
        if let Some(counter) = self.counters.get(name).and_then(|counter| counter.get_metric_with_label_values(labels).ok()) {
            counter.inc_by(value);
        }
    }
}

/// Statistics of notifications and the OTLP export.
fn exports(known: &Values, families: &Families) {
    for (target, counts) in &known.notified {
        families.count("supwatch_notifications_total", &[target, "sent"], counts.sent);
        families.count("supwatch_notifications_total", &[target, "failed"], counts.failed);
        families.set("supwatch_notifications_waiting", &[target], number(counts.waiting));
    }
    if let Some(counts) = known.exported {
        families.count("supwatch_otlp_waves_total", &["sent"], counts.waves_sent);
        families.count("supwatch_otlp_waves_total", &["refused"], counts.waves_refused);
        families.count("supwatch_otlp_requests_failed_total", &[], counts.failed);
        families.count("supwatch_otlp_metrics_sent_total", &[], counts.metrics_sent);
        families.set("supwatch_otlp_waves_waiting", &[], number(counts.waves_waiting));
    }
}

fn of_site(site: &SitePicture, families: &Families) {
    let code = site.code.as_str();
    for state in [SiteState::Ok, SiteState::Running, SiteState::Failed, SiteState::Overdue, SiteState::Silent, SiteState::Unknown] {
        families.set("supwatch_site_state", &[code, state.as_str()], f64::from(u8::from(site.state == state)));
    }
    families.set("supwatch_site_reading_back", &[code], f64::from(u8::from(site.backlog.is_some())));
    for (name, value) in [
        ("supwatch_site_last_success_timestamp_seconds", site.last_success_at.map(seconds)),
        ("supwatch_site_last_failure_timestamp_seconds", site.last_failure_at.map(seconds)),
        ("supwatch_site_judged_as_of_timestamp_seconds", site.judged_as_of.map(seconds)),
        ("supwatch_site_catalog_version", site.catalog_version.map(number)),
    ] {
        value.into_iter().for_each(|value| families.set(name, &[code], value));
    }
    for trend in site.trends.iter().filter(|trend| PHASES.contains(&trend.phase.as_str())) {
        for (stat, span) in [("last", trend.last), ("median", trend.median), ("p95", trend.p95)] {
            families.set("supwatch_phase_duration_seconds", &[code, &trend.phase, stat], span.as_secs_f64());
        }
    }
}

fn of_agent(agent: &AgentPicture, families: &Families) {
    let labels = &[agent.id.0.as_str()];
    families.set("supwatch_agent_connected", labels, f64::from(u8::from(agent.connected)));
    if let Some(time) = agent.last_seen_at {
        families.set("supwatch_agent_last_heard_timestamp_seconds", labels, seconds(time));
    }
    families.set("supwatch_agent_spooled_events", labels, number(agent.spooled_events));
    families.set("supwatch_agent_lost_events", labels, number(agent.lost_events));
    families.set("supwatch_agent_spool_bytes", labels, number(agent.spool_bytes));
    families.set("supwatch_agent_waiting_seconds", labels, f64::from(agent.waiting_seconds));
}

/// Cause of the last finished run of a site, if that run failed. While the site reads its backlog, runs up to then count.
fn last_failure<'a>(picture: &'a Picture, site: &SitePicture) -> Option<&'a str> {
    let settled = |run: &&Run| site.backlog.is_none() || run.ended_at.is_some_and(|ended| Some(ended) <= site.judged_as_of);
    let finished = |run: &&Run| matches!(run.outcome, RunOutcome::Succeeded | RunOutcome::Failed);
    let last = picture.runs.iter().filter(settled).find(|run| run.site == site.code && finished(run))?;
    last.cause.as_deref().filter(|_| last.outcome == RunOutcome::Failed)
}

/// Size of the store.
fn store(size: StoreSize, families: &Families) {
    families.set("supwatch_store_bytes", &[], number(size.bytes));
    families.set("supwatch_store_events", &[], number(size.events));
    if let Some(begin) = size.oldest.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
        families.set("supwatch_store_oldest_day_timestamp_seconds", &[], seconds(begin.timestamp()));
    }
}

/// The newest finished wave of each top site.
fn waves(waves: &[Wave], families: &Families) {
    let mut seen = BTreeSet::new();
    for wave in waves.iter().filter(|wave| wave.is_settled() && seen.insert(wave.top)) {
        let top = wave.top.as_str();
        families.set("supwatch_wave_outcome", &[top, wave.outcome.as_str()], 1.0);
        if let Some(at) = wave.started_at {
            families.set("supwatch_wave_started_timestamp_seconds", &[top], seconds(at));
        }
        if let (Some(start), Some(end)) = (wave.started_at, wave.ended_at) {
            families.set("supwatch_wave_duration_seconds", &[top], end.duration_since(start).as_secs_f64().max(0.0));
        }
        for edge in &wave.edges {
            let site = edge.child.as_str();
            families.set("supwatch_wave_edge_outcome", &[site, edge.outcome.as_str()], 1.0);
            if let Some(lag) = edge.lag {
                families.set("supwatch_wave_edge_lag_seconds", &[site], lag.as_secs_f64());
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // counts and bytes stay far below 2^53
fn number(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::cast_precision_loss)] // seconds since 1970 fit well
fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_judgement::rules::testing::World;

    #[test]
    fn a_failed_run_is_a_sample_with_its_cause() {
        let world = World::new()
            .central("CEN")
            .log("CEN", &["Performing sync on local request", "Sync failed: Unable to connect to the remote server. Source: X"]);
        let picture = supwatch_judgement::picture::at(
            world.hierarchy(),
            &supwatch_judgement::limits::Limits::default(),
            "2026-03-01T05:00:00Z".parse().expect("time"),
        );
        let notified = [("ops".to_owned(), Notified { sent: 3, failed: 1, waiting: 2 })];
        let exported = Some(Exported { waves_sent: 4, waves_waiting: 1, failed: 2, ..Default::default() });
        let now = "2026-03-01T05:00:00Z".parse().expect("time");
        let waves =
            supwatch_judgement::waves::Waves::new(world.hierarchy(), &supwatch_judgement::limits::Limits::default(), now).newest(3);
        let store =
            StoreSize { bytes: 1_048_576, days: 2, events: 7, oldest: Some(jiff::civil::date(2026, 3, 1)), dropped_days: 0 };
        let known = Values { picture, waves, store, refused: 2, notified: notified.to_vec(), exported };
        let page = page(&registry(&known).expect("registry")).expect("page");
        for sample in [
            "supwatch_last_run_failed{cause=\"cannot-connect\",site=\"CEN\"} 1",
            "supwatch_findings_open{rule=\"sync-failed\",severity=\"critical\",site=\"CEN\"} 1",
            "supwatch_site_state{site=\"CEN\",state=\"failed\"} 1",
            "supwatch_refused_connections_total 2",
            "supwatch_notifications_total{outcome=\"failed\",target=\"ops\"} 1",
            "supwatch_notifications_total{outcome=\"sent\",target=\"ops\"} 3",
            "supwatch_notifications_waiting{target=\"ops\"} 2",
            "supwatch_otlp_waves_total{outcome=\"sent\"} 4",
            "supwatch_otlp_waves_waiting 1",
            "supwatch_wave_outcome{outcome=\"broken\",site=\"CEN\"} 1",
        ] {
            assert!(page.contains(sample), "{sample} not in:\n{page}");
        }
    }
}
