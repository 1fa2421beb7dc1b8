//! Events of one site → its runs.
//!
//! Pure. "Sync failed" and its 6703 are one failure; a run whose log begins in the middle has no start; a run whose end is never
//! seen because the next one begins, or the service restarts, is `unknown`. What WCM and WSUS write about the same failure is
//! joined to it. Nothing is invented.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use supwatch_model::event::{Event, EventKind, Scope, StatusMessage, Trigger};
use supwatch_model::finding::Evidence;
use supwatch_model::ids::SiteCode;
use supwatch_model::run::{Phase, Run, RunOutcome};

use crate::diagnosis::Catalogue;

mod join;
mod tracked;
mod wcm;

use join::Troubles;
pub use tracked::TrackedRun;
pub use wcm::WcmFailure;

/// Runs kept in memory for a site: two weeks of hourly ones.
pub const RUNS_KEPT: usize = 400;

/// The runs of one site, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    site: SiteCode,
    kept: VecDeque<TrackedRun>,
    /// The newest success among the runs no longer kept, so that a long series of failures does not displace it.
    earlier_success: Option<TrackedRun>,
    troubles: Troubles,
    wcm: wcm::Wcm,
}

impl Runs {
    /// No runs.
    pub fn new(site: SiteCode) -> Runs {
        Runs { site, kept: VecDeque::new(), earlier_success: None, troubles: Troubles::default(), wcm: wcm::Wcm::default() }
    }

    /// The runs, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &TrackedRun> {
        self.kept.iter()
    }

    /// The newest run.
    pub fn last(&self) -> Option<&TrackedRun> {
        self.kept.back()
    }

    /// The newest run that succeeded.
    pub fn last_success(&self) -> Option<&TrackedRun> {
        let kept = self.kept.iter().rev().find(|tracked| tracked.run.outcome == RunOutcome::Succeeded);
        kept.or(self.earlier_success.as_ref())
    }

    /// The oldest run known to have succeeded.
    pub fn first_success(&self) -> Option<&TrackedRun> {
        let kept = || self.kept.iter().find(|tracked| tracked.run.outcome == RunOutcome::Succeeded);
        self.earlier_success.as_ref().or_else(kept)
    }

    /// The newest run that failed.
    pub fn last_failure(&self) -> Option<&TrackedRun> {
        self.kept.iter().rev().find(|tracked| tracked.run.outcome == RunOutcome::Failed)
    }

    /// The runs as known at a moment: later ones are removed, and one that ended later is still running.
    pub fn as_of(&self, at: Timestamp) -> Runs {
        let begun = |tracked: &&TrackedRun| tracked.run.started_at.or(tracked.run.ended_at).is_none_or(|time| time <= at);
        let kept = self.kept.iter().filter(begun).map(|tracked| tracked.as_of(at));
        let mut wcm = self.wcm.clone();
        wcm.failure = wcm.failure.filter(|failure| failure.time.is_none_or(|time| time <= at));
        let earlier_success = self.earlier_success.clone().filter(|earlier| earlier.run.ended_at.is_none_or(|time| time <= at));
        Runs { site: self.site, kept: kept.collect(), earlier_success, troubles: self.troubles.clone(), wcm }
    }

    /// An open failure of WCM that no run has reported since; a run that failed because of it has it as evidence.
    pub fn wcm_failure(&self) -> Option<&WcmFailure> {
        let failure = self.wcm.failure.as_ref()?;
        let ended = |tracked: &&TrackedRun| matches!(tracked.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed);
        let last = self.kept.iter().rev().find(ended);
        let seen =
            last.is_some_and(|last| last.run.ended_at >= failure.time || last.joined.iter().any(|joined| joined.is_of_wcm()));
        (!seen).then_some(failure)
    }

    /// Applies an event.
    pub fn fold(&mut self, event: &Event, catalogue: &Catalogue) {
        match &event.kind {
            EventKind::RunStarted { trigger: Trigger::Unknown, scope: Scope::Full, .. } => {
                if let Some(tracked) = self.running() {
                    tracked.run.scope = Scope::Full;
                }
            }
            EventKind::RunStarted { trigger, from, scope } => self.start(event, *trigger, *from, *scope),
            EventKind::RunPhase { phase, server } => self.phase(event, phase, server),
            EventKind::RunProgress { done, total, .. } => {
                if let Some(tracked) = self.running() {
                    if tracked.run.progress != Some((*done, *total)) {
                        tracked.progress(event);
                    }
                    tracked.run.progress = Some((*done, *total));
                }
            }
            EventKind::RunSucceeded => self.succeeded(event),
            EventKind::RunFailed { text, source, code } => self.failed(event, text, source, code.as_deref(), catalogue),
            EventKind::StatusMessage(message) => self.status(event, message, catalogue),
            EventKind::ServiceChanged { .. } => self.abandon(),
            EventKind::CatalogVersion { version, .. } if event.log == "wsyncmgr" => self.version(event, *version),
            EventKind::UpdateFailed { .. } | EventKind::FiltersSeen { .. } if event.log == "wsyncmgr" => {
                if let Some(tracked) = self.running() {
                    tracked.progress(event);
                }
            }
            _ => {}
        }
        self.wcm.fold(event, catalogue);
        self.join(event, catalogue);
    }

    /// Lines of other logs are joined to the failure they surround, whichever arrives first.
    fn join(&mut self, event: &Event, catalogue: &Catalogue) {
        if join::is_well(event) {
            self.troubles.record_success(event);
            // Errors joined before this may be over.
            let later = |tracked: &&mut TrackedRun| tracked.run.outcome == RunOutcome::Failed && tracked.run.ended_at >= event.time;
            for tracked in self.kept.iter_mut().filter(later) {
                if self.troubles.clear(tracked, event) {
                    self.troubles.iter().for_each(|trouble| {
                        self.troubles.consider(tracked, trouble);
                    });
                    tracked.diagnose(catalogue);
                }
            }
        } else if let Some(trouble) = self.troubles.record(event, catalogue) {
            for tracked in self.kept.iter_mut().filter(|tracked| tracked.run.outcome == RunOutcome::Failed) {
                if self.troubles.consider(tracked, &trouble) {
                    tracked.diagnose(catalogue);
                }
            }
        }
    }

    fn status(&mut self, event: &Event, message: &StatusMessage, catalogue: &Catalogue) {
        let of_sync = message.component.is_empty() || message.component == "SMS_WSUS_SYNC_MANAGER";
        let string = |index: usize| message.strings.get(index).map(String::as_str).unwrap_or_default();
        match message.id {
            6701 => match self.running() {
                // Lines of a copy may have lost their times; the message carries its own.
                Some(tracked) => {
                    let time = tracked.run.started_at.or(event.time.filter(|_| tracked.run.phases.is_empty()));
                    tracked.run.started_at = time;
                    tracked.progressed_at = tracked.progressed_at.or(time);
                }
                None => self.start(event, Trigger::Unknown, None, Scope::Unknown),
            },
            6704 => self.phase(event, "wsus", ""),
            6705 => self.phase(event, "database", ""),
            6706 => self.phase(event, "replica", ""),
            6702 => self.succeeded(event),
            6703 => self.failed(event, string(1), string(0), message.last_error.as_deref(), catalogue),
            500..=502 if of_sync => self.abandon(),
            _ => {}
        }
    }

    /// A catalogue version is set while a run is in progress, or in the line after the one that reports its success.
    fn version(&mut self, event: &Event, version: u64) {
        let after = |last: &&mut TrackedRun| {
            last.run.outcome == RunOutcome::Running
                || last.run.outcome == RunOutcome::Succeeded && in_one_breath(last.run.ended_at, event.time)
        };
        if let Some(tracked) = self.kept.back_mut().filter(after) {
            tracked.run.catalog_version = Some(version);
            if tracked.run.outcome == RunOutcome::Running {
                tracked.progress(event);
            }
        }
    }

    fn running(&mut self) -> Option<&mut TrackedRun> {
        self.kept.back_mut().filter(|tracked| tracked.run.outcome == RunOutcome::Running)
    }

    /// Closes the run in progress, whose end will never be seen.
    fn abandon(&mut self) {
        if let Some(tracked) = self.running() {
            tracked.run.outcome = RunOutcome::Unknown;
        }
    }

    fn start(&mut self, event: &Event, trigger: Trigger, from: Option<SiteCode>, scope: Scope) {
        self.abandon();
        let retry_of = (trigger == Trigger::Retry)
            .then(|| self.last().filter(|last| last.run.outcome == RunOutcome::Failed).map(|last| last.run.id.clone()))
            .flatten();
        self.push(event.time, trigger, from, scope, retry_of);
        if let Some(tracked) = self.kept.back_mut() {
            tracked.start_line = Some(line_of(event));
            tracked.progress_line.clone_from(&tracked.start_line);
        }
    }

    fn push(
        &mut self,
        started_at: Option<Timestamp>,
        trigger: Trigger,
        from: Option<SiteCode>,
        scope: Scope,
        retry_of: Option<String>,
    ) {
        let run = Run {
            id: self.id(started_at),
            site: self.site,
            trigger,
            from,
            scope,
            started_at,
            ended_at: None,
            outcome: RunOutcome::Running,
            phases: Vec::new(),
            progress: None,
            cause: None,
            text: None,
            source: None,
            code: None,
            retry_of,
            catalog_version: None,
        };
        self.kept.push_back(TrackedRun::new(run));
        if self.kept.len() > RUNS_KEPT {
            let gone = self.kept.pop_front();
            self.earlier_success = gone.filter(|gone| gone.run.outcome == RunOutcome::Succeeded).or(self.earlier_success.take());
        }
    }

    fn id(&self, started_at: Option<Timestamp>) -> String {
        let base = match started_at {
            Some(time) => format!("{}-{}", self.site, time.strftime("%Y%m%dT%H%M%SZ")),
            None => format!("{}-{}", self.site, self.kept.len() + 1),
        };
        let twin = |tracked: &&TrackedRun| tracked.run.id == base || tracked.run.id.starts_with(&format!("{base}."));
        let twins = self.kept.iter().filter(twin).count();
        if twins == 0 { base } else { format!("{base}.{}", twins + 1) }
    }

    /// The run an event belongs to; if the log begins in the middle of a run, one without a start.
    fn current(&mut self) -> Option<&mut TrackedRun> {
        if self.running().is_none() {
            self.push(None, Trigger::Unknown, None, Scope::Unknown, None);
        }
        self.kept.back_mut()
    }

    fn phase(&mut self, event: &Event, phase: &str, server: &str) {
        // Threads interleave: maintenance may still write after the run has ended, and starts no new one.
        let over = self.last().is_some_and(|last| matches!(last.run.outcome, RunOutcome::Succeeded | RunOutcome::Failed));
        if phase == "maintenance" && (over || self.last().is_none()) {
            return;
        }
        let Some(tracked) = self.current() else { return };
        if tracked.run.phases.last().is_none_or(|last| last.phase != phase) {
            tracked.progress(event);
        }
        let run = &mut tracked.run;
        match run.phases.last_mut() {
            // The status message precedes the line that names the server.
            Some(last) if last.phase == phase && (last.server.is_empty() || server.is_empty() || last.server == server) => {
                if last.server.is_empty() {
                    last.server = server.to_owned();
                }
            }
            // Lines about replicas look like those about the main server; they stay in their own phase.
            Some(last) if last.phase == "replica" && phase == "wsus" && last.server.is_empty() => last.server = server.to_owned(),
            Some(last) if last.phase == "replica" && phase == "wsus" => {
                last.ended_at = event.time;
                run.phases.push(Phase {
                    phase: "replica".to_owned(),
                    server: server.to_owned(),
                    started_at: event.time,
                    ended_at: None,
                });
            }
            last => {
                if let Some(last) = last {
                    last.ended_at = event.time;
                }
                run.phases.push(Phase {
                    phase: phase.to_owned(),
                    server: server.to_owned(),
                    started_at: event.time,
                    ended_at: None,
                });
            }
        }
    }

    fn end(&mut self, event: &Event, outcome: RunOutcome) -> Option<&mut TrackedRun> {
        let tracked = self.current()?;
        tracked.run.outcome = outcome;
        tracked.run.ended_at = event.time;
        if let Some(phase) = tracked.run.phases.last_mut() {
            phase.ended_at = event.time;
        }
        Some(tracked)
    }

    fn succeeded(&mut self, event: &Event) {
        // 6702 and "Sync succeeded" report the same success.
        let said = |last: &TrackedRun| last.run.outcome == RunOutcome::Succeeded && in_one_breath(last.run.ended_at, event.time);
        if !self.last().is_some_and(said) {
            self.end(event, RunOutcome::Succeeded);
        } else if let Some(tracked) = self.kept.back_mut() {
            tracked.run.ended_at = tracked.run.ended_at.or(event.time);
        }
    }

    fn failed(&mut self, event: &Event, text: &str, source: &str, code: Option<&str>, catalogue: &Catalogue) {
        // "Sync failed" and 6703 report the same failure.
        let twin = self
            .last()
            .is_some_and(|last| last.run.outcome == RunOutcome::Failed && last.reported.len() < 4 && is_twin(last, event));
        if !twin {
            self.end(event, RunOutcome::Failed);
        }
        let Some(tracked) = self.kept.back_mut() else { return };
        let run = &mut tracked.run;
        run.ended_at = run.ended_at.or(event.time);
        if run.text.is_none() && !text.is_empty() {
            run.text = Some(text.to_owned());
            run.source = Some(source.to_owned()).filter(|source| !source.is_empty());
        }
        run.code = run.code.take().or_else(|| code.map(str::to_owned));
        tracked.reported.push(line_of(event));
        for trouble in self.troubles.iter() {
            self.troubles.consider(tracked, trouble);
        }
        tracked.diagnose(catalogue);
    }
}

/// The line of an event as evidence.
pub fn line_of(event: &Event) -> Evidence {
    Evidence::Line { site: event.site, file: event.file.clone(), offset: event.offset, time: event.time, line: event.line.clone() }
}

/// Whether a failure event is the counterpart of the failure a run ended with: a line and its status message, written together.
fn is_twin(last: &TrackedRun, event: &Event) -> bool {
    let ended = last.run.ended_at;
    let is_message = |line: &str| line.contains("STATMSG:");
    let was_message = last.reported.iter().any(|reported| matches!(reported, Evidence::Line { line, .. } if is_message(line)));
    if was_message != is_message(&event.line) {
        return in_one_breath(ended, event.time);
    }
    // Two reports count as one failure only if their times show it.
    ended.is_some() && event.time.is_some() && in_one_breath(ended, event.time)
}

/// Whether two lines may report the same end of a run; without times only the order of the lines is known.
fn in_one_breath(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.duration_since(other).abs() <= BREATH,
        _ => true,
    }
}

/// Longest time between "Sync failed" and its 6703, or "Sync succeeded" and its 6702.
const BREATH: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::events;

    const STATMSG: &str = "SEV=I LEV=M SOURCE=\"SMS Server\" COMP=\"SMS_WSUS_SYNC_MANAGER\" SYS=s SITE=CEN PID=1 TID=2 GMTDATE=";

    fn runs(lines: &[&str]) -> Vec<Run> {
        let mut runs = Runs::new("CEN".parse().expect("code"));
        for event in events("CEN", lines) {
            runs.fold(&event, Catalogue::built_in());
        }
        runs.iter().map(|tracked| tracked.run.clone()).collect()
    }

    fn outcomes(lines: &[&str]) -> Vec<RunOutcome> {
        runs(lines).into_iter().map(|run| run.outcome).collect()
    }

    #[test]
    fn a_failure_and_its_status_message_are_one_failed_run() {
        let message = format!(
            "STATMSG: ID=6703 {STATMSG} ISTR0=\"A.B\" ISTR1=\"Unable to connect to the remote server\" NUMATTRS=0 LE=0X80131509"
        );
        let all = runs(&[
            "Performing sync on local request",
            "Sync failed: Unable to connect to the remote server. Source: A.B",
            &message,
            "Sync failed. Will retry in 60 minutes",
        ]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].outcome, RunOutcome::Failed);
        assert_eq!(all[0].cause.as_deref(), Some("cannot-connect"));
        assert_eq!(all[0].code.as_deref(), Some("0X80131509"));
        assert_eq!(outcomes(&[&message]), [RunOutcome::Failed]);
    }

    #[test]
    fn what_is_hours_apart_is_not_the_same_end() {
        let at = |time: &str, line: &str| format!("{line}  $$<SMS_WSUS_SYNC_MANAGER><03-01-2026 {time}.000+0><thread=1 (0x1)>\r\n");
        let read = |lines: &[String]| -> Vec<(RunOutcome, Option<String>)> {
            let mut reader = supwatch_reading::reader::Reader::new(
                "CEN".parse().expect("code"),
                "wsyncmgr.log",
                &supwatch_reading::reader::Reading::default(),
                &supwatch_reading::reader::Resume::default(),
            );
            let (mut out, mut runs) = (Vec::new(), Runs::new("CEN".parse().expect("code")));
            reader.feed(lines.concat().as_bytes(), &mut out);
            reader.finish(&mut out);
            out.iter().for_each(|event| runs.fold(event, Catalogue::built_in()));
            runs.iter().map(|tracked| (tracked.run.outcome, tracked.run.cause.clone())).collect()
        };
        let ends = read(&[at("04:05:00", "Sync succeeded. x"), at("23:05:00", "Sync succeeded. x")]);
        assert_eq!(ends, [(RunOutcome::Succeeded, None), (RunOutcome::Succeeded, None)]);
        let message = "STATMSG: ID=6703 SEV=E COMP=\"SMS_WSUS_SYNC_MANAGER\" SITE=CEN ISTR0=\"A.AdminProxy.CreateUpdateServer\" ISTR1=\"HTTP status 401\" NUMATTRS=0";
        let first = at("04:05:00", "Sync failed: The request failed with HTTP status 503. Source: X");
        let causes: Vec<Option<String>> =
            read(&[first.clone(), at("09:05:00", message)]).into_iter().map(|(_, cause)| cause).collect();
        assert_eq!(causes, [Some("wsus-unavailable".to_owned()), Some("apiremoting-unauthorized".to_owned())]);
        let twice = at("04:05:01", "Sync failed: The request failed with HTTP status 503. Source: X");
        assert_eq!(read(&[first, twice, at("04:05:02", message)]).len(), 1, "said three times in one breath");
    }

    #[test]
    fn success_is_counted_once_and_phases_have_their_servers() {
        let id = |id: u32| format!("STATMSG: ID={id} {STATMSG}");
        let all = runs(&[
            "Performing sync on regular schedule",
            "Full sync required due to changes in main WSUS server location.",
            &id(6701),
            &id(6704),
            "Synchronizing WSUS server sup1 ...",
            &id(6705),
            "Synchronizing SMS database with WSUS server sup1 ...",
            &id(6706),
            "Synchronizing WSUS server sup2 ...",
            &id(6702),
            "Sync succeeded. Setting sync alert to canceled state on site CEN",
        ]);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].outcome, all[0].scope, all[0].trigger), (RunOutcome::Succeeded, Scope::Full, Trigger::Schedule));
        let phases: Vec<_> = all[0].phases.iter().map(|p| (p.phase.as_str(), p.server.as_str())).collect();
        assert_eq!(phases, [("wsus", "sup1"), ("database", "sup1"), ("replica", "sup2")]);
    }

    #[test]
    fn a_log_that_begins_in_the_middle_gives_a_run_without_a_start() {
        let all = runs(&["Synchronizing WSUS server sup1 ...", "Sync succeeded. x", "Performing sync on regular schedule"]);
        assert_eq!(
            all.iter().map(|r| (r.started_at.is_some(), r.outcome)).collect::<Vec<_>>(),
            [(false, RunOutcome::Succeeded), (true, RunOutcome::Running)]
        );
    }

    #[test]
    fn a_run_that_never_ends_is_unknown_and_a_retry_names_what_it_repeats() {
        assert_eq!(
            outcomes(&["Performing sync on local request", "Performing sync on local request"]),
            [RunOutcome::Unknown, RunOutcome::Running]
        );
        let stopped = format!("STATMSG: ID=502 {STATMSG}");
        assert_eq!(outcomes(&["Performing sync on local request", &stopped]), [RunOutcome::Unknown]);
        let all = runs(&["Performing sync on local request", "Sync failed: x. Source: y", "Performing sync on retry schedule"]);
        assert_eq!(all[1].retry_of.as_ref(), Some(&all[0].id));
    }

    #[test]
    fn a_moment_in_the_past_shows_the_run_going_on() {
        let mut all = Runs::new("CEN".parse().expect("code"));
        for event in events("CEN", &["Performing sync on local request", "Sync failed: x. Source: y"]) {
            all.fold(&event, Catalogue::built_in());
        }
        let start = all.last().and_then(|t| t.run.started_at).expect("a start");
        assert_eq!(all.as_of(start).last().map(|t| t.run.outcome), Some(RunOutcome::Running));
        let before = start.checked_sub(jiff::SignedDuration::from_secs(1)).expect("time");
        assert_eq!(all.as_of(before).last(), None);
    }
}
