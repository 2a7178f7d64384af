//! How many bytes of shared buffers are alive, whoever holds them.
//!
//! Owns: the counters, and the mark on a buffer that takes it off again when its last holder lets go. Does not know
//! limits, nor what is done near one.
//!
//! A frame's bytes are shared by the group of pictures, by the queues of all players, by HLS and recordings. Sums over
//! these would count them a thousand times; here each buffer counts once, from [`Ledger::hold`] to the drop of the last
//! clone or slice, also where that happens in another thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// What a buffer was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A frame as its publisher sent it.
    Frame,
    /// What is sent to players, in the form in which it is sent.
    Sending,
    /// Segments, parts and playlists of HLS.
    Hls,
    /// What the disk was asked to write.
    Disk,
}

/// Bytes that a buffer costs beside its content: the mark, the allocator's heads, the place where it is kept.
const BUFFER_BYTES: usize = 128;
/// The same for a frame, whose place in a group of pictures is larger.
const FRAME_BYTES: usize = 256;
/// Less room behind a buffer than this share of its length is not worth the call that gives it back.
const SPARE_SHARE: usize = 16;

#[derive(Debug, Default)]
struct Counters {
    frames: AtomicUsize,
    sending: AtomicUsize,
    hls: AtomicUsize,
    disk: AtomicUsize,
}

impl Counters {
    const fn of(&self, purpose: Purpose) -> &AtomicUsize {
        match purpose {
            Purpose::Frame => &self.frames,
            Purpose::Sending => &self.sending,
            Purpose::Hls => &self.hls,
            Purpose::Disk => &self.disk,
        }
    }
}

/// The counters. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    counters: Arc<Counters>,
}

impl Ledger {
    /// The same bytes, counted as long as somebody holds a part of them. Each buffer is to be given once, and nobody
    /// else should hold it yet: room behind it that it grew ahead is given back then. One that is a slice of a larger
    /// buffer is counted with its own length only.
    pub fn hold(&self, purpose: Purpose, bytes: Bytes) -> Bytes {
        if bytes.is_empty() {
            return bytes;
        }
        let bytes = exact(bytes);
        let cost = bytes.len() + if purpose == Purpose::Frame { FRAME_BYTES } else { BUFFER_BYTES };
        // Only the number itself counts: nothing else is read by what it says.
        self.counters.of(purpose).fetch_add(cost, Ordering::Relaxed);
        Bytes::from_owner(Held { bytes, cost, purpose, counters: Arc::clone(&self.counters) })
    }

    /// Bytes that are alive and were made for `purpose`.
    pub fn alive(&self, purpose: Purpose) -> usize {
        self.counters.of(purpose).load(Ordering::Relaxed)
    }

    /// Bytes that are alive.
    pub fn total(&self) -> usize {
        let purposes = [Purpose::Frame, Purpose::Sending, Purpose::Hls, Purpose::Disk];
        purposes.into_iter().map(|purpose| self.alive(purpose)).sum()
    }
}

/// A buffer in the ledger; what others hold are references to this.
struct Held {
    bytes: Bytes,
    cost: usize,
    purpose: Purpose,
    counters: Arc<Counters>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counters.of(self.purpose).fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// Gives back the room behind `bytes`, where they are nobody else's: what is kept takes no more memory than its length
/// says.
fn exact(bytes: Bytes) -> Bytes {
    if !bytes.is_unique() {
        return bytes;
    }
    // Its own memory, not a copy: it is nobody else's.
    let mut bytes = Vec::from(bytes);
    if bytes.capacity() > bytes.len() + bytes.len() / SPARE_SHARE + BUFFER_BYTES {
        bytes.shrink_to_fit();
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    #[test]
    fn a_buffer_counts_once_until_its_last_holder_lets_go() {
        let ledger = Ledger::default();
        let held = ledger.hold(Purpose::Frame, Bytes::from(vec![7; 1_000]));
        let cost = 1_000 + FRAME_BYTES;
        let mut holders: Vec<Bytes> = (0..1_000).map(|_| held.clone()).collect();
        holders.push(held.slice(10..11));
        assert_eq!((ledger.alive(Purpose::Frame), ledger.total()), (cost, cost));
        drop(held);
        holders.drain(..1_000);
        assert_eq!(ledger.total(), cost, "one byte of it is held");
        assert_eq!(&holders.pop().expect("the slice")[..], [7]);
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn purposes_are_told_apart_and_clones_count_together() {
        let ledger = Ledger::default();
        let other = ledger.clone();
        let mut held = Vec::new();
        for (purpose, len) in [(Purpose::Sending, 1), (Purpose::Hls, 20), (Purpose::Disk, 300)] {
            held.push(other.hold(purpose, vec![0; len].into()));
            assert_eq!(ledger.alive(purpose), len + BUFFER_BYTES);
        }
        assert_eq!(ledger.total(), 321 + 3 * BUFFER_BYTES);
        std::thread::spawn(move || drop(held)).join().expect("it ends");
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn nothing_costs_nothing() {
        let ledger = Ledger::default();
        let nothing = ledger.hold(Purpose::Hls, Bytes::new());
        assert!(nothing.is_empty());
        assert_eq!(ledger.total(), 0);
    }

    #[test]
    fn the_room_behind_a_buffer_is_given_back() {
        let mut buffer = BytesMut::with_capacity(1 << 20);
        buffer.extend_from_slice(b"little");
        let bytes = exact(buffer.freeze());
        assert_eq!(&bytes[..], b"little");
        assert_eq!(Vec::from(bytes).capacity(), 6);
        let shared = Bytes::from(vec![1, 2, 3]);
        let same = exact(shared.clone());
        assert_eq!(same.as_ptr(), shared.as_ptr(), "what others hold is not copied");
    }
}
