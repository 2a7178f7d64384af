//! Why connections end.
//!
//! Owns: the one list of reasons, used by log, status messages and statistics.

use thiserror::Error;

use crate::access::Denied;
use crate::access::limits::OverLimit;
use crate::http::HttpError;
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
    /// The peer broke HTTP, or let a wait pass.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// The HTTP request was answered, and no further one was to come.
    #[error("answered")]
    Answered,
    /// The stream that was watched over HTTP ended.
    #[error("the stream ended")]
    StreamEnded,
    /// One who watched over HLS asks for nothing any more.
    #[error("asks for nothing any more")]
    StoppedAsking,
    /// Publishing or playing was refused.
    #[error("refused: {0}")]
    Refused(String),
    /// The rules of the application do not let it publish or play.
    #[error("{0}")]
    Denied(#[from] Denied),
    /// Its address, or all together, do something more often than they may.
    #[error("{0}")]
    OverLimit(#[from] OverLimit),
    /// A publisher sent more bytes per second than one may.
    #[error("sends more than {0} bytes per second (stream_bytes_per_second)")]
    TooMuchData(u64),
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
    /// So many bytes of memory are used as may be.
    #[error("the memory limit of {0} bytes is reached (limits.memory_limit)")]
    OutOfMemory(usize),
    /// The server ends.
    #[error("server shuts down")]
    ShuttingDown,
    /// The operator ended it.
    #[error("closed by the operator")]
    Operator,
}

impl CloseReason {
    /// The kind of reason in one word that stays the same, for statistics.
    pub const fn label(&self) -> &'static str {
        match self {
            CloseReason::PeerClosed => "peer-closed",
            CloseReason::Lost(_) => "lost",
            CloseReason::Session(SessionError::SetupTimeout(_)) => "setup-timeout",
            CloseReason::Session(SessionError::IdleTimeout(_)) => "idle-timeout",
            CloseReason::Session(SessionError::BadName(_)) | CloseReason::Refused(_) => "refused",
            CloseReason::Session(_) => "rtmp-error",
            CloseReason::Http(HttpError::RequestTimeout(_) | HttpError::Idle(_)) => "http-timeout",
            CloseReason::Http(_) => "http-error",
            CloseReason::Answered => "answered",
            CloseReason::StreamEnded => "stream-ended",
            CloseReason::StoppedAsking => "stopped-asking",
            CloseReason::Denied(_) => "denied",
            CloseReason::OverLimit(_) => "over-limit",
            CloseReason::TooMuchData(_) => "too-much-data",
            CloseReason::TakenOver => "taken-over",
            CloseReason::Stalled(_) => "stalled",
            CloseReason::QueueFull(_) => "queue-full",
            CloseReason::TooManyConnections => "too-many-connections",
            CloseReason::OutOfMemory(_) => "out-of-memory",
            CloseReason::ShuttingDown => "shutting-down",
            CloseReason::Operator => "operator",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_as_one_line_for_a_person() {
        let table = [
            (CloseReason::PeerClosed, "closed by peer"),
            (CloseReason::Lost("broken pipe".to_owned()), "connection lost: broken pipe"),
            (CloseReason::Session(SessionError::SetupTimeout(10_000)), "no publish or play within 10000 ms"),
            (CloseReason::Session(SessionError::IdleTimeout(30_000)), "nothing arrived for 30000 ms"),
            (CloseReason::Session(SessionError::TooManyStreams(32)), "more than 32 message streams"),
            (CloseReason::Session(SessionError::TooManyAnswers(9)), "answers pile up beyond 9 bytes"),
            (CloseReason::Session(SessionError::OutOfOrder("play")), "command play out of order"),
            (CloseReason::Refused("too many streams".to_owned()), "refused: too many streams"),
            (CloseReason::Denied(Denied::UnknownKey), "its key is not known"),
            (
                CloseReason::OverLimit(OverLimit::Connections),
                "its address has as many connections as one may (limits.access.connections_per_ip)",
            ),
            (CloseReason::TooMuchData(9), "sends more than 9 bytes per second (stream_bytes_per_second)"),
            (CloseReason::Answered, "answered"),
            (CloseReason::StreamEnded, "the stream ended"),
            (CloseReason::StoppedAsking, "asks for nothing any more"),
            (CloseReason::TakenOver, "silent, and replaced by a new publisher"),
            (CloseReason::Stalled(10_000), "took nothing for 10000 ms"),
            (CloseReason::QueueFull(9), "more than 9 bytes wait to be sent"),
            (CloseReason::TooManyConnections, "too many connections"),
            (CloseReason::OutOfMemory(9), "the memory limit of 9 bytes is reached (limits.memory_limit)"),
            (CloseReason::ShuttingDown, "server shuts down"),
            (CloseReason::Operator, "closed by the operator"),
        ];
        for (reason, text) in table {
            assert_eq!(reason.to_string(), text);
            assert!(reason.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
    }
}
