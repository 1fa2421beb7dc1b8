//! Error codes: their notations, and the names of common ones.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;
use supwatch_model::text::Text;

use super::table;

/// A code with a name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// HRESULT, or Win32 number.
    pub code: String,
    /// Symbolic name.
    pub name: String,
    /// Its meaning.
    pub meaning: Text,
}

#[derive(Default, Deserialize)]
struct File {
    code: Vec<Code>,
}

/// A code from any notation: `0x8013150A`, `0X8013150a`, `-2146233078`, `2148734218`, `53`.
pub fn code_of(text: &str) -> Option<u32> {
    let text = text.trim().to_lowercase();
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    if text.starts_with('-') {
        return text.parse::<i32>().ok().map(i32::cast_unsigned);
    }
    text.parse().ok()
}

/// The name of a code: its own, or that of the Win32 error in it.
pub fn known(code: u32) -> Option<&'static Code> {
    static ALL: OnceLock<BTreeMap<u32, Code>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let file: File = table::read(include_str!("codes.toml"));
        file.code.into_iter().filter_map(|code| Some((code_of(&code.code)?, code))).collect()
    });
    all.get(&code).or_else(|| (code >> 16 == 0x8007).then(|| all.get(&(code & 0xffff))).flatten())
}

/// A code without the facility of Win32 errors: the same error is written with and without it.
pub(super) fn bare(code: u32) -> u32 {
    if code >> 16 == 0x8007 { code & 0xffff } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_the_same_code() {
        for text in ["0x8013150A", "0X8013150a", "-2146233078", "2148734218"] {
            assert_eq!(code_of(text), Some(0x8013_150A), "{text}");
        }
        assert_eq!(code_of("53"), Some(53));
        assert_eq!(code_of("none"), None);
    }

    #[test]
    fn common_codes_have_names_and_win32_errors_with_their_facility_too() {
        assert_eq!(known(0x8013_1505).map(|code| code.name.as_str()), Some("COR_E_TIMEOUT"));
        assert_eq!(known(0x8007_0005).map(|code| code.name.as_str()), Some("ERROR_ACCESS_DENIED"));
        assert_eq!(known(0x8007_0005), known(5));
        assert_eq!(known(0xdead_beef), None);
    }
}
