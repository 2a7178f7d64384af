//! A disk that is soon full, where the system lets a test have one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::media::Scratch;
use super::server::Server;

/// What it holds.
pub const BYTES: u64 = 1024 * 1024;

/// A file system in memory; it goes when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    directory: PathBuf,
    /// Only the server sees it, in a name space of its own; otherwise it is mounted for everybody.
    is_private: bool,
}

impl SmallDisk {
    /// One disk for each way in which this user can have one. Where there is none, standard output says why.
    pub fn all(scratch: &Scratch) -> Vec<SmallDisk> {
        let ways = [("mounted", false), ("private", true)];
        ways.into_iter().filter_map(|(name, is_private)| SmallDisk::new(scratch.file(name), is_private)).collect()
    }

    fn new(directory: PathBuf, is_private: bool) -> Option<SmallDisk> {
        std::fs::create_dir_all(&directory).unwrap();
        let disk = SmallDisk { directory, is_private };
        let [program, arguments @ ..] = disk.mount();
        let output = Command::new(program).args(arguments).arg(&disk.directory).arg("true").output();
        let problem = match output {
            Ok(output) if output.status.success() => return Some(disk),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        println!("no small disk by {program}: {problem}");
        None
    }

    /// What mounts it at the directory whose name follows, and then runs what follows that.
    fn mount(&self) -> [&'static str; 5] {
        const MOUNT: &str = "mount -t tmpfs -o size=1m rtmpd-test \"$0\" && exec \"$@\"";
        if self.is_private { ["unshare", "-Urm", "sh", "-c", MOUNT] } else { ["env", "--", "sh", "-c", MOUNT] }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts a server that sees the disk.
    pub fn server(&self, scratch: &Scratch, config: &str) -> Server {
        if self.is_private {
            let [program, arguments @ ..] = self.mount();
            let directory = self.directory.to_str().unwrap();
            let before = [&[program], &arguments[..], &[directory]].concat();
            return Server::start_by(&before, scratch, config);
        }
        Server::start(scratch, config)
    }

    /// Copies all files of the disk to `to`, as long as `server` runs.
    pub fn copy(&self, server: &Server, to: &Path) {
        let root = if self.is_private { format!("/proc/{}/root", server.program.id()) } else { String::new() };
        let from = format!("{root}{}/.", self.directory.display());
        assert!(Command::new("cp").args(["-r", &from]).arg(to).status().unwrap().success(), "{from}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if !self.is_private {
            // Lazily: it must be gone also where a test that failed left a server behind.
            let unmounted = Command::new("umount").arg("-l").arg(&self.directory).status();
            println!("{} unmounted: {unmounted:?}", self.directory.display());
        }
    }
}
