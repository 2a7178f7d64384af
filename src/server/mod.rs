//! The only room with sockets, a clock and signals: one `mio` poll that drives an [`Engine`].
//!
//! Owns: listeners, sockets, readiness, how much one connection may read or write in a turn. Does not know what a
//! message means.
//!
//! A turn: wait for events; read from those that are readable and give it to the engine; let the engine do what is
//! due; write what it has queued, each connection once; do the effects it asks for. Polling is edge-triggered: a
//! socket that was left before "would block" is remembered in `unread` or in the engine's list, and the next turn does
//! not sleep. One that is not to be read is in neither; what its peer sends wakes the loop once.

pub mod activation;
pub mod disk;
mod drain;
mod handover;
mod listener;
mod notify;
mod posts;
mod reload;
mod sys;
mod upgrade;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use log::{debug, error, warn};
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;
use thiserror::Error;

use self::disk::Disk;
use self::handover::Inherited;
use self::listener::Listener;
use self::posts::Posts;
pub use self::reload::Loader;
use self::reload::Reloading;
pub use self::upgrade::Program;
use self::upgrade::Upgrade;
use crate::config::Config;
pub use crate::engine::Protocol;
use crate::engine::{CloseReason, ConnectionId, Effect, Engine};
use crate::output::disk::Command;

const SIGNALS: Token = Token(usize::MAX);

/// Listeners count down from here.
const FIRST_LISTENER: Token = Token(usize::MAX - 1);
/// No connection has a token as high as this.
const FIRST_CONNECTION_PAST: Token = Token(usize::MAX / 2);
/// The disk has done something, or names have been looked up: a poll has one waker.
const DISK: Token = FIRST_CONNECTION_PAST;
/// The process that is to come after this one has something to say.
const SUCCESSOR: Token = Token(FIRST_CONNECTION_PAST.0 + 1);

/// Events taken from the kernel in one turn. Few, so that the first of hundreds who join is answered before all others
/// were read; what a turn may write is enough for the first pictures of so many.
const EVENTS_PER_TURN: usize = 16;
/// The one buffer into which every socket is read.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Bytes that one connection may read in a turn.
const READ_BYTES_PER_TURN: usize = 256 * 1024;
/// How long what one connection sent may keep the others waiting in a turn. Some bytes are much more work than others:
/// chunks of one byte, commands.
const READ_TIME_PER_TURN: Duration = Duration::from_micros(250);
/// A connection that took longer is read in small pieces, behind the others, for so long.
const LABORIOUS_FOR: Duration = Duration::from_millis(100);
/// Bytes of such a piece.
const LABORIOUS_BYTES: usize = 4 * 1024;
/// How long a turn goes on with connections that had their share before.
const READ_ON_TIME_PER_TURN: Duration = Duration::from_micros(500);
/// Bytes that one connection may write in a turn.
const WRITE_BYTES_PER_TURN: usize = 128 * 1024;
/// Bytes that all connections may write before the loop looks for new input again.
const TURN_WRITE_BYTES: usize = 2 * 1024 * 1024;
/// Slices given to the kernel in one call.
const SLICES_PER_WRITE: usize = 64;
/// Connections accepted in a turn: those who were accepted before go on in between.
const ACCEPTS_PER_TURN: usize = 16;
/// A shutdown that sessions do not end by themselves ends after this.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(1_500);
/// How often the program's memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_secs(2);
/// The same while memory is short.
const SHORT_MEMORY_INTERVAL: Duration = Duration::from_millis(10);
/// No more than this share of the time goes into giving memory back that the allocator keeps.
const TRIM_SHARE: u32 = 10;
/// How long the disk may then take for what it was given.
const DISK_LIMIT: Duration = Duration::from_millis(300);

/// A server that listens.
#[allow(missing_debug_implementations, reason = "the signal source has none")]
pub struct Server {
    poll: Poll,
    signals: Signals,
    reloading: Reloading,
    listeners: Vec<Listener>,
    upgrade: Upgrade,
    engine: Engine,
    /// By connection id.
    sockets: Vec<Option<Socket>>,
    scratch: Box<[u8]>,
    /// Connections that used up their share of a turn and may have more to read, each once.
    unread: VecDeque<ConnectionId>,
    /// SIGTERM came.
    is_told_to_end: bool,
    shutdown_until: Option<Instant>,
    /// When the program's memory was looked at last.
    memory_at: Instant,
    /// When the allocator may be told to give memory back.
    trim_at: Instant,
    waker: Arc<Waker>,
    /// Started when there is something to write.
    disk: Option<Disk>,
    /// Sockets to programs that are asked and told.
    posts: Posts,
}

/// Why a server cannot begin.
#[derive(Debug, Error)]
pub enum BindError {
    /// Nothing can be received there.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// For what it was to listen.
        protocol: Protocol,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// Polling or signals do not work.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// One connection's socket.
struct Socket {
    stream: TcpStream,
    /// Whether its connection stands in the list `unread`.
    is_unread: bool,
    /// Up to when it counts as one whose bytes are much work.
    laborious_until: Option<Instant>,
    /// Nothing is to be read now.
    is_held: bool,
    /// The peer closed its side, or the connection is broken. What it sent before may be unread.
    is_ended: bool,
}

impl Socket {
    fn is_laborious(&self, now: Instant) -> bool {
        self.laborious_until.is_some_and(|until| now < until)
    }
}

impl Server {
    /// Listens for RTMP, and for HTTP where the configuration says so; port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(config: Config) -> Result<Server, BindError> {
        match sys::raise_descriptor_limit() {
            Ok(limit) => debug!("{limit} descriptors at most"),
            Err(error) => warn!("the limit on descriptors stays as it is: {error}"),
        }
        sys::survive_file_size_limit();
        let poll = Poll::new()?;
        let Inherited { listeners: mut inherited, predecessor } = handover::inherited()?;
        let mut listeners = Vec::new();
        let wanted = [(Protocol::Rtmp, Some(config.address())), (Protocol::Http, config.http_address())];
        for (protocol, address) in wanted {
            let Some(address) = address else { continue };
            let token = Token(FIRST_LISTENER.0 - listeners.len());
            // What the service manager opened for us is named after its protocol.
            let handed_over = inherited.iter().position(|(name, _)| *name == protocol.to_string());
            let listener = match handed_over.map(|index| inherited.swap_remove(index)) {
                Some((_, socket)) => {
                    if predecessor.is_some() {
                        handover::warn_of_another_address(protocol, address, &socket);
                    }
                    Listener::take(poll.registry(), token, protocol, socket)
                }
                None => Listener::bind(poll.registry(), token, protocol, address),
            };
            listeners.push(listener.map_err(|error| BindError::Listen { protocol, address, error })?);
        }
        for (name, _) in &inherited {
            warn!("a socket was handed over that nobody wants: {name}; the names are rtmp and http");
        }
        let reloading = Reloading::new(&config);
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), DISK)?);
        for directory in config.engine.record_directories().into_iter().filter(|directory| directory.is_dir()) {
            disk::repair_in_background(directory);
        }
        let mut engine = Engine::new(Instant::now(), config.engine, random_seed());
        engine.set_wall_clock(Instant::now(), unix_ms());
        if let Some(bytes) = sys::resident_memory() {
            engine.set_program_bytes(bytes);
            engine.set_memory_bytes(bytes);
        }
        if let Some(listener) = listeners.iter().find(|listener| listener.protocol() == Protocol::Rtmp) {
            engine.set_rtmp_port(listener.address().port());
        }
        Ok(Server {
            poll,
            signals,
            reloading,
            listeners,
            upgrade: Upgrade::after(predecessor),
            engine,
            waker,
            disk: None,
            posts: Posts::default(),
            sockets: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            unread: VecDeque::new(),
            is_told_to_end: false,
            shutdown_until: None,
            memory_at: Instant::now(),
            trim_at: Instant::now(),
        })
    }

    /// Where it listens for what.
    pub fn addresses(&self) -> impl Iterator<Item = (Protocol, SocketAddr)> {
        self.listeners.iter().map(|listener| (listener.protocol(), listener.address()))
    }

    /// Serves until a signal (SIGINT, SIGTERM) or an operator ends it and the sessions have ended.
    ///
    /// # Errors
    /// Only what polling itself reports; trouble with one connection ends that connection.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut more_to_write = false;
        self.announce();
        while !self.is_finished(Instant::now()) {
            let timeout = self.poll_timeout(more_to_write);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let now = Instant::now();
            self.look_at_memory(now);
            for event in &events {
                self.handle_event(now, event);
            }
            self.read_on(now);
            for index in 0..self.listeners.len() {
                if self.listeners.get(index).is_some_and(|listener| listener.is_due(now)) {
                    self.accept(now, index);
                }
            }
            if self.engine.poll_timeout().is_some_and(|at| at <= now) {
                self.engine.handle_timeout(now);
                self.do_effects(now);
            }
            if self.upgrade.deadline().is_some_and(|at| at <= now) {
                self.handle_successor(now);
            }
            self.look_at_drain(now);
            more_to_write = self.write(now);
            self.do_effects(now);
            self.engine.end_turn(now, Instant::now());
        }
        if let Some(disk) = &mut self.disk
            && !disk.shut_down(DISK_LIMIT)
        {
            warn!("the disk is not through; recordings are repaired at the next start");
        }
        Ok(())
    }

    /// Tells the engine from time to time how much memory the program takes.
    fn look_at_memory(&mut self, now: Instant) {
        let interval = if self.engine.is_memory_short() { SHORT_MEMORY_INTERVAL } else { MEMORY_INTERVAL };
        if now.saturating_duration_since(self.memory_at) < interval {
            return;
        }
        self.memory_at = now;
        let Some(bytes) = sys::resident_memory() else { return };
        self.engine.set_memory_bytes(bytes);
        if self.engine.is_memory_kept(bytes) && self.trim_at <= now {
            let began = Instant::now();
            sys::trim_memory();
            self.trim_at = now + began.elapsed() * TRIM_SHARE;
        }
    }

    fn is_finished(&self, now: Instant) -> bool {
        self.shutdown_until.is_some_and(|until| self.engine.is_empty() || until <= now)
    }

    fn poll_timeout(&self, more_to_write: bool) -> Option<Duration> {
        if more_to_write || !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        let accept_at = self.listeners.iter().filter_map(Listener::accept_at).min();
        let deadlines = [self.engine.poll_timeout(), accept_at, self.upgrade.deadline(), self.shutdown_until];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn handle_event(&mut self, now: Instant, event: &Event) {
        match event.token() {
            SIGNALS => self.handle_signals(now),
            DISK => {
                self.handle_outcomes(now);
                self.handle_names(now);
            }
            SUCCESSOR => self.handle_successor(now),
            token if Posts::owns(token) => self.handle_post_event(now, event),
            Token(key) if key > FIRST_CONNECTION_PAST.0 => self.accept(now, FIRST_LISTENER.0 - key),
            Token(key) => {
                let id = ConnectionId(key);
                if event.is_writable() {
                    self.engine.handle_writable(id);
                }
                let is_ended = event.is_read_closed() || event.is_error();
                if is_ended && let Some(Some(socket)) = self.sockets.get_mut(id.0) {
                    socket.is_ended = true;
                }
                if event.is_readable() || is_ended {
                    self.read_once(now, id, is_ended);
                }
            }
        }
    }

    fn accept(&mut self, now: Instant, index: usize) {
        for _ in 0..ACCEPTS_PER_TURN {
            let count = self.engine.connection_count();
            let Some(listener) = self.listeners.get_mut(index) else { return };
            match listener.accept(now, count) {
                Some((stream, peer)) => {
                    let protocol = listener.protocol();
                    self.add(now, protocol, stream, peer);
                }
                None => return,
            }
        }
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.accept_again(now);
        }
    }

    fn add(&mut self, now: Instant, protocol: Protocol, mut stream: TcpStream, peer: SocketAddr) {
        if let Err(error) = sys::prepare_accepted(stream.as_fd()) {
            debug!("{peer}: socket options: {error}");
        }
        // The clock may have been set.
        self.engine.set_wall_clock(now, unix_ms());
        let id = match self.engine.accept(now, protocol, peer) {
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
            *slot = Some(Socket { stream, is_unread: false, laborious_until: None, is_held: false, is_ended: false });
        }
    }

    /// Goes on with connections that had more to read than one turn's share, as far as there is time.
    fn read_on(&mut self, now: Instant) {
        if self.unread.is_empty() {
            return;
        }
        let until = Instant::now() + READ_ON_TIME_PER_TURN;
        for turn in 0..self.unread.len() {
            if turn > 0 && Instant::now() >= until {
                return;
            }
            let Some(id) = self.unread.pop_front() else { return };
            if let Some(Some(socket)) = self.sockets.get_mut(id.0) {
                socket.is_unread = false;
            }
            self.read(now, id, true);
        }
    }

    /// Reads, unless the connection has had its share of this turn and is read on in the next one.
    fn read_once(&mut self, now: Instant, id: ConnectionId, to_the_end: bool) {
        match self.sockets.get(id.0) {
            Some(Some(socket)) if socket.is_laborious(now) => self.read_later(id),
            Some(Some(socket)) if !socket.is_unread => self.read(now, id, to_the_end),
            _ => {}
        }
    }

    /// Reads what is there. A short read means that nothing is left, unless the peer closed (`to_the_end`).
    fn read(&mut self, now: Instant, id: ConnectionId, to_the_end: bool) {
        let mut share = READ_BYTES_PER_TURN;
        let until = Instant::now() + READ_TIME_PER_TURN;
        loop {
            let Some(Some(socket)) = self.sockets.get_mut(id.0) else { return };
            if socket.is_held {
                return self.lose_if_ended(now, id);
            }
            let room = if socket.is_laborious(now) { LABORIOUS_BYTES } else { SCRATCH_BYTES };
            match socket.stream.read(self.scratch.get_mut(..room).unwrap_or_default()) {
                Ok(0) => return self.lose(now, id, CloseReason::PeerClosed),
                Ok(count) => {
                    let input = self.scratch.get(..count).unwrap_or_default();
                    self.engine.handle_input(now, id, input);
                    // An answer acknowledges as well.
                    if !self.engine.is_settled(id) && self.engine.queued_bytes(id) == 0 {
                        sys::acknowledge_now(socket.stream.as_fd());
                    }
                    self.do_effects(now);
                    share = share.saturating_sub(count);
                    let took_long = Instant::now() >= until;
                    if took_long {
                        self.mark_laborious(now, id);
                    }
                    if count < room && !to_the_end {
                        return;
                    }
                    if took_long {
                        return self.read_later(id);
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

    fn mark_laborious(&mut self, now: Instant, id: ConnectionId) {
        if let Some(Some(socket)) = self.sockets.get_mut(id.0) {
            socket.laborious_until = Some(now + LABORIOUS_FOR);
        }
    }

    /// A connection that is not to be read ends where its peer has: nobody is there for whom the answer could matter.
    fn lose_if_ended(&mut self, now: Instant, id: ConnectionId) {
        if self.sockets.get(id.0).is_some_and(|slot| slot.as_ref().is_some_and(|socket| socket.is_ended)) {
            self.lose(now, id, CloseReason::PeerClosed);
        }
    }

    fn hold(&mut self, now: Instant, id: ConnectionId) {
        if let Some(Some(socket)) = self.sockets.get_mut(id.0) {
            socket.is_held = true;
            self.lose_if_ended(now, id);
        }
    }

    fn read_on_with(&mut self, id: ConnectionId) {
        if let Some(Some(socket)) = self.sockets.get_mut(id.0) {
            socket.is_held = false;
            self.read_later(id);
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

    fn write_to_disk(&mut self, command: Command) {
        if self.disk.is_none() {
            match Disk::start(Arc::clone(&self.waker)) {
                Ok(disk) => self.disk = Some(disk),
                Err(error) => return error!("no thread for the disk: {error}"),
            }
        }
        if let Some(disk) = &self.disk {
            disk.submit(command);
        }
    }

    fn handle_outcomes(&mut self, now: Instant) {
        while let Some(outcome) = self.disk.as_ref().and_then(Disk::poll_outcome) {
            self.engine.handle_outcome(now, &outcome);
            self.do_effects(now);
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
    fn do_effects(&mut self, now: Instant) {
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
                Effect::Disk(command) => self.write_to_disk(command),
                Effect::StopReading(id) => self.hold(now, id),
                Effect::ReadOn(id) => self.read_on_with(id),
                Effect::Post(request) => self.begin_post(now, request),
                Effect::EndPost(id) => self.posts.end(id),
                Effect::Reload(id) => {
                    let result = self.reload();
                    self.engine.handle_reloaded(now, id, result);
                }
            }
        }
    }
}

/// Milliseconds since 1970-01-01 UTC.
fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A number that differs between runs; only filler bytes of handshakes come from it.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
