//! A network share sends no change notices: with notices turned off the sweep alone finds every line, in order.

use std::time::{Duration, Instant};

use supwatch_tests::{House, wait_for};

use crate::nothing_lost::{One, stored};

#[test]
fn without_change_notices_every_line_arrives_with_a_sweep() {
    let mut one = One::new();
    let text = std::fs::read_to_string(&one.config).expect("configuration");
    std::fs::write(&one.config, format!("notices = false\n{text}")).expect("configuration");
    one.write(1);
    one.start();
    one.check();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let (start, before) = (Instant::now(), one.written);
        one.write(3);
        // The wait polls repeatedly, so this includes the time of a query.
        wait_for("the next lines", || match stored(&one.house)?.remove("CEN").unwrap_or_default() {
            found if found.len() as u64 > before => Ok(()),
            found => Err(format!("{} of {}", found.len(), one.written)),
        });
        slowest = slowest.max(start.elapsed());
        one.check();
    }
    println!("from written to shown, with sweeps a second apart: {slowest:?} at most");
    // Rolled over by rename while the agent looks only occasionally.
    std::fs::rename(one.site.log(), one.site.folder.join("logs/wsyncmgr.lo_")).expect("rename");
    one.write(20);
    one.check();
    let gaps = one.house.events().expect("events").into_iter().filter(|event| event["kind"] == "log-gap").count();
    assert_eq!(gaps, 0);
    one.kill();
    one.agent = Some(House::start_agent(&one.config));
    one.write(5);
    one.check();
}
