//! Sockets to programs that are asked and told.
//!
//! Owns: connecting, one address after the other, writing what is to be posted, reading what comes back; and the one
//! thread that asks the system for the addresses of a name, which may take seconds. Does not know what is posted, how
//! long it may take and when it is tried again: the engine says when a post is over.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use log::warn;
use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Token, Waker};
use slab::Slab;

use super::Server;
use crate::engine::{PostId, PostRequest};

/// Posts have the tokens from here on.
const FIRST_TOKEN: usize = usize::MAX / 4 * 3;
/// So many at most; the engine has far fewer under way.
const TOKENS: usize = 1 << 16;
/// Names that wait for the thread.
const NAMES: usize = 64;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// A name and a port.
type Place = (String, u16);

/// All that are under way.
#[derive(Default)]
pub(super) struct Posts {
    slots: Slab<Outgoing>,
    keys: HashMap<PostId, usize>,
    /// Started when there is a name.
    names: Option<Names>,
    /// Posts that wait for the addresses of a place.
    waiting: HashMap<Place, Vec<PostId>>,
    /// Which of several addresses is tried first. Moves on when one did not answer at all.
    first: usize,
}

struct Outgoing {
    id: PostId,
    stream: Option<TcpStream>,
    is_connected: bool,
    /// Addresses that were not tried yet.
    addresses: VecDeque<SocketAddr>,
    bytes: Bytes,
    sent: usize,
}

/// The loop's side of the thread that asks for addresses.
struct Names {
    asked: SyncSender<Place>,
    found: Receiver<(Place, io::Result<Vec<SocketAddr>>)>,
}

impl Names {
    fn start(waker: Arc<Waker>) -> io::Result<Names> {
        let (asked, to_do) = sync_channel(NAMES);
        let (told, found) = channel();
        thread::Builder::new().name("rtmpd-names".to_owned()).spawn(move || look_up(&to_do, &told, &waker))?;
        Ok(Names { asked, found })
    }
}

fn look_up(to_do: &Receiver<Place>, told: &Sender<(Place, io::Result<Vec<SocketAddr>>)>, waker: &Waker) {
    for (host, port) in to_do {
        let found = (host.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES).collect());
        if told.send(((host, port), found)).is_err() {
            return;
        }
        if let Err(error) = waker.wake() {
            warn!("the loop cannot be woken: {error}");
        }
    }
}

/// What an event of a post's socket means.
enum Progress {
    /// More events will come.
    Waits,
    /// So many bytes are in the scratch buffer.
    Came(usize),
    /// The other side sends no more.
    Ended,
    /// This address does not answer.
    Unreachable(io::Error),
    /// The connection was there, and is lost.
    Lost(io::Error),
}

impl Outgoing {
    fn go_on(&mut self, scratch: &mut [u8]) -> Progress {
        let Some(stream) = &mut self.stream else { return Progress::Waits };
        if !self.is_connected {
            match (stream.take_error(), stream.peer_addr()) {
                (Ok(None), Ok(_)) => self.is_connected = true,
                (Ok(Some(error)) | Err(error), _) => return Progress::Unreachable(error),
                (Ok(None), Err(error)) if error.kind() == ErrorKind::NotConnected => return Progress::Waits,
                (Ok(None), Err(error)) => return Progress::Unreachable(error),
            }
        }
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => break,
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It may have answered before it had read all.
                Err(_) => break,
            }
        }
        loop {
            return match stream.read(scratch) {
                Ok(0) => Progress::Ended,
                Ok(count) => Progress::Came(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Waits,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Progress::Lost(error),
            };
        }
    }
}

impl Posts {
    /// Whether an event with this token is of a post.
    pub(super) fn owns(token: Token) -> bool {
        (FIRST_TOKEN..FIRST_TOKEN + TOKENS).contains(&token.0)
    }

    fn get_mut(&mut self, id: PostId) -> Option<&mut Outgoing> {
        self.slots.get_mut(*self.keys.get(&id)?)
    }

    /// Its sockets are closed by this.
    pub(super) fn end(&mut self, id: PostId) {
        let Some(post) = self.keys.remove(&id).and_then(|key| self.slots.try_remove(key)) else { return };
        if !post.is_connected {
            self.first = self.first.wrapping_add(1);
        }
    }

    /// Has the addresses of a place looked up, unless that is under way.
    fn look_up(&mut self, id: PostId, place: Place, waker: &Arc<Waker>) -> Result<(), String> {
        if let Some(waiting) = self.waiting.get_mut(&place) {
            // A slow answer must not make it grow by those that were given up.
            waiting.retain(|other| self.keys.contains_key(other));
            waiting.push(id);
            return Ok(());
        }
        if self.names.is_none() {
            let names = Names::start(Arc::clone(waker));
            self.names = Some(names.map_err(|error| format!("no thread for names: {error}"))?);
        }
        if let Some(names) = &self.names {
            let sent = names.asked.try_send(place.clone());
            sent.map_err(|_| "too many names wait for their addresses".to_owned())?;
        }
        self.waiting.insert(place, vec![id]);
        Ok(())
    }
}

impl Server {
    pub(super) fn begin_post(&mut self, now: Instant, request: PostRequest) {
        let PostRequest { id, host, port, bytes } = request;
        let addresses = VecDeque::new();
        let post = Outgoing { id, stream: None, is_connected: false, addresses, bytes, sent: 0 };
        let key = self.posts.slots.insert(post);
        self.posts.keys.insert(id, key);
        if key >= TOKENS {
            return self.engine.handle_post_failed(now, id, "too many at once");
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.connect_post(now, id, vec![SocketAddr::new(address, port)]);
        }
        if let Err(why) = self.posts.look_up(id, (host, port), &self.waker) {
            self.engine.handle_post_failed(now, id, &why);
        }
    }

    /// Names have been looked up.
    pub(super) fn handle_names(&mut self, now: Instant) {
        while let Some((place, found)) = self.posts.names.as_ref().and_then(|names| names.found.try_recv().ok()) {
            for id in self.posts.waiting.remove(&place).unwrap_or_default() {
                match &found {
                    Ok(addresses) => self.connect_post(now, id, addresses.clone()),
                    Err(error) => self.engine.handle_post_failed(now, id, &format!("{}: {error}", place.0)),
                }
            }
            self.do_effects(now);
        }
    }

    fn connect_post(&mut self, now: Instant, id: PostId, mut addresses: Vec<SocketAddr>) {
        let first = self.posts.first.checked_rem(addresses.len()).unwrap_or_default();
        addresses.rotate_left(first);
        if let Some(post) = self.posts.get_mut(id) {
            post.addresses = addresses.into();
            self.connect_next(now, id, &io::Error::from(ErrorKind::AddrNotAvailable));
        }
    }

    /// Tries the next address; `last` is what was wrong with the one before.
    fn connect_next(&mut self, now: Instant, id: PostId, last: &io::Error) {
        let Some(&key) = self.posts.keys.get(&id) else { return };
        let Some(post) = self.posts.slots.get_mut(key) else { return };
        post.stream = None;
        let mut problem = last.to_string();
        while let Some(address) = post.addresses.pop_front() {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let connecting = TcpStream::connect(address).and_then(|mut stream| {
                self.poll.registry().register(&mut stream, Token(FIRST_TOKEN + key), interest).map(|()| stream)
            });
            match connecting {
                Ok(stream) => return post.stream = Some(stream),
                Err(error) => problem = error.to_string(),
            }
        }
        self.engine.handle_post_failed(now, id, &problem);
    }

    pub(super) fn handle_post_event(&mut self, now: Instant, event: &Event) {
        let key = event.token().0 - FIRST_TOKEN;
        let Some(id) = self.posts.slots.get(key).map(|post| post.id) else { return };
        // What comes may end it.
        while let Some(post) = self.posts.get_mut(id) {
            match post.go_on(&mut self.scratch) {
                Progress::Waits => break,
                Progress::Came(count) => {
                    let input = self.scratch.get(..count).unwrap_or_default();
                    self.engine.handle_post_input(now, id, input);
                }
                Progress::Ended => self.engine.handle_post_closed(now, id),
                Progress::Unreachable(error) => {
                    self.connect_next(now, id, &error);
                    self.do_effects(now);
                    break;
                }
                Progress::Lost(error) => self.engine.handle_post_failed(now, id, &error.to_string()),
            }
            self.do_effects(now);
        }
    }
}
