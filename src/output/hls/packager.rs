//! Frames to the bytes of a segment.
//!
//! Owns: the one difference between the formats. Does not know where segments end.

use bytes::{Bytes, BytesMut};

use crate::config::HlsFormat;
use crate::container::{fmp4, mpegts};
use crate::media::Frame;

/// A muxer of either format.
#[derive(Debug)]
pub(super) struct Packager {
    /// Writes fragmented MP4; where the format is MPEG-TS it only sees the headers, and tells what they say.
    fmp4: fmp4::Muxer,
    ts: Option<Ts>,
}

#[derive(Debug, Default)]
struct Ts {
    muxer: mpegts::Muxer,
    bytes: BytesMut,
}

impl Packager {
    pub(super) fn new(format: HlsFormat) -> Packager {
        Packager { fmp4: fmp4::Muxer::new(), ts: (format == HlsFormat::Ts).then(Ts::default) }
    }

    /// Whether `frame` is a header that the present initialization segment does not go with.
    pub(super) fn changes_tracks(&self, frame: &Frame) -> bool {
        self.fmp4.changes_tracks(frame)
    }

    /// The next frame, or a header.
    pub(super) fn push(&mut self, frame: &Frame) {
        match &mut self.ts {
            Some(ts) => {
                ts.muxer.push(frame, &mut ts.bytes);
                if !frame.is_coded() {
                    self.fmp4.push(frame);
                }
            }
            None => self.fmp4.push(frame),
        }
    }

    /// Takes only what `frame` tells about its track: some codecs have no headers, or headers that do not tell all. To
    /// be called when nothing is pending.
    pub(super) fn learn(&mut self, frame: &Frame) {
        if frame.is_coded() {
            self.fmp4.push(frame);
            self.fmp4.cut(None);
        } else {
            self.push(frame);
        }
    }

    /// A segment begins. `discontinuity`: it has nothing to do with what was before it.
    pub(super) fn begin_segment(&mut self, discontinuity: bool) {
        let Some(ts) = &mut self.ts else { return };
        if discontinuity {
            ts.muxer.discontinuity();
        } else {
            ts.muxer.begin();
        }
    }

    /// The bytes of what was pushed since the last time. `next_ms`: decoding time of the next picture, where it is
    /// known.
    pub(super) fn cut(&mut self, next_ms: Option<u64>) -> Option<Bytes> {
        match &mut self.ts {
            Some(ts) => (!ts.bytes.is_empty()).then(|| std::mem::take(&mut ts.bytes).freeze()),
            None => self.fmp4.cut(next_ms).map(|fragment| fragment.bytes),
        }
    }

    /// What players need before the first segment; nothing for MPEG-TS.
    pub(super) fn init_segment(&self) -> Option<Bytes> {
        if self.ts.is_some() { None } else { self.fmp4.init_segment() }
    }

    /// The CODECS attribute (RFC 6381).
    pub(super) fn codecs(&self) -> Option<String> {
        self.fmp4.codecs()
    }

    /// Width and height in pixels.
    pub(super) fn dimensions(&self) -> Option<(u16, u16)> {
        self.fmp4.dimensions()
    }

    pub(super) fn has_video(&self) -> bool {
        self.fmp4.has_video()
    }

    pub(super) fn has_audio(&self) -> bool {
        self.fmp4.has_audio()
    }
}
