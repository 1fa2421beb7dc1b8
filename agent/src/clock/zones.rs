//! Windows time-zone names → the tz database.
//!
//! The pairs are those of Unicode CLDR's `windowsZones` (territory 001). The name on a 2007 line is the zone's standard or
//! daylight name in the language of the server's Windows; English names follow one pattern, others are listed as known.

use jiff::tz::TimeZone;

/// English zone names without their "Standard Time", and the tz database zone.
const ENGLISH: &[(&str, &str)] = &[
    ("AUS Central", "Australia/Darwin"),
    ("AUS Eastern", "Australia/Sydney"),
    ("Afghanistan", "Asia/Kabul"),
    ("Alaskan", "America/Anchorage"),
    ("Arab", "Asia/Riyadh"),
    ("Arabian", "Asia/Dubai"),
    ("Argentina", "America/Buenos_Aires"),
    ("Atlantic", "America/Halifax"),
    ("Bangladesh", "Asia/Dhaka"),
    ("Canada Central", "America/Regina"),
    ("Cen. Australia", "Australia/Adelaide"),
    ("Central", "America/Chicago"),
    ("Central Asia", "Asia/Almaty"),
    ("Central Brazilian", "America/Cuiaba"),
    ("Central Europe", "Europe/Budapest"),
    ("Central European", "Europe/Warsaw"),
    ("China", "Asia/Shanghai"),
    ("E. Africa", "Africa/Nairobi"),
    ("E. Australia", "Australia/Brisbane"),
    ("E. South America", "America/Sao_Paulo"),
    ("Eastern", "America/New_York"),
    ("Egypt", "Africa/Cairo"),
    ("FLE", "Europe/Kiev"),
    ("GMT", "Europe/London"),
    ("GTB", "Europe/Bucharest"),
    ("Greenwich", "Atlantic/Reykjavik"),
    ("Hawaiian", "Pacific/Honolulu"),
    ("India", "Asia/Calcutta"),
    ("Iran", "Asia/Tehran"),
    ("Israel", "Asia/Jerusalem"),
    ("Korea", "Asia/Seoul"),
    ("Mountain", "America/Denver"),
    ("New Zealand", "Pacific/Auckland"),
    ("Newfoundland", "America/St_Johns"),
    ("Pacific", "America/Los_Angeles"),
    ("Pakistan", "Asia/Karachi"),
    ("Romance", "Europe/Paris"),
    ("Russian", "Europe/Moscow"),
    ("SA Pacific", "America/Bogota"),
    ("SE Asia", "Asia/Bangkok"),
    ("Singapore", "Asia/Singapore"),
    ("South Africa", "Africa/Johannesburg"),
    ("Taipei", "Asia/Taipei"),
    ("Tasmania", "Australia/Hobart"),
    ("Tokyo", "Asia/Tokyo"),
    ("Turkey", "Europe/Istanbul"),
    ("US Eastern", "America/Indianapolis"),
    ("US Mountain", "America/Phoenix"),
    ("W. Australia", "Australia/Perth"),
    ("W. Central Africa", "Africa/Lagos"),
    ("W. Europe", "Europe/Berlin"),
    ("West Asia", "Asia/Tashkent"),
];

/// Names of other Windows languages: name, tz database zone, whether it is the daylight name.
const LOCALIZED: &[(&str, &str, bool)] = &[
    ("Coordinated Universal Time", "UTC", false),
    ("UTC", "UTC", false),
    ("東京 (標準時)", "Asia/Tokyo", false),
    ("대한민국 표준시", "Asia/Seoul", false),
    ("中国标准时间", "Asia/Shanghai", false),
    ("台北標準時間", "Asia/Taipei", false),
    ("Mitteleuropäische Zeit", "Europe/Berlin", false),
    ("Mitteleuropäische Sommerzeit", "Europe/Berlin", true),
    ("W. Europa Standardzeit", "Europe/Berlin", false),
    ("W. Europa Sommerzeit", "Europe/Berlin", true),
    ("Romance Normalzeit", "Europe/Paris", false),
    ("Paris, Madrid", "Europe/Paris", false),
    ("Paris, Madrid (heure d’été)", "Europe/Paris", true),
    ("Hora estándar romance", "Europe/Madrid", false),
    ("Hora de verano romance", "Europe/Madrid", true),
    ("ora solare Europa occidentale", "Europe/Rome", false),
    ("ora legale Europa occidentale", "Europe/Rome", true),
];

/// Every name that is known, with its tz database zone, and whether it is the daylight one.
pub fn names() -> impl Iterator<Item = (String, &'static str, bool)> {
    let english = ENGLISH
        .iter()
        .flat_map(|(base, zone)| [(format!("{base} Standard Time"), *zone, false), (format!("{base} Daylight Time"), *zone, true)]);
    english.chain(LOCALIZED.iter().map(|(name, zone, daylight)| ((*name).to_owned(), *zone, *daylight)))
}

/// The zone of a Windows name, and whether the name is its daylight one.
pub fn lookup(name: &str) -> Option<(TimeZone, bool)> {
    let (zone, daylight) = if let Some((_, zone, daylight)) = LOCALIZED.iter().find(|(known, ..)| *known == name) {
        (*zone, *daylight)
    } else {
        let (base, daylight) = match name.strip_suffix(" Standard Time") {
            Some(base) => (base, false),
            None => (name.strip_suffix(" Daylight Time").or_else(|| name.strip_suffix(" Summer Time"))?, true),
        };
        (ENGLISH.iter().find(|(known, _)| *known == base)?.1, daylight)
    };
    TimeZone::get(zone).ok().map(|zone| (zone, daylight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_a_zone() {
        for (name, _) in ENGLISH {
            assert!(lookup(&format!("{name} Standard Time")).is_some(), "{name}");
        }
        for (name, ..) in LOCALIZED {
            assert!(lookup(name).is_some(), "{name}");
        }
        assert!(lookup("Nowhere Standard Time").is_none());
    }
}
