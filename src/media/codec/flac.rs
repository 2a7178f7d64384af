//! FLAC: `STREAMINFO` and the block size of a frame (RFC 9639, 8.2 and 9.1).
//!
//! Owns: reading both. Does not decode sound.

use bytes::Bytes;

use super::bits::BitReader;
use crate::wire::{Incomplete, Reader};

const MAGIC: &[u8] = b"fLaC";

/// Length of `STREAMINFO`, in bytes.
pub const STREAM_INFO_LEN: usize = 34;

/// Length of the head of a metadata block, in bytes.
const BLOCK_HEAD_LEN: usize = 4;

/// `STREAMINFO`: what all frames have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels, 1 to 8.
    pub channels: u8,
    /// Bits per sample, 4 to 32.
    pub bits_per_sample: u8,
    /// Samples of each channel in a frame, where all frames but the last have the same; else the most.
    pub max_block_samples: u16,
    /// The whole block without its head, [`STREAM_INFO_LEN`] bytes.
    pub bytes: Bytes,
}

impl StreamInfo {
    /// Reads a sequence header in any of the forms that are in use: `fLaC` and metadata blocks, as Enhanced RTMP has
    /// it; the blocks alone; the content of `STREAMINFO` alone, as ffmpeg sends it.
    ///
    /// # Errors
    /// [`Incomplete`] where it is cut off, or its first block is not a `STREAMINFO` that can be played.
    pub fn decode(header: &Bytes) -> Result<Self, Incomplete> {
        let blocks = header.strip_prefix(MAGIC).unwrap_or(header);
        let mut reader = Reader::new(blocks);
        if header.len() != STREAM_INFO_LEN {
            let [head, len @ ..] = reader.array::<BLOCK_HEAD_LEN>()?;
            if head & 0x7F != 0 || len != [0, 0, STREAM_INFO_LEN as u8] {
                return Err(Incomplete);
            }
        }
        let block = reader.bytes(STREAM_INFO_LEN)?;
        let mut bits = BitReader::new(block);
        bits.skip(16)?;
        let max_block_samples = bits.bits(16)? as u16;
        bits.skip(24 + 24)?;
        let sample_rate = bits.bits(20)?;
        let channels = bits.small(3)? + 1;
        let bits_per_sample = bits.small(5)? + 1;
        if sample_rate == 0 || max_block_samples == 0 {
            return Err(Incomplete);
        }
        let bytes = header.slice_ref(block);
        Ok(StreamInfo { sample_rate, channels, bits_per_sample, max_block_samples, bytes })
    }

    /// How long a frame plays, in samples: by its own head, or by the stream's where that cannot be read.
    pub fn frame_samples(&self, frame: &[u8]) -> u32 {
        block_samples(frame).unwrap_or_else(|_| u32::from(self.max_block_samples))
    }
}

/// The block size by the head of a frame.
fn block_samples(frame: &[u8]) -> Result<u32, Incomplete> {
    let mut reader = Reader::new(frame);
    let [sync, blocking, sizes, _] = reader.array()?;
    if sync != 0xFF || blocking & 0xFC != 0xF8 {
        return Err(Incomplete);
    }
    let code = sizes >> 4;
    match code {
        1 => return Ok(192),
        2..=5 => return Ok(144 << code),
        8..=15 => return Ok(1 << code),
        _ => {}
    }
    // Behind the frame's number, which is coded like a character of UTF-8, with up to 7 bytes.
    let more = match reader.u8()?.leading_ones() {
        0 => 0,
        ones @ 2..=7 => ones as usize - 1,
        _ => return Err(Incomplete),
    };
    reader.skip(more)?;
    match code {
        6 => Ok(u32::from(reader.u8()?) + 1),
        7 => Ok(u32::from(reader.u16()?) + 1),
        _ => Err(Incomplete),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &[u8; STREAM_INFO_LEN] =
        b"\x04\0\x04\0\0\0\0\0\x08\x15\x0B\xB8\x00\xF0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn a_header_in_all_its_forms() {
        let alone = INFO.to_vec();
        let block = [b"\x80\0\0\x22", &INFO[..]].concat();
        let whole = [b"fLaC\0\0\0\x22", &INFO[..], b"\x84\0\0\x02ab"].concat();
        for (name, bytes) in [("alone", alone), ("block", block), ("whole", whole)] {
            let info = StreamInfo::decode(&Bytes::from(bytes.clone())).expect(name);
            assert_eq!((info.sample_rate, info.channels, info.bits_per_sample), (48_000, 1, 16), "{name}");
            assert_eq!((info.max_block_samples, &info.bytes[..]), (1024, &INFO[..]), "{name}");
            for len in 0..STREAM_INFO_LEN {
                let cut = Bytes::copy_from_slice(&bytes[..len]);
                assert_eq!(StreamInfo::decode(&cut), Err(Incomplete), "{name} cut at {len}");
            }
        }
        let other = [b"fLaC\x04\0\0\x22", &INFO[..]].concat();
        assert_eq!(StreamInfo::decode(&Bytes::from(other)), Err(Incomplete), "another block first");
        let silent = Bytes::from_static(&[0; STREAM_INFO_LEN]);
        assert_eq!(StreamInfo::decode(&silent), Err(Incomplete), "no sample rate");
    }

    #[test]
    fn a_frame_tells_how_long_it_plays() {
        let info = StreamInfo::decode(&Bytes::from_static(INFO)).unwrap();
        let rows: [(&str, &[u8], u32); 9] = [
            ("192", &[0xFF, 0xF8, 0x1A, 0x08], 192),
            ("576", &[0xFF, 0xF8, 0x2A, 0x08], 576),
            ("4608", &[0xFF, 0xF8, 0x5A, 0x08], 4608),
            ("4096", &[0xFF, 0xF9, 0xCA, 0x08], 4096),
            ("8 bits", &[0xFF, 0xF8, 0x6A, 0x08, 0x00, 0x0F], 16),
            ("16 bits behind a number of 3 bytes", &[0xFF, 0xF8, 0x7A, 0x08, 0xE1, 0x80, 0x80, 0x03, 0xE7], 1000),
            ("reserved", &[0xFF, 0xF8, 0x0A, 0x08, 0x00], 1024),
            ("cut off", &[0xFF, 0xF8, 0x7A, 0x08, 0x00, 0x03], 1024),
            ("no frame", &[0; 8], 1024),
        ];
        for (name, frame, samples) in rows {
            assert_eq!(info.frame_samples(frame), samples, "{name}");
        }
    }
}
