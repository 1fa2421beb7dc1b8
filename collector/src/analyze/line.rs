//! Classifies a single line: whether it is a known software update point log line that reports no error.

use supwatch_model::event::{ConnectionOutcome, EventKind, SetupOutcome};
use supwatch_model::ids::SiteCode;
use supwatch_reading::clock::Clock;
use supwatch_reading::parse;
use supwatch_reading::recognise::{Memory, Recogniser, Understood};

/// A known line that reports no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// The log that contains such lines, if the line shows it.
    pub log: Option<&'static str>,
}

/// Names of logs by their names in events.
const LOGS: [(&str, &str); 5] = [
    ("wsyncmgr", "wsyncmgr.log"),
    ("wcm", "WCM.log"),
    ("wsusctrl", "WSUSCtrl.log"),
    ("supsetup", "SUPSetup.log"),
    ("softwaredistribution", "SoftwareDistribution.log"),
];

/// The recogniser's result for a single line: `None` if it does not know the line, or the line reports trouble.
pub fn quiet(line: &str) -> Option<Quiet> {
    let record = parse::parse(line);
    let mut recogniser = Recogniser::new(SiteCode::UNKNOWN, "", Clock::default(), Memory::default());
    let mut events = Vec::new();
    let understood = recogniser.recognise(&record, &mut events);
    recogniser.release(&mut events);
    let known = matches!(understood, Understood::Typed | Understood::Quiet);
    let log = events.first().and_then(|event| LOGS.iter().find(|(name, _)| *name == event.log)).map(|(_, log)| *log);
    (known && events.iter().all(|event| reports_no_error(&event.kind))).then_some(Quiet { log })
}

fn reports_no_error(kind: &EventKind) -> bool {
    match kind {
        EventKind::RunStarted { .. }
        | EventKind::RunPhase { .. }
        | EventKind::RunProgress { .. }
        | EventKind::RunSucceeded
        | EventKind::NextRun { .. }
        | EventKind::ChildrenNotified { .. }
        | EventKind::ParentNotified { .. }
        | EventKind::CatalogVersion { .. }
        | EventKind::UpstreamSeen { .. }
        | EventKind::Step { .. }
        | EventKind::FiltersSeen { .. }
        | EventKind::ServiceChanged { .. }
        | EventKind::WsusConnection { outcome: ConnectionOutcome::Attempted | ConnectionOutcome::Connected, .. }
        | EventKind::RoleSetup { outcome: SetupOutcome::Started | SetupOutcome::Succeeded, .. } => true,
        EventKind::StatusMessage(message) => message.severity == "I",
        EventKind::WcmState { state } => *state != 3,
        EventKind::WsusHealth { healthy, .. } => *healthy,
        EventKind::WsusConsole { found } => *found,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use supwatch_judgement::diagnosis::normal;

    #[test]
    fn a_step_is_quiet_and_an_error_is_not() {
        for line in [
            "Third party updates are enabled",
            "requested localization languages: en, ja",
            "Setting new configuration state to 2 (WSUS_CONFIG_SUCCESS)",
            "There are no unhealthy WSUS Server components on WSUS Server SUP1.corp.example",
        ] {
            assert!(quiet(line).is_some(), "{line}");
        }
        let stamped = "Third party updates are enabled  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 04:00:00.000+0><thread=1 (0x1)>";
        assert_eq!(quiet(stamped), Some(Quiet { log: Some("wsyncmgr.log") }));
        for line in [
            "Sync failed: WSUS server not configured. Source: CWSyncMgr::DoSync",
            "Sync failed. Will retry in 60 minutes",
            "Setting new configuration state to 3 (WSUS_CONFIG_FAILED)",
            "System.Net.WebException: something",
            "nothing that a log would say",
            "",
        ] {
            assert_eq!(quiet(line), None, "{line}");
        }
    }

    /// The recogniser knows every line that counts as normal, and takes none of them for an error.
    #[test]
    fn what_is_called_normal_is_known_to_the_recogniser() {
        let mut unknown = Vec::new();
        for start in normal::all().iter().filter(|line| !line.follows_failure).flat_map(|line| &line.start) {
            let rests = [
                "",
                " x",
                " 1",
                " server, port: 8530",
                " CEN.SYN.",
                " {G} to 1",
                " P01",
                "2 items, new update source content version is 3",
                " n sync at 1",
                " version 3",
                ": P01, P02",
            ];
            let known = rests.iter().any(|rest| quiet(&format!("{start}{rest}")).is_some());
            if !known {
                unknown.push(start);
            }
        }
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
