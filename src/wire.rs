//! Bounded big-endian reading and writing.
//!
//! Owns: the cursor with which every parser of this crate reads bytes of a peer. Reading past the end is a value
//! ([`Incomplete`]), never a panic. Does not know what the bytes mean.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

/// Fewer bytes were there than the value needs. Not an error by itself: a caller that expects more input waits,
/// a caller that holds the whole message calls it damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("incomplete")]
pub struct Incomplete;

/// A cursor over borrowed bytes. A failed read leaves the cursor where it was.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// Number of bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether every byte was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet, without moving.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, without moving.
    pub fn peek_u8(&self) -> Result<u8, Incomplete> {
        self.rest.first().copied().ok_or(Incomplete)
    }

    /// The next `len` bytes, borrowed.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Incomplete> {
        let (head, tail) = self.rest.split_at_checked(len).ok_or(Incomplete)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Incomplete> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Incomplete)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Moves over `len` bytes.
    pub fn skip(&mut self, len: usize) -> Result<(), Incomplete> {
        self.bytes(len).map(|_| ())
    }

    /// UI8.
    pub fn u8(&mut self) -> Result<u8, Incomplete> {
        self.array::<1>().map(|[a]| a)
    }

    /// UI16, big-endian.
    pub fn u16(&mut self) -> Result<u16, Incomplete> {
        self.array().map(u16::from_be_bytes)
    }

    /// UI24, big-endian.
    pub fn u24(&mut self) -> Result<u32, Incomplete> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// SI24, big-endian, sign extended.
    pub fn i24(&mut self) -> Result<i32, Incomplete> {
        self.array().map(|[a, b, c]| i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// UI32, big-endian.
    pub fn u32(&mut self) -> Result<u32, Incomplete> {
        self.array().map(u32::from_be_bytes)
    }

    /// UI32, little-endian (RTMP's message stream id).
    pub fn u32_le(&mut self) -> Result<u32, Incomplete> {
        self.array().map(u32::from_le_bytes)
    }

    /// UI64, big-endian.
    pub fn u64(&mut self) -> Result<u64, Incomplete> {
        self.array().map(u64::from_be_bytes)
    }

    /// IEEE 754 double, big-endian.
    pub fn f64(&mut self) -> Result<f64, Incomplete> {
        self.array().map(f64::from_be_bytes)
    }
}

/// Appends a UI24, big-endian. Only the low 24 bits of `value` are written.
pub fn put_u24(out: &mut BytesMut, value: u32) {
    let [_, a, b, c] = value.to_be_bytes();
    out.put_slice(&[a, b, c]);
}

/// Undoes percent-encoding (RFC 3986, 2.1) once; what is no escape stays as it is, and so does `+`.
pub fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after_first)) = rest.split_first() {
        let (byte, after) = split_escape(rest).unwrap_or((first, after_first));
        decoded.push(byte);
        rest = after;
    }
    decoded
}

/// The byte that an escape at the front of `bytes` stands for, and what follows it.
pub fn split_escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (&[b'%', high, low], rest) = bytes.split_first_chunk()? else { return None };
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    Some((u8::try_from(high * 16 + low).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_width() {
        let bytes = [
            1, 2, 3, 4, 5, 6, 0xFF, 0xFF, 0xFE, 1, 2, 3, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x3F, 0xF0, 0, 0, 0, 0,
            0, 0,
        ];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u24(), Ok(0x040506));
        assert_eq!(reader.i24(), Ok(-2));
        assert_eq!(reader.u32(), Ok(0x0102_0304));
        assert_eq!(reader.u32_le(), Ok(1));
        assert_eq!(reader.u64(), Ok(9));
        assert_eq!(reader.f64(), Ok(1.0));
        assert!(reader.is_empty());
    }

    #[test]
    fn a_failed_read_does_not_move() {
        let mut reader = Reader::new(&[1, 2]);
        assert_eq!(reader.u24(), Err(Incomplete));
        assert_eq!(reader.bytes(3), Err(Incomplete));
        assert_eq!(reader.u16(), Ok(0x0102));
    }

    #[test]
    fn u24_round_trips() {
        for value in [0, 1, 0x00FF_FFFF, 0x0012_3456] {
            let mut out = BytesMut::new();
            put_u24(&mut out, value);
            assert_eq!(Reader::new(&out).u24(), Ok(value));
        }
    }
}
