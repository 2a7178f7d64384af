//! The end of a server that takes its time: by a signal, by the API, or because another process took over.

use std::time::Duration;

use rtmpd::config::{DrainConfig, EngineConfig};
use rtmpd::engine::{CloseReason, Protocol};

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key};
use crate::support::world::{LinkId, World};

const REQUEST: &str = "onStatus 0 NetConnection.Connect.ReconnectRequest";
const CLOSED: &str = "onStatus 0 NetConnection.Connect.Closed";

fn world_with(drain: DrainConfig) -> World {
    World::new(EngineConfig { drain, ..EngineConfig::default() })
}

fn world() -> World {
    world_with(DrainConfig::default())
}

fn ask(world: &mut World, link: LinkId, request: &str) -> String {
    world.send(link, format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    String::from_utf8(world.read(link, usize::MAX)).unwrap()
}

/// A publisher and a player of `live/a`, and what both have said is read.
fn pair(world: &mut World) -> (Client, Client) {
    let mut publisher = Client::publishing(world, "a");
    let mut player = Client::playing(world, "a");
    publisher.frame(world, 0, Key, b"k");
    publisher.said(world);
    player.words(world);
    player.said(world);
    (publisher, player)
}

/// A client that announces that it knows a reconnect request.
fn reconnecting(world: &mut World) -> Client {
    let mut client = Client::new(world.accept());
    client.put_connect_with("live", 1.0);
    client.flush(world);
    client.said(world);
    client
}

#[test]
fn who_announced_to_know_how_is_asked_to_reconnect_and_nobody_else() {
    let mut world = world();
    let (mut publisher, mut player) = pair(&mut world);
    let mut able = reconnecting(&mut world);
    able.publish(&mut world, 1, "b");
    let mut unable = Client::new(world.accept());
    unable.put_connect_with("live", 14.0);
    unable.flush(&mut world);
    unable.said(&mut world);
    world.engine.hand_over(world.now);
    world.turn();
    assert_eq!(able.said(&mut world), [REQUEST]);
    for other in [&mut publisher, &mut player, &mut unable] {
        assert_eq!(other.said(&mut world), [""; 0]);
    }
    // Nobody is cut off.
    able.frame(&mut world, 0, Key, b"k");
    publisher.frame(&mut world, 40, Delta, b"p");
    assert_eq!(player.words(&mut world), ["Delta p 1040"]);
    world.engine.hand_over(world.now);
    world.turn();
    assert_eq!(able.said(&mut world), [""; 0], "once is enough");
}

#[test]
fn who_connects_while_the_listeners_are_handed_over_is_served_and_asked_as_well() {
    let mut world = world();
    let (_publisher, _player) = pair(&mut world);
    let early = world.accept();
    world.engine.hand_over(world.now);
    let mut early = Client::new(early);
    early.put_connect_with("live", 15.0);
    early.put_publish(1, "b");
    early.flush(&mut world);
    let said = early.said(&mut world);
    assert!(said.contains(&REQUEST.to_owned()), "{said:?}");
    assert!(said.contains(&"onStatus 1 NetStream.Publish.Start".to_owned()), "{said:?}");
}

#[test]
fn the_request_names_the_other_server_where_there_is_one() {
    let reconnect_url = "rtmp://other.example:1936".to_owned();
    let mut world = world_with(DrainConfig { reconnect_url, ..DrainConfig::default() });
    let able = reconnecting(&mut world);
    world.engine.drain(world.now, None);
    world.turn();
    let bytes = world.read(able.link, usize::MAX);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("ReconnectRequest") && text.contains("tcUrl"), "{text}");
    assert!(text.contains("rtmp://other.example:1936/live"), "{text}");
}

#[test]
fn a_signal_ends_all_when_its_limit_is_reached_and_not_before() {
    let mut world = world_with(DrainConfig { drain_ms: 5_000, ..DrainConfig::default() });
    let (mut publisher, mut player) = pair(&mut world);
    world.engine.drain_to_the_limit(world.now);
    for number in 1..5 {
        world.wait(1_000);
        assert!(!world.engine.is_drained(world.now), "after {number} s");
        publisher.frame(&mut world, number * 1_000, Delta, b"p");
        assert_eq!(player.words(&mut world).len(), 1);
    }
    world.wait(1_000);
    assert!(world.engine.is_drained(world.now));
    world.shut_down();
    assert_eq!(publisher.said(&mut world), ["onStatus 1 NetStream.Unpublish.Success", CLOSED]);
    let said = player.said(&mut world);
    assert!(said.contains(&"onStatus 1 NetStream.Play.Stop".to_owned()), "{said:?}");
}

#[test]
fn a_signal_ends_all_at_once_where_nothing_is_configured() {
    let mut world = world();
    let (mut publisher, _player) = pair(&mut world);
    world.engine.drain_to_the_limit(world.now);
    assert!(world.engine.is_drained(world.now));
    world.shut_down();
    assert_eq!(publisher.said(&mut world), ["onStatus 1 NetStream.Unpublish.Success", CLOSED]);
}

#[test]
fn players_of_a_stream_that_nobody_can_publish_any_more_are_ended() {
    let mut world = world();
    let (publisher, mut player) = pair(&mut world);
    let mut other = Client::playing(&mut world, "nobody");
    world.engine.drain(world.now, None);
    world.wait(1_000);
    let said = other.said(&mut world);
    assert_eq!(said.last().map(String::as_str), Some(CLOSED), "{said:?}");
    assert!(world.is_open(player.link), "its stream goes on");
    // Within the grace time another one could take the stream over, but nobody may come.
    world.hang_up(publisher.link);
    world.wait(1_000);
    let said = player.said(&mut world);
    assert!(said.contains(&"onStatus 1 NetStream.Play.Stop".to_owned()), "{said:?}");
    assert!(world.engine.is_drained(world.now));
    world.wait(1_000);
    assert_eq!(world.close_reason(player.link), Some(&CloseReason::ShuttingDown));
}

#[test]
fn a_process_that_handed_over_waits_for_those_who_are_about_to_begin() {
    let mut world = world();
    let silent = world.accept();
    world.engine.hand_over(world.now);
    assert!(!world.engine.is_drained(world.now));
    world.wait(10_000);
    assert!(!world.is_open(silent), "nobody takes longer than that to begin");
    assert!(world.engine.is_drained(world.now));
}

#[test]
fn the_old_process_ends_connections_over_http_after_their_answer() {
    let mut world = world();
    let (_publisher, _player) = pair(&mut world);
    let link = world.try_accept_as(Protocol::Http).unwrap();
    assert!(!ask(&mut world, link, "GET /healthz").contains("Connection: close"));
    let viewer = world.try_accept_as(Protocol::Http).unwrap();
    world.engine.hand_over(world.now);
    let answer = ask(&mut world, viewer, "GET /live/a/seg-0.m4s");
    assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("close"), "who follows a stream stays: {answer}");
    let answer = ask(&mut world, link, "GET /healthz");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Connection: close\r\n"), "{answer}");
}

#[test]
fn the_api_drains_with_a_limit_and_the_last_word_counts() {
    let mut world = world();
    let (_publisher, _player) = pair(&mut world);
    let link = world.try_accept_as(Protocol::Http).unwrap();
    for typed in ["x", "-1", "604800001", ""] {
        let answer = ask(&mut world, link, &format!("POST /api/v1/drain?limit_ms={typed}"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("limit_ms must be a whole number from 0 to 604800000"), "{answer}");
    }
    assert!(!world.engine.is_draining());
    assert!(ask(&mut world, link, "POST /api/v1/drain?limit_ms=60000").starts_with("HTTP/1.1 202 "));
    world.wait(3_000);
    assert!(world.engine.is_draining() && !world.engine.is_drained(world.now));
    assert!(ask(&mut world, link, "POST /api/v1/drain").starts_with("HTTP/1.1 202 "));
    world.wait(20_000);
    assert!(!world.engine.is_drained(world.now + Duration::from_secs(100_000)), "no limit any more");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    assert!(ask(&mut world, link, "POST /api/v1/drain?limit_ms=0").starts_with("HTTP/1.1 202 "));
    assert!(world.engine.is_drained(world.now));
}
