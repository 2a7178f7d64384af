//! Opus: the identification header (RFC 7845, 5.1) and how long a packet plays (RFC 6716, 3.1).
//!
//! Owns: reading both. Does not decode sound.

use bytes::Bytes;

use crate::wire::{Incomplete, Reader};

/// Samples per second that Opus times are counted in, whatever was recorded.
pub const SAMPLE_RATE: u32 = 48_000;

/// What an encoder usually needs before its output is right, in samples: libopus at its defaults.
const USUAL_PRE_SKIP: u16 = 312;

/// Longest packet in samples: 120 ms (RFC 6716, 3.2.5, requirement R5).
const MAX_PACKET_SAMPLES: u32 = 5760;

const MAGIC: &[u8] = b"OpusHead";

/// The identification header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Output channels.
    pub channels: u8,
    /// Samples to throw away at the start.
    pub pre_skip: u16,
    /// Samples per second of what was recorded; for information.
    pub input_sample_rate: u32,
    /// Output gain in 1/256 dB.
    pub output_gain: i16,
    /// Channel mapping family.
    pub mapping_family: u8,
    /// Stream count, coupled count and channel mapping, `2 + channels` bytes; empty for family 0.
    pub mapping: Bytes,
}

impl Default for Head {
    /// What a stream without a header is taken for: stereo.
    fn default() -> Self {
        Head {
            channels: 2,
            pre_skip: USUAL_PRE_SKIP,
            input_sample_rate: SAMPLE_RATE,
            output_gain: 0,
            mapping_family: 0,
            mapping: Bytes::new(),
        }
    }
}

impl Head {
    /// Reads a header. Enhanced RTMP lets it be empty: then it is [`Head::default`].
    ///
    /// # Errors
    /// [`Incomplete`] where it is cut off, is not an identification header, or has a count of channels that its mapping
    /// family does not allow.
    pub fn decode(header: &Bytes) -> Result<Self, Incomplete> {
        if header.is_empty() {
            return Ok(Head::default());
        }
        let mut reader = Reader::new(header);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Incomplete);
        }
        let [_version, channels] = reader.array()?;
        let pre_skip = u16::from_le_bytes(reader.array()?);
        let input_sample_rate = reader.u32_le()?;
        let output_gain = i16::from_le_bytes(reader.array()?);
        let mapping_family = reader.u8()?;
        let mapping = match mapping_family {
            0 if channels > 2 => return Err(Incomplete),
            0 => Bytes::new(),
            _ => header.slice_ref(reader.bytes(2 + usize::from(channels))?),
        };
        if channels == 0 {
            return Err(Incomplete);
        }
        Ok(Head { channels, pre_skip, input_sample_rate, output_gain, mapping_family, mapping })
    }
}

/// How long a packet plays, in samples at [`SAMPLE_RATE`]: from its first byte and, where that says so, its second. 0
/// where the packet is empty or longer than the 120 ms that are allowed.
pub fn packet_samples(packet: &[u8]) -> u32 {
    let Some(&toc) = packet.first() else { return 0 };
    let config = toc >> 3;
    let frame = match (config, config & 3) {
        // SILK: 10, 20, 40, 60 ms.
        (0..=11, 0) => 480,
        (0..=11, size) => 960 * u32::from(size),
        // Hybrid: 10, 20 ms.
        (12..=15, size) => 480 << (size & 1),
        // CELT: 2.5, 5, 10, 20 ms.
        (_, size) => 120 << size,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u32::from(count & 0x3F)),
    };
    let samples = frame * frames;
    if samples > MAX_PACKET_SAMPLES { 0 } else { samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let stereo = b"OpusHead\x01\x02\x38\x01\x80\xBB\0\0\0\0\0";
        let surround = b"OpusHead\x01\x06\x38\x01\x80\xBB\0\0\xFF\xFF\x01\x04\x02\0\x04\x01\x02\x03\x05";
        let rows: [(&str, &[u8], Head); 3] = [
            ("none", b"", Head::default()),
            ("stereo", stereo, Head::default()),
            (
                "5.1",
                surround,
                Head {
                    channels: 6,
                    output_gain: -1,
                    mapping_family: 1,
                    mapping: Bytes::from_static(b"\x04\x02\0\x04\x01\x02\x03\x05"),
                    ..Head::default()
                },
            ),
        ];
        for (name, bytes, expected) in rows {
            assert_eq!(Head::decode(&Bytes::from_static(bytes)), Ok(expected), "{name}");
            for len in 1..bytes.len() {
                assert_eq!(Head::decode(&Bytes::from_static(&bytes[..len])), Err(Incomplete), "{name} cut at {len}");
            }
        }
        for (name, bytes) in [
            ("three channels of family 0", b"OpusHead\x01\x03\x38\x01\x80\xBB\0\0\0\0\0"),
            ("no channel", b"OpusHead\x01\x00\x38\x01\x80\xBB\0\0\0\0\0"),
            ("another magic", b"OpusTags\x01\x02\x38\x01\x80\xBB\0\0\0\0\0"),
        ] {
            assert_eq!(Head::decode(&Bytes::from_static(bytes)), Err(Incomplete), "{name}");
        }
    }

    #[test]
    fn a_packet_tells_how_long_it_plays() {
        let rows: [(&str, &[u8], u32); 10] = [
            ("empty", &[], 0),
            ("SILK 10 ms", &[0 << 3], 480),
            ("SILK 60 ms", &[11 << 3], 2880),
            ("hybrid 20 ms", &[13 << 3], 960),
            ("CELT 2.5 ms", &[16 << 3], 120),
            ("CELT 20 ms", &[31 << 3], 960),
            ("two of 20 ms", &[31 << 3 | 1], 1920),
            ("six of 20 ms", &[31 << 3 | 3, 6], 5760),
            ("seven of 20 ms: too long", &[31 << 3 | 3, 7], 0),
            ("count cut off", &[31 << 3 | 3], 0),
        ];
        for (name, packet, samples) in rows {
            assert_eq!(packet_samples(packet), samples, "{name}");
        }
    }
}
