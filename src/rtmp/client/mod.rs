//! The client's session: publishes to or plays from another server. For relays, the load program and the tests.
//!
//! Owns: the same as the server's session, seen from the other side: which request follows which answer,
//! transaction ids, acknowledgements and pings of one connection with one message stream. Does not know what the
//! media is for. Reads what Enhanced RTMP allows because it never looks inside media.

mod requests;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use self::requests::transaction_id;
use super::aggregate;
use super::amf0::{Value, ValueRef};
use super::chunk::{self, ChunkDecoder, ChunkLimits};
use super::command::Command;
use super::handshake::ClientHandshake;
use super::message::{ControlMessage, Message, UserControl, chunk_stream_id, data_values, type_id};
use super::server::{SessionConfig, SessionError};

/// What the client is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientRole {
    /// Sends a stream.
    Publish,
    /// Receives a stream.
    Play,
}

/// Where to and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTarget {
    /// Publish or play.
    pub role: ClientRole,
    /// `tcUrl`, like `rtmp://host:1935/app`.
    pub tc_url: String,
    /// Application.
    pub app: String,
    /// Stream name with its query.
    pub stream: String,
    /// Whether C1 carries a digest.
    pub digest: bool,
}

/// What the server did.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// `NetStream.Publish.Start` or `NetStream.Play.Start` arrived: media may flow. Comes once.
    Started,
    /// An audio (8), video (9) or AMF0 data (18) message, also out of an aggregate. Some servers send the first before
    /// [`ClientEvent::Started`].
    Media(Message),
    /// An `onStatus` other than the one that starts, or `_error`. Not the `_error` by which some servers say that they
    /// do not know `releaseStream`, `FCPublish` or `FCUnpublish`: it means nothing. Where `connect`, `createStream`,
    /// `publish` or `play` is answered by `_error`, nothing more will be sent or received.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// `NetStream...`.
        code: String,
        /// Free text.
        description: String,
    },
    /// StreamEOF.
    StreamEof,
}

/// How far the session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for the handshake and the answer to `connect`.
    Connecting,
    /// Waits for the answer to `createStream`.
    Opening,
    /// Waits for the status that says that `publish` or `play` began.
    Starting,
    /// Media flows.
    Started,
    /// Finished, or refused.
    Ended,
}

/// One connection to a server. Same contract as `ServerSession`: drain events and output after each call.
#[derive(Debug)]
pub struct ClientSession {
    config: Arc<SessionConfig>,
    target: ClientTarget,
    stage: Stage,
    /// `None` once it is done.
    handshake: Option<Box<ClientHandshake>>,
    decoder: ChunkDecoder,
    events: VecDeque<ClientEvent>,
    out: BytesMut,
    /// Message stream; 0 before the answer to `createStream`.
    stream_id: u32,
    /// All bytes of the server, its handshake too (5.4.3), modulo 2^32.
    received_bytes: u32,
    acknowledged_bytes: u32,
    acknowledge_every_bytes: u32,
    /// Window that the server was told; 0: none.
    announced_window_bytes: u32,
}

impl ClientSession {
    /// A session whose connection was made at `now`; its first output is C0 and C1.
    pub fn new(_now: Instant, config: Arc<SessionConfig>, target: ClientTarget, random_seed: u64) -> Self {
        let mut out = BytesMut::new();
        let handshake = ClientHandshake::new(random_seed, target.digest, &mut out);
        let limits = &config.limits;
        ClientSession {
            decoder: ChunkDecoder::new(ChunkLimits {
                message_bytes: limits.message_bytes,
                partial_bytes: limits.partial_bytes,
                chunk_streams: limits.chunk_streams,
            }),
            stage: Stage::Connecting,
            handshake: Some(Box::new(handshake)),
            events: VecDeque::new(),
            out,
            stream_id: 0,
            received_bytes: 0,
            acknowledged_bytes: 0,
            acknowledge_every_bytes: limits.acknowledgement_bytes,
            announced_window_bytes: 0,
            target,
            config,
        }
    }

    /// Takes bytes of the server. All of them are eaten. Events of one call are bounded by its bytes.
    ///
    /// # Errors
    /// [`SessionError`]; what `poll_event` and `poll_output` still hold counts, then the connection closes.
    pub fn handle_input(&mut self, _now: Instant, input: &[u8]) -> Result<(), SessionError> {
        // Acknowledgements count modulo 2^32 (5.4.3): the cut is meant.
        self.received_bytes = self.received_bytes.wrapping_add(input.len() as u32);
        let mut rest = input;
        if let Some(handshake) = &mut self.handshake {
            if !handshake.handle_input(&mut rest, &mut self.out)? {
                return Ok(());
            }
            self.handshake = None;
            if self.stage == Stage::Connecting {
                self.connect();
            }
        }
        let unsent_bytes = self.out.len();
        while let Some(message) = self.decoder.decode(&mut rest)? {
            self.handle_message(message);
            self.check_answers(unsent_bytes)?;
        }
        self.acknowledge();
        Ok(())
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    /// Bytes to send, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        if self.out.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.out).freeze())
    }

    /// Whether `publish` or `play` was asked for; the request may still wait in [`poll_output`](Self::poll_output).
    pub fn has_asked(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Started)
    }

    /// Sends an audio (8), video (9) or data (18) message on the published stream; nothing before
    /// [`ClientEvent::Started`], nothing of other types. `timestamp` is in milliseconds, wrapping at 2^32.
    pub fn send(&mut self, type_id: u8, timestamp: u32, payload: &[u8]) {
        let chunk_stream_id = match type_id {
            type_id::AUDIO => chunk_stream_id::AUDIO,
            type_id::VIDEO => chunk_stream_id::VIDEO,
            type_id::DATA_AMF0 => chunk_stream_id::DATA,
            _ => return,
        };
        if self.stage == Stage::Started && self.target.role == ClientRole::Publish {
            self.write(chunk_stream_id, timestamp, type_id, self.stream_id, payload);
        }
    }

    /// Ends cleanly: `FCUnpublish` (publisher) and `deleteStream`. Statuses of the server are still reported.
    pub fn finish(&mut self) {
        if matches!(self.stage, Stage::Starting | Stage::Started) {
            self.close_stream();
        }
        self.stage = Stage::Ended;
    }

    fn handle_message(&mut self, message: Message) {
        match message.type_id {
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3 => self.handle_media(message),
            type_id::AGGREGATE => {
                let Message { chunk_stream_id, stream_id, .. } = message;
                for part in aggregate::parts(message.timestamp, message.payload) {
                    let aggregate::Part { type_id, timestamp, payload } = part;
                    self.handle_media(Message { chunk_stream_id, timestamp, type_id, stream_id, payload });
                }
            }
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => {
                // A command that cannot be read is one that is not known.
                if let Ok(command) = Command::decode(message.type_id, &message.payload) {
                    self.handle_command(&command);
                }
            }
            type_id => self.handle_control(ControlMessage::decode(type_id, &message.payload)),
        }
    }

    /// Takes audio, video and data; an aggregate may hold anything.
    fn handle_media(&mut self, mut message: Message) {
        match message.type_id {
            type_id::AUDIO | type_id::VIDEO => {}
            type_id::DATA_AMF0 | type_id::DATA_AMF3 => {
                message.payload = data_values(message.type_id, message.payload);
                message.type_id = type_id::DATA_AMF0;
            }
            _ => return,
        }
        let expects_media = matches!(self.stage, Stage::Starting | Stage::Started);
        if expects_media && self.target.role == ClientRole::Play {
            self.events.push_back(ClientEvent::Media(message));
        }
    }

    fn handle_control(&mut self, message: Option<ControlMessage>) {
        match message {
            Some(ControlMessage::WindowAcknowledgementSize(window_bytes)) if window_bytes > 0 => {
                self.acknowledge_every_bytes = window_bytes.min(self.config.limits.acknowledgement_bytes);
            }
            Some(ControlMessage::SetPeerBandwidth { window_bytes, .. }) if window_bytes > 0 => {
                self.announce_window(window_bytes);
            }
            Some(ControlMessage::UserControl(UserControl::PingRequest(number))) => {
                self.control(ControlMessage::UserControl(UserControl::PingResponse(number)));
            }
            Some(ControlMessage::UserControl(UserControl::StreamEof(_))) => {
                self.events.push_back(ClientEvent::StreamEof);
            }
            _ => {}
        }
    }

    fn handle_command(&mut self, command: &Command) {
        match command.name.as_str() {
            "_result" => self.handle_result(command),
            "_error" => self.handle_error(command),
            "onStatus" => self.handle_status(command),
            _ => {}
        }
    }

    fn handle_result(&mut self, result: &Command) {
        if self.stage == Stage::Connecting && result.transaction_id == transaction_id::CONNECT {
            self.stage = Stage::Opening;
            self.open();
        } else if self.stage == Stage::Opening && result.transaction_id == transaction_id::CREATE_STREAM {
            self.stage = Stage::Starting;
            let number = result.arguments.iter().find_map(Value::as_number);
            // A cast of a float keeps to the range of the integer. Servers number their first stream 1.
            self.stream_id = number.map_or(1, |number| number as u32);
            self.start();
        }
    }

    fn handle_error(&mut self, error: &Command) {
        let id = error.transaction_id;
        if transaction_id::OPTIONAL.contains(&id) {
            return;
        }
        let needed = match self.stage {
            Stage::Connecting => transaction_id::CONNECT,
            Stage::Opening => transaction_id::CREATE_STREAM,
            Stage::Starting | Stage::Started | Stage::Ended => transaction_id::START,
        };
        if id == needed {
            self.stage = Stage::Ended;
        }
        self.events.push_back(status_event(error, "error"));
    }

    fn handle_status(&mut self, command: &Command) {
        let start = match self.target.role {
            ClientRole::Publish => "NetStream.Publish.Start",
            ClientRole::Play => "NetStream.Play.Start",
        };
        let event = status_event(command, "status");
        let starts = matches!(&event, ClientEvent::Status { code, .. } if code == start);
        if starts && self.stage == Stage::Starting {
            self.stage = Stage::Started;
            self.events.push_back(ClientEvent::Started);
        } else {
            self.events.push_back(event);
        }
    }

    /// Acknowledges what arrived once it is a window, also where the server announced none.
    fn acknowledge(&mut self) {
        let unacknowledged = self.received_bytes.wrapping_sub(self.acknowledged_bytes);
        if unacknowledged >= self.acknowledge_every_bytes {
            self.acknowledged_bytes = self.received_bytes;
            self.control(ControlMessage::Acknowledgement(self.received_bytes));
        }
    }

    /// `unsent_bytes`: what waited before this input and is no answer to it.
    fn check_answers(&self, unsent_bytes: usize) -> Result<(), SessionError> {
        let limit = self.config.limits.answer_bytes;
        if self.out.len().saturating_sub(unsent_bytes) > limit {
            return Err(SessionError::TooManyAnswers(limit));
        }
        Ok(())
    }

    fn control(&mut self, message: ControlMessage) {
        let mut body = BytesMut::new();
        message.encode(&mut body);
        self.write(chunk_stream_id::CONTROL, 0, message.type_id(), 0, &body);
    }

    fn write(&mut self, chunk_stream_id: u32, timestamp: u32, type_id: u8, stream_id: u32, payload: &[u8]) {
        // Set Chunk Size is the first message of all and fits into any chunk, so this size holds from the start.
        chunk::encode_message(
            &mut self.out,
            self.config.chunk_size,
            chunk_stream_id,
            timestamp,
            type_id,
            stream_id,
            payload,
        );
    }
}

/// The information object of an `onStatus` or `_error` (7.2.2): the first value that has a `code`.
fn status_event(command: &Command, default_level: &str) -> ClientEvent {
    let values = command.arguments.iter().chain([&command.object]);
    let info = values.map(Value::view).find(|value| value.member("code").is_some());
    let text = |name| info.and_then(|info| info.member(name)).and_then(ValueRef::as_str);
    ClientEvent::Status {
        level: text("level").unwrap_or(default_level).to_owned(),
        code: text("code").unwrap_or("").to_owned(),
        description: text("description").unwrap_or("").to_owned(),
    }
}
