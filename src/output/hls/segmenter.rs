//! Frames to segments and parts.
//!
//! Owns: where segments and parts begin and end, the wait for tracks and key frames, what happens when a codec or the
//! publisher changes. Does not know what becomes of the segments.
//!
//! Durations are distances on the stream's timeline: a part ends where the next one begins, so parts sum up to their
//! segment and segments to the stream, to the millisecond. They are measured by video where there is some.

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use super::packager::Packager;
use super::window::{Opening, Part, Window};
use crate::config::{HlsConfig, HlsFormat};
use crate::media::{Frame, FrameKind, FrameRole};

/// A new publisher's tracks may take so long to show themselves.
const TRACKS_WAIT_MS: u64 = 1_000;
/// A video header without a picture for so long of sound counts as no video.
const PICTURE_WAIT_MS: u64 = 5_000;
/// Sound goes on alone where the last picture was so long before.
const VIDEO_ABSENT_MS: u64 = 1_000;
/// A key frame may come so much (per mille) before the wanted end of a segment: timestamps are rounded.
const EARLY_KEY_PER_MILLE: u64 = 950;
/// A part has at least so much (percent) of the part target (RFC 8216bis, 4.4.4.9), and is cut at once when it has.
const PART_PERCENT: u64 = 85;
/// Groups of pictures that tell how long the next one may be.
const GOPS_REMEMBERED: usize = 8;
/// Frames and bytes that wait for the end of their part at most.
const PENDING_FRAMES: usize = 2_048;
const PENDING_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one segment, and the share of the window's bytes that one segment may have.
const MAX_PARTS: usize = 512;
const SEGMENT_SHARE: usize = 4;
/// Distance to the next frame where nothing better is known.
const DEFAULT_INTERVAL_MS: u64 = 20;

/// Turns the frames of one stream into segments of a [`Window`].
#[derive(Debug)]
pub(super) struct Segmenter {
    format: HlsFormat,
    has_parts: bool,
    segment_ms: u64,
    segment_bytes: usize,
    packager: Packager,
    /// The newest header of each kind.
    headers: Vec<Frame>,
    /// Headers that need a new initialization segment, until a segment can begin with them.
    changes: Vec<Frame>,
    /// Frames of a publisher whose tracks are not all known.
    held: Option<Pending>,
    /// Nothing is taken before the next frame on which a segment can begin.
    needs_key: bool,
    /// First frame that was left out since.
    needs_key_since_ms: Option<u64>,
    /// The next segment has nothing to do with what was before it.
    discontinuity: bool,
    /// The next part needs its initialization segment announced.
    is_new: bool,
    /// Frames of the next part.
    pending: Pending,
    /// The segment that is being made.
    opening: Option<Opening>,
    part_start_ms: u64,
    /// The newest frame by which durations are measured.
    last_ms: Option<u64>,
    /// The last two distances of measuring frames, 0 where there is none.
    steps_ms: [u64; 2],
    last_video_ms: Option<u64>,
    last_key_ms: Option<u64>,
    gops_ms: VecDeque<u64>,
}

/// Frames that will be one part.
#[derive(Debug, Default)]
struct Pending {
    frames: Vec<Frame>,
    bytes: usize,
    /// Where the newest measuring frame stands in them, unless it is the first one.
    last: Option<usize>,
}

impl Segmenter {
    pub(super) fn new(config: &HlsConfig) -> Segmenter {
        Segmenter {
            format: config.format,
            has_parts: config.low_latency && config.format == HlsFormat::Fmp4,
            segment_ms: config.segment_ms,
            segment_bytes: config.window_bytes / SEGMENT_SHARE,
            packager: Packager::new(config.format),
            headers: Vec::new(),
            changes: Vec::new(),
            held: Some(Pending::default()),
            needs_key: true,
            needs_key_since_ms: None,
            discontinuity: false,
            is_new: true,
            pending: Pending::default(),
            opening: None,
            part_start_ms: 0,
            last_ms: None,
            steps_ms: [0; 2],
            last_video_ms: None,
            last_key_ms: None,
            gops_ms: VecDeque::new(),
        }
    }

    /// What stands in the segments.
    pub(super) fn packager(&self) -> &Packager {
        &self.packager
    }

    /// A new publisher, or the first one: tracks are found out again, and the next segment is a discontinuity.
    pub(super) fn begin(&mut self, now: Instant, window: &mut Window) {
        self.end(now, window);
        self.packager = Packager::new(self.format);
        self.is_new = true;
        self.headers.clear();
        self.changes.clear();
        self.held = Some(Pending::default());
        self.last_ms = None;
        self.steps_ms = [0; 2];
        self.last_video_ms = None;
        self.last_key_ms = None;
        window.reset_clock();
    }

    /// No more frames for now: the last segment ends with the last frame.
    pub(super) fn end(&mut self, now: Instant, window: &mut Window) {
        self.release(now, window);
        self.finish(now, window);
        self.discontinuity = window.last_init().is_some() || !window.listed().is_empty();
        self.needs_key = true;
        self.needs_key_since_ms = None;
    }

    /// Expects groups of pictures of this length.
    pub(super) fn expect_gop(&mut self, gop_ms: u64, window: &mut Window) {
        self.gops_ms.push_back(gop_ms);
        while self.gops_ms.len() > GOPS_REMEMBERED {
            self.gops_ms.pop_front();
        }
        window.gop_ms = self.gops_ms.iter().copied().max().unwrap_or_default();
    }

    /// The next frame of the stream.
    pub(super) fn frame(&mut self, now: Instant, frame: &Frame, window: &mut Window) {
        if matches!(frame.role, FrameRole::Header(_)) {
            self.header(frame);
        } else if frame.is_coded() && frame.kind != FrameKind::Data {
            if self.packager.changes_tracks(frame) {
                self.header(frame);
            }
            match &mut self.held {
                Some(held) => {
                    held.push(frame, false);
                    let since_ms = held.frames.first().map_or(frame.timestamp_ms, |first| first.timestamp_ms);
                    let waited_ms = frame.timestamp_ms.saturating_sub(since_ms);
                    let has_all = self.packager.has_video() && self.packager.has_audio();
                    if has_all || waited_ms >= TRACKS_WAIT_MS || held.is_full() {
                        self.release(now, window);
                    }
                }
                None => self.coded(now, frame, window),
            }
        }
    }

    // Tracks.

    /// A header, or a coded frame that tells what a header does not.
    fn header(&mut self, frame: &Frame) {
        let is_same = |other: &Frame| other.kind == frame.kind && other.role == frame.role;
        self.headers.retain(|other| !is_same(other));
        self.headers.push(frame.clone());
        self.changes.retain(|other| !is_same(other));
        if !self.packager.changes_tracks(frame) {
            self.packager.push(frame);
        } else if let Some(held) = &mut self.held {
            held.frames.retain(|held| held.kind != frame.kind);
            self.packager.learn(frame);
        } else {
            self.changes.push(frame.clone());
        }
    }

    /// The tracks are known, as far as they will be.
    fn release(&mut self, now: Instant, window: &mut Window) {
        for frame in self.held.take().unwrap_or_default().frames {
            self.coded(now, &frame, window);
        }
    }

    fn has(&self, kind: FrameKind) -> bool {
        let has = if kind == FrameKind::Video { self.packager.has_video() } else { self.packager.has_audio() };
        has || self.is_changing(kind)
    }

    fn is_changing(&self, kind: FrameKind) -> bool {
        self.changes.iter().any(|change| change.kind == kind)
    }

    /// Whether a segment can begin with it.
    fn is_boundary(&self, frame: &Frame) -> bool {
        frame.is_video_key() || !self.has(FrameKind::Video) || self.is_without_video(frame, PICTURE_WAIT_MS)
    }

    /// Sound, and the last picture is so long ago.
    fn is_without_video(&self, frame: &Frame, absent_ms: u64) -> bool {
        let is_late = |last_ms: u64| frame.timestamp_ms > last_ms + absent_ms;
        frame.kind == FrameKind::Audio && self.last_video_ms.is_some_and(is_late)
    }

    /// The tracks change: a new segment begins with new headers.
    fn change(&mut self, next_ms: u64, now: Instant, window: &mut Window) {
        let limit_ms = window.segment_limit_ms();
        if self.opening.is_some_and(|opening| next_ms.saturating_sub(opening.start_ms) > limit_ms) {
            self.end_late(now, next_ms, limit_ms, true, window);
        } else {
            self.end_segment(next_ms, now, window);
        }
        for header in mem::take(&mut self.changes) {
            self.packager.learn(&header);
        }
        self.is_new = true;
        self.discontinuity |= !window.listed().is_empty();
    }

    /// There was sound for long, but no picture yet.
    fn give_up_video(&mut self) {
        let video: Vec<Frame> = self.headers.extract_if(.., |header| header.kind == FrameKind::Video).collect();
        self.packager = Packager::new(self.format);
        for header in &self.headers {
            self.packager.learn(header);
        }
        self.changes.clear();
        self.headers.extend(video);
    }

    /// A picture where none was expected any more.
    fn expect_video_again(&mut self) {
        self.changes.extend(self.headers.iter().filter(|header| header.kind == FrameKind::Video).cloned());
    }

    // Frames.

    fn coded(&mut self, now: Instant, frame: &Frame, window: &mut Window) {
        if frame.is_video_key() && !self.has(FrameKind::Video) {
            self.expect_video_again();
        }
        if !self.has(frame.kind) {
            return;
        }
        let boundary = self.is_boundary(frame);
        if self.needs_key && !boundary {
            let since_ms = *self.needs_key_since_ms.get_or_insert(frame.timestamp_ms);
            let no_video = frame.kind == FrameKind::Audio && self.last_video_ms.is_none();
            if no_video && frame.timestamp_ms.saturating_sub(since_ms) >= PICTURE_WAIT_MS {
                self.give_up_video();
            }
            return;
        }
        if boundary && !self.changes.is_empty() {
            self.change(frame.timestamp_ms, now, window);
        } else if self.is_changing(frame.kind) {
            return;
        }
        self.needs_key = false;
        self.needs_key_since_ms = None;
        self.place(now, frame, boundary, window);
    }

    /// Ends what ends before `frame`, and puts it into the next part.
    fn place(&mut self, now: Instant, frame: &Frame, boundary: bool, window: &mut Window) {
        let ms = frame.timestamp_ms;
        let is_video = frame.kind == FrameKind::Video;
        let measures = is_video || !self.packager.has_video() || self.is_without_video(frame, VIDEO_ABSENT_MS);
        if is_video {
            self.last_video_ms = Some(ms);
        }
        if measures {
            self.note_times(frame, boundary, window);
            self.end_what_is_over(now, ms, boundary, window);
            if self.needs_key {
                return;
            }
            if self.opening.is_none() {
                self.open(ms, boundary);
            }
            self.last_ms = Some(ms);
        }
        self.pending.push(frame, measures);
        if self.pending.is_full() {
            self.end_part(ms.max(self.part_start_ms), window);
        }
    }

    fn note_times(&mut self, frame: &Frame, boundary: bool, window: &mut Window) {
        let ms = frame.timestamp_ms;
        if let Some(step_ms) = self.last_ms.map(|last| ms.saturating_sub(last)).filter(|&step_ms| step_ms > 0) {
            let [last_ms, _] = self.steps_ms;
            self.steps_ms = [step_ms, last_ms];
        }
        let key_ms = Some(ms).filter(|_| boundary && frame.kind == FrameKind::Video);
        if let Some(last_ms) = key_ms.and_then(|ms| self.last_key_ms.replace(ms)) {
            self.expect_gop(ms.saturating_sub(last_ms), window);
        }
    }

    fn open(&mut self, ms: u64, independent: bool) {
        let discontinuity = mem::take(&mut self.discontinuity);
        self.packager.begin_segment(discontinuity);
        self.opening = Some(Opening { start_ms: ms, discontinuity, independent });
        self.part_start_ms = ms;
    }

    /// A measuring frame of `ms` comes next: segment and part end there, or ended earlier.
    fn end_what_is_over(&mut self, now: Instant, ms: u64, boundary: bool, window: &mut Window) {
        let Some(opening) = self.opening else { return };
        let limit_ms = window.segment_limit_ms();
        let elapsed_ms = ms.saturating_sub(opening.start_ms);
        if boundary && elapsed_ms <= limit_ms {
            let is_long_enough = elapsed_ms * 1_000 >= self.segment_ms * EARLY_KEY_PER_MILLE;
            let next_may_be_too_late = self.next_gop_ms() + elapsed_ms > limit_ms;
            if is_long_enough || (next_may_be_too_late && elapsed_ms > 0) {
                return self.end_segment(ms, now, window);
            }
        } else if elapsed_ms > limit_ms {
            return self.end_late(now, ms, limit_ms, boundary, window);
        } else if elapsed_ms + self.interval_ms() > limit_ms || self.is_too_big(window) {
            return self.end_segment(ms, now, window);
        }
        self.end_part_if_over(ms, window);
    }

    /// Video: as long as the longest of the last ones. Sound alone: whatever comes next.
    fn next_gop_ms(&self) -> u64 {
        let gop_ms = self.gops_ms.iter().copied().max();
        if self.packager.has_video() { gop_ms.unwrap_or_default() } else { self.interval_ms() }
    }

    /// How far the next measuring frame is, if nothing happens.
    fn interval_ms(&self) -> u64 {
        match self.steps_ms {
            [0, _] => DEFAULT_INTERVAL_MS,
            [step_ms, 0] => step_ms,
            [last_ms, before_ms] => last_ms.min(before_ms),
        }
    }

    fn is_too_big(&self, window: &Window) -> bool {
        window.open().is_some_and(|open| open.bytes >= self.segment_bytes || open.parts.len() >= MAX_PARTS)
    }

    /// The segment is longer than it may be, all of a sudden: it ends before its last frame, which begins the next one.
    /// Where that frame alone would be too long, time jumped.
    fn end_late(&mut self, now: Instant, ms: u64, limit_ms: u64, boundary: bool, window: &mut Window) {
        let last_ms = self.last_ms.unwrap_or(ms);
        let has_part = self.opening.is_some_and(|opening| self.part_start_ms > opening.start_ms);
        let (rest, rest_ms) = match self.pending.split_before_last() {
            None if has_part => (Some(mem::take(&mut self.pending)), self.part_start_ms),
            rest => (rest, last_ms),
        };
        if let Some(rest) = rest {
            self.end_segment(rest_ms, now, window);
            self.open(rest_ms, false);
            self.pending = rest;
        }
        if self.opening.is_some_and(|opening| ms.saturating_sub(opening.start_ms) <= limit_ms) {
            return if boundary { self.end_segment(ms, now, window) } else { self.end_part_if_over(ms, window) };
        }
        self.finish(now, window);
        self.discontinuity = true;
        self.needs_key = !boundary;
        window.reset_clock();
    }

    fn end_part_if_over(&mut self, ms: u64, window: &mut Window) {
        if !self.has_parts {
            return;
        }
        self.cut_by_sound(ms, window);
        let (target_ms, most_ms) = window.part_target_ms();
        let is_late = ms.saturating_sub(self.part_start_ms) > most_ms;
        let rest = if is_late { self.pending.split_before_last() } else { None };
        if let (Some(rest), Some(last_ms)) = (rest, self.last_ms) {
            self.end_part(last_ms, window);
            self.pending = rest;
        }
        let elapsed_ms = ms.saturating_sub(self.part_start_ms);
        // A part that would be too short with this picture and too long with the next one is cut by sound in between.
        let next_is_late = elapsed_ms + self.interval_ms() > most_ms && !self.pending.has_sound();
        if elapsed_ms * 100 >= target_ms * PART_PERCENT || next_is_late {
            self.end_part(ms, window);
        }
    }

    /// Where pictures stayed away for longer than a part may last, parts are cut by sound.
    fn cut_by_sound(&mut self, next_ms: u64, window: &mut Window) {
        let (target_ms, most_ms) = window.part_target_ms();
        while self.has_parts && next_ms.saturating_sub(self.part_start_ms) > most_ms {
            let latest_ms = self.part_start_ms.saturating_add(target_ms);
            let Some((rest, at_ms)) = self.pending.split_at_sound(self.part_start_ms, latest_ms) else { return };
            self.cut_part(at_ms, window);
            self.pending = rest;
        }
    }

    /// The part that is pending ends at `next_ms`.
    fn end_part(&mut self, next_ms: u64, window: &mut Window) {
        self.cut_by_sound(next_ms, window);
        self.cut_part(next_ms, window);
    }

    fn cut_part(&mut self, next_ms: u64, window: &mut Window) {
        let Some(opening) = self.opening else { return };
        let pending = mem::take(&mut self.pending);
        let pictures = || pending.frames.iter().filter(|frame| frame.kind == FrameKind::Video);
        let video_frames = pictures().count();
        let next_picture_ms = Some(next_ms).filter(|next| pictures().all(|picture| picture.timestamp_ms < *next));
        let keys = pending.frames.iter().filter(|frame| self.is_boundary(frame)).count();
        for frame in &pending.frames {
            self.packager.push(frame);
        }
        let Some(bytes) = self.packager.cut(next_picture_ms) else { return };
        let init = mem::take(&mut self.is_new).then(|| self.packager.init_segment());
        if let Some(init) = init.flatten() {
            window.set_init(init);
        }
        let duration_ms = next_ms.saturating_sub(self.part_start_ms);
        let video_frames = u32::try_from(video_frames).unwrap_or(u32::MAX);
        window.push_part(Part { bytes, duration_ms, independent: keys > 0, video_frames }, opening);
        self.part_start_ms = next_ms;
    }

    /// The segment ends at `next_ms`.
    fn end_segment(&mut self, next_ms: u64, now: Instant, window: &mut Window) {
        self.end_part(next_ms, window);
        if let Some(opening) = self.opening.take() {
            self.discontinuity |= opening.discontinuity && window.open().is_none();
        }
        window.end_segment(now);
    }

    /// The segment ends with the frames that are there.
    fn finish(&mut self, now: Instant, window: &mut Window) {
        let Some(opening) = self.opening else { return };
        let latest_ms = opening.start_ms + window.segment_limit_ms();
        let end_ms = self.last_ms.map_or(opening.start_ms, |last| last + self.interval_ms().min(VIDEO_ABSENT_MS));
        self.end_segment(end_ms.min(latest_ms), now, window);
    }
}

impl Pending {
    fn is_full(&self) -> bool {
        self.frames.len() >= PENDING_FRAMES || self.bytes >= PENDING_BYTES
    }

    fn push(&mut self, frame: &Frame, measures: bool) {
        if measures && !self.frames.is_empty() {
            self.last = Some(self.frames.len());
        }
        self.bytes += frame.payload.len();
        self.frames.push(frame.clone());
    }

    fn has_sound(&self) -> bool {
        self.frames.iter().any(|frame| frame.kind == FrameKind::Audio)
    }

    /// Takes the last sound after `from_ms` and up to `until_ms`, and what follows it, unless that is all. Also gives
    /// its time.
    fn split_at_sound(&mut self, from_ms: u64, until_ms: u64) -> Option<(Pending, u64)> {
        let is_place = |frame: &Frame| {
            frame.kind == FrameKind::Audio && frame.timestamp_ms > from_ms && frame.timestamp_ms <= until_ms
        };
        let at = self.frames.iter().rposition(is_place).filter(|at| *at > 0)?;
        let at_ms = self.frames.get(at)?.timestamp_ms;
        let frames = self.frames.split_off(at);
        let bytes = frames.iter().map(|frame| frame.payload.len()).sum();
        self.bytes -= bytes;
        let last = self.last.and_then(|last| last.checked_sub(at)).filter(|last| *last > 0);
        Some((Pending { frames, bytes, last }, at_ms))
    }

    /// Takes the newest measuring frame and what follows it, unless that is all.
    fn split_before_last(&mut self) -> Option<Pending> {
        let frames = self.frames.split_off(self.last.take()?);
        let bytes = frames.iter().map(|frame| frame.payload.len()).sum();
        self.bytes -= bytes;
        Some(Pending { frames, bytes, last: None })
    }
}
