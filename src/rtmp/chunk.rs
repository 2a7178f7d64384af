//! The chunk stream (RTMP 1.0, section 5.3): messages to chunks and back.
//!
//! Owns: chunk headers, reassembly, Set Chunk Size and Abort (which act on the reader at once). Does not know what
//! a message means otherwise.

use bytes::BytesMut;
use thiserror::Error;

use super::message::Message;

/// Why a chunk stream cannot be read on. Framing is lost: the session must close.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Set Chunk Size with 0 (5.4.1).
    #[error("chunk size 0 announced")]
    ZeroChunkSize,
    /// A message announced as longer than the limit.
    #[error("message of {announced} bytes announced, limit {limit}")]
    MessageTooLong {
        /// Bytes announced.
        announced: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More chunk streams in use than the limit.
    #[error("more than {limit} chunk streams")]
    TooManyChunkStreams {
        /// Chunk streams allowed.
        limit: usize,
    },
    /// Unfinished messages hold more bytes than the limit.
    #[error("unfinished messages hold more than {limit} bytes")]
    TooManyPartialBytes {
        /// Bytes allowed.
        limit: usize,
    },
}

/// Limits of a [`ChunkDecoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Longest message, in bytes.
    pub message_bytes: usize,
    /// Bytes in all unfinished messages together.
    pub partial_bytes: usize,
    /// Chunk streams in use.
    pub chunk_streams: usize,
}

/// Reads chunks and gives whole messages.
#[derive(Debug)]
pub struct ChunkDecoder {
    limits: ChunkLimits,
}

impl ChunkDecoder {
    /// Starts with the chunk size of the specification, 128.
    pub fn new(limits: ChunkLimits) -> Self {
        ChunkDecoder { limits }
    }

    /// Replaces the limits; what is already held stays.
    pub fn set_limits(&mut self, limits: ChunkLimits) {
        self.limits = limits;
    }

    /// Eats bytes from the front of `input` up to the end of the next message. `None`: all of `input` is eaten and
    /// the message is not whole yet. Set Chunk Size and Abort are acted on and not returned.
    ///
    /// # Errors
    /// [`ChunkError`] where framing is lost or a limit is passed; the decoder must not be used after.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        todo!("{input:?}")
    }
}

/// Writes one message as one type 0 chunk and type 3 chunks, the extended timestamp repeated in each (5.3.1.3).
/// `payload` must be shorter than 2^24 bytes; longer ones are cut by the caller's limits, not here.
pub fn encode_message(
    out: &mut BytesMut,
    chunk_size: usize,
    chunk_stream_id: u32,
    timestamp: u32,
    type_id: u8,
    stream_id: u32,
    payload: &[u8],
) {
    todo!("{out:?} {chunk_size} {chunk_stream_id} {timestamp} {type_id} {stream_id} {payload:?}")
}
