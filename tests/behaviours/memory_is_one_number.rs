//! `limits.memory_limit`: who has to let go near it, in which order, and that nothing is counted twice or for ever.

use rtmpd::config::{AppConfig, EngineConfig, HlsConfig, HlsMode, PlayerQueueLimits, QueueLimits, RecordConfig};
use rtmpd::engine::{CloseReason, Protocol};

use crate::support::client::{CHUNK_SIZE, Client};
use crate::support::frames;
use crate::support::media::Body::{Delta, Key, VideoHeader};
use crate::support::world::{LinkId, World};

const OUT: fn(usize) -> CloseReason = CloseReason::OutOfMemory;

/// Nothing but memory makes anybody skip or go.
fn config(memory_limit: usize) -> EngineConfig {
    let queue = QueueLimits { stall_timeout_ms: 3_600_000, ..QueueLimits::default() };
    EngineConfig { memory_limit, queue, app: app(), ..EngineConfig::default() }
}

fn app() -> AppConfig {
    let queue = PlayerQueueLimits { lag_ms: 3_600_000, ..PlayerQueueLimits::default() };
    AppConfig { queue, ..AppConfig::default() }
}

/// 25 pictures per second, a key frame every 10.
fn send(world: &mut World, publisher: &mut Client, from: u32, count: u32, bytes: usize) {
    for step in from..from + count {
        world.wait(40);
        let kind = if step % 10 == 0 { Key } else { Delta };
        publisher.big_frame(world, step * 40, kind, step.to_string().as_bytes(), bytes);
    }
}

/// Numbers of the pictures that a player saw.
fn numbers(player: &mut Client, world: &mut World) -> Vec<u32> {
    player.words(world).iter().filter_map(|word| word.split(' ').nth(1)?.parse().ok()).collect()
}

/// The beginning of a video message: its announced length, and `sent` bytes of it.
fn half_message(announced: u32, sent: usize) -> Vec<u8> {
    let mut bytes = vec![6, 0, 0, 0];
    bytes.extend(&announced.to_be_bytes()[1..]);
    bytes.extend([9, 1, 0, 0, 0]);
    for (index, chunk) in vec![0xEE; sent].chunks(CHUNK_SIZE).enumerate() {
        if index > 0 {
            bytes.push(0xC6);
        }
        bytes.extend(chunk);
    }
    bytes
}

fn http(world: &mut World, path: &str) -> (LinkId, String) {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let answer = world.read(link, usize::MAX);
    (link, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_hundred_players_of_the_same_frames_hold_them_once() {
    let mut world = World::new(config(0));
    let mut publisher = Client::publishing(&mut world, "a");
    let first = Client::playing(&mut world, "a?join=key");
    world.set_window(first.link, 0);
    let more: Vec<Client> = (0..99).map(|_| Client::playing(&mut world, "a?join=key")).collect();
    let before = world.engine.memory_used();
    send(&mut world, &mut publisher, 0, 100, 10_000);
    let one = world.engine.memory_used() - before;
    for player in &more {
        world.set_window(player.link, 0);
    }
    send(&mut world, &mut publisher, 100, 100, 10_000);
    let all = world.engine.memory_used() - before;
    assert!((1_400_000..1_800_000).contains(&one), "wire forms, and what is kept for those who join: {one}");
    // A second hundred of frames, and the places in their queues.
    assert!(all < one + 1_000_000 + 100 * 8_000, "a hundred players cost {all} bytes, one {one}");
}

#[test]
fn the_slowest_players_skip_first_and_nobody_else_notices() {
    let limit = 1_000_000;
    let mut world = World::new(config(limit));
    let mut publisher = Client::publishing(&mut world, "a");
    let [mut slow, mut slower] = [500, 0].map(|window| {
        let player = Client::playing(&mut world, "a?join=key");
        world.set_window(player.link, window);
        player
    });
    let mut quick = Client::playing(&mut world, "a?join=key");
    let mut slow_saw = Vec::new();
    for round in 0..200 {
        send(&mut world, &mut publisher, round * 10, 10, 1_000);
        let some = world.read(slow.link, 9_000);
        slow.take_in(&some);
        assert!(world.engine.memory_used() <= limit / 100 * 87, "{}", world.engine.memory_used());
        assert_eq!(numbers(&mut quick, &mut world), (round * 10..round * 10 + 10).collect::<Vec<u32>>());
        if world.dropped_messages(slower.link) > 0 && slow_saw.is_empty() {
            slow_saw.push(world.dropped_messages(slow.link));
        }
    }
    assert_eq!(slow_saw, [0], "the slowest has most waiting, and its skip was enough");
    assert!(world.dropped_messages(slower.link) > 500);
    for (player, least) in [(&mut slow, 100), (&mut slower, 1)] {
        world.set_window(player.link, usize::MAX);
        let seen = numbers(player, &mut world);
        assert!(seen.len() >= least, "{}", seen.len());
        for pair in seen.windows(2) {
            assert!(pair[1] == pair[0] + 1 || pair[1] % 10 == 0, "{pair:?}");
        }
    }
    assert!(world.is_open(publisher.link));
}

#[test]
fn a_flood_that_is_quicker_than_anybody_can_be_called_slow_finds_the_limit_too() {
    let limit = 4_000_000;
    let mut world = World::new(config(limit));
    let mut publisher = Client::publishing(&mut world, "a");
    let player = Client::playing(&mut world, "a?join=key");
    world.set_window(player.link, 0);
    let mut quick = Client::playing(&mut world, "a?join=key");
    for step in 0..1_000 {
        // No time passes.
        let kind = if step % 10 == 0 { Key } else { Delta };
        publisher.big_frame(&mut world, step, kind, step.to_string().as_bytes(), 20_000);
        assert_eq!(numbers(&mut quick, &mut world), [step]);
        assert!(world.engine.memory_used() <= limit / 100 * 98, "{}", world.engine.memory_used());
    }
    assert!(world.is_open(player.link) && world.dropped_messages(player.link) > 0);
}

#[test]
fn new_players_are_refused_before_new_publishers_and_those_before_anybody_is_closed() {
    let limit = 1_000_000;
    let mut world = World::new(config(limit));
    let mut small = Client::publishing(&mut world, "small");
    send(&mut world, &mut small, 0, 5, 100);
    let mut player = Client::playing(&mut world, "small");
    numbers(&mut player, &mut world);
    let big = Client::publishing(&mut world, "big");
    let other = Client::publishing(&mut world, "other");
    let mut late = [(); 3].map(|()| Client::connected(&mut world, "live"));

    world.send(big.link, &half_message(900_000, 899_000));
    assert!((900_000..970_000).contains(&world.engine.memory_used()), "{}", world.engine.memory_used());
    late[0].put_play(1, "small");
    late[0].flush(&mut world);
    assert!(late[0].said(&mut world).contains(&"onStatus 1 NetStream.Play.Failed".to_owned()));
    world.wait(2_000);
    assert_eq!(world.close_reason(late[0].link), Some(&OUT(limit)));
    for path in ["/live/small.flv", "/live/small.m3u8"] {
        let (_, answer) = http(&mut world, path);
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
    }
    late[1].publish(&mut world, 1, "late");

    world.send(other.link, &half_message(66_000, 65_000));
    assert!((970_000..limit).contains(&world.engine.memory_used()), "{}", world.engine.memory_used());
    late[2].put_publish(1, "later");
    late[2].flush(&mut world);
    assert!(late[2].said(&mut world).contains(&"onStatus 1 NetStream.Publish.Denied".to_owned()));
    assert_eq!(world.try_accept(), Err(OUT(limit)));
    let (_, health) = http(&mut world, "/healthz");
    assert!(health.starts_with("HTTP/1.1 200 "), "operators may look: {health}");

    world.send(late[1].link, &half_message(66_000, 65_000));
    world.wait(2_000);
    assert_eq!(world.close_reason(big.link), Some(&OUT(limit)), "who holds most");
    for link in [small.link, player.link, other.link, late[1].link] {
        assert!(world.is_open(link));
    }
    assert!(world.engine.memory_used() < 200_000);
    send(&mut world, &mut small, 5, 10, 100);
    assert_eq!(numbers(&mut player, &mut world), (5..15).collect::<Vec<u32>>());
    Client::playing(&mut world, "small");
}

#[test]
fn half_messages_of_many_never_come_above_the_limit_and_nothing_stays_counted() {
    let limit = 4_000_000;
    let mut world = World::new(config(limit));
    let mut good = Client::publishing(&mut world, "good");
    let mut player = Client::playing(&mut world, "good");
    let crowd: Vec<Client> = (0..50).map(|number| Client::publishing(&mut world, &format!("{number}"))).collect();
    let bytes = half_message(16_000_000, 1_000_000);
    for (round, piece) in (0..).zip(bytes.chunks(16 * 1024)) {
        for peer in &crowd {
            world.send(peer.link, piece);
            assert!(world.engine.memory_used() <= limit / 100 * 102, "{}", world.engine.memory_used());
        }
        send(&mut world, &mut good, round, 1, 100);
        assert_eq!(numbers(&mut player, &mut world), [round]);
    }
    assert!(crowd.iter().filter(|peer| world.close_reason(peer.link) == Some(&OUT(limit))).count() > 40);
    for link in world.open_links() {
        world.hang_up(link);
    }
    world.wait(20_000);
    assert_eq!(world.engine.hub().stream_count(), 0);
    assert_eq!(world.engine.memory_used(), 0);
}

#[test]
fn the_largest_pictures_are_forgotten_before_anybody_is_closed() {
    let limit = 4_000_000;
    let mut world = World::new(config(limit));
    let mut small = Client::publishing(&mut world, "small");
    send(&mut world, &mut small, 0, 5, 1_000);
    let mut huge = Client::publishing(&mut world, "huge");
    for step in 0..300 {
        let kind = if step == 0 { Key } else { Delta };
        huge.big_frame(&mut world, step, kind, b"", 50_000);
        assert!(world.engine.memory_used() <= limit / 100 * 95, "{}", world.engine.memory_used());
    }
    assert!(world.is_open(huge.link) && world.is_open(small.link));
    let mut player = Client::playing(&mut world, "small?join=gop");
    assert_eq!(numbers(&mut player, &mut world), [0, 1, 2, 3, 4]);
}

#[test]
fn a_recording_ends_with_the_reason_while_its_stream_goes_on() {
    let limit = 4_000_000;
    let record = RecordConfig { auto: true, ..RecordConfig::default() };
    let mut world = World::new(EngineConfig { app: AppConfig { record, ..app() }, ..config(limit) });
    // A disk that never answers.
    world.disk = Some(Vec::new());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    for round in 0..50 {
        send(&mut world, &mut publisher, round * 10, 10, 20_000);
        assert_eq!(numbers(&mut player, &mut world).len(), 10);
        assert!(world.engine.memory_used() <= limit, "{}", world.engine.memory_used());
    }
    let (_, streams) = http(&mut world, "/api/v1/streams/live/a");
    assert!(streams.contains("\"is_recording\":false") && streams.contains("\"is_published\":true"), "{streams}");
    world.disk = None;
    world.wait(1_000);
    assert!(world.engine.memory_used() < 2_000_000, "what the disk let go is free: {}", world.engine.memory_used());
}

#[test]
fn playlists_of_hls_get_shorter_before_anybody_is_closed() {
    let limit = 12_000_000;
    let hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let mut world = World::new(EngineConfig { app: AppConfig { hls, ..app() }, ..config(limit) });
    let mut crowd: Vec<Client> = (0..12).map(|number| Client::publishing(&mut world, &format!("{number}"))).collect();
    let header = frames::video_header(640, 480);
    for publisher in &mut crowd {
        publisher.put_frame(1, 0, VideoHeader, &header.payload);
        publisher.flush(&mut world);
    }
    for step in 0..600_u32 {
        world.wait(40);
        for publisher in &mut crowd {
            let frame = frames::video(u64::from(step) * 40, step % 25 == 0, 0, 5_000);
            publisher.put_frame(1, step * 40, Key, &frame.payload);
            publisher.flush(&mut world);
        }
        assert!(world.engine.memory_used() <= limit, "{}", world.engine.memory_used());
    }
    assert!(crowd.iter().all(|publisher| world.is_open(publisher.link)));
}

#[test]
fn who_watches_over_a_websocket_and_reads_nothing_cannot_pile_up_what_it_says() {
    let app = AppConfig { grace_ms: 0, ..app() };
    let mut world = World::new(EngineConfig { app, ..config(0) });
    let mut publisher = Client::publishing(&mut world, "a");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.set_window(link, 0);
    let upgrade = "GET /live/a.flv HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    world.send(link, upgrade.as_bytes());
    send(&mut world, &mut publisher, 0, 1, 100);
    let before = world.engine.memory_used();
    // A masked text message of 100 bytes.
    let text = [&[0x81, 0x80 | 100, 0, 0, 0, 0][..], &[b'x'; 100]].concat();
    for _ in 0..1_000 {
        world.send(link, &text);
    }
    assert!(world.is_open(link));
    let more = world.engine.memory_used() - before;
    assert!(more < 2_000, "{more}");
}
