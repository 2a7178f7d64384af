//! RTMP messages (RTMP 1.0, section 6) and the protocol control and user control ones among them (5.4, 7.1.7).
//!
//! Owns: message type ids and the bodies of control messages. Does not know chunks.

use bytes::Bytes;

/// Message type ids (RTMP 1.0, 5.4 and 7.1).
pub mod type_id {
    /// Set Chunk Size.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control Message.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio Message.
    pub const AUDIO: u8 = 8;
    /// Video Message.
    pub const VIDEO: u8 = 9;
    /// Data Message, AMF3.
    pub const DATA_AMF3: u8 = 15;
    /// Shared Object Message, AMF3.
    pub const SHARED_OBJECT_AMF3: u8 = 16;
    /// Command Message, AMF3.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data Message, AMF0.
    pub const DATA_AMF0: u8 = 18;
    /// Shared Object Message, AMF0.
    pub const SHARED_OBJECT_AMF0: u8 = 19;
    /// Command Message, AMF0.
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate Message.
    pub const AGGREGATE: u8 = 22;
}

/// Chunk stream ids that this server writes on. Receivers must not care (5.3.1.1).
pub mod chunk_stream_id {
    /// Protocol control and user control (fixed by the specification).
    pub const CONTROL: u32 = 2;
    /// Commands and their answers.
    pub const COMMAND: u32 = 3;
    /// Audio.
    pub const AUDIO: u32 = 4;
    /// Data messages.
    pub const DATA: u32 = 5;
    /// Video.
    pub const VIDEO: u32 = 6;
}

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chunk stream it came on.
    pub chunk_stream_id: u32,
    /// Absolute timestamp in milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    /// See [`type_id`].
    pub type_id: u8,
    /// Message stream id.
    pub stream_id: u32,
    /// Body.
    pub payload: Bytes,
}
