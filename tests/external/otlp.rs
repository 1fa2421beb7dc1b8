//! Waves as traces, and metrics, to an OTLP receiver built from gRPC's and OpenTelemetry's own Python packages. It is down at
//! first while ingest continues. It gets the tree of each wave once, although the collector dies.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;
use supwatch_tests::story::{DSS_401, Story};
use supwatch_tests::{House, Running, binary, text, wait_for};

use crate::notify::{free_port, receiver, secret, told};

/// Failed attempts before the receiver starts; seven of them take about a minute.
fn failures() -> u64 {
    std::env::var("SUPWATCH_OTLP_FAILURES").ok().and_then(|count| count.parse().ok()).unwrap_or(2)
}

/// Three waves: one with a retry and a failure at the bottom, one complete, one that a child misses.
fn story() -> Story {
    let mut story = Story::new();
    story
        .top("CEN", "0:00", "5:00", 34, "P01, P02")
        .begin("P01", "5:12")
        .fail("P01", "5:40", DSS_401)
        .say("P01", "65:40", "Performing sync on retry schedule")
        .end("P01", "68:00", 34, "S01")
        .child("P02", "5:20", "12:30", 34, "")
        .begin("S01", "68:09")
        .fail("S01", "69:00", DSS_401)
        .top("CEN", "180:00", "184:00", 35, "P01, P02")
        .child("P01", "184:10", "188:00", 35, "S01")
        .child("P02", "184:20", "189:00", 35, "")
        .child("S01", "188:05", "190:00", 35, "")
        .top("CEN", "540:00", "544:00", 36, "P01, P02")
        .child("P01", "544:10", "548:00", 36, "S01")
        .child("S01", "548:05", "550:00", 36, "")
        .alive("700:00");
    story
}

/// Spans of all requests so far, with repetitions.
fn spans(receiver: &Running) -> Vec<Value> {
    let all = told(receiver).into_iter().filter_map(|mut one| one["traces"]["resourceSpans"].as_array_mut().map(std::mem::take));
    let scopes = all.flatten().flat_map(|resource| resource["scopeSpans"].as_array().cloned().unwrap_or_default());
    scopes.flat_map(|scope| scope["spans"].as_array().cloned().unwrap_or_default()).collect()
}

fn attribute<'a>(span: &'a Value, key: &str) -> Option<&'a str> {
    let all = span["attributes"].as_array()?;
    all.iter().find(|one| one["key"] == key)?["value"]["stringValue"].as_str()
}

/// What a span represents, with its error: a run's id, or the span's name.
fn label(span: &Value) -> String {
    let name = attribute(span, "supwatch.run").unwrap_or_else(|| span["name"].as_str().unwrap_or_default());
    match span["status"]["message"].as_str() {
        Some(error) => format!("{name} !{error}"),
        None => name.to_owned(),
    }
}

/// Every span as its path from the root.
fn ways(spans: &[Value]) -> BTreeSet<String> {
    let by_id: BTreeMap<&str, &Value> = spans.iter().filter_map(|span| Some((span["spanId"].as_str()?, span))).collect();
    let way = |span: &Value| {
        let (mut way, mut at) = (vec![label(span)], span);
        while let Some(parent) = at["parentSpanId"].as_str().filter(|id| !id.is_empty()) {
            at = by_id[parent];
            way.push(label(at));
        }
        way.reverse();
        way.join(" / ")
    };
    spans.iter().map(way).collect()
}

/// The same paths, from the command line's output of waves and runs.
fn expected(waves: &Value, runs: &Value) -> BTreeSet<String> {
    let runs: BTreeMap<&str, &Value> =
        runs.as_array().expect("runs").iter().map(|run| (run["id"].as_str().expect("id"), run)).collect();
    let mut ways = BTreeSet::new();
    for wave in waves.as_array().expect("waves") {
        let mut above: BTreeMap<String, String> = BTreeMap::new();
        let mut add = |way: String, id: &str| {
            let run = runs[id];
            let error = run["cause"].as_str().filter(|_| run["outcome"] == "failed").map(|cause| format!(" !{cause}"));
            let way = format!("{way}{id}{}", error.unwrap_or_default());
            for phase in run["phases"].as_array().expect("phases") {
                ways.insert(format!("{way} / phase {}", phase["phase"].as_str().expect("phase")));
            }
            ways.insert(way.clone());
            way
        };
        let mut notifications = Vec::new();
        let root = add(String::new(), wave["id"].as_str().expect("id"));
        above.insert(wave["site"].as_str().expect("site").to_owned(), root);
        for edge in wave["edges"].as_array().expect("edges") {
            if edge["outcome"] == "cut" {
                continue;
            }
            let child = edge["child"].as_str().expect("child");
            let error = if edge["outcome"] == "missed" { " !wave-missed" } else { "" };
            let notification = format!("{} / notify {child}{error}", above[edge["parent"].as_str().expect("parent")]);
            notifications.push(notification.clone());
            let mut last = notification.clone();
            for id in edge["runs"].as_array().expect("runs") {
                last = add(format!("{notification} / "), id.as_str().expect("id"));
            }
            above.insert(child.to_owned(), last);
        }
        ways.extend(notifications);
    }
    ways
}

#[test]
fn each_wave_is_one_trace_and_a_receiver_that_is_down_holds_up_nobody() {
    let port = free_port();
    let story = story();
    let mut house = House::new(&story.hierarchy);
    secret(&house.path("token"), "Authorization: Bearer s3cret\n");
    house.configure(&format!(
        "[otlp]\nendpoint = \"https://localhost:{port}\"\nheader_file = \"token\"\nca = \"pki/ca.pem\"\ninterval_seconds = 1\nsettle_seconds = 0\nsince_hours = 87600\n"
    ));
    let dir = tempfile::tempdir().expect("folder");
    let folders = story.write(dir.path());
    let identity = house.identity(&story.read(), "srv");
    let config = house.agent_config("all", &identity, &folders, house.port);
    let once = || {
        let once = Command::new(binary("supwatch-agent")).arg("--config").arg(&config).arg("once").output().expect("agent");
        assert!(once.status.success(), "all is acknowledged: {}", text(&once.stderr));
    };
    once();
    let sample = |name: &str| -> Result<u64, String> {
        let page = house.metrics()?;
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).ok_or(page)
    };
    let until = |name: &str, least: u64| {
        wait_for(name, || match sample(name)? {
            value if value >= least => Ok(value),
            value => Err(format!("{name} is {value}, not {least}\n{}", house.collector_said())),
        })
    };
    until("supwatch_otlp_requests_failed_total", failures());
    until("supwatch_otlp_waves_waiting", 3);
    let receiver = receiver(&house, "otlp_receiver.py", port, &["Bearer s3cret"]);

    let (waves, runs) = (house.ask(&["wave", "--list"]).expect("waves"), house.ask(&["runs"]).expect("runs"));
    let expected = expected(&waves["waves"], &runs["runs"]);
    assert!(expected.iter().any(|way| way.ends_with("!wave-missed")), "{expected:#?}");
    assert!(expected.iter().any(|way| way.ends_with("!dssauth-unauthorized")), "{expected:#?}");
    wait_for("the waves", || {
        let ways = ways(&spans(&receiver));
        if ways == expected { Ok(()) } else { Err(format!("{ways:#?}\nnot\n{expected:#?}\n{}", house.collector_said())) }
    });
    until("supwatch_otlp_waves_total{outcome=\"sent\"}", 3);
    assert_eq!(sample("supwatch_otlp_waves_waiting"), Ok(0));
    let first = spans(&receiver);
    assert_eq!(first.len(), expected.len(), "each is told once");
    let traces: BTreeSet<&str> = first.iter().filter_map(|span| span["traceId"].as_str()).collect();
    assert_eq!(traces.len(), 3, "a wave is a trace");
    assert!(!house.collector_said().contains("s3cret"));

    let metrics = wait_for("metrics", || {
        let requests = told(&receiver);
        let all: Vec<Value> = requests
            .iter()
            .filter_map(|one| one["metrics"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array())
            .flatten()
            .cloned()
            .collect();
        if all.is_empty() { Err(house.collector_said()) } else { Ok(all) }
    });
    let named = |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    assert!(named("supwatch_site_state")["gauge"]["dataPoints"].as_array().is_some_and(|points| points.len() >= 24));
    assert_eq!(named("supwatch_events_total")["sum"]["isMonotonic"], true);
    let page: BTreeSet<String> = house
        .metrics()
        .expect("page")
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next().map(str::to_owned))
        .collect();
    let sent: BTreeSet<String> = metrics.iter().filter_map(|metric| metric["name"].as_str().map(str::to_owned)).collect();
    assert!(sent.is_subset(&page), "the same names: {sent:?} {page:?}");

    house.kill_collector();
    house.start_collector();
    let sample = |name: &str| house.metrics().is_ok_and(|page| page.lines().any(|line| line.starts_with(name)));
    wait_for("two rounds of the collector that rose", || {
        let line = |count: u32| format!("supwatch_otlp_metrics_sent_total {count}");
        if (2..9).any(|count| sample(&line(count))) { Ok(()) } else { Err(house.collector_said()) }
    });
    assert_eq!(spans(&receiver).len(), expected.len(), "what was taken is not sent again");
}
