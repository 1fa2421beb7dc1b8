//! Guarantees of the database other than power cuts, which are tested end to end on a disk of their own.

use std::path::Path;

use super::*;

fn open(path: &Path) -> Durable {
    Durable::open(path, 1 << 20).expect("open")
}

fn commit(durable: &Durable, entries: &[(&[u8], &[u8])]) {
    let mut batch = Batch::new();
    entries.iter().for_each(|(key, value)| batch.put(key, 1, value));
    durable.commit(batch).expect("commit");
}

fn keys(durable: &Durable, from: &[u8], prefix: &[u8]) -> Vec<Vec<u8>> {
    durable.scan(from, prefix).map(|entry| entry.expect("read").0).collect()
}

/// Everything that sled holds, parts included.
fn entries(durable: &Durable) -> usize {
    durable.handle().expect("open").tree.iter().count()
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("db");
    commit(&open(&path), &[(b"E1", b"e1"), (b"E2", b"e2"), (b"F1", b"f1")]);
    let durable = open(&path);
    assert_eq!(durable.get(b"E2").expect("read"), Some((1, b"e2".to_vec())));
    assert_eq!(keys(&durable, b"E2", b"E"), [b"E2".to_vec()]);
    assert_eq!(durable.last_until(b"E\xff", b"E").expect("read").map(|entry| entry.0), Some(b"E2".to_vec()));
    assert_eq!(durable.last_until(b"D", b"E").expect("read"), None);
}

#[test]
fn a_large_value_is_split_into_parts_and_leaves_none_behind() {
    let dir = tempfile::tempdir().expect("folder");
    let durable = open(&dir.path().join("db"));
    let value = |size: usize, seed: usize| -> Vec<u8> { (0..size).map(|index| (index * 31 + seed) as u8).collect() };
    for (seed, size) in [90_000, 5_000, 0, 4_087, 4_088, 60_000].into_iter().enumerate() {
        let value = value(size, seed);
        commit(&durable, &[(b"a", &value), (b"b", b"beside it")]);
        assert_eq!(durable.get(b"a").expect("read"), Some((1, value.clone())));
        assert_eq!(durable.scan(b"", b"").next().expect("one").expect("read"), (b"a".to_vec(), 1, value.clone()));
        assert_eq!(durable.last_until(b"a", b"").expect("read").map(|entry| entry.2), Some(value));
        assert_eq!(entries(&durable), 1 + (size + 9).div_ceil(4_096), "{size}");
    }
    assert_eq!(keys(&durable, b"", b""), [b"a".to_vec(), b"b".to_vec()], "parts are nobody's entries");
    let mut batch = Batch::new();
    batch.put(b"a", 1, &value(50_000, 0));
    batch.remove(b"a");
    durable.commit(batch).expect("commit");
    assert_eq!((durable.get(b"a").expect("read"), entries(&durable)), (None, 1));
}

#[test]
fn a_part_that_is_missing_is_damage_of_its_value_alone() {
    let dir = tempfile::tempdir().expect("folder");
    let durable = open(&dir.path().join("db"));
    commit(&durable, &[(b"a", &[1; 9_000]), (b"b", &[2; 9_000])]);
    durable.handle().expect("open").tree.remove(part_key(b"a", 1)).expect("removed");
    assert!(matches!(durable.get(b"a"), Err(DurableError::Corrupt(key)) if key == b"a"));
    let found: Vec<bool> = durable.scan(b"", b"").map(|entry| entry.is_ok()).collect();
    assert_eq!(found, [false, true]);
}

#[test]
fn nothing_becomes_a_file_that_is_never_synced() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("db");
    let durable = open(&path);
    // The longest keys, in an order that splits pages everywhere; then most are removed, so that pages merge.
    let key = |number: u32| format!("{:0>470}", number.wrapping_mul(2_654_435_761) % 100_000).into_bytes();
    for number in 0..600 {
        commit(&durable, &[(&key(number), &vec![number as u8; 4_000 + (number as usize % 7) * 13_000])]);
    }
    for number in (0..600).filter(|number| number % 5 != 0) {
        let mut batch = Batch::new();
        batch.remove(&key(number));
        durable.apply(batch).expect("applied");
    }
    commit(&durable, &[(b"last", b"one")]);
    assert_eq!(std::fs::read_dir(path.join("blobs")).expect("folder").count(), 0);
    let left: Vec<u32> = (0..600).filter(|number| number % 5 == 0).collect();
    assert!(left.iter().all(|number| durable.get(&key(*number)).expect("read").is_some()));
}

#[test]
fn memory_is_released_by_reopening_except_during_a_scan() {
    let dir = tempfile::tempdir().expect("folder");
    let durable = Durable::open(&dir.path().join("db"), 64 << 10).expect("open");
    let which = |durable: &Durable| Arc::as_ptr(&durable.handle().expect("open")) as usize;
    let first = Arc::clone(durable.handle.read().expect("lock").as_ref().expect("open"));
    for number in 0..20u8 {
        commit(&durable, &[(&[b'k', number], &[number; 9_000])]);
    }
    assert_eq!(which(&durable), Arc::as_ptr(&first) as usize, "somebody has it");
    drop(first);
    let before = durable.touched.load(Ordering::Relaxed);
    drop(durable.handle());
    assert!(before > 64 << 10 && durable.touched.load(Ordering::Relaxed) == 0);
    assert_eq!(keys(&durable, b"k", b"k").len(), 20);
}

#[test]
fn a_database_that_was_removed_is_not_recreated_and_works_when_it_is_back() {
    let dir = tempfile::tempdir().expect("folder");
    let (path, away) = (dir.path().join("db"), dir.path().join("away"));
    let durable = Durable::open(&path, 64 << 10).expect("open");
    for number in 0..20u8 {
        commit(&durable, &[(&[b'k', number], &[number; 9_000])]);
    }
    std::fs::rename(&path, &away).expect("rename");
    while durable.get(b"k\x01").is_ok() {}
    assert!(matches!(durable.get(b"k\x01"), Err(DurableError::Read(_))) && !path.exists() && !durable.has_failed());
    std::fs::rename(&away, &path).expect("rename");
    assert_eq!(durable.get(b"k\x01").expect("read"), Some((1, vec![1; 9_000])));
}

#[test]
fn a_second_opener_gets_a_locked_error() {
    let dir = tempfile::tempdir().expect("folder");
    let _first = open(dir.path());
    assert!(matches!(Durable::open(dir.path(), 1 << 20), Err(OpenError::Locked { .. })));
}

#[test]
fn a_database_whose_making_was_cut_off_is_made_again() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("db");
    let torn = dir.path().join("db.new");
    std::fs::create_dir(&torn).expect("folder");
    std::fs::write(torn.join("conf"), [0; 62]).expect("write");
    commit(&open(&path), &[(b"a", b"1")]);
    assert!(!torn.exists());
}

#[test]
fn a_damaged_database_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("folder");
    std::fs::write(dir.path().join("conf"), b"this is no database").expect("write");
    std::fs::write(dir.path().join("db"), vec![7; 4096]).expect("write");
    let error = Durable::open(dir.path(), 1 << 20).expect_err("refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(dir.path().join("conf")).expect("read"), b"this is no database");
}

#[test]
fn what_it_does_not_take_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("folder");
    let durable = open(dir.path());
    let with = |key: &[u8], value: &[u8]| {
        let mut batch = Batch::new();
        batch.put(b"small", 1, b"x");
        batch.put(key, 1, value);
        durable.commit(batch)
    };
    assert!(matches!(with(b"large", &[0; VALUE_LIMIT]), Err(DurableError::TooLarge(_))));
    assert!(matches!(with(&[b'k'; 481], b"x"), Err(DurableError::Key(_))));
    assert!(matches!(with(b"\0mine", b"x"), Err(DurableError::Key(_))));
    assert_eq!(durable.get(b"small").expect("read"), None);
}
