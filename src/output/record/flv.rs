//! Recording as FLV.
//!
//! Owns: tags of frames, and the file's head and end. Does not know where the bytes go.

use bytes::{Bytes, BytesMut};

use super::headers::Headers;
use crate::container::flv::file::{MAX_BODY_LEN, mux_tag, tag_type};
use crate::container::flv::recording::Head;
use crate::container::flv::summary::{Extent, Summary};
use crate::container::flv::tag;
use crate::media::{Frame, FrameKind, FrameRole};

/// One FLV file.
#[derive(Debug)]
pub(super) struct FlvForm {
    head: Head,
    summary: Summary,
}

impl FlvForm {
    /// A new file, which begins with what is known of the stream.
    pub(super) fn begin(headers: &Headers, has_video: bool, out: &mut BytesMut) -> Self {
        let head = Head::new(headers.metadata());
        // Whether there is sound is known for certain at the end only.
        out.extend_from_slice(&head.encode(true, has_video));
        for header in headers.frames() {
            put_tag(out, &Frame { timestamp_ms: 0, ..header.clone() });
        }
        FlvForm { head, summary: Summary::default() }
    }

    /// `at`: bytes of the file before this frame.
    pub(super) fn push(&mut self, frame: &Frame, at: u64, out: &mut BytesMut) {
        if frame.payload.is_empty() || frame.payload.len() > MAX_BODY_LEN || frame.role == FrameRole::Metadata {
            return;
        }
        put_tag(out, frame);
        self.summary.note(frame.kind, frame.role, frame.timestamp_ms, at);
    }

    /// What to write over a file that ends at `end` and reaches as far as `extent`.
    pub(super) fn finish(&mut self, end: u64, extent: Extent) -> Vec<(u64, Bytes)> {
        self.summary.cut(end, extent);
        self.head.finish(&self.summary, end).into()
    }
}

fn put_tag(out: &mut BytesMut, frame: &Frame) {
    // A file that goes on for 49 days wraps, as the format does.
    let timestamp = frame.timestamp_ms as u32;
    match frame.kind {
        FrameKind::Audio => mux_tag(out, tag_type::AUDIO, timestamp, &frame.payload),
        FrameKind::Video => {
            let body = tag::with_composition_ms(&frame.payload, frame.composition_ms);
            mux_tag(out, tag_type::VIDEO, timestamp, &body);
        }
        FrameKind::Data => mux_tag(out, tag_type::SCRIPT, timestamp, &frame.payload),
    }
}
