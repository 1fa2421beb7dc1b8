//! `wsyncmgr.log`: the life of a run at the top site and at a child, in the order the lines come.

use supwatch_proto::event::{ConnectionOutcome, EventKind, Scope, Trigger};
use supwatch_proto::ids::SiteCode;

use super::phrases::{after, between, connection, number, one_line, starts_with};

pub(super) fn recognise(message: &str) -> Option<EventKind> {
    request(message)
        .or_else(|| progress(message))
        .or_else(|| phase(message))
        .or_else(|| outcome(message))
        .or_else(|| aftermath(message))
}

/// Who asked, and the start.
fn request(message: &str) -> Option<EventKind> {
    let started = |trigger, scope| Some(EventKind::RunStarted { trigger, from: None, scope });
    if let Some(rest) = after(message, "Found parent sync notification file") {
        let parent = rest.trim_end_matches('.').strip_suffix(".SYN")?.rsplit(['\\', '/']).next()?.parse().ok()?;
        return Some(EventKind::ParentNotified { parent });
    }
    if starts_with(message, "Full sync required") {
        return started(Trigger::Unknown, Scope::Full);
    }
    match after(message, "Performing sync on")? {
        rest if starts_with(rest, "regular schedule") => started(Trigger::Schedule, Scope::Unknown),
        rest if starts_with(rest, "local request") => started(Trigger::Local, Scope::Unknown),
        rest if starts_with(rest, "parent request") => started(Trigger::Parent, Scope::Unknown),
        rest if starts_with(rest, "retry schedule") => started(Trigger::Retry, Scope::Unknown),
        _ => started(Trigger::Unknown, Scope::Unknown),
    }
}

/// `sync: WSUS synchronizing updates, processed n out of m items (p%)`
fn progress(message: &str) -> Option<EventKind> {
    let rest = after(message, "sync:")?;
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
    Some(EventKind::RunProgress { done, total, phase: phase.to_owned() })
}

fn phase(message: &str) -> Option<EventKind> {
    let server = |rest: &str| one_line(rest.trim_end_matches(['.', ' ']));
    let phase = |phase: &str, server: String| Some(EventKind::RunPhase { phase: phase.to_owned(), server });
    if let Some(rest) = after(message, "Synchronizing WSUS server ") {
        // The line comes twice, first without the dots.
        return rest.ends_with("...").then(|| phase("wsus", server(rest))).flatten();
    }
    if let Some(rest) = after(message, "Synchronizing SMS database with WSUS server ") {
        return phase("database", server(rest));
    }
    if starts_with(message, "Synchronizing replica WSUS servers") {
        return phase("replica", String::new());
    }
    if starts_with(message, "sync: SMS performing cleanup") {
        return phase("maintenance", String::new());
    }
    let (server, port, ssl) = connection(after(message, "Attempting connection to WSUS server:")?);
    Some(EventKind::WsusConnection { server, port, ssl, outcome: ConnectionOutcome::Attempted })
}

fn outcome(message: &str) -> Option<EventKind> {
    if starts_with(message, "Sync succeeded") {
        return Some(EventKind::RunSucceeded);
    }
    if let Some(rest) = after(message, "Sync failed.") {
        let minutes = number(after(rest, "Will retry in")?)?;
        return Some(EventKind::RetryScheduled { in_minutes: u32::try_from(minutes).ok()? });
    }
    let rest = after(message, "Sync failed:")?;
    let (text, source) = match rest.rfind(" Source: ") {
        Some(at) => (rest.get(..at)?, rest.get(at + " Source: ".len()..)?),
        None => (rest, ""),
    };
    // Some builds end the text with one dot too many.
    Some(EventKind::RunFailed { text: one_line(text).trim_end_matches('.').to_owned(), source: one_line(source), code: None })
}

fn aftermath(message: &str) -> Option<EventKind> {
    if let Some(rest) = after(message, "Sending sync notification to child site(s):") {
        let sites: Vec<SiteCode> = rest.split([',', ' ']).filter_map(|word| word.trim_end_matches('.').parse().ok()).collect();
        return (!sites.is_empty()).then_some(EventKind::ChildrenNotified { sites });
    }
    if let Some(rest) = after(message, "Next scheduled sync is a") {
        let (next, at) = rest.trim_start_matches("n ").split_once(" sync at ")?;
        return Some(EventKind::NextRun { at: one_line(at), next: one_line(next) });
    }
    if let Some(rest) = after(message, "Set content version of update source") {
        let update_source = one_line(between(rest, "{", "}")?);
        return Some(EventKind::CatalogVersion { update_source, version: number(rest.rsplit_once(" to ")?.1)? });
    }
    let version = if starts_with(message, "Updated ") {
        message.split_once("new update source content version is ")?.1
    } else if starts_with(message, "Successfully synced site with parent") {
        message.split_once("version ")?.1
    } else {
        return None;
    };
    Some(EventKind::CatalogVersion { update_source: String::new(), version: number(version)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: EventKind) {
        assert_eq!(recognise(message), Some(expected));
    }

    #[test]
    fn each_trigger_is_told_apart() {
        for (line, trigger) in [
            ("Performing sync on regular schedule", Trigger::Schedule),
            ("Performing sync on local request", Trigger::Local),
            ("Performing sync on parent request", Trigger::Parent),
            ("Performing sync on retry schedule", Trigger::Retry),
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
    fn phases_progress_and_versions() {
        check(
            "Synchronizing WSUS server sup1.corp.example ...",
            EventKind::RunPhase { phase: "wsus".into(), server: "sup1.corp.example".into() },
        );
        assert_eq!(recognise("Synchronizing WSUS server SUP1"), None);
        check(
            "sync: SMS synchronizing updates, processed 5 out of 7 items (71%), ETA in 00:00:01",
            EventKind::RunProgress { done: 5, total: 7, phase: "database".into() },
        );
        check(
            "Set content version of update source {ABC} for site CEN to 33",
            EventKind::CatalogVersion { update_source: "ABC".into(), version: 33 },
        );
        check(
            "Updated 130 items in SMS database, new update source content version is 34",
            EventKind::CatalogVersion { update_source: String::new(), version: 34 },
        );
        check(
            "Successfully synced site with parent CEN, version 34",
            EventKind::CatalogVersion { update_source: String::new(), version: 34 },
        );
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
            EventKind::NextRun { at: "8/2/2026 2:54:26 PM".into(), next: "retry".into() },
        );
    }
}
