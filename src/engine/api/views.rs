//! The API's answers as values.
//!
//! Owns: names and units of their fields. Does not know paths or statuses.

use std::collections::HashMap;
use std::time::Instant;

use serde::Serialize;

use crate::engine::connection::{Role, Session};
use crate::engine::fanout::from_hub_id;
use crate::engine::stats::SessionRecord;
use crate::engine::viewers::Viewer;
use crate::engine::{Connection, ConnectionId, Engine};
use crate::hub::StreamId;
use crate::output::monitor::{AudioInfo, VideoInfo, Warning};

#[derive(Debug, Serialize)]
pub(super) struct ServerView {
    version: &'static str,
    uptime_s: u64,
    connections: usize,
    streams: usize,
    players: u64,
    bytes_in: u64,
    bytes_out: u64,
    memory_bytes: Option<u64>,
    memory_used_bytes: usize,
    memory_limit_bytes: usize,
    is_draining: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtmp_port: Option<u16>,
}

#[derive(Debug, Serialize)]
pub(super) struct StreamView {
    name: String,
    app: String,
    stream: String,
    is_published: bool,
    publisher: Option<PublisherView>,
    video: Option<VideoView>,
    audio: Option<AudioView>,
    players: PlayersView,
    bytes_in: u64,
    bytes_out: u64,
    messages_in: u64,
    dropped_messages: u64,
    lag_ms: u32,
    anomalies: u64,
    delay_us: Option<DelayView>,
    is_recording: bool,
    warnings: Vec<WarningView>,
}

#[derive(Debug, Serialize)]
struct PublisherView {
    client_id: String,
    peer: String,
    since_s: u64,
}

#[derive(Debug, Serialize)]
struct VideoView {
    codec: &'static str,
    width: Option<u16>,
    height: Option<u16>,
    frame_rate: Option<f64>,
    bitrate_bps: u64,
    gop_ms: Option<u32>,
}

impl From<VideoInfo> for VideoView {
    fn from(info: VideoInfo) -> Self {
        VideoView {
            codec: info.codec.name(),
            width: info.dimensions.map(|(width, _)| width),
            height: info.dimensions.map(|(_, height)| height),
            frame_rate: info.frame_rate.map(|rate| (rate * 1000.0).round() / 1000.0),
            bitrate_bps: info.bitrate_bps,
            gop_ms: info.gop_ms,
        }
    }
}

#[derive(Debug, Serialize)]
struct AudioView {
    codec: &'static str,
    sample_rate: Option<u32>,
    channels: Option<u8>,
    bitrate_bps: u64,
}

impl From<AudioInfo> for AudioView {
    fn from(info: AudioInfo) -> Self {
        let AudioInfo { codec, sample_rate, channels, bitrate_bps } = info;
        AudioView { codec: codec.name(), sample_rate, channels, bitrate_bps }
    }
}

#[derive(Debug, Default, Serialize)]
struct PlayersView {
    rtmp: u32,
    flv: u32,
    ts: u32,
    mp4: u32,
    hls: usize,
}

#[derive(Debug, Serialize)]
struct DelayView {
    p50: u64,
    p99: u64,
}

#[derive(Debug, Serialize)]
struct WarningView {
    kind: &'static str,
    text: String,
}

impl From<&Warning> for WarningView {
    fn from(warning: &Warning) -> Self {
        WarningView { kind: warning.kind.name(), text: warning.text.clone() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ClientView<'a> {
    id: String,
    protocol: &'static str,
    peer: String,
    role: &'static str,
    stream: Option<&'a str>,
    since_s: u64,
    bytes_in: u64,
    bytes_out: u64,
    queued_bytes: usize,
    lag_ms: u32,
    dropped_messages: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct SessionView<'a> {
    peer: String,
    protocol: &'static str,
    role: &'static str,
    stream: Option<&'a str>,
    began_unix_ms: u64,
    duration_s: f64,
    bytes_in: u64,
    bytes_out: u64,
    dropped_messages: u64,
    reason: &'a str,
}

/// A session that ended.
pub(super) fn session(record: &SessionRecord) -> SessionView<'_> {
    SessionView {
        peer: record.peer.to_string(),
        protocol: record.protocol,
        role: record.role,
        stream: record.stream.as_deref(),
        began_unix_ms: record.began_unix_ms,
        duration_s: (record.duration.as_secs_f64() * 1000.0).round() / 1000.0,
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        dropped_messages: record.dropped,
        reason: &record.reason,
    }
}

/// A player over HLS: what waits for it, waits on connections of its own.
pub(super) fn viewer<'a>(now: Instant, stream: &'a str, viewer: &Viewer) -> ClientView<'a> {
    ClientView {
        id: viewer.id(),
        protocol: "hls",
        peer: viewer.peer.to_string(),
        role: "player",
        stream: Some(stream),
        since_s: now.saturating_duration_since(viewer.began).as_secs(),
        bytes_in: viewer.bytes_in,
        bytes_out: viewer.bytes_out,
        queued_bytes: 0,
        lag_ms: 0,
        dropped_messages: 0,
    }
}

fn client_id(id: ConnectionId, connection: &Connection) -> String {
    format!("{}-{}", id.0, connection.serial)
}

impl Engine {
    pub(super) fn server_view(&self, now: Instant) -> ServerView {
        let players = self.hub.streams().map(|(id, name)| {
            let players = self.stats.players(id);
            u64::from(players.rtmp + players.flv + players.ts + players.mp4) + self.viewers.count(name) as u64
        });
        ServerView {
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.stats.uptime(now).as_secs(),
            connections: self.connections.len(),
            streams: self.published_count(),
            players: players.sum(),
            bytes_in: self.stats.bytes_in,
            bytes_out: self.stats.bytes_out,
            memory_bytes: self.stats.memory_bytes,
            memory_used_bytes: self.memory_used(),
            memory_limit_bytes: self.config.memory_limit,
            is_draining: self.is_draining(),
            rtmp_port: self.stats.rtmp_port,
        }
    }

    /// `lags`: see [`Engine::lags_ms`].
    pub(super) fn stream_view(&mut self, now: Instant, id: StreamId, lags: &HashMap<StreamId, u32>) -> StreamView {
        let name = self.hub.name(id).to_owned();
        let (app, stream) = name.rsplit_once('/').unwrap_or_default();
        let (app, stream) = (app.to_owned(), stream.to_owned());
        let delay_us = self.stats.delay_us(now, id).map(|(p50, p99)| DelayView { p50, p99 });
        let hls = self.viewers.count(&name);
        let counted = self.stats.stream(id);
        let published_at = counted.as_ref().and_then(|counted| counted.published_at);
        let mut view = StreamView {
            app,
            stream,
            is_published: false,
            publisher: None,
            video: None,
            audio: None,
            players: PlayersView { hls, ..PlayersView::default() },
            bytes_in: 0,
            bytes_out: 0,
            messages_in: 0,
            dropped_messages: 0,
            lag_ms: lags.get(&id).copied().unwrap_or_default(),
            anomalies: self.hub.anomalies(id),
            delay_us,
            is_recording: self.outputs.recorder_of(&name).is_some(),
            warnings: Vec::new(),
            name,
        };
        if let Some(counted) = counted {
            view.bytes_in = counted.bytes_in;
            view.bytes_out = counted.bytes_out;
            view.messages_in = counted.messages_in;
            view.dropped_messages = counted.dropped;
            let players = counted.players;
            view.players = PlayersView { rtmp: players.rtmp, flv: players.flv, ts: players.ts, mp4: players.mp4, hls };
            if let Some(monitor) = counted.monitor.as_ref().filter(|_| self.hub.publisher(id).is_some()) {
                view.video = monitor.video(now).map(VideoView::from);
                view.audio = monitor.audio(now).map(AudioView::from);
                view.warnings = monitor.warnings().iter().map(WarningView::from).collect();
            }
        }
        if let Some(publisher) = self.hub.publisher(id) {
            view.is_published = true;
            let (publisher, _) = from_hub_id(publisher.0);
            view.publisher = self.connections.get(publisher.0).map(|connection| PublisherView {
                client_id: client_id(publisher, connection),
                peer: connection.peer.to_string(),
                since_s: published_at.map_or(0, |at| now.saturating_duration_since(at).as_secs()),
            });
        }
        view
    }

    /// What a connection publishes or plays.
    pub(super) fn stream_of<'a>(&'a self, connection: &'a Connection) -> Option<&'a str> {
        match (connection.attachments.first(), &connection.session) {
            (Some(attachment), _) => Some(self.hub.name(attachment.stream)),
            (None, Session::Http(peer)) => peer.hls.as_ref().map(|seat| &*seat.name),
            (None, Session::Rtmp(_)) => None,
        }
    }

    pub(super) fn client_view<'a>(
        &'a self,
        now: Instant,
        id: ConnectionId,
        connection: &'a Connection,
    ) -> ClientView<'a> {
        let stream = self.stream_of(connection);
        let is_publisher = connection.attachments.iter().any(|attachment| attachment.role == Role::Publisher);
        let role = match connection.attachments.is_empty() {
            _ if is_publisher => "publisher",
            // One that asks for HLS does so for a player that stands in the list itself.
            true => "none",
            false => "player",
        };
        ClientView {
            id: client_id(id, connection),
            protocol: connection.protocol_name(),
            peer: connection.peer.to_string(),
            role,
            stream,
            since_s: now.saturating_duration_since(connection.opened_at).as_secs(),
            bytes_in: connection.bytes_in,
            bytes_out: connection.bytes_out,
            queued_bytes: connection.queue.len(),
            lag_ms: connection.queue.lag_ms(self.now_ms(now)),
            dropped_messages: connection.dropped,
        }
    }
}
