//! The server's session: one peer that publishes, plays, or both.
//!
//! Owns: the order of commands and answers, transaction ids, acknowledgements, pings, message streams of one
//! connection. Does not know the hub: it asks its owner by events and is told the answer.
//!
//! Read it in this order: [`event`](Event), this file (input, time, what is drained), `connect`, `commands`,
//! `owner` (the owner's answers), `asked` (an owner that asks somebody else first), `media` with `data`, `control`,
//! `streams`, `answers`.

mod answers;
mod asked;
mod commands;
mod connect;
mod control;
mod data;
mod event;
mod media;
mod owner;
mod streams;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use thiserror::Error;

use self::answers::Answers;
use self::asked::Later;
use self::connect::{ConnectNames, Connecting};
use self::streams::MessageStreams;
use super::amf0::Value;
use super::chunk::{ChunkDecoder, ChunkError, ChunkLimits};
use super::handshake::{self, HandshakeError, ServerHandshake};
use super::message::{Message, type_id};
use super::path::PathError;
use crate::config::SessionLimits;

pub use self::event::{ConnectInfo, Event, PublishKind};

/// What a session needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Size of outgoing chunks, in bytes.
    pub chunk_size: usize,
    /// Limits and times.
    pub limits: SessionLimits,
}

/// Why a session cannot go on. Every one closes the connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// See [`HandshakeError`].
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// See [`ChunkError`].
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// Handshake, connect and the first publish or play took longer than the limit; or no other one followed for so
    /// long after all had ended.
    #[error("no publish or play within {0} ms")]
    SetupTimeout(u64),
    /// A publisher sent nothing for longer than the limit.
    #[error("nothing arrived for {0} ms")]
    IdleTimeout(u64),
    /// More message streams than the limit.
    #[error("more than {0} message streams")]
    TooManyStreams(usize),
    /// More undelivered answers than the limit (a flood of pings or commands).
    #[error("answers pile up beyond {0} bytes")]
    TooManyAnswers(usize),
    /// A command that cannot come before `connect`, or a second `connect`.
    #[error("command {0} out of order")]
    OutOfOrder(&'static str),
    /// The name of a `publish` or `play` cannot be used; the client was told so.
    #[error("bad stream name: {0}")]
    BadName(#[from] PathError),
}

/// Bytes that unfinished messages may hold while a `publish` waits for its answer. Enough for clients that send
/// their first key frame without waiting, little enough for peers that nobody has said yes to.
const ASKED_PARTIAL_BYTES: usize = 1024 * 1024;

/// Events whose room a publisher's session keeps, so that reading a frame allocates no queue.
const KEPT_EVENTS: usize = 64;

/// How much the peer may send at once. Only grows: what a publisher had under way when it ended is still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Commands only.
    Commands,
    /// A `publish` waits for its answer.
    Asked,
    /// A `publish` was accepted.
    Publisher,
}

/// One connection's protocol state.
///
/// Contract: after each `handle_input`, `handle_timeout` or answer, drain [`poll_event`](Self::poll_event) and
/// [`poll_output`](Self::poll_output) to `None`, answering events in their order. An answer may also come later, after
/// more input, unless [`Event::Ended`] came for its message stream.
///
/// An idle player costs about 600 bytes here, its chunk streams and names included; a frame of a publisher costs one
/// allocation, its payload.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<SessionConfig>,
    /// `None` once it is done.
    handshake: Option<Box<ServerHandshake>>,
    decoder: ChunkDecoder,
    trust: Trust,
    /// `None` before `connect`.
    names: Option<Box<ConnectNames>>,
    streams: MessageStreams,
    events: VecDeque<Event>,
    answers: Answers,
    /// All bytes of the peer, its handshake too (5.4.3), modulo 2^32.
    received_bytes: u32,
    acknowledged_bytes: u32,
    acknowledged_at: Instant,
    /// The peer's window; `u32::MAX` where it announced none.
    peer_window_bytes: u32,
    started: Instant,
    last_input: Instant,
    /// Last input or Ping Request.
    last_sign: Instant,
    /// `None` while a publisher or player runs.
    setup_since: Option<Instant>,
    /// Whether `connect` waits for the owner's answer.
    asks_connect: bool,
    /// A `connect` that waits for it.
    connecting: Option<Box<Connecting>>,
    /// The owner asks somebody else: what is told to it later.
    asked: Option<Box<Later>>,
}

impl ServerSession {
    /// A session whose connection was accepted at `now`.
    pub fn new(now: Instant, config: Arc<SessionConfig>, random_seed: u64) -> Self {
        let trust = Trust::Commands;
        ServerSession {
            handshake: Some(Box::new(ServerHandshake::new(random_seed))),
            decoder: ChunkDecoder::new(chunk_limits(&config.limits, trust)),
            trust,
            names: None,
            streams: MessageStreams::new(config.limits.message_streams),
            events: VecDeque::new(),
            answers: Answers::new(),
            received_bytes: 0,
            acknowledged_bytes: 0,
            acknowledged_at: now,
            peer_window_bytes: u32::MAX,
            started: now,
            last_input: now,
            last_sign: now,
            setup_since: Some(now),
            asks_connect: false,
            connecting: None,
            asked: None,
            config,
        }
    }

    /// Takes bytes of the peer. All of them are eaten. Events of one call are bounded by its bytes.
    ///
    /// # Errors
    /// [`SessionError`]; what `poll_event` and `poll_output` still hold counts, then the connection closes.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(), SessionError> {
        self.last_input = now;
        self.last_sign = now;
        // Acknowledgements count modulo 2^32 (5.4.3): the cut is meant.
        self.received_bytes = self.received_bytes.wrapping_add(input.len() as u32);
        let mut rest = input;
        if let Some(handshake) = &mut self.handshake {
            if !handshake.handle_input(&mut rest, self.answers.unchunked())? {
                return Ok(());
            }
            self.handshake = None;
        }
        self.read_messages(now, rest)
    }

    fn read_messages(&mut self, now: Instant, mut rest: &[u8]) -> Result<(), SessionError> {
        if self.names.is_none() || self.connecting.is_some() {
            self.read_up_to_connect(&mut rest)?;
        }
        while let Some(message) = self.decoder.decode(&mut rest)? {
            self.handle_message(message)?;
            self.check_answers()?;
        }
        self.acknowledge(now);
        if self.setup_since.is_none() && !self.streams.any_running() {
            self.setup_since = Some(now);
        }
        Ok(())
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// [`SessionError`] where a wait ended.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        let limits = &self.config.limits;
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_due(self.setup_deadline()) {
            return Err(SessionError::SetupTimeout(limits.setup_timeout_ms));
        }
        if is_due(self.publisher_deadline()) {
            return Err(SessionError::IdleTimeout(limits.publisher_idle_timeout_ms));
        }
        if is_due(self.ping_deadline()) {
            self.last_sign = now;
            self.ping(now);
        }
        Ok(())
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.setup_deadline(), self.publisher_deadline(), self.ping_deadline()].into_iter().flatten().min()
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            let kept = if self.streams.any_publishing() { KEPT_EVENTS } else { 0 };
            if self.events.capacity() > kept {
                self.events = VecDeque::new();
            }
        }
        event
    }

    /// Bytes to send, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        self.answers.take()
    }

    /// Memory that unfinished messages take, in bytes.
    pub fn partial_bytes(&self) -> usize {
        self.decoder.partial_bytes()
    }

    /// Memory that the session takes beside its own size and unfinished messages, in bytes.
    pub fn held_bytes(&self) -> usize {
        let handshake = if self.handshake.is_some() { handshake::PACKET_BYTES } else { 0 };
        let names = self.names.as_ref().map_or(0, |names| names.held_bytes());
        let events = self.events.capacity() * size_of::<Event>();
        handshake + names + events + self.decoder.state_bytes() + self.answers.len()
    }

    /// Forgets unfinished messages: nothing more is read. To be called on a session that ends.
    pub fn forget_unfinished(&mut self) {
        self.decoder = ChunkDecoder::new(chunk_limits(&self.config.limits, self.trust));
    }

    fn handle_message(&mut self, message: Message) -> Result<(), SessionError> {
        match message.type_id {
            type_id::AUDIO | type_id::VIDEO | type_id::DATA_AMF0 | type_id::DATA_AMF3 => {
                let Message { type_id, stream_id, timestamp, payload, .. } = message;
                self.handle_media(type_id, stream_id, timestamp, payload);
                Ok(())
            }
            type_id::AGGREGATE => {
                self.handle_aggregate(message);
                Ok(())
            }
            type_id::COMMAND_AMF0 | type_id::COMMAND_AMF3 => self.handle_command(&message),
            // Anything else, shared objects among it, is nothing to a live server, or is no control message either.
            type_id => {
                self.handle_control(type_id, &message.payload);
                Ok(())
            }
        }
    }

    fn check_answers(&self) -> Result<(), SessionError> {
        let limit = self.config.limits.answer_bytes;
        if self.answers.len() > limit { Err(SessionError::TooManyAnswers(limit)) } else { Ok(()) }
    }

    fn setup_deadline(&self) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        after(self.setup_since?, self.config.limits.setup_timeout_ms)
    }

    fn publisher_deadline(&self) -> Option<Instant> {
        if !self.streams.any_publishing() || self.asked.is_some() {
            return None;
        }
        after(self.last_input, self.config.limits.publisher_idle_timeout_ms)
    }

    fn ping_deadline(&self) -> Option<Instant> {
        self.names.as_ref()?;
        after(self.last_sign, self.config.limits.ping_interval_ms)
    }

    /// Lets the peer send as much as `trust` allows, unless it may do more already.
    fn raise_trust(&mut self, trust: Trust) {
        if trust > self.trust {
            self.trust = trust;
            self.decoder.set_limits(chunk_limits(&self.config.limits, trust));
        }
    }
}

/// `millis` after `instant`; `None` where that is beyond what the clock can say, which is never.
fn after(instant: Instant, millis: u64) -> Option<Instant> {
    instant.checked_add(Duration::from_millis(millis))
}

fn chunk_limits(limits: &SessionLimits, trust: Trust) -> ChunkLimits {
    let (message_bytes, partial_bytes) = match trust {
        Trust::Commands => (limits.command_bytes, limits.command_bytes.saturating_mul(4)),
        Trust::Asked => (limits.message_bytes, ASKED_PARTIAL_BYTES),
        Trust::Publisher => (limits.message_bytes, limits.partial_bytes),
    };
    ChunkLimits {
        message_bytes,
        partial_bytes: partial_bytes.min(limits.partial_bytes),
        chunk_streams: limits.chunk_streams,
    }
}

/// `onStatus` codes that the owner of a session uses to say no.
pub mod code {
    /// The name is being published already, or cannot be used.
    pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
    /// Publishing was refused.
    pub const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
    /// Playing was refused.
    pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
    /// No such stream.
    pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
}

/// An information object of `onStatus` (7.2.2).
pub fn status(level: &str, code: &str, description: &str) -> Value {
    Value::object([
        ("level", Value::string(level)),
        ("code", Value::string(code)),
        ("description", Value::string(description)),
    ])
}
