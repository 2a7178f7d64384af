//! What may differ between applications.
//!
//! Owns: the settings of one application, and what holds where nothing is set. Does not know which application it is.
//!
//! Each section of `[default]` in a configuration file can stand in `[app.NAME]` as well; what is left out there is as
//! in the default.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::access::AccessRules;
use super::hls::{HlsConfig, HlsMode};
use super::record::RecordConfig;

/// What may differ between applications.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct AppConfig {
    /// How players join that do not say it themselves.
    pub join: JoinMode,
    /// What happens to a second publisher.
    pub takeover: Takeover,
    /// Silence after which a publisher may be replaced.
    pub takeover_silence_ms: u64,
    /// Subscribers stay so long without their publisher.
    pub grace_ms: u64,
    /// Players of one stream at the same time; 0 is no limit.
    pub players_per_stream: usize,
    /// What one publisher may send into one stream, on the average of five seconds; 0 is no limit.
    pub stream_bytes_per_second: u64,
    /// Who may publish.
    pub publish: AccessRules,
    /// Who may play.
    pub play: AccessRules,
    /// What may wait to be sent to one player.
    pub queue: PlayerQueueLimits,
    /// What a stream remembers for those who join.
    pub cache: CacheLimits,
    /// How streams become HLS.
    pub hls: HlsConfig,
    /// Recordings.
    pub record: RecordConfig,
}

impl Default for AppConfig {
    fn default() -> Self {
        AppConfig {
            join: JoinMode::default(),
            takeover: Takeover::default(),
            takeover_silence_ms: 2_000,
            grace_ms: 10_000,
            players_per_stream: 0,
            stream_bytes_per_second: 0,
            publish: AccessRules::default(),
            play: AccessRules::default(),
            queue: PlayerQueueLimits::default(),
            cache: CacheLimits::default(),
            hls: HlsConfig::default(),
            record: RecordConfig::default(),
        }
    }
}

impl AppConfig {
    /// How much of a stream's past is worth remembering in whole groups of pictures, in milliseconds: HLS that begins
    /// when somebody asks begins with a whole segment, which may be a little shorter than is wanted.
    pub fn history_ms(&self) -> u64 {
        if self.hls.mode == HlsMode::OnDemand { self.hls.segment_ms * 19 / 20 } else { 0 }
    }
}

/// The keys of `own` in place of those of `default`; a section stays but for the keys that its namesake has.
pub(super) fn laid_over(default: &Table, own: &Table) -> Table {
    let mut laid = default.clone();
    for (key, value) in own {
        match (laid.get_mut(key), value) {
            (Some(Value::Table(section)), Value::Table(keys)) => {
                section.extend(keys.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            _ => {
                laid.insert(key.clone(), value.clone());
            }
        }
    }
    laid
}

/// A section of an application that has all of its streams recorded below `directory`.
pub(super) fn recording(directory: &str) -> Table {
    let directory = Value::String(directory.to_owned());
    let record = Table::from_iter([("auto".to_owned(), Value::Boolean(true)), ("directory".to_owned(), directory)]);
    Table::from_iter([("record".to_owned(), Value::Table(record))])
}

/// What may wait to be sent to one player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct PlayerQueueLimits {
    /// Above so many waiting bytes a player skips to the next key frame.
    pub bytes: usize,
    /// A player whose oldest waiting bytes are older than this skips to the next key frame.
    pub lag_ms: u32,
}

impl Default for PlayerQueueLimits {
    fn default() -> Self {
        PlayerQueueLimits { bytes: 32 * 1024 * 1024, lag_ms: 2_000 }
    }
}

/// How a player wants to join (`?join=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinMode {
    /// A clean picture at once, at the live edge.
    #[default]
    Edge,
    /// The present group of pictures with its true timestamps, each frame once. For recorders and relays.
    Gop,
    /// From the next key frame on.
    Key,
}

impl JoinMode {
    /// The mode that `edge`, `gop` or `key` names.
    pub fn parse(text: &str) -> Option<JoinMode> {
        match text {
            "edge" => Some(JoinMode::Edge),
            "gop" => Some(JoinMode::Gop),
            "key" => Some(JoinMode::Key),
            _ => None,
        }
    }
}

/// What happens when a name is published that is published already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Takeover {
    /// The newcomer is refused while the other one sends; one that fell silent gives way to the same identity.
    #[default]
    WhenSilent,
    /// The newcomer is always refused.
    Reject,
}

/// What a stream remembers for those who join.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct CacheLimits {
    /// Video frames that an instant join sends before the present group of pictures: as many as ffplay looks at
    /// before it knows the frame rate of an H.264 or HEVC stream.
    pub probe_frames: usize,
    /// Stream time that ffmpeg looks at before it plays a stream of one track.
    pub one_track_probe_ms: u64,
    /// Bytes of the video frames that an instant join sends before the present group of pictures.
    pub probe_bytes: usize,
    /// Frames of one group of pictures, audio included.
    pub gop_frames: usize,
    /// Bytes of the present group of pictures and of what is kept of earlier ones, together.
    pub gop_bytes: usize,
    /// Stream time of one group of pictures.
    pub gop_ms: u64,
    /// Metadata and headers.
    pub headers: usize,
    /// Bytes of metadata and headers together.
    pub header_bytes: usize,
    /// A stream without a video frame for so long of its own time plays its audio without waiting for one.
    pub video_absent_ms: u64,
}

impl Default for CacheLimits {
    fn default() -> Self {
        CacheLimits {
            probe_frames: 41,
            one_track_probe_ms: 5_000,
            probe_bytes: 4 * 1024 * 1024,
            gop_frames: 4096,
            gop_bytes: 16 * 1024 * 1024,
            gop_ms: 20_000,
            headers: 32,
            header_bytes: 1024 * 1024,
            video_absent_ms: 3_000,
        }
    }
}
