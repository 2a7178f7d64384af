//! HEVC (ITU-T H.265; ISO/IEC 14496-15, section 8).
//!
//! Owns: the configuration record, the kinds of NAL units, and the size inside a sequence parameter set. Does not
//! decode pictures.

use bytes::Bytes;

use super::avc::{Chroma, cropping, parameter_sets};
use super::bits::BitReader;
use super::nal::{NalUnits, unescape};
use crate::wire::{Incomplete, Reader};

/// `nal_unit_type` (H.265, table 7-1).
pub mod nal_type {
    /// First of the pictures from which decoding can begin (`BLA_W_LP`).
    pub const FIRST_IRAP: u8 = 16;
    /// Last of them (`RSV_IRAP_VCL23`).
    pub const LAST_IRAP: u8 = 23;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
}

/// `nal_unit_type` of a unit; 0 where it is empty.
pub fn nal_type_of(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |first| first >> 1 & 0x3F)
}

/// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `general_profile_space`, 0 to 3.
    pub profile_space: u8,
    /// `general_tier_flag`: `true` is the high tier.
    pub is_high_tier: bool,
    /// `general_profile_idc`, 0 to 31.
    pub profile: u8,
    /// `general_profile_compatibility_flags`.
    pub compatibility: u32,
    /// `general_constraint_indicator_flags`.
    pub constraints: [u8; 6],
    /// `general_level_idc`: thirty times the level.
    pub level: u8,
    /// `chromaFormat`: 0 none, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits of a luma sample.
    pub luma_bits: u8,
    /// Bits of a chroma sample.
    pub chroma_bits: u8,
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub nal_length_size: u8,
    /// Video parameter sets.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl Record {
    /// Reads a record. Its version (0 stands in files of early encoders) and reserved bits are not looked at; NAL units
    /// other than parameter sets are left out.
    ///
    /// # Errors
    /// [`Incomplete`] where the bytes end inside the record.
    pub fn decode(bytes: &Bytes) -> Result<Record, Incomplete> {
        let mut reader = Reader::new(bytes);
        let [_version, general] = reader.array()?;
        let compatibility = reader.u32()?;
        let constraints = reader.array()?;
        let [level, _, _, _, chroma_format, luma, chroma, _, _, lengths, array_count] = reader.array()?;
        let mut record = Record {
            profile_space: general >> 6,
            is_high_tier: general & 0x20 != 0,
            profile: general & 0x1F,
            compatibility,
            constraints,
            level,
            chroma_format: chroma_format & 3,
            luma_bits: (luma & 7) + 8,
            chroma_bits: (chroma & 7) + 8,
            nal_length_size: (lengths & 3) + 1,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
        };
        for _ in 0..array_count {
            let nal_type = reader.u8()? & 0x3F;
            let count = usize::from(reader.u16()?);
            let sets = parameter_sets(bytes, &mut reader, count)?;
            match nal_type {
                nal_type::VPS => record.vps.extend(sets),
                nal_type::SPS => record.sps.extend(sets),
                nal_type::PPS => record.pps.extend(sets),
                _ => {}
            }
        }
        Ok(record)
    }

    /// The NAL units of a coded frame.
    pub const fn nal_units<'a>(&self, data: &'a [u8]) -> NalUnits<'a> {
        NalUnits::new(data, self.nal_length_size)
    }
}

/// Width and height in pixels, cropped, that a sequence parameter set tells, with its NAL unit header (H.265,
/// 7.3.2.2.1). `None` where it is none. The shape of a pixel is not regarded.
pub fn dimensions(sps: &[u8]) -> Option<(u16, u16)> {
    if nal_type_of(sps) != nal_type::SPS {
        return None;
    }
    read_dimensions(&mut BitReader::new(&unescape(sps))).ok().flatten()
}

fn read_dimensions(bits: &mut BitReader<'_>) -> Result<Option<(u16, u16)>, Incomplete> {
    bits.skip(16 + 4)?;
    let sub_layers = bits.bits(3)?;
    bits.skip(1)?;
    skip_profile_tier_level(bits, sub_layers)?;
    bits.ue()?;
    let format = bits.ue()?;
    let separate_planes = format == 3 && bits.bit()?;
    let chroma = Chroma(if separate_planes { 0 } else { format });
    let (width, height) = (u64::from(bits.ue()?), u64::from(bits.ue()?));
    let (unit_x, unit_y) = chroma.crop_units();
    let (crop_x, crop_y) = cropping(bits, unit_x, unit_y)?;
    let size = |whole: u64, cropped: u64| whole.checked_sub(cropped).and_then(|size| u16::try_from(size).ok());
    Ok(size(width, crop_x).zip(size(height, crop_y)))
}

/// H.265, 7.3.3, with the general profile; `sub_layers` is the number of sub-layers below the highest.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, sub_layers: u32) -> Result<(), Incomplete> {
    const PROFILE_BITS: usize = 88;
    const LEVEL_BITS: usize = 8;
    bits.skip(PROFILE_BITS + LEVEL_BITS)?;
    if sub_layers == 0 {
        return Ok(());
    }
    let mut present_bits = 0;
    for _ in 0..sub_layers {
        present_bits += if bits.bit()? { PROFILE_BITS } else { 0 };
        present_bits += if bits.bit()? { LEVEL_BITS } else { 0 };
    }
    for _ in sub_layers..8 {
        bits.skip(2)?;
    }
    bits.skip(present_bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VPS: &[u8] =
        b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x95\x98\x09";
    const SPS_322X182: &[u8] =
        b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x48\x0b\
        \x9c\x95\x96\x56\x69\x24\xca\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0c\x84";
    const SPS_SUB_LAYERS: &[u8] =
        b"\x42\x01\x04\x04\x08\x00\x00\x03\x00\x9d\x08\x00\x00\x03\x00\x00\x78\x00\x00\xb0\x03\
        \xc0\x80\x10\xe4\xd9\x65\x65\x2b\x29\x59\x64\x93\x2b\xc0\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10";
    const PPS: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";
    const SEI: &[u8] = b"\x4e\x01\x05\x01\xff\x80";

    fn record_bytes() -> Vec<u8> {
        let head = b"\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x3c\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x04";
        let mut bytes = head.to_vec();
        for (nal_type, nal) in [(0x20, VPS), (0x21, SPS_322X182), (0x22, PPS), (0x27, SEI)] {
            bytes.extend([nal_type, 0, 1, 0, nal.len() as u8]);
            bytes.extend(nal);
        }
        bytes
    }

    #[test]
    fn a_record_as_x265_writes_it() {
        let bytes = Bytes::from(record_bytes());
        let expected = Record {
            profile_space: 0,
            is_high_tier: false,
            profile: 1,
            compatibility: 0x6000_0000,
            constraints: [0x90, 0, 0, 0, 0, 0],
            level: 60,
            chroma_format: 1,
            luma_bits: 8,
            chroma_bits: 8,
            nal_length_size: 4,
            vps: vec![Bytes::from_static(VPS)],
            sps: vec![Bytes::from_static(SPS_322X182)],
            pps: vec![Bytes::from_static(PPS)],
        };
        assert_eq!(Record::decode(&bytes), Ok(expected));
        for len in 0..bytes.len() {
            assert_eq!(Record::decode(&bytes.slice(..len)), Err(Incomplete), "{len} bytes");
        }
    }

    #[test]
    fn sequence_parameter_sets_of_x265() {
        assert_eq!(dimensions(SPS_322X182), Some((322, 182)));
        assert_eq!(dimensions(SPS_SUB_LAYERS), Some((1920, 1080)));
    }

    #[test]
    fn what_is_no_whole_set_has_no_size() {
        assert_eq!(dimensions(b""), None);
        assert_eq!(dimensions(PPS), None);
        for len in 0..23 {
            assert_eq!(dimensions(&SPS_322X182[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn kinds_of_units() {
        let kinds: Vec<u8> = [VPS, SPS_322X182, PPS, SEI, b""].into_iter().map(nal_type_of).collect();
        assert_eq!(kinds, [nal_type::VPS, nal_type::SPS, nal_type::PPS, 39, 0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0xFF), any::<u8>()], 0..80),
        ) {
            let _ = Record::decode(&Bytes::from(bytes.clone()));
            let _ = dimensions(&[&[0x42, 1][..], &bytes].concat());
        }
    }
}
