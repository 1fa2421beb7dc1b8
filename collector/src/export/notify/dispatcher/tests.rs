//! Deliveries to a target that fails and recovers, with findings that come and go, and restarts.

use super::*;
use crate::export::notify::DeliverError;
use crate::export::notify::plan::State;
use crate::export::notify::plan::tests::{at, filter, finding, resolved, severity};
use async_trait::async_trait;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Mutex;
use supwatch_model::text::Lang;
use supwatch_model::verdict::Severity;
use supwatch_store::memory::Memory;

/// A target that accepts notices or rejects them, and records those it accepted.
#[derive(Clone, Default)]
struct Receiver {
    up: Arc<Mutex<bool>>,
    never: Arc<Mutex<BTreeSet<String>>>,
    took: Arc<Mutex<Vec<Notice>>>,
}

impl Receiver {
    fn set(&self, up: bool) {
        *self.up.lock().expect("lock") = up;
    }

    fn took(&self) -> Vec<Notice> {
        self.took.lock().expect("lock").clone()
    }
}

#[async_trait]
impl Deliver for Receiver {
    async fn deliver(&self, notice: &Notice, _now: Timestamp) -> Result<(), DeliverError> {
        if !*self.up.lock().expect("lock") || self.never.lock().expect("lock").contains(&notice.finding.id) {
            return Err(DeliverError::Late);
        }
        self.took.lock().expect("lock").push(notice.clone());
        Ok(())
    }
}

async fn dispatcher(store: &Arc<Memory>, receiver: &Receiver, counters: &Arc<Counters>) -> Dispatcher<Receiver> {
    let address = Address { hierarchy: "corp".to_owned(), target: "ops".to_owned(), lang: Lang::En };
    let backoff = Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) };
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    Dispatcher::new(address, filter(), receiver.clone(), backoff, store, Arc::clone(counters)).await.expect("dispatcher")
}

/// One look and one attempt, without backoff.
async fn once(dispatcher: &mut Dispatcher<Receiver>, findings: &[Finding], now: Timestamp) -> bool {
    let plan = dispatcher.update_plan(findings, now).await.expect("plan");
    let Some(step) = dispatcher.choose(&plan) else { return false };
    dispatcher.send(&step, findings, now).await.expect("sent");
    true
}

#[derive(Debug, Clone)]
enum Act {
    Open(usize, Severity),
    Resolve(usize),
    Turn(usize, Severity),
    Send(bool),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0usize..4, severity()).prop_map(|(which, severity)| Act::Open(which, severity)),
        (0usize..4).prop_map(Act::Resolve),
        (0usize..4, severity()).prop_map(|(which, severity)| Act::Turn(which, severity)),
        any::<bool>().prop_map(Act::Send),
        Just(Act::Restart),
    ]
}

fn play(findings: &mut BTreeMap<String, Finding>, act: &Act, now: i64) {
    let id = |which: &usize| format!("f{which}");
    match act {
        Act::Open(which, severity) => {
            let is_open = findings.get(&id(which)).is_some_and(|finding| finding.resolved_at.is_none());
            if !is_open {
                findings.insert(id(which), finding(&id(which), *severity, now));
            }
        }
        Act::Resolve(which) => {
            if let Some(open) = findings.get_mut(&id(which)).filter(|finding| finding.resolved_at.is_none()) {
                open.resolved_at = Some(at(now));
            }
        }
        Act::Turn(which, severity) => {
            if let Some(open) = findings.get_mut(&id(which)).filter(|finding| finding.resolved_at.is_none()) {
                open.severity = *severity;
            }
        }
        Act::Send(_) | Act::Restart => {}
    }
}

/// Whether the last notification a target got of a finding matches its current state.
fn is_known(finding: &Finding, took: &[Notice]) -> bool {
    let last = took.iter().rfind(|notice| notice.finding.id == finding.id);
    match last {
        None => finding.resolved_at.is_some() || finding.severity > filter().severity,
        Some(last) if finding.resolved_at.is_some() => last.state == State::Resolved,
        Some(last) => {
            let same = last.state != State::Resolved && last.finding.opened_at == finding.opened_at;
            let worst = last.finding.severity <= finding.severity;
            (same && worst) || finding.severity > filter().severity
        }
    }
}

/// No target is notified of the end of a finding it was not notified of.
fn ends_have_beginnings(took: &[Notice]) -> bool {
    took.iter().enumerate().filter(|(_, notice)| notice.state == State::Resolved).all(|(index, end)| {
        let before = took[..index].iter().rfind(|notice| notice.finding.id == end.finding.id);
        before.is_some_and(|notice| notice.state != State::Resolved)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_the_target_is_up_to_date_in_the_end_and_got_nothing_twice(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let (store, receiver, counters) = (Arc::new(Memory::default()), Receiver::default(), Arc::new(Counters::default()));
            let mut dispatcher_now = dispatcher(&store, &receiver, &counters).await;
            let mut findings = BTreeMap::new();
            let listed = |findings: &BTreeMap<String, Finding>| findings.values().cloned().collect::<Vec<_>>();
            let mut now = 0;
            for act in &acts {
                now += 1;
                play(&mut findings, act, now);
                match act {
                    Act::Send(works) => {
                        receiver.set(*works);
                        once(&mut dispatcher_now, &listed(&findings), at(now)).await;
                    }
                    Act::Restart => dispatcher_now = dispatcher(&store, &receiver, &counters).await,
                    _ => {}
                }
            }
            receiver.set(true);
            let mut rounds = 0;
            while once(&mut dispatcher_now, &listed(&findings), at(now)).await {
                rounds += 1;
                assert!(rounds <= findings.len(), "a round tells something new of a finding, or there is none");
            }
            let took = receiver.took();
            let keys: BTreeSet<_> = took.iter().map(|notice| &notice.key).collect();
            assert_eq!(keys.len(), took.len(), "a key came twice");
            let facts: BTreeSet<_> =
                took.iter().map(|n| (&n.finding.id, n.finding.opened_at, n.state, n.finding.severity, n.finding.resolved_at)).collect();
            assert_eq!(facts.len(), took.len(), "a state was told twice: {took:#?}");
            assert!(ends_have_beginnings(&took), "{took:#?}");
            for finding in findings.values() {
                assert!(is_known(finding, &took), "{finding:#?} is not what was told: {took:#?}");
            }
            let counts = counters.targets().into_iter().map(|(_, counts)| (counts.sent, counts.waiting)).collect::<Vec<_>>();
            assert_eq!(counts, [(took.len() as u64, 0)]);
        });
    }
}

#[tokio::test]
async fn a_notification_that_is_never_accepted_does_not_block_the_others() {
    let (store, receiver, counters) = (Arc::new(Memory::default()), Receiver::default(), Arc::new(Counters::default()));
    receiver.set(true);
    receiver.never.lock().expect("lock").insert("a".to_owned());
    let findings = [finding("a", Severity::Critical, 0), finding("b", Severity::Warning, 0), finding("c", Severity::Warning, 0)];
    let mut dispatcher = dispatcher(&store, &receiver, &counters).await;
    for _ in 0..4 {
        once(&mut dispatcher, &findings, at(1)).await;
    }
    let took: Vec<String> = receiver.took().into_iter().map(|notice| notice.finding.id).collect();
    assert_eq!(took, ["b", "c"]);
    assert_eq!(counters.targets()[0].1.waiting, 1);
}

#[tokio::test]
async fn a_collector_that_dies_before_the_record_sends_again_under_the_same_key() {
    let (store, receiver, counters) = (Arc::new(Memory::default()), Receiver::default(), Arc::new(Counters::default()));
    receiver.set(true);
    let findings = [finding("a", Severity::Critical, 0)];
    once(&mut dispatcher(&store, &receiver, &counters).await, &findings, at(1)).await;
    once(&mut dispatcher(&Arc::new(Memory::default()), &receiver, &counters).await, &findings, at(2)).await;
    let keys: Vec<String> = receiver.took().into_iter().map(|notice| notice.key).collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
}

/// Waits until the target has accepted this many.
async fn took(receiver: &Receiver, many: usize) {
    let taken = async {
        while receiver.took().len() < many {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap_or_else(|_| panic!("only {:?}", receiver.took()));
}

#[tokio::test]
async fn a_teller_wakes_for_changes_and_for_pauses_and_ends_when_stopped() {
    let (store, receiver, counters) = (Arc::new(Memory::default()), Receiver::default(), Arc::new(Counters::default()));
    let findings = Arc::new(Mutex::new(vec![finding("a", Severity::Critical, 0)]));
    let (changed, changes) = watch::channel(0u64);
    let (stop, mut stopping) = watch::channel(false);
    let seen = Arc::clone(&findings);
    let dispatcher = dispatcher(&store, &receiver, &counters).await;
    let running = tokio::spawn(dispatcher.run(move || seen.lock().expect("lock").clone(), changes, || at(9), async move {
        drop(stopping.wait_for(|stop| *stop).await)
    }));
    while counters.targets().first().is_none_or(|(_, counts)| counts.failed < 3) {
        tokio::task::yield_now().await;
    }
    receiver.set(true);
    took(&receiver, 1).await;
    *findings.lock().expect("lock") = vec![resolved(finding("a", Severity::Critical, 0), 5)];
    changed.send_modify(|count| *count += 1);
    took(&receiver, 2).await;
    stop.send_replace(true);
    running.await.expect("ended").expect("no fault");
    let states: Vec<State> = receiver.took().iter().map(|notice| notice.state).collect();
    assert_eq!(states, [State::Open, State::Resolved]);
}

#[test]
fn pauses_grow_from_a_second_to_five_minutes_and_are_scattered() {
    let after = |failures, share| BACKOFF.after(failures, share).as_millis();
    assert_eq!((after(1, 1.0), after(2, 1.0), after(5, 1.0)), (1000, 2000, 16_000));
    assert_eq!((after(1, 0.0), after(3, 0.5)), (500, 3000));
    assert_eq!((after(10, 1.0), after(33, 1.0), after(u32::MAX, 1.0)), (300_000, 300_000, 300_000));
}
