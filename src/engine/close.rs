//! Why connections end.
//!
//! Owns: the one list of reasons, used by log, status messages and, later, statistics.

use thiserror::Error;

use crate::rtmp::server::SessionError;

/// Why a connection was closed. Every close has one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// The peer closed its side.
    #[error("closed by peer")]
    PeerClosed,
    /// Reading or writing failed.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The peer broke the protocol or let a wait pass.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// Publishing or playing was refused.
    #[error("refused: {0}")]
    Refused(String),
    /// Another publisher of the same identity took the silent stream over.
    #[error("silent, and replaced by a new publisher")]
    TakenOver,
    /// The peer took no byte for the time given.
    #[error("took nothing for {0} ms")]
    Stalled(u64),
    /// Even what is never dropped piled up.
    #[error("more than {0} bytes wait to be sent")]
    QueueFull(usize),
    /// The server holds as many connections as it may.
    #[error("too many connections")]
    TooManyConnections,
    /// The server ends.
    #[error("server shuts down")]
    ShuttingDown,
}
