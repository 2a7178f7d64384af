//! Publishers that begin, end, drop, come back, and get in each other's way.

use rtmpd::config::{AppConfig, EngineConfig, Takeover};
use rtmpd::engine::CloseReason;
use rtmpd::rtmp::amf0::Value;

use crate::support::client::Client;
use crate::support::media::Body::{Audio, AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::World;

fn world() -> World {
    World::new(EngineConfig::default())
}

fn begin(world: &mut World, publisher: &mut Client, timestamp: u32) {
    publisher.frame(world, timestamp, VideoHeader, b"vh");
    publisher.frame(world, timestamp, AudioHeader, b"ah");
    publisher.frame(world, timestamp, Key, b"k");
}

#[test]
fn a_player_sees_what_is_published() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    let mut other = Client::playing(&mut world, "b");
    publisher.put_metadata(1, 0, "title");
    begin(&mut world, &mut publisher, 0);
    publisher.frame(&mut world, 20, Audio, b"a");
    publisher.frame(&mut world, 40, Delta, b"p");
    let expected = ["metadata", "VideoHeader vh 1000", "AudioHeader ah 1000", "Key k 1000", "Audio a 1020"];
    assert_eq!(player.words(&mut world)[..5], expected);
    publisher.frame(&mut world, 80, Delta, b"q");
    assert_eq!(player.words(&mut world), ["Delta q 1080"]);
    assert_eq!(other.words(&mut world), [""; 0]);
}

#[test]
fn one_connection_publishes_and_plays_several_streams() {
    let mut world = world();
    let mut both = Client::publishing(&mut world, "a");
    both.publish(&mut world, 2, "b");
    both.play(&mut world, 3, "a");
    both.play(&mut world, 4, "b");
    both.put_frame(1, 0, Key, &Key.with(b"a", 0));
    both.put_frame(2, 50_000, Key, &Key.with(b"b", 0));
    both.put_frame(1, 40, Delta, &Delta.with(b"a", 0));
    both.flush(&mut world);
    let seen: Vec<(u32, u32, u8)> =
        both.seen(&mut world).iter().map(|seen| (seen.message_stream, seen.timestamp, seen.payload[5])).collect();
    assert_eq!(seen, [(3, 1_000, b'a'), (4, 1_000, b'b'), (3, 1_040, b'a')]);
}

#[test]
fn a_connection_publishes_again_after_it_ended() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    begin(&mut world, &mut publisher, 0);
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    player.words(&mut world);
    let ended = ["onStatus 1 NetStream.Play.UnpublishNotify", "StreamEof(1)"];
    assert_eq!(player.said(&mut world), ended);
    assert!(!world.engine.hub().is_published("live/a"));
    world.wait(1_000);
    publisher.publish(&mut world, 1, "a");
    begin(&mut world, &mut publisher, 7);
    let began = ["StreamBegin(1)", "onStatus 1 NetStream.Play.PublishNotify"];
    assert_eq!(player.said(&mut world), began);
    assert_eq!(player.take_seen().last().map(|seen| seen.timestamp), Some(1_020));
    // Without ending before, as Wirecast does it.
    publisher.publish(&mut world, 1, "a");
    assert_eq!(player.said(&mut world), [&ended[..], &began[..]].concat());
    assert!(world.is_open(publisher.link) && world.is_open(player.link));
}

#[test]
fn an_encoder_that_does_not_wait_for_publish_start_loses_nothing() {
    let mut world = world();
    let mut player = Client::playing(&mut world, "a");
    let mut eager = Client::new(world.accept());
    eager.put_connect("live");
    eager.put_publish(1, "a");
    eager.put_metadata(1, 0, "title");
    for kind in [VideoHeader, AudioHeader, Key] {
        eager.put_frame(1, 0, kind, &kind.with(b"x", 0));
    }
    // All in one packet; and a second one of that name gets no frame in.
    let mut refused = Client::new(world.accept());
    refused.outbox.clone_from(&eager.outbox);
    eager.flush(&mut world);
    refused.flush(&mut world);
    assert_eq!(player.words(&mut world), ["metadata", "VideoHeader x 1000", "AudioHeader x 1000", "Key x 1000"]);
    assert!(world.is_shut(refused.link) && world.is_open(eager.link));
}

#[test]
fn the_next_publisher_may_begin_right_after_a_clean_end() {
    let mut world = world();
    let mut first = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    begin(&mut world, &mut first, 0);
    player.words(&mut world);
    // In the manner of OBS, with the next one before the socket of the first is closed; and no time goes by.
    first.put_command(0, "FCUnpublish", Value::Null, &[Value::string("a")]);
    first.put_delete_stream(1);
    first.flush(&mut world);
    let mut second = Client::publishing(&mut world, "a");
    begin(&mut world, &mut second, 50_000);
    world.hang_up(first.link);
    second.frame(&mut world, 50_040, Delta, b"p");
    assert_eq!(player.words(&mut world), ["VideoHeader vh 1020", "AudioHeader ah 1020", "Key k 1020", "Delta p 1060"]);
    let ended = ["onStatus 1 NetStream.Play.UnpublishNotify", "StreamEof(1)"];
    let began = ["StreamBegin(1)", "onStatus 1 NetStream.Play.PublishNotify"];
    assert_eq!(player.said(&mut world), [ended, began].concat());
}

#[test]
fn a_publisher_that_drops_and_returns_goes_on_on_the_same_timeline() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    begin(&mut world, &mut publisher, 0);
    player.words(&mut world);
    player.said(&mut world);
    world.hang_up(publisher.link);
    world.wait(9_000);
    let mut publisher = Client::publishing(&mut world, "a");
    publisher.frame(&mut world, 70_000, VideoHeader, b"vh");
    publisher.frame(&mut world, 70_000, Delta, b"lost");
    publisher.frame(&mut world, 70_040, Key, b"k");
    assert_eq!(player.words(&mut world), ["VideoHeader vh 1020", "Key k 1060"]);
    assert_eq!(player.said(&mut world), [""; 0]);
}

#[test]
fn a_publisher_that_stays_away_has_ended() {
    let mut world = world();
    let publisher = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    player.said(&mut world);
    world.hang_up(publisher.link);
    world.wait(10_000);
    assert!(player.said(&mut world).contains(&"StreamEof(1)".to_owned()));
    world.hang_up(player.link);
    assert_eq!(world.engine.hub().stream_count(), 0);
}

#[test]
fn a_publisher_that_sends_nothing_is_closed_and_its_stream_waits() {
    let mut world = world();
    let publisher = Client::publishing(&mut world, "a");
    world.wait(29_999);
    assert!(world.is_open(publisher.link));
    world.wait(2);
    assert_eq!(world.engine.hub().stream_count(), 1);
    world.wait(10_000);
    assert!(matches!(world.close_reason(publisher.link), Some(CloseReason::Session(_))));
    assert_eq!(world.engine.hub().stream_count(), 0);
}

#[test]
fn a_second_publisher_is_refused_with_readable_words() {
    let mut world = world();
    let mut first = Client::publishing(&mut world, "a");
    let mut player = Client::playing(&mut world, "a");
    begin(&mut world, &mut first, 0);
    let mut second = Client::connected(&mut world, "live");
    second.put_publish(1, "a");
    second.flush(&mut world);
    assert_eq!(second.said(&mut world), ["onStatus 1 NetStream.Publish.BadName"]);
    assert!(world.is_shut(second.link));
    world.wait(1_000);
    assert!(matches!(world.close_reason(second.link), Some(CloseReason::Refused(_))));
    player.words(&mut world);
    first.frame(&mut world, 40, Delta, b"p");
    assert_eq!(player.words(&mut world), ["Delta p 1040"]);
}

#[test]
fn a_refused_publisher_leaves_nothing_behind_whatever_else_it_asked_for() {
    let mut world = world();
    let _first = Client::publishing(&mut world, "a");
    let mut second = Client::connected(&mut world, "live");
    // All in one packet: the refusal of the first closes the connection before the others are looked at.
    second.put_publish(1, "a");
    second.put_publish(2, "b");
    second.put_play(3, "c");
    second.flush(&mut world);
    world.wait(1_000);
    assert!(!world.is_open(second.link));
    assert_eq!(world.engine.hub().stream_count(), 1, "only the first publisher's");
    let mut third = Client::connected(&mut world, "live");
    third.publish(&mut world, 1, "b");
}

#[test]
fn a_silent_publisher_is_replaced_by_its_equal() {
    let mut world = world();
    let mut first = Client::publishing(&mut world, "a?key=1");
    let mut player = Client::playing(&mut world, "a");
    begin(&mut world, &mut first, 0);
    first.said(&mut world);
    player.words(&mut world);
    player.said(&mut world);
    world.wait(2_000);

    let mut stranger = Client::connected(&mut world, "live");
    stranger.put_publish(1, "a?key=2");
    stranger.flush(&mut world);
    assert_eq!(stranger.said(&mut world), ["onStatus 1 NetStream.Publish.BadName"]);

    let mut second = Client::publishing(&mut world, "a?key=1");
    assert_eq!(first.said(&mut world), ["onStatus 1 NetStream.Publish.BadName"]);
    first.frame(&mut world, 2_000, Key, b"late");
    first.put_delete_stream(1);
    first.flush(&mut world);
    begin(&mut world, &mut second, 0);
    let expected = ["VideoHeader vh 1020", "AudioHeader ah 1020", "Key k 1020"];
    assert_eq!(player.words(&mut world), expected);
    assert_eq!(player.said(&mut world), [""; 0]);
    world.wait(1_000);
    assert_eq!(world.close_reason(first.link), Some(&CloseReason::TakenOver));
    assert!(world.engine.hub().is_published("live/a"));
}

#[test]
fn an_app_may_forbid_takeovers() {
    let mut config = EngineConfig::default();
    let strict = AppConfig { takeover: Takeover::Reject, ..AppConfig::default() };
    config.apps.insert("live".to_owned(), strict);
    let mut world = World::new(config);
    let first = Client::publishing(&mut world, "a");
    world.wait(20_000);
    let mut second = Client::connected(&mut world, "live");
    second.put_publish(1, "a");
    second.flush(&mut world);
    assert!(second.said(&mut world)[0].contains("BadName"));
    assert!(world.is_open(first.link));
}
