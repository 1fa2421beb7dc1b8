//! Probe results → a partial snapshot of the site; and whether it differs from the last one sent.
//!
//! Pure. It contains only the fields that probes determine, so that it overwrites nothing from other sources.

use jiff::{SignedDuration, Timestamp};
use supwatch_model::ids::SiteCode;
use supwatch_model::settings::{Known, Reach, Settings, VirtualDirectory, Wsus};

use crate::probe::plan::{Part, ResultSlot, Target};
use crate::probe::seen::Seen;

/// Difference in clock offsets, in seconds, that counts as none: network delay and the whole seconds of `Date` cause as much.
const CLOCK_JITTER_S: u64 = 2;
/// Time after which an unchanged snapshot is sent again, so that the collector does not treat it as stale.
pub const RESEND_AFTER: SignedDuration = SignedDuration::from_hours(6);

/// The partial snapshot of one probing round.
pub fn snapshot(site: SiteCode, taken_at: Timestamp, round: &[(Target, Seen)]) -> Settings {
    let mut servers: Vec<Wsus> = Vec::new();
    for (target, seen) in round {
        for ResultSlot { wsus, part } in &target.slots {
            let name = Known::Some(wsus.clone());
            match servers.iter_mut().find(|server| server.server == name) {
                Some(server) => fill(server, *part, target, seen),
                None => {
                    let mut server = Wsus { server: name, ..Wsus::default() };
                    fill(&mut server, *part, target, seen);
                    servers.push(server);
                }
            }
        }
    }
    Settings {
        schema: Known::Some("supwatch/settings/v1".to_owned()),
        site: Known::Some(site),
        taken_at: Known::Some(taken_at),
        source: Known::Some("probe".to_owned()),
        wsus: Known::Some(servers),
        ..Settings::default()
    }
}

fn fill(wsus: &mut Wsus, part: Part, target: &Target, seen: &Seen) {
    let reach = Known::Some(reach(target, seen));
    match part {
        Part::Source => wsus.upstream_reach = reach,
        Part::Itself => {
            wsus.reach = reach;
            if !seen.directories.is_empty() {
                let answers = seen.directories.iter().map(|(name, status)| ((*name).to_owned(), anonymous(*status)));
                wsus.virtual_directories = Known::Some(answers.collect());
            }
        }
    }
}

fn anonymous(status: u16) -> VirtualDirectory {
    VirtualDirectory { status: Known::Some(status), authenticated: Known::Some(false) }
}

fn reach(target: &Target, seen: &Seen) -> Reach {
    Reach {
        host: Known::Some(target.address.host.clone()),
        port: Known::Some(target.address.port),
        ssl: Known::Some(target.address.ssl),
        via_proxy: Known::Some(target.proxy.is_some()),
        outcome: Known::Some(seen.outcome().as_str().to_owned()),
        status: known(seen.status),
        certificate: known(seen.certificate.clone()),
        clock_offset_s: known(seen.clock_offset_s),
    }
}

fn known<T>(value: Option<T>) -> Known<T> {
    value.map_or(Known::Unknown, Known::Some)
}

/// Whether a snapshot differs enough from the last one sent, or is due again.
pub fn is_news(sent: Option<&Settings>, now: &Settings) -> bool {
    let Some(sent) = sent else { return true };
    let (Some(before), Some(after)) = (sent.taken_at.value(), now.taken_at.value()) else { return true };
    let age = after.duration_since(*before);
    // A negative age: the clock was set back, so the age is unknown.
    !(SignedDuration::ZERO..RESEND_AFTER).contains(&age) || *sent != settled(now.clone(), sent)
}

/// The snapshot without the differences that only time and clock jitter make.
fn settled(mut now: Settings, before: &Settings) -> Settings {
    now.taken_at = before.taken_at;
    if let (Known::Some(servers), Known::Some(before)) = (&mut now.wsus, &before.wsus) {
        for (wsus, before) in servers.iter_mut().zip(before) {
            settle(&mut wsus.reach, &before.reach);
            settle(&mut wsus.upstream_reach, &before.upstream_reach);
        }
    }
    now
}

fn settle(now: &mut Known<Reach>, before: &Known<Reach>) {
    if let (
        Known::Some(Reach { clock_offset_s: Known::Some(now), .. }),
        Known::Some(Reach { clock_offset_s: Known::Some(before), .. }),
    ) = (now, before)
        && now.abs_diff(*before) <= CLOCK_JITTER_S
    {
        *now = *before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::plan::Ask;
    use serde_json::{Value, json};

    fn at(minutes: i64) -> Timestamp {
        let start: Timestamp = "2026-03-01T04:00:00Z".parse().expect("a time");
        start + SignedDuration::from_mins(minutes)
    }

    fn target(url: &str, ask: Ask, slots: &[(&str, Part)]) -> Target {
        let slots = slots.iter().map(|(wsus, part)| ResultSlot { wsus: (*wsus).to_owned(), part: *part }).collect();
        Target { address: url.parse().expect("an address"), proxy: None, ask, slots }
    }

    fn of(minutes: i64, offset: i64, status: u16) -> Settings {
        let target = target("http://sup1:8530", Ask::Wsus, &[("sup1", Part::Itself)]);
        snapshot("P01".parse().expect("code"), at(minutes), &[(target, Seen::answering(&[("ApiRemoting30", status)], offset))])
    }

    #[test]
    fn a_round_becomes_what_probes_know_and_nothing_else() {
        let both = target("https://sup1:8531", Ask::Wsus, &[("sup1", Part::Itself), ("sup2", Part::Source)]);
        let seen = Seen::answering(&[("ApiRemoting30", 401), ("DssAuthWebService", 200)], -3);
        let silent = target("http://sup2:8530", Ask::Wsus, &[("sup2", Part::Itself)]);
        let round = [(both, seen), (silent, Seen::default())];
        let snapshot = snapshot("P01".parse().expect("code"), at(0), &round);
        let reach = json!({"host": "sup1", "port": 8531, "ssl": true, "via_proxy": false, "outcome": "answers", "status": 200, "clock_offset_s": -3});
        let expected: Value = json!({
            "schema": "supwatch/settings/v1", "site": "P01", "taken_at": "2026-03-01T04:00:00Z", "source": "probe",
            "wsus": [
                {"server": "sup1", "reach": reach, "virtual_directories": {
                    "ApiRemoting30": {"status": 401, "authenticated": false},
                    "DssAuthWebService": {"status": 200, "authenticated": false},
                }},
                {"server": "sup2", "upstream_reach": reach,
                 "reach": {"host": "sup2", "port": 8530, "ssl": false, "via_proxy": false, "outcome": "timed-out"}},
            ],
        });
        assert_eq!(serde_json::to_value(&snapshot).expect("json"), expected);
    }

    #[track_caller]
    fn check(sent: &Settings, now: &Settings, news: bool) {
        assert_eq!(is_news(Some(sent), now), news);
    }

    #[test]
    fn the_first_snapshot_is_news() {
        assert!(is_news(None, &of(0, 0, 200)));
    }

    #[test]
    fn time_and_the_jitter_of_clocks_are_no_news() {
        check(&of(0, 0, 200), &of(15, 0, 200), false);
        check(&of(0, 1, 200), &of(15, -1, 200), false);
        check(&of(0, 0, 200), &of(15, 3, 200), true);
    }

    #[test]
    fn a_clock_that_drifts_is_compared_with_what_was_sent() {
        check(&of(0, 0, 200), &of(15, 2, 200), false);
        check(&of(0, 0, 200), &of(30, 4, 200), true);
    }

    #[test]
    fn another_answer_or_another_server_is_news() {
        check(&of(0, 0, 200), &of(15, 0, 503), true);
        check(&of(0, 0, 200), &Settings { wsus: Known::Some(vec![]), ..of(15, 0, 200) }, true);
    }

    #[test]
    fn an_unchanged_snapshot_is_sent_again_after_six_hours_or_when_the_clock_went_back() {
        check(&of(0, 0, 200), &of(359, 0, 200), false);
        check(&of(0, 0, 200), &of(360, 0, 200), true);
        check(&of(0, 0, 200), &of(-1, 0, 200), true);
    }
}
