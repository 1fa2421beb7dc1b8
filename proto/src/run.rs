//! Runs ⇄ their messages.

use supwatch_model::event::{Scope, Trigger};
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Phase, Run, RunOutcome};

use crate::time::{from_wire, to_wire};
use crate::wire::{self, WireError, known};

impl From<Run> for wire::Run {
    fn from(run: Run) -> wire::Run {
        let Run {
            id,
            site,
            trigger,
            from,
            scope,
            started_at,
            ended_at,
            outcome,
            phases,
            progress,
            cause,
            text,
            source,
            code,
            retry_of,
            catalog_version,
        } = run;
        wire::Run {
            id,
            site: site.to_string(),
            trigger: trigger.as_str().to_owned(),
            from: from.map(|site| site.to_string()).unwrap_or_default(),
            scope: scope.as_str().to_owned(),
            started_at: started_at.map(to_wire),
            ended_at: ended_at.map(to_wire),
            outcome: outcome.as_str().to_owned(),
            phases: phases.into_iter().map(wire::Phase::from).collect(),
            progress_done: progress.map(|(done, _)| done),
            progress_total: progress.map(|(_, total)| total),
            cause: cause.unwrap_or_default(),
            text: text.unwrap_or_default(),
            source: source.unwrap_or_default(),
            code: code.unwrap_or_default(),
            retry_of: retry_of.unwrap_or_default(),
            catalog_version,
        }
    }
}

impl TryFrom<wire::Run> for Run {
    type Error = WireError;

    fn try_from(message: wire::Run) -> Result<Run, WireError> {
        let wire::Run {
            id,
            site,
            trigger,
            from,
            scope,
            started_at,
            ended_at,
            outcome,
            phases,
            progress_done,
            progress_total,
            cause,
            text,
            source,
            code,
            retry_of,
            catalog_version,
        } = message;
        let code_of = |field, text: &str| text.parse::<SiteCode>().map_err(|error| WireError::invalid(field, text, error));
        Ok(Run {
            id,
            site: code_of("site", &site)?,
            trigger: Trigger::from_word(&trigger),
            from: known(from).map(|text| code_of("from", &text)).transpose()?,
            scope: Scope::from_word(&scope),
            started_at: from_wire(started_at),
            ended_at: from_wire(ended_at),
            outcome: RunOutcome::from_word(&outcome).unwrap_or(RunOutcome::Unknown),
            phases: phases.into_iter().map(Phase::from).collect(),
            progress: progress_done.zip(progress_total),
            cause: known(cause),
            text: known(text),
            source: known(source),
            code: known(code),
            retry_of: known(retry_of),
            catalog_version,
        })
    }
}

impl From<Phase> for wire::Phase {
    fn from(Phase { phase, server, started_at, ended_at }: Phase) -> wire::Phase {
        wire::Phase { phase, server, started_at: started_at.map(to_wire), ended_at: ended_at.map(to_wire) }
    }
}

impl From<wire::Phase> for Phase {
    fn from(wire::Phase { phase, server, started_at, ended_at }: wire::Phase) -> Phase {
        Phase { phase, server, started_at: from_wire(started_at), ended_at: from_wire(ended_at) }
    }
}
