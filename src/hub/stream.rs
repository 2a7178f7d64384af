//! One stream: its publisher, its subscribers, its memory.
//!
//! Owns: which subscriber gets which frame. Does not know names or other streams.

use std::time::{Duration, Instant};

use super::cache::{GopCache, Headers, is_coded_video};
use super::join::{self, Burst};
use super::timeline::Timeline;
use super::{Delivery, IncomingFrame, PublisherId, Sink, SubscriberId};
use crate::config::{CacheLimits, JoinMode};
use crate::media::{Frame, FrameKind, FrameRole};

/// The publisher of a stream, while there is one.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) id: PublisherId,
    /// What it proved to be; a takeover needs the same.
    pub(super) identity: String,
    /// When its last frame came, or when it began.
    pub(super) heard_at: Instant,
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
    pub(super) publisher: Option<Publisher>,
    /// While a lost publisher may still come back.
    pub(super) grace_until: Option<Instant>,
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
    /// Counts frames, so that an owner can tell whether a burst is still fresh.
    frames: u64,
}

impl Stream {
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
        self.frames += 1;
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
    pub(super) fn lose(&mut self, now: Instant, grace: Duration) -> Instant {
        self.publisher = None;
        let until = now + grace;
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

    pub(super) fn frames(&self) -> u64 {
        self.frames
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
        join::burst(mode, self.probe_frames(limits), &self.headers, &self.gop, limits)
    }

    /// How many pictures a player may look at before it plays. ffmpeg knows that it has seen every track once there are
    /// two; with one it looks on for some seconds, which it counts in pictures where the metadata say their rate.
    fn probe_frames(&self, limits: &CacheLimits) -> usize {
        match self.frame_rate {
            Some(rate) if self.gop.last_audio().is_none() => {
                let looked_at = (rate * limits.one_track_probe_ms as f64 / 1000.0).ceil();
                (looked_at as usize).clamp(limits.probe_frames, limits.gop_frames)
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
        let burst = self.burst(mode, limits);
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
        self.frames += 1;
    }

    /// Puts the timestamp of a publisher's frame on the stream's timeline.
    pub(super) fn place(&mut self, now: Instant, incoming: &IncomingFrame) -> u64 {
        let IncomingFrame { kind, timestamp, .. } = *incoming;
        let is_played = matches!(incoming.role, FrameRole::Key | FrameRole::Delta | FrameRole::Disposable);
        if is_played || kind == FrameKind::Data {
            self.timeline.place(now, kind, timestamp)
        } else {
            self.timeline.place_uncoded(now, kind, timestamp)
        }
    }

    /// Bytes of all that is kept for those who join.
    #[cfg(test)]
    pub(super) fn cached_bytes(&self) -> usize {
        self.headers.bytes() + self.gop.bytes()
    }

    /// Remembers `frame` and hands it to everyone who is to have it.
    pub(super) fn frame<S: Sink>(&mut self, frame: &Frame, limits: &CacheLimits, sink: &mut S) {
        self.frames += 1;
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
                match frame.kind {
                    FrameKind::Video if changed => self.gop.forget_video(),
                    FrameKind::Audio if changed => self.gop.forget_audio(),
                    _ => {}
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
