//! VP9: the configuration record and the size in a key frame (VP Codec ISO Media File Format Binding 1.0; VP9 Bitstream
//! & Decoding Process Specification 0.6, 6.2).
//!
//! Owns: reading both. Does not decode pictures.

use bytes::Bytes;

use super::bits::BitReader;
use crate::wire::{Incomplete, Reader};

/// Version 1 and flags 0: the head of the box around the record.
const BOX_HEAD: &[u8] = &[1, 0, 0, 0];

const FRAME_MARKER: u8 = 2;
const SYNC_CODE: u32 = 0x0049_8342;

/// `CS_RGB`.
const RGB: u8 = 7;

/// `VPCodecConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Profile, 0 to 3.
    pub profile: u8,
    /// Ten times the level; 0 where it is not known.
    pub level: u8,
    /// Bits of each sample.
    pub bit_depth: u8,
    /// The record, without the version and flags of the box around it.
    pub bytes: Bytes,
}

impl Record {
    /// Reads a record. Enhanced RTMP names the record alone, and ffmpeg sends the version and flags of its box before
    /// it: both are read. (A record cannot begin like that: its third byte would be a bit depth of 0.)
    ///
    /// # Errors
    /// [`Incomplete`] where it is cut off.
    pub fn decode(header: &Bytes) -> Result<Self, Incomplete> {
        let record = header.strip_prefix(BOX_HEAD).unwrap_or(header);
        let mut reader = Reader::new(record);
        let [profile, level, depth] = reader.array()?;
        // Colour: three bytes; codec initialization data, which VP9 has none of, behind its size.
        reader.skip(3)?;
        let initialization_len = usize::from(reader.u16()?);
        reader.skip(initialization_len)?;
        let len = record.len() - reader.remaining();
        let bytes = header.slice_ref(record.get(..len).unwrap_or(record));
        Ok(Record { profile, level, bit_depth: depth >> 4, bytes })
    }
}

/// Width and height in pixels by the head of a key frame. `None` where this is none.
pub fn dimensions(frame: &[u8]) -> Option<(u16, u16)> {
    read_dimensions(frame).ok()
}

fn read_dimensions(frame: &[u8]) -> Result<(u16, u16), Incomplete> {
    let mut bits = BitReader::new(frame);
    if bits.small(2)? != FRAME_MARKER {
        return Err(Incomplete);
    }
    let profile = bits.small(1)? | bits.small(1)? << 1;
    if profile == 3 {
        bits.skip(1)?;
    }
    let shows_existing_frame = bits.bit()?;
    let is_delta = bits.bit()?;
    bits.skip(2)?;
    if shows_existing_frame || is_delta || bits.bits(24)? != SYNC_CODE {
        return Err(Incomplete);
    }
    let has_subsampling = profile & 1 == 1;
    bits.skip(usize::from(profile >= 2))?;
    match (bits.small(3)?, has_subsampling) {
        (RGB, true) => bits.skip(1)?,
        (RGB, false) => return Err(Incomplete),
        (_, true) => bits.skip(1 + 3)?,
        (_, false) => bits.skip(1)?,
    }
    let side = |value: u32| u16::try_from(value + 1).map_err(|_| Incomplete);
    let width = side(bits.bits(16)?)?;
    Ok((width, side(bits.bits(16)?)?))
}

#[cfg(test)]
mod tests {
    use super::super::bits::BitWriter;
    use super::*;

    const RECORD: &[u8] = &[0, 11, 0x82, 2, 2, 2, 0, 0];

    #[test]
    fn a_record_with_and_without_the_head_of_its_box() {
        for header in [RECORD.to_vec(), [BOX_HEAD, RECORD].concat(), [BOX_HEAD, RECORD, b"rest"].concat()] {
            let record = Record::decode(&Bytes::from(header)).unwrap();
            assert_eq!((record.profile, record.level, record.bit_depth), (0, 11, 8));
            assert_eq!(record.bytes, RECORD);
        }
        for len in 0..RECORD.len() {
            assert_eq!(Record::decode(&Bytes::from_static(&RECORD[..len])), Err(Incomplete), "cut at {len}");
        }
    }

    /// The head of a key frame of 1920x1080.
    fn key_frame(profile: u32, color: &[(u32, usize)]) -> Vec<u8> {
        let mut bits = BitWriter::default();
        bits.bits(2, 2);
        bits.bits(profile & 1, 1);
        bits.bits(profile >> 1, 1);
        bits.bits(0, usize::from(profile == 3));
        bits.bits(0, 4);
        bits.bits(SYNC_CODE, 24);
        for &(value, count) in color {
            bits.bits(value, count);
        }
        bits.bits(1919, 16);
        bits.bits(1079, 16);
        bits.finish()
    }

    #[test]
    fn the_size_stands_in_the_key_frame() {
        for (name, frame) in [
            ("profile 0", key_frame(0, &[(2, 3), (0, 1)])),
            ("profile 1", key_frame(1, &[(2, 3), (0, 1), (0, 3)])),
            ("profile 1, RGB", key_frame(1, &[(7, 3), (0, 1)])),
            ("profile 2", key_frame(2, &[(1, 1), (2, 3), (0, 1)])),
            ("profile 3", key_frame(3, &[(1, 1), (2, 3), (0, 1), (0, 3)])),
        ] {
            assert_eq!(dimensions(&frame), Some((1920, 1080)), "{name}");
            for len in 0..8 {
                assert_eq!(dimensions(&frame[..len]), None, "{name} cut at {len}");
            }
        }
    }

    #[test]
    fn other_frames_tell_no_size() {
        for (name, first) in [("delta", 0b1000_0100), ("shows another", 0b1000_1000), ("no frame", 0)] {
            let mut frame = key_frame(0, &[(2, 3), (0, 1)]);
            frame[0] = first;
            assert_eq!(dimensions(&frame), None, "{name}");
        }
        assert_eq!(dimensions(&key_frame(0, &[(7, 3), (0, 1)])), None, "RGB where it cannot be");
    }
}
