//! Follows one log through growth, rotation by rename or by copy, truncation and replacement.
//!
//! A file is the one being read if the bytes before the read position match; names and file numbers are hints (`decide`).
//! The checkpoint never points into a record: an unfinished one is read again after a restart. Data that is no longer
//! available is reported as a gap, in order among the events.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use self::decide::{Around, Grace, News, Next, Step};
use self::files::{Disk, Files, Identity, Opened};
use self::guard::{GUARD, Guard, Mark, Position, exactly};
pub use self::open::Piece;
use self::open::{CHUNK, Fetched, Location, Open};
use supwatch_reading::reader::{Reader, Reading, Resume};
use supwatch_reading::site_folder::rolled_over;

pub mod files;
mod guard;
mod decide;
mod open;
#[cfg(test)]
mod tests;

/// Quiet time after which a record that more lines might follow counts as complete, and after which a file that appears
/// truncated is accepted as truncated.
pub const SETTLED: Duration = Duration::from_secs(2);
/// Default time for which a renamed log is still read.
pub const DRAIN: Duration = Duration::from_secs(30);

/// State from which reading resumes after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    identity: Identity,
    guard: Guard,
    /// State of the reader.
    pub resume: Resume,
    /// Largest size observed, in bytes.
    #[serde(default)]
    seen: u64,
    /// Name under which the file was found.
    #[serde(default, rename = "stands")]
    location: Location,
    /// Mark of its sibling; absent in checkpoints of older versions.
    #[serde(default)]
    behind: Option<Mark>,
}

/// Result of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Quiet,
    /// Data was read, and there may be more.
    More,
}

/// Read progress of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub offset: u64,
    /// Size of the file in bytes.
    pub size: u64,
    /// Whether nothing is unread, neither in this file nor in an earlier generation.
    pub at_end: bool,
}

/// The follower of one log.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    site: SiteCode,
    reading: Reading,
    files: Box<dyn Files>,
    drain: Duration,
    checkpoint: Option<Checkpoint>,
    open: Option<Open>,
    /// Time at which the generation first appeared lost, if it does.
    doubt: Option<Duration>,
    /// Resume points within the last look.
    pieces: Vec<Piece>,
    /// What the last look found at the end of what was read.
    end: End,
}

/// What follows the read position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Unread data, or it is not known.
    Unread,
    /// Nothing: it is the end of the file that has the log's name.
    Reached,
    /// No file has the log's name.
    Missing,
}

impl Tail {
    /// Follows a log from a checkpoint, or from the beginning of its rolled-over sibling.
    pub fn new(path: PathBuf, site: SiteCode, reading: Reading, checkpoint: Option<Checkpoint>) -> Tail {
        Tail {
            path,
            site,
            reading,
            files: Box::new(Disk),
            drain: DRAIN,
            checkpoint,
            open: None,
            doubt: None,
            pieces: Vec::new(),
            end: End::Unread,
        }
    }

    /// Sets how long a renamed log is still read.
    pub fn draining(self, drain: Duration) -> Tail {
        Tail { drain, ..self }
    }

    /// Uses another file system than this computer's.
    pub fn on(self, files: Box<dyn Files>) -> Tail {
        Tail { files, ..self }
    }

    /// Reads new data, at most 256 KiB. `now` is the time since the agent's start. Nothing counts as read before its events
    /// and [`Tail::checkpoint`] are stored together.
    pub fn look(&mut self, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        self.pieces.clear();
        self.end = End::Unread;
        let Some(open) = &mut self.open else { return self.find(out, now) };
        // The read counts only if the log was not rolled over meanwhile: the bytes might belong to the next generation.
        let fetched = open.fetch()?;
        let mut around = Around::of(&*self.files, &self.path, open.behind)?;
        match open.decide(&fetched, &mut around)? {
            Step::On(location) => self.go_on(location, fetched, around, out, now),
            Step::Adopt => self.adopt(around, out, now),
            Step::Sibling(grace) => self.go_to_sibling(around, grace, now),
            Step::Ended { gap, next, sure } => self.ended(gap, next, sure, around, out, now),
            Step::Wait => Ok(Look::Quiet),
        }
    }

    /// The current checkpoint.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        if let Some(open) = &self.open {
            self.checkpoint = Some(open.checkpoint());
        }
        self.checkpoint.clone()
    }

    /// The site whose log this is.
    pub fn site(&self) -> SiteCode {
        self.site
    }

    /// Read progress after the last look; `now` is the time since the agent's start. `None`: there is no such file.
    pub fn progress(&self, now: Duration) -> Option<Progress> {
        let open = self.open.as_ref().filter(|_| self.end != End::Missing)?;
        // A record may still grow, but after the quiet time it no longer delays coverage.
        let settled = open.quiet.is_some_and(|(place, since)| place == open.position && now.saturating_sub(since) >= SETTLED);
        let whole = open.reader.offset() == open.position || settled;
        let size = open.file.size().unwrap_or(open.seen);
        Some(Progress { offset: open.position, size, at_end: self.end == End::Reached && whole })
    }

    /// Resume points within the last look, before its end.
    pub fn pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// Opens the file of the checkpoint under whichever name it has now.
    fn find(&mut self, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        let Some(checkpoint) = self.checkpoint.clone() else {
            // Never read: history first. Without a sibling there is only the log.
            let around = Around::of(&*self.files, &self.path, None)?;
            let next = if around.sibling.is_some() { Next::Sibling } else { Next::Log };
            return self.begin_next(next, around, &Resume::default(), None);
        };
        let mut around = Around::of(&*self.files, &self.path, checkpoint.behind)?;
        match checkpoint.decide(&mut around)? {
            Step::On(location) => {
                self.doubt = None;
                let behind = self.behind(location, checkpoint.location, checkpoint.behind, &around, out);
                let Some(log) = around.log else { return Ok(Look::Quiet) };
                self.begin(log, location, behind, None, &checkpoint.resume, checkpoint.seen)?;
                Ok(Look::More)
            }
            Step::Sibling(grace) => self.go_to_sibling(around, grace, now),
            Step::Ended { gap, next, sure } => self.ended(gap, next, sure, around, out, now),
            Step::Adopt | Step::Wait => Ok(Look::Quiet),
        }
    }

    /// Applies the result of a read of the open file.
    fn go_on(
        &mut self,
        location: Location,
        fetched: Fetched,
        around: Around,
        out: &mut Vec<Event>,
        now: Duration,
    ) -> std::io::Result<Look> {
        self.doubt = None;
        let Some((was, known)) = self.open.as_ref().map(|open| (open.location, open.behind)) else { return Ok(Look::Quiet) };
        let behind = self.behind(location, was, known, &around, out);
        let Some(open) = &mut self.open else { return Ok(Look::Quiet) };
        (open.location, open.behind) = (location, behind);
        if location == Location::Sibling {
            open.behind = behind.map(|mark| mark.at_least(open.guarded_position()));
        }
        let is_log = matches!(location, Location::Log | Location::Copied);
        if is_log {
            open.left = None;
        } else if matches!(was, Location::Log | Location::Copied) {
            open.left = Some(now);
        }
        if let Fetched::Bytes(chunk) = fetched
            && open.ingest(&chunk, out, &mut self.pieces)
        {
            return Ok(Look::More);
        }
        let quiet = open.settle(now, out);
        self.end = match &around.log {
            None => End::Missing,
            Some(_) if is_log => End::Reached,
            Some(_) => End::Unread,
        };
        if is_log { Ok(Look::Quiet) } else { self.drained(quiet, around, out, now) }
    }

    /// Leaves a file that is no longer the log once it is drained.
    fn drained(&mut self, quiet: Duration, mut around: Around, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        let Some(open) = &self.open else { return Ok(Look::Quiet) };
        let next = open.next(&mut around)?;
        // A second rollover is urgent: a third would overwrite the sibling.
        if let Some(left) = open.left.filter(|_| next == Next::Log) {
            // Its writer may still hold it open. Waiting the whole time would delay the new log, so two quiet seconds are
            // enough once that has data: the old writer has finished its line. Anything written there later is reported as a
            // gap, with its bounds, through the sibling's growth.
            let (since, written) = (now.saturating_sub(left), around.log.as_ref().map(|log| log.size()).transpose()?);
            let settled = quiet.min(since) >= SETTLED && written.is_some_and(|size| size > 0);
            // For a file under neither name, it is too early to exclude that it is the log.
            let drain = if open.location == Location::Gone { self.drain.max(SETTLED) } else { self.drain };
            if written.is_none() || !settled && since < drain {
                return Ok(Look::Quiet);
            }
        }
        self.end(None, next, around, out, Some(now))
    }

    /// The mark of the sibling to compare with from now on.
    fn behind(
        &self,
        location: Location,
        was: Location,
        known: Option<Mark>,
        around: &Around,
        out: &mut Vec<Event>,
    ) -> Option<Mark> {
        // Also if the log itself is not found in this look; but data being read now is not reported as a gap.
        if matches!(location, Location::Log | Location::Gone) {
            self.late(was, known, around, out);
        }
        // A deleted or replaced sibling keeps counting as a change until the log is rolled over.
        let keep = matches!(location, Location::Log | Location::Gone) && around.news == News::Other;
        if keep { known } else { Some(around.mark) }
    }

    /// Reports data appended to a sibling after it was left as a gap; it is not read.
    fn late(&self, location: Location, known: Option<Mark>, around: &Around, out: &mut Vec<Event>) {
        if let Some(known) = known
            && around.news == News::Grown
            && around.mark.size > known.size
            && matches!(location, Location::Log | Location::Gone)
        {
            out.push(self.gap("written-late", known.size, around.mark.size - known.size));
        }
    }

    /// Continues in the file under the log's name.
    fn adopt(&mut self, around: Around, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        self.doubt = None;
        self.report_late(&around, out);
        let (Some(open), Some(log)) = (&mut self.open, around.log) else { return Ok(Look::Quiet) };
        if open.location == Location::Sibling {
            (open.location, open.behind) = (Location::Copied, Some(around.mark));
        } else {
            open.location = Location::Log;
        }
        (open.identity, open.file, open.left) = (log.identity()?, log, None);
        // File numbers may change at each look: only new data justifies another one.
        match open.fetch()? {
            Fetched::Bytes(chunk) if open.ingest(&chunk, out, &mut self.pieces) => Ok(Look::More),
            _ => {
                open.settle(now, out);
                self.end = End::Reached;
                Ok(Look::Quiet)
            }
        }
    }

    /// Continues at the read position in the sibling.
    fn go_to_sibling(&mut self, around: Around, grace: Grace, now: Duration) -> std::io::Result<Look> {
        self.doubt = None;
        let (Some(checkpoint), Some(sibling)) = (self.checkpoint(), around.sibling) else { return Ok(Look::Quiet) };
        let left = (grace == Grace::Drain).then_some(now);
        let behind = Some(around.mark.at_least(checkpoint.guarded_position()));
        self.begin(sibling, Location::Sibling, behind, left, &checkpoint.resume, checkpoint.seen)?;
        Ok(Look::More)
    }

    /// Handles a generation that appears to have ended.
    fn ended(
        &mut self,
        gap: Option<&str>,
        next: Next,
        sure: bool,
        around: Around,
        out: &mut Vec<Event>,
        now: Duration,
    ) -> std::io::Result<Look> {
        let since = *self.doubt.get_or_insert(now);
        if !sure && now.saturating_sub(since) < SETTLED {
            self.report_late(&around, out);
            return Ok(Look::Quiet);
        }
        self.end(gap, next, around, out, Some(now))
    }

    /// Reports data appended to the sibling in any case, because the next rotation would destroy it.
    fn report_late(&mut self, around: &Around, out: &mut Vec<Event>) {
        let Some(held) = self.checkpoint().filter(|_| around.news == News::Grown) else { return };
        self.late(held.location, held.behind, around, out);
        match (&mut self.open, &mut self.checkpoint) {
            (Some(open), _) => open.behind = Some(around.mark),
            (None, Some(checkpoint)) => checkpoint.behind = Some(around.mark),
            (None, None) => {}
        }
    }

    /// Ends this generation and continues with the next.
    fn end(
        &mut self,
        gap: Option<&str>,
        next: Next,
        mut around: Around,
        out: &mut Vec<Event>,
        left: Option<Duration>,
    ) -> std::io::Result<Look> {
        let Some(held) = self.checkpoint() else { return Ok(Look::Quiet) };
        self.late(held.location, held.behind, &around, out);
        if let Some(open) = self.open.as_ref().filter(|open| open.location == Location::Sibling && gap.is_none()) {
            around.mark = around.mark.at_least(open.guarded_position());
        }
        let (mut offset, mut resume) = (held.resume.offset, Resume { offset: 0, framing: None, ..held.resume });
        if let Some(open) = &mut self.open {
            match gap {
                None => open.reader.finish(out),
                // An incomplete line belongs to the gap.
                Some(_) => open.reader.idle(out),
            }
            offset = open.reader.offset();
            // Both generations are one log: clock, code page and run state carry over.
            resume = open.reader.next_generation();
        }
        if let Some(reason) = gap {
            // Reported even if nothing is known to be missing: lines may have been written after the last look.
            out.push(self.gap(reason, offset, held.seen.saturating_sub(offset)));
        }
        (self.doubt, self.open) = (None, None);
        self.begin_next(next, around, &resume, left)
    }

    fn begin_next(&mut self, next: Next, around: Around, resume: &Resume, left: Option<Duration>) -> std::io::Result<Look> {
        let behind = Some(around.mark);
        let (file, location) = match next {
            Next::Log => (around.log, Location::Log),
            Next::Sibling => (around.sibling, Location::Sibling),
        };
        match file {
            Some(file) => {
                self.begin(file, location, behind, left.filter(|_| next == Next::Sibling), resume, 0)?;
                Ok(Look::More)
            }
            // Between the two halves of a rotation. A log that never existed leaves no state.
            None => {
                if self.checkpoint.is_some() {
                    self.checkpoint = Some(Checkpoint { resume: resume.clone(), behind, ..Checkpoint::default() });
                }
                Ok(Look::Quiet)
            }
        }
    }

    fn begin(
        &mut self,
        mut file: Box<dyn Opened>,
        location: Location,
        behind: Option<Mark>,
        left: Option<Duration>,
        resume: &Resume,
        seen: u64,
    ) -> std::io::Result<()> {
        let length = resume.offset.min(GUARD);
        let window = exactly(&mut file, resume.offset - length, length)?;
        let path = if location == Location::Sibling { rolled_over(&self.path) } else { self.path.clone() };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut reader = Reader::new(self.site, &name, &self.reading, resume);
        if resume.offset == 0 {
            reader.look_ahead(&file.read(0, CHUNK)?);
        }
        let (identity, position) = (file.identity()?, resume.offset);
        self.open = Some(Open { file, identity, location, behind, left, position, seen, window, reader, quiet: None });
        Ok(())
    }

    /// A gap after `from` in a generation that is gone; at least `bytes` are missing, possibly more.
    fn gap(&self, reason: &str, from: u64, bytes: u64) -> Event {
        Event {
            site: self.site,
            sequence: 0,
            time: None,
            time_certainty: Certainty::Local,
            log: supwatch_reading::recognise::Log::of_file(&self.path.to_string_lossy()).as_str().to_owned(),
            file: self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            offset: from,
            component: String::new(),
            thread: 0,
            kind: EventKind::LogGap { reason: reason.to_owned(), bytes },
            line: String::new(),
        }
    }
}

impl Checkpoint {
    fn guarded_position(&self) -> Position {
        Position { offset: self.resume.offset, guard: self.guard }
    }
}
