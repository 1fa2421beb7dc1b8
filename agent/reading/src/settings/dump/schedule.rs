//! `Sync Schedule` of SMS_WSUS_SYNC_MANAGER: a schedule token → the longest gap between two runs, in hours.
//!
//! A token is 16 hexadecimal digits: the start in the first eight, the recurrence in the last. Source: Microsoft's
//! reference of the Configuration Manager SDK, "ReadFromString Method in Class SMS_ScheduleMethods", whose layout of the
//! second word is, from bit 31 down: duration 10 bits, kind 3 bits, then for
//!
//! | kind | | fields |
//! |---|---|---|
//! | 1 | SMS_ST_NonRecurring | |
//! | 2 | SMS_ST_RecurInterval | minutes 6, hours 5, days 5 |
//! | 3 | SMS_ST_RecurWeekly | day of the week 3, weeks 3 |
//! | 4 | SMS_ST_RecurMonthlyByWeekday | day of the week 3, months 4, order of the week 3 |
//! | 5 | SMS_ST_RecurMonthlyByDate | day of the month 5 (0: the last), months 4 |

use supwatch_model::settings::Known;

/// Most days in this many consecutive months.
const LONGEST_MONTHS: [u32; 12] = [31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337, 366];

/// Longest interval between two runs, in hours; none if nothing is scheduled or nothing recurs; unknown if it is not a token. Of
/// several tokens the most frequent schedule counts.
pub(super) fn hours(schedule: &str) -> Known<u32> {
    let schedule = schedule.trim();
    let mut gaps = Vec::new();
    for token in schedule.as_bytes().chunks(16) {
        match gap(token) {
            Known::Some(hours) => gaps.push(hours),
            Known::None => {}
            Known::Unknown => return Known::Unknown,
        }
    }
    gaps.into_iter().min().map_or(Known::None, Known::Some)
}

fn gap(token: &[u8]) -> Known<u32> {
    let text = std::str::from_utf8(token).ok().filter(|text| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    let Some(word) = text.and_then(|text| u64::from_str_radix(text, 16).ok()) else { return Known::Unknown };
    let field = |lowest: u32, bits: u32| u32::try_from(word >> lowest & ((1 << bits) - 1)).unwrap_or(0);
    let (minutes, months) = match field(19, 3) {
        1 => return Known::None,
        2 => (field(13, 6) + 60 * field(8, 5) + 24 * 60 * field(3, 5), 0),
        3 => (7 * 24 * 60 * field(13, 3), 0),
        4 => (0, field(12, 4)),
        5 => (0, field(10, 4)),
        _ => return Known::Unknown,
    };
    let longest = months.checked_sub(1).and_then(|index| LONGEST_MONTHS.get(index as usize)).copied();
    let hours = match (field(19, 3), longest) {
        // Weekdays of a month are whole weeks apart: the date of the second Tuesday varies by up to six days.
        (4, Some(days)) => days.div_ceil(7) * 7 * 24,
        (_, Some(days)) => days * 24,
        (_, None) => minutes.div_ceil(60),
    };
    if hours == 0 { Known::Unknown } else { Known::Some(hours) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &str, expected: Known<u32>) {
        assert_eq!(hours(token), expected, "{token}");
    }

    /// Built from the layout, so that no published sample is needed for each kind.
    fn token(kind: u64, fields: u64) -> String {
        format!("0001200000{:06X}", kind << 19 | fields)
    }

    #[test]
    fn known_tokens_are_read() {
        // Published samples with their meaning: every 7 days, every 2 days, every 2 weeks on Tuesday, the last day of every
        // month.
        check("0001200000100038", Known::Some(168));
        check("1033BC7B10100010", Known::Some(48));
        check("A9788980001B4000", Known::Some(2 * 168));
        check("7D98898000280400", Known::Some(31 * 24));
    }

    #[test]
    fn every_kind_gives_its_longest_gap() {
        check(&token(2, 1 << 3), Known::Some(24));
        check(&token(2, 8 << 8), Known::Some(8));
        check(&token(2, 1 << 3 | 6 << 8 | 30 << 13), Known::Some(31));
        check(&token(2, 15 << 13), Known::Some(1));
        check(&token(2, 31 << 3 | 23 << 8 | 59 << 13), Known::Some(32 * 24));
        check(&token(3, 3 << 16 | 1 << 13), Known::Some(168));
        check(&token(4, 3 << 16 | 1 << 12 | 2 << 9), Known::Some(35 * 24));
        check(&token(4, 3 << 16 | 3 << 12 | 2 << 9), Known::Some(98 * 24));
        check(&token(5, 15 << 14 | 2 << 10), Known::Some(62 * 24));
    }

    #[test]
    fn what_is_not_scheduled_is_none_and_what_is_no_token_is_unknown() {
        check("", Known::None);
        check(&token(1, 0), Known::None);
        for bad in
            ["0001200000100000", "000120000010003", "no token at all!", "0001200000000008", "東京東京東京", "0001200000280000"]
        {
            check(bad, Known::Unknown);
        }
    }

    #[test]
    fn of_several_tokens_the_most_frequent_counts() {
        check(&format!("{}{}", token(2, 7 << 3), token(2, 1 << 3)), Known::Some(24));
        check(&format!("{}x", token(2, 7 << 3)), Known::Unknown);
    }
}
