//! AV1: the configuration record and the open bitstream units around a frame (AV1 Codec ISO Media File Format Binding
//! 1.2; AV1 Bitstream & Decoding Process Specification, 5.3 and 5.5).
//!
//! Owns: profile and level, the size that a sequence header tells, and taking a temporal unit's delimiter off. Does not
//! decode pictures.

use bytes::Bytes;

use super::bits::BitReader;
use crate::wire::{Incomplete, Reader};

/// First byte of the record: marker and version 1.
const MARKER_AND_VERSION: u8 = 0x81;

/// `obu_type`.
mod obu_type {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const TEMPORAL_DELIMITER: u8 = 2;
}

/// `AV1CodecConfigurationRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `seq_profile`.
    pub profile: u8,
    /// `seq_level_idx_0`.
    pub level: u8,
    /// `seq_tier_0`: the high tier.
    pub is_high_tier: bool,
    /// Bits of each sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Units that every decoder needs before the first frame; mostly the sequence header, may be empty.
    pub config_obus: Bytes,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Incomplete`] where it is cut off or of another version.
    pub fn decode(record: &Bytes) -> Result<Self, Incomplete> {
        let mut reader = Reader::new(record);
        let [version, profile, flags, _delay] = reader.array()?;
        if version != MARKER_AND_VERSION {
            return Err(Incomplete);
        }
        let bit_depth = match (flags >> 6 & 1, flags >> 5 & 1) {
            (0, _) => 8,
            (_, 0) => 10,
            _ => 12,
        };
        Ok(Record {
            profile: profile >> 5,
            level: profile & 0x1F,
            is_high_tier: flags >> 7 == 1,
            bit_depth,
            config_obus: record.slice_ref(reader.rest()),
        })
    }
}

/// One open bitstream unit.
struct Obu<'a> {
    obu_type: u8,
    payload: &'a [u8],
}

/// Reads the unit at the front. One without a size reaches to the end.
fn next_obu<'a>(reader: &mut Reader<'a>) -> Result<Obu<'a>, Incomplete> {
    let head = reader.u8()?;
    let (has_extension, has_size) = (head & 4 != 0, head & 2 != 0);
    if has_extension {
        reader.skip(1)?;
    }
    let len = if has_size { leb128(reader)? } else { reader.remaining() };
    Ok(Obu { obu_type: head >> 3 & 0x0F, payload: reader.bytes(len)? })
}

/// `leb128()`: at most 8 bytes, and a value of at most 32 bits.
fn leb128(reader: &mut Reader<'_>) -> Result<usize, Incomplete> {
    let mut value = 0_u64;
    for place in 0..8 {
        let byte = reader.u8()?;
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return u32::try_from(value).map(|value| value as usize).map_err(|_| Incomplete);
        }
    }
    Err(Incomplete)
}

/// A temporal unit without the delimiter at its front, which files do not carry.
pub fn without_delimiter(unit: &Bytes) -> Bytes {
    let mut rest = Reader::new(unit);
    loop {
        let mut ahead = rest.clone();
        match next_obu(&mut ahead) {
            Ok(obu) if obu.obu_type == obu_type::TEMPORAL_DELIMITER => rest = ahead,
            _ => return unit.slice_ref(rest.rest()),
        }
    }
}

/// Largest width and height in pixels by the first sequence header among `obus`: those of a record, or a key frame.
pub fn dimensions(obus: &[u8]) -> Option<(u16, u16)> {
    let mut reader = Reader::new(obus);
    while let Ok(obu) = next_obu(&mut reader) {
        if obu.obu_type == obu_type::SEQUENCE_HEADER {
            return max_frame_size(obu.payload).ok();
        }
    }
    None
}

/// `sequence_header_obu` up to the frame size.
fn max_frame_size(payload: &[u8]) -> Result<(u16, u16), Incomplete> {
    let mut bits = BitReader::new(payload);
    bits.skip(4)?;
    if bits.bit()? {
        bits.skip(5)?;
    } else {
        skip_operating_points(&mut bits)?;
    }
    let width_bits = bits.bits(4)? as usize + 1;
    let height_bits = bits.bits(4)? as usize + 1;
    let side = |value: u32| u16::try_from(value + 1).map_err(|_| Incomplete);
    let width = side(bits.bits(width_bits)?)?;
    Ok((width, side(bits.bits(height_bits)?)?))
}

/// Timing, decoder model and operating points.
fn skip_operating_points(bits: &mut BitReader<'_>) -> Result<(), Incomplete> {
    let mut delay_bits = None;
    if bits.bit()? {
        bits.skip(64)?;
        if bits.bit()? {
            bits.ue()?;
        }
        if bits.bit()? {
            delay_bits = Some(bits.bits(5)? as usize + 1);
            bits.skip(32 + 5 + 5)?;
        }
    }
    let has_display_delay = bits.bit()?;
    let points = bits.bits(5)? + 1;
    for _ in 0..points {
        bits.skip(12)?;
        let has_tier = bits.bits(5)? > 7;
        bits.skip(usize::from(has_tier))?;
        if let Some(delay_bits) = delay_bits {
            let has_model = bits.bit()?;
            bits.skip(if has_model { 2 * delay_bits + 1 } else { 0 })?;
        }
        if has_display_delay {
            let has_own = bits.bit()?;
            bits.skip(if has_own { 4 } else { 0 })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::bits::BitWriter;
    use super::*;

    /// What SVT-AV1 writes for 320x180.
    const RECORD: &[u8] =
        &[0x81, 0x00, 0x0C, 0x00, 0x0A, 0x0B, 0x02, 0x00, 0x00, 0x05, 0x21, 0xE7, 0xF6, 0x60, 0x17, 0xC0, 0x02];

    #[test]
    fn records() {
        let high = &[0x81, 0x2D, 0xE0, 0x00];
        type Row<'a> = (&'a str, &'static [u8], (u8, u8, bool, u8));
        let rows: [Row<'_>; 3] = [
            ("main, level 2.0", RECORD, (0, 0, false, 8)),
            ("high, level 5.1, 12 bits", high, (1, 13, true, 12)),
            ("10 bits", &[0x81, 0x08, 0x4C, 0x00], (0, 8, false, 10)),
        ];
        for (name, bytes, expected) in rows {
            let record = Record::decode(&Bytes::from_static(bytes)).expect(name);
            assert_eq!((record.profile, record.level, record.is_high_tier, record.bit_depth), expected, "{name}");
            assert_eq!(record.config_obus, bytes[4..], "{name}");
        }
        assert_eq!(Record::decode(&Bytes::from_static(&[0x81, 0, 0])), Err(Incomplete), "cut off");
        assert_eq!(Record::decode(&Bytes::from_static(&[0x82, 0, 0, 0])), Err(Incomplete), "another version");
    }

    #[test]
    fn the_size_stands_in_the_sequence_header() {
        assert_eq!(dimensions(&RECORD[4..]), Some((320, 180)));
        assert_eq!(dimensions(&[&[0x12, 0], &RECORD[4..]].concat()), Some((320, 180)), "behind a delimiter");
        assert_eq!(dimensions(&[]), None);
        for len in 4..14 {
            assert_eq!(dimensions(&RECORD[4..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn the_size_stands_behind_timing_and_operating_points() {
        let mut bits = BitWriter::default();
        // Profile, still picture, short form; timing with ticks for each picture; decoder model with delays of 10 bits.
        for (value, count) in [(0, 3), (0, 1), (0, 1), (1, 1), (1, 32), (25, 32), (1, 1), (1, 1), (1, 1), (9, 5)] {
            bits.bits(value, count);
        }
        bits.bits(0, 32);
        bits.bits(0, 10);
        // Display delay; two operating points, the first with tier, model and delay.
        for (value, count) in [(1, 1), (1, 5), (0, 12), (8, 5), (1, 1), (1, 1), (0, 21), (1, 1), (3, 4)] {
            bits.bits(value, count);
        }
        for (value, count) in [(0, 12), (7, 5), (0, 1), (0, 1), (10, 4), (10, 4), (1919, 11), (1079, 11)] {
            bits.bits(value, count);
        }
        let payload = bits.finish();
        let obu = [&[0x0E, 0, payload.len() as u8], &payload[..]].concat();
        assert_eq!(dimensions(&obu), Some((1920, 1080)), "with extension and size");
        assert_eq!(dimensions(&[&[0x08], &payload[..]].concat()), Some((1920, 1080)), "without a size");
    }

    #[test]
    fn the_delimiter_is_taken_off_the_front() {
        let rows: [(&str, &[u8], &[u8]); 6] = [
            ("one", &[0x12, 0, 0x32, 1, 9], &[0x32, 1, 9]),
            ("two", &[0x12, 0, 0x12, 0, 0x32, 1, 9], &[0x32, 1, 9]),
            ("none", &[0x32, 1, 9], &[0x32, 1, 9]),
            ("without a size", &[0x10], &[]),
            ("damaged", &[0x12, 0xFF], &[0x12, 0xFF]),
            ("empty", &[], &[]),
        ];
        for (name, unit, expected) in rows {
            assert_eq!(without_delimiter(&Bytes::from_static(unit)), expected, "{name}");
        }
    }

    #[test]
    fn a_size_is_bounded() {
        for (name, bytes, expected) in [
            ("one byte", &[5][..], Ok(5)),
            ("two bytes", &[0x80, 1], Ok(128)),
            ("with zeros behind", &[0x85, 0x80, 0], Ok(5)),
            ("too long", &[0x80; 9], Err(Incomplete)),
            ("too large", &[0xFF, 0xFF, 0xFF, 0xFF, 0x7F], Err(Incomplete)),
            ("cut off", &[0x80], Err(Incomplete)),
        ] {
            assert_eq!(leb128(&mut Reader::new(bytes)), expected, "{name}");
        }
    }
}
