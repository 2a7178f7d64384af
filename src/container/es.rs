//! Elementary streams: codecs as their own standards write them, in files (`.h264`, `.h265`, `.aac`) and as MPEG-TS
//! carries them.
//!
//! Owns: the byte stream format of H.264 and HEVC (Annex B of both), ADTS for AAC, and which track of a stream is the
//! default one. Does not know packets or time.

use bytes::{Bytes, BytesMut};

use super::flv::unit::{Unit, units};
use crate::media::codec::nal::{NalUnits, put_annex_b};
use crate::media::codec::{CodecId, aac, avc, hevc};
use crate::media::{Frame, FrameKind};

/// The unit of `frame` that belongs to the default track. `chosen` is the id of that track where it is known; else it
/// is the lowest of those in this frame whose codec is `wanted`.
pub(super) fn default_unit(frame: &Frame, chosen: Option<u8>, wanted: fn(CodecId) -> bool) -> Option<Unit> {
    let units = units(frame).into_iter();
    match chosen {
        Some(id) => units.into_iter().find(|unit| unit.track == id),
        None => units.filter(|unit| wanted(unit.codec)).min_by_key(|unit| unit.track),
    }
}

/// Most bytes of all parameter sets together. They come again with each key frame: a header of megabytes and key frames
/// of a few bytes would be written as many times what arrived. Real ones have some hundred bytes.
const MAX_PARAMETER_SET_BYTES: usize = 8 * 1024;

/// Sequence header of a codec made of NAL units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NalHeader {
    Avc(avc::Record),
    Hevc(hevc::Record),
}

impl NalHeader {
    /// `None`: damaged, of another codec, or with parameter sets of more than [`MAX_PARAMETER_SET_BYTES`].
    pub(super) fn decode(unit: &Unit) -> Option<NalHeader> {
        let header = match unit.codec {
            CodecId::Avc => avc::Record::decode(&unit.data).ok().map(NalHeader::Avc),
            CodecId::Hevc => hevc::Record::decode(&unit.data).ok().map(NalHeader::Hevc),
            _ => None,
        };
        header.filter(|header| header.parameter_sets().map(Bytes::len).sum::<usize>() <= MAX_PARAMETER_SET_BYTES)
    }

    pub(super) const fn codec(&self) -> CodecId {
        match self {
            NalHeader::Avc(_) => CodecId::Avc,
            NalHeader::Hevc(_) => CodecId::Hevc,
        }
    }

    /// Appends a coded frame in the byte stream format: an access unit delimiter, before a key frame the parameter sets
    /// unless it carries its own, and the NAL units. `false`: there are none, and nothing is written.
    pub(super) fn put_access_unit(&self, data: &[u8], is_key: bool, out: &mut BytesMut) -> bool {
        let mut nals = self.nal_units(data).filter(|nal| !self.is_delimiter(nal)).peekable();
        if nals.peek().is_none() {
            return false;
        }
        put_annex_b(out, self.delimiter());
        if is_key && !self.has_own_parameter_sets(data) {
            self.put_parameter_sets(out);
        }
        for nal in nals {
            put_annex_b(out, nal);
        }
        true
    }

    const fn nal_units<'a>(&self, data: &'a [u8]) -> NalUnits<'a> {
        match self {
            NalHeader::Avc(record) => record.nal_units(data),
            NalHeader::Hevc(record) => record.nal_units(data),
        }
    }

    /// An access unit delimiter that promises nothing about the kinds of slices.
    const fn delimiter(&self) -> &'static [u8] {
        match self {
            NalHeader::Avc(_) => &[avc::nal_type::AUD, 0xF0],
            NalHeader::Hevc(_) => &[hevc::nal_type::AUD << 1, 0x01, 0x50],
        }
    }

    fn is_delimiter(&self, nal: &[u8]) -> bool {
        match self {
            NalHeader::Avc(_) => avc::nal_type_of(nal) == avc::nal_type::AUD,
            NalHeader::Hevc(_) => hevc::nal_type_of(nal) == hevc::nal_type::AUD,
        }
    }

    fn has_own_parameter_sets(&self, data: &[u8]) -> bool {
        let has = |wanted: u8| match self {
            NalHeader::Avc(_) => self.nal_units(data).any(|nal| avc::nal_type_of(nal) == wanted),
            NalHeader::Hevc(_) => self.nal_units(data).any(|nal| hevc::nal_type_of(nal) == wanted),
        };
        match self {
            NalHeader::Avc(_) => has(avc::nal_type::SPS) && has(avc::nal_type::PPS),
            NalHeader::Hevc(_) => has(hevc::nal_type::VPS) && has(hevc::nal_type::SPS) && has(hevc::nal_type::PPS),
        }
    }

    /// In the order in which they have to come.
    fn parameter_sets(&self) -> impl Iterator<Item = &Bytes> {
        let (vps, sps, pps) = match self {
            NalHeader::Avc(record) => (&[][..], &record.sps, &record.pps),
            NalHeader::Hevc(record) => (&record.vps[..], &record.sps, &record.pps),
        };
        vps.iter().chain(sps).chain(pps)
    }

    fn put_parameter_sets(&self, out: &mut BytesMut) {
        self.parameter_sets().for_each(|set| put_annex_b(out, set));
    }
}

/// Writes the default video track as a byte stream (Annex B of H.264 and of HEVC): what `.h264` and `.h265` files hold.
/// The default track is the lowest track id in the first video frame that has H.264 or HEVC, normally 0.
#[derive(Debug, Default)]
pub struct AnnexB {
    track: Option<(u8, NalHeader)>,
}

impl AnnexB {
    /// Waits for the sequence header.
    pub fn new() -> Self {
        AnnexB::default()
    }

    /// Which codec it is, once its sequence header came.
    pub fn codec(&self) -> Option<CodecId> {
        self.track.as_ref().map(|(_, header)| header.codec())
    }

    /// Appends the bytes of a frame; none where it is not of this track, or there is no sequence header for it.
    pub fn push(&mut self, frame: &Frame, out: &mut BytesMut) {
        let chosen = self.track.as_ref().map(|(id, _)| *id);
        let is_wanted = |codec| matches!(codec, CodecId::Avc | CodecId::Hevc);
        if frame.kind != FrameKind::Video {
            return;
        }
        let Some(unit) = default_unit(frame, chosen, is_wanted) else { return };
        if unit.is_header {
            if let Some(header) = NalHeader::decode(&unit) {
                self.track = Some((unit.track, header));
            }
        } else if let Some((_, header)) = &self.track
            && header.codec() == unit.codec
        {
            header.put_access_unit(&unit.data, unit.is_key, out);
        }
    }
}

/// Writes the default audio track, AAC, as ADTS frames (ISO/IEC 14496-3, 1.A.2): what `.aac` files hold. The default
/// track is the lowest track id in the first audio frame that has AAC, normally 0.
#[derive(Debug, Default)]
pub struct Adts {
    track: Option<(u8, aac::Config)>,
}

impl Adts {
    /// Waits for the sequence header.
    pub fn new() -> Self {
        Adts::default()
    }

    /// Appends the bytes of a frame; none where it is not of this track, there is no sequence header for it, or ADTS
    /// cannot carry it.
    pub fn push(&mut self, frame: &Frame, out: &mut BytesMut) {
        let chosen = self.track.as_ref().map(|(id, _)| *id);
        if frame.kind != FrameKind::Audio {
            return;
        }
        let Some(unit) = default_unit(frame, chosen, |codec| codec == CodecId::Aac) else { return };
        if unit.codec != CodecId::Aac {
            return;
        }
        if unit.is_header {
            if let Ok(config) = aac::Config::decode(&unit.data) {
                self.track = Some((unit.track, config));
            }
        } else if let Some((_, config)) = &self.track {
            config.put_adts(&unit.data, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::flv::tag;

    fn frame(kind: FrameKind, payload: &'static [u8]) -> Frame {
        let info = match kind {
            FrameKind::Video => tag::video_info(payload),
            _ => tag::audio_info(payload),
        };
        Frame {
            kind,
            role: info.role,
            tracks: info.tracks,
            timestamp_ms: 0,
            composition_ms: info.composition_ms,
            payload: Bytes::from_static(payload),
        }
    }

    const AVC_HEADER: &[u8] = b"\x17\0\0\0\0\x01\x64\0\x0c\xfd\xe1\0\x02\x67\x01\x01\0\x02\x68\x02";

    #[test]
    fn h264_as_a_byte_stream() {
        let (mut writer, mut out) = (AnnexB::new(), BytesMut::new());
        writer.push(&frame(FrameKind::Video, b"\x17\x01\0\0\0\0\x01\x65"), &mut out);
        assert_eq!((writer.codec(), out.len()), (None, 0), "nothing before the sequence header");
        writer.push(&frame(FrameKind::Video, AVC_HEADER), &mut out);
        writer.push(&frame(FrameKind::Video, b"\x17\x01\0\0\0\0\x02\x06\x05\0\x01\x65"), &mut out);
        writer.push(&frame(FrameKind::Audio, b"\xAF\x01raw"), &mut out);
        writer.push(&frame(FrameKind::Video, b"\x27\x01\0\0\0\0\x01\x41"), &mut out);
        let key = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x01\0\0\0\x01\x68\x02\0\0\0\x01\x06\x05\0\0\0\x01\x65";
        assert_eq!(out, [&key[..], b"\0\0\0\x01\x09\xf0\0\0\0\x01\x41"].concat());
        assert_eq!(writer.codec(), Some(CodecId::Avc));
    }

    #[test]
    fn hevc_as_a_byte_stream() {
        let header = b"\x90hvc1\x01\x01\x60\0\0\0\x90\0\0\0\0\0\x3c\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f\x03\
            \x20\0\x01\0\x02\x40\x01\x21\0\x01\0\x02\x42\x01\x22\0\x01\0\x02\x44\x01";
        let (mut writer, mut out) = (AnnexB::new(), BytesMut::new());
        writer.push(&frame(FrameKind::Video, header), &mut out);
        writer.push(&frame(FrameKind::Video, b"\x91hvc1\0\0\0\0\0\0\x02\x26\x01"), &mut out);
        let sets = b"\0\0\0\x01\x46\x01\x50\0\0\0\x01\x40\x01\0\0\0\x01\x42\x01\0\0\0\x01\x44\x01";
        assert_eq!(out, [&sets[..], b"\0\0\0\x01\x26\x01"].concat());
    }

    #[test]
    fn where_the_frame_has_only_some_parameter_sets_all_of_the_header_come_first() {
        let (mut writer, mut out) = (AnnexB::new(), BytesMut::new());
        writer.push(&frame(FrameKind::Video, AVC_HEADER), &mut out);
        writer.push(&frame(FrameKind::Video, b"\x17\x01\0\0\0\0\x02\x67\x09\0\x01\x65"), &mut out);
        let expected = b"\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x01\0\0\0\x01\x68\x02\0\0\0\x01\x67\x09\0\0\0\x01\x65";
        assert_eq!(out[..], expected[..]);
    }

    #[test]
    fn a_header_that_would_make_each_key_frame_huge_is_none() {
        let key = frame(FrameKind::Video, b"\x17\x01\0\0\0\0\x01\x65");
        // Two sequence parameter sets, and a picture parameter set of two bytes.
        for (len, is_taken) in [(MAX_PARAMETER_SET_BYTES / 2 - 1, true), (MAX_PARAMETER_SET_BYTES / 2, false)] {
            let set = [&u16::try_from(len).unwrap().to_be_bytes()[..], &vec![0x67; len]].concat();
            let payload = [b"\x17\0\0\0\0\x01\x64\0\x0c\xfd\xe2", &set[..], &set, b"\x01\0\x02\x68\x02"].concat();
            let header = frame(FrameKind::Video, payload.leak());
            let (mut writer, mut out) = (AnnexB::new(), BytesMut::new());
            writer.push(&header, &mut out);
            writer.push(&key, &mut out);
            assert_eq!(writer.codec().is_some(), is_taken, "{len}");
        }
    }

    #[test]
    fn aac_as_adts() {
        let (mut writer, mut out) = (Adts::new(), BytesMut::new());
        writer.push(&frame(FrameKind::Audio, b"\xAF\x01raw"), &mut out);
        assert!(out.is_empty(), "nothing before the sequence header");
        for payload in [&b"\xAF\0\x11\x90"[..], b"\xAF\x01raw", b"\x2F\xFF\xFB", b"\xAF\x01raw"] {
            writer.push(&frame(FrameKind::Audio, payload), &mut out);
        }
        writer.push(&frame(FrameKind::Video, AVC_HEADER), &mut out);
        assert_eq!(out, b"\xff\xf1\x4c\x80\x01\x5f\xfcraw".repeat(2));
    }

    #[test]
    fn other_codecs_write_nothing() {
        let mut out = BytesMut::new();
        for payload in [&b"\x90av01\x81"[..], b"\x91av01\x12\0", b""] {
            AnnexB::new().push(&frame(FrameKind::Video, payload), &mut out);
            Adts::new().push(&frame(FrameKind::Audio, payload), &mut out);
        }
        assert!(out.is_empty());
    }
}
