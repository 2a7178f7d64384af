//! Those who begin and do not go on: they fall silent, are reset, or talk nonsense, at any byte of what they wanted to
//! say.

use std::time::{Duration, Instant};

use rtmpd::config::{EngineConfig, HttpLimits, SessionLimits};
use rtmpd::engine::Protocol;

use crate::actors::piece;
use crate::model::Model;
use crate::support::client::Client;
use crate::support::world::{LinkId, World};

const MOST: usize = 3;
/// Last words may be read for so long.
const LINGER_MS: u64 = 1_000;

#[derive(Debug)]
pub struct Stranger {
    link: LinkId,
    outbox: Vec<u8>,
    /// Talks on, whatever it is told.
    is_deaf: bool,
    /// By then it has to be gone.
    until: Instant,
}

/// All that a client says up to the name of its stream.
fn whole_rtmp(link: LinkId) -> Vec<u8> {
    let mut client = Client::new(link);
    client.put_connect("live");
    client.put_publish(1, "stranger");
    client.outbox
}

const REQUEST: &[u8] = b"POST /api/v1/drain HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n";

impl Model {
    pub fn add_stranger(&mut self) {
        if self.strangers.len() >= MOST {
            return;
        }
        let protocol = self.rng.pick(&[Protocol::Rtmp, Protocol::Rtmp, Protocol::Http]);
        let Ok(link) = self.world.try_accept_as(protocol) else { return };
        let mut outbox = if protocol == Protocol::Rtmp { whole_rtmp(link) } else { REQUEST.to_vec() };
        // Not the last byte: then it would have asked for something.
        outbox.truncate(self.rng.below(outbox.len()));
        if self.rng.one_in(4) && !outbox.is_empty() {
            let at = self.rng.below(outbox.len());
            outbox[at] ^= 1 << self.rng.below(8);
            // What a damaged command asks for is anybody's guess, and a name is as good as another.
            outbox.truncate(at + 1);
        }
        let limit_ms = match protocol {
            Protocol::Rtmp => SessionLimits::default().setup_timeout_ms,
            Protocol::Http => HttpLimits::default().head_timeout_ms + HttpLimits::default().body_timeout_ms,
        };
        let until = self.world.now + Duration::from_millis(limit_ms + LINGER_MS);
        self.strangers.push(Stranger { link, outbox, is_deaf: self.rng.one_in(2), until });
    }

    pub fn strangers_go_on(&mut self) {
        for index in 0..self.strangers.len() {
            let len = piece(&mut self.rng);
            let Stranger { link, outbox, is_deaf, .. } = &mut self.strangers[index];
            let rest = outbox.split_off(len.min(outbox.len()));
            let bytes = std::mem::replace(outbox, rest);
            if !bytes.is_empty() {
                self.world.send(*link, &bytes);
            } else if *is_deaf && self.world.is_shut(*link) && self.world.is_open(*link) {
                // The server said its last words, and this side is still open.
                self.world.send(*link, b"and another thing");
            } else if self.rng.one_in(30) {
                self.world.hang_up(self.strangers[index].link);
            }
        }
        let (world, seed) = (&self.world, self.seed);
        self.strangers.retain(|stranger| {
            let is_open = world.is_open(stranger.link);
            assert!(!is_open || world.now <= stranger.until, "seed {seed}: {stranger:?} is still there");
            is_open
        });
    }
}

/// A world in which strangers come in thousands.
fn world() -> World {
    World::new(EngineConfig { connections: 1_000_000, ..EngineConfig::default() })
}

fn assert_nothing_is_left(mut world: World) {
    assert!(world.engine.is_empty());
    assert_eq!(world.engine.hub().stream_count(), 0);
    let (accepted, closed) = world.accepted_and_closed();
    assert_eq!(accepted, closed, "each ends once");
    world.wait(60_000);
    assert_eq!(world.engine.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn a_reset_at_any_byte_of_the_handshake_and_of_connect_leaves_nothing() {
    let mut world = world();
    let whole = {
        let link = world.accept();
        let whole = whole_rtmp(link);
        world.hang_up(link);
        whole
    };
    for len in 0..=whole.len() {
        for cut in [0, len / 2] {
            let link = world.accept();
            world.send(link, &whole[..cut]);
            world.send(link, &whole[cut..len]);
            world.hang_up(link);
        }
    }
    world.wait(EngineConfig::default().app.grace_ms);
    assert_nothing_is_left(world);
}

#[test]
fn silence_at_any_byte_of_the_handshake_and_of_connect_ends_in_time() {
    let mut world = world();
    let mut links = Vec::new();
    let mut len = 0;
    loop {
        let link = world.accept();
        let whole = whole_rtmp(link);
        if len == whole.len() {
            world.hang_up(link);
            break;
        }
        world.send(link, &whole[..len]);
        links.push(link);
        len += 1;
    }
    world.wait(SessionLimits::default().setup_timeout_ms - 1);
    assert!(links.iter().all(|link| world.is_open(*link)), "nobody is closed before its time");
    world.wait(1 + LINGER_MS);
    let left: Vec<_> = links.iter().filter(|link| world.is_open(**link)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_nothing_is_left(world);
}

#[test]
fn bytes_that_come_one_by_one_are_as_good_as_all_at_once() {
    let mut world = world();
    let link = world.accept();
    for byte in whole_rtmp(link) {
        world.send(link, &[byte]);
    }
    assert!(world.engine.hub().is_published("live/stranger"));
    world.hang_up(link);
    world.wait(EngineConfig::default().app.grace_ms);
    assert_nothing_is_left(world);
}

#[test]
fn a_request_cut_at_any_byte_ends_in_time_with_a_reset_or_without() {
    let mut world = world();
    for len in 0..REQUEST.len() {
        for resets in [true, false] {
            let link = world.try_accept_as(Protocol::Http).expect("accepted");
            world.send(link, &REQUEST[..len]);
            if resets {
                world.hang_up(link);
            }
        }
    }
    let HttpLimits { head_timeout_ms, body_timeout_ms, .. } = HttpLimits::default();
    world.wait(head_timeout_ms + body_timeout_ms + LINGER_MS);
    assert_nothing_is_left(world);
}
