//! Names of codecs.
//!
//! Owns: how a tag names its codec, and how a log does. Does not know what a codec's bytes mean.

use std::fmt;

use crate::media::FrameKind;
use crate::media::codec::CodecId;

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

impl Codec {
    /// Classic video: H.264.
    pub const AVC: Codec = Codec::Classic(7);
    /// Classic video: HEVC, as many encoders write it without a specification.
    pub const CLASSIC_HEVC: Codec = Codec::Classic(12);
    /// Classic video: AV1, as some encoders write it without a specification.
    pub const CLASSIC_AV1: Codec = Codec::Classic(13);
    /// Classic audio: AAC.
    pub const AAC: Codec = Codec::Classic(10);

    /// Which codec that is. The numbers of classic codecs mean one thing in audio and another in video.
    pub const fn id(self, kind: FrameKind) -> CodecId {
        match (self, kind) {
            (Codec::Classic(id), FrameKind::Audio) => classic_audio_id(id),
            (Codec::Classic(id), _) => classic_video_id(id),
            (Codec::FourCc(four_cc), _) => four_cc_id(&four_cc),
            (Codec::Unknown, _) => CodecId::Other,
        }
    }

    /// The codec's usual name, for logs. The numbers of classic codecs mean one thing in audio and another in video.
    pub const fn name(self, kind: FrameKind) -> CodecName {
        CodecName { codec: self, kind }
    }
}

/// Writes the usual name of a codec ("H.264", "AAC"), or its number or FourCC where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecName {
    codec: Codec,
    kind: FrameKind,
}

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match (self.codec, self.kind) {
            (Codec::Classic(id), FrameKind::Audio) => classic_audio_name(id),
            (Codec::Classic(id), _) => classic_video_name(id),
            (Codec::FourCc(four_cc), _) => four_cc_name(&four_cc),
            (Codec::Unknown, _) => Some("unknown"),
        };
        match (known, self.codec) {
            (Some(name), _) => f.write_str(name),
            (None, Codec::Classic(id)) => write!(f, "codec {id}"),
            (None, Codec::FourCc(four_cc)) => write!(f, "codec '{}'", four_cc.escape_ascii()),
            (None, Codec::Unknown) => Ok(()),
        }
    }
}

const fn classic_audio_id(id: u8) -> CodecId {
    match id {
        2 | 14 => CodecId::Mp3,
        10 => CodecId::Aac,
        _ => CodecId::Other,
    }
}

const fn classic_video_id(id: u8) -> CodecId {
    match id {
        7 => CodecId::Avc,
        12 => CodecId::Hevc,
        13 => CodecId::Av1,
        _ => CodecId::Other,
    }
}

const fn four_cc_id(four_cc: &[u8; 4]) -> CodecId {
    match four_cc {
        b"avc1" => CodecId::Avc,
        b"hvc1" => CodecId::Hevc,
        b"av01" => CodecId::Av1,
        b"vp08" => CodecId::Vp8,
        b"vp09" => CodecId::Vp9,
        b"mp4a" => CodecId::Aac,
        b"Opus" => CodecId::Opus,
        b"fLaC" => CodecId::Flac,
        b".mp3" => CodecId::Mp3,
        b"ac-3" => CodecId::Ac3,
        b"ec-3" => CodecId::Eac3,
        _ => CodecId::Other,
    }
}

const fn classic_audio_name(id: u8) -> Option<&'static str> {
    Some(match id {
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        10 => "AAC",
        11 => "Speex",
        15 => "device-specific",
        _ => return None,
    })
}

const fn classic_video_name(id: u8) -> Option<&'static str> {
    Some(match id {
        2 => "Sorenson H.263",
        3 => "Screen video",
        4 => "VP6",
        5 => "VP6 with alpha",
        6 => "Screen video 2",
        7 => "H.264",
        12 => "HEVC",
        13 => "AV1",
        _ => return None,
    })
}

const fn four_cc_name(four_cc: &[u8; 4]) -> Option<&'static str> {
    Some(match four_cc {
        b"avc1" => "H.264",
        b"hvc1" => "HEVC",
        b"vvc1" => "VVC",
        b"av01" => "AV1",
        b"vp08" => "VP8",
        b"vp09" => "VP9",
        b"mp4a" => "AAC",
        b"Opus" => "Opus",
        b"fLaC" => "FLAC",
        b".mp3" => "MP3",
        b"ac-3" => "AC-3",
        b"ec-3" => "E-AC-3",
        _ => return None,
    })
}
