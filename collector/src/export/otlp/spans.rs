//! A wave as a trace: runs are spans with their phases as child spans, and the span of the notification links a parent's run with
//! a child's.
//!
//! Pure. Every id is a hash of what the span represents, so a wave that is sent again yields the same trace.

use std::collections::BTreeMap;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use supwatch_model::event::{Scope, Trigger};
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Run, RunOutcome};
use supwatch_model::wave::{EdgeOutcome, Wave, WaveEdge};

/// Most characters of an error's text.
const TEXT_CHARS: usize = 2_000;

/// The spans of a wave, a parent before its children.
pub fn spans(hierarchy: &str, wave: &Wave, runs: &[Run]) -> Vec<Span> {
    let trace = Trace { id: id::<16>(&["trace", hierarchy, &wave.id]), hierarchy, wave };
    let by_id: BTreeMap<&str, &Run> = runs.iter().map(|run| (run.id.as_str(), run)).collect();
    let mut spans = Vec::new();
    // The parent span of a site's notifications, and its end.
    let mut above: BTreeMap<SiteCode, (Vec<u8>, u64)> = BTreeMap::new();
    let root = match by_id.get(wave.id.as_str()) {
        Some(run) => trace.run(run, Vec::new(), SpanKind::Internal, &mut spans),
        None => trace.unseen_root(&mut spans),
    };
    above.insert(wave.top, root);
    for edge in &wave.edges {
        let (parent, ended) = above.get(&edge.parent).or_else(|| above.get(&wave.top)).cloned().unwrap_or_default();
        if edge.outcome == EdgeOutcome::Cut {
            // The wave stopped further up: no parent notified a child.
            continue;
        }
        let notification = trace.notification(edge, parent, ended);
        let mut last = (notification.span_id.clone(), notification.end_time_unix_nano);
        spans.push(notification);
        let under = last.0.clone();
        for run in edge.runs.iter().filter_map(|id| by_id.get(id.as_str())) {
            last = trace.run(run, under.clone(), SpanKind::Consumer, &mut spans);
        }
        above.insert(edge.child, last);
    }
    spans
}

struct Trace<'a> {
    id: Vec<u8>,
    hierarchy: &'a str,
    wave: &'a Wave,
}

impl Trace<'_> {
    /// A run and its phases; returns the run's span and its end.
    fn run(&self, run: &Run, parent: Vec<u8>, kind: SpanKind, spans: &mut Vec<Span>) -> (Vec<u8>, u64) {
        let span_id = id::<8>(&["run", self.hierarchy, &self.wave.id, &run.id]);
        let ends = run.phases.iter().filter_map(|phase| phase.ended_at.or(phase.started_at));
        let start = nanos(run.started_at.or_else(|| run.phases.iter().find_map(|phase| phase.started_at)).or(run.ended_at));
        let end = nanos(run.ended_at.or_else(|| ends.max())).max(start);
        let root = parent.is_empty();
        let mut attributes = vec![
            text("supwatch.wave", &self.wave.id),
            text("supwatch.run", &run.id),
            text("supwatch.site", run.site.as_str()),
            text("supwatch.outcome", run.outcome.as_str()),
        ];
        if root {
            attributes.push(text("supwatch.wave.outcome", self.wave.outcome.as_str()));
            let broken = self.wave.broken_at.map(|(parent, child)| format!("{parent} > {child}"));
            attributes.extend(broken.map(|edge| text("supwatch.wave.broken_at", &edge)));
        }
        if run.trigger != Trigger::Unknown {
            attributes.push(text("supwatch.trigger", run.trigger.as_str()));
        }
        if run.scope != Scope::Unknown {
            attributes.push(text("supwatch.scope", run.scope.as_str()));
        }
        attributes.extend(run.from.map(|from| text("supwatch.parent", from.as_str())));
        attributes.extend(run.catalog_version.map(|version| number("supwatch.catalog_version", version)));
        attributes.extend(run.retry_of.as_deref().map(|of| text("supwatch.retry_of", of)));
        let (mut status, mut events) = (None, Vec::new());
        if run.outcome == RunOutcome::Failed {
            let cause = run.cause.as_deref().unwrap_or(supwatch_judgement::diagnosis::UNKNOWN);
            attributes.push(text("error.type", cause));
            attributes.extend(run.code.as_deref().map(|code| text("supwatch.code", code)));
            status = Some(error(cause));
            events.extend(run.text.as_deref().map(|said| Event {
                time_unix_nano: end,
                name: "exception".to_owned(),
                attributes: vec![
                    text("exception.type", cause),
                    text("exception.message", &said.chars().take(TEXT_CHARS).collect::<String>()),
                ],
                dropped_attributes_count: 0,
            }));
        }
        let name = format!("sync {}", run.site);
        spans.push(Span { status, events, ..self.span(span_id.clone(), parent, name, kind, (start, end), attributes) });
        for (index, phase) in run.phases.iter().enumerate() {
            let phase_id = id::<8>(&["phase", self.hierarchy, &self.wave.id, &run.id, &index.to_string()]);
            let from = nanos(phase.started_at.or(run.started_at)).max(if phase.started_at.is_some() { 0 } else { start });
            let to = nanos(phase.ended_at).max(from);
            let mut attributes = vec![text("supwatch.site", run.site.as_str()), text("supwatch.phase", &phase.phase)];
            if !phase.server.is_empty() {
                attributes.push(text("server.address", &phase.server));
            }
            let name = format!("phase {}", phase.phase);
            spans.push(self.span(phase_id, span_id.clone(), name, SpanKind::Internal, (from, to), attributes));
        }
        (span_id, end)
    }

    /// Represents the run of a top site whose log no agent reads.
    fn unseen_root(&self, spans: &mut Vec<Span>) -> (Vec<u8>, u64) {
        let wave = self.wave;
        let first = wave.edges.iter().filter_map(|edge| edge.notified_at.or(edge.received_at).or(edge.started_at)).min();
        let start = nanos(wave.started_at.or(first).or(wave.ended_at));
        let mut attributes = vec![
            text("supwatch.wave", &wave.id),
            text("supwatch.site", wave.top.as_str()),
            text("supwatch.wave.outcome", wave.outcome.as_str()),
            flag("supwatch.inferred"),
        ];
        attributes.extend(wave.catalog_version.map(|version| number("supwatch.catalog_version", version)));
        let span_id = id::<8>(&["run", self.hierarchy, &wave.id, &wave.id]);
        let name = format!("sync {}", wave.top);
        spans.push(self.span(span_id.clone(), Vec::new(), name, SpanKind::Internal, (start, start), attributes));
        (span_id, start)
    }

    /// From the parent's notification to the start of the child's run.
    fn notification(&self, edge: &WaveEdge, parent: Vec<u8>, parent_ended: u64) -> Span {
        let notified = edge.notified_at.or(edge.received_at).or(edge.started_at);
        let start = notified.map_or(parent_ended, |notified| nanos(Some(notified)));
        let end = nanos(edge.started_at.or(edge.received_at)).max(start);
        let mut attributes = vec![
            text("supwatch.parent", edge.parent.as_str()),
            text("supwatch.site", edge.child.as_str()),
            text("supwatch.outcome", edge.outcome.as_str()),
        ];
        if edge.inferred {
            attributes.push(flag("supwatch.inferred"));
        }
        if let (Some(notified), Some(began)) = (edge.notified_at, edge.received_at.or(edge.started_at))
            && began < notified
        {
            attributes.push(flag("supwatch.clock_skew"));
        }
        attributes.extend(edge.catalog_version.map(|version| number("supwatch.catalog_version", version)));
        attributes.extend(edge.note.as_ref().map(|note| text("supwatch.note", &note.en)));
        let status = match edge.outcome {
            EdgeOutcome::Missed => {
                attributes.push(text("error.type", "wave-missed"));
                Some(error("wave-missed"))
            }
            _ => None,
        };
        let span_id = id::<8>(&["notification", self.hierarchy, &self.wave.id, edge.parent.as_str(), edge.child.as_str()]);
        let name = format!("notify {}", edge.child);
        Span { status, ..self.span(span_id, parent, name, SpanKind::Producer, (start, end), attributes) }
    }

    fn span(
        &self,
        span_id: Vec<u8>,
        parent_span_id: Vec<u8>,
        name: String,
        kind: SpanKind,
        (start, end): (u64, u64),
        attributes: Vec<KeyValue>,
    ) -> Span {
        Span {
            trace_id: self.id.clone(),
            span_id,
            parent_span_id,
            name,
            kind: kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            ..Span::default()
        }
    }
}

fn error(message: &str) -> Status {
    Status { message: message.to_owned(), code: StatusCode::Error.into() }
}

/// The first bytes of a hash of what a span represents.
fn id<const BYTES: usize>(parts: &[&str]) -> Vec<u8> {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finish().as_ref().iter().copied().take(BYTES).collect()
}

fn nanos(at: Option<Timestamp>) -> u64 {
    at.and_then(|at| u64::try_from(at.as_nanosecond()).ok()).unwrap_or(0)
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn flag(key: &str) -> KeyValue {
    attribute(key, Value::BoolValue(true))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests;
