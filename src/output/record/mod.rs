//! Recordings: frames of one stream to commands for the disk.
//!
//! Owns: when a file begins and ends, what it is called, and giving up where the disk is too slow or fails. Does not
//! know files, the hub or the clock: time comes in with every frame.
//!
//! For whoever drives it: give every frame of a stream that a subscriber in join mode `gop` gets to
//! [`Recorder::frame`]; call [`Recorder::handle_timeout`] when [`Recorder::poll_timeout`] is reached; after each call
//! drain [`Recorder::poll_command`] into the disk and [`Recorder::poll_event`] into the log; hand every outcome whose
//! file has this recorder's number to [`Recorder::handle_outcome`]. At the stream's end call [`Recorder::end`], and
//! forget the recorder once it [is finished](Recorder::is_finished).
//!
//! A file begins with headers and a key frame, and its time with 0; it ends at a key frame. Sound of before that key
//! frame that comes after it still goes into the earlier file. Bytes are given to the disk in whole tags, packets or
//! fragments, at the latest `flush_ms` after they came.

mod es;
mod file;
mod flv;
mod form;
mod headers;
mod mp4;
mod name;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use self::file::{Progress, RecordFile, Stage};
use self::form::Form;
use self::headers::{Headers, News};
use super::disk::{Command, FileId, Outcome};
use crate::config::RecordConfig;
use crate::media::{Frame, FrameKind, FrameRole};

/// Sound that comes first waits for a picture for so much time of the stream.
const VIDEO_WAIT_MS: u64 = 1_000;
/// Frames of sound that wait for a picture.
const HELD_FRAMES: usize = 512;
/// Bytes of all of them together.
const HELD_BYTES: usize = 1024 * 1024;
/// Sound may be so much behind the picture, in time of the stream, and still reach the file to which it belongs.
const TAIL_MS: u64 = 2_000;

/// What a recording has to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordEvent {
    /// A file was made.
    FileOpened {
        /// Below the directory.
        name: String,
    },
    /// A file is whole.
    FileDone {
        /// Below the directory.
        name: String,
        /// Its length.
        bytes: u64,
        /// Its duration, in milliseconds.
        duration_ms: u64,
    },
    /// A recording ended, and none of its frames could be written in this format.
    NothingToWrite {
        /// `.ts` or `.mp4`.
        format: &'static str,
    },
    /// The recording ended by itself. What the disk has of it is finished as far as possible.
    Failed {
        /// Why, in one line.
        reason: String,
    },
}

/// What a new recording is.
#[derive(Debug, Clone, Copy)]
pub struct Recording<'a> {
    /// Number of the recorder: [`FileId::owner`] of its files. Not to be used again before this one is finished.
    pub owner: u32,
    /// Application.
    pub app: &'a str,
    /// Stream.
    pub stream: &'a str,
    /// When it begins.
    pub now: Instant,
    /// The same in milliseconds since 1970-01-01 UTC; only names come from it.
    pub unix_ms: u64,
}

/// Records one stream.
#[derive(Debug)]
pub struct Recorder {
    config: RecordConfig,
    owner: u32,
    app: String,
    stream: String,
    started_at: Instant,
    started_unix_ms: u64,
    headers: Headers,
    /// Sound that waits for a picture.
    held: Vec<Frame>,
    files: Vec<RecordFile>,
    /// Where the present files begin.
    take: Option<Take>,
    next_file: u32,
    next_sequence: u32,
    commands: VecDeque<Command>,
    events: VecDeque<RecordEvent>,
    has_ended: bool,
}

/// Files that begin together, one of each format.
#[derive(Debug, Clone, Copy)]
struct Take {
    base_ms: u64,
    has_video: bool,
    /// The next place to begin a file has to be used.
    split_due: bool,
}

impl Recorder {
    /// Nothing is written before the first key frame.
    pub fn new(config: &RecordConfig, recording: Recording<'_>) -> Self {
        Recorder {
            config: config.clone(),
            owner: recording.owner,
            app: recording.app.to_owned(),
            stream: recording.stream.to_owned(),
            started_at: recording.now,
            started_unix_ms: recording.unix_ms,
            headers: Headers::default(),
            held: Vec::new(),
            files: Vec::new(),
            take: None,
            next_file: 0,
            next_sequence: 1,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            has_ended: false,
        }
    }

    /// Takes a frame. Nothing happens once the recording has ended.
    pub fn frame(&mut self, now: Instant, frame: &Frame) {
        if self.has_ended || frame.payload.is_empty() {
            return;
        }
        match frame.role {
            FrameRole::Header(_) | FrameRole::Metadata => self.header(now, frame),
            FrameRole::Passing if frame.kind == FrameKind::Data => self.push(now, frame),
            FrameRole::Passing => {}
            FrameRole::Key | FrameRole::Delta | FrameRole::Disposable => self.coded(now, frame),
        }
        self.flush_due(now);
        self.check_queue();
    }

    /// Gives the disk what has waited long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.flush_due(now);
    }

    /// When [`Recorder::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = self.flush_wait();
        self.files.iter().filter_map(|file| file.flush_at(wait)).min()
    }

    /// The stream ended, or is to be recorded no more.
    pub fn end(&mut self, now: Instant) {
        if self.has_ended {
            return;
        }
        if self.take.is_none() {
            self.begin_with_held(now);
        }
        self.stop();
    }

    /// Ends the recording before its stream does. What the disk has of it is finished.
    pub fn give_up(&mut self, reason: String) {
        self.fail(reason);
    }

    /// What the disk said of a file of this recorder.
    pub fn handle_outcome(&mut self, outcome: &Outcome) {
        let Some(file) = self.files.iter_mut().find(|file| file.id == outcome.file) else { return };
        let progress = file.handle_outcome(outcome, &mut self.commands);
        let name = file.name.clone();
        match progress {
            Progress::Nothing => {}
            Progress::Opened { number } => {
                self.next_sequence = self.next_sequence.max(number.saturating_add(1));
                self.events.push_back(RecordEvent::FileOpened { name });
            }
            Progress::Done { bytes, duration_ms } => {
                self.events.push_back(RecordEvent::FileDone { name, bytes, duration_ms });
            }
            Progress::Failed(reason) => self.fail(reason),
        }
        self.files.retain(|file| file.stage != Stage::Gone);
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.config.directory
    }

    /// What the disk is to do next.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What there is to tell.
    pub fn poll_event(&mut self) -> Option<RecordEvent> {
        self.events.pop_front()
    }

    /// Whether it takes no more frames.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether it has ended and the disk has answered everything.
    pub fn is_finished(&self) -> bool {
        self.has_ended && self.files.is_empty() && self.commands.is_empty() && self.events.is_empty()
    }

    /// Bytes that the disk does not have yet.
    pub fn waiting_bytes(&self) -> u64 {
        self.files.iter().map(RecordFile::waiting).sum()
    }

    fn flush_wait(&self) -> Duration {
        Duration::from_millis(self.config.flush_ms)
    }

    fn header(&mut self, now: Instant, frame: &Frame) {
        if !self.held.is_empty() && self.headers.differs(frame) {
            // What waits belongs to the header of before; it cannot be decoded with this one.
            self.begin_with_held(now);
        }
        match (self.headers.note(frame), &mut self.take) {
            (News::Nothing, _) => return,
            (News::Changed, Some(take)) => take.split_due = true,
            _ => {}
        }
        self.push(now, frame);
    }

    fn coded(&mut self, now: Instant, frame: &Frame) {
        let is_key = frame.is_video_key();
        match (&self.take, frame.kind) {
            (None, FrameKind::Video) if is_key => {
                let held = std::mem::take(&mut self.held);
                self.begin(now, frame, true);
                self.push(now, frame);
                for sound in held.iter().filter(|sound| sound.timestamp_ms >= frame.timestamp_ms) {
                    self.push(now, sound);
                }
            }
            (None, FrameKind::Audio) => self.hold(now, frame),
            (None, _) => {}
            // What needs an earlier picture than the files have.
            (Some(take), FrameKind::Video) if !take.has_video && !is_key => {}
            (Some(take), _) => {
                let may_begin = if take.has_video { is_key } else { true };
                let has_to = (is_key && !take.has_video) || self.is_split_wanted(*take, frame);
                if may_begin && has_to {
                    self.begin(now, frame, is_key);
                }
                self.push(now, frame);
            }
        }
    }

    /// Sound before the first picture waits, for a while, where there may be one.
    fn hold(&mut self, now: Instant, frame: &Frame) {
        let first_ms = self.held.first().map_or(frame.timestamp_ms, |first| first.timestamp_ms);
        self.held.push(frame.clone());
        let is_long = frame.timestamp_ms.saturating_sub(first_ms) >= VIDEO_WAIT_MS;
        let bytes: usize = self.held.iter().map(|sound| sound.payload.len()).sum();
        if !is_long && self.held.len() < HELD_FRAMES && bytes < HELD_BYTES {
            return;
        }
        if self.headers.has_video() {
            // There will be a picture; what came long before it belongs to no file.
            self.held.drain(..self.held.len().div_ceil(2));
        } else {
            self.begin_with_held(now);
        }
    }

    fn begin_with_held(&mut self, now: Instant) {
        let held = std::mem::take(&mut self.held);
        if let Some(first) = held.first() {
            self.begin(now, first, false);
            held.iter().for_each(|frame| self.coded(now, frame));
        }
    }

    fn is_split_wanted(&self, take: Take, frame: &Frame) -> bool {
        let RecordConfig { split_ms, split_bytes, .. } = self.config;
        let is_long = split_ms > 0 && frame.timestamp_ms.saturating_sub(take.base_ms) >= split_ms;
        let is_large = |file: &RecordFile| split_bytes > 0 && file.len() >= split_bytes;
        let mut open = self.files.iter().filter(|file| file.stage == Stage::Open);
        take.split_due || is_long || open.any(|file| is_large(file) || file.wants_split())
    }

    /// Begins new files with `frame`, which the caller gives to them.
    fn begin(&mut self, now: Instant, frame: &Frame, has_video: bool) {
        for file in &mut self.files {
            match file.stage {
                Stage::Open => file.stage = Stage::Tail,
                Stage::Tail => file.drain(&mut self.commands),
                _ => {}
            }
        }
        let base_ms = frame.timestamp_ms;
        self.take = Some(Take { base_ms, has_video, split_due: false });
        let unix_ms = self.unix_ms(now);
        let (pattern, from) = (&self.config.pattern, self.next_sequence);
        let names = name::names(pattern, &self.app, &self.stream, unix_ms, from);
        let forms = self.config.formats.iter().flat_map(|format| Form::begin(*format, &self.headers, has_video));
        for (form, head) in forms {
            let id = FileId::new(self.owner, self.next_file);
            self.next_file = self.next_file.wrapping_add(1);
            let place = (self.config.directory.clone(), names.clone());
            self.files.push(RecordFile::new(id, form, base_ms, place, head));
        }
        self.next_sequence = self.next_sequence.saturating_add(1);
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.started_at).as_millis();
        self.started_unix_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Gives a frame to the file to which its time belongs.
    fn push(&mut self, now: Instant, frame: &Frame) {
        let Some(take) = self.take else { return };
        let is_before = frame.is_coded() && frame.timestamp_ms < take.base_ms;
        let ends_tails = match frame.kind {
            FrameKind::Audio => frame.is_coded() && !is_before,
            _ => frame.is_coded() && frame.timestamp_ms >= take.base_ms.saturating_add(TAIL_MS),
        };
        // Sound that is late may be in the earlier file, and then needs its new header there.
        let is_of_sound = frame.kind == FrameKind::Audio && matches!(frame.role, FrameRole::Header(_));
        for file in &mut self.files {
            match file.stage {
                Stage::Open if !is_before => file.push(now, frame),
                Stage::Tail if is_before || is_of_sound => file.push(now, frame),
                Stage::Tail if ends_tails => file.drain(&mut self.commands),
                _ => {}
            }
        }
    }

    fn flush_due(&mut self, now: Instant) {
        let wait = self.flush_wait();
        for file in &mut self.files {
            file.flush_due(now, wait, &mut self.commands);
        }
    }

    fn check_queue(&mut self) {
        let waiting = self.waiting_bytes();
        if waiting > self.config.queue_bytes {
            self.fail(format!("disk too slow: {waiting} bytes wait"));
        }
    }

    fn fail(&mut self, reason: String) {
        if !self.has_ended {
            self.events.push_back(RecordEvent::Failed { reason });
        }
        self.stop();
    }

    fn stop(&mut self) {
        self.has_ended = true;
        self.held.clear();
        for file in &mut self.files {
            file.drain(&mut self.commands);
            if let Some(format) = file.unwritten() {
                self.events.push_back(RecordEvent::NothingToWrite { format });
            }
        }
        self.files.retain(|file| file.stage != Stage::Gone);
    }
}
