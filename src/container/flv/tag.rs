//! Head of an audio or video tag body, classic (Video File Format 10.1, annex E.4.2 and E.4.3) and enhanced
//! (Enhanced RTMP v1 and v2: `ExVideoTagHeader`, `ExAudioTagHeader`).
//!
//! Owns: telling headers, key frames and composition times from the first bytes. Does not look inside a codec
//! further than that, and never calls an unknown codec an error.

use bytes::Bytes;

use crate::media::{FrameRole, TrackSet};

/// What the head of a tag body says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagInfo {
    /// What the tag is good for.
    pub role: FrameRole,
    /// Tracks inside.
    pub tracks: TrackSet,
    /// Composition time offset in milliseconds (of the first track that has one), 0 where there is none.
    pub composition_ms: i32,
    /// Codec of the first track.
    pub codec: Codec,
}

/// A codec as the tag names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Classic `CodecID` (video) or `SoundFormat` (audio).
    Classic(u8),
    /// Enhanced RTMP FourCC.
    FourCc([u8; 4]),
    /// The body was too short to say.
    Unknown,
}

/// Reads the head of a video tag body. Any bytes are legal; what is not understood is [`FrameRole::Passing`] where it
/// cannot be decoded, [`FrameRole::Key`] or [`FrameRole::Delta`] by the frame type where it may be.
pub fn video_info(body: &[u8]) -> TagInfo {
    todo!("{body:?}")
}

/// Reads the head of an audio tag body. A coded audio frame is always [`FrameRole::Key`].
pub fn audio_info(body: &[u8]) -> TagInfo {
    todo!("{body:?}")
}

/// The same video tag body with another composition time (milliseconds, clamped to SI24), for formats that carry one;
/// shares `body` unchanged where there is none or where it already has that value.
pub fn with_composition_ms(body: &Bytes, composition_ms: i32) -> Bytes {
    todo!("{body:?} {composition_ms}")
}
