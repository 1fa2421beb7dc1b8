//! Where the generation is that was being read, and what to do next: from the log, its sibling and the bytes before our place.
//!
//! Bytes decide. That a number is the same tells something only of files that are open (disks use numbers again); that it is
//! another tells nothing on a share. What the sibling was like when its lines were read shows that a log was rolled over, even
//! where all generations begin with the same bytes. Not to be told: a second rotation by copy between two looks while no
//! more was read than such a common beginning.

use std::path::Path;

use super::Checkpoint;
use super::files::{Files, Identity, Opened};
use super::guard::{Holds, Mark};
use super::open::{Fetched, Open, Location};
use supwatch_reading::site_folder::rolled_over;

/// What became of the sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing, or it is not known what it was before.
    Same,
    /// It is the same file with more in it: its writer still had it open.
    Grown,
    /// It is another, or gone.
    Other,
}

/// Both files of a log as they are found at a look.
#[derive(Debug)]
pub struct Around {
    /// The log.
    pub log: Option<Box<dyn Opened>>,
    log_is: Option<Identity>,
    /// The rolled-over sibling.
    pub sibling: Option<Box<dyn Opened>>,
    sibling_is: Option<Identity>,
    /// What the sibling is like.
    pub mark: Mark,
    /// What became of it.
    pub news: News,
}

/// Where to go on when a generation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// With the log.
    Log,
    /// With the sibling, which was never read, then the log.
    Sibling,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Read on; the file stands under this name now.
    On(Location),
    /// Read on in the file that has the log's name: it is the same one under another number.
    Adopt,
    /// Go on at our place in the sibling; somebody may still write to it.
    Sibling(Grace),
    /// The generation is over. A gap is told unless all of it was read. What is not sure may be a share that tells of an
    /// older state: a later look must agree.
    Ended {
        /// Why the rest is not to be had.
        gap: Option<&'static str>,
        /// What comes then.
        next: Next,
        /// Whether this look suffices.
        sure: bool,
    },
    /// Nothing to be done before there is a log again.
    Wait,
}

/// Whether somebody may still write to a file that is no longer the log.
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
    /// Looks at both files. The sibling comes first: a rotation that comes between the two shows at the next look.
    pub fn of(files: &dyn Files, log: &Path, behind: Option<Mark>) -> std::io::Result<Around> {
        let mut sibling = files.open(&rolled_over(log))?;
        let sibling_is = sibling.as_ref().map(|file| file.identity()).transpose()?;
        let mut mark = Mark::of(sibling.as_mut())?;
        let mut news = News::Same;
        if let Some(behind) = behind.filter(|behind| *behind != mark) {
            let held = behind.size > 0 && behind.place().held_by(sibling.as_mut())? == Holds::Yes;
            (news, mark) = match held {
                true if mark.size > behind.size => (News::Grown, mark),
                // Its size was an older one.
                true => (News::Same, behind),
                false => (News::Other, mark),
            };
        }
        let log = files.open(log)?;
        let log_is = log.as_ref().map(|file| file.identity()).transpose()?;
        Ok(Around { log, log_is, sibling, sibling_is, mark, news })
    }

    /// Where to go on behind a generation that is not in the sibling.
    fn next(&self) -> Next {
        if self.news == News::Other && self.mark.size > 0 { Next::Sibling } else { Next::Log }
    }

    /// Size of the copy that the sibling is, or was before the next one took its place.
    fn copied(&self, behind: Option<Mark>) -> u64 {
        if self.news == News::Other { behind.unwrap_or_default().size } else { self.mark.size }
    }

    fn log_holds_the_sibling(&mut self) -> std::io::Result<Holds> {
        self.mark.place().held_by(self.log.as_mut())
    }
}

impl Open {
    /// What became of the file that is open, by what a read of it gave.
    pub fn judge(&self, fetched: &Fetched, around: &mut Around) -> std::io::Result<Verdict> {
        let own = Some(self.file.identity()?);
        let (is_log, is_sibling) = (around.log_is == own, around.sibling_is == own);
        let good = matches!(fetched, Fetched::Bytes(_) | Fetched::End);
        let fails = |gap, next| Verdict::Ended { gap: Some(gap), next, sure: *fetched != Fetched::Doubtful };
        if matches!(self.location, Location::Sibling | Location::Gone) {
            return match (self.location, around.news) {
                // Overwritten by the next generation's copy.
                (Location::Sibling, News::Other) if is_sibling => {
                    Ok(Verdict::Ended { gap: Some(ROTATED), next: around.next(), sure: true })
                }
                _ if !good => Ok(fails(ROTATED, around.next())),
                (Location::Sibling, News::Other) => Ok(Verdict::On(Location::Gone)),
                (Location::Gone, _) if is_sibling => Ok(Verdict::On(Location::Sibling)),
                // It was the log all the time, on a share that gives a file other numbers; or it still is, and what is read
                // is the copy that was made before it is truncated.
                (Location::Gone, News::Same | News::Grown) | (Location::Sibling, _)
                    if *fetched == Fetched::End
                        && self.position > 0
                        && self.place().held_by(around.log.as_mut())? == Holds::Yes =>
                {
                    Ok(Verdict::Adopt)
                }
                (location, _) => Ok(Verdict::On(location)),
            };
        }
        let log_holds = self.place().held_by(around.log.as_mut())? == Holds::Yes;
        if around.mark.size > 0 && (around.news == News::Other || self.location == Location::Copied) {
            if good && is_sibling && !(is_log && log_holds) {
                return Ok(Verdict::On(Location::Sibling));
            }
            let copied = around.log_holds_the_sibling()?;
            if good && log_holds && copied == Holds::Yes {
                return Ok(Verdict::On(Location::Copied));
            }
            // Where even an open file changes its number, a log that has the same beginning may be the next one.
            if good && !is_log && (own == Some(self.identity) || !log_holds) {
                return Ok(Verdict::On(Location::Gone));
            }
            if self.place().held_by(around.sibling.as_mut())? == Holds::Yes {
                return Ok(Verdict::Sibling(if is_log { Grace::None } else { Grace::Drain }));
            }
            if self.location == Location::Copied && self.position >= around.copied(self.behind) {
                return Ok(Verdict::Ended { gap: None, next: around.next(), sure: copied != Holds::Doubtful });
            }
            if good && log_holds {
                return Ok(Verdict::On(Location::Log));
            }
            return Ok(fails(ROTATED, Next::Sibling));
        }
        Ok(match fetched {
            Fetched::Bytes(_) => Verdict::On(Location::Log),
            Fetched::End if is_log || around.log.is_none() => Verdict::On(Location::Log),
            _ if log_holds && !is_log => Verdict::Adopt,
            Fetched::End => Verdict::On(Location::Gone),
            Fetched::Other | Fetched::Doubtful => fails(TRUNCATED, Next::Log),
        })
    }

    /// Where to go on when nothing more comes of a file that is no longer the log.
    pub fn next(&self, around: &mut Around) -> std::io::Result<Next> {
        // Where numbers tell nothing, the sibling is ours if it has all that was read, and nothing else.
        let ours = around.mark.size == self.file.size()? && self.place().held_by(around.sibling.as_mut())? == Holds::Yes;
        Ok(if self.location == Location::Gone && !ours { around.next() } else { Next::Log })
    }
}

impl Checkpoint {
    /// What became of the file that a checkpoint is of, after a restart.
    pub fn judge(&self, around: &mut Around) -> std::io::Result<Verdict> {
        let read = self.resume.offset > 0;
        let log = self.place().held_by(around.log.as_mut())?;
        let sibling = self.place().held_by(around.sibling.as_mut())?;
        let fails = |gap, next, holds| Verdict::Ended { gap: Some(gap), next, sure: holds != Holds::Doubtful };
        match (self.location, around.news) {
            (Location::Sibling, News::Same | News::Grown) if sibling == Holds::Yes => return Ok(Verdict::Sibling(Grace::Drain)),
            (Location::Sibling, _) => return Ok(fails(ROTATED, around.next(), sibling)),
            // A sibling that holds our place is larger than that, whatever size a share tells: it is another than before.
            (Location::Gone, news)
                if read && sibling == Holds::Yes && (news == News::Other || around.mark.size < self.resume.offset) =>
            {
                return Ok(Verdict::Sibling(Grace::Drain));
            }
            (Location::Gone, News::Same | News::Grown) if read && log == Holds::Yes => return Ok(Verdict::On(Location::Log)),
            (Location::Gone, _) => return Ok(fails(ROTATED, around.next(), Holds::No)),
            (Location::Log | Location::Copied, _) => {}
        }
        let rolled = around.mark.size > 0 && (around.news == News::Other || self.location == Location::Copied);
        let copied = if rolled { around.log_holds_the_sibling()? } else { Holds::No };
        if log == Holds::Yes
            && (!rolled || copied == Holds::Yes)
            && (read || self.behind.is_some() || around.log_is == Some(self.identity))
        {
            return Ok(Verdict::On(if rolled { Location::Copied } else { Location::Log }));
        }
        // Of a checkpoint of an older version nobody knows what the sibling was.
        let unknown = self.behind.is_none();
        let named = around.sibling_is == Some(self.identity);
        if sibling == Holds::Yes && (rolled || unknown && (read || named)) {
            return Ok(Verdict::Sibling(if around.log_is == Some(self.identity) { Grace::None } else { Grace::Drain }));
        }
        if log == Holds::Yes {
            return Ok(Verdict::On(Location::Log));
        }
        if self.location == Location::Copied && self.resume.offset >= around.copied(self.behind) {
            return Ok(Verdict::Ended { gap: None, next: around.next(), sure: log != Holds::Doubtful });
        }
        if rolled {
            return Ok(fails(ROTATED, Next::Sibling, log));
        }
        Ok(if around.log.is_none() { Verdict::Wait } else { fails(TRUNCATED, Next::Log, log) })
    }
}
