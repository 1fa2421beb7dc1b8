//! Probes against a real web server: the agent's results reach the collector's store in time, and the servers see little load.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, binary, text, wait_for};

use crate::nginx::{Asked, Nginx, certificate, free};

const ALL_WELL: &str = "location / { return 200 ok; }";
const EACH_ITS_OWN: &str = "
    location = /ApiRemoting30/WebService.asmx { return 401; }
    location = /SimpleAuthWebService/SimpleAuth.asmx { return 403; }
    location = /DssAuthWebService/DssAuthWebService.asmx { return 503; }
    location = /ServerSyncWebService/ServerSyncWebService.asmx { return 200; }
    location / { return 404; }";
/// The pause between requests is a second; the times in the log are those of the responses.
const CLOSEST_S: f64 = 0.95;

/// A site whose agent probes: the test hierarchy, its folder, and the agent's configuration.
fn site(more: &str) -> (House, SiteFolder, std::path::PathBuf) {
    let house = House::new("name = \"corp\"\n");
    let folder = SiteFolder::new(&house.path("sites"), "P01", "primary", None);
    let identity = house.identity(&["P01"], "srv");
    let config = house.agent_config("p01", &identity, std::slice::from_ref(&folder.folder), house.port);
    let text = std::fs::read_to_string(&config).expect("file");
    std::fs::write(&config, format!("{text}{more}")).expect("file");
    (house, folder, config)
}

fn settle(folder: &SiteFolder, settings: &Value) {
    std::fs::write(folder.folder.join("settings.json"), settings.to_string()).expect("file");
}

fn sup(server: &str, port: u16, ssl: bool) -> Value {
    json!({"server": server, "ssl": ssl, (if ssl { "https_port" } else { "http_port" }): port})
}

/// The snapshots made by probes that the collector has.
fn stored(house: &House) -> Result<Vec<Value>, String> {
    let asking = house.asking(&["events", "--last", "0", "--kind", "settings-snapshot", "--output", "json"]);
    let output = supwatch_tests::supwatch(&asking);
    if output.status.code() != Some(0) {
        return Err(text(&output.stderr));
    }
    let events = text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>();
    Ok(events.into_iter().filter(|event| event["file"] == "probe").map(|event| event["settings"].clone()).collect())
}

#[track_caller]
fn once(config: &std::path::Path) -> Duration {
    let start = Instant::now();
    let output = Command::new(binary("supwatch-agent")).arg("--config").arg(config).arg("once").output().expect("runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    start.elapsed()
}

/// The requests that one server received.
fn of(asked: &[Asked], server: std::net::SocketAddr) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.to == server.to_string()).collect()
}

#[track_caller]
fn check_polite(asked: &[Asked]) {
    for pair in asked.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= CLOSEST_S, "{gap} s between {pair:?}");
    }
    for one in asked {
        // nginx answers a CONNECT before it has read its headers.
        assert!(one.headers[0].starts_with("supwatch-agent/") || one.line.starts_with("CONNECT"), "{one:?}");
        assert_eq!(one.headers[1..], ["-", "-"], "a probe is anonymous: {one:?}");
    }
}

#[track_caller]
fn check(snapshot: &Value, server: &str, part: &str, expected: &Value) {
    let wsus = snapshot["wsus"].as_array().and_then(|all| all.iter().find(|wsus| wsus["server"] == server));
    let found = &wsus.unwrap_or_else(|| panic!("no {server} in {snapshot}"))[part];
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&found[name], value, "{part} of {server}, {name}: {found}");
    }
}

/// The collector's verdicts. An anonymous 401 from ApiRemoting30 is normal.
fn check_verdicts(house: &House) {
    let expected = [
        ("vdir-access", "127.0.0.1", "unknown"),
        ("app-pool", "127.0.0.1", "fail"),
        ("ssl-mismatch", "127.0.0.2", "fail"),
        ("ssl-mismatch", "127.0.0.3", "fail"),
        ("proxy-account", "127.0.0.3", "fail"),
        ("port-mismatch", "127.0.0.6", "fail"),
        ("fqdn-mismatch", "nothing.invalid", "fail"),
    ];
    let site = wait_for("the verdicts", || {
        let site = house.ask(&["sites", "P01"])?;
        let verdicts = site["verdicts"].as_array().cloned().unwrap_or_default();
        let found = |(rule, subject, verdict): &(&str, &str, &str)| {
            verdicts.iter().any(|v| v["rule"] == *rule && v["subject"] == *subject && v["verdict"] == *verdict)
        };
        match expected.iter().find(|expected| !found(expected)) {
            None => Ok(site),
            Some(missing) => Err(format!("{missing:?} not in {verdicts:#?}")),
        }
    });
    let says = |rule: &str, subject: &str| {
        let findings = site["findings"].as_array().expect("findings");
        let finding = findings.iter().find(|finding| finding["rule"] == rule && finding["subject"] == subject);
        finding.expect("a finding")["summary"].as_str().expect("a summary").to_owned()
    };
    assert!(says("ssl-mismatch", "127.0.0.2").contains("its certificate is for other.corp.example"));
    assert!(says("ssl-mismatch", "127.0.0.3").contains("its certificate expired on 2020-12-31"));
    assert!(says("fqdn-mismatch", "nothing.invalid").contains("cannot resolve"));
}

#[test]
fn what_each_server_answers_is_stored_step_by_step() {
    let [mixed, named, expired, faulty, proxy, closed] =
        ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"].map(free);
    let nginx = Nginx::start(&[
        (mixed, None, EACH_ITS_OWN),
        (named, Some(certificate("other.corp.example", 2099)), ALL_WELL),
        (expired, Some(certificate("sup3.corp.example", 2020)), "location / { return 200 ok; } keepalive_timeout 0;"),
        (faulty, None, "location / { return 503; }"),
        (proxy, None, "location / { return 407; }"),
    ]);
    let silent = TcpListener::bind("127.0.0.7:0").expect("listener");
    let silent_port = silent.local_addr().expect("address").port();
    let (house, folder, config) = site(&format!("wsus = [\"http://127.0.0.7:{silent_port}\"]\n[probe]\n"));
    settle(
        &folder,
        &json!({
            "sups": [
                sup("127.0.0.1", mixed.port(), false),
                sup("127.0.0.2", named.port(), true),
                sup("127.0.0.3", expired.port(), true),
                sup("127.0.0.6", closed.port(), false),
                sup("nothing.invalid", 8530, false),
            ],
            "wsus": [
                {"server": "127.0.0.1", "upstream": {"server": "127.0.0.4", "port": faulty.port(), "ssl": false}},
                {"server": "127.0.0.2", "upstream": {"server": "127.0.0.1", "port": mixed.port(), "ssl": false}},
                {"server": "127.0.0.3", "upstream": {"server": "cen.corp.example", "port": 8530, "ssl": false},
                 "proxy": {"enabled": true, "server": "127.0.0.5", "port": proxy.port()}},
                {"server": "127.0.0.6", "sync_from_microsoft_update": true,
                 "proxy": {"enabled": true, "server": "127.0.0.5", "port": proxy.port()}},
            ],
        }),
    );
    let before = std::fs::metadata(folder.folder.join("settings.json")).and_then(|file| file.modified()).expect("a time");
    let took = once(&config);

    let snapshots = stored(&house).expect("events");
    let [snapshot] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    assert_eq!((&snapshot["source"], &snapshot["site"]), (&json!("probe"), &json!("P01")));
    let taken_at: jiff::Timestamp = snapshot["taken_at"].as_str().and_then(|text| text.parse().ok()).expect("a time");
    assert!(taken_at > jiff::Timestamp::try_from(before).expect("a time"));
    let answer = |status: u16| json!({"status": status, "authenticated": false});
    let directories = |one, two, three, four| json!({"ApiRemoting30": answer(one), "SimpleAuthWebService": answer(two), "DssAuthWebService": answer(three), "ServerSyncWebService": answer(four)});
    check(snapshot, "127.0.0.1", "virtual_directories", &directories(401, 403, 503, 200));
    check(snapshot, "127.0.0.2", "virtual_directories", &directories(200, 200, 200, 200));
    check(snapshot, "127.0.0.3", "virtual_directories", &directories(200, 200, 200, 200));
    let plain = json!({"outcome": "answers", "host": "127.0.0.1", "port": mixed.port(), "ssl": false, "via_proxy": false, "status": 200, "certificate": null});
    check(snapshot, "127.0.0.1", "reach", &plain);
    let shown =
        |name: &str, end: &str| json!({"outcome": "answers", "ssl": true, "certificate": {"names": [name], "expires_at": end}});
    check(snapshot, "127.0.0.2", "reach", &shown("other.corp.example", "2099-12-31T00:00:00Z"));
    check(snapshot, "127.0.0.3", "reach", &shown("sup3.corp.example", "2020-12-31T00:00:00Z"));
    check(snapshot, "127.0.0.6", "reach", &json!({"outcome": "refused", "status": null}));
    check(snapshot, "nothing.invalid", "reach", &json!({"outcome": "name-not-resolved", "port": 8530}));
    check(snapshot, "127.0.0.7", "reach", &json!({"outcome": "timed-out", "status": null}));
    check(snapshot, "127.0.0.1", "upstream_reach", &json!({"outcome": "answers", "host": "127.0.0.4", "status": 503}));
    check(snapshot, "127.0.0.2", "upstream_reach", &plain);
    let refused = json!({"outcome": "proxy-refused", "host": "cen.corp.example", "via_proxy": true, "status": 407});
    check(snapshot, "127.0.0.3", "upstream_reach", &refused);
    let refused =
        json!({"outcome": "proxy-refused", "host": "sws.update.microsoft.com", "port": 443, "ssl": true, "via_proxy": true});
    check(snapshot, "127.0.0.6", "upstream_reach", &refused);
    for server in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        let wsus = snapshot["wsus"].as_array().and_then(|all| all.iter().find(|wsus| wsus["server"] == server)).expect("an entry");
        let offset = wsus["reach"]["clock_offset_s"].as_i64().expect("an offset");
        assert!(offset.abs() <= 2, "{server}: {offset} s, and it is the same clock");
    }

    check_verdicts(&house);

    // Pauses, the two unanswered requests to the silent server, and the time a slow name service may take.
    assert!(took < Duration::from_secs(50), "{took:?}");
    let asked = nginx.asked();
    check_polite(&asked);
    let connections =
        |asked: Vec<&Asked>| asked.iter().map(|one| one.connection.clone()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((of(&asked, mixed).len(), connections(of(&asked, mixed)).len()), (4, 1), "a server that two ask for is asked once");
    assert_eq!((of(&asked, named).len(), connections(of(&asked, named)).len()), (4, 1));
    assert_eq!((of(&asked, expired).len(), connections(of(&asked, expired)).len()), (4, 4), "it hangs up after each answer");
    assert_eq!(of(&asked, faulty).len(), 1, "a fault of an upstream says it all");
    let lines: Vec<&str> = of(&asked, proxy).iter().map(|one| one.line.as_str()).collect();
    let get = "GET http://cen.corp.example:8530/DssAuthWebService/DssAuthWebService.asmx HTTP/1.1";
    assert_eq!(lines, [get, "CONNECT sws.update.microsoft.com:443 HTTP/1.1"]);
}

#[test]
fn a_server_that_never_answers_holds_up_neither_the_logs_nor_the_end_of_the_agent() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("listener");
    let port = silent.local_addr().expect("address").port();
    let (house, mut folder, config) = site(&format!("wsus = [\"http://127.0.0.1:{port}\"]\n[probe]\n"));
    let agent = House::start_agent(&config);
    let start = Instant::now();
    // The probe is now waiting for a response that never comes.
    let (_held, _) = silent.accept().expect("a probe");
    assert!(start.elapsed() < Duration::from_secs(8), "the first round came after {:?}", start.elapsed());
    let waiting = Instant::now();
    folder.write(&["Performing sync on regular schedule".to_owned()]);
    wait_for("the line", || {
        let events = house.events()?;
        if events.iter().any(|event| event["kind"] == "run-started") { Ok(()) } else { Err(format!("{events:?}")) }
    });
    assert_eq!(stored(&house), Ok(vec![]));
    let (code, took) = agent.terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "the end took {took:?}");
    assert!(waiting.elapsed() < Duration::from_secs(10), "the probe was over before the agent ended: {:?}", waiting.elapsed());
}

#[test]
fn a_server_is_asked_once_a_round_and_told_of_when_its_answer_changes() {
    let web = free("127.0.0.1");
    let well = Nginx::start(&[(web, None, ALL_WELL)]);
    let (house, folder, config) = site("[probe]\nminutes = 5\n");
    settle(&folder, &json!({"sups": [sup("127.0.0.1", web.port(), false)]}));
    once(&config);
    once(&config);
    assert_eq!(stored(&house).expect("events").len(), 1, "the same is told once");
    let asked = well.asked();
    assert_eq!(asked.len(), 8);
    asked.chunks(4).for_each(check_polite);
    drop(well);
    once(&config);
    let outcomes = |house: &House| {
        let outcome = |snapshot: &Value| snapshot["wsus"][0]["reach"]["outcome"].as_str().unwrap_or_default().to_owned();
        stored(house).map(|snapshots| snapshots.iter().map(outcome).collect::<Vec<_>>())
    };
    assert_eq!(outcomes(&house), Ok(vec!["answers".to_owned(), "refused".to_owned()]));

    let again = Nginx::start(&[(web, None, ALL_WELL)]);
    let _agent = House::start_agent(&config);
    wait_for("the first round", || {
        let outcomes = outcomes(&house)?;
        if outcomes.len() == 3 { Ok(()) } else { Err(format!("{outcomes:?}")) }
    });
    // New settings do not trigger an immediate probe: rounds are at least a minute apart.
    settle(&folder, &json!({"sups": [sup("127.0.0.1", web.port(), false)], "component": {"schedule_hours": 12}}));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(again.asked().len(), 4, "{:?}", again.asked());
    check_polite(&again.asked());
}
