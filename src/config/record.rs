//! What the operator may set about recordings.
//!
//! Owns: formats, names and limits of recordings, and which patterns for names make sense. Does not make a name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a recording is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// FLV: every codec that RTMP carries; what is lost in a crash is repaired at the next start.
    Flv,
    /// MPEG transport stream: can be cut anywhere.
    Ts,
    /// Fragmented MP4: whole fragments survive a crash.
    Mp4,
    /// The codecs' own streams, one file for each track.
    Es,
}

/// Recordings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct RecordConfig {
    /// Whether every stream that is published is recorded.
    pub auto: bool,
    /// Below which all files are. Relative to where the program was started, where it is not absolute.
    pub directory: PathBuf,
    /// At least one, each once.
    pub formats: Vec<RecordFormat>,
    /// Name of a file below `directory`, without what says the format: see [`PLACEHOLDERS`].
    pub pattern: String,
    /// A new file begins with the first key frame after so much time; 0: never.
    pub split_ms: u64,
    /// A new file begins with the first key frame after so many bytes; 0: never.
    pub split_bytes: u64,
    /// A recording with more bytes waiting for the disk than this ends.
    pub queue_bytes: u64,
    /// So much is lost at most when the program is killed: what was not given to the system yet.
    pub flush_ms: u64,
}

impl Default for RecordConfig {
    fn default() -> Self {
        RecordConfig {
            auto: false,
            directory: PathBuf::from("recordings"),
            formats: vec![RecordFormat::Flv],
            pattern: "{app}/{stream}-{date}-{time}-{sequence}".to_owned(),
            split_ms: 0,
            split_bytes: 0,
            queue_bytes: 32 * 1024 * 1024,
            flush_ms: 200,
        }
    }
}

/// What can stand in a pattern: application, stream, day (`2026-01-31`) and time (`23-59-59`) at which the file begins,
/// both UTC, and the number that makes the name a new one.
pub const PLACEHOLDERS: [&str; 5] = ["{app}", "{stream}", "{date}", "{time}", "{sequence}"];

impl RecordConfig {
    /// What cannot stay as it is: the key and what is wrong with it.
    ///
    /// # Errors
    /// The first such thing.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.directory.as_os_str().is_empty() {
            return Err(("record.directory", "must not be empty".to_owned()));
        }
        let is_twice = self
            .formats
            .iter()
            .enumerate()
            .any(|(at, format)| self.formats.iter().skip(at + 1).any(|other| other == format));
        if self.formats.is_empty() || is_twice {
            return Err(("record.formats", "must name one format or more, each once".to_owned()));
        }
        check_pattern(&self.pattern).map_err(|problem| ("record.pattern", problem))
    }
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let mut fixed = pattern.to_owned();
    for placeholder in PLACEHOLDERS {
        fixed = fixed.replace(placeholder, "x");
    }
    if fixed.contains(['{', '}']) {
        return Err(format!("knows no placeholders but {}, is {pattern:?}", PLACEHOLDERS.join(" ")));
    }
    if !pattern.contains("{sequence}") {
        return Err(format!("must hold {{sequence}}, so that no file is written over, is {pattern:?}"));
    }
    let is_part = |part: &str| !part.starts_with('.') && !part.is_empty() && part.len() <= 128;
    if !fixed.split('/').all(is_part) || fixed.contains('\\') || fixed.contains(char::is_control) {
        return Err(format!(
            "must be a relative name whose parts are not empty, not long and do not begin with a dot, is {pattern:?}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_make_names_below_the_directory() {
        for pattern in
            ["{sequence}", "{app}/{stream}/{date}T{time}.{sequence}", "a b/{sequence}", "{sequence}-{sequence}"]
        {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        let long = format!("{}{{sequence}}", "x".repeat(200));
        for (pattern, expected) in [
            ("", "must hold {sequence}"),
            ("{stream}", "must hold {sequence}"),
            ("{streams}-{sequence}", "knows no placeholders but {app}"),
            ("{stream-{sequence}", "knows no placeholders but {app}"),
            ("/{sequence}", "must be a relative name"),
            ("{sequence}/", "must be a relative name"),
            ("a//{sequence}", "must be a relative name"),
            ("../{sequence}", "must be a relative name"),
            (".{sequence}", "must be a relative name"),
            ("a\\{sequence}", "must be a relative name"),
            ("a\n{sequence}", "must be a relative name"),
            (&long, "must be a relative name"),
        ] {
            let told = check_pattern(pattern).unwrap_err();
            assert!(told.starts_with(expected), "{pattern}: {told}");
        }
    }

    #[test]
    fn what_cannot_be_recorded_is_refused() {
        let default = RecordConfig::default();
        assert_eq!(default.check(), Ok(()));
        let none = RecordConfig { formats: Vec::new(), ..default.clone() };
        let twice =
            RecordConfig { formats: vec![RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Flv], ..default.clone() };
        let nowhere = RecordConfig { directory: PathBuf::new(), ..default };
        let keys = [none, twice, nowhere].map(|config| config.check().map_err(|(key, _)| key));
        assert_eq!(keys, [Err("record.formats"), Err("record.formats"), Err("record.directory")]);
    }
}
