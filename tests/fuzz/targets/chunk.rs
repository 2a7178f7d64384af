//! The chunk stream: how the bytes were cut does not matter, limits are kept, and messages survive the way back.

use bytes::{Bytes, BytesMut};
use rtmpd::rtmp::chunk::{ChunkDecoder, ChunkError, ChunkLimits, encode_message, encode_shared, encoded_len};
use rtmpd::rtmp::message::{ControlMessage, Message, type_id};

use super::script::{Script, pieces};

/// What a decoder made of some bytes.
#[derive(Debug, PartialEq)]
struct Outcome {
    messages: Vec<Message>,
    dropped_partials: u64,
    error: Option<ChunkError>,
}

impl Outcome {
    /// How much memory unfinished messages take depends on how the bytes came in, so that limit does, too.
    fn is_out_of_room(&self) -> bool {
        matches!(self.error, Some(ChunkError::TooManyPartialBytes { .. }))
    }
}

fn decode<'a>(limits: ChunkLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = ChunkDecoder::new(limits);
    let mut messages: Vec<Message> = Vec::new();
    let mut error = None;
    'pieces: for piece in pieces {
        let mut rest = piece;
        loop {
            match decoder.decode(&mut rest) {
                Ok(Some(message)) => {
                    assert!(message.payload.len() <= limits.message_bytes);
                    assert!(!matches!(message.type_id, type_id::SET_CHUNK_SIZE | type_id::ABORT));
                    messages.push(message);
                }
                Ok(None) => break,
                Err(found) => {
                    error = Some(found);
                    break 'pieces;
                }
            }
            assert!(decoder.partial_bytes() <= limits.partial_bytes);
        }
        assert!(rest.is_empty(), "bytes that were not eaten");
        assert!(decoder.partial_bytes() <= limits.partial_bytes);
    }
    Outcome { messages, dropped_partials: decoder.dropped_partials(), error }
}

/// First two bytes: limits, and how to cut. The rest is what a peer sent.
pub fn chunk_decoder(data: &[u8]) {
    let mut script = Script::new(data);
    let limits = match script.u8() % 4 {
        0 => ChunkLimits { message_bytes: 64, partial_bytes: 128, chunk_streams: 4 },
        1 => ChunkLimits { message_bytes: 1000, partial_bytes: 300, chunk_streams: 8 },
        2 => ChunkLimits { message_bytes: 0x00FF_FFFF, partial_bytes: 4096, chunk_streams: 64 },
        _ => ChunkLimits { message_bytes: 0x00FF_FFFF, partial_bytes: 1 << 25, chunk_streams: 65_597 },
    };
    let how = script.u8();
    let whole = decode(limits, [script.rest()]);
    let cut = decode(limits, pieces(script.rest(), how));
    if whole.is_out_of_room() || cut.is_out_of_room() {
        let common = whole.messages.len().min(cut.messages.len());
        assert_eq!(whole.messages[..common], cut.messages[..common]);
    } else {
        assert_eq!(whole, cut);
    }
    assert!(whole.messages.len() <= data.len(), "each message has at least one byte of header");
    way_back(&whole.messages, how);
}

/// The messages, written with a chunk size that changes, are read as the same.
fn way_back(messages: &[Message], how: u8) {
    let mut out = BytesMut::new();
    let mut chunk_size = 128;
    for (index, message) in messages.iter().enumerate() {
        let next = 1 + (usize::from(how) * 7 + index * 31) % 300;
        let mut body = BytesMut::new();
        ControlMessage::SetChunkSize(next as u32).encode(&mut body);
        encode_message(&mut out, chunk_size, 2, 0, type_id::SET_CHUNK_SIZE, 0, &body);
        chunk_size = next;
        let before = out.len();
        put(&mut out, chunk_size, message);
        let len = encoded_len(chunk_size, message.chunk_stream_id, message.timestamp, message.payload.len());
        assert_eq!(out.len() - before, len);
        assert_eq!(shared(chunk_size, message), out[before..]);
    }
    let limits = ChunkLimits { message_bytes: 0x00FF_FFFF, partial_bytes: 1 << 26, chunk_streams: 65_600 };
    let again = decode(limits, pieces(&out, how));
    assert_eq!(again.error, None);
    assert_eq!(again.messages, messages);
}

fn put(out: &mut BytesMut, chunk_size: usize, message: &Message) {
    let Message { chunk_stream_id, timestamp, type_id, stream_id, payload } = message;
    encode_message(out, chunk_size, *chunk_stream_id, *timestamp, *type_id, *stream_id, payload);
}

fn shared(chunk_size: usize, message: &Message) -> Vec<u8> {
    let Message { chunk_stream_id, timestamp, type_id, stream_id, payload } = message;
    let mut joined = Vec::new();
    let piece = |piece: Bytes| joined.extend_from_slice(&piece);
    let mut heads = BytesMut::new();
    encode_shared(&mut heads, chunk_size, *chunk_stream_id, *timestamp, *type_id, *stream_id, payload, piece);
    joined
}
