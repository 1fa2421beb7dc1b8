//! `SUPSetup.log`: installation of the software update point role.

use supwatch_model::event::{EventKind, SetupOutcome};

use super::phrase::Meaning::{Error, Step, Typed};
use super::phrase::{Phrase, own, phrase};
use super::text::number;

pub(super) const PHRASES: &[Phrase] = &[
    phrase("SMSWSUS Setup Started", Typed(started)),
    phrase("Installation was successful", Typed(succeeded)),
    phrase("Deinstallation was successful", Step("role-removed")),
    own("Installation failed", Typed(failed)),
    phrase("Fatal MSI Error", Typed(failed)),
    own("Parameters:", Step("setup-step")),
    own("Installing ", Step("setup-step")),
    own("Deinstalling ", Step("setup-step")),
    phrase("========", Step("setup-step")),
    phrase("Found 0 Pre Reqs", Step("setup-step")),
    phrase("Found 1 Pre Reqs", Step("setup-step")),
    own("Enabling ", Step("setup-step")),
    own("Registered DLL", Step("setup-step")),
    own("Deregistered DLL", Step("setup-step")),
    phrase("Supported WSUS Server version", Step("console-found")),
    own("Unable to ", Error),
    phrase("RoleSetup()", Step("setup-ended")),
];

fn outcome(outcome: SetupOutcome, code: Option<i64>) -> Option<EventKind> {
    Some(EventKind::RoleSetup { outcome, code })
}

fn started(_: &str) -> Option<EventKind> {
    outcome(SetupOutcome::Started, None)
}

fn succeeded(_: &str) -> Option<EventKind> {
    outcome(SetupOutcome::Succeeded, None)
}

fn failed(_: &str) -> Option<EventKind> {
    outcome(SetupOutcome::Failed, None)
}

/// `… exited with return code: N`, preceded by the program's name. 3010 and 1641 request a restart.
pub(super) fn unusual(message: &str) -> Option<EventKind> {
    let (_, code) = message.split_once("exited with return code:")?;
    let code = i64::try_from(number(code.trim_start())?).ok()?;
    outcome(if matches!(code, 0 | 3010 | 1641) { SetupOutcome::Succeeded } else { SetupOutcome::Failed }, Some(code))
}

#[cfg(test)]
mod tests {
    use super::super::{Log, kind_of};
    use super::*;

    #[test]
    fn the_outcome_is_told_with_its_code() {
        let kind = |message: &str| kind_of(message, Some(Log::SupSetup));
        assert_eq!(kind("SMSWSUS Setup Started...."), outcome(SetupOutcome::Started, None));
        assert_eq!(kind("wsussetup.msi exited with return code: 1603"), outcome(SetupOutcome::Failed, Some(1603)));
        assert_eq!(kind("~RoleSetup().").map(|kind| kind.name()), Some("step"));
    }
}
