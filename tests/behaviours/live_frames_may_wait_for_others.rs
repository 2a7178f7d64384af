//! `batch_ms`: live frames that leave together.

use rtmpd::config::EngineConfig;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key};
use crate::support::world::World;

fn words(player: &mut Client, world: &mut World) -> usize {
    player.words(world).len()
}

#[test]
fn a_frame_waits_for_its_window_and_takes_the_next_ones_along() {
    let mut world = World::new(EngineConfig { batch_ms: 20, ..EngineConfig::default() });
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    words(&mut player, &mut world);
    publisher.frame(&mut world, 0, Key, b"0");
    assert_eq!(words(&mut player, &mut world), 0);
    world.wait(19);
    publisher.frame(&mut world, 19, Delta, b"1");
    assert_eq!(words(&mut player, &mut world), 0);
    world.wait(1);
    assert_eq!(words(&mut player, &mut world), 2);
    publisher.frame(&mut world, 30, Delta, b"2");
    world.wait(19);
    assert_eq!(words(&mut player, &mut world), 0, "the next window begins with its first frame");
    world.wait(1);
    assert_eq!(words(&mut player, &mut world), 1);
}

#[test]
fn who_joins_does_not_wait() {
    let mut world = World::new(EngineConfig { batch_ms: 100, ..EngineConfig::default() });
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, Key, b"0");
    let mut player = Client::playing(&mut world, "a");
    let joined = words(&mut player, &mut world);
    assert!(joined > 0);
}
