//! One publisher, by the library's client session.
//!
//! Owns: one publisher's place in the schedule. Does not decide when it sends.

use std::io;
use std::time::Instant;

use mio::{Registry, Token};
use rtmpd::rtmp::client::{ClientRole, ClientSession};

use crate::clip::{self, Clip, Cursor, Tracks};
use crate::link::{Link, Target};
use crate::player::{NUMBER_BITS, drain_events, flush, nanos};

/// See the module.
pub struct Publisher {
    link: Link,
    session: ClientSession,
    cursor: Cursor,
    newest: u64,
    started: bool,
    is_leaving: bool,
}

impl Publisher {
    /// Begins to connect to stream number `stream`. `generation`: the upper bits of its messages' numbers.
    pub fn connect(
        registry: &Registry,
        token: Token,
        target: &Target,
        stream: usize,
        tracks: Tracks,
        generation: u64,
    ) -> io::Result<Publisher> {
        let mut link = Link::connect(registry, token, target.address, None)?;
        let mut session = target.session(ClientRole::Publish, stream, token.0 as u64);
        flush(&mut session, &mut link)?;
        let cursor = Cursor::new(tracks);
        let newest = generation << NUMBER_BITS;
        Ok(Publisher { link, session, cursor, newest, started: false, is_leaving: false })
    }

    /// Number of the newest message that was sent.
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether media may flow.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// Says that the stream ends. What the server does after that is no loss.
    pub fn finish(&mut self) -> io::Result<()> {
        self.is_leaving = true;
        self.session.finish();
        flush(&mut self.session, &mut self.link)
    }

    /// Whether it said that the stream ends.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// When the next frame is due, in nanoseconds from this publisher's first one.
    pub fn due_ns(&self) -> u64 {
        self.cursor.due_ns()
    }

    /// The kernel may take more.
    pub fn handle_writable(&mut self) -> io::Result<()> {
        self.link.handle_writable()
    }

    /// Reads what is there. `true`: publishing has just begun, the headers are sent.
    pub fn read(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        let mut starts = false;
        while let Some(input) = self.link.read(scratch)? {
            self.session.handle_input(Instant::now(), input).map_err(io::Error::other)?;
            if drain_events(&mut self.session)? {
                starts = true;
                for (type_id, body) in clip::headers() {
                    self.session.send(type_id, 0, &body);
                }
            }
            flush(&mut self.session, &mut self.link)?;
        }
        self.started |= starts;
        Ok(starts)
    }

    /// Sends up to `count` frames in one write; none while earlier ones wait for the kernel.
    pub fn send_frames(&mut self, epoch: Instant, clip: &mut Clip, count: u64) -> io::Result<()> {
        if !self.link.is_flushed() {
            return Ok(());
        }
        for _ in 0..count {
            self.newest += 1;
            let sent_ns = nanos(epoch, Instant::now());
            let (type_id, timestamp, body) = clip.take(&mut self.cursor, self.newest, sent_ns);
            self.session.send(type_id, timestamp, body);
        }
        flush(&mut self.session, &mut self.link)
    }
}
