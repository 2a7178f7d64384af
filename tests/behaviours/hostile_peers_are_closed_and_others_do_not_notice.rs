//! Peers that send what no client should. Each gets a closed connection with a reason, or an error it can read.

use bytes::BytesMut;
use rtmpd::config::EngineConfig;
use rtmpd::engine::CloseReason;
use rtmpd::rtmp::amf0::Value;
use rtmpd::rtmp::chunk::ChunkError;
use rtmpd::rtmp::message::{ControlMessage, UserControl, type_id};
use rtmpd::rtmp::server::SessionError;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key};
use crate::support::world::World;

/// A publisher and a player that must not notice anything.
struct Bystanders {
    publisher: Client,
    player: Client,
    sent: u32,
}

impl Bystanders {
    fn new(world: &mut World) -> Self {
        let mut publisher = Client::publishing(world, "good");
        let mut player = Client::playing(world, "good");
        publisher.frame(world, 0, Key, b"k");
        player.words(world);
        player.said(world);
        Bystanders { publisher, player, sent: 0 }
    }

    fn assert_well(&mut self, world: &mut World) {
        self.sent += 40;
        self.publisher.frame(world, self.sent, Delta, b"p");
        let expected = format!("Delta p {}", 1_000 + self.sent);
        assert_eq!(self.player.words(world), [expected]);
        assert_eq!(self.player.said(world), [""; 0]);
    }
}

/// Runs `attack` on a connected client and tells why it was closed, if it was, and what it was told.
fn attacked(attack: impl FnOnce(&mut World, &mut Client)) -> (Option<CloseReason>, Vec<String>) {
    let mut world = World::new(EngineConfig::default());
    let mut bystanders = Bystanders::new(&mut world);
    let mut hostile = Client::connected(&mut world, "live");
    attack(&mut world, &mut hostile);
    hostile.flush(&mut world);
    let said = hostile.said(&mut world);
    bystanders.assert_well(&mut world);
    world.wait(1_000);
    bystanders.assert_well(&mut world);
    let reason = world.close_reason(hostile.link).cloned();
    world.hang_up(hostile.link);
    assert_eq!(world.engine.hub().stream_count(), 1, "only the bystanders' stream");
    (reason, said)
}

fn chunk_error(reason: Option<CloseReason>) -> ChunkError {
    match reason {
        Some(CloseReason::Session(SessionError::Chunk(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_that_is_none() {
    for first in [b'G', 0x16, 6, 0, 0xFF] {
        let mut world = World::new(EngineConfig::default());
        let mut bystanders = Bystanders::new(&mut world);
        let link = world.accept();
        world.send(link, &[first; 4_000]);
        world.wait(1_000);
        let reason = world.close_reason(link);
        let is_handshake = matches!(reason, Some(CloseReason::Session(SessionError::Handshake(_))));
        assert!(is_handshake, "{first}: {reason:?}");
        bystanders.assert_well(&mut world);
    }
}

#[test]
fn garbage_behind_a_good_handshake() {
    for byte in 0..=255_u8 {
        let mut world = World::new(EngineConfig::default());
        let mut bystanders = Bystanders::new(&mut world);
        let link = world.accept();
        let mut handshake = vec![0; 3073];
        handshake[0] = 3;
        world.send(link, &handshake);
        let garbage: Vec<u8> =
            (0..200_000_u32).map(|step| byte.wrapping_add((step.wrapping_mul(step) >> 3) as u8)).collect();
        world.send(link, &garbage);
        bystanders.assert_well(&mut world);
        world.wait(11_000);
        assert!(!world.is_open(link), "byte {byte}");
    }
}

#[test]
fn nothing_at_all() {
    let mut world = World::new(EngineConfig::default());
    let link = world.accept();
    world.wait(10_000);
    assert_eq!(world.close_reason(link), Some(&CloseReason::Session(SessionError::SetupTimeout(10_000))));
    let idle = Client::connected(&mut world, "live");
    // Even if it goes on talking.
    for _ in 0..100 {
        world.wait(100);
        let mut ping = Client::new(idle.link);
        ping.put(type_id::ACKNOWLEDGEMENT, 0, 0, &[0; 4]);
        ping.flush(&mut world);
    }
    world.wait(1_000);
    assert!(!world.is_open(idle.link));
}

#[test]
fn chunk_size_nothing() {
    let (reason, _) = attacked(|_, hostile| hostile.put(type_id::SET_CHUNK_SIZE, 0, 0, &[0; 4]));
    assert_eq!(chunk_error(reason), ChunkError::ZeroChunkSize);
    let (reason, _) = attacked(|_, hostile| hostile.put(type_id::SET_CHUNK_SIZE, 0, 0, &[0x80, 0, 0, 0]));
    assert_eq!(chunk_error(reason), ChunkError::ZeroChunkSize);
}

#[test]
fn chunks_of_one_byte_are_slow_but_legal() {
    let mut world = World::new(EngineConfig::default());
    let mut bystanders = Bystanders::new(&mut world);
    let mut odd = Client::connected(&mut world, "live");
    odd.put(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 0, 1]);
    odd.flush(&mut world);
    odd.set_chunk_size(1);
    odd.publish(&mut world, 1, "odd");
    let mut player = Client::playing(&mut world, "odd");
    odd.big_frame(&mut world, 0, Key, b"k", 10_000);
    assert_eq!(player.words(&mut world), ["Key k 1000"]);
    bystanders.assert_well(&mut world);
}

#[test]
fn a_message_longer_than_any_command() {
    let (reason, _) = attacked(|_, hostile| {
        // Type 0 header: chunk stream 3, length 16 MiB - 1, type 20.
        hostile.outbox.extend([3, 0, 0, 0, 0xFF, 0xFF, 0xFF, 20, 0, 0, 0, 0]);
    });
    assert!(matches!(chunk_error(reason), ChunkError::MessageTooLong { .. }));
}

#[test]
fn more_chunk_streams_than_anybody_needs() {
    let (reason, _) = attacked(|_, hostile| {
        for id in 0..100 {
            // Type 0 header on chunk stream 64 + id: an empty message of no known type.
            hostile.outbox.extend([0, id, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 0]);
        }
    });
    assert!(matches!(chunk_error(reason), ChunkError::TooManyChunkStreams { .. }));
}

#[test]
fn amf_nested_ten_thousand_deep_or_with_false_counts() {
    let bodies: [Vec<u8>; 5] = [
        [&[2, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[3, 0, 1, b'a'].repeat(10_000)].concat(),
        [&[2, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[10, 0, 0, 0, 1].repeat(10_000)].concat(),
        vec![2, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0xFF, 0xFF, 0xFF, 0xFF],
        vec![2, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, b'a'],
        vec![2, 0xFF, 0xFF, b'x'],
    ];
    for body in bodies {
        for type_id in [type_id::COMMAND_AMF0, type_id::COMMAND_AMF3, type_id::DATA_AMF0] {
            let (reason, said) = attacked(|_, hostile| {
                hostile.put(type_id, 0, 0, &body);
                hostile.put_command(0, "createStream", Value::Null, &[]);
            });
            assert_eq!(reason, None);
            assert_eq!(said.last().map(String::as_str), Some("_result 0"), "it goes on");
        }
    }
}

#[test]
fn names_that_would_climb_or_hide() {
    let long = "x".repeat(64 * 1024 - 100);
    for name in ["../a", "a/..", "a\0b", "a\r\nb", "a\\b", &long] {
        for (command, code) in
            [("publish", "onStatus 1 NetStream.Publish.BadName"), ("play", "onStatus 1 NetStream.Play.StreamNotFound")]
        {
            let (reason, said) = attacked(|_, hostile| {
                hostile.put_command(1, command, Value::Null, &[Value::string(name)]);
            });
            let is_refused = matches!(reason, Some(CloseReason::Session(SessionError::BadName(_))));
            assert!(is_refused, "{reason:?}");
            assert_eq!(said, [code]);
        }
    }
}

#[test]
fn commands_out_of_order() {
    for name in ["publish", "play", "createStream", "deleteStream", "nonsense"] {
        let mut world = World::new(EngineConfig::default());
        let mut bystanders = Bystanders::new(&mut world);
        let mut early = Client::new(world.accept());
        let mut handshake = vec![0; 3073];
        handshake[0] = 3;
        early.outbox.extend(handshake);
        early.put_command(1, name, Value::Null, &[Value::string("a")]);
        early.flush(&mut world);
        let expected = "_error 0 NetConnection.Call.Failed";
        assert_eq!(early.said(&mut world), [expected]);
        world.wait(1_000);
        let reason = world.close_reason(early.link);
        let is_order = matches!(reason, Some(CloseReason::Session(SessionError::OutOfOrder(_))));
        assert!(is_order, "{name}: {reason:?}");
        bystanders.assert_well(&mut world);
    }
    let (reason, _) = attacked(|_, hostile| {
        hostile.put_command(0, "connect", Value::object([("app", Value::string("live"))]), &[]);
    });
    assert!(matches!(reason, Some(CloseReason::Session(SessionError::OutOfOrder("connect")))));
}

#[test]
fn media_of_one_who_may_not_publish() {
    let (reason, said) = attacked(|_, hostile| {
        hostile.put_frame(1, 0, Key, &Key.with(b"x", 100));
        hostile.put_command(1, "publish", Value::Null, &[Value::string("good")]);
        hostile.put_frame(1, 0, Key, &Key.with(b"x", 100));
    });
    assert!(matches!(reason, Some(CloseReason::Refused(_))));
    assert_eq!(said, ["onStatus 1 NetStream.Publish.BadName"]);
}

#[test]
fn pings_without_end_and_nothing_read() {
    let (reason, _) = attacked(|world, hostile| {
        world.set_window(hostile.link, 0);
        let mut ping = BytesMut::new();
        ControlMessage::UserControl(UserControl::PingRequest(1)).encode(&mut ping);
        for _ in 0..100 {
            for _ in 0..1_000 {
                hostile.put(type_id::USER_CONTROL, 0, 0, &ping);
            }
            hostile.flush(world);
            assert!(world.queued_bytes(hostile.link) < 600_000);
        }
    });
    assert!(matches!(reason, Some(CloseReason::QueueFull(_) | CloseReason::Session(_))), "{reason:?}");
}

#[test]
fn play_and_pause_without_end_and_nothing_read() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    for step in 0..50 {
        let kind = if step == 0 { Key } else { Delta };
        publisher.big_frame(&mut world, step * 40, kind, b"x", 10_000);
    }
    for attack in 0..3 {
        let mut hostile = Client::playing(&mut world, "a");
        world.set_window(hostile.link, 0);
        let mut worst = 0;
        for round in 0..500 {
            for _ in 0..10 {
                match attack {
                    0 => hostile.put_pause(1, false),
                    1 => {
                        hostile.put_delete_stream(1);
                        hostile.put_play(1, "a");
                    }
                    _ => hostile.put_play(1 + round % 32, "a?join=gop"),
                }
            }
            hostile.flush(&mut world);
            worst = worst.max(world.queued_bytes(hostile.link));
        }
        let config = EngineConfig::default();
        assert!(worst <= config.app.queue.bytes + config.queue.hard_bytes, "{attack}: {worst}");
        if attack < 2 {
            assert!(worst < 3_000_000, "{attack}: {worst}");
        }
    }
}
