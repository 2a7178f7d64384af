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

/// Frames since the last video key frame, and what is kept of the groups before it: whole groups for those who want the
/// past, and before these some video frames.
#[derive(Debug, Default)]
pub struct GopCache {
    /// All frames from the present key frame on; empty before the first one and after a limit was passed.
    current: Vec<Frame>,
    current_bytes: usize,
    /// All frames of the groups before the present one, oldest group first.
    whole: VecDeque<Vec<Frame>>,
    whole_bytes: usize,
    /// How much of the past is kept in whole groups, where the limits allow it.
    history_ms: u64,
    /// Video frames at the start of still earlier groups, oldest group first, each from its key frame on.
    earlier: VecDeque<Vec<Frame>>,
    earlier_bytes: usize,
    last_audio: Option<Frame>,
    /// Whether the default video track was seen: then only its key frames begin a group.
    default_track_seen: bool,
}

impl GopCache {
    /// From now on so much of the past is kept in whole groups, in milliseconds; 0: nothing.
    pub fn set_history_ms(&mut self, history_ms: u64) {
        self.history_ms = history_ms;
    }

    /// Takes a coded frame, in stream order. `true`: a player can begin with it.
    pub fn push(&mut self, frame: &Frame, limits: &CacheLimits) -> bool {
        if frame.kind == FrameKind::Audio && frame.is_coded() {
            self.last_audio = Some(frame.clone());
        }
        let begins_group = self.begins_group(frame);
        if begins_group {
            self.end_group(frame.timestamp_ms, limits);
        } else if self.current.is_empty() {
            return false;
        }
        self.current_bytes += frame.payload.len();
        self.current.push(frame.clone());
        while self.bytes() > limits.gop_bytes && (self.shorten_oldest(limits) || self.forget_earliest()) {}
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

    /// The present group is finished, another one begins at `begin_ms`. Of those before it, as many stay whole as it
    /// takes for `history_ms`, and of the others so much that at least `probe_frames` pictures stay.
    fn end_group(&mut self, begin_ms: u64, limits: &CacheLimits) {
        let finished = std::mem::take(&mut self.current);
        self.whole_bytes += std::mem::take(&mut self.current_bytes);
        self.whole.extend((!finished.is_empty()).then_some(finished));
        loop {
            let second = self.whole.get(1).and_then(|group| group.first());
            let second_ms = second.map_or(begin_ms, |first| first.timestamp_ms);
            let is_enough_without_oldest = begin_ms.saturating_sub(second_ms) >= self.history_ms;
            if !is_enough_without_oldest || !self.shorten_oldest(limits) {
                break;
            }
        }
        let of_whole = |group: &Vec<Frame>| group.iter().filter(|frame| is_coded_video(frame)).count();
        let mut held: usize = self.whole.iter().map(of_whole).chain(self.earlier.iter().map(Vec::len)).sum();
        while let Some(oldest) = self.earlier.front() {
            if held - oldest.len() < limits.probe_frames {
                break;
            }
            held -= oldest.len();
            self.forget_earliest();
        }
    }

    /// Keeps no more than the head of the oldest whole group. `false`: there is none.
    fn shorten_oldest(&mut self, limits: &CacheLimits) -> bool {
        let Some(oldest) = self.whole.pop_front() else { return false };
        self.whole_bytes -= payload_bytes(&oldest);
        let head: Vec<Frame> = oldest.into_iter().filter(is_coded_video).take(limits.probe_frames).collect();
        if !head.is_empty() {
            self.earlier_bytes += payload_bytes(&head);
            self.earlier.push_back(head);
        }
        true
    }

    /// `false`: there is none.
    fn forget_earliest(&mut self) -> bool {
        let Some(oldest) = self.earlier.pop_front() else { return false };
        self.earlier_bytes -= payload_bytes(&oldest);
        true
    }

    /// Bytes of all pictures and the sound between them.
    pub fn bytes(&self) -> usize {
        self.current_bytes + self.whole_bytes + self.earlier_bytes
    }

    /// Forgets the pictures: they cannot be decoded with what comes now.
    pub fn forget_video(&mut self) {
        self.current = Vec::new();
        self.current_bytes = 0;
        self.whole.clear();
        self.whole_bytes = 0;
        self.earlier.clear();
        self.earlier_bytes = 0;
    }

    /// Forgets the sound: it cannot be decoded with the audio header that comes now.
    pub fn forget_audio(&mut self) {
        self.last_audio = None;
        for group in self.whole.iter_mut().chain([&mut self.current]) {
            group.retain(|frame| frame.kind != FrameKind::Audio);
        }
        self.current_bytes = payload_bytes(&self.current);
        self.whole_bytes = self.whole.iter().map(|group| payload_bytes(group)).sum();
    }

    /// Forgets all: another publisher begins.
    pub fn clear(&mut self) {
        *self = GopCache { history_ms: self.history_ms, ..GopCache::default() };
    }

    /// All frames from the present key frame on, in stream order.
    pub fn current(&self) -> &[Frame] {
        &self.current
    }

    /// All frames of the groups that are kept whole, the present one being the last, in stream order.
    pub fn history(&self) -> impl Iterator<Item = &Frame> {
        self.whole.iter().flatten().chain(&self.current)
    }

    /// Coded video frames of earlier groups, oldest first, beginning with a key frame.
    pub fn earlier(&self) -> impl Iterator<Item = &Frame> {
        let whole = self.whole.iter().flatten().filter(|frame| is_coded_video(frame));
        self.earlier.iter().flatten().chain(whole)
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
    fn whole_groups_are_kept_as_far_as_the_history_wants_and_the_limit_allows() {
        let mut cache = GopCache::default();
        cache.set_history_ms(150);
        let history = |cache: &GopCache| cache.history().map(|frame| frame.timestamp_ms).collect::<Vec<_>>();
        for group in 0..10_u64 {
            for frame in [key(group * 100), audio(group * 100 + 20), delta(group * 100 + 40)] {
                cache.push(&frame, &limits());
            }
        }
        assert_eq!(history(&cache), [700, 720, 740, 800, 820, 840, 900, 920, 940]);
        // Five frames are wanted for a probe: the two whole groups have four.
        let earlier: Vec<u64> = cache.earlier().map(|frame| frame.timestamp_ms).collect();
        assert_eq!(earlier, [600, 640, 700, 740, 800, 840]);
        // Each frame of these tests has one byte.
        assert_eq!(cache.bytes(), 9 + 2);
        cache.forget_audio();
        assert_eq!(history(&cache), [700, 740, 800, 840, 900, 940]);
        assert_eq!(cache.bytes(), 6 + 2);
        let mut large = delta(960);
        large.payload = vec![0; 10_000].into();
        cache.push(&large, &limits());
        assert_eq!(history(&cache), Vec::<u64>::new(), "its own group is too large with it");
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn history_gives_way_before_the_pictures_for_a_probe_do() {
        let mut cache = GopCache::default();
        cache.set_history_ms(100);
        let mut sound = audio(120);
        sound.payload = vec![0; 5_000].into();
        for frame in [key(100), sound, delta(140), key(200)] {
            cache.push(&frame, &limits());
        }
        assert_eq!(cache.history().count(), 4);
        let mut large = delta(240);
        large.payload = vec![0; 6_000].into();
        cache.push(&large, &limits());
        assert_eq!(times(&cache.history().cloned().collect::<Vec<_>>()), [200, 240]);
        assert_eq!(cache.earlier().map(|frame| frame.timestamp_ms).collect::<Vec<_>>(), [100, 140]);
        cache.clear();
        assert_eq!((cache.history().count(), cache.bytes()), (0, 0));
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
