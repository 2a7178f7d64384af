//! One player: joins by the library's client session, then only looks at what passes.
//!
//! Owns: what one player has seen. Does not keep media.

use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mio::{Registry, Token};
use rtmpd::rtmp::chunk::encode_message;
use rtmpd::rtmp::client::{ClientEvent, ClientRole, ClientSession};
use rtmpd::rtmp::message::{ControlMessage, UserControl, chunk_stream_id, type_id};

use crate::clip::{Stamp, is_key_frame};
use crate::link::{Link, Target};
use crate::skim::{Skimmed, Skimmer};
use crate::stats::Histogram;

/// Acknowledges after so many bytes.
const ACKNOWLEDGE_BYTES: u32 = 2_500_000;
/// The kernel's receive buffer of a player that will stop reading: it should be full soon.
const STALLING_RECEIVE_BYTES: usize = 16 * 1024;

/// What all players have seen together.
pub struct Meter {
    /// Whether deliveries are being counted.
    pub counting: bool,
    /// From sending by the publisher to reading by the player.
    pub delays: Histogram,
    /// From connecting to the first key frame.
    pub first_frames: Histogram,
    /// From sending `play` to the first key frame.
    pub play_to_frames: Histogram,
    /// Media messages that arrived.
    pub messages: u64,
    /// Their bytes, without headers.
    pub bytes: u64,
    /// Messages that were left out.
    pub gaps: u64,
    /// Messages that came again.
    pub repeats: u64,
}

impl Meter {
    /// Nothing seen yet.
    pub fn new() -> Meter {
        Meter {
            counting: false,
            delays: Histogram::new(),
            first_frames: Histogram::new(),
            play_to_frames: Histogram::new(),
            messages: 0,
            bytes: 0,
            gaps: 0,
            repeats: 0,
        }
    }
}

/// What a player has seen of its stream.
struct View {
    began: Instant,
    /// When `play` was sent.
    asked: Option<Instant>,
    has_picture: bool,
    /// Highest number seen.
    newest: u64,
    /// The number that comes next; `None` before gaps are looked for.
    expected: Option<u64>,
    /// Control messages that want an answer.
    answers: BytesMut,
}

/// What becomes of `play`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is sent once the server is ready for it.
    AtOnce,
    /// It waits for [`Player::ask`].
    WhenAsked,
}

/// See the module.
pub struct Player {
    link: Link,
    /// `None` once it plays.
    session: Option<Box<ClientSession>>,
    skimmer: Skimmer,
    view: View,
    start: Start,
    /// `play`, where it waits.
    held: Option<Bytes>,
    received_bytes: u32,
    acknowledged_bytes: u32,
    will_stall: bool,
    stalled: bool,
}

impl Player {
    /// Begins to connect to stream number `stream`. `will_stall`: see [`Player::stall`].
    pub fn connect(
        registry: &Registry,
        token: Token,
        target: &Target,
        stream: usize,
        start: Start,
        will_stall: bool,
    ) -> io::Result<Player> {
        let began = Instant::now();
        let receive_bytes = will_stall.then_some(STALLING_RECEIVE_BYTES);
        let mut link = Link::connect(registry, token, target.address, receive_bytes)?;
        let mut session = target.session(ClientRole::Play, stream, token.0 as u64);
        flush(&mut session, &mut link)?;
        Ok(Player {
            link,
            session: Some(Box::new(session)),
            skimmer: Skimmer::new(),
            view: View { began, asked: None, has_picture: false, newest: 0, expected: None, answers: BytesMut::new() },
            start,
            held: None,
            received_bytes: 0,
            acknowledged_bytes: 0,
            will_stall,
            stalled: false,
        })
    }

    /// Whether it plays and has seen a picture.
    pub fn has_picture(&self) -> bool {
        self.session.is_none() && self.view.has_picture
    }

    /// Whether the server has let it play.
    pub fn is_playing(&self) -> bool {
        self.session.is_none()
    }

    /// Whether `play` waits for [`Player::ask`].
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Sends `play` now, where it waits.
    pub fn ask(&mut self) -> io::Result<()> {
        let Some(request) = self.held.take() else { return Ok(()) };
        self.view.asked = Some(Instant::now());
        self.link.send(&request)
    }

    /// Number of the newest message seen; `None` for one that does not read.
    pub fn newest(&self) -> Option<u64> {
        (!self.stalled).then_some(self.view.newest)
    }

    /// Stops reading for good, if it is one of those that should.
    pub fn stall(&mut self) {
        self.stalled = self.will_stall;
    }

    /// Looks for gaps from message `number` on.
    pub fn expect(&mut self, number: u64) {
        self.view.expected = Some(number);
    }

    /// Messages before `end` that never came; ends the search for gaps.
    pub fn missing(&mut self, end: u64) -> u64 {
        let expected = self.view.expected.take().filter(|_| !self.stalled);
        expected.map_or(0, |expected| end.saturating_sub(expected))
    }

    /// The kernel may take more.
    pub fn handle_writable(&mut self) -> io::Result<()> {
        self.link.handle_writable()
    }

    /// Reads what is there.
    pub fn read(&mut self, epoch: Instant, scratch: &mut [u8], to_the_end: bool, meter: &mut Meter) -> io::Result<()> {
        while !self.stalled {
            let room = scratch.len();
            let Some(input) = self.link.read(scratch)? else { return Ok(()) };
            self.received_bytes = self.received_bytes.wrapping_add(input.len() as u32);
            let now = Instant::now();
            let view = &mut self.view;
            self.skimmer.skim(input, |message| view.see(epoch, now, &message, meter));
            if let Some(session) = &mut self.session {
                session.handle_input(now, input).map_err(io::Error::other)?;
                let starts = drain_events(session)?;
                if self.view.asked.is_none() && self.held.is_none() && session.has_asked() {
                    match self.start {
                        Start::AtOnce => self.view.asked = Some(now),
                        Start::WhenAsked => self.held = session.poll_output(),
                    }
                }
                flush(session, &mut self.link)?;
                self.view.answers.clear();
                if starts {
                    self.session = None;
                }
            }
            let is_short = input.len() < room;
            self.answer()?;
            if is_short && !to_the_end {
                return Ok(());
            }
        }
        Ok(())
    }

    fn answer(&mut self) -> io::Result<()> {
        let unacknowledged = self.received_bytes.wrapping_sub(self.acknowledged_bytes);
        if unacknowledged >= ACKNOWLEDGE_BYTES {
            self.acknowledged_bytes = self.received_bytes;
            let message = ControlMessage::Acknowledgement(self.received_bytes);
            put_control(&mut self.view.answers, message);
        }
        if !self.view.answers.is_empty() {
            self.link.send(&self.view.answers)?;
            self.view.answers = BytesMut::new();
        }
        Ok(())
    }
}

impl View {
    fn see(&mut self, epoch: Instant, now: Instant, message: &Skimmed<'_>, meter: &mut Meter) {
        match message.type_id {
            type_id::AUDIO | type_id::VIDEO => {}
            type_id::USER_CONTROL => return self.see_control(message),
            _ => return,
        }
        if !self.has_picture && is_key_frame(message.type_id, message.head) {
            self.has_picture = true;
            meter.first_frames.add(nanos(self.began, now));
            meter.play_to_frames.add(nanos(self.asked.unwrap_or(now), now));
        }
        let Some(stamp) = Stamp::find(message.type_id, message.head) else { return };
        self.newest = self.newest.max(stamp.number);
        if meter.counting {
            meter.messages += 1;
            meter.bytes += message.len as u64;
        }
        let Some(expected) = self.expected else { return };
        if stamp.number < expected {
            meter.repeats += 1;
            return;
        }
        meter.gaps += stamp.number - expected;
        self.expected = Some(stamp.number + 1);
        meter.delays.add(nanos(epoch, now).saturating_sub(stamp.sent_ns));
    }

    fn see_control(&mut self, message: &Skimmed<'_>) {
        let control = ControlMessage::decode(message.type_id, message.head);
        if let Some(ControlMessage::UserControl(UserControl::PingRequest(number))) = control {
            let answer = UserControl::PingResponse(number);
            put_control(&mut self.answers, ControlMessage::UserControl(answer));
        }
    }
}

/// Nanoseconds from `begin` to `end`.
pub fn nanos(begin: Instant, end: Instant) -> u64 {
    end.saturating_duration_since(begin).as_nanos() as u64
}

/// Whether playing or publishing began.
///
/// # Errors
/// What the server said where it refused.
pub fn drain_events(session: &mut ClientSession) -> io::Result<bool> {
    let mut starts = false;
    while let Some(event) = session.poll_event() {
        match event {
            ClientEvent::Started => starts = true,
            ClientEvent::Status { level, code, description } if level == "error" => {
                return Err(io::Error::other(format!("{code} {description}")));
            }
            _ => {}
        }
    }
    Ok(starts)
}

/// Sends what the session has to say.
pub fn flush(session: &mut ClientSession, link: &mut Link) -> io::Result<()> {
    while let Some(bytes) = session.poll_output() {
        link.send(&bytes)?;
    }
    Ok(())
}

fn put_control(out: &mut BytesMut, message: ControlMessage) {
    let mut body = BytesMut::new();
    message.encode(&mut body);
    encode_message(out, 128, chunk_stream_id::CONTROL, 0, message.type_id(), 0, &body);
}
