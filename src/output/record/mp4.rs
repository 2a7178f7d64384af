//! Recording as fragmented MP4.
//!
//! Owns: where fragments end, and what cannot go on in the same file. Does not know where the bytes go.

use bytes::BytesMut;

use super::headers::Headers;
use crate::container::fmp4::Muxer;
use crate::media::{Frame, FrameKind};

/// Stream time after which a fragment ends with the next picture.
const FRAGMENT_MS: u64 = 1_000;
/// Stream time after which it ends with whatever comes.
const LATE_FRAGMENT_MS: u64 = 2_000;
/// Bytes after which it does.
const FRAGMENT_BYTES: usize = 8 * 1024 * 1024;

/// One MP4 file.
#[derive(Debug)]
pub(super) struct Mp4Form {
    muxer: Muxer,
    /// The init segment is written: from here on tracks stay as they are.
    has_begun: bool,
    /// Kinds whose track is not what the file began with.
    no_audio: bool,
    no_video: bool,
    /// Timestamp of the first frame that no fragment has.
    pending_since_ms: Option<u64>,
    pending_bytes: usize,
    has_pending_audio: bool,
    has_pending_video: bool,
}

impl Mp4Form {
    /// A new file. It is empty until its first fragment, when all tracks are known.
    pub(super) fn begin(headers: &Headers) -> Self {
        let mut muxer = Muxer::new();
        headers.frames().for_each(|header| muxer.push(header));
        Mp4Form {
            muxer,
            has_begun: false,
            no_audio: false,
            no_video: false,
            pending_since_ms: None,
            pending_bytes: 0,
            has_pending_audio: false,
            has_pending_video: false,
        }
    }

    /// Whether some of the stream can only go on in another file.
    pub(super) fn wants_split(&self) -> bool {
        self.no_audio || self.no_video
    }

    /// Takes a frame, and writes the fragment that ends before it.
    pub(super) fn push(&mut self, frame: &Frame, out: &mut BytesMut) {
        if self.is_blocked(frame) {
            return;
        }
        let now_ms = frame.timestamp_ms;
        let pending_ms = self.pending_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        let is_video = frame.kind == FrameKind::Video && frame.is_coded();
        let is_place = is_video || !self.muxer.has_video();
        let is_due = frame.is_video_key() || pending_ms >= FRAGMENT_MS;
        let is_late = pending_ms >= LATE_FRAGMENT_MS || self.pending_bytes >= FRAGMENT_BYTES;
        if (is_place && is_due) || is_late {
            self.cut(is_video.then_some(now_ms), out);
        }
        self.muxer.push(frame);
        self.pending_bytes = self.pending_bytes.saturating_add(frame.payload.len());
        if frame.is_coded() && self.muxer.has_samples() {
            self.pending_since_ms.get_or_insert(now_ms);
            self.has_pending_audio |= frame.kind == FrameKind::Audio;
            self.has_pending_video |= frame.kind == FrameKind::Video;
        }
    }

    /// No frame follows.
    pub(super) fn end(&mut self, out: &mut BytesMut) {
        self.cut(None, out);
    }

    fn is_blocked(&mut self, frame: &Frame) -> bool {
        let has_pending = match frame.kind {
            FrameKind::Video => self.has_pending_video,
            _ => self.has_pending_audio,
        };
        // What is pending was made for the track as it is, and would be lost with it.
        let is_change = (self.has_begun || has_pending) && self.muxer.changes_tracks(frame);
        match frame.kind {
            FrameKind::Audio => {
                self.no_audio |= is_change;
                self.no_audio
            }
            FrameKind::Video => {
                self.no_video |= is_change;
                self.no_video
            }
            FrameKind::Data => true,
        }
    }

    fn cut(&mut self, next_ms: Option<u64>, out: &mut BytesMut) {
        self.pending_since_ms = None;
        self.pending_bytes = 0;
        self.has_pending_audio = false;
        self.has_pending_video = false;
        let Some(fragment) = self.muxer.cut(next_ms) else { return };
        if !self.has_begun {
            let Some(init) = self.muxer.init_segment() else { return };
            out.extend_from_slice(&init);
            self.has_begun = true;
        }
        out.extend_from_slice(&fragment.bytes);
    }
}
