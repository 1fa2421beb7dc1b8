//! Invalid input of every kind: one clear error, the right exit code, nothing lost.

use std::io::Write;
use std::process::Command;

use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, Running, binary, supwatch, text, wait_for};

#[track_caller]
fn refused(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = supwatch(arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} not in: {said}");
    }
}

#[test]
fn inputs_that_are_no_logs_are_named() {
    let dir = tempfile::tempdir().expect("folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("path").to_owned();
    let file = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).expect("file");
    file("binary.log", &(0..4000u32).map(|n| (n % 256) as u8).collect::<Vec<_>>());
    refused(&["analyze", &path("binary.log")], 1, &["binary.log", "a binary file"]);
    file("empty.log", b"");
    refused(&["analyze", &path("empty.log")], 1, &["empty.log", "nothing in it to read"]);
    std::fs::create_dir(dir.path().join("folder.log")).expect("folder");
    let output = supwatch(&["analyze", &path("folder.log")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("folder.log") && said.contains("holds no logs") && !said.contains("no findings"), "{said}");
    refused(&["analyze", &path("missing.log")], 4, &["missing.log", "check the path"]);
    file("text.zip", b"no archive");
    refused(&["analyze", &path("text.zip")], 4, &["text.zip", "not a readable zip"]);
    std::fs::create_dir_all(dir.path().join("P01/logs")).expect("folder");
    file("P01/site.toml", b"code = \"P01\"\ntpye = \"primary\"\ngeneration = \"2013\"\n");
    refused(&["analyze", &path("P01")], 4, &["site.toml:2", "did you mean \"type\"", "site.toml:3", "2013"]);
}

#[test]
fn zip_bombs_and_paths_out_of_an_archive_are_refused() {
    let dir = tempfile::tempdir().expect("folder");
    for (name, entry, bytes, part) in [
        ("bomb.zip", "wsyncmgr.log", vec![b'0'; 64 << 20], "zip bomb"),
        ("out.zip", "../../out.log", b"x".to_vec(), "points outside"),
    ] {
        let path = dir.path().join(name);
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).expect("file"));
        archive.start_file(entry, zip::write::SimpleFileOptions::default()).expect("entry");
        archive.write_all(&bytes).expect("bytes");
        archive.finish().expect("archive");
        refused(&["analyze", path.to_str().expect("path")], 4, &[name, part]);
    }
}

#[test]
fn configuration_faults_are_told_together_with_lines_and_suggestions() {
    let dir = tempfile::tempdir().expect("folder");
    let config = dir.path().join("supwatch.toml");
    std::fs::write(&config, "lisen = \"127.0.0.1:1\"\nhttp = 9464\n").expect("file");
    let path = config.to_str().expect("path");
    for command in [vec!["serve"], vec!["config", "check"]] {
        let arguments: Vec<&str> = command.into_iter().chain(["--config", path]).collect();
        refused(
            &arguments,
            2,
            &["supwatch.toml:1: lisen", "did you mean \"listen\"", "supwatch.toml:2: http must be a string", "store is missing"],
        );
    }
    let agent = Command::new(binary("supwatch-agent")).args(["--config", path, "config", "check"]).output().expect("agent");
    assert_eq!(agent.status.code(), Some(2));
    assert!(text(&agent.stderr).contains("no [[site]]"), "{}", text(&agent.stderr));
}

#[test]
fn ports_stores_and_identities_that_cannot_be_had_are_named() {
    let house = House::new("name = \"corp\"\n");
    let serve = |listen: u16, identity: &str, store: &str, parts: &[&str], code: i32| {
        let config = house.path("other.toml");
        std::fs::write(
            &config,
            format!("listen = \"127.0.0.1:{listen}\"\nhttp = \"127.0.0.1:0\"\nidentity = \"{identity}\"\nstore = \"{store}\"\n"),
        )
        .expect("file");
        refused(&["serve", "--config", config.to_str().expect("path")], code, parts);
    };
    serve(house.port, "pki/collector", "other-store", &["another program uses this address", "`listen`"], 4);
    serve(0, "pki/collector", "store", &["store", "in use by another process"], 4);
    serve(0, "pki/nobody", "other-store", &["nobody/certificate.pem", "supwatch pki init"], 2);
    std::fs::write(house.path("no-folder"), b"a file").expect("file");
    serve(0, "pki/collector", "no-folder", &["no-folder", "check that the folder exists"], 4);
    assert_eq!(std::fs::read(house.path("no-folder")).expect("file"), b"a file", "what is no store is left alone");
}

#[test]
fn wrong_certificates_are_explained_to_whoever_shows_them() {
    let house = House::new("name = \"corp\"\n");
    let endpoint = format!("https://localhost:{}", house.port);
    let ask = |identity: &str| supwatch(&["status", "--endpoint", &endpoint, "--identity", identity]);
    let none = ask(house.path("nothing").to_str().expect("path"));
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("supwatch pki issue"), "{}", text(&none.stderr));
    let other = House::new("name = \"corp\"\n");
    let foreign = ask(other.path("pki/operator").to_str().expect("path"));
    assert_eq!(foreign.status.code(), Some(3));
    assert!(text(&foreign.stderr).contains("another authority"), "{}", text(&foreign.stderr));
    // An agent may not read.
    let agent = ask(house.identity(&["P01"], "srv").to_str().expect("path"));
    assert_eq!(agent.status.code(), Some(3));
    assert!(text(&agent.stderr).contains("may not read"), "{}", text(&agent.stderr));
}

#[test]
fn an_agent_that_claims_another_site_is_refused_recorded_and_shown() {
    let house = House::new("name = \"corp\"\n");
    let mut p02 = SiteFolder::new(&house.path("sites"), "P02", "primary", Some("CEN"));
    p02.write(&["Performing sync on parent request".to_owned()]);
    let identity = house.identity(&["P01"], "srv");
    let config = house.agent_config("liar", &identity, std::slice::from_ref(&p02.folder), house.port);
    let mut agent: Running = House::start_agent(&config);
    agent.says("P01/srv claims site P02, which is not in its certificate");
    let status = wait_for("the refusal", || {
        let status = house.ask(&["status"])?;
        if status["refused"].as_array().is_some_and(|all| !all.is_empty()) { Ok(status) } else { Err(status.to_string()) }
    });
    assert!(status["refused"][0]["reason"].as_str().is_some_and(|reason| reason.contains("P02")), "{status}");
    assert!(house.events().expect("events").is_empty(), "nothing of it was taken");
    assert!(house.metrics().expect("metrics").contains("supwatch_refused_connections_total"));
}

#[test]
fn a_torn_settings_file_is_told_and_taken_once_it_is_whole() {
    let house = House::new("name = \"corp\"\n");
    let cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let path = cen.folder.join("settings.json");
    let whole = "{\"schema\":\"supwatch/settings/v1\",\"site\":\"CEN\",\"sups\":[]}";
    std::fs::File::create(&path).and_then(|mut file| file.write_all(&whole.as_bytes()[..30])).expect("half a file");
    let identity = house.identity(&["CEN"], "srv");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&cen.folder), house.port);
    let mut agent = House::start_agent(&config);
    agent.says("not a settings snapshot");
    std::fs::write(&path, whole).expect("file");
    wait_for("the finding", || {
        let findings = house.ask(&["findings"])?;
        let found = findings["findings"].as_array().is_some_and(|all| all.iter().any(|f| f["rule"] == "sup-missing"));
        if found { Ok(()) } else { Err(findings.to_string()) }
    });
}
