//! Endless streams: FLV, MPEG-TS and fragmented MP4, as HTTP responses and WebSocket messages carry them.
//!
//! Owns: the bytes of a frame in each of these forms, made once for all who watch, and what one who joins is sent
//! first. Does not know who watches, nor how a response is framed.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::container::flv::file::{mux_file_header, mux_tag, tag_type};
use crate::container::flv::tag;
use crate::container::fmp4;
use crate::container::mpegts;
use crate::hub::StreamId;
use crate::ledger::{Ledger, Purpose};
use crate::media::{Frame, FrameKind, FrameRole};

/// In which form a stream is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// FLV.
    Flv,
    /// MPEG transport stream.
    Ts,
    /// Fragmented MP4.
    Mp4,
}

impl Form {
    /// MIME type, without parameters.
    pub const fn content_type(self) -> &'static str {
        match self {
            Form::Flv => "video/x-flv",
            Form::Ts => "video/mp2t",
            Form::Mp4 => "video/mp4",
        }
    }
}

/// The muxers of all streams that somebody watches over HTTP, and the newest frame in each form that was asked for.
#[derive(Debug, Default)]
pub struct LiveForms {
    muxers: HashMap<(StreamId, Form), Muxer>,
    ledger: Ledger,
    flv: Option<Bytes>,
    ts: Option<Bytes>,
    mp4: Option<Bytes>,
}

/// One muxer, kept while somebody watches.
#[derive(Debug)]
struct Muxer {
    kind: MuxerKind,
    viewers: usize,
}

#[derive(Debug)]
enum MuxerKind {
    /// FLV needs to remember nothing.
    Flv,
    Ts(Box<mpegts::Muxer>),
    Mp4(Box<LiveMp4>),
}

impl LiveForms {
    /// Nobody watches. What is made is counted in `ledger`.
    pub fn new(ledger: Ledger) -> Self {
        LiveForms { ledger, ..LiveForms::default() }
    }

    /// Another frame comes, of whichever stream.
    pub fn begin_frame(&mut self) {
        self.flv = None;
        self.ts = None;
        self.mp4 = None;
    }

    /// Everybody has the frame: nothing of it is kept here.
    pub fn end_frame(&mut self) {
        self.begin_frame();
    }

    /// `frame` of `stream` in one form, made at the first call after [`LiveForms::begin_frame`]. `None`: this form has
    /// nothing to say of it.
    pub fn unit(&mut self, stream: StreamId, form: Form, frame: &Frame) -> Option<Bytes> {
        let made = match form {
            Form::Flv => &mut self.flv,
            Form::Ts => &mut self.ts,
            Form::Mp4 => &mut self.mp4,
        };
        let bytes = match made {
            Some(bytes) => bytes,
            None => {
                let unit = self.muxers.get_mut(&(stream, form))?.push(frame);
                made.insert(self.ledger.hold(Purpose::Sending, unit))
            }
        };
        (!bytes.is_empty()).then(|| bytes.clone())
    }

    /// One more watches: the bytes to begin with. `frames` are headers and pictures as the hub gives them to one who
    /// joins.
    pub fn join(&mut self, stream: StreamId, form: Form, frames: &[Frame]) -> Bytes {
        let muxer = self.muxers.entry((stream, form)).or_insert_with(|| Muxer::new(form, frames));
        muxer.viewers += 1;
        self.ledger.hold(Purpose::Sending, muxer.joined(frames))
    }

    /// One less watches.
    pub fn leave(&mut self, stream: StreamId, form: Form) {
        if let Some(muxer) = self.muxers.get_mut(&(stream, form)) {
            muxer.viewers = muxer.viewers.saturating_sub(1);
            if muxer.viewers == 0 {
                self.muxers.remove(&(stream, form));
            }
        }
    }

    /// MIME type of `stream` in one form; for fragmented MP4 with the codecs inside (RFC 6381), where they are known.
    pub fn mime_type(&self, stream: StreamId, form: Form) -> String {
        let codecs = match self.muxers.get(&(stream, form)).map(|muxer| &muxer.kind) {
            Some(MuxerKind::Mp4(live)) => live.muxer.codecs(),
            _ => None,
        };
        match codecs {
            Some(codecs) => format!("{}; codecs=\"{codecs}\"", form.content_type()),
            None => form.content_type().to_owned(),
        }
    }
}

impl Muxer {
    fn new(form: Form, frames: &[Frame]) -> Muxer {
        let kind = match form {
            Form::Flv => MuxerKind::Flv,
            Form::Ts => {
                let mut muxer = Box::new(mpegts::Muxer::new());
                learn(frames, |frame| muxer.push(frame, &mut BytesMut::new()));
                MuxerKind::Ts(muxer)
            }
            Form::Mp4 => {
                let mut live = Box::new(LiveMp4::default());
                learn(frames, |frame| live.muxer.push(frame));
                live.muxer.cut(None);
                live.init_is_due = live.muxer.init_segment().is_none();
                MuxerKind::Mp4(live)
            }
        };
        Muxer { kind, viewers: 0 }
    }

    fn push(&mut self, frame: &Frame) -> Bytes {
        match &mut self.kind {
            MuxerKind::Flv => {
                let mut out = BytesMut::new();
                mux_flv(frame, &mut out);
                out.freeze()
            }
            MuxerKind::Ts(muxer) => {
                let mut out = BytesMut::new();
                muxer.push(frame, &mut out);
                out.freeze()
            }
            MuxerKind::Mp4(live) => live.push(frame),
        }
    }

    fn joined(&self, frames: &[Frame]) -> Bytes {
        match &self.kind {
            MuxerKind::Flv => flv_joined(frames),
            MuxerKind::Ts(muxer) => {
                let mut out = BytesMut::new();
                muxer.joined(frames, &mut out);
                out.freeze()
            }
            MuxerKind::Mp4(live) => live.muxer.joined(frames),
        }
    }
}

/// Shows a new muxer what it has to know of the tracks: the headers, and one frame of each kind, for codecs that have
/// no header.
fn learn(frames: &[Frame], mut push: impl FnMut(&Frame)) {
    let first = |kind| frames.iter().find(move |frame| frame.kind == kind && frame.is_coded());
    let headers = frames.iter().filter(|frame| matches!(frame.role, FrameRole::Header(_)));
    for frame in headers.chain(first(FrameKind::Video)).chain(first(FrameKind::Audio)) {
        push(frame);
    }
}

/// Fragmented MP4, one fragment for each frame.
#[derive(Debug, Default)]
struct LiveMp4 {
    muxer: fmp4::Muxer,
    /// The tracks are others than those that viewers know: the next fragment has an init segment before it.
    init_is_due: bool,
}

impl LiveMp4 {
    fn push(&mut self, frame: &Frame) -> Bytes {
        self.init_is_due |= self.muxer.changes_tracks(frame);
        self.muxer.push(frame);
        let Some(fragment) = self.muxer.cut(None) else { return Bytes::new() };
        if !self.init_is_due || !fragment.starts_with_key {
            return fragment.bytes;
        }
        let Some(init) = self.muxer.init_segment() else { return fragment.bytes };
        self.init_is_due = false;
        let mut out = BytesMut::with_capacity(init.len() + fragment.bytes.len());
        out.extend_from_slice(&init);
        out.extend_from_slice(&fragment.bytes);
        out.freeze()
    }
}

fn flv_joined(frames: &[Frame]) -> Bytes {
    let mut out = BytesMut::new();
    let has = |kind| frames.iter().any(|frame| frame.kind == kind);
    let (audio, video) = (has(FrameKind::Audio), has(FrameKind::Video));
    // Where nothing came yet, anything may.
    let unknown = !audio && !video;
    mux_file_header(&mut out, audio || unknown, video || unknown);
    for frame in frames {
        mux_flv(frame, &mut out);
    }
    out.freeze()
}

/// The tag of a frame. Metadata stands at 0, wherever the stream is: ffmpeg makes a track of it otherwise.
pub fn mux_flv(frame: &Frame, out: &mut BytesMut) {
    let (tag_type, timestamp) = match (frame.kind, frame.role) {
        (FrameKind::Audio, _) => (tag_type::AUDIO, frame.timestamp_ms as u32),
        (FrameKind::Video, _) => (tag_type::VIDEO, frame.timestamp_ms as u32),
        (FrameKind::Data, FrameRole::Metadata) => (tag_type::SCRIPT, 0),
        (FrameKind::Data, _) => (tag_type::SCRIPT, frame.timestamp_ms as u32),
    };
    let body = match frame.kind {
        FrameKind::Video if frame.is_coded() => tag::with_composition_ms(&frame.payload, frame.composition_ms),
        _ => frame.payload.clone(),
    };
    mux_tag(out, tag_type, timestamp, &body);
}
