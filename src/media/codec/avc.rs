//! H.264 (ITU-T H.264; ISO/IEC 14496-15, section 5).
//!
//! Owns: the configuration record, the kinds of NAL units, and the size and frame rate inside a sequence parameter set.
//! Does not decode pictures.

use bytes::Bytes;

use super::bits::BitReader;
use super::nal::{NalUnits, unescape};
use crate::wire::{Incomplete, Reader};

/// `nal_unit_type` (H.264, table 7-1).
pub mod nal_type {
    /// Slice of a picture from which decoding can begin.
    pub const IDR: u8 = 5;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
}

/// `nal_unit_type` of a unit; 0 where it is empty.
pub fn nal_type_of(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |first| first & 0x1F)
}

/// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`.
    pub compatibility: u8,
    /// `AVCLevelIndication`.
    pub level: u8,
    /// Bytes of the length before each NAL unit, 1 to 4.
    pub nal_length_size: u8,
    /// Sequence parameter sets.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets.
    pub pps: Vec<Bytes>,
}

impl Record {
    /// Reads a record. Its version, reserved bits and what follows the parameter sets are not looked at; an empty
    /// parameter set is left out.
    ///
    /// # Errors
    /// [`Incomplete`] where the bytes end inside the record.
    pub fn decode(bytes: &Bytes) -> Result<Record, Incomplete> {
        let mut reader = Reader::new(bytes);
        let [_version, profile, compatibility, level, length, sps_count] = reader.array()?;
        let sps = parameter_sets(bytes, &mut reader, usize::from(sps_count & 0x1F))?;
        let pps_count = usize::from(reader.u8()?);
        let pps = parameter_sets(bytes, &mut reader, pps_count)?;
        Ok(Record { profile, compatibility, level, nal_length_size: (length & 3) + 1, sps, pps })
    }

    /// The NAL units of a coded frame.
    pub const fn nal_units<'a>(&self, data: &'a [u8]) -> NalUnits<'a> {
        NalUnits::new(data, self.nal_length_size)
    }
}

/// `count` NAL units behind a length of two bytes, as views of `bytes`.
pub(super) fn parameter_sets(bytes: &Bytes, reader: &mut Reader<'_>, count: usize) -> Result<Vec<Bytes>, Incomplete> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let len = usize::from(reader.u16()?);
        let set = bytes.slice_ref(reader.bytes(len)?);
        if !set.is_empty() {
            sets.push(set);
        }
    }
    Ok(sets)
}

/// What a sequence parameter set says about the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sps {
    /// Width in pixels, cropped. The shape of a pixel is not regarded.
    pub width: u16,
    /// Height in pixels of a whole frame, cropped.
    pub height: u16,
    /// Frames in a second, where the set tells.
    pub frame_rate: Option<f64>,
}

impl Sps {
    /// Reads a sequence parameter set, with its NAL unit header (H.264, 7.3.2.1.1). `None` where it is none.
    pub fn decode(nal: &[u8]) -> Option<Sps> {
        if nal_type_of(nal) != nal_type::SPS {
            return None;
        }
        sps(&mut BitReader::new(&unescape(nal))).ok().flatten()
    }
}

/// Width and height in pixels that a sequence parameter set tells.
pub fn dimensions(sps: &[u8]) -> Option<(u16, u16)> {
    Sps::decode(sps).map(|sps| (sps.width, sps.height))
}

fn sps(bits: &mut BitReader<'_>) -> Result<Option<Sps>, Incomplete> {
    bits.skip(8)?;
    let profile = bits.small(8)?;
    bits.skip(16)?;
    bits.ue()?;
    let chroma = chroma(bits, profile)?;
    bits.ue()?;
    skip_picture_order(bits)?;
    bits.ue()?;
    bits.bit()?;
    let width_mbs = u64::from(bits.ue()?) + 1;
    let height_units = u64::from(bits.ue()?) + 1;
    let fields = if bits.bit()? { 1 } else { 2 };
    if fields == 2 {
        bits.bit()?;
    }
    bits.bit()?;
    let (unit_x, unit_y) = chroma.crop_units();
    let (crop_x, crop_y) = cropping(bits, unit_x, unit_y * fields)?;
    let size = |whole: u64, cropped: u64| whole.checked_sub(cropped).and_then(|size| u16::try_from(size).ok());
    let (Some(width), Some(height)) = (size(width_mbs * 16, crop_x), size(height_units * fields * 16, crop_y)) else {
        return Ok(None);
    };
    // What follows is for the picture's showing only; where it is damaged, the size still holds.
    let frame_rate = frame_rate(bits).ok().flatten();
    Ok(Some(Sps { width, height, frame_rate }))
}

/// How colour is sampled: 0 none, 1 4:2:0, 2 4:2:2, 3 4:4:4 (`chroma_format_idc`).
pub(super) struct Chroma(pub u32);

impl Chroma {
    /// Pixels in a step of cropping, across and down (H.264, 7-19 to 7-22; HEVC, table 6-1).
    pub(super) const fn crop_units(&self) -> (u64, u64) {
        match self.0 {
            1 => (2, 2),
            2 => (2, 1),
            _ => (1, 1),
        }
    }
}

fn chroma(bits: &mut BitReader<'_>, profile: u8) -> Result<Chroma, Incomplete> {
    if !matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        return Ok(Chroma(1));
    }
    let format = bits.ue()?;
    let separate_planes = format == 3 && bits.bit()?;
    bits.ue()?;
    bits.ue()?;
    bits.bit()?;
    if bits.bit()? {
        let lists = if format == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.bit()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok(Chroma(if separate_planes { 0 } else { format }))
}

/// H.264, 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut BitReader<'_>, len: usize) -> Result<(), Incomplete> {
    let mut last = 8_i32;
    for _ in 0..len {
        last = last.wrapping_add(bits.se()?) & 0xFF;
        if last == 0 {
            break;
        }
    }
    Ok(())
}

fn skip_picture_order(bits: &mut BitReader<'_>) -> Result<(), Incomplete> {
    match bits.ue()? {
        0 => bits.ue().map(|_| ()),
        1 => {
            bits.bit()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue()? {
                bits.se()?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Pixels cut off, across and down.
pub(super) fn cropping(bits: &mut BitReader<'_>, unit_x: u64, unit_y: u64) -> Result<(u64, u64), Incomplete> {
    if !bits.bit()? {
        return Ok((0, 0));
    }
    let across = u64::from(bits.ue()?) + u64::from(bits.ue()?);
    let down = u64::from(bits.ue()?) + u64::from(bits.ue()?);
    Ok((across * unit_x, down * unit_y))
}

/// The beginning of the video usability information (H.264, E.1.1), of which only the frame rate is wanted.
fn frame_rate(bits: &mut BitReader<'_>) -> Result<Option<f64>, Incomplete> {
    const EXTENDED_SAR: u8 = 255;
    if !bits.bit()? {
        return Ok(None);
    }
    if bits.bit()? && bits.small(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.bit()? {
        bits.skip(1)?;
    }
    if bits.bit()? {
        bits.skip(4)?;
        if bits.bit()? {
            bits.skip(24)?;
        }
    }
    if bits.bit()? {
        bits.ue()?;
        bits.ue()?;
    }
    if !bits.bit()? {
        return Ok(None);
    }
    let units_in_tick = bits.bits(32)?;
    let time_scale = bits.bits(32)?;
    // A tick is a field.
    Ok((units_in_tick > 0 && time_scale > 0).then(|| f64::from(time_scale) / (2.0 * f64::from(units_in_tick))))
}
