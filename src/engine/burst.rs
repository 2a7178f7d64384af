//! What those who join are sent, as pieces that many queues share.
//!
//! Owns: the wire form of a burst, and the latest one, so that all who join between two frames of a stream share it.
//! Does not know who joins, nor what belongs into a burst.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::fanout::{USUAL_MESSAGE_STREAM, encode_pieces};
use super::queue::Class;
use crate::config::JoinMode;
use crate::container::flv::tag;
use crate::hub::{Burst, Hub, StreamId};
use crate::ledger::{Ledger, Purpose};
use crate::media::FrameKind;

/// Room for the headers of one message in few chunks.
const HEAD_BYTES: usize = 16;

/// A piece of a burst: a message, or a part of one.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    pub(super) class: Class,
    /// Whether a message begins here.
    pub(super) begins: bool,
}

/// A burst for one message stream. Payloads are shared with the cache; only headers are made.
#[derive(Debug)]
pub(super) struct WireBurst {
    pub(super) pieces: Vec<Piece>,
    /// All bytes of the pieces.
    pub(super) bytes: usize,
    /// Bytes up to the end of the first key frame; 0 where there is none.
    pub(super) picture_bytes: usize,
    /// Pictures are inside, the next live frame fits on.
    pub(super) has_picture: bool,
}

impl WireBurst {
    /// Cuts `burst` into pieces, for message stream `message_stream`.
    pub(super) fn encode(
        burst: &Burst,
        mode: JoinMode,
        chunk_size: usize,
        message_stream: u32,
        ledger: &Ledger,
    ) -> Self {
        let picture_class = if mode == JoinMode::Gop { Class::Media } else { Class::Join };
        let mut wire = WireBurst {
            pieces: Vec::with_capacity(burst.frames.len() * 2),
            bytes: 0,
            picture_bytes: 0,
            has_picture: burst.has_picture,
        };
        let mut heads = BytesMut::with_capacity(burst.frames.len() * HEAD_BYTES);
        for frame in &burst.frames {
            let class = if frame.is_coded() { picture_class } else { Class::Kept };
            let payload = match frame.kind {
                FrameKind::Video if frame.is_coded() => {
                    let payload = tag::with_composition_ms(&frame.payload, frame.composition_ms);
                    let is_shared = payload.as_ptr() == frame.payload.as_ptr();
                    if is_shared { payload } else { ledger.hold(Purpose::Sending, payload) }
                }
                _ => frame.payload.clone(),
            };
            let mut begins = true;
            encode_pieces(&mut heads, chunk_size, message_stream, frame, &payload, |bytes| {
                wire.bytes += bytes.len();
                wire.pieces.push(Piece { bytes, class, begins });
                begins = false;
            });
            if wire.picture_bytes == 0 && frame.is_video_key() {
                wire.picture_bytes = wire.bytes;
            }
        }
        wire
    }
}

#[derive(Debug)]
struct Latest {
    stream: StreamId,
    mode: JoinMode,
    version: u64,
    burst: Arc<WireBurst>,
}

/// The latest burst. There is one at most, and none once its stream goes on: it would keep old frames in memory.
#[derive(Debug, Default)]
pub(super) struct LatestBurst {
    latest: Option<Latest>,
    ledger: Ledger,
}

impl LatestBurst {
    /// None yet. What is made for those who join is counted in `ledger`.
    pub(super) const fn new(ledger: Ledger) -> Self {
        LatestBurst { latest: None, ledger }
    }

    /// What one who joins `stream` now is to be sent.
    pub(super) fn get(
        &mut self,
        hub: &Hub,
        stream: StreamId,
        mode: JoinMode,
        chunk_size: usize,
        message_stream: u32,
    ) -> Arc<WireBurst> {
        let ledger = &self.ledger;
        let encode = || Arc::new(WireBurst::encode(&hub.burst(stream, mode), mode, chunk_size, message_stream, ledger));
        if message_stream != USUAL_MESSAGE_STREAM {
            return encode();
        }
        let version = hub.version(stream);
        if let Some(latest) = &self.latest
            && (latest.stream, latest.mode, latest.version) == (stream, mode, version)
        {
            return Arc::clone(&latest.burst);
        }
        let burst = encode();
        self.latest = Some(Latest { stream, mode, version, burst: Arc::clone(&burst) });
        burst
    }

    /// Streams have ended.
    pub(super) fn clear(&mut self) {
        self.latest = None;
    }

    /// `stream` has changed.
    pub(super) fn forget(&mut self, stream: StreamId) {
        if self.latest.as_ref().is_some_and(|latest| latest.stream == stream) {
            self.latest = None;
        }
    }
}
