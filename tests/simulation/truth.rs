//! What was published: the ground against which every player's view is checked.
//!
//! Bodies are such that muxers can read them: H.264 parameter sets, one NAL unit for each picture, AAC-LC. Each has a
//! mark inside by which it is known again, in whichever container it arrives.

use crate::support::media::Body;

/// Bytes of a mark: what it begins with, kind, stream, session, number.
pub const MARK_BYTES: usize = 14;
const MARK_BEGIN: [u8; 3] = [0xF5, 0x4D, 0x4B];
const KINDS: [Body; 5] = [Body::VideoHeader, Body::AudioHeader, Body::Key, Body::Delta, Body::Audio];
/// Baseline profile, 64x64.
const AVC_RECORD: &[u8] = b"\x01\x42\xC0\x1E\xFF\xE1\0\x07\x67\x42\xC0\x1E\xDA\x10\x99\x01\0\x04\x68\xCE\x3C\x80";
const AAC_CONFIG: &[u8] = b"\x12\x10";
/// Length of a NAL unit, and its type.
const NAL_HEAD_BYTES: usize = 5;

/// A frame as its publisher sent it.
#[derive(Debug, Clone, Copy)]
pub struct SentFrame {
    pub kind: Body,
    /// The publisher's clock.
    pub raw: u32,
    /// Number of the header of its kind that was in force; a header's own number otherwise.
    pub header: Option<u32>,
    pub body_len: usize,
}

/// What one publisher sent between being granted a stream and losing it.
#[derive(Debug, Default)]
pub struct Session {
    pub stream: u8,
    pub frames: Vec<SentFrame>,
    /// How many of them the engine has had.
    pub arrived: usize,
    /// Whether its clock never jumps: then all its timestamps are moved by one and the same offset.
    pub has_steady_clock: bool,
    pub offset: Option<u32>,
    video_header: Option<u32>,
    audio_header: Option<u32>,
}

impl Session {
    /// Number of the next frame that `wanted` holds for, from `from` on.
    pub fn find(&self, from: usize, wanted: impl Fn(Body) -> bool) -> Option<u32> {
        let found = self.frames.iter().skip(from).position(|frame| wanted(frame.kind));
        found.map(|index| (from + index) as u32)
    }

    /// Number of the last frame that `wanted` holds for and that has arrived.
    pub fn last_arrived(&self, wanted: impl Fn(Body) -> bool) -> Option<u32> {
        let arrived = self.frames.get(..self.arrived)?;
        arrived.iter().rposition(|frame| wanted(frame.kind)).map(|index| index as u32)
    }
}

/// All sessions, in the order in which they were granted.
#[derive(Debug, Default)]
pub struct Truth {
    pub sessions: Vec<Session>,
}

impl Truth {
    pub fn begin_session(&mut self, stream: u8, has_steady_clock: bool) -> u32 {
        self.sessions.push(Session { stream, has_steady_clock, ..Session::default() });
        self.sessions.len() as u32 - 1
    }

    /// Writes down a frame and makes its body. A header that is `repeated` has the bytes of the last one.
    pub fn send(&mut self, session: u32, kind: Body, raw: u32, filler: usize, repeated: bool) -> Vec<u8> {
        let sent = &mut self.sessions[session as usize];
        let number = sent.frames.len() as u32;
        let in_force = if kind.is_video() { &mut sent.video_header } else { &mut sent.audio_header };
        if !(kind.is_coded() || repeated && in_force.is_some()) {
            *in_force = Some(number);
        }
        let header = *in_force;
        let marked = if kind.is_coded() { number } else { header.unwrap_or(number) };
        let filler = if kind.is_coded() { filler } else { 0 };
        let mark = Mark { kind, stream: sent.stream, session, number: marked };
        let body = kind.with(&[before(kind, filler), mark.encode()].concat(), filler);
        sent.frames.push(SentFrame { kind, raw, header, body_len: body.len() });
        body
    }
}

/// What stands before the mark of a body with so much filler.
fn before(kind: Body, filler: usize) -> Vec<u8> {
    let nal = |nal_type: u8| {
        let len = (1 + MARK_BYTES + filler) as u32;
        [&len.to_be_bytes()[..], &[nal_type]].concat()
    };
    match kind {
        Body::VideoHeader => AVC_RECORD.to_vec(),
        Body::AudioHeader => AAC_CONFIG.to_vec(),
        Body::Key => nal(0x65),
        Body::Delta => nal(0x41),
        Body::Audio => Vec::new(),
    }
}

/// What a body that arrived says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub kind: Body,
    pub stream: u8,
    pub session: u32,
    pub number: u32,
}

impl Mark {
    fn encode(self) -> Vec<u8> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind).expect("all kinds");
        let mut mark = MARK_BEGIN.to_vec();
        mark.extend([kind as u8, self.stream, 0]);
        mark.extend(self.session.to_be_bytes());
        mark.extend(self.number.to_be_bytes());
        mark
    }

    fn decode(mark: &[u8]) -> Option<Mark> {
        let rest = mark.strip_prefix(&MARK_BEGIN)?;
        let number = |at: usize| Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        let kind = *KINDS.get(usize::from(*rest.first()?))?;
        Some(Mark { kind, stream: *rest.get(1)?, session: number(3)?, number: number(7)? })
    }

    pub fn parse(is_video: bool, body: &[u8]) -> Option<Mark> {
        let (kind, rest) = Body::parse(is_video, body)?;
        let skipped = match kind {
            Body::VideoHeader => AVC_RECORD.len(),
            Body::AudioHeader => AAC_CONFIG.len(),
            Body::Key | Body::Delta => NAL_HEAD_BYTES,
            Body::Audio => 0,
        };
        Mark::decode(rest.get(skipped..)?).filter(|mark| mark.kind == kind)
    }

    /// All marks in `bytes`, and how many bytes need not be looked at again when more come.
    pub fn scan(bytes: &[u8]) -> (Vec<Mark>, usize) {
        let whole = bytes.len().saturating_sub(MARK_BYTES - 1);
        let marks = (0..whole).filter(|&at| bytes[at] == MARK_BEGIN[0]);
        (marks.filter_map(|at| Mark::decode(&bytes[at..at + MARK_BYTES])).collect(), whole)
    }
}
