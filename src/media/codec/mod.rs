//! Codecs: which one, and what stands inside its bytes.
//!
//! Owns: one name for each codec, however a tag spells it, and the reading of configuration records. Does not know
//! containers.

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
pub mod bits;
pub mod flac;
pub mod hevc;
pub mod mp3;
pub mod nal;
pub mod opus;
pub mod vp9;

use std::fmt;

/// A codec, by whatever name it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodecId {
    /// H.264, length-prefixed NAL units; header: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1).
    Avc,
    /// HEVC, length-prefixed NAL units; header: `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1).
    Hevc,
    /// AV1, temporal units of the low-overhead format; header: `AV1CodecConfigurationRecord`.
    Av1,
    /// VP8; header: `VPCodecConfigurationRecord`.
    Vp8,
    /// VP9; header: `VPCodecConfigurationRecord`.
    Vp9,
    /// AAC, raw access units; header: `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
    Aac,
    /// MP3, whole frames; no header.
    Mp3,
    /// Opus packets; header: identification header (RFC 7845, 5.1), which may be empty.
    Opus,
    /// FLAC frames; header: `fLaC` and metadata blocks, or `STREAMINFO` alone.
    Flac,
    /// AC-3 syncframes; no header.
    Ac3,
    /// E-AC-3 syncframes; no header.
    Eac3,
    /// Any other: forwarded, never looked into.
    Other,
}

impl CodecId {
    /// The usual name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            CodecId::Avc => "H.264",
            CodecId::Hevc => "HEVC",
            CodecId::Av1 => "AV1",
            CodecId::Vp8 => "VP8",
            CodecId::Vp9 => "VP9",
            CodecId::Aac => "AAC",
            CodecId::Mp3 => "MP3",
            CodecId::Opus => "Opus",
            CodecId::Flac => "FLAC",
            CodecId::Ac3 => "AC-3",
            CodecId::Eac3 => "E-AC-3",
            CodecId::Other => "other",
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
