//! The head of a PES packet (ISO/IEC 13818-1, 2.4.3.6 and 2.4.3.7).
//!
//! Owns: stream ids, lengths and timestamps. Does not know TS packets.

use bytes::{BufMut, BytesMut};

/// Ticks of a timestamp in a millisecond: exact, so no time is ever rounded.
pub(super) const TICKS_PER_MS: u64 = 90;

/// Timestamps have 33 bits and wrap.
const TIMESTAMP_MASK: u64 = 0x1_FFFF_FFFF;

/// `stream_id` (table 2-22).
pub(super) mod stream_id {
    pub(in super::super) const VIDEO: u8 = 0xE0;
    pub(in super::super) const MPEG_AUDIO: u8 = 0xC0;
    /// `private_stream_1`: audio that MPEG does not define.
    pub(in super::super) const PRIVATE: u8 = 0xBD;
}

/// When a unit is decoded and shown, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) dts_ms: u64,
    pub(super) pts_ms: u64,
}

impl Times {
    /// A frame shown before it is decoded is none that this format can tell: such a one is decoded when it is shown.
    pub(super) fn new(timestamp_ms: u64, composition_ms: i32) -> Times {
        let pts_ms = timestamp_ms.saturating_add_signed(i64::from(composition_ms));
        Times { dts_ms: timestamp_ms.min(pts_ms), pts_ms }
    }
}

/// The head of a PES packet with `payload_len` bytes behind it. `None`: it is too long for any stream but video.
pub(super) fn head(stream_id: u8, times: Times, payload_len: usize) -> Option<BytesMut> {
    const ALIGNED: u8 = 0x84;
    const PTS_ONLY: u8 = 0x80;
    const PTS_AND_DTS: u8 = 0xC0;
    let has_dts = times.pts_ms != times.dts_ms;
    let (flags, times_len) = if has_dts { (PTS_AND_DTS, 10) } else { (PTS_ONLY, 5) };
    let len = match u16::try_from(3 + usize::from(times_len) + payload_len) {
        Ok(len) => len,
        // Only video may leave its length open; a player then waits for the beginning of the next.
        Err(_) if stream_id == stream_id::VIDEO => 0,
        Err(_) => return None,
    };
    let mut out = BytesMut::with_capacity(9 + usize::from(times_len));
    out.put_slice(&[0, 0, 1, stream_id]);
    out.put_u16(len);
    out.put_slice(&[ALIGNED, flags, times_len]);
    put_timestamp(&mut out, flags >> 6, times.pts_ms);
    if has_dts {
        put_timestamp(&mut out, 1, times.dts_ms);
    }
    Some(out)
}

/// 33 bits in three parts, each with a marker bit behind it.
fn put_timestamp(out: &mut BytesMut, prefix: u8, time_ms: u64) {
    let ticks = time_ms.wrapping_mul(TICKS_PER_MS) & TIMESTAMP_MASK;
    out.put_u8(prefix << 4 | (ticks >> 30 << 1) as u8 | 1);
    out.put_u16((ticks >> 15 << 1) as u16 | 1);
    out.put_u16((ticks << 1) as u16 | 1);
}
