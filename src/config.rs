//! Every default and limit, with its unit in its name.
//!
//! Owns: what the operator may set and what holds where nothing is set. Does not know sockets or protocol.

/// Limits and times of one RTMP session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLimits {
    /// Longest message of an accepted publisher.
    pub message_bytes: usize,
    /// Longest message of any other peer (commands only).
    pub command_bytes: usize,
    /// Bytes that unfinished messages of one connection may hold together.
    pub partial_bytes: usize,
    /// Chunk streams that one connection may use.
    pub chunk_streams: usize,
    /// Message streams that one connection may have open.
    pub message_streams: usize,
    /// Bytes of answers that may wait in a session between two drains.
    pub answer_bytes: usize,
    /// From accept to the first publish or play.
    pub setup_timeout_ms: u64,
    /// A publisher that sends nothing for so long is closed.
    pub publisher_idle_timeout_ms: u64,
    /// Ping Request to a peer from which nothing came for so long. Never a reason to close a player.
    pub ping_interval_ms: u64,
    /// Acknowledgement at the latest after so many bytes received, whatever window the peer set.
    pub acknowledgement_bytes: u32,
    /// Window Acknowledgement Size and Set Peer Bandwidth that clients are told.
    pub window_bytes: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits {
            message_bytes: 16 * 1024 * 1024 - 1,
            command_bytes: 64 * 1024,
            partial_bytes: 24 * 1024 * 1024,
            chunk_streams: 64,
            message_streams: 32,
            answer_bytes: 256 * 1024,
            setup_timeout_ms: 10_000,
            publisher_idle_timeout_ms: 30_000,
            ping_interval_ms: 30_000,
            acknowledgement_bytes: 2_500_000,
            window_bytes: 2_500_000,
        }
    }
}
