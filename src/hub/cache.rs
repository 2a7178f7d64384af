//! What a stream remembers for those who join: metadata, headers, the present group of pictures.
//!
//! Owns: [`Headers`] and [`GopCache`] with their limits. Does not know who joins; `join` makes of this what a new
//! player is sent.

use std::collections::VecDeque;

use crate::config::CacheLimits;
use crate::media::{Frame, FrameKind, FrameRole};

/// The newest metadata and headers of the present publisher, in the order of their last change.
#[derive(Debug, Default)]
pub struct Headers {
    frames: Vec<Frame>,
}

impl Headers {
    /// Keeps `frame` in place of an earlier one for the same thing. `true`: it differs from what was there.
    pub fn keep(&mut self, frame: &Frame, limits: &CacheLimits) -> bool {
        let same = |kept: &Frame| (kept.kind, kept.role, kept.tracks) == (frame.kind, frame.role, frame.tracks);
        let earlier = self.frames.iter().position(same).map(|index| self.frames.remove(index));
        let changed = earlier.is_none_or(|kept| kept.payload != frame.payload);
        self.frames.push(frame.clone());
        while self.frames.len() > limits.headers || self.bytes() > limits.header_bytes {
            self.frames.remove(0);
        }
        changed
    }

    /// Bytes of all payloads.
    pub fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.payload.len()).sum()
    }

    /// Forgets the metadata (`@clearDataFrame`).
    pub fn clear_metadata(&mut self) {
        self.frames.retain(|frame| frame.role != FrameRole::Metadata);
    }

    /// Forgets all: another publisher begins.
    pub fn clear(&mut self) {
        self.frames.clear();
    }

    /// Metadata first, then headers in the order of their last change.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        let (metadata, headers): (Vec<&Frame>, Vec<&Frame>) =
            self.frames.iter().partition(|frame| frame.role == FrameRole::Metadata);
        metadata.into_iter().chain(headers)
    }
}

/// Frames since the last video key frame, and some video frames of the groups before it.
#[derive(Debug, Default)]
pub struct GopCache {
    /// All frames from the present key frame on; empty before the first one and after a limit was passed.
    current: Vec<Frame>,
    current_bytes: usize,
    /// Video frames at the start of earlier groups, oldest group first, each from its key frame on.
    earlier: VecDeque<Vec<Frame>>,
    earlier_bytes: usize,
    last_audio: Option<Frame>,
    /// Whether the default video track was seen: then only its key frames begin a group.
    default_track_seen: bool,
}

impl GopCache {
    /// Takes a coded frame, in stream order. `true`: a player can begin with it.
    pub fn push(&mut self, frame: &Frame, limits: &CacheLimits) -> bool {
        if frame.kind == FrameKind::Audio && frame.is_coded() {
            self.last_audio = Some(frame.clone());
        }
        let begins_group = self.begins_group(frame);
        if begins_group {
            self.end_group(limits);
        } else if self.current.is_empty() {
            return false;
        }
        self.current_bytes += frame.payload.len();
        self.current.push(frame.clone());
        while self.bytes() > limits.gop_bytes && !self.earlier.is_empty() {
            self.forget_earliest();
        }
        let span_ms = self.current.first().map_or(0, |first| frame.timestamp_ms.saturating_sub(first.timestamp_ms));
        if self.current.len() > limits.gop_frames || self.current_bytes > limits.gop_bytes || span_ms > limits.gop_ms {
            // Without its beginning a group is of no use; the next key frame begins anew.
            self.forget_video();
        }
        begins_group
    }

    /// Whether `frame` is a key frame from which a player of the default track can begin.
    fn begins_group(&mut self, frame: &Frame) -> bool {
        if frame.kind == FrameKind::Video && frame.is_coded() && frame.tracks.contains(0) {
            self.default_track_seen = true;
        }
        frame.is_video_key() && (frame.tracks.contains(0) || !self.default_track_seen)
    }

    /// Moves the head of the finished group to the earlier ones, of which at least `probe_frames` frames stay.
    fn end_group(&mut self, limits: &CacheLimits) {
        let finished = std::mem::take(&mut self.current);
        self.current_bytes = 0;
        let head: Vec<Frame> = finished.into_iter().filter(is_coded_video).take(limits.probe_frames).collect();
        if !head.is_empty() {
            self.earlier_bytes += payload_bytes(&head);
            self.earlier.push_back(head);
        }
        let mut held: usize = self.earlier.iter().map(Vec::len).sum();
        while let Some(oldest) = self.earlier.front() {
            if held - oldest.len() < limits.probe_frames {
                break;
            }
            held -= oldest.len();
            self.forget_earliest();
        }
    }

    fn forget_earliest(&mut self) {
        if let Some(oldest) = self.earlier.pop_front() {
            self.earlier_bytes -= payload_bytes(&oldest);
        }
    }

    /// Bytes of all pictures and the sound between them.
    pub fn bytes(&self) -> usize {
        self.current_bytes + self.earlier_bytes
    }

    /// Forgets the pictures: they cannot be decoded with what comes now.
    pub fn forget_video(&mut self) {
        self.current = Vec::new();
        self.current_bytes = 0;
        self.earlier.clear();
        self.earlier_bytes = 0;
    }

    /// Forgets the sound: it cannot be decoded with the audio header that comes now.
    pub fn forget_audio(&mut self) {
        self.last_audio = None;
        self.current.retain(|frame| frame.kind != FrameKind::Audio);
        self.current_bytes = payload_bytes(&self.current);
    }

    /// Forgets all: another publisher begins.
    pub fn clear(&mut self) {
        *self = GopCache::default();
    }

    /// All frames from the present key frame on, in stream order.
    pub fn current(&self) -> &[Frame] {
        &self.current
    }

    /// Coded video frames of earlier groups, oldest first, beginning with a key frame.
    pub fn earlier(&self) -> impl Iterator<Item = &Frame> {
        self.earlier.iter().flatten()
    }

    /// The newest coded audio frame.
    pub fn last_audio(&self) -> Option<&Frame> {
        self.last_audio.as_ref()
    }
}

fn payload_bytes(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.payload.len()).sum()
}

/// Whether a frame counts as a picture.
pub fn is_coded_video(frame: &Frame) -> bool {
    frame.kind == FrameKind::Video && frame.is_coded()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::test_frames::{audio, delta, header, key, metadata};

    fn limits() -> CacheLimits {
        CacheLimits {
            probe_frames: 5,
            gop_frames: 20,
            gop_bytes: 10_000,
            gop_ms: 1_000,
            headers: 3,
            ..CacheLimits::default()
        }
    }

    fn times(frames: &[Frame]) -> Vec<u64> {
        frames.iter().map(|frame| frame.timestamp_ms).collect()
    }

    #[test]
    fn a_group_begins_with_its_key_frame_and_holds_audio_too() {
        let mut cache = GopCache::default();
        for frame in [delta(0), audio(5), key(10), audio(15), delta(20)] {
            cache.push(&frame, &limits());
        }
        assert_eq!(times(cache.current()), [10, 15, 20]);
        assert_eq!(cache.last_audio().map(|frame| frame.timestamp_ms), Some(15));
    }

    #[test]
    fn earlier_groups_are_kept_only_as_far_as_a_probe_needs() {
        let mut cache = GopCache::default();
        for group in 0..10_u64 {
            cache.push(&key(group * 100), &limits());
            cache.push(&delta(group * 100 + 40), &limits());
        }
        // Five frames are wanted, groups have two: three groups.
        let earlier: Vec<u64> = cache.earlier().map(|frame| frame.timestamp_ms).collect();
        assert_eq!(earlier, [600, 640, 700, 740, 800, 840]);
    }

    #[test]
    fn a_group_past_a_limit_is_forgotten_until_the_next_key_frame() {
        let over_frames: Vec<Frame> = (0..21).map(|step| if step == 0 { key(0) } else { delta(step) }).collect();
        let mut over_bytes = vec![key(0), delta(1)];
        over_bytes[1].payload = vec![0; 10_000].into();
        let over_time = vec![key(0), delta(1_001)];
        for frames in [over_frames, over_bytes, over_time] {
            let mut cache = GopCache::default();
            for frame in &frames {
                cache.push(frame, &limits());
            }
            assert!(cache.current().is_empty());
            cache.push(&delta(2_000), &limits());
            assert!(cache.current().is_empty());
            cache.push(&key(2_040), &limits());
            assert_eq!(times(cache.current()), [2_040]);
        }
    }

    #[test]
    fn a_key_frame_of_another_track_begins_no_group() {
        let mut cache = GopCache::default();
        let mut other = key(20);
        other.tracks = crate::media::TrackSet::EMPTY;
        other.tracks.insert(1);
        cache.push(&other, &limits());
        assert_eq!(cache.current().len(), 1, "the only track there is");
        cache.push(&key(30), &limits());
        cache.push(&other, &limits());
        assert_eq!(cache.current().len(), 2);
    }

    #[test]
    fn headers_replace_their_own_kind_and_metadata_comes_first() {
        let mut headers = Headers::default();
        assert!(headers.keep(&header(FrameKind::Video, b"v1"), &limits()));
        assert!(headers.keep(&header(FrameKind::Audio, b"a1"), &limits()));
        assert!(headers.keep(&metadata(b"m1"), &limits()));
        assert!(!headers.keep(&header(FrameKind::Video, b"v1"), &limits()));
        assert!(headers.keep(&header(FrameKind::Video, b"v2"), &limits()));
        let payloads: Vec<&[u8]> = headers.iter().map(|frame| &frame.payload[..]).collect();
        assert_eq!(payloads, [b"m1", b"a1", b"v2"]);
        headers.clear_metadata();
        assert_eq!(headers.iter().count(), 2);
    }

    #[test]
    fn no_more_headers_are_kept_than_the_limit() {
        let mut headers = Headers::default();
        for track in 0..50 {
            let mut frame = header(FrameKind::Audio, b"a");
            frame.tracks.insert(track);
            headers.keep(&frame, &limits());
        }
        assert_eq!(headers.iter().count(), 3);
    }
}
