//! Raw values as PowerShell writes them: nothing here knows the meaning of a value, and nothing fails.
//!
//! `ConvertTo-Json` turns a list of one into its one item, an enumeration into a number, and a date into `/Date(ms)/` or an
//! object around it; the registry gives numbers and booleans as text, WMI as 0 and 1. Property names ignore case, as in
//! PowerShell.

use jiff::{Span, Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value};
use supwatch_model::settings::Known;

/// Longest text accepted, in characters; product titles are far shorter.
const LONGEST: usize = 200;

/// An object with named values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bag<'a>(&'a Map<String, Value>);

/// The items of a list: a single item may appear without a list, and `null` is an empty list.
pub(super) fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        // A list that PowerShell wrapped in an object with further properties.
        Value::Object(object) if object.contains_key("Count") && object.get("value").is_some_and(Value::is_array) => {
            object.get("value").map(items).unwrap_or_default()
        }
        one => vec![one],
    }
}

/// The objects among the items.
pub(super) fn bags(value: &Value) -> Vec<Bag<'_>> {
    items(value).into_iter().filter_map(Bag::new).collect()
}

impl<'a> Bag<'a> {
    pub(super) fn new(value: &'a Value) -> Option<Bag<'a>> {
        value.as_object().map(Bag)
    }

    /// A value by name.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        exact.or_else(|| self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
    }

    pub(super) fn bag(self, name: &str) -> Option<Bag<'a>> {
        self.get(name).and_then(|value| bags(value).into_iter().next())
    }

    pub(super) fn bags(self, name: &str) -> Vec<Bag<'a>> {
        self.get(name).map(bags).unwrap_or_default()
    }

    /// A non-empty text.
    pub(super) fn text(self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    /// Whether the name is present with an empty text or `null`.
    pub(super) fn is_empty(self, name: &str) -> bool {
        match self.get(name).map(inner) {
            Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            _ => false,
        }
    }

    pub(super) fn number(self, name: &str) -> Option<i64> {
        number(self.get(name)?)
    }

    pub(super) fn boolean(self, name: &str) -> Option<bool> {
        boolean(self.get(name)?)
    }

    /// An integer in range.
    pub(super) fn fit<T: TryFrom<i64>>(self, name: &str) -> Known<T> {
        known(self.number(name).and_then(|number| T::try_from(number).ok()))
    }

    /// A port; 0 means none.
    pub(super) fn port(self, name: &str) -> Known<u16> {
        match self.number(name) {
            Some(0) => Known::None,
            number => known(number.and_then(|number| u16::try_from(number).ok())),
        }
    }

    /// A server name; empty means none.
    pub(super) fn server(self, name: &str) -> Known<String> {
        if self.is_empty(name) {
            return Known::None;
        }
        known(self.text(name).as_deref().and_then(server))
    }

    /// A time; one before WSUS existed, which .NET gives for "never", means none.
    pub(super) fn time(self, name: &str) -> Known<Timestamp> {
        if self.is_empty(name) {
            return Known::None;
        }
        match self.text(name).as_deref().and_then(time) {
            Some(at) if at <= Timestamp::UNIX_EPOCH => Known::None,
            at => known(at),
        }
    }
}

/// Known, or unknown if absent.
pub(super) fn known<T>(value: Option<T>) -> Known<T> {
    value.map_or(Known::Unknown, Known::Some)
}

/// A value without the wrapper object that PowerShell adds to some.
fn inner(value: &Value) -> &Value {
    let wrapped = value.as_object().and_then(|object| object.get("value").or_else(|| object.get("Value")));
    wrapped.filter(|inner| !inner.is_object() && !inner.is_array()).unwrap_or(value)
}

pub(super) fn text(value: &Value) -> Option<String> {
    let text = match inner(value) {
        Value::String(text) => without_credentials(text.trim()).chars().filter(|c| !c.is_control()).take(LONGEST).collect(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

pub(super) fn number(value: &Value) -> Option<i64> {
    match inner(value) {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => {
            let text = text.trim();
            match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => i64::from_str_radix(digits, 16).ok(),
                None => text.parse().ok(),
            }
        }
        _ => None,
    }
}

fn whole(number: f64) -> Option<i64> {
    // Above 2^53 a float no longer distinguishes integers.
    let exact = number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation)]
    exact.then_some(number as i64)
}

pub(super) fn boolean(value: &Value) -> Option<bool> {
    match inner(value) {
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
        value => number(value).map(|number| number != 0),
    }
}

/// A server name from a URL, a UNC path or a bare name, without credentials and port. `DOMAIN\\name` is not a server.
pub(super) fn server(text: &str) -> Option<String> {
    let text = without_credentials(text.trim());
    let bare = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
    let host = match bare.strip_prefix("\\\\") {
        Some(path) => path.split('\\').next()?,
        None => bare.split(['/', '?', '#']).next()?,
    };
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let good = !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || "-._".contains(c));
    good.then(|| host.to_owned())
}

/// The text without the credentials that a URL or an address may carry before its `@`.
pub(super) fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    if scheme.is_empty() { rest.to_owned() } else { format!("{scheme}://{rest}") }
}

/// `/Date(1772334000000)/`, RFC 3339, or WMI's form (`20260301031200.000000+540`). A time without an offset from UTC identifies
/// no moment.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    if let Some(rest) = text.strip_prefix("/Date(") {
        // A trailing offset is for display: the number counts from 1970 in UTC.
        let end = rest.char_indices().skip(1).find(|(_, c)| !c.is_ascii_digit()).map_or(rest.len(), |(at, _)| at);
        return Timestamp::from_millisecond(rest.get(..end)?.parse().ok()?).ok();
    }
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let (moment, offset) = text.split_at_checked(21)?;
    let minutes: i64 = offset.parse().ok()?;
    let at = DateTime::strptime("%Y%m%d%H%M%S", moment.split('.').next()?).ok()?;
    let utc = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
    utc.checked_sub(Span::new().try_minutes(minutes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check_time(text: &str, expected: Option<&str>) {
        assert_eq!(time(text).map(|at| at.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn dates_come_in_three_forms_and_are_moments_only_with_an_offset() {
        check_time("/Date(1772334000000)/", Some("2026-03-01T03:00:00Z"));
        check_time("/Date(1772334000000+0900)/", Some("2026-03-01T03:00:00Z"));
        check_time("/Date(-62135596800000)/", Some("0001-01-01T00:00:00Z"));
        check_time("2026-03-01T12:00:00+09:00", Some("2026-03-01T03:00:00Z"));
        check_time("20260301120000.000000+540", Some("2026-03-01T03:00:00Z"));
        check_time("20260228220000.000000-300", Some("2026-03-01T03:00:00Z"));
        for none in ["20260301120000.000000+***", "2026-03-01T12:00:00", "01.03.2026 12:00", "/Date()/", "", "20260301"] {
            check_time(none, None);
        }
        let bag =
            json!({"never": "0001-01-01T00:00:00Z", "null": null, "wrapped": {"value": "/Date(1772334000000)/", "DateTime": "x"}});
        let bag = Bag::new(&bag).expect("a bag");
        assert_eq!((bag.time("never"), bag.time("null"), bag.time("other")), (Known::None, Known::None, Known::Unknown));
        assert!(matches!(bag.time("Wrapped"), Known::Some(_)));
    }

    #[test]
    fn numbers_and_booleans_come_as_each_other_and_as_texts() {
        for one in [json!(1), json!("1"), json!(true), json!(1.0), json!("0x1"), json!({"value": 1, "Value": "Running"})] {
            assert_eq!((number(&one), boolean(&one)), (Some(1), Some(true)), "{one}");
        }
        assert_eq!((boolean(&json!("False")), number(&json!("0X8013150A"))), (Some(false), Some(2_148_734_218)));
        for none in [json!(null), json!("yes please"), json!(1.5), json!([1]), json!({}), json!("99999999999999999999")] {
            assert_eq!((number(&none), boolean(&none)), (None, None), "{none}");
        }
    }

    #[test]
    fn a_list_of_one_may_stand_without_its_list() {
        for (value, count) in [
            (json!([1, 2]), 2),
            (json!({"Id": 1}), 1),
            (json!(null), 0),
            (json!([]), 0),
            (json!({"value": [1, 2, 3], "Count": 3}), 3),
        ] {
            assert_eq!(items(&value).len(), count, "{value}");
        }
    }

    #[test]
    fn server_names_lose_what_is_around_them() {
        for text in
            ["sup1.corp.example", "\\\\sup1.corp.example", "\\\\sup1.corp.example\\", "http://me:word@sup1.corp.example:8530/x?y"]
        {
            assert_eq!(server(text).as_deref(), Some("sup1.corp.example"), "{text}");
        }
        for none in ["", "CORP\\svc", "\\\\", "a b", "http://"] {
            assert_eq!(server(none), None, "{none}");
        }
    }
}
