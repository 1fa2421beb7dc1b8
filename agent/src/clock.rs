//! Stamp of a line → UTC, with how certain that is.
//!
//! Pure. In order of trust: the bias on the line, the zone name on the line (through a table of Windows zone names), the
//! `GMTDATE` of a status message in the same file, the site's configured zone, and last the local time as it stands.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use supwatch_proto::time::Certainty;

use crate::parse::Stamp;

pub mod zones;

/// The clock of one log file.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// The site's configured zone.
    pub configured: Option<TimeZone>,
    /// Minutes to add to this file's local times, learnt from a GMTDATE.
    pub calibration: Option<i32>,
    /// Newest time resolved: what a line without a stamp is taken to be written at.
    pub last: Option<(Timestamp, Certainty)>,
}

impl Clock {
    /// UTC of a stamp. `gmtdate` is what the line itself says the time in UTC is.
    pub fn resolve(&mut self, stamp: &Stamp, gmtdate: Option<Timestamp>) -> (Option<Timestamp>, Certainty) {
        let found = match stamp {
            Stamp::Utc(time) => utc(*time).map(|time| (time, Certainty::Zone)),
            Stamp::Biased(local, bias) => shifted(*local, *bias).map(|time| (time, Certainty::Bias)),
            Stamp::Zoned(local, name) => {
                zoned(*local, name).map(|time| (time, Certainty::Zone)).or_else(|| self.by_file(*local, gmtdate))
            }
            Stamp::Local(local) => self.by_file(*local, gmtdate),
            Stamp::Absent => gmtdate.map(|time| (time, Certainty::Calibrated)).or(self.last),
        };
        self.last = found.or(self.last);
        match found {
            Some((time, certainty)) => (Some(time), certainty),
            None => (None, Certainty::Local),
        }
    }

    fn by_file(&mut self, local: DateTime, gmtdate: Option<Timestamp>) -> Option<(Timestamp, Certainty)> {
        if let Some(bias) = gmtdate.and_then(|gmt| calibrate(local, gmt)) {
            self.calibration = Some(bias);
        }
        if let Some(bias) = self.calibration {
            return shifted(local, bias).map(|time| (time, Certainty::Calibrated));
        }
        if let Some(zone) = &self.configured {
            let time = zone.to_ambiguous_timestamp(local).compatible().ok()?;
            return Some((time, Certainty::Configured));
        }
        utc(local).map(|time| (time, Certainty::Local))
    }
}

/// Minutes between a local time and the same moment in UTC, if they can be the same moment: zones differ by quarters of
/// an hour, and a line is written within two minutes of its message.
fn calibrate(local: DateTime, gmt: Timestamp) -> Option<i32> {
    let seconds = gmt.duration_since(utc(local)?).as_secs();
    let quarters = (seconds as f64 / 900.0).round() as i64;
    ((seconds - quarters * 900).abs() <= 120 && quarters.abs() <= 96).then(|| i32::try_from(quarters * 15).ok()).flatten()
}

fn utc(local: DateTime) -> Option<Timestamp> {
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn shifted(local: DateTime, bias: i32) -> Option<Timestamp> {
    utc(local)?.checked_add(SignedDuration::from_mins(i64::from(bias))).ok()
}

/// A Windows zone name says whether daylight saving holds, which settles the hour that comes twice.
fn zoned(local: DateTime, name: &str) -> Option<Timestamp> {
    let (zone, daylight) = zones::lookup(name)?;
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Fold { .. } if !daylight => ambiguous.later().ok(),
        _ => ambiguous.earlier().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[track_caller]
    fn check(clock: &mut Clock, stamp: Stamp, gmtdate: Option<&str>, expected: &str, certainty: Certainty) {
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
    fn a_zone_name_tells_the_doubled_hour_apart() {
        let local = date(2026, 11, 1).at(1, 30, 0, 0);
        check(
            &mut Clock::default(),
            Stamp::Zoned(local, "Eastern Daylight Time".into()),
            None,
            "2026-11-01T05:30:00Z",
            Certainty::Zone,
        );
        check(
            &mut Clock::default(),
            Stamp::Zoned(local, "Eastern Standard Time".into()),
            None,
            "2026-11-01T06:30:00Z",
            Certainty::Zone,
        );
        check(
            &mut Clock::default(),
            Stamp::Zoned(date(2026, 7, 1).at(9, 0, 0, 0), "東京 (標準時)".into()),
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
        check(&mut clock, Stamp::Zoned(local, "No Such Zone".into()), None, "2026-02-28T19:00:00Z", Certainty::Calibrated);
    }

    #[test]
    fn a_gmtdate_of_another_moment_calibrates_nothing() {
        let mut clock = Clock { configured: TimeZone::get("Asia/Tokyo").ok(), ..Clock::default() };
        let local = date(2026, 3, 1).at(4, 0, 0, 0);
        check(&mut clock, Stamp::Local(local), Some("2026-02-28T19:07:00Z"), "2026-02-28T19:00:00Z", Certainty::Configured);
    }

    #[test]
    fn a_line_without_a_stamp_is_as_old_as_the_one_before_it() {
        let mut clock = Clock::default();
        assert_eq!(clock.resolve(&Stamp::Absent, None), (None, Certainty::Local));
        check(&mut clock, Stamp::Absent, Some("2026-02-28T19:00:01Z"), "2026-02-28T19:00:01Z", Certainty::Calibrated);
        check(&mut clock, Stamp::Absent, None, "2026-02-28T19:00:01Z", Certainty::Calibrated);
    }
}
