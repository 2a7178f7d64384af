//! Limits, and what a session costs.

use std::mem::size_of;

use super::peer::{Peer, command_body, message_bytes, number, text};
use crate::config::SessionLimits;
use crate::rtmp::amf0::Value;
use crate::rtmp::chunk::ChunkError;
use crate::rtmp::message::type_id;
use crate::rtmp::server::streams::MessageStream;
use crate::rtmp::server::{ASKED_PARTIAL_BYTES, Event, KEPT_EVENTS, ServerSession, SessionError};

fn too_long(announced: usize, limit: usize) -> Result<(), SessionError> {
    Err(SessionError::Chunk(ChunkError::MessageTooLong { announced, limit }))
}

#[test]
fn more_message_streams_than_the_limit_are_refused() {
    let limits = SessionLimits { message_streams: 3, ..SessionLimits::default() };
    let error = Err(SessionError::TooManyStreams(3));
    for (name, said) in [
        ("createStream", "_error 4 error NetConnection.Call.Failed"),
        ("publish", "onStatus on 9: error NetStream.Publish.Denied"),
        ("play", "onStatus on 9: error NetStream.Play.Failed"),
    ] {
        let mut peer = Peer::connected_with(limits.clone());
        for _ in 0..3 {
            peer.call(0, "createStream", 2.0, []);
        }
        peer.said();
        assert_eq!(peer.try_call(9, name, 4.0, [text("a")]), error, "{name}");
        assert_eq!(peer.said(), [said]);
        assert_eq!(peer.events(), []);
    }
}

#[test]
fn a_flood_of_pings_in_one_input_is_too_many_answers() {
    let limits = SessionLimits { answer_bytes: 10_000, ..SessionLimits::default() };
    let mut peer = Peer::connected_with(limits);
    let ping = message_bytes(type_id::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 1]);
    assert_eq!(peer.send(&ping.repeat(555)), Ok(()), "18 bytes each");
    assert_eq!(peer.said().len(), 555);
    assert_eq!(peer.send(&ping.repeat(10_000)), Err(SessionError::TooManyAnswers(10_000)));
    assert_eq!(peer.said().len(), 556, "it stopped there");
}

#[test]
fn only_publishers_may_send_long_messages() {
    let limits = SessionLimits { command_bytes: 1000, message_bytes: 5000, ..SessionLimits::default() };
    let body = |len| vec![0; len];
    let mut peer = Peer::connected_with(limits.clone());
    assert_eq!(peer.try_message(20, 0, 0, &body(1000)), Ok(()));
    assert_eq!(peer.try_message(9, 1, 0, &body(1001)), too_long(1001, 1000));

    let mut peer = Peer::connected_with(limits.clone());
    peer.call(1, "play", 0.0, [text("a")]);
    peer.session.accept_play(1);
    assert_eq!(peer.try_message(9, 1, 0, &body(1001)), too_long(1001, 1000));

    let mut peer = Peer::publishing_with(limits);
    assert_eq!(peer.try_message(9, 1, 0, &body(5000)), Ok(()));
    assert_eq!(peer.events().len(), 1);
    assert_eq!(peer.try_message(9, 1, 0, &body(5001)), too_long(5001, 5000));
}

#[test]
fn a_key_frame_that_does_not_wait_for_publish_start_is_read() {
    let mut peer = Peer::connected();
    let publish = command_body("publish", 0.0, Value::Null, &[text("a")]);
    let key_frame = message_bytes(type_id::VIDEO, 1, 0, &vec![0x17; 200_000]);
    let (first, rest) = key_frame.split_at(30_000);
    let bytes = [&message_bytes(type_id::COMMAND_AMF0, 1, 0, &publish)[..], first].concat();
    peer.send(&bytes).expect("one input");
    peer.session.accept_publish(1);
    peer.events();
    peer.send(rest).expect("the rest");
    assert_eq!(peer.events().len(), 1, "it became whole after the yes");
}

#[test]
fn while_a_publish_waits_for_its_answer_little_is_held() {
    let mut peer = Peer::connected();
    peer.call(1, "publish", 0.0, [text("a")]);
    let result = peer.try_message(type_id::VIDEO, 1, 0, &vec![0; 3 * ASKED_PARTIAL_BYTES]);
    let limit = ASKED_PARTIAL_BYTES;
    assert_eq!(result, Err(SessionError::Chunk(ChunkError::TooManyPartialBytes { limit })));
}

#[test]
fn a_frame_under_way_when_its_publisher_ends_is_read_to_its_end() {
    let mut peer = Peer::publishing();
    let frame = message_bytes(type_id::VIDEO, 1, 0, &vec![0x27; 200_000]);
    let (first, rest) = frame.split_at(12 + 128 + 1 + 128);
    peer.send(first).expect("begin");
    peer.call(0, "FCUnpublish", 6.0, [text("a")]);
    peer.send(rest).expect("end");
    peer.call(0, "deleteStream", 7.0, [number(1.0)]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
}

#[test]
fn a_publisher_that_asks_for_a_second_stream_may_go_on_with_long_frames() {
    let mut peer = Peer::publishing();
    peer.call(2, "publish", 0.0, [text("b")]);
    peer.events();
    peer.message(type_id::VIDEO, 1, 0, &vec![0x17; 2 * ASKED_PARTIAL_BYTES]);
    assert_eq!(peer.events().len(), 1);
}

#[test]
fn chunk_streams_are_limited() {
    let limits = SessionLimits { chunk_streams: 3, ..SessionLimits::default() };
    let mut peer = Peer::connected_with(limits);
    let error = ChunkError::TooManyChunkStreams { limit: 3 };
    let result = (8..=12).try_for_each(|type_id| peer.try_message(type_id, 0, 0, &[0]));
    assert_eq!(result, Err(SessionError::Chunk(error)));
}

#[test]
fn the_handshake_refuses_other_versions() {
    for version in [0, 6, b'G', 0x16] {
        let mut peer = Peer::new();
        let result = peer.send(&[version, 1, 2, 3]);
        assert!(matches!(result, Err(SessionError::Handshake(_))), "{version}: {result:?}");
    }
}

#[test]
fn an_idle_player_owns_little() {
    let mut peer = Peer::playing();
    peer.events();
    let session = &peer.session;
    assert!(session.handshake.is_none());
    assert_eq!(session.events.capacity(), 0);
    assert_eq!(session.answers.capacity(), 0);
    assert_eq!(session.decoder.partial_bytes(), 0);
    // `ConnectNames` and its two strings; one message stream.
    let names = 48 + "live".len() + "rtmp://host/live".len();
    let streams = size_of::<MessageStream>() * session.streams.capacity();
    let own = size_of::<ServerSession>() + names + streams;
    assert!(own <= 500, "{own} bytes, which leaves 200 for the state of chunk streams");
}

#[test]
fn a_drained_publisher_keeps_room_for_few_events() {
    let mut peer = Peer::publishing();
    peer.message(type_id::AUDIO, 1, 0, &[1]);
    peer.events();
    let capacity = peer.session.events.capacity();
    assert!((1..=KEPT_EVENTS).contains(&capacity), "no new queue for each frame: {capacity}");
    let audio = message_bytes(type_id::AUDIO, 1, 0, &[1]);
    peer.send(&audio.repeat(2 * KEPT_EVENTS)).expect("flood");
    peer.events();
    assert_eq!(peer.session.events.capacity(), 0, "no room of a flood is kept");
    assert!(size_of::<Event>() <= 112, "{}", size_of::<Event>());
}
