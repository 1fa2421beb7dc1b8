//! Follows one log through everything that happens to it: growth, rotation by rename or by copy, truncation, replacement.
//!
//! A file is the one we were reading if the bytes before our place are the same; names and file numbers only hint (`judge`).
//! The checkpoint never points into a record: what is unfinished is read again after a restart. What is not to be had any
//! more is told as a gap, in its place among the events.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use supwatch_model::event::{Event, EventKind};
use supwatch_model::ids::SiteCode;
use supwatch_model::time::Certainty;

use self::files::{Disk, Files, Identity, Opened};
use self::guard::{GUARD, Guard, Mark, Place, exactly};
use self::judge::{Around, Grace, News, Next, Verdict};
pub use self::open::Piece;
use self::open::{CHUNK, Fetched, Open, Location};
use supwatch_reading::reader::{Reader, Reading, Resume};
use supwatch_reading::site_folder::rolled_over;

pub mod files;
mod guard;
mod judge;
mod open;
#[cfg(test)]
mod tests;

/// Time without news after which a record that more lines might follow is over, and after which a file that seems shorter
/// than it was is believed to be.
pub const SETTLED: Duration = Duration::from_secs(2);
/// Time for which a log that was renamed is still read, unless configured.
pub const DRAIN: Duration = Duration::from_secs(30);

/// What must be kept to go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    identity: Identity,
    guard: Guard,
    /// Where and how to go on.
    pub resume: Resume,
    /// The largest size that the file was seen with.
    #[serde(default)]
    seen: u64,
    /// Under which name the file stood.
    #[serde(default, rename = "stands")]
    location: Location,
    /// What its sibling was like; not known to older versions.
    #[serde(default)]
    behind: Option<Mark>,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Nothing new.
    Quiet,
    /// Something was read, and there may be more.
    More,
}

/// How far a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub offset: u64,
    /// Bytes it has.
    pub size: u64,
    /// Whether nothing of the log is left unread: neither in this file nor in one that goes before it.
    pub at_end: bool,
}

/// One log under watch.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    site: SiteCode,
    reading: Reading,
    files: Box<dyn Files>,
    drain: Duration,
    checkpoint: Option<Checkpoint>,
    open: Option<Open>,
    /// Since when the generation seems to be lost, if it does.
    doubt: Option<Duration>,
    /// Of the last look.
    pieces: Vec<Piece>,
}

impl Tail {
    /// Follows a log from a checkpoint, or from the beginning of its rolled-over sibling.
    pub fn new(path: PathBuf, site: SiteCode, reading: Reading, checkpoint: Option<Checkpoint>) -> Tail {
        Tail { path, site, reading, files: Box::new(Disk), drain: DRAIN, checkpoint, open: None, doubt: None, pieces: Vec::new() }
    }

    /// For how long a log that was renamed is still read.
    pub fn draining(self, drain: Duration) -> Tail {
        Tail { drain, ..self }
    }

    /// On other files than those of this computer.
    pub fn on(self, files: Box<dyn Files>) -> Tail {
        Tail { files, ..self }
    }

    /// Reads what is new, at most 256 KiB, at a moment counted from the agent's start. Nothing counts as read before its
    /// events and [`Tail::checkpoint`] are stored together.
    pub fn look(&mut self, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        self.pieces.clear();
        let Some(open) = &mut self.open else { return self.find(out, now) };
        // What was read counts only if the log is found not to have been rolled over afterwards: it might be the next one's.
        let fetched = open.fetch()?;
        let mut around = Around::of(&*self.files, &self.path, open.behind)?;
        match open.judge(&fetched, &mut around)? {
            Verdict::On(location) => self.go_on(location, fetched, around, out, now),
            Verdict::Adopt => self.adopt(around, out, now),
            Verdict::Sibling(grace) => self.go_to_sibling(around, grace, now),
            Verdict::Ended { gap, next, sure } => self.ended(gap, next, sure, around, out, now),
            Verdict::Wait => Ok(Look::Quiet),
        }
    }

    /// Where reading stands.
    pub fn checkpoint(&mut self) -> Option<Checkpoint> {
        if let Some(open) = &self.open {
            self.checkpoint = Some(open.checkpoint());
        }
        self.checkpoint.clone()
    }

    /// How far the log is read, at a moment counted from the agent's start, if the last look found nothing new. `None`: there
    /// is no file to read.
    pub fn progress(&self, now: Duration) -> Option<Progress> {
        let open = self.open.as_ref()?;
        let is_log = matches!(open.location, Location::Log | Location::Copied);
        // A record may still grow, but one that nobody goes on with for a while keeps nobody waiting.
        let settled = open.quiet.is_some_and(|(place, since)| place == open.position && now.saturating_sub(since) >= SETTLED);
        let whole = open.reader.offset() == open.position || settled;
        let size = open.file.size().unwrap_or(open.seen);
        Some(Progress { offset: open.position, size, at_end: is_log && whole })
    }

    /// Places inside the last look from which could be gone on, before its end.
    pub fn pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// Opens the file that the checkpoint is of, wherever it is by now.
    fn find(&mut self, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        let Some(checkpoint) = self.checkpoint.clone() else {
            // Never read: history first. Without a sibling the log itself is all there is.
            let around = Around::of(&*self.files, &self.path, None)?;
            let next = if around.sibling.is_some() { Next::Sibling } else { Next::Log };
            return self.begin_next(next, around, &Resume::default(), None);
        };
        let mut around = Around::of(&*self.files, &self.path, checkpoint.behind)?;
        match checkpoint.judge(&mut around)? {
            Verdict::On(location) => {
                self.doubt = None;
                let behind = self.behind(location, checkpoint.location, checkpoint.behind, &around, out);
                let Some(log) = around.log else { return Ok(Look::Quiet) };
                self.begin(log, location, behind, None, &checkpoint.resume, checkpoint.seen)?;
                Ok(Look::More)
            }
            Verdict::Sibling(grace) => self.go_to_sibling(around, grace, now),
            Verdict::Ended { gap, next, sure } => self.ended(gap, next, sure, around, out, now),
            Verdict::Adopt | Verdict::Wait => Ok(Look::Quiet),
        }
    }

    /// Takes what was fetched of the file that is open.
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
            open.behind = behind.map(|mark| mark.at_least(open.place()));
        }
        let is_log = matches!(location, Location::Log | Location::Copied);
        if is_log {
            open.left = None;
        } else if matches!(was, Location::Log | Location::Copied) {
            open.left = Some(now);
        }
        if let Fetched::Bytes(chunk) = fetched
            && open.take(&chunk, out, &mut self.pieces)
        {
            return Ok(Look::More);
        }
        let quiet = open.settle(now, out);
        if is_log { Ok(Look::Quiet) } else { self.drained(quiet, around, out, now) }
    }

    /// Leaves a file that is no longer the log once nothing more is to come of it.
    fn drained(&mut self, quiet: Duration, mut around: Around, out: &mut Vec<Event>, now: Duration) -> std::io::Result<Look> {
        let Some(open) = &self.open else { return Ok(Look::Quiet) };
        let next = open.next(&mut around)?;
        // A log that was rolled over a second time is pressing: a third time would take what is in the sibling.
        if let Some(left) = open.left.filter(|_| next == Next::Log) {
            // Its writer may still hold it open. Waiting the whole time would hold up a log that others write to already, so
            // two quiet seconds are enough then: who held the old one has finished the line it was at. What is written there
            // even later is told as a gap by the sibling's growth, with its bounds.
            let (since, written) = (now.saturating_sub(left), around.log.as_ref().map(|log| log.size()).transpose()?);
            let settled = quiet.min(since) >= SETTLED && written.is_some_and(|size| size > 0);
            // Of a file that is under no name it is not sure so early that it is not the log.
            let drain = if open.location == Location::Gone { self.drain.max(SETTLED) } else { self.drain };
            if written.is_none() || !settled && since < drain {
                return Ok(Look::Quiet);
            }
        }
        self.end(None, next, around, out, Some(now))
    }

    /// What is known of the sibling from now on.
    fn behind(&self, location: Location, was: Location, known: Option<Mark>, around: &Around, out: &mut Vec<Event>) -> Option<Mark> {
        // Also where the log itself is not found in the same look; but what is read now is not told.
        if matches!(location, Location::Log | Location::Gone) {
            self.late(was, known, around, out);
        }
        // A sibling that went away or was exchanged for something else stays news until the log is rolled over.
        let keep = matches!(location, Location::Log | Location::Gone) && around.news == News::Other;
        if keep { known } else { Some(around.mark) }
    }

    /// What was added to a sibling after it was left is not read: it is told.
    fn late(&self, location: Location, known: Option<Mark>, around: &Around, out: &mut Vec<Event>) {
        if let Some(known) = known
            && around.news == News::Grown
            && around.mark.size > known.size
            && matches!(location, Location::Log | Location::Gone)
        {
            out.push(self.gap("written-late", known.size, around.mark.size - known.size));
        }
    }

    /// Goes on in the file that has the log's name.
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
        // Numbers may change at each look: only what is new now makes it worth another one.
        match open.fetch()? {
            Fetched::Bytes(chunk) if open.take(&chunk, out, &mut self.pieces) => Ok(Look::More),
            _ => {
                open.settle(now, out);
                Ok(Look::Quiet)
            }
        }
    }

    /// Goes on at our place in the sibling.
    fn go_to_sibling(&mut self, around: Around, grace: Grace, now: Duration) -> std::io::Result<Look> {
        self.doubt = None;
        let (Some(checkpoint), Some(sibling)) = (self.checkpoint(), around.sibling) else { return Ok(Look::Quiet) };
        let left = (grace == Grace::Drain).then_some(now);
        let behind = Some(around.mark.at_least(checkpoint.place()));
        self.begin(sibling, Location::Sibling, behind, left, &checkpoint.resume, checkpoint.seen)?;
        Ok(Look::More)
    }

    /// The generation seems to be over.
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

    /// What was added to the sibling is news whatever becomes of the log, and the next rotation would take it away.
    fn report_late(&mut self, around: &Around, out: &mut Vec<Event>) {
        let Some(held) = self.checkpoint().filter(|_| around.news == News::Grown) else { return };
        self.late(held.location, held.behind, around, out);
        match (&mut self.open, &mut self.checkpoint) {
            (Some(open), _) => open.behind = Some(around.mark),
            (None, Some(checkpoint)) => checkpoint.behind = Some(around.mark),
            (None, None) => {}
        }
    }

    /// Goes on with the next generation.
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
            around.mark = around.mark.at_least(open.place());
        }
        let (mut offset, mut resume) = (held.resume.offset, Resume { offset: 0, framing: None, ..held.resume });
        if let Some(open) = &mut self.open {
            match gap {
                None => open.reader.finish(out),
                // A line whose end is lost is part of what is lost.
                Some(_) => open.reader.idle(out),
            }
            offset = open.reader.offset();
            // It is one log: what its lines told of its clock, its code page and its run goes on.
            resume = open.reader.next_generation();
        }
        if let Some(reason) = gap {
            // Told even if nothing is known to be missing: lines may have come after the last look.
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
            // Between the two halves of a rotation. A log that was never there leaves nothing to be kept.
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

    /// What lies behind `from` in the generation that is gone was not to be had; `bytes` of it are known, there may be more.
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
    fn place(&self) -> Place {
        Place { offset: self.resume.offset, guard: self.guard }
    }
}
