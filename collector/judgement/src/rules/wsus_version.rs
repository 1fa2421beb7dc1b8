//! No WSUS is older than one that synchronises from it.

use super::filters::edge;
use super::{Failure, Judged, Outcome, Rule, Scene, no_setting, no_settings, setting};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "wsus-version",
    severity: Severity::Warning,
    title: ("no WSUS is newer than its upstream server", "WSUS が上流サーバーより新しくない"),
    why: (
        "An upstream WSUS that is older may not know the protocol or the update types of the one below it; upgrades start at the top.",
        "上流の WSUS が古いと、下位の WSUS のプロトコルや更新の種類に対応できないことがあります。アップグレードは最上位から行います。",
    ),
    looks_at: &["wsus[first].version", "wsus[first].version of the parent"],
    fix: &[
        (
            "Compare the versions: WSUS console > the server's page, or HKLM\\SOFTWARE\\Microsoft\\Update Services\\Server\\Setup, VersionString.",
            "バージョンを比較してください: WSUS コンソールのサーバー ページ、または HKLM\\SOFTWARE\\Microsoft\\Update Services\\Server\\Setup の VersionString。",
        ),
        (
            "Bring the upstream server to the same service pack or Windows Server version, or newer, from the top down.",
            "上流サーバーを最上位から順に、同じかそれ以降のサービス パックまたは Windows Server のバージョンに更新してください。",
        ),
    ],
    source: "documentation: plan for software update points; the article, general tips",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let edge = match edge(scene, RULE.looks_at) {
        Ok(edge) => edge,
        Err(verdict) => return verdict.into_iter().collect(),
    };
    let (site, parent) = (scene.site, edge.parent);
    let unknown = |missing: Text| vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    const PATH: &str = "wsus[first].version";
    let Some(own) = edge.own.version.value() else { return unknown(no_setting(site.code, PATH)) };
    let Some(above) = edge.above.and_then(|wsus| wsus.version.value()) else {
        return unknown(if parent.settings().is_none() { no_settings(parent.code) } else { no_setting(parent.code, PATH) });
    };
    let (Some(number), Some(upper)) = (parts(own), parts(above)) else {
        return unknown(Text::new(
            format!("versions that can be compared: {own:?} and {above:?}"),
            format!("比較できるバージョン ({own:?}、{above:?})"),
        ));
    };
    if upper >= number {
        return vec![Judged::usual(Outcome::Pass)];
    }
    let summary = Text::new(
        format!("WSUS of {} ({own}) is newer than that of its parent {} ({above})", site.code, parent.code),
        format!("{} の WSUS ({own}) が親サイト {} の WSUS ({above}) より新しいバージョンです", site.code, parent.code),
    );
    let failure = Failure::new(Severity::Warning, summary)
        .shown_by([setting(site, PATH, own.as_str()), setting(parent, PATH, above.as_str())]);
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

fn parts(version: &str) -> Option<Vec<u64>> {
    // The part after the build is the cumulative update.
    version.trim().split('.').take(3).map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::json;

    #[track_caller]
    fn check(above: &str, own: &str, expected: &str) {
        let (mut upper, mut settings) = (healthy("cen", None), healthy("p01", Some("cen")));
        upper["wsus"][0]["version"] = json!(above);
        settings["wsus"][0]["version"] = json!(own);
        let world = World::new().central("CEN").primary("P01", "CEN").settings("CEN", upper).settings("P01", settings);
        world.check("wsus-version", expected);
    }

    #[test]
    fn the_upper_one_is_the_same_or_newer() {
        check("10.0.17763.1", "10.0.17763.1", "P01 pass");
        check("10.0.20348.1", "6.3.9600.18324", "P01 pass");
        check("3.1.6001.65", "10.0.17763.1", "P01 fail");
        check("10.0.17763.1", "10.0.20348.1", "P01 fail");
        check("3.1.6001.9", "3.1.6001.65", "P01 pass");
        check("new", "3.1", "P01 unknown");
    }
}
