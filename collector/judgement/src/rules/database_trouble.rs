//! The logs of a site report no database errors since the last success.

use super::{Failure, Judged, Outcome, Rule, Scene, confidence};
use crate::diagnosis::{Cause, Kind, Subject, UNKNOWN};
use supwatch_model::describe::SiteType;
use supwatch_model::finding::Evidence;
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "database-trouble",
    severity: Severity::Critical,
    title: ("the databases work", "データベースが正常に動作している"),
    why: (
        "Error 12 and \"invalid schema\", time-outs and lack of memory are SQL Server's trouble: synchronising again does not help.",
        "エラー 12 と「無効なスキーマ」、タイムアウト、メモリ不足は SQL Server 側の問題で、再同期しても解消しません。",
    ),
    looks_at: &["wsyncmgr.log", "WCM.log", "WSUSCtrl.log"],
    fix: &[
        (
            "Error 12 or \"DCM digest has invalid schema\": restart the SQL Server service of the site database.",
            "エラー 12 または「DCM digest has invalid schema」の場合は、サイト データベースの SQL Server サービスを再起動してください。",
        ),
        (
            "Time-outs: re-index SUSDB and the site database, decline superseded updates, and run the WSUS clean-up.",
            "タイムアウトの場合は、SUSDB とサイト データベースのインデックスを再構築し、置き換えられた更新を拒否して、WSUS のクリーンアップを実行してください。",
        ),
        (
            "Memory: ask the SQL Server administrator to check max server memory and the load of the computer.",
            "メモリ不足の場合は、最大サーバー メモリとコンピュータの負荷を SQL Server 管理者に確認してもらってください。",
        ),
    ],
    source: "the article, \"error 12 and invalid schema in wsyncmgr.log\" and \"synchronization fails for unknown reasons\"; message 7002",
    watcher: false,
    judge,
};

fn judge(scene: &Scene<'_>) -> Vec<Judged> {
    let (site, code) = (scene.site, scene.site.code);
    let trouble = &site.database_trouble;
    let Some(last) = trouble.last() else {
        if site.runs.last().is_some() {
            return vec![Judged::usual(Outcome::Pass)];
        }
        if site.has_no_sup() || scene.hierarchy.site_type(code) == Some(SiteType::Secondary) {
            return Vec::new();
        }
        let missing = Text::new(
            format!("a run of {code}: no wsyncmgr.log of it shows one"),
            format!("{code} の同期 (wsyncmgr.log に記録がありません)"),
        );
        return vec![Judged::usual(Outcome::Unknown(vec![missing]))];
    };
    let summary = Text::new(
        format!("the log of {code} tells of trouble with its database"),
        format!("{code} のログにデータベースの問題が記録されています"),
    );
    let first = trouble.first().filter(|first| *first != last);
    let mut failure = Failure::new(Severity::Critical, summary).shown_by(first.into_iter().chain([last]).cloned());
    failure.since = trouble.first().and_then(super::evidence_time);
    failure.occurrences = u32::try_from(trouble.len()).unwrap_or(u32::MAX);
    if let Some((entry, said)) = named(scene, trouble.iter()) {
        let title = &entry.title;
        failure.summary.en.push_str(&format!(": {}", title.en));
        failure.summary.ja.push_str(&format!(": {}", title.ja));
        confidence::explain(scene, &mut failure, entry, Some(&said));
    }
    vec![Judged::usual(Outcome::Fail(Box::new(failure)))]
}

/// The cause of the newest line that the catalogue knows; a line that says why precedes one that only says that something failed.
fn named<'a>(scene: &Scene<'a>, lines: impl DoubleEndedIterator<Item = &'a Evidence>) -> Option<(&'a Cause, Subject)> {
    let catalogue = &scene.hierarchy.catalogue;
    let known = lines.rev().filter_map(|evidence| match evidence {
        Evidence::Line { line, .. } => {
            let said = Subject::of_line(line);
            let entry = catalogue.cause_of(&said);
            (entry.id != UNKNOWN).then_some((entry, said))
        }
        Evidence::Setting { .. } => None,
    });
    let known: Vec<_> = known.collect();
    let why = known.iter().position(|(entry, _)| entry.kind == Kind::Cause).unwrap_or(0);
    known.into_iter().nth(why)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::World;

    const START: &str = "Performing sync on regular schedule";

    #[test]
    fn error_12_fails_until_a_run_succeeds() {
        let world = World::new()
            .central("CEN")
            .log("CEN", &[START, "sp_SetupSDMPackage returns an error", "DCM digest has invalid schema"]);
        let failure = world.failure("database-trouble", "CEN");
        assert_eq!((failure.occurrences, failure.cause.as_deref()), (2, Some("database-error-12")));
        assert!(failure.remedy[0].en.contains("Restart the SQL Server service"), "{:?}", failure.remedy);
        world.clone().check("database-trouble", "CEN fail");
        world.log("CEN", &["Sync succeeded. x"]).check("database-trouble", "CEN pass");
    }

    #[test]
    fn other_failures_are_none_of_the_database() {
        let failed = "Sync failed: Unable to connect to the remote server. Source: X";
        World::new().central("CEN").log("CEN", &[START, failed]).check("database-trouble", "CEN pass");
        World::new().central("CEN").check("database-trouble", "CEN unknown");
    }
}
