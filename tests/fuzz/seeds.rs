//! Inputs to begin with: what programs that mean well send.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtmpd::config::{Config, SessionLimits, to_toml};
use rtmpd::container::flv::file::{mux_file_header, mux_tag};
use rtmpd::rtmp::amf0::{self, Value};
use rtmpd::rtmp::amf3;
use rtmpd::rtmp::chunk::encode_message;
use rtmpd::rtmp::command::Command;
use rtmpd::rtmp::message::type_id;
use rtmpd::rtmp::server::{Event, ServerSession, SessionConfig};

type Seeds = Vec<(String, Vec<u8>)>;

/// Bytes of a handshake's two packets and the version.
const HANDSHAKE_BYTES: usize = 3073;

/// The seeds of a target, with names.
pub fn of(target: &str) -> Seeds {
    let (heads, bodies) = match target {
        "handshake" => (vec![vec![0, 0, 1], vec![9, 3, 2], vec![14, 0x63, 3]], vec![("nothing", vec![])]),
        "chunk_decoder" => (vec![vec![3, 0], vec![2, 9], vec![0, 14]], chunks()),
        "amf0" => (vec![vec![]], messages()),
        "amf3" => (vec![vec![]], amf3_values()),
        "server_session" => (vec![vec![2, 0], vec![0x86, 9], vec![0x42, 14]], chunks()),
        "client_session" => (vec![vec![0, 0], vec![8, 13], vec![4, 6]], answers()),
        "flv_demux" => (vec![vec![0, 1], vec![9, 1]], vec![("file", file())]),
        "flv_tag" => (vec![vec![0, 0, 0, 40], vec![0xFF, 0xFF, 0xFF, 0]], tag_bodies()),
        "config" => (vec![vec![]], configs()),
        "path" => (vec![vec![]], names()),
        "engine" => (vec![vec![3]], scripts()),
        _ => panic!("no seeds for {target}"),
    };
    let mut seeds = Vec::new();
    for (name, body) in bodies {
        for (number, head) in heads.iter().enumerate() {
            seeds.push((format!("{name}-{number}"), [head.as_slice(), &body].concat()));
        }
    }
    seeds
}

fn message(type_id: u8, stream_id: u32, timestamp: u32, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_message(&mut out, 128, 3 + u32::from(type_id == 9), timestamp, type_id, stream_id, body);
    out.to_vec()
}

fn command(stream_id: u32, name: &str, object: Value, arguments: &[Value]) -> Vec<u8> {
    let mut body = BytesMut::new();
    Command::new(name, 2.0, object, arguments).encode(&mut body);
    message(type_id::COMMAND_AMF0, stream_id, 0, &body)
}

fn connect() -> Vec<u8> {
    let object = Value::object([
        ("app", Value::string("live")),
        ("tcUrl", Value::string("rtmp://host:1935/live")),
        ("objectEncoding", Value::Number(0.0)),
        ("fourCcList", Value::StrictArray(vec![Value::string("av01"), Value::string("*")])),
    ]);
    command(0, "connect", object, &[])
}

fn values(values: &[Value]) -> Vec<u8> {
    let mut out = BytesMut::new();
    values.iter().for_each(|value| amf0::write_value(&mut out, value));
    out.to_vec()
}

fn metadata() -> Vec<u8> {
    let members = [("width", Value::Number(640.0)), ("framerate", Value::Number(30.0))];
    values(&[Value::string("@setDataFrame"), Value::string("onMetaData"), Value::ecma_array(members)])
}

/// What clients send behind the handshake.
fn chunks() -> Vec<(&'static str, Vec<u8>)> {
    let text = Value::string;
    let publish = command(1, "publish", Value::Null, &[text("x?key=1"), text("live")]);
    let play = command(1, "play", Value::Null, &[text("x"), Value::Number(-2.0), Value::Number(-1.0)]);
    let publisher = [
        connect(),
        message(type_id::SET_CHUNK_SIZE, 0, 0, &[0, 0, 16, 0]),
        command(0, "releaseStream", Value::Null, &[text("x")]),
        command(0, "FCPublish", Value::Null, &[text("x")]),
        command(0, "createStream", Value::Null, &[]),
        publish.clone(),
        message(type_id::DATA_AMF0, 1, 0, &metadata()),
        message(type_id::VIDEO, 1, 0, &[0x17, 0, 0, 0, 0, 1]),
        message(type_id::AUDIO, 1, 0, &[0xAF, 0, 0x12, 0x10]),
        message(type_id::VIDEO, 1, 0x0100_0000, &[0x17; 300]),
        // The same chunk stream goes on with short headers: types 1, 2 and 3.
        vec![0x44, 0, 0, 40, 0, 0, 2, 9, 0x27, 1, 0x84, 0, 0, 40, 0x27, 1, 0xC4, 0x27, 1],
        message(type_id::USER_CONTROL, 0, 0, &[0, 6, 0, 0, 0, 9]),
        command(0, "FCUnpublish", Value::Null, &[text("x")]),
        command(0, "deleteStream", Value::Null, &[Value::Number(1.0)]),
    ];
    let player = [
        connect(),
        message(type_id::WINDOW_ACKNOWLEDGEMENT_SIZE, 0, 0, &[0, 0, 0, 100]),
        command(0, "createStream", Value::Null, &[]),
        play.clone(),
        message(type_id::USER_CONTROL, 0, 0, &[0, 3, 0, 0, 0, 1, 0, 0, 1, 0]),
        command(1, "pause", Value::Null, &[Value::Boolean(true), Value::Number(0.0)]),
        command(1, "receiveVideo", Value::Null, &[Value::Boolean(false)]),
        command(1, "seek", Value::Null, &[Value::Number(0.0)]),
        play,
        command(1, "closeStream", Value::Null, &[]),
    ];
    let amf3 = [&[0][..], &values(&[text("createStream"), Value::Number(2.0), Value::Null])].concat();
    let aggregate = [8, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0, 0xAF, 0, 0, 0, 12, 9, 0, 0, 1, 0, 0, 9, 0, 0, 0, 0, 0x17];
    let odd = [
        connect(),
        message(type_id::COMMAND_AMF3, 0, 0, &amf3),
        publish,
        message(type_id::AGGREGATE, 1, 50, &aggregate),
        message(type_id::ABORT, 0, 0, &[0, 0, 0, 3]),
        vec![0x00, 10, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 0xAF, 0x41, 1, 1, 0, 0, 1, 0, 0, 1, 8, 7],
    ];
    vec![("publisher", publisher.concat()), ("player", player.concat()), ("odd", odd.concat())]
}

/// What our own server answers to those, behind its handshake.
fn answers() -> Vec<(&'static str, Vec<u8>)> {
    let now = Instant::now();
    let config = SessionConfig { chunk_size: 4096, limits: SessionLimits::default() };
    let mut hello = vec![0; HANDSHAKE_BYTES];
    hello[0] = 3;
    let said = |bytes: &[u8]| {
        let mut session = ServerSession::new(now, Arc::new(config.clone()), 7);
        session.handle_input(now, &hello).unwrap();
        session.poll_output();
        session.handle_input(now, bytes).unwrap();
        while let Some(event) = session.poll_event() {
            match event {
                Event::Publish { stream_id, .. } => session.accept_publish(stream_id),
                Event::Play { stream_id, .. } => session.accept_play(stream_id),
                _ => {}
            }
        }
        session.shut_down("the end");
        let media = [message(9, 1, 5, &[0x17, 1, 0, 0, 0]), message(18, 1, 5, &metadata())];
        [session.poll_output().unwrap().to_vec(), media.concat()].concat()
    };
    chunks().into_iter().map(|(name, bytes)| (name, said(&bytes))).collect()
}

fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let object = Value::object([("a", Value::Null), ("b", Value::Boolean(true))]);
    let of_amf3 = Value::Amf3(amf3::Value::object([("x", amf3::Value::Integer(-1))]));
    let date = Value::Date { epoch_ms: 1.0, time_zone_minutes: -60 };
    let typed = Value::TypedObject { class: "C".into(), members: vec![("m".into(), Value::Undefined)] };
    vec![
        ("metadata", metadata()),
        ("command", values(&[Value::string("connect"), Value::Number(1.0), object.clone(), Value::string("x")])),
        ("all", values(&[object, of_amf3, date, typed, Value::XmlDocument("<a/>".into()), Value::Unsupported])),
        // An array of one object and two references to it.
        ("references", b"\x0A\0\0\0\x03\x03\0\x01a\x05\0\0\x09\x07\0\x01\x07\0\x01".to_vec()),
        ("cut", b"\0\x02\0\x01c\0\x3F\xF0\0\0\0\0\0\0\x03\0\x03app\x0C\0\0\0\x04live\0".to_vec()),
    ]
}

fn amf3_values() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("object", b"\x0A\x23\x07p.C\x03a\x01\x04\x01\x01".to_vec()),
        ("dynamic", b"\x0A\x0B\x01\x07app\x06\x09live\x03b\x05\x3F\xF8\0\0\0\0\0\0\x01".to_vec()),
        ("traits", b"\x09\x07\x01\x0A\x13\x03P\x03x\x04\x01\x0A\x01\x04\x02\x0A\x02".to_vec()),
        ("nested", b"\x09\x07\x01\x09\x05\x01\x09\x03\x01\x04\x01\x09\x04\x09\x02\x09\x04".to_vec()),
        ("wrapped", b"\x0A\x07\x43flex.messaging.io.ArrayCollection\x09\x03\x01\x04\x07".to_vec()),
        ("vectors", b"\x09\x07\x01\x0D\x03\x01\xFF\xFF\xFF\xFF\x10\x05\x00\x03*\x01\x06\x03x\x0C\x05ab".to_vec()),
        ("dictionary", b"\x11\x05\x01\x04\x01\x06\x03x\x08\x01\0\0\0\0\0\0\0\0\x0B\x09<b/>".to_vec()),
    ]
}

fn file() -> Vec<u8> {
    let mut out = BytesMut::new();
    mux_file_header(&mut out, true, true);
    mux_tag(&mut out, 18, 0, &metadata());
    mux_tag(&mut out, 9, 0xFF00_0001, &[0x17, 1, 0, 0, 0]);
    mux_tag(&mut out, 8, 40, &[]);
    out.to_vec()
}

fn tag_bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("avc", b"\x17\x01\0\0\x28nal".to_vec()),
        ("avc-header", b"\x17\0\0\0\0\x01\x64".to_vec()),
        ("aac", b"\xAF\x01frame".to_vec()),
        ("mp3", b"\x2Fframe".to_vec()),
        ("hevc-frames", b"\x91hvc1\0\0\x28nal".to_vec()),
        ("avc-frames-x", b"\xA3avc1nal".to_vec()),
        ("one-track", b"\x96\x01avc1\x02\0\0\x28nal".to_vec()),
        ("many-tracks", b"\x96\x11hvc1\x00\0\0\x04\0\0\0n\x01\0\0\x05\0\0\x09na".to_vec()),
        ("many-codecs", b"\x96\x20av01\x00\0\0\x02hdavc1\x01\0\0\x01h".to_vec()),
        ("mod-ex", b"\x97\x02abc\x01\x97\xFF\0\x01ab\x31avc1\0\0\0nal".to_vec()),
        ("opus", b"\x91Opusframe".to_vec()),
        ("many-sounds", b"\x95\x11mp4a\x00\0\0\x02ab\x07\0\0\x01c".to_vec()),
        ("channels", b"\x94mp4a\x01\x02\0\0\0\x03".to_vec()),
    ]
}

fn configs() -> Vec<(&'static str, Vec<u8>)> {
    let whole = to_toml(&Config::default()).unwrap();
    vec![
        ("whole", whole.into_bytes()),
        ("app", b"[default]\njoin = \"gop\"\n[app.\"a/b\"]\ntakeover = \"reject\"\n[server]\nport = 0\n".to_vec()),
        ("range", b"[limits.queue]\nlag_ms = 1\n[limits.hub.cache]\ngop_bytes = 99999999\n".to_vec()),
        ("wrong", b"# a\n[server]\nbind = \"::1\"\nprot = 1\nchunk_size = 1e3\n".to_vec()),
    ]
}

fn names() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("usual", b"rtmp://host:1935/live\nlive\nx?key=1".to_vec()),
        ("quoted", b"'rtmp://u@[::1]:1/app/inst?a=b/'\napp\nmp4:dir/x.mp4?vhost=other".to_vec()),
        ("only-name", b"\n\nlive/0/x%20y.flv".to_vec()),
        ("queries", b"rtmp://host\nlive/0?a=1\n?a=1".to_vec()),
        ("dots", b"http://h/%2e%2e/a\n.\n%2f..%5C".to_vec()),
    ]
}

/// Steps of the engine's target.
fn scripts() -> Vec<(&'static str, Vec<u8>)> {
    let publish_and_play = [
        &[0, 0, 1, 0, 1, 1, 0x42, 0, 0][..],
        &[0x44, 0, 0, 0, 0x44, 0, 1, 0, 0x44, 0, 2, 40, 0x44, 0, 4, 1],
        &[0x43, 1, 0, 0x44, 0, 3, 40, 0x46, 0, 0x44, 0, 4, 20, 13, 1],
    ]
    .concat();
    let leave = [&publish_and_play[..], &[14, 0, 11, 0, 3, 232, 13, 1, 11, 0, 20, 0, 13, 1]].concat();
    let slow = [
        &publish_and_play[..],
        &[12, 1, 2, 0x45, 0, 2, 40, 0xF0, 0, 0x45, 0, 3, 40, 0xF0, 0, 11, 1, 11, 0, 12, 1, 5],
        &[0x45, 0, 2, 40, 1, 0, 13, 1, 0x47, 1, 0x67, 1, 0x48, 1, 11, 0, 0xFF, 0xFF],
    ]
    .concat();
    let raw = [&[1, 0, 9, 0, 5][..], b"\x02\0\0\0\0", &[0x4A, 0, 2, 9, 0, 0, 0, 1, 0x17, 1, 0, 0]].concat();
    vec![("publish-and-play", publish_and_play), ("leave", leave), ("slow", slow), ("raw", raw)]
}
