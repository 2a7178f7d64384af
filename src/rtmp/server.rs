//! The server's session: one peer that publishes, plays, or both.
//!
//! Owns: the order of commands and answers, transaction ids, acknowledgements, pings, message streams of one
//! connection. Does not know the hub: it asks its owner by events and is told the answer.

use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;

use super::amf0::Value;
use super::chunk::ChunkError;
use super::handshake::HandshakeError;
use super::path::StreamPath;
use crate::config::SessionLimits;

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
    /// Handshake, connect and the first publish or play took longer than the limit.
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
}

/// What the client said of itself in `connect`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectInfo {
    /// `app` as sent.
    pub app: String,
    /// `tcUrl` as sent, quotes stripped.
    pub tc_url: Option<String>,
    /// `flashVer`.
    pub flash_ver: Option<String>,
    /// `capsEx` (Enhanced RTMP v2), 0 where absent: bit 0 reconnect, 1 multitrack, 2 ModEx, 3 nanosecond offsets.
    pub caps_ex: u32,
    /// FourCCs of `fourCcList` and the info maps, as sent.
    pub four_ccs: Vec<String>,
}

/// How a publisher wants its stream kept (7.2.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishKind {
    /// Not kept.
    Live,
    /// Kept in a new file.
    Record,
    /// Appended to a file.
    Append,
}

/// What a peer does, for the owner of the session.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `connect` came and was answered.
    Connected(ConnectInfo),
    /// `publish`: answer with [`ServerSession::accept_publish`] or [`ServerSession::reject`].
    Publish {
        /// Message stream.
        stream_id: u32,
        /// Canonical name.
        path: StreamPath,
        /// Live, record, append.
        kind: PublishKind,
    },
    /// `play` or `play2`: answer with [`ServerSession::accept_play`] or [`ServerSession::reject`].
    Play {
        /// Message stream.
        stream_id: u32,
        /// Canonical name.
        path: StreamPath,
    },
    /// An audio message of an accepted publisher.
    Audio {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// FLV audio tag body; may be empty.
        payload: Bytes,
    },
    /// A video message of an accepted publisher.
    Video {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// FLV video tag body; may be empty.
        payload: Bytes,
    },
    /// A data message of an accepted publisher, `@setDataFrame` taken off, as AMF0 bytes from the handler name on.
    Data {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// AMF0 values as they arrived.
        payload: Bytes,
        /// Whether the handler is `onMetaData`.
        is_metadata: bool,
    },
    /// `@clearDataFrame` of an accepted publisher for `onMetaData`.
    ClearMetadata {
        /// Message stream.
        stream_id: u32,
    },
    /// `pause` of a player; already answered.
    Pause {
        /// Message stream.
        stream_id: u32,
        /// `true`: wants nothing until unpaused.
        paused: bool,
    },
    /// `receiveAudio` of a player; already answered.
    ReceiveAudio {
        /// Message stream.
        stream_id: u32,
        /// Whether it wants audio.
        wanted: bool,
    },
    /// `receiveVideo` of a player; already answered.
    ReceiveVideo {
        /// Message stream.
        stream_id: u32,
        /// Whether it wants video.
        wanted: bool,
    },
    /// A clean end of what ran on this message stream: `FCUnpublish`, `closeStream`, `deleteStream`, or another
    /// `publish` or `play` on it. Already answered.
    Ended {
        /// Message stream.
        stream_id: u32,
    },
}

/// One connection's protocol state.
///
/// Contract: after each `handle_input`, `handle_timeout` or answer, drain [`poll_event`](Self::poll_event) and
/// [`poll_output`](Self::poll_output) to `None`, answering events in their order.
#[derive(Debug)]
pub struct ServerSession {
    config: std::sync::Arc<SessionConfig>,
}

impl ServerSession {
    /// A session whose connection was accepted at `now`.
    pub fn new(now: Instant, config: std::sync::Arc<SessionConfig>, random_seed: u64) -> Self {
        todo!("{now:?} {config:?} {random_seed}")
    }

    /// Takes bytes of the peer. All of them are eaten. Events of one call are bounded by its bytes.
    ///
    /// # Errors
    /// [`SessionError`]; what `poll_event` and `poll_output` still hold counts, then the connection closes.
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(), SessionError> {
        todo!("{now:?} {input:?} {:?}", self.config)
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// [`SessionError`] where a wait ended.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        todo!("{now:?}")
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// Bytes to send, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        todo!()
    }

    /// `StreamBegin` and `NetStream.Publish.Start`; from here its media comes as events.
    pub fn accept_publish(&mut self, stream_id: u32) {
        todo!("{stream_id}")
    }

    /// `StreamBegin`, `NetStream.Play.Reset`, `NetStream.Play.Start`, `NetStream.Data.Start`.
    pub fn accept_play(&mut self, stream_id: u32) {
        todo!("{stream_id}")
    }

    /// `onStatus` of level `error` on `stream_id`; the owner then closes the connection once it is sent.
    pub fn reject(&mut self, stream_id: u32, code: &str, description: &str) {
        todo!("{stream_id} {code} {description}")
    }

    /// Tells a player that its stream ended for good: `NetStream.Play.UnpublishNotify` and `StreamEOF`.
    pub fn notify_unpublished(&mut self, stream_id: u32) {
        todo!("{stream_id}")
    }

    /// Tells a player whose stream had ended that it begins again: `StreamBegin` and `NetStream.Play.PublishNotify`.
    pub fn notify_published(&mut self, stream_id: u32) {
        todo!("{stream_id}")
    }

    /// Ends every message stream in the way its role wants: publishers get `NetStream.Unpublish.Success`, players
    /// `NetStream.Play.Stop` and `StreamEOF`; then, for all, `NetConnection.Connect.Closed`.
    pub fn shut_down(&mut self, description: &str) {
        todo!("{description}")
    }
}

/// `onStatus` codes that the owner of a session uses to say no.
pub mod code {
    /// The name is being published already.
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
