//! The built-in test stream, and a real publisher of its name.

use rtmpd::config::EngineConfig;

use crate::support::client::Client;
use crate::support::media::Body::{AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::World;

fn world() -> World {
    World::new(EngineConfig { test_stream: true, ..EngineConfig::default() })
}

#[test]
fn it_plays_on_and_on_without_any_publisher() {
    let mut world = world();
    world.wait(100);
    let mut player = Client::playing(&mut world, "test");
    player.seen(&mut world);
    for _ in 0..30 {
        world.wait(1_000);
        let seen = player.seen(&mut world);
        assert!((70..=85).contains(&seen.len()), "30 pictures and 47 frames of sound in a second: {}", seen.len());
        assert!(seen.is_sorted_by_key(|seen| seen.timestamp));
    }
}

#[test]
fn a_real_publisher_takes_its_place_and_its_players_stay() {
    let mut world = world();
    world.wait(500);
    let mut player = Client::playing(&mut world, "test");
    let last = player.seen(&mut world).iter().map(|seen| seen.timestamp).max().unwrap();
    player.take_said();
    let mut publisher = Client::publishing(&mut world, "test");
    publisher.frame(&mut world, 0, VideoHeader, b"vh");
    publisher.frame(&mut world, 0, AudioHeader, b"ah");
    publisher.frame(&mut world, 0, Key, b"k");
    publisher.frame(&mut world, 40, Delta, b"p");
    let seen = player.seen(&mut world);
    assert_eq!(seen.len(), 4, "nothing of the test stream comes in between");
    assert!(seen.iter().all(|seen| seen.timestamp >= last), "time goes on");
    assert_eq!(player.said(&mut world), [""; 0], "no end, no new beginning");

    // While that publisher is there, and while it may come back, the test stream stays away.
    for time in 1..=20 {
        world.wait(1_000);
        publisher.frame(&mut world, 40 + time * 1_000, Delta, b"p");
    }
    assert_eq!(player.seen(&mut world).len(), 20);
    world.hang_up(publisher.link);
    world.wait(9_000);
    assert_eq!(player.seen(&mut world).len(), 0);
    world.wait(20_000);
    assert!(player.seen(&mut world).len() > 100, "it is back");
}

#[test]
fn it_ends_with_the_server() {
    let mut world = world();
    world.wait(500);
    assert!(world.engine.hub().is_published("live/test"));
    world.shut_down();
    assert!(!world.engine.hub().is_published("live/test"));
    world.wait(5_000);
    assert!(!world.engine.hub().is_published("live/test"));
}
