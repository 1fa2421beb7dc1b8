//! The first day, and the day after an outage: a month of logs arrives line by line, and no notification is sent about what was
//! over long ago.

use std::io::Write;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use supwatch_tests::proxy::Proxy;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, wait_for};

const FAILED: &str =
    "Sync failed: UssCommunicationError: WebException: The remote name could not be resolved: 'mu.example'. Source: X";
/// Lines per day that make the log long enough to need many batches.
const POLLS: i64 = 200;

fn now() -> Timestamp {
    #[allow(clippy::disallowed_methods)]
    Timestamp::now()
}

/// Appends lines, each with its time.
fn write(site: &SiteFolder, lines: &[(Timestamp, String)]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(site.log()).expect("log");
    let text: String = lines
        .iter()
        .map(|(at, line)| {
            let at = at.strftime("%m-%d-%Y %H:%M:%S");
            format!("{line}  $$<SMS_WSUS_SYNC_MANAGER><{at}.000+0><thread=4312 (0x10D8)>\r\n")
        })
        .collect();
    file.write_all(text.as_bytes()).expect("lines");
}

/// A synchronisation of CEN, P01 and S01 from a given time; CEN's first attempt fails if `fails` says so.
fn wave(sites: &[SiteFolder], begin: Timestamp, version: u64, fails: bool) {
    let at = |minute: i64| begin.checked_add(SignedDuration::from_mins(minute)).expect("time");
    let mut delay = 0;
    for (site, child) in sites.iter().zip([Some("P01"), Some("S01"), None]) {
        let mut lines = Vec::new();
        let first = match site.code {
            "CEN" => "Performing sync on regular schedule".to_owned(),
            "P01" => "Found parent sync notification file from site CEN".to_owned(),
            _ => "Found parent sync notification file from site P01".to_owned(),
        };
        lines.push((at(delay), first));
        if fails && site.code == "CEN" {
            lines.push((at(delay + 1), FAILED.to_owned()));
            lines.push((at(delay + 1), "Sync failed. Will retry in 60 minutes".to_owned()));
            delay += 61;
            lines.push((at(delay), "Performing sync on retry schedule".to_owned()));
        } else if site.code != "CEN" {
            lines.push((at(delay), "Performing sync on parent request".to_owned()));
        }
        lines.push((
            at(delay + 4),
            format!(
                "Set content version of update source {{0F3C6D1A-4DB0-4A6F-8C1E-9B1F0C2D7A11}} for site {} to {version}",
                site.code
            ),
        ));
        lines.push((at(delay + 5), format!("Sync succeeded. Setting sync alert to canceled state on site {}", site.code)));
        if let Some(child) = child {
            lines.push((at(delay + 5), format!("Sending sync notification to child site(s): {child}")));
        }
        delay += 6;
        for poll in 0..POLLS {
            let second = SignedDuration::from_secs(poll * 60);
            lines.push((at(delay).checked_add(second).expect("time"), "Wakeup for a polling cycle".to_owned()));
        }
        write(site, &lines);
    }
}

/// Waits until no site reads a backlog, and each is judged up to a given time.
fn caught_up(house: &House, codes: &[&str], after: Timestamp) {
    wait_for("everything to be read", || {
        quiet(house)?;
        let status = house.ask(&["status"])?;
        let sites = status["sites"].as_array().ok_or("no sites")?.clone();
        let read = |code: &&str| {
            sites.iter().any(|site| {
                let until = site["judged_as_of"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
                site["site"] == **code && site.get("reading_back").is_none() && until.is_some_and(|until| until >= after)
            })
        };
        if codes.iter().all(read) { Ok(()) } else { Err(format!("{status:#}")) }
    });
}

/// No sample of the metrics reports a problem, whenever one is taken.
fn quiet(house: &House) -> Result<(), String> {
    let metrics = house.metrics()?;
    let open: Vec<&str> = metrics.lines().filter(|line| line.starts_with("supwatch_findings_open{")).collect();
    assert!(open.is_empty(), "{open:?}");
    Ok(())
}

fn told(path: &PathBuf) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// A collector that notifies a program of everything without delay, and the file to which the program writes.
fn house_with_a_desk() -> (House, PathBuf) {
    let mut house = House::new("name = \"corp\"\ngeneration = \"current-branch\"\n[intervals]\nsync_hours = 24\n");
    let path = house.path("told");
    std::fs::write(house.path("tell.sh"), "echo \"$SUPWATCH_STATE $SUPWATCH_RULE $SUPWATCH_SITE\" >> \"$1\"\n").expect("script");
    house.configure(&format!(
        "[[notify]]\nname = \"desk\"\nkind = \"command\"\ncommand = [\"sh\", {:?}, {path:?}]\nseverity = \"info\"\ndelay_seconds = 0\n",
        house.path("tell.sh")
    ));
    (house, path)
}

#[test]
fn a_first_start_an_outage_and_a_late_agent_notify_of_nothing_that_is_over() {
    let (mut house, path) = house_with_a_desk();
    let base = house.path("sites");
    let sites = [
        SiteFolder::new(&base, "CEN", "central", None),
        SiteFolder::new(&base, "P01", "primary", Some("CEN")),
        SiteFolder::new(&base, "S01", "secondary", Some("P01")),
    ];
    let begin = now();
    let ago = |hours: i64| begin.checked_sub(SignedDuration::from_hours(hours)).expect("time");
    for day in (1..=31).rev() {
        wave(&sites, ago(24 * day + 6), 132 - u64::try_from(day).expect("day"), day % 10 == 7);
    }

    // The agents start one after the other; the last one starts when the others have delivered everything.
    let link = Proxy::to(house.port);
    let mut configs = Vec::new();
    let mut agents: Vec<_> = sites
        .iter()
        .zip(["CEN", "P01", "S01"])
        .map(|(site, code)| {
            let identity = house.identity(&[code], &format!("{}.corp.example", code.to_lowercase()));
            configs.push(house.agent_config(code, &identity, std::slice::from_ref(&site.folder), link.port));
            let agent = House::start_agent(&configs[configs.len() - 1]);
            caught_up(&house, &[code], begin);
            agent
        })
        .collect();
    assert_eq!(told(&path), "", "a healthy hierarchy on its first day");

    // The collector is down while an attempt fails, is retried and succeeds. The agents have reported that they read everything
    // up to now, so the failure cannot be earlier.
    house.kill_collector();
    wave(&sites, now(), 132, true);
    let back = now();
    house.start_collector();
    caught_up(&house, &["CEN", "P01", "S01"], back);
    let findings = house.ask(&["findings"]).expect("findings");
    assert_eq!(findings["findings"].as_array().map(Vec::len), Some(0), "{findings:#}");
    assert_eq!(told(&path), "", "what failed and was mended while nobody could look");

    // The same while the top site's agent is down, while the connection is cut, and while the collector has a copy of its store
    // from before.
    let hours = |hours: i64| now().checked_add(SignedDuration::from_hours(hours)).expect("time");
    agents.remove(0).kill();
    wave(&sites, hours(3), 133, true);
    let back = now();
    agents.insert(0, House::start_agent(&configs[0]));
    caught_up(&house, &["CEN", "P01", "S01"], back);
    house.kill_collector();
    let (store, copied) = (house.path("store"), house.path("store-copied"));
    crate::nothing_lost::copy(&store, &copied);
    house.start_collector();
    link.cut();
    wave(&sites, hours(6), 134, true);
    let back = now();
    link.mend();
    caught_up(&house, &["CEN", "P01", "S01"], back);
    house.kill_collector();
    crate::nothing_lost::copy(&copied, &store);
    let back = now();
    house.start_collector();
    caught_up(&house, &["CEN", "P01", "S01"], back);
    let runs = house.ask(&["runs", "--site", "CEN"]).expect("runs");
    let failed = runs["runs"].as_array().into_iter().flatten().filter(|run| run["outcome"] == "failed").count();
    assert!(failed >= 3, "{failed} failed runs are known: {runs:#}");
    assert_eq!(told(&path), "", "what failed and was mended while an agent, the link or the store was away");
    let all = house.ask(&["findings", "--all"]).expect("findings");
    let kept = all["findings"].as_array().into_iter().flatten().find(|finding| finding["rule"] == "sync-failed");
    assert!(kept.is_some_and(|finding| !finding["resolved_at"].is_null()), "history is kept: {all:#}");

    // A new failure is notified.
    let later = hours(12);
    write(&sites[0], &[(later, "Performing sync on local request".to_owned()), (later, FAILED.to_owned())]);
    let said = wait_for("the notification", || Some(told(&path)).filter(|told| !told.is_empty()).ok_or(house.collector_said()));
    assert_eq!(said, "open sync-failed CEN\n");
    drop(agents);
}

#[test]
fn a_restart_with_four_hundred_days_in_the_store_is_quiet() {
    let (mut house, path) = house_with_a_desk();
    let site = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let begin = now();
    for day in (1..=400).rev() {
        let at = |minute: i64| begin.checked_sub(SignedDuration::from_mins(day * 1440 + 300 - minute)).expect("time");
        let mut lines = vec![(at(0), "Performing sync on regular schedule".to_owned())];
        if day % 40 == 7 {
            lines.push((at(1), FAILED.to_owned()));
            lines.push((at(61), "Performing sync on retry schedule".to_owned()));
        }
        lines.push((at(65), "Sync succeeded. Setting sync alert to canceled state on site CEN".to_owned()));
        write(&site, &lines);
    }
    let identity = house.identity(&["CEN"], "cen.corp.example");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&site.folder), house.port);
    let agent = House::start_agent(&config);
    caught_up(&house, &["CEN"], begin);
    house.kill_collector();
    let back = now();
    house.start_collector();
    caught_up(&house, &["CEN"], back);
    assert_eq!(told(&path), "");
    drop(agent);
}
