//! Valid configurations, and every fault of invalid ones.

use super::*;
use crate::export::notify::secret;

fn read(text: &str, base: &Path) -> Result<Vec<Target>, String> {
    let mut table = Table::parse(text, Path::new("supwatch.toml")).expect("TOML");
    let targets = targets(&mut table, base);
    table.finish(targets).map_err(|faults| faults.to_string())
}

#[track_caller]
fn refused(text: &str, faults: &[&str]) {
    let shown = read(text, Path::new("/nowhere")).expect_err("faults");
    let missing: Vec<_> = faults.iter().filter(|fault| !shown.contains(**fault)).collect();
    assert!(missing.is_empty() && shown.lines().count() == faults.len(), "{missing:?} not in:\n{shown}");
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = "[[notify]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/x\"\n";
    let [target] = read(text, Path::new("")).expect("good").try_into().expect("one");
    let filter =
        Filter { severity: Severity::Warning, sites: Vec::new(), rules: Vec::new(), open: true, resolve: true, delay: None };
    assert_eq!((target.name.as_str(), target.lang, target.filter), ("ops", Lang::En, filter));
}

#[test]
fn every_fault_is_reported_with_its_line_and_what_to_write() {
    refused(
        "[[notify]]\nname = \"a b\"\nkind = \"webhok\"\nurl = \"x\"\n\n[[notify]]\nkind = \"smtp\"\nserver = \"\"\nfrom = \"x\"\nto = [\"y\"]\n",
        &[
            "supwatch.toml:2: notify.name: \"a b\" is not a name",
            "supwatch.toml:3: notify.kind: \"webhok\" is not a kind of target: write \"webhook\", \"smtp\" or \"command\"",
            "supwatch.toml:6: notify.name is missing",
            "supwatch.toml:6: notify.tls is missing",
            "supwatch.toml:6: notify.to: give 1 to 50 recipients",
            "supwatch.toml:8: notify.server: \"\" is not a host name",
            "supwatch.toml:9: notify.from: \"x\" is not a mail address",
            "supwatch.toml:10: notify.to: \"y\" is not a mail address",
        ],
    );
    refused(
        "[[notify]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"./tell\"]\nseverity = \"bad\"\nsites = [\"P0\"]\nrules = [\"topolgy\"]\non = [\"close\"]\nlang = \"de\"\ndelay_seconds = -1\nurl = \"x\"\n",
        &[
            "notify.command: /nowhere/./tell is not a file",
            "notify.severity: \"bad\" is not a severity",
            "notify.sites: \"P0\" is not a site code",
            "notify.rules: there is no rule \"topolgy\"",
            "notify.on: \"close\" is not a notification event",
            "notify.on is empty",
            "notify.lang: \"de\" is not a supported language",
            "notify.delay_seconds is -1",
            "supwatch.toml:11: notify.url is not a known key",
        ],
    );
}

#[test]
fn the_commented_examples_in_deploy_are_good() {
    let dir = tempfile::tempdir().expect("folder");
    secret::tests::write(&dir.path().join("webhook-headers"), "Authorization: Bearer x\n");
    secret::tests::write(&dir.path().join("smtp-login"), "user\npassword\n");
    let pki = dir.path().join("pki");
    let now = time::OffsetDateTime::from_unix_timestamp(1_772_323_200).expect("time");
    crate::access::pki::init(&pki, "corp", &[], now).expect("authority");
    std::fs::copy(pki.join("ca.pem"), dir.path().join("receiver-ca.pem")).expect("copied");
    let example = std::fs::read_to_string("../deploy/supwatch.toml").expect("example");
    let (_, notify) = example.split_once("#[[notify]]").expect("examples");
    let uncommented = |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or_default().to_owned();
    let lines: Vec<String> = notify.lines().map(uncommented).collect();
    let text = format!("[[notify]]\n{}\n", lines.join("\n")).replace("/usr/bin/logger", "logger");
    let names: Vec<String> = read(&text, dir.path()).expect("good").into_iter().map(|target| target.name).collect();
    assert_eq!(names, ["chat", "ops", "pager"]);
}

#[test]
fn names_are_unique_and_keys_are_suggested() {
    let one = "[[notify]]\nname = \"ops\"\nkind = \"command\"\ncommand = [\"true\"]\n";
    refused(
        &format!("{one}{one}severty = \"info\"\n"),
        &[
            "supwatch.toml:5: notify.name: there is another \"ops\"",
            "supwatch.toml:9: notify.severty is not a known key; did you mean \"severity\"?",
        ],
    );
}

#[test]
fn a_password_is_never_sent_in_the_clear_and_files_are_looked_at() {
    let dir = tempfile::tempdir().expect("folder");
    secret::tests::write(&dir.path().join("login"), "user\ns3cret\n");
    let mail =
        "[[notify]]\nname = \"m\"\nkind = \"smtp\"\nserver = \"mail\"\nfrom = \"a@corp.example\"\nto = [\"b@corp.example\"]\n";
    let clear = format!("{mail}credentials_file = \"login\"\ntls = \"none\"\n");
    let shown = read(&clear, dir.path()).expect_err("faults");
    assert!(shown.contains("a password is not sent in the clear") && !shown.contains("s3cret"), "{shown}");
    let [target] = read(&clear.replace("none", "starttls"), dir.path()).expect("good").try_into().expect("one");
    assert!(matches!(&target.way, Way::Smtp(smtp) if smtp.port == 587));
    assert!(!format!("{target:?}").contains("s3cret"));
    refused(
        &format!("{mail}tls = \"tls\"\ncredentials_file = \"login\"\nca = \"ca.pem\"\n"),
        &["notify.credentials_file: /nowhere/login cannot be read", "notify.ca: no certificate authorities in /nowhere/ca.pem"],
    );
}
