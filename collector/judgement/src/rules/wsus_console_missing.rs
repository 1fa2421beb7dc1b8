//! A site server whose software update point is on another server has the WSUS administration console.

use super::{Failure, Judged, Outcome, Rule, Scene, no_setting, setting};
use supwatch_model::describe::SiteType;
use supwatch_model::settings::same_server;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "wsus-console-missing",
    severity: Severity::Critical,
    title: (
        "a site server with a remote SUP has the WSUS console",
        "リモートのソフトウェアの更新ポイントのサイト サーバーに WSUS 管理コンソールがある",
    ),
    why: (
        "The site server configures a remote WSUS through the interface that comes with the administration console; without it nothing can be configured.",
        "サイト サーバーは、WSUS 管理コンソールに含まれるインターフェイスでリモートの WSUS を構成します。コンソールがないと構成できません。",
    ),
    looks_at: &["site_server.wsus_console", "site_server.fqdn", "sups[].server", "WCM.log"],
    fix: &[
        (
            "On the site server, install the WSUS administration console of the WSUS server's version: Install-WindowsFeature UpdateServices-RSAT (2007: the WSUS 3.0 console).",
            "サイト サーバーに、WSUS サーバーと同じバージョンの WSUS 管理コンソールをインストールしてください: Install-WindowsFeature UpdateServices-RSAT (2007 では WSUS 3.0 コンソール)。",
        ),
        (
            "Restart the SMS_EXECUTIVE service; WCM.log then says \"Supported WSUS version found\".",
            "SMS_EXECUTIVE サービスを再起動し、WCM.log に「Supported WSUS version found」と記録されることを確認してください。",
        ),
    ],
    source: "the article, general tips; messages 6607 and 7004",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let site = scene.site;
    let secondary = scene.hierarchy.site_type(site.code) == Some(SiteType::Secondary);
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(_) if secondary => return Vec::new(),
        Err(missing) => return unknown(missing),
    };
    let console = settings.site_server.value().and_then(|server| server.wsus_console.value()?.installed.value());
    if console == Some(&true) {
        return vec![Judged::usual(Outcome::Pass)];
    }
    if site.has_no_sup() {
        return Vec::new();
    }
    let own = settings.site_server.value().and_then(|server| server.fqdn.value()).map(String::as_str);
    let Some(own) = own.or_else(|| scene.hierarchy.server(site.code)) else {
        return unknown(no_setting(site.code, "site_server.fqdn"));
    };
    let Some(sups) = settings.sups.value() else { return unknown(no_setting(site.code, "sups")) };
    let remote = sups.iter().filter_map(|sup| sup.server.value()).find(|server| !same_server(server, own));
    let Some(remote) = remote else { return vec![Judged::usual(Outcome::Pass)] };
    if console.is_none() {
        return unknown(no_setting(site.code, "site_server.wsus_console.installed"));
    }
    let summary = Text::new(
        format!("site server {own} of {} has no WSUS console, but its SUP {remote} is on another server", site.code),
        format!(
            "{} のソフトウェアの更新ポイント {remote} は別のサーバーにありますが、サイト サーバー {own} に WSUS 管理コンソールがありません",
            site.code
        ),
    );
    let failure = Failure::new(Severity::Critical, summary).shown_by([setting(site, "site_server.wsus_console.installed", false)]);
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(server: &str, installed: Value, expected: &str) {
        let mut settings = healthy("cen", None);
        settings["site_server"] = json!({"fqdn": server, "wsus_console": {"installed": installed}});
        World::new().central("CEN").settings("CEN", settings).check("wsus-console-missing", expected);
    }

    #[test]
    fn only_a_remote_sup_needs_it() {
        check("cen.corp.example", json!(false), "CEN pass");
        check("other.corp.example", json!(true), "CEN pass");
        check("other.corp.example", json!(false), "CEN fail");
        check("other.corp.example", Value::Null, "CEN unknown");
    }

    #[test]
    fn the_log_shows_it_too() {
        let mut settings = healthy("cen", None);
        settings["site_server"] = json!({"fqdn": "other.corp.example"});
        let world = World::new().central("CEN").settings("CEN", settings);
        world.clone().check("wsus-console-missing", "CEN unknown");
        world.wcm("CEN", &["Supported WSUS version not found"]).check("wsus-console-missing", "CEN fail");
    }
}
