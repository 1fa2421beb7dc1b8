//! One run, with the lines that show how it went: its start, its progress, its failure.
//!
//! `Runs` decides which events belong to it, and `join` which lines of other logs do.

use jiff::Timestamp;
use supwatch_model::event::Event;
use supwatch_model::finding::Evidence;
use supwatch_model::run::{Run, RunOutcome};

use super::{BREATH, line_of};
use crate::diagnosis::Catalogue;

/// A run and the lines that show how it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackedRun {
    /// The run.
    pub run: Run,
    /// When it last progressed: a new phase, or more done. A mere heartbeat line is no progress.
    pub progressed_at: Option<Timestamp>,
    /// The line that showed it.
    pub progress_line: Option<Evidence>,
    /// The line that started it.
    pub start_line: Option<Evidence>,
    /// Lines of its own log that report its failure.
    pub(super) reported: Vec<Evidence>,
    /// Lines of other logs, and earlier ones of its own, about the same failure: the best line of each log.
    pub(super) joined: Vec<Joined>,
}

impl TrackedRun {
    pub(super) fn new(run: Run) -> TrackedRun {
        TrackedRun {
            progressed_at: run.started_at,
            progress_line: None,
            start_line: None,
            run,
            reported: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Notes that the run progressed.
    pub(super) fn progress(&mut self, event: &Event) {
        if event.time.is_some() && event.time >= self.progressed_at {
            self.progressed_at = event.time;
            self.progress_line = Some(line_of(event));
        }
    }

    /// Whether a moment is within the run, or near enough for its line to belong to it. Without times it may be.
    pub fn is_around(&self, time: Option<Timestamp>) -> bool {
        let within = |time: Timestamp| {
            let from = self.run.started_at.or(self.run.ended_at).and_then(|at| at.checked_sub(BREATH).ok());
            let until = self.run.ended_at.and_then(|at| at.checked_add(BREATH).ok());
            from.is_none_or(|from| time >= from) && until.is_none_or(|until| time <= until)
        };
        time.is_none_or(within)
    }

    /// Every line that shows the failure, by time.
    pub fn evidence(&self) -> Vec<Evidence> {
        let mut all: Vec<Evidence> =
            self.joined.iter().map(|joined| joined.evidence.clone()).chain(self.reported.iter().cloned()).collect();
        all.sort_by_key(|evidence| if let Evidence::Line { time, .. } = evidence { *time } else { None });
        all
    }

    /// Determines the cause: from the failure itself or, if that only points elsewhere, from the joined lines.
    pub(super) fn diagnose(&mut self, catalogue: &Catalogue) {
        let run = &mut self.run;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let own = catalogue.diagnose(&text(&run.text), &text(&run.source), run.code.as_deref());
        let better = self.joined.iter().filter(|joined| joined.specific).max_by_key(|joined| joined.score);
        run.cause = Some(match better {
            Some(joined) if own.is_general() => joined.cause.clone(),
            _ => own.id.clone(),
        });
    }

    /// The run as known at a moment: one that ended later is still running.
    pub(super) fn as_of(&self, at: Timestamp) -> TrackedRun {
        let mut past = self.clone();
        if past.run.ended_at.is_none_or(|ended| ended <= at) {
            return past;
        }
        past.run = Run {
            ended_at: None,
            outcome: RunOutcome::Running,
            progress: None,
            cause: None,
            text: None,
            source: None,
            code: None,
            catalog_version: None,
            ..past.run
        };
        past.reported.clear();
        past.joined.clear();
        past.run.phases.retain(|phase| phase.started_at.is_none_or(|time| time <= at));
        past.progressed_at = past.run.phases.iter().filter_map(|phase| phase.started_at).max().or(past.run.started_at);
        for phase in &mut past.run.phases {
            phase.ended_at = phase.ended_at.filter(|time| *time <= at);
        }
        past
    }
}

/// A line of another log, joined to a failed run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joined {
    /// Its log.
    pub log: String,
    /// When it was written.
    pub time: Timestamp,
    /// The line.
    pub evidence: Evidence,
    /// The cause it points to.
    pub cause: String,
    /// Confidence in the cause.
    pub score: u32,
    /// Whether that cause says why, not just that something failed.
    pub specific: bool,
}

impl Joined {
    /// Ranks a line: first whether it says why, then the confidence, then how near it is to the end.
    pub fn weight(&self) -> (bool, u32, Timestamp) {
        (self.specific, self.score, self.time)
    }

    /// Whether WCM wrote it.
    pub fn is_of_wcm(&self) -> bool {
        self.log == "wcm"
    }
}
