//! The proxy of a software update point is the one its WSUS server uses.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use serde_json::json;
use supwatch_model::names::{self, same_server};
use supwatch_model::settings::{Known, Proxy};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "proxy-mismatch",
    severity: Severity::Warning,
    title: ("SUP and WSUS use the same proxy", "ソフトウェアの更新ポイントと WSUS のプロキシ設定が一致している"),
    why: (
        "WSUS fetches the metadata with its own proxy settings; if they differ from the SUP's, the upstream server's name may not even be resolved.",
        "WSUS は自身のプロキシ設定でメタデータを取得します。ソフトウェアの更新ポイントの設定と異なると、上流サーバーの名前を解決できないことがあります。",
    ),
    looks_at: &["sups[].proxy", "wsus[].proxy"],
    fix: &[
        (
            "Set the proxy in the properties of the software update point (site system > Proxy); WSUS Configuration Manager copies it to WSUS within 60 minutes.",
            "ソフトウェアの更新ポイントのプロパティ (サイト システム>[プロキシ]) でプロキシを設定してください。WSUS Configuration Manager が 60 分以内に WSUS に反映します。",
        ),
        (
            "Compare with the WSUS console: Options > Update Source and Proxy Server > Proxy Server. If it is not copied, WSUSCtrl.log says why (message 7000).",
            "WSUS コンソールの[オプション]>[更新ソースとプロキシ サーバー]>[プロキシ サーバー]と比較してください。反映されない場合は WSUSCtrl.log (メッセージ 7000) を確認してください。",
        ),
    ],
    source: "the article, \"the remote name could not be resolved\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

fn judge(point: &Point<'_>) -> Option<Judged> {
    // "Known to be none" is a known value.
    let none = Proxy { enabled: Known::Some(false), ..Proxy::default() };
    let known = |proxy: &Known<Proxy>| match proxy {
        Known::Some(proxy) => Some(proxy.clone()),
        Known::None => Some(none.clone()),
        Known::Unknown => None,
    };
    let (Some(sup), Some(wsus)) = (known(&point.sup.proxy), point.wsus.and_then(|wsus| known(&wsus.proxy))) else {
        let missing = if point.sup.proxy.is_unknown() { point.no_sup("proxy") } else { point.no_wsus("proxy") };
        return Some(Judged::weigh(RULE.looks_at, None, vec![missing]));
    };
    let (Some(set), Some(used)) = (sup.enabled.value(), wsus.enabled.value()) else {
        let missing = if sup.enabled.value().is_none() { "proxy.enabled" } else { "proxy.enabled of its WSUS" };
        return Some(Judged::weigh(RULE.looks_at, None, vec![point.no_sup(missing)]));
    };
    let differing = match (set, used) {
        (false, false) => None,
        (true, true) => differing(&sup, &wsus),
        _ => Some("enabled"),
    };
    let failure = differing.map(|field| {
        let called = point.called();
        let summary = Text::new(
            format!("{} is set to {}, its WSUS to {}", called.en, shown(&sup).en, shown(&wsus).en),
            format!("{} のプロキシ設定 ({}) が WSUS ({}) と異なります", called.ja, shown(&sup).ja, shown(&wsus).ja),
        );
        let value = |proxy: &Proxy| serde_json::to_value(proxy).ok().and_then(|all| all.get(field).cloned()).unwrap_or(json!(null));
        let path = format!("proxy.{field}");
        Failure::new(Severity::Warning, summary)
            .shown_by([point.sup_says(&path, value(&sup)), point.wsus_says(&path, value(&wsus))])
    });
    Some(Judged::weigh(RULE.looks_at, failure, Vec::new()))
}

/// The first field in which two proxies differ; a field that one of them lacks is no difference.
fn differing(one: &Proxy, other: &Proxy) -> Option<&'static str> {
    let servers = one.server.value().zip(other.server.value());
    if servers.is_some_and(|(one, other)| !same_server(one, other)) {
        return Some("server");
    }
    let port = |proxy: &Proxy| proxy.port.value().copied().or_else(|| names::port(proxy.server.value()?));
    if port(one).zip(port(other)).is_some_and(|(one, other)| one != other) {
        return Some("port");
    }
    one.account.value().zip(other.account.value()).is_some_and(|(one, other)| one != other).then_some("account")
}

fn shown(proxy: &Proxy) -> Text {
    if proxy.enabled.value() != Some(&true) {
        return Text::new("no proxy", "プロキシなし");
    }
    let server = proxy.server.value().map_or("?", String::as_str);
    let port = proxy.port.value().map_or_else(|| "?".to_owned(), u16::to_string);
    let account = proxy.account.value() == Some(&true);
    Text::new(
        format!("proxy {server}:{port}{}", if account { " with an account" } else { "" }),
        format!("プロキシ {server}:{port}{}", if account { " アカウントあり" } else { "" }),
    )
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(sup: Value, wsus: Value, expected: &str) {
        let mut settings = healthy("cen", None);
        settings["sups"][0]["proxy"] = sup;
        settings["wsus"][0]["proxy"] = wsus;
        World::new().central("CEN").settings("CEN", settings).check("proxy-mismatch", expected);
    }

    #[test]
    fn the_same_proxy_or_none_passes_and_any_difference_fails() {
        let proxy = |server: &str, port: u16| json!({"enabled": true, "server": server, "port": port, "account": false});
        let none = json!({"enabled": false, "server": null, "port": null, "account": false});
        check(none.clone(), none.clone(), "CEN pass");
        check(proxy("proxy.corp.example", 8080), proxy("PROXY.corp.example", 8080), "CEN pass");
        check(proxy("PROXY", 8080), proxy("http://proxy.corp.example:8080", 8080), "CEN pass");
        check(proxy("PROXY", 8080), json!({"enabled": true, "server": "http://proxy:3128", "account": false}), "CEN fail");
        check(proxy("proxy.lab.example", 8080), proxy("proxy.corp.example", 8080), "CEN fail");
        check(proxy("proxy.corp.example", 8080), none.clone(), "CEN fail");
        check(proxy("proxy.corp.example", 8080), proxy("proxy.corp.example", 3128), "CEN fail");
        check(json!({"enabled": true, "account": true}), json!({"enabled": true, "account": false}), "CEN fail");
        check(Value::Null, none, "CEN pass");
        check(Value::Null, proxy("proxy.corp.example", 8080), "CEN fail");
        check(json!({"enabled": true}), json!({}), "CEN unknown");
    }
}
