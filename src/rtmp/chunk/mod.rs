//! The chunk stream (RTMP 1.0, section 5.3): messages to chunks and back.
//!
//! Owns: chunk headers, reassembly, Set Chunk Size and Abort (which act on the reader at once). Does not know what
//! a message means otherwise.

mod decoder;
mod encoder;
#[cfg(test)]
mod tests;

pub use decoder::{ChunkDecoder, ChunkError, ChunkLimits};
pub use encoder::{encode_message, encode_shared, encoded_len};

/// Chunk size of both directions until Set Chunk Size says otherwise, in bytes (5.4.1).
pub const DEFAULT_CHUNK_SIZE: usize = 128;

/// Longest message that the 3-byte length field can announce, in bytes (5.3.1.2.1).
pub const MAX_MESSAGE_LEN: usize = 0x00FF_FFFF;

/// Value of the 3-byte timestamp field which says that the 4-byte extended timestamp follows (5.3.1.3).
const EXTENDED: u32 = 0x00FF_FFFF;
