//! What was published: the ground against which every player's view is checked.

use crate::support::media::Body;

/// Bytes of a mark: stream, session, number.
const MARK_BYTES: usize = 9;

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
        let mut mark = vec![sent.stream];
        mark.extend(session.to_be_bytes());
        mark.extend(marked.to_be_bytes());
        let body = kind.with(&mark, if kind.is_coded() { filler } else { 0 });
        sent.frames.push(SentFrame { kind, raw, header, body_len: body.len() });
        body
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
    pub fn parse(is_video: bool, body: &[u8]) -> Option<Mark> {
        let (kind, rest) = Body::parse(is_video, body)?;
        let mark = rest.get(..MARK_BYTES)?;
        let number = |at: usize| Some(u32::from_be_bytes(mark.get(at..at + 4)?.try_into().ok()?));
        Some(Mark { kind, stream: mark[0], session: number(1)?, number: number(5)? })
    }
}
