//! The built-in test stream: a publisher that is no connection.
//!
//! Owns: the clip, which of its frames is due when, and that a real publisher of the same name has precedence. Does not
//! know what is in the picture (`scripts/make-test-clip.sh` does).

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::{info, warn};

use super::{Engine, declared, hub_name, incoming};
use crate::container::flv::file::{FlvDemuxer, FlvTag, tag_type};
use crate::container::flv::tag;
use crate::hub::{Departure, IncomingFrame, PublisherId, StreamId};
use crate::media::{FrameKind, FrameRole, TrackSet};
use crate::rtmp::path::StreamPath;

/// The clip: FLV, read once.
const CLIP: &[u8] = include_bytes!("../../assets/test-clip.flv");

/// After so long its end goes over into its beginning.
const CLIP_MS: u32 = 8_000;

/// Where it is published.
const PATH: &str = "/live/test";

/// The number by which the hub knows it: a bit that no connection and no output has.
const PUBLISHER: PublisherId = PublisherId(1 << 62);

/// How often it looks whether its name is free.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Frames that are later than this are left out: the machine slept.
const LATEST: Duration = Duration::from_secs(1);

/// The clip and where it stands.
#[derive(Debug)]
pub(super) struct TestStream {
    path: StreamPath,
    /// Metadata and sequence headers.
    heads: Vec<IncomingFrame>,
    /// Coded frames of one round, by time.
    frames: Vec<IncomingFrame>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Somebody else has the name, or had it and may come back until `free_from`; it is looked at `until`.
    Waiting {
        until: Instant,
        free_from: Instant,
    },
    Playing(Playing),
    /// The server ends.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Playing {
    stream: StreamId,
    /// When the present round began.
    began: Instant,
    /// Its time in the stream.
    base_ms: u32,
    /// Index of the frame that comes next.
    next: usize,
    due: Instant,
}

impl TestStream {
    /// Begins at `now`. `None`: the clip cannot be read, which a test rules out.
    pub(super) fn new(now: Instant) -> Option<Self> {
        let path = StreamPath::resolve(None, "", PATH).ok()?;
        let mut demuxer = FlvDemuxer::new(CLIP.len());
        let mut rest = CLIP;
        let (mut heads, mut frames) = (Vec::new(), Vec::new());
        while let Some(tag) = demuxer.demux(&mut rest).ok()? {
            let Some(frame) = frame_of(tag) else { continue };
            match frame.role {
                FrameRole::Header(_) | FrameRole::Metadata => heads.push(frame),
                FrameRole::Passing => {}
                _ if frame.timestamp < CLIP_MS => frames.push(frame),
                _ => {}
            }
        }
        frames.sort_by_key(|frame| frame.timestamp);
        (!frames.is_empty()).then_some(TestStream {
            path,
            heads,
            frames,
            state: State::Waiting { until: now, free_from: now },
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until, .. } => Some(until),
            State::Playing(playing) => Some(playing.due),
            State::Over => None,
        }
    }

    /// The next frame that is due, and where it goes.
    fn next_due(&mut self, now: Instant) -> Option<(StreamId, IncomingFrame)> {
        let State::Playing(playing) = &mut self.state else { return None };
        if playing.due > now {
            return None;
        }
        let late = now.saturating_duration_since(playing.due);
        if late > LATEST {
            playing.began += late;
        }
        let mut frame = self.frames.get(playing.next)?.clone();
        frame.timestamp = frame.timestamp.wrapping_add(playing.base_ms);
        playing.next += 1;
        if playing.next >= self.frames.len() {
            playing.next = 0;
            playing.base_ms = playing.base_ms.wrapping_add(CLIP_MS);
            playing.began += Duration::from_millis(CLIP_MS.into());
        }
        let at_ms = self.frames.get(playing.next).map_or(0, |frame| frame.timestamp);
        playing.due = playing.began + Duration::from_millis(at_ms.into());
        Some((playing.stream, frame))
    }
}

/// A tag of the clip as a publisher would give it.
fn frame_of(tag: FlvTag) -> Option<IncomingFrame> {
    let FlvTag { tag_type, timestamp, body } = tag;
    match tag_type {
        tag_type::AUDIO => Some(incoming(FrameKind::Audio, &tag::audio_info(&body), timestamp, body)),
        tag_type::VIDEO => Some(incoming(FrameKind::Video, &tag::video_info(&body), timestamp, body)),
        tag_type::SCRIPT => Some(IncomingFrame {
            kind: FrameKind::Data,
            role: FrameRole::Metadata,
            tracks: TrackSet::DEFAULT,
            timestamp,
            composition_ms: 0,
            payload: body,
        }),
        _ => None,
    }
}

impl Engine {
    /// Has the test stream go on, where there is one.
    pub(super) fn play_test_stream(&mut self, now: Instant) {
        let Some(test) = &self.test_stream else { return };
        if let State::Waiting { until, free_from } = test.state
            && until <= now
        {
            self.begin_test_stream(now, free_from);
        }
        while let Some((stream, frame)) = self.test_stream.as_mut().and_then(|test| test.next_due(now)) {
            self.hand_out(now, stream, PUBLISHER, frame);
        }
    }

    /// Publishes, unless somebody else does.
    fn begin_test_stream(&mut self, now: Instant, free_from: Instant) {
        let Some(path) = self.test_stream.as_ref().map(|test| test.path.clone()) else { return };
        let name = hub_name(&path);
        let app = Arc::clone(self.apps.of(&path.app));
        let grace = Duration::from_millis(app.grace_ms);
        if self.hub.is_published(&name) {
            // Once that publisher is gone it has the time to come back.
            let until = now + LOOK_AGAIN;
            self.set_test_stream(State::Waiting { until, free_from: until + grace });
            return;
        }
        if now < free_from {
            self.set_test_stream(State::Waiting { until: free_from, free_from });
            return;
        }
        let (hub, mut sink) = self.hub_and_sink(now);
        let grant = match hub.publish(now, &name, PUBLISHER, "", &app, &mut sink) {
            Ok(grant) => grant,
            Err(error) => {
                warn!("the test stream may not publish {name}: {error}");
                self.set_test_stream(State::Waiting { until: now + LOOK_AGAIN, free_from: now });
                return;
            }
        };
        info!("the built-in test stream is {name}");
        self.stats.publisher_began(now, grant.stream, &name);
        self.set_test_stream(State::Playing(Playing {
            stream: grant.stream,
            began: now,
            base_ms: 0,
            next: 0,
            due: now,
        }));
        let heads = self.test_stream.as_ref().map(|test| test.heads.clone()).unwrap_or_default();
        for frame in heads {
            if frame.role == FrameRole::Metadata {
                let declared = declared(&frame.payload);
                self.hub.set_frame_rate(grant.stream, PUBLISHER, declared.frame_rate);
                self.stats.set_declared(grant.stream, declared);
            }
            self.hand_out(now, grant.stream, PUBLISHER, frame);
        }
        self.begin_outputs(now, &path);
        self.begin_waiting(now, &name);
    }

    /// Somebody is about to publish `name`: the test stream gives way, and comes back when that publisher is gone for
    /// good. Its players stay, as those of a publisher that was lost do.
    pub(super) fn test_stream_gives_way(&mut self, now: Instant, name: &str) {
        let is_meant = self.test_stream.as_ref().is_some_and(|test| hub_name(&test.path) == name);
        if is_meant {
            let grace = Duration::from_millis(self.apps.of_stream(name).grace_ms);
            let until = now + LOOK_AGAIN;
            self.end_test_stream(now, Departure::Lost, State::Waiting { until, free_from: until + grace });
        }
    }

    /// The server ends.
    pub(super) fn shut_down_test_stream(&mut self, now: Instant) {
        self.end_test_stream(now, Departure::Clean, State::Over);
    }

    fn end_test_stream(&mut self, now: Instant, departure: Departure, next: State) {
        let Some(test) = &mut self.test_stream else { return };
        let name = hub_name(&test.path);
        let State::Playing(playing) = std::mem::replace(&mut test.state, next) else { return };
        self.latest_burst.forget(playing.stream);
        let (hub, mut sink) = self.hub_and_sink(now);
        hub.unpublish(now, playing.stream, PUBLISHER, departure, &mut sink);
        self.outputs.publisher_ended(now, &name);
        self.drain_outputs(now);
        self.forget_if_gone(playing.stream);
    }

    /// Whether the test stream publishes `name` now.
    pub(super) fn is_test_stream(&self, name: &str) -> bool {
        let is_playing = |test: &&TestStream| matches!(test.state, State::Playing(_)) && hub_name(&test.path) == name;
        self.test_stream.as_ref().is_some_and(|test| is_playing(&test))
    }

    fn set_test_stream(&mut self, state: State) {
        if let Some(test) = &mut self.test_stream {
            test.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playing(now: Instant, test: &mut TestStream, stream: StreamId) {
        test.state = State::Playing(Playing { stream, began: now, base_ms: 0, next: 0, due: now });
    }

    fn stream_id(now: Instant) -> StreamId {
        let mut engine = Engine::new(now, crate::config::EngineConfig::default(), 1);
        engine.hub.subscribe("live/test", crate::hub::SubscriberId(7), &Arc::default()).unwrap()
    }

    #[test]
    fn the_clip_has_headers_and_begins_with_a_key_frame() {
        let test = TestStream::new(Instant::now()).unwrap();
        let roles: Vec<FrameRole> = test.heads.iter().map(|frame| frame.role).collect();
        assert_eq!(roles.len(), 3, "metadata, AVC and AAC headers: {roles:?}");
        let pictures: Vec<&IncomingFrame> = test.frames.iter().filter(|frame| frame.kind == FrameKind::Video).collect();
        assert_eq!(pictures.len(), 240);
        assert_eq!(test.frames.len() - pictures.len(), 375);
        assert_eq!(pictures.iter().filter(|frame| frame.role == FrameRole::Key).count(), 4);
        assert_eq!((pictures[0].timestamp, pictures[0].role), (0, FrameRole::Key));
        assert!(CLIP.len() < 300 * 1024);
    }

    #[test]
    fn timestamps_continue_over_the_rounds() {
        let now = Instant::now();
        let mut test = TestStream::new(now).unwrap();
        playing(now, &mut test, stream_id(now));
        let mut last_ms = 0;
        let mut count = 0;
        for step in 0..=2_000 {
            let at = now + Duration::from_millis(step * 10);
            while let Some((_, frame)) = test.next_due(at) {
                assert!(frame.timestamp >= last_ms, "{} after {last_ms}", frame.timestamp);
                assert!(u64::from(frame.timestamp) <= step * 10, "nothing comes early");
                last_ms = frame.timestamp;
                count += 1;
            }
        }
        assert!((19_950..=20_000).contains(&last_ms), "{last_ms}");
        assert_eq!(count, 2 * 615 + test.frames.iter().filter(|frame| frame.timestamp <= 4_000).count());
    }

    #[test]
    fn a_machine_that_slept_does_not_send_what_it_missed() {
        let now = Instant::now();
        let mut test = TestStream::new(now).unwrap();
        playing(now, &mut test, stream_id(now));
        assert!(test.next_due(now).is_some());
        let woken = now + Duration::from_secs(3_600);
        let mut count = 0;
        while test.next_due(woken).is_some() {
            count += 1;
        }
        assert!(count < 4, "{count} frames at once");
        assert!(test.poll_timeout().unwrap() > woken);
    }

    #[test]
    fn a_server_without_test_stream_has_none() {
        let now = Instant::now();
        let mut engine = Engine::new(now, crate::config::EngineConfig::default(), 1);
        assert_eq!(engine.poll_timeout(), None);
        engine.handle_timeout(now);
        assert_eq!(engine.hub().stream_count(), 0);
    }
}
