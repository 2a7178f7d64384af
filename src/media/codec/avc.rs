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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPS_320X180: &[u8] =
        b"\x67\x64\x00\x0c\xac\xd9\x41\x41\x9f\x9f\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\
        \xf1\x42\x99\x60";
    const PPS: &[u8] = b"\x68\xeb\xe3\xcb\x22\xc0";

    fn record_bytes() -> Vec<u8> {
        [b"\x01\x64\x00\x0c\xff\xe1\x00\x1a", SPS_320X180, b"\x01\x00\x06", PPS, b"\xfd\xf8\xf8\x00"].concat()
    }

    #[test]
    fn a_record_as_x264_writes_it() {
        let bytes = Bytes::from(record_bytes());
        let expected = Record {
            profile: 100,
            compatibility: 0,
            level: 12,
            nal_length_size: 4,
            sps: vec![Bytes::from_static(SPS_320X180)],
            pps: vec![Bytes::from_static(PPS)],
        };
        assert_eq!(Record::decode(&bytes), Ok(expected));
        for len in 0..bytes.len() - 4 {
            assert_eq!(Record::decode(&bytes.slice(..len)), Err(Incomplete), "{len} bytes");
        }
    }

    #[test]
    fn a_record_without_parameter_sets() {
        let record = Record::decode(&Bytes::from_static(b"\x01\x42\xc0\x1e\xfc\xe0\x01\x00\x00")).unwrap();
        assert_eq!((record.nal_length_size, record.sps.len(), record.pps.len()), (1, 0, 0));
    }

    #[test]
    fn sequence_parameter_sets_of_x264() {
        let table: [(&str, &[u8], u16, u16, f64); 4] = [
            ("high, cropped", SPS_320X180, 320, 180, 25.0),
            (
                "high 4:2:2, interlaced, cropped",
                b"\x67\x7a\x00\x28\xbc\xd9\x40\x78\x04\x4f\xcb\x80\x88\x00\x00\x1f\x48\x00\x07\x53\x00\xf8\xb1\x6c\xb0",
                1920,
                1080,
                30_000.0 / 1001.0,
            ),
            (
                "baseline, cropped on both sides",
                b"\x67\x42\xc0\x0c\xd9\x03\x0f\xe2\x22\x30\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x64\x0f\x14\x2a\x48",
                178,
                98,
                50.0,
            ),
            (
                "4:4:4",
                b"\x67\xf4\x00\x0a\x91\x9b\x28\xe4\xf1\xf7\x80\x88\x00\x00\x03\x00\x08\x00\x00\x03\x00\xa0\x78\x91\x2c\
                  \xb0",
                98,
                62,
                10.0,
            ),
        ];
        for (name, nal, width, height, frame_rate) in table {
            let sps = Sps::decode(nal).unwrap();
            assert_eq!((sps.width, sps.height, sps.frame_rate), (width, height, Some(frame_rate)), "{name}");
            assert_eq!(dimensions(nal), Some((width, height)), "{name}");
        }
    }

    /// Writes a set by hand, for what x264 does not write.
    fn written(fields: &[Field]) -> Vec<u8> {
        let mut bits = crate::media::codec::bits::BitWriter::default();
        for &field in fields {
            match field {
                Field::Bits(value, count) => bits.bits(value, count),
                Field::Ue(value) => {
                    let bit_len = (value + 1).ilog2() as usize;
                    bits.bits(0, bit_len);
                    bits.bits(value + 1, bit_len + 1);
                }
            }
        }
        bits.finish()
    }

    #[derive(Clone, Copy)]
    enum Field {
        Bits(u32, usize),
        Ue(u32),
    }

    #[test]
    fn scaling_lists_and_offsets_of_reference_pictures_are_skipped() {
        use Field::{Bits, Ue};
        let mut fields = vec![Bits(0x67, 8), Bits(100, 8), Bits(0, 16), Ue(0), Ue(1), Ue(0), Ue(0), Bits(0, 1)];
        // One list that ends early (a difference of -8), one of 64 equal values, six that are not there.
        fields.extend([Bits(1, 1), Bits(1, 1), Ue(16), Bits(0, 5), Bits(1, 1)]);
        fields.extend(std::iter::repeat_n(Ue(0), 64));
        fields.extend([Bits(0, 1), Ue(0), Ue(1), Bits(0, 1), Ue(1), Ue(2), Ue(3), Ue(1), Ue(2), Ue(3)]);
        fields.extend([Ue(4), Bits(0, 1), Ue(39), Ue(29), Bits(1, 1), Bits(1, 1), Bits(0, 1), Bits(0, 1), Bits(1, 1)]);
        let sps = Sps::decode(&written(&fields)).unwrap();
        assert_eq!((sps.width, sps.height, sps.frame_rate), (640, 480, None));
    }

    #[test]
    fn a_picture_larger_than_any_or_cropped_to_less_than_nothing_has_no_size() {
        use Field::{Bits, Ue};
        let head = [Bits(0x67, 8), Bits(66, 8), Bits(0, 16), Ue(0), Ue(0), Ue(2), Ue(1), Bits(0, 1)];
        let large = [&head[..], &[Ue(65_535), Ue(0), Bits(1, 1), Bits(1, 1), Bits(0, 2)]].concat();
        assert_eq!(dimensions(&written(&large)), None);
        let cropped = [Ue(0), Ue(0), Bits(1, 1), Bits(1, 1), Bits(1, 1), Ue(9), Ue(0), Ue(0), Ue(0), Bits(0, 1)];
        assert_eq!(dimensions(&written(&[&head[..], &cropped].concat())), None);
    }

    #[test]
    fn what_is_no_whole_set_has_no_size() {
        assert_eq!(dimensions(b""), None);
        assert_eq!(dimensions(PPS), None);
        for len in 0..9 {
            assert_eq!(dimensions(&SPS_320X180[..len]), None, "{len} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0xFF), any::<u8>()], 0..80),
        ) {
            let _ = Record::decode(&Bytes::from(bytes.clone()));
            let _ = Sps::decode(&[&[0x67][..], &bytes].concat());
            let _ = Sps::decode(&[&[0x67, 100][..], &bytes].concat());
        }
    }
}
