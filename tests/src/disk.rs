//! A loop-mounted file system for a program's data, to cut its power and to fill it. Needs Linux, root and loop devices.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{text, wait_for};

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {}", text(&output.stderr))) }
}

/// A loop-mounted file system where a program keeps its data.
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    fn make(image: PathBuf, mount: PathBuf) -> Result<Disk, String> {
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(96 << 20).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&mount).map_err(|error| error.to_string())?;
        let name = image.to_str().expect("path");
        run("mkfs.ext4", &["-q", "-F", name])?;
        run("mount", &["-o", "loop", name, mount.to_str().expect("path")])?;
        // Dirty pages from its creation are not under test.
        run("sync", &["-f", mount.to_str().expect("path")])?;
        Ok(Disk { image, mount })
    }

    /// Mounts a disk on a folder; if that is impossible, prints why the test proves nothing.
    pub fn for_folder(image: &Path, mount: &Path, what: &str) -> Option<Disk> {
        match Disk::make(image.to_owned(), mount.to_owned()) {
            Ok(disk) => Some(disk),
            Err(why) => {
                eprintln!("{what} are not shown here: {why}");
                None
            }
        }
    }

    /// Fills it up, except for a number of bytes.
    pub fn fill(&self, left: u64) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.mount.join("filler")).expect("filler");
        // Zeros that are written occupy space.
        while file.write_all(&[0; 64 << 10]).is_ok() {}
        let _ = file.sync_all();
        if left > 0 {
            let size = file.metadata().expect("filler").len();
            file.set_len(size.saturating_sub(left)).expect("some space");
        }
    }

    /// Frees the space.
    pub fn free(&self) {
        std::fs::remove_file(self.mount.join("filler")).expect("removed");
    }

    /// Remounts what a power cut would leave. The writer is frozen meanwhile, and then killed. Copying takes a while: only a copy
    /// during which nothing was written is a state that a power cut can leave.
    pub fn cut(&self, kill: impl FnOnce()) {
        let (image, copy) = (&self.image, self.image.with_extension("copy"));
        let names = (image.to_str().expect("path"), copy.to_str().expect("path"));
        wait_for("a copy during which nothing is written", || {
            let before = self.written();
            run("cp", &["--sparse=always", names.0, names.1]).expect("copied");
            let after = self.written();
            if before == after { Ok(()) } else { Err(format!("{before:?}, then {after:?}")) }
        });
        kill();
        self.unmount();
        std::fs::rename(&copy, image).expect("renamed");
        run("mount", &["-o", "loop", names.0, self.mount.to_str().expect("path")]).expect("it is mounted again");
    }

    /// I/O statistics of the disk: requests and sectors so far, and requests in flight.
    fn written(&self) -> [u64; 3] {
        let device = std::fs::metadata(&self.mount).expect("mounted").dev();
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
        let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).expect("a block device");
        let numbers: Vec<u64> = stat.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        [numbers[4], numbers[6], numbers[8]]
    }

    /// Waits until it is no longer in use, and unmounts it.
    pub fn unmount(&self) {
        wait_for("the end of its last user", || run("umount", &[self.mount.to_str().expect("path")]));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run("umount", &["-l", self.mount.to_str().unwrap_or_default()]);
    }
}
