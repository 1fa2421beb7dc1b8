//! One suite for all stores: the same cases, and random ones compared with the in-memory model.

use super::*;
use crate::memory::Memory;
use proptest::prelude::*;
use supwatch_model::event::EventKind;
use supwatch_model::ids::{Epoch, SiteCode};
use supwatch_model::time::Certainty;
use supwatch_model::verdict::Severity;

fn event(sequence: u64) -> Event {
    Event {
        site: "P01".parse().unwrap_or(SiteCode::UNKNOWN),
        sequence,
        time: None,
        time_certainty: Certainty::Local,
        log: String::new(),
        file: String::new(),
        offset: sequence,
        component: String::new(),
        thread: 0,
        kind: EventKind::RunSucceeded,
        line: "x".repeat(usize::try_from(sequence % 3 * 20_000).expect("small")),
    }
}

fn events(numbers: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    numbers.map(event).collect()
}

fn agent() -> AgentId {
    AgentId("P01/srv".to_owned())
}

fn claims(epoch: u8, oldest_sequence: u64) -> Claims {
    Claims { epoch: Epoch([epoch; 16]), oldest_sequence, next_sequence: oldest_sequence }
}

async fn all(store: &dyn Store) -> Vec<(Epoch, u64)> {
    let (mut found, mut at) = (Vec::new(), Cursor::default());
    loop {
        let page = store.scan(&EventQuery::default(), at).await.expect("scan");
        found.extend(page.events.iter().map(|stored| (stored.epoch, stored.event.sequence)));
        at = page.next;
        if page.end {
            return found;
        }
    }
}

fn place(name: &str, checkpoint: &str) -> Place {
    Place { name: name.to_owned(), checkpoint: checkpoint.as_bytes().to_vec() }
}

async fn cases(store: &dyn Store) {
    let now = Timestamp::UNIX_EPOCH;
    let session = store.open_session(&agent(), claims(1, 1)).await.expect("open");
    assert_eq!(session.durable_sequence, 0);
    let committed = store.commit(&session, now, events(1..=5), Vec::new()).await.expect("commit");
    assert_eq!((committed.durable_sequence, committed.stored.len()), (5, 5));
    let again = store.commit(&session, now, events(3..=7), Vec::new()).await.expect("commit");
    assert_eq!((again.durable_sequence, again.stored.len()), (7, 2), "what overlaps is stored once");
    assert!(matches!(store.commit(&session, now, events(9..=9), Vec::new()).await, Err(StoreError::Gap { expected: 8 })));
    let mut torn = events(8..=9);
    torn[1].sequence = 12;
    assert!(matches!(store.commit(&session, now, torn, Vec::new()).await, Err(StoreError::Gap { expected: 8 })));

    let newer = store.open_session(&agent(), claims(1, 1)).await.expect("open");
    assert_eq!((newer.durable_sequence, newer.proof), (7, events(7..=7).first().map(Event::proof)));
    assert!(
        matches!(store.commit(&session, now, events(8..=8), Vec::new()).await, Err(StoreError::Fenced)),
        "an older session is fenced"
    );
    store.commit(&newer, now, events(8..=8), vec![place("P01/a.log", "7")]).await.expect("commit");
    store.commit(&newer, now, events(8..=8), vec![place("P01/a.log", "5")]).await.expect("nothing of it is new");

    let next_epoch = store.open_session(&agent(), claims(2, 1)).await.expect("open");
    assert_eq!(next_epoch.durable_sequence, 0);
    store.commit(&next_epoch, now, events(1..=2), Vec::new()).await.expect("commit");
    assert_eq!(next_epoch.resume, [place("P01/a.log", "7")], "a new epoch goes on where files are stored");
    let lost = store.open_session(&agent(), claims(2, 10)).await.expect("open");
    assert_eq!((lost.resume.len(), lost.proof), (0, None), "one that is known knows by itself; what was lost proves nothing");
    assert_eq!((lost.durable_sequence, lost.lost), (9, 7), "a gap that nobody can fill is counted");
    let old = store.open_session(&agent(), claims(1, 1)).await.expect("open");
    assert_eq!((lost.is_replaced, old.is_replaced), (false, true), "what a later epoch delivered, an older one would send again");

    let expected: Vec<(Epoch, u64)> = (1..=8).map(|n| (Epoch([1; 16]), n)).chain((1..=2).map(|n| (Epoch([2; 16]), n))).collect();
    assert_eq!(all(store).await, expected);
    notified(store).await;
    let none = EventQuery { kinds: vec!["run-failed".to_owned()], ..EventQuery::default() };
    assert_eq!(store.scan(&none, Cursor::default()).await.expect("scan").events, []);
}

async fn notified(store: &dyn Store) {
    let state =
        |times| LastNotified { opened_at: Some(Timestamp::UNIX_EPOCH), severity: Severity::Warning, resolved: false, times };
    assert_eq!(store.notified("ops").await.expect("told"), BTreeMap::new());
    store.put_notified("ops", &[("a".to_owned(), state(1)), ("b".to_owned(), state(1))]).await.expect("kept");
    store.put_notified("ops", &[("a".to_owned(), state(2))]).await.expect("kept");
    store.put_notified("op", &[("c".to_owned(), state(1))]).await.expect("kept");
    assert_eq!(store.exported().await.expect("exported"), BTreeMap::new());
    store.put_exported(&[(String::new(), 9), ("CEN-1".to_owned(), 2)]).await.expect("kept");
    store.put_exported(&[("CEN-1".to_owned(), 3)]).await.expect("kept");
    check_notified(store).await;
}

async fn check_notified(store: &dyn Store) {
    assert_eq!(store.exported().await.expect("exported"), BTreeMap::from([(String::new(), 9), ("CEN-1".to_owned(), 3)]));
    let found = store.notified("ops").await.expect("told");
    let times: Vec<_> = found.iter().map(|(id, notified)| (id.as_str(), notified.times)).collect();
    assert_eq!(times, [("a", 2), ("b", 1)], "the newest of each finding, and nothing of another target");
    assert_eq!(store.notified("op").await.expect("told").len(), 1);
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    cases(&Memory::default()).await;
}

#[tokio::test]
async fn the_embedded_store_keeps_the_promises_also_after_opening_again() {
    let dir = tempfile::tempdir().expect("folder");
    let before = {
        let store = Embedded::open(dir.path()).expect("open");
        cases(&store).await;
        all(&store).await
    };
    let store = Embedded::open(dir.path()).expect("open");
    assert_eq!(all(&store).await, before);
    check_notified(&store).await;
    let session = store.open_session(&agent(), claims(1, 1)).await.expect("open");
    assert_eq!(session.durable_sequence, 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn random_sends_and_resends_end_as_in_the_model(acts in proptest::collection::vec((0u8..3, 1u64..12, 0u64..6, any::<bool>()), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let dir = tempfile::tempdir().expect("folder");
            let (model, store) = (Memory::default(), Embedded::open(dir.path()).expect("open"));
            let mut sessions: Option<(Session, Session)> = None;
            for (epoch, first, count, reopen) in acts {
                if reopen || sessions.is_none() {
                    let claims = claims(epoch, 1);
                    sessions = Some((model.open_session(&agent(), claims).await.expect("open"), store.open_session(&agent(), claims).await.expect("open")));
                }
                let Some((of_model, of_store)) = &sessions else { continue };
                let batch = events(first..=first + count);
                let expected = model.commit(of_model, Timestamp::UNIX_EPOCH, batch.clone(), Vec::new()).await.map_err(|error| error.to_string());
                let found = store.commit(of_store, Timestamp::UNIX_EPOCH, batch, Vec::new()).await.map_err(|error| error.to_string());
                assert_eq!(found, expected);
            }
            assert_eq!(all(&store).await, all(&model).await);
        });
    }
}
