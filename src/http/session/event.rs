//! What a session tells its owner.
//!
//! Owns: the events. Does not know who acts on them.

use bytes::Bytes;

use crate::http::request::Request;

/// What the peer did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A whole request. It waits for [`respond`](super::HttpSession::respond),
    /// [`begin_endless`](super::HttpSession::begin_endless) or
    /// [`accept_websocket`](super::HttpSession::accept_websocket); the next one comes after that.
    Request(Box<Request>),
    /// A text message. At most `websocket_message_bytes` long, as is a binary one.
    WebSocketText(String),
    /// A binary message.
    WebSocketBinary(Bytes),
    /// The peer closed the WebSocket, and its close was answered.
    WebSocketClosed {
        /// Why (RFC 6455, 7.4); 1005 where it did not say.
        code: u16,
        /// Free text of the peer.
        reason: String,
    },
}
