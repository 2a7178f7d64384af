//! One stream: its publisher, its subscribers, its memory.
//!
//! Owns: which subscriber gets which frame. Does not know names or other streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cache::{GopCache, Headers, is_coded_video};
use super::join::{self, Burst};
use super::timeline::Timeline;
use super::{Delivery, IncomingFrame, PublishError, PublisherId, Sink, SubscriberId};
use crate::config::{AppConfig, CacheLimits, JoinMode, Takeover};
use crate::media::{Frame, FrameKind, FrameRole, HeaderKind};

/// The publisher of a stream, while there is one.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) id: PublisherId,
    /// What it proved to be; a takeover needs the same.
    pub(super) identity: String,
    /// When its last frame came, or when it began.
    pub(super) heard_at: Instant,
}

impl Publisher {
    /// Whether it has to give way to a newcomer of this identity.
    pub(super) fn gives_way(&self, now: Instant, identity: &str, app: &AppConfig) -> Result<(), PublishError> {
        let silent = now.saturating_duration_since(self.heard_at);
        let may_take_over = app.takeover == Takeover::WhenSilent
            && silent >= Duration::from_millis(app.takeover_silence_ms)
            && self.identity == identity;
        if may_take_over { Ok(()) } else { Err(PublishError::AlreadyPublishing) }
    }
}

/// One who watches. Kept small and dense: every frame walks over all of them.
#[derive(Debug, Clone, Copy)]
struct Subscriber {
    id: SubscriberId,
    /// Coded audio flows.
    audio_open: bool,
    /// Coded video flows.
    video_open: bool,
    wants_audio: bool,
    wants_video: bool,
    /// While paused: stream time up to which it may have seen frames.
    paused_at_ms: Option<u64>,
    /// Was told that the stream ended.
    ended: bool,
}

/// A published name, or one that is waited for.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// What holds for its application.
    pub(super) app: Arc<AppConfig>,
    pub(super) publisher: Option<Publisher>,
    /// While a lost publisher may still come back.
    pub(super) grace_until: Option<Instant>,
    /// See [`super::Hub::version`].
    pub(super) version: u64,
    timeline: Timeline,
    headers: Headers,
    gop: GopCache,
    subscribers: Vec<Subscriber>,
    /// Stream time of the newest coded video frame of this publisher.
    last_video_ms: Option<u64>,
    /// Highest stream time of a coded frame, kept over publishers.
    newest_ms: u64,
    /// Pictures per second, as the publisher's metadata say.
    frame_rate: Option<f64>,
}

impl Stream {
    pub(super) fn new(app: Arc<AppConfig>) -> Self {
        let mut stream = Stream::default();
        stream.set_app(app);
        stream
    }

    /// From now on `app` holds.
    pub(super) fn set_app(&mut self, app: Arc<AppConfig>) {
        self.gop.set_history_ms(app.history_ms());
        self.app = app;
    }

    pub(super) fn begin_publisher<S: Sink>(&mut self, publisher: Publisher, sink: &mut S) {
        self.publisher = Some(publisher);
        self.grace_until = None;
        self.timeline.begin_publisher();
        self.forget_media();
        for subscriber in &mut self.subscribers {
            // What the last publisher sent does not go on; wait for headers and a key frame.
            subscriber.audio_open = false;
            subscriber.video_open = false;
            if std::mem::take(&mut subscriber.ended) {
                sink.began(subscriber.id);
            }
        }
    }

    fn forget_media(&mut self) {
        self.headers.clear();
        self.gop.clear();
        self.frame_rate = None;
        self.last_video_ms = None;
    }

    /// The publisher is gone for good: tells those who watch.
    pub(super) fn end<S: Sink>(&mut self, sink: &mut S) {
        self.publisher = None;
        self.grace_until = None;
        self.forget_media();
        for subscriber in &mut self.subscribers {
            if !std::mem::replace(&mut subscriber.ended, true) {
                sink.ended(subscriber.id);
            }
        }
    }

    /// The publisher is gone without a word: waits for it.
    pub(super) fn lose(&mut self, now: Instant) -> Instant {
        self.publisher = None;
        let until = now + Duration::from_millis(self.app.grace_ms);
        self.grace_until = Some(until);
        until
    }

    pub(super) fn is_idle(&self) -> bool {
        self.publisher.is_none() && self.grace_until.is_none() && self.subscribers.is_empty()
    }

    pub(super) fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    pub(super) fn anomalies(&self) -> u64 {
        self.timeline.anomalies()
    }

    pub(super) fn subscribe(&mut self, id: SubscriberId) {
        self.subscribers.push(Subscriber {
            id,
            audio_open: false,
            video_open: false,
            wants_audio: true,
            wants_video: true,
            paused_at_ms: None,
            ended: false,
        });
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriberId) {
        if let Some(index) = self.subscribers.iter().position(|subscriber| subscriber.id == id) {
            self.subscribers.swap_remove(index);
        }
    }

    pub(super) fn burst(&self, mode: JoinMode, limits: &CacheLimits) -> Burst {
        self.burst_after(None, mode, limits)
    }

    pub(super) fn burst_without_probe(&self, mode: JoinMode, limits: &CacheLimits) -> Burst {
        join::burst(mode, 0, &self.headers, &self.gop, limits, None)
    }

    /// See [`super::Hub::history`].
    pub(super) fn history(&self) -> Burst {
        join::with_headers(&self.headers, self.gop.history().cloned().collect())
    }

    fn burst_after(&self, heard_ms: Option<u64>, mode: JoinMode, limits: &CacheLimits) -> Burst {
        join::burst(mode, self.probe_frames(limits), &self.headers, &self.gop, limits, heard_ms)
    }

    /// How many pictures a player may look at before it plays. ffmpeg knows that it has seen every track once there are
    /// two; with one it looks on for some seconds, which it counts in pictures where the metadata say their rate.
    fn probe_frames(&self, limits: &CacheLimits) -> usize {
        match self.frame_rate {
            Some(rate) if self.gop.last_audio().is_none() => {
                let looked_at = (rate * limits.one_track_probe_ms as f64 / 1000.0).ceil();
                // Not `clamp`: a cache may be set to hold fewer frames than a probe eats.
                (looked_at as usize).min(limits.gop_frames).max(limits.probe_frames)
            }
            _ => limits.probe_frames,
        }
    }

    pub(super) fn set_frame_rate(&mut self, rate: Option<f64>) {
        self.frame_rate = rate;
    }

    /// The burst was sent to `id`: live frames follow on from it. Not in the grace window, where none come.
    pub(super) fn open(&mut self, id: SubscriberId) {
        if self.publisher.is_none() {
            return;
        }
        if let Some(subscriber) = self.subscriber(id) {
            subscriber.audio_open = true;
            subscriber.video_open = true;
        }
    }

    /// A paused subscriber gets headers only, so that it can go on at any time.
    pub(super) fn set_paused(&mut self, id: SubscriberId) {
        let newest_ms = self.newest_ms;
        if let Some(subscriber) = self.subscriber(id) {
            subscriber.paused_at_ms.get_or_insert(newest_ms);
            subscriber.audio_open = false;
            subscriber.video_open = false;
        }
    }

    /// What a paused subscriber is to be sent to go on: as for one who joins, unless that would take it back in time.
    pub(super) fn resume(&mut self, id: SubscriberId, mode: JoinMode, limits: &CacheLimits) -> Option<Burst> {
        let paused_at_ms = self.subscriber(id)?.paused_at_ms.take()?;
        let burst = self.burst_after(Some(paused_at_ms), mode, limits);
        let goes_back = burst.start_ms().is_some_and(|start_ms| start_ms <= paused_at_ms);
        Some(if goes_back { self.burst(JoinMode::Key, limits) } else { burst })
    }

    pub(super) fn set_wanted(&mut self, id: SubscriberId, kind: FrameKind, wanted: bool) {
        let Some(subscriber) = self.subscriber(id) else { return };
        match kind {
            FrameKind::Audio => subscriber.wants_audio = wanted,
            FrameKind::Video => {
                // Pictures begin again with a key frame; sound goes on.
                subscriber.video_open &= !wanted || subscriber.wants_video;
                subscriber.wants_video = wanted;
            }
            FrameKind::Data => {}
        }
    }

    fn subscriber(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.iter_mut().find(|subscriber| subscriber.id == id)
    }

    pub(super) fn clear_metadata(&mut self) {
        self.headers.clear_metadata();
    }

    /// Puts the timestamp of a publisher's frame on the stream's timeline.
    pub(super) fn place(&mut self, now: Instant, incoming: &IncomingFrame) -> u64 {
        let IncomingFrame { kind, tracks, timestamp, .. } = *incoming;
        let lane = (kind, tracks.lowest());
        let is_played = matches!(incoming.role, FrameRole::Key | FrameRole::Delta | FrameRole::Disposable);
        if is_played || kind == FrameKind::Data {
            self.timeline.place(now, lane, timestamp)
        } else {
            self.timeline.place_uncoded(lane, timestamp)
        }
    }

    /// Bytes of all that is kept for those who join.
    pub(super) fn cached_bytes(&self) -> usize {
        self.headers.bytes() + self.gop.bytes()
    }

    pub(super) fn forget_pictures(&mut self) {
        self.gop.forget_video();
    }

    /// See [`super::Hub::hold_back`].
    pub(super) fn hold_back(&mut self, is_one: impl Fn(SubscriberId) -> bool) {
        for subscriber in self.subscribers.iter_mut().filter(|subscriber| is_one(subscriber.id)) {
            subscriber.audio_open = false;
            subscriber.video_open = false;
        }
    }

    /// Remembers `frame` and hands it to everyone who is to have it.
    pub(super) fn frame<S: Sink>(&mut self, frame: &Frame, limits: &CacheLimits, sink: &mut S) {
        let begins_group = self.remember(frame, limits);
        let has_video = self.has_live_video(frame, limits);
        for subscriber in &mut self.subscribers {
            if subscriber.takes(frame, begins_group, has_video)
                && sink.deliver(subscriber.id, frame, begins_group) == Delivery::Skipped
            {
                subscriber.audio_open = false;
                subscriber.video_open = false;
            }
        }
    }

    /// `true`: a player can begin with this frame.
    fn remember(&mut self, frame: &Frame, limits: &CacheLimits) -> bool {
        if is_coded_video(frame) {
            self.last_video_ms = Some(frame.timestamp_ms);
        }
        if frame.is_coded() {
            self.newest_ms = self.newest_ms.max(frame.timestamp_ms);
        }
        match frame.role {
            FrameRole::Header(_) | FrameRole::Metadata => {
                let changed = self.headers.keep(frame, limits);
                // Other headers tell how pictures look or where speakers stand: frames can be decoded with any of them.
                if changed && frame.role == FrameRole::Header(HeaderKind::Sequence) {
                    match frame.kind {
                        FrameKind::Video => self.gop.forget_video(),
                        FrameKind::Audio => self.gop.forget_audio(),
                        FrameKind::Data => {}
                    }
                }
                false
            }
            FrameRole::Key | FrameRole::Delta | FrameRole::Disposable => self.gop.push(frame, limits),
            FrameRole::Passing => false,
        }
    }

    /// Whether there are pictures that are worth waiting for.
    fn has_live_video(&self, frame: &Frame, limits: &CacheLimits) -> bool {
        self.last_video_ms.is_some_and(|last| frame.timestamp_ms <= last + limits.video_absent_ms)
    }
}

impl Subscriber {
    /// Whether `frame` goes to this subscriber; a frame to begin with opens it.
    fn takes(&mut self, frame: &Frame, begins_group: bool, has_video: bool) -> bool {
        match (frame.role, frame.kind) {
            (FrameRole::Header(_) | FrameRole::Metadata, _) => true,
            _ if self.paused_at_ms.is_some() => false,
            (_, FrameKind::Video) => {
                if begins_group {
                    self.audio_open = true;
                    self.video_open = true;
                }
                self.video_open && self.wants_video
            }
            (_, FrameKind::Audio) => {
                self.audio_open |= !has_video;
                self.audio_open && self.wants_audio
            }
            (_, FrameKind::Data) => self.audio_open || self.video_open || !has_video,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::test_frames::{audio, delta, header, key};

    struct Nobody;

    impl Sink for Nobody {
        fn deliver(&mut self, _: SubscriberId, _: &Frame, _: bool) -> Delivery {
            Delivery::Queued
        }
        fn ended(&mut self, _: SubscriberId) {}
        fn began(&mut self, _: SubscriberId) {}
    }

    fn stream(frames: &[Frame], limits: &CacheLimits) -> Stream {
        let mut stream = Stream::default();
        for frame in frames {
            stream.frame(frame, limits, &mut Nobody);
        }
        stream
    }

    /// Coded video frames that one who joins is sent.
    fn pictures(stream: &Stream, limits: &CacheLimits) -> usize {
        stream.burst(JoinMode::Edge, limits).frames.iter().filter(|frame| is_coded_video(frame)).count()
    }

    #[test]
    fn pictures_alone_are_probed_for_the_time_that_the_metadata_make_of_it() {
        let limits = CacheLimits { probe_frames: 41, one_track_probe_ms: 5_000, ..CacheLimits::default() };
        let group = [key(1_000), delta(1_040)];
        let of_group = group.len() + 1;
        for (rate, probed) in [(None, 41), (Some(5.0), 41), (Some(29.97), 150), (Some(f64::MAX), limits.gop_frames)] {
            let mut stream = stream(&group, &limits);
            stream.set_frame_rate(rate);
            assert_eq!(pictures(&stream, &limits), probed + of_group, "{rate:?}");
        }
        let mut with_sound = stream(&[key(1_000), audio(1_010), delta(1_040)], &limits);
        with_sound.set_frame_rate(Some(29.97));
        assert_eq!(pictures(&with_sound, &limits), 41 + of_group);
    }

    #[test]
    fn a_cache_of_fewer_frames_than_a_probe_eats_is_no_trouble() {
        let limits = CacheLimits { probe_frames: 41, gop_frames: 12, ..CacheLimits::default() };
        let mut stream = stream(&[key(1_000), delta(1_040)], &limits);
        stream.set_frame_rate(Some(25.0));
        assert_eq!(pictures(&stream, &limits), 41 + 3);
    }

    #[test]
    fn colours_and_speakers_that_change_leave_the_past_of_use() {
        let limits = CacheLimits::default();
        let group = [key(1_000), audio(1_010), delta(1_040)];
        for (kind, header_kind) in
            [(FrameKind::Video, HeaderKind::ColorInfo), (FrameKind::Audio, HeaderKind::Multichannel)]
        {
            let mut stream = stream(&group, &limits);
            for payload in [&b"first"[..], b"second"] {
                let other = Frame { role: FrameRole::Header(header_kind), ..header(kind, b"") };
                stream.frame(&Frame { payload: payload.into(), ..other }, &limits, &mut Nobody);
            }
            let burst = stream.burst(JoinMode::Gop, &limits);
            assert_eq!(&burst.frames[0].payload[..], b"second");
            assert_eq!(burst.frames[1..], group);
        }
    }

    #[test]
    fn sound_from_before_a_pause_is_not_heard_again() {
        let limits = CacheLimits::default();
        let mut stream = stream(&[audio(1_000)], &limits);
        stream.subscribe(SubscriberId(1));
        stream.set_paused(SubscriberId(1));
        for frame in [key(1_500), delta(1_540)] {
            stream.frame(&frame, &limits, &mut Nobody);
        }
        let has_sound = |burst: &Burst| burst.frames.iter().any(|frame| frame.kind == FrameKind::Audio);
        assert!(has_sound(&stream.burst(JoinMode::Edge, &limits)), "for one who joins");
        let burst = stream.resume(SubscriberId(1), JoinMode::Edge, &limits).expect("was paused");
        assert!(burst.has_picture && !has_sound(&burst));
    }
}
