//! MP3: the head of a frame (ISO/IEC 11172-3, 2.4.2.3 and ISO/IEC 13818-3).
//!
//! Owns: what it says of time and channels, for all three layers. Does not decode sound.

use crate::wire::{Incomplete, Reader};

/// What the head of a frame says, apart from what may change from frame to frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// MPEG-1; else one of the extensions to lower sample rates.
    pub is_mpeg1: bool,
    /// Layer, 1 to 3.
    pub layer: u8,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels, 1 or 2.
    pub channels: u8,
}

impl FrameHead {
    /// Reads the first four bytes of a frame.
    ///
    /// # Errors
    /// [`Incomplete`] where they are not there or are not the head of a frame.
    pub fn decode(frame: &[u8]) -> Result<Self, Incomplete> {
        let [sync, version, rates, mode] = Reader::new(frame).array()?;
        if sync != 0xFF || version & 0xE0 != 0xE0 || rates >> 4 == 0x0F {
            return Err(Incomplete);
        }
        let divisor = match version >> 3 & 3 {
            0 => 4,
            2 => 2,
            3 => 1,
            _ => return Err(Incomplete),
        };
        let layer = match version >> 1 & 3 {
            0 => return Err(Incomplete),
            layer => 4 - layer,
        };
        let rate = match rates >> 2 & 3 {
            0 => 44_100,
            1 => 48_000,
            2 => 32_000,
            _ => return Err(Incomplete),
        };
        let channels = if mode >> 6 == 3 { 1 } else { 2 };
        Ok(FrameHead { is_mpeg1: divisor == 1, layer, sample_rate: rate / divisor, channels })
    }

    /// How long the frame plays, in samples.
    pub const fn samples(self) -> u32 {
        match (self.layer, self.is_mpeg1) {
            (1, _) => 384,
            (3, false) => 576,
            _ => 1152,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        type Row<'a> = (&'a str, [u8; 4], (bool, u8, u32, u8), u32);
        let rows: [Row<'_>; 5] = [
            ("44.1 kHz joint stereo", [0xFF, 0xFB, 0x90, 0x64], (true, 3, 44_100, 2), 1152),
            ("48 kHz mono", [0xFF, 0xFB, 0x94, 0xC4], (true, 3, 48_000, 1), 1152),
            ("MPEG-2, 24 kHz", [0xFF, 0xF3, 0x84, 0xC4], (false, 3, 24_000, 1), 576),
            ("MPEG-2.5, 11.025 kHz", [0xFF, 0xE3, 0x80, 0x00], (false, 3, 11_025, 2), 576),
            ("layer 2", [0xFF, 0xFD, 0x94, 0x00], (true, 2, 48_000, 2), 1152),
        ];
        for (name, bytes, (is_mpeg1, layer, sample_rate, channels), samples) in rows {
            let head = FrameHead::decode(&bytes);
            assert_eq!(head, Ok(FrameHead { is_mpeg1, layer, sample_rate, channels }), "{name}");
            assert_eq!(head.unwrap().samples(), samples, "{name}");
        }
    }

    #[test]
    fn what_is_no_head() {
        let rows: [(&str, &[u8]); 6] = [
            ("cut off", &[0xFF, 0xFB, 0x90]),
            ("no sync", &[0xFE, 0xFB, 0x90, 0x64]),
            ("reserved version", &[0xFF, 0xEB, 0x90, 0x64]),
            ("reserved layer", &[0xFF, 0xF9, 0x90, 0x64]),
            ("forbidden bit rate", &[0xFF, 0xFB, 0xF0, 0x64]),
            ("reserved sample rate", &[0xFF, 0xFB, 0x9C, 0x64]),
        ];
        for (name, bytes) in rows {
            assert_eq!(FrameHead::decode(bytes), Err(Incomplete), "{name}");
        }
    }
}
