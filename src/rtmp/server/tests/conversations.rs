//! Whole conversations, as the programs named have them, and damaged ones.

use bytes::Bytes;
use proptest::prelude::*;

use super::peer::{Peer, command_body, message_bytes, number, text, values};
use super::streams::{play_of, publish_of};
use crate::rtmp::amf0::Value;
use crate::rtmp::message::type_id;
use crate::rtmp::server::Event;

fn connect_object(flash_ver: &str) -> Value {
    Value::object([
        ("app", text("live")),
        ("type", text("nonprivate")),
        ("flashVer", text(flash_ver)),
        ("swfUrl", text("rtmp://host/live")),
        ("tcUrl", text("rtmp://host/live")),
    ])
}

fn greeted(flash_ver: &str) -> Peer {
    let mut peer = Peer::new();
    peer.handshake();
    peer.connect_with(connect_object(flash_ver)).expect("connect");
    let wanted = [
        "WindowAcknowledgementSize(2500000)",
        "SetPeerBandwidth { window_bytes: 2500000, limit: Dynamic }",
        "_result 1 status NetConnection.Connect.Success",
    ];
    assert_eq!(peer.said(), wanted);
    assert!(matches!(peer.events()[..], [Event::Connected(_)]));
    peer
}

fn metadata(handlers: &[&str]) -> Bytes {
    let handlers = handlers.iter().map(|handler| text(handler));
    let members = vec![("videocodecid".to_owned(), number(7.0))];
    values(&handlers.chain([Value::EcmaArray(members)]).collect::<Vec<_>>())
}

const VIDEO_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1F];
const KEY_FRAME: &[u8] = &[0x17, 1, 0, 0, 0, 0, 0, 0, 2, 0x65, 0x88];
const AUDIO: &[u8] = &[0xAF, 1, 0x21, 0];

fn video(timestamp: u32, payload: &'static [u8]) -> Event {
    Event::Video { stream_id: 1, timestamp, payload: Bytes::from_static(payload) }
}

fn audio(timestamp: u32, payload: &'static [u8]) -> Event {
    Event::Audio { stream_id: 1, timestamp, payload: Bytes::from_static(payload) }
}

fn metadata_event() -> Event {
    let payload = metadata(&["onMetaData"]);
    Event::Data { stream_id: 1, timestamp: 0, payload, is_metadata: true }
}

#[test]
fn obs_publishes_in_the_manner_of_fmle_and_stops() {
    let mut peer = greeted("FMLE/3.0 (compatible; FMSc/1.0)");
    peer.call(0, "releaseStream", 2.0, [text("a")]);
    peer.call(0, "FCPublish", 3.0, [text("a")]);
    peer.call(0, "createStream", 4.0, []);
    let wanted =
        ["_result 2 undefined", "_result 3 undefined", "onFCPublish 3 status NetStream.Publish.Start", "_result 4 1"];
    assert_eq!(peer.said(), wanted);
    peer.call(1, "publish", 5.0, [text("a"), text("live")]);
    assert_eq!(peer.events(), [publish_of(1, "a")]);
    peer.session.accept_publish(1);
    let wanted = ["UserControl(StreamBegin(1))", "onStatus on 1: status NetStream.Publish.Start"];
    assert_eq!(peer.said(), wanted);
    peer.message(type_id::DATA_AMF0, 1, 0, &metadata(&["@setDataFrame", "onMetaData"]));
    peer.message(type_id::VIDEO, 1, 0, VIDEO_HEADER);
    peer.message(type_id::VIDEO, 1, 0, KEY_FRAME);
    peer.message(type_id::AUDIO, 1, 21, AUDIO);
    let wanted = [metadata_event(), video(0, VIDEO_HEADER), video(0, KEY_FRAME), audio(21, AUDIO)];
    assert_eq!(peer.events(), wanted);
    assert_eq!(peer.said(), [""; 0], "a publisher hears nothing while it sends");
    peer.call(0, "FCUnpublish", 6.0, [text("a")]);
    peer.call(0, "deleteStream", 7.0, [number(1.0)]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
}

/// What ffmpeg sends to publish, from C0 to its last byte, with the type 3 chunks that it likes.
fn ffmpeg_bytes() -> Vec<u8> {
    let command = |stream_id, name, id, object, arguments: &[Value]| {
        let body = command_body(name, id, object, arguments);
        message_bytes(type_id::COMMAND_AMF0, stream_id, 0, &body)
    };
    let connect = connect_object("FMLE/3.0 (compatible; Lavf59.27.100)");
    let frame = metadata(&["@setDataFrame", "onMetaData"]);
    let parts = [
        Peer::handshake_bytes(),
        command(0, "connect", 1.0, connect, &[]).to_vec(),
        command(0, "releaseStream", 2.0, Value::Null, &[text("a")]).to_vec(),
        command(0, "FCPublish", 3.0, Value::Null, &[text("a")]).to_vec(),
        command(0, "createStream", 4.0, Value::Null, &[]).to_vec(),
        command(0, "_checkbw", 5.0, Value::Null, &[]).to_vec(),
        command(1, "publish", 6.0, Value::Null, &[text("a"), text("live")]).to_vec(),
        message_bytes(type_id::DATA_AMF0, 1, 0, &frame).to_vec(),
        message_bytes(type_id::VIDEO, 1, 0, VIDEO_HEADER).to_vec(),
        message_bytes(type_id::VIDEO, 1, 0x0100_0000, KEY_FRAME).to_vec(),
        message_bytes(type_id::AUDIO, 1, 0x0100_0005, AUDIO).to_vec(),
        command(0, "FCUnpublish", 7.0, Value::Null, &[text("a")]).to_vec(),
        command(0, "deleteStream", 8.0, Value::Null, &[number(1.0)]).to_vec(),
    ];
    parts.concat()
}

/// Sends `bytes` in pieces of `len`, says yes to all that is asked, and gives all that was told and said.
fn run(bytes: &[u8], len: usize) -> (Vec<Event>, Vec<String>) {
    let mut peer = Peer::new();
    let (mut events, mut said) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(len) {
        peer.send(piece).expect("a good conversation");
        said.extend(peer.said());
        for event in peer.events() {
            match event {
                Event::Publish { stream_id, .. } => peer.session.accept_publish(stream_id),
                Event::Play { stream_id, .. } => peer.session.accept_play(stream_id),
                _ => {}
            }
            events.push(event);
        }
        said.extend(peer.said());
    }
    (events, said)
}

#[test]
fn ffmpeg_publishes_one_byte_at_a_time() {
    let (events, said) = run(&ffmpeg_bytes(), 1);
    let wanted = [
        publish_of(1, "a"),
        metadata_event(),
        video(0, VIDEO_HEADER),
        video(0x0100_0000, KEY_FRAME),
        audio(0x0100_0005, AUDIO),
        Event::Ended { stream_id: 1 },
    ];
    assert_eq!(events[1..], wanted);
    let wanted = [
        "_result 2 undefined",
        "_result 3 undefined",
        "onFCPublish 3 status NetStream.Publish.Start",
        "_result 4 1",
        "_result 5 undefined",
        "UserControl(StreamBegin(1))",
        "onStatus on 1: status NetStream.Publish.Start",
        "_result 7 undefined",
        "onFCUnpublish 7 status NetStream.Unpublish.Success",
        "onStatus on 1: status NetStream.Unpublish.Success",
    ];
    assert_eq!(said[3..], wanted);
}

#[test]
fn it_does_not_matter_where_the_input_is_cut() {
    let bytes = ffmpeg_bytes();
    let wanted = run(&bytes, 1);
    // Longer pieces could hold media behind `publish`, which would come before the yes.
    for len in 2..=12 {
        assert_eq!(run(&bytes, len), wanted, "{len}");
    }
}

#[test]
fn c2_and_connect_may_come_together() {
    let mut peer = Peer::new();
    let connect = command_body("connect", 1.0, connect_object("x"), &[]);
    let connect = message_bytes(type_id::COMMAND_AMF0, 0, 0, &connect);
    let (c0_c1, c2) = (&Peer::handshake_bytes()[..1537], &Peer::handshake_bytes()[1537..]);
    peer.send(c0_c1).expect("C0 and C1");
    peer.send(&[c2, &connect[..]].concat()).expect("C2 and connect");
    assert_eq!(peer.said().len(), 3);
}

#[test]
fn rtmpdump_plays() {
    let mut peer = greeted("LNX 10,0,32,18");
    peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0x26, 0x25, 0xA0]);
    peer.call(0, "createStream", 2.0, []);
    peer.call(0, "_checkbw", 3.0, []);
    assert_eq!(peer.said(), ["_result 2 1", "_result 3 undefined"]);
    let playlist = [("0".to_owned(), text("a")), ("1".to_owned(), text("a"))];
    peer.call(0, "set_playlist", 0.0, [Value::EcmaArray(playlist.to_vec())]);
    peer.call(1, "play", 0.0, [text("a"), number(-1000.0)]);
    peer.message(type_id::USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 0x8C, 0xA0]);
    assert_eq!(peer.events(), [play_of(1, "a")]);
    peer.session.accept_play(1);
    let wanted = [
        "UserControl(StreamBegin(1))",
        "onStatus on 1: status NetStream.Play.Reset",
        "onStatus on 1: status NetStream.Play.Start",
    ];
    assert_eq!(peer.said(), wanted);
    peer.call(1, "pause", 4.0, [Value::Boolean(true), number(1000.0)]);
    assert_eq!(peer.events(), [Event::Pause { stream_id: 1, paused: true }]);
    peer.call(0, "deleteStream", 5.0, [number(1.0)]);
    assert_eq!(peer.events(), [Event::Ended { stream_id: 1 }]);
}

#[test]
fn ffplay_and_vlc_ask_for_the_length_and_play() {
    let mut peer = greeted("LNX 9,0,124,2");
    peer.message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0x26, 0x25, 0xA0]);
    peer.call(0, "createStream", 2.0, []);
    peer.call(0, "FCSubscribe", 3.0, [text("a")]);
    peer.call(0, "getStreamLength", 4.0, [text("a")]);
    let wanted = ["_result 2 1", "_result 3 undefined", "onFCSubscribe 3 status NetStream.Play.Start", "_result 4 0"];
    assert_eq!(peer.said(), wanted);
    peer.call(1, "play", 5.0, [text("a"), number(-2000.0)]);
    assert_eq!(peer.events(), [play_of(1, "a")]);
}

#[test]
fn a_flash_client_speaks_amf3() {
    let mut peer = Peer::new();
    peer.handshake();
    let send = |peer: &mut Peer, type_id, stream_id, body: &[u8]| {
        peer.message(type_id, stream_id, 0, &[&[0], body].concat());
    };
    let object =
        Value::object([("app", text("live")), ("tcUrl", text("rtmp://host/live")), ("objectEncoding", number(3.0))]);
    let connect = command_body("connect", 1.0, object, &[]);
    peer.message(type_id::COMMAND_AMF0, 0, 0, &connect);
    send(&mut peer, type_id::COMMAND_AMF3, 0, &command_body("createStream", 2.0, Value::Null, &[]));
    let publish = command_body("publish", 3.0, Value::Null, &[text("a"), text("live")]);
    send(&mut peer, type_id::COMMAND_AMF3, 1, &publish);
    assert_eq!(peer.events()[1..], [publish_of(1, "a")]);
    peer.session.accept_publish(1);
    send(&mut peer, type_id::DATA_AMF3, 1, &metadata(&["@setDataFrame", "onMetaData"]));
    assert_eq!(peer.events(), [metadata_event()]);
    let wanted = ["_result 2 1", "UserControl(StreamBegin(1))"];
    assert_eq!(peer.said()[3..5], wanted);
}

#[test]
fn garbage_commands_are_ignored() {
    let mut peer = Peer::connected();
    for body in [&[][..], &[0], &[5], &[2, 0xFF, 0xFF], &[0xFF; 60], &[3, 0, 0, 9]] {
        peer.message(type_id::COMMAND_AMF0, 0, 0, body);
        peer.message(type_id::COMMAND_AMF3, 0, 0, body);
    }
    assert_eq!((peer.said(), peer.events()), (vec![], vec![]));
}

#[test]
fn commands_with_arguments_of_the_wrong_kind_do_no_harm() {
    let names = [
        "releaseStream",
        "createStream",
        "FCPublish",
        "FCUnpublish",
        "FCSubscribe",
        "pause",
        "seek",
        "receiveAudio",
        "deleteStream",
        "closeStream",
        "getStreamLength",
        "play2",
        "play",
        "publish",
    ];
    let wrong = [Value::Null, number(f64::NAN), Value::StrictArray(vec![]), Value::object([])];
    for name in names {
        for value in &wrong {
            let mut peer = Peer::connected();
            let arguments = vec![value.clone(); 4];
            // An unusable name of a stream may end the session; `tcUrl` alone names one here.
            peer.try_command(1, name, f64::INFINITY, value.clone(), &arguments).expect(name);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_after_connect_are_read_without_harm(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut peer = Peer::publishing();
        // An error is fine, a panic is not.
        let result = peer.send(&bytes);
        peer.events();
        while peer.session.poll_output().is_some() {}
        if result.is_ok() {
            prop_assert!(peer.session.poll_timeout().is_some());
        }
    }

    #[test]
    fn any_message_to_a_publisher_is_read_without_harm(
        type_id in 0_u8..24,
        stream_id in 0_u32..3,
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        prop_assume!(type_id != type_id::SET_CHUNK_SIZE);
        let mut peer = Peer::publishing();
        let _ = peer.try_message(type_id, stream_id, 0, &body);
        peer.messages();
    }

    #[test]
    fn a_damaged_conversation_ends_or_goes_on(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        len in 1_usize..400,
    ) {
        let mut bytes = ffmpeg_bytes();
        for (index, byte) in damage {
            let index = 1 + index.index(bytes.len() - 1);
            bytes[index] = byte;
        }
        let mut peer = Peer::new();
        for piece in bytes.chunks(len) {
            if peer.send(piece).is_err() {
                break;
            }
            for event in peer.events() {
                if let Event::Publish { stream_id, .. } = event {
                    peer.session.accept_publish(stream_id);
                }
            }
            peer.said();
        }
    }
}
