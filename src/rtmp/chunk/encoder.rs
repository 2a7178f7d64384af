//! Messages to chunks.
//!
//! Owns: the strict form in which this server writes. Does not choose chunk streams or chunk sizes.

use bytes::{BufMut, Bytes, BytesMut};

use super::{EXTENDED, MAX_MESSAGE_LEN};
use crate::wire::put_u24;

/// Length of the type 0 message header without the extended timestamp (5.3.1.2.1).
const MESSAGE_HEADER_LEN: usize = 11;

/// Smallest and largest chunk stream id that a message may travel on (5.3.1.1).
const CHUNK_STREAM_IDS: (u32, u32) = (2, 65_599);

/// Writes one message as one type 0 chunk and type 3 chunks, the extended timestamp repeated in each (5.3.1.3).
///
/// Grows `out` at most once. The framing is right for any arguments: a payload is cut at [`MAX_MESSAGE_LEN`], a
/// `chunk_size` of 0 is taken as 1, and `chunk_stream_id` is clamped to 2..=65599.
pub fn encode_message(
    out: &mut BytesMut,
    chunk_size: usize,
    chunk_stream_id: u32,
    timestamp: u32,
    type_id: u8,
    stream_id: u32,
    payload: &[u8],
) {
    out.reserve(encoded_len(chunk_size, chunk_stream_id, timestamp, payload.len()));
    let payload = payload.get(..MAX_MESSAGE_LEN).unwrap_or(payload);
    let (first, rest) = payload.split_at(payload.len().min(chunk_size.max(1)));

    put_message_header(out, chunk_stream_id, timestamp, payload.len(), type_id, stream_id);
    out.put_slice(first);

    for chunk in rest.chunks(chunk_size.max(1)) {
        put_basic_header(out, 3, chunk_stream_id);
        put_extended_timestamp(out, timestamp);
        out.put_slice(chunk);
    }
}

/// The same bytes as [`encode_message`], handed to `piece` one after the other without copying `payload`: headers are
/// cut from `heads`, which may be used for many messages, and the rest shares `payload`.
#[allow(clippy::too_many_arguments, reason = "the fields of a message header, as in encode_message, and two ends")]
pub fn encode_shared(
    heads: &mut BytesMut,
    chunk_size: usize,
    chunk_stream_id: u32,
    timestamp: u32,
    type_id: u8,
    stream_id: u32,
    payload: &Bytes,
    mut piece: impl FnMut(Bytes),
) {
    let payload = payload.slice(..payload.len().min(MAX_MESSAGE_LEN));
    let chunk_size = chunk_size.max(1);
    put_message_header(heads, chunk_stream_id, timestamp, payload.len(), type_id, stream_id);
    let mut start = 0;
    loop {
        piece(heads.split().freeze());
        let end = (start + chunk_size).min(payload.len());
        piece(payload.slice(start..end));
        start = end;
        if start == payload.len() {
            return;
        }
        put_basic_header(heads, 3, chunk_stream_id);
        put_extended_timestamp(heads, timestamp);
    }
}

/// Number of bytes that [`encode_message`] writes for a payload of `payload_len` bytes.
pub fn encoded_len(chunk_size: usize, chunk_stream_id: u32, timestamp: u32, payload_len: usize) -> usize {
    let payload_len = payload_len.min(MAX_MESSAGE_LEN);
    let chunks = payload_len.div_ceil(chunk_size.max(1)).max(1);
    let basic_header = match chunk_stream_id {
        ..64 => 1,
        64..320 => 2,
        320.. => 3,
    };
    let extended = if timestamp >= EXTENDED { 4 } else { 0 };
    MESSAGE_HEADER_LEN + payload_len + chunks * (basic_header + extended)
}

/// Writes the headers of a type 0 chunk (5.3.1.2.1).
fn put_message_header(
    out: &mut BytesMut,
    chunk_stream_id: u32,
    timestamp: u32,
    payload_len: usize,
    type_id: u8,
    stream_id: u32,
) {
    put_basic_header(out, 0, chunk_stream_id);
    put_u24(out, timestamp.min(EXTENDED));
    put_u24(out, u32::try_from(payload_len).unwrap_or(EXTENDED));
    out.put_u8(type_id);
    out.put_u32_le(stream_id);
    put_extended_timestamp(out, timestamp);
}

/// Writes the chunk basic header in its shortest form (5.3.1.1).
fn put_basic_header(out: &mut BytesMut, format: u8, chunk_stream_id: u32) {
    let (lowest, highest) = CHUNK_STREAM_IDS;
    let id = chunk_stream_id.clamp(lowest, highest);
    let format = format << 6;
    let [_, _, high, low] = id.saturating_sub(64).to_be_bytes();
    match id {
        ..64 => out.put_u8(format | u8::try_from(id).unwrap_or_default()),
        64..320 => out.put_slice(&[format, low]),
        320.. => out.put_slice(&[format | 1, low, high]),
    }
}

fn put_extended_timestamp(out: &mut BytesMut, timestamp: u32) {
    if timestamp >= EXTENDED {
        out.put_u32(timestamp);
    }
}
