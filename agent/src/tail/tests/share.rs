//! Files as a bad network share presents them: different file numbers at each look and, where a test says so, a stale size or a
//! short read.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use super::super::files::{Disk, Files, Identity, Opened};

/// Misbehaviour of the share.
#[derive(Debug, Default)]
pub struct Mood {
    /// Number of queries for a file number.
    pub asked: u64,
    /// Size to report next.
    pub size: Option<u64>,
    /// Whether the next read returns half.
    pub short: bool,
}

/// The share.
#[derive(Debug, Clone, Default)]
pub struct Share(pub Rc<RefCell<Mood>>);

#[derive(Debug)]
struct Remote(Box<dyn Opened>, Share);

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
        Ok(told.unwrap_or(size))
    }

    fn read(&mut self, place: u64, limit: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = self.0.read(place, limit)?;
        if std::mem::take(&mut self.1.0.borrow_mut().short) {
            bytes.truncate(bytes.len() / 2);
        }
        Ok(bytes)
    }
}
