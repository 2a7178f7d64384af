//! The audio track: what its headers say, how long its frames play, and its sample entry.
//!
//! Owns: `mp4a` (AAC, MP3), `Opus`, `fLaC`, `ac-3` and `ec-3` (ISO/IEC 14496-14; the bindings of Opus and FLAC; ETSI TS
//! 102 366, annex F), and their codec strings. Does not know time of day.

use bytes::{BufMut, Bytes, BytesMut};

use super::boxes::{put_box, put_descriptor, put_full_box};
use crate::media::codec::{CodecId, aac, ac3, bits, flac, mp3, opus};
use crate::wire::put_u24;

/// Samples of an Opus packet that does not tell: 20 ms, what encoders send unless asked otherwise.
const USUAL_OPUS_SAMPLES: u32 = 960;

/// `objectTypeIndication` (ISO/IEC 14496-1, table 5).
mod object_type {
    pub(super) const AAC: u8 = 0x40;
    pub(super) const MPEG2_AUDIO: u8 = 0x69;
    pub(super) const MPEG1_AUDIO: u8 = 0x6B;
}

/// What a player has to know before the first sound.
#[derive(Debug, Clone)]
pub(super) struct AudioTrack {
    kind: Kind,
    /// Samples per second, and the timescale.
    pub(super) sample_rate: u32,
    channels: u16,
    /// Bit rate for `dec3` in kbit/s; may change from packet to packet without being news.
    kbps: u32,
    /// The codec string.
    pub(super) codec_string: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Aac { record: Bytes, frame_samples: u32 },
    Mp3(mp3::FrameHead),
    Opus(opus::Head),
    Flac(flac::StreamInfo),
    Ac3(ac3::Syncframe),
    Eac3 { first: ac3::Syncframe, dependent: u8 },
}

impl AudioTrack {
    /// By a sequence header. `None`: one that cannot be read, or of a codec that has none or is not carried.
    pub(super) fn from_header(codec: CodecId, header: &Bytes) -> Option<Self> {
        match codec {
            CodecId::Aac => Self::aac(header),
            CodecId::Opus => {
                let head = opus::Head::decode(header).ok()?;
                Some(Self::opus(head))
            }
            CodecId::Flac => {
                let info = flac::StreamInfo::decode(header).ok()?;
                let (sample_rate, channels) = (info.sample_rate, u16::from(info.channels));
                Some(Self::new(Kind::Flac(info), sample_rate, channels, "flac".to_owned()))
            }
            _ => None,
        }
    }

    /// By a coded frame, for codecs without headers and Opus that came without. `None` for all others and for what
    /// cannot be read.
    pub(super) fn from_frame(codec: CodecId, frame: &[u8]) -> Option<Self> {
        match codec {
            CodecId::Opus => Some(Self::opus(opus::Head::default())),
            CodecId::Mp3 => {
                let head = mp3::FrameHead::decode(frame).ok()?;
                let object = if head.is_mpeg1 { "mp4a.6B" } else { "mp4a.69" };
                Some(Self::new(Kind::Mp3(head), head.sample_rate, u16::from(head.channels), object.to_owned()))
            }
            CodecId::Ac3 | CodecId::Eac3 => {
                let ac3::Packet { first, dependent, kbps, .. } = ac3::Packet::decode(frame).ok()?;
                let (kind, string) = match codec {
                    CodecId::Ac3 => (Kind::Ac3(first), "ac-3"),
                    _ => (Kind::Eac3 { first, dependent }, "ec-3"),
                };
                let track = Self::new(kind, first.sample_rate, u16::from(first.channels()), string.to_owned());
                Some(AudioTrack { kbps, ..track })
            }
            _ => None,
        }
    }

    fn new(kind: Kind, sample_rate: u32, channels: u16, codec_string: String) -> Self {
        AudioTrack { kind, sample_rate, channels, kbps: 0, codec_string }
    }

    fn opus(head: opus::Head) -> Self {
        let channels = u16::from(head.channels);
        Self::new(Kind::Opus(head), opus::SAMPLE_RATE, channels, "opus".to_owned())
    }

    /// With signalled spectral band replication time is counted in samples of the output, as players expect.
    fn aac(record: &Bytes) -> Option<Self> {
        let config = aac::Config::decode(record).ok()?;
        let frame_len = u32::from(config.frame_len);
        let core = config.sample_rate;
        let (sample_rate, frame_samples) = match config.output_sample_rate() {
            _ if core == 0 => return None,
            output if output == core * 2 => (output, frame_len * 2),
            _ => (core, frame_len),
        };
        let channels = match (config.channels, config.has_ps) {
            (1, true) | (0, _) => 2,
            (channels, _) => u16::from(channels),
        };
        let string = format!("mp4a.40.{}", config.signalled_object_type());
        Some(Self::new(Kind::Aac { record: record.clone(), frame_samples }, sample_rate, channels, string))
    }

    /// Which codec.
    pub(super) const fn codec(&self) -> CodecId {
        match self.kind {
            Kind::Aac { .. } => CodecId::Aac,
            Kind::Mp3(_) => CodecId::Mp3,
            Kind::Opus(_) => CodecId::Opus,
            Kind::Flac(_) => CodecId::Flac,
            Kind::Ac3(_) => CodecId::Ac3,
            Kind::Eac3 { .. } => CodecId::Eac3,
        }
    }

    /// Whether both are described the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind
    }

    /// How long a coded frame plays, in samples.
    pub(super) fn samples(&self, frame: &[u8]) -> u32 {
        match &self.kind {
            Kind::Aac { frame_samples, .. } => *frame_samples,
            Kind::Mp3(head) => head.samples(),
            Kind::Opus(_) => match opus::packet_samples(frame) {
                0 => USUAL_OPUS_SAMPLES,
                samples => samples,
            },
            Kind::Flac(info) => info.frame_samples(frame),
            Kind::Ac3(_) | Kind::Eac3 { .. } => ac3::Packet::decode(frame).map_or(ac3::USUAL_SAMPLES, |it| it.samples),
        }
    }

    /// `AudioSampleEntry` (ISO/IEC 14496-12, 12.2.3) with the configuration box.
    pub(super) fn put_sample_entry(&self, out: &mut BytesMut) {
        let entry = match self.kind {
            Kind::Aac { .. } | Kind::Mp3(_) => b"mp4a",
            Kind::Opus(_) => b"Opus",
            Kind::Flac(_) => b"fLaC",
            Kind::Ac3(_) => b"ac-3",
            Kind::Eac3 { .. } => b"ec-3",
        };
        let sample_bits = match &self.kind {
            Kind::Flac(info) => u16::from(info.bits_per_sample),
            _ => 16,
        };
        // A rate that 16 bits cannot hold stands in the configuration only.
        let rate = u16::try_from(self.sample_rate).unwrap_or(0);
        put_box(out, entry, |out| {
            out.put_bytes(0, 6);
            out.put_u16(1);
            out.put_bytes(0, 8);
            out.put_u16(self.channels);
            out.put_u16(sample_bits);
            out.put_u32(0);
            out.put_u32(u32::from(rate) << 16);
            self.put_config(out);
        });
    }

    fn put_config(&self, out: &mut BytesMut) {
        match &self.kind {
            Kind::Aac { record, .. } => put_esds(out, object_type::AAC, record),
            Kind::Mp3(head) if head.is_mpeg1 => put_esds(out, object_type::MPEG1_AUDIO, &[]),
            Kind::Mp3(_) => put_esds(out, object_type::MPEG2_AUDIO, &[]),
            Kind::Opus(head) => put_dops(out, head),
            Kind::Flac(info) => put_full_box(out, b"dfLa", 0, 0, |out| {
                // The only metadata block.
                out.put_u8(0x80);
                put_u24(out, flac::STREAM_INFO_LEN as u32);
                out.put_slice(&info.bytes);
            }),
            Kind::Ac3(first) => put_box(out, b"dac3", |out| out.put_slice(&dac3(first))),
            Kind::Eac3 { first, dependent } => {
                put_box(out, b"dec3", |out| out.put_slice(&dec3(first, *dependent, self.kbps)));
            }
        }
    }
}

/// `ES_Descriptor` (ISO/IEC 14496-1, 7.2.6.5; 14496-14, 5.6.1).
fn put_esds(out: &mut BytesMut, object_type: u8, specific: &[u8]) {
    const ES: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    const SYNC_LAYER: u8 = 6;
    const AUDIO_STREAM: u8 = 5 << 2 | 1;
    put_full_box(out, b"esds", 0, 0, |out| {
        put_descriptor(out, ES, |out| {
            out.put_u16(0);
            out.put_u8(0);
            put_descriptor(out, DECODER_CONFIG, |out| {
                out.put_slice(&[object_type, AUDIO_STREAM]);
                // Buffer size and bit rates are not known.
                out.put_bytes(0, 3 + 4 + 4);
                if !specific.is_empty() {
                    put_descriptor(out, DECODER_SPECIFIC, |out| out.put_slice(specific));
                }
            });
            put_descriptor(out, SYNC_LAYER, |out| out.put_u8(2));
        });
    });
}

/// Encapsulation of Opus in ISO Base Media File Format, 4.3.2: the identification header, big-endian.
fn put_dops(out: &mut BytesMut, head: &opus::Head) {
    put_box(out, b"dOps", |out| {
        out.put_slice(&[0, head.channels]);
        out.put_u16(head.pre_skip);
        out.put_u32(head.input_sample_rate);
        out.put_i16(head.output_gain);
        out.put_u8(head.mapping_family);
        out.put_slice(&head.mapping);
    });
}

/// ETSI TS 102 366, F.4.
fn dac3(first: &ac3::Syncframe) -> Vec<u8> {
    let mut bits = bits::BitWriter::default();
    put_service(&mut bits, first, 0);
    bits.bits(u32::from(first.bit_rate_code), 5);
    bits.bits(0, 5);
    bits.finish()
}

/// ETSI TS 102 366, F.6, with one independent substream. Where its dependent ones play is not told.
fn dec3(first: &ac3::Syncframe, dependent: u8, kbps: u32) -> Vec<u8> {
    let mut bits = bits::BitWriter::default();
    bits.bits(kbps.min(0x1FFF), 13);
    bits.bits(0, 3);
    put_service(&mut bits, first, 2);
    bits.bits(0, 3);
    bits.bits(u32::from(dependent.min(0x0F)), 4);
    bits.bits(0, if dependent > 0 { 9 } else { 1 });
    bits.finish()
}

/// `fscod` to `lfeon`, with what stands behind `bsid` in `dec3` only.
fn put_service(bits: &mut bits::BitWriter, first: &ac3::Syncframe, behind_bsid: usize) {
    bits.bits(u32::from(first.fscod), 2);
    bits.bits(u32::from(first.bsid), 5);
    bits.bits(0, behind_bsid);
    bits.bits(u32::from(first.bsmod), 3);
    bits.bits(u32::from(first.acmod), 3);
    bits.bits(u32::from(first.has_lfe), 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_header(codec: CodecId, header: &'static [u8]) -> AudioTrack {
        AudioTrack::from_header(codec, &Bytes::from_static(header)).expect("a header")
    }

    fn entry(track: &AudioTrack) -> BytesMut {
        let mut out = BytesMut::new();
        track.put_sample_entry(&mut out);
        out
    }

    #[test]
    fn aac_with_and_without_spectral_band_replication() {
        let rows: [(&str, &'static [u8], &str, u32, u32); 5] = [
            ("LC 44.1 kHz", &[0x12, 0x10], "mp4a.40.2", 44_100, 1024),
            ("LC 48 kHz of 960 samples", &[0x11, 0x94], "mp4a.40.2", 48_000, 960),
            ("HE-AAC, explicit", &[0x2B, 0x11, 0x88, 0x00], "mp4a.40.5", 48_000, 2048),
            ("HE-AAC, at the end", &[0x13, 0x10, 0x56, 0xE5, 0x98], "mp4a.40.5", 48_000, 2048),
            ("HE-AAC, not signalled", &[0x13, 0x10], "mp4a.40.2", 24_000, 1024),
        ];
        for (name, header, string, rate, samples) in rows {
            let track = from_header(CodecId::Aac, header);
            assert_eq!((track.codec_string.as_str(), track.sample_rate), (string, rate), "{name}");
            assert_eq!(track.samples(b"any"), samples, "{name}");
        }
    }

    #[test]
    fn sample_entries() {
        let ac3 = [&[0x0B, 0x77, 0x12, 0x34, 0x14, 0x40, 0x43, 0xE1][..], &[0; 760]].concat();
        let eac3 = [&[0x0B, 0x77, 0x00, 0xFF, 0x3F, 0x80][..], &[0; 506]].concat();
        let from_frame = |codec, frame: &[u8]| AudioTrack::from_frame(codec, frame).expect("a frame");
        let rows: [(AudioTrack, &[u8], u16, &[u8]); 7] = [
            (
                from_header(CodecId::Aac, &[0x12, 0x10]),
                b"mp4a",
                44_100,
                b"\0\0\0\x33esds\0\0\0\0\x03\x80\x80\x80\x22\0\0\0\x04\x80\x80\x80\x14\x40\x15\
                  \0\0\0\0\0\0\0\0\0\0\0\x05\x80\x80\x80\x02\x12\x10\x06\x80\x80\x80\x01\x02",
            ),
            (
                from_frame(CodecId::Mp3, &[0xFF, 0xFB, 0x90, 0x64]),
                b"mp4a",
                44_100,
                b"\0\0\0\x2Cesds\0\0\0\0\x03\x80\x80\x80\x1B\0\0\0\x04\x80\x80\x80\x0D\x6B\x15\
                  \0\0\0\0\0\0\0\0\0\0\0\x06\x80\x80\x80\x01\x02",
            ),
            (from_header(CodecId::Opus, b""), b"Opus", 48_000, b"\0\0\0\x13dOps\0\x02\x01\x38\0\0\xBB\x80\0\0\0"),
            (from_frame(CodecId::Opus, b"\xFC"), b"Opus", 48_000, b"\0\0\0\x13dOps\0\x02\x01\x38\0\0\xBB\x80\0\0\0"),
            (
                from_header(CodecId::Flac, b"\x04\0\x04\0\0\0\0\0\x08\x15\x0B\xB8\x02\xF00123456789abcdef0000"),
                b"fLaC",
                48_000,
                b"\0\0\0\x32dfLa\0\0\0\0\x80\0\0\x22\x04\0\x04\0\0\0\0\0\x08\x15\x0B\xB8\x02\xF00123456789abcdef0000",
            ),
            (from_frame(CodecId::Ac3, &ac3), b"ac-3", 48_000, b"\0\0\0\x0Bdac3\x10\x11\x40"),
            (from_frame(CodecId::Eac3, &eac3), b"ec-3", 48_000, b"\0\0\0\x0Ddec3\x04\0\x20\x0F\0"),
        ];
        for (track, kind, rate, config) in rows {
            let name = &track.codec_string;
            let entry = entry(&track);
            assert_eq!(&entry[4..8], kind, "{name}");
            assert_eq!(entry[32..34], rate.to_be_bytes(), "{name}");
            assert_eq!(&entry[36..], config, "{name}");
        }
    }

    #[test]
    fn a_rate_beyond_16_bits_stands_in_the_configuration_only() {
        let track = from_header(CodecId::Aac, &[0x10, 0x10]);
        assert_eq!(track.sample_rate, 96_000);
        assert_eq!(entry(&track)[32..36], [0; 4]);
    }

    #[test]
    fn a_packet_that_does_not_tell_plays_as_long_as_usual() {
        assert_eq!(from_header(CodecId::Opus, b"").samples(b""), USUAL_OPUS_SAMPLES);
        let ac3 = AudioTrack::from_frame(CodecId::Ac3, &[0x0B, 0x77, 0x12, 0x34, 0x14, 0x40, 0x43, 0xE1]);
        assert_eq!(ac3.expect("a frame").samples(b""), ac3::USUAL_SAMPLES);
    }

    #[test]
    fn what_cannot_be_carried_is_no_track() {
        let rows: [(CodecId, &'static [u8]); 4] = [
            (CodecId::Other, b"anything"),
            (CodecId::Aac, b""),
            (CodecId::Opus, b"OpusTags"),
            (CodecId::Flac, b"fLaC"),
        ];
        for (codec, header) in rows {
            assert!(AudioTrack::from_header(codec, &Bytes::from_static(header)).is_none(), "{codec}");
        }
        for codec in [CodecId::Aac, CodecId::Flac, CodecId::Mp3, CodecId::Ac3, CodecId::Other] {
            assert!(AudioTrack::from_frame(codec, b"no head").is_none(), "{codec}");
        }
    }
}
