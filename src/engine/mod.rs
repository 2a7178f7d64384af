//! The whole server without I/O: sessions, hub and send queues joined.
//!
//! Owns: connections without their sockets, what they are in the hub, deadlines, and why they close. Does not know
//! mio, files or the clock: time comes in with every call.
//!
//! The contract, for whoever drives it:
//!
//! 1. [`Engine::accept`] a connection, or be told why not.
//! 2. [`Engine::handle_input`] what it sent; [`Engine::handle_closed`] when it is gone.
//! 3. [`Engine::handle_timeout`] whenever [`Engine::poll_timeout`] is reached.
//! 4. At the end of a turn, for each id from [`Engine::poll_transmit`]: [`Engine::fill`], write, [`Engine::advance`],
//!    until nothing is left or the kernel takes no more: [`Engine::set_blocked`]; once it is writable again,
//!    [`Engine::handle_writable`].
//! 5. Drain [`Engine::poll_effect`] to `None`.
//! 6. [`Engine::handle_outcome`] of every command that the disk was given.
//! 7. For every [`Effect::Post`]: [`Engine::handle_post_input`], [`Engine::handle_post_closed`] or
//!    [`Engine::handle_post_failed`], until [`Effect::EndPost`].
//! 8. No [`Engine::handle_input`] between [`Effect::StopReading`] and [`Effect::ReadOn`] of a connection.

mod access;
mod api;
mod apps;
mod burst;
mod callbacks;
mod close;
mod connection;
mod console;
mod deadlines;
mod dirty;
mod drain;
mod fanout;
mod histogram;
mod http;
mod join_mode;
mod kept;
mod memory;
mod metrics;
mod outputs;
mod queue;
mod stats;
mod test_stream;
mod viewers;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use log::{debug, info, warn};
use slab::Slab;

use self::access::Usage;
use self::apps::Apps;
use self::burst::{LatestBurst, WireBurst};
use self::callbacks::Callbacks;
pub use self::callbacks::{PostId, PostRequest};
pub use self::close::CloseReason;
use self::connection::{Attachment, Closing, Connection, Role, Session};
use self::deadlines::Deadlines;
use self::dirty::DirtyList;
use self::drain::Draining;
use self::fanout::{FanOut, from_hub_id, hub_id, lane};
use self::http::HttpPeer;
use self::join_mode::{join_mode, usual_mode};
use self::memory::{Memory, NO_PUBLISHERS_ABOVE};
use self::outputs::Outputs;
use self::stats::{Past, PlayedAs, Stats};
use self::test_stream::TestStream;
use self::viewers::Viewers;
use crate::access as access_room;
use crate::config::{EngineConfig, HttpLimits, JoinMode, PlayerQueueLimits};
use crate::container::flv::tag;
use crate::http::{self as http_room, HttpSession};
use crate::hub::{Departure, Hub, IncomingFrame, PublishError, PublisherId, StreamId, SubscriberId};
use crate::ledger::Purpose;
use crate::media::{FrameKind, FrameRole, TrackSet};
use crate::output::disk;
use crate::output::live::LiveForms;
use crate::output::monitor::Declared;
use crate::rtmp::amf0;
use crate::rtmp::path::StreamPath;
use crate::rtmp::server::{Event, ServerSession, SessionConfig, code};

/// A connection of an engine. Used again once [`Effect::Close`] named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub usize);

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP.
    Rtmp,
    /// HTTP/1.1, and WebSocket where it is asked for.
    Http,
}

impl Protocol {
    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Protocol::Rtmp => "RTMP",
            Protocol::Http => "HTTP",
        }
    }
}

/// As URLs begin.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Rtmp => "rtmp",
            Protocol::Http => "http",
        })
    }
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Close the sending side: everything was sent, and the peer should have the time to read it.
    ShutdownWrite(ConnectionId),
    /// Close the socket. The id is free from now on.
    Close(ConnectionId, CloseReason),
    /// Have the disk do this; what comes of it goes to [`Engine::handle_outcome`].
    Disk(disk::Command),
    /// Read the configuration again, for this connection; what comes of it goes to [`Engine::handle_reloaded`].
    Reload(ConnectionId),
    /// Read nothing more of this connection, but tell of its end, until [`Effect::ReadOn`].
    StopReading(ConnectionId),
    /// Read on, beginning with what has come in between.
    ReadOn(ConnectionId),
    /// Connect to a program, send it this, and tell what comes back.
    Post(PostRequest),
    /// This post is over: its socket, where it has one, is to be closed.
    EndPost(PostId),
}

/// What a session has to say.
enum SessionEvent {
    Rtmp(Event),
    Http(http_room::Event),
}

/// The server without its sockets.
#[derive(Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    apps: Apps,
    session_config: Arc<SessionConfig>,
    http_limits: Arc<HttpLimits>,
    epoch: Instant,
    /// A moment on the wall clock, in milliseconds since 1970-01-01 UTC.
    wall_clock: (Instant, u64),
    /// State of the generator that gives each handshake its filler bytes.
    random: u64,
    hub: Hub,
    /// What players over HTTP are sent.
    live: LiveForms,
    outputs: Outputs,
    viewers: Viewers,
    /// What addresses and publishers use.
    usage: Usage,
    test_stream: Option<TestStream>,
    /// HTTP requests for streams that are not there yet, by name.
    waiting_for: HashMap<String, Vec<ConnectionId>>,
    latest_burst: LatestBurst,
    memory: Memory,
    connections: Slab<Connection>,
    dirty: DirtyList,
    deadlines: Deadlines,
    effects: VecDeque<Effect>,
    /// Programs that are asked and told.
    callbacks: Callbacks,
    shutting_down: bool,
    draining: Option<Draining>,
    stats: Stats,
}

impl Engine {
    /// An engine without connections. `random_seed` feeds handshakes.
    pub fn new(now: Instant, config: EngineConfig, random_seed: u64) -> Self {
        let session_config = SessionConfig { chunk_size: config.chunk_size, limits: config.session.clone() };
        let memory = Memory::default();
        Engine {
            session_config: Arc::new(session_config),
            http_limits: Arc::new(config.http.clone()),
            epoch: now,
            wall_clock: (now, 0),
            random: random_seed,
            hub: Hub::new(config.streams),
            live: LiveForms::new(memory.ledger.clone()),
            outputs: Outputs::new(memory.ledger.clone()),
            viewers: Viewers::default(),
            usage: Usage::new(config.access),
            test_stream: config.test_stream.then(|| TestStream::new(now)).flatten(),
            waiting_for: HashMap::new(),
            latest_burst: LatestBurst::new(memory.ledger.clone()),
            memory,
            connections: Slab::new(),
            dirty: DirtyList::default(),
            deadlines: Deadlines::default(),
            effects: VecDeque::new(),
            callbacks: Callbacks::default(),
            shutting_down: false,
            draining: None,
            stats: Stats::new(now),
            apps: Apps::new(&config),
            config: Arc::new(config),
        }
    }

    /// The wall clock shows `unix_ms` (milliseconds since 1970-01-01 UTC) at `now`. To be told at the beginning, and
    /// again from time to time: it may be set.
    pub fn set_wall_clock(&mut self, now: Instant, unix_ms: u64) {
        self.wall_clock = (now, unix_ms);
    }

    fn unix_ms(&self, now: Instant) -> u64 {
        let (at, unix_ms) = self.wall_clock;
        unix_ms.saturating_add(now.saturating_duration_since(at).as_millis() as u64)
    }

    /// Takes a new connection.
    ///
    /// # Errors
    /// The reason to close it at once.
    pub fn accept(&mut self, now: Instant, protocol: Protocol, peer: SocketAddr) -> Result<ConnectionId, CloseReason> {
        self.make_place(now, protocol, peer).inspect_err(|reason| self.stats.count_close(reason))?;
        let session = match protocol {
            Protocol::Rtmp => {
                let mut session = ServerSession::new(now, Arc::clone(&self.session_config), self.next_random());
                session.ask_before_connect(self.config.callbacks.on_connect.is_set());
                Session::Rtmp(Box::new(session))
            }
            Protocol::Http => {
                Session::Http(Box::new(HttpPeer::new(HttpSession::new(now, Arc::clone(&self.http_limits)))))
            }
        };
        let id = ConnectionId(self.connections.insert(Connection::new(now, peer, self.stats.next_serial(), session)));
        debug!("{peer}: connected");
        self.count_session(id);
        self.schedule(id);
        Ok(id)
    }

    fn make_place(&mut self, now: Instant, protocol: Protocol, peer: SocketAddr) -> Result<(), CloseReason> {
        // Operators may still ask how far it is.
        if self.shutting_down || (!self.lets_begin() && protocol == Protocol::Rtmp) {
            return Err(CloseReason::ShuttingDown);
        }
        if self.connections.len() >= self.config.connections {
            return Err(CloseReason::TooManyConnections);
        }
        // Operators may still look.
        self.has_memory(if protocol == Protocol::Rtmp { NO_PUBLISHERS_ABOVE } else { 100 })?;
        self.usage.connect(now, peer.ip())
    }

    /// Takes bytes that a peer sent.
    pub fn handle_input(&mut self, now: Instant, id: ConnectionId, input: &[u8]) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.bytes_in += input.len() as u64;
        self.stats.bytes_in += input.len() as u64;
        if connection.closing.is_some() {
            return;
        }
        let result = match &mut connection.session {
            Session::Rtmp(session) => session.handle_input(now, input).map_err(CloseReason::from),
            Session::Http(peer) => peer.session.handle_input(now, input).map_err(CloseReason::from),
        };
        self.drain_session(now, id);
        if let Err(reason) = result {
            self.close(now, id, reason);
        }
        self.count_session(id);
        self.schedule(id);
        self.keep_within_memory(now);
    }

    /// What the session of `id` holds may have changed.
    fn count_session(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id.0) {
            connection.count_session(&mut self.memory);
        }
    }

    /// The peer is gone: forgets the connection. No effect follows for it.
    pub fn handle_closed(&mut self, now: Instant, id: ConnectionId, reason: CloseReason) {
        self.detach_all(now, id, Departure::Lost);
        self.forget_client(id);
        if let Some(connection) = self.connections.try_remove(id.0) {
            self.memory.forget(connection.counted);
            self.usage.disconnect(now, connection.peer.ip());
            let reason = connection.closing.as_ref().map_or(&reason, |closing| &closing.reason);
            log_close(now, &connection, reason);
            let unix_ms = self.unix_ms(now);
            self.stats.closed(now, unix_ms, &connection, reason, self.config.api.sessions);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.dirty.release(now, &mut self.connections);
        let streams_end = self.hub.poll_timeout().is_some_and(|at| at <= now);
        let (hub, mut sink) = self.hub_and_sink(now);
        hub.handle_timeout(now, &mut sink);
        if streams_end {
            self.latest_burst.clear();
            self.stats.retain_streams(|name| self.hub.find(name).is_some());
        }
        self.outputs.handle_timeout(now);
        self.drain_outputs(now);
        self.end_viewers(now);
        self.play_test_stream(now);
        self.look_at_drain(now);
        self.do_callbacks(now);
        while let Some((at, id)) = self.deadlines.pop_due(now) {
            let Some(connection) = self.connections.get_mut(id.0) else { continue };
            // An entry that a later one replaced, or of an earlier connection with this id.
            if connection.wakes_at != Some(at) {
                continue;
            }
            connection.wakes_at = None;
            self.wake(now, id);
            self.schedule(id);
        }
    }

    /// When [`Engine::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let outputs = [self.outputs.poll_timeout(), self.viewers.poll_timeout()].into_iter().flatten().min();
        let test = self.test_stream.as_ref().and_then(TestStream::poll_timeout);
        let own = [self.deadlines.next(), self.dirty.held_until(), self.drain_deadline()];
        let others = [self.hub.poll_timeout(), outputs, test, self.callbacks.poll_timeout()];
        own.into_iter().chain(others).flatten().min()
    }

    /// Next connection with something to send.
    pub fn poll_transmit(&mut self) -> Option<ConnectionId> {
        loop {
            let id = self.dirty.take()?;
            if let Some(connection) = self.connections.get_mut(id.0)
                && !connection.held
                && std::mem::take(&mut connection.dirty)
            {
                return Some(id);
            }
        }
    }

    /// What is to be sent next, where that is one piece; `None` where several wait, or nothing. See [`Engine::fill`].
    pub fn only_piece(&self, id: ConnectionId) -> Option<&[u8]> {
        self.connections.get(id.0)?.queue.only_piece()
    }

    /// How many bytes to send to `id` before others have their turn: up to `share`.
    pub fn share(&self, id: ConnectionId, share: usize) -> usize {
        let urgent = self.connections.get(id.0).map_or(0, |connection| connection.queue.urgent());
        if urgent > 0 { urgent.min(share) } else { share }
    }

    /// Puts what is to be sent next into `slices`, as far as it takes to have `bytes` bytes; says how many are filled,
    /// 0 where nothing waits.
    pub fn fill<'a>(&'a self, id: ConnectionId, bytes: usize, slices: &mut [IoSlice<'a>]) -> usize {
        self.connections.get(id.0).map_or(0, |connection| connection.queue.fill(bytes, slices))
    }

    /// The kernel took `count` bytes. `true`: more waits.
    pub fn advance(&mut self, now: Instant, id: ConnectionId, count: usize) -> bool {
        let now_ms = self.now_ms(now);
        let Some(connection) = self.connections.get_mut(id.0) else { return false };
        let sent = connection.queue.advance(now_ms, count);
        connection.count_queue(&mut self.memory);
        let stream = match connection.attachments.first() {
            Some(attachment) => Some(attachment.stream),
            None => self.viewers.sent(&self.hub, connection, count),
        };
        self.stats.written(now, stream, count, sent);
        connection.bytes_out += count as u64;
        connection.progress_at = now;
        let is_empty = connection.queue.is_empty();
        if is_empty {
            if connection.closing.is_some() {
                self.finish(id);
            } else if matches!(connection.session, Session::Http(_)) {
                self.http_sent(now, id);
                return !self.connections.get(id.0).is_none_or(|connection| connection.queue.is_empty());
            }
        }
        !is_empty
    }

    /// The kernel takes no more now; [`Engine::handle_writable`] ends this.
    pub fn set_blocked(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id.0) {
            connection.blocked = true;
            self.schedule(id);
        }
    }

    /// The kernel may take more. Harmless at any time.
    pub fn handle_writable(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.blocked = false;
        if !connection.queue.is_empty() {
            self.dirty.mark(id, connection);
        }
    }

    /// The driver's turn ended with more to send to `id`: it comes up again.
    pub fn send_later(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id.0) {
            self.dirty.mark(id, connection);
        }
    }

    /// Next thing to do.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front().or_else(|| self.outputs.poll_command().map(Effect::Disk))
    }

    /// The disk did a command, or could not.
    pub fn handle_outcome(&mut self, now: Instant, outcome: &disk::Outcome) {
        self.outputs.handle_outcome(outcome);
        self.drain_outputs(now);
        self.tell_recorded(now);
    }

    /// The driver's turn, which began at `began`, is over: everything that could be written was.
    pub fn end_turn(&mut self, began: Instant, ended: Instant) {
        self.keep_within_memory(ended);
        self.stats.end_turn(began, ended);
    }

    /// So many bytes of memory the program takes.
    pub fn set_memory_bytes(&mut self, bytes: u64) {
        self.stats.memory_bytes = Some(bytes);
    }

    /// Where RTMP is listened for, for those who ask.
    pub fn set_rtmp_port(&mut self, port: u16) {
        self.stats.rtmp_port = Some(port);
    }

    /// Ends every session in its proper way. New connections are refused from now on.
    pub fn shut_down(&mut self, now: Instant) {
        self.shutting_down = true;
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(key, _)| ConnectionId(key)).collect();
        for id in ids {
            self.end_session(now, id, "server shuts down");
        }
        self.shut_down_test_stream(now);
        self.shut_down_viewers(now);
        self.outputs.stop_all_recordings(now);
        self.drain_outputs(now);
        self.end_watchings(now);
    }

    /// Whether nobody is connected, no recording is being finished, and nothing is to be posted.
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty() && !self.outputs.is_writing() && self.callbacks.is_idle()
    }

    /// Whether `id` publishes or plays: the exchange of commands, where each waits for the last, is over.
    pub fn is_settled(&self, id: ConnectionId) -> bool {
        self.connections.get(id.0).is_none_or(|connection| !connection.attachments.is_empty())
    }

    /// How long the oldest waiting byte of each stream's slowest player has waited, in milliseconds; 0 is left out.
    fn lags_ms(&self, now: Instant) -> HashMap<StreamId, u32> {
        let now_ms = self.now_ms(now);
        let mut lags = HashMap::new();
        for (_, connection) in &self.connections {
            let lag_ms = connection.queue.lag_ms(now_ms);
            if let (1.., Some(attachment)) = (lag_ms, connection.attachments.first()) {
                let lag = lags.entry(attachment.stream).or_default();
                *lag = lag_ms.max(*lag);
            }
        }
        lags
    }

    /// Number of streams that somebody publishes.
    fn published_count(&self) -> usize {
        self.hub.streams().filter(|(id, _)| self.hub.publisher(*id).is_some()).count()
    }

    /// Number of connections.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// The hub, to look at.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Bytes that wait to be sent to `id`.
    pub fn queued_bytes(&self, id: ConnectionId) -> usize {
        self.connections.get(id.0).map_or(0, |connection| connection.queue.len())
    }

    /// Messages that were dropped because `id` was too slow.
    pub fn dropped_messages(&self, id: ConnectionId) -> u64 {
        self.connections.get(id.0).map_or(0, |connection| connection.dropped)
    }

    fn next_random(&mut self) -> u64 {
        // SplitMix64: good enough for what nobody has to guess wrong.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn now_ms(&self, now: Instant) -> u32 {
        // Wraps after 49 days; only differences are looked at.
        now.saturating_duration_since(self.epoch).as_millis() as u32
    }

    fn hub_and_sink(&mut self, now: Instant) -> (&mut Hub, FanOut<'_>) {
        let now_ms = self.now_ms(now);
        let sink = FanOut {
            now,
            now_ms,
            config: &self.config,
            connections: &mut self.connections,
            dirty: &mut self.dirty,
            deadlines: &mut self.deadlines,
            stream: None,
            queue: PlayerQueueLimits::default(),
            usual: None,
            live: &mut self.live,
            outputs: &mut self.outputs,
            dropped: 0,
            heads: BytesMut::new(),
            memory: &mut self.memory,
        };
        (&mut self.hub, sink)
    }

    /// Asks a connection when it wants to be woken; adds an entry only where none comes early enough.
    fn schedule(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let Some(deadline) = connection.deadline(&self.config.queue) else { return };
        if connection.wakes_at.is_none_or(|at| deadline < at) {
            connection.wakes_at = Some(deadline);
            self.deadlines.push(deadline, id);
        }
    }

    fn wake(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if let Some(closing) = &connection.closing {
            if closing.until <= now {
                self.remove(now, id);
            }
            return;
        }
        if connection.blocked && connection.stall_deadline(&self.config.queue) <= now {
            let reason = CloseReason::Stalled(self.config.queue.stall_timeout_ms);
            self.close(now, id, reason);
            return;
        }
        if self.wake_http(now, id) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let result = match &mut connection.session {
            Session::Rtmp(session) => session.handle_timeout(now).map_err(CloseReason::from),
            Session::Http(peer) => peer.session.handle_timeout(now).map_err(CloseReason::from),
        };
        self.drain_session(now, id);
        if let Err(reason) = result {
            self.close(now, id, reason);
        }
    }

    /// Handles a session's events and moves its answers into the queue, in their order. One of them may close the
    /// connection; then the others count no more, for it must not come into the hub again.
    fn drain_session(&mut self, now: Instant, id: ConnectionId) {
        while let Some(event) = self.next_event(id) {
            match event {
                SessionEvent::Rtmp(event) => self.handle_event(now, id, event),
                SessionEvent::Http(event) => self.handle_http_event(now, id, event),
            }
        }
        self.take_answers(now, id);
    }

    fn next_event(&mut self, id: ConnectionId) -> Option<SessionEvent> {
        let connection = self.connections.get_mut(id.0).filter(|connection| connection.closing.is_none())?;
        match &mut connection.session {
            Session::Rtmp(session) => session.poll_event().map(SessionEvent::Rtmp),
            // The answer to one request goes out before the next is looked at. One who watches asks no more, and what
            // else it says must not pile up while it reads slowly.
            Session::Http(peer) if connection.queue.is_empty() || peer.viewing.is_some() => {
                peer.session.poll_event().map(SessionEvent::Http)
            }
            Session::Http(_) => None,
        }
    }

    fn take_answers(&mut self, now: Instant, id: ConnectionId) {
        let now_ms = self.now_ms(now);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.take_answers(now, now_ms, &self.memory.ledger) {
            self.dirty.mark(id, connection);
        }
        if let Some(limit) = connection.overfull(&self.config) {
            self.close(now, id, CloseReason::QueueFull(limit));
        }
    }

    fn handle_event(&mut self, now: Instant, id: ConnectionId, event: Event) {
        match event {
            Event::Connected(info) => {
                if let Some(connection) = self.connections.get_mut(id.0) {
                    connection.usual_mode = usual_mode(info.flash_ver.as_deref());
                    let flash_ver = info.flash_ver.as_deref().unwrap_or("unnamed client");
                    // Behind the ? there may be a key.
                    let app = info.app.split('?').next().unwrap_or_default();
                    // As debug text: it must not be able to write lines of its own.
                    debug!("{}: {flash_ver:?} wants {app:?}", connection.peer);
                }
                self.ask_connect(now, id, &info);
                self.ask_to_reconnect(now, id);
            }
            Event::Publish { stream_id, path, .. } => self.publish(now, id, stream_id, &path),
            Event::Play { stream_id, path } => self.play(now, id, stream_id, &path),
            Event::Audio { stream_id, timestamp, payload } => {
                let info = tag::audio_info(&payload);
                self.frame(now, id, stream_id, incoming(FrameKind::Audio, &info, timestamp, payload));
            }
            Event::Video { stream_id, timestamp, payload } => {
                let info = tag::video_info(&payload);
                self.frame(now, id, stream_id, incoming(FrameKind::Video, &info, timestamp, payload));
            }
            Event::Data { stream_id, timestamp, payload, is_metadata } => {
                if is_metadata && let Some(attachment) = self.attachment(id, stream_id) {
                    let publisher = PublisherId(hub_id(id, stream_id));
                    let declared = declared(&payload);
                    self.hub.set_frame_rate(attachment.stream, publisher, declared.frame_rate);
                    self.stats.set_declared(attachment.stream, declared);
                }
                let role = if is_metadata { FrameRole::Metadata } else { FrameRole::Passing };
                let (kind, tracks) = (FrameKind::Data, TrackSet::DEFAULT);
                let frame = IncomingFrame { kind, role, tracks, timestamp, composition_ms: 0, payload };
                self.frame(now, id, stream_id, frame);
            }
            Event::ClearMetadata { stream_id } => {
                if let Some(attachment) = self.attachment(id, stream_id) {
                    self.hub.clear_metadata(attachment.stream, PublisherId(hub_id(id, stream_id)));
                }
            }
            Event::Pause { stream_id, paused } => self.pause(now, id, stream_id, paused),
            Event::ReceiveAudio { stream_id, wanted } => self.set_wanted(id, stream_id, FrameKind::Audio, wanted),
            Event::ReceiveVideo { stream_id, wanted } => self.set_wanted(id, stream_id, FrameKind::Video, wanted),
            Event::Ended { stream_id } => self.detach(now, id, stream_id, Departure::Clean),
        }
    }

    fn attachment(&self, id: ConnectionId, message_stream: u32) -> Option<Attachment> {
        self.connections.get(id.0)?.attachment(message_stream)
    }

    fn frame(&mut self, now: Instant, id: ConnectionId, message_stream: u32, mut frame: IncomingFrame) {
        let Some(attachment) = self.attachment(id, message_stream) else { return };
        if !self.counts_frame(now, id, message_stream, frame.payload.len()) {
            return;
        }
        frame.payload = self.memory.ledger.hold(Purpose::Frame, frame.payload);
        self.hand_out(now, attachment.stream, PublisherId(hub_id(id, message_stream)), frame);
    }

    /// A frame of a publisher, which need not be a connection, goes to all who watch.
    fn hand_out(&mut self, now: Instant, stream: StreamId, publisher: PublisherId, frame: IncomingFrame) {
        self.latest_burst.forget(stream);
        let is_due = self.stats.message(now, stream, &frame);
        let queue = self.queue_limits(stream);
        let (hub, mut sink) = self.hub_and_sink(now);
        sink.begin_frame(stream, queue);
        hub.frame(now, stream, publisher, frame, &mut sink);
        sink.live.end_frame();
        let dropped = sink.dropped;
        if dropped > 0 {
            self.stats.dropped(stream, dropped);
        }
        if is_due {
            self.stats.check(now, stream, self.hub.anomalies(stream));
        }
        self.drain_outputs(now);
    }

    fn publish(&mut self, now: Instant, id: ConnectionId, message_stream: u32, path: &StreamPath) {
        if self.admits_publisher(now, id, message_stream, path) && !self.asks_to_publish(now, id, message_stream, path)
        {
            self.start_publishing(now, id, message_stream, path);
        }
    }

    fn start_publishing(&mut self, now: Instant, id: ConnectionId, message_stream: u32, path: &StreamPath) {
        let app = Arc::clone(self.apps.of(&path.app));
        let identity = access_room::identity(&app, &path.query);
        let name = hub_name(path);
        let publisher = PublisherId(hub_id(id, message_stream));
        self.test_stream_gives_way(now, &name);
        let (hub, mut sink) = self.hub_and_sink(now);
        let granted = hub.publish(now, &name, publisher, &identity, &app, &mut sink);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let peer = connection.peer;
        match granted {
            Ok(grant) => {
                connection.attach(Attachment { message_stream, stream: grant.stream, role: Role::Publisher });
                if let Some(session) = connection.rtmp() {
                    session.accept_publish(message_stream);
                }
                self.stats.publisher_began(now, grant.stream, &name);
                self.note_start(now, id, message_stream, path, Role::Publisher);
                let how = if grant.resumed { "publishes again" } else { "publishes" };
                info!("{peer}: {how} {name}");
                if let Some(evicted) = grant.evicted {
                    self.evict(now, evicted);
                }
                self.begin_outputs(now, path);
                self.begin_waiting(now, &name);
            }
            Err(error) => self.refuse_publisher(now, id, message_stream, &name, &error),
        }
    }

    fn refuse_publisher(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        name: &str,
        error: &PublishError,
    ) {
        if let Some(connection) = self.connections.get(id.0) {
            warn!("{}: may not publish {name}: {error}", connection.peer);
        }
        self.reject(id, message_stream, code::PUBLISH_BAD_NAME, &error.to_string());
        self.close(now, id, CloseReason::Refused(error.to_string()));
    }

    /// A publisher that lost its stream to a new one has to go.
    fn evict(&mut self, now: Instant, publisher: PublisherId) {
        let (id, message_stream) = from_hub_id(publisher.0);
        if let Some(attachment) = self.attachment(id, message_stream) {
            self.note_past(id, attachment);
        }
        self.note_end(now, id, message_stream);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.detach(message_stream);
        let reason = CloseReason::TakenOver;
        self.reject(id, message_stream, code::PUBLISH_BAD_NAME, &reason.to_string());
        self.close(now, id, reason);
    }

    /// Tells an RTMP client why it may not do what it asked for.
    fn reject(&mut self, id: ConnectionId, message_stream: u32, code: &str, reason: &str) {
        if let Some(session) = self.connections.get_mut(id.0).and_then(Connection::rtmp) {
            session.reject(message_stream, code, reason);
        }
    }

    fn play(&mut self, now: Instant, id: ConnectionId, message_stream: u32, path: &StreamPath) {
        if self.admits_player(now, id, message_stream, path) && !self.asks_to_play(now, id, message_stream, path) {
            self.start_playing(now, id, message_stream, path);
        }
    }

    fn start_playing(&mut self, now: Instant, id: ConnectionId, message_stream: u32, path: &StreamPath) {
        let app = Arc::clone(self.apps.of(&path.app));
        let usual = self.connections.get(id.0).and_then(|connection| connection.usual_mode);
        let mode = join_mode(path, app.join, usual);
        let name = hub_name(path);
        let subscriber = SubscriberId(hub_id(id, message_stream));
        let subscribed = self
            .room_for_player(&name, &app)
            .and_then(|()| self.hub.subscribe(&name, subscriber, &app).ok_or_else(|| "too many streams".to_owned()));
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let stream = match subscribed {
            Ok(stream) => stream,
            Err(reason) => {
                warn!("{}: may not play {name}: {reason}", connection.peer);
                self.reject(id, message_stream, code::PLAY_FAILED, &reason);
                return self.close(now, id, CloseReason::Refused(reason));
            }
        };
        let attachment = Attachment { message_stream, stream, role: Role::Subscriber { mode } };
        connection.attach(attachment);
        let peer = connection.peer;
        if let Some(session) = connection.rtmp() {
            session.accept_play(message_stream);
        }
        self.stats.player_began(stream, &name, PlayedAs::Rtmp);
        self.note_start(now, id, message_stream, path, attachment.role);
        let waits = if self.hub.is_published(&name) { "plays" } else { "waits for" };
        info!("{peer}: {waits} {name}");
        self.take_answers(now, id);
        self.join(now, id, attachment, mode);
    }

    /// Sends a subscriber what it needs to begin with.
    fn join(&mut self, now: Instant, id: ConnectionId, attachment: Attachment, mode: JoinMode) {
        let Attachment { message_stream, stream, .. } = attachment;
        let burst = self.latest_burst.get(&self.hub, stream, mode, self.config.chunk_size, message_stream);
        self.send_burst(now, id, attachment, &burst);
    }

    fn send_burst(&mut self, now: Instant, id: ConnectionId, attachment: Attachment, burst: &WireBurst) {
        let now_ms = self.now_ms(now);
        let limits = self.queue_limits(attachment.stream);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.closing.is_some() {
            return;
        }
        // Where the past would not fit, the player begins with the next key frame: it gets headers only.
        let fits = connection.queue.weight() + burst.bytes <= limits.bytes;
        connection.push_burst(now, now_ms, lane(attachment.message_stream), burst, fits);
        connection.count_queue(&mut self.memory);
        if !connection.queue.is_empty() {
            self.dirty.mark(id, connection);
        }
        if burst.has_picture && fits {
            self.hub.open(attachment.stream, SubscriberId(hub_id(id, attachment.message_stream)));
        }
    }

    fn pause(&mut self, now: Instant, id: ConnectionId, message_stream: u32, paused: bool) {
        let Some(attachment) = self.attachment(id, message_stream) else { return };
        let Role::Subscriber { mode } = attachment.role else { return };
        let subscriber = SubscriberId(hub_id(id, message_stream));
        if paused {
            self.hub.set_paused(attachment.stream, subscriber);
        } else if let Some(burst) = self.hub.resume(attachment.stream, subscriber, mode) {
            self.take_answers(now, id);
            let ledger = &self.memory.ledger;
            let burst = WireBurst::encode(&burst, mode, self.config.chunk_size, message_stream, ledger);
            self.send_burst(now, id, attachment, &burst);
        }
    }

    fn set_wanted(&mut self, id: ConnectionId, message_stream: u32, kind: FrameKind, wanted: bool) {
        if let Some(attachment) = self.attachment(id, message_stream) {
            self.hub.set_wanted(attachment.stream, SubscriberId(hub_id(id, message_stream)), kind, wanted);
        }
    }

    fn detach(&mut self, now: Instant, id: ConnectionId, message_stream: u32, departure: Departure) {
        let Some(attachment) = self.connections.get_mut(id.0).and_then(|connection| connection.detach(message_stream))
        else {
            return;
        };
        let number = hub_id(id, message_stream);
        self.note_past(id, attachment);
        self.note_end(now, id, message_stream);
        match attachment.role {
            Role::Publisher => {
                self.latest_burst.forget(attachment.stream);
                self.usage.forget_publisher(id, message_stream);
                let (hub, mut sink) = self.hub_and_sink(now);
                let name = hub.name(attachment.stream).to_owned();
                hub.unpublish(now, attachment.stream, PublisherId(number), departure, &mut sink);
                self.outputs.publisher_ended(now, &name);
                self.drain_outputs(now);
            }
            Role::Subscriber { .. } => {
                self.hub.unsubscribe(attachment.stream, SubscriberId(number));
                let played_as = self.leave_http(id, attachment.stream).map_or(PlayedAs::Rtmp, PlayedAs::Http);
                self.stats.player_ended(attachment.stream, played_as);
                if let Some(connection) = self.connections.get_mut(id.0) {
                    // It wants them no more; a peer that plays again and again gets no heap of them.
                    connection.queue.drop_waiting(Some(lane(message_stream)));
                }
            }
        }
        self.forget_if_gone(attachment.stream);
    }

    /// What is counted of a stream goes with it.
    pub(super) fn forget_if_gone(&mut self, stream: StreamId) {
        if self.hub.name(stream).is_empty() {
            self.stats.forget_stream(stream);
        }
    }

    /// Keeps what a connection was for the list of sessions.
    fn note_past(&mut self, id: ConnectionId, attachment: Attachment) {
        let role = attachment.role.name();
        let stream = self.hub.name(attachment.stream);
        if let Some(connection) = self.connections.get_mut(id.0) {
            let protocol = connection.protocol_name();
            let is_known = connection.past.as_ref().is_some_and(|past| past.role == role && past.stream == stream);
            if !is_known {
                connection.past = Some(Box::new(Past { protocol, role, stream: stream.to_owned() }));
            }
        }
    }

    fn detach_all(&mut self, now: Instant, id: ConnectionId, departure: Departure) {
        self.cancel_question(now, id);
        self.forget_hls_wait(id);
        while let Some(attachment) =
            self.connections.get(id.0).and_then(|connection| connection.attachments.first().copied())
        {
            self.detach(now, id, attachment.message_stream, departure);
        }
    }

    /// Ends a connection: it leaves the hub at once, what waits for it is still sent.
    pub(super) fn close(&mut self, now: Instant, id: ConnectionId, reason: CloseReason) {
        let departure = match reason {
            CloseReason::ShuttingDown | CloseReason::Operator => Departure::Clean,
            _ => Departure::Lost,
        };
        self.detach_all(now, id, departure);
        let now_ms = self.now_ms(now);
        let linger = Duration::from_millis(self.config.queue.linger_ms);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.closing.is_some() {
            return;
        }
        // What was dropped here would only delay the last words.
        connection.queue.drop_waiting(None);
        connection.take_answers(now, now_ms, &self.memory.ledger);
        // Nothing more is read.
        if let Some(session) = connection.rtmp() {
            session.forget_unfinished();
        }
        connection.count_session(&mut self.memory);
        let until = if connection.queue.is_empty() { now } else { now + linger };
        connection.closing = Some(Box::new(Closing { reason, until, finished: false }));
        if connection.queue.is_empty() {
            self.remove(now, id);
            return;
        }
        self.dirty.mark(id, connection);
        self.schedule(id);
    }

    /// Ends a connection to which all was sent: its peer may still have to read it, so its side is closed first.
    pub(super) fn close_politely(&mut self, now: Instant, id: ConnectionId, reason: CloseReason) {
        self.detach_all(now, id, Departure::Lost);
        let until = now + Duration::from_millis(self.config.queue.linger_ms);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        if connection.closing.is_none() {
            connection.closing = Some(Box::new(Closing { reason, until, finished: false }));
            self.finish(id);
            self.schedule(id);
        }
    }

    /// The last words are out.
    fn finish(&mut self, id: ConnectionId) {
        let closing = self.connections.get_mut(id.0).and_then(|connection| connection.closing.as_mut());
        if let Some(closing) = closing
            && !std::mem::replace(&mut closing.finished, true)
        {
            self.effects.push_back(Effect::ShutdownWrite(id));
        }
    }

    fn remove(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.try_remove(id.0)
            && let Some(closing) = &connection.closing
        {
            self.forget_client(id);
            self.memory.forget(connection.counted);
            self.usage.disconnect(now, connection.peer.ip());
            log_close(now, &connection, &closing.reason);
            let unix_ms = self.unix_ms(now);
            self.stats.closed(now, unix_ms, &connection, &closing.reason, self.config.api.sessions);
            self.effects.push_back(Effect::Close(id, closing.reason.clone()));
        }
    }
}

/// The name under which publishers and players meet. The virtual host is left out: a publisher on the same machine says
/// `localhost` where players elsewhere say an address.
fn hub_name(path: &StreamPath) -> String {
    format!("{}/{}", path.app, path.stream)
}

/// What an `onMetaData` says of rates.
fn declared(metadata: &[u8]) -> Declared {
    let values = amf0::read_values(metadata);
    let number = |name| {
        let number = values.get(1)?.member(name)?.as_number();
        number.filter(|number| number.is_finite() && *number > 0.0)
    };
    let bits = |name| number(name).map(|kbps: f64| (kbps * 1000.0) as u64);
    Declared { frame_rate: number("framerate"), video_bps: bits("videodatarate"), audio_bps: bits("audiodatarate") }
}

fn incoming(kind: FrameKind, info: &tag::TagInfo, timestamp: u32, payload: Bytes) -> IncomingFrame {
    IncomingFrame {
        kind,
        role: info.role,
        tracks: info.tracks,
        timestamp,
        composition_ms: info.composition_ms,
        payload,
    }
}

fn log_close(now: Instant, connection: &Connection, reason: &CloseReason) {
    let seconds = now.saturating_duration_since(connection.opened_at).as_secs_f64();
    let Connection { peer, bytes_in, bytes_out, dropped, .. } = connection;
    info!("{peer}: {reason} (after {seconds:.1} s, {bytes_in} bytes in, {bytes_out} out, {dropped} messages dropped)");
}
