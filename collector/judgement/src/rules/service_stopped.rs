//! The Windows services that WSUS needs are running.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "service-stopped",
    severity: Severity::Critical,
    title: ("the services of WSUS and IIS are running", "WSUS と IIS のサービスが実行されている"),
    why: (
        "Without Update Services or World Wide Web Publishing no connection to WSUS succeeds: \"Unable to connect to the remote server\".",
        "Update Services または World Wide Web Publishing Service が停止していると接続できず、「リモート サーバーに接続できません」で失敗します。",
    ),
    looks_at: &["wsus[].services"],
    fix: &[
        (
            "On the WSUS server, open services.msc and start Update Services and World Wide Web Publishing Service (and IIS Admin Service, where it is installed).",
            "WSUS サーバーで services.msc を開き、Update Services と World Wide Web Publishing Service (インストールされている場合は IIS Admin Service も) を開始してください。",
        ),
        (
            "Set their start type to Automatic; if they stop again, the System event log says why.",
            "スタートアップの種類を[自動]にしてください。再び停止する場合は、システム イベント ログで理由を確認してください。",
        ),
    ],
    source: "the article, \"unable to connect to the remote server\" and \"WSUS server not configured\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

/// Service names, and whether every WSUS server has the service.
const SERVICES: &[(&str, &str, bool)] = &[
    ("WsusService", "Update Services", true),
    ("W3SVC", "World Wide Web Publishing Service", true),
    ("IISADMIN", "IIS Admin Service", false),
];

fn judge(point: &Point<'_>) -> Option<Judged> {
    let Some(services) = point.wsus.and_then(|wsus| wsus.services.value()) else {
        return Some(Judged::weigh(RULE.looks_at, None, vec![point.no_wsus("services")]));
    };
    let (mut stopped, mut evidence, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (name, shown, always) in SERVICES {
        let state = services.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, state)| state.as_str());
        match state {
            Some(state) if state.eq_ignore_ascii_case("running") => {}
            // A starting service counts as running.
            Some(state) if state.eq_ignore_ascii_case("start-pending") => {}
            Some(state) => {
                stopped.push(*shown);
                evidence.push(point.wsus_says(&format!("services.{name}"), state));
            }
            None if *always => missing.push(point.no_wsus(&format!("services.{name}"))),
            None => {}
        }
    }
    let failure = (!stopped.is_empty()).then(|| {
        let (called, list) = (point.called(), stopped.join(", "));
        let summary = Text::new(
            format!("on {} a service is not running: {list}", called.en),
            format!("{} でサービスが実行されていません: {list}", called.ja),
        );
        Failure::new(Severity::Critical, summary).shown_by(evidence)
    });
    Some(Judged::weigh(RULE.looks_at, failure, missing))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(services: Value, expected: &str) {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["services"] = services;
        World::new().central("CEN").settings("CEN", settings).check("service-stopped", expected);
    }

    #[test]
    fn both_must_run_and_iis_admin_only_where_it_is_there() {
        check(json!({"WsusService": "running", "W3SVC": "running"}), "CEN pass");
        check(json!({"WSUSSERVICE": "Running", "w3svc": "running", "IISADMIN": "stopped"}), "CEN fail");
        check(json!({"WsusService": "stopped", "W3SVC": "running"}), "CEN fail");
        check(json!({"WsusService": "running"}), "CEN unknown");
        check(Value::Null, "CEN unknown");
    }
}
