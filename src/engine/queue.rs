//! What waits to be sent to one connection.
//!
//! Owns: the order of bytes, what was sent of them, how far behind the peer is, and dropping whole messages. Does not
//! know sockets, nor what a message says.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// What may be dropped, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Answers, headers, metadata: never dropped.
    Kept,
    /// Audio and video: dropped where the peer is too far behind.
    Media,
    /// Pictures of an instant join: also dropped once a key frame comes that makes them needless.
    Join,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    /// Milliseconds on the engine's clock.
    queued_ms: u32,
    class: Class,
    /// Which message stream it belongs to, cut to 16 bits so that an entry stays small: each is dropped by itself.
    lane: u16,
    /// Whether a message begins here; a message of several entries is kept or dropped whole.
    begins: bool,
}

/// Messages that were sent whole, as far as their delay is measured: audio and video that is not a join's past.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Those that were queued in this very millisecond.
    pub fresh: u64,
    /// Those that waited longer.
    pub late: u64,
    /// How long these waited together, in milliseconds.
    pub late_ms: u64,
}

/// A queue of shared bytes. Never copies them; holds no memory while empty for long.
#[derive(Debug, Default)]
pub struct SendQueue {
    entries: VecDeque<Entry>,
    /// Bytes of the first entry that were sent already.
    sent: usize,
    /// Bytes not sent yet.
    bytes: usize,
    /// Bytes of entries that are never dropped.
    kept_bytes: usize,
    /// Entries that are never dropped.
    kept: usize,
    /// Entries of joins.
    joins: usize,
    urgent: usize,
}

/// What an entry takes besides its bytes, about: itself, and its share of what its bytes are counted with. A million
/// messages of some bytes each are not small.
const ENTRY_BYTES: usize = 96;

/// An empty queue keeps room for so many entries and gives the rest back: one frame a turn is the rule, audio and video
/// in one turn are not rare.
const KEPT_CAPACITY: usize = 2;
/// A queue of which much was dropped gives room back that is larger than this.
const SHRUNK_CAPACITY: usize = 16;

impl SendQueue {
    /// Appends the first bytes of a message.
    pub fn push(&mut self, now_ms: u32, class: Class, lane: u16, bytes: Bytes) {
        self.push_entry(Entry { bytes, queued_ms: now_ms, class, lane, begins: true });
    }

    /// Appends a piece of a message: its first, or more of the one begun last.
    pub fn push_piece(&mut self, now_ms: u32, class: Class, lane: u16, bytes: Bytes, begins: bool) {
        self.push_entry(Entry { bytes, queued_ms: now_ms, class, lane, begins });
    }

    /// Makes room for so many pieces.
    pub fn reserve(&mut self, count: usize) {
        self.entries.reserve(count);
    }

    /// Of what waits, so many bytes are to be sent before much is sent to others.
    pub fn set_urgent(&mut self, bytes: usize) {
        self.urgent = bytes;
    }

    /// See [`SendQueue::set_urgent`]; less what was sent since.
    pub fn urgent(&self) -> usize {
        self.urgent
    }

    fn push_entry(&mut self, entry: Entry) {
        if !entry.bytes.is_empty() {
            if self.entries.capacity() == 0 {
                self.entries.reserve_exact(KEPT_CAPACITY);
            }
            self.bytes += entry.bytes.len();
            match entry.class {
                Class::Kept => {
                    self.kept_bytes += entry.bytes.len();
                    self.kept += 1;
                }
                Class::Join => self.joins += 1,
                Class::Media => {}
            }
            self.entries.push_back(entry);
        }
    }

    /// Bytes not sent yet.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Memory that the queue takes for bytes not sent yet, about: what limits are about.
    pub fn weight(&self) -> usize {
        self.bytes + self.entries.len() * ENTRY_BYTES
    }

    /// The same for what is never dropped, as whole entries.
    pub fn kept_weight(&self) -> usize {
        self.kept_bytes + self.kept * ENTRY_BYTES
    }

    /// Whether a message of a join waits in `lane`. Costs nothing where none waits at all, however much else does.
    pub fn holds_join(&self, lane: u16) -> bool {
        self.joins > 0 && self.entries.iter().any(|entry| entry.class == Class::Join && entry.lane == lane)
    }

    /// Memory that the entries take, without the bytes that they share with others.
    pub fn entry_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// Whether all was sent.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How long the oldest bytes have waited, in milliseconds.
    pub fn lag_ms(&self, now_ms: u32) -> u32 {
        self.entries.front().map_or(0, |entry| now_ms.wrapping_sub(entry.queued_ms))
    }

    /// The bytes to be sent next, where they are one piece.
    pub fn only_piece(&self) -> Option<&[u8]> {
        let only = self.entries.front().filter(|_| self.entries.len() == 1)?;
        only.bytes.get(self.sent..)
    }

    /// Puts the bytes to be sent next into `slices`, as far as it takes to have `bytes` bytes; says how many slices are
    /// filled.
    pub fn fill<'a>(&'a self, bytes: usize, slices: &mut [IoSlice<'a>]) -> usize {
        let mut sent = self.sent;
        let mut filled = 0;
        let mut filled_bytes = 0;
        for (slice, entry) in slices.iter_mut().zip(&self.entries) {
            if filled_bytes >= bytes {
                break;
            }
            *slice = IoSlice::new(entry.bytes.get(sent..).unwrap_or_default());
            filled_bytes += slice.len();
            sent = 0;
            filled += 1;
        }
        filled
    }

    /// The peer took the next `count` bytes. Tells what was sent whole with them.
    pub fn advance(&mut self, now_ms: u32, count: usize) -> Sent {
        let mut whole = Sent::default();
        self.bytes = self.bytes.saturating_sub(count);
        self.urgent = self.urgent.saturating_sub(count);
        self.sent += count;
        while let Some(entry) = self.entries.front() {
            if self.sent < entry.bytes.len() {
                return whole;
            }
            if entry.begins && entry.class == Class::Media {
                let waited_ms = now_ms.wrapping_sub(entry.queued_ms);
                if waited_ms == 0 {
                    whole.fresh += 1;
                } else {
                    whole.late += 1;
                    whole.late_ms += u64::from(waited_ms);
                }
            }
            self.sent -= entry.bytes.len();
            match entry.class {
                Class::Kept => {
                    self.kept_bytes -= entry.bytes.len();
                    self.kept -= 1;
                }
                Class::Join => self.joins -= 1,
                Class::Media => {}
            }
            self.entries.pop_front();
        }
        if self.entries.capacity() > KEPT_CAPACITY {
            self.entries = VecDeque::new();
        }
        whole
    }

    /// Drops every message but the kept ones that was not begun to be sent; of one lane, or of all. Says how many.
    pub fn drop_waiting(&mut self, lane: Option<u16>) -> usize {
        self.urgent = 0;
        if self.kept == self.entries.len() {
            return 0;
        }
        let droppable = |entry: &Entry| entry.class != Class::Kept && lane.is_none_or(|lane| entry.lane == lane);
        // The message in front has begun once a byte of it is out, or once its first entry is.
        let mut begun = self.sent > 0 || self.entries.front().is_some_and(|entry| !entry.begins);
        let mut first = true;
        let mut dropped = 0;
        let mut dropped_bytes = 0;
        let mut dropped_joins = 0;
        self.entries.retain(|entry| {
            if entry.begins && !first {
                begun = false;
            }
            first = false;
            let keep = begun || !droppable(entry);
            if !keep {
                dropped += usize::from(entry.begins);
                dropped_bytes += entry.bytes.len();
                dropped_joins += usize::from(entry.class == Class::Join);
            }
            keep
        });
        self.bytes -= dropped_bytes;
        self.joins -= dropped_joins;
        self.urgent = 0;
        if self.entries.capacity() > SHRUNK_CAPACITY {
            self.entries.shrink_to(KEPT_CAPACITY);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(queue: &SendQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 16];
        let filled = queue.fill(usize::MAX, &mut slices);
        slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn queue(messages: &[(Class, &'static [&'static [u8]])]) -> SendQueue {
        let mut queue = SendQueue::default();
        for (class, pieces) in messages {
            for (index, piece) in pieces.iter().enumerate() {
                queue.push_piece(0, *class, 1, Bytes::from_static(piece), index == 0);
            }
        }
        queue
    }

    #[test]
    fn bytes_come_out_in_order_at_every_split() {
        for step in 1..=9 {
            let mut queue =
                queue(&[(Class::Kept, &[b"ab", b"c"]), (Class::Media, &[b"def"]), (Class::Join, &[b"ghi"])]);
            let mut got = Vec::new();
            while !queue.is_empty() {
                let waiting = all(&queue);
                assert_eq!(waiting.len(), queue.len());
                let taken = step.min(waiting.len());
                got.extend_from_slice(&waiting[..taken]);
                queue.advance(0, taken);
            }
            assert_eq!(got, b"abcdefghi");
            assert_eq!(queue.len(), 0);
        }
    }

    #[test]
    fn one_piece_goes_out_without_slices_and_several_no_further_than_asked() {
        let mut queue = queue(&[(Class::Kept, &[b"ab", b"c"]), (Class::Media, &[b"def"])]);
        assert_eq!(queue.only_piece(), None);
        for (bytes, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3), (100, 3)] {
            assert_eq!(queue.fill(bytes, &mut [IoSlice::new(&[]); 16]), expected, "{bytes} bytes");
        }
        queue.advance(0, 4);
        assert_eq!(queue.only_piece(), Some(&b"ef"[..]));
        queue.advance(0, 2);
        assert_eq!(queue.only_piece(), None);
    }

    #[test]
    fn a_message_that_has_begun_is_never_dropped() {
        for sent in 0..4 {
            let mut queue =
                queue(&[(Class::Media, &[b"ab", b"cd"]), (Class::Kept, &[b"-"]), (Class::Media, &[b"ef", b"gh"])]);
            queue.advance(0, sent);
            let dropped = queue.drop_waiting(Some(1));
            let expected: &[u8] = if sent == 0 { b"-" } else { &b"abcd-"[sent..] };
            assert_eq!(all(&queue), expected, "after {sent} bytes");
            assert_eq!(queue.len(), expected.len());
            assert_eq!(dropped, if sent == 0 { 2 } else { 1 });
        }
    }

    #[test]
    fn message_streams_are_dropped_each_by_itself() {
        let mut queue = SendQueue::default();
        for (lane, piece) in [(1, b"a"), (2, b"b"), (1, b"c"), (2, b"d")] {
            queue.push(0, Class::Media, lane, Bytes::from_static(piece));
        }
        assert_eq!(queue.drop_waiting(Some(1)), 2);
        assert_eq!(all(&queue), b"bd");
        assert_eq!(queue.drop_waiting(None), 2);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_never_dropped_is_counted() {
        let mut queue = queue(&[(Class::Kept, &[b"ab", b"cd"]), (Class::Media, &[b"ef"]), (Class::Kept, &[b"g"])]);
        assert_eq!(queue.kept_weight(), 5 + 3 * ENTRY_BYTES);
        queue.advance(0, 3);
        assert_eq!(queue.kept_weight(), 3 + 2 * ENTRY_BYTES, "as whole entries");
        queue.drop_waiting(None);
        assert_eq!(queue.kept_weight(), 3 + 2 * ENTRY_BYTES);
        queue.advance(0, 2);
        assert_eq!((queue.kept_weight(), queue.len(), queue.weight()), (0, 0, 0));
    }

    #[test]
    fn messages_of_a_join_are_found_in_their_lane_until_they_are_sent_or_dropped() {
        let mut queue = SendQueue::default();
        assert!(!queue.holds_join(1));
        for (lane, class) in [(1, Class::Media), (2, Class::Join), (1, Class::Join), (1, Class::Media)] {
            queue.push(0, class, lane, Bytes::from_static(b"ab"));
        }
        assert!(queue.holds_join(1) && queue.holds_join(2) && !queue.holds_join(3));
        queue.advance(0, 4);
        assert!(queue.holds_join(1) && !queue.holds_join(2));
        assert_eq!(queue.drop_waiting(Some(1)), 2);
        assert!(!queue.holds_join(1));
        assert_eq!(queue.joins, 0);
    }

    #[test]
    fn many_small_messages_weigh_more_than_their_bytes() {
        let mut queue = SendQueue::default();
        for _ in 0..1000 {
            queue.push(0, Class::Media, 1, Bytes::from_static(b"a"));
        }
        assert_eq!((queue.len(), queue.weight()), (1000, 1000 * (1 + ENTRY_BYTES)));
    }

    #[test]
    fn lag_is_the_age_of_the_oldest_bytes() {
        let mut queue = SendQueue::default();
        assert_eq!(queue.lag_ms(50), 0);
        queue.push(u32::MAX, Class::Media, 1, Bytes::from_static(b"a"));
        queue.push(9, Class::Media, 1, Bytes::from_static(b"b"));
        assert_eq!(queue.lag_ms(9), 10);
        queue.advance(0, 1);
        assert_eq!(queue.lag_ms(12), 3);
    }

    #[test]
    fn an_empty_queue_gives_its_memory_back() {
        let mut queue = SendQueue::default();
        for _ in 0..1000 {
            queue.push(0, Class::Media, 1, Bytes::from_static(b"a"));
        }
        queue.advance(0, 1000);
        assert!(queue.entries.capacity() <= KEPT_CAPACITY);
    }

    #[test]
    fn a_queue_of_which_much_was_dropped_gives_memory_back_too() {
        let mut queue = SendQueue::default();
        for _ in 0..1000 {
            queue.push(0, Class::Media, 1, Bytes::from_static(b"ab"));
        }
        assert!(queue.entry_bytes() >= 1000 * size_of::<Entry>());
        queue.advance(0, 1);
        assert_eq!(queue.drop_waiting(None), 999);
        assert!(queue.entry_bytes() <= SHRUNK_CAPACITY * size_of::<Entry>());
        assert_eq!(all(&queue), b"b");
    }

    #[test]
    fn messages_that_waited_are_told_from_those_that_did_not() {
        let mut queue = SendQueue::default();
        for (queued_ms, class) in [(1, Class::Kept), (1, Class::Join), (1, Class::Media), (5, Class::Media)] {
            queue.push(queued_ms, class, 1, Bytes::from_static(b"ab"));
        }
        queue.push_piece(5, Class::Media, 1, Bytes::from_static(b"c"), false);
        assert_eq!(queue.advance(5, 5), Sent::default(), "half a message");
        assert_eq!(queue.advance(5, 4), Sent { fresh: 1, late: 1, late_ms: 4 });
    }
}
