//! Aggregate messages (7.1.6): FLV tags in one message.
//!
//! Owns: cutting one into its messages. Does not know what these mean.

use bytes::{Buf, Bytes};

use crate::wire::Reader;

/// Messages that are taken from one aggregate; what follows is left out. Peers put fractions of a second together,
/// so that this is never reached by a sane one, and empty tags cannot make events without end.
pub(super) const MAX_MESSAGES: usize = 4096;

/// Bytes of an FLV tag's head.
const HEAD_BYTES: usize = 11;
/// Bytes of the size that follows each tag.
const BACK_POINTER_BYTES: usize = 4;

/// One message of an aggregate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) type_id: u8,
    pub(super) timestamp: u32,
    pub(super) payload: Bytes,
}

/// The messages of an aggregate. Ends at the first one that is not whole.
#[derive(Debug)]
pub(super) struct Parts {
    rest: Bytes,
    timestamp: u32,
    /// From a tag's timestamp to the message's, known from the first tag on.
    shift: Option<u32>,
    left: usize,
}

/// Cuts `payload`. The first tag's timestamp means the aggregate's own `timestamp`; the others follow it.
pub(super) const fn parts(timestamp: u32, payload: Bytes) -> Parts {
    Parts { rest: payload, timestamp, shift: None, left: MAX_MESSAGES }
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        self.left = self.left.checked_sub(1)?;
        let mut head = Reader::new(&self.rest);
        let type_id = head.u8().ok()?;
        let size = usize::try_from(head.u24().ok()?).ok()?;
        let low = head.u24().ok()?;
        let high = u32::from(head.u8().ok()?);
        let tag_timestamp = (high << 24) | low;
        let end = HEAD_BYTES + size;
        if self.rest.len() < end {
            return None;
        }
        // Copied: a slice, kept for those who join, would keep the whole aggregate.
        let payload = Bytes::copy_from_slice(self.rest.get(HEAD_BYTES..end).unwrap_or_default());
        // The size behind the last tag is missing from some peers.
        self.rest.advance(self.rest.len().min(end + BACK_POINTER_BYTES));
        let timestamp = self.timestamp;
        let shift = *self.shift.get_or_insert_with(|| timestamp.wrapping_sub(tag_timestamp));
        Some(Part { type_id, timestamp: tag_timestamp.wrapping_add(shift), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An FLV tag with its back pointer.
    fn tag(type_id: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).expect("small");
        let [high, t1, t2, t3] = timestamp.to_be_bytes();
        let mut bytes = vec![type_id];
        bytes.extend(&size.to_be_bytes()[1..]);
        bytes.extend([t1, t2, t3, high, 0, 0, 0]);
        bytes.extend(payload);
        bytes.extend((size + 11).to_be_bytes());
        bytes
    }

    fn part(type_id: u8, timestamp: u32, payload: &'static [u8]) -> Part {
        Part { type_id, timestamp, payload: Bytes::from_static(payload) }
    }

    #[test]
    fn timestamps_are_rebased_to_the_message() {
        let bytes = [tag(8, 1000, b"a"), tag(9, 1040, b""), tag(8, 990, b"bc")].concat();
        let found: Vec<_> = parts(70_000, bytes.into()).collect();
        assert_eq!(found, [part(8, 70_000, b"a"), part(9, 70_040, b""), part(8, 69_990, b"bc")]);
    }

    #[test]
    fn timestamps_use_all_32_bits_and_wrap() {
        let bytes = [tag(8, 0xFFFF_FFF0, b"a"), tag(8, 0x10, b"b")].concat();
        let found: Vec<_> = parts(0xFFFF_FFFF, bytes.into()).collect();
        assert_eq!(found, [part(8, 0xFFFF_FFFF, b"a"), part(8, 0x1F, b"b")]);
    }

    #[test]
    fn a_missing_last_back_pointer_is_tolerated() {
        let mut bytes = [tag(8, 0, b"a"), tag(9, 1, b"b")].concat();
        bytes.truncate(bytes.len() - BACK_POINTER_BYTES);
        assert_eq!(parts(5, bytes.into()).count(), 2);
    }

    #[test]
    fn a_cut_anywhere_gives_the_whole_tags_before_it() {
        let first = tag(8, 0, b"abc").len();
        let bytes: Bytes = [tag(8, 0, b"abc"), tag(9, 1, b"de")].concat().into();
        for len in 0..bytes.len() {
            let found = parts(0, bytes.slice(..len)).count();
            let whole = usize::from(len >= first - 4) + usize::from(len >= bytes.len() - 4);
            assert_eq!(found, whole, "{len}");
        }
    }

    #[test]
    fn empty_tags_beyond_the_limit_are_left_out() {
        let bytes = tag(8, 0, b"").repeat(MAX_MESSAGES + 5);
        assert_eq!(parts(0, bytes.into()).count(), MAX_MESSAGES);
    }

    proptest! {
        #[test]
        fn garbage_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parts(0, bytes.into()).count() <= 200);
        }
    }
}
