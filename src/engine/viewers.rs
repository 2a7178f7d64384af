//! Players over HLS, each of which makes many requests on several connections.
//!
//! Owns: who they are, what they were sent, why they ended. Does not know what a playlist says.
//!
//! A player is told apart by the session that the multivariant playlist gave it, and counts from its first request
//! with it. Requests for segments have none: they count for the session that the connection named before, or else for
//! that player of the stream and address that asked for a playlist last.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use log::info;

use super::connection::{Connection, Session};
use super::stats::SessionRecord;
use super::{CloseReason, ConnectionId, Engine};
use crate::http::{Request, Response};
use crate::hub::{Hub, StreamId};
use crate::output::hls;

/// Players that are told apart at most; they choose the numbers that are remembered.
const MOST_VIEWERS: usize = 100_000;
/// Players that are gone are looked for no more often: looking takes a moment.
const LEAST_LOOK: Duration = Duration::from_secs(1);
/// How the ids of such players begin.
const ID_PREFIX: &str = "hls-";

/// What a connection has to do with HLS.
#[derive(Debug)]
pub(super) struct HlsSeat {
    /// Name of the stream of which it asked last.
    pub(super) name: Box<str>,
    /// For whom.
    session: Option<u64>,
    /// What it is sent now is HLS.
    is_answered: bool,
    /// What it had sent when it last asked.
    counted_in: u64,
}

impl HlsSeat {
    fn of(name: &str) -> Self {
        HlsSeat { name: name.into(), session: None, is_answered: false, counted_in: 0 }
    }
}

/// One player.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) serial: u64,
    /// Where it asked from last.
    pub(super) peer: SocketAddr,
    pub(super) began: Instant,
    seen: Instant,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// The operator closed it: it is refused for as long as it goes on asking.
    is_closed: bool,
}

impl Viewer {
    /// As the API names it.
    pub(super) fn id(&self) -> String {
        format!("{ID_PREFIX}{}", self.serial)
    }
}

/// Players of one stream.
#[derive(Debug, Default)]
struct Audience {
    by_session: HashMap<u64, Viewer>,
    /// Of each address, the one that asked last.
    newest: HashMap<IpAddr, u64>,
    /// Whoever asks for nothing for so long is gone.
    window: Duration,
}

/// All of them, by stream.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    streams: HashMap<String, Audience>,
    total: usize,
    serials: u64,
    look_at: Option<Instant>,
}

/// One that asked.
struct Asked<'a> {
    name: &'a str,
    session: u64,
    peer: SocketAddr,
    window: Duration,
    bytes_in: u64,
}

impl Viewers {
    /// How many watch a stream.
    pub(super) fn count(&self, name: &str) -> usize {
        let audience = self.streams.get(name);
        audience.map_or(0, |audience| audience.by_session.values().filter(|viewer| !viewer.is_closed).count())
    }

    /// Each with the name of its stream, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Viewer)> {
        let all = self.streams.iter();
        let all = all.flat_map(|(name, audience)| audience.by_session.values().map(|viewer| (name.as_str(), viewer)));
        all.filter(|(_, viewer)| !viewer.is_closed)
    }

    /// The one that the API names so, and its stream.
    pub(super) fn find(&self, id: &str) -> Option<(&str, &Viewer)> {
        let serial: u64 = id.strip_prefix(ID_PREFIX)?.parse().ok()?;
        self.iter().find(|(_, viewer)| viewer.serial == serial)
    }

    fn get_mut(&mut self, name: &str, session: u64) -> Option<&mut Viewer> {
        self.streams.get_mut(name)?.by_session.get_mut(&session)
    }

    /// Whether it was closed, and asks all the same.
    fn refuses(&mut self, now: Instant, name: &str, session: Option<u64>) -> bool {
        let viewer = session.and_then(|session| self.get_mut(name, session)).filter(|viewer| viewer.is_closed);
        viewer.map(|viewer| viewer.seen = now).is_some()
    }

    fn newest_of(&self, name: &str, address: IpAddr) -> Option<u64> {
        self.streams.get(name)?.newest.get(&address).copied()
    }

    /// Whether requests with this session, or without one from this address, are those of one who watches already.
    fn knows(&self, name: &str, session: Option<u64>, address: IpAddr) -> bool {
        let Some(audience) = self.streams.get(name) else { return false };
        session.is_some_and(|session| audience.by_session.contains_key(&session))
            || audience.newest.contains_key(&address)
    }

    /// One at `address` is given this session: its requests come soon.
    fn expect(&mut self, now: Instant, name: &str, session: u64, address: IpAddr, window: Duration) {
        let audience = self.streams.entry(name.to_owned()).or_default();
        audience.window = window;
        if audience.newest.len() < MOST_VIEWERS {
            audience.newest.insert(address, session);
        }
        self.look_at.get_or_insert(now + window.max(LEAST_LOOK));
    }

    /// It asked for something. `true`: for the first time.
    fn note(&mut self, now: Instant, asked: &Asked<'_>) -> bool {
        if self.total >= MOST_VIEWERS && self.get_mut(asked.name, asked.session).is_none() {
            return false;
        }
        if !self.streams.contains_key(asked.name) {
            self.streams.insert(asked.name.to_owned(), Audience::default());
        }
        let Some(audience) = self.streams.get_mut(asked.name) else { return false };
        audience.window = asked.window;
        audience.newest.insert(asked.peer.ip(), asked.session);
        let known = audience.by_session.len();
        let viewer = audience.by_session.entry(asked.session).or_insert_with(|| Viewer {
            serial: self.serials,
            peer: asked.peer,
            began: now,
            seen: now,
            bytes_in: 0,
            bytes_out: 0,
            is_closed: false,
        });
        viewer.seen = now;
        viewer.bytes_in += asked.bytes_in;
        if viewer.peer != asked.peer {
            let before = std::mem::replace(&mut viewer.peer, asked.peer);
            if before.ip() != asked.peer.ip() && audience.newest.get(&before.ip()) == Some(&asked.session) {
                audience.newest.remove(&before.ip());
            }
        }
        let is_new = audience.by_session.len() > known;
        self.serials += u64::from(is_new);
        self.total += usize::from(is_new);
        self.look_at.get_or_insert(now + asked.window.max(LEAST_LOOK));
        is_new
    }

    /// `count` bytes went out on a connection that plays nothing else: the stream of which they were.
    pub(super) fn sent(&mut self, hub: &Hub, connection: &Connection, count: usize) -> Option<StreamId> {
        let Session::Http(peer) = &connection.session else { return None };
        let seat = peer.hls.as_deref().filter(|seat| seat.is_answered)?;
        if let Some(viewer) = seat.session.and_then(|session| self.get_mut(&seat.name, session)) {
            viewer.bytes_out += count as u64;
        }
        hub.find(&seat.name)
    }

    /// When it is time for [`Engine::end_viewers`].
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.look_at
    }

    /// Takes those out that have asked for nothing for long, with the names of their streams.
    fn take_old(&mut self, now: Instant) -> Vec<(String, Viewer)> {
        let mut gone = Vec::new();
        let mut next = None;
        self.streams.retain(|name, audience| {
            let Audience { by_session, newest, window } = audience;
            by_session.retain(|_, viewer| {
                let ends = viewer.seen + *window;
                if ends > now {
                    next = Some(next.map_or(ends, |next: Instant| next.min(ends)));
                    return true;
                }
                gone.push((name.clone(), viewer.clone()));
                false
            });
            newest.retain(|_, session| by_session.contains_key(session));
            !by_session.is_empty()
        });
        self.total = self.total.saturating_sub(gone.len());
        self.look_at = next.map(|next| next.max(now + LEAST_LOOK));
        gone.retain(|(_, viewer)| !viewer.is_closed);
        gone
    }
}

impl Engine {
    /// A request for HLS of `name`: for whom it is. `false`: the operator has closed that player, and it is told so.
    pub(super) fn seat_viewer(&mut self, now: Instant, id: ConnectionId, name: &str, request: &Request) -> bool {
        let Some(connection) = self.connections.get_mut(id.0) else { return false };
        let address = connection.peer.ip();
        let Some(peer) = connection.http() else { return false };
        let seat = peer.hls.get_or_insert_with(|| Box::new(HlsSeat::of(name)));
        if *seat.name != *name {
            **seat = HlsSeat { counted_in: seat.counted_in, ..HlsSeat::of(name) };
        }
        seat.is_answered = true;
        let session = hls::session_of(&request.query).or(seat.session);
        let session = session.or_else(|| self.viewers.newest_of(name, address));
        seat.session = session;
        if !self.viewers.refuses(now, name, session) {
            return true;
        }
        self.respond(now, id, Response::text(403, "closed by the operator").with_cors());
        false
    }

    /// Whether somebody begins to watch with this request for what stands `below` the stream, and does not go on.
    pub(super) fn begins_hls(&self, id: ConnectionId, name: &str, below: &str, request: &Request) -> bool {
        let Some(connection) = self.connections.get(id.0) else { return true };
        let Session::Http(peer) = &connection.session else { return true };
        let has_seat = peer.hls.as_ref().is_some_and(|seat| *seat.name == *name);
        let session = hls::session_of(&request.query);
        hls::begins(below, &request.query) || !(has_seat || self.viewers.knows(name, session, connection.peer.ip()))
    }

    /// The request was one that a player makes: it counts as one from now on, where it named its session.
    /// `given`: the session that it is given where it has none.
    pub(super) fn note_viewer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: &Request,
        given: Option<u64>,
        window: Duration,
    ) {
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let (peer, total_in) = (connection.peer, connection.bytes_in);
        let Some(seat) = connection.http().and_then(|peer| peer.hls.as_deref_mut()) else { return };
        if let Some(given) = given {
            seat.session = Some(given);
            return self.viewers.expect(now, &seat.name, given, peer.ip(), window);
        }
        let came = total_in.saturating_sub(std::mem::replace(&mut seat.counted_in, total_in));
        let Some(session) = hls::session_of(&request.query) else {
            if let Some(viewer) = seat.session.and_then(|session| self.viewers.get_mut(&seat.name, session)) {
                viewer.bytes_in += came;
            }
            return;
        };
        let asked = Asked { name: &seat.name, session, peer, window, bytes_in: came };
        if self.viewers.note(now, &asked) {
            info!("{peer}: watches {} over HLS", seat.name);
        }
    }

    /// Ends the players that ask for nothing any more.
    pub(super) fn end_viewers(&mut self, now: Instant) {
        if self.viewers.look_at.is_none_or(|at| at > now) {
            return;
        }
        for (name, viewer) in self.viewers.take_old(now) {
            let reason = if self.is_hls_over(&name) { CloseReason::StreamEnded } else { CloseReason::StoppedAsking };
            self.viewer_ended(viewer.seen, &name, &viewer, &reason);
        }
    }

    /// Ends all of them: the server ends.
    pub(super) fn shut_down_viewers(&mut self, now: Instant) {
        let all: Vec<(String, Viewer)> =
            self.viewers.iter().map(|(name, viewer)| (name.to_owned(), viewer.clone())).collect();
        self.viewers = Viewers { serials: self.viewers.serials, ..Viewers::default() };
        for (name, viewer) in all {
            self.viewer_ended(now, &name, &viewer, &CloseReason::ShuttingDown);
        }
    }

    /// The operator closes a player: its connections, and its session for as long as it goes on asking. `false`: there
    /// is none with this id. Like any other it may begin anew.
    pub(super) fn close_viewer(&mut self, now: Instant, asked: &str) -> bool {
        let Some((name, found)) = self.viewers.find(asked) else { return false };
        let (name, serial) = (name.to_owned(), found.serial);
        let Some(audience) = self.viewers.streams.get_mut(&name) else { return false };
        let mut viewers = audience.by_session.iter_mut();
        let Some((session, viewer)) = viewers.find(|(_, viewer)| viewer.serial == serial) else { return false };
        viewer.is_closed = true;
        let (session, viewer) = (*session, viewer.clone());
        // Others of its address are not taken for it.
        audience.newest.retain(|_, newest| *newest != session);
        self.viewer_ended(now, &name, &viewer, &CloseReason::Operator);
        let is_its = |connection: &Connection| match &connection.session {
            Session::Http(peer) if connection.closing.is_none() && peer.viewing.is_none() => {
                peer.hls.as_ref().is_some_and(|seat| seat.session == Some(session) && *seat.name == *name)
            }
            _ => false,
        };
        let its = self.connections.iter().filter(|(_, connection)| is_its(connection));
        let its: Vec<ConnectionId> = its.map(|(key, _)| ConnectionId(key)).collect();
        for id in its {
            self.close(now, id, CloseReason::Operator);
        }
        true
    }

    fn viewer_ended(&mut self, ended: Instant, name: &str, viewer: &Viewer, reason: &CloseReason) {
        let Viewer { peer, began, bytes_in, bytes_out, .. } = *viewer;
        let duration = ended.saturating_duration_since(began);
        let seconds = duration.as_secs_f64();
        info!("{peer}: {reason} (HLS of {name}, after {seconds:.1} s, {bytes_in} bytes in, {bytes_out} out)");
        let record = SessionRecord {
            peer,
            protocol: "hls",
            role: "player",
            stream: Some(name.to_owned()),
            began_unix_ms: self.unix_ms(ended).saturating_sub(duration.as_millis() as u64),
            duration,
            bytes_in,
            bytes_out,
            dropped: 0,
            reason: reason.to_string(),
        };
        self.stats.remember(record, self.config.api.sessions);
    }

    /// What goes out on a connection is no HLS, until it asks for some.
    pub(super) fn leave_seat(&mut self, id: ConnectionId) {
        let peer = self.connections.get_mut(id.0).and_then(Connection::http);
        if let Some(seat) = peer.and_then(|peer| peer.hls.as_deref_mut()) {
            seat.is_answered = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn asked(session: u64, port: u16) -> Asked<'static> {
        let peer = SocketAddr::from(([127, 0, 0, 1], port));
        Asked { name: "live/cam", session, peer, window: WINDOW, bytes_in: 100 }
    }

    #[test]
    fn peers_cannot_make_it_grow_for_ever_nor_have_it_look_all_the_time() {
        let now = Instant::now();
        let mut viewers = Viewers::default();
        for session in 0..MOST_VIEWERS as u64 + 5 {
            viewers.note(now, &asked(session, 1));
        }
        assert_eq!((viewers.count("live/cam"), viewers.total), (MOST_VIEWERS, MOST_VIEWERS));
        let later = now + Duration::from_secs(5);
        viewers.note(later, &asked(0, 1));
        let at = viewers.poll_timeout().unwrap();
        assert_eq!(at, now + WINDOW);
        assert_eq!(viewers.take_old(at).len(), MOST_VIEWERS - 1);
        assert_eq!(viewers.poll_timeout(), Some(later + WINDOW));
        assert!(viewers.take_old(later + WINDOW - Duration::from_millis(1)).is_empty());
        assert_eq!(viewers.poll_timeout(), Some(later + WINDOW - Duration::from_millis(1) + LEAST_LOOK));
        assert_eq!(viewers.take_old(later + WINDOW).len(), 1);
        assert!(viewers.streams.is_empty() && viewers.total == 0 && viewers.poll_timeout().is_none());
    }

    #[test]
    fn one_that_moves_to_another_address_leaves_nothing_behind() {
        let now = Instant::now();
        let mut viewers = Viewers::default();
        assert!(viewers.note(now, &asked(1, 1)));
        let elsewhere = SocketAddr::from(([127, 0, 0, 2], 1));
        assert!(!viewers.note(now, &Asked { peer: elsewhere, ..asked(1, 1) }));
        assert_eq!(viewers.newest_of("live/cam", asked(1, 1).peer.ip()), None);
        assert_eq!(viewers.newest_of("live/cam", elsewhere.ip()), Some(1));
        let (_, viewer) = viewers.find("hls-0").unwrap();
        assert_eq!((viewer.bytes_in, viewer.peer, viewer.id()), (200, elsewhere, "hls-0".to_owned()));
        for id in ["hls-1", "hls-", "0-0", "hls-x", ""] {
            assert!(viewers.find(id).is_none(), "{id}");
        }
    }
}
