//! Derives what a disk may hold from a record of file operations. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Dice;

/// A file, identified independently of its name.
type Inode = usize;
type Names = BTreeMap<String, Inode>;

/// Contents of a disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    names: Names,
    files: BTreeMap<Inode, Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Write(at, bytes) => {
                let at = usize::try_from(*at).expect("small");
                file.resize(file.len().max(at + bytes.len()), 0);
                file[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Change::Size(size) => file.resize(usize::try_from(*size).expect("small"), 0),
        }
    }
}

/// A moment: one operation just finished.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Number of operations since the process began.
    pub since_begin: usize,
    /// Whether a sync returned or something was acknowledged, so that a power cut now leaves another state than before.
    pub cut: bool,
    /// What is certainly on the disk.
    pub disk: &'a Disk,
    /// What the writer has acknowledged.
    pub acknowledged: u64,
    /// What may also be on the disk: time, file and write.
    unsynced: &'a [(usize, Inode, Change)],
    names: &'a Names,
}

impl Moment<'_> {
    /// The state that another process finds if this one is killed: everything written.
    pub fn killed(&self) -> Disk {
        let mut disk = self.disk.clone();
        disk.names.clone_from(self.names);
        for (_, inode, change) in self.unsynced {
            change.apply(disk.files.entry(*inode).or_default());
        }
        disk
    }

    /// A state with part of the unsynced writes, torn anywhere, and possibly with all renames done so far.
    pub fn torn(&self, dice: &mut Dice, names: bool) -> Disk {
        let mut disk = self.disk.clone();
        if names {
            disk.names.clone_from(self.names);
        }
        for (_, inode, change) in self.unsynced {
            let file = disk.files.entry(*inode).or_default();
            match (dice.below(4), change) {
                (0, _) => {}
                // The page cache writes its pages in any order.
                (3, Change::Write(at, bytes)) => {
                    for (page, bytes) in (0..).zip(bytes.chunks(4096)).filter(|_| dice.below(2) == 0) {
                        Change::Write(at + page * 4096, bytes.to_vec()).apply(file);
                    }
                }
                (1, Change::Write(at, bytes)) => {
                    let kept = usize::try_from(dice.below(bytes.len() as u64)).expect("small");
                    Change::Write(*at, bytes[..kept].to_vec()).apply(file);
                }
                _ => change.apply(file),
            }
        }
        disk
    }
}

impl Disk {
    /// Reads a disk from a folder.
    pub fn of(folder: &Path) -> Disk {
        let mut disk = Disk::default();
        disk.read(folder, "");
        disk
    }

    fn read(&mut self, folder: &Path, below: &str) {
        for entry in std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry")) {
            let name = format!("{below}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                self.read(&entry.path(), &format!("{name}/"));
            } else {
                let inode = self.files.len();
                self.files.insert(inode, std::fs::read(entry.path()).expect("file"));
                self.names.insert(name, inode);
            }
        }
    }

    /// Writes the disk into a folder, replacing its contents.
    pub fn write(&self, folder: &Path) {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder).expect("folder");
        for (name, inode) in &self.names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
            std::fs::write(path, self.files.get(inode).map_or(&[][..], Vec::as_slice)).expect("file");
        }
    }
}

/// The entries of a record, each with its kind, name, number and data.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (u8, &'a str, u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        fn number(bytes: &[u8]) -> u64 {
            bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
        }
        let mut take = |length: u64| {
            let (taken, rest) = self.0.split_at_checked(usize::try_from(length).expect("small"))?;
            self.0 = rest;
            Some(taken)
        };
        let kind = take(1)?[0];
        let length = number(take(2)?);
        let name = std::str::from_utf8(take(length)?).expect("a name");
        let (argument, length) = (number(take(8)?), number(take(8)?));
        Some((kind, name, argument, take(length)?))
    }
}

/// Number of moments in a record.
pub fn count(record: &[u8]) -> usize {
    Records(record).count()
}

/// Visits every moment of a record that starts from the given disk contents and acknowledgements.
pub fn moments(before: &Disk, mut acknowledged: u64, record: &[u8], mut look: impl FnMut(usize, Moment<'_>)) {
    let mut began_at = 0;
    let (mut disk, mut names, mut next) = (before.clone(), before.names.clone(), before.files.len());
    let mut unsynced: Vec<(usize, Inode, Change)> = Vec::new();
    // Renames, and syncs in progress: when each began, and of which file.
    let mut renamed: Vec<(usize, Names)> = Vec::new();
    let mut syncs: BTreeMap<u64, (usize, Option<Inode>)> = BTreeMap::new();
    for (at, (kind, name, number, data)) in Records(record).enumerate() {
        let inode = names.get(name).copied();
        match kind {
            // A process starts and removes the database that the killed one was creating.
            b'P' => {
                names.retain(|name, _| !name.starts_with("db.new/"));
                renamed.push((at, names.clone()));
                syncs.clear();
                began_at = at;
            }
            b'O' => match inode {
                Some(inode) if number == 1 => unsynced.push((at, inode, Change::Size(0))),
                Some(_) => {}
                None => {
                    names.insert(name.to_owned(), next);
                    next += 1;
                    renamed.push((at, names.clone()));
                }
            },
            b'W' => unsynced.extend(inode.map(|inode| (at, inode, Change::Write(number, data.to_vec())))),
            b'T' => unsynced.extend(inode.map(|inode| (at, inode, Change::Size(number)))),
            b'R' => {
                let (from, to) = name.split_once('\n').expect("two names");
                let renamed_to = |name: &str| match name.strip_prefix(from) {
                    Some("") => to.to_owned(),
                    Some(rest) if rest.starts_with('/') => format!("{to}{rest}"),
                    _ => name.to_owned(),
                };
                names.remove(to);
                names = names.into_iter().map(|(name, inode)| (renamed_to(&name), inode)).collect();
                renamed.push((at, names.clone()));
            }
            b'U' => {
                names.remove(name);
                renamed.push((at, names.clone()));
            }
            b'S' => {
                syncs.insert(number, (at, inode));
            }
            b'E' => {
                let (began, inode) = syncs.remove(&number).expect("a sync that began");
                for (_, inode, change) in unsynced.extract_if(.., |(at, of, _)| *at < began && Some(*of) == inode) {
                    change.apply(disk.files.entry(inode).or_default());
                }
                if let Some((_, names)) = renamed.iter().rev().find(|(at, _)| *at < began) {
                    disk.names.clone_from(names);
                }
            }
            b'A' => {
                let said = String::from_utf8_lossy(data);
                let number = said.split("acknowledged ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
                acknowledged = number.unwrap_or(acknowledged).max(acknowledged);
            }
            other => panic!("a record of kind {other}"),
        }
        let (since_begin, cut) = (at - began_at, matches!(kind, b'E' | b'A'));
        look(at, Moment { since_begin, cut, disk: &disk, acknowledged, unsynced: &unsynced, names: &names });
    }
}
