//! HLS that nobody asked for before, on a stream that is under way.

use rtmpd::config::{AppConfig, EngineConfig, HlsConfig, HlsFormat};
use rtmpd::engine::Protocol;
use rtmpd::media::{Frame, FrameKind};
use rtmpd::rtmp::message::type_id;

use crate::support::client::Client;
use crate::support::hls::checker::Checker;
use crate::support::hls::playlist::Playlist;
use crate::support::hls::rig::{Source, UNIX_MS};
use crate::support::world::World;

/// A publisher in real time, and the time at which it is.
struct Live {
    world: World,
    publisher: Client,
    frames: Vec<Frame>,
    at_ms: u64,
}

impl Live {
    fn new(hls: HlsConfig, source: &Source) -> Live {
        let app = AppConfig { hls, ..AppConfig::default() };
        let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
        world.engine.set_wall_clock(world.now, UNIX_MS);
        let publisher = Client::publishing(&mut world, "cam");
        let mut frames = source.frames(0, 60_000);
        frames.reverse();
        let mut live = Live { world, publisher, frames, at_ms: 0 };
        source.headers().iter().for_each(|header| live.send(header));
        live
    }

    fn send(&mut self, frame: &Frame) {
        let type_id = if frame.kind == FrameKind::Video { type_id::VIDEO } else { type_id::AUDIO };
        self.publisher.put(type_id, 1, frame.timestamp_ms as u32, &frame.payload);
        self.publisher.flush(&mut self.world);
    }

    /// The publisher sends what is due until then.
    fn run_until(&mut self, until_ms: u64) {
        while let Some(frame) = self.frames.pop_if(|frame| frame.timestamp_ms <= until_ms) {
            self.world.wait(frame.timestamp_ms - self.at_ms);
            self.at_ms = frame.timestamp_ms;
            self.send(&frame);
        }
        self.world.wait(until_ms - self.at_ms);
        self.at_ms = until_ms;
    }

    /// What is answered to a request at once; `None`: nothing.
    fn get(&mut self, path: &str) -> Option<Vec<u8>> {
        let link = self.world.try_accept_as(Protocol::Http).unwrap();
        self.world.send(link, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let answer = self.world.read(link, usize::MAX);
        self.world.hang_up(link);
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{path}: {}", String::from_utf8_lossy(&answer[..head]));
        Some(answer[head + 4..].to_vec())
    }

    fn get_text(&mut self, path: &str) -> Option<String> {
        self.get(path).map(|body| String::from_utf8(body).unwrap())
    }

    /// The media playlist to which the first one leads, both at once.
    fn playlist(&mut self) -> Option<String> {
        let first = self.get_text("/live/cam.m3u8")?;
        let uri = first.lines().find(|line| !line.starts_with('#')).unwrap_or_else(|| panic!("{first}")).to_owned();
        self.get_text(&format!("/live/{uri}"))
    }
}

/// Key frames every four seconds.
fn slow_keys() -> Source {
    Source { steps_ms: vec![40], gops: vec![100], ..Source::default() }
}

/// What a viewer sees from the first playlist on breaks no rule.
fn follow(live: &mut Live, first: &str) {
    let mut checker = Checker::default();
    let began_ms = live.at_ms;
    let mut found = checker.playlist(live.at_ms, first);
    while live.at_ms < began_ms + 30_000 {
        live.run_until(live.at_ms + 200);
        let text = live.get_text("/live/cam/media.m3u8").expect("a playlist at once");
        found.extend(checker.playlist(live.at_ms, &text));
        for uri in checker.last().unwrap().part_uris().into_iter().map(str::to_owned).collect::<Vec<_>>() {
            let body = live.get(&format!("/live/cam/{uri}")).expect("a part at once");
            found.extend(checker.body(&uri, &body));
        }
    }
    found.extend(checker.parts_sum_up());
    assert_eq!(found, Vec::<String>::new());
    assert!(checker.last().unwrap().is_independent, "every segment begins with a key frame");
}

#[test]
fn the_first_viewer_gets_a_playlist_with_parts_in_the_middle_of_a_group() {
    let mut live = Live::new(HlsConfig::default(), &slow_keys());
    live.run_until(9_500);
    let text = live.playlist().expect("a playlist at once");
    let playlist = Playlist::parse(&text).unwrap();
    let whole: Vec<u64> = playlist.segments.iter().map(|segment| segment.duration_ms).collect();
    assert_eq!((whole, playlist.target_s, playlist.is_independent), (vec![4_000], 4, true), "{text}");
    let open = playlist.open.clone().expect("parts of the present group");
    assert!(open.parts[0].independent && (1_000..1_500).contains(&open.duration_ms), "{text}");
    assert!(open.parts.iter().all(|part| part.duration_ms <= playlist.part_target_ms.unwrap()), "{text}");
    // The wall clock of the picture that began the open segment, 8 s after the stream did; no later than by the time
    // that has gone by since the newest frame came.
    let true_ms = UNIX_MS + 8_000;
    assert!(open.date_ms.is_some_and(|date_ms| (true_ms..true_ms + 40).contains(&date_ms)), "{text}");
    follow(&mut live, &text);
}

#[test]
fn without_low_latency_the_group_before_is_a_segment_at_once() {
    let classic = HlsConfig { low_latency: false, ..HlsConfig::default() };
    for hls in [classic, HlsConfig { format: HlsFormat::Ts, ..HlsConfig::default() }] {
        let mut live = Live::new(hls, &slow_keys());
        live.run_until(9_500);
        let text = live.playlist().expect("a playlist at once");
        assert_eq!(Playlist::parse(&text).unwrap().segments.len(), 1, "{text}");
        follow(&mut live, &text);
    }
}

#[test]
fn short_groups_make_a_whole_segment_together() {
    let source = Source { steps_ms: vec![40], gops: vec![20], ..Source::default() };
    let mut live = Live::new(HlsConfig::default(), &source);
    live.run_until(9_900);
    let text = live.playlist().expect("a playlist at once");
    let playlist = Playlist::parse(&text).unwrap();
    assert_eq!(playlist.segments[0].duration_ms, 2_400, "{text}");
    follow(&mut live, &text);
}

#[test]
fn in_the_first_group_of_a_stream_the_first_playlist_comes_with_the_next_key_frame() {
    let mut live = Live::new(HlsConfig::default(), &slow_keys());
    live.run_until(1_500);
    assert_eq!(live.playlist(), None, "nobody knows how long its segments will be");
    live.run_until(4_000);
    let text = live.playlist().expect("a playlist at once");
    follow(&mut live, &text);
}

#[test]
fn hls_that_nobody_wanted_any_more_begins_at_once_again() {
    let mut live = Live::new(HlsConfig::default(), &slow_keys());
    live.run_until(5_000);
    let first = Playlist::parse(&live.playlist().unwrap()).unwrap();
    live.run_until(45_000);
    let text = live.playlist().expect("a playlist at once");
    let again = Playlist::parse(&text).unwrap();
    assert_eq!(again.segments.len(), 1, "it had ended: {text}");
    assert!(again.media_sequence > first.media_sequence + 10, "{} {}", again.media_sequence, first.media_sequence);
}
