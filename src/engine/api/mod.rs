//! The API for those who operate the server: `/api/v1/` and `/metrics`.
//!
//! Owns: who may ask, what each path means, and the answers' statuses. Does not know how numbers are counted.

mod guard;
mod views;

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use super::{CloseReason, Connection, ConnectionId, Effect, Engine, hub_name};
use crate::http::{Method, Request, Response};
use crate::rtmp::path::StreamPath;

const PREFIX: &str = "/api/v1";
const METRICS: &str = "/metrics";
const JSON: &str = "application/json";
/// What a description of the API is sent as (RFC 9512).
const YAML: &str = "application/yaml";
/// The text format of Prometheus.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Where a list is told how long it would be without its limit.
const TOTAL: &str = "X-Total-Count";
/// Entries of a list where no other number is asked for: writing more would hold frames back.
const USUAL_LIMIT: usize = 1_000;
/// Entries of a list at most.
const MOST_LIMIT: usize = 100_000;
/// A week: the longest time to drain in, as in the configuration.
const MOST_LIMIT_MS: u64 = 7 * 24 * 3_600_000;

const DESCRIPTION: &str = include_str!("../../../contrib/openapi.yaml");

/// Whether a request is one for the API.
pub(super) fn is_for_operators(request: &Request) -> bool {
    let below = request.path.strip_prefix(PREFIX);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) || request.path == METRICS
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Description,
    Server,
    Streams,
    Stream(StreamPath),
    Recording(StreamPath),
    Clients,
    Client(String),
    Sessions,
    Reload,
    Drain,
    Metrics,
}

impl Route {
    fn of(request: &Request) -> Option<Route> {
        if request.path == METRICS {
            return Some(Route::Metrics);
        }
        // As it was sent: an escaped character of a name must not divide it.
        let rest = request.raw_path.strip_prefix(PREFIX)?.strip_prefix('/')?;
        Some(match rest {
            "openapi.yaml" => Route::Description,
            "server" => Route::Server,
            "streams" => Route::Streams,
            "clients" => Route::Clients,
            "sessions" => Route::Sessions,
            "reload" => Route::Reload,
            "drain" => Route::Drain,
            _ => match rest.split_once('/')? {
                ("clients", id) if !id.is_empty() => Route::Client(id.to_owned()),
                ("streams", name) => Self::of_stream(name)?,
                _ => return None,
            },
        })
    }

    fn of_stream(name: &str) -> Option<Route> {
        let path = |name: &str| StreamPath::resolve(None, "", name).ok();
        match name.strip_suffix("/recording") {
            // A stream may be called so, too.
            Some(stream) if stream.contains('/') => path(stream).map(Route::Recording),
            _ => path(name).map(Route::Stream),
        }
    }

    /// As `Allow` has it.
    const fn methods(&self) -> &'static str {
        match self {
            Route::Client(_) => "GET, HEAD, DELETE",
            Route::Recording(_) => "PUT, DELETE",
            Route::Reload | Route::Drain => "POST",
            _ => "GET, HEAD",
        }
    }

    const fn takes(&self, method: Method) -> bool {
        match self {
            Route::Client(_) => matches!(method, Method::Get | Method::Head | Method::Delete),
            Route::Recording(_) => matches!(method, Method::Put | Method::Delete),
            Route::Reload | Route::Drain => matches!(method, Method::Post),
            _ => matches!(method, Method::Get | Method::Head),
        }
    }
}

fn error(status: u16, text: &str) -> Response {
    Response::new(status, JSON, json!({ "error": text }).to_string())
}

fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(200, JSON, body),
        Err(problem) => error(500, &problem.to_string()),
    }
}

fn done(status: u16) -> Response {
    Response::new(status, "", Bytes::new())
}

/// `?limit=`.
fn limit(request: &Request) -> Result<usize, Response> {
    let Some(typed) = request.query_value("limit") else { return Ok(USUAL_LIMIT) };
    let number = typed.parse().ok().filter(|limit| (1..=MOST_LIMIT).contains(limit));
    number.ok_or_else(|| error(400, &format!("limit must be a whole number from 1 to {MOST_LIMIT}")))
}

/// `?limit_ms=`.
fn drain_limit(request: &Request) -> Result<Option<Duration>, Response> {
    let Some(typed) = request.query_value("limit_ms") else { return Ok(None) };
    let number = typed.parse().ok().filter(|limit| *limit <= MOST_LIMIT_MS);
    let limit = number.map(|limit| Some(Duration::from_millis(limit)));
    limit.ok_or_else(|| error(400, &format!("limit_ms must be a whole number from 0 to {MOST_LIMIT_MS}")))
}

impl Engine {
    /// Answers a request of an operator, or of one who would like to be one.
    pub(super) fn serve_api(&mut self, now: Instant, id: ConnectionId, request: &Request) {
        let Some(peer) = self.connections.get(id.0).map(|connection| connection.peer) else { return };
        let response = match guard::check(&self.config.api, peer, request) {
            Err((401, text)) => error(401, text).with_header("WWW-Authenticate", "Bearer realm=\"rtmpd\""),
            Err((status, text)) => error(status, text),
            Ok(()) => match Route::of(request) {
                None => error(404, "there is nothing here"),
                Some(route) if !route.takes(request.method) => {
                    error(405, "this method is not for this path").with_header("Allow", route.methods())
                }
                Some(Route::Reload) => return self.effects.push_back(Effect::Reload(id)),
                Some(Route::Client(asked)) if request.method == Method::Delete => {
                    return self.delete_client(now, id, &asked);
                }
                Some(route) => self.answer_route(now, request, &route),
            },
        };
        self.respond(now, id, response);
    }

    fn answer_route(&mut self, now: Instant, request: &Request, route: &Route) -> Response {
        match route {
            Route::Description => Response::new(200, YAML, DESCRIPTION),
            Route::Server => answer(&self.server_view(now)),
            Route::Streams => self.list_streams(now, request),
            Route::Stream(path) => match self.hub.find(&hub_name(path)) {
                Some(stream) => answer(&self.stream_view(now, stream, &self.lags_ms(now))),
                None => error(404, "nobody publishes or waits for this stream"),
            },
            Route::Recording(path) if request.method == Method::Put => self.begin_recording(now, path),
            Route::Recording(path) => self.end_recording(now, path),
            Route::Clients => self.list_clients(now, request),
            Route::Client(asked) => match (self.find_client(asked), self.viewers.find(asked)) {
                (Some((id, connection)), _) => answer(&self.client_view(now, id, connection)),
                (None, Some((stream, viewer))) => answer(&views::viewer(now, stream, viewer)),
                (None, None) => error(404, "this client is gone"),
            },
            Route::Sessions => {
                let sessions: Vec<_> = self.stats.sessions.iter().map(views::session).collect();
                answer(&sessions)
            }
            Route::Drain => match drain_limit(request) {
                Ok(limit) => {
                    self.drain(now, limit);
                    done(202)
                }
                Err(response) => response,
            },
            Route::Metrics => Response::new(200, METRICS_TYPE, self.metrics(now)),
            // It is answered when the configuration was read.
            Route::Reload => done(202),
        }
    }

    fn list_streams(&mut self, now: Instant, request: &Request) -> Response {
        let limit = match limit(request) {
            Ok(limit) => limit,
            Err(response) => return response,
        };
        let mut streams: Vec<_> = self.hub.streams().map(|(id, name)| (name.to_owned(), id)).collect();
        streams.sort_unstable();
        let total = streams.len();
        let lags = self.lags_ms(now);
        let views: Vec<_> = streams.into_iter().take(limit).map(|(_, id)| self.stream_view(now, id, &lags)).collect();
        answer(&views).with_header(TOTAL, total.to_string())
    }

    /// All connections and players over HLS, or those of one stream (`?stream=`).
    fn list_clients(&self, now: Instant, request: &Request) -> Response {
        let limit = match limit(request) {
            Ok(limit) => limit,
            Err(response) => return response,
        };
        let wanted = request.query_value("stream");
        let is_wanted =
            |connection: &Connection| wanted.as_deref().is_none_or(|wanted| self.stream_of(connection) == Some(wanted));
        let mut total = 0;
        let mut views = Vec::new();
        for (key, connection) in self.connections.iter().filter(|(_, connection)| is_wanted(connection)) {
            total += 1;
            if total <= limit {
                views.push(self.client_view(now, ConnectionId(key), connection));
            }
        }
        let is_wanted = |stream: &str| wanted.as_deref().is_none_or(|wanted| stream == wanted);
        let mut viewers: Vec<_> = self.viewers.iter().filter(|(stream, _)| is_wanted(stream)).collect();
        viewers.sort_unstable_by_key(|(stream, viewer)| (*stream, viewer.serial));
        total += viewers.len();
        let room = limit - views.len();
        views.extend(viewers.into_iter().take(room).map(|(stream, viewer)| views::viewer(now, stream, viewer)));
        answer(&views).with_header(TOTAL, total.to_string())
    }

    /// The connection that `SLOT-SERIAL` names.
    fn find_client(&self, asked: &str) -> Option<(ConnectionId, &Connection)> {
        let (slot, serial) = asked.split_once('-')?;
        let id = ConnectionId(slot.parse().ok()?);
        let serial: u64 = serial.parse().ok()?;
        self.connections.get(id.0).filter(|connection| connection.serial == serial).map(|connection| (id, connection))
    }

    fn delete_client(&mut self, now: Instant, id: ConnectionId, asked: &str) {
        let Some((gone, _)) = self.find_client(asked) else {
            let response = if self.close_viewer(now, asked) { done(204) } else { error(404, "this client is gone") };
            return self.respond(now, id, response);
        };
        self.respond(now, id, done(204));
        if let Some(session) = self.connections.get_mut(gone.0).and_then(Connection::rtmp) {
            session.shut_down("closed by the operator");
        }
        self.close(now, gone, CloseReason::Operator);
    }

    fn begin_recording(&mut self, now: Instant, path: &StreamPath) -> Response {
        let name = hub_name(path);
        if !self.hub.is_published(&name) {
            return error(409, "nobody publishes this stream");
        }
        if !self.start_recording(now, path) {
            return error(409, "this stream is being recorded");
        }
        self.note_recording(path);
        self.drain_outputs(now);
        done(201)
    }

    fn end_recording(&mut self, now: Instant, path: &StreamPath) -> Response {
        let Some(recorder) = self.outputs.recorder_of(&hub_name(path)) else {
            return error(404, "this stream is not being recorded");
        };
        self.outputs.stop_recording(now, recorder);
        self.drain_outputs(now);
        done(204)
    }

    /// The configuration was read again, or not: whoever asked for it with [`Effect::Reload`] is told.
    pub fn handle_reloaded(&mut self, now: Instant, id: ConnectionId, result: Result<(), String>) {
        let response = match result {
            Ok(()) => done(204),
            Err(problem) => error(400, &problem),
        };
        self.respond(now, id, response);
        self.schedule(id);
    }
}
