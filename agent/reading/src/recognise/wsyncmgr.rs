//! `wsyncmgr.log`: the course of a run at the top site and at a child, in the order of its lines.

use supwatch_model::event::{EventKind, Scope, ServiceChange, Trigger};
use supwatch_model::ids::SiteCode;

use super::phrase::Meaning::{Account, Error, Item, Progress, Quiet, Step, Typed};
use super::phrase::{Phrase, phrase};
use super::text::{after, between, bounded, component_error, number, one_line, starts_with, step, text_and_source, warning};

pub(super) const PHRASES: &[Phrase] = &[
    // Request and start.
    phrase("Wakeup ", Step("wakeup")),
    phrase("Found local sync request file", Step("local-request-found")),
    phrase("Found full sync request file", Step("full-request-found")),
    phrase("Found parent sync notification file", Typed(parent_notified)),
    phrase("Starting Sync", Step("starting")),
    phrase("Performing sync on", Typed(started)),
    phrase("Full sync required", Typed(full)),
    phrase("Read SUPs from SCF", Step("sups-read")),
    phrase("Found active SUP", Step("sup-found")),
    phrase("Found ", Typed(sups_counted)),
    phrase("DB Server not detected for SUP", Error),
    phrase("Sync Surface Drivers option", Step("surface-drivers")),
    phrase("Calling ImportUpdateFromCatalogSite", Step("catalog-import")),
    phrase("Generic exception :", Error),
    // WSUS synchronises.
    phrase("Synchronizing WSUS, default server is", Step("default-server")),
    phrase("Using account ", Account("account-used")),
    phrase("http://", Step("wsus-address")),
    phrase("https://", Step("wsus-address")),
    phrase("Synchronizing WSUS server ", Typed(wsus_phase)),
    phrase("sync: Starting ", Step("phase-starting")),
    phrase("sync: SMS performing cleanup", Typed(maintenance_phase)),
    phrase("sync: ", Progress(progress)),
    phrase("Done synchronizing WSUS Server", Step("wsus-done")),
    phrase("Done synchronizing SMS with WSUS Server", Step("database-done")),
    phrase("SyncGracePeriod", Step("grace-period")),
    phrase("Sleeping ", Step("sleeping")),
    phrase("Set content version of update source", Typed(content_version)),
    phrase("Resetting MaxInstall RunTime", Step("max-run-time-reset")),
    // The site database synchronises.
    phrase("Synchronizing SMS database with WSUS, default server is", Step("default-server")),
    phrase("Synchronizing SMS database with WSUS server ", Typed(database_phase)),
    phrase("Third party updates are", Step("third-party")),
    phrase("requested localization languages", Typed(languages)),
    phrase("Syncing updates arrived after", Step("changes-since")),
    phrase("Requested categories:", Typed(categories)),
    phrase("Synchronizing update ", Item("update")),
    phrase("Skipped update ", Item("update-skipped")),
    phrase("Failed to sync update ", Typed(update_failed)),
    phrase("Failed to sync some of the updates", Error),
    phrase("Too many consecutive failures", Error),
    phrase("sp_SetupSDMPackage", Error),
    phrase("DCM digest has", Error),
    phrase("*** [", Error),
    phrase("*** ", Step("sql-statement")),
    phrase("SQL>>>", Quiet),
    phrase("insert into ", Step("sql-statement")),
    phrase("declare @Error int; exec spProcessSUMSyncStateMessage", Step("state-message-processed")),
    // Replicas, and WSUS servers outside the intranet.
    phrase("Synchronizing replica WSUS servers", Typed(replica_phase)),
    phrase("Synchronizing internet facing WSUS", Typed(internet_phase)),
    // Maintenance of SUSDB.
    phrase("Starting cleanup on WSUS", Step("maintenance-started")),
    phrase("Cleaning up WSUS server", Step("maintenance-started")),
    phrase("Calling WSUS Cleanup", Step("cleanup-started")),
    phrase("Successfully completed WSUS Cleanup", Step("cleanup-done")),
    phrase("Cleanup processed", Step("cleanup-done")),
    phrase("Done Declining updates", Step("declined")),
    phrase("ncl", Step("index")),
    phrase("Done Indexing SUSDB", Step("indexed")),
    phrase("Indexing Failed", Error),
    phrase("SqlException thrown", Error),
    phrase("Could not Delete Obselete Updates", Error),
    phrase("Starting Deletion of ObseleteUpdates", Step("obsolete-deletion-started")),
    phrase("Obselete Update with Update ID", Item("obsolete-update-deleted")),
    phrase("Deletion Completed", Step("obsolete-deletion-done")),
    phrase("Skipping Delete Expired", Step("expired-skipped")),
    phrase("Deleted ", Step("deleted")),
    phrase("Failed to delete orphaned content folder", Typed(folder_kept)),
    // The certificate for third-party updates.
    phrase("Checking WSUS for third-party signing certificate", Step("signing-certificate")),
    phrase("Getting signing certificate", Step("signing-certificate")),
    phrase("Getting active WSUS signing certificate", Step("signing-certificate")),
    // Three lines that sound bad but are normal until a certificate exists.
    phrase("Exception when attempting to get signing certificate", Step("signing-certificate-absent")),
    phrase("Failed to query WSUSCertificateData table", Step("signing-certificate-absent")),
    phrase("Could not find an active WSUS signing cert", Step("signing-certificate-absent")),
    phrase("No signing certificate for third party updates", Step("signing-certificate-absent")),
    phrase("Successfully configured WSUS", Step("signing-certificate")),
    phrase("WSUS signing certificate details", Step("signing-certificate")),
    phrase("Inserting new signing certificate", Step("signing-certificate")),
    phrase("Successfully inserted new WSUS signing certificate", Step("signing-certificate")),
    phrase("Successfully downloaded and stored WSUS signing certificate", Step("signing-certificate")),
    phrase("Marked ", Step("signing-certificate")),
    phrase("Finished checking for third-party signing certificate", Step("signing-certificate")),
    phrase("Warning: Remote WSUS connection is not HTTPS", Typed(not_https)),
    // The end of the run.
    phrase("Sync succeeded", Typed(succeeded)),
    phrase("Sync failed.", Typed(retry)),
    phrase("Sync failed:", Typed(failed)),
    // A table heading that a copy appended to the line.
    phrase("MessageSync failed:", Typed(failed)),
    phrase("Setting sync alert", Step("alert")),
    phrase("Updated ", Typed(updated)),
    phrase("Sync time:", Step("duration")),
    phrase("Successfully synced site with parent", Typed(synced_with_parent)),
    phrase("Sending sync notification to child site(s):", Typed(children_notified)),
    phrase("SQL Replication type has not been set", Step("notification-sent")),
    phrase("Next scheduled sync is a", Typed(next_run)),
    // Operation of the component itself.
    phrase("Waiting ", Step("waiting")),
    phrase("Inbox source is local", Step("inbox-local")),
    phrase("SMS_EXECUTIVE started", Typed(service_started)),
    phrase("SMS_EXECUTIVE signalled", Typed(service_stopping)),
    phrase("Shutting down", Typed(service_stopping)),
    phrase("Thread terminated unexpectedly", Error),
    phrase("WSUS update source not found on site", Error),
    phrase("WebException:", Error),
    phrase("The underlying connection was closed", Error),
    phrase("A connection attempt failed because the connected party", Error),
    phrase("The given certificate chain has not", Error),
];

fn parent_notified(rest: &str) -> Option<EventKind> {
    let name = rest.trim().trim_end_matches('.').strip_suffix(".SYN")?;
    Some(EventKind::ParentNotified { parent: name.rsplit(['\\', '/']).next()?.parse().ok()? })
}

fn started(rest: &str) -> Option<EventKind> {
    let rest = rest.trim();
    let trigger = [
        ("regular schedule", Trigger::Schedule),
        ("local request", Trigger::Local),
        ("parent request", Trigger::Parent),
        ("retry schedule", Trigger::Retry),
    ]
    .into_iter()
    .find(|(words, _)| starts_with(rest, words))
    .map_or(Trigger::Unknown, |(_, trigger)| trigger);
    Some(EventKind::RunStarted { trigger, from: None, scope: Scope::Unknown })
}

fn full(_: &str) -> Option<EventKind> {
    Some(EventKind::RunStarted { trigger: Trigger::Unknown, from: None, scope: Scope::Full })
}

/// `Found 2 SUPs`
fn sups_counted(rest: &str) -> Option<EventKind> {
    number(rest).filter(|_| rest.contains("SUP")).map(|_| step("sups-counted", rest))
}

fn phase(phase: &str, server: &str) -> Option<EventKind> {
    Some(EventKind::RunPhase { phase: phase.to_owned(), server: one_line(server.trim_end_matches(['.', ' '])) })
}

/// The line occurs twice, first without the dots; copies that lost them are recognised by the following text.
fn wsus_phase(rest: &str) -> Option<EventKind> {
    if rest.ends_with("...") { phase("wsus", rest) } else { Some(step("wsus-server", rest)) }
}

fn database_phase(rest: &str) -> Option<EventKind> {
    phase("database", rest)
}

fn replica_phase(_: &str) -> Option<EventKind> {
    phase("replica", "")
}

fn internet_phase(_: &str) -> Option<EventKind> {
    phase("internet", "")
}

fn maintenance_phase(_: &str) -> Option<EventKind> {
    phase("maintenance", "")
}

/// `WSUS synchronizing updates, processed n out of m items (p%)`
fn progress(rest: &str) -> Option<(u64, u64, &'static str)> {
    let (what, counts) = rest.split_once(", processed ")?;
    let done = number(counts)?;
    let total = number(counts.split_once("out of ")?.1)?;
    let phase = if starts_with(what, "SMS") {
        "database"
    } else if starts_with(what, "Replica") {
        "replica"
    } else {
        "wsus"
    };
    Some((done, total, phase))
}

fn content_version(rest: &str) -> Option<EventKind> {
    let update_source = one_line(between(rest, "{", "}")?);
    // Copies truncate the line before the number.
    let Some(version) = rest.rsplit_once(" to ").and_then(|(_, version)| number(version)) else {
        return Some(step("content-version", rest));
    };
    Some(EventKind::CatalogVersion { update_source, version })
}

fn updated(rest: &str) -> Option<EventKind> {
    let version = number(rest.split_once("new update source content version is ")?.1)?;
    Some(EventKind::CatalogVersion { update_source: String::new(), version })
}

fn synced_with_parent(rest: &str) -> Option<EventKind> {
    let version = number(rest.split_once("version ")?.1)?;
    Some(EventKind::CatalogVersion { update_source: String::new(), version })
}

fn list(text: &str) -> Vec<String> {
    bounded(text.split(',').map(one_line).filter(|word| !word.is_empty()))
}

fn languages(rest: &str) -> Option<EventKind> {
    Some(EventKind::FiltersSeen { languages: list(rest.trim_start_matches([':', ' '])), categories: Vec::new() })
}

/// `Company=…, Product=…`; names contain commas themselves, so a new one begins only at a known kind.
fn categories(rest: &str) -> Option<EventKind> {
    let mut categories: Vec<String> = Vec::new();
    for part in list(rest) {
        match categories.last_mut() {
            Some(last) if !part.contains('=') => *last = format!("{last}, {part}"),
            _ => categories.push(part),
        }
    }
    Some(EventKind::FiltersSeen { languages: Vec::new(), categories })
}

/// `<guid>. Error: <text>. Source: <function>`
fn update_failed(rest: &str) -> Option<EventKind> {
    let (update, error) = rest.split_once(". Error:")?;
    let (text, source) = text_and_source(error);
    Some(EventKind::UpdateFailed { update: one_line(update), text, source })
}

fn folder_kept(rest: &str) -> Option<EventKind> {
    Some(warning(&format!("Failed to delete orphaned content folder{rest}")))
}

fn not_https(_: &str) -> Option<EventKind> {
    Some(warning("the connection to the remote WSUS is not HTTPS"))
}

fn succeeded(_: &str) -> Option<EventKind> {
    Some(EventKind::RunSucceeded)
}

fn retry(rest: &str) -> Option<EventKind> {
    let minutes = number(after(rest.trim_start(), "Will retry in")?)?;
    Some(EventKind::RetryScheduled { in_minutes: u32::try_from(minutes).ok()? })
}

fn failed(rest: &str) -> Option<EventKind> {
    let (text, source) = text_and_source(rest);
    Some(EventKind::RunFailed { text, source, code: None })
}

fn children_notified(rest: &str) -> Option<EventKind> {
    let sites: Vec<SiteCode> = rest.split([',', ' ']).filter_map(|word| word.trim_end_matches('.').parse().ok()).collect();
    (!sites.is_empty()).then_some(EventKind::ChildrenNotified { sites })
}

fn next_run(rest: &str) -> Option<EventKind> {
    let (next, at) = rest.trim_start_matches(['n', ' ']).split_once(" sync at ")?;
    Some(EventKind::NextRun { at: one_line(at), next: one_line(next), at_utc: None })
}

fn service_started(_: &str) -> Option<EventKind> {
    Some(EventKind::ServiceChanged { change: ServiceChange::Started })
}

fn service_stopping(_: &str) -> Option<EventKind> {
    Some(EventKind::ServiceChanged { change: ServiceChange::Stopping })
}

/// Lines that begin with a number, or that a table cannot describe.
pub(super) fn unusual(message: &str) -> Option<EventKind> {
    let first = message.as_bytes().first()?;
    if first.is_ascii_digit() && message.contains("update(s) were deleted from SUSDB") {
        return Some(step("obsolete-updates-deleted", message));
    }
    // `0x80072EFE - The connection with the server was terminated abnormally`
    if message.get(..3).is_some_and(|head| head.eq_ignore_ascii_case("0x8")) && message.contains(" - ") {
        return Some(component_error(message));
    }
    // `[23000][2627][Microsoft][SQL Server Native Client 11.0]…`
    if *first == b'[' && message.contains("][SQL Server") {
        return Some(component_error(message));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Log, kind_of};
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: EventKind) {
        assert_eq!(kind_of(message, Some(Log::Wsyncmgr)), Some(expected), "{message}");
    }

    #[test]
    fn each_trigger_is_told_apart() {
        for (line, trigger) in [
            ("Performing sync on regular schedule", Trigger::Schedule),
            ("Performing sync on local request", Trigger::Local),
            ("Performing sync on parent request", Trigger::Parent),
            ("Performing sync on retry schedule", Trigger::Retry),
            ("Performing sync on something new", Trigger::Unknown),
        ] {
            check(line, EventKind::RunStarted { trigger, from: None, scope: Scope::Unknown });
        }
    }

    #[test]
    fn a_failure_keeps_text_and_source_apart() {
        check(
            "Sync Failed: USSCommunicationError: WebException: The remote name could not be resolved: 'mu.example'~~at System.Net.X(). Source: A.B.SyncWSUS",
            EventKind::RunFailed {
                text: "USSCommunicationError: WebException: The remote name could not be resolved: 'mu.example' at System.Net.X()"
                    .into(),
                source: "A.B.SyncWSUS".into(),
                code: None,
            },
        );
        check("Sync failed. Will retry in 60 minutes", EventKind::RetryScheduled { in_minutes: 60 });
    }

    #[test]
    fn an_update_that_fails_is_no_failed_run() {
        check(
            "Failed to sync update 7155376c-87e9. Error: Failed to save update 9f6c. CCISource error: -1. Source: A.DefineUpdate",
            EventKind::UpdateFailed {
                update: "7155376c-87e9".into(),
                text: "Failed to save update 9f6c. CCISource error: -1".into(),
                source: "A.DefineUpdate".into(),
            },
        );
    }

    #[test]
    fn phases_progress_and_versions() {
        let phase = |phase: &str, server: &str| EventKind::RunPhase { phase: phase.into(), server: server.into() };
        check("Synchronizing WSUS server sup1.corp.example ...", phase("wsus", "sup1.corp.example"));
        check("Synchronizing WSUS server SUP1", step("wsus-server", "SUP1"));
        check("Synchronizing replica WSUS servers", phase("replica", ""));
        check(
            "sync: SMS synchronizing updates, processed 5 out of 7 items (71%), ETA in 00:00:01",
            EventKind::RunProgress { done: 5, total: 7, phase: "database".into() },
        );
        check("sync: WSUS synchronizing categories", step("phase-working", "WSUS synchronizing categories"));
        check(
            "Set content version of update source {ABC} for site CEN to 33",
            EventKind::CatalogVersion { update_source: "ABC".into(), version: 33 },
        );
        for line in [
            "Updated 130 items in SMS database, new update source content version is 34",
            "Successfully synced site with parent CEN, version 34",
        ] {
            check(line, EventKind::CatalogVersion { update_source: String::new(), version: 34 });
        }
    }

    #[test]
    fn children_and_the_next_run() {
        let codes = |list: &[&str]| list.iter().filter_map(|c| c.parse().ok()).collect::<Vec<SiteCode>>();
        check(
            "Sending sync notification to child site(s): P01, P02",
            EventKind::ChildrenNotified { sites: codes(&["P01", "P02"]) },
        );
        check(
            "Next scheduled sync is a retry sync at 8/2/2026 2:54:26 PM",
            EventKind::NextRun { at: "8/2/2026 2:54:26 PM".into(), next: "retry".into(), at_utc: None },
        );
    }

    #[test]
    fn filters_and_steps() {
        check(
            "requested localization languages: en,ja",
            EventKind::FiltersSeen { languages: vec!["en".into(), "ja".into()], categories: vec![] },
        );
        check(
            "Requested categories: Company=Acme, Inc., Product=Windows 10, version 1903 and later",
            EventKind::FiltersSeen {
                languages: vec![],
                categories: vec!["Company=Acme, Inc.".into(), "Product=Windows 10, version 1903 and later".into()],
            },
        );
        check("5 update(s) were deleted from SUSDB in Server: S Database: SUSDB", {
            step("obsolete-updates-deleted", "5 update(s) were deleted from SUSDB in Server: S Database: SUSDB")
        });
        check("Failed to query WSUSCertificateData table for tombstoned ones.", {
            step("signing-certificate-absent", "for tombstoned ones.")
        });
    }
}
