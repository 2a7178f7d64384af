//! Frames to connections: the hot path.
//!
//! Owns: the wire form of a frame, made once and shared, and the rule for a player that is too slow. Does not know who
//! is to get a frame; the hub says so.
//!
//! Per frame: one buffer is allocated and the payload copied into it once. Per player and frame: one reference counted
//! clone and one push.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use slab::Slab;

use super::connection::{Connection, Session};
use super::deadlines::Deadlines;
use super::memory::Memory;
use super::outputs::{self, Outputs};
use super::queue::Class;
use super::{ConnectionId, DirtyList};
use crate::config::{EngineConfig, PlayerQueueLimits};
use crate::hub::{Delivery, Sink, StreamId, SubscriberId};
use crate::ledger::Purpose;
use crate::media::{Frame, FrameKind, FrameRole};
use crate::output::live::LiveForms;
use crate::rtmp::chunk::{encode_message, encode_shared, encoded_len};
use crate::rtmp::message::{chunk_stream_id, type_id};

/// The message stream that nearly every player plays on: `createStream` gives it first.
pub(super) const USUAL_MESSAGE_STREAM: u32 = 1;

/// What stands in the place of a message stream for a player over HTTP. Nothing is played on message stream 0.
pub(super) const HTTP_LANE: u32 = 0;

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
    pub(super) config: &'a EngineConfig,
    pub(super) connections: &'a mut Slab<Connection>,
    pub(super) dirty: &'a mut DirtyList,
    pub(super) deadlines: &'a mut Deadlines,
    /// The stream whose frame it is.
    pub(super) stream: Option<StreamId>,
    /// What may wait for one of its players.
    pub(super) queue: PlayerQueueLimits,
    /// The frame's wire form for the usual message stream.
    pub(super) usual: Option<Bytes>,
    /// What HTTP players are sent.
    pub(super) live: &'a mut LiveForms,
    pub(super) outputs: &'a mut Outputs,
    /// Messages that were dropped because their players are too slow.
    pub(super) dropped: u64,
    /// Room for chunk headers of other message streams.
    pub(super) heads: BytesMut,
    pub(super) memory: &'a mut Memory,
}

impl FanOut<'_> {
    /// What is delivered from now on is a frame of `stream`, for whose players `queue` holds.
    pub(super) fn begin_frame(&mut self, stream: StreamId, queue: PlayerQueueLimits) {
        self.stream = Some(stream);
        self.queue = queue;
        self.live.begin_frame();
    }

    /// As [`Sink::deliver`], for a player over HTTP.
    fn deliver_http(&mut self, id: ConnectionId, frame: &Frame, begins_group: bool) -> Delivery {
        let Some(connection) = self.connections.get_mut(id.0) else { return Delivery::Queued };
        let Some(peer) = connection.http() else { return Delivery::Queued };
        let (Some(viewing), Some(stream)) = (peer.viewing, self.stream) else { return Delivery::Queued };
        let is_over = peer.is_over;
        // The muxer has to see it in any case: others may join.
        let unit = self.live.unit(stream, viewing.form, frame);
        // One whose stream ended is told so, and gets nothing of the next publisher behind that.
        let Some(unit) = unit.filter(|_| !is_over) else { return Delivery::Queued };
        let class = class_of(frame);
        let len = unit.len();
        if class == Class::Media {
            let room = make_room(connection, self.queue, self.now_ms, lane(HTTP_LANE), begins_group, len);
            self.dropped += room.dropped;
            if !room.fits {
                return Delivery::Skipped;
            }
        }
        connection.note_push(self.now);
        let (init, head) = self.live.init(stream, viewing.form);
        if init != viewing.init {
            // It must not be dropped with pictures: all that follow need it.
            viewing.push(&mut connection.queue, self.now_ms, Class::Kept, head);
            if let Some(viewing) = connection.http().and_then(|peer| peer.viewing.as_mut()) {
                viewing.init = init;
            }
        }
        viewing.push(&mut connection.queue, self.now_ms, class, unit);
        connection.count_queue(self.memory);
        self.dirty.mark(id, connection);
        if class == Class::Kept {
            wake_if_overfull(connection, id, self.now, self.config, self.deadlines);
        }
        Delivery::Queued
    }

    /// Has the session's answers sent. A connection where too much piles up is closed as soon as it is woken.
    fn send_answers(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.take_answers(self.now, self.now_ms, &self.memory.ledger) {
            self.dirty.mark(id, connection);
            wake_if_overfull(connection, id, self.now, self.config, self.deadlines);
        }
    }
}

fn wake_if_overfull(
    connection: &mut Connection,
    id: ConnectionId,
    now: Instant,
    config: &EngineConfig,
    deadlines: &mut Deadlines,
) {
    if connection.overfull(config).is_some() {
        wake_now(connection, id, now, deadlines);
    }
}

/// The connection is looked at as soon as all is delivered.
fn wake_now(connection: &mut Connection, id: ConnectionId, now: Instant, deadlines: &mut Deadlines) {
    if connection.wakes_at.is_none_or(|at| at > now) {
        connection.wakes_at = Some(now);
        deadlines.push(now, id);
    }
}

impl Sink for FanOut<'_> {
    fn deliver(&mut self, to: SubscriberId, frame: &Frame, begins_group: bool) -> Delivery {
        if let Some(output) = outputs::from_hub_id(to) {
            self.outputs.frame(self.now, output, frame);
            return Delivery::Queued;
        }
        let (id, message_stream) = from_hub_id(to.0);
        if message_stream == HTTP_LANE {
            return self.deliver_http(id, frame, begins_group);
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return Delivery::Queued };
        let chunk_size = self.config.chunk_size;
        let lane = lane(message_stream);
        let class = class_of(frame);
        if class == Class::Media {
            let (chunk_stream, _) = ids(frame.kind);
            let len = encoded_len(chunk_size, chunk_stream, wire_timestamp(frame), frame.payload.len());
            let room = make_room(connection, self.queue, self.now_ms, lane, begins_group, len);
            self.dropped += room.dropped;
            if !room.fits {
                return Delivery::Skipped;
            }
        }
        connection.note_push(self.now);
        if message_stream == USUAL_MESSAGE_STREAM {
            let ledger = &self.memory.ledger;
            let encoded = || ledger.hold(Purpose::Sending, encode(frame, chunk_size));
            let bytes = self.usual.get_or_insert_with(encoded).clone();
            connection.queue.push(self.now_ms, class, lane, bytes);
        } else {
            let queue = &mut connection.queue;
            let mut begins = true;
            encode_pieces(&mut self.heads, chunk_size, message_stream, frame, &frame.payload, |piece| {
                queue.push_piece(self.now_ms, class, lane, piece, begins);
                begins = false;
            });
        }
        connection.count_queue(self.memory);
        if class == Class::Media && self.config.batch_ms > 0 {
            self.dirty.hold(self.now, Duration::from_millis(self.config.batch_ms), id, connection);
        } else {
            self.dirty.mark(id, connection);
        }
        if class == Class::Kept {
            wake_if_overfull(connection, id, self.now, self.config, self.deadlines);
        }
        Delivery::Queued
    }

    fn ended(&mut self, subscriber: SubscriberId) {
        if let Some(output) = outputs::from_hub_id(subscriber) {
            return self.outputs.ended(self.now, output);
        }
        let (id, message_stream) = from_hub_id(subscriber.0);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        match &mut connection.session {
            Session::Rtmp(session) => session.notify_unpublished(message_stream),
            Session::Http(peer) => {
                // A response ends with its stream.
                peer.is_over = true;
                wake_now(connection, id, self.now, self.deadlines);
            }
        }
        self.send_answers(id);
    }

    fn began(&mut self, subscriber: SubscriberId) {
        if let Some(output) = outputs::from_hub_id(subscriber) {
            // It is told with the publisher.
            let _ = output;
            return;
        }
        let (id, message_stream) = from_hub_id(subscriber.0);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if let Some(session) = connection.rtmp() {
            session.notify_published(message_stream);
            self.send_answers(id);
        }
    }
}

/// Headers and metadata are never dropped.
fn class_of(frame: &Frame) -> Class {
    match frame.role {
        FrameRole::Header(_) | FrameRole::Metadata => Class::Kept,
        _ => Class::Media,
    }
}

/// Which part of a connection's queue belongs to a message stream.
pub(super) fn lane(message_stream: u32) -> u16 {
    message_stream as u16
}

/// What [`make_room`] did.
struct Room {
    /// The frame need not be dropped as well.
    fits: bool,
    /// Messages that were dropped, the frame included.
    dropped: u64,
}

/// Keeps a slow player's queue within its limits.
fn make_room(
    connection: &mut Connection,
    limits: PlayerQueueLimits,
    now_ms: u32,
    lane: u16,
    begins_group: bool,
    len: usize,
) -> Room {
    let queue = &mut connection.queue;
    if queue.is_empty() {
        return Room { fits: true, dropped: 0 };
    }
    let mut dropped = 0;
    if begins_group && queue.holds_join(lane) {
        // What waits behind these pictures needs them.
        dropped += queue.drop_waiting(Some(lane)) as u64;
    }
    let mut fits = queue.weight() + len <= limits.bytes && queue.lag_ms(now_ms) <= limits.lag_ms;
    if !fits {
        dropped += queue.drop_waiting(Some(lane)) as u64;
        fits = begins_group && queue.weight() + len <= limits.bytes;
        dropped += u64::from(!fits);
    }
    connection.dropped += dropped;
    Room { fits, dropped }
}

/// The wire form for any message stream, without copying the payload, which need not be the frame's own.
pub(super) fn encode_pieces(
    heads: &mut BytesMut,
    chunk_size: usize,
    message_stream: u32,
    frame: &Frame,
    payload: &Bytes,
    piece: impl FnMut(Bytes),
) {
    let (chunk_stream, type_id) = ids(frame.kind);
    let timestamp = wire_timestamp(frame);
    encode_shared(heads, chunk_size, chunk_stream, timestamp, type_id, message_stream, payload, piece);
}

/// The wire form for the usual message stream.
fn encode(frame: &Frame, chunk_size: usize) -> Bytes {
    let (chunk_stream, type_id) = ids(frame.kind);
    let mut out = BytesMut::new();
    encode_message(
        &mut out,
        chunk_size,
        chunk_stream,
        wire_timestamp(frame),
        type_id,
        USUAL_MESSAGE_STREAM,
        &frame.payload,
    );
    out.freeze()
}

/// Timestamps wrap at 2^32: the low bits are what the wire wants. Metadata goes out at 0, wherever the stream stands:
/// ffmpeg makes a subtitle track of it otherwise.
pub(super) fn wire_timestamp(frame: &Frame) -> u32 {
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
