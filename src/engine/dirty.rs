//! Which connections have something to send.
//!
//! Owns: the order in which they are written to. Little goes before much: while a key frame or a join goes out to
//! many, another stream's sound does not wait behind it. Of much, a first picture goes before the rest: of hundreds who
//! join at once, each sees something before anybody has all. Does not know what is to be sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slab::Slab;

use super::ConnectionId;
use super::connection::Connection;

/// Connections with no more than this to send go first.
const LITTLE_BYTES: usize = 16 * 1024;
/// One in so many is taken from those with much to send, so that they go on whatever the others do.
const TURN_OF_MUCH: u32 = 8;

/// Connections with something to send, each once.
#[derive(Debug, Default)]
pub(super) struct DirtyList {
    little: VecDeque<ConnectionId>,
    /// Those with much to send of which the front is urgent.
    urgent: VecDeque<ConnectionId>,
    much: VecDeque<ConnectionId>,
    taken: u32,
    /// Those that have only live frames to send, while these are collected.
    held: Vec<ConnectionId>,
    held_until: Option<Instant>,
}

impl DirtyList {
    /// Adds `connection`, unless it stands there already or waits for its socket.
    pub(super) fn mark(&mut self, id: ConnectionId, connection: &mut Connection) {
        let is_due = connection.dirty && !connection.held;
        if is_due || connection.blocked {
            return;
        }
        connection.dirty = true;
        connection.held = false;
        if connection.queue.len() <= LITTLE_BYTES {
            self.little.push_back(id);
        } else if connection.queue.urgent() > 0 {
            self.urgent.push_back(id);
        } else {
            self.much.push_back(id);
        }
    }

    /// Adds `connection`, for which a live frame came, once `window` is over. It begins with the first such frame.
    pub(super) fn hold(&mut self, now: Instant, window: Duration, id: ConnectionId, connection: &mut Connection) {
        if connection.dirty || connection.blocked {
            return;
        }
        connection.dirty = true;
        connection.held = true;
        self.held.push(id);
        self.held_until.get_or_insert(now + window);
    }

    /// When [`DirtyList::release`] has something to do.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }

    /// Whose window is over is written to.
    pub(super) fn release(&mut self, now: Instant, connections: &mut Slab<Connection>) {
        if self.held_until.is_none_or(|until| until > now) {
            return;
        }
        self.held_until = None;
        let mut held = std::mem::take(&mut self.held);
        for id in held.drain(..) {
            // Not one that was written to meanwhile, because something came for it that does not wait.
            if let Some(connection) = connections.get_mut(id.0).filter(|connection| connection.held) {
                self.mark(id, connection);
            }
        }
        self.held = held;
    }

    /// Takes the next one. Its connection may be gone, and another one may have its id and its own place here.
    pub(super) fn take(&mut self) -> Option<ConnectionId> {
        self.taken = self.taken.wrapping_add(1);
        let turn_of_much = if self.taken.is_multiple_of(TURN_OF_MUCH) { self.much.pop_front() } else { None };
        turn_of_much
            .or_else(|| self.little.pop_front())
            .or_else(|| self.urgent.pop_front())
            .or_else(|| self.much.pop_front())
    }
}
