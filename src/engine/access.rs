//! Who may do what, put to connections, and a configuration that changes.
//!
//! Owns: when a peer is asked about, what it is told, what is counted for its address, and what a new configuration
//! changes. Does not know how a rule is decided: that is the room `access`.
//!
//! A peer is asked about before it is told that it may begin. Whoever has begun goes on, also when its signed URL
//! expires or a new configuration would refuse it; only the files of HLS are asked for one by one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use log::{info, warn};

use super::apps::Apps;
use super::connection::Role;
use super::memory::{NO_PLAYERS_ABOVE, NO_PUBLISHERS_ABOVE, OUT_OF_MEMORY};
use super::{CloseReason, ConnectionId, Engine, hub_name};
use crate::access::limits::{AddressLimits, BandwidthLimit};
use crate::access::{self, Action, REFUSAL};
use crate::config::{AccessLimits, EngineConfig};
use crate::http::Response;
use crate::rtmp::path::StreamPath;
use crate::rtmp::server::{SessionConfig, code};

/// What is counted for addresses and publishers.
#[derive(Debug)]
pub(super) struct Usage {
    addresses: AddressLimits,
    /// Of each message stream that publishes, where there is a limit: that, and what is counted.
    bandwidths: HashMap<(ConnectionId, u32), (u64, BandwidthLimit)>,
}

impl Usage {
    pub(super) fn new(limits: AccessLimits) -> Self {
        Usage { addresses: AddressLimits::new(limits), bandwidths: HashMap::new() }
    }

    /// Counts a connection of `peer`, until [`Usage::disconnect`].
    pub(super) fn connect(&mut self, now: Instant, peer: IpAddr) -> Result<(), CloseReason> {
        Ok(self.addresses.connect(now, peer)?)
    }

    pub(super) fn disconnect(&mut self, now: Instant, peer: IpAddr) {
        self.addresses.disconnect(now, peer);
    }

    /// This message stream publishes no more.
    pub(super) fn forget_publisher(&mut self, id: ConnectionId, message_stream: u32) {
        self.bandwidths.remove(&(id, message_stream));
    }

    /// Counts what a message stream publishes. `false`: it is more than `limit` bytes per second.
    fn add_published(&mut self, now: Instant, publisher: (ConnectionId, u32), limit: u64, bytes: usize) -> bool {
        let begin = || (limit, BandwidthLimit::new(limit));
        let counted = self.bandwidths.entry(publisher).or_insert_with(begin);
        if counted.0 != limit {
            *counted = begin();
        }
        counted.1.add(now, bytes)
    }
}

impl Engine {
    /// Whether `id` may play `path`; `is_attempt`: it counts as one. The log is told why not.
    ///
    /// # Errors
    /// [`CloseReason::Denied`], or [`CloseReason::OverLimit`].
    fn may_play(
        &mut self,
        now: Instant,
        id: ConnectionId,
        path: &StreamPath,
        is_attempt: bool,
    ) -> Result<(), CloseReason> {
        let peer = self.connections.get(id.0).map(|connection| connection.peer.ip()).filter(|_| is_attempt);
        let counted = peer.map_or(Ok(()), |peer| self.usage.addresses.play(now, peer)).map_err(CloseReason::from);
        let decided = counted.and_then(|()| self.decide(now, id, Action::Play, path));
        self.tell_refusal(id, Action::Play, path, &decided);
        decided
    }

    /// Counts an attempt to publish, and says whether it may go on. The log is told why not.
    fn may_publish(&mut self, now: Instant, id: ConnectionId, path: &StreamPath) -> Result<(), CloseReason> {
        let Some(peer) = self.connections.get(id.0).map(|connection| connection.peer.ip()) else { return Ok(()) };
        let counted = self.usage.addresses.publish(now, peer).map_err(CloseReason::from);
        let decided = counted.and_then(|()| self.decide(now, id, Action::Publish, path));
        self.tell_refusal(id, Action::Publish, path, &decided);
        decided
    }

    fn decide(&self, now: Instant, id: ConnectionId, action: Action, path: &StreamPath) -> Result<(), CloseReason> {
        let Some(connection) = self.connections.get(id.0) else { return Ok(()) };
        let app = self.apps.of(&path.app);
        let (peer, name) = (connection.peer.ip(), hub_name(path));
        Ok(access::decide(app, action, peer, &name, &path.query, self.unix_s(now))?)
    }

    /// Seconds since 1970. As long as nobody has told the time, every signature has expired.
    fn unix_s(&self, now: Instant) -> u64 {
        match self.wall_clock {
            (_, 0) => u64::MAX,
            _ => self.unix_ms(now) / 1_000,
        }
    }

    fn tell_refusal(&self, id: ConnectionId, action: Action, path: &StreamPath, decided: &Result<(), CloseReason>) {
        if let (Err(reason), Some(connection)) = (decided, self.connections.get(id.0)) {
            warn!("{}: may not {} {}: {reason}", connection.peer, action.name(), hub_name(path));
        }
    }

    /// Nobody may who came before the server was told to end.
    pub(super) fn may_begin(&self) -> Result<(), CloseReason> {
        if self.lets_begin() { Ok(()) } else { Err(CloseReason::ShuttingDown) }
    }

    /// Whether an RTMP client may publish. One that may not is told so and closed.
    pub(super) fn admits_publisher(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        path: &StreamPath,
    ) -> bool {
        let may_begin = self.may_begin().and_then(|()| self.has_memory(NO_PUBLISHERS_ABOVE));
        let decided = may_begin.and_then(|()| self.may_publish(now, id, path));
        self.admits(now, id, message_stream, code::PUBLISH_DENIED, decided)
    }

    /// Whether an RTMP client may play. One that may not is told so and closed.
    pub(super) fn admits_player(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        path: &StreamPath,
    ) -> bool {
        let may_begin = self.may_begin().and_then(|()| self.has_memory(NO_PLAYERS_ABOVE));
        let decided = may_begin.and_then(|()| self.may_play(now, id, path, true));
        self.admits(now, id, message_stream, code::PLAY_FAILED, decided)
    }

    fn admits(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        code: &str,
        decided: Result<(), CloseReason>,
    ) -> bool {
        let Err(reason) = decided else { return true };
        let told = if matches!(reason, CloseReason::OutOfMemory(_)) { OUT_OF_MEMORY } else { REFUSAL };
        self.reject(id, message_stream, code, told);
        self.close(now, id, reason);
        false
    }

    /// Whether an HTTP client may play; `is_attempt`: it counts as one. One that may not is answered.
    pub(super) fn admits_viewer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        path: &StreamPath,
        is_attempt: bool,
    ) -> bool {
        let refusal = match self.may_play(now, id, path, is_attempt) {
            Ok(()) => return true,
            Err(CloseReason::OverLimit(_)) => Response::text(429, "too often").with_header("Retry-After", "1"),
            Err(_) => Response::text(403, REFUSAL),
        };
        self.respond(now, id, refusal.with_cors());
        false
    }

    /// Counts what a publisher sent. `false`: it is more than one may, and it is being closed.
    pub(super) fn counts_frame(&mut self, now: Instant, id: ConnectionId, message_stream: u32, bytes: usize) -> bool {
        let Some(attachment) = self.attachment(id, message_stream) else { return true };
        let limit = self.hub.app(attachment.stream).map_or(0, |app| app.stream_bytes_per_second);
        if limit == 0 || attachment.role != Role::Publisher {
            return true;
        }
        if self.usage.add_published(now, (id, message_stream), limit, bytes) {
            return true;
        }
        let reason = CloseReason::TooMuchData(limit);
        self.reject(id, message_stream, code::PUBLISH_DENIED, &format!("more than {limit} bytes per second"));
        self.close(now, id, reason);
        false
    }

    /// From now on `config` holds: for all who begin, and for what is looked up again and again. Nobody is closed.
    /// Gives the keys that stay as they are until the program is started again.
    pub fn reload(&mut self, mut config: EngineConfig) -> Vec<&'static str> {
        let mut fixed = Vec::new();
        // Those who are connected were told the old size.
        if config.chunk_size != self.config.chunk_size {
            config.chunk_size = self.config.chunk_size;
            fixed.push("server.chunk_size");
        }
        let session_config = SessionConfig { chunk_size: config.chunk_size, limits: config.session.clone() };
        self.session_config = Arc::new(session_config);
        self.http_limits = Arc::new(config.http.clone());
        let apps = Apps::new(&config);
        let later = apps.changed_for_later(&self.apps);
        if !later.is_empty() {
            info!("{} hold for streams that begin from now on", later.join(", "));
        }
        self.apps = apps;
        self.hub.set_limits(config.streams, |name| Arc::clone(self.apps.of_stream(name)));
        self.usage.addresses.set_limits(config.access);
        let asks = config.callbacks.on_connect.is_set();
        for (_, connection) in &mut self.connections {
            if let Some(session) = connection.rtmp() {
                session.ask_before_connect(asks);
            }
        }
        self.config = Arc::new(config);
        fixed
    }
}
