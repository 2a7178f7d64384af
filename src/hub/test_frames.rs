//! Small frames for the hub's tests.

use bytes::Bytes;

use crate::media::{Frame, FrameKind, FrameRole, HeaderKind, TrackSet};

fn frame(kind: FrameKind, role: FrameRole, timestamp_ms: u64, payload: &'static [u8]) -> Frame {
    Frame {
        kind,
        role,
        tracks: TrackSet::DEFAULT,
        timestamp_ms,
        composition_ms: 0,
        payload: Bytes::from_static(payload),
    }
}

pub(super) fn key(timestamp_ms: u64) -> Frame {
    frame(FrameKind::Video, FrameRole::Key, timestamp_ms, b"K")
}

pub(super) fn delta(timestamp_ms: u64) -> Frame {
    frame(FrameKind::Video, FrameRole::Delta, timestamp_ms, b"P")
}

pub(super) fn audio(timestamp_ms: u64) -> Frame {
    frame(FrameKind::Audio, FrameRole::Key, timestamp_ms, b"A")
}

pub(super) fn header(kind: FrameKind, payload: &'static [u8]) -> Frame {
    frame(kind, FrameRole::Header(HeaderKind::Sequence), 0, payload)
}

pub(super) fn metadata(payload: &'static [u8]) -> Frame {
    frame(FrameKind::Data, FrameRole::Metadata, 0, payload)
}

pub(super) fn with_composition(frame: Frame, composition_ms: i32) -> Frame {
    Frame { composition_ms, ..frame }
}
