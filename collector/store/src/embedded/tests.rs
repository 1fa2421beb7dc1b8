//! Days, retention, damage, and recovery of what is left.

use super::*;
use crate::{PAGE_BLOCKS, Retention};
use jiff::ToSpan;
use supwatch_model::event::EventKind;
use supwatch_model::ids::{Epoch, SiteCode};
use supwatch_model::time::Certainty;

fn agent() -> AgentId {
    AgentId("P01/srv".to_owned())
}

fn event(site: &str, sequence: u64, time: Timestamp) -> Event {
    let kind = if sequence.is_multiple_of(2) { EventKind::RunSucceeded } else { EventKind::WcmState { state: 1 } };
    Event {
        site: site.parse().unwrap_or(SiteCode::UNKNOWN),
        sequence,
        time: Some(time),
        time_certainty: Certainty::Local,
        log: "wsyncmgr".to_owned(),
        file: "wsyncmgr.log".to_owned(),
        offset: sequence,
        component: String::new(),
        thread: 0,
        kind,
        line: format!("line {sequence}"),
    }
}

fn day(number: i64) -> Timestamp {
    let begin: Timestamp = "2026-03-01T12:00:00Z".parse().expect("time");
    begin + (24 * number).hours()
}

/// Ten events a day, each in its own batch: of P01, and in the evening of P02.
async fn filled(dir: &Path, days: i64) -> Embedded {
    let store = Embedded::open(dir).expect("open");
    let claims = Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 };
    let session = store.open_session(&agent(), claims).await.expect("session");
    for sequence in 1..=u64::try_from(days * 10).expect("small") {
        let at = day(i64::try_from((sequence - 1) / 10).expect("small"));
        let site = if sequence % 10 == 0 { "P02" } else { "P01" };
        let place = Place { name: "P01/wsyncmgr.log".to_owned(), checkpoint: sequence.to_string().into_bytes() };
        store.commit(&session, at, vec![event(site, sequence, at)], vec![place]).await.expect("commit");
    }
    store
}

async fn numbers(store: &Embedded, query: &EventQuery) -> Vec<u64> {
    let (mut found, mut at) = (Vec::new(), Cursor::default());
    loop {
        let page = store.scan(query, at).await.expect("scan");
        found.extend(page.events.iter().map(|stored| stored.event.sequence));
        at = page.next;
        if page.end {
            return found;
        }
    }
}

async fn numbers_back(store: &Embedded, query: &EventQuery) -> Vec<u64> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = store.scan_back(query, before).await.expect("scan");
        let these: Vec<u64> = page.events.iter().map(|stored| stored.event.sequence).collect();
        found.splice(0..0, these);
        before = Some(page.next);
        if page.end {
            return found;
        }
    }
}

fn day_folders(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(dir.join("days")).expect("days").map(|entry| entry.expect("entry").path()).collect();
    all.retain(|path| path.extension().is_none());
    all.sort();
    all
}

#[tokio::test]
async fn each_day_has_its_folder_and_reading_goes_over_all_of_them_both_ways() {
    let dir = tempfile::tempdir().expect("folder");
    let all: Vec<u64> = (1..=120).collect();
    {
        let store = filled(dir.path(), 12).await;
        assert_eq!(numbers(&store, &EventQuery::default()).await, all);
    }
    let store = Embedded::open(dir.path()).expect("open");
    assert_eq!(day_folders(dir.path()).len(), 12);
    assert_eq!(numbers(&store, &EventQuery::default()).await, all);
    assert_eq!(numbers_back(&store, &EventQuery::default()).await, all);
    let of_p02 = EventQuery { sites: vec!["P02".parse().expect("site")], ..EventQuery::default() };
    let expected: Vec<u64> = (1..=12).map(|day| day * 10).collect();
    assert_eq!(numbers(&store, &of_p02).await, expected);
    assert_eq!(numbers_back(&store, &of_p02).await, expected);
    let on_a_day = EventQuery { since: Some(day(3)), until: Some(day(3)), ..EventQuery::default() };
    assert_eq!(numbers(&store, &on_a_day).await, (31..=40).collect::<Vec<_>>());
    assert_eq!(numbers_back(&store, &on_a_day).await, (31..=40).collect::<Vec<_>>());
    let of_kind = EventQuery { kinds: vec!["run-succeeded".to_owned()], ..on_a_day };
    assert_eq!(numbers(&store, &of_kind).await, [32, 34, 36, 38, 40]);
    let first = store.scan(&EventQuery::default(), Cursor::default()).await.expect("scan");
    assert_eq!((first.events.len(), first.end), (PAGE_BLOCKS, false), "a page is bounded");
    let end = store.end().await.expect("end");
    assert!(store.scan(&EventQuery::default(), end).await.expect("scan").events.is_empty());
}

#[tokio::test]
async fn old_days_are_dropped_and_the_last_known_state_is_carried_on() {
    let dir = tempfile::tempdir().expect("folder");
    let store = filled(dir.path(), 5).await;
    let size = store.expire(day(6), Retention { days: 4, bytes: u64::MAX }).await.expect("forgotten");
    assert_eq!((size.dropped_days, size.days, size.events), (2, 3, 30));
    assert_eq!(numbers(&store, &EventQuery::default()).await, (21..=50).collect::<Vec<_>>());
    let carried = |events: Vec<StoredEvent>| events.iter().map(|stored| stored.event.sequence).collect::<Vec<_>>();
    assert_eq!(carried(store.carried().await.expect("carried")), [18, 19, 20], "the newest of each kind at each site");
    let size = store.expire(day(6), Retention { days: 400, bytes: 1 }).await.expect("forgotten");
    assert_eq!((size.dropped_days, size.days), (2, 1), "the newest day stays however small the store is to be");
    drop(store);
    let store = Embedded::open(dir.path()).expect("open");
    assert_eq!(carried(store.carried().await.expect("carried")), [38, 39, 40]);
    let session = store
        .open_session(&agent(), Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 })
        .await
        .expect("session");
    assert_eq!(session.durable_sequence, 50, "how far an agent got is never forgotten");
}

#[tokio::test]
async fn a_clock_that_jumps_makes_days_that_keep_their_order() {
    let dir = tempfile::tempdir().expect("folder");
    let store = Embedded::open(dir.path()).expect("open");
    let session = store
        .open_session(&agent(), Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 })
        .await
        .expect("session");
    for (sequence, number) in [(1, 0), (2, 20_000), (3, -5), (4, 1)] {
        store.commit(&session, day(number), vec![event("P01", sequence, day(number))], Vec::new()).await.expect("commit");
    }
    assert_eq!(numbers(&store, &EventQuery::default()).await, [1, 2, 3, 4]);
    let size = store.expire(day(2), Retention { days: 30, bytes: u64::MAX }).await.expect("forgotten");
    assert_eq!(size.dropped_days, 0, "nothing is forgotten for a clock's sake");
}

/// Overwrites some bytes in the middle of a file.
fn flip(path: &Path, at: usize, count: usize) {
    let mut bytes = std::fs::read(path).expect("file");
    let end = (at + count).min(bytes.len());
    bytes[at.min(end)..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(path, bytes).expect("file");
}

#[tokio::test]
async fn a_damaged_day_costs_that_day_and_is_named() {
    for damage in ["flipped", "cut", "no database", "flipped a little"] {
        let dir = tempfile::tempdir().expect("folder");
        drop(filled(dir.path(), 5).await);
        let broken = day_folders(dir.path())[2].clone();
        match damage {
            "flipped" => flip(&broken.join("db"), 0, usize::MAX),
            "flipped a little" => flip(&broken.join("db"), 900, 600),
            "cut" => {
                let file = std::fs::OpenOptions::new().write(true).open(broken.join("db")).expect("file");
                file.set_len(700).expect("cut");
            }
            _ => std::fs::write(broken.join("conf"), b"no database").expect("file"),
        }
        let report = fsck::check(dir.path()).expect("looked through");
        assert!(!report.problems.is_empty(), "{damage} is not named");
        let store = Embedded::open(dir.path()).expect("open");
        let found = numbers(&store, &EventQuery::default()).await;
        let others: Vec<u64> = found.iter().copied().filter(|number| !(21..=30).contains(number)).collect();
        assert_eq!(others, (1..=20).chain(31..=50).collect::<Vec<_>>(), "{damage}");
        drop(store);

        let file = dir.path().join("export.jsonl");
        let mut out = Vec::new();
        let written = transfer::export(dir.path(), &file, &mut out).expect("exported");
        assert_eq!(written.events, found.len() as u64, "{damage}");
        std::fs::write(&file, out).expect("file");
        let restored = dir.path().join("restored");
        let (from, to) = (file.clone(), restored.clone());
        tokio::task::spawn_blocking(move || transfer::import(&from, &to)).await.expect("thread").expect("imported");
        let store = Embedded::open(&restored).expect("open");
        assert_eq!(numbers(&store, &EventQuery::default()).await, found, "{damage}");
        let session = store
            .open_session(&agent(), Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 })
            .await
            .expect("session");
        assert_eq!(session.durable_sequence, 50);
    }
}

#[tokio::test]
async fn when_the_newest_day_is_damaged_agents_send_it_again() {
    let dir = tempfile::tempdir().expect("folder");
    drop(filled(dir.path(), 3).await);
    std::fs::write(day_folders(dir.path())[2].join("conf"), b"no database").expect("file");
    let store = Embedded::open(dir.path()).expect("open");
    let session = store
        .open_session(&agent(), Claims { epoch: Epoch([1; 16]), oldest_sequence: 1, next_sequence: 1 })
        .await
        .expect("session");
    assert_eq!(session.durable_sequence, 20, "what was lost with it is asked for again");
    let again = (21..=30).map(|sequence| event("P01", sequence, day(2))).collect();
    store.commit(&session, day(2), again, Vec::new()).await.expect("commit");
    assert_eq!(numbers(&store, &EventQuery::default()).await, (1..=30).collect::<Vec<_>>());
    assert_eq!(day_folders(dir.path()).len(), 3, "under a number of its own, beside the one set aside");
}

#[tokio::test]
async fn a_damaged_state_is_set_aside_and_events_stay() {
    let dir = tempfile::tempdir().expect("folder");
    drop(filled(dir.path(), 2).await);
    flip(&dir.path().join("state/db"), 0, usize::MAX);
    std::fs::write(dir.path().join("state/conf"), b"no database").expect("file");
    let store = Embedded::open(dir.path()).expect("open");
    assert_eq!(numbers(&store, &EventQuery::default()).await, (1..=20).collect::<Vec<_>>());
    assert!(dir.path().join("state.quarantine-1").is_dir());
}

#[tokio::test]
async fn an_export_that_was_cut_or_changed_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let (store, restored, file) = (dir.path().join("store"), dir.path().join("restored"), dir.path().join("export.jsonl"));
    drop(filled(&store, 2).await);
    let mut out = Vec::new();
    let counts = transfer::export(&store, &file, &mut out).expect("exported");
    assert_eq!((counts.events, counts.agents, counts.damaged), (20, 1, 0));
    let report = fsck::check(&store).expect("looked through");
    assert_eq!((report.events, report.problems), (20, Vec::new()));
    let check = move |bytes: Vec<u8>, sign: &str| {
        std::fs::write(&file, bytes).expect("file");
        let error = transfer::import(&file, &restored).expect_err("refused").to_string();
        assert!(error.contains(sign), "{error}");
        assert!(!restored.exists());
    };
    let (cut, changed) = (out[..out.len() * 2 / 3].to_vec(), String::from_utf8(out).expect("text").replacen("line 7", "line 8", 1));
    tokio::task::spawn_blocking(move || {
        let end = cut.iter().rposition(|byte| *byte == b'\n').expect("a line") + 1;
        check(cut[..end].to_vec(), "cut off");
        check(cut, "no line of an export");
        check(changed.into_bytes(), "checksum");
        check(b"{\"format\":\"supwatch/export/v9\"}\n".to_vec(), "this supwatch knows");
        check(b"{\"a\":1}\n".to_vec(), "no line of an export");
    })
    .await
    .expect("thread");
}
