//! An engine with a driver that has no sockets and no clock.
//!
//! Each connection has a window, as a kernel's send buffer is one: what the peer did not read fills it, and then the
//! engine is told that no more is taken. Every call checks what holds for the engine at any time.

use std::collections::{BTreeMap, HashMap};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rtmpd::config::EngineConfig;
use rtmpd::engine::{CloseReason, ConnectionId, Effect, Engine, PostId, PostRequest, Protocol};
use rtmpd::output::disk::Command;

/// A window that nothing fills.
const WIDE: usize = usize::MAX;
/// More than one slice, and few enough that messages are cut between calls.
const SLICES: usize = 8;

/// One accepted connection, by the number that the world gave it: unlike the engine's ids these are never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub usize);

#[derive(Debug)]
struct Link {
    id: ConnectionId,
    /// Written by the engine, not read by the peer.
    unread: Vec<u8>,
    window: usize,
    blocked: bool,
    /// The engine said that nothing more will come.
    is_shut: bool,
    /// What the peer sent while it is not to be read.
    held: Option<Vec<u8>>,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub now: Instant,
    pub engine: Engine,
    links: BTreeMap<LinkId, Link>,
    by_id: HashMap<ConnectionId, LinkId>,
    accepted: usize,
    /// How each connection ended, and what its peer could still read.
    closed: BTreeMap<LinkId, (CloseReason, Vec<u8>)>,
    /// The largest piece that one write takes.
    pub write_limit: usize,
    /// What a disk was asked for and when, where there is one.
    pub disk: Option<Vec<(Instant, Command)>>,
    /// What comes of reading the configuration again.
    pub reload: Result<(), String>,
    /// Where those who connect come from.
    pub peer: IpAddr,
    /// Posts that are under way, in their order.
    pub posts: Vec<PostRequest>,
    /// All that were ever begun.
    pub posted: Vec<PostRequest>,
}

impl World {
    pub fn new(config: EngineConfig) -> Self {
        let now = Instant::now();
        World {
            now,
            engine: Engine::new(now, config, 1),
            links: BTreeMap::new(),
            by_id: HashMap::new(),
            accepted: 0,
            closed: BTreeMap::new(),
            write_limit: WIDE,
            disk: None,
            reload: Ok(()),
            peer: Ipv4Addr::LOCALHOST.into(),
            posts: Vec::new(),
            posted: Vec::new(),
        }
    }

    pub fn try_accept(&mut self) -> Result<LinkId, CloseReason> {
        self.try_accept_as(Protocol::Rtmp)
    }

    pub fn try_accept_as(&mut self, protocol: Protocol) -> Result<LinkId, CloseReason> {
        self.try_accept_from(protocol, self.peer)
    }

    pub fn try_accept_from(&mut self, protocol: Protocol, peer: IpAddr) -> Result<LinkId, CloseReason> {
        let id = self.engine.accept(self.now, protocol, SocketAddr::from((peer, 1)))?;
        let link_id = LinkId(self.accepted);
        self.accepted += 1;
        let link = Link { id, unread: Vec::new(), window: WIDE, blocked: false, is_shut: false, held: None };
        self.links.insert(link_id, link);
        let before = self.by_id.insert(id, link_id);
        assert_eq!(before, None, "the engine gave an id that is in use");
        Ok(link_id)
    }

    pub fn accept(&mut self) -> LinkId {
        self.try_accept().expect("accepted")
    }

    /// Bytes from the peer. Those to a connection that is gone are lost, as on a network.
    pub fn send(&mut self, link: LinkId, bytes: &[u8]) {
        self.give(link, bytes);
        self.turn();
    }

    fn give(&mut self, link: LinkId, bytes: &[u8]) {
        match self.links.get_mut(&link) {
            Some(Link { held: Some(held), .. }) => held.extend_from_slice(bytes),
            Some(link) => self.engine.handle_input(self.now, link.id, bytes),
            None => {}
        }
    }

    /// What came back for a post.
    pub fn answer(&mut self, post: PostId, bytes: &[u8]) {
        self.engine.handle_post_input(self.now, post, bytes);
        self.turn();
    }

    /// The program closes its side.
    pub fn close_post(&mut self, post: PostId) {
        self.engine.handle_post_closed(self.now, post);
        self.turn();
    }

    /// There is no connection to the program.
    pub fn fail_post(&mut self, post: PostId) {
        self.engine.handle_post_failed(self.now, post, "connection refused");
        self.turn();
    }

    /// Whether nothing more is read of a connection.
    pub fn is_held(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.held.is_some())
    }

    /// Like [`World::send`], without the rest of the turn: several inputs before anything is written.
    pub fn send_without_turn(&mut self, link: LinkId, bytes: &[u8]) {
        self.give(link, bytes);
        self.do_effects();
    }

    /// What the peer reads: at most `limit` bytes. Works on a closed connection, too.
    pub fn read(&mut self, link_id: LinkId, limit: usize) -> Vec<u8> {
        let Some(link) = self.links.get_mut(&link_id) else {
            let rest = self.closed.get_mut(&link_id).map(|(_, unread)| unread);
            return rest.map(|unread| take_front(unread, limit)).unwrap_or_default();
        };
        let bytes = take_front(&mut link.unread, limit);
        if link.blocked && link.unread.len() < link.window {
            link.blocked = false;
            let id = link.id;
            self.engine.handle_writable(id);
            self.turn();
        }
        bytes
    }

    /// How much the engine may write ahead of the peer's reading.
    pub fn set_window(&mut self, link_id: LinkId, window: usize) {
        if let Some(link) = self.links.get_mut(&link_id) {
            link.window = window;
            if link.blocked && link.unread.len() < window {
                link.blocked = false;
                let id = link.id;
                self.engine.handle_writable(id);
                self.turn();
            }
        }
    }

    /// The peer closes its side, or is reset. What it did not read is lost to it.
    pub fn hang_up(&mut self, link_id: LinkId) {
        if let Some(link) = self.links.remove(&link_id) {
            self.by_id.remove(&link.id);
            self.engine.handle_closed(self.now, link.id, CloseReason::PeerClosed);
            self.closed.insert(link_id, (CloseReason::PeerClosed, Vec::new()));
            self.turn();
        }
    }

    /// Lets time pass; what is due is done when it is due.
    pub fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        let mut same_moment = 0;
        while let Some(at) = self.engine.poll_timeout().filter(|at| *at <= until) {
            same_moment = if at > self.now { 0 } else { same_moment + 1 };
            assert!(same_moment < 10_000, "a deadline that is never over");
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            self.turn();
        }
        self.now = until;
    }

    pub fn shut_down(&mut self) {
        self.engine.shut_down(self.now);
        self.turn();
    }

    pub fn is_open(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether the peer was told that nothing more will come.
    pub fn is_shut(&self, link: LinkId) -> bool {
        self.links.get(&link).is_none_or(|link| link.is_shut)
    }

    /// Why a connection ended; `None` while it is open.
    pub fn close_reason(&self, link: LinkId) -> Option<&CloseReason> {
        self.closed.get(&link).map(|(reason, _)| reason)
    }

    pub fn open_links(&self) -> Vec<LinkId> {
        self.links.keys().copied().collect()
    }

    pub fn queued_bytes(&self, link: LinkId) -> usize {
        self.links.get(&link).map_or(0, |link| self.engine.queued_bytes(link.id))
    }

    /// Messages that were dropped because the peer was too slow; of open connections only.
    pub fn dropped_messages(&self, link: LinkId) -> u64 {
        self.links.get(&link).map_or(0, |link| self.engine.dropped_messages(link.id))
    }

    /// How many connections were accepted, and how many of them have ended.
    pub fn accepted_and_closed(&self) -> (usize, usize) {
        (self.accepted, self.closed.len())
    }

    /// Writes and effects, as a driver does them at the end of each turn.
    pub fn turn(&mut self) {
        self.do_effects();
        while let Some(id) = self.engine.poll_transmit() {
            self.write_to(id);
        }
        self.do_effects();
        assert_eq!(self.engine.connection_count(), self.links.len(), "connections and sockets");
    }

    fn write_to(&mut self, id: ConnectionId) {
        let link_id = self.by_id[&id];
        loop {
            let link = self.links.get_mut(&link_id).expect("a socket for each connection");
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = self.engine.fill(id, usize::MAX, &mut slices);
            if filled == 0 {
                return;
            }
            let room = link.window.saturating_sub(link.unread.len()).min(self.write_limit);
            if room == 0 {
                link.blocked = true;
                self.engine.set_blocked(id);
                return;
            }
            let before = link.unread.len();
            for slice in &slices[..filled] {
                assert!(!slice.is_empty(), "an empty slice");
                let left = room - (link.unread.len() - before);
                link.unread.extend_from_slice(&slice[..slice.len().min(left)]);
            }
            let count = link.unread.len() - before;
            assert!(!link.is_shut, "bytes after the last words");
            if !self.engine.advance(self.now, id, count) {
                return;
            }
        }
    }

    fn do_effects(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Disk(command) => {
                    let disk = self.disk.as_mut().expect("nothing is recorded here");
                    disk.push((self.now, command));
                }
                Effect::StopReading(id) => {
                    if let Some(link) = self.by_id.get(&id).and_then(|link_id| self.links.get_mut(link_id)) {
                        link.held.get_or_insert_default();
                    }
                }
                Effect::ReadOn(id) => {
                    let link = self.by_id.get(&id).and_then(|link_id| self.links.get_mut(link_id));
                    if let Some(held) = link.and_then(|link| link.held.take()).filter(|held| !held.is_empty()) {
                        self.engine.handle_input(self.now, id, &held);
                    }
                }
                Effect::Post(request) => {
                    self.posts.push(request.clone());
                    self.posted.push(request);
                }
                Effect::EndPost(id) => {
                    let before = self.posts.len();
                    self.posts.retain(|post| post.id != id);
                    assert_eq!(self.posts.len() + 1, before, "a post ends once");
                }
                Effect::Reload(id) => {
                    let result = self.reload.clone();
                    self.engine.handle_reloaded(self.now, id, result);
                }
                Effect::ShutdownWrite(id) => {
                    let link_id = self.by_id[&id];
                    let link = self.links.get_mut(&link_id).expect("a socket");
                    assert!(!link.is_shut, "shut down twice");
                    link.is_shut = true;
                }
                Effect::Close(id, reason) => {
                    let link_id = self.by_id.remove(&id).expect("closed twice");
                    let link = self.links.remove(&link_id).expect("a socket");
                    self.closed.insert(link_id, (reason, link.unread));
                }
            }
        }
    }
}

fn take_front(bytes: &mut Vec<u8>, limit: usize) -> Vec<u8> {
    let rest = bytes.split_off(bytes.len().min(limit));
    std::mem::replace(bytes, rest)
}
