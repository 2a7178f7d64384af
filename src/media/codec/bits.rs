//! Bits, first the highest of each byte, as codecs write their headers.
//!
//! Owns: the cursor over bits, Exp-Golomb codes, and a small writer. Does not know what the bits mean.

use crate::wire::Incomplete;

/// A cursor over the bits of borrowed bytes.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits read so far.
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the highest bit of the first byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, position: 0 }
    }

    /// Number of bits not read yet.
    pub const fn remaining(&self) -> usize {
        (self.bytes.len() * 8).saturating_sub(self.position)
    }

    /// The next bit.
    ///
    /// # Errors
    /// [`Incomplete`] where there is none, as for all that follow.
    pub fn bit(&mut self) -> Result<bool, Incomplete> {
        let byte = self.bytes.get(self.position / 8).ok_or(Incomplete)?;
        let bit = byte >> (7 - self.position % 8) & 1 == 1;
        self.position += 1;
        Ok(bit)
    }

    /// The next `count` bits as a number; of more than 32 the last 32.
    pub fn bits(&mut self, count: usize) -> Result<u32, Incomplete> {
        if count > self.remaining() {
            return Err(Incomplete);
        }
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.bit()?);
        }
        Ok(value)
    }

    /// The next `count` bits, at most 8 of them.
    pub fn small(&mut self, count: usize) -> Result<u8, Incomplete> {
        self.bits(count.min(8)).map(|value| value as u8)
    }

    /// Moves over `count` bits.
    pub fn skip(&mut self, count: usize) -> Result<(), Incomplete> {
        if count > self.remaining() {
            return Err(Incomplete);
        }
        self.position += count;
        Ok(())
    }

    /// Moves to the next whole byte, unless the cursor stands at one.
    pub fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    /// `ue(v)`: unsigned Exp-Golomb code (H.264, 9.1). A code longer than 32 zeros is none.
    pub fn ue(&mut self) -> Result<u32, Incomplete> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Incomplete);
            }
        }
        let rest = self.bits(zeros)?;
        Ok((1_u32 << zeros) - 1 + rest)
    }

    /// `se(v)`: signed Exp-Golomb code (H.264, 9.1.1).
    pub fn se(&mut self) -> Result<i32, Incomplete> {
        let code = self.ue()?;
        let size = code.div_ceil(2) as i32;
        Ok(if code % 2 == 1 { size } else { size.wrapping_neg() })
    }
}

/// Writes bits, first the highest of each byte.
#[derive(Debug, Clone, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written yet.
    free: usize,
}

impl BitWriter {
    /// Appends the low `count` bits of `value`.
    pub fn bits(&mut self, value: u32, count: usize) {
        for shift in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            let bit = (value.checked_shr(shift as u32).unwrap_or(0) & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << self.free;
            }
        }
    }

    /// Fills the last byte with zeros and gives all bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn exp_golomb_codes() {
        let table: [(&str, u32, i32); 6] =
            [("1", 0, 0), ("010", 1, 1), ("011", 2, -1), ("00100", 3, 2), ("00111", 6, -3), ("0001000", 7, 4)];
        for (code, unsigned, signed) in table {
            let mut writer = BitWriter::default();
            code.bytes().for_each(|digit| writer.bits(u32::from(digit == b'1'), 1));
            let bytes = writer.finish();
            assert_eq!(BitReader::new(&bytes).ue(), Ok(unsigned), "{code}");
            assert_eq!(BitReader::new(&bytes).se(), Ok(signed), "{code}");
        }
    }

    #[test]
    fn a_code_without_end_is_incomplete() {
        assert_eq!(BitReader::new(&[0; 100]).ue(), Err(Incomplete));
        assert_eq!(BitReader::new(&[0, 1]).ue(), Err(Incomplete));
        assert_eq!(BitReader::new(&[]).bit(), Err(Incomplete));
        let longest = [&[0, 0, 0, 1][..], &[0xFF; 4]].concat();
        assert_eq!(BitReader::new(&longest).ue(), Ok(u32::MAX - 1));
        assert_eq!(BitReader::new(&longest).se(), Ok(-i32::MAX));
    }

    #[test]
    fn a_cursor_aligns_to_bytes() {
        let mut reader = BitReader::new(&[0x80, 0xA5]);
        reader.align();
        assert_eq!(reader.bit(), Ok(true));
        reader.align();
        assert_eq!((reader.bits(8), reader.remaining()), (Ok(0xA5), 0));
        assert_eq!(reader.skip(1), Err(Incomplete));
    }

    proptest! {
        #[test]
        fn bits_round_trip(values in prop::collection::vec((any::<u32>(), 0..33_usize), 0..20)) {
            let mut writer = BitWriter::default();
            for &(value, count) in &values {
                writer.bits(value, count);
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (value, count) in values {
                let mask = 1_u64.checked_shl(count as u32).map_or(u64::MAX, |bit| bit - 1);
                prop_assert_eq!(reader.bits(count), Ok((u64::from(value) & mask) as u32));
            }
            prop_assert!(reader.remaining() < 8);
        }
    }
}
