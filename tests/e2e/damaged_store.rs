//! A store is damaged on purpose: the collector reports it, sets the damaged part aside and continues; agents resend what they
//! still have; `fsck` names the damage, and the rest survives an export and import.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use supwatch_tests::text;

use crate::nothing_lost::{One, copy};

/// The folder of the newest day.
fn newest_day(store: &Path) -> PathBuf {
    let days = std::fs::read_dir(store.join("days")).expect("days").map(|entry| entry.expect("entry").path());
    days.filter(|path| path.extension().is_none()).max().expect("a day")
}

fn flip(path: &Path, from: usize) {
    let mut bytes = std::fs::read(path).expect("file");
    bytes.iter_mut().skip(from).for_each(|byte| *byte ^= 0x5a);
    std::fs::write(path, bytes).expect("file");
}

fn snapshot(day: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(day).expect("day").map(|entry| entry.expect("entry").path());
    files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap."))).max()
}

#[test]
fn a_damaged_store_is_named_and_filled_again_by_the_agents() {
    for damage in ["flipped bytes", "a cut file", "a stale snapshot", "no database"] {
        let mut one = One::new();
        one.start();
        one.write(300);
        // The state records the progress beside the day at most once a second.
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(3) {
            one.write(1);
            one.check();
        }
        one.house.kill_collector();
        let (store, day) = (one.house.path("store"), newest_day(&one.house.path("store")));
        // sled writes a snapshot when it is opened; restoring the older one discards the later writes.
        if damage == "a stale snapshot" {
            let older = one.house.path("older");
            copy(&day, &older);
            one.house.start_collector();
            one.write(300);
            one.check();
            one.house.kill_collector();
            if let Some(newest) = snapshot(&day) {
                std::fs::remove_file(newest).expect("removed");
            }
            if let Some(stale) = snapshot(&older) {
                std::fs::copy(&stale, day.join(stale.file_name().expect("name"))).expect("copied");
            }
        }
        match damage {
            "flipped bytes" => flip(&day.join("db"), 0),
            "a cut file" => {
                std::fs::OpenOptions::new().write(true).open(day.join("db")).expect("file").set_len(1000).expect("cut");
            }
            "no database" => std::fs::write(day.join("conf"), b"no database").expect("file"),
            _ => {}
        }
        let folder = store.to_str().expect("path");
        let looked = supwatch_tests::supwatch(&["fsck", "--store", folder]);
        println!("{damage}: {}", text(&looked.stdout));
        let is_hurt = looked.status.code() == Some(1);
        assert!(is_hurt || damage == "a stale snapshot", "{damage}: {}{}", text(&looked.stdout), text(&looked.stderr));
        one.house.start_collector();
        one.write(10);
        one.check();
        let said = one.house.collector_said();
        if damage == "no database" {
            assert!(said.contains("was set aside"), "{said}");
        }
        one.house.kill_collector();
        one.kill();
        let (file, anew) = (one.house.path("export.jsonl"), one.house.path("anew"));
        let (file, anew) = (file.to_str().expect("path"), anew.to_str().expect("path"));
        let exported = supwatch_tests::supwatch(&["export", "--store", folder, file]);
        assert!(matches!(exported.status.code(), Some(0 | 1)), "{}", text(&exported.stderr));
        one.house.run(&["import", "--store", anew, file], 0);
        one.house.run(&["fsck", "--store", anew], 0);
        std::fs::rename(&store, one.house.path("before")).expect("renamed");
        std::fs::rename(anew, &store).expect("renamed");
        one.house.start_collector();
        one.start();
        one.write(10);
        one.check();
    }
}
