//! Timestamp of a line → UTC, with its certainty.
//!
//! Pure. Sources in order of trust: the bias on the line, the zone name on the line (through a table of Windows zone names), the
//! `GMTDATE` of a status message in the same file, the site's configured zone, and finally the unchanged local time. A date whose
//! order of day and month depends on a locale is proved or marked as ambiguous; no order is assumed.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use supwatch_model::time::Certainty;

use crate::parse::Stamp;
use crate::parse::viewer::{DateOrder, Dated, dated};

pub mod zones;

/// The clock of one log file.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The site's configured zone.
    pub configured: Option<TimeZone>,
    /// Calibration derived from the file so far.
    pub learnt: Calibration,
    /// Time of the latest line that has one; lines without a stamp get it too.
    pub last: Option<(Timestamp, Certainty)>,
    /// Zone of the latest zone name, cached because a file repeats one or two names a hundred thousand times.
    zone: Option<Zone>,
}

#[derive(Debug, Clone)]
struct Zone {
    name: String,
    zone: Option<(TimeZone, bool)>,
}

/// Clock calibration derived from a file's lines; stored, so that a restart does not change later times.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calibration {
    /// Minutes to add to local times, derived from a GMTDATE, by the zone name on the line, which changes with daylight saving;
    /// empty for lines without one.
    pub calibrations: Vec<(String, i32)>,
    /// Order of day and month, derived from a date that allows only one, or from a GMTDATE.
    pub order: Option<DateOrder>,
    /// Minutes from local time to UTC at the newest stamp with a known offset.
    pub offset: Option<i32>,
}

/// Most zone names kept for a file: standard and daylight, and a few for a server that moved.
const ZONES_KEPT: usize = 8;

impl Clock {
    /// A clock with the configured zone and an earlier calibration.
    pub fn new(configured: Option<TimeZone>, learnt: Calibration, last: Option<(Timestamp, Certainty)>) -> Clock {
        Clock { configured, learnt, last, zone: None }
    }

    /// UTC of a stamp. `gmtdate` is the UTC time stated on the line itself.
    pub fn resolve(&mut self, stamp: &Stamp<'_>, gmtdate: Option<Timestamp>) -> (Option<Timestamp>, Certainty) {
        let found = match *stamp {
            Stamp::Utc(time) => utc(time).map(|time| (time, Certainty::Zone)),
            Stamp::Biased(local, bias) => {
                self.learnt.offset = Some(bias);
                shifted(local, bias).map(|time| (time, Certainty::Bias))
            }
            Stamp::Zoned(local, name) => match self.zoned(local, name) {
                Some(time) => {
                    self.learnt.offset = minutes_between(local, time);
                    Some((time, Certainty::Zone))
                }
                None => self.by_file(local, name, gmtdate),
            },
            Stamp::Local(local) => self.by_file(local, "", gmtdate),
            Stamp::Dated(dated) => self.by_order(dated, gmtdate),
            // A message's own time is when it was sent; the delay until the next line without a stamp is unknown.
            Stamp::Absent => gmtdate.map(|time| (time, Certainty::Calibrated)).or(self.last),
        };
        if *stamp != Stamp::Absent {
            self.last = found.or(self.last);
        }
        match found {
            Some((time, certainty)) => (Some(time), certainty),
            None => (None, Certainty::Local),
        }
    }

    /// Uses a Windows zone name to tell whether daylight saving applies, which resolves the repeated hour in autumn.
    fn zoned(&mut self, local: DateTime, name: &str) -> Option<Timestamp> {
        if self.zone.as_ref().is_none_or(|zone| zone.name != name) {
            self.zone = Some(Zone { name: name.to_owned(), zone: zones::lookup(name) });
        }
        let (zone, daylight) = self.zone.as_ref()?.zone.as_ref()?;
        let ambiguous = zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Fold { .. } if !daylight => ambiguous.later().ok(),
            _ => ambiguous.earlier().ok(),
        }
    }

    fn by_file(&mut self, local: DateTime, name: &str, gmtdate: Option<Timestamp>) -> Option<(Timestamp, Certainty)> {
        if let Some(bias) = gmtdate.and_then(|gmt| calibrate(local, gmt)) {
            self.calibrate_zone(name, bias);
        }
        let calibrated = self.learnt.calibrations.iter().find(|(zone, _)| zone == name);
        if let Some((_, bias)) = calibrated {
            self.learnt.offset = Some(*bias);
            return shifted(local, *bias).map(|time| (time, Certainty::Calibrated));
        }
        if let Some(zone) = &self.configured {
            let time = zone.to_ambiguous_timestamp(local).compatible().ok()?;
            self.learnt.offset = minutes_between(local, time);
            return Some((time, Certainty::Configured));
        }
        utc(local).map(|time| (time, Certainty::Local))
    }

    fn calibrate_zone(&mut self, name: &str, bias: i32) {
        let kept = &mut self.learnt.calibrations;
        match kept.iter_mut().find(|(zone, _)| zone == name) {
            Some(known) => known.1 = bias,
            None => {
                if kept.len() >= ZONES_KEPT {
                    kept.remove(0);
                }
                kept.push((name.to_owned(), bias));
            }
        }
    }

    fn by_order(&mut self, dated: Dated, gmtdate: Option<Timestamp>) -> Option<(Timestamp, Certainty)> {
        // A day above 12 proves the order for the whole file; so does a GMTDATE that only one order can match.
        if let Some(order) = dated.order() {
            self.learnt.order = Some(order);
        } else if let Some(gmt) = gmtdate {
            let matches = |order| dated.in_order(order).and_then(|local| calibrate(local, gmt)).is_some();
            match (matches(DateOrder::MonthFirst), matches(DateOrder::DayFirst)) {
                (true, false) => self.learnt.order = Some(DateOrder::MonthFirst),
                (false, true) => self.learnt.order = Some(DateOrder::DayFirst),
                _ => {}
            }
        }
        match self.learnt.order {
            Some(order) => self.by_file(dated.in_order(order)?, "", gmtdate),
            // Undecidable: a guess, marked as such.
            None => {
                let (time, _) = self.by_file(dated.in_order(DateOrder::MonthFirst)?, "", None)?;
                Some((time, Certainty::Local))
            }
        }
    }

    /// UTC of a date inside a message, whose order of day and month follows the server's locale. Known only if exactly one
    /// order puts it shortly after the line; otherwise unknown.
    pub fn prove_after(&self, text: &str, line: Timestamp) -> Option<Timestamp> {
        let offset = self.learnt.offset?;
        let (dated, _) = dated(text.trim())?;
        let mut candidates: Vec<Timestamp> = [DateOrder::MonthFirst, DateOrder::DayFirst]
            .into_iter()
            .filter_map(|order| shifted(dated.in_order(order)?, offset))
            .filter(|time| {
                let ahead = time.duration_since(line).as_hours();
                (-1..=NEXT_RUN_WITHIN_DAYS * 24).contains(&ahead)
            })
            .collect();
        candidates.dedup();
        match candidates.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

/// Longest plausible interval of a synchronisation schedule: a month.
const NEXT_RUN_WITHIN_DAYS: i64 = 32;

/// Minutes between a local time and a UTC time, if both can be the same moment: zone offsets are multiples of a quarter of an
/// hour, and a line is written within two minutes of its message.
fn calibrate(local: DateTime, gmt: Timestamp) -> Option<i32> {
    let seconds = gmt.duration_since(utc(local)?).as_secs();
    let quarters = (seconds as f64 / 900.0).round() as i64;
    ((seconds - quarters * 900).abs() <= 120 && quarters.abs() <= 96).then(|| i32::try_from(quarters * 15).ok()).flatten()
}

fn minutes_between(local: DateTime, time: Timestamp) -> Option<i32> {
    i32::try_from(time.duration_since(utc(local)?).as_mins()).ok()
}

fn utc(local: DateTime) -> Option<Timestamp> {
    Offset::UTC.to_timestamp(local).ok()
}

fn shifted(local: DateTime, bias: i32) -> Option<Timestamp> {
    utc(local)?.checked_add(SignedDuration::from_secs(i64::from(bias) * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[track_caller]
    fn check(clock: &mut Clock, stamp: Stamp<'_>, gmtdate: Option<&str>, expected: &str, certainty: Certainty) {
        let gmtdate = gmtdate.map(|text| text.parse().expect("a time"));
        let (time, how) = clock.resolve(&stamp, gmtdate);
        assert_eq!((time.map(|t| t.to_string()).as_deref(), how), (Some(expected), certainty));
    }

    #[test]
    fn utc_is_local_plus_bias() {
        let local = date(2024, 8, 2).at(13, 54, 26, 0);
        check(&mut Clock::default(), Stamp::Biased(local, 420), None, "2024-08-02T20:54:26Z", Certainty::Bias);
        check(&mut Clock::default(), Stamp::Biased(local, -60), None, "2024-08-02T12:54:26Z", Certainty::Bias);
    }

    #[test]
    fn a_zone_name_resolves_the_repeated_hour() {
        let local = date(2026, 11, 1).at(1, 30, 0, 0);
        check(&mut Clock::default(), Stamp::Zoned(local, "Eastern Daylight Time"), None, "2026-11-01T05:30:00Z", Certainty::Zone);
        check(&mut Clock::default(), Stamp::Zoned(local, "Eastern Standard Time"), None, "2026-11-01T06:30:00Z", Certainty::Zone);
        check(
            &mut Clock::default(),
            Stamp::Zoned(date(2026, 7, 1).at(9, 0, 0, 0), "東京 (標準時)"),
            None,
            "2026-07-01T00:00:00Z",
            Certainty::Zone,
        );
    }

    #[test]
    fn a_gmtdate_calibrates_its_file_from_there_on() {
        let mut clock = Clock::default();
        let local = date(2026, 3, 1).at(4, 0, 0, 0);
        check(&mut clock, Stamp::Local(local), None, "2026-03-01T04:00:00Z", Certainty::Local);
        check(&mut clock, Stamp::Local(local), Some("2026-02-28T19:00:01Z"), "2026-02-28T19:00:00Z", Certainty::Calibrated);
        // Another zone name counts as another zone until a GMTDATE calibrates it.
        check(&mut clock, Stamp::Zoned(local, "Nirgends"), None, "2026-03-01T04:00:00Z", Certainty::Local);
        check(&mut clock, Stamp::Zoned(local, "Nirgends"), Some("2026-03-01T03:00:01Z"), "2026-03-01T03:00:00Z", {
            Certainty::Calibrated
        });
    }

    #[test]
    fn a_gmtdate_of_another_moment_calibrates_nothing() {
        let mut clock = Clock { configured: TimeZone::get("Asia/Tokyo").ok(), ..Clock::default() };
        let local = date(2026, 3, 1).at(4, 0, 0, 0);
        check(&mut clock, Stamp::Local(local), Some("2026-02-28T19:07:00Z"), "2026-02-28T19:00:00Z", Certainty::Configured);
    }

    #[test]
    fn a_line_without_a_stamp_is_as_old_as_the_stamp_before_it() {
        let mut clock = Clock::default();
        assert_eq!(clock.resolve(&Stamp::Absent, None), (None, Certainty::Local));
        check(&mut clock, Stamp::Absent, Some("2026-02-28T19:00:01Z"), "2026-02-28T19:00:01Z", Certainty::Calibrated);
        assert_eq!(clock.resolve(&Stamp::Absent, None), (None, Certainty::Local), "how much later it was written is not known");
        let local = date(2026, 2, 28).at(19, 0, 1, 0);
        check(&mut clock, Stamp::Biased(local, 0), None, "2026-02-28T19:00:01Z", Certainty::Bias);
        check(&mut clock, Stamp::Absent, None, "2026-02-28T19:00:01Z", Certainty::Bias);
    }

    #[test]
    fn the_proofs_of_the_sign_of_the_bias() {
        // Bias -60 stands beside "GMT Daylight Time", which is UTC+1: both give the same moment.
        let local = date(2018, 6, 14).at(6, 26, 25, 828_000_000);
        check(&mut Clock::default(), Stamp::Biased(local, -60), None, "2018-06-14T05:26:25.828Z", Certainty::Bias);
        check(&mut Clock::default(), Stamp::Zoned(local, "GMT Daylight Time"), None, "2018-06-14T05:26:25.828Z", Certainty::Zone);
        // 1:54:26 PM in a US Pacific viewer is GMTDATE 20:54:26.
        let record = crate::parse::parse("x\tSMS_WSUS_SYNC_MANAGER\t8/2/2024 1:54:26 PM\t9640 (0x25A8)");
        check(&mut Clock::default(), record.stamp, Some("2024-08-02T20:54:26.571Z"), "2024-08-02T20:54:26Z", Certainty::Calibrated);
        check(&mut Clock::default(), Stamp::Biased(date(2024, 8, 2).at(13, 54, 26, 0), 420), None, "2024-08-02T20:54:26Z", {
            Certainty::Bias
        });
    }

    #[test]
    fn both_edges_of_daylight_saving() {
        // Spring: 02:30 does not exist, so the clock was set by hand; the daylight name shows which side is meant.
        let gap = date(2026, 3, 8).at(2, 30, 0, 0);
        check(&mut Clock::default(), Stamp::Zoned(gap, "Pacific Daylight Time"), None, "2026-03-08T09:30:00Z", Certainty::Zone);
        let (before, after) = (date(2026, 3, 8).at(1, 59, 59, 0), date(2026, 3, 8).at(3, 0, 0, 0));
        check(&mut Clock::default(), Stamp::Zoned(before, "Pacific Standard Time"), None, "2026-03-08T09:59:59Z", Certainty::Zone);
        check(&mut Clock::default(), Stamp::Zoned(after, "Pacific Daylight Time"), None, "2026-03-08T10:00:00Z", Certainty::Zone);
        // Autumn, in another language: the repeated hour.
        let fold = date(2026, 10, 25).at(2, 30, 0, 0);
        check(&mut Clock::default(), Stamp::Zoned(fold, "Mitteleuropäische Sommerzeit"), None, "2026-10-25T00:30:00Z", {
            Certainty::Zone
        });
        check(&mut Clock::default(), Stamp::Zoned(fold, "Mitteleuropäische Zeit"), None, "2026-10-25T01:30:00Z", Certainty::Zone);
    }

    fn dated_stamp(text: &str) -> Stamp<'static> {
        Stamp::Dated(dated(text).expect("a date").0)
    }

    #[test]
    fn a_date_of_unknown_order_is_a_guess_until_the_file_proves_it() {
        let mut clock = Clock::default();
        check(&mut clock, dated_stamp("2/8/2026 13:00:00"), None, "2026-02-08T13:00:00Z", Certainty::Local);
        check(&mut clock, dated_stamp("2/8/2026 13:00:00"), Some("2026-08-02T11:00:01Z"), "2026-08-02T11:00:00Z", {
            Certainty::Calibrated
        });
        check(&mut clock, dated_stamp("3/8/2026 13:00:00"), None, "2026-08-03T11:00:00Z", Certainty::Calibrated);
        let mut clock = Clock { configured: TimeZone::get("Asia/Tokyo").ok(), ..Clock::default() };
        // The GMTDATE of another moment proves no order.
        check(&mut clock, dated_stamp("2/8/2026 09:00:00"), Some("2020-01-01T00:00:00Z"), "2026-02-08T00:00:00Z", {
            Certainty::Local
        });
        check(&mut clock, dated_stamp("22/8/2026 09:00:00"), None, "2026-08-22T00:00:00Z", Certainty::Configured);
        check(&mut clock, dated_stamp("2/8/2026 09:00:00"), None, "2026-08-02T00:00:00Z", Certainty::Configured);
    }

    #[test]
    fn a_date_inside_a_message_is_proved_or_unknown() {
        let mut clock = Clock::default();
        let line = clock.resolve(&Stamp::Biased(date(2026, 8, 2).at(13, 54, 26, 0), 420), None).0.expect("a time");
        let proved = |text: &str| clock.prove_after(text, line).map(|time| time.to_string());
        assert_eq!(proved("8/2/2026 2:54:26 PM").as_deref(), Some("2026-08-02T21:54:26Z"));
        assert_eq!(proved("02/08/2026 14:54:26").as_deref(), Some("2026-08-02T21:54:26Z"));
        assert_eq!(proved("2026/08/03 0:00:00").as_deref(), Some("2026-08-03T07:00:00Z"));
        // Both orders are within a month: undecidable.
        let line = clock.resolve(&Stamp::Biased(date(2026, 8, 7).at(13, 0, 0, 0), 0), None).0.expect("a time");
        assert_eq!(clock.prove_after("9/8/2026 14:00:00", line), Some("2026-08-09T14:00:00Z".parse().expect("time")));
        assert_eq!(clock.prove_after("8/9/2026 14:00:00", line), Some("2026-08-09T14:00:00Z".parse().expect("time")));
        let line = clock.resolve(&Stamp::Biased(date(2026, 8, 8).at(13, 0, 0, 0), 0), None).0.expect("a time");
        assert_eq!(clock.prove_after("8/9/2026 14:00:00", line).map(|t| t.to_string()).as_deref(), None);
        assert_eq!(clock.prove_after("tomorrow", line), None);
    }
}
