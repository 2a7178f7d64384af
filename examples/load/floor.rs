//! The floor: the least that a server can do that writes each message when it arrives.
//!
//! Owns: one write of one shared buffer for each player and message. Has no queue and no policy: what the kernel does
//! not take is left out, except the rest of a message that has begun. Sessions are the library's.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rtmpd::config::SessionLimits;
use rtmpd::rtmp::chunk::encode_message;
use rtmpd::rtmp::message::{chunk_stream_id, type_id};
use rtmpd::rtmp::server::{Event, ServerSession, SessionConfig};
use slab::Slab;
use socket2::SockRef;

use crate::clip::is_key_frame;
use crate::options::{FloorJoin, Options};

const LISTENER: Token = Token(usize::MAX);
/// Peers that may wait to be accepted: the standard library's 128 is less than join at the same moment here.
const BACKLOG: i32 = 4_096;
const SCRATCH_BYTES: usize = 64 * 1024;

/// A player: a socket, and what is left of the message that it was sent last.
struct Player {
    stream: TcpStream,
    rest: Bytes,
}

/// What is not needed to send.
struct Peer {
    session: ServerSession,
    /// Name of the stream that it plays or publishes.
    name: Option<String>,
}

#[derive(Default)]
struct Channel {
    players: Vec<usize>,
    headers: Vec<(u8, Bytes)>,
    /// The present group of pictures, or as much of it as joining needs.
    group: Vec<Bytes>,
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    config: Arc<SessionConfig>,
    join: FloorJoin,
    /// Both by token.
    sockets: Slab<Player>,
    peers: Vec<Option<Box<Peer>>>,
    channels: HashMap<String, Channel>,
    scratch: Box<[u8]>,
}

/// Serves until it is killed.
///
/// # Errors
/// Where it cannot listen or poll.
pub fn run(options: &Options) -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], options.port).into())?;
    SockRef::from(&listener).listen(BACKLOG)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut out = io::stdout();
    writeln!(out, "listening rtmp {}", listener.local_addr()?)?;
    out.flush()?;
    let limits = SessionLimits::default();
    let mut floor = Floor {
        poll,
        listener,
        config: Arc::new(SessionConfig { chunk_size: 65_536, limits }),
        join: options.floor_join,
        sockets: Slab::new(),
        peers: Vec::new(),
        channels: HashMap::new(),
        scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
    };
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(key) => {
                    if event.is_writable()
                        && let Some(player) = floor.sockets.get_mut(key)
                    {
                        player.send_rest();
                    }
                    if floor.read(key, event.is_read_closed()).is_err() {
                        floor.remove(key);
                    }
                }
            }
        }
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            stream.set_nodelay(true)?;
            let entry = self.sockets.vacant_entry();
            let key = entry.key();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(key), interest)?;
            entry.insert(Player { stream, rest: Bytes::new() });
            let session = ServerSession::new(Instant::now(), Arc::clone(&self.config), key as u64);
            if self.peers.len() <= key {
                self.peers.resize_with(key + 1, || None);
            }
            if let Some(slot) = self.peers.get_mut(key) {
                *slot = Some(Box::new(Peer { session, name: None }));
            }
        }
        Ok(())
    }

    fn read(&mut self, key: usize, to_the_end: bool) -> io::Result<()> {
        loop {
            let Some(socket) = self.sockets.get_mut(key) else { return Ok(()) };
            let count = match socket.stream.read(&mut self.scratch) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(Some(peer)) = self.peers.get_mut(key) else { return Ok(()) };
            let input = self.scratch.get(..count).unwrap_or_default();
            peer.session.handle_input(Instant::now(), input).map_err(io::Error::other)?;
            self.drain(key)?;
            if count < self.scratch.len() && !to_the_end {
                return Ok(());
            }
        }
    }

    fn drain(&mut self, key: usize) -> io::Result<()> {
        loop {
            let Some(Some(peer)) = self.peers.get_mut(key) else { return Ok(()) };
            let Some(event) = peer.session.poll_event() else { break };
            match event {
                Event::Publish { stream_id, path, .. } => {
                    peer.session.accept_publish(stream_id);
                    peer.name = Some(path.stream);
                }
                Event::Play { stream_id, path } => {
                    peer.session.accept_play(stream_id);
                    peer.name = Some(path.stream.clone());
                    self.answer(key)?;
                    self.join(key, path.stream);
                }
                Event::Audio { timestamp, payload, .. } => {
                    self.relay(key, type_id::AUDIO, timestamp, &payload);
                }
                Event::Video { timestamp, payload, .. } => {
                    self.relay(key, type_id::VIDEO, timestamp, &payload);
                }
                Event::Data { timestamp, payload, .. } => {
                    self.relay(key, type_id::DATA_AMF0, timestamp, &payload);
                }
                _ => {}
            }
        }
        self.answer(key)
    }

    fn answer(&mut self, key: usize) -> io::Result<()> {
        let Some(Some(peer)) = self.peers.get_mut(key) else { return Ok(()) };
        while let Some(bytes) = peer.session.poll_output() {
            if let Some(socket) = self.sockets.get_mut(key) {
                socket.stream.write_all(&bytes)?;
            }
        }
        Ok(())
    }

    fn join(&mut self, key: usize, name: String) {
        let channel = self.channels.entry(name).or_default();
        let headers = channel.headers.iter().map(|(_, bytes)| bytes);
        if let Some(player) = self.sockets.get_mut(key) {
            headers.chain(&channel.group).for_each(|bytes| player.send(bytes));
        }
        channel.players.push(key);
    }

    fn relay(&mut self, key: usize, type_id: u8, timestamp: u32, payload: &Bytes) {
        let Some(Some(peer)) = self.peers.get(key) else { return };
        let Some(name) = &peer.name else { return };
        if !self.channels.contains_key(name) {
            self.channels.insert(name.clone(), Channel::default());
        }
        let Some(channel) = self.channels.get_mut(name) else { return };
        let wire = encode(type_id, timestamp, payload);
        for key in &channel.players {
            if let Some(player) = self.sockets.get_mut(*key) {
                player.send(&wire);
            }
        }
        channel.remember(self.join, type_id, payload, wire);
    }

    fn remove(&mut self, key: usize) {
        self.sockets.try_remove(key);
        let Some(Some(peer)) = self.peers.get_mut(key).map(Option::take) else { return };
        let Some(channel) = peer.name.and_then(|name| self.channels.get_mut(&name)) else { return };
        if let Some(index) = channel.players.iter().position(|player| *player == key) {
            channel.players.swap_remove(index);
        }
    }
}

impl Player {
    /// What is left of a message that was cut short.
    fn send_rest(&mut self) {
        if !self.rest.is_empty() {
            let sent = self.stream.write(&self.rest).unwrap_or(0);
            self.rest = self.rest.split_off(sent);
        }
    }

    /// One write, or none where the last one was cut short.
    fn send(&mut self, bytes: &Bytes) {
        if !self.rest.is_empty() {
            return;
        }
        // A socket that is broken shows it by an event.
        if let Ok(sent) = self.stream.write(bytes)
            && sent < bytes.len()
        {
            self.rest = bytes.slice(sent..);
        }
    }
}

impl Channel {
    fn remember(&mut self, join: FloorJoin, type_id: u8, payload: &[u8], wire: Bytes) {
        let is_header = type_id == type_id::DATA_AMF0
            || matches!((type_id, payload), (type_id::VIDEO | type_id::AUDIO, [_, 0, ..]));
        if is_header {
            self.headers.retain(|(of, _)| *of != type_id);
            self.headers.push((type_id, wire));
            return;
        }
        let is_key = is_key_frame(type_id, payload);
        if is_key {
            self.group.clear();
        }
        if join == FloorJoin::Gop || join == FloorJoin::Key && is_key {
            self.group.push(wire);
        }
    }
}

fn encode(type_id: u8, timestamp: u32, payload: &[u8]) -> Bytes {
    let chunk_stream = match type_id {
        type_id::AUDIO => chunk_stream_id::AUDIO,
        type_id::VIDEO => chunk_stream_id::VIDEO,
        _ => chunk_stream_id::DATA,
    };
    let mut out = BytesMut::new();
    encode_message(&mut out, 65_536, chunk_stream, timestamp, type_id, 1, payload);
    out.freeze()
}
