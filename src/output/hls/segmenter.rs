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
/// Sound ends a part where a picture is late by so much, and the part would be longer than its target.
const PICTURE_LATE_MS: u64 = 250;
/// Longest usual distance of two audio frames.
const SOUND_STEP_MS: u64 = 30;
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
    /// Each with whether a segment could begin with it.
    frames: Vec<(Frame, bool)>,
    bytes: usize,
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
        self.part_start_ms = 0;
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
                    let since_ms = held.frames.first().map_or(frame.timestamp_ms, |(first, _)| first.timestamp_ms);
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
            held.frames.retain(|(held, _)| held.kind != frame.kind);
            self.packager.learn(frame);
        } else {
            self.changes.push(frame.clone());
        }
    }

    /// The tracks are known, as far as they will be.
    fn release(&mut self, now: Instant, window: &mut Window) {
        for (frame, _) in self.held.take().unwrap_or_default().frames {
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

    /// A picture should have come, and the part would become too long without one.
    fn sound_stands_in(&self, frame: &Frame, window: &Window) -> bool {
        let (target_ms, _) = window.part_target_ms();
        let is_over = frame.timestamp_ms + SOUND_STEP_MS > self.part_start_ms + target_ms;
        self.has_parts && self.opening.is_some() && is_over && self.is_without_video(frame, PICTURE_LATE_MS)
    }

    /// The tracks change: a new segment begins with new headers.
    fn change(&mut self, next_ms: u64, now: Instant, window: &mut Window) {
        self.end_what_is_over(now, next_ms, true, window);
        self.end_segment(next_ms, now, window);
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
        let stands_in = self.is_without_video(frame, VIDEO_ABSENT_MS) || self.sound_stands_in(frame, window);
        let measures = is_video || !self.packager.has_video() || stands_in;
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
        self.pending.push(frame, boundary);
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
        // Where sound measured last, a picture may come from before that.
        let ms = ms.max(self.part_start_ms);
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
        if boundary && self.is_gap(ms) {
            self.finish(now, window);
            self.discontinuity = true;
            window.reset_clock();
        } else if boundary && elapsed_ms <= limit_ms {
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

    /// Nothing came for much longer than usual.
    fn is_gap(&self, ms: u64) -> bool {
        self.last_ms.is_some_and(|last_ms| ms > last_ms + VIDEO_ABSENT_MS.max(3 * self.interval_ms()))
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
        let Some(opening) = self.opening else { return };
        let has_part = self.part_start_ms > opening.start_ms;
        let (rest, rest_ms) = match self.pending.latest_split(self.part_start_ms, opening.start_ms + limit_ms) {
            Some((at, at_ms)) => (Some(self.pending.split_off(at)), at_ms),
            None if has_part => (Some(mem::take(&mut self.pending)), self.part_start_ms),
            None => (None, ms),
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
        self.end_long_parts(ms, window);
        let (target_ms, most_ms) = window.part_target_ms();
        let elapsed_ms = ms.saturating_sub(self.part_start_ms);
        // With sound the part can end between two pictures, once the next one turns out to be too late.
        let next_is_too_late = !self.packager.has_audio() && elapsed_ms + self.interval_ms() > most_ms;
        if is_enough(elapsed_ms, target_ms) || next_is_too_late {
            self.end_part(ms, window);
        }
    }

    /// Ends parts within what is pending, such that none is longer than its target if it ended at `ms`.
    fn end_long_parts(&mut self, ms: u64, window: &mut Window) {
        if !self.has_parts || self.opening.is_none() {
            return;
        }
        let (target_ms, most_ms) = window.part_target_ms();
        while ms.saturating_sub(self.part_start_ms) > target_ms {
            let latest_ms = self.part_start_ms + target_ms;
            let Some((at, at_ms)) = self.pending.latest_split(self.part_start_ms, latest_ms) else { break };
            if most_ms > target_ms && !is_enough(at_ms - self.part_start_ms, target_ms) {
                break;
            }
            let rest = self.pending.split_off(at);
            self.end_part(at_ms, window);
            self.pending = rest;
        }
    }

    /// The part that is pending ends at `next_ms`.
    fn end_part(&mut self, next_ms: u64, window: &mut Window) {
        let Some(opening) = self.opening else { return };
        let pending = mem::take(&mut self.pending);
        let pictures = || pending.frames.iter().filter(|(frame, _)| frame.kind == FrameKind::Video);
        let video_frames = pictures().count();
        let next_picture_ms = Some(next_ms).filter(|next| pictures().all(|(picture, _)| picture.timestamp_ms < *next));
        let independent = pending.frames.iter().any(|(_, is_boundary)| *is_boundary);
        for (frame, _) in &pending.frames {
            self.packager.push(frame);
        }
        let Some(bytes) = self.packager.cut(next_picture_ms) else { return };
        let init = mem::take(&mut self.is_new).then(|| self.packager.init_segment());
        if let Some(init) = init.flatten() {
            window.set_init(init);
        }
        let duration_ms = next_ms.saturating_sub(self.part_start_ms);
        let video_frames = u32::try_from(video_frames).unwrap_or(u32::MAX);
        window.push_part(Part { bytes, duration_ms, independent, video_frames }, opening);
        self.part_start_ms = next_ms;
    }

    /// The segment ends at `next_ms`.
    fn end_segment(&mut self, next_ms: u64, now: Instant, window: &mut Window) {
        self.end_long_parts(next_ms, window);
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

/// Whether a part may have this length although its segment goes on.
const fn is_enough(length_ms: u64, target_ms: u64) -> bool {
    length_ms * 100 >= target_ms * PART_PERCENT
}

impl Pending {
    fn is_full(&self) -> bool {
        self.frames.len() >= PENDING_FRAMES || self.bytes >= PENDING_BYTES
    }

    fn push(&mut self, frame: &Frame, is_boundary: bool) {
        self.bytes += frame.payload.len();
        self.frames.push((frame.clone(), is_boundary));
    }

    /// The last place where the next part can begin after `start_ms` and not after `latest_ms`, and its time.
    fn latest_split(&self, start_ms: u64, latest_ms: u64) -> Option<(usize, u64)> {
        let places = self.frames.iter().enumerate().skip(1).map(|(at, (frame, _))| (at, frame.timestamp_ms));
        places.rev().find(|(_, ms)| (start_ms + 1..=latest_ms).contains(ms))
    }

    /// Takes the frames from `at` on.
    fn split_off(&mut self, at: usize) -> Pending {
        let frames = self.frames.split_off(at.min(self.frames.len()));
        let bytes = frames.iter().map(|(frame, _)| frame.payload.len()).sum();
        self.bytes -= bytes;
        Pending { frames, bytes }
    }
}
