//! Files as a bad network share gives them: other numbers at each look, now and then a size that is too small or a read that
//! comes short, never twice in a row.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::super::files::{Disk, Files, Identity, Opened};

/// What the share is up to.
#[derive(Debug, Default)]
pub struct Mood {
    /// How often it was asked for a number.
    pub asked: u64,
    /// Looks without trouble until the next trouble; none: never.
    pub trouble: Option<u64>,
    /// The next size is this.
    pub size: Option<u64>,
    /// The next read gives half.
    pub short: bool,
}

/// The share.
#[derive(Debug, Clone, Default)]
pub struct Share(pub Rc<RefCell<Mood>>);

#[derive(Debug)]
struct Remote(Box<dyn Opened>, Share);

impl Share {
    /// Whether this is the moment for trouble.
    fn due(&self) -> bool {
        let mood = &mut *self.0.borrow_mut();
        let due = mood.trouble == Some(0);
        // Forty calls are several looks: nothing is told wrong for as long as two seconds.
        mood.trouble = mood.trouble.map(|left| left.checked_sub(1).unwrap_or(40 + mood.asked * 7 % 100));
        due
    }
}

impl Files for Share {
    fn open(&self, path: &Path) -> std::io::Result<Option<Box<dyn Opened>>> {
        let file = Disk.open(path)?;
        Ok(file.map(|file| Box::new(Remote(file, self.clone())) as Box<dyn Opened>))
    }
}

impl Opened for Remote {
    fn identity(&self) -> std::io::Result<Identity> {
        self.1.0.borrow_mut().asked += 1;
        Ok((7, self.1.0.borrow().asked))
    }

    fn size(&self) -> std::io::Result<u64> {
        let size = self.0.size()?;
        let told = self.1.0.borrow_mut().size.take();
        Ok(told.unwrap_or(if self.1.due() { size / 2 } else { size }))
    }

    fn read(&mut self, place: u64, limit: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = self.0.read(place, limit)?;
        if std::mem::take(&mut self.1.0.borrow_mut().short) || self.1.due() {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(bytes)
    }
}
