//! Times as components write them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::world::{Generation, Seconds, Site, Tongue, Zone};

fn timestamp(at: Seconds) -> Timestamp {
    Timestamp::from_second(at).expect("in range")
}

/// RFC 3339.
pub fn utc(at: Seconds) -> String {
    timestamp(at).to_string()
}

/// Local time, minutes west of UTC, and whether it is summer.
fn local(zone: &Zone, at: Seconds) -> (jiff::civil::DateTime, i64, bool) {
    let zone = TimeZone::get(zone.iana).expect("a zone");
    let info = zone.to_offset_info(timestamp(at));
    let west = -i64::from(info.offset().seconds()) / 60;
    (info.offset().to_datetime(timestamp(at)), west, info.dst().is_dst())
}

/// `Sun Mar 01 04:00:01.295 2026`
pub fn gmt(at: Seconds) -> String {
    timestamp(at).to_zoned(TimeZone::UTC).strftime("%a %b %d %H:%M:%S.295 %Y").to_string()
}

/// The stamp between the marks of a server line.
pub fn on_line(site: &Site, generation: Generation, at: Seconds, millisecond: usize) -> String {
    let at = at + site.clock;
    let (time, west, summer) = local(site.zone, at);
    match generation {
        Generation::Y2007 => {
            let name = site.zone.names[usize::from(summer)];
            format!("{}.{millisecond:03} {} {name}", time.strftime("%a %b %d %H:%M:%S"), time.strftime("%Y"))
        }
        _ => format!("{}.{millisecond:03}{west:+}", time.strftime("%m-%d-%Y %H:%M:%S")),
    }
}

/// A date inside a message, as the server's language writes it.
pub fn in_words(site: &Site, at: Seconds) -> String {
    let (time, ..) = local(site.zone, at + site.clock);
    let form = match site.tongue {
        Tongue::English => "%-m/%-d/%Y %-I:%M:%S %p",
        Tongue::Japanese => "%Y/%m/%d %-H:%M:%S",
        Tongue::German => "%d.%m.%Y %H:%M:%S",
    };
    time.strftime(form).to_string()
}
