//! WSUS's own log, `SoftwareDistribution.log`: always UTC, tab-separated, with stack traces on the lines that follow.
//!
//! `YYYY-MM-DD HH:MM:SS.mmm UTC⇥Level⇥process.thread⇥Class.Method⇥message`. Viewers replace the tabs by blanks or drop them, so
//! that the columns run together; level and process are then recognised by their shape, and the method by its name.

use super::fields::{Scan, date};
use super::{Form, Level, Record, Stamp};

/// Methods that concern synchronisation, used to find where a method name ends without a separator.
const METHODS: &[&str] = &[
    "AdminDataAccess.ExecuteSPGetEulaFile",
    "AdminDataAccess.StartSubscriptionManually",
    "AuthorizationManager.GetUpstreamServerUriHeader",
    "CabUtilities.CheckCertificateSignature",
    "CatalogSyncAgent.SetSubscriptionStateWithRetry",
    "CatalogSyncAgent.UpdateSyncResultAndGenerateReportingEvent",
    "CatalogSyncAgent.WakeUpWorkerThreadProc",
    "ContentSyncAgent.ContentSyncSPFireStateMachineEvent",
    "ContentSyncAgent.Download",
    "ContentSyncAgent.JobError",
    "ContentSyncAgent.ProcessBITSNotificationQueue",
    "ContentSyncAgent.VerifyCRC",
    "ContentSyncAgent.WakeUpWorkerThreadProc",
    "DBConnection.ExecuteCommandNoResult",
    "DBConnection.OnReceivingInfoMessage",
    "DssAuthWebServiceImplementation..ctor",
    "EventLogEventReporter.ReportEvent",
    "ResetStateMachineAgent.WakeUpWorkerThreadProc",
    "ServerImplementation..ctor",
    "SoapExceptionProcessor.SerializeAndThrow",
    "SoapUtilities.LogException",
    "SusEventDispatcher.DispatchManagerWorkerThreadProc",
    "SusEventDispatcher.RegisterEventHandler",
    "SusEventDispatcher.TriggerEvent",
    "WebServiceCommunicationHelper.ProcessWebServiceProxyException",
];

/// Whether a line begins a record of this form.
pub fn begins(text: &str) -> bool {
    head(text).is_some() || method(text).is_some()
}

/// Whether a line begins with a stamp, as WSUS writes it.
pub fn is_stamped(text: &str) -> bool {
    stamp(text).is_some()
}

/// Whether a line belongs to the record before it, because it begins no record of any form.
pub fn continues(text: &str) -> bool {
    !begins(text) && super::parse(text).form == Form::Bare
}

pub(super) fn parse(raw: &str) -> Option<Record<'_>> {
    let Some((stamp, level, thread, rest)) = head(raw) else {
        let (method, message) = method(raw)?;
        return Some(Record { component: method, ..Record::new(Form::Wsus, raw, message.trim()) });
    };
    let (component, message) = columns(rest);
    Some(Record { component, thread, stamp, level, ..Record::new(Form::Wsus, raw, message.trim()) })
}

/// Splits class and method from the message.
fn columns(rest: &str) -> (&str, &str) {
    let rest = rest.trim_start_matches(['\t', ' ']);
    if let Some((method, message)) = rest.split_once('\t') {
        return (method.trim(), message);
    }
    if let Some(known) = method(rest).or_else(|| rest.strip_prefix("ThreadEntry").map(|rest| ("ThreadEntry", rest))) {
        return known;
    }
    let word = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
    match rest.split_at(word) {
        (method, message) if method.contains('.') && method.is_ascii() && !message.is_empty() => (method, message),
        _ => ("", rest),
    }
}

/// A method known by name, and the rest.
fn method(text: &str) -> Option<(&str, &str)> {
    // Fast rejection: a class comes first, then a dot.
    let class = text.as_bytes().iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    (text.as_bytes().get(class) == Some(&b'.')).then_some(())?;
    let known = METHODS.iter().filter(|method| text.starts_with(**method)).max_by_key(|method| method.len())?;
    text.split_at_checked(known.len())
}

/// Stamp, level, thread, and the rest. A copy may have lost the stamp, or have placeholders in its place.
fn head(text: &str) -> Option<(Stamp<'_>, Level, u32, &str)> {
    let (stamp, rest) = match stamp(text) {
        Some((stamp, rest)) => (stamp, rest),
        None => (Stamp::Absent, text.strip_prefix("<Date> <Time> ").unwrap_or(text)),
    };
    let stamped = stamp != Stamp::Absent;
    let rest = rest.trim_start_matches(['\t', ' ']);
    let levels = [("Info", Level::Info), ("Warning", Level::Warning), ("Error", Level::Error), ("Change", Level::Info)];
    let (level, rest) = levels.iter().find_map(|(word, level)| Some((*level, rest.strip_prefix(word)?)))?;
    let tabbed = rest.starts_with('\t');
    let rest = rest.trim_start_matches(['\t', ' ']);
    // Between tabs a process may have any name: `Publisher-Service.8`, `Some.Tool#2 x64.12`.
    let between = if stamped && tabbed { rest.split_once('\t') } else { None };
    let own = between.and_then(|(process, after)| {
        let (name, thread) = process.rsplit_once('.')?;
        let thread = thread.trim().parse().ok().filter(|_| !name.trim().is_empty())?;
        Some((stamp, level, thread, after))
    });
    if own.is_some() {
        return own;
    }
    if let Some((thread, after)) = named(rest).filter(|_| stamped) {
        return Some((stamp, level, thread, after));
    }
    // `w3wp.94`, `WsusService.15`
    let dot = rest.find('.').filter(|dot| (1..40).contains(dot))?;
    let (process, after) = rest.split_at(dot);
    process.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(())?;
    let after = after.get(1..)?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let (thread, rest) = after.split_at(digits);
    Some((stamp, level, thread.parse().ok()?, rest))
}

/// The thread of a process with any name, where blanks replaced the tabs: a number after a dot, then the method.
fn named(text: &str) -> Option<(u32, &str)> {
    let head = super::fields::head(text, PROCESS);
    let ends = head.char_indices().filter(|(_, c)| *c == '.').map(|(at, _)| at);
    for dot in ends {
        let rest = text.get(dot + 1..)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let method = after.trim_start_matches(['\t', ' ']);
        let word = method.split([' ', '\t']).next().unwrap_or_default();
        let is_method = word.contains('.') && word.starts_with(|c: char| c.is_ascii_uppercase()) || word.starts_with("ThreadEntry");
        if digits > 0 && after.starts_with([' ', '\t']) && is_method {
            return Some((number.parse().ok()?, after));
        }
    }
    None
}

/// Longest process name, with its thread.
const PROCESS: usize = 120;

/// `YYYY-MM-DD HH:MM:SS.mmm UTC`, and the rest.
fn stamp(text: &str) -> Option<(Stamp<'_>, &str)> {
    // Fast rejection.
    (text.as_bytes().get(4) == Some(&b'-')).then_some(())?;
    let mut scan = Scan::new(text);
    let year = scan.number(4)?;
    scan.one_of(b"-")?;
    let month = scan.number(2)?;
    scan.one_of(b"-")?;
    let day = scan.number(2)?;
    scan.one_of(b" ")?;
    let time = scan.time()?;
    let rest = text.get(text.len() - scan.left()..)?.strip_prefix(" UTC")?;
    Some((Stamp::Utc(date(year, month, day)?.to_datetime(time)), rest))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn tabs_blanks_and_glue() {
        let utc = Stamp::Utc(jiff::civil::date(2026, 3, 1).at(4, 5, 6, 789_000_000));
        for line in [
            "2026-03-01 04:05:06.789 UTC\tWarning\tw3wp.94\tEventLogEventReporter.ReportEvent\tEventId=386,Type=Error",
            "2026-03-01 04:05:06.789 UTC  Warning         w3wp.94 EventLogEventReporter.ReportEvent  EventId=386,Type=Error",
            "2026-03-01 04:05:06.789 UTCWarningw3wp.94EventLogEventReporter.ReportEventEventId=386,Type=Error",
        ] {
            let record = parse(line);
            assert_eq!(
                (record.form, record.level, record.component, record.thread, record.message, record.stamp),
                (Form::Wsus, Level::Warning, "EventLogEventReporter.ReportEvent", 94, "EventId=386,Type=Error", utc),
                "{line}"
            );
        }
        let record = parse("2026-03-01 04:05:06.789 UTC\tInfo\tw3wp.9\tX.Y\tfree text");
        assert_eq!((record.component, record.message), ("X.Y", "free text"));
    }

    #[test]
    fn a_process_has_any_name() {
        let utc = Stamp::Utc(jiff::civil::date(2026, 3, 1).at(4, 5, 6, 789_000_000));
        for process in ["Publisher-Service.8", "w3wp#2.8", "Some.Tool.x64.8", "Third Party Updates.8", "tool_1 (x86).8", "a.8"] {
            for between in ["\t", "  "] {
                let line = format!(
                    "2026-03-01 04:05:06.789 UTC{between}Error{between}{process}{between}Publisher.PublishPackage{between}Operation Failed with Error: x"
                );
                let record = parse(&line);
                assert_eq!(
                    (record.form, record.level, record.component, record.thread, record.message, record.stamp),
                    (Form::Wsus, Level::Error, "Publisher.PublishPackage", 8, "Operation Failed with Error: x", utc),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn a_copy_without_stamps_is_known_by_its_method() {
        let record = parse("Changew3wp.6AdminDataAccess.StartSubscriptionManuallySynchronization manually started");
        assert_eq!((record.form, record.thread, record.message), (Form::Wsus, 6, "Synchronization manually started"));
        let record = parse("EventLogEventReporter.ReportEventEventId=361,Type=Information");
        assert_eq!((record.form, record.stamp), (Form::Wsus, Stamp::Absent));
        assert_eq!(parse("Error reading").form, Form::Bare);
    }
}
