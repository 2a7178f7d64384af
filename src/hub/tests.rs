//! Behaviour of the hub.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::test_frames::{audio, delta, header, key, metadata};
use super::*;
use crate::config::{CacheLimits, Takeover};
use crate::media::HeaderKind;

const NAME: &str = "live/a";

/// Writes down what each subscriber is handed, one short word for each.
#[derive(Default)]
struct Recorder {
    seen: HashMap<SubscriberId, Vec<String>>,
    /// Subscribers that are too far behind.
    slow: HashSet<SubscriberId>,
}

impl Recorder {
    fn note(&mut self, subscriber: SubscriberId, word: String) {
        self.seen.entry(subscriber).or_default().push(word);
    }
}

impl Sink for Recorder {
    fn deliver(&mut self, to: SubscriberId, frame: &Frame, _begins_group: bool) -> Delivery {
        if self.slow.contains(&to) && frame.is_coded() {
            return Delivery::Skipped;
        }
        self.note(to, word(frame));
        Delivery::Queued
    }

    fn ended(&mut self, subscriber: SubscriberId) {
        self.note(subscriber, "ended".to_owned());
    }

    fn began(&mut self, subscriber: SubscriberId) {
        self.note(subscriber, "began".to_owned());
    }
}

/// Payload and, for coded frames, the timestamp: `K1000`.
fn word(frame: &Frame) -> String {
    let payload = String::from_utf8_lossy(&frame.payload);
    if frame.is_coded() { format!("{payload}{}", frame.timestamp_ms) } else { payload.into_owned() }
}

/// A hub with its owner's part played by the test. Publishers send with their own clocks; `K40` of a publisher that
/// begins at 0 is `K1040` to players.
struct Rig {
    hub: Hub,
    app: AppConfig,
    now: Instant,
    sink: Recorder,
}

impl Rig {
    fn new() -> Self {
        Self::with_limits(100, AppConfig::default())
    }

    fn with_cache(cache: CacheLimits) -> Self {
        Self::with_limits(100, AppConfig { cache, ..AppConfig::default() })
    }

    fn with_limits(streams: usize, app: AppConfig) -> Self {
        Rig { hub: Hub::new(streams), app, now: Instant::now(), sink: Recorder::default() }
    }

    fn app(&self) -> Arc<AppConfig> {
        Arc::new(self.app.clone())
    }

    fn wait(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
        self.hub.handle_timeout(self.now, &mut self.sink);
    }

    fn try_publish(&mut self, id: u64, identity: &str, rule: Takeover) -> Result<Grant, PublishError> {
        let app = Arc::new(AppConfig { takeover: rule, ..self.app.clone() });
        self.hub.publish(self.now, NAME, PublisherId(id), identity, &app, &mut self.sink)
    }

    fn publish(&mut self, id: u64) -> Grant {
        self.try_publish(id, "", Takeover::WhenSilent).expect("granted")
    }

    fn unpublish(&mut self, grant: Grant, id: u64, departure: Departure) {
        self.hub.unpublish(self.now, grant.stream, PublisherId(id), departure, &mut self.sink);
    }

    /// Sends frames whose `timestamp_ms` is the publisher's clock, without time going by.
    fn send(&mut self, grant: Grant, id: u64, frames: &[Frame]) {
        for frame in frames {
            let incoming = IncomingFrame {
                kind: frame.kind,
                role: frame.role,
                tracks: frame.tracks,
                timestamp: frame.timestamp_ms as u32,
                composition_ms: frame.composition_ms,
                payload: frame.payload.clone(),
            };
            self.hub.frame(self.now, grant.stream, PublisherId(id), incoming, &mut self.sink);
        }
    }

    /// Subscribes and is sent the burst, as the engine does it; the burst is seen like other frames.
    fn join(&mut self, id: u64, mode: JoinMode) -> StreamId {
        let id = SubscriberId(id);
        let stream = self.hub.subscribe(NAME, id, &self.app()).expect("room");
        let burst = self.hub.burst(stream, mode);
        self.take_burst(stream, id, &burst);
        stream
    }

    fn take_burst(&mut self, stream: StreamId, id: SubscriberId, burst: &Burst) {
        for frame in &burst.frames {
            self.sink.note(id, word(frame));
        }
        if burst.has_picture {
            self.hub.open(stream, id);
        }
    }

    fn resume(&mut self, stream: StreamId, id: u64, mode: JoinMode) {
        if let Some(burst) = self.hub.resume(stream, SubscriberId(id), mode) {
            self.take_burst(stream, SubscriberId(id), &burst);
        }
    }

    /// What a subscriber saw since the last call.
    fn seen(&mut self, id: u64) -> String {
        self.sink.seen.remove(&SubscriberId(id)).unwrap_or_default().join(" ")
    }
}

fn video_header() -> Frame {
    header(FrameKind::Video, b"vh")
}

fn audio_header() -> Frame {
    header(FrameKind::Audio, b"ah")
}

fn on_track(frame: Frame, track: u8) -> Frame {
    let mut tracks = TrackSet::EMPTY;
    tracks.insert(track);
    Frame { tracks, ..frame }
}

fn zero_length(kind: FrameKind, timestamp_ms: u64) -> Frame {
    Frame { kind, role: FrameRole::Passing, payload: Bytes::new(), ..key(timestamp_ms) }
}

#[test]
fn a_player_that_comes_first_gets_headers_and_then_a_key_frame() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    assert_eq!(rig.seen(1), "");
    let grant = rig.publish(10);
    assert!(!grant.resumed && grant.evicted.is_none());
    rig.send(grant, 10, &[metadata(b"m"), video_header(), audio_header()]);
    rig.send(grant, 10, &[delta(0), audio(10), key(40), audio(50), delta(80)]);
    assert_eq!(rig.seen(1), "m vh ah K1040 A1050 P1080");
}

#[test]
fn each_way_to_join_gets_its_own_beginning() {
    let cache = CacheLimits { probe_frames: 2, ..CacheLimits::default() };
    let mut rig = Rig::with_cache(cache);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), audio(10), delta(40), audio(50), delta(80)]);
    rig.join(1, JoinMode::Edge);
    rig.join(2, JoinMode::Gop);
    rig.join(3, JoinMode::Key);
    assert_eq!(rig.seen(1), "vh A1050 K1075 P1076 K1077 K1078 P1079 P1080");
    assert_eq!(rig.seen(2), "vh K1000 A1010 P1040 A1050 P1080");
    assert_eq!(rig.seen(3), "vh");
    rig.send(grant, 10, &[delta(120), audio(130)]);
    assert_eq!(rig.seen(1), "P1120 A1130");
    assert_eq!(rig.seen(2), "P1120 A1130");
    assert_eq!(rig.seen(3), "");
    rig.send(grant, 10, &[key(160), audio(170)]);
    for id in [1, 2, 3] {
        assert_eq!(rig.seen(id), "K1160 A1170", "player {id}");
    }
}

#[test]
fn sound_alone_plays_at_once() {
    for mode in [JoinMode::Edge, JoinMode::Gop, JoinMode::Key] {
        let mut rig = Rig::new();
        rig.join(1, mode);
        let grant = rig.publish(10);
        rig.send(grant, 10, &[audio_header(), audio(0), audio(20)]);
        assert_eq!(rig.seen(1), "ah A1000 A1020");
        rig.join(2, mode);
        rig.send(grant, 10, &[audio(40)]);
        assert_eq!(rig.seen(2), "ah A1040");
    }
}

#[test]
fn pictures_alone_play() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), delta(40)]);
    rig.join(2, JoinMode::Gop);
    rig.send(grant, 10, &[delta(80)]);
    assert_eq!(rig.seen(1), "vh K1000 P1040 P1080");
    assert_eq!(rig.seen(2), "vh K1000 P1040 P1080");
}

#[test]
fn sound_that_comes_first_does_not_wait_for_pictures() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[audio_header(), audio(0), audio(20), video_header()]);
    rig.send(grant, 10, &[key(30), audio(40), delta(70)]);
    assert_eq!(rig.seen(1), "ah A1000 A1020 vh K1030 A1040 P1070");
    // Who comes now waits for sound and pictures together.
    rig.join(2, JoinMode::Key);
    rig.send(grant, 10, &[audio(80), delta(110), key(150), audio(160)]);
    assert_eq!(rig.seen(2), "ah vh K1150 A1160");
}

#[test]
fn sound_plays_on_where_pictures_have_stopped() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0), audio(0)]);
    rig.join(1, JoinMode::Key);
    for step in 1..=200 {
        rig.wait(20);
        rig.send(grant, 10, &[audio(step * 20)]);
    }
    let seen = rig.seen(1);
    assert!(seen.starts_with("vh ah A4020 A4040"), "{seen}");
}

#[test]
fn changed_headers_reach_players_in_order_and_make_the_past_useless() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0), audio(10)]);
    rig.join(1, JoinMode::Gop);
    rig.seen(1);
    rig.send(grant, 10, &[delta(40), header(FrameKind::Video, b"vh2")]);
    rig.join(2, JoinMode::Gop);
    rig.send(grant, 10, &[key(80), audio(90)]);
    assert_eq!(rig.seen(1), "P1040 vh2 K1080 A1090");
    assert_eq!(rig.seen(2), "ah vh2 K1080 A1090");
}

#[test]
fn a_repeated_header_keeps_the_group_of_pictures() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), delta(40), video_header(), delta(80)]);
    rig.join(1, JoinMode::Gop);
    assert_eq!(rig.seen(1), "vh K1000 P1040 P1080");
}

#[test]
fn sound_of_an_older_audio_header_is_not_sent_to_one_who_joins() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0), audio(10), delta(40)]);
    rig.send(grant, 10, &[header(FrameKind::Audio, b"ah2"), delta(80)]);
    rig.join(1, JoinMode::Gop);
    assert_eq!(rig.seen(1), "vh ah2 K1000 P1040 P1080");
    rig.join(2, JoinMode::Edge);
    assert!(!rig.seen(2).contains('A'));
    rig.send(grant, 10, &[audio(90), delta(120)]);
    rig.join(3, JoinMode::Gop);
    assert_eq!(rig.seen(3), "vh ah2 K1000 P1040 P1080 A1090 P1120");
}

#[test]
fn sound_that_stopped_long_ago_does_not_hold_an_instant_join_back() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0), audio(10)]);
    rig.wait(60_000);
    rig.send(grant, 10, &[key(60_000)]);
    rig.join(1, JoinMode::Edge);
    let seen = rig.seen(1);
    assert!(!seen.contains('A'), "{seen}");
    rig.send(grant, 10, &[audio(60_010)]);
    rig.join(2, JoinMode::Edge);
    assert!(rig.seen(2).contains('A'));
}

#[test]
fn a_lost_publisher_comes_back_at_a_key_frame_on_the_same_timeline() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), audio(5), delta(40)]);
    rig.unpublish(grant, 10, Departure::Lost);
    assert_eq!(rig.seen(1), "vh K1000 A1005 P1040");
    assert!(!rig.hub.is_published(NAME));

    rig.wait(9_999);
    assert_eq!(rig.seen(1), "", "nothing is said within the grace window");
    let grant = rig.publish(11);
    assert!(grant.resumed && grant.evicted.is_none());
    rig.send(grant, 11, &[video_header(), delta(500_000), key(500_040), audio(500_045)]);
    // The delta frame, which nobody sees, stands 9999 ms after the last frame.
    assert_eq!(rig.seen(1), "vh K1120 A1125");
    rig.wait(20_000);
    assert_eq!(rig.seen(1), "");
}

#[test]
fn one_who_joins_within_the_grace_window_sees_the_last_pictures_and_goes_on_at_a_key_frame() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), delta(40)]);
    rig.unpublish(grant, 10, Departure::Lost);
    rig.join(1, JoinMode::Gop);
    assert_eq!(rig.seen(1), "vh K1000 P1040");
    rig.wait(100);
    let grant = rig.publish(11);
    rig.send(grant, 11, &[video_header(), delta(0), key(40)]);
    assert_eq!(rig.seen(1), "vh K1120");
}

#[test]
fn a_clean_end_is_told_once_and_so_is_the_next_beginning() {
    let mut rig = Rig::new();
    let stream = rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0)]);
    rig.seen(1);
    rig.unpublish(grant, 10, Departure::Clean);
    assert_eq!(rig.seen(1), "ended");
    rig.unpublish(grant, 10, Departure::Clean);
    rig.wait(60_000);
    assert_eq!(rig.seen(1), "");
    assert_eq!(rig.hub.burst(stream, JoinMode::Gop), Burst::default(), "nothing of it is left");

    rig.join(2, JoinMode::Edge);
    let grant = rig.publish(11);
    assert!(!grant.resumed);
    assert_eq!(rig.seen(1), "began");
    assert_eq!(rig.seen(2), "", "did not see the end");
    rig.send(grant, 11, &[video_header(), key(0)]);
    assert_eq!(rig.seen(1), "vh K1020", "time never goes back");
    rig.unpublish(grant, 11, Departure::Clean);
    assert_eq!(rig.seen(1), "ended");
}

#[test]
fn a_publisher_that_does_not_come_back_has_ended() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.unpublish(grant, 10, Departure::Lost);
    assert_eq!(rig.hub.poll_timeout(), Some(rig.now + Duration::from_millis(10_000)));
    rig.wait(9_999);
    assert_eq!(rig.seen(1), "");
    rig.wait(1);
    assert_eq!(rig.seen(1), "ended");
    assert_eq!(rig.hub.poll_timeout(), None);
    let grant = rig.publish(11);
    assert!(!grant.resumed);
    assert_eq!(rig.seen(1), "began");
}

#[test]
fn a_second_loss_has_a_grace_window_of_its_own() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.unpublish(grant, 10, Departure::Lost);
    rig.wait(6_000);
    let grant = rig.publish(11);
    rig.wait(1_000);
    rig.unpublish(grant, 11, Departure::Lost);
    rig.wait(9_999);
    assert_eq!(rig.seen(1), "");
    rig.wait(1);
    assert_eq!(rig.seen(1), "ended");
}

#[test]
fn only_a_silent_publisher_of_the_same_identity_gives_way() {
    let taken = Err(PublishError::AlreadyPublishing);
    let rule = Takeover::WhenSilent;
    let mut rig = Rig::new();
    let grant = rig.try_publish(10, "key", rule).expect("free");
    rig.wait(1_500);
    rig.send(grant, 10, &[key(0)]);
    rig.wait(1_999);
    assert_eq!(rig.try_publish(11, "key", rule), taken, "was heard less than 2 s ago");
    rig.wait(1);
    assert_eq!(rig.try_publish(11, "other", rule), taken, "somebody else");
    assert_eq!(rig.try_publish(11, "key", Takeover::Reject), taken);
    let second = rig.try_publish(11, "key", rule).expect("silent");
    assert_eq!(second.evicted, Some(PublisherId(10)));
    assert!(second.resumed);
    assert_eq!(second.stream, grant.stream);
    assert_eq!(rig.try_publish(12, "key", rule), taken, "the new one has only just begun");
}

#[test]
fn an_evicted_publisher_can_do_no_harm() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), metadata(b"m"), key(0)]);
    rig.wait(3_000);
    let second = rig.publish(11);
    rig.send(second, 11, &[metadata(b"m2")]);
    rig.seen(1);
    rig.send(grant, 10, &[key(3_000), delta(3_040), audio(3_050)]);
    rig.hub.clear_metadata(grant.stream, PublisherId(10));
    rig.unpublish(grant, 10, Departure::Clean);
    rig.unpublish(grant, 10, Departure::Lost);
    assert_eq!(rig.seen(1), "");
    assert!(rig.hub.is_published(NAME));
    assert_eq!(rig.hub.poll_timeout(), None);
    rig.join(2, JoinMode::Key);
    assert_eq!(rig.seen(2), "m2");
    rig.send(second, 11, &[video_header(), key(0)]);
    assert_eq!(rig.seen(1), "vh K1020");
}

#[test]
fn a_slow_player_waits_for_the_next_key_frame() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0)]);
    rig.join(1, JoinMode::Gop);
    rig.join(2, JoinMode::Gop);
    rig.seen(1);
    rig.seen(2);
    rig.send(grant, 10, &[delta(40)]);
    rig.sink.slow.insert(SubscriberId(1));
    rig.send(grant, 10, &[delta(80), audio(90)]);
    rig.sink.slow.clear();
    rig.send(grant, 10, &[delta(120), audio(130), metadata(b"m"), delta(160)]);
    assert_eq!(rig.seen(1), "P1040 m", "headers are never withheld");
    assert_eq!(rig.seen(2), "P1040 P1080 A1090 P1120 A1130 m P1160", "nobody else notices");
    // A key frame that does not fit is skipped with its whole group.
    rig.sink.slow.insert(SubscriberId(1));
    rig.send(grant, 10, &[key(200)]);
    rig.sink.slow.clear();
    rig.send(grant, 10, &[delta(240), key(280), audio(290), delta(320)]);
    assert_eq!(rig.seen(1), "K1280 A1290 P1320");
}

#[test]
fn a_slow_player_of_sound_alone_goes_on_with_the_next_frame() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[audio_header(), audio(0)]);
    rig.sink.slow.insert(SubscriberId(1));
    rig.send(grant, 10, &[audio(20), audio(40)]);
    rig.sink.slow.clear();
    rig.send(grant, 10, &[audio(60)]);
    assert_eq!(rig.seen(1), "ah A1000 A1060");
}

#[test]
fn a_paused_player_gets_headers_only_and_goes_on_without_going_back() {
    let cache = CacheLimits { probe_frames: 2, ..CacheLimits::default() };
    let mut rig = Rig::with_cache(cache);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), delta(40)]);
    let stream = rig.join(1, JoinMode::Edge);
    rig.join(2, JoinMode::Gop);
    for id in [1, 2] {
        rig.seen(id);
        rig.hub.set_paused(stream, SubscriberId(id));
    }
    let more = [delta(80), audio(90), metadata(b"m"), delta(120), delta(160)];
    rig.send(grant, 10, &more);
    for (id, mode) in [(1, JoinMode::Edge), (2, JoinMode::Gop)] {
        assert_eq!(rig.seen(id), "m", "player {id}");
        rig.resume(stream, id, mode);
    }
    assert_eq!(rig.seen(1), "m vh A1090 K1153 P1154 K1155 K1156 P1157 P1158 P1159 P1160");
    assert_eq!(rig.seen(2), "m vh", "a group that was seen in part is not sent again");
    rig.send(grant, 10, &[delta(200), key(240)]);
    assert_eq!(rig.seen(1), "P1200 K1240");
    assert_eq!(rig.seen(2), "K1240");
}

#[test]
fn a_pause_so_short_that_an_instant_join_would_go_back_waits_for_a_key_frame() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0), delta(40)]);
    let stream = rig.join(1, JoinMode::Edge);
    rig.hub.set_paused(stream, SubscriberId(1));
    rig.send(grant, 10, &[delta(50)]);
    rig.seen(1);
    rig.resume(stream, 1, JoinMode::Edge);
    rig.send(grant, 10, &[delta(80), key(120)]);
    assert_eq!(rig.seen(1), "vh K1120");
}

#[test]
fn going_on_without_a_pause_changes_nothing() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), key(0)]);
    let stream = rig.join(1, JoinMode::Gop);
    rig.seen(1);
    rig.resume(stream, 1, JoinMode::Gop);
    rig.send(grant, 10, &[delta(40)]);
    assert_eq!(rig.seen(1), "P1040");
    rig.hub.set_paused(stream, SubscriberId(1));
    rig.send(grant, 10, &[delta(80), delta(120)]);
    rig.hub.set_paused(stream, SubscriberId(1));
    rig.send(grant, 10, &[key(160), delta(200)]);
    rig.resume(stream, 1, JoinMode::Gop);
    assert_eq!(rig.seen(1), "vh K1160 P1200", "all of it is new");
}

#[test]
fn a_player_may_leave_out_sound_or_pictures() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), audio_header(), key(0), audio(5)]);
    let stream = rig.join(1, JoinMode::Gop);
    rig.seen(1);
    let one = SubscriberId(1);
    rig.hub.set_wanted(stream, one, FrameKind::Audio, false);
    rig.send(grant, 10, &[delta(40), audio(45)]);
    rig.hub.set_wanted(stream, one, FrameKind::Audio, true);
    rig.send(grant, 10, &[delta(80), audio(85)]);
    assert_eq!(rig.seen(1), "P1040 P1080 A1085");

    rig.hub.set_wanted(stream, one, FrameKind::Video, false);
    rig.send(grant, 10, &[delta(120), audio(125), key(160), audio(165)]);
    assert_eq!(rig.seen(1), "A1125 A1165");
    rig.hub.set_wanted(stream, one, FrameKind::Video, true);
    rig.hub.set_wanted(stream, one, FrameKind::Video, true);
    rig.send(grant, 10, &[delta(200), audio(205), key(240), delta(280)]);
    assert_eq!(rig.seen(1), "A1205 K1240 P1280", "pictures begin with a key frame, sound goes on");
}

#[test]
fn no_more_streams_than_the_limit() {
    let mut rig = Rig::with_limits(2, AppConfig::default());
    let app = rig.app();
    let one = rig.hub.subscribe("live/one", SubscriberId(1), &app).expect("room");
    let grant = rig.publish(10);
    assert_eq!(rig.hub.subscribe("live/two", SubscriberId(2), &app), None);
    let refused = rig.hub.publish(rig.now, "live/two", PublisherId(11), "", &app, &mut rig.sink);
    assert_eq!(refused, Err(PublishError::TooManyStreams));
    assert!(rig.hub.subscribe(NAME, SubscriberId(2), &app).is_some(), "this one is there already");
    rig.hub.unsubscribe(one, SubscriberId(1));
    assert!(rig.hub.subscribe("live/two", SubscriberId(3), &app).is_some());
    rig.unpublish(grant, 10, Departure::Clean);
    assert_eq!(rig.hub.stream_count(), 2);
}

#[test]
fn a_stream_is_forgotten_when_all_have_left() {
    // Who leaves in which order: publisher cleanly, publisher lost, player.
    let orders: [&[&str]; 4] = [&["clean", "player"], &["player", "clean"], &["lost", "player"], &["player", "lost"]];
    for order in orders {
        let mut rig = Rig::new();
        let stream = rig.join(1, JoinMode::Edge);
        let grant = rig.publish(10);
        rig.send(grant, 10, &[video_header(), key(0)]);
        for leaver in order {
            match *leaver {
                "clean" => rig.unpublish(grant, 10, Departure::Clean),
                "lost" => rig.unpublish(grant, 10, Departure::Lost),
                _ => rig.hub.unsubscribe(stream, SubscriberId(1)),
            }
        }
        let expected = usize::from(order.contains(&"lost"));
        assert_eq!(rig.hub.stream_count(), expected, "{order:?}");
        rig.wait(10_000);
        assert_eq!(rig.hub.stream_count(), 0, "{order:?}");
        assert!(rig.hub.names.is_empty() && rig.hub.names_by_id.is_empty());
        assert!(rig.hub.graces.is_empty());
        rig.hub.unsubscribe(stream, SubscriberId(1));
        rig.unpublish(grant, 10, Departure::Clean);
        rig.send(grant, 10, &[key(40)]);
        assert_eq!(rig.hub.subscriber_count(stream), 0);
    }
}

#[test]
fn cleared_metadata_is_not_sent_to_one_who_joins() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[metadata(b"m"), video_header()]);
    rig.join(1, JoinMode::Edge);
    assert_eq!(rig.seen(1), "m vh");
    rig.hub.clear_metadata(grant.stream, PublisherId(10));
    rig.join(2, JoinMode::Edge);
    assert_eq!(rig.seen(2), "vh");
}

#[test]
fn frames_without_bytes_pass() {
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.send(grant, 10, &[zero_length(FrameKind::Audio, 0), zero_length(FrameKind::Video, 0)]);
    rig.send(grant, 10, &[video_header(), key(0)]);
    rig.join(1, JoinMode::Gop);
    rig.seen(1);
    rig.send(grant, 10, &[zero_length(FrameKind::Video, 40), zero_length(FrameKind::Audio, 40)]);
    rig.send(grant, 10, &[delta(80)]);
    assert_eq!(rig.seen(1), "  P1080", "two empty words");
}

#[test]
fn a_header_with_a_timestamp_of_its_own_does_not_move_the_clock() {
    let mut rig = Rig::new();
    rig.join(1, JoinMode::Edge);
    let grant = rig.publish(10);
    rig.send(grant, 10, &[video_header(), metadata(b"m")]);
    for group in 0..500 {
        // As some cameras do it: headers before each key frame, always at 0.
        rig.wait(40);
        rig.send(grant, 10, &[video_header(), key(20_000 + group * 40)]);
        rig.send(grant, 10, &[audio(20_000 + group * 40)]);
    }
    let seen = rig.seen(1);
    assert!(seen.ends_with("vh K20960 A20960"), "{}", &seen[seen.len() - 40..]);
    assert_eq!(rig.hub.anomalies(grant.stream), 0);
}

#[test]
fn a_key_frame_of_another_track_is_no_beginning() {
    struct Begins(Vec<(String, bool)>);
    impl Sink for Begins {
        fn deliver(&mut self, _: SubscriberId, frame: &Frame, begins_group: bool) -> Delivery {
            self.0.push((word(frame), begins_group));
            Delivery::Queued
        }
        fn ended(&mut self, _: SubscriberId) {}
        fn began(&mut self, _: SubscriberId) {}
    }
    let mut rig = Rig::new();
    let grant = rig.publish(10);
    rig.hub.subscribe(NAME, SubscriberId(1), &rig.app());
    let mut sink = Begins(Vec::new());
    for frame in [key(0), on_track(key(10), 1), delta(40)] {
        let incoming = IncomingFrame {
            kind: frame.kind,
            role: frame.role,
            tracks: frame.tracks,
            timestamp: frame.timestamp_ms as u32,
            composition_ms: 0,
            payload: frame.payload,
        };
        rig.hub.frame(rig.now, grant.stream, PublisherId(10), incoming, &mut sink);
    }
    let expected = [("K1000", true), ("K1010", false), ("P1040", false)];
    assert_eq!(sink.0, expected.map(|(word, begins)| (word.to_owned(), begins)));
}

#[test]
fn what_a_stream_remembers_is_bounded_in_bytes() {
    let cache = CacheLimits { gop_bytes: 1_000, header_bytes: 500, ..CacheLimits::default() };
    let mut rig = Rig::with_cache(cache);
    let grant = rig.publish(10);
    for step in 0..100_u8 {
        let big_header = Frame { payload: vec![0; 300].into(), ..video_header() };
        let big_key = Frame { payload: vec![0; 900].into(), ..key(u64::from(step) * 40) };
        rig.send(grant, 10, &[on_track(big_header, step), big_key]);
    }
    let burst = rig.hub.burst(grant.stream, JoinMode::Gop);
    let is_header = |frame: &&Frame| frame.role == FrameRole::Header(HeaderKind::Sequence);
    assert_eq!(burst.frames.iter().filter(is_header).count(), 1);
    let cached = rig.hub.streams.get(grant.stream.0).expect("there").cached_bytes();
    assert!(cached <= 1_500, "{cached}");
}
