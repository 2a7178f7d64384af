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
        "http_request" => (vec![vec![0, 0], vec![2, 9], vec![4, 14]], requests()),
        "http_response" => (vec![vec![0, 0], vec![1, 9]], responses()),
        "websocket" => (vec![vec![0, 0], vec![4, 9]], websocket_frames()),
        "codec_records" => (vec![vec![]], records()),
        "ts_mux" | "fmp4_mux" => (vec![vec![]], frames()),
        "access" => (vec![vec![7, 0], vec![15, 1], vec![20, 0x82]], credentials()),
        "callback" => (vec![vec![1, 0], vec![10, 9], vec![5, 14]], callbacks()),
        "hls" => (vec![vec![0], vec![1], vec![6]], viewing()),
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
        ("range", b"[default.queue]\nlag_ms = 1\n[app.a.cache]\ngop_bytes = 99999999\n".to_vec()),
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
        &[0x44, 0, 250, 0, 0x44, 0, 253, 0, 0x44, 0, 2, 40, 0x44, 0, 4, 1],
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
    // Viewers of FLV, MPEG-TS and fragmented MP4, one of whom waits, one is slow, and one goes.
    let mut viewers = vec![0x80, 0, 0x81, 0, 4, 0x80, 0, 0x81, 0, 7];
    viewers.extend(&publish_and_play);
    viewers.extend([0x80, 0, 0x81, 0, 0, 0x80, 0, 0x81, 0, 2, 0x44, 0, 2, 40, 0x44, 0, 4, 20, 0x44, 0, 3, 40]);
    viewers.extend([0x8C, 1, 1, 0x45, 0, 2, 40, 0xF0, 0, 0x8D, 0, 0xFD, 1, 0x8E, 2, 11, 0, 0x27, 0x10, 0x8D, 0]);
    vec![("publish-and-play", publish_and_play), ("viewers", viewers), ("leave", leave), ("slow", slow), ("raw", raw)]
}

fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = "POST /api/v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
        4;x=y\r\nbody\r\n0\r\nTrailer: t\r\n\r\n";
    let preflight = "OPTIONS /live HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\
        Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x\r\n\r\n";
    let upgrade = "GET /live/x.flv HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let pipelined = "GET /a%20b/../c?x=1&y HTTP/1.1\r\nHost: a:80\r\n\r\nHEAD http://h/e HTTP/1.1\r\nHost: h\r\n\r\n";
    vec![
        ("pipelined", pipelined.into()),
        ("chunked", chunked.into()),
        ("preflight", preflight.into()),
        ("upgrade", [upgrade.as_bytes(), &websocket_frames()[0].1].concat()),
        ("old", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nRange: bytes=0-\r\n\r\n".to_vec()),
        ("length", b"PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc".to_vec()),
        ("two-lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc".to_vec()),
    ]
}

fn responses() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("length", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()),
        ("chunked", b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n".to_vec()),
        ("until-close", b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it".to_vec()),
        ("none", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        ("url", b"http://host:8080/hook/publish?x=1".to_vec()),
        ("url-6", b"http://[::1]/%41?\x20".to_vec()),
    ]
}

fn websocket_frames() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("text", b"\x81\x85\0\0\0\0hello\x89\x81\0\0\0\0p\x88\x82\0\0\0\0\x03\xE8".to_vec()),
        ("fragments", b"\x01\x82\0\0\0\0ab\x89\x80\x01\x02\x03\x04\x80\x81\0\0\0\0c".to_vec()),
        ("long", [&b"\x82\xFE\0\x81\x01\x02\x03\x04"[..], &[7; 129]].concat()),
    ]
}

const AVC: &[u8] = b"\x01\x64\x00\x0c\xff\xe1\x00\x1a\x67\x64\x00\x0c\xac\xd9\x41\x41\x9f\x9f\x01\x10\x00\x00\x03\x00\
    \x10\x00\x00\x03\x03\x20\xf1\x42\x99\x60\x01\x00\x06\x68\xeb\xe3\xcb\x22\xc0\xfd\xf8\xf8\x00";
const HEVC: &[u8] = b"\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x3c\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03\
    \x20\0\x01\0\x18\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x95\x98\x09\
    \x21\0\x01\0\x2a\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x48\x0b\x9c\
    \x95\x96\x56\x69\x24\xca\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0c\x84\
    \x22\0\x01\0\x07\x44\x01\xc1\x72\xb4\x62\x40";
const AV1: &[u8] = b"\x81\0\x0C\0\x0A\x0B\x02\0\0\x05\x21\xE7\xF6\x60\x17\xC0\x02";
const VP9: &[u8] = b"\x01\0\0\0\0\x0b\x82\x02\x02\x02\0\0";
const OPUS: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
const FLAC: &[u8] = b"fLaC\x80\0\0\x22\x04\0\x04\0\0\0\0\0\x08\x15\x0B\xB8\x00\xF0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn records() -> Vec<(&'static str, Vec<u8>)> {
    let record = |codec: u8, bytes: &[u8]| [&[codec], bytes].concat();
    vec![
        ("avc", record(0, AVC)),
        ("avc-sps", record(0, &AVC[8..34])),
        ("hevc", record(1, HEVC)),
        ("hevc-sps", record(1, &HEVC[57..99])),
        ("aac", record(2, b"\x13\x08\x56\xe5\x9d\x48\x80")),
        ("aac-elements", record(2, b"\x12\x00\x05\x08\x48\x00\x20\x00\xc4\x40\x0dLavc59.37.100\x56\xe5\x00")),
        ("av1", record(3, AV1)),
        ("vp9", record(4, VP9)),
        ("vp9-frame", record(4, b"\x82\x49\x83\x42\0\x13\xF0\x0B\x36")),
        ("opus", record(5, OPUS)),
        ("flac", record(6, FLAC)),
        ("ac3", record(7, b"\x0B\x77\0\0\x14\x40\x43\xE1")),
        ("eac3", record(7, b"\x0B\x77\0\x05\x3F\x85\xE1\0\0\0\0\0\x0B\x77")),
        ("mp3", record(8, b"\xFF\xFB\x90\x64frame")),
        ("units", record(9, b"\0\0\0\x05\x65ab\0\0\0\0\0\x02\x06\x03")),
    ]
}

/// Steps of the muxers' targets: flags, time, length, body.
fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let step = |flags: u8, passed: u8, body: &[&[u8]]| {
        let body = body.concat();
        [&[flags, passed, body.len() as u8], &body[..]].concat()
    };
    let nals = b"\0\0\0\x03\x65ab\0\0\0\x01\x06";
    let avc = [
        step(0, 0, &[b"\x17\0\0\0\0", AVC]),
        step(1, 0, &[b"\xAF\0\x11\x90"]),
        step(0, 0, &[b"\x17\x01\0\0\x50", nals]),
        step(1, 21, &[b"\xAF\x01", b"sound"]),
        step(0, 19, &[b"\x27\x01\0\0\0", nals]),
        step(2, 40, &[b"\x37\x01\0\0\0", nals]),
        step(5, 21, &[b"\xAF\x01", b"sound"]),
        step(6, 40, &[b"\x17\x01\0\0\0", nals]),
        step(0x80, 40, &[b"\x27\x01\0\0\0\0\0\x04\0"]),
    ];
    let hevc = [
        step(0, 0, &[b"\x90hvc1", HEVC]),
        step(1, 0, &[b"\x90Opus", OPUS]),
        step(0, 5, &[b"\x91hvc1\0\0\x28", b"\0\0\0\x03\x26\x01a"]),
        step(1, 20, &[b"\x91Opus\xFC", b"x"]),
        step(0, 40, &[b"\xA3hvc1", b"\0\0\0\x03\x02\x01a"]),
        step(6, 255, &[b"\x91hvc1\0\0\x28", b"\0\0\0\x03\x26\x01a"]),
    ];
    let others = [
        step(0, 0, &[b"\x90av01", AV1]),
        step(1, 0, &[b"\x90fLaC", FLAC]),
        step(0, 5, &[b"\x91av01\x12\0", &AV1[4..]]),
        step(1, 5, &[b"\x91fLaC\xFF\xF8\xC9"]),
        step(0, 0, &[b"\x90vp09", VP9]),
        step(1, 5, &[b"\x91ac-3", b"\x0B\x77\0\0\x14\x40\x43\xE1"]),
        step(0, 5, &[b"\x91vp09", b"\x82\x49\x83\x42\0\x13\xF0\x0B\x36"]),
        step(1, 5, &[b"\x2F", b"\xFF\xFB\x90\x64frame"]),
        step(2, 254, &[b"\x91ec-3", b"x"]),
    ];
    vec![("avc", avc.concat()), ("hevc", hevc.concat()), ("others", others.concat())]
}

/// A network and a query.
fn credentials() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("key", b"10.0.0.0/8\nkey=of%20the%20application".to_vec()),
        ("stream-key", b"2001:db8::/32\nx=1&%6bey=of%2Fone+stream&join=gop".to_vec()),
        ("signed", b"10.0.0.1\nexpires=1709208000&signature=00ff".to_vec()),
        ("both", b"::/0\nkey=x&expires=%31&signature=zz&signature=1".to_vec()),
    ]
}

/// A URL, what a client said, and an answer; lines.
fn callbacks() -> Vec<(&'static str, Vec<u8>)> {
    let said = "host\nlive/inner\nca\"m\nkey=a%20b&x\nrtmp://host/live\nFMLE/3.0\n\nhttp://p/?a&b\n";
    let hostile = "h\na\n&name=x\nname=x&%6eame=y&NAME[]=z&a=1;addr=2&+app=b\n\\u0000\n\n\n\n";
    vec![
        ("allowed", format!("http://a:8000/x?y=1\n{said}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").into()),
        ("renamed", format!("http://[::1]\n{said}HTTP/1.1 302 F\r\nLocation: caf%C3%A9 1\r\n\r\n").into()),
        ("refused", format!("\n{hostile}HTTP/1.0 403 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").into()),
    ]
}

/// Steps of the target for HLS.
fn viewing() -> Vec<(&'static str, Vec<u8>)> {
    let mut group = vec![0x20];
    group.extend([0x32, 0x15].repeat(14));
    let published = [&[7, 8][..], &group.repeat(6)].concat();
    let blocked = [&published[..], &[15, 12, 0x13, 15, 0x0C, 2, 0x0D, 3], &group, b"\x0E\x0Akey=a\"\n#EXT"].concat();
    let resumed = [&published[..], &[15, 0x0A, 9, 3, 232, 0x8A, 0x47, 15], &group.repeat(3), &[15, 0xFA, 15]].concat();
    let audio = [&[8][..], &[0x35; 80], &[15, 9, 40, 0, 15]].concat();
    vec![("published", [&published[..], &[15]].concat()), ("blocked", blocked), ("resumed", resumed), ("audio", audio)]
}
