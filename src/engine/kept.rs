//! HLS and recordings joined to streams and to those who ask for them.
//!
//! Owns: when an output begins, and answers to HLS requests. Does not know what is in a playlist or a file.

use std::sync::Arc;
use std::time::Instant;

use super::memory::NO_PLAYERS_ABOVE;
use super::outputs::{Folder, Kind, OutputId};
use super::{ConnectionId, Engine, hub_name};
use crate::config::{HlsConfig, HlsMode, JoinMode};
use crate::http::{Cache, Request, Response};
use crate::hub::{Burst, Hub, StreamId};
use crate::output::hls::{Answer, Hls, begins};
use crate::output::record::{Recorder, Recording};
use crate::rtmp::path::StreamPath;

impl Engine {
    /// A publisher of `path` began: so do the outputs that every stream has, and those that are there go on.
    pub(super) fn begin_outputs(&mut self, now: Instant, path: &StreamPath) {
        let name = hub_name(path);
        let app = Arc::clone(self.apps.of(&path.app));
        self.outputs.publisher_began(now, &name);
        if app.record.auto {
            self.start_recording(now, path);
        }
        if app.hls.mode == HlsMode::Always && self.outputs.hls_of(&name).is_none() {
            self.start_hls(now, path);
        }
        self.note_recording(path);
        self.drain_outputs(now);
    }

    /// Begins to record a stream. `false`: it is being recorded, or there is no room for it.
    pub(super) fn start_recording(&mut self, now: Instant, path: &StreamPath) -> bool {
        let name = hub_name(path);
        if self.outputs.recorder_of(&name).is_some() {
            return false;
        }
        let recording = Recording {
            owner: self.outputs.next_id().0 as u32,
            app: &path.app,
            stream: &path.stream,
            now,
            unix_ms: self.unix_ms(now),
        };
        let recorder = Recorder::new(&self.apps.of(&path.app).record, recording);
        let id = self.outputs.add(&name, false, None, Kind::Record(Box::new(recorder)));
        self.subscribe_output(now, id, path, |hub, stream| hub.burst(stream, JoinMode::Gop))
    }

    fn start_hls(&mut self, now: Instant, path: &StreamPath) -> Option<OutputId> {
        let name = hub_name(path);
        let config = self.apps.of(&path.app).hls.clone();
        let config = HlsConfig { window_bytes: self.hls_window_bytes(config.window_bytes), ..config };
        let is_on_demand = config.mode == HlsMode::OnDemand;
        let folder = (!config.directory.is_empty()).then(|| Folder::new(&config.directory));
        let hls = Hls::new(config, &path.stream, now, self.unix_ms(now));
        let hls = hls.counted_in(self.memory.ledger.clone());
        let id = self.outputs.add(&name, is_on_demand, folder, Kind::Hls(Box::new(hls)));
        self.subscribe_output(now, id, path, Hub::history).then_some(id)
    }

    /// Has an output get the frames of its stream, beginning with what the hub gives of the past.
    fn subscribe_output(
        &mut self,
        now: Instant,
        id: OutputId,
        path: &StreamPath,
        past: impl Fn(&Hub, StreamId) -> Burst,
    ) -> bool {
        let app = self.apps.of(&path.app);
        let Some(stream) = self.hub.subscribe(&hub_name(path), id.subscriber(), app) else {
            self.outputs.ended(now, id);
            return false;
        };
        self.outputs.subscribed(id, stream);
        let burst = past(&self.hub, stream);
        self.outputs.begin_with(now, id, &burst.frames);
        if burst.has_picture {
            self.hub.open(stream, id.subscriber());
        }
        true
    }

    /// Whether nothing more will come in HLS of `name`.
    pub(super) fn is_hls_over(&self, name: &str) -> bool {
        self.outputs.is_hls_over(name) && !self.hub.is_published(name)
    }

    /// Whether there is HLS of `name`, or could be.
    pub(super) fn has_hls(&self, name: &str) -> bool {
        let may_be = self.apps.of_stream(name).hls.mode != HlsMode::Off;
        self.outputs.hls_of(name).is_some() || (may_be && self.hub.is_published(name))
    }

    /// Answers a request for what stands `below` the stream in its URL, at once or later. `session` is given to a
    /// player that has none, any where it is `None`.
    pub(super) fn serve_hls(
        &mut self,
        now: Instant,
        id: ConnectionId,
        request: &Request,
        path: &StreamPath,
        below: &str,
        session: Option<u64>,
    ) {
        let name = hub_name(path);
        if begins(below, &request.query)
            && let Err(reason) = self.room_for_player(&name, self.apps.of(&path.app))
        {
            return self.respond(now, id, Response::text(503, &reason).with_cors());
        }
        if !self.seat_viewer(now, id, &name, request) {
            return;
        }
        let known = self.outputs.hls_of(&name);
        if known.is_none() && self.is_memory_above(NO_PLAYERS_ABOVE, 0) {
            return self.respond_short_of_memory(now, id);
        }
        let Some(output) = known.or_else(|| self.start_hls(now, path)) else {
            return self.respond(now, id, Response::text(503, "too many streams").with_cors());
        };
        let session = session.unwrap_or_else(|| self.next_random());
        let Some(hls) = self.outputs.hls(output) else { return };
        let ticket = id.0 as u64;
        let answer = hls.request(now, below, &request.query, ticket, session);
        let window = hls.viewing_window();
        if !matches!(answer, Answer::NotFound | Answer::BadRequest(_)) {
            let given = begins(below, &request.query).then_some(session);
            self.note_viewer(now, id, request, given, window);
        }
        match answer {
            Answer::Wait => {
                if let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) {
                    peer.waits_for = Some(output);
                }
            }
            answer => self.respond_hls(now, id, answer),
        }
        self.drain_outputs(now);
    }

    fn respond_hls(&mut self, now: Instant, id: ConnectionId, answer: Answer) {
        let response = match answer {
            Answer::Ready(ready) => {
                let response = Response::of_pieces(200, ready.content_type, ready.body);
                match ready.cache_max_age_s {
                    0 => response,
                    seconds => response.with_cache(Cache::Immutable(seconds)),
                }
            }
            Answer::Wait => return,
            Answer::NotFound => Response::text(404, "there is nothing here, or no longer"),
            Answer::BadRequest(reason) => Response::text(400, reason),
            Answer::Unavailable => Response::text(503, "not there yet; ask again"),
        };
        self.respond_shared(now, id, response.with_cors());
    }

    /// Nobody waits behind this connection any more.
    pub(super) fn forget_hls_wait(&mut self, id: ConnectionId) {
        let waits_for = self
            .connections
            .get_mut(id.0)
            .and_then(|connection| connection.http())
            .and_then(|peer| peer.waits_for.take());
        if let Some(hls) = waits_for.and_then(|output| self.outputs.hls(output)) {
            hls.forget(id.0 as u64);
        }
    }

    /// Fetches what the outputs have for others.
    pub(super) fn drain_outputs(&mut self, now: Instant) {
        let mut answers = Vec::new();
        self.outputs.drain(&mut answers);
        while let Some((stream, subscriber)) = self.outputs.poll_left() {
            self.hub.unsubscribe(stream, subscriber);
            self.forget_if_gone(stream);
        }
        for (output, ticket, answer) in answers {
            let id = ConnectionId(ticket as usize);
            let Some(peer) = self.connections.get_mut(id.0).and_then(|connection| connection.http()) else { continue };
            if peer.waits_for.take_if(|waits_for| *waits_for == output).is_some() {
                self.respond_hls(now, id, answer);
                self.schedule(id);
            }
        }
    }
}
