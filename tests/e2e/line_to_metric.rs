//! The path of one line: appended to a log, it becomes a typed event in the store, a changed verdict, a finding, and a metric.

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, wait_for};

const FAILED: &str = "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'~~at System.Net.HttpWebRequest.GetRequestStream(). Source: Microsoft.SystemsManagementServer.SoftwareUpdatesManagement.WsusSyncAction.WSyncAction.SyncWSUS";

#[test]
fn one_line_becomes_an_event_a_verdict_a_finding_and_a_sample() {
    let house = House::new("name = \"corp\"\ngeneration = \"current-branch\"\n");
    let mut cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let identity = house.identity(&["CEN"], "cen.corp.example");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&cen.folder), house.port);
    let _agent = House::start_agent(&config);
    cen.write(&["Performing sync on regular schedule".to_owned()]);
    wait_for("the run to begin", || {
        let site = house.ask(&["sites", "CEN"])?;
        if site["site"]["state"] == "running" { Ok(()) } else { Err(site.to_string()) }
    });
    let verdict = |house: &House| {
        let site = house.ask(&["sites", "CEN"])?;
        let verdicts = site["verdicts"].as_array().ok_or("no verdicts")?;
        let found = verdicts.iter().find(|verdict| verdict["rule"] == "sync-failed").ok_or("no verdict")?;
        Ok::<_, String>(found["verdict"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(verdict(&house), Ok("unknown".to_owned()));

    cen.write(&[FAILED.to_owned()]);

    let event = wait_for("the event", || {
        let events = house.events()?;
        events.iter().find(|event| event["kind"] == "run-failed").cloned().ok_or(format!("{events:?}"))
    });
    assert_eq!(
        (event["site"].as_str(), event["log"].as_str(), event["time_certainty"].as_str()),
        (Some("CEN"), Some("wsyncmgr"), Some("bias"))
    );
    assert_eq!((event["agent"].as_str(), event["file"].as_str()), (Some("CEN/cen.corp.example"), Some("wsyncmgr.log")));
    assert!(event["line"].as_str().is_some_and(|line| line.contains("$$<SMS_WSUS_SYNC_MANAGER>")));

    let finding = wait_for("the finding", || {
        let findings = house.ask(&["findings"])?;
        findings["findings"]
            .as_array()
            .and_then(|all| all.iter().find(|f| f["rule"] == "sync-failed"))
            .cloned()
            .ok_or(findings.to_string())
    });
    assert_eq!(
        (finding["cause"].as_str(), finding["site"].as_str(), finding["severity"].as_str()),
        (Some("name-not-resolved"), Some("CEN"), Some("critical"))
    );
    assert_eq!(finding["evidence"][0]["offset"], event["offset"]);
    assert!(finding["remedy"].as_array().is_some_and(|steps| !steps.is_empty()));
    assert_eq!(verdict(&house), Ok("fail".to_owned()));

    let sample = "supwatch_last_run_failed{cause=\"name-not-resolved\",site=\"CEN\"} 1";
    let page = house.metrics().expect("metrics");
    assert!(page.contains(sample), "{sample} not in:\n{page}");
    // The store's size is that of now, not of the last retention.
    let gauge = |page: &str, name: &str| {
        let line = page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default().to_owned();
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(-1.0)
    };
    let stored = house.events().expect("events").len() as f64;
    assert_eq!(gauge(&page, "supwatch_store_events"), stored);
    assert!(gauge(&page, "supwatch_store_bytes") > 0.0, "{page}");
    for path in ["/healthz", "/readyz"] {
        assert!(house.http(path).is_ok(), "{path}");
    }

    cen.write(&[
        "Performing sync on retry schedule".to_owned(),
        "Sync succeeded. Setting sync alert to canceled state on site CEN".to_owned(),
    ]);
    wait_for("the finding to resolve", || {
        let findings = house.ask(&["findings", "--all"])?;
        let resolved = findings["findings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|f| f["id"] == finding["id"] && f["resolved_at"].is_string()));
        if resolved { Ok(()) } else { Err(findings.to_string()) }
    });
    assert!(!house.metrics().expect("metrics").contains("supwatch_last_run_failed{"));
}
