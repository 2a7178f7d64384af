//! Players over HTTP, and above all over HLS, where one who watches makes many requests.
//!
//! Owns: which requests are of a viewer that was asked about already, and when a viewer of HLS is gone. Does not know
//! what is in a playlist.
//!
//! A viewer of HLS is known by the `session` of its playlists. Its media files have none, as all viewers share them:
//! they are of a viewer when one at the same address is there. Whoever asks without both, like a player that was
//! given the media playlist itself, is one viewer for each address, and is asked about like any other.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::ends::Started;
use super::questions::Asked;
use crate::access::Action;
use crate::callback::Verdict;
use crate::engine::http::Target;
use crate::engine::{ConnectionId, Engine, hub_name};
use crate::http::{Request, Response};
use crate::rtmp::path::StreamPath;

/// Viewers of HLS that are told apart at most.
const MAX_VIEWERS: usize = 100_000;
/// How often it is looked who is gone.
const LOOK: Duration = Duration::from_secs(2);
/// Without an output that says it, a viewer is gone after so long.
const USUAL_WINDOW: Duration = Duration::from_secs(10);

/// What tells viewers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Session(u64),
    Address(IpAddr),
}

/// A viewer that begins with this request.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Viewer {
    key: Key,
    /// The session that its playlist gets.
    pub(in crate::engine) session: Option<u64>,
}

/// A request that waits for an answer.
#[derive(Debug)]
pub(super) struct View {
    request: Box<Request>,
    target: Target,
    viewer: Option<Viewer>,
    /// Under which it stands in [`Viewers::asked`].
    keys: Vec<(String, Key)>,
    /// Requests of the same viewer: connections with their serial numbers.
    others: Vec<(ConnectionId, u64, Box<Request>, Target)>,
}

#[derive(Debug)]
struct Watching {
    started: Started,
    address: IpAddr,
    seen: Instant,
}

/// Viewers of one stream.
#[derive(Debug, Default)]
struct Audience {
    viewers: HashMap<Key, Watching>,
    /// How many are at each address.
    addresses: HashMap<IpAddr, usize>,
}

impl Audience {
    /// Whether a request is of somebody who is there.
    fn see(&mut self, now: Instant, key: Key) -> bool {
        if let Some(watching) = self.viewers.get_mut(&key) {
            watching.seen = now;
            return true;
        }
        matches!(key, Key::Address(address) if self.addresses.contains_key(&address))
    }

    fn remove_if(&mut self, mut is_gone: impl FnMut(&Watching) -> bool) -> Vec<Watching> {
        let keys: Vec<Key> = self.viewers.iter().filter(|(_, it)| is_gone(it)).map(|(key, _)| *key).collect();
        let gone: Vec<Watching> = keys.iter().filter_map(|key| self.viewers.remove(key)).collect();
        for watching in &gone {
            if let Some(count) = self.addresses.get_mut(&watching.address) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.addresses.remove(&watching.address);
                }
            }
        }
        gone
    }
}

/// All viewers of HLS, by stream.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    audiences: HashMap<String, Audience>,
    count: usize,
    look_at: Option<Instant>,
    /// Viewers that a program is being asked about, and whose request that is.
    asked: HashMap<(String, Key), ConnectionId>,
}

impl Viewers {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    fn see(&mut self, now: Instant, name: &str, key: Key) -> bool {
        self.audiences.get_mut(name).is_some_and(|audience| audience.see(now, key))
    }

    fn add(&mut self, now: Instant, name: String, key: Key, address: IpAddr, started: Started) {
        let audience = self.audiences.entry(name).or_default();
        audience.viewers.insert(key, Watching { started, address, seen: now });
        *audience.addresses.entry(address).or_default() += 1;
        self.count += 1;
        self.look_at.get_or_insert(now + LOOK);
    }

    /// Takes those out who were not seen for the time that `window` gives for their stream.
    fn take_idle(&mut self, now: Instant, window: impl Fn(&str) -> Duration) -> Vec<Watching> {
        let mut gone = Vec::new();
        for (name, audience) in &mut self.audiences {
            let window = window(name);
            gone.extend(audience.remove_if(|it| now.saturating_duration_since(it.seen) > window));
        }
        self.audiences.retain(|_, audience| !audience.viewers.is_empty());
        self.count = self.count.saturating_sub(gone.len());
        self.look_at = (self.count > 0).then(|| now + LOOK);
        gone
    }
}

impl Engine {
    /// A request that the rules of access allow: it is served at once, or after the answer of a program.
    pub(in crate::engine) fn ask_viewer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: Box<Request>,
        target: Target,
    ) {
        let callbacks = &self.config.callbacks;
        let (asks, tells) = (callbacks.on_play.is_set(), callbacks.on_stop.is_set());
        let mut view = View { request, target, viewer: None, keys: Vec::new(), others: Vec::new() };
        if asks || tells {
            let Some(fresh) = self.look_up_viewer(now, id, view) else { return };
            view = fresh;
        }
        let View { request, target, viewer, .. } = view;
        let Some(path) = target.path().filter(|_| asks) else {
            return self.serve_viewer(now, id, request, target, viewer);
        };
        let info = self.client_info(id, path);
        let keys = viewer.map(|viewer| self.note_asked(id, path, viewer)).unwrap_or_default();
        let view = View { request, target, viewer, keys, others: Vec::new() };
        self.ask(now, id, &info, Asked::View(Box::new(view)));
    }

    /// Serves a request of a viewer of HLS that is known, or lets it wait with another one of the same viewer. Gives it
    /// back where it is of a new one, or not for HLS.
    fn look_up_viewer(&mut self, now: Instant, id: ConnectionId, mut view: View) -> Option<View> {
        let Target::Hls { path, below } = &view.target else { return Some(view) };
        let name = hub_name(path);
        let connection = self.connections.get(id.0)?;
        let (serial, address) = (connection.serial, connection.peer.ip());
        let given = view.request.query_value("session").and_then(|text| u64::from_str_radix(&text, 16).ok());
        let is_first = matches!(below.as_str(), "" | "index.m3u8");
        let session = (given.is_none() && is_first).then(|| self.next_random());
        let key = given.or(session).map_or(Key::Address(address), Key::Session);
        if self.callbacks.viewers.see(now, &name, key) {
            self.serve_viewer(now, id, view.request, view.target, None);
            return None;
        }
        if self.callbacks.viewers.count >= MAX_VIEWERS {
            self.respond(now, id, Response::text(503, "too many viewers").with_cors());
            return None;
        }
        let leader = self.callbacks.viewers.asked.get(&(name, key)).copied();
        if let Some(leader) = leader.and_then(|leader| self.callbacks.questions.view_mut(leader)) {
            leader.others.push((id, serial, view.request, view.target));
            return None;
        }
        view.viewer = Some(Viewer { key, session });
        Some(view)
    }

    /// Requests of the same viewer wait for the same answer; those for files at its address as well.
    fn note_asked(&mut self, id: ConnectionId, path: &StreamPath, viewer: Viewer) -> Vec<(String, Key)> {
        let name = hub_name(path);
        let address = self.connections.get(id.0).map(|connection| Key::Address(connection.peer.ip()));
        let keys = [Some(viewer.key), address.filter(|key| *key != viewer.key)];
        let mut noted = Vec::new();
        for key in keys.into_iter().flatten().map(|key| (name.clone(), key)) {
            self.callbacks.viewers.asked.entry(key.clone()).or_insert(id);
            noted.push(key);
        }
        noted
    }

    fn forget_asked(&mut self, id: ConnectionId, keys: &[(String, Key)]) {
        for key in keys {
            if self.callbacks.viewers.asked.get(key) == Some(&id) {
                self.callbacks.viewers.asked.remove(key);
            }
        }
    }

    pub(super) fn decide_view(&mut self, now: Instant, id: ConnectionId, view: View, verdict: &Verdict, why: &str) {
        let View { request, target, viewer, keys, others } = view;
        self.forget_asked(id, &keys);
        let Some(path) = target.path() else { return };
        let decided = self.place_after(id, Action::Play, path, verdict, why);
        let is_allowed = decided.is_ok();
        match decided {
            Ok(path) => self.serve_viewer(now, id, request, target.at(path), viewer),
            Err(_) => self.refuse_view(now, id),
        }
        for (other, serial, request, target) in others {
            self.go_on_with(now, (other, serial), request, target, is_allowed);
        }
    }

    /// The one who was asked about for all of them is gone.
    pub(super) fn ask_for_others(&mut self, now: Instant, id: ConnectionId, view: View) {
        self.forget_asked(id, &view.keys);
        for (other, serial, request, target) in view.others {
            self.go_on_with(now, (other, serial), request, target, true);
        }
    }

    fn go_on_with(
        &mut self,
        now: Instant,
        (id, serial): (ConnectionId, u64),
        request: Box<Request>,
        target: Target,
        is_allowed: bool,
    ) {
        let is_there = |it: &&crate::engine::Connection| it.serial == serial && it.closing.is_none();
        if self.connections.get(id.0).filter(is_there).is_none() {
            return;
        }
        if is_allowed {
            self.ask_viewer(now, id, request, target);
        } else {
            self.refuse_view(now, id);
        }
        self.schedule(id);
    }

    /// A viewer of HLS is served for the first time.
    pub(in crate::engine) fn note_watching(
        &mut self,
        now: Instant,
        id: ConnectionId,
        path: &StreamPath,
        viewer: Option<Viewer>,
    ) {
        let Some(Viewer { key, .. }) = viewer else { return };
        let name = hub_name(path);
        let Some(address) = self.connections.get(id.0).map(|connection| connection.peer.ip()) else { return };
        // Where it was renamed it may be there already.
        let is_there = self.callbacks.viewers.audiences.get(&name).is_some_and(|it| it.viewers.contains_key(&key));
        if !is_there {
            let started = self.started(now, id, path, false);
            self.callbacks.viewers.add(now, name, key, address, started);
        }
    }

    pub(super) fn end_idle_viewers(&mut self, now: Instant) {
        if self.callbacks.viewers.look_at.is_none_or(|at| at > now) {
            return;
        }
        let outputs = &self.outputs;
        let window = |name: &str| outputs.viewing_window(name).unwrap_or(USUAL_WINDOW);
        let gone = self.callbacks.viewers.take_idle(now, window);
        self.tell_gone(now, gone);
    }

    /// The server ends: so do all viewers.
    pub(in crate::engine) fn end_watchings(&mut self, now: Instant) {
        let audiences = std::mem::take(&mut self.callbacks.viewers.audiences);
        self.callbacks.viewers.count = 0;
        self.callbacks.viewers.look_at = None;
        let gone = audiences.into_values().flat_map(|audience| audience.viewers.into_values()).collect();
        self.tell_gone(now, gone);
    }

    fn tell_gone(&mut self, now: Instant, gone: Vec<Watching>) {
        for Watching { started, seen, .. } in gone {
            // What it was sent is not counted for each viewer.
            self.tell_end(now, seen, &started, 0, 0);
        }
    }
}
