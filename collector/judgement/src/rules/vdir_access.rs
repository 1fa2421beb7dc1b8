//! The site server is admitted to ApiRemoting30, and any client to DssAuthWebService. An anonymous 401 from ApiRemoting30 is
//! normal, and a 403 on a bare directory proves nothing.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use supwatch_model::finding::Evidence;
use supwatch_model::run::RunOutcome;
use supwatch_model::settings::VirtualDirectory;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

use crate::hierarchy::Site;

pub(super) const RULE: Rule = Rule {
    name: "vdir-access",
    severity: Severity::Critical,
    title: ("the web services of WSUS admit the accounts that need them", "WSUS の Web サービスに必要なアクセスが許可されている"),
    why: (
        "WSyncMgr starts a synchronisation through ApiRemoting30, and every child's WSUS authenticates through DssAuthWebService; if access is denied, runs fail with HTTP status 401.",
        "WSUS 同期マネージャは ApiRemoting30 で同期を開始し、子サイトの WSUS は DssAuthWebService で認証します。拒否されると HTTP ステータス 401 で同期が失敗します。",
    ),
    looks_at: &["wsus[].virtual_directories", "wsyncmgr.log", "wsyncmgr.log of its children"],
    fix: &[
        (
            "ApiRemoting30: on the WSUS server, open IIS Manager > Sites > the WSUS web site > ApiRemoting30 > Edit Permissions, and give the computer account of the site server and the administrators access.",
            "ApiRemoting30: WSUS サーバーの IIS マネージャで[サイト]>WSUS Web サイト>ApiRemoting30 の[アクセス許可の編集]を開き、サイト サーバーのコンピュータ アカウントと管理者にアクセスを許可してください。",
        ),
        (
            "The account that connects must be in the local group WSUS Administrators.",
            "接続するアカウントは、ローカル グループ WSUS Administrators のメンバである必要があります。",
        ),
        (
            "DssAuthWebService: in IIS Manager of the parent's WSUS server, turn on Anonymous Authentication (IUSR) for it, and make sure that this account is in no group that is denied access.",
            "DssAuthWebService: 親サイトの WSUS サーバーの IIS マネージャで匿名認証 (IUSR) を有効にし、そのアカウントがアクセスを拒否されたグループに属していないことを確認してください。",
        ),
    ],
    source: "the article, \"the request failed with HTTP status 401: Unauthorized\" and \"DssAuthenticationError: WebException\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

fn judge(point: &Point<'_>) -> Option<Judged> {
    let site = point.scene.site;
    let directory = |name: &str| -> Option<&VirtualDirectory> {
        let all = point.wsus?.virtual_directories.value()?;
        all.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, directory)| directory)
    };
    let (api, auth) = (directory("ApiRemoting30"), directory("DssAuthWebService"));
    let (mut en, mut ja, mut evidence): (Vec<String>, Vec<String>, Vec<Evidence>) = (Vec::new(), Vec::new(), Vec::new());
    let shut = |directory: Option<&VirtualDirectory>, authenticated: bool, statuses: &[u16]| {
        let directory = directory.filter(|d| d.authenticated.value().copied().unwrap_or(false) == authenticated)?;
        directory.status.value().copied().filter(|status| statuses.contains(status))
    };
    if let Some(status) = shut(api, true, &[401, 403]) {
        en.push(format!("refuses the site server at ApiRemoting30 (HTTP {status})"));
        ja.push(format!("ApiRemoting30 がサイト サーバーを拒否しています (HTTP {status})"));
        evidence.push(point.wsus_says("virtual_directories.ApiRemoting30.status", status));
    }
    if let Some(status) = shut(auth, false, &[401]) {
        en.push(format!("refuses anonymous requests at DssAuthWebService (HTTP {status})"));
        ja.push(format!("DssAuthWebService が匿名要求を拒否しています (HTTP {status})"));
        evidence.push(point.wsus_says("virtual_directories.DssAuthWebService.status", status));
    }
    if point.first {
        if let Some(lines) = fails_of(site, "apiremoting-unauthorized") {
            en.push("refused the last run at ApiRemoting30".to_owned());
            ja.push("前回の同期が ApiRemoting30 で拒否されました".to_owned());
            evidence.extend(lines);
        }
        // A child is refused by its parent's web service.
        for child in point.scene.hierarchy.children(site.code).filter_map(|code| point.scene.hierarchy.site(code)) {
            if let Some(lines) = fails_of(child, "dssauth-unauthorized") {
                en.push(format!("refused the last run of {} at DssAuthWebService", child.code));
                ja.push(format!("{} の前回の同期が DssAuthWebService で拒否されました", child.code));
                evidence.extend(lines);
            }
        }
    }
    if !en.is_empty() {
        let called = point.called();
        let summary = Text::new(format!("{} {}", called.en, en.join("; ")), format!("{}: {}", called.ja, ja.join("、")));
        return Some(Judged::weigh(RULE.looks_at, Some(Failure::new(Severity::Critical, summary).shown_by(evidence)), Vec::new()));
    }
    let ran = point.first && last_ended(site).is_some_and(|(outcome, _)| outcome == RunOutcome::Succeeded);
    let api_open = ran || api.is_some_and(|d| d.authenticated.value() == Some(&true) && is_good(d));
    let auth_open = auth.is_some_and(is_good) || point.scene.hierarchy.children(site.code).next().is_none();
    let mut missing = Vec::new();
    if !api_open {
        missing.push(Text::new(
            format!("a run of {}, or an authenticated answer of ApiRemoting30: an anonymous one proves nothing", site.code),
            format!("{} の同期、または ApiRemoting30 の認証済みの応答 (匿名の応答では判定できません)", site.code),
        ));
    }
    if !auth_open {
        missing.push(point.no_wsus("virtual_directories.DssAuthWebService"));
    }
    Some(Judged::weigh(RULE.looks_at, None, missing))
}

fn is_good(directory: &VirtualDirectory) -> bool {
    directory.status.value().is_some_and(|status| (200..300).contains(status))
}

fn last_ended(site: &Site) -> Option<(RunOutcome, Option<&str>)> {
    let ended = site.runs.iter().rev().find(|tracked| matches!(tracked.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed))?;
    Some((ended.run.outcome, ended.run.cause.as_deref()))
}

/// The lines of the last run, if it failed with a cause.
fn fails_of(site: &Site, cause: &str) -> Option<Vec<Evidence>> {
    let (outcome, own) = last_ended(site)?;
    (outcome == RunOutcome::Failed && own == Some(cause)).then(|| site.runs.last_failure().map(|f| f.evidence()))?
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn with(directories: Value) -> World {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["virtual_directories"] = directories;
        World::new().central("CEN").settings("CEN", settings)
    }

    #[test]
    fn an_anonymous_401_at_apiremoting_proves_nothing_and_an_authenticated_one_fails() {
        with(json!({"ApiRemoting30": {"status": 401, "authenticated": false}})).check("vdir-access", "CEN unknown");
        with(json!({"ApiRemoting30": {"status": 401, "authenticated": true}})).check("vdir-access", "CEN fail");
        with(json!({"ApiRemoting30": {"status": 200, "authenticated": true}})).check("vdir-access", "CEN pass");
        with(json!({"ApiRemoting30": {"status": 403, "authenticated": false}})).check("vdir-access", "CEN unknown");
    }

    #[test]
    fn an_anonymous_401_at_dssauth_fails() {
        with(json!({"DSSAuthWebService": {"status": 401, "authenticated": false}})).check("vdir-access", "CEN fail");
    }

    #[test]
    fn a_child_that_was_refused_is_its_parents_fault() {
        let failed =
            "Sync failed: DssAuthenticationError: WebException: The request failed with HTTP status 401: Unauthorized. Source: X";
        let world = World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("CEN", healthy("cen", None))
            .settings("P01", healthy("p01", Some("cen")))
            .log("P01", &["Performing sync on parent request", failed]);
        world.check("vdir-access", "CEN fail, P01 unknown");
    }
}
