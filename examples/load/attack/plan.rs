//! What each kind of attack says.
//!
//! Owns: the kinds, their bytes, and how many connections say them how quickly. Does not know sockets.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::BytesMut;
use rtmpd::rtmp::amf0::Value;
use rtmpd::rtmp::chunk::{DEFAULT_CHUNK_SIZE, encode_message};
use rtmpd::rtmp::command::Command;
use rtmpd::rtmp::message::{ControlMessage, UserControl, chunk_stream_id, type_id};

use crate::link::Target;

/// C0 and C1, and C2.
const HANDSHAKE_LEN: usize = 1 + 2 * 1536;
/// So many messages are said before they are said again.
const BLOCK: u32 = 500;
/// Where publishers and their own players share an attack, each so many-th one publishes.
const AUDIENCE: usize = 8;

/// A kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// None: uses the processor, for comparison.
    Spin,
    /// Hundreds of handshakes, ten bytes a second each.
    SlowHandshakes,
    /// Publishers whose chunks have one byte.
    OneByteChunks,
    /// Connect, and close at once.
    Connects,
    /// Connect, say half a handshake, and reset.
    Resets,
    /// Ping requests.
    Pings,
    /// Ping requests, and answers are not read.
    PingsUnread,
    /// Commands of all sorts.
    Commands,
    /// Commands of 60 KB with thousands of values.
    LongCommands,
    /// Publish and unpublish, another name each time.
    Publishes,
    /// Play and stop, a stream that is there.
    Plays,
    /// Publishers of messages without a byte, and players of theirs.
    ZeroLength,
    /// Publishers whose timestamps jump, and players of theirs.
    WildTimestamps,
    /// Names that try to be paths.
    Names,
    /// One address with more connections than it may have.
    OneAddress,
    /// HTTP requests, many in one go.
    Requests,
}

impl Kind {
    /// All of them, with their names.
    pub const ALL: [(&str, Kind); 16] = [
        ("spin", Kind::Spin),
        ("slow_handshakes", Kind::SlowHandshakes),
        ("one_byte_chunks", Kind::OneByteChunks),
        ("connects", Kind::Connects),
        ("resets", Kind::Resets),
        ("pings", Kind::Pings),
        ("pings_unread", Kind::PingsUnread),
        ("commands", Kind::Commands),
        ("long_commands", Kind::LongCommands),
        ("publishes", Kind::Publishes),
        ("plays", Kind::Plays),
        ("zero_length", Kind::ZeroLength),
        ("wild_timestamps", Kind::WildTimestamps),
        ("names", Kind::Names),
        ("one_address", Kind::OneAddress),
        ("requests", Kind::Requests),
    ];

    /// The kind of this name.
    pub fn find(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// What becomes of a connection once its opening is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It says the same again and again.
    Stays,
    /// FIN.
    Closes,
    /// RST.
    Resets,
}

/// See the module.
pub struct Plan {
    kind: Kind,
    app: String,
    /// The name of a stream that is there.
    stream: String,
    /// At the same time.
    pub connections: usize,
    /// Least time between two steps of one connection.
    pub every: Duration,
    /// What is repeated is said in pieces of this.
    pub bytes_per_step: usize,
    /// See there.
    pub end: End,
    /// Whether what the server says is read.
    pub reads: bool,
    /// Whether it goes to the HTTP listener.
    pub is_http: bool,
    /// Where all connections come from; many addresses where there is none.
    pub source: Option<Ipv4Addr>,
}

impl Plan {
    /// How an attack of this kind is done.
    pub fn new(kind: Kind, target: &Target) -> Plan {
        let plan = Plan {
            kind,
            app: target.app.clone(),
            stream: format!("{}0", target.stream),
            connections: 8,
            every: Duration::ZERO,
            bytes_per_step: 64 * 1024,
            end: End::Stays,
            reads: true,
            is_http: kind == Kind::Requests,
            source: None,
        };
        match kind {
            Kind::Spin => Plan { connections: 0, ..plan },
            Kind::SlowHandshakes => {
                Plan { connections: 500, every: Duration::from_millis(100), bytes_per_step: 1, ..plan }
            }
            Kind::Connects => Plan { connections: 64, end: End::Closes, ..plan },
            Kind::Resets => Plan { connections: 64, end: End::Resets, ..plan },
            Kind::PingsUnread => Plan { reads: false, ..plan },
            Kind::ZeroLength | Kind::WildTimestamps => Plan { connections: 4 * AUDIENCE, ..plan },
            Kind::Names => Plan { connections: 32, end: End::Closes, ..plan },
            Kind::OneAddress => {
                let source = Some(Ipv4Addr::new(127, 0, 0, 66));
                Plan { connections: 2_000, every: Duration::from_millis(20), source, ..plan }
            }
            _ => plan,
        }
    }

    /// What connection `number` says first, and what it says again and again after that.
    pub fn words(&self, number: usize) -> (Vec<u8>, Vec<u8>) {
        let mut opening = Words::new();
        let mut block = Words::new();
        if matches!(self.kind, Kind::Spin | Kind::Connects) {
            return (Vec::new(), Vec::new());
        }
        if self.kind == Kind::Requests {
            return (Vec::new(), requests(&self.app).repeat(20));
        }
        opening.handshake();
        match self.kind {
            Kind::SlowHandshakes => return (Vec::new(), opening.finish()),
            Kind::Resets => return (vec![3; HANDSHAKE_LEN / 4], Vec::new()),
            _ => opening.connect(&self.app),
        }
        let own = format!("attack{number}");
        let is_publisher = number.is_multiple_of(AUDIENCE);
        let theirs = format!("attack{}", number / AUDIENCE * AUDIENCE);
        match self.kind {
            Kind::OneByteChunks => {
                opening.publish(1, &own);
                opening.set_chunk_size(1);
                block.chunk_size = 1;
                (0..4).for_each(|_| block.put(type_id::VIDEO, 1, 0, &[&[0x17, 1, 0, 0, 0], &[1; 4091][..]].concat()));
            }
            Kind::Pings | Kind::PingsUnread => {
                (0..BLOCK).for_each(|number| block.control(UserControl::PingRequest(number)));
            }
            Kind::Commands => commands(&mut block),
            Kind::LongCommands => block.command(0, "noSuchThing", &[deep_object(), long_object()]),
            Kind::Publishes => {
                for round in 0..BLOCK {
                    block.publish(1, &format!("attack{number}_{round}"));
                    block.command(0, "deleteStream", &[Value::Number(1.0)]);
                }
            }
            Kind::Plays => {
                for _ in 0..BLOCK {
                    block.play(1, &self.stream);
                    block.command(0, "deleteStream", &[Value::Number(1.0)]);
                }
            }
            Kind::ZeroLength | Kind::WildTimestamps if !is_publisher => opening.play(1, &theirs),
            Kind::ZeroLength => {
                opening.publish(1, &own);
                for number in 0..BLOCK {
                    let kind = if number % 2 == 0 { type_id::VIDEO } else { type_id::AUDIO };
                    block.put(kind, 1, number, &[]);
                }
            }
            Kind::WildTimestamps => {
                opening.publish(1, &own);
                wild_timestamps(&mut block);
            }
            Kind::Names => names(&mut opening, number),
            _ => {}
        }
        (opening.finish(), block.finish())
    }
}

/// Chunks, as they come.
struct Words {
    bytes: BytesMut,
    chunk_size: usize,
    transaction: f64,
}

impl Words {
    fn new() -> Words {
        Words { bytes: BytesMut::new(), chunk_size: DEFAULT_CHUNK_SIZE, transaction: 0.0 }
    }

    fn finish(self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    fn handshake(&mut self) {
        self.bytes.extend_from_slice(&[3]);
        self.bytes.extend_from_slice(&[0; HANDSHAKE_LEN - 1]);
    }

    fn connect(&mut self, app: &str) {
        let tc_url = format!("rtmp://localhost/{app}");
        let object = Value::object([("app", Value::string(app)), ("tcUrl", Value::string(tc_url))]);
        self.command_with(0, "connect", object, &[]);
        self.command(0, "createStream", &[]);
    }

    fn publish(&mut self, stream_id: u32, name: &str) {
        self.command(stream_id, "publish", &[Value::string(name), Value::string("live")]);
    }

    fn play(&mut self, stream_id: u32, name: &str) {
        self.command(stream_id, "play", &[Value::string(name)]);
    }

    fn command(&mut self, stream_id: u32, name: &str, arguments: &[Value]) {
        self.command_with(stream_id, name, Value::Null, arguments);
    }

    fn command_with(&mut self, stream_id: u32, name: &str, object: Value, arguments: &[Value]) {
        self.transaction += 1.0;
        let mut body = BytesMut::new();
        Command::new(name, self.transaction, object, arguments).encode(&mut body);
        self.put(type_id::COMMAND_AMF0, stream_id, 0, &body);
    }

    fn set_chunk_size(&mut self, size: u32) {
        let mut body = BytesMut::new();
        ControlMessage::SetChunkSize(size).encode(&mut body);
        self.put(type_id::SET_CHUNK_SIZE, 0, 0, &body);
    }

    fn control(&mut self, event: UserControl) {
        let mut body = BytesMut::new();
        ControlMessage::UserControl(event).encode(&mut body);
        self.put(type_id::USER_CONTROL, 0, 0, &body);
    }

    fn put(&mut self, kind: u8, stream_id: u32, timestamp: u32, body: &[u8]) {
        let chunk_stream = match kind {
            type_id::AUDIO => chunk_stream_id::AUDIO,
            type_id::VIDEO => chunk_stream_id::VIDEO,
            type_id::COMMAND_AMF0 => chunk_stream_id::DATA,
            _ => chunk_stream_id::CONTROL,
        };
        encode_message(&mut self.bytes, self.chunk_size, chunk_stream, timestamp, kind, stream_id, body);
    }
}

fn commands(block: &mut Words) {
    for number in 0..BLOCK {
        let name = Value::string(format!("some{number}"));
        match number % 5 {
            0 => block.command(0, "createStream", &[]),
            1 => block.command(0, "releaseStream", &[name]),
            2 => block.command(0, "getStreamLength", &[name]),
            3 => block.command(1, "pause", &[Value::Boolean(true), Value::Number(0.0)]),
            _ => block.command(0, "deleteStream", &[Value::Number(2.0)]),
        }
    }
}

/// 3,000 members.
fn long_object() -> Value {
    Value::Object((0..3_000).map(|number| (format!("member{number}"), Value::Null)).collect())
}

/// Objects in objects.
fn deep_object() -> Value {
    (0..1_000).fold(Value::Null, |inner, _| Value::object([("a", inner)]))
}

/// A header, and then key frames and sound somewhere in 49 days.
fn wild_timestamps(block: &mut Words) {
    let headers: [(u8, &[u8]); 2] = [
        (type_id::VIDEO, &[0x17, 0, 0, 0, 0, 1, 0x42, 0xC0, 0x1E, 0xFF, 0xE0, 0]),
        (type_id::AUDIO, &[0xAF, 0, 0x12, 0x10]),
    ];
    headers.iter().for_each(|(kind, body)| block.put(*kind, 1, 0, body));
    let mut state = 1_u32;
    for number in 0..BLOCK {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (kind, body): (u8, &[u8]) = match number % 3 {
            0 => (type_id::VIDEO, &[0x17, 1, 0x7F, 0xFF, 0xFF, 0, 0, 0, 2, 0x65, 1]),
            1 => (type_id::VIDEO, &[0x27, 1, 0x80, 0, 0, 0, 0, 0, 2, 0x41, 1]),
            _ => (type_id::AUDIO, &[0xAF, 1, 2, 3, 4]),
        };
        block.put(kind, 1, state, body);
    }
}

/// Applications and streams that are no names.
fn names(opening: &mut Words, number: usize) {
    let long = "x".repeat(20_000);
    let all = [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "a/../../b",
        "..\\..\\windows",
        "a\0b",
        ".",
        "..",
        "con?key=../../x",
        "\u{202E}gnp",
        "a\r\nSet-Cookie: b",
        long.as_str(),
    ];
    let name = all.get(number % all.len()).copied().unwrap_or_default();
    opening.connect(name);
    opening.publish(1, name);
    opening.put(type_id::AUDIO, 1, 0, &[0xAF, 0, 0x12, 0x10]);
    opening.put(type_id::AUDIO, 1, 20, &[0xAF, 1, 2, 3, 4]);
    opening.play(2, name);
}

/// Requests for what is there and what is not.
fn requests(app: &str) -> Vec<u8> {
    let paths = [
        "/healthz",
        "/live/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        &format!("/{app}/nothing.m3u8"),
        &format!("/{app}/nothing.flv"),
        "/metrics",
        "/",
        "/api/v1/streams",
    ];
    let request = |path: &&str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    paths.iter().map(request).collect::<String>().into_bytes()
}
