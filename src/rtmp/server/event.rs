//! What a session tells its owner.

use bytes::Bytes;

use crate::rtmp::path::StreamPath;

/// What the client said of itself in `connect`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectInfo {
    /// `app` as sent, empty where absent.
    pub app: String,
    /// `tcUrl` as sent, quotes stripped.
    pub tc_url: Option<String>,
    /// `flashVer`.
    pub flash_ver: Option<String>,
    /// `swfUrl` as sent.
    pub swf_url: Option<String>,
    /// `pageUrl` as sent.
    pub page_url: Option<String>,
    /// `capsEx` (Enhanced RTMP v2), 0 where absent: bit 0 reconnect, 1 multitrack, 2 ModEx, 3 nanosecond offsets.
    pub caps_ex: u32,
    /// FourCCs of `fourCcList` and the info maps, as sent.
    pub four_ccs: Vec<String>,
}

/// How a publisher wants its stream kept (7.2.2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishKind {
    /// Not kept.
    Live,
    /// Kept in a new file.
    Record,
    /// Appended to a file.
    Append,
}

impl PublishKind {
    /// Reads the type argument of `publish` in any case; what is missing or unknown is live.
    pub(super) fn parse(text: Option<&str>) -> Self {
        match text {
            Some(text) if text.eq_ignore_ascii_case("record") => PublishKind::Record,
            Some(text) if text.eq_ignore_ascii_case("append") => PublishKind::Append,
            _ => PublishKind::Live,
        }
    }
}

/// What a peer does, for the owner of the session.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// `connect` came and was answered; or, after [`ask_before_connect`](super::ServerSession::ask_before_connect),
    /// is to be answered with [`accept_connect`](super::ServerSession::accept_connect) or
    /// [`reject_connect`](super::ServerSession::reject_connect).
    Connected(Box<ConnectInfo>),
    /// `publish`: answer with [`accept_publish`](super::ServerSession::accept_publish) or
    /// [`reject`](super::ServerSession::reject), unless [`Event::Ended`] comes first. Some encoders send their headers
    /// without waiting for the answer, so media may follow at once: it counts for nothing where the answer is no.
    Publish {
        /// Message stream.
        stream_id: u32,
        /// Canonical name.
        path: StreamPath,
        /// Live, record, append.
        kind: PublishKind,
    },
    /// `play` or `play2`: answer with [`accept_play`](super::ServerSession::accept_play) or
    /// [`reject`](super::ServerSession::reject), unless [`Event::Ended`] comes first.
    Play {
        /// Message stream.
        stream_id: u32,
        /// Canonical name.
        path: StreamPath,
    },
    /// An audio message of a publisher.
    Audio {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// FLV audio tag body; may be empty.
        payload: Bytes,
    },
    /// A video message of a publisher.
    Video {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// FLV video tag body; may be empty.
        payload: Bytes,
    },
    /// A data message of a publisher, `@setDataFrame` taken off, as AMF0 bytes from the handler name on.
    Data {
        /// Message stream.
        stream_id: u32,
        /// Milliseconds, wrapping at 2^32.
        timestamp: u32,
        /// AMF0 values as they arrived.
        payload: Bytes,
        /// Whether the handler is `onMetaData`.
        is_metadata: bool,
    },
    /// `@clearDataFrame` of a publisher for `onMetaData`.
    ClearMetadata {
        /// Message stream.
        stream_id: u32,
    },
    /// `pause` of a player; already answered.
    Pause {
        /// Message stream.
        stream_id: u32,
        /// `true`: wants nothing until unpaused.
        paused: bool,
    },
    /// `receiveAudio` of a player; already answered.
    ReceiveAudio {
        /// Message stream.
        stream_id: u32,
        /// Whether it wants audio.
        wanted: bool,
    },
    /// `receiveVideo` of a player; already answered.
    ReceiveVideo {
        /// Message stream.
        stream_id: u32,
        /// Whether it wants video.
        wanted: bool,
    },
    /// A clean end of what ran on this message stream: `FCUnpublish`, `closeStream`, `deleteStream`, or another
    /// `publish` or `play` on it. Already answered. A [`Event::Publish`] or [`Event::Play`] of this message stream
    /// that waits for an answer needs none any more.
    Ended {
        /// Message stream.
        stream_id: u32,
    },
}
