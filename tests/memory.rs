//! What hostile peers can make the server hold, counted by the allocator itself. One test, alone in its crate, so that
//! nothing else allocates meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    missing_docs,
    unreachable_pub,
    unsafe_code,
    reason = "a test says so by panicking; a counting allocator is unsafe by its trait"
)]

#[path = "support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use rtmpd::config::EngineConfig;
use support::client::Client;
use support::media::Body::Key;
use support::world::World;

static HELD: AtomicUsize = AtomicUsize::new(0);
static WORST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: all work is the system allocator's; only sizes are counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        WORST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the trait's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Type 0 chunk header on chunk stream 6: `type_id`, 16 MiB - 1 announced, message stream 1.
fn announcement(type_id: u8) -> [u8; 12] {
    [6, 0, 0, 0, 0xFF, 0xFF, 0xFF, type_id, 1, 0, 0, 0]
}

#[test]
fn what_is_announced_costs_nothing_and_what_arrives_is_bounded() {
    const PEERS: usize = 200;
    let mut world = World::new(EngineConfig::default());

    // Who has not been told that it may publish cannot announce so much.
    let before = held();
    for _ in 0..PEERS {
        let mut peer = Client::connected(&mut world, "live");
        peer.outbox.extend(announcement(9));
        peer.flush(&mut world);
        assert!(!world.is_open(peer.link) || world.is_shut(peer.link));
    }
    world.wait(20_000);
    assert!(world.engine.is_empty());
    assert!(held() - before < 1_000_000, "{}", held() - before);

    // Publishers may: it costs what arrived, not what was announced.
    let before = held();
    let mut peers = Vec::new();
    for peer in 0..PEERS {
        let mut peer = Client::publishing(&mut world, &format!("{peer}"));
        peer.outbox.extend(announcement(9));
        peer.outbox.extend(Key.with(b"", 1_000));
        peer.flush(&mut world);
        peers.push(peer);
    }
    let each = (held() - before) / PEERS;
    assert!(each < 24 * 1024, "{each} bytes for each publisher, with the test's own side of it");

    // One that really sends holds no more than a little over what it sent.
    let before = held();
    WORST.store(before, Ordering::Relaxed);
    let piece = vec![0xC6; 64 * 1024];
    for _ in 0..200 {
        world.send(peers[0].link, &piece);
    }
    let worst = WORST.load(Ordering::Relaxed) - before;
    assert!(worst < 36_000_000, "{worst} bytes for 13 MB sent");

    for peer in peers {
        world.hang_up(peer.link);
    }
    world.wait(10_000);
    assert_eq!(world.engine.hub().stream_count(), 0);
}
