//! Notifications to third-party servers: Python's HTTP server with its TLS, and aiosmtpd with STARTTLS and a login. The target is
//! down at first, then up: one notification; the collector dies in between: no repetition; the resolution is sent, too.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{House, Running, here, wait_for};

const LOGIN: (&str, &str) = ("supwatch", "s3cret password");

pub fn secret(path: &Path, text: &str) {
    std::fs::write(path, text).expect("file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
    }
}

/// A port on which nothing listens yet.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address").port()
}

/// Starts a receiver with the collector's own certificate, which names localhost.
pub fn receiver(house: &House, script: &str, port: u16, more: &[&str]) -> Running {
    let mut command = Command::new("python3");
    command.arg(here().join("external").join(script)).arg(port.to_string());
    command.args([house.path("pki/collector/certificate.pem"), house.path("pki/collector/key.pem")]).args(more);
    let mut running = Running::start(command);
    running.says("receiver listens");
    running
}

pub fn told(receiver: &Running) -> Vec<Value> {
    let said = receiver.said();
    said.lines().filter_map(|line| line.strip_prefix("told ")).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The whole story; returns what the receiver got.
fn story(house: &mut House, notify: &str, start: impl FnOnce(&House) -> Running) -> Vec<Value> {
    house.configure(&format!("[[notify]]\nname = \"ops\"\nrules = [\"sync-failed\"]\ndelay_seconds = 0\n{notify}"));
    let mut cen = SiteFolder::new(&house.path("sites"), "CEN", "central", None);
    let identity = house.identity(&["CEN"], "srv");
    let config = house.agent_config("cen", &identity, std::slice::from_ref(&cen.folder), house.port);
    let _agent = House::start_agent(&config);
    cen.write(&[
        "Performing sync on local request".to_owned(),
        "Sync failed: Unable to connect to the remote server. Source: X".to_owned(),
    ]);
    wait_for("a failed attempt", || {
        let said = house.collector_said();
        if said.contains("notification failed") { Ok(()) } else { Err(said) }
    });

    let receiver = start(house);
    wait_for("the notification", || if told(&receiver).is_empty() { Err(house.collector_said()) } else { Ok(()) });
    wait_for("the record", || {
        let page = house.metrics()?;
        if page.contains("supwatch_notifications_waiting{target=\"ops\"} 0") { Ok(()) } else { Err(page) }
    });

    let said = house.collector_said();
    assert!(!said.contains("s3cret"), "{said}");
    house.kill_collector();
    house.start_collector();
    cen.write(&[
        "Performing sync on retry schedule".to_owned(),
        "Sync succeeded. Setting sync alert to canceled state on site CEN".to_owned(),
    ]);
    // Opened findings are sent before resolved ones, so nothing can follow this.
    wait_for("the end", || {
        let told = told(&receiver);
        if told.iter().any(|one| one["state"] == "resolved") { Ok(()) } else { Err(house.collector_said()) }
    });
    let told = told(&receiver);
    let states: Vec<&str> = told.iter().filter_map(|one| one["state"].as_str()).collect();
    assert_eq!(states, ["open", "resolved"], "each is told once");
    assert_ne!(told[0]["id"], told[1]["id"]);
    told
}

#[test]
fn a_webhook_over_tls_is_told_once_although_it_was_down_and_the_collector_died() {
    let (mut house, port) = (House::new("name = \"corp\"\n"), free_port());
    secret(&house.path("token"), "Authorization: Bearer s3cret\n");
    let notify =
        format!("kind = \"webhook\"\nurl = \"https://localhost:{port}/hook\"\nheader_file = \"token\"\nca = \"pki/ca.pem\"\n");
    let told = story(&mut house, &notify, |house| receiver(house, "webhook_receiver.py", port, &[]));
    assert_eq!(told[0]["proof"], "Bearer s3cret");
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains("what to do")), "{told:?}");
}

#[test]
fn a_mail_over_starttls_is_sent_once_although_the_server_was_down_and_the_collector_died() {
    let (mut house, port) = (House::new("name = \"corp\"\n"), free_port());
    secret(&house.path("login"), &format!("{}\n{}\n", LOGIN.0, LOGIN.1));
    let notify = format!(
        "kind = \"smtp\"\nserver = \"localhost\"\nport = {port}\ntls = \"starttls\"\nfrom = \"supwatch <supwatch@corp.example>\"\nto = [\"ops@corp.example\", \"team@corp.example\"]\ncredentials_file = \"login\"\nca = \"pki/ca.pem\"\n"
    );
    let told = story(&mut house, &notify, |house| receiver(house, "smtp_receiver.py", port, &[LOGIN.0, LOGIN.1]));
    assert_eq!((told[0]["proof"].as_str(), told[0]["from"].as_str()), (Some("TLS"), Some("supwatch@corp.example")));
    assert_eq!(told[0]["to"], serde_json::json!(["ops@corp.example", "team@corp.example"]));
    assert!(told[0]["subject"].as_str().is_some_and(|subject| subject.starts_with("[supwatch corp] critical: CEN: ")), "{told:?}");
    assert!(told[0]["text"].as_str().is_some_and(|text| text.contains("what to do")), "{told:?}");
    assert!(told[0]["id"].as_str().is_some_and(|id| id.ends_with("-open-1@corp.example>")), "{told:?}");
}
