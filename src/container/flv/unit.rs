//! The codec's own bytes behind the head of a tag body.
//!
//! Owns: cutting a [`Frame`] into [`Unit`]s, one for each track inside, for containers that write codecs in their own
//! way. Does not look into a codec.

use bytes::Bytes;

use super::tag::enhanced::{self, ExHeader};
use super::tag::{self, Codec};
use crate::media::codec::CodecId;
use crate::media::{Frame, FrameKind, FrameRole, HeaderKind};
use crate::wire::Reader;

/// What one track of a frame carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Track id; 0 is the default track and the only one of classic tags.
    pub track: u8,
    /// Which codec.
    pub codec: CodecId,
    /// `true`: `data` is the sequence header (configuration record). `false`: one coded frame.
    pub is_header: bool,
    /// Decoding can begin here. `true` for every audio frame.
    pub is_key: bool,
    /// Presentation time minus decoding time, in milliseconds.
    pub composition_ms: i32,
    /// The codec's own bytes.
    pub data: Bytes,
}

/// Sequence headers and coded frames of an audio or video frame, one for each track inside. Nothing where there is
/// nothing to decode. The composition time of classic tags and of enhanced ones with one track is the frame's own,
/// which an instant join may have changed.
pub fn units(frame: &Frame) -> Vec<Unit> {
    let is_header = match frame.role {
        FrameRole::Header(HeaderKind::Sequence) => true,
        FrameRole::Key | FrameRole::Delta | FrameRole::Disposable => false,
        FrameRole::Header(_) | FrameRole::Metadata | FrameRole::Passing => return Vec::new(),
    };
    let is_enhanced = match frame.kind {
        FrameKind::Video => frame.payload.first().is_some_and(|first| first & 0x80 != 0),
        FrameKind::Audio => frame.payload.first().is_some_and(|first| first >> 4 == 9),
        FrameKind::Data => return Vec::new(),
    };
    if is_enhanced { enhanced_units(frame, is_header) } else { classic_unit(frame, is_header).into_iter().collect() }
}

fn classic_unit(frame: &Frame, is_header: bool) -> Option<Unit> {
    let info = match frame.kind {
        FrameKind::Video => tag::video_info(&frame.payload),
        _ => tag::audio_info(&frame.payload),
    };
    let head_len = match (frame.kind, info.codec) {
        (FrameKind::Video, Codec::AVC | Codec::CLASSIC_HEVC | Codec::CLASSIC_AV1) => 5,
        (FrameKind::Audio, Codec::AAC) => 2,
        _ => 1,
    };
    let data = (frame.payload.len() > head_len).then(|| frame.payload.slice(head_len..))?;
    Some(Unit {
        track: 0,
        codec: info.codec.id(frame.kind),
        is_header,
        is_key: frame.role == FrameRole::Key,
        composition_ms: frame.composition_ms,
        data,
    })
}

fn enhanced_units(frame: &Frame, is_header: bool) -> Vec<Unit> {
    let (multitrack, is_video) = match frame.kind {
        FrameKind::Video => (enhanced::VIDEO_MULTITRACK, true),
        _ => (enhanced::AUDIO_MULTITRACK, false),
    };
    let Ok(header) = ExHeader::decode(&frame.payload, multitrack) else { return Vec::new() };
    let one_value = !header.has_several_tracks();
    let units = header.tracks().filter_map(|track| {
        let mut rest = Reader::new(track.rest);
        let mut composition_ms = 0;
        if is_video && track.has_composition_time() && !is_header {
            composition_ms = frame.composition_ms;
            if header.packet_type == enhanced::CODED_FRAMES {
                let own_ms = rest.i24().ok()?;
                composition_ms = if one_value { composition_ms } else { own_ms };
            }
        }
        let data = frame.payload.slice_ref(rest.rest());
        // An Opus stream may begin without its identification header.
        (is_header || !data.is_empty()).then(|| Unit {
            track: track.id,
            codec: Codec::FourCc(track.four_cc).id(frame.kind),
            is_header,
            is_key: frame.role == FrameRole::Key,
            composition_ms,
            data,
        })
    });
    units.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(payload: &[u8], composition_ms: Option<i32>) -> Frame {
        let info = tag::video_info(payload);
        frame(FrameKind::Video, &info, payload, composition_ms)
    }

    fn audio(payload: &[u8]) -> Frame {
        frame(FrameKind::Audio, &tag::audio_info(payload), payload, None)
    }

    fn frame(kind: FrameKind, info: &tag::TagInfo, payload: &[u8], composition_ms: Option<i32>) -> Frame {
        Frame {
            kind,
            role: info.role,
            tracks: info.tracks,
            timestamp_ms: 7,
            composition_ms: composition_ms.unwrap_or(info.composition_ms),
            payload: Bytes::copy_from_slice(payload),
        }
    }

    /// Track, codec, whether header, whether key, composition time, bytes.
    type Row<'a> = (u8, CodecId, bool, bool, i32, &'a [u8]);

    fn rows(units: &[Unit]) -> Vec<Row<'_>> {
        let row = |unit: &'_ Unit| (unit.track, unit.codec, unit.is_header, unit.is_key, unit.composition_ms);
        units
            .iter()
            .map(|unit| {
                let (track, codec, is_header, is_key, composition_ms) = row(unit);
                (track, codec, is_header, is_key, composition_ms, &unit.data[..])
            })
            .collect()
    }

    #[test]
    fn classic_tags() {
        use CodecId::{Aac, Avc, Hevc, Mp3};
        let table: [(&str, Frame, Row<'_>); 6] = [
            ("AVC header", video(b"\x17\0\0\0\0\x01\x64", None), (0, Avc, true, false, 0, b"\x01\x64")),
            ("AVC key frame", video(b"\x17\x01\0\0\x28key", None), (0, Avc, false, true, 40, b"key")),
            ("HEVC as codec 12", video(b"\x2C\x01\0\0\x28P", None), (0, Hevc, false, false, 40, b"P")),
            ("composition time changed", video(b"\x27\x01\0\0\x28P", Some(3)), (0, Avc, false, false, 3, b"P")),
            ("AAC frame", audio(b"\xAF\x01raw"), (0, Aac, false, true, 0, b"raw")),
            ("MP3 frame", audio(b"\x2F\xFF\xFB"), (0, Mp3, false, true, 0, b"\xFF\xFB")),
        ];
        for (name, frame, expected) in table {
            assert_eq!(rows(&units(&frame)), [expected], "{name}");
        }
    }

    #[test]
    fn enhanced_tags() {
        use CodecId::{Av1, Hevc, Opus};
        let table: [(&str, Frame, Row<'_>); 6] = [
            ("HEVC header", video(b"\x90hvc1\x01\x01", None), (0, Hevc, true, false, 0, b"\x01\x01")),
            ("HEVC key frame", video(b"\x91hvc1\0\0\x28key", None), (0, Hevc, false, true, 40, b"key")),
            ("HEVC without the field", video(b"\xA3hvc1P", Some(9)), (0, Hevc, false, false, 9, b"P")),
            ("AV1", video(b"\xA1av01P", None), (0, Av1, false, false, 0, b"P")),
            ("one track", video(b"\xA6\x01hvc1\x05\0\0\x28P", None), (5, Hevc, false, false, 40, b"P")),
            ("an empty Opus header", audio(b"\x90Opus"), (0, Opus, true, false, 0, b"")),
        ];
        for (name, frame, expected) in table {
            assert_eq!(rows(&units(&frame)), [expected], "{name}");
        }
    }

    #[test]
    fn each_of_several_tracks_has_its_own_time() {
        let frame = video(b"\x96\x11avc1\x00\0\0\x04\0\0\x28A\x02\0\0\x04\0\0\x50B", None);
        let expected: [Row<'_>; 2] =
            [(0, CodecId::Avc, false, true, 40, b"A"), (2, CodecId::Avc, false, true, 80, b"B")];
        assert_eq!(rows(&units(&frame)), expected);
    }

    #[test]
    fn what_cannot_be_decoded_has_no_units() {
        for frame in [video(b"", None), video(b"\x92hvc1", None), video(b"\x17", None), audio(b"\xAF"), audio(b"")] {
            assert_eq!(units(&frame), [], "{frame:?}");
        }
    }
}
