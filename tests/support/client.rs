//! A client that writes what it is told and decodes what it reads.

use bytes::BytesMut;
use rtmpd::rtmp::amf0::{Value, ValueRef, read_values, write_value};
use rtmpd::rtmp::chunk::{ChunkDecoder, ChunkLimits, encode_message};
use rtmpd::rtmp::command::Command;
use rtmpd::rtmp::message::{ControlMessage, Message, type_id};

use super::media::Body;
use super::world::{LinkId, World};

/// C0, C1 and C2, and S0, S1 and S2.
const HANDSHAKE_BYTES: usize = 3073;
/// Chunk size of the client after its Set Chunk Size.
pub const CHUNK_SIZE: usize = 4096;

/// An audio, video or data message that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub message_stream: u32,
    pub type_id: u8,
    pub timestamp: u32,
    pub payload: Vec<u8>,
}

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Media(Seen),
    /// Another message as a short line: `onStatus 1 NetStream.Play.Start`, `_result 0`, `StreamBegin(1)`.
    Said(String),
}

/// One peer of the engine.
#[derive(Debug)]
pub struct Client {
    pub link: LinkId,
    /// Bytes to be sent.
    pub outbox: Vec<u8>,
    chunk_size: usize,
    decoder: ChunkDecoder,
    handshake_left: usize,
    transaction_id: f64,
    /// What arrived and was not taken yet, in its order.
    heard: Vec<Heard>,
}

impl Client {
    pub fn new(link: LinkId) -> Self {
        let limits = ChunkLimits { message_bytes: 1 << 24, partial_bytes: 1 << 26, chunk_streams: 64 };
        Client {
            link,
            outbox: Vec::new(),
            chunk_size: 128,
            decoder: ChunkDecoder::new(limits),
            handshake_left: HANDSHAKE_BYTES,
            transaction_id: 0.0,
            heard: Vec::new(),
        }
    }

    /// A client that has connected to `app`.
    pub fn connected(world: &mut World, app: &str) -> Self {
        let mut client = Client::new(world.accept());
        client.put_connect(app);
        client.flush(world);
        client.read(world);
        assert!(client.has_heard("NetConnection.Connect.Success"), "{:?}", client.heard);
        client.take_said();
        client
    }

    /// A client that publishes `live/name` on message stream 1.
    pub fn publishing(world: &mut World, name: &str) -> Self {
        let mut client = Client::connected(world, "live");
        client.publish(world, 1, name);
        client
    }

    /// A client that plays `live/name` on message stream 1.
    pub fn playing(world: &mut World, name: &str) -> Self {
        Client::playing_on(world, 1, name)
    }

    pub fn playing_on(world: &mut World, message_stream: u32, name: &str) -> Self {
        let mut client = Client::connected(world, "live");
        client.play(world, message_stream, name);
        client
    }

    /// What the client writes with from now on; it has to say so itself.
    pub fn set_chunk_size(&mut self, chunk_size: usize) {
        self.chunk_size = chunk_size;
    }

    pub fn publish(&mut self, world: &mut World, message_stream: u32, name: &str) {
        self.put_publish(message_stream, name);
        self.exchange(world, "NetStream.Publish.Start");
    }

    pub fn play(&mut self, world: &mut World, message_stream: u32, name: &str) {
        self.put_play(message_stream, name);
        self.exchange(world, "NetStream.Play.Start");
    }

    fn exchange(&mut self, world: &mut World, code: &str) {
        self.flush(world);
        self.read(world);
        assert!(self.has_heard(code), "{code}: {:?}", self.heard);
        self.take_said();
    }

    /// Writes handshake, `connect` and Set Chunk Size.
    pub fn put_connect(&mut self, app: &str) {
        self.put_connect_with(app, 0.0);
    }

    /// The same, with `capsEx`.
    pub fn put_connect_with(&mut self, app: &str, caps_ex: f64) {
        let mut handshake = vec![0; HANDSHAKE_BYTES];
        handshake[0] = 3;
        self.outbox.extend(handshake);
        let tc_url = format!("rtmp://host/{app}");
        let caps_ex = ("capsEx", Value::Number(caps_ex));
        let object = Value::object([("app", Value::string(app)), ("tcUrl", Value::string(tc_url)), caps_ex]);
        self.put_command(0, "connect", object, &[]);
        let mut body = BytesMut::new();
        ControlMessage::SetChunkSize(CHUNK_SIZE as u32).encode(&mut body);
        self.put(type_id::SET_CHUNK_SIZE, 0, 0, &body);
        self.chunk_size = CHUNK_SIZE;
    }

    pub fn put_publish(&mut self, message_stream: u32, name: &str) {
        let arguments = [Value::string(name), Value::string("live")];
        self.put_command(message_stream, "publish", Value::Null, &arguments);
    }

    pub fn put_play(&mut self, message_stream: u32, name: &str) {
        self.put_command(message_stream, "play", Value::Null, &[Value::string(name)]);
    }

    pub fn put_pause(&mut self, message_stream: u32, paused: bool) {
        let arguments = [Value::Boolean(paused), Value::Number(0.0)];
        self.put_command(message_stream, "pause", Value::Null, &arguments);
    }

    pub fn put_delete_stream(&mut self, message_stream: u32) {
        let id = Value::Number(f64::from(message_stream));
        self.put_command(0, "deleteStream", Value::Null, &[id]);
    }

    pub fn put_command(&mut self, message_stream: u32, name: &str, object: Value, arguments: &[Value]) {
        self.transaction_id += 1.0;
        let command = Command::new(name, self.transaction_id, object, arguments);
        let mut body = BytesMut::new();
        command.encode(&mut body);
        self.put(type_id::COMMAND_AMF0, message_stream, 0, &body);
    }

    pub fn put_frame(&mut self, message_stream: u32, timestamp: u32, kind: Body, body: &[u8]) {
        let type_id = if kind.is_video() { type_id::VIDEO } else { type_id::AUDIO };
        self.put(type_id, message_stream, timestamp, body);
    }

    pub fn put_metadata(&mut self, message_stream: u32, timestamp: u32, text: &str) {
        let mut body = BytesMut::new();
        for value in ["@setDataFrame", "onMetaData", text] {
            write_value(&mut body, &Value::string(value));
        }
        self.put(type_id::DATA_AMF0, message_stream, timestamp, &body);
    }

    pub fn put(&mut self, type_id: u8, message_stream: u32, timestamp: u32, body: &[u8]) {
        let mut out = BytesMut::new();
        let chunk_stream = if type_id < 8 { 2 } else { u32::from(type_id) };
        let size = self.chunk_size;
        encode_message(&mut out, size, chunk_stream, timestamp, type_id, message_stream, body);
        self.outbox.extend_from_slice(&out);
    }

    /// Sends a frame on message stream 1 at once.
    pub fn frame(&mut self, world: &mut World, timestamp: u32, kind: Body, mark: &[u8]) {
        self.big_frame(world, timestamp, kind, mark, 0);
    }

    pub fn big_frame(&mut self, world: &mut World, timestamp: u32, kind: Body, mark: &[u8], filler: usize) {
        self.put_frame(1, timestamp, kind, &kind.with(mark, filler));
        self.flush(world);
    }

    /// Sends all that waits in the outbox.
    pub fn flush(&mut self, world: &mut World) {
        world.send(self.link, &std::mem::take(&mut self.outbox));
    }

    /// Reads all that has arrived.
    pub fn read(&mut self, world: &mut World) {
        loop {
            let bytes = world.read(self.link, usize::MAX);
            if bytes.is_empty() {
                return;
            }
            self.take_in(&bytes);
        }
    }

    /// Decodes bytes of the engine; they must be well framed at any split.
    pub fn take_in(&mut self, bytes: &[u8]) {
        let handshake = self.handshake_left.min(bytes.len());
        self.handshake_left -= handshake;
        let mut rest = &bytes[handshake..];
        while let Some(message) = self.decoder.decode(&mut rest).expect("framing") {
            self.take_message(&message);
        }
    }

    fn take_message(&mut self, message: &Message) {
        if matches!(message.type_id, type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0) {
            self.heard.push(Heard::Media(Seen {
                message_stream: message.stream_id,
                type_id: message.type_id,
                timestamp: message.timestamp,
                payload: message.payload.to_vec(),
            }));
        } else {
            self.heard.push(Heard::Said(describe(message)));
        }
    }

    /// Media since the last call.
    pub fn seen(&mut self, world: &mut World) -> Vec<Seen> {
        self.read(world);
        self.take_seen()
    }

    pub fn take_seen(&mut self) -> Vec<Seen> {
        let (media, said) =
            std::mem::take(&mut self.heard).into_iter().partition(|heard| matches!(heard, Heard::Media(_)));
        self.heard = said;
        let media: Vec<Heard> = media;
        media
            .into_iter()
            .filter_map(|heard| match heard {
                Heard::Media(seen) => Some(seen),
                Heard::Said(_) => None,
            })
            .collect()
    }

    /// All that arrived since the last call, in its order.
    pub fn take_heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Media of message stream 1 since the last call in short words: kind, mark and timestamp, like `K a 1000`.
    pub fn words(&mut self, world: &mut World) -> Vec<String> {
        self.seen(world).iter().map(word).collect()
    }

    /// Other messages since the last call.
    pub fn said(&mut self, world: &mut World) -> Vec<String> {
        self.read(world);
        self.take_said()
    }

    pub fn take_said(&mut self) -> Vec<String> {
        let (said, media) =
            std::mem::take(&mut self.heard).into_iter().partition(|heard| matches!(heard, Heard::Said(_)));
        self.heard = media;
        let said: Vec<Heard> = said;
        said.into_iter()
            .filter_map(|heard| match heard {
                Heard::Said(line) => Some(line),
                Heard::Media(_) => None,
            })
            .collect()
    }

    pub fn has_heard(&self, text: &str) -> bool {
        let is_it = |heard: &Heard| matches!(heard, Heard::Said(line) if line.contains(text));
        self.heard.iter().any(is_it)
    }
}

fn word(seen: &Seen) -> String {
    if seen.type_id == type_id::DATA_AMF0 {
        let values = read_values(&seen.payload);
        return match values.first().and_then(Value::as_str) {
            Some("onMetaData") => "metadata".to_owned(),
            handler => format!("{} {}", handler.unwrap_or("nameless"), seen.timestamp),
        };
    }
    let Some((kind, rest)) = Body::parse(seen.type_id == type_id::VIDEO, &seen.payload) else {
        return format!("{} bytes", seen.payload.len());
    };
    let mark: String = rest.iter().take_while(|byte| byte.is_ascii_graphic()).map(|&byte| byte as char).collect();
    format!("{kind:?} {mark} {}", seen.timestamp)
}

fn describe(message: &Message) -> String {
    match message.type_id {
        type_id::COMMAND_AMF0 => {
            let command = Command::decode(message.type_id, &message.payload).expect("command");
            let info = command.arguments.first().map(Value::view);
            let code = info.and_then(|info| info.member("code")).and_then(ValueRef::as_str);
            let code = code.unwrap_or_default();
            format!("{} {} {code}", command.name, message.stream_id).trim_end().to_owned()
        }
        type_id => match ControlMessage::decode(type_id, &message.payload) {
            Some(ControlMessage::UserControl(event)) => format!("{event:?}"),
            other => format!("{other:?}"),
        },
    }
}
