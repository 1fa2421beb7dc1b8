//! The tables that are compiled in.

use serde::de::DeserializeOwned;

/// A table from its TOML. A test reads each of them, so none that cannot be read is released; it would be empty.
pub(super) fn read<T: DeserializeOwned + Default>(toml: &str) -> T {
    toml::from_str(toml).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{FILES, entry::Cause};

    #[test]
    fn everything_that_is_compiled_in_can_be_read() {
        for (name, text) in FILES {
            let cause = Cause::parse(text, std::path::Path::new(name));
            assert!(cause.is_ok(), "{name}: {cause:?}");
        }
        for (name, text) in [
            ("article", include_str!("article.toml")),
            ("codes", include_str!("codes.toml")),
            ("localized", include_str!("localized.toml")),
            ("messages", include_str!("messages.toml")),
            ("normal", include_str!("normal.toml")),
        ] {
            let table: Result<toml::Table, _> = toml::from_str(text);
            assert!(table.is_ok(), "{name}: {table:?}");
        }
    }
}
