//! AC-3 and E-AC-3: the head of a syncframe (ATSC A/52:2018, 5.3 and annex E).
//!
//! Owns: what it says of time and channels, and the fields that `dac3` and `dec3` repeat. Does not decode sound.

use super::bits::BitReader;
use crate::wire::Incomplete;

const SYNC_WORD: u32 = 0x0B77;

/// Samples of one audio block.
const BLOCK_SAMPLES: u32 = 256;

/// Samples of nearly every packet: six blocks.
pub const USUAL_SAMPLES: u32 = 6 * BLOCK_SAMPLES;

/// `bsid` of E-AC-3; AC-3 has lower ones.
const LOWEST_EAC3_BSID: u8 = 11;
const HIGHEST_EAC3_BSID: u8 = 16;

/// Nominal bit rates of AC-3 in kbit/s, by `frmsizecod >> 1` (table 5.18).
const AC3_KBPS: [u32; 19] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

/// Most substreams that a packet is searched for.
const MAX_SYNCFRAMES: usize = 64;

/// What the head of an independent syncframe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syncframe {
    /// Samples per second.
    pub sample_rate: u32,
    /// Sample rate code, as it stands there; 3 for the halved rates of E-AC-3.
    pub fscod: u8,
    /// Bit stream identification.
    pub bsid: u8,
    /// Bit stream mode.
    pub bsmod: u8,
    /// Audio coding mode.
    pub acmod: u8,
    /// Whether there is a channel for low frequencies.
    pub has_lfe: bool,
    /// AC-3: `frmsizecod >> 1`. 0 for E-AC-3.
    pub bit_rate_code: u8,
}

impl Syncframe {
    /// Channels, with the one for low frequencies.
    pub const fn channels(&self) -> u8 {
        let full = match self.acmod {
            1 => 1,
            0 | 2 => 2,
            3 | 4 => 3,
            5 | 6 => 4,
            _ => 5,
        };
        full + self.has_lfe as u8
    }
}

/// What one packet holds: one syncframe of AC-3, one or more of E-AC-3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// The first syncframe.
    pub first: Syncframe,
    /// How long the packet plays, in samples.
    pub samples: u32,
    /// Mean bit rate while it plays, in kbit/s.
    pub kbps: u32,
    /// E-AC-3: dependent substreams that follow the first syncframe.
    pub dependent: u8,
}

/// One syncframe with what only its reader needs.
struct Walked {
    frame: Syncframe,
    /// Length in bytes.
    len: usize,
    samples: u32,
    is_dependent: bool,
    substream: u8,
}

impl Packet {
    /// Reads the heads of the syncframes of a packet.
    ///
    /// # Errors
    /// [`Incomplete`] where the first head is not there or is not that of an independent syncframe.
    pub fn decode(packet: &[u8]) -> Result<Self, Incomplete> {
        let head = walk(packet)?;
        if head.is_dependent {
            return Err(Incomplete);
        }
        let mut samples = head.samples;
        let mut dependent = 0;
        let mut independent = 1;
        let mut rest = packet.get(head.len..).unwrap_or_default();
        for _ in 0..MAX_SYNCFRAMES {
            let Ok(next) = walk(rest) else { break };
            match (next.is_dependent, next.substream == head.substream) {
                (true, _) if independent == 1 => dependent += 1,
                (false, true) => {
                    samples += next.samples;
                    independent += 1;
                }
                _ => {}
            }
            rest = rest.get(next.len..).unwrap_or_default();
        }
        let bits = packet.len() as u64 * 8;
        let kbps = bits * u64::from(head.frame.sample_rate) / u64::from(samples.max(1)) / 1000;
        Ok(Packet { first: head.frame, samples, kbps: kbps.min(u64::from(u32::MAX)) as u32, dependent })
    }
}

fn walk(bytes: &[u8]) -> Result<Walked, Incomplete> {
    let mut bits = BitReader::new(bytes);
    if bits.bits(16)? != SYNC_WORD {
        return Err(Incomplete);
    }
    let mut ahead = bits.clone();
    ahead.skip(24)?;
    match ahead.small(5)? {
        bsid @ LOWEST_EAC3_BSID..=HIGHEST_EAC3_BSID => walk_eac3(bits, bsid),
        bsid if bsid < LOWEST_EAC3_BSID => walk_ac3(bits, bsid),
        _ => Err(Incomplete),
    }
}

/// `syncinfo` behind the sync word, and `bsi`.
fn walk_ac3(mut bits: BitReader<'_>, bsid: u8) -> Result<Walked, Incomplete> {
    bits.skip(16)?;
    let fscod = bits.small(2)?;
    let size_code = bits.small(6)?;
    let kbps = AC3_KBPS.get(usize::from(size_code >> 1)).copied().ok_or(Incomplete)?;
    bits.skip(5)?;
    let bsmod = bits.small(3)?;
    let acmod = bits.small(3)?;
    let mix_levels = [acmod & 1 == 1 && acmod != 1, acmod & 4 == 4, acmod == 2];
    bits.skip(2 * mix_levels.into_iter().filter(|&present| present).count())?;
    let has_lfe = bits.bit()?;
    // Words of 16 bits: the time of 6 blocks at the bit rate, at 44.1 kHz rounded down and one more for odd codes.
    let (sample_rate, words) = match fscod {
        0 => (48_000, kbps * 2),
        1 => (44_100, kbps * 96_000 / 44_100 + u32::from(size_code & 1)),
        2 => (32_000, kbps * 3),
        _ => return Err(Incomplete),
    };
    // Each step of bsid above 8 halves the sample rate.
    let sample_rate = sample_rate >> bsid.saturating_sub(8);
    let frame = Syncframe { sample_rate, fscod, bsid, bsmod, acmod, has_lfe, bit_rate_code: size_code >> 1 };
    Ok(Walked { frame, len: words as usize * 2, samples: USUAL_SAMPLES, is_dependent: false, substream: 0 })
}

/// `bsi` of annex E. `bsmod` stands so deep inside that it is taken for 0, complete main.
fn walk_eac3(mut bits: BitReader<'_>, bsid: u8) -> Result<Walked, Incomplete> {
    let stream_type = bits.small(2)?;
    let substream = bits.small(3)?;
    let len = (bits.bits(11)? as usize + 1) * 2;
    let fscod = bits.small(2)?;
    let code = bits.small(2)?;
    let (sample_rate, blocks) = match (fscod, code) {
        (3, 3) => return Err(Incomplete),
        (3, half) => ([24_000, 22_050, 16_000].get(usize::from(half)).copied().ok_or(Incomplete)?, 6),
        (fscod, code) => (
            [48_000, 44_100, 32_000].get(usize::from(fscod)).copied().ok_or(Incomplete)?,
            [1, 2, 3, 6].get(usize::from(code)).copied().ok_or(Incomplete)?,
        ),
    };
    let acmod = bits.small(3)?;
    let has_lfe = bits.bit()?;
    let frame = Syncframe { sample_rate, fscod, bsid, bsmod: 0, acmod, has_lfe, bit_rate_code: 0 };
    let is_dependent = stream_type == 1;
    Ok(Walked { frame, len, samples: blocks * BLOCK_SAMPLES, is_dependent, substream })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 48 kHz, 192 kbit/s, stereo, as ffmpeg writes it.
    const AC3: [u8; 8] = [0x0B, 0x77, 0x12, 0x34, 0x14, 0x40, 0x43, 0xE1];

    fn ac3_frame() -> Vec<u8> {
        let mut frame = AC3.to_vec();
        frame.resize(768, 0);
        frame
    }

    /// An E-AC-3 syncframe of `len` bytes.
    fn eac3_frame(stream_type: u8, substream: u8, len: u16, blocks_code: u8, acmod: u8) -> Vec<u8> {
        let [high, low] = (len / 2 - 1).to_be_bytes();
        let mut frame = vec![0x0B, 0x77, stream_type << 6 | substream << 3 | high, low];
        frame.extend_from_slice(&[blocks_code << 4 | acmod << 1 | 1, 16 << 3]);
        frame.resize(usize::from(len), 0);
        frame
    }

    #[test]
    fn an_ac3_syncframe() {
        let packet = Packet::decode(&ac3_frame()).unwrap();
        let first =
            Syncframe { sample_rate: 48_000, fscod: 0, bsid: 8, bsmod: 0, acmod: 2, has_lfe: false, bit_rate_code: 10 };
        assert_eq!(packet, Packet { first, samples: 1536, kbps: 192, dependent: 0 });
        assert_eq!(first.channels(), 2);
    }

    #[test]
    fn lengths_at_all_sample_rates() {
        for (fscod, size_code, len) in [(0, 20, 768), (1, 20, 834), (1, 21, 836), (2, 20, 1152), (1, 0, 138)] {
            let mut frame = AC3;
            frame[4] = fscod << 6 | size_code;
            assert_eq!(walk(&frame).map(|walked| walked.len), Ok(len), "{fscod} {size_code}");
        }
    }

    #[test]
    fn an_eac3_packet_plays_as_long_as_its_independent_frames() {
        let whole = eac3_frame(0, 0, 512, 3, 7);
        let packet = Packet::decode(&whole).unwrap();
        assert_eq!((packet.samples, packet.first.channels(), packet.first.bsid), (1536, 6, 16));
        assert_eq!(packet.kbps, 128);
        let with_dependent = [eac3_frame(0, 0, 512, 3, 7), eac3_frame(1, 0, 256, 3, 2)].concat();
        let packet = Packet::decode(&with_dependent).unwrap();
        assert_eq!((packet.samples, packet.dependent, packet.kbps), (1536, 1, 192));
        let six_of_one_block = eac3_frame(0, 0, 100, 0, 2).repeat(6);
        assert_eq!(Packet::decode(&six_of_one_block).unwrap().samples, 1536);
    }

    #[test]
    fn what_is_no_syncframe() {
        let frame = ac3_frame();
        for len in 0..7 {
            assert_eq!(Packet::decode(&frame[..len]), Err(Incomplete), "cut at {len}");
        }
        assert_eq!(Packet::decode(&eac3_frame(1, 0, 64, 3, 2)), Err(Incomplete), "a dependent one first");
        for (name, at, byte) in [("sync", 0, 0), ("sample rate", 4, 0xC0), ("size", 4, 0x3F), ("bsid", 5, 0xF8)] {
            let mut frame = ac3_frame();
            frame[at] = byte;
            assert_eq!(Packet::decode(&frame), Err(Incomplete), "{name}");
        }
    }
}
