//! The configured ports of a SUP are those of its WSUS web site in IIS. Source: the article, general tips and "WSUS server not
//! configured".

use super::{Failure, Judged, Rule, Scene, name_of, no_setting, setting};
use supwatch_model::describe::SiteType;
use supwatch_model::settings::{Known, Settings, Sup};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "port-mismatch",
    severity: Severity::Critical,
    title: ("SUP ports match the WSUS web site", "ソフトウェアの更新ポイントのポートが WSUS Web サイトのポートと一致している"),
    why: (
        "The site server connects to WSUS on the ports in the SUP's properties; if IIS listens on others, the synchronisation fails with \"WSUS server not configured\".",
        "サイト サーバーはソフトウェアの更新ポイントのプロパティのポートで WSUS に接続します。IIS の設定と異なると、同期は「WSUS サーバーが構成されていません」で失敗します。",
    ),
    looks_at: &["sups[].http_port", "sups[].https_port", "wsus[].website", "wsus[].reach"],
    fix: &[
        (
            "In IIS Manager on the WSUS server, select the WSUS web site (often \"WSUS Administration\") > Bindings, and note the ports for http and https.",
            "WSUS サーバーの IIS マネージャで WSUS Web サイト (多くは[WSUS の管理]) の[バインド]を開き、http と https のポートを確認してください。",
        ),
        (
            "Set the same ports in the properties of the software update point: Administration > Site Configuration > Servers and Site System Roles.",
            "[管理]>[サイトの構成]>[サーバーとサイト システムの役割]のソフトウェアの更新ポイントのプロパティに、同じポートを設定してください。",
        ),
    ],
    source: "the article, general tips and \"WSUS server not configured\"",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let looked_at = &["sups[].http_port", "wsus[].website.http_port"];
    let settings = match scene.settings() {
        Ok(settings) => settings,
        Err(_) if scene.hierarchy.site_type(scene.site.code) == Some(SiteType::Secondary) => return Vec::new(),
        Err(missing) => return vec![Judged::unknown(looked_at, vec![missing])],
    };
    if scene.site.has_no_sup() {
        return Vec::new();
    }
    let Some(sups) = settings.sups.value() else {
        return vec![Judged::unknown(looked_at, vec![no_setting(scene.site.code, "sups")])];
    };
    sups.iter().map(|sup| judge_sup(scene, settings, sup)).collect()
}

fn judge_sup(scene: &Scene<'_>, settings: &Settings, sup: &Sup) -> Judged {
    let (site, name) = (scene.site, name_of(sup));
    let website = settings.wsus_of(sup).and_then(|wsus| wsus.website.value());
    let pairs = [
        ("http_port", sup.http_port.value(), website.and_then(|website| website.http_port.value())),
        ("https_port", sup.https_port.value(), website.and_then(|website| website.https_port.value())),
    ];
    let (mut missing, mut wrong, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for (field, set, listens) in pairs {
        let (of_sup, of_site) = (format!("sups[{name}].{field}"), format!("wsus[{name}].website.{field}"));
        match (set, listens) {
            (Some(set), Some(listens)) if set != listens => {
                wrong.push((*set, *listens));
                evidence.extend([setting(site, of_sup, *set), setting(site, of_site, *listens)]);
            }
            (Some(_), Some(_)) => {}
            // A missing HTTPS binding is no fault while SSL is not used.
            (_, None) if field == "https_port" && sup.ssl == Known::Some(false) => {}
            (None, _) => missing.push(no_setting(site.code, &of_sup)),
            (_, None) => missing.push(no_setting(site.code, &of_site)),
        }
    }
    if let Some(reach) = settings.wsus_of(sup).and_then(|wsus| wsus.reach.value())
        && wrong.is_empty()
        && reach.outcome.value().is_some_and(|outcome| outcome == "refused")
    {
        let port = reach.port.value().map_or_else(|| "?".to_owned(), u16::to_string);
        let summary = Text::new(
            format!(
                "nothing listens on port {port} of SUP {name} of {}: its WSUS web site is stopped or has another port",
                site.code
            ),
            format!(
                "{} のソフトウェアの更新ポイント {name} のポート {port} で接続が拒否されました。WSUS Web サイトが停止しているか、ポートが異なります",
                site.code
            ),
        );
        let refused = setting(site, format!("wsus[{name}].reach.outcome"), "refused");
        return Judged::fail(RULE.looks_at, Failure::new(Severity::Critical, summary).shown_by([refused])).of(name);
    }
    let failure = (!wrong.is_empty()).then(|| {
        let (en, ja): (Vec<String>, Vec<String>) =
            wrong.iter().map(|(set, listens)| (format!("{set} instead of {listens}"), format!("{set} (IIS は {listens})"))).unzip();
        let summary = Text::new(
            format!("SUP {name} of {} is set to other ports than its WSUS web site: {}", site.code, en.join(", ")),
            format!("{} のソフトウェアの更新ポイント {name} のポートが WSUS Web サイトと異なります: {}", site.code, ja.join("、")),
        );
        Failure::new(Severity::Critical, summary).shown_by(evidence)
    });
    Judged::weigh(&["sups[].http_port", "sups[].https_port", "wsus[].website", "wsus[].reach"], failure, missing).of(name)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[test]
    fn equal_ports_pass_other_ports_fail_and_unknown_ones_are_unknown() {
        let mut settings = healthy("cen", None);
        let world = World::new().central("CEN");
        world.clone().settings("CEN", settings.clone()).check("port-mismatch", "CEN pass");
        settings["wsus"][0]["website"]["http_port"] = json!(80);
        world.clone().settings("CEN", settings.clone()).check("port-mismatch", "CEN fail");
        settings["wsus"][0]["website"] = json!({});
        world.clone().settings("CEN", settings).check("port-mismatch", "CEN unknown");
        world.check("port-mismatch", "CEN unknown");
    }
}
