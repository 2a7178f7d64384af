//! Those who began, and their ends.
//!
//! Owns: that each one who began is told to have ended once. Does not know why they end: whatever takes an attachment
//! off a connection comes through here.

use std::sync::Arc;
use std::time::Instant;

use super::ClientInfo;
use super::posts::Owner;
use crate::callback::{self, Event, Traffic};
use crate::config::EngineConfig;
use crate::engine::connection::Role;
use crate::engine::outputs::Recorded;
use crate::engine::{ConnectionId, Engine};
use crate::rtmp::path::StreamPath;

/// One who publishes or plays.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) info: Arc<ClientInfo>,
    is_publisher: bool,
    at: Instant,
    /// What the connection had counted when it began.
    bytes: (u64, u64),
    /// What was set when it began: its end is told to the same program.
    config: Arc<EngineConfig>,
}

impl Engine {
    /// `path` begins on a message stream: its end is told.
    pub(in crate::engine) fn note_start(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message_stream: u32,
        path: &StreamPath,
        role: Role,
    ) {
        let callbacks = &self.config.callbacks;
        let is_publisher = role == Role::Publisher;
        let is_wanted = match is_publisher {
            // The end of its recording is told with its name.
            true => callbacks.on_unpublish.is_set() || callbacks.on_record_done.is_set(),
            false => callbacks.on_stop.is_set(),
        };
        if is_wanted {
            let started = self.started(now, id, path, is_publisher);
            self.callbacks.started.insert((id, message_stream), started);
        }
    }

    pub(super) fn started(&self, now: Instant, id: ConnectionId, path: &StreamPath, is_publisher: bool) -> Started {
        let bytes = self.connections.get(id.0).map_or((0, 0), |connection| (connection.bytes_in, connection.bytes_out));
        let info = Arc::new(self.client_info(id, path));
        Started { info, is_publisher, at: now, bytes, config: Arc::clone(&self.config) }
    }

    /// What ran on a message stream ends.
    pub(in crate::engine) fn note_end(&mut self, now: Instant, id: ConnectionId, message_stream: u32) {
        let Some(started) = self.callbacks.started.remove(&(id, message_stream)) else { return };
        let (bytes_in, bytes_out) =
            self.connections.get(id.0).map_or((0, 0), |connection| (connection.bytes_in, connection.bytes_out));
        let (before_in, before_out) = started.bytes;
        self.tell_end(now, now, &started, bytes_in.saturating_sub(before_in), bytes_out.saturating_sub(before_out));
    }

    pub(super) fn tell_end(&mut self, now: Instant, ended: Instant, started: &Started, bytes_in: u64, bytes_out: u64) {
        let duration_ms = ended.saturating_duration_since(started.at).as_millis() as u64;
        let traffic = Traffic { duration_ms, bytes_in, bytes_out };
        let event = if started.is_publisher { Event::Unpublish(traffic) } else { Event::Stop(traffic) };
        self.tell(now, &started.config, &event, &started.info);
    }

    /// Tells a program, where one wants to know.
    fn tell(&mut self, now: Instant, config: &EngineConfig, event: &Event<'_>, info: &ClientInfo) {
        let Some(request) = callback::request(&config.callbacks, event, &info.view()) else { return };
        let posts = &mut self.callbacks.posts;
        match posts.push(&self.config.callbacks, Owner::Told(event.name()), request) {
            Ok(_) => self.post(now),
            Err(full) => posts.complain(now, event.name(), &full.to_string()),
        }
    }

    /// Who publishes `path` now is who its recording is of.
    pub(in crate::engine) fn note_recording(&mut self, path: &StreamPath) {
        if !self.config.callbacks.on_record_done.is_set() {
            return;
        }
        let name = crate::engine::hub_name(path);
        let Some(recorder) = self.outputs.recorder_of(&name) else { return };
        let publisher = self.hub.find(&name).and_then(|stream| self.hub.publisher(stream));
        let place = publisher.map(|publisher| crate::engine::from_hub_id(publisher.0));
        let started = place.and_then(|place| self.callbacks.started.get(&place));
        let info = match started {
            Some(started) => Arc::clone(&started.info),
            None => Arc::new(ClientInfo::nobody(path)),
        };
        self.outputs.set_client(recorder, info);
    }

    /// Files of recordings are whole.
    pub(in crate::engine) fn tell_recorded(&mut self, now: Instant) {
        while let Some(Recorded { client, path, bytes, duration_ms }) = self.outputs.poll_recorded() {
            let config = Arc::clone(&self.config);
            let path = path.to_string_lossy();
            self.tell(now, &config, &Event::RecordDone { path: &path, bytes, duration_ms }, &client);
        }
    }
}
