//! One number for all the memory that peers can make the server take (`limits.memory_limit`).
//!
//! Owns: what is counted for whom, and who has to let go when the number is near. Does not know the process: what the
//! allocator and the kernel take beside it, the program's own size apart, is not counted.
//!
//! Shared bytes are counted by the [`Ledger`], each buffer once. What belongs to one connection only (its state,
//! unfinished messages, the entries of its queue) is summed here: a connection is counted again where that may have
//! changed, and only the difference is added. So the sum is there at any time, and nothing is looked for as long as it
//! is below the first mark.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use log::{info, warn};

use super::connection::{Attachment, Connection, Role, Session};
use super::fanout::{hub_id, lane};
use super::{CloseReason, ConnectionId, Engine};
use crate::hub::{StreamId, SubscriberId};
use crate::ledger::{Ledger, Purpose};
use crate::rtmp::server::code;

// Marks, in percent of the limit.

/// Above this the slowest players skip to the next key frame, until no more than [`SKIP_UNTIL`] is used.
const SKIP_ABOVE: usize = 85;
const SKIP_UNTIL: usize = 80;
/// Above this nobody new may play.
pub(super) const NO_PLAYERS_ABOVE: usize = 90;
/// Above this HLS playlists are shortened, and pictures for those who join are forgotten, until [`SHORTEN_UNTIL`].
const SHORTEN_ABOVE: usize = 92;
const SHORTEN_UNTIL: usize = 90;
/// Above this a recording ends at each look.
const NO_RECORDINGS_ABOVE: usize = 95;
/// Above this nobody new may connect over RTMP, nor publish.
pub(super) const NO_PUBLISHERS_ABOVE: usize = 97;
/// Above this nobody new may connect at all, and connections are closed until [`CLOSE_UNTIL`], publishers last.
const FULL: usize = 100;
const CLOSE_UNTIL: usize = 95;

/// Who waits for less than this is not slow: a turn of the loop, a moment without the processor.
const SLOW_MS: u32 = 250;
/// Above this there is no time to wait for who is slow: everybody skips whose socket takes no more, those with most
/// waiting first, until [`SKIP_UNTIL`].
const SKIP_AT_ONCE_ABOVE: usize = 95;
/// After a look the next one comes once a hundredth of the limit more is used, or after this.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// A flood that comes and goes does not fill the log as well.
const TELL_AGAIN: Duration = Duration::from_secs(10);
/// A recording with less than this waiting would free nothing by its end.
const LEAST_RECORDING_BYTES: u64 = 64 * 1024;
/// Connections with less than this of their own, which publish nothing, are not worth closing.
const LEAST_CLOSED_BYTES: usize = 4 * 1024;
/// What a connection costs beside its own size: the heads of its allocations, its socket, its deadline.
const CONNECTION_BYTES: usize = 256;
/// More than this share of the limit that the allocator keeps is worth the time to give it back.
const KEPT_SHARE: u64 = 16;
/// Above this the program's own size is worth a look now and then.
const SHORT_ABOVE: usize = 70;
/// What a stream costs beside its cache.
const STREAM_BYTES: usize = 3 * 1024;
/// HLS of one stream may take this share of the limit: nobody else needs to notice one that is too much.
const HLS_SHARE: usize = 8;
const LEAST_HLS_BYTES: usize = 1024 * 1024;

/// What the connections hold, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Buffers that several may hold.
    pub(super) ledger: Ledger,
    /// The program before anybody came.
    program: usize,
    connections: usize,
    partial: usize,
    looks_above: usize,
    looks_at: Option<Instant>,
    /// The log was told that memory is short.
    is_told: bool,
    told_at: Option<Instant>,
}

/// What a connection was counted with, in bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    session: u32,
    entries: u32,
    partial: u32,
}

impl Counted {
    const fn own(self) -> usize {
        self.session as usize + self.entries as usize
    }

    const fn total(self) -> usize {
        self.own() + self.partial as usize
    }
}

impl Memory {
    fn used(&self) -> usize {
        self.program + self.connections + self.partial + self.ledger.total()
    }

    fn recount(&mut self, before: Counted, after: Counted) {
        self.connections = self.connections + after.own() - before.own();
        self.partial = self.partial + after.partial as usize - before.partial as usize;
    }

    /// The connection that was counted so is gone.
    pub(super) fn forget(&mut self, counted: Counted) {
        self.recount(counted, Counted::default());
    }
}

fn clamped(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Connection {
    /// Counts what the session holds. To be called after everything that it was given.
    pub(super) fn count_session(&mut self, memory: &mut Memory) {
        let (session, partial) = match &self.session {
            Session::Rtmp(session) => (size_of_val(&**session) + session.held_bytes(), session.partial_bytes()),
            Session::Http(peer) => (size_of_val(&**peer) + peer.held_bytes(), peer.session.partial_bytes()),
        };
        let more = size_of::<Connection>() + CONNECTION_BYTES + self.attachments.capacity() * size_of::<Attachment>();
        self.recount(memory, Counted { session: clamped(session + more), partial: clamped(partial), ..self.counted });
    }

    /// Counts the entries of the queue. To be called where their number changed.
    pub(super) fn count_queue(&mut self, memory: &mut Memory) {
        let entries = clamped(self.queue.entry_bytes());
        if entries != self.counted.entries {
            self.recount(memory, Counted { entries, ..self.counted });
        }
    }

    fn recount(&mut self, memory: &mut Memory, after: Counted) {
        memory.recount(self.counted, after);
        self.counted = after;
    }

    fn is_publisher(&self) -> bool {
        self.attachments.iter().any(|attachment| attachment.role == Role::Publisher)
    }

    /// Bytes that wait for a peer that is slow: the oldest for so long.
    fn waiting_bytes(&self, now_ms: u32, slow_ms: u32) -> usize {
        if self.queue.lag_ms(now_ms) >= slow_ms { self.queue.len() } else { 0 }
    }
}

impl Engine {
    /// Bytes that count toward `memory_limit`.
    pub fn memory_used(&self) -> usize {
        self.memory.used() + self.hub.stream_count() * STREAM_BYTES
    }

    /// The program takes so many bytes before anybody comes. They count toward `memory_limit`.
    pub fn set_program_bytes(&mut self, bytes: u64) {
        self.memory.program = usize::try_from(bytes).unwrap_or(usize::MAX / 2);
    }

    /// Whether the limit is so near that the program's own size matters.
    pub fn is_memory_short(&self) -> bool {
        self.is_memory_above(SHORT_ABOVE, 0)
    }

    /// Whether a program that takes `program_bytes` is above the limit for what the allocator keeps and nobody uses.
    pub fn is_memory_kept(&self, program_bytes: u64) -> bool {
        let limit = self.config.memory_limit as u64;
        let used = self.memory_used() as u64;
        limit > 0 && program_bytes > limit && program_bytes.saturating_sub(used) > limit / KEPT_SHARE
    }

    /// What memory is used for, and how much. All together is [`Engine::memory_used`].
    pub(super) fn memory_uses(&self) -> [(&'static str, usize); 7] {
        let alive = |purpose| self.memory.ledger.alive(purpose);
        let frames = alive(Purpose::Frame);
        let gop = self.hub.cached_bytes().min(frames);
        [
            ("gop", gop),
            // Frames that somebody waits for, and what is made of them to be sent.
            ("queues", frames - gop + alive(Purpose::Sending)),
            ("partial", self.memory.partial),
            ("hls", alive(Purpose::Hls)),
            ("record", alive(Purpose::Disk)),
            ("connections", self.memory.connections + self.hub.stream_count() * STREAM_BYTES),
            ("program", self.memory.program),
        ]
    }

    /// Whether more than so many percent of the limit are used, once there are `more` bytes.
    pub(super) fn is_memory_above(&self, percent: usize, more: usize) -> bool {
        let limit = self.config.memory_limit;
        limit > 0 && self.memory_used().saturating_add(more) > limit / 100 * percent
    }

    /// # Errors
    /// More than so many percent of the limit are used: why somebody new may not come.
    pub(super) fn has_memory(&self, percent: usize) -> Result<(), CloseReason> {
        let is_there = !self.is_memory_above(percent, 0);
        if is_there { Ok(()) } else { Err(CloseReason::OutOfMemory(self.config.memory_limit)) }
    }

    /// Bytes that the segments of one stream may have, where its application allows `window_bytes`.
    pub(super) fn hls_window_bytes(&self, window_bytes: usize) -> usize {
        match self.config.memory_limit {
            0 => window_bytes,
            limit => window_bytes.min((limit / HLS_SHARE).max(LEAST_HLS_BYTES)),
        }
    }

    /// To be called wherever memory may have grown. Costs a few additions while there is enough of it.
    pub(super) fn keep_within_memory(&mut self, now: Instant) {
        let limit = self.config.memory_limit;
        if !self.is_memory_above(SKIP_ABOVE, 0) {
            if self.memory.is_told && !self.is_memory_above(SKIP_UNTIL, 0) {
                self.memory.is_told = false;
                info!("memory: no longer short ({} of {limit} bytes)", self.memory_used());
            }
            self.memory.looks_above = 0;
            return;
        }
        let is_time = self.memory.looks_at.is_none_or(|at| at <= now);
        if !is_time && self.memory_used() <= self.memory.looks_above {
            return;
        }
        self.relieve_memory(now);
        self.memory.looks_above = self.memory_used() + limit / 100;
        self.memory.looks_at = Some(now + LOOK_AGAIN);
    }

    fn relieve_memory(&mut self, now: Instant) {
        let is_news = self.memory.told_at.is_none_or(|at| now.saturating_duration_since(at) >= TELL_AGAIN);
        if is_news && !std::mem::replace(&mut self.memory.is_told, true) {
            self.memory.told_at = Some(now);
            let (used, limit) = (self.memory_used(), self.config.memory_limit);
            warn!("memory: {used} of {limit} bytes are used (limits.memory_limit): the slowest players skip");
        }
        self.skip_slowest(now, SLOW_MS);
        if self.is_memory_above(SKIP_AT_ONCE_ABOVE, 0) {
            self.skip_slowest(now, 0);
        }
        if self.is_memory_above(SHORTEN_ABOVE, 0) {
            self.shorten_hls(now);
            self.forget_pictures();
        }
        if self.is_memory_above(NO_RECORDINGS_ABOVE, 0) {
            self.end_a_recording(now);
        }
        if self.is_memory_above(FULL, 0) {
            self.forget_hls(now);
            self.close_greediest(now);
        }
    }

    /// The slowest players skip to the next key frame, those with most waiting first. Only those whose socket takes no
    /// more, and to which something has waited for so long.
    fn skip_slowest(&mut self, now: Instant, slow_ms: u32) {
        let now_ms = self.now_ms(now);
        let slow = self.connections.iter().filter(|(_, connection)| connection.blocked);
        let waiting = slow.map(|(key, connection)| (connection.waiting_bytes(now_ms, slow_ms), ConnectionId(key)));
        let mut waiting: Vec<(usize, ConnectionId)> = waiting.filter(|(bytes, _)| *bytes > 0).collect();
        waiting.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        let mut skipped: HashMap<StreamId, HashSet<SubscriberId>> = HashMap::new();
        for (_, id) in waiting {
            if !self.is_memory_above(SKIP_UNTIL, 0) {
                break;
            }
            let Some(connection) = self.connections.get_mut(id.0) else { continue };
            for index in 0..connection.attachments.len() {
                let Some(Attachment { message_stream, stream, role }) = connection.attachments.get(index).copied()
                else {
                    continue;
                };
                if role == Role::Publisher {
                    continue;
                }
                let dropped = connection.queue.drop_waiting(Some(lane(message_stream))) as u64;
                if dropped > 0 {
                    connection.dropped += dropped;
                    self.stats.dropped(stream, dropped);
                    skipped.entry(stream).or_default().insert(SubscriberId(hub_id(id, message_stream)));
                }
            }
            connection.count_queue(&mut self.memory);
        }
        for (stream, subscribers) in skipped {
            self.hub.hold_back(stream, |subscriber| subscribers.contains(&subscriber));
        }
    }

    /// Playlists of HLS get as short as they can be, the largest first.
    fn shorten_hls(&mut self, now: Instant) {
        for id in self.outputs.hls_by_size() {
            if !self.is_memory_above(SHORTEN_UNTIL, 0) {
                break;
            }
            if let Some(hls) = self.outputs.hls(id) {
                hls.shorten(now);
            }
        }
        self.drain_outputs(now);
    }

    /// HLS begins again with the next key frame, the largest first.
    fn forget_hls(&mut self, now: Instant) {
        for id in self.outputs.hls_by_size() {
            if !self.is_memory_above(FULL, 0) {
                break;
            }
            if let Some(hls) = self.outputs.hls(id) {
                hls.forget_all(now);
            }
        }
        self.drain_outputs(now);
    }

    /// Those who join wait for the next key frame, of the streams with the largest pictures first.
    fn forget_pictures(&mut self) {
        let streams = self.hub.streams().map(|(id, _)| (self.hub.stream_bytes(id), id));
        let mut streams: Vec<(usize, StreamId)> = streams.filter(|(bytes, _)| *bytes > 0).collect();
        streams.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
        for (_, stream) in streams {
            if !self.is_memory_above(SHORTEN_UNTIL, 0) {
                return;
            }
            self.latest_burst.forget(stream);
            self.hub.forget_pictures(stream);
        }
    }

    /// The recording of which most waits for the disk ends. What waits is still written, so there is one at a time.
    fn end_a_recording(&mut self, now: Instant) {
        let waiting = self.outputs.recordings().max_by_key(|(bytes, _)| *bytes);
        if let Some((bytes, id)) = waiting.filter(|(bytes, _)| *bytes >= LEAST_RECORDING_BYTES) {
            let reason = format!("memory is short (limits.memory_limit), and {bytes} bytes wait for the disk");
            self.outputs.give_up_recording(id, reason);
            self.drain_outputs(now);
        }
    }

    /// Closes those who hold most: who neither plays nor publishes, and slow players; then publishers.
    fn close_greediest(&mut self, now: Instant) {
        let now_ms = self.now_ms(now);
        let open = self.connections.iter().filter(|(_, connection)| connection.closing.is_none());
        let mut greedy: Vec<(bool, Reverse<usize>, ConnectionId)> = open
            .map(|(key, connection)| {
                let published = connection.attachments.iter().filter(|attachment| attachment.role == Role::Publisher);
                let cached: usize = published.map(|attachment| self.hub.stream_bytes(attachment.stream)).sum();
                let bytes = connection.counted.total() + connection.waiting_bytes(now_ms, SLOW_MS) + cached;
                (connection.is_publisher(), Reverse(bytes), ConnectionId(key))
            })
            .filter(|(is_publisher, Reverse(bytes), _)| *is_publisher || *bytes >= LEAST_CLOSED_BYTES)
            .collect();
        greedy.sort_unstable();
        for (_, _, id) in greedy {
            if !self.is_memory_above(CLOSE_UNTIL, 0) {
                return;
            }
            self.close_for_memory(now, id);
        }
    }

    fn close_for_memory(&mut self, now: Instant, id: ConnectionId) {
        let reason = CloseReason::OutOfMemory(self.config.memory_limit);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        for Attachment { message_stream, role, .. } in connection.attachments.clone() {
            let code = if role == Role::Publisher { code::PUBLISH_DENIED } else { code::PLAY_FAILED };
            self.reject(id, message_stream, code, OUT_OF_MEMORY);
        }
        self.close(now, id, reason);
    }
}

/// What peers are told that have to go, or may not come.
pub(super) const OUT_OF_MEMORY: &str = "the server is short of memory; try again later";
/// When they may try again over HTTP, in seconds.
pub(super) const RETRY_AFTER_S: &str = "5";
