//! Frames to connections: the hot path.
//!
//! Owns: the wire form of a frame, made once and shared, and the rule for a player that is too slow. Does not know who
//! is to get a frame; the hub says so.
//!
//! Per frame: one buffer is allocated and the payload copied into it once. Per player and frame: one reference counted
//! clone and one push.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use slab::Slab;

use super::connection::Connection;
use super::queue::Class;
use super::{ConnectionId, DirtyList};
use crate::config::QueueLimits;
use crate::container::flv::tag;
use crate::hub::{Burst, Delivery, Sink, SubscriberId};
use crate::media::{Frame, FrameKind, FrameRole};
use crate::rtmp::chunk::{encode_message, encode_shared};
use crate::rtmp::message::{chunk_stream_id, type_id};

/// The message stream that nearly every player plays on: `createStream` gives it first.
const USUAL_MESSAGE_STREAM: u32 = 1;

/// Room for the headers of one message in few chunks.
const HEAD_BYTES: usize = 16;

/// The number by which the hub knows a message stream of a connection.
pub(super) fn hub_id(connection: ConnectionId, message_stream: u32) -> u64 {
    (connection.0 as u64) << 32 | u64::from(message_stream)
}

/// The opposite of [`hub_id`].
pub(super) fn from_hub_id(id: u64) -> (ConnectionId, u32) {
    (ConnectionId((id >> 32) as usize), id as u32)
}

/// Hands one frame to many connections.
pub(super) struct FanOut<'a> {
    pub(super) now: Instant,
    pub(super) now_ms: u32,
    pub(super) chunk_size: usize,
    pub(super) limits: &'a QueueLimits,
    pub(super) connections: &'a mut Slab<Connection>,
    pub(super) dirty: &'a mut DirtyList,
    /// The frame's wire form for the usual message stream.
    pub(super) usual: Option<Bytes>,
    /// The same for other message streams.
    pub(super) unusual: Vec<(u32, Bytes)>,
}

impl FanOut<'_> {
    fn wire_form(&mut self, frame: &Frame, message_stream: u32) -> Bytes {
        let chunk_size = self.chunk_size;
        if message_stream == USUAL_MESSAGE_STREAM {
            return self.usual.get_or_insert_with(|| encode(frame, chunk_size, message_stream)).clone();
        }
        if let Some((_, bytes)) = self.unusual.iter().find(|(stream, _)| *stream == message_stream) {
            return bytes.clone();
        }
        let bytes = encode(frame, chunk_size, message_stream);
        self.unusual.push((message_stream, bytes.clone()));
        bytes
    }
}

impl Sink for FanOut<'_> {
    fn deliver(&mut self, to: SubscriberId, frame: &Frame, begins_group: bool) -> Delivery {
        let (id, message_stream) = from_hub_id(to.0);
        let bytes = self.wire_form(frame, message_stream);
        let Some(connection) = self.connections.get_mut(id.0) else { return Delivery::Queued };
        let class = match frame.role {
            FrameRole::Header(_) | FrameRole::Metadata => Class::Kept,
            _ => Class::Media,
        };
        if class == Class::Media && !make_room(connection, self.limits, self.now_ms, begins_group, bytes.len()) {
            return Delivery::Skipped;
        }
        connection.note_push(self.now);
        connection.queue.push(self.now_ms, class, bytes);
        self.dirty.mark(id, connection);
        Delivery::Queued
    }

    fn ended(&mut self, subscriber: SubscriberId) {
        let (id, message_stream) = from_hub_id(subscriber.0);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.session.notify_unpublished(message_stream);
        if connection.take_answers(self.now, self.now_ms) {
            self.dirty.mark(id, connection);
        }
    }

    fn began(&mut self, subscriber: SubscriberId) {
        let (id, message_stream) = from_hub_id(subscriber.0);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.session.notify_published(message_stream);
        if connection.take_answers(self.now, self.now_ms) {
            self.dirty.mark(id, connection);
        }
    }
}

/// Keeps a slow player's queue within its limits. `false`: the frame has to be dropped as well.
fn make_room(connection: &mut Connection, limits: &QueueLimits, now_ms: u32, begins_group: bool, len: usize) -> bool {
    let queue = &mut connection.queue;
    if queue.is_empty() {
        return true;
    }
    if begins_group && queue.holds(Class::Join) {
        // What waits behind these pictures needs them.
        connection.dropped += queue.drop_waiting(|class| class != Class::Kept) as u64;
    }
    if queue.len() + len <= limits.bytes && queue.lag_ms(now_ms) <= limits.lag_ms {
        return true;
    }
    connection.dropped += queue.drop_waiting(|class| class != Class::Kept) as u64;
    let fits = queue.len() + len <= limits.bytes;
    if begins_group && fits {
        return true;
    }
    connection.dropped += 1;
    false
}

/// Puts a burst into one connection's queue. Payloads are shared with the cache; only headers are made.
pub(super) fn push_burst(
    connection: &mut Connection,
    now: Instant,
    now_ms: u32,
    chunk_size: usize,
    message_stream: u32,
    burst: &Burst,
    picture_class: Class,
) {
    connection.note_push(now);
    let mut heads = BytesMut::with_capacity(burst.frames.len() * HEAD_BYTES);
    for frame in &burst.frames {
        let class = if frame.is_coded() { picture_class } else { Class::Kept };
        let payload = match frame.kind {
            FrameKind::Video if frame.is_coded() => tag::with_composition_ms(&frame.payload, frame.composition_ms),
            _ => frame.payload.clone(),
        };
        let (chunk_stream, type_id) = ids(frame.kind);
        let mut begins = true;
        let queue = &mut connection.queue;
        let timestamp = wire_timestamp(frame);
        encode_shared(&mut heads, chunk_size, chunk_stream, timestamp, type_id, message_stream, &payload, |piece| {
            if begins {
                queue.push(now_ms, class, piece);
            } else {
                queue.push_more(now_ms, class, piece);
            }
            begins = false;
        });
    }
}

fn encode(frame: &Frame, chunk_size: usize, message_stream: u32) -> Bytes {
    let (chunk_stream, type_id) = ids(frame.kind);
    let mut out = BytesMut::new();
    encode_message(&mut out, chunk_size, chunk_stream, wire_timestamp(frame), type_id, message_stream, &frame.payload);
    out.freeze()
}

/// Timestamps wrap at 2^32: the low bits are what the wire wants. Metadata goes out at 0, wherever the stream stands:
/// ffmpeg makes a subtitle track of it otherwise.
fn wire_timestamp(frame: &Frame) -> u32 {
    match frame.role {
        FrameRole::Metadata => 0,
        _ => frame.timestamp_ms as u32,
    }
}

fn ids(kind: FrameKind) -> (u32, u8) {
    match kind {
        FrameKind::Audio => (chunk_stream_id::AUDIO, type_id::AUDIO),
        FrameKind::Video => (chunk_stream_id::VIDEO, type_id::VIDEO),
        FrameKind::Data => (chunk_stream_id::DATA, type_id::DATA_AMF0),
    }
}
