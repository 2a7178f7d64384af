//! What may be set about HLS.
//!
//! Owns: names, units and defaults. Does not know playlists.

use serde::{Deserialize, Serialize};

/// When frames are turned into HLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HlsMode {
    /// While somebody asks for it.
    #[default]
    OnDemand,
    /// As long as a stream is published.
    Always,
    /// Never.
    Off,
}

/// What segments are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HlsFormat {
    /// Fragmented MP4, with low latency where that is wanted.
    #[default]
    Fmp4,
    /// MPEG-TS, for old players. Never with low latency.
    Ts,
}

/// How streams become HLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a section")]
pub struct HlsConfig {
    /// When frames are turned into HLS.
    pub mode: HlsMode,
    /// What segments are written in.
    pub format: HlsFormat,
    /// Parts, blocking reloads and delta updates (RFC 8216bis); [`HlsFormat::Fmp4`] only.
    pub low_latency: bool,
    /// A segment ends at the first key frame at or after this.
    pub segment_ms: u64,
    /// Longest segment, key frame or not; what EXT-X-TARGETDURATION never exceeds. The default has room for x264's own
    /// 250 frames at 24 per second.
    pub max_segment_ms: u64,
    /// Part Target Duration. 334 ms hold a whole number of frames, with little to spare, at each usual frame rate.
    pub part_ms: u64,
    /// Segments in the playlist; more where those are shorter than three target durations.
    pub segments: usize,
    /// Segments that left the playlist can be had at least so long.
    pub removed_ms: u64,
    /// Bytes of all segments of one stream; the oldest go first, listed or not.
    pub window_bytes: usize,
    /// Requests of one stream that may wait for what does not exist yet.
    pub waiting_requests: usize,
    /// On demand: ends after so long without a request. Also how long a player is counted at most as a viewer without
    /// asking for anything.
    pub idle_timeout_ms: u64,
    /// Folder that playlists and segments are written to as well; empty: none.
    pub directory: String,
}

impl Default for HlsConfig {
    fn default() -> Self {
        HlsConfig {
            mode: HlsMode::OnDemand,
            format: HlsFormat::Fmp4,
            low_latency: true,
            segment_ms: 2_000,
            max_segment_ms: 12_000,
            part_ms: 334,
            segments: 7,
            removed_ms: 20_000,
            window_bytes: 128 * 1024 * 1024,
            waiting_requests: 65_536,
            idle_timeout_ms: 30_000,
            directory: String::new(),
        }
    }
}
