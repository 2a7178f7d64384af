//! The video track: what its headers say, and its sample entry.
//!
//! Owns: `avc1`, `hvc1`, `av01` and `vp09` (ISO/IEC 14496-15; the bindings of AV1 and VP9), and their codec strings
//! (RFC 6381 and the same). Does not know time.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{put_box, put_full_box};
use crate::media::codec::{CodecId, av1, avc, hevc, vp9};
use crate::wire::{Incomplete, Reader};

/// Ten times the VP9 level that a codec string names where the record does not know it: 1080p at 60 pictures a second.
const USUAL_VP9_LEVEL: u8 = 41;

/// A picture of 72 dots per inch, as 16.16.
const RESOLUTION: u32 = 0x0048_0000;

/// What a player has to know before the first picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VideoTrack {
    pub(super) codec: CodecId,
    /// Content of the configuration box.
    record: Bytes,
    /// Width and height in pixels.
    pub(super) dimensions: Option<(u16, u16)>,
    /// The codec string.
    pub(super) codec_string: String,
}

impl VideoTrack {
    /// By a sequence header. `None`: one that cannot be read, or a codec that is not carried.
    pub(super) fn from_header(codec: CodecId, header: &Bytes) -> Option<Self> {
        let (codec_string, dimensions, record) = match codec {
            CodecId::Avc => {
                let record = avc::Record::decode(header).ok()?;
                let string = format!("avc1.{:02x}{:02x}{:02x}", record.profile, record.compatibility, record.level);
                (string, record.sps.first().and_then(|sps| avc::dimensions(sps)), header.clone())
            }
            CodecId::Hevc => {
                let record = hevc::Record::decode(header).ok()?;
                (hevc_string(&record), record.sps.first().and_then(|sps| hevc::dimensions(sps)), complete(header))
            }
            CodecId::Av1 => {
                let record = av1::Record::decode(header).ok()?;
                (av1_string(&record), av1::dimensions(&record.config_obus), header.clone())
            }
            CodecId::Vp9 => {
                let record = vp9::Record::decode(header).ok()?;
                (vp9_string(&record), None, record.bytes)
            }
            _ => return None,
        };
        Some(VideoTrack { codec, record, dimensions, codec_string })
    }

    /// Whether the init segment can be written. AV1 and VP9 may have to wait for the size in a key frame; H.264 and
    /// HEVC say it in the header or not at all.
    pub(super) const fn is_known(&self) -> bool {
        self.dimensions.is_some() || matches!(self.codec, CodecId::Avc | CodecId::Hevc)
    }

    /// Whether both have the same header.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.codec == other.codec && self.record == other.record
    }

    /// This track with the size of a key frame, where that tells another one.
    pub(super) fn resized(&self, key_frame: &[u8]) -> Option<Self> {
        let told = match self.codec {
            CodecId::Vp9 => vp9::dimensions(key_frame),
            CodecId::Av1 => av1::dimensions(key_frame),
            _ => None,
        };
        let dimensions = told.filter(|_| told != self.dimensions)?;
        Some(VideoTrack { dimensions: Some(dimensions), ..self.clone() })
    }

    /// What of a coded frame stands in a file.
    pub(super) fn sample(&self, data: &Bytes) -> Bytes {
        match self.codec {
            CodecId::Av1 => av1::without_delimiter(data),
            _ => data.clone(),
        }
    }

    /// Width and height in pixels, 0 where they are not known.
    pub(super) fn size(&self) -> (u16, u16) {
        self.dimensions.unwrap_or_default()
    }

    /// `VisualSampleEntry` (ISO/IEC 14496-12, 12.1.3) with the configuration box.
    pub(super) fn put_sample_entry(&self, out: &mut BytesMut) {
        let (entry, config): (&[u8; 4], &[u8; 4]) = match self.codec {
            CodecId::Hevc => (b"hvc1", b"hvcC"),
            CodecId::Av1 => (b"av01", b"av1C"),
            CodecId::Vp9 => (b"vp09", b"vpcC"),
            _ => (b"avc1", b"avcC"),
        };
        let (width, height) = self.size();
        put_box(out, entry, |out| {
            out.put_bytes(0, 6);
            out.put_u16(1);
            out.put_bytes(0, 16);
            out.put_u16(width);
            out.put_u16(height);
            out.put_u32(RESOLUTION);
            out.put_u32(RESOLUTION);
            out.put_u32(0);
            out.put_u16(1);
            out.put_bytes(0, 32);
            out.put_u16(24);
            out.put_i16(-1);
            match self.codec {
                CodecId::Vp9 => put_full_box(out, config, 1, 0, |out| out.put_slice(&self.record)),
                _ => put_box(out, config, |out| out.put_slice(&self.record)),
            }
        });
    }
}

/// An HEVC record that says of each of its arrays that no such unit comes with the pictures: what `hvc1` stands for
/// (ISO/IEC 14496-15, 8.4.1.1), and what encoders leave to the writer of the file.
fn complete(header: &Bytes) -> Bytes {
    /// Bytes before the count of arrays.
    const HEAD_LEN: usize = 22;
    const IS_COMPLETE: u8 = 0x80;
    let mut out = BytesMut::from(&header[..]);
    let mut reader = Reader::new(header);
    let mut mark_arrays = || {
        reader.skip(HEAD_LEN)?;
        for _ in 0..reader.u8()? {
            if let Some(head) = out.get_mut(header.len() - reader.remaining()) {
                *head |= IS_COMPLETE;
            }
            reader.skip(1)?;
            for _ in 0..reader.u16()? {
                let len = reader.u16()?;
                reader.skip(usize::from(len))?;
            }
        }
        Ok::<(), Incomplete>(())
    };
    // Of a record that ends early the rest stays as it is.
    let _ = mark_arrays();
    out.freeze()
}

/// ISO/IEC 14496-15, annex E.3.
fn hevc_string(record: &hevc::Record) -> String {
    let space = ["", "A", "B", "C"].get(usize::from(record.profile_space)).copied().unwrap_or_default();
    let tier = if record.is_high_tier { 'H' } else { 'L' };
    let compatibility = record.compatibility.reverse_bits();
    let mut string = format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", record.profile, record.level);
    let told = record.constraints.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    for byte in record.constraints.iter().take(told) {
        string.push_str(&format!(".{byte:X}"));
    }
    string
}

/// AV1 Codec ISO Media File Format Binding, 5.
fn av1_string(record: &av1::Record) -> String {
    let tier = if record.is_high_tier { 'H' } else { 'M' };
    format!("av01.{}.{:02}{tier}.{:02}", record.profile, record.level, record.bit_depth)
}

/// VP Codec ISO Media File Format Binding, "Codecs parameter string".
fn vp9_string(record: &vp9::Record) -> String {
    let level = if record.level == 0 { USUAL_VP9_LEVEL } else { record.level };
    format!("vp09.{:02}.{level:02}.{:02}", record.profile, record.bit_depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(codec: CodecId, header: &'static [u8]) -> VideoTrack {
        VideoTrack::from_header(codec, &Bytes::from_static(header)).expect("a header")
    }

    #[test]
    fn codec_strings() {
        let hevc_main = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5D\xF0\0\xFC\xFD\xF8\xF8\0\0\x0F\0";
        let hevc_high = b"\x01\x62\x20\0\0\0\xB0\0\0\0\0\x01\x99\xF0\0\xFC\xFD\xFA\xFA\0\0\x0F\0";
        let rows: [(CodecId, &'static [u8], &str); 7] = [
            (CodecId::Avc, b"\x01\x64\0\x1F\xFF\xE0\0", "avc1.64001f"),
            (CodecId::Avc, b"\x01\x42\xC0\x1E\xFF\xE0\0", "avc1.42c01e"),
            (CodecId::Hevc, hevc_main, "hvc1.1.6.L93.90"),
            (CodecId::Hevc, hevc_high, "hvc1.A2.4.H153.B0.0.0.0.0.1"),
            (CodecId::Av1, b"\x81\x08\x4C\0", "av01.0.08M.10"),
            (CodecId::Vp9, &[0, 11, 0x82, 2, 2, 2, 0, 0], "vp09.00.11.08"),
            (CodecId::Vp9, &[2, 0, 0xA2, 2, 2, 2, 0, 0], "vp09.02.41.10"),
        ];
        for (codec, header, string) in rows {
            assert_eq!(track(codec, header).codec_string, string);
        }
    }

    #[test]
    fn what_cannot_be_carried_is_no_track() {
        let rows: [(CodecId, &'static [u8]); 5] = [
            (CodecId::Vp8, &[0, 11, 0x82, 2, 2, 2, 0, 0]),
            (CodecId::Other, b"anything"),
            (CodecId::Avc, b"\x01\x64"),
            (CodecId::Hevc, b"\x01"),
            (CodecId::Av1, b""),
        ];
        for (codec, header) in rows {
            assert_eq!(VideoTrack::from_header(codec, &Bytes::from_static(header)), None, "{codec}");
        }
    }

    #[test]
    fn the_record_stands_in_the_entry_of_its_codec() {
        let rows: [(CodecId, &'static [u8], &[u8]); 2] = [
            (CodecId::Avc, b"\x01\x64\0\x1F\xFF\xE0\0", b"\0\0\0\x0FavcC\x01\x64\0\x1F\xFF\xE0\0"),
            (
                CodecId::Vp9,
                b"\x01\0\0\0\0\x0B\x82\x02\x02\x02\0\0",
                b"\0\0\0\x14vpcC\x01\0\0\0\0\x0B\x82\x02\x02\x02\0\0",
            ),
        ];
        for (codec, header, config) in rows {
            let track = VideoTrack { dimensions: Some((320, 180)), ..track(codec, header) };
            let mut out = BytesMut::new();
            track.put_sample_entry(&mut out);
            assert_eq!(&out[4..8], &track.codec_string.as_bytes()[..4]);
            assert_eq!(&out[32..36], b"\x01\x40\0\xB4");
            assert_eq!(&out[86..], config);
        }
    }

    #[test]
    fn an_hevc_record_says_that_its_parameter_sets_are_all() {
        let head = b"\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x5D\xF0\0\xFC\xFD\xF8\xF8\0\0\x0F";
        let rows: [(&str, &[u8], &[u8]); 3] = [
            (
                "two",
                b"\x02\x20\0\x01\0\x02ab\x21\0\x02\0\x01c\0\x01d",
                b"\x02\xA0\0\x01\0\x02ab\xA1\0\x02\0\x01c\0\x01d",
            ),
            ("none", b"\0", b"\0"),
            ("cut off", b"\x02\x20\0\x01\0\x02a", b"\x02\xA0\0\x01\0\x02a"),
        ];
        for (name, arrays, expected) in rows {
            let header = Bytes::from([&head[..], arrays].concat());
            assert_eq!(complete(&header), [&head[..], expected].concat(), "{name}");
        }
    }

    #[test]
    fn vp9_learns_its_size_from_key_frames() {
        let track = track(CodecId::Vp9, &[0, 11, 0x82, 2, 2, 2, 0, 0]);
        assert!(!track.is_known());
        // 16x16, profile 0.
        let key_frame = [0x82, 0x49, 0x83, 0x42, 0x20, 0x00, 0xF0, 0x00, 0xF0];
        let resized = track.resized(&key_frame).expect("a size");
        assert_eq!((resized.dimensions, resized.is_known()), (Some((16, 16)), true));
        assert_eq!(resized.resized(&key_frame), None, "the same size");
        assert_eq!(resized.resized(&[0x86; 9]), None, "no key frame");
    }
}
