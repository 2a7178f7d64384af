//! Recordings that an earlier run left unfinished.
//!
//! Owns: finding them, reading them and writing what the scanner says. Does not know what is in them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::container::flv::repair::{Scanner, Verdict};
use crate::server::sys;

/// Directories below the first one.
const MAX_DEPTH: usize = 16;
/// Entries that are looked at.
const MAX_ENTRIES: usize = 1_000_000;
/// Things that could not be read and are told one by one.
const MAX_PROBLEMS: usize = 20;
/// Bytes that are read at once.
const READ_BYTES: usize = 256 * 1024;
/// Enough of a file to see whether it is finished.
const BEGINNING_BYTES: usize = 1_024;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Unfinished recordings.
    pub files: Vec<PathBuf>,
    /// What could not be looked at, each in one line.
    pub problems: Vec<String>,
}

/// A file that is whole again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// Which.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What was cut off.
    pub cut_bytes: u64,
    /// Its duration, in milliseconds.
    pub duration_ms: u64,
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repaired { path, bytes, cut_bytes, duration_ms } = self;
        write!(f, "repaired {}: {duration_ms} ms in {bytes} bytes ({cut_bytes} cut off)", path.display())
    }
}

/// Looks below `directory` for FLV recordings that were never finished. Links are not followed. That there is no such
/// directory is fine.
pub fn find_unfinished(directory: &Path) -> Found {
    let mut found = Found::default();
    let mut directories = vec![(directory.to_owned(), 0)];
    let mut entries_left = MAX_ENTRIES;
    while let Some((directory, depth)) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth == 0 => return found,
            Err(error) => {
                found.note(format!("{}: {error}", directory.display()));
                continue;
            }
        };
        for entry in entries {
            if entries_left == 0 {
                found.note(format!("only the first {MAX_ENTRIES} files were looked at"));
                return found;
            }
            entries_left -= 1;
            let entry = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            match entry {
                Ok((path, kind)) if kind.is_dir() && depth < MAX_DEPTH => directories.push((path, depth + 1)),
                Ok((path, kind)) if kind.is_file() && path.extension().is_some_and(|end| end == "flv") => {
                    found.look_at(path);
                }
                Ok(_) => {}
                Err(error) => found.note(format!("{}: {error}", directory.display())),
            }
        }
    }
    found
}

impl Found {
    fn note(&mut self, problem: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn look_at(&mut self, path: PathBuf) {
        let looked = File::open(&path).and_then(|file| {
            let mut beginning = Vec::with_capacity(BEGINNING_BYTES);
            file.take(BEGINNING_BYTES as u64).read_to_end(&mut beginning)?;
            Ok(beginning)
        });
        match looked {
            Ok(beginning) => {
                let mut scanner = Scanner::new();
                scanner.push(&beginning);
                if matches!(scanner.finish(), Verdict::Unfinished(_)) {
                    self.files.push(path);
                }
            }
            Err(error) => self.note(format!("{}: {error}", path.display())),
        }
    }
}

/// Makes one recording whole: up to its last whole tag, with duration and index. `None`: there was nothing to do, or
/// somebody is writing it.
///
/// # Errors
/// What the system said. The file plays as well as before.
pub fn repair_file(path: &Path) -> io::Result<Option<Repaired>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
    let mut file = options.open(path)?;
    if !sys::lock_file(file.as_fd()) {
        return Ok(None);
    }
    let mut scanner = Scanner::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if !scanner.push(buffer.get(..count).unwrap_or_default()) {
            break;
        }
    }
    let Verdict::Unfinished(repair) = scanner.finish() else { return Ok(None) };
    let before = file.metadata()?.len();
    file.set_len(repair.truncate_to)?;
    for (offset, bytes) in &repair.writes {
        file.write_all_at(bytes, *offset)?;
        // That it is finished may reach the disk only after all else.
        file.sync_data()?;
    }
    let bytes = file.metadata()?.len();
    let cut_bytes = before.saturating_sub(bytes);
    Ok(Some(Repaired { path: path.to_owned(), bytes, cut_bytes, duration_ms: repair.duration_ms }))
}

/// Repairs everything below `directory`. What could not be looked at or repaired is told in lines, and harms nothing.
pub fn repair_directory(directory: &Path) -> (Vec<Repaired>, Vec<String>) {
    let Found { files, mut problems } = find_unfinished(directory);
    let mut repaired = Vec::new();
    for path in files {
        match repair_file(&path) {
            Ok(done) => repaired.extend(done),
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    (repaired, problems)
}
