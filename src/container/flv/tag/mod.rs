//! Head of an audio or video tag body, classic (Video File Format 10.1, annex E.4.2 and E.4.3) and enhanced
//! (Enhanced RTMP v1 and v2: `ExVideoTagHeader`, `ExAudioTagHeader`).
//!
//! Owns: telling headers, key frames and composition times from the first bytes. Does not look inside a codec
//! further than that, and never calls an unknown codec an error.

mod codec;
pub(super) mod enhanced;
#[cfg(test)]
mod tests;

pub use codec::{Codec, CodecName};

use bytes::{BufMut, Bytes, BytesMut};

use crate::media::{FrameRole, HeaderKind, TrackSet};
use crate::wire::Reader;

use enhanced::{ExHeader, Track};

/// Range of composition times that the SI24 field can carry, in milliseconds.
const COMPOSITION_MS: (i32, i32) = (-0x80_0000, 0x7F_FFFF);

/// What the head of a tag body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagInfo {
    /// What the tag is good for.
    pub role: FrameRole,
    /// Tracks inside. [`TrackSet::DEFAULT`] where the body does not say.
    pub tracks: TrackSet,
    /// Composition time offset in milliseconds (of the first track that has one), 0 where there is none.
    pub composition_ms: i32,
    /// Codec of the first track.
    pub codec: Codec,
}

impl TagInfo {
    /// Nothing to decode, on the default track.
    const fn passing(codec: Codec) -> Self {
        TagInfo { role: FrameRole::Passing, tracks: TrackSet::DEFAULT, composition_ms: 0, codec }
    }
}

/// Where a video tag body keeps its composition time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CompositionField {
    /// Nowhere that may be written.
    None,
    /// SI24 at this offset.
    At(usize),
    /// Left out because it is 0 (`CodedFramesX`).
    Implied {
        /// Offset of the byte whose low four bits are the packet type.
        packet_type_at: usize,
        /// Offset where the field would stand.
        field_at: usize,
    },
}

/// Classic frame type, `FrameType` and `VideoFrameType`.
mod frame_type {
    pub(super) const KEY: u8 = 1;
    pub(super) const DISPOSABLE: u8 = 3;
    pub(super) const GENERATED_KEY: u8 = 4;
    pub(super) const COMMAND: u8 = 5;
}

/// Reads the head of a video tag body. Any bytes are legal; what is not understood is [`FrameRole::Passing`] where it
/// cannot be decoded, [`FrameRole::Key`] or [`FrameRole::Delta`] by the frame type where it may be.
pub fn video_info(body: &[u8]) -> TagInfo {
    inspect_video(body).0
}

/// Reads the head of an audio tag body. A coded audio frame is always [`FrameRole::Key`].
pub fn audio_info(body: &[u8]) -> TagInfo {
    let Some(&first) = body.first() else { return TagInfo::passing(Codec::Unknown) };
    let codec = match first >> 4 {
        9 => return enhanced_audio(body),
        format => Codec::Classic(format),
    };
    let role = match (codec, body.get(1)) {
        (Codec::AAC, Some(0)) => FrameRole::Header(HeaderKind::Sequence),
        (Codec::AAC, None) => FrameRole::Passing,
        _ => FrameRole::Key,
    };
    TagInfo { role, ..TagInfo::passing(codec) }
}

/// The same video tag body with another composition time (milliseconds, clamped to SI24), for formats that carry one;
/// shares `body` unchanged where there is none or where it already has that value.
///
/// An enhanced body that leaves the field out (`CodedFramesX`) gets one, and becomes `CodedFrames`. A multitrack body
/// is changed where it holds exactly one track by its type (`OneTrack`, what OBS sends); those made for several tracks
/// stay unchanged, for one value cannot be right for each of them.
pub fn with_composition_ms(body: &Bytes, composition_ms: i32) -> Bytes {
    let (info, field) = inspect_video(body);
    let (lowest, highest) = COMPOSITION_MS;
    let wanted = composition_ms.clamp(lowest, highest);
    if info.composition_ms == wanted {
        return body.clone();
    }
    let [_, value @ ..] = wanted.to_be_bytes();
    match field {
        CompositionField::None => body.clone(),
        CompositionField::At(at) => replaced(body, at, 3, &value),
        CompositionField::Implied { packet_type_at, field_at } => {
            let Some(byte) = body.get(packet_type_at) else { return body.clone() };
            let coded_frames = [byte & 0xF0 | enhanced::CODED_FRAMES];
            let body = replaced(body, packet_type_at, 1, &coded_frames);
            replaced(&body, field_at, 0, &value)
        }
    }
}

/// `body` with `len` bytes from `at` on replaced; unchanged where they do not exist.
fn replaced(body: &Bytes, at: usize, len: usize, by: &[u8]) -> Bytes {
    let mut reader = Reader::new(body);
    let (Ok(before), Ok(())) = (reader.bytes(at), reader.skip(len)) else { return body.clone() };
    let after = reader.rest();
    let mut out = BytesMut::with_capacity(before.len() + by.len() + after.len());
    out.put_slice(before);
    out.put_slice(by);
    out.put_slice(after);
    out.freeze()
}

/// What a video tag body says, and where its composition time stands.
fn inspect_video(body: &[u8]) -> (TagInfo, CompositionField) {
    let Some(&first) = body.first() else {
        return (TagInfo::passing(Codec::Unknown), CompositionField::None);
    };
    if first & 0x80 == 0 { classic_video(first, body) } else { enhanced_video(first, body) }
}

/// Classic video tag body. HEVC as 12 and AV1 as 13 are not in the specification but in wide use; they look like AVC.
/// A coded frame too short for its composition time is taken by its frame type.
fn classic_video(first: u8, body: &[u8]) -> (TagInfo, CompositionField) {
    let codec = Codec::Classic(first & 0x0F);
    let mut info = TagInfo::passing(codec);
    let frame_type = first >> 4;
    if frame_type == frame_type::COMMAND {
        return (info, CompositionField::None);
    }
    if !matches!(codec, Codec::AVC | Codec::CLASSIC_HEVC | Codec::CLASSIC_AV1) {
        info.role = coded_role(frame_type);
        return (info, CompositionField::None);
    }
    match body.get(1) {
        Some(0) => info.role = FrameRole::Header(HeaderKind::Sequence),
        Some(1) => {
            info.role = coded_role(frame_type);
            let mut reader = Reader::new(body);
            if let (Ok(()), Ok(composition_ms)) = (reader.skip(2), reader.i24()) {
                info.composition_ms = composition_ms;
                return (info, CompositionField::At(2));
            }
        }
        _ => {}
    }
    (info, CompositionField::None)
}

fn enhanced_video(first: u8, body: &[u8]) -> (TagInfo, CompositionField) {
    let passing = (TagInfo::passing(Codec::Unknown), CompositionField::None);
    let Ok(header) = ExHeader::decode(body, enhanced::VIDEO_MULTITRACK) else { return passing };
    let frame_type = first >> 4 & 0x07;
    if frame_type == frame_type::COMMAND && header.outer_packet_type != enhanced::METADATA {
        return passing;
    }
    let Some(first_track) = header.tracks().next() else { return passing };
    let (composition_ms, field) = enhanced_composition(&header, first_track, body.len());
    let info = TagInfo {
        role: enhanced_video_role(header.packet_type, frame_type),
        tracks: header.track_set(),
        composition_ms,
        codec: Codec::FourCc(first_track.four_cc),
    };
    (info, field)
}

/// Composition time of the first track that has one, and where it stands if the body is made for one track.
fn enhanced_composition(header: &ExHeader<'_>, first_track: Track<'_>, body_len: usize) -> (i32, CompositionField) {
    let field_at = body_len - first_track.rest.len();
    match (header.packet_type, header.has_several_tracks()) {
        (enhanced::CODED_FRAMES, several) => {
            let mut tracks = header.tracks().filter(Track::has_composition_time);
            let first = tracks.find_map(|track| Reader::new(track.rest).i24().ok());
            match first {
                Some(composition_ms) if several => (composition_ms, CompositionField::None),
                Some(composition_ms) => (composition_ms, CompositionField::At(field_at)),
                None => (0, CompositionField::None),
            }
        }
        (enhanced::CODED_FRAMES_X, false) if first_track.has_composition_time() => {
            let packet_type_at = header.packet_type_at;
            (0, CompositionField::Implied { packet_type_at, field_at })
        }
        _ => (0, CompositionField::None),
    }
}

fn enhanced_video_role(packet_type: u8, frame_type: u8) -> FrameRole {
    match packet_type {
        enhanced::SEQUENCE_START | enhanced::MPEG2TS_SEQUENCE_START => FrameRole::Header(HeaderKind::Sequence),
        enhanced::METADATA => FrameRole::Header(HeaderKind::ColorInfo),
        enhanced::CODED_FRAMES | enhanced::CODED_FRAMES_X => coded_role(frame_type),
        _ => FrameRole::Passing,
    }
}

fn enhanced_audio(body: &[u8]) -> TagInfo {
    let passing = TagInfo::passing(Codec::Unknown);
    let Ok(header) = ExHeader::decode(body, enhanced::AUDIO_MULTITRACK) else { return passing };
    let Some(first_track) = header.tracks().next() else { return passing };
    let role = match header.packet_type {
        enhanced::SEQUENCE_START => FrameRole::Header(HeaderKind::Sequence),
        enhanced::MULTICHANNEL_CONFIG => FrameRole::Header(HeaderKind::Multichannel),
        enhanced::CODED_FRAMES => FrameRole::Key,
        _ => FrameRole::Passing,
    };
    let codec = Codec::FourCc(first_track.four_cc);
    TagInfo { role, tracks: header.track_set(), codec, composition_ms: 0 }
}

/// Role of a coded frame. A frame type that is not defined may be anything but a place to begin.
fn coded_role(frame_type: u8) -> FrameRole {
    match frame_type {
        frame_type::KEY | frame_type::GENERATED_KEY => FrameRole::Key,
        frame_type::DISPOSABLE => FrameRole::Disposable,
        _ => FrameRole::Delta,
    }
}
