//! How the server ends what it ends.

use rtmpd::config::EngineConfig;
use rtmpd::engine::CloseReason;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key};
use crate::support::world::World;

#[test]
fn a_shutdown_ends_each_session_in_its_own_way() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    let mut idle = Client::connected(&mut world, "live");
    let silent = world.accept();
    publisher.frame(&mut world, 0, Key, b"k");
    publisher.said(&mut world);
    player.said(&mut world);
    world.shut_down();
    let closed = "onStatus 0 NetConnection.Connect.Closed";
    assert_eq!(publisher.said(&mut world), ["onStatus 1 NetStream.Unpublish.Success", closed]);
    let said = player.said(&mut world);
    assert!(said.contains(&"onStatus 1 NetStream.Play.Stop".to_owned()), "{said:?}");
    assert!(said.contains(&"StreamEof(1)".to_owned()), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some(closed));
    assert_eq!(idle.said(&mut world), [closed]);
    assert_eq!(world.close_reason(silent), Some(&CloseReason::ShuttingDown));
    assert_eq!(world.engine.hub().stream_count(), 0);
    assert_eq!(world.try_accept(), Err(CloseReason::ShuttingDown));
    // One closes its side at once, the others take their time.
    world.hang_up(player.link);
    world.wait(1_000);
    assert!(world.engine.is_empty());
    for client in [publisher, idle] {
        assert_eq!(world.close_reason(client.link), Some(&CloseReason::ShuttingDown));
    }
}

#[test]
fn a_player_that_takes_nothing_does_not_hold_up_a_shutdown() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let player = Client::playing(&mut world, "a");
    world.set_window(player.link, 10);
    publisher.big_frame(&mut world, 0, Key, b"k", 100_000);
    world.shut_down();
    world.wait(1_000);
    assert!(world.engine.is_empty());
}

#[test]
fn last_words_are_sent_after_a_message_that_was_begun() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    world.set_window(player.link, 10);
    publisher.big_frame(&mut world, 0, Key, b"k", 100_000);
    publisher.big_frame(&mut world, 40, Delta, b"p", 100_000);
    world.shut_down();
    world.set_window(player.link, usize::MAX);
    assert_eq!(player.words(&mut world), ["Key k 1000"], "what was not begun is dropped");
    assert!(player.has_heard("NetConnection.Connect.Closed"));
    assert!(world.is_shut(player.link));
}

#[test]
fn more_connections_than_the_limit_are_refused_until_one_ends() {
    let mut world = World::new(EngineConfig { connections: 2, ..EngineConfig::default() });
    let first = world.accept();
    let _second = world.accept();
    assert_eq!(world.try_accept(), Err(CloseReason::TooManyConnections));
    world.hang_up(first);
    let third = world.accept();
    assert!(world.is_open(third));
}
