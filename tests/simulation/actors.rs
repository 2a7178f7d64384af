//! Those who use the server: publishers and players that send in odd pieces and read when they like.

use std::collections::{BTreeMap, VecDeque};

use crate::checker::Checker;
use crate::rng::Rng;
use crate::support::client::Client;
use crate::support::world::World;

/// A client and what its bytes mean once they have arrived.
#[derive(Debug)]
pub struct Sender<T> {
    pub client: Client,
    /// Bytes that left the outbox, and what is complete at which of them.
    sent: usize,
    marks: VecDeque<(usize, T)>,
}

impl<T> Sender<T> {
    pub fn new(client: Client) -> Self {
        Sender { client, sent: 0, marks: VecDeque::new() }
    }

    /// `what` happens when all that stands in the outbox has arrived.
    pub fn mark(&mut self, what: T) {
        self.marks.push_back((self.sent + self.client.outbox.len(), what));
    }

    pub fn has_more(&self) -> bool {
        !self.client.outbox.is_empty()
    }

    /// Sends the next `len` bytes, at most up to the end of the next mark; gives what has arrived by that.
    pub fn send(&mut self, world: &mut World, len: usize) -> Option<T> {
        let to_mark = self.marks.front().map_or(usize::MAX, |(end, _)| end - self.sent);
        let len = len.min(self.client.outbox.len()).min(to_mark);
        let rest = self.client.outbox.split_off(len);
        let piece = std::mem::replace(&mut self.client.outbox, rest);
        self.sent += len;
        world.send(self.client.link, &piece);
        let is_due = self.marks.front().is_some_and(|(end, _)| *end == self.sent);
        if is_due { self.marks.pop_front().map(|(_, what)| what) } else { None }
    }
}

/// What a publisher's bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Publish,
    Frame,
    End,
}

/// How far a publisher has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Asking,
    Live,
    Ending,
    Idle,
    Gone,
}

#[derive(Debug)]
pub struct Publisher {
    pub sender: Sender<Sent>,
    pub stage: Stage,
    pub stream: usize,
    pub identity: u8,
    pub message_stream: u32,
    pub session: u32,
    pub has_video: bool,
    pub has_audio: bool,
    pub has_steady_clock: bool,
    pub clock: u32,
    /// Pictures until the next key frame.
    pub until_key: usize,
    pub filler: usize,
    /// Has fallen silent without closing.
    pub is_dead: bool,
}

/// What a player's bytes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Connect,
    Play { message_stream: u32, stream: usize, is_edge: bool },
    Pause { message_stream: u32 },
    Resume { message_stream: u32 },
    Delete { message_stream: u32 },
}

/// One message stream of a player.
#[derive(Debug, Default)]
pub struct Playing {
    pub stream: usize,
    /// Between `play` and `deleteStream`, as far as they have arrived.
    pub is_on: bool,
    pub is_paused: bool,
    /// Views that begin with the next Play.Start.
    pub coming: VecDeque<Checker>,
    /// What had arrived when each resumption did, for the next Unpause.Notify.
    pub resumptions: VecDeque<Option<Option<(u32, usize)>>>,
    pub view: Option<Checker>,
}

#[derive(Debug)]
pub struct Player {
    pub sender: Sender<Asked>,
    pub plays: BTreeMap<u32, Playing>,
    pub is_dead: bool,
    /// Reads so much at once, at most.
    pub appetite: usize,
}

/// A piece of what is to be sent: from single bytes to all.
pub fn piece(rng: &mut Rng) -> usize {
    match rng.below(4) {
        0 => 1 + rng.below(3),
        1 => 1 + rng.below(40),
        2 => 1 + rng.below(3_000),
        _ => usize::MAX,
    }
}
