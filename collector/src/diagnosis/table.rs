//! The tables that are compiled in.

use serde::de::DeserializeOwned;

/// A table from its TOML. A test reads each of them, so none that cannot be read is released; it would be empty.
pub(super) fn read<T: DeserializeOwned + Default>(name: &str, toml: &str) -> T {
    toml::from_str(toml).unwrap_or_else(|error| {
        tracing::error!(%error, "the built-in table {name} cannot be read");
        T::default()
    })
}
