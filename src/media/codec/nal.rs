//! NAL units, as H.264 and HEVC share them.
//!
//! Owns: walking length-prefixed NAL units, the start codes of the byte stream format, and what hides start codes
//! inside a unit. Does not know what a unit says.

use bytes::{BufMut, BytesMut};

use crate::wire::Reader;

/// What stands before each NAL unit of a byte stream (Annex B): the long form, which may stand before any unit.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of one access unit, each behind its length (ISO/IEC 14496-15, 5.3.2). Empty ones are left out; a
/// damaged length ends the walk.
#[derive(Debug, Clone)]
pub struct NalUnits<'a> {
    reader: Reader<'a>,
    length_size: u8,
}

impl<'a> NalUnits<'a> {
    /// Walks `data`, in which each length has `length_size` bytes, 1 to 4.
    pub const fn new(data: &'a [u8], length_size: u8) -> Self {
        NalUnits { reader: Reader::new(data), length_size }
    }
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let reader = &mut self.reader;
            let len = match self.length_size {
                1 => reader.u8().map(usize::from),
                2 => reader.u16().map(usize::from),
                3 => reader.u24().map(|len| len as usize),
                4 => reader.u32().map(|len| len as usize),
                _ => return None,
            };
            match len.and_then(|len| reader.bytes(len)) {
                Ok([]) => {}
                Ok(nal) => return Some(nal),
                Err(_) => {
                    self.reader = Reader::new(&[]);
                    return None;
                }
            }
        }
    }
}

/// Appends one NAL unit behind a start code.
pub fn put_annex_b(out: &mut BytesMut, nal: &[u8]) {
    out.put_slice(&START_CODE);
    out.put_slice(nal);
}

/// The bytes of a NAL unit without those that only keep start codes from appearing in it (H.264, 7.3.1).
pub fn unescape(nal: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        raw.push(byte);
    }
    raw
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, bytes of a length, data, units.
    type Row<'a> = (&'a str, u8, &'a [u8], &'a [&'a [u8]]);

    #[test]
    fn walks() {
        let table: [Row<'_>; 8] = [
            ("one byte of length", 1, b"\x01a\x02bc", &[b"a", b"bc"]),
            ("two", 2, b"\0\x01a", &[b"a"]),
            ("three, which the standard does not know", 3, b"\0\0\x01a", &[b"a"]),
            ("four", 4, b"\0\0\0\x01a\0\0\0\x02bc", &[b"a", b"bc"]),
            ("an empty unit is left out", 1, b"\0\x01a\0", &[b"a"]),
            ("a unit longer than what is there", 1, b"\x01a\x03bc", &[b"a"]),
            ("half a length", 4, b"\0\0\0\x01a\0\0", &[b"a"]),
            ("no size of length that exists", 0, b"\x01a", &[]),
        ];
        for (name, length_size, data, expected) in table {
            let mut walk = NalUnits::new(data, length_size);
            let units: Vec<&[u8]> = walk.by_ref().collect();
            assert_eq!(units, expected, "{name}");
            assert_eq!(walk.next(), None, "{name}");
        }
    }

    #[test]
    fn hidden_start_codes() {
        let table: [(&[u8], &[u8]); 4] = [
            (&[0, 0, 3, 1], &[0, 0, 1]),
            (&[0, 0, 3, 0, 0, 3], &[0, 0, 0, 0]),
            (&[0, 3, 0, 3], &[0, 3, 0, 3]),
            (&[1, 0, 0, 2], &[1, 0, 0, 2]),
        ];
        for (nal, raw) in table {
            assert_eq!(unescape(nal), raw);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_panic(
            data in prop::collection::vec(any::<u8>(), 0..100),
            length_size in 0..6_u8,
        ) {
            let len: usize = NalUnits::new(&data, length_size).map(<[u8]>::len).sum();
            prop_assert!(len <= data.len());
        }
    }
}
