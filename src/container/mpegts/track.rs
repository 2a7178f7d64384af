//! One stream of the program: its sequence header, and its frames as MPEG-TS carries them.
//!
//! Owns: which codecs fit, how each is declared, and its bytes inside a PES packet. Does not know packets or time.

use bytes::{BufMut, BytesMut};

use super::pes::stream_id;
use super::psi::Coding;
use crate::container::es::NalHeader;
use crate::container::flv::unit::Unit;
use crate::media::codec::{CodecId, aac};

/// A stream of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    /// Track id in the frames.
    pub(super) id: u8,
    pub(super) header: Header,
}

/// What has to be known before a frame can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Header {
    Nal(NalHeader),
    Aac(aac::Config),
    /// Whether it is MPEG-2 or 2.5, of lower sample rates.
    Mp3 {
        is_low_rate: bool,
    },
    Ac3,
    Eac3,
    /// `channel_config_code`.
    Opus(u8),
}

impl Track {
    /// What is known behind `unit` where `known` was known before. `None`: nothing, or the codec does not fit.
    pub(super) fn after(unit: &Unit, known: Option<Track>) -> Option<Track> {
        let known = known.filter(|known| super::carries(unit.codec) && known.id == unit.track);
        let header = match (unit.codec, unit.is_header) {
            (CodecId::Avc | CodecId::Hevc, true) => NalHeader::decode(unit).map(Header::Nal),
            (CodecId::Aac, true) => {
                aac::Config::decode(&unit.data).ok().filter(aac::Config::fits_adts).map(Header::Aac)
            }
            (CodecId::Mp3, false) => mp3_header(&unit.data),
            (CodecId::Ac3, false) => Some(Header::Ac3),
            (CodecId::Eac3, false) => Some(Header::Eac3),
            (CodecId::Opus, true) => Some(Header::Opus(opus_channel_config(&unit.data))),
            // A stream that began without its header: most are stereo.
            (CodecId::Opus, false) if !known.as_ref().is_some_and(|track| track.codec() == CodecId::Opus) => {
                Some(Header::Opus(2))
            }
            _ => None,
        };
        match header {
            Some(header) => Some(Track { id: unit.track, header }),
            None => known,
        }
    }

    pub(super) const fn codec(&self) -> CodecId {
        match &self.header {
            Header::Nal(header) => header.codec(),
            Header::Aac(_) => CodecId::Aac,
            Header::Mp3 { .. } => CodecId::Mp3,
            Header::Ac3 => CodecId::Ac3,
            Header::Eac3 => CodecId::Eac3,
            Header::Opus(_) => CodecId::Opus,
        }
    }

    pub(super) const fn coding(&self) -> Coding {
        match &self.header {
            Header::Mp3 { is_low_rate: true } => Coding::LowRateMp3,
            Header::Opus(channel_config_code) => Coding::Opus(*channel_config_code),
            _ => Coding::Plain(self.codec()),
        }
    }

    pub(super) const fn stream_id(&self) -> u8 {
        match &self.header {
            Header::Nal(_) => stream_id::VIDEO,
            Header::Aac(_) | Header::Mp3 { .. } => stream_id::MPEG_AUDIO,
            Header::Ac3 | Header::Eac3 | Header::Opus(_) => stream_id::PRIVATE,
        }
    }

    /// Appends the bytes of a coded frame and gives `true`. `false`: it cannot be carried, and nothing is written.
    pub(super) fn put(&self, unit: &Unit, out: &mut BytesMut) -> bool {
        match &self.header {
            Header::Nal(header) => header.put_access_unit(&unit.data, unit.is_key, out),
            Header::Aac(config) => config.put_adts(&unit.data, out),
            Header::Opus(_) => {
                put_opus_control(unit.data.len(), out);
                out.put_slice(&unit.data);
                true
            }
            Header::Mp3 { .. } | Header::Ac3 | Header::Eac3 => {
                out.put_slice(&unit.data);
                true
            }
        }
    }
}

/// `None` where no frame begins (ISO/IEC 11172-3, 2.4.2.3).
fn mp3_header(data: &[u8]) -> Option<Header> {
    const MPEG_1: u8 = 3;
    match data {
        [0xFF, second, ..] if second & 0xE0 == 0xE0 => Some(Header::Mp3 { is_low_rate: second >> 3 & 3 != MPEG_1 }),
        _ => None,
    }
}

/// `channel_config_code` ("Opus in MPEG-2 TS", table 4) of an identification header (RFC 7845, 5.1): the number of
/// channels, for the layouts that Vorbis knows too.
fn opus_channel_config(header: &[u8]) -> u8 {
    const STEREO: u8 = 2;
    match header.strip_prefix(b"OpusHead") {
        Some([_version, channels @ 1..=8, ..]) => *channels,
        _ => STEREO,
    }
}

/// `opus_control_header` ("Opus in MPEG-2 TS", table 5) without trimming: a size in steps of 255.
fn put_opus_control(packet_len: usize, out: &mut BytesMut) {
    const PREFIX: u16 = 0x7FE0;
    out.put_u16(PREFIX);
    out.put_bytes(0xFF, packet_len / 255);
    out.put_u8((packet_len % 255) as u8);
}
