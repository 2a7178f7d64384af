//! A client in memory: sends what it is told and writes down what the session says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::config::SessionLimits;
use crate::rtmp::amf0::{Value, ValueRef, write_value};
use crate::rtmp::chunk::{ChunkDecoder, ChunkLimits, encode_message};
use crate::rtmp::command::Command;
use crate::rtmp::message::{ControlMessage, Message, type_id};
use crate::rtmp::server::{Event, ServerSession, SessionConfig, SessionError};

/// Bytes of S0, S1 and S2.
const HANDSHAKE_BYTES: usize = 3073;
/// Chunk size that the peer of a test writes with after its Set Chunk Size; no message of a test is split.
const CHUNK_SIZE: usize = 128;

pub(crate) struct Peer {
    pub(crate) session: ServerSession,
    pub(crate) now: Instant,
    decoder: ChunkDecoder,
    handshake_left: usize,
    /// Bytes sent so far.
    pub(crate) sent: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self::with_limits(SessionLimits::default())
    }

    pub(crate) fn with_limits(limits: SessionLimits) -> Self {
        let now = Instant::now();
        let config = Arc::new(SessionConfig { chunk_size: 4096, limits });
        let limit = 16 << 20;
        let decoder =
            ChunkDecoder::new(ChunkLimits { message_bytes: limit, partial_bytes: 2 * limit, chunk_streams: 64 });
        let session = ServerSession::new(now, config, 7);
        Peer { session, now, decoder, handshake_left: HANDSHAKE_BYTES, sent: 0 }
    }

    /// A peer that has done its handshake and `connect`; what was said to that is forgotten.
    pub(crate) fn connected() -> Self {
        Self::connected_with(SessionLimits::default())
    }

    pub(crate) fn connected_with(limits: SessionLimits) -> Self {
        let mut peer = Self::with_limits(limits);
        peer.handshake();
        peer.connect();
        peer.said();
        peer.events();
        peer
    }

    /// A peer that publishes `live/a` on message stream 1; what was said to that is forgotten.
    pub(crate) fn publishing() -> Self {
        Self::publishing_with(SessionLimits::default())
    }

    pub(crate) fn publishing_with(limits: SessionLimits) -> Self {
        let mut peer = Self::connected_with(limits);
        peer.call(0, "createStream", 2.0, []);
        peer.call(1, "publish", 3.0, [text("a"), text("live")]);
        peer.session.accept_publish(1);
        peer.said();
        peer.events();
        peer
    }

    /// A peer that plays `live/a` on message stream 1; what was said to that is forgotten.
    pub(crate) fn playing() -> Self {
        let mut peer = Self::connected();
        peer.call(0, "createStream", 2.0, []);
        peer.call(1, "play", 3.0, [text("a")]);
        peer.session.accept_play(1);
        peer.said();
        peer.events();
        peer
    }

    /// Bytes of a simple handshake: C0, C1 and C2.
    pub(crate) fn handshake_bytes() -> Vec<u8> {
        let mut bytes = vec![0; HANDSHAKE_BYTES];
        bytes[0] = 3;
        bytes
    }

    pub(crate) fn handshake(&mut self) {
        self.send(&Self::handshake_bytes()).expect("handshake");
    }

    pub(crate) fn connect(&mut self) {
        let members = [("app", text("live")), ("tcUrl", text("rtmp://host/live"))];
        self.connect_with(Value::object(members)).expect("connect");
    }

    pub(crate) fn connect_with(&mut self, object: Value) -> Result<(), SessionError> {
        self.try_command(0, "connect", 1.0, object, &[])
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.sent += bytes.len();
        self.session.handle_input(self.now, bytes)
    }

    pub(crate) fn message(&mut self, type_id: u8, stream_id: u32, timestamp: u32, body: &[u8]) {
        self.try_message(type_id, stream_id, timestamp, body).expect("message");
    }

    pub(crate) fn try_message(
        &mut self,
        type_id: u8,
        stream_id: u32,
        timestamp: u32,
        body: &[u8],
    ) -> Result<(), SessionError> {
        self.send(&message_bytes(type_id, stream_id, timestamp, body))
    }

    /// A command without a command object, which must not be an error.
    pub(crate) fn call<const N: usize>(&mut self, stream_id: u32, name: &str, id: f64, arguments: [Value; N]) {
        self.try_call(stream_id, name, id, arguments).expect(name);
    }

    pub(crate) fn try_call<const N: usize>(
        &mut self,
        stream_id: u32,
        name: &str,
        id: f64,
        arguments: [Value; N],
    ) -> Result<(), SessionError> {
        self.try_command(stream_id, name, id, Value::Null, &arguments)
    }

    pub(crate) fn try_command(
        &mut self,
        stream_id: u32,
        name: &str,
        id: f64,
        object: Value,
        arguments: &[Value],
    ) -> Result<(), SessionError> {
        let body = command_body(name, id, object, arguments);
        self.try_message(type_id::COMMAND_AMF0, stream_id, 0, &body)
    }

    pub(crate) fn wait(&mut self, millis: u64) -> Result<(), SessionError> {
        self.now += Duration::from_millis(millis);
        self.session.handle_timeout(self.now)
    }

    /// When the session wants to be woken, in milliseconds from now.
    pub(crate) fn timeout_ms(&self) -> Option<u128> {
        let timeout = self.session.poll_timeout()?;
        Some(timeout.saturating_duration_since(self.now).as_millis())
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// Messages of the session since the last call.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(output) = self.session.poll_output() {
            let handshake = self.handshake_left.min(output.len());
            self.handshake_left -= handshake;
            let mut rest = &output[handshake..];
            while let Some(message) = self.decoder.decode(&mut rest).expect("framing") {
                messages.push(message);
            }
        }
        messages
    }

    /// What the session said since the last call, one short line for each message.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.messages().iter().map(describe).collect()
    }
}

/// A string value.
pub(crate) fn text(text: &str) -> Value {
    Value::string(text)
}

/// A number value.
pub(crate) fn number(number: f64) -> Value {
    Value::Number(number)
}

pub(crate) fn command_body(name: &str, id: f64, object: Value, arguments: &[Value]) -> BytesMut {
    let command = Command { name: name.to_owned(), transaction_id: id, object, arguments: arguments.to_vec() };
    let mut body = BytesMut::new();
    command.encode(&mut body);
    body
}

/// Bytes of a data message.
pub(crate) fn values(values: &[Value]) -> Bytes {
    let mut body = BytesMut::new();
    for value in values {
        write_value(&mut body, value);
    }
    body.freeze()
}

pub(crate) fn message_bytes(type_id: u8, stream_id: u32, timestamp: u32, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let chunk_stream_id = if type_id < 8 { 2 } else { u32::from(type_id) };
    encode_message(&mut out, CHUNK_SIZE, chunk_stream_id, timestamp, type_id, stream_id, body);
    out
}

/// Like `_result 1 2` (transaction id and value), `onStatus on 1: status NetStream.Play.Start`,
/// `UserControl(StreamBegin(1))`.
fn describe(message: &Message) -> String {
    let stream_id = message.stream_id;
    match message.type_id {
        type_id::COMMAND_AMF0 => {
            let command = Command::decode(message.type_id, &message.payload).expect("command");
            let value = command.arguments.first().map(describe_value).unwrap_or_default();
            match command.name.as_str() {
                "onStatus" => format!("onStatus on {stream_id}: {value}"),
                name => format!("{name} {} {value}", command.transaction_id),
            }
        }
        type_id => format!("{:?}", ControlMessage::decode(type_id, &message.payload).expect("?")),
    }
}

fn describe_value(value: &Value) -> String {
    let member = |name| value.view().member(name).and_then(ValueRef::as_str);
    match (value, member("level"), member("code")) {
        (Value::Undefined, ..) => "undefined".to_owned(),
        (Value::Number(number), ..) => number.to_string(),
        (_, Some(level), Some(code)) => format!("{level} {code}"),
        (value, ..) => format!("{value:?}"),
    }
}
