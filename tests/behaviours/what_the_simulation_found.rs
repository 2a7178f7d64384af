//! Faults that the simulation and the fuzzers found, each in the fewest steps.

use rtmpd::config::{AppConfig, EngineConfig, HlsConfig, HlsMode, PlayerQueueLimits, RecordConfig};
use rtmpd::container::flv::file::FlvDemuxer;
use rtmpd::engine::Protocol;

use crate::support::client::Client;
use crate::support::disk::Disk;
use crate::support::media::Body::{Audio, AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::{LinkId, World};

const AVC_RECORD: &[u8] = b"\x01\x42\xC0\x1E\xFF\xE1\0\x07\x67\x42\xC0\x1E\xDA\x10\x99\x01\0\x04\x68\xCE\x3C\x80";
const PICTURE: &[u8] = b"\0\0\0\x02\x65a";

fn with(app: AppConfig) -> EngineConfig {
    EngineConfig { app, ..EngineConfig::default() }
}

fn view(world: &mut World, path: &str, fields: &str) -> LinkId {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n").as_bytes());
    link
}

#[test]
fn hls_that_is_always_made_goes_with_its_stream() {
    let hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let config = with(AppConfig { hls, ..AppConfig::default() });
    let (grace_ms, idle_ms) = (config.app.grace_ms, config.app.hls.idle_timeout_ms);
    let mut world = World::new(config);
    for number in 0..5 {
        let publisher = Client::publishing(&mut world, &format!("s{number}"));
        world.hang_up(publisher.link);
    }
    assert_eq!(world.engine.hub().stream_count(), 5);
    world.wait(grace_ms + idle_ms);
    assert_eq!(world.engine.hub().stream_count(), 0, "names that nobody uses any more");
}

#[test]
fn hls_that_is_always_made_stays_where_its_publisher_returns() {
    let hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let config = with(AppConfig { hls, ..AppConfig::default() });
    let (grace_ms, idle_ms) = (config.app.grace_ms, config.app.hls.idle_timeout_ms);
    let mut world = World::new(config);
    let publisher = Client::publishing(&mut world, "a");
    world.hang_up(publisher.link);
    world.wait(grace_ms + idle_ms / 2);
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    for at in 0..4 {
        world.wait(idle_ms / 2);
        publisher.frame(&mut world, at * 3_000, Key, PICTURE);
        publisher.read(&mut world);
    }
    let link = view(&mut world, "/live/a.m3u8", "");
    let answer = String::from_utf8(world.read(link, usize::MAX)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_slow_viewer_of_a_stream_that_ended_gets_nothing_of_the_next_one_behind_the_last_words() {
    let config = EngineConfig::default();
    let grace_ms = config.app.grace_ms;
    let mut world = World::new(config);
    let mut publisher = Client::publishing(&mut world, "a");
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let viewer = view(&mut world, "/live/a.flv", upgrade);
    world.read(viewer, usize::MAX);
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    world.set_window(viewer, 10);
    publisher.frame(&mut world, 0, Key, PICTURE);
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    // It reads now and then, so it is not closed for taking nothing.
    let mut read = Vec::new();
    for _ in 0..grace_ms / 1_000 {
        world.wait(1_000);
        read.extend(world.read(viewer, 1));
    }
    let mut next = Client::publishing(&mut world, "a");
    next.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    next.frame(&mut world, 0, Key, PICTURE);
    world.set_window(viewer, usize::MAX);
    loop {
        let more = world.read(viewer, usize::MAX);
        if more.is_empty() {
            break;
        }
        read.extend(more);
    }
    let last_words = b"\x88\x12\x03\xE8the stream ended";
    assert!(read.ends_with(last_words), "{}", read.escape_ascii());
}

#[test]
fn a_viewer_of_mp4_who_waited_gets_no_sound_before_the_init_segment() {
    let mut world = World::new(EngineConfig::default());
    let viewer = view(&mut world, "/live/a.mp4?wait=10", "");
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    publisher.frame(&mut world, 0, AudioHeader, b"\x12\x10");
    // A picture was announced, but none comes: after a while the sound goes on alone.
    for at in 0..200 {
        publisher.frame(&mut world, at * 23, Audio, b"sound");
    }
    let answer = world.read(viewer, usize::MAX);
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(answer.len() > head, "the sound is played");
    assert_eq!(&answer[head + 4..head + 8], b"ftyp", "{}", answer[head..].escape_ascii());
}

#[test]
fn sound_that_waited_for_a_picture_is_recorded_with_the_header_it_came_with() {
    let record = RecordConfig { auto: true, ..RecordConfig::default() };
    let mut world = World::new(with(AppConfig { record, ..AppConfig::default() }));
    world.disk = Some(Vec::new());
    let mut disk = Disk::default();
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, AudioHeader, b"\x12\x10");
    for at in 0..10 {
        publisher.frame(&mut world, at * 23, Audio, b"old");
    }
    world.hang_up(publisher.link);
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, AudioHeader, b"\x11\x90");
    for at in 0..60 {
        publisher.frame(&mut world, at * 23, Audio, b"new");
    }
    world.shut_down();
    disk.settle(&mut world);
    world.wait(EngineConfig::default().queue.linger_ms);
    assert!(world.engine.is_empty());
    let mut header = Vec::new();
    let mut seen = [0, 0];
    for file in &disk.closed {
        let mut demuxer = FlvDemuxer::new(1 << 20);
        let mut bytes = &file.bytes[..];
        while let Some(tag) = demuxer.demux(&mut bytes).unwrap() {
            match tag.body.get(..2) {
                Some(b"\xAF\0") => header = tag.body.to_vec(),
                Some(b"\xAF\x01") => {
                    let is_new = tag.body.ends_with(b"new");
                    let expected: &[u8] = if is_new { b"\xAF\0\x11\x90" } else { b"\xAF\0\x12\x10" };
                    assert_eq!(header, expected, "{}", tag.body.escape_ascii());
                    seen[usize::from(is_new)] += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(seen, [10, 60], "frames of both publishers");
}

#[test]
fn a_disk_that_fails_for_a_while_costs_one_recording() {
    let record = RecordConfig { auto: true, ..RecordConfig::default() };
    let mut world = World::new(with(AppConfig { record, ..AppConfig::default() }));
    world.disk = Some(Vec::new());
    let mut disk = Disk::default();
    for round in 0..3 {
        let mut publisher = Client::publishing(&mut world, "a");
        for at in 0..50 {
            publisher.frame(&mut world, at * 40, if at % 10 == 0 { Key } else { Delta }, PICTURE);
            world.wait(40);
            disk.work(&mut world, 100, || round == 1 && at >= 25);
        }
        world.hang_up(publisher.link);
        world.wait(EngineConfig::default().app.grace_ms);
        disk.settle(&mut world);
    }
    disk.assert_nothing_open();
    assert_eq!(disk.closed.len(), 3);
    assert!(disk.failures > 0);
    assert!(disk.closed[1].bytes.len() < disk.closed[0].bytes.len());
    assert_eq!(disk.closed[0].bytes.len(), disk.closed[2].bytes.len());
}

#[test]
fn a_viewer_over_http_for_whom_the_past_is_too_much_begins_with_the_next_key_frame() {
    let queue = PlayerQueueLimits { bytes: 50_000, ..PlayerQueueLimits::default() };
    let mut world = World::new(with(AppConfig { queue, ..AppConfig::default() }));
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    publisher.big_frame(&mut world, 0, Key, PICTURE, 40_000);
    publisher.big_frame(&mut world, 40, Delta, PICTURE, 20_000);
    let viewer = world.try_accept_as(Protocol::Http).unwrap();
    world.set_window(viewer, 1);
    world.send(viewer, b"GET /live/a.flv HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(world.queued_bytes(viewer) < 2_000, "{} bytes wait", world.queued_bytes(viewer));
    world.set_window(viewer, usize::MAX);
    world.read(viewer, usize::MAX);
    publisher.big_frame(&mut world, 80, Delta, PICTURE, 100);
    assert_eq!(world.read(viewer, usize::MAX), b"");
    publisher.frame(&mut world, 120, Key, PICTURE);
    assert!(!world.read(viewer, usize::MAX).is_empty());
}

#[test]
fn a_slow_viewer_of_mp4_gets_the_next_publishers_init_segment_also_where_its_pictures_were_dropped() {
    let queue = PlayerQueueLimits { bytes: 1_000, ..PlayerQueueLimits::default() };
    let mut world = World::new(with(AppConfig { queue, ..AppConfig::default() }));
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    publisher.frame(&mut world, 0, Key, PICTURE);
    let viewer = view(&mut world, "/live/a.mp4", "");
    world.read(viewer, usize::MAX);
    world.set_window(viewer, 1);
    publisher.big_frame(&mut world, 40, Delta, PICTURE, 900);
    // Another picture, with another header; there is no room for it.
    let other = AVC_RECORD.strip_suffix(b"\x80").map(|front| [front, b"\x90"].concat()).unwrap();
    publisher.frame(&mut world, 80, VideoHeader, &other);
    publisher.big_frame(&mut world, 80, Key, PICTURE, 2_000);
    assert!(world.dropped_messages(viewer) > 0);
    world.set_window(viewer, usize::MAX);
    world.read(viewer, usize::MAX);
    publisher.frame(&mut world, 120, Key, PICTURE);
    let read = world.read(viewer, usize::MAX);
    assert_eq!(read.get(4..8), Some(&b"ftyp"[..]), "{}", read.escape_ascii());
}

#[test]
fn files_of_hls_that_the_disk_writes_late_do_not_disturb_the_recording_that_has_its_number_by_then() {
    let hls = HlsConfig { directory: "hls".to_owned(), segment_ms: 500, ..HlsConfig::default() };
    let config = with(AppConfig { hls, ..AppConfig::default() });
    let idle_s = config.app.hls.idle_timeout_ms as u32 / 1_000 + 5;
    let mut world = World::new(config);
    world.disk = Some(Vec::new());
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    view(&mut world, "/live/a.m3u8?wait=1", "");
    for second in 0..idle_s {
        publisher.frame(&mut world, second * 1_000, Key, PICTURE);
        world.wait(1_000);
    }
    let (written, _) = Disk::waiting(&world);
    assert!(written > 0, "files of HLS wait for the disk");
    let operator = world.try_accept_as(Protocol::Http).unwrap();
    let request = "PUT /api/v1/streams/live/a/recording HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    world.send(operator, request.as_bytes());
    assert!(world.read(operator, 12).ends_with(b"201"));
    publisher.frame(&mut world, idle_s * 1_000, Key, PICTURE);
    world.wait(1_000);
    let mut disk = Disk::default();
    disk.work(&mut world, written, || false);
    world.shut_down();
    disk.settle(&mut world);
    disk.assert_nothing_open();
    assert_eq!(disk.closed.len(), 1);
    world.wait(EngineConfig::default().queue.linger_ms);
    assert!(world.engine.is_empty());
}

#[test]
fn one_who_joins_beside_a_slow_viewer_of_a_stream_that_ended_gets_every_picture_of_the_next_one() {
    let config = EngineConfig::default();
    let grace_ms = config.app.grace_ms;
    let mut world = World::new(config);
    let mut publisher = Client::publishing(&mut world, "a");
    let slow = view(&mut world, "/live/a.mp4", "");
    world.read(slow, usize::MAX);
    world.set_window(slow, 10);
    publisher.frame(&mut world, 0, VideoHeader, AVC_RECORD);
    publisher.frame(&mut world, 0, Key, PICTURE);
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    for _ in 0..grace_ms / 1_000 {
        world.wait(1_000);
        world.read(slow, 1);
    }
    let mut next = Client::publishing(&mut world, "a");
    let other = AVC_RECORD.strip_suffix(b"\x80").map(|front| [front, b"\x90"].concat()).unwrap();
    next.frame(&mut world, 0, VideoHeader, &other);
    next.frame(&mut world, 0, Key, PICTURE);
    assert!(world.is_open(slow), "it still reads its last words");
    let viewer = view(&mut world, "/live/a.mp4?join=gop", "");
    let begin = world.read(viewer, usize::MAX);
    assert!(begin.windows(other.len()).any(|window| window == other), "with the new header");
    for at in 1..5 {
        next.frame(&mut world, at * 40, Delta, PICTURE);
        assert!(!world.read(viewer, usize::MAX).is_empty(), "picture {at}");
    }
}
