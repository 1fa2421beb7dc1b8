//! Recognises log lines that report database errors.

use supwatch_model::event::{Event, EventKind};

/// Words of SQL Server errors in a component's error, in lower case.
const WORDS: &[&str] = &[
    "sp_setupsdmpackage",
    "invalid schema",
    "sqlexception",
    "[sql server]",
    "odbc",
    "deadlock",
    "0x80131904",
    "insufficient system memory",
    "timeout expired",
    "transaction log for database",
    "ci_files_ak",
    "ci_documentstore_pk",
    "hideupdatesforreplicasync",
    "invalid update identity",
];

/// Whether an event reports a database error. Maintenance that could not reach SUSDB is not one.
pub(super) fn is_trouble(event: &Event) -> bool {
    let text = match &event.kind {
        EventKind::ComponentError { text, .. } | EventKind::RunFailed { text, .. } | EventKind::UpdateFailed { text, .. } => text,
        EventKind::StatusMessage(message) => return message.id == 7002,
        _ => return false,
    };
    let text = text.to_lowercase();
    let maintenance = text.contains("could not delete obselete")
        || text.contains("indexing failed")
        || text.starts_with("sqlexception thrown while connect");
    !maintenance && WORDS.iter().any(|word| text.contains(word))
}
