//! One file of a recording, from its first byte to the disk's last answer.
//!
//! Owns: bytes that wait to be given to the disk, what the disk has of them, and the end of a file, also where the disk
//! failed: what it has then is finished like any other file. Does not know when a file has to end.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::form::Form;
use crate::container::flv::summary::Extent;
use crate::media::Frame;
use crate::output::disk::{Command, Done, FileId, Names, Outcome};

/// Bytes that are given to the disk without waiting longer.
const FLUSH_BYTES: usize = 64 * 1024;

/// Where a file is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Takes frames.
    Open,
    /// The next file has begun; takes only what belongs before that.
    Tail,
    /// Takes nothing more; the disk has not answered yet.
    Draining,
    /// Everything was given to the disk; its last answers are to come.
    Closing,
    /// Nothing is to come.
    Gone,
}

/// What the disk will have once it has taken the bytes up to `end`.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: u64,
    extent: Extent,
}

/// What an outcome means for a recording.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Nothing,
    Opened { number: u32 },
    Done { bytes: u64, duration_ms: u64 },
    Failed(String),
}

/// A file.
#[derive(Debug)]
pub(super) struct RecordFile {
    pub(super) id: FileId,
    pub(super) stage: Stage,
    /// What the disk called it.
    pub(super) name: String,
    form: Form,
    /// Timestamp of the stream at which the file begins.
    base_ms: u64,
    /// Where it will be, until the disk was asked for it.
    place: Option<(PathBuf, Names)>,
    is_there: bool,
    is_broken: bool,
    buffer: BytesMut,
    buffered_since: Option<Instant>,
    /// Bytes given to the disk.
    sent: u64,
    /// Bytes that the disk has.
    kept: u64,
    extent: Extent,
    kept_extent: Extent,
    marks: VecDeque<Mark>,
    /// Commands that were not answered yet.
    unanswered: usize,
}

impl RecordFile {
    /// A file that begins with `head`, at `base_ms` of the stream.
    pub(super) fn new(id: FileId, form: Form, base_ms: u64, place: (PathBuf, Names), head: BytesMut) -> Self {
        RecordFile {
            id,
            stage: Stage::Open,
            name: String::new(),
            form,
            base_ms,
            place: Some(place),
            is_there: false,
            is_broken: false,
            buffer: head,
            buffered_since: None,
            sent: 0,
            kept: 0,
            extent: Extent::default(),
            kept_extent: Extent::default(),
            marks: VecDeque::new(),
            unanswered: 0,
        }
    }

    /// Bytes of the file so far.
    pub(super) fn len(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// Whether some of the stream can only go on in another file.
    pub(super) fn wants_split(&self) -> bool {
        self.form.wants_split()
    }

    /// Bytes that the disk does not have yet.
    pub(super) fn waiting(&self) -> u64 {
        self.len().saturating_sub(self.kept)
    }

    /// Takes a frame of the stream.
    pub(super) fn push(&mut self, now: Instant, frame: &Frame) {
        let timestamp_ms = frame.timestamp_ms.saturating_sub(self.base_ms);
        let frame = Frame { timestamp_ms, ..frame.clone() };
        let at = self.len();
        self.form.push(&frame, at, &mut self.buffer);
        if frame.is_coded() {
            self.extent.note(frame.kind, timestamp_ms);
        }
        if !self.buffer.is_empty() {
            self.buffered_since.get_or_insert(now);
        }
    }

    /// When bytes have waited for so long that the disk should have them.
    pub(super) fn flush_at(&self, wait: Duration) -> Option<Instant> {
        self.buffered_since.map(|since| since + wait)
    }

    /// The format, where a file came to its end without a byte that it could carry.
    pub(super) fn unwritten(&self) -> Option<&'static str> {
        let never_was = self.stage == Stage::Gone && self.place.is_some();
        // A track that is not there is no surprise.
        (never_was && !matches!(self.form, Form::Es(_))).then(|| self.form.extension())
    }

    /// Gives the disk what waits, where that is enough or has waited long enough.
    pub(super) fn flush_due(&mut self, now: Instant, wait: Duration, commands: &mut VecDeque<Command>) {
        if self.buffer.len() >= FLUSH_BYTES || self.flush_at(wait).is_some_and(|at| at <= now) {
            self.flush(commands);
        }
    }

    fn flush(&mut self, commands: &mut VecDeque<Command>) {
        self.buffered_since = None;
        if self.buffer.is_empty() {
            return;
        }
        if let Some((directory, mut names)) = self.place.take() {
            names.template.push_str(self.form.extension());
            self.send(commands, Command::Open { file: self.id, directory, names });
        }
        // With its memory: what the disk has not written should not hold what comes next as well.
        let bytes = std::mem::take(&mut self.buffer).freeze();
        self.sent += bytes.len() as u64;
        self.marks.push_back(Mark { end: self.sent, extent: self.extent });
        self.send(commands, Command::Append { file: self.id, bytes });
    }

    fn send(&mut self, commands: &mut VecDeque<Command>, command: Command) {
        self.unanswered += 1;
        commands.push_back(command);
    }

    /// Takes no more frames, and ends as soon as the disk has all.
    pub(super) fn drain(&mut self, commands: &mut VecDeque<Command>) {
        if !matches!(self.stage, Stage::Open | Stage::Tail) {
            return;
        }
        self.stage = Stage::Draining;
        if !self.is_broken {
            self.form.end(&mut self.buffer);
            self.flush(commands);
        }
        self.go_on(commands);
    }

    /// Once the disk has answered everything, what it has is finished.
    fn go_on(&mut self, commands: &mut VecDeque<Command>) {
        if self.unanswered > 0 {
            return;
        }
        match self.stage {
            Stage::Draining if self.is_there => {
                self.stage = Stage::Closing;
                if self.kept > 0 {
                    for (offset, bytes) in self.form.finish(self.kept, self.kept_extent) {
                        self.send(commands, Command::WriteAt { file: self.id, offset, bytes });
                    }
                }
                self.send(commands, Command::Close { file: self.id, rename_to: None });
            }
            Stage::Draining => self.stage = Stage::Gone,
            _ => {}
        }
    }

    /// Takes what the disk said of this file.
    pub(super) fn handle_outcome(&mut self, outcome: &Outcome, commands: &mut VecDeque<Command>) -> Progress {
        self.unanswered = self.unanswered.saturating_sub(1);
        let progress = match (&outcome.done, &outcome.result) {
            (_, Err(reason)) => self.fail(&outcome.done, reason),
            (Done::Opened { name, number }, Ok(())) => {
                self.is_there = true;
                self.name.clone_from(name);
                Progress::Opened { number: *number }
            }
            (Done::Appended, Ok(())) => {
                self.keep(outcome.written);
                Progress::Nothing
            }
            (Done::Closed, Ok(())) => {
                self.stage = Stage::Gone;
                Progress::Done { bytes: self.kept, duration_ms: self.kept_extent.duration_ms() }
            }
            (Done::Written | Done::WroteWhole | Done::Removed, Ok(())) => Progress::Nothing,
        };
        self.go_on(commands);
        progress
    }

    fn keep(&mut self, written: u64) {
        self.kept += written;
        while let Some(mark) = self.marks.front().filter(|mark| mark.end <= self.kept) {
            self.kept_extent = mark.extent;
            self.marks.pop_front();
        }
    }

    /// From now on only what the disk has counts.
    fn fail(&mut self, done: &Done, reason: &str) -> Progress {
        self.buffer.clear();
        self.buffered_since = None;
        if *done == Done::Closed {
            self.stage = Stage::Gone;
        }
        if std::mem::replace(&mut self.is_broken, true) {
            Progress::Nothing
        } else {
            Progress::Failed(reason.to_owned())
        }
    }
}
