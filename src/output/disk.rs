//! The words between the engine and the disk thread.
//!
//! Owns: what can be asked of a disk, what it answers, and which names a file may have. Does not touch a file.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// Bytes that one part of a name may have on any usual file system.
pub const MAX_PART_BYTES: usize = 255;
/// Bytes of a whole name below its directory.
const MAX_NAME_BYTES: usize = 2_048;
/// What stands for an empty part. No encoded text is like it.
const EMPTY_PART: &str = "%empty";
/// Where the number of [`Names`] stands.
pub const SEQUENCE: &str = "{sequence}";

/// A file as its owner calls it, from the first command to the last outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u64);

impl FileId {
    /// File `number` of `owner`.
    pub const fn new(owner: u32, number: u32) -> Self {
        FileId((owner as u64) << 32 | number as u64)
    }

    /// Who has to be told about it.
    pub const fn owner(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Names of which one is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Relative to a directory; [`SEQUENCE`] in it stands for a number. Without it there is one name only.
    pub template: String,
    /// The first number to try.
    pub from: u32,
}

impl Names {
    /// The name with `number` in it.
    pub fn name(&self, number: u32) -> String {
        self.template.replace(SEQUENCE, &number.to_string())
    }

    /// Whether there is more than one.
    pub fn can_count(&self) -> bool {
        self.template.contains(SEQUENCE)
    }
}

/// What the disk is asked to do. Commands are done in their order, and each is answered by one [`Outcome`].
///
/// Names are relative to `directory`, which is the operator's; directories that they need are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes a new file. One that is there already is never touched: the next number is tried.
    Open {
        /// New.
        file: FileId,
        /// Where.
        directory: PathBuf,
        /// What it may be called.
        names: Names,
    },
    /// Writes to the end of an open file, all or nothing. After one failed, more of it is refused.
    Append {
        /// Open.
        file: FileId,
        /// What.
        bytes: Bytes,
    },
    /// Writes over what was written before.
    WriteAt {
        /// Open.
        file: FileId,
        /// Bytes from the file's beginning.
        offset: u64,
        /// What.
        bytes: Bytes,
    },
    /// Closes an open file; its id means nothing any more.
    Close {
        /// Open.
        file: FileId,
        /// What it is called from now on, in the same directory. Replaces what is called so.
        rename_to: Option<String>,
    },
    /// Writes a whole file under a temporary name and then renames it, so that whoever reads it never sees a part.
    /// Replaces what is called so.
    WriteWhole {
        /// Only stands in the outcome.
        file: FileId,
        /// Where.
        directory: PathBuf,
        /// What it is called.
        name: String,
        /// What is in it, piece by piece.
        pieces: Vec<Bytes>,
    },
    /// Removes a file that is not open. That there is none is fine.
    Remove {
        /// Only stands in the outcome.
        file: FileId,
        /// Where.
        directory: PathBuf,
        /// What it is called.
        name: String,
    },
}

impl Command {
    /// Which file it is about.
    pub const fn file(&self) -> FileId {
        match self {
            Command::Open { file, .. }
            | Command::Append { file, .. }
            | Command::WriteAt { file, .. }
            | Command::Close { file, .. }
            | Command::WriteWhole { file, .. }
            | Command::Remove { file, .. } => *file,
        }
    }

    /// Bytes that wait for the disk with it.
    pub fn len(&self) -> usize {
        match self {
            Command::Append { bytes, .. } | Command::WriteAt { bytes, .. } => bytes.len(),
            Command::WriteWhole { pieces, .. } => pieces.iter().map(Bytes::len).sum(),
            Command::Open { .. } | Command::Close { .. } | Command::Remove { .. } => 0,
        }
    }

    /// Whether no bytes wait with it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which command an outcome answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// [`Command::Open`]. Where it failed, the name and number that were tried last.
    Opened {
        /// What the file is called.
        name: String,
        /// The number in it.
        number: u32,
    },
    /// [`Command::Append`].
    Appended,
    /// [`Command::WriteAt`].
    Written,
    /// [`Command::Close`].
    Closed,
    /// [`Command::WriteWhole`].
    WroteWhole,
    /// [`Command::Remove`].
    Removed,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The command's file.
    pub file: FileId,
    /// The command.
    pub done: Done,
    /// Bytes that it wrote; 0 where it failed.
    pub written: u64,
    /// What is wrong, in one line that names the file.
    pub result: Result<(), String>,
}

/// Whether `name` stays below the directory it is relative to, whatever it is made of.
pub fn is_safe_name(name: &str) -> bool {
    let fits = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= MAX_PART_BYTES;
    let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    is_plain && name.len() <= MAX_NAME_BYTES && !name.contains(['\0', '\\']) && name.split('/').all(fits)
}

/// A name for `text`, which a peer chose: parts between `/` stay parts, each made of letters, digits and `_ - . ~`.
/// Anything else becomes `%` and two hexadecimal digits for each byte, as in URLs; so does a `.` or `-` at the front of
/// a part. A part longer than `max_part_bytes` is cut, and its digest put behind it. Different texts have different
/// names.
pub fn safe_name(text: &str, max_part_bytes: usize) -> String {
    let parts: Vec<String> = text.split('/').map(|part| cut_part(&safe_part(part), max_part_bytes)).collect();
    parts.join("/")
}

fn safe_part(part: &str) -> String {
    if part.is_empty() {
        return EMPTY_PART.to_owned();
    }
    let mut safe = String::with_capacity(part.len());
    for (at, byte) in part.bytes().enumerate() {
        let stays = match byte {
            b'.' | b'-' => at > 0,
            b'_' | b'~' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if stays {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
    }
    safe
}

/// Cuts `part` where it is longer than `max_bytes`, and puts a digest of all of it in place of what is lost.
/// [`SEQUENCE`] is kept.
pub fn cut_part(part: &str, max_bytes: usize) -> String {
    if part.len() <= max_bytes {
        return part.to_owned();
    }
    let digest: String = Sha256::digest(part.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let end = if part.contains(SEQUENCE) { format!("-{digest}-{SEQUENCE}") } else { format!("-{digest}") };
    let without = part.replace(SEQUENCE, "");
    let mut keep = max_bytes.saturating_sub(end.len()).min(without.len());
    while !without.is_char_boundary(keep) {
        keep -= 1;
    }
    format!("{}{end}", without.get(..keep).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_that_peers_choose_stay_in_their_directory() {
        let long = "x".repeat(300);
        let table = [
            ("live", "live"),
            ("live/inner", "live/inner"),
            ("a_b-c.d~e", "a_b-c.d~e"),
            ("", "%empty"),
            ("/", "%empty/%empty"),
            ("/etc/passwd", "%empty/etc/passwd"),
            ("..", "%2E."),
            ("../..", "%2E./%2E."),
            (".", "%2E"),
            (".hidden", "%2Ehidden"),
            ("-rf", "%2Drf"),
            ("a\0b", "a%00b"),
            ("a\\..\\b", "a%5C..%5Cb"),
            ("a b\n", "a%20b%0A"),
            ("C:", "C%3A"),
            ("%2E", "%252E"),
            ("{sequence}", "%7Bsequence%7D"),
            ("caf\u{e9}", "caf%C3%A9"),
        ];
        let mut names = BTreeSet::new();
        for (text, expected) in table {
            let name = safe_name(text, MAX_PART_BYTES);
            assert_eq!(name, expected, "{text:?}");
            assert!(is_safe_name(&name), "{name}");
            assert!(names.insert(name));
        }
        let cut = safe_name(&long, 200);
        assert_eq!(cut.len(), 200);
        assert!(cut.starts_with("xxx") && is_safe_name(&cut));
        assert_ne!(cut, safe_name(&format!("{long}x"), 200));
    }

    #[test]
    fn the_number_survives_a_cut() {
        let cut = cut_part(&format!("{}{SEQUENCE}", "\u{e9}".repeat(300)), 100);
        assert!(cut.len() <= 100 && cut.ends_with(SEQUENCE), "{cut}");
        assert_eq!(Names { template: cut.clone(), from: 1 }.name(7), cut.replace(SEQUENCE, "7"));
    }

    #[test]
    fn names_that_leave_their_directory_are_refused() {
        let long = format!("a/{}", "x".repeat(256));
        let deep = "a/".repeat(2_000) + "a";
        for name in ["", "..", ".", "a/../b", "/a", "a//b", "a/", "a\0", "a\\b", "./a", &long, &deep] {
            assert!(!is_safe_name(name), "{name:?}");
        }
        for name in ["a", "a/b.flv", "...", "a/..b"] {
            assert!(is_safe_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_file_knows_its_owner() {
        assert_eq!(FileId::new(u32::MAX, 3).owner(), u32::MAX);
        assert_ne!(FileId::new(1, 3), FileId::new(3, 1));
    }
}
