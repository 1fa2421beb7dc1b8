//! Status messages of the three WSUS components, by id (source: the product's own message table).

use std::sync::OnceLock;

use serde::Deserialize;
use supwatch_model::text::Text;

use super::table;

/// One status message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Id, such as 6703.
    pub id: u32,
    /// `I`, `W` or `E`.
    pub severity: String,
    /// Component that sends it.
    pub component: String,
    /// Its meaning.
    pub meaning: Text,
}

impl Message {
    /// Whether it reports an error or a warning.
    pub fn is_error(&self) -> bool {
        self.severity != "I"
    }
}

#[derive(Default, Deserialize)]
struct File {
    message: Vec<Message>,
}

/// Every known message, by id.
pub fn all() -> &'static [Message] {
    static ALL: OnceLock<File> = OnceLock::new();
    &ALL.get_or_init(|| table::read(include_str!("messages.toml"))).message
}

/// A message by its id.
pub fn get(id: u32) -> Option<&'static Message> {
    all().iter().find(|message| message.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_once_each() {
        assert!(all().len() > 30);
        let mut ids: Vec<u32> = all().iter().map(|message| message.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), all().len());
        assert_eq!(get(6703).map(|message| message.severity.as_str()), Some("E"));
    }
}
