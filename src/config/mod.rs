//! Every default and limit, with its unit in its name.
//!
//! Owns: what the operator may set, in which range, and what holds where nothing is set. Does not know sockets, files
//! or protocol: [`parse`] takes the text of a configuration file, not its name.

mod access;
mod api;
mod app;
mod callbacks;
mod drain;
mod file;
mod hls;
mod ranges;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::access::{AccessLimits, AccessRules, Network, NetworkError, SigningSecret, StreamKey};
pub use self::api::ApiConfig;
pub use self::app::{AppConfig, CacheLimits, JoinMode, PlayerQueueLimits, Takeover};
pub use self::callbacks::{CallbackConfig, CallbackFormat, CallbackUrl, CallbackUrlError};
pub use self::drain::DrainConfig;
use self::file::joined;
pub use self::file::{FileError, parse, parse_recording, to_toml};
pub use self::hls::{HlsConfig, HlsFormat, HlsMode};
pub(crate) use self::ranges::parse_number;
pub use self::record::{PLACEHOLDERS, RecordConfig, RecordFormat};

/// All that the operator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Address to listen on.
    pub bind: IpAddr,
    /// RTMP port; 0 takes a free one.
    pub port: u16,
    /// HTTP port.
    pub http_port: HttpPort,
    /// What the engine needs to know.
    pub engine: EngineConfig,
}

impl Config {
    /// Where RTMP is listened for.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// Where HTTP is listened for.
    pub fn http_address(&self) -> Option<SocketAddr> {
        match self.http_port {
            HttpPort::Off => None,
            HttpPort::On(port) => Some(SocketAddr::new(self.bind, port)),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: DEFAULT_PORT,
            http_port: HttpPort::On(DEFAULT_HTTP_PORT),
            engine: EngineConfig::default(),
        }
    }
}

/// Whether HTTP is served, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpPort {
    /// It is not.
    Off,
    /// On this port; 0 takes a free one.
    On(u16),
}

/// Limits and times of one RTMP session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct SessionLimits {
    /// Longest message of an accepted publisher.
    pub message_bytes: usize,
    /// Longest message of any other peer (commands only).
    pub command_bytes: usize,
    /// Bytes that unfinished messages of one connection may hold together.
    pub partial_bytes: usize,
    /// Chunk streams that one connection may use.
    pub chunk_streams: usize,
    /// Message streams that one connection may have open.
    pub message_streams: usize,
    /// Bytes of answers that may wait in a session between two drains.
    pub answer_bytes: usize,
    /// From accept to the first publish or play.
    pub setup_timeout_ms: u64,
    /// A publisher that sends nothing for so long is closed.
    pub publisher_idle_timeout_ms: u64,
    /// Ping Request to a peer from which nothing came for so long. Never a reason to close a player.
    pub ping_interval_ms: u64,
    /// Acknowledgement after so many bytes received also where the peer asked for none, or for fewer of them.
    pub acknowledgement_bytes: u32,
    /// Least time between two acknowledgements that the peer did not ask for.
    pub acknowledgement_interval_ms: u64,
    /// Window Acknowledgement Size and Set Peer Bandwidth that clients are told.
    pub window_bytes: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits {
            message_bytes: 16 * 1024 * 1024 - 1,
            command_bytes: 64 * 1024,
            partial_bytes: 32 * 1024 * 1024,
            chunk_streams: 64,
            message_streams: 32,
            answer_bytes: 256 * 1024,
            setup_timeout_ms: 10_000,
            publisher_idle_timeout_ms: 30_000,
            ping_interval_ms: 30_000,
            acknowledgement_bytes: 2_500_000,
            acknowledgement_interval_ms: 3_000,
            window_bytes: 2_500_000,
        }
    }
}

/// What may wait to be sent to one connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct QueueLimits {
    /// Above so many bytes that are never dropped (answers, headers) a connection is closed.
    pub hard_bytes: usize,
    /// A peer that takes no byte for so long is closed.
    pub stall_timeout_ms: u64,
    /// How long a closing connection may take to read its last words.
    pub linger_ms: u64,
}

impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits { hard_bytes: 8 * 1024 * 1024, stall_timeout_ms: 10_000, linger_ms: 1_000 }
    }
}

/// Limits and times of one HTTP or WebSocket connection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct HttpLimits {
    /// Longest head of a request. Also how much may be sent ahead while a request waits for its answer.
    pub head_bytes: usize,
    /// Headers of one request.
    pub headers: usize,
    /// Longest body of a request.
    pub body_bytes: usize,
    /// From accept, or the first byte of a later request, to the end of its head.
    pub head_timeout_ms: u64,
    /// From the end of the head to the end of the body.
    pub body_timeout_ms: u64,
    /// Silence between two requests.
    pub idle_timeout_ms: u64,
    /// Longest WebSocket message of a peer.
    pub websocket_message_bytes: usize,
    /// A WebSocket peer that sent nothing for so long is sent a ping. It is closed where nothing comes within twice the
    /// time after that.
    pub websocket_ping_ms: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            head_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 64 * 1024,
            head_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 30_000,
            websocket_message_bytes: 4 * 1024,
            websocket_ping_ms: 20_000,
        }
    }
}

/// All that the engine needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Size of outgoing chunks, in bytes.
    pub chunk_size: usize,
    /// Live frames wait so long for others to be written with, in milliseconds; 0: not at all.
    pub batch_ms: u64,
    /// Connections at the same time.
    pub connections: usize,
    /// Streams that are published or waited for.
    pub streams: usize,
    /// Bytes of memory that queues, groups of pictures, unfinished messages, HLS, recordings and connections may take
    /// together; 0: no limit.
    pub memory_limit: usize,
    /// Limits of each session.
    pub session: SessionLimits,
    /// Limits of each HTTP connection.
    pub http: HttpLimits,
    /// Limits of each connection's queue.
    pub queue: QueueLimits,
    /// Limits of each address.
    pub access: AccessLimits,
    /// Programs that are asked and told.
    pub callbacks: CallbackConfig,
    /// How the server comes to its end.
    pub drain: DrainConfig,
    /// Whether the server publishes a clip of its own as `live/test`.
    pub test_stream: bool,
    /// The API for operators.
    pub api: ApiConfig,
    /// What holds for applications without a section of their own.
    pub app: AppConfig,
    /// What holds for single applications, whole, by name.
    pub apps: BTreeMap<String, AppConfig>,
}

impl EngineConfig {
    /// What holds for `app`.
    pub fn app(&self, app: &str) -> &AppConfig {
        self.apps.get(app).unwrap_or(&self.app)
    }

    /// Where recordings of any application are, each directory once.
    pub fn record_directories(&self) -> BTreeSet<&Path> {
        let apps = self.apps.values().chain([&self.app]);
        apps.map(|app| app.record.directory.as_path()).collect()
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            chunk_size: DEFAULT_CHUNK_SIZE,
            batch_ms: 0,
            connections: 100_000,
            streams: 10_000,
            memory_limit: 1024 * 1024 * 1024,
            session: SessionLimits::default(),
            http: HttpLimits::default(),
            queue: QueueLimits::default(),
            access: AccessLimits::default(),
            callbacks: CallbackConfig::default(),
            drain: DrainConfig::default(),
            test_stream: false,
            api: ApiConfig::default(),
            app: AppConfig::default(),
            apps: BTreeMap::new(),
        }
    }
}

/// The port that is registered for RTMP.
pub const DEFAULT_PORT: u16 = 1935;

/// The port that is usual for HTTP beside a main web server.
pub const DEFAULT_HTTP_PORT: u16 = 8080;

/// Size of outgoing chunks where nothing else is set, in bytes.
pub const DEFAULT_CHUNK_SIZE: usize = 65_536;
