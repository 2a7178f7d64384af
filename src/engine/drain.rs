//! Coming to an end while others go on.
//!
//! Owns: who may still begin, who is asked to reconnect, who has nothing left to wait for, and when it is over. Does
//! not know signals and listeners, nor what comes after it.

use std::time::{Duration, Instant};

use log::info;

use super::connection::{Attachment, Connection, Role, Session};
use super::{CloseReason, ConnectionId, Engine};

/// How often those are looked for who have nothing left to wait for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What clients are told.
const RECONNECT: &str = "the server is being replaced";
const STREAM_IS_OVER: &str = "the stream is over here, and the server is about to end";

/// A server that takes nobody new.
#[derive(Debug)]
pub(super) struct Draining {
    /// Whoever is left then has to go.
    until: Option<Instant>,
    is_over: bool,
    /// Another process takes those who come, so nobody has to be refused here.
    is_handed_over: bool,
    looks_at: Instant,
}

impl Engine {
    /// Nobody new may publish or play over RTMP or watch a stream without end; those who do go on for `limit`, or for
    /// as long as they like. Clients that announced that they know how are asked to reconnect. Once it drains, only
    /// the limit changes.
    pub fn drain(&mut self, now: Instant, limit: Option<Duration>) {
        self.begin_drain(now, limit, false);
    }

    /// The same, with the limit of the configuration (`server.drain_ms`).
    pub fn drain_to_the_limit(&mut self, now: Instant) {
        self.begin_drain(now, Some(Duration::from_millis(self.config.drain.drain_ms)), false);
    }

    /// Another process has the listeners from now on. Nobody who is connected is refused anything, but they are asked
    /// to reconnect, and have until `server.upgrade_drain_ms` is over.
    pub fn hand_over(&mut self, now: Instant) {
        self.begin_drain(now, Some(Duration::from_millis(self.config.drain.upgrade_drain_ms)), true);
    }

    fn begin_drain(&mut self, now: Instant, limit: Option<Duration>, is_handed_over: bool) {
        let until = limit.and_then(|limit| now.checked_add(limit));
        if let Some(draining) = &mut self.draining {
            draining.until = until;
            return;
        }
        self.draining = Some(Draining { until, is_over: false, is_handed_over, looks_at: now + LOOK_INTERVAL });
        let ids: Vec<ConnectionId> = self.connections.iter().map(|(key, _)| ConnectionId(key)).collect();
        let asked = ids.iter().filter(|id| self.ask_to_reconnect(now, **id)).count();
        info!("nobody new is taken; {} are connected, {asked} of them were asked to reconnect", ids.len());
    }

    /// Whether the server takes nobody new.
    pub fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether the next request over HTTP is better sent to the process that has the listeners by now. Who follows a
    /// stream of this one over HLS would not find it there.
    pub(super) fn sends_on(&self, id: ConnectionId) -> bool {
        let is_handed_over = self.draining.as_ref().is_some_and(|draining| draining.is_handed_over);
        is_handed_over
            && match self.connections.get(id.0).map(|connection| &connection.session) {
                Some(Session::Http(peer)) => !peer.hls.as_ref().is_some_and(|seat| self.has_hls(&seat.name)),
                _ => false,
            }
    }

    /// Whether who is connected may still begin to publish or play.
    pub(super) fn lets_begin(&self) -> bool {
        self.draining.as_ref().is_none_or(|draining| draining.is_handed_over)
    }

    /// Whether the server was told to drain, and nobody publishes or plays any more, or the limit is reached.
    pub fn is_drained(&self, now: Instant) -> bool {
        let Some(draining) = &self.draining else { return false };
        let is_over = draining.is_over || draining.until.is_some_and(|until| until <= now);
        is_over || !self.connections.iter().any(|(_, connection)| self.holds_up(now, draining, connection))
    }

    /// One who came just before the listeners were handed over is given the time that everybody has to begin.
    fn holds_up(&self, now: Instant, draining: &Draining, connection: &Connection) -> bool {
        let setup = Duration::from_millis(self.config.session.setup_timeout_ms);
        let is_young = now.saturating_duration_since(connection.opened_at) < setup;
        !connection.attachments.is_empty() || (draining.is_handed_over && is_young && connection.closing.is_none())
    }

    /// When [`Engine::look_at_drain`] wants to be called.
    pub(super) fn drain_deadline(&self) -> Option<Instant> {
        let draining = self.draining.as_ref().filter(|draining| !draining.is_over && !self.shutting_down)?;
        // Nobody is left to be looked at, or to have a limit.
        let has_somebody = !self.connections.is_empty();
        has_somebody.then(|| draining.until.map_or(draining.looks_at, |until| until.min(draining.looks_at)))
    }

    /// Ends those who wait for streams that nobody can publish here any more: they may find them elsewhere.
    pub(super) fn look_at_drain(&mut self, now: Instant) {
        let Some(draining) = self.draining.as_mut() else { return };
        if draining.until.is_some_and(|until| until <= now) {
            draining.is_over = true;
        }
        if draining.looks_at > now {
            return;
        }
        draining.looks_at = now + LOOK_INTERVAL;
        let waits = |attachment: &Attachment| {
            attachment.role != Role::Publisher && self.hub.publisher(attachment.stream).is_none()
        };
        let waits_in_vain =
            |connection: &Connection| !connection.attachments.is_empty() && connection.attachments.iter().all(waits);
        let connections = self.connections.iter().filter(|(_, connection)| waits_in_vain(connection));
        let ids: Vec<ConnectionId> = connections.map(|(key, _)| ConnectionId(key)).collect();
        for id in ids {
            self.end_session(now, id, STREAM_IS_OVER);
        }
    }

    /// Ends a session in its proper way.
    pub(super) fn end_session(&mut self, now: Instant, id: ConnectionId, description: &str) {
        if let Some(connection) = self.connections.get_mut(id.0)
            && connection.closing.is_none()
            && let Some(session) = connection.rtmp()
        {
            session.shut_down(description);
        }
        self.close(now, id, CloseReason::ShuttingDown);
    }

    /// Asks an RTMP client to reconnect, where it announced that it knows how and the server drains. `true`: it was
    /// asked.
    pub(super) fn ask_to_reconnect(&mut self, now: Instant, id: ConnectionId) -> bool {
        let url = &self.config.drain.reconnect_url;
        let is_asked = self.draining.is_some()
            && self.connections.get_mut(id.0).is_some_and(|connection| {
                connection.closing.is_none()
                    && connection.rtmp().is_some_and(|session| session.request_reconnect(url, RECONNECT))
            });
        if is_asked {
            self.take_answers(now, id);
        }
        is_asked
    }
}
