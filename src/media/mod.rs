//! What travels through the server: [`Frame`].
//!
//! Owns: the unit that publishers give and subscribers get, and what stands inside codecs. Does not know how
//! a container or a protocol writes it.

pub mod codec;

use bytes::Bytes;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
    /// A data message (metadata, cue points, captions), AMF0 encoded.
    Data,
}

/// What a frame is good for, as far as caching and dropping are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameRole {
    /// Decoder configuration: needed before any coded frame of its track; replaces an earlier one of the same
    /// `tracks` and `header`.
    Header(HeaderKind),
    /// `onMetaData`: kept, replaces an earlier one.
    Metadata,
    /// A coded frame from which decoding can begin. Every coded audio frame and every video key frame.
    Key,
    /// A coded frame that needs earlier ones.
    Delta,
    /// A coded frame that no other frame needs.
    Disposable,
    /// Carries nothing to decode: end of sequence, video info, command, a zero-length message, data other than
    /// `onMetaData`. Passed on in order, never cached.
    Passing,
}

/// Which of the configuration messages of one track this is; each is cached beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeaderKind {
    /// Sequence header (AVC, HEVC, AV1, AAC, ... configuration record).
    Sequence,
    /// Enhanced RTMP `VideoPacketType.Metadata` (colour information).
    ColorInfo,
    /// Enhanced RTMP `AudioPacketType.MultichannelConfig`.
    Multichannel,
}

/// The tracks that a frame carries, as a set of track ids. Track 0 is the default track and the only one of
/// classic messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TrackSet([u128; 2]);

impl TrackSet {
    /// Only the default track.
    pub const DEFAULT: TrackSet = TrackSet([1, 0]);
    /// No track.
    pub const EMPTY: TrackSet = TrackSet([0, 0]);

    /// Adds `track`.
    pub fn insert(&mut self, track: u8) {
        let [low, high] = &mut self.0;
        let word = if track < 128 { low } else { high };
        *word |= 1_u128 << (track % 128);
    }

    /// Whether `track` is one of them.
    pub const fn contains(self, track: u8) -> bool {
        let [low, high] = self.0;
        let word = if track < 128 { low } else { high };
        word >> (track % 128) & 1 == 1
    }

    /// The lowest of them; 0 where there is none.
    pub const fn lowest(self) -> u8 {
        let [low, high] = self.0;
        match (low, high) {
            (0, 0) => 0,
            (0, high) => 128 + high.trailing_zeros() as u8,
            (low, _) => low.trailing_zeros() as u8,
        }
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        let [low, high] = self.0;
        low == 0 && high == 0
    }
}

/// One audio, video or data unit on its stream's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Audio, video or data.
    pub kind: FrameKind,
    /// What it is good for.
    pub role: FrameRole,
    /// Tracks inside; [`TrackSet::DEFAULT`] for classic messages.
    pub tracks: TrackSet,
    /// Decoding time in milliseconds on the stream's own timeline.
    pub timestamp_ms: u64,
    /// Presentation time minus decoding time, in milliseconds. May be negative. 0 where the codec has none.
    pub composition_ms: i32,
    /// The message body as it arrived: an FLV tag body for audio and video, AMF0 values for data.
    pub payload: Bytes,
}

impl Frame {
    /// Whether this is a video frame from which decoding can begin.
    pub fn is_video_key(&self) -> bool {
        self.kind == FrameKind::Video && self.role == FrameRole::Key
    }

    /// Whether this is a coded audio or video frame.
    pub fn is_coded(&self) -> bool {
        matches!(self.role, FrameRole::Key | FrameRole::Delta | FrameRole::Disposable)
    }

    /// Presentation time in milliseconds on the stream's own timeline.
    pub fn presentation_ms(&self) -> u64 {
        self.timestamp_ms.saturating_add_signed(i64::from(self.composition_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_set_holds_any_track_id() {
        let mut tracks = TrackSet::EMPTY;
        assert!(tracks.is_empty());
        for track in [255, 128, 127, 1, 0] {
            tracks.insert(track);
            assert_eq!(tracks.lowest(), track);
        }
        let held: Vec<u8> = (0..=255).filter(|&track| tracks.contains(track)).collect();
        assert_eq!(held, [0, 1, 127, 128, 255]);
    }
}
