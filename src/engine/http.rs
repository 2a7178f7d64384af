//! What HTTP clients ask for.
//!
//! Owns: which path means what, and players over HTTP. Does not know how a request is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use log::info;

use super::api::is_for_operators;
use super::callbacks::Viewer;
use super::connection::{Attachment, Role};
use super::fanout::{HTTP_LANE, hub_id, lane};
use super::join_mode::join_mode;
use super::memory::{NO_PLAYERS_ABOVE, OUT_OF_MEMORY, RETRY_AFTER_S};
use super::outputs::OutputId;
use super::queue::{Class, SendQueue};
use super::stats::PlayedAs;
use super::viewers::HlsSeat;
use super::{CloseReason, ConnectionId, Engine, console, hub_name};
use crate::config::JoinMode;
use crate::http::websocket;
use crate::http::{Event, HttpSession, Method, Request, Response, ResponseHead};
use crate::hub::{Departure, StreamId, SubscriberId};
use crate::ledger::Purpose;
use crate::output::live::Form;
use crate::rtmp::path::StreamPath;

/// The HTTP side of a connection.
#[derive(Debug)]
pub(super) struct HttpPeer {
    pub(super) session: HttpSession,
    /// What it watches.
    pub(super) viewing: Option<Viewing>,
    /// The stream that it watched has ended.
    pub(super) is_over: bool,
    /// A request for a stream that is not there yet.
    waiting: Option<Box<Waiting>>,
    /// It asked for a part of HLS that is not there yet.
    pub(super) waits_for: Option<OutputId>,
    /// What it has to do with HLS, where it asked for some.
    pub(super) hls: Option<Box<HlsSeat>>,
}

/// How a player over HTTP watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Viewing {
    pub(super) form: Form,
    is_websocket: bool,
    /// Number of the init segment that it has.
    pub(super) init: u32,
}

/// A request that waits for its stream.
#[derive(Debug)]
struct Waiting {
    until: Instant,
    target: Target,
    request: Box<Request>,
    /// A program was asked already, and who it is.
    is_asked: bool,
    viewer: Option<Viewer>,
}

impl HttpPeer {
    pub(super) fn new(session: HttpSession) -> Self {
        HttpPeer { session, viewing: None, is_over: false, waiting: None, waits_for: None, hls: None }
    }

    /// What it plays, in one word.
    pub(super) fn protocol_name(&self) -> &'static str {
        match (self.viewing, &self.hls) {
            (Some(Viewing { form: Form::Flv, .. }), _) => "flv",
            (Some(Viewing { form: Form::Ts, .. }), _) => "ts",
            (Some(Viewing { form: Form::Mp4, .. }), _) => "mp4",
            (None, Some(_)) => "hls",
            (None, None) => "http",
        }
    }

    /// Memory that it takes beside its own size and unfinished requests, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        let waiting = self.waiting.as_ref().map_or(0, |waiting| size_of::<Waiting>() + waiting.request.held_bytes());
        waiting + self.session.held_bytes()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref().map(|waiting| waiting.until);
        [waiting, self.session.poll_timeout()].into_iter().flatten().min()
    }
}

impl Viewing {
    /// Puts a piece of the stream into a player's queue.
    pub(super) fn push(self, queue: &mut SendQueue, now_ms: u32, class: Class, bytes: Bytes) {
        let lane = lane(HTTP_LANE);
        if self.is_websocket {
            let head = Bytes::copy_from_slice(websocket::binary_head(bytes.len()).as_ref());
            queue.push(now_ms, class, lane, head);
            queue.push_piece(now_ms, class, lane, bytes, false);
        } else {
            queue.push(now_ms, class, lane, bytes);
        }
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// `/healthz`.
    Health,
    /// A stream without end.
    Live { path: StreamPath, form: Form },
    /// A playlist, or what stands `below` the stream in its URL.
    Hls { path: StreamPath, below: String },
    /// Nothing.
    Nothing,
}

impl Target {
    fn of(request: &Request) -> Target {
        if request.path == "/healthz" {
            return Target::Health;
        }
        let Some((name, extension)) = request.raw_path.rsplit_once('.') else { return Target::Nothing };
        let form = match extension {
            "flv" => Form::Flv,
            "ts" => Form::Ts,
            "mp4" => Form::Mp4,
            "m3u8" => {
                let path = resolve(name, &request.query);
                return path.map_or(Target::Nothing, |path| Target::Hls { path, below: String::new() });
            }
            _ => return Target::Nothing,
        };
        resolve(name, &request.query).map_or(Target::Nothing, |path| Target::Live { path, form })
    }

    /// The same path as one of the files of HLS: `/APP/STREAM/FILE`.
    fn hls_file(request: &Request) -> Option<Target> {
        let (name, file) = request.raw_path.rsplit_once('/')?;
        Some(Target::Hls { path: resolve(name, &request.query)?, below: file.to_owned() })
    }

    pub(super) fn path(&self) -> Option<&StreamPath> {
        match self {
            Target::Live { path, .. } | Target::Hls { path, .. } => Some(path),
            Target::Health | Target::Nothing => None,
        }
    }

    /// The same of another stream.
    pub(super) fn at(self, path: StreamPath) -> Target {
        match self {
            Target::Live { form, .. } => Target::Live { path, form },
            Target::Hls { below, .. } => Target::Hls { path, below },
            Target::Health | Target::Nothing => self,
        }
    }
}

fn resolve(name: &str, query: &str) -> Option<StreamPath> {
    StreamPath::resolve(None, "", &format!("{name}?{query}")).ok()
}

/// Longest wait for a stream that a request may ask for (`?wait=`), in seconds.
const LONGEST_WAIT_S: u64 = 60;

impl Engine {
    pub(super) fn handle_http_event(&mut self, now: Instant, id: ConnectionId, event: Event) {
        match event {
            Event::Request(request) => self.handle_request(now, id, request, true),
            // Players have nothing to say.
            Event::WebSocketText(_) | Event::WebSocketBinary(_) => {}
            Event::WebSocketClosed { .. } => self.close(now, id, CloseReason::PeerClosed),
        }
    }

    /// Answers a request, or has it wait; then it comes once more, and is not new.
    fn handle_request(&mut self, now: Instant, id: ConnectionId, request: Box<Request>, is_new: bool) {
        self.leave_seat(id);
        if self.config.api.enabled && is_for_operators(&request) {
            return self.serve_api(now, id, &request);
        }
        let target = Target::of(&request);
        if request.is_preflight() {
            return self.respond(now, id, Response::preflight(&request, METHODS));
        }
        match request.method {
            Method::Get | Method::Head => {}
            Method::Options => {
                let options = Response::new(204, "", Bytes::new()).with_cors().with_header("Allow", METHODS);
                return self.respond(now, id, options);
            }
            _ => return self.respond(now, id, Response::method_not_allowed(METHODS).with_cors()),
        }
        if let Some(file) = console::file(&request) {
            return self.respond_shared(now, id, file);
        }
        // The files of HLS stand below a stream, where another stream could be as well.
        if let Some(Target::Hls { path, below }) = Target::hls_file(&request)
            && self.has_hls(&hub_name(&path))
        {
            let is_attempt = is_new && self.begins_hls(id, &hub_name(&path), &below, &request);
            if self.admits_viewer(now, id, &path, is_attempt) {
                self.ask_viewer(now, id, request, Target::Hls { path, below });
            }
            return;
        }
        match target {
            Target::Health => self.respond(now, id, Response::new(200, TEXT, "ok\n")),
            Target::Nothing => self.respond(now, id, Response::text(404, "there is nothing here").with_cors()),
            Target::Live { ref path, .. } | Target::Hls { ref path, .. } => {
                let is_attempt = match &target {
                    Target::Hls { below, .. } => is_new && self.begins_hls(id, &hub_name(path), below, &request),
                    _ => is_new,
                };
                if self.admits_viewer(now, id, path, is_attempt) {
                    self.ask_viewer(now, id, request, target);
                }
            }
        }
    }

    /// Serves a player that may have what it asked for. `viewer`: whom HLS has not seen before.
    pub(super) fn serve_viewer(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: Box<Request>,
        target: Target,
        viewer: Option<Viewer>,
    ) {
        let Some(path) = target.path() else { return };
        let name = hub_name(path);
        match &target {
            Target::Live { form, .. } if self.hub.is_published(&name) => {
                return self.watch(now, id, &request, path, *form);
            }
            Target::Hls { below, .. } if self.has_hls(&name) => {
                self.note_watching(now, id, path, viewer);
                let session = viewer.and_then(|viewer| viewer.session);
                return self.serve_hls(now, id, &request, path, below, session);
            }
            _ => {}
        }
        let wait_s = request.query_value("wait").and_then(|value| value.parse::<u64>().ok());
        match wait_s.filter(|&seconds| seconds > 0) {
            Some(seconds) => {
                let until = now + Duration::from_secs(seconds.min(LONGEST_WAIT_S));
                let is_asked = self.config.callbacks.on_play.is_set();
                self.wait_for_stream(id, name, Waiting { until, target, request, is_asked, viewer });
            }
            None => self.respond_not_published(now, id, &name),
        }
    }

    pub(super) fn respond_short_of_memory(&mut self, now: Instant, id: ConnectionId) {
        let response = Response::text(503, OUT_OF_MEMORY).with_header("Retry-After", RETRY_AFTER_S).with_cors();
        self.respond(now, id, response);
    }

    fn respond_not_published(&mut self, now: Instant, id: ConnectionId, name: &str) {
        let text = format!("nobody publishes {name:?}; ?wait=SECONDS waits for it");
        self.respond(now, id, Response::text(404, &text).with_cors());
    }

    /// Answers with a body that was made for this one.
    pub(super) fn respond(&mut self, now: Instant, id: ConnectionId, mut response: Response) {
        for piece in &mut response.body {
            *piece = self.memory.ledger.hold(Purpose::Sending, std::mem::take(piece));
        }
        self.respond_shared(now, id, response);
    }

    /// Answers with a body that others share, and that is counted where it was made.
    pub(super) fn respond_shared(&mut self, now: Instant, id: ConnectionId, mut response: Response) {
        response.head.close |= self.sends_on(id);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        let Some(peer) = connection.http() else { return };
        let result = peer.session.respond(now, response);
        self.take_answers(now, id);
        if let Err(error) = result {
            self.close(now, id, error.into());
        }
    }

    fn wait_for_stream(&mut self, id: ConnectionId, name: String, waiting: Waiting) {
        let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) else { return };
        peer.waiting = Some(Box::new(waiting));
        if let Some(connection) = self.connections.get(id.0) {
            info!("{}: waits for {name} over HTTP", connection.peer);
        }
        self.waiting_for.entry(name).or_default().push(id);
    }

    /// Requests that waited for `name` go on: it is published now.
    pub(super) fn begin_waiting(&mut self, now: Instant, name: &str) {
        for id in self.waiting_for.remove(name).unwrap_or_default() {
            let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) else { continue };
            // Another connection may have this id by now; then it waits for nothing, or for something else.
            let waits_for = peer.waiting.as_ref().and_then(|waiting| waiting.target.path());
            if waits_for.is_some_and(|path| hub_name(path) == name)
                && let Some(waiting) = peer.waiting.take()
            {
                let Waiting { target, request, is_asked, viewer, .. } = *waiting;
                if is_asked {
                    self.serve_viewer(now, id, request, target, viewer);
                } else {
                    self.handle_request(now, id, request, false);
                }
                self.schedule(id);
            }
        }
    }

    /// What is due at an HTTP connection. `true`: it ends.
    pub(super) fn wake_http(&mut self, now: Instant, id: ConnectionId) -> bool {
        let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) else { return false };
        if peer.is_over {
            peer.session.websocket_close(WEBSOCKET_NORMAL, "the stream ended");
            self.take_answers(now, id);
            // What waits is still sent; `http_sent` goes on from there.
            if self.queued_bytes(id) == 0 {
                self.close_politely(now, id, CloseReason::StreamEnded);
            }
            return true;
        }
        if peer.waiting.as_ref().is_some_and(|waiting| waiting.until <= now)
            && let Some(waiting) = peer.waiting.take()
            && let Some(path) = waiting.target.path()
        {
            let name = hub_name(path);
            if let Some(ids) = self.waiting_for.get_mut(&name) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.waiting_for.remove(&name);
                }
            }
            self.respond_not_published(now, id, &name);
        }
        false
    }

    /// Begins the endless answer to a player.
    fn watch(&mut self, now: Instant, id: ConnectionId, request: &Request, path: &StreamPath, form: Form) {
        let name = hub_name(path);
        if !self.lets_begin() {
            return self.respond(now, id, Response::text(503, "the server is about to end").with_cors());
        }
        if form == Form::Ts && request.is_websocket {
            return self.respond(now, id, Response::text(400, "WebSocket carries .flv and .mp4, not .ts").with_cors());
        }
        // The first bytes are made for each of them.
        let first_bytes = self.hub.find(&name).map_or(0, |stream| self.hub.stream_bytes(stream));
        if self.is_memory_above(NO_PLAYERS_ABOVE, first_bytes) {
            return self.respond_short_of_memory(now, id);
        }
        let subscriber = SubscriberId(hub_id(id, HTTP_LANE));
        let app = Arc::clone(self.apps.of(&path.app));
        if let Err(reason) = self.room_for_player(&name, &app) {
            return self.respond(now, id, Response::text(503, &reason).with_cors());
        }
        let Some(stream) = self.hub.subscribe(&name, subscriber, &app) else {
            return self.respond(now, id, Response::text(503, "too many streams").with_cors());
        };
        let mode = join_mode(path, app.join, None);
        let viewing = Viewing { form, is_websocket: request.is_websocket, init: 0 };
        let attachment = Attachment { message_stream: HTTP_LANE, stream, role: Role::Subscriber { mode } };
        if let Some(connection) = self.connections.get(id.0) {
            info!("{}: watches {name} over HTTP", connection.peer);
        }
        self.note_start(now, id, HTTP_LANE, path, attachment.role);
        self.join_http(now, id, attachment, mode, viewing);
    }

    fn join_http(&mut self, now: Instant, id: ConnectionId, attachment: Attachment, mode: JoinMode, viewing: Viewing) {
        let mut burst = match viewing.form {
            Form::Mp4 => self.hub.burst_without_probe(attachment.stream, mode),
            Form::Flv | Form::Ts => self.hub.burst(attachment.stream, mode),
        };
        // Where the past would not fit, the player begins with the next key frame.
        let payload_bytes: usize = burst.frames.iter().map(|frame| frame.payload.len()).sum();
        if payload_bytes > self.queue_limits(attachment.stream).bytes {
            burst = self.hub.burst(attachment.stream, JoinMode::Key);
        }
        let bytes = self.live.join(attachment.stream, viewing.form, &burst.frames);
        let mime = self.live.mime_type(attachment.stream, viewing.form);
        // What one who joins is sent begins with it.
        let (init, _) = self.live.init(attachment.stream, viewing.form);
        let viewing = Viewing { init, ..viewing };
        let now_ms = self.now_ms(now);
        let Some(connection) = self.connections.get_mut(id.0) else { return };
        connection.attach(attachment);
        let Some(peer) = connection.http() else { return };
        peer.viewing = Some(viewing);
        self.stats.player_began(attachment.stream, self.hub.name(attachment.stream), PlayedAs::Http(viewing.form));
        let begun = if viewing.is_websocket {
            peer.session.accept_websocket(now, None).map(|()| true)
        } else {
            Ok(peer.session.begin_endless(&ResponseHead::new(200, mime.clone()).with_cors()))
        };
        connection.take_answers(now, now_ms, &self.memory.ledger);
        self.dirty.mark(id, connection);
        match begun {
            Err(error) => return self.close(now, id, error.into()),
            Ok(has_body) => {
                if !has_body {
                    return self.detach(now, id, HTTP_LANE, Departure::Clean);
                }
            }
        }
        if viewing.is_websocket && viewing.form == Form::Mp4 {
            // MediaSource wants to know what comes.
            connection.queue.push(now_ms, Class::Kept, lane(HTTP_LANE), websocket::text_message(&mime));
        }
        if !bytes.is_empty() {
            viewing.push(&mut connection.queue, now_ms, Class::Kept, bytes);
        }
        connection.count_queue(&mut self.memory);
        if burst.has_picture {
            self.hub.open(attachment.stream, SubscriberId(hub_id(id, HTTP_LANE)));
        }
    }

    /// A player over HTTP is gone: what it watched.
    pub(super) fn leave_http(&mut self, id: ConnectionId, stream: StreamId) -> Option<Form> {
        let viewing = self.connections.get_mut(id.0)?.http()?.viewing.take()?;
        self.live.leave(stream, viewing.form);
        Some(viewing.form)
    }

    /// The queue of an HTTP connection is empty: goes on with the next request, or ends it.
    pub(super) fn http_sent(&mut self, now: Instant, id: ConnectionId) {
        let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) else { return };
        if peer.is_over {
            self.close_politely(now, id, CloseReason::StreamEnded);
        } else if peer.session.wants_close() {
            self.close_politely(now, id, CloseReason::Answered);
        } else if peer.viewing.is_none() {
            self.drain_session(now, id);
        }
    }
}

/// The purpose was fulfilled (RFC 6455, 7.4.1).
const WEBSOCKET_NORMAL: u16 = 1000;

const METHODS: &str = "GET, HEAD, OPTIONS";
const TEXT: &str = "text/plain; charset=utf-8";
