//! AAC (ISO/IEC 14496-3).
//!
//! Owns: `AudioSpecificConfig` and the ADTS form of an access unit. Does not decode sound.

use bytes::{BufMut, Bytes, BytesMut};

use super::bits::{BitReader, BitWriter};
use crate::wire::Incomplete;

/// `samplingFrequencyIndex` 0 to 12, in hertz (1.6.3.4).
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The rate stands behind this index itself.
const EXPLICIT_RATE: u8 = 15;

/// Audio object types (table 1.17).
mod object_type {
    pub const SBR: u8 = 5;
    pub const ER_BSAC: u8 = 22;
    pub const PS: u8 = 29;
    /// More bits follow.
    pub const ESCAPE: u8 = 31;
}

/// Length of an ADTS header without checksum, in bytes.
pub const ADTS_HEADER_LEN: usize = 7;

/// Longest ADTS frame that the 13-bit length can tell, in bytes, with its header.
pub const MAX_ADTS_LEN: usize = 0x1FFF;

/// `AudioSpecificConfig` (1.6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Audio object type of the core: 2 is AAC-LC. See also [`Config::signalled_object_type`].
    pub object_type: u8,
    /// Samples in a second of the core, in hertz. See also [`Config::output_sample_rate`].
    pub sample_rate: u32,
    /// Channels of the core. 0 where the configuration does not tell.
    pub channels: u8,
    /// `channelConfiguration`, 0 where a program config element tells the channels.
    pub channel_configuration: u8,
    /// Samples of an access unit: 1024, or 960 where the configuration says so, at the core's rate.
    pub frame_len: u16,
    /// Spectral band replication is signalled: rate of the output in hertz.
    pub sbr_sample_rate: Option<u32>,
    /// Parametric stereo is signalled.
    pub has_ps: bool,
    /// The program config element as it stands in a raw data block: what ADTS needs where `channel_configuration` is 0.
    program_config: Bytes,
}

impl Config {
    /// Reads a configuration. What is not needed to cut and describe the stream is not looked at.
    ///
    /// # Errors
    /// [`Incomplete`] where the bytes end inside it, or name a rate that does not exist.
    pub fn decode(bytes: &[u8]) -> Result<Config, Incomplete> {
        let bits = &mut BitReader::new(bytes);
        let signalled = object_type(bits)?;
        let rate = sample_rate(bits)?;
        let channel_configuration = bits.small(4)?;
        let mut config = Config {
            object_type: signalled,
            sample_rate: rate,
            channels: channels_of(channel_configuration),
            channel_configuration,
            frame_len: 1024,
            sbr_sample_rate: None,
            has_ps: signalled == object_type::PS,
            program_config: Bytes::new(),
        };
        if matches!(signalled, object_type::SBR | object_type::PS) {
            config.sbr_sample_rate = Some(sample_rate(bits)?);
            config.object_type = object_type(bits)?;
            if config.object_type == object_type::ER_BSAC {
                bits.skip(4)?;
            }
        }
        if has_general_audio(config.object_type) {
            config.read_general_audio(bits)?;
        }
        if config.sbr_sample_rate.is_none() {
            // What ends here is no extension.
            let _ = config.read_extension(bits);
        }
        Ok(config)
    }

    /// `GASpecificConfig` (4.4.1).
    fn read_general_audio(&mut self, bits: &mut BitReader<'_>) -> Result<(), Incomplete> {
        // Encoders are known that end here; the defaults are right for all of them.
        let Ok(is_short) = bits.bit() else { return Ok(()) };
        self.frame_len = if is_short { 960 } else { 1024 };
        let depends_on_core = bits.bit().unwrap_or(false);
        if depends_on_core {
            bits.skip(14)?;
        }
        let has_extension = bits.bit().unwrap_or(false);
        if self.channel_configuration == 0 {
            self.read_program_config(bits)?;
        }
        if matches!(self.object_type, 6 | 20) {
            bits.skip(3)?;
        }
        if has_extension {
            match self.object_type {
                22 => bits.skip(16)?,
                17 | 19 | 20 | 23 => bits.skip(3)?,
                _ => {}
            }
            bits.skip(1)?;
        }
        if matches!(self.object_type, 17 | 19..=27) {
            bits.skip(2)?;
        }
        Ok(())
    }

    /// `program_config_element` (4.4.1.1).
    fn read_program_config(&mut self, bits: &mut BitReader<'_>) -> Result<(), Incomplete> {
        const ID_PCE: u32 = 5;
        let mut copy = BitWriter::default();
        copy.bits(ID_PCE, 3);
        let mut take = |bits: &mut BitReader<'_>, count: usize| {
            let value = bits.bits(count)?;
            copy.bits(value, count);
            Ok::<u32, Incomplete>(value)
        };
        take(bits, 10)?;
        let mut elements = 0;
        for _ in 0..3 {
            elements += take(bits, 4)?;
        }
        let low_frequency = take(bits, 2)?;
        let associated_data = take(bits, 3)?;
        let coupling = take(bits, 4)?;
        for mixdown_bits in [4, 4, 3] {
            if take(bits, 1)? == 1 {
                take(bits, mixdown_bits)?;
            }
        }
        let mut channels = low_frequency;
        for _ in 0..elements {
            let is_pair = take(bits, 1)?;
            take(bits, 4)?;
            channels += 1 + is_pair;
        }
        for _ in 0..low_frequency + associated_data {
            take(bits, 4)?;
        }
        for _ in 0..coupling {
            take(bits, 5)?;
        }
        bits.align();
        let comment_len = bits.bits(8)? as usize;
        bits.skip(comment_len * 8)?;
        self.channels = channels as u8;
        let mut element = copy.finish();
        // No comment.
        element.push(0);
        self.program_config = element.into();
        Ok(())
    }

    /// Signalling that older decoders do not see (1.6.6.1).
    fn read_extension(&mut self, bits: &mut BitReader<'_>) -> Result<(), Incomplete> {
        const SBR_SYNC: u32 = 0x2B7;
        const PS_SYNC: u32 = 0x548;
        if bits.bits(11)? != SBR_SYNC || object_type(bits)? != object_type::SBR || !bits.bit()? {
            return Ok(());
        }
        self.sbr_sample_rate = Some(sample_rate(bits)?);
        self.has_ps = bits.bits(11)? == PS_SYNC && bits.bit()?;
        Ok(())
    }

    /// Audio object type with its tools: 29 with parametric stereo, 5 with spectral band replication, or the core's.
    /// The number that stands in a codec string ("mp4a.40.2").
    pub const fn signalled_object_type(&self) -> u8 {
        match (self.has_ps, self.sbr_sample_rate) {
            (true, _) => object_type::PS,
            (false, Some(_)) => object_type::SBR,
            (false, None) => self.object_type,
        }
    }

    /// Samples in a second that come out of a decoder with all signalled tools, in hertz.
    pub const fn output_sample_rate(&self) -> u32 {
        match self.sbr_sample_rate {
            Some(rate) => rate,
            None => self.sample_rate,
        }
    }

    /// Whether ADTS can name this object type: AAC Main, LC, SSR and LTP.
    pub const fn fits_adts(&self) -> bool {
        matches!(self.object_type, 1..=4)
    }

    /// Appends `access_unit` as an ADTS frame (1.A.2.2) and gives `true`. `false`: it is too long or of another object
    /// type than ADTS knows, and nothing is written.
    pub fn put_adts(&self, access_unit: &[u8], out: &mut BytesMut) -> bool {
        let Some(header) = self.adts_header(access_unit.len()) else { return false };
        out.put_slice(&header);
        out.put_slice(&self.program_config);
        out.put_slice(access_unit);
        true
    }

    /// Length of the ADTS frame for an access unit of `access_unit_len` bytes, in bytes.
    pub fn adts_len(&self, access_unit_len: usize) -> usize {
        ADTS_HEADER_LEN + self.program_config.len() + access_unit_len
    }

    fn adts_header(&self, access_unit_len: usize) -> Option<[u8; ADTS_HEADER_LEN]> {
        let len = self.adts_len(access_unit_len);
        if len > MAX_ADTS_LEN || !self.fits_adts() {
            return None;
        }
        let [len_high, len_low] = (len as u16).to_be_bytes();
        let channels = self.channel_configuration.min(7);
        Some([
            0xFF,
            // MPEG-4, no checksum.
            0xF1,
            (self.object_type - 1) << 6 | self.nearest_rate_index() << 2 | channels >> 2,
            (channels & 3) << 6 | len_high >> 3,
            len_high << 5 | len_low >> 3,
            // The highest fullness says: variable bit rate. One access unit.
            len_low << 5 | 0x1F,
            0xFC,
        ])
    }

    /// A rate that no index tells is decoded with the tables of the nearest one that has an index.
    fn nearest_rate_index(&self) -> u8 {
        let distances = SAMPLE_RATES.iter().map(|rate| rate.abs_diff(self.sample_rate));
        let nearest = (0..).zip(distances).min_by_key(|&(_, distance)| distance);
        nearest.map_or(0, |(index, _)| index)
    }
}

/// `GetAudioObjectType` (1.6.2.1).
fn object_type(bits: &mut BitReader<'_>) -> Result<u8, Incomplete> {
    match bits.small(5)? {
        object_type::ESCAPE => bits.small(6).map(|more| 32 + more),
        known => Ok(known),
    }
}

fn sample_rate(bits: &mut BitReader<'_>) -> Result<u32, Incomplete> {
    match bits.small(4)? {
        EXPLICIT_RATE => bits.bits(24).and_then(|rate| if rate == 0 { Err(Incomplete) } else { Ok(rate) }),
        index => SAMPLE_RATES.get(usize::from(index)).copied().ok_or(Incomplete),
    }
}

/// Channels of a `channelConfiguration` (table 1.19).
const fn channels_of(configuration: u8) -> u8 {
    match configuration {
        1..=6 => configuration,
        7 | 12 | 14 => 8,
        11 => 7,
        13 => 24,
        _ => 0,
    }
}

/// Object types that `GASpecificConfig` describes.
const fn has_general_audio(object_type: u8) -> bool {
    matches!(object_type, 1..=4 | 6 | 7 | 17 | 19..=23)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Object type, rate, channels, rate with SBR, whether PS, frame length, signalled object type.
    type Row = (u8, u32, u8, Option<u32>, bool, u16, u8);

    fn row(config: &Config) -> Row {
        let signalled = config.signalled_object_type();
        let Config { object_type, sample_rate, channels, sbr_sample_rate, has_ps, frame_len, .. } = *config;
        (object_type, sample_rate, channels, sbr_sample_rate, has_ps, frame_len, signalled)
    }

    #[test]
    fn configurations() {
        let seven = b"\x12\x00\x05\x08\x48\x00\x20\x00\xc4\x40\x0dLavc59.37.100\x56\xe5\x00";
        let table: [(&str, &[u8], Row); 13] = [
            ("LC, stereo", b"\x11\x90", (2, 48_000, 2, None, false, 1024, 2)),
            ("LC, mono", b"\x12\x08", (2, 44_100, 1, None, false, 1024, 2)),
            ("LC, 7.1", b"\x11\xb8", (2, 48_000, 8, None, false, 1024, 2)),
            ("960 samples", b"\x11\x94", (2, 48_000, 2, None, false, 960, 2)),
            ("a rate of its own", b"\x17\x80\x17\x70\x10", (2, 12_000, 2, None, false, 1024, 2)),
            ("SBR said not to be there", b"\x11\x90\x56\xe5\x00", (2, 48_000, 2, None, false, 1024, 2)),
            ("SBR that old decoders do not see", b"\x13\x10\x56\xe5\x98", (2, 24_000, 2, Some(48_000), false, 1024, 5)),
            ("and PS", b"\x13\x08\x56\xe5\x9d\x48\x80", (2, 24_000, 1, Some(48_000), true, 1024, 29)),
            ("SBR first", b"\x2b\x11\x88\x00", (2, 24_000, 2, Some(48_000), false, 1024, 5)),
            ("PS first", b"\xeb\x09\x88\x00", (2, 24_000, 1, Some(48_000), true, 1024, 29)),
            ("channels told by a program config element", seven, (2, 44_100, 7, None, false, 1024, 2)),
            ("an object type with more bits", b"\xf9\x46\x40", (42, 48_000, 2, None, false, 1024, 42)),
            ("ends behind the channels", b"\x0a\x10", (1, 44_100, 2, None, false, 1024, 1)),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(row(&Config::decode(bytes).unwrap()), expected, "{name}");
        }
        assert_eq!(Config::decode(b"\x13\x10\x56\xe5\x98").unwrap().output_sample_rate(), 48_000);
        assert_eq!(Config::decode(b"\x11\x90").unwrap().output_sample_rate(), 48_000);
    }

    #[test]
    fn damage_is_incomplete() {
        let table: [(&str, &[u8]); 7] = [
            ("empty", b""),
            ("one byte", b"\x11"),
            ("a rate that does not exist", b"\x16\x90"),
            ("half a rate", b"\x17\x80\x17"),
            ("no samples in a second", b"\x07\x80\0\0\0\0"),
            ("no samples in a second with SBR", b"\x2b\x17\x80\0\0\0\x08\0"),
            ("half a program config element", b"\x12\x00\x05\x08"),
        ];
        for (name, bytes) in table {
            assert_eq!(Config::decode(bytes), Err(Incomplete), "{name}");
        }
    }

    fn adts(config: &[u8], access_unit: &[u8]) -> Vec<u8> {
        let mut out = BytesMut::new();
        assert!(Config::decode(config).unwrap().put_adts(access_unit, &mut out));
        out.to_vec()
    }

    #[test]
    fn adts_frames() {
        assert_eq!(adts(b"\x11\x90", b"raw"), b"\xff\xf1\x4c\x80\x01\x5f\xfcraw");
        assert_eq!(adts(b"\x12\x08", b""), b"\xff\xf1\x50\x40\x00\xff\xfc");
        // 13 kHz has no index; 12 kHz is the nearest.
        assert_eq!(adts(b"\x17\x80\x19\x64\x10", b"")[2], 0x64);
    }

    #[test]
    fn adts_carries_the_program_config_element_where_no_number_tells_the_channels() {
        let config = b"\x12\x00\x05\x08\x48\x00\x20\x00\xc4\x40\x0dLavc59.37.100\x56\xe5\x00";
        let frame = adts(config, b"raw");
        assert_eq!(frame[3] & 0xC0, 0);
        assert_eq!(frame[7] >> 5, 5, "a program config element comes first");
        assert_eq!(frame[frame.len() - 4..], *b"\0raw");
        let told_len = usize::from(frame[3] & 3) << 11 | usize::from(frame[4]) << 3 | usize::from(frame[5] >> 5);
        assert_eq!(told_len, frame.len());
    }

    #[test]
    fn what_adts_cannot_carry_is_not_written() {
        let mut out = BytesMut::new();
        let config = Config::decode(b"\x11\x90").unwrap();
        assert!(!config.put_adts(&[0; MAX_ADTS_LEN - ADTS_HEADER_LEN + 1], &mut out));
        assert!(!Config::decode(b"\xf9\x46\x40").unwrap().put_adts(b"raw", &mut out));
        assert!(out.is_empty());
        assert!(config.put_adts(&[0; MAX_ADTS_LEN - ADTS_HEADER_LEN], &mut out));
        assert_eq!(out.len(), MAX_ADTS_LEN);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(0xFF), any::<u8>()], 0..60),
        ) {
            if let Ok(config) = Config::decode(&bytes) {
                config.put_adts(&bytes, &mut BytesMut::new());
            }
            let _ = Config::decode(&[&[0x12, 0][..], &bytes].concat());
        }
    }
}
