//! One player: joins by the library's client session, then only looks at what passes.
//!
//! Owns: what one player has seen. Does not keep media.

use std::collections::HashMap;
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
/// The lower bits of a message's number count the messages of one publisher, the upper ones say which publisher it is.
/// Those of one stream who come after each other have rising upper bits.
pub const NUMBER_BITS: u32 = 32;

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
    /// Of these, such as came after later ones that were not part of joining.
    pub disorder: u64,
    /// Messages that slow players did not get.
    pub skipped: u64,
    /// The last message of each publisher that said that it ends, by the upper bits of its number.
    pub ends: HashMap<u64, u64>,
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
            disorder: 0,
            skipped: 0,
            ends: HashMap::new(),
        }
    }

    /// Messages between the one that was expected and the one that came. What a publisher that broke off sent last is
    /// not missed.
    fn lost_before(&self, expected: u64, number: u64) -> u64 {
        let (before, now) = (expected >> NUMBER_BITS, number >> NUMBER_BITS);
        if before == now {
            return number - expected;
        }
        let tail = self.ends.get(&before).map_or(0, |end| (end + 1).saturating_sub(expected));
        let first = now << NUMBER_BITS | 1;
        tail + (now - before - 1) + number.saturating_sub(first)
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
    /// Whether something came that was expected: what is older has no place any more.
    is_past_joining: bool,
    /// Whether what does not come is no loss.
    may_skip: bool,
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

/// How a player reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// All that is there.
    Quick,
    /// Not any more after [`Player::stall`].
    Stalls,
    /// What [`Player::feed`] allows.
    Slow,
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
    habit: Habit,
    stalled: bool,
    /// Bytes that may be read.
    allowance: usize,
}

impl Player {
    /// Begins to connect to stream number `stream`.
    pub fn connect(
        registry: &Registry,
        token: Token,
        target: &Target,
        stream: usize,
        start: Start,
        habit: Habit,
    ) -> io::Result<Player> {
        let began = Instant::now();
        let receive_bytes = (habit != Habit::Quick).then_some(STALLING_RECEIVE_BYTES);
        let mut link = Link::connect(registry, token, target.address, receive_bytes)?;
        let mut session = target.session(ClientRole::Play, stream, token.0 as u64);
        flush(&mut session, &mut link)?;
        Ok(Player {
            link,
            session: Some(Box::new(session)),
            skimmer: Skimmer::new(),
            view: View::new(began, habit == Habit::Slow),
            start,
            held: None,
            received_bytes: 0,
            acknowledged_bytes: 0,
            habit,
            stalled: false,
            allowance: if habit == Habit::Slow { 0 } else { usize::MAX },
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
        self.stalled = self.habit == Habit::Stalls;
    }

    /// Lets a slow player read so many bytes more. `false`: it is none.
    pub fn feed(&mut self, bytes: usize) -> bool {
        let is_slow = self.habit == Habit::Slow;
        if is_slow {
            self.allowance = bytes;
        }
        is_slow
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
            let room = scratch.len().min(self.allowance);
            let Some(place) = scratch.get_mut(..room).filter(|place| !place.is_empty()) else { return Ok(()) };
            let Some(input) = self.link.read(place)? else { return Ok(()) };
            if self.habit == Habit::Slow {
                self.allowance -= input.len();
            }
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
    fn new(began: Instant, may_skip: bool) -> View {
        View {
            began,
            asked: None,
            has_picture: false,
            newest: 0,
            expected: None,
            is_past_joining: false,
            may_skip,
            answers: BytesMut::new(),
        }
    }

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
            meter.disorder += u64::from(self.is_past_joining);
            return;
        }
        self.is_past_joining = true;
        self.expected = Some(stamp.number + 1);
        let lost = meter.lost_before(expected, stamp.number);
        if self.may_skip {
            meter.skipped += lost;
            return;
        }
        meter.gaps += lost;
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
