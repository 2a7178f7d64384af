//! All connections of the program in one poll.
//!
//! Owns: the loop, and when publishers send. Does not know what is measured with it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::clip::{Clip, Tracks};
use crate::link::Target;
use crate::player::{Habit, Meter, NUMBER_BITS, Player, Start};
use crate::publisher::Publisher;
use crate::stats::Histogram;

/// Tokens from here on are publishers.
const PUBLISHERS: usize = 1 << 32;
const EVENTS_PER_TURN: usize = 4096;
const SCRATCH_BYTES: usize = 256 * 1024;
/// A publisher that may send at any time sends so many messages in one write.
const MESSAGES_PER_WRITE: u64 = 64;
/// So many frames at their time, then what has arrived is read: where the program cannot keep its pace, nobody waits
/// for ever.
const FRAMES_PER_TURN: usize = 256;
/// Sent after this late, a frame says that the program cannot keep its own pace.
const LATE: Duration = Duration::from_millis(20);
/// Without an answer for so long, a full window is not waited for.
const STUCK: Duration = Duration::from_millis(50);

/// When publishers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Each frame at its time.
    Schedule,
    /// As long as no player is more than so many messages behind.
    Window(u64),
    /// Not at all.
    Silent,
}

/// See the module.
pub struct World {
    poll: Poll,
    scratch: Box<[u8]>,
    epoch: Instant,
    target: Target,
    /// By token; `None` once it is lost or was closed.
    players: Vec<Option<Player>>,
    publishers: Vec<Option<Publisher>>,
    /// Publishers by the time of their next frame.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// When each publisher's schedule began.
    begins: Vec<Instant>,
    clip: Clip,
    tracks: Tracks,
    pace: Pace,
    /// When something was last sent because there was room in a window.
    sent_at: Instant,
    /// What players have seen.
    pub meter: Meter,
    /// Connections that ended against our will, with the last reason.
    pub lost: u64,
    /// See `lost`.
    pub lost_reason: Option<String>,
    /// Frames that were sent late.
    pub late: u64,
    /// How late frames were sent.
    pub lateness: Histogram,
}

impl World {
    /// Nobody is connected yet.
    pub fn new(target: Target, clip: Clip) -> io::Result<World> {
        Ok(World {
            poll: Poll::new()?,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            epoch: Instant::now(),
            target,
            players: Vec::new(),
            publishers: Vec::new(),
            due: BinaryHeap::new(),
            begins: Vec::new(),
            clip,
            tracks: Tracks::Both,
            pace: Pace::Silent,
            sent_at: Instant::now(),
            meter: Meter::new(),
            lost: 0,
            lost_reason: None,
            late: 0,
            lateness: Histogram::new(),
        })
    }

    /// Changes the pace of all publishers.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Changes what publishers send that are added from now on.
    pub fn set_tracks(&mut self, tracks: Tracks) {
        self.tracks = tracks;
    }

    /// Adds a publisher of the next stream.
    pub fn add_publisher(&mut self) -> io::Result<()> {
        let index = self.publishers.len();
        let token = Token(PUBLISHERS + index);
        let publisher = Publisher::connect(self.poll.registry(), token, &self.target, index, self.tracks, 0)?;
        self.publishers.push(Some(publisher));
        self.begins.push(Instant::now());
        Ok(())
    }

    /// Adds a publisher of stream `index`, in the place of one that is gone. `generation` is greater than that one's.
    pub fn add_publisher_at(&mut self, index: usize, generation: u64) -> io::Result<()> {
        let token = Token(PUBLISHERS + index);
        let registry = self.poll.registry();
        let publisher = Publisher::connect(registry, token, &self.target, index, self.tracks, generation)?;
        if self.publishers.len() <= index {
            self.publishers.resize_with(index + 1, || None);
            self.begins.resize(index + 1, Instant::now());
        }
        if let Some(slot) = self.publishers.get_mut(index) {
            *slot = Some(publisher);
        }
        Ok(())
    }

    /// The publisher of stream `index`.
    pub fn publisher(&self, index: usize) -> Option<&Publisher> {
        self.publishers.get(index)?.as_ref()
    }

    /// Publisher `index` begins to send.
    pub fn begin_schedule(&mut self, index: usize) {
        let now = Instant::now();
        if let Some(begin) = self.begins.get_mut(index) {
            *begin = now;
        }
        self.due.push(Reverse((now, index)));
    }

    /// Publisher `index` says that its stream ends, and sends nothing more.
    pub fn finish_publisher(&mut self, index: usize) -> io::Result<()> {
        self.due.retain(|Reverse((_, other))| *other != index);
        let Some(Some(publisher)) = self.publishers.get_mut(index) else { return Ok(()) };
        self.meter.ends.insert(publisher.newest() >> NUMBER_BITS, publisher.newest());
        publisher.finish()
    }

    /// Closes publisher `index` without a word.
    pub fn drop_publisher(&mut self, index: usize) {
        self.due.retain(|Reverse((_, other))| *other != index);
        if let Some(slot) = self.publishers.get_mut(index) {
            *slot = None;
        }
    }

    /// Adds a player of stream number `stream`; says its number.
    pub fn add_player(&mut self, stream: usize, start: Start, habit: Habit) -> io::Result<usize> {
        let number = self.players.len();
        self.add_player_at(number, stream, start, habit)?;
        Ok(number)
    }

    /// Adds player `number`, in the place of one that is gone.
    pub fn add_player_at(&mut self, number: usize, stream: usize, start: Start, habit: Habit) -> io::Result<()> {
        let player = Player::connect(self.poll.registry(), Token(number), &self.target, stream, start, habit)?;
        if self.players.len() <= number {
            self.players.resize_with(number + 1, || None);
        }
        if let Some(slot) = self.players.get_mut(number) {
            *slot = Some(player);
        }
        Ok(())
    }

    /// Looks for gaps of player `number` from what comes after message `newest` on.
    pub fn expect_after(&mut self, number: usize, newest: u64) {
        if let Some(Some(player)) = self.players.get_mut(number) {
            player.expect(newest + 1);
        }
    }

    /// Messages up to `newest` that player `number` never got.
    pub fn missing_of(&mut self, number: usize, newest: u64) -> u64 {
        self.players.get_mut(number).and_then(Option::as_mut).map_or(0, |player| player.missing(newest + 1))
    }

    /// Slow players read up to `bytes` each.
    pub fn feed_slow(&mut self, bytes: usize) {
        for number in 0..self.players.len() {
            let Some(Some(player)) = self.players.get_mut(number) else { continue };
            if player.feed(bytes) {
                let result = player.read(self.epoch, &mut self.scratch, true, &mut self.meter);
                self.keep_unless(number, result);
            }
        }
    }

    /// Whether player `number` is still there.
    pub fn has_player(&self, number: usize) -> bool {
        self.player(number).is_some()
    }

    /// Whether player `number` is still there and has no picture yet.
    pub fn is_waiting(&self, number: usize) -> bool {
        self.player(number).is_some_and(|player| !player.has_picture())
    }

    /// Closes player `number`. `false`: it was lost before.
    pub fn drop_player(&mut self, number: usize) -> bool {
        self.players.get_mut(number).is_some_and(|player| player.take().is_some())
    }

    fn player(&self, number: usize) -> Option<&Player> {
        self.players.get(number)?.as_ref()
    }

    /// Number of players that have a picture, and of those that are connected at all.
    pub fn player_counts(&self) -> (usize, usize) {
        let present = || self.players.iter().flatten();
        (present().filter(|player| player.has_picture()).count(), present().count())
    }

    /// Number of players whose `play` was not answered yet, nor is held back.
    pub fn joining_count(&self) -> usize {
        self.players.iter().flatten().filter(|player| !player.is_playing() && !player.is_held()).count()
    }

    /// All players whose `play` was held back say it.
    pub fn ask_all(&mut self) -> io::Result<()> {
        self.players.iter_mut().flatten().try_for_each(Player::ask)
    }

    /// Whether every player has seen something later than the messages `ends`.
    pub fn is_past(&self, ends: &[u64]) -> bool {
        self.players.iter().enumerate().all(|(number, player)| {
            let seen = player.as_ref().and_then(Player::newest);
            let end = ends.get(number % ends.len().max(1)).copied().unwrap_or(0);
            seen.is_none_or(|seen| seen > end)
        })
    }

    /// Runs up to the middle between two key frames of the first publisher.
    pub fn run_to_mid_group(&mut self) -> io::Result<()> {
        let gop_ns = self.gop().as_nanos().max(1) as u64;
        let begin = self.begins.first().copied().unwrap_or(self.epoch);
        let phase_ns = begin.elapsed().as_nanos() as u64 % gop_ns;
        self.run_for(Duration::from_nanos((gop_ns + gop_ns / 2 - phase_ns) % gop_ns))
    }

    /// Whether every publisher may send.
    pub fn are_publishers_started(&self) -> bool {
        self.publishers.iter().flatten().all(Publisher::is_started)
    }

    /// Those players that should stop reading do so.
    pub fn stall(&mut self) {
        self.players.iter_mut().flatten().for_each(Player::stall);
    }

    /// Counts from now on.
    pub fn begin_counting(&mut self) {
        let ends = self.newest_sent();
        self.meter.counting = true;
        for (number, player) in self.players.iter_mut().enumerate() {
            let newest = ends.get(number % ends.len().max(1));
            if let (Some(player), Some(newest)) = (player, newest) {
                player.expect(newest + 1);
            }
        }
    }

    /// Counts no longer; says what each stream's end is, for [`World::count_missing`].
    pub fn end_counting(&mut self) -> Vec<u64> {
        self.meter.counting = false;
        self.newest_sent()
    }

    /// Numbers of the newest messages, by stream.
    pub fn newest_sent(&self) -> Vec<u64> {
        let newest = |publisher: &Option<Publisher>| publisher.as_ref().map_or(0, |p| p.newest());
        self.publishers.iter().map(newest).collect()
    }

    /// One turn after the other until `end`, or until `is_done`. Says whether it is done.
    pub fn run(&mut self, end: Instant, is_done: impl Fn(&World) -> bool) -> io::Result<bool> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        loop {
            if is_done(self) {
                return Ok(true);
            }
            let now = Instant::now();
            if now >= end {
                return Ok(false);
            }
            match self.pace {
                Pace::Schedule => self.send_due(),
                Pace::Window(window) => self.send_window(now, window),
                Pace::Silent => {}
            }
            let wake = match (self.pace, self.due.peek()) {
                (Pace::Schedule, Some(Reverse((at, _)))) => end.min(*at),
                (Pace::Window(_), _) => end.min(now + STUCK),
                _ => end,
            };
            let timeout = wake.saturating_duration_since(now);
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            for event in &events {
                self.handle_event(event);
            }
        }
    }

    /// Runs for a time.
    pub fn run_for(&mut self, duration: Duration) -> io::Result<()> {
        self.run(Instant::now() + duration, |_| false).map(|_| ())
    }

    fn handle_event(&mut self, event: &Event) {
        let Token(key) = event.token();
        match key.checked_sub(PUBLISHERS) {
            Some(index) => self.handle_publisher(index, event),
            None => self.handle_player(key, event),
        }
    }

    fn handle_player(&mut self, key: usize, event: &Event) {
        let Some(Some(player)) = self.players.get_mut(key) else { return };
        let mut result = Ok(());
        if event.is_writable() {
            result = player.handle_writable();
        }
        if result.is_ok() && (event.is_readable() || event.is_error()) {
            let to_the_end = event.is_read_closed() || event.is_error();
            result = player.read(self.epoch, &mut self.scratch, to_the_end, &mut self.meter);
        }
        self.keep_unless(key, result);
    }

    fn keep_unless(&mut self, number: usize, result: io::Result<()>) {
        if let Err(error) = result {
            self.drop_player(number);
            self.lost += 1;
            self.lost_reason = Some(format!("player: {error}"));
        }
    }

    fn handle_publisher(&mut self, index: usize, event: &Event) {
        let Some(slot) = self.publishers.get_mut(index) else { return };
        let Some(publisher) = slot else { return };
        let mut result = Ok(false);
        if event.is_writable() {
            result = publisher.handle_writable().map(|()| false);
        }
        if result.is_ok() && (event.is_readable() || event.is_error()) {
            result = publisher.read(&mut self.scratch);
        }
        match result {
            Ok(_) => {}
            Err(error) => {
                let was_leaving = publisher.is_leaving();
                *slot = None;
                if !was_leaving {
                    self.lost += 1;
                    self.lost_reason = Some(format!("publisher: {error}"));
                }
            }
        }
    }

    /// The schedules of all publishers begin.
    pub fn begin_schedules(&mut self) {
        let now = Instant::now();
        self.due.clear();
        for (index, begin) in self.begins.iter_mut().enumerate() {
            *begin = now + phase(index);
            self.due.push(Reverse((*begin, index)));
        }
        self.pace = Pace::Schedule;
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        for _ in 0..FRAMES_PER_TURN {
            let Some(&Reverse((at, index))) = self.due.peek().filter(|due| due.0.0 <= now) else { return };
            self.due.pop();
            self.late += u64::from(now - at > LATE);
            self.lateness.add((now - at).as_nanos() as u64);
            let Some(Some(publisher)) = self.publishers.get_mut(index) else { continue };
            // Trouble with the socket shows as an event of it.
            let _ = publisher.send_frames(self.epoch, &mut self.clip, 1);
            if let Some(begin) = self.begins.get(index) {
                let next = *begin + Duration::from_nanos(publisher.due_ns());
                self.due.push(Reverse((next, index)));
            }
        }
    }

    fn send_window(&mut self, now: Instant, window: u64) {
        let count = self.publishers.len().max(1);
        let mut slowest = self.newest_sent();
        for (number, player) in self.players.iter().enumerate() {
            let newest = player.as_ref().and_then(Player::newest);
            if let (Some(newest), Some(slot)) = (newest, slowest.get_mut(number % count)) {
                *slot = newest.min(*slot);
            }
        }
        for (publisher, slowest) in self.publishers.iter_mut().zip(slowest) {
            let Some(publisher) = publisher else { continue };
            let mut room = (slowest + window).saturating_sub(publisher.newest());
            if room == 0 && now - self.sent_at > STUCK {
                // The server dropped the last messages that fit: only newer ones can show that.
                room = 1;
            }
            if room > 0 {
                self.sent_at = now;
            }
            let count = room.min(MESSAGES_PER_WRITE);
            let _ = publisher.send_frames(self.epoch, &mut self.clip, count);
        }
    }

    /// Waits up to `limit` for what is under way, then counts what did not come of the messages up to `ends`.
    pub fn count_missing(&mut self, ends: &[u64], limit: Duration) -> io::Result<u64> {
        let count = ends.len().max(1);
        let has_all = |world: &World| {
            world.players.iter().enumerate().all(|(number, player)| {
                let newest = player.as_ref().and_then(Player::newest);
                let end = ends.get(number % count).copied().unwrap_or(0);
                newest.is_none_or(|newest| newest >= end)
            })
        };
        let pace = std::mem::replace(&mut self.pace, Pace::Silent);
        let result = self.run(Instant::now() + limit, has_all);
        self.pace = pace;
        result?;
        let mut missing = 0;
        for (number, player) in self.players.iter_mut().enumerate() {
            let end = ends.get(number % count).copied().unwrap_or(0);
            missing += player.as_mut().map_or(0, |player| player.missing(end + 1));
        }
        Ok(missing)
    }

    /// Duration of a group of pictures.
    pub fn gop(&self) -> Duration {
        Duration::from_millis(self.clip.gop_ms())
    }
}

/// Spreads the publishers' schedules over the time of a frame, whatever their number.
fn phase(index: usize) -> Duration {
    Duration::from_nanos(index as u64 * 20_600_011 % 33_333_333)
}
