//! Commands done to real files.
//!
//! Owns: open files, and making sure that no name leaves its directory. Does not know threads.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use bytes::Bytes;

use crate::output::disk::{Command, Done, FileId, Names, Outcome, is_safe_name};
use crate::server::sys;

/// Names that are tried for one new file.
const NAMES_TRIED: u32 = 10_000;

/// All open files.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: HashMap<FileId, OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    directory: PathBuf,
    name: String,
    len: u64,
    /// An append failed: what would follow does not belong behind what is there.
    is_broken: bool,
}

/// Why something was not done, without the name.
type Reason = String;

impl Files {
    /// Does it.
    pub(super) fn handle(&mut self, command: Command) -> Outcome {
        match command {
            Command::Open { file, directory, names } => self.open(file, directory, &names),
            Command::Append { file, bytes } => self.with_open(file, Done::Appended, |open| open.append(&bytes)),
            Command::WriteAt { file, offset, bytes } => {
                self.with_open(file, Done::Written, |open| open.write_at(offset, &bytes))
            }
            Command::Close { file, rename_to } => self.close(file, rename_to.as_deref()),
            Command::WriteWhole { file, directory, name, pieces } => {
                let written = pieces.iter().map(Bytes::len).sum::<usize>() as u64;
                let result = write_whole(&directory, &name, &pieces);
                outcome(file, Done::WroteWhole, written, result.map_err(|error| describe(&directory, &name, &error)))
            }
            Command::Remove { file, directory, name } => {
                let result = remove(&directory, &name);
                outcome(file, Done::Removed, 0, result.map_err(|error| describe(&directory, &name, &error)))
            }
        }
    }

    /// Takes a file that is open already.
    #[cfg(test)]
    pub(super) fn adopt(&mut self, id: FileId, file: File, directory: &Path, name: &str) {
        let (directory, name) = (directory.to_owned(), name.to_owned());
        self.open.insert(id, OpenFile { file, directory, name, len: 0, is_broken: false });
    }

    fn open(&mut self, id: FileId, directory: PathBuf, names: &Names) -> Outcome {
        let mut number = names.from;
        for _ in 0..NAMES_TRIED {
            let name = names.name(number);
            let done = Done::Opened { name: name.clone(), number };
            match create(&directory, &name) {
                Ok(file) => {
                    let open = OpenFile { file, directory, name, len: 0, is_broken: false };
                    self.open.insert(id, open);
                    return outcome(id, done, 0, Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && names.can_count() => {}
                Err(error) => return outcome(id, done, 0, Err(describe(&directory, &name, &error))),
            }
            number = number.saturating_add(1);
        }
        let name = names.name(names.from);
        let reason = format!("{name} in {}: it and the {NAMES_TRIED} names after it are taken", directory.display());
        outcome(id, Done::Opened { name, number }, 0, Err(reason))
    }

    fn with_open(&mut self, id: FileId, done: Done, action: impl FnOnce(&mut OpenFile) -> io::Result<u64>) -> Outcome {
        let Some(open) = self.open.get_mut(&id) else {
            return outcome(id, done, 0, Err("the file is not open".to_owned()));
        };
        match action(open) {
            Ok(written) => outcome(id, done, written, Ok(())),
            Err(error) => outcome(id, done, 0, Err(describe(&open.directory, &open.name, &error))),
        }
    }

    fn close(&mut self, id: FileId, rename_to: Option<&str>) -> Outcome {
        let Some(open) = self.open.remove(&id) else {
            return outcome(id, Done::Closed, 0, Err("the file is not open".to_owned()));
        };
        let OpenFile { file, directory, name, .. } = open;
        drop(file);
        let result = rename_to.map_or(Ok(()), |to| rename(&directory, &name, to));
        outcome(id, Done::Closed, 0, result.map_err(|error| describe(&directory, &name, &error)))
    }
}

impl OpenFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        if self.is_broken {
            return Err(io::Error::other("nothing is written behind what could not be written"));
        }
        if let Err(error) = self.file.write_all_at(bytes, self.len) {
            self.is_broken = true;
            // All or nothing: a part of it would be a torn end. Where even this fails, repair finds it.
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += bytes.len() as u64;
        Ok(bytes.len() as u64)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > self.len) {
            return Err(io::Error::other("only what is there can be written over"));
        }
        self.file.write_all_at(bytes, offset)?;
        Ok(bytes.len() as u64)
    }
}

fn outcome(file: FileId, done: Done, written: u64, result: Result<(), Reason>) -> Outcome {
    let written = if result.is_ok() { written } else { 0 };
    Outcome { file, done, written, result }
}

/// One line that names the file.
fn describe(directory: &Path, name: &str, error: &io::Error) -> Reason {
    let what = match error.kind() {
        ErrorKind::StorageFull => "the disk is full".to_owned(),
        ErrorKind::FileTooLarge => "no file may be so large".to_owned(),
        ErrorKind::QuotaExceeded => "the quota is used up".to_owned(),
        ErrorKind::PermissionDenied => "this user may not write there".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "nothing can be written there".to_owned(),
        _ => error.to_string(),
    };
    format!("{name} in {}: {what}", directory.display())
}

/// Where `name` is, below a directory that is there.
fn place(directory: &Path, name: &str) -> io::Result<PathBuf> {
    if !is_safe_name(name) {
        return Err(io::Error::other("this name may not be used"));
    }
    let path = directory.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(path)
}

/// A new file, which is marked as being written. A link in its place counts as a file that is there.
fn create(directory: &Path, name: &str) -> io::Result<File> {
    let path = place(directory, name)?;
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // A repair by another process leaves it alone; where the file system has no locks there is none to fear.
    sys::lock_file(file.as_fd());
    Ok(file)
}

fn write_whole(directory: &Path, name: &str, pieces: &[Bytes]) -> io::Result<()> {
    let path = place(directory, name)?;
    // One file is written at a time; no name from a peer begins with a dot.
    let temporary = path.with_file_name(format!(".rtmpd-{}.tmp", process::id()));
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(&temporary)?;
        pieces.iter().try_for_each(|piece| file.write_all(piece))?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        // A part of a file helps nobody.
        let _ = fs::remove_file(&temporary);
    })
}

fn rename(directory: &Path, name: &str, to: &str) -> io::Result<()> {
    let from = place(directory, name)?;
    fs::rename(from, place(directory, to)?)
}

fn remove(directory: &Path, name: &str) -> io::Result<()> {
    if !is_safe_name(name) {
        return Err(io::Error::other("this name may not be used"));
    }
    match fs::remove_file(directory.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
