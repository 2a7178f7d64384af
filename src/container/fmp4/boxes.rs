//! Boxes (ISO/IEC 14496-12, 4.2) and MPEG-4 descriptors (ISO/IEC 14496-1, 8.3.3).
//!
//! Owns: sizes before contents. Does not know what stands inside.

use bytes::{BufMut, BytesMut};

/// Length of the head of a box, in bytes.
pub(super) const BOX_HEAD_LEN: usize = 8;

/// Appends a box; `content` writes what is inside.
pub(super) fn put_box(out: &mut BytesMut, kind: &[u8; 4], content: impl FnOnce(&mut BytesMut)) {
    let at = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    content(out);
    let size = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}

/// Appends a box with a version and 24 bits of flags.
pub(super) fn put_full_box(
    out: &mut BytesMut,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    content: impl FnOnce(&mut BytesMut),
) {
    put_box(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0x00FF_FFFF);
        content(out);
    });
}

/// Appends a descriptor, its size in four bytes of seven bits.
pub(super) fn put_descriptor(out: &mut BytesMut, tag: u8, content: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    let at = out.len();
    out.put_u32(0);
    content(out);
    let len = out.len() - at - 4;
    let byte = |place: u32| (len >> (7 * place) & 0x7F) as u8;
    if let Some(size) = out.get_mut(at..at + 4) {
        size.copy_from_slice(&[byte(3) | 0x80, byte(2) | 0x80, byte(1) | 0x80, byte(0)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stand_before_contents() {
        let mut out = BytesMut::from(&b"before"[..]);
        put_box(&mut out, b"outr", |out| put_full_box(out, b"innr", 1, 0x0002_0304, |out| out.put_u8(9)));
        assert_eq!(&out[..], b"before\0\0\0\x15outr\0\0\0\x0Dinnr\x01\x02\x03\x04\x09");
    }

    #[test]
    fn a_descriptor_may_be_long() {
        let mut out = BytesMut::new();
        put_descriptor(&mut out, 5, |out| out.put_bytes(7, 300));
        assert_eq!(&out[..6], b"\x05\x80\x80\x82\x2C\x07");
        assert_eq!(out.len(), 305);
    }
}
