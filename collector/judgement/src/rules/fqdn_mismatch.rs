//! The configured name of a software update point is that of its WSUS server, and it can be resolved.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use supwatch_model::settings::same_server;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "fqdn-mismatch",
    severity: Severity::Critical,
    title: (
        "the SUP's name matches its server",
        "ソフトウェアの更新ポイントの名前がサーバーの完全修飾ドメイン名 (FQDN) と一致している",
    ),
    why: (
        "The site server and the clients connect to the SUP by this name; if it is wrong, the synchronisation fails with \"WSUS server not configured\".",
        "サイト サーバーとクライアントはこの名前でソフトウェアの更新ポイントに接続します。誤っていると、同期は「WSUS サーバーが構成されていません」で失敗します。",
    ),
    looks_at: &["sups[].server", "sups[].names", "wsus[].server", "wsus[].reach.outcome"],
    fix: &[
        (
            "In the console, open Administration > Site Configuration > Servers and Site System Roles > the server > Site system, and correct the intranet (or internet) FQDN.",
            "コンソールで[管理]>[サイトの構成]>[サーバーとサイト システムの役割]>対象サーバー>[サイト システム]を開き、イントラネット (またはインターネット) の FQDN を訂正してください。",
        ),
        ("On the site server, check the name with `nslookup`.", "サイト サーバーで `nslookup` により名前解決を確認してください。"),
    ],
    source: "the article, \"WSUS server not configured\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

fn judge(point: &Point<'_>) -> Option<Judged> {
    let called = point.called();
    let fail = |en: &str, ja: &str, evidence| {
        let summary = Text::new(format!("{} {en}", called.en), format!("{} {ja}", called.ja));
        Some(Judged::weigh(RULE.looks_at, Some(Failure::new(Severity::Critical, summary).shown_by([evidence])), Vec::new()))
    };
    let Some(name) = point.sup.server.value() else {
        return Some(Judged::weigh(RULE.looks_at, None, vec![point.no_sup("server")]));
    };
    let reach = point.wsus.and_then(|wsus| wsus.reach.value()?.outcome.value());
    if reach.is_some_and(|outcome| outcome == "name-not-resolved") {
        let evidence = point.wsus_says("reach.outcome", "name-not-resolved");
        return fail("has a name that its agent cannot resolve", "の名前をエージェントが解決できません", evidence);
    }
    let own = point.wsus.and_then(|wsus| wsus.server.value());
    match own {
        Some(own) if same_server(own, name) || point.sup.has_name(own) => Some(Judged::weigh(RULE.looks_at, None, Vec::new())),
        _ => match stranger(point) {
            // Its WSUS is listed under another name that no source gives as an alias.
            Some(other) => fail(
                &format!("is another name than the {other} its WSUS server goes by"),
                &format!("の名前が WSUS サーバーの名前 {other} と異なります"),
                point.sup_says("server", name.as_str()),
            ),
            None => Some(Judged::weigh(RULE.looks_at, None, vec![point.no_wsus("server")])),
        },
    }
}

/// The only WSUS server of a site with one SUP, if it is not this one.
fn stranger<'a>(point: &Point<'a>) -> Option<&'a str> {
    match (point.settings.sups.value()?.as_slice(), point.settings.wsus.value()?.as_slice()) {
        ([_], [only]) => only.server.value().map(String::as_str),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[track_caller]
    fn check(sup: &str, wsus: &str, names: &[&str], expected: &str) {
        let mut settings = healthy("cen", None);
        settings["sups"][0]["server"] = json!(sup);
        settings["sups"][0]["names"] = json!(names);
        settings["wsus"][0]["server"] = json!(wsus);
        World::new().central("CEN").settings("CEN", settings).check("fqdn-mismatch", expected);
    }

    #[test]
    fn the_servers_own_name_passes_and_a_foreign_one_fails() {
        check("sup1.corp.example", "SUP1.corp.example", &[], "CEN pass");
        check("sup1.corp.example", "sup1", &[], "CEN pass");
        // Sources may report the first label alone, which says nothing about the configured name.
        check("sup1", "sup1.corp.example", &[], "CEN pass");
        check("sup1.corp.example", "sup1.lab.example", &[], "CEN fail");
        check("vip.corp.example", "sup1.lab.example", &["sup1.lab.example"], "CEN pass");
    }

    #[test]
    fn a_name_that_does_not_resolve_fails_and_no_wsus_is_unknown() {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["reach"] = json!({"outcome": "name-not-resolved"});
        World::new().central("CEN").settings("CEN", settings.clone()).check("fqdn-mismatch", "CEN fail");
        settings["wsus"] = json!([]);
        World::new().central("CEN").settings("CEN", settings).check("fqdn-mismatch", "CEN unknown");
    }
}
