//! The only room with sockets, a clock and signals: one `mio` poll that drives an [`Engine`].
//!
//! Owns: listeners, sockets, readiness, how much one connection may read or write in a turn. Does not know what a
//! message means.
//!
//! A turn: wait for events; read from those that are readable and give it to the engine; let the engine do what is
//! due; write what it has queued, each connection once; do the effects it asks for. Polling is edge-triggered: a
//! socket that was left before "would block" is remembered in `unread` or in the engine's list, and the next turn does
//! not sleep.

mod sys;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use log::{debug, error, info, warn};
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::config::EngineConfig;
use crate::engine::{CloseReason, ConnectionId, Effect, Engine};

const SIGNALS: Token = Token(usize::MAX);
const LISTENER: Token = Token(usize::MAX - 1);

/// Events taken from the kernel in one turn. Few, so that the first of hundreds who join is answered before all others
/// were read; what a turn may write is enough for the first pictures of so many.
const EVENTS_PER_TURN: usize = 16;
/// The one buffer into which every socket is read.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Bytes that one connection may read in a turn.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
/// Bytes that one connection may write in a turn.
const WRITE_BYTES_PER_TURN: usize = 128 * 1024;
/// Bytes that all connections may write before the loop looks for new input again.
const TURN_WRITE_BYTES: usize = 2 * 1024 * 1024;
/// Slices given to the kernel in one call.
const SLICES_PER_WRITE: usize = 64;
/// Connections accepted in a turn: those who were accepted before go on in between.
const ACCEPTS_PER_TURN: usize = 16;
/// Wait before accepting again after the descriptors ran out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// A shutdown that sessions do not end by themselves ends after this.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1_500);

/// A server that listens.
#[allow(missing_debug_implementations, reason = "the signal source has none")]
pub struct Server {
    poll: Poll,
    signals: Signals,
    listener: Option<TcpListener>,
    address: SocketAddr,
    engine: Engine,
    /// By connection id.
    sockets: Vec<Option<Socket>>,
    scratch: Box<[u8]>,
    /// Connections that used up their share of a turn and may have more to read, each once.
    unread: VecDeque<ConnectionId>,
    /// More may wait to be accepted.
    accept_at: Option<Instant>,
    /// The descriptors ran out, and since then there were always more peers than descriptors.
    is_short_of_descriptors: bool,
    shutdown_until: Option<Instant>,
}

/// One connection's socket.
struct Socket {
    stream: TcpStream,
    /// Whether its connection stands in the list `unread`.
    is_unread: bool,
}

impl Server {
    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the system said, with the address where that is in the way.
    pub fn bind(address: SocketAddr, config: EngineConfig) -> io::Result<Server> {
        match sys::raise_descriptor_limit() {
            Ok(limit) => debug!("{limit} descriptors at most"),
            Err(error) => warn!("the limit on descriptors stays as it is: {error}"),
        }
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        sys::prepare_listener(listener.as_fd())?;
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        Ok(Server {
            poll,
            signals,
            listener: Some(listener),
            address,
            engine: Engine::new(Instant::now(), config, random_seed()),
            sockets: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            unread: VecDeque::new(),
            accept_at: None,
            is_short_of_descriptors: false,
            shutdown_until: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until a signal (SIGINT, SIGTERM) ends it and the sessions have ended.
    ///
    /// # Errors
    /// Only what polling itself reports; trouble with one connection ends that connection.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut more_to_write = false;
        while !self.is_finished(Instant::now()) {
            let timeout = self.poll_timeout(more_to_write);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let now = Instant::now();
            self.read_on(now);
            for event in &events {
                self.handle_event(now, event);
            }
            if self.accept_at.is_some_and(|at| at <= now) {
                self.accept(now);
            }
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
                self.do_effects();
            }
            more_to_write = self.write(now);
            self.do_effects();
        }
        Ok(())
    }

    fn is_finished(&self, now: Instant) -> bool {
        self.shutdown_until.is_some_and(|until| self.engine.is_empty() || until <= now)
    }

    fn poll_timeout(&self, more_to_write: bool) -> Option<Duration> {
        if more_to_write || !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadlines = [self.engine.poll_timeout(), self.accept_at, self.shutdown_until];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn handle_event(&mut self, now: Instant, event: &Event) {
        match event.token() {
            SIGNALS => self.handle_signals(now),
            LISTENER => self.accept(now),
            Token(key) => {
                let id = ConnectionId(key);
                if event.is_writable() {
                    self.engine.handle_writable(id);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.read_once(now, id, event.is_read_closed() || event.is_error());
                }
            }
        }
    }

    fn handle_signals(&mut self, now: Instant) {
        for signal in self.signals.pending() {
            info!("signal {signal}: ending {} connections", self.engine.connection_count());
            self.listener = None;
            self.accept_at = None;
            self.shutdown_until.get_or_insert(now + SHUTDOWN_LIMIT);
            self.engine.shut_down(now);
        }
        self.do_effects();
    }

    fn accept(&mut self, now: Instant) {
        self.accept_at = None;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else { return };
            match listener.accept() {
                Ok((stream, peer)) => self.add(now, stream, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_short_of_descriptors = false;
                    return;
                }
                Err(error) if sys::is_out_of_descriptors(&error) => {
                    self.accept_later(now, &error);
                    return;
                }
                // The peer gave up while it waited, or a signal came: there may be others behind it.
                Err(error) => debug!("accept: {error}"),
            }
        }
        self.accept_at = Some(now);
    }

    /// Others wait until a connection ends. The log is told once: this may go on for hours.
    fn accept_later(&mut self, now: Instant, error: &io::Error) {
        if !std::mem::replace(&mut self.is_short_of_descriptors, true) {
            let count = self.engine.connection_count();
            warn!("cannot accept more than {count} connections: {error}; others have to wait until one ends");
        }
        self.accept_at = Some(now + ACCEPT_BACKOFF);
    }

    fn add(&mut self, now: Instant, mut stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = sys::prepare_accepted(stream.as_fd()) {
            debug!("{peer}: socket options: {error}");
        }
        let id = match self.engine.accept(now, peer) {
            Ok(id) => id,
            Err(reason) => {
                warn!("{peer}: {reason}");
                return;
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(id.0), interest) {
            error!("{peer}: cannot be polled: {error}");
            self.engine.handle_closed(now, id, CloseReason::Lost(error.to_string()));
            return;
        }
        if self.sockets.len() <= id.0 {
            self.sockets.resize_with(id.0 + 1, || None);
        }
        if let Some(slot) = self.sockets.get_mut(id.0) {
            *slot = Some(Socket { stream, is_unread: false });
        }
    }

    /// Goes on with connections that had more to read than one turn's share.
    fn read_on(&mut self, now: Instant) {
        for _ in 0..self.unread.len() {
            let Some(id) = self.unread.pop_front() else { return };
            if let Some(Some(socket)) = self.sockets.get_mut(id.0) {
                socket.is_unread = false;
            }
            self.read(now, id, true);
        }
    }

    /// Reads, unless the connection has had its share of this turn and is read on in the next one.
    fn read_once(&mut self, now: Instant, id: ConnectionId, to_the_end: bool) {
        if let Some(Some(socket)) = self.sockets.get(id.0)
            && !socket.is_unread
        {
            self.read(now, id, to_the_end);
        }
    }

    /// Reads what is there. A short read means that nothing is left, unless the peer closed (`to_the_end`).
    fn read(&mut self, now: Instant, id: ConnectionId, to_the_end: bool) {
        let mut share = READ_BYTES_PER_TURN;
        loop {
            let Some(Some(socket)) = self.sockets.get_mut(id.0) else { return };
            match socket.stream.read(&mut self.scratch) {
                Ok(0) => return self.lose(now, id, CloseReason::PeerClosed),
                Ok(count) => {
                    let input = self.scratch.get(..count).unwrap_or_default();
                    self.engine.handle_input(now, id, input);
                    // An answer acknowledges as well.
                    if !self.engine.is_settled(id) && self.engine.queued_bytes(id) == 0 {
                        sys::acknowledge_now(socket.stream.as_fd());
                    }
                    self.do_effects();
                    share = share.saturating_sub(count);
                    if count < self.scratch.len() && !to_the_end {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lose(now, id, CloseReason::Lost(error.to_string())),
            }
            if share == 0 {
                return self.read_later(id);
            }
        }
    }

    fn read_later(&mut self, id: ConnectionId) {
        // What was read may have closed it.
        if let Some(Some(socket)) = self.sockets.get_mut(id.0)
            && !std::mem::replace(&mut socket.is_unread, true)
        {
            self.unread.push_back(id);
        }
    }

    /// Writes what the engine queued. `true`: the turn's share ended before it did.
    fn write(&mut self, now: Instant) -> bool {
        let mut share = TURN_WRITE_BYTES;
        while share > 0 {
            let Some(id) = self.engine.poll_transmit() else { return false };
            share = share.saturating_sub(self.write_to(now, id));
        }
        true
    }

    fn write_to(&mut self, now: Instant, id: ConnectionId) -> usize {
        let share = self.engine.share(id, WRITE_BYTES_PER_TURN);
        let mut written = 0;
        loop {
            let Some(Some(Socket { stream, .. })) = self.sockets.get_mut(id.0) else { return written };
            let result = match self.engine.only_piece(id) {
                Some(piece) => stream.write(piece),
                None => {
                    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
                    match self.engine.fill(id, share - written, &mut slices) {
                        0 => return written,
                        filled => stream.write_vectored(slices.get(..filled).unwrap_or_default()),
                    }
                }
            };
            match result {
                Ok(count) => {
                    written += count;
                    if !self.engine.advance(now, id, count) {
                        return written;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.engine.set_blocked(id);
                    return written;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lose(now, id, CloseReason::Lost(error.to_string()));
                    return written;
                }
            }
            if written >= share {
                self.engine.send_later(id);
                return written;
            }
        }
    }

    /// The socket is of no more use.
    fn lose(&mut self, now: Instant, id: ConnectionId, reason: CloseReason) {
        self.engine.handle_closed(now, id, reason);
        self.drop_socket(id);
    }

    fn drop_socket(&mut self, id: ConnectionId) {
        // Closing a descriptor takes it out of the poll; an event of this turn that still names it finds no socket, or
        // another one, for which a stray event is harmless.
        let socket = self.sockets.get_mut(id.0).and_then(Option::take);
        if socket.is_some_and(|socket| socket.is_unread) {
            self.unread.retain(|other| *other != id);
        }
    }

    /// To be called before anything can be accepted: a closed connection's id is free in the engine already.
    fn do_effects(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::ShutdownWrite(id) => {
                    if let Some(Some(socket)) = self.sockets.get(id.0)
                        && let Err(error) = socket.stream.shutdown(Shutdown::Write)
                    {
                        debug!("shutdown: {error}");
                    }
                }
                Effect::Close(id, _) => self.drop_socket(id),
            }
        }
    }
}

/// A number that differs between runs; only filler bytes of handshakes come from it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
