//! The application pool of WSUS runs, with more memory and a longer queue than its defaults.

use super::sups::{Point, each};
use super::{Failure, Judged, Rule};
use supwatch_model::text::Text;
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "app-pool",
    severity: Severity::Warning,
    title: ("WsusPool is running and has enough memory", "WsusPool が実行されており、リソースに余裕がある"),
    why: (
        "With its default limits the pool is recycled in the middle of a large synchronisation and, after a few times, stopped: \"HTTP status 503: Service Unavailable\".",
        "既定の制限では、大きな同期の途中でプールがリサイクルされ、繰り返されると停止します (HTTP ステータス 503)。",
    ),
    looks_at: &["wsus[].app_pool", "wsus[].virtual_directories"],
    fix: &[
        (
            "In IIS Manager on the WSUS server: Application Pools > WsusPool > Start, if it is stopped.",
            "WSUS サーバーの IIS マネージャで[アプリケーション プール]>[WsusPool]が停止している場合は開始してください。",
        ),
        (
            "WsusPool > Advanced Settings: Private Memory Limit 4 to 8 GB (4194304 to 8388608 KB) or 0, Queue Length 2000 or more, Rapid-Fail Protection off.",
            "[WsusPool]>[詳細設定]: プライベート メモリ制限を 4～8 GB (4194304～8388608 KB) または 0、キューの長さを 2000 以上、ラピッド フェール保護を無効にしてください。",
        ),
    ],
    source: "documentation: software updates maintenance; the article, \"unable to connect to the remote server\"",
    watcher: false,
    judge: |scene| each(scene, judge),
};

/// Defaults that Windows sets when WSUS is installed; 0 means no limit.
const DEFAULT_MEMORY_KB: u64 = 1_843_200;
const DEFAULT_QUEUE: u64 = 1000;

fn judge(point: &Point<'_>) -> Option<Judged> {
    let (mut en, mut ja, mut evidence, mut missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let directories = point.wsus.and_then(|wsus| wsus.virtual_directories.value()).into_iter().flatten();
    for (name, _) in directories.filter(|(_, directory)| directory.status.value() == Some(&503)).take(1) {
        en.push(format!("is stopped or full: {name} answers HTTP 503"));
        ja.push(format!("停止しているか過負荷です ({name} が HTTP 503 を返しています)"));
        evidence.push(point.wsus_says(&format!("virtual_directories.{name}.status"), 503));
    }
    let unknown = supwatch_model::settings::AppPool::default();
    let pool = point.wsus.and_then(|wsus| wsus.app_pool.value());
    if pool.is_none() {
        missing.push(point.no_wsus("app_pool"));
    }
    let pool = pool.unwrap_or(&unknown);
    let (state, memory, queue) = (pool.state.value(), pool.private_memory_limit_kb.value(), pool.queue_length.value());
    if let Some(state) = state.filter(|state| state.eq_ignore_ascii_case("stopped")) {
        en.push("is stopped".to_owned());
        ja.push("停止しています".to_owned());
        evidence.push(point.wsus_says("app_pool.state", state.as_str()));
    }
    if let Some(limit) = memory.filter(|limit| (1..=DEFAULT_MEMORY_KB).contains(*limit)) {
        en.push(format!("may take {limit} KB of memory only"));
        ja.push(format!("プライベート メモリの制限が {limit} KB です"));
        evidence.push(point.wsus_says("app_pool.private_memory_limit_kb", *limit));
    }
    if let Some(length) = queue.filter(|length| **length <= DEFAULT_QUEUE) {
        en.push(format!("lets {length} requests wait only"));
        ja.push(format!("キューの長さが {length} です"));
        evidence.push(point.wsus_says("app_pool.queue_length", *length));
    }
    let reported = missing.is_empty();
    for (field, unknown) in [
        ("app_pool.state", state.is_none()),
        ("app_pool.private_memory_limit_kb", memory.is_none()),
        ("app_pool.queue_length", queue.is_none()),
    ] {
        if reported && unknown {
            missing.push(point.no_wsus(field));
        }
    }
    let failure = (!en.is_empty()).then(|| {
        let called = point.called();
        let summary = Text::new(
            format!("WsusPool on {} {}", called.en, en.join(", ")),
            format!("{} の WsusPool: {}", called.ja, ja.join("、")),
        );
        Failure::new(Severity::Warning, summary).shown_by(evidence)
    });
    Some(Judged::weigh(RULE.looks_at, failure, missing))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    #[track_caller]
    fn check(pool: Value, expected: &str) {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["app_pool"] = pool;
        World::new().central("CEN").settings("CEN", settings).check("app-pool", expected);
    }

    #[test]
    fn a_pool_with_room_passes_and_one_at_its_defaults_does_not() {
        check(json!({"state": "started", "private_memory_limit_kb": 0, "queue_length": 25000}), "CEN pass");
        check(json!({"state": "started", "private_memory_limit_kb": 8_388_608, "queue_length": 2000}), "CEN pass");
        check(json!({"state": "started", "private_memory_limit_kb": 1_843_200, "queue_length": 2000}), "CEN fail");
        check(json!({"state": "started", "private_memory_limit_kb": 0, "queue_length": 1000}), "CEN fail");
        check(json!({"state": "Stopped", "private_memory_limit_kb": 0, "queue_length": 2000}), "CEN fail");
        check(json!({"state": "started"}), "CEN unknown");
    }

    #[test]
    fn a_web_service_that_answers_503_shows_it_too() {
        let mut settings = healthy("cen", None);
        settings["wsus"][0]["virtual_directories"] = json!({"ServerSyncWebService": {"status": 503, "authenticated": false}});
        World::new().central("CEN").settings("CEN", settings).check("app-pool", "CEN fail");
    }
}
