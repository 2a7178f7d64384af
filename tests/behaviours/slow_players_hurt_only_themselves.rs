//! Players that read slowly, or not at all.

use rtmpd::config::{AppConfig, EngineConfig, PlayerQueueLimits, QueueLimits};
use rtmpd::engine::CloseReason;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key, VideoHeader};
use crate::support::world::World;

fn world(queue: PlayerQueueLimits) -> World {
    World::new(EngineConfig { app: AppConfig { queue, ..AppConfig::default() }, ..EngineConfig::default() })
}

/// 25 pictures per second of 1000 bytes, a key frame every 10: from `from` on, `count` of them.
fn send(world: &mut World, publisher: &mut Client, from: u32, count: u32) {
    for step in from..from + count {
        world.wait(40);
        let kind = if step % 10 == 0 { Key } else { Delta };
        publisher.big_frame(world, step * 40, kind, step.to_string().as_bytes(), 1_000);
    }
}

/// Numbers of the pictures that a player saw.
fn numbers(player: &mut Client, world: &mut World) -> Vec<u32> {
    let words = player.words(world);
    words.iter().filter_map(|word| word.split(' ').nth(1)?.parse().ok()).collect()
}

fn assert_gaps_end_at_key_frames(seen: &[u32]) {
    for pair in seen.windows(2) {
        let is_next = pair[1] == pair[0] + 1;
        assert!(is_next || pair[1] > pair[0] && pair[1] % 10 == 0, "{pair:?} in {seen:?}");
    }
}

#[test]
fn a_player_with_too_many_bytes_waiting_skips_whole_groups() {
    let mut world = world(PlayerQueueLimits { bytes: 12_000, ..PlayerQueueLimits::default() });
    let mut publisher = Client::publishing(&mut world, "a");
    let mut slow = Client::playing(&mut world, "a");
    let mut quick = Client::playing(&mut world, "a");
    world.set_window(slow.link, 1_500);
    let mut seen = Vec::new();
    for round in 0..20 {
        send(&mut world, &mut publisher, round * 10, 10);
        assert!(world.queued_bytes(slow.link) <= 12_000 + 1_100);
        let some = world.read(slow.link, 6_000);
        slow.take_in(&some);
        assert_eq!(numbers(&mut quick, &mut world), (round * 10..round * 10 + 10).collect::<Vec<u32>>());
    }
    world.set_window(slow.link, usize::MAX);
    seen.extend(numbers(&mut slow, &mut world));
    assert_gaps_end_at_key_frames(&seen);
    assert!(seen.len() < 190 && seen.len() > 20, "{} of 200", seen.len());
}

#[test]
fn a_player_that_lags_skips_to_the_newest_key_frame() {
    let mut world = world(PlayerQueueLimits { lag_ms: 500, ..PlayerQueueLimits::default() });
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    world.set_window(player.link, 0);
    send(&mut world, &mut publisher, 0, 45);
    world.set_window(player.link, usize::MAX);
    send(&mut world, &mut publisher, 45, 10);
    let seen = numbers(&mut player, &mut world);
    assert_gaps_end_at_key_frames(&seen);
    assert!(seen[0] >= 30 && seen.last() == Some(&54), "{seen:?}");
}

#[test]
fn a_player_that_takes_nothing_is_closed() {
    // With the window shut in the middle of a message, and where one ends.
    for cut in [true, false] {
        let limits = PlayerQueueLimits { lag_ms: 500, ..PlayerQueueLimits::default() };
        let mut world = world(limits);
        let mut publisher = Client::publishing(&mut world, "a");
        let player = Client::playing(&mut world, "a");
        let mut quick = Client::playing(&mut world, "a");
        if cut {
            world.set_window(player.link, 100);
        } else {
            world.set_window(player.link, 0);
        }
        send(&mut world, &mut publisher, 0, 240);
        assert!(world.is_open(player.link), "9.6 s");
        send(&mut world, &mut publisher, 240, 60);
        assert_eq!(world.close_reason(player.link), Some(&CloseReason::Stalled(10_000)), "{cut}");
        assert_eq!(numbers(&mut quick, &mut world).len(), 300);
    }
}

#[test]
fn a_player_that_reads_a_little_now_and_then_is_not_stalled() {
    let mut world = world(PlayerQueueLimits::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    world.set_window(player.link, 50);
    for round in 0..20 {
        send(&mut world, &mut publisher, round * 50, 50);
        let some = world.read(player.link, 10);
        player.take_in(&some);
    }
    assert!(world.is_open(player.link));
}

#[test]
fn the_streams_of_one_slow_connection_each_skip_to_their_own_key_frame() {
    let mut world = world(PlayerQueueLimits { bytes: 20_000, ..PlayerQueueLimits::default() });
    let mut publishers = ["a", "b"].map(|name| Client::publishing(&mut world, name));
    let mut player = Client::playing_on(&mut world, 1, "a?join=key");
    player.play(&mut world, 2, "b?join=key");
    world.set_window(player.link, 1_500);
    let mut seen = [Vec::new(), Vec::new()];
    for step in 0..400_u32 {
        world.wait(40);
        for (index, publisher) in (0..).zip(&mut publishers) {
            // Key frames of the second stream stand between those of the first.
            let kind = if (step + index * 5) % 10 == 0 { Key } else { Delta };
            let mark = [kind as u8, 0, 0].into_iter().chain(step.to_be_bytes());
            let mark: Vec<u8> = mark.collect();
            publisher.big_frame(&mut world, step * 40, kind, &mark, 700);
        }
        let limit = if step < 350 { 900 } else { usize::MAX };
        let some = world.read(player.link, limit);
        player.take_in(&some);
        for message in player.take_seen() {
            let number = u32::from_be_bytes(message.payload[8..12].try_into().expect("4 bytes"));
            let is_key = message.payload[0] == 0x17;
            seen[message.message_stream as usize - 1].push((number, is_key));
        }
    }
    let counts = seen.each_ref().map(Vec::len);
    assert!(counts.iter().sum::<usize>() < 700 && counts.iter().all(|&count| count > 50), "{counts:?}");
    for seen in seen {
        assert!(seen[0].1);
        for pair in seen.windows(2) {
            let is_next = pair[1].0 == pair[0].0 + 1;
            assert!(is_next || pair[1].0 > pair[0].0 && pair[1].1, "{pair:?}");
        }
    }
}

#[test]
fn a_key_frame_that_replaces_a_waiting_join_takes_what_needs_it_along() {
    let mut world = world(PlayerQueueLimits::default());
    let mut publisher = Client::publishing(&mut world, "a");
    send(&mut world, &mut publisher, 0, 5);
    let mut player = Client::connected(&mut world, "live");
    player.put_play(1, "a");
    // Enough for the answers and some of the pictures.
    world.set_window(player.link, 10_000);
    player.flush(&mut world);
    send(&mut world, &mut publisher, 5, 10);
    world.set_window(player.link, usize::MAX);
    let seen = numbers(&mut player, &mut world);
    let live = seen.iter().rposition(|&number| number == 10).expect("the key frame");
    assert_eq!(seen[live..], [10, 11, 12, 13, 14]);
    assert!(seen[..live].iter().all(|&number| number < 5), "live frames without theirs: {seen:?}");
}

#[test]
fn what_is_never_dropped_is_bounded_too() {
    let queue = QueueLimits { hard_bytes: 100_000, ..QueueLimits::default() };
    let mut world = World::new(EngineConfig { queue, ..EngineConfig::default() });
    let mut publisher = Client::publishing(&mut world, "a");
    let player = Client::playing(&mut world, "a");
    let mut quick = Client::playing(&mut world, "a");
    world.set_window(player.link, 0);
    for step in 0..30 {
        // Headers that change, more than anybody needs.
        publisher.big_frame(&mut world, step, VideoHeader, &step.to_be_bytes(), 5_000);
        world.wait(0);
        assert!(world.queued_bytes(player.link) < 110_000);
    }
    world.wait(1_000);
    assert_eq!(world.close_reason(player.link), Some(&CloseReason::QueueFull(100_000)));
    assert_eq!(quick.seen(&mut world).len(), 30);
}

#[test]
fn tiny_messages_weigh_what_they_cost_and_not_only_their_bytes() {
    let mut world = world(PlayerQueueLimits { bytes: 65_536, lag_ms: 60_000 });
    let mut publisher = Client::publishing(&mut world, "a");
    let mut stuck = Client::playing(&mut world, "a");
    publisher.frame(&mut world, 0, VideoHeader, b"");
    publisher.frame(&mut world, 0, Key, b"first");
    world.set_window(stuck.link, 0);
    // 50 KB on the wire altogether.
    for step in 1..2_000 {
        publisher.frame(&mut world, step, Delta, b"x");
    }
    world.set_window(stuck.link, usize::MAX);
    let seen = stuck.seen(&mut world).len();
    assert!(seen < 800, "{seen} of 2000 messages waited");
}
