//! Stores and spools of earlier formats open and continue. The fixtures are kept forever: each was written by the program of its
//! time, with an agent killed before the collector had everything.

use std::process::Command;

use supwatch_tests::{here, wait_for};

use crate::nothing_lost::{One, stored};

#[test]
fn a_spool_and_a_store_of_the_first_format_go_on() {
    let mut one = One::new();
    one.house.kill_collector();
    std::fs::remove_dir_all(one.house.path("store")).expect("removed");
    let archive = here().join("fixtures/formats/first.tar.gz");
    let unpacked = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(one.house.path("")).status().expect("tar runs");
    assert!(unpacked.success());
    // 300 lines are in the store, 120 more only in the spool, 80 only in the log.
    one.written = 500;
    let log = std::fs::read_to_string(one.house.path("first.log")).expect("log");
    std::fs::write(one.site.log(), log).expect("log");
    one.house.start_collector();
    let before = stored(&one.house).expect("events").remove("CEN").unwrap_or_default();
    assert_eq!(before, (0..300).collect::<Vec<_>>(), "what the old store held");
    one.start();
    one.check();
    let findings = wait_for("the findings", || one.house.ask(&["findings", "--all"]));
    assert!(findings.to_string().contains("supwatch/findings"), "{findings}");
    one.write(20);
    one.check();
    one.kill();
    one.house.kill_collector();
    let store = one.house.path("store");
    one.house.run(&["fsck", "--store", store.to_str().expect("path")], 0);
}
