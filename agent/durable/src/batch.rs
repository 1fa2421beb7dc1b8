//! Atomic batches of writes.

use std::collections::BTreeMap;

use crate::DurableError;
use crate::value::{KEY_LIMIT, PART, PARTS, VALUE_LIMIT, frame, further_parts, part_key};

/// Keys to set or remove in one atomic write. Of two operations on one key, the later one wins.
#[derive(Debug, Default)]
pub struct Batch {
    /// The framed value; `None` removes the key.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Sets a key.
    pub fn put(&mut self, key: &[u8], version: u8, value: &[u8]) {
        self.changes.insert(key.to_vec(), Some(frame(version, value)));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &[u8]) {
        self.changes.insert(key.to_vec(), None);
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Rejects keys and values beyond the limits.
    pub(crate) fn check(&self) -> Result<(), DurableError> {
        for (key, framed) in &self.changes {
            let size = framed.as_ref().map_or(0, Vec::len);
            if size > VALUE_LIMIT {
                return Err(DurableError::TooLarge(size));
            }
            if key.len() > KEY_LIMIT || key.first() == Some(&PARTS) {
                return Err(DurableError::Key(key.clone()));
            }
        }
        Ok(())
    }

    /// The batch for sled, values split into parts, and its size in bytes. `first` returns the first part of a key's current
    /// value: parts that the new value no longer has are removed.
    pub(crate) fn into_parts(
        self,
        mut first: impl FnMut(&[u8]) -> sled::Result<Option<sled::IVec>>,
    ) -> sled::Result<(sled::Batch, u64)> {
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for (key, framed) in self.changes {
            let before = first(&key)?.map_or(0, |first| further_parts(&first));
            let mut after = 0;
            match framed {
                Some(framed) => {
                    bytes += framed.len() as u64;
                    let mut parts = framed.chunks(PART);
                    batch.insert(key.as_slice(), parts.next().unwrap_or_default());
                    for part in parts {
                        after += 1;
                        batch.insert(part_key(&key, after), part);
                    }
                }
                None => batch.remove(key.as_slice()),
            }
            for number in after + 1..=before {
                batch.remove(part_key(&key, number));
            }
        }
        Ok((batch, bytes))
    }
}
