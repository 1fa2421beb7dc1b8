//! If SSL is used, the right virtual directories of WSUS require it and its certificate is valid; a 2007 site in native mode uses
//! it.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use serde_json::json;
use supwatch_model::describe::SiteMode;
use supwatch_model::names::certifies;
use supwatch_model::settings::{Certificate, Wsus};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "ssl-mismatch",
    severity: Severity::Critical,
    title: ("the SUP and IIS have the same SSL settings", "SSL の設定がソフトウェアの更新ポイントと IIS で一致している"),
    why: (
        "The SUP uses SSL by itself where the site needs it, but WSUS has to be set up for it by hand; until then the site server cannot connect, and the synchronisation fails with \"WSUS server not configured\".",
        "サイトで必要な場合、ソフトウェアの更新ポイントは自動的に SSL を使用しますが、WSUS は自動では構成されません。その場合サイト サーバーは接続できず、同期は「WSUS サーバーが構成されていません」で失敗します。",
    ),
    looks_at: &["sups[].ssl", "site.toml mode", "wsus[].website.ssl_virtual_directories", "wsus[].reach.certificate"],
    fix: &[
        (
            "In IIS Manager on the WSUS server, turn on SSL Settings > Require SSL for ApiRemoting30, ClientWebService, DSSAuthWebService, ServerSyncWebService and SimpleAuthWebService.",
            "WSUS サーバーの IIS マネージャで、ApiRemoting30、ClientWebService、DSSAuthWebService、ServerSyncWebService、SimpleAuthWebService の[SSL 設定]>[SSL が必要]を有効にしてください。",
        ),
        (
            "Leave it off for Content, Inventory, ReportingWebService and SelfUpdate.",
            "Content、Inventory、ReportingWebService、SelfUpdate では無効のままにしてください。",
        ),
        (
            "Bind a certificate with the SUP's name to the https port, and run `WSUSUtil.exe configuressl <name>` in the Tools folder of Update Services.",
            "ソフトウェアの更新ポイントの名前の証明書を https ポートにバインドし、Update Services の Tools フォルダで `WSUSUtil.exe configuressl <名前>` を実行してください。",
        ),
        (
            "Set the same in the properties of the software update point: \"Require SSL communication to the WSUS server\".",
            "ソフトウェアの更新ポイントのプロパティで[WSUS サーバーへの SSL 通信を必須にする]を同じ設定にしてください。",
        ),
    ],
    source: "the article, \"WSUS server not configured\"; documentation: configure a software update point to use TLS/SSL",
    watcher: false,
    judge: |scene| each(scene, judge),
};

const REQUIRED: &[&str] =
    &["ApiRemoting30", "ClientWebService", "DSSAuthWebService", "ServerSyncWebService", "SimpleAuthWebService"];
const FORBIDDEN: &[&str] = &["Content", "Inventory", "ReportingWebService", "SelfUpdate"];

fn judge(point: &Point<'_>) -> Option<Judged> {
    let site = point.scene.site;
    let native = point.scene.hierarchy.mode(site.code) == Some(SiteMode::Native);
    let Some(ssl) = point.sup.ssl.value().copied() else {
        return Some(Judged::weigh(RULE.looks_at, None, vec![point.no_sup("ssl")]));
    };
    let (mut en, mut ja, mut evidence, mut missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    if native && !ssl {
        en.push("does not use SSL although the site is in native mode".to_owned());
        ja.push("ネイティブ モードのサイトですが SSL を使用していません".to_owned());
        evidence.push(point.sup_says("ssl", false));
    }
    match point.wsus.and_then(|wsus| wsus.website.value()?.ssl_virtual_directories.value()) {
        None if ssl => missing.push(point.no_wsus("website.ssl_virtual_directories")),
        None => {}
        Some(requiring) => {
            let requires = |name: &&&str| requiring.iter().any(|own| own.eq_ignore_ascii_case(name));
            let lacking: Vec<&str> = REQUIRED.iter().filter(|name| requires(name) != ssl).copied().collect();
            let wrong: Vec<&str> = FORBIDDEN.iter().filter(requires).copied().collect();
            if !lacking.is_empty() {
                let list = lacking.join(", ");
                en.push(if ssl {
                    format!("uses SSL, but these virtual directories do not require it: {list}")
                } else {
                    format!("does not use SSL, but these virtual directories require it: {list}")
                });
                ja.push(if ssl {
                    format!("SSL を使用していますが、次の仮想ディレクトリで SSL が必須になっていません: {list}")
                } else {
                    format!("SSL を使用していませんが、次の仮想ディレクトリで SSL が必須になっています: {list}")
                });
            }
            if !wrong.is_empty() {
                let list = wrong.join(", ");
                en.push(format!("these virtual directories must not require SSL: {list}"));
                ja.push(format!("次の仮想ディレクトリでは SSL を必須にしないでください: {list}"));
            }
            if !lacking.is_empty() || !wrong.is_empty() {
                evidence.extend([point.sup_says("ssl", ssl), point.wsus_says("website.ssl_virtual_directories", json!(requiring))]);
            }
        }
    }
    if let Some((what, field)) = point.wsus.filter(|_| ssl).and_then(|wsus| bad_certificate(point, wsus)) {
        en.push(what.en);
        ja.push(what.ja);
        evidence.push(field);
    }
    let failure = (!en.is_empty()).then(|| {
        let called = point.called();
        let summary = Text::new(format!("{} {}", called.en, en.join("; ")), format!("{}: {}", called.ja, ja.join("、")));
        Failure::new(Severity::Critical, summary).shown_by(evidence)
    });
    Some(Judged::weigh(RULE.looks_at, failure, missing))
}

fn bad_certificate(point: &Point<'_>, wsus: &Wsus) -> Option<(Text, supwatch_model::finding::Evidence)> {
    let Certificate { names, expires_at } = wsus.reach.value()?.certificate.value()?;
    if let Some(end) = expires_at.value().filter(|end| **end <= point.scene.now) {
        let what = Text::new(format!("its certificate expired on {end:.0}"), format!("証明書の有効期限が {end:.0} に切れています"));
        return Some((what, point.wsus_says("reach.certificate.expires_at", end.to_string())));
    }
    let names = names.value()?;
    let own = || [point.name].into_iter().chain(point.sup.names.value().into_iter().flatten().map(String::as_str));
    if names.iter().any(|name| own().any(|own| certifies(name, own))) {
        return None;
    }
    let shown = names.join(", ");
    let what = Text::new(format!("its certificate is for {shown}"), format!("証明書の名前が一致しません ({shown})"));
    Some((what, point.wsus_says("reach.certificate.names", json!(names))))
}

#[cfg(test)]
mod tests {
    use super::REQUIRED;
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn with(ssl: bool, requiring: Value) -> Value {
        let mut settings = healthy("cen", None);
        settings["sups"][0]["ssl"] = json!(ssl);
        settings["wsus"][0]["website"]["ssl_virtual_directories"] = requiring;
        settings
    }

    #[track_caller]
    fn check(settings: Value, expected: &str) {
        World::new().central("CEN").settings("CEN", settings).check("ssl-mismatch", expected);
    }

    #[test]
    fn the_right_directories_require_ssl_and_no_others() {
        check(with(true, json!(REQUIRED)), "CEN pass");
        check(with(true, json!(["ApiRemoting30"])), "CEN fail");
        check(with(false, json!([])), "CEN pass");
        check(with(false, json!(REQUIRED)), "CEN fail");
        let all: Vec<&str> = REQUIRED.iter().copied().chain(["Content"]).collect();
        check(with(true, json!(all)), "CEN fail");
        check(with(true, Value::Null), "CEN unknown");
    }

    #[test]
    fn native_mode_needs_it() {
        let world = World::new().native("CEN").settings("CEN", with(false, json!([])));
        world.check("ssl-mismatch", "CEN fail");
    }

    #[test]
    fn a_certificate_has_the_name_and_has_not_expired() {
        let certified = |name: &str, end: &str| {
            let mut settings = with(true, json!(REQUIRED));
            settings["wsus"][0]["reach"] = json!({"certificate": {"names": [name], "expires_at": end}});
            settings
        };
        check(certified("CEN.corp.example", "2027-01-01T00:00:00Z"), "CEN pass");
        check(certified("*.corp.example", "2027-01-01T00:00:00Z"), "CEN pass");
        check(certified("other.corp.example", "2027-01-01T00:00:00Z"), "CEN fail");
        check(certified("cen.corp.example", "2026-02-01T00:00:00Z"), "CEN fail");
    }
}
