//! Guarantees of the spool to its users; durability is tested in `durable`.

use super::block::PLACE_BYTES;
use super::*;
use supwatch_model::event::EventKind;
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

fn event(line: &str) -> Event {
    Event {
        site: SiteCode::UNKNOWN,
        sequence: 0,
        time: None,
        time_certainty: Certainty::Local,
        log: String::new(),
        file: String::new(),
        offset: 0,
        component: String::new(),
        thread: 0,
        kind: EventKind::RunSucceeded,
        line: line.to_owned(),
    }
}

fn numbers(spool: &Spool, from: u64) -> Vec<u64> {
    let (mut all, mut at) = (Vec::new(), from);
    loop {
        let block = spool.read_from(at).expect("read");
        let Some(last) = block.events.last() else { return all };
        at = last.sequence + 1;
        all.extend(block.events.iter().map(|event| event.sequence));
    }
}

#[test]
fn events_are_numbered_without_gaps_over_restarts() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("spool");
    let epoch = {
        let spool = Spool::open(&path).expect("open");
        spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "P01/a.log", &7).expect("commit");
        spool.epoch()
    };
    let spool = Spool::open(&path).expect("open");
    spool.commit(vec![event("x")], "P01/a.log", &8).expect("commit");
    assert_eq!((spool.epoch(), spool.next_sequence()), (epoch, 602));
    assert_eq!(numbers(&spool, 1), (1..=601).collect::<Vec<_>>());
    assert_eq!(numbers(&spool, 300), (300..=601).collect::<Vec<_>>());
    assert_eq!(spool.checkpoint::<u32>("P01/a.log").expect("read"), Some(8));
    assert_eq!(spool.checkpoint::<u32>("P01/b.log").expect("read"), None);
}

#[test]
fn every_number_is_found_in_its_block_whatever_the_sizes_around_it() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    for count in [1, 1, 600, 3, 1, 520, 1] {
        spool.commit((0..count).map(|n| event(&n.to_string())).collect(), "a", &0).expect("commit");
    }
    let end = spool.next_sequence();
    for number in 1..end {
        let block = spool.read_from(number).expect("read");
        assert_eq!(block.events.first().map(|event| event.sequence), Some(number));
    }
    assert!(spool.read_from(end).expect("read").events.is_empty());
    spool.forget(600, 0).expect("forget");
    let oldest = spool.oldest_sequence();
    assert_eq!(spool.read_from(1).expect("read").events.first().map(|event| event.sequence), Some(oldest), "the first there is");
}

#[test]
fn what_is_acknowledged_is_forgotten_by_whole_blocks() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "a", &0).expect("commit");
    spool.forget(511, 0).expect("forget");
    assert_eq!(spool.oldest_sequence(), 1, "its block holds one more");
    spool.forget(550, 0).expect("forget");
    assert_eq!(spool.oldest_sequence(), 513);
    assert_eq!(numbers(&spool, 551), (551..=600).collect::<Vec<_>>());
    spool.forget(600, 0).expect("forget");
    assert_eq!((numbers(&spool, 1), spool.oldest_sequence()), (vec![], 601));
    spool.commit(vec![event("x")], "a", &0).expect("commit");
    assert_eq!(numbers(&spool, 601), [601]);
}

#[test]
fn what_is_acknowledged_stays_for_a_collector_that_is_restored() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    spool.commit((0..600).map(|n| event(&n.to_string())).collect(), "a", &0).expect("commit");
    spool.acknowledge(600).expect("taken note");
    assert_eq!((spool.undelivered(), spool.oldest_sequence()), (0, 1));
    // Restored from a copy, the collector has less than it acknowledged.
    spool.acknowledge(10).expect("taken note");
    assert_eq!((spool.undelivered(), numbers(&spool, 11)), (590, (11..=600).collect()));
}

#[test]
fn a_new_epoch_reads_nothing_before_it_knows_where_and_what_an_old_one_read_is_refused() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    let first = spool.epoch();
    assert!(spool.is_fresh());
    let place = wire::Place { name: "P01/a.log".to_owned(), checkpoint: b"7".to_vec() };
    spool.resume(std::slice::from_ref(&place)).expect("resumed");
    assert_eq!((spool.is_fresh(), spool.checkpoint::<u32>("P01/a.log").expect("read")), (false, Some(7)));
    spool.resume(&[wire::Place { checkpoint: b"9".to_vec(), ..place }]).expect("no more");
    assert_eq!(spool.checkpoint::<u32>("P01/a.log").expect("read"), Some(7), "only the first answer counts");
    spool.commit(vec![event("x")], "P01/a.log", &8).expect("commit");

    spool.begin_new_epoch().expect("a new epoch");
    assert!(spool.epoch() != first && spool.is_fresh() && spool.next_sequence() == 1);
    assert_eq!((numbers(&spool, 1), spool.checkpoint::<u32>("P01/a.log").expect("read")), (vec![], None));
    assert!(matches!(spool.commit_in(first, vec![event("y")], "P01/a.log", &[(1, 9)]), Err(SpoolError::NewEpoch)));
}

#[test]
fn a_block_ends_with_a_piece_and_carries_its_checkpoint() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    let place = |at: u64| [wire::Place { name: "P01/a.log".to_owned(), checkpoint: at.to_string().into_bytes() }];
    let events = |count: u64| (0..count).map(|n| event(&n.to_string())).collect();
    spool.commit_in(spool.epoch(), events(700), "P01/a.log", &[(100, 10), (300, 30), (400, 40), (700, 70)]).expect("commit");
    let block =
        |from| spool.read_from(from).map(|block| (block.events.last().map(|event| event.sequence), block.places)).expect("read");
    assert_eq!(block(1), (Some(300), place(30).to_vec()));
    assert_eq!(block(301), (Some(700), place(70).to_vec()));
    // A piece too large for one block is still delivered whole.
    spool.commit(events(1_200), "P01/a.log", &99).expect("commit");
    assert_eq!(block(701), (Some(700 + 512), vec![]));
    let whole = spool.read_piece(750).expect("read");
    let numbers: Vec<u64> = whole.events.iter().map(|event| event.sequence).collect();
    assert_eq!((numbers, whole.places), ((750..=1_900).collect(), place(99).to_vec()));
    assert_eq!(spool.read_piece(301).expect("read").events.len(), 400, "the next piece does not come with it");
}

#[test]
fn a_large_event_fits_beside_others() {
    let dir = tempfile::tempdir().expect("folder");
    let spool = Spool::open(dir.path()).expect("open");
    let events = vec![event(&"x".repeat(23_000)), event(&"y".repeat(79_000)), event("z")];
    spool.commit(events, "a", &"c".repeat(PLACE_BYTES - 100)).expect("commit");
    assert_eq!(numbers(&spool, 1), [1, 2, 3]);
}

#[test]
fn a_damaged_spool_is_set_aside_and_a_new_epoch_begins() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("spool");
    std::fs::create_dir(&path).expect("folder");
    std::fs::write(path.join("conf"), b"no database").expect("write");
    let spool = Spool::open(&path).expect("open");
    assert_eq!(spool.next_sequence(), 1);
    assert!(dir.path().join("spool.quarantine-1/conf").exists());
}
