//! The built-in tables.

use serde::de::DeserializeOwned;

/// A table from its TOML. A test reads each of them, so no unreadable one is released; it would be empty.
pub(super) fn read<T: DeserializeOwned + Default>(toml: &str) -> T {
    toml::from_str(toml).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{FILES, article, codes, entry::Cause, localized, messages, normal};

    /// At run time an unreadable table or entry is skipped, so this test reads them all.
    #[test]
    fn everything_that_is_compiled_in_can_be_read() {
        for (name, text) in FILES {
            let cause = Cause::parse(text, std::path::Path::new(name));
            assert!(cause.is_ok(), "{name}: {cause:?}");
        }
        assert!(!article::all().is_empty() && !messages::all().is_empty() && !normal::all().is_empty());
        assert!(!localized::all().is_empty() && codes::known(0x8007_0005).is_some());
    }
}
