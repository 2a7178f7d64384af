//! A new configuration while publishers and players are connected.

use rtmpd::access::Denied;
use rtmpd::access::limits::OverLimit;
use rtmpd::config::{AccessLimits, AccessRules, AppConfig, EngineConfig, JoinMode, StreamKey};
use rtmpd::engine::CloseReason;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key};
use crate::support::world::World;

fn with_key(key: &str) -> EngineConfig {
    let rules = AccessRules { keys: vec![StreamKey::parse(key).unwrap()], ..AccessRules::default() };
    let app = AppConfig { publish: rules.clone(), play: rules, ..AppConfig::default() };
    EngineConfig { app, ..EngineConfig::default() }
}

/// Why the client that asks for `name` is closed; `None`: it may.
fn refusal(world: &mut World, name: &str) -> Option<CloseReason> {
    let mut client = Client::connected(world, "live");
    client.put_play(1, name);
    client.flush(world);
    client.read(world);
    world.wait(20_000);
    world.close_reason(client.link).cloned()
}

#[test]
fn a_new_key_holds_for_newcomers_and_who_is_there_stays() {
    let mut world = World::new(with_key("old"));
    let mut publisher = Client::publishing(&mut world, "a?key=old");
    let mut player = Client::playing(&mut world, "a?key=old");
    publisher.frame(&mut world, 0, Key, b"k");
    assert_eq!(world.engine.reload(with_key("new")), [""; 0]);
    world.turn();
    publisher.frame(&mut world, 40, Delta, b"p");
    assert_eq!(player.words(&mut world), ["Key k 1000", "Delta p 1040"]);
    assert_eq!(player.said(&mut world), [""; 0]);
    let mut newcomer = Client::playing(&mut world, "a?key=new");
    publisher.frame(&mut world, 80, Key, b"l");
    assert_eq!(newcomer.words(&mut world).last().map(String::as_str), Some("Key l 1080"));
    assert_eq!(refusal(&mut world, "a?key=old"), Some(Denied::UnknownKey.into()));
}

#[test]
fn limits_that_are_lowered_close_nobody_and_refuse_the_next() {
    let mut world = World::new(EngineConfig::default());
    let open = [world.accept(), world.accept(), world.accept()];
    let access = AccessLimits { connections_per_ip: 3, ..AccessLimits::default() };
    world.engine.reload(EngineConfig { access, ..EngineConfig::default() });
    world.turn();
    assert_eq!(world.try_accept().err(), Some(OverLimit::Connections.into()));
    world.engine.reload(EngineConfig { connections: 2, ..EngineConfig::default() });
    assert_eq!(world.try_accept().err(), Some(CloseReason::TooManyConnections));
    assert!(open.iter().all(|&link| world.is_open(link)));
    world.engine.reload(EngineConfig::default());
    world.accept();
}

#[test]
fn a_bandwidth_limit_reaches_publishers_who_are_there() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.big_frame(&mut world, 0, Key, b"k", 100_000);
    let app = AppConfig { stream_bytes_per_second: 1_000, ..AppConfig::default() };
    world.engine.reload(EngineConfig { app, ..EngineConfig::default() });
    publisher.big_frame(&mut world, 40, Delta, b"p", 4_000);
    assert!(world.is_open(publisher.link) && !world.is_shut(publisher.link));
    publisher.big_frame(&mut world, 80, Delta, b"p", 4_000);
    assert!(world.is_shut(publisher.link));
}

#[test]
fn how_players_join_changes_with_the_next_one() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 0, Key, b"k");
    publisher.frame(&mut world, 40, Delta, b"p");
    assert!(!Client::playing(&mut world, "a").words(&mut world).is_empty());
    let app = AppConfig { join: JoinMode::Key, ..AppConfig::default() };
    world.engine.reload(EngineConfig { app, ..EngineConfig::default() });
    assert_eq!(Client::playing(&mut world, "a").words(&mut world), [""; 0]);
}

#[test]
fn the_chunk_size_stays_and_it_is_said() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    let fixed = world.engine.reload(EngineConfig { chunk_size: 128, ..EngineConfig::default() });
    assert_eq!(fixed, ["server.chunk_size"]);
    // Players could not read frames that are cut in another way than they were told.
    let mut late = Client::playing(&mut world, "a");
    publisher.big_frame(&mut world, 0, Key, b"k", 5_000);
    for player in [&mut player, &mut late] {
        assert_eq!(player.words(&mut world), ["Key k 1000"]);
    }
}
