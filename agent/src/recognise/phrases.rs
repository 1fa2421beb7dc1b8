//! Small readers that the tables of the logs share, and the lines that are known to mean nothing by themselves.

use supwatch_proto::event::EventKind;

/// Whether a message starts with a phrase, in any case: a Microsoft page itself writes "Sync Failed".
pub(super) fn starts_with(message: &str, phrase: &str) -> bool {
    message.get(..phrase.len()).is_some_and(|head| head.eq_ignore_ascii_case(phrase))
}

/// What follows a phrase at the start of a message.
pub(super) fn after<'a>(message: &'a str, phrase: &str) -> Option<&'a str> {
    starts_with(message, phrase).then(|| message.get(phrase.len()..)).flatten().map(str::trim)
}

/// The text between two marks; to the end where the second is missing.
pub(super) fn between<'a>(message: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = message.split_once(start)?.1;
    Some(rest.split_once(end).map_or(rest, |(found, _)| found))
}

/// The number at the start of a text.
pub(super) fn number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// `S, port: P, useSSL: B`, of which the port and SSL may be missing.
pub(super) fn connection(rest: &str) -> (String, Option<u16>, Option<bool>) {
    let mut parts = rest.split(',').map(str::trim);
    let server = one_line(parts.next().unwrap_or_default().trim_end_matches('.'));
    let (mut port, mut ssl) = (None, None);
    for part in parts {
        if let Some(text) = after(part, "port:") {
            port = number(text).and_then(|number| u16::try_from(number).ok());
        } else if let Some(text) = after(part, "useSSL:") {
            ssl = Some(text.eq_ignore_ascii_case("true"));
        }
    }
    (server, port, ssl)
}

/// Longest text taken out of a line; the raw line has the rest.
const TEXT_LIMIT: usize = 1500;

/// The beginning of a text, at most so many bytes.
pub(super) fn head(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// Line breaks inside a message are written as `~` or `~~`; one line reads better.
pub(super) fn one_line(text: &str) -> String {
    head(text, TEXT_LIMIT).split(['~', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A line that looks like trouble and has no type yet: exceptions and plain failures, never a mere word in a title.
pub(super) fn trouble(message: &str) -> Option<EventKind> {
    let lower = message.to_ascii_lowercase();
    let exception = lower.starts_with("system.") && lower.contains("exception");
    let failed = [
        "failed ",
        "error ",
        "error:",
        "could not ",
        "did not find supported version",
        "remote configuration failed",
        "unable to ",
    ]
    .iter()
    .any(|start| lower.starts_with(start));
    let sql = lower.contains("returns an error")
        || lower.contains("has invalid schema")
        || lower.contains("too many consecutive failures");
    (exception || failed || sql).then(|| EventKind::Notice {
        severity: if exception || sql { "error" } else { "warning" }.to_owned(),
        text: one_line(message),
    })
}

/// Lines of a healthy life that need no event of their own (compare the order in which a run writes them).
pub(super) const KNOWN_WITHOUT_EVENT: &[&str] = &[
    "Wakeup ",
    "Found local sync request file",
    "Starting Sync",
    "Read SUPs from SCF",
    "Found active SUP",
    "Found 0 SUPs",
    "Found 1 SUPs",
    "Found 2 SUPs",
    "Found 3 SUPs",
    "Sync Surface Drivers option",
    "Sync Catalog Drivers",
    "Using account",
    "http://",
    "https://",
    "sync: Starting",
    "sync: WSUS synchronizing",
    "sync: SMS synchronizing",
    "sync: Replica WSUS synchronizing",
    "sync: SMS performing cleanup",
    "Done synchronizing",
    "SyncGracePeriod",
    "Sleeping ",
    "Resetting MaxInstall RunTime",
    "Third party updates are enabled",
    "requested localization languages",
    "Syncing updates arrived after",
    "Requested categories",
    "Synchronizing update ",
    "Synchronizing WSUS, default server",
    "Synchronizing SMS database with WSUS, default server",
    "Sync time",
    "Setting sync alert",
    "Waiting ",
    "Inbox source is local",
    "SQL Replication type",
    "Skipping Delete Expired",
    "Deleted ",
    "Successfully refreshed categories",
    "Verify Upstream Server settings",
    "Checking for supported version",
    "Checking runtime",
    "Found supported assembly",
    "Supported WSUS version found",
    "Populating config from SCF",
    "SCF change notification",
    "File notification triggered",
    "Trigger event",
    "Using ",
    "Done using",
    "for ",
    "Subscribed Update Categories",
    "Configuration successful",
    "Attempting connection to local WSUS",
];
