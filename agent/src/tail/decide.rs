//! Finds the generation being read, and decides what to do next, from the log, its sibling and the bytes before the read position.
//!
//! Bytes decide. An equal file number is conclusive only for open files (disks reuse numbers); a different one proves nothing
//! on a share. Comparing the sibling with its mark from when its lines were read reveals a rollover even where all generations
//! start with the same bytes. Undetectable: a second rotation by copy between two looks while no more than such a common
//! beginning was read.

use std::path::Path;

use super::Checkpoint;
use super::files::{Files, Identity, Opened};
use super::guard::{Holds, Mark};
use super::open::{Fetched, Location, Open};
use supwatch_reading::site_folder::rolled_over;

/// Change of the sibling since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// None, or its earlier state is unknown.
    Same,
    /// The same file grew: its writer still had it open.
    Grown,
    /// It was replaced or deleted.
    Other,
}

/// Both files of a log as found at a look.
#[derive(Debug)]
pub struct Around {
    /// The log.
    pub log: Option<Box<dyn Opened>>,
    log_is: Option<Identity>,
    /// The rolled-over sibling.
    pub sibling: Option<Box<dyn Opened>>,
    sibling_is: Option<Identity>,
    /// Mark of the sibling now.
    pub mark: Mark,
    /// Change of the sibling since the last look.
    pub news: News,
}

/// File to read after a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The log.
    Log,
    /// The sibling, which was never read, then the log.
    Sibling,
}

/// Decision after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Continue reading; the file is found under this name now.
    On(Location),
    /// Continue in the file under the log's name: it is the same file with another file number.
    Adopt,
    /// Continue at the read position in the sibling, which may still have a writer.
    Sibling(Grace),
    /// The generation ended. A gap is reported unless all of it was read. If not `sure`, a share may have shown stale state,
    /// and a later look must confirm the decision.
    Ended {
        /// Reason that the rest is unavailable; `None`: everything was read.
        gap: Option<&'static str>,
        /// File to read next.
        next: Next,
        /// Whether this look alone is conclusive.
        sure: bool,
    },
    /// Wait until the log exists again.
    Wait,
}

/// Whether a file that is no longer the log may still have a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// It was renamed, and a writer may hold it open.
    Drain,
    /// It is a copy.
    None,
}

const ROTATED: &str = "rotated-away";
const TRUNCATED: &str = "truncated";

impl Around {
    /// Examines both files, the sibling first: a rotation between the two steps shows at the next look.
    pub fn of(files: &dyn Files, log: &Path, behind: Option<Mark>) -> std::io::Result<Around> {
        let mut sibling = files.open(&rolled_over(log))?;
        let sibling_is = sibling.as_ref().map(|file| file.identity()).transpose()?;
        let mut mark = Mark::of(sibling.as_mut())?;
        let mut news = News::Same;
        if let Some(behind) = behind.filter(|behind| *behind != mark) {
            let held = behind.size > 0 && behind.end().held_by(sibling.as_mut())? == Holds::Yes;
            (news, mark) = match held {
                true if mark.size > behind.size => (News::Grown, mark),
                // The reported size was stale.
                true => (News::Same, behind),
                false => (News::Other, mark),
            };
        }
        let log = files.open(log)?;
        let log_is = log.as_ref().map(|file| file.identity()).transpose()?;
        Ok(Around { log, log_is, sibling, sibling_is, mark, news })
    }

    /// File to read after a generation that is not in the sibling.
    fn next(&self) -> Next {
        if self.news == News::Other && self.mark.size > 0 { Next::Sibling } else { Next::Log }
    }

    /// Size of the copy that the sibling is, or was before it was replaced.
    fn copied(&self, behind: Option<Mark>) -> u64 {
        if self.news == News::Other { behind.unwrap_or_default().size } else { self.mark.size }
    }

    fn log_holds_the_sibling(&mut self) -> std::io::Result<Holds> {
        self.mark.end().held_by(self.log.as_mut())
    }
}

impl Open {
    /// Decides about the open file from the result of a read.
    pub fn decide(&self, fetched: &Fetched, around: &mut Around) -> std::io::Result<Step> {
        let own = Some(self.file.identity()?);
        let (is_log, is_sibling) = (around.log_is == own, around.sibling_is == own);
        let good = matches!(fetched, Fetched::Bytes(_) | Fetched::End);
        let fails = |gap, next| Step::Ended { gap: Some(gap), next, sure: *fetched != Fetched::Doubtful };
        if matches!(self.location, Location::Sibling | Location::Gone) {
            return match (self.location, around.news) {
                // Overwritten by the next generation's copy.
                (Location::Sibling, News::Other) if is_sibling => {
                    Ok(Step::Ended { gap: Some(ROTATED), next: around.next(), sure: true })
                }
                _ if !good => Ok(fails(ROTATED, around.next())),
                (Location::Sibling, News::Other) => Ok(Step::On(Location::Gone)),
                (Location::Gone, _) if is_sibling => Ok(Step::On(Location::Sibling)),
                // It was the log all along, on a share that changes file numbers; or it still is, and the sibling is the copy
                // made before truncation.
                (Location::Gone, News::Same | News::Grown) | (Location::Sibling, _)
                    if *fetched == Fetched::End
                        && self.position > 0
                        && self.guarded_position().held_by(around.log.as_mut())? == Holds::Yes =>
                {
                    Ok(Step::Adopt)
                }
                (location, _) => Ok(Step::On(location)),
            };
        }
        let log_holds = self.guarded_position().held_by(around.log.as_mut())? == Holds::Yes;
        if around.mark.size > 0 && (around.news == News::Other || self.location == Location::Copied) {
            if good && is_sibling && !(is_log && log_holds) {
                return Ok(Step::On(Location::Sibling));
            }
            let copied = around.log_holds_the_sibling()?;
            if good && log_holds && copied == Holds::Yes {
                return Ok(Step::On(Location::Copied));
            }
            // Where even an open file changes its number, a log with the same beginning may be the next generation.
            if good && !is_log && (own == Some(self.identity) || !log_holds) {
                return Ok(Step::On(Location::Gone));
            }
            if self.guarded_position().held_by(around.sibling.as_mut())? == Holds::Yes {
                return Ok(Step::Sibling(if is_log { Grace::None } else { Grace::Drain }));
            }
            if self.location == Location::Copied && self.position >= around.copied(self.behind) {
                return Ok(Step::Ended { gap: None, next: around.next(), sure: copied != Holds::Doubtful });
            }
            if good && log_holds {
                return Ok(Step::On(Location::Log));
            }
            return Ok(fails(ROTATED, Next::Sibling));
        }
        Ok(match fetched {
            Fetched::Bytes(_) => Step::On(Location::Log),
            Fetched::End if is_log || around.log.is_none() => Step::On(Location::Log),
            _ if log_holds && !is_log => Step::Adopt,
            Fetched::End => Step::On(Location::Gone),
            Fetched::Other | Fetched::Doubtful => fails(TRUNCATED, Next::Log),
        })
    }

    /// File to read when a file that is no longer the log has been drained.
    pub fn next(&self, around: &mut Around) -> std::io::Result<Next> {
        // Where file numbers are inconclusive, the sibling is this file if it has exactly what was read.
        let ours = around.mark.size == self.file.size()? && self.guarded_position().held_by(around.sibling.as_mut())? == Holds::Yes;
        Ok(if self.location == Location::Gone && !ours { around.next() } else { Next::Log })
    }
}

impl Checkpoint {
    /// Decides about the file of a checkpoint after a restart.
    pub fn decide(&self, around: &mut Around) -> std::io::Result<Step> {
        let read = self.resume.offset > 0;
        let log = self.guarded_position().held_by(around.log.as_mut())?;
        let sibling = self.guarded_position().held_by(around.sibling.as_mut())?;
        let fails = |gap, next, holds| Step::Ended { gap: Some(gap), next, sure: holds != Holds::Doubtful };
        match (self.location, around.news) {
            (Location::Sibling, News::Same | News::Grown) if sibling == Holds::Yes => return Ok(Step::Sibling(Grace::Drain)),
            (Location::Sibling, _) => return Ok(fails(ROTATED, around.next(), sibling)),
            // A sibling that matches the read position is at least that large, whatever size a share reports: it was replaced.
            (Location::Gone, news)
                if read && sibling == Holds::Yes && (news == News::Other || around.mark.size < self.resume.offset) =>
            {
                return Ok(Step::Sibling(Grace::Drain));
            }
            (Location::Gone, News::Same | News::Grown) if read && log == Holds::Yes => return Ok(Step::On(Location::Log)),
            (Location::Gone, _) => return Ok(fails(ROTATED, around.next(), Holds::No)),
            (Location::Log | Location::Copied, _) => {}
        }
        let rolled = around.mark.size > 0 && (around.news == News::Other || self.location == Location::Copied);
        let copied = if rolled { around.log_holds_the_sibling()? } else { Holds::No };
        if log == Holds::Yes
            && (!rolled || copied == Holds::Yes)
            && (read || self.behind.is_some() || around.log_is == Some(self.identity))
        {
            return Ok(Step::On(if rolled { Location::Copied } else { Location::Log }));
        }
        // A checkpoint of an older version does not record the sibling.
        let unknown = self.behind.is_none();
        let named = around.sibling_is == Some(self.identity);
        if sibling == Holds::Yes && (rolled || unknown && (read || named)) {
            return Ok(Step::Sibling(if around.log_is == Some(self.identity) { Grace::None } else { Grace::Drain }));
        }
        if log == Holds::Yes {
            return Ok(Step::On(Location::Log));
        }
        if self.location == Location::Copied && self.resume.offset >= around.copied(self.behind) {
            return Ok(Step::Ended { gap: None, next: around.next(), sure: log != Holds::Doubtful });
        }
        if rolled {
            return Ok(fails(ROTATED, Next::Sibling, log));
        }
        Ok(if around.log.is_none() { Step::Wait } else { fails(TRUNCATED, Next::Log, log) })
    }
}
