//! Hierarchies with one fault each, and the findings reported for them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use supwatch_model::finding::{Evidence, Finding, Suppression, finding_id};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

use super::*;
use crate::rules::testing::{World, healthy, push};

const NOW: &str = "2026-03-01T05:00:00Z";
const START: &str = "Performing sync on parent request";

fn findings_at(world: &World, at: &str) -> Vec<Finding> {
    crate::picture::at(world.hierarchy(), &Limits::default(), at.parse().expect("time")).findings
}

/// `cause SITE: consequence SITE, consequence SITE`, one cause a line, without findings of severity info.
fn reported(findings: &[Finding]) -> Vec<String> {
    let by_id: BTreeMap<&str, &Finding> = findings.iter().map(|finding| (finding.id.as_str(), finding)).collect();
    let name = |finding: &Finding| format!("{} {}", finding.rule, finding.site);
    let causes = findings.iter().filter(|finding| finding.is_open_cause() && finding.severity < Severity::Info);
    let line = |finding: &Finding| {
        let followers: Vec<String> = finding.consequences.iter().map(|id| name(by_id[id.as_str()])).collect();
        if followers.is_empty() { name(finding) } else { format!("{}: {}", name(finding), followers.join(", ")) }
    };
    causes.map(line).collect()
}

#[track_caller]
fn check(world: &World, expected: &[&str]) {
    let findings = findings_at(world, NOW);
    assert_eq!(reported(&findings), expected, "{findings:#?}");
}

/// Settings whose component lists products, as a top site's does.
fn set(server: &str, parent: Option<&str>) -> Value {
    let mut settings = healthy(server, parent);
    settings["component"]["products"] = json!(["Windows Server 2019"]);
    settings["component"]["classifications"] = json!(["Security Updates"]);
    settings
}

/// CEN with P01, P02, P03 below it, and S01 below P01; `change` modifies the settings of each.
fn tree(change: impl Fn(&str, &mut Value)) -> World {
    let mut world = World::new()
        .generation("current-branch")
        .central("CEN")
        .primary("P01", "CEN")
        .primary("P02", "CEN")
        .primary("P03", "CEN")
        .primary("S01", "P01");
    for (code, parent) in [("CEN", None), ("P01", Some("cen")), ("P02", Some("cen")), ("P03", Some("cen")), ("S01", Some("p01"))] {
        let mut settings = set(&code.to_lowercase(), parent);
        change(code, &mut settings);
        world = world.settings(code, settings);
    }
    world
}

#[test]
fn a_healthy_tree_has_nothing_to_fold() {
    check(&tree(|_, _| ()), &[]);
}

#[test]
fn one_product_ticked_at_the_top_is_one_finding() {
    let world = tree(|code, settings| {
        if code == "CEN" {
            push(&mut settings["wsus"][0]["products"], json!("Windows 11"));
        }
    });
    check(&world, &["filter-drift CEN: product-mismatch P01, product-mismatch P02, product-mismatch P03"]);
    let findings = findings_at(&world, NOW);
    let below = findings.iter().find(|finding| finding.because_of.is_some()).expect("a consequence");
    assert!(below.remedy[0].en.starts_with("This is a consequence of filter-drift at CEN"), "{:?}", below.remedy);
}

#[test]
fn one_product_lost_in_the_middle_is_one_finding_and_another_one_beside_it_a_second() {
    let lost = |code: &str, settings: &mut Value| {
        if code == "P01" {
            settings["wsus"][0]["products"] = json!([]);
        }
    };
    check(&tree(lost), &["filter-drift P01: product-mismatch P01, product-mismatch S01"]);
    let two = tree(|code, settings| {
        lost(code, settings);
        if code == "CEN" {
            push(&mut settings["wsus"][0]["languages"], json!("fr"));
            settings["component"]["languages"] = json!(["en", "ja"]);
        }
    });
    check(&two, &["filter-drift CEN", "filter-drift P01: product-mismatch P01, product-mismatch S01"]);
}

#[test]
fn a_language_lost_in_the_middle_is_one_finding() {
    let world = tree(|code, settings| {
        if code == "P01" {
            settings["wsus"][0]["languages"] = json!(["en"]);
        }
    });
    check(&world, &["language-mismatch P01: language-mismatch S01"]);
}

#[test]
fn a_product_that_differs_elsewhere_too_is_no_consequence() {
    let world = tree(|code, settings| match code {
        "CEN" => push(&mut settings["wsus"][0]["products"], json!("Windows 11")),
        "P02" => {
            push(&mut settings["wsus"][0]["products"], json!("Windows 10"));
            push(&mut settings["component"]["products"], json!("Windows 10"));
        }
        _ => (),
    });
    let findings = findings_at(&world, NOW);
    assert!(reported(&findings).contains(&"product-mismatch P02".to_owned()), "{:?}", reported(&findings));
}

const REFUSED: &str =
    "Sync failed: DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized.~~at X. Source: Y";

#[test]
fn one_refusing_parent_is_one_finding() {
    let world = tree(|_, _| ()).log("P01", &[START, REFUSED]).log("P02", &[START, REFUSED]).log("P03", &[START, REFUSED]);
    check(&world, &["vdir-access CEN: sync-failed P01, sync-failed P02, sync-failed P03"]);
}

#[test]
fn one_upstream_that_is_out_is_one_finding_whether_its_own_run_failed_or_not() {
    const OUT: &str = "Sync failed: UssCommunicationError: WebException: The request failed with HTTP status 503: Service Unavailable.~~at X. Source: Y";
    let world = tree(|_, _| ()).log("P01", &[START, OUT]).log("P03", &[START, OUT]);
    check(&world, &["sync-failed P01: sync-failed P03"]);
    let own = "Sync failed: The request failed with HTTP status 503: Service Unavailable. Source: Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer";
    let world = world.log("CEN", &["Performing sync on regular schedule", own]);
    check(&world, &["sync-failed CEN: sync-failed P01, sync-failed P03"]);
}

#[test]
fn a_failure_of_another_kind_below_a_failed_parent_is_its_own() {
    let world = tree(|_, _| ())
        .log("CEN", &["Performing sync on regular schedule", "Sync failed: The remote name could not be resolved: 'x'. Source: Y"])
        .log("P01", &[START, "Sync failed: Request for principal permission failed. Source: Microsoft.UpdateServices.Administration.AdminProxy.CreateUpdateServer"]);
    check(&world, &["sync-failed CEN", "sync-failed P01"]);
}

const NOT_CONFIGURED: &str =
    "Sync failed: WSUS server not configured. Please refer to WCM.log for configuration error details. Source: CWSyncMgr::DoSync";

#[test]
fn not_configured_names_its_reason_whatever_stands_beside_it() {
    type Change = fn(&mut Value);
    let faults: &[(&str, &str, &str, Change)] = &[
        ("port-mismatch", "the ports differ (8530, IIS 80)", "port settings", |s| s["wsus"][0]["website"]["http_port"] = json!(80)),
        ("fqdn-mismatch", "(FQDN) is not that of its WSUS server", "(FQDN)", |s| {
            s["sups"][0]["server"] = json!("old.corp.example")
        }),
        ("ssl-mismatch", "SSL settings", "SSL", |s| {
            s["wsus"][0]["website"]["ssl_virtual_directories"] =
                json!(["ApiRemoting30", "ClientWebService", "DSSAuthWebService", "ServerSyncWebService", "SimpleAuthWebService"]);
        }),
        ("child-replica", "configured as a replica", "not configured as a replica", |s| s["wsus"][0]["is_replica"] = json!(true)),
        ("service-stopped", "(W3SVC)", "Update Services is running", |s| {
            s["wsus"][0]["services"] = json!({"WsusService": "running", "W3SVC": "stopped"});
        }),
        ("port-mismatch", "nothing listens", "port settings", |s| {
            s["wsus"][0]["reach"] = json!({"outcome": "refused", "port": 8530});
        }),
    ];
    for (rule, reason, remedy, change) in faults {
        let world = tree(|code, settings| {
            if code == "P02" {
                change(settings);
            }
        });
        let findings = findings_at(&world.log("P02", &[START, NOT_CONFIGURED]), NOW);
        assert_eq!(reported(&findings), [format!("{rule} P02: sync-failed P02")], "{findings:#?}");
        let failed = findings.iter().find(|finding| finding.rule == "sync-failed").expect("it failed");
        assert!(failed.summary.en.contains("WSUS server not configured: "), "{}", failed.summary.en);
        assert!(failed.summary.en.contains(reason), "{}", failed.summary.en);
        assert!(failed.remedy[0].en.contains(remedy), "{rule}: {:?}", failed.remedy[0]);
        assert!(failed.remedy.iter().all(|remedy| !remedy.en.contains("native mode")), "{:?}", failed.remedy);
        assert!(failed.reasons[0].en.starts_with(&format!("confirmed by {rule} at P02")), "{:?}", failed.reasons);
    }
}

#[test]
fn an_edge_without_ssl_confirms_that_the_parent_forbids_it() {
    const FORBIDDEN: &str = "Sync failed: UssCommunicationError: WebException: The request failed with HTTP status 403: Forbidden.~~at System.Web.Services.Protocols.SoapHttpClientProtocol.ReadResponse(X). Source: Y";
    let world = tree(|code, settings| {
        if code == "CEN" {
            settings["sups"][0]["ssl"] = json!(true);
            settings["wsus"][0]["website"]["ssl_virtual_directories"] =
                json!(["ApiRemoting30", "ClientWebService", "DSSAuthWebService", "ServerSyncWebService", "SimpleAuthWebService"]);
        } else if code != "P01" && code != "S01" {
            settings["wsus"][0]["upstream"] = json!({"server": "cen.corp.example", "port": 8531, "ssl": true});
        }
    });
    let findings = findings_at(&world.log("P01", &[START, FORBIDDEN]), NOW);
    assert_eq!(reported(&findings), ["child-upstream P01: sync-failed P01"], "{findings:#?}");
    let failed = findings.iter().find(|finding| finding.rule == "sync-failed").expect("it failed");
    assert_eq!(failed.confidence, Some(Confidence::Confirmed));
    assert!(failed.remedy[0].en.contains("Update Source and Proxy Server"), "{:?}", failed.remedy);
}

#[test]
fn overdue_where_the_run_fails_and_below_it_is_one_finding() {
    let success = &["Performing sync on regular schedule", "Sync succeeded. x"];
    let world =
        tree(|_, _| ()).log("CEN", success).log("P01", success).log("S01", success).pause_minutes(600).log(
            "CEN",
            &["Performing sync on regular schedule", "Sync failed: The remote name could not be resolved: 'x'. Source: Y"],
        );
    let mut world = world;
    for code in ["P01", "S01", "CEN"] {
        world = world.pause_minutes(4320).log(code, &["Waiting for changes for 60 minutes"]);
    }
    let findings = findings_at(&world, "2026-03-12T05:00:00Z");
    assert_eq!(reported(&findings), ["sync-failed CEN: sync-overdue CEN, sync-overdue P01, sync-overdue S01"], "{findings:#?}");
}

#[test]
fn a_suppressed_cause_covers_what_is_no_worse() {
    let world = tree(|code, settings| {
        if code == "CEN" {
            push(&mut settings["wsus"][0]["products"], json!("Windows 11"));
        }
    });
    let bare = |severity: Severity| {
        let mut findings: Vec<Finding> = findings_at(&world, NOW);
        for finding in &mut findings {
            (finding.because_of, finding.consequences) = (None, Vec::new());
            if finding.rule == "filter-drift" {
                finding.suppressed = Some(Suppression { reason: "x".into(), by: "operator/a".into(), at: None, until: None });
            } else {
                finding.severity = severity;
            }
        }
        fold(world.hierarchy(), &Limits::default(), NOW.parse().expect("time"), &mut findings);
        findings.iter().filter(|finding| finding.is_pressing()).count()
    };
    assert_eq!(bare(Severity::Warning), 0, "they are covered by what is suppressed");
    assert_eq!(bare(Severity::Critical), 3, "worse things are not covered");
}

#[test]
fn a_cause_is_as_bad_as_the_worst_that_follows_from_it() {
    let proxy = |code: &str, settings: &mut Value| {
        if code == "CEN" {
            let proxy = |enabled: bool| json!({"enabled": enabled, "server": "proxy.corp.example", "port": 8080, "account": false});
            settings["sups"][0]["proxy"] = proxy(true);
            settings["wsus"][0]["proxy"] = proxy(false);
        }
    };
    let failed = &["Performing sync on regular schedule", "Sync failed: The remote name could not be resolved: 'x'. Source: Y"];
    let findings = findings_at(&tree(proxy).log("CEN", failed), NOW);
    assert_eq!(reported(&findings), ["proxy-mismatch CEN: sync-failed CEN"], "{findings:#?}");
    assert_eq!(findings[0].severity, Severity::Critical);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let rules = proptest::sample::select([ORDER, &["run-now-unavailable", "log-unreadable"]].concat());
    let sites = proptest::sample::select(vec!["CEN", "P01", "P02", "S01", "S02", "X01", "X02"]);
    let causes =
        proptest::sample::select(vec![None, Some("upstream-unavailable"), Some("wsus-not-configured"), Some("name-not-resolved")]);
    let shown = proptest::sample::select(vec!["sups[a].port", "wsus[a].reach.outcome", "wsus[first].products", "x.ssl"]);
    (rules, sites, causes, shown, 0..3u8, 0..4u8).prop_map(|(rule, site, cause, setting, severity, state)| {
        let site: SiteCode = site.parse().expect("code");
        let at = Some(Timestamp::UNIX_EPOCH);
        let setting = Evidence::Setting {
            site,
            setting: setting.into(),
            value: json!(["a", "b"]),
            taken_at: at,
            source: String::new(),
            since: None,
        };
        Finding {
            id: finding_id(rule, site, ""),
            rule: rule.into(),
            severity: [Severity::Critical, Severity::Warning, Severity::Info][usize::from(severity)],
            site,
            subject: String::new(),
            cause: cause.map(str::to_owned),
            confidence: None,
            reasons: Vec::new(),
            summary: Text::new("a", "b"),
            evidence: vec![setting],
            remedy: Vec::new(),
            opened_at: at,
            changed_at: at,
            resolved_at: at.filter(|_| state == 0),
            occurrences: 1,
            suppressed: (state == 1).then(|| Suppression { reason: "x".into(), by: "y".into(), at, until: None }),
            because_of: None,
            consequences: Vec::new(),
        }
    })
}

proptest! {
    #[test]
    fn whatever_is_open_a_cause_is_no_consequence_and_nothing_is_lost(all in proptest::collection::vec(any_finding(), 0..60)) {
        // A tree, and a separate cycle.
        let world = World::new()
            .central("CEN").primary("P01", "CEN").primary("P02", "CEN").secondary("S01", "P01").secondary("S02", "P02")
            .primary("X01", "X02").primary("X02", "X01");
        let unique: BTreeMap<String, Finding> = all.into_iter().map(|finding| (finding.id.clone(), finding)).collect();
        let mut folded: Vec<Finding> = unique.values().cloned().collect();
        let mut turned: Vec<Finding> = unique.values().rev().cloned().collect();
        for findings in [&mut folded, &mut turned] {
            fold(world.hierarchy(), &Limits::default(), NOW.parse().expect("time"), findings);
        }
        turned.reverse();
        prop_assert_eq!(&folded, &turned, "the order of the findings means nothing");
        let by_id: BTreeMap<&str, &Finding> = folded.iter().map(|finding| (finding.id.as_str(), finding)).collect();
        let mut followers = BTreeSet::new();
        for finding in &folded {
            for id in &finding.consequences {
                prop_assert!(followers.insert(id), "told with two causes");
                prop_assert_eq!(by_id[id.as_str()].because_of.as_ref(), Some(&finding.id));
                prop_assert!(finding.resolved_at.is_none() && finding.because_of.is_none());
            }
        }
        for finding in folded.iter().filter(|finding| finding.because_of.is_some()) {
            prop_assert!(followers.contains(&finding.id) && finding.resolved_at.is_none());
        }
        // The reported cause keeps the worst severity.
        let worst = |pressing: &dyn Fn(&Finding) -> bool, of: &mut dyn Iterator<Item = &Finding>| of.filter(|f| pressing(f)).map(|f| f.severity).min();
        let before = worst(&|f| f.is_pressing(), &mut unique.values());
        let after = worst(&|f| f.is_pressing(), &mut folded.iter());
        let covered = folded.iter().any(|f| f.suppressed.is_some() && !f.consequences.is_empty());
        prop_assert!(before == after || covered, "{:?} became {:?}", before, after);
    }
}
