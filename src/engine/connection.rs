//! One connection without its socket.
//!
//! Owns: session, send queue, and what the connection is in the hub. Does not know other connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::burst::{Piece, WireBurst};
use super::close::CloseReason;
use super::http::HttpPeer;
use super::memory::Counted;
use super::queue::{Class, SendQueue};
use super::stats::Past;
use crate::config::{EngineConfig, JoinMode, QueueLimits};
use crate::hub::StreamId;
use crate::ledger::{Ledger, Purpose};
use crate::rtmp::server::ServerSession;

/// What a message stream of a connection is in the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publisher,
    Subscriber { mode: JoinMode },
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Role::Publisher => "publisher",
            Role::Subscriber { .. } => "player",
        }
    }
}

/// A message stream that publishes or plays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attachment {
    /// Message stream id.
    pub(super) message_stream: u32,
    pub(super) stream: StreamId,
    pub(super) role: Role,
}

/// The session of a connection, by what is spoken on it.
#[derive(Debug)]
pub(super) enum Session {
    Rtmp(Box<ServerSession>),
    Http(Box<HttpPeer>),
}

impl Session {
    fn poll_output(&mut self) -> Option<Bytes> {
        match self {
            Session::Rtmp(session) => session.poll_output(),
            Session::Http(peer) => peer.session.poll_output(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Session::Rtmp(session) => session.poll_timeout(),
            Session::Http(peer) => peer.poll_timeout(),
        }
    }
}

/// A connection that says goodbye: nothing more is read, what waits is still sent.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) reason: CloseReason,
    pub(super) until: Instant,
    /// All was sent and the peer was told so; now it has to close its side.
    pub(super) finished: bool,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) queue: SendQueue,
    /// Stands in the list of connections that have something to send.
    pub(super) dirty: bool,
    /// Stands there only for live frames, which may wait for others.
    pub(super) held: bool,
    /// The kernel took less than it was given: wait for it to become writable.
    pub(super) blocked: bool,
    /// How this kind of client joins where nobody says otherwise.
    pub(super) usual_mode: Option<JoinMode>,
    /// When the queue last moved, or began to fill.
    pub(super) progress_at: Instant,
    pub(super) session: Session,
    pub(super) attachments: Vec<Attachment>,
    pub(super) closing: Option<Box<Closing>>,
    /// The earliest entry in the engine's deadlines.
    pub(super) wakes_at: Option<Instant>,
    pub(super) peer: SocketAddr,
    pub(super) opened_at: Instant,
    /// A number that no other connection has.
    pub(super) serial: u64,
    /// What it was in the hub last.
    pub(super) past: Option<Box<Past>>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Messages dropped because the peer was too slow.
    pub(super) dropped: u64,
    /// What memory it was last counted with.
    pub(super) counted: Counted,
}

impl Connection {
    pub(super) fn new(now: Instant, peer: SocketAddr, serial: u64, session: Session) -> Self {
        Connection {
            queue: SendQueue::default(),
            dirty: false,
            held: false,
            blocked: false,
            usual_mode: None,
            progress_at: now,
            session,
            attachments: Vec::new(),
            closing: None,
            wakes_at: None,
            peer,
            opened_at: now,
            serial,
            past: None,
            bytes_in: 0,
            bytes_out: 0,
            dropped: 0,
            counted: Counted::default(),
        }
    }

    /// What it speaks, or plays over HTTP, in one word.
    pub(super) fn protocol_name(&self) -> &'static str {
        match &self.session {
            Session::Rtmp(_) => "rtmp",
            Session::Http(peer) => peer.protocol_name(),
        }
    }

    /// The RTMP session; `None` where something else is spoken.
    pub(super) fn rtmp(&mut self) -> Option<&mut ServerSession> {
        match &mut self.session {
            Session::Rtmp(session) => Some(session),
            Session::Http(_) => None,
        }
    }

    /// The HTTP side; `None` where something else is spoken.
    pub(super) fn http(&mut self) -> Option<&mut HttpPeer> {
        match &mut self.session {
            Session::Rtmp(_) => None,
            Session::Http(peer) => Some(peer),
        }
    }

    pub(super) fn attachment(&self, message_stream: u32) -> Option<Attachment> {
        self.attachments.iter().find(|attachment| attachment.message_stream == message_stream).copied()
    }

    pub(super) fn attach(&mut self, attachment: Attachment) {
        // Nearly always there is one: no room for four.
        self.attachments.reserve_exact(1);
        self.attachments.push(attachment);
    }

    pub(super) fn detach(&mut self, message_stream: u32) -> Option<Attachment> {
        let index = self.attachments.iter().position(|attachment| attachment.message_stream == message_stream)?;
        Some(self.attachments.swap_remove(index))
    }

    /// Moves the session's answers into the queue. `true`: there were some.
    pub(super) fn take_answers(&mut self, now: Instant, now_ms: u32, ledger: &Ledger) -> bool {
        let mut any = false;
        while let Some(mut bytes) = self.session.poll_output() {
            // What HTTP answers with is counted where it is made.
            if let Session::Rtmp(_) = self.session {
                bytes = ledger.hold(Purpose::Sending, bytes);
            }
            self.note_push(now);
            self.queue.push(now_ms, Class::Kept, 0, bytes);
            any = true;
        }
        any
    }

    /// Puts a burst into the queue; of one that does not fit, only what is never dropped.
    pub(super) fn push_burst(&mut self, now: Instant, now_ms: u32, lane: u16, burst: &WireBurst, fits: bool) {
        self.note_push(now);
        let before = self.queue.len();
        self.queue.reserve(burst.pieces.len());
        for Piece { bytes, class, begins } in &burst.pieces {
            if fits || *class == Class::Kept {
                self.queue.push_piece(now_ms, *class, lane, bytes.clone(), *begins);
            }
        }
        if fits && burst.picture_bytes > 0 {
            self.queue.set_urgent(before + burst.picture_bytes);
        }
    }

    /// To be called before each push: the time without progress counts from the first waiting byte. Not where the peer
    /// already takes nothing and only the dropping of frames has emptied the queue.
    pub(super) fn note_push(&mut self, now: Instant) {
        if self.queue.is_empty() && !self.blocked {
            self.progress_at = now;
        }
    }

    /// More waits to be sent that is never dropped than may: how much may. A peer that neither publishes nor plays has
    /// nothing to wait for but a few answers.
    pub(super) fn overfull(&self, config: &EngineConfig) -> Option<usize> {
        let limit = match (&self.session, self.attachments.is_empty()) {
            // It is answered one request at a time, and what it is answered with is shared.
            (Session::Http(_), true) => return None,
            (Session::Rtmp(_), true) => config.session.answer_bytes,
            (_, false) => config.queue.hard_bytes,
        };
        (self.queue.kept_weight() > limit).then_some(limit)
    }

    /// When this connection wants to be woken.
    pub(super) fn deadline(&self, limits: &QueueLimits) -> Option<Instant> {
        if let Some(closing) = &self.closing {
            return Some(closing.until);
        }
        let session = self.session.poll_timeout();
        let stall = self.blocked.then(|| self.stall_deadline(limits));
        match (session, stall) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub(super) fn stall_deadline(&self, limits: &QueueLimits) -> Instant {
        self.progress_at + Duration::from_millis(limits.stall_timeout_ms)
    }
}
