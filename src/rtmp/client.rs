//! The client's session: publishes to or plays from another server. For relays, the load program and the tests.
//!
//! Owns: the same as the server's session, seen from the other side.

use std::time::Instant;

use bytes::Bytes;

use super::message::Message;
use super::server::{SessionConfig, SessionError};

/// What the client is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// `NetStream.Publish.Start` or `NetStream.Play.Start` arrived: media may flow.
    Started,
    /// An audio (8), video (9) or AMF0 data (18) message.
    Media(Message),
    /// An `onStatus` other than the ones that start, or `_error`.
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

/// One connection to a server. Same contract as `ServerSession`.
#[derive(Debug)]
pub struct ClientSession;

impl ClientSession {
    /// A session whose connection was made at `now`; its first output is C0 and C1.
    pub fn new(
        now: Instant,
        config: std::sync::Arc<SessionConfig>,
        target: ClientTarget,
        random_seed: u64,
    ) -> Self {
        todo!("{now:?} {config:?} {target:?} {random_seed}")
    }

    /// Takes bytes of the server.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn handle_input(&mut self, now: Instant, input: &[u8]) -> Result<(), SessionError> {
        todo!("{now:?} {input:?}")
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        todo!()
    }

    /// Bytes to send, in order.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        todo!()
    }

    /// Sends an audio (8), video (9) or data (18) message on the published stream; nothing before `Started`.
    pub fn send(&mut self, type_id: u8, timestamp: u32, payload: &[u8]) {
        todo!("{type_id} {timestamp} {payload:?}")
    }

    /// Ends cleanly: `FCUnpublish` (publisher) and `deleteStream`.
    pub fn finish(&mut self) {
        todo!()
    }
}
