//! The operator's program is asked before anybody connects, publishes or plays, and what it says holds.

use rtmpd::config::{AccessRules, AppConfig, CallbackConfig, CallbackFormat, EngineConfig, HlsConfig, StreamKey};
use rtmpd::engine::{CloseReason, Protocol};
use serde_json::json;

use crate::backend::{body, event, everything, url};
use crate::support::client::Client;
use crate::support::media::Body::{AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::{LinkId, World};

const PUBLISH_DENIED: &str = "NetStream.Publish.Denied";
const PLAY_FAILED: &str = "NetStream.Play.Failed";

fn world(callbacks: CallbackConfig) -> World {
    World::new(EngineConfig { callbacks, ..EngineConfig::default() })
}

fn asking() -> CallbackConfig {
    CallbackConfig { on_publish: url("publish"), on_play: url("play"), ..CallbackConfig::default() }
}

/// Asks to publish, with a frame behind it; whatever it hears.
fn asks_to_publish(world: &mut World, name: &str) -> Client {
    let mut client = Client::connected(world, "live");
    client.put_publish(1, name);
    client.put_frame(1, 0, Key, &Key.with(b"first", 0));
    client.flush(world);
    client
}

fn asks_to_play(world: &mut World, name: &str) -> Client {
    let mut client = Client::connected(world, "live");
    client.put_play(1, name);
    client.flush(world);
    client
}

fn publishes(world: &mut World, name: &str) -> Client {
    let client = asks_to_publish(world, name);
    world.allow("publish");
    client
}

fn was_told(client: &mut Client, world: &mut World, code: &str) -> bool {
    client.said(world).iter().any(|line| line.contains(code))
}

fn get(world: &mut World, path: &str) -> LinkId {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    link
}

fn head(world: &mut World, link: LinkId) -> String {
    let bytes = world.read(link, usize::MAX);
    String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned()
}

fn reason(why: &str) -> Option<CloseReason> {
    Some(CloseReason::Refused(why.to_owned()))
}

#[test]
fn a_publisher_begins_when_the_program_allows_it_and_nothing_it_sent_before_is_lost() {
    let mut world = world(CallbackConfig { on_publish: url("publish"), ..CallbackConfig::default() });
    let mut player = Client::playing(&mut world, "cam");
    let mut publisher = asks_to_publish(&mut world, "cam?key=a%20b");
    assert!(world.is_held(publisher.link) && !world.engine.hub().is_published("live/cam"));
    assert_eq!(publisher.said(&mut world), [""; 0], "not answered yet");
    publisher.frame(&mut world, 40, Delta, b"second");
    let said = world.allow("publish");
    for (key, value) in [("app", "live"), ("stream", "cam"), ("query", "key=a%20b"), ("tc_url", "rtmp://host/live")] {
        assert_eq!(said[key], json!(value), "{key}");
    }
    assert!(was_told(&mut publisher, &mut world, "NetStream.Publish.Start"));
    assert!(!world.is_held(publisher.link));
    assert_eq!(player.words(&mut world), ["Key first 1000", "Delta second 1040"]);
}

#[test]
fn a_publisher_that_is_refused_is_told_and_closed_and_its_frames_are_nobodys() {
    let mut world = world(CallbackConfig { on_unpublish: url("unpublish"), ..asking() });
    let mut client = asks_to_publish(&mut world, "cam");
    client.frame(&mut world, 40, Delta, b"second");
    world.refuse("publish");
    assert!(was_told(&mut client, &mut world, PUBLISH_DENIED));
    world.wait(5_000);
    assert_eq!(world.close_reason(client.link).cloned(), reason("on_publish: it answered 403"));
    assert_eq!((world.posts.len(), world.engine.hub().stream_count()), (0, 0), "no end of what never began");
}

#[test]
fn a_player_begins_when_the_program_allows_it() {
    let mut world = world(asking());
    let mut publisher = publishes(&mut world, "cam");
    publisher.frame(&mut world, 40, Delta, b"second");
    let mut player = asks_to_play(&mut world, "cam?join=gop");
    assert_eq!(player.words(&mut world), [""; 0]);
    world.allow("play");
    assert!(was_told(&mut player, &mut world, "NetStream.Play.Start"));
    assert_eq!(player.words(&mut world), ["Key first 1000", "Delta second 1040"]);
    let mut refused = asks_to_play(&mut world, "cam");
    world.refuse("play");
    assert!(was_told(&mut refused, &mut world, PLAY_FAILED));
    assert_eq!(refused.words(&mut world), [""; 0]);
    world.wait(5_000);
    assert_eq!(world.close_reason(refused.link).cloned(), reason("on_play: it answered 403"));
    assert!(world.is_open(player.link));
}

#[test]
fn an_answer_may_give_the_stream_another_name() {
    let mut world = world(asking());
    let mut publisher = asks_to_publish(&mut world, "secret-key");
    world.rename("publish", "caf%C3%A9");
    assert!(was_told(&mut publisher, &mut world, "NetStream.Publish.Start"));
    assert!(world.engine.hub().is_published("live/café") && world.engine.hub().stream_count() == 1);
    let mut player = asks_to_play(&mut world, "ticket-7?join=gop");
    world.rename("play", "café");
    assert_eq!(player.words(&mut world), ["Key first 1000"]);
}

#[test]
fn a_name_that_no_stream_can_have_and_a_place_elsewhere_refuse() {
    for location in ["rtmp://other/live/cam", "/login", "..", "a%2Fb", "flv:", "%0A"] {
        let mut world = world(asking());
        let mut client = asks_to_publish(&mut world, "cam");
        world.rename("publish", location);
        assert!(was_told(&mut client, &mut world, PUBLISH_DENIED), "{location}");
        assert_eq!(world.engine.hub().stream_count(), 0, "{location}");
    }
}

#[test]
fn a_client_connects_when_the_program_allows_it() {
    let mut world = world(CallbackConfig { on_connect: url("connect"), ..CallbackConfig::default() });
    let mut client = Client::new(world.accept());
    client.put_connect("live?token=x");
    // All in one packet: what is behind `connect` is not answered before it.
    client.put_publish(1, "cam");
    client.flush(&mut world);
    let said = client.said(&mut world);
    assert_eq!(said, [""; 0]);
    let said = world.allow("connect");
    assert_eq!((&said["app"], &said["stream"], &said["query"]), (&json!("live"), &json!(""), &json!("token=x")));
    let said = client.said(&mut world);
    let at = |code: &str| said.iter().position(|line| line.contains(code)).unwrap_or_else(|| panic!("{said:?}"));
    assert!(at("NetConnection.Connect.Success") < at("NetStream.Publish.Start"));
}

#[test]
fn a_client_that_may_not_connect_is_told_and_closed() {
    for status in [403, 302] {
        let mut world = world(CallbackConfig { on_connect: url("connect"), ..CallbackConfig::default() });
        let mut client = Client::new(world.accept());
        client.put_connect("live");
        client.flush(&mut world);
        let post = world.post("connect");
        world.reply(post.id, status, "Location: elsewhere\r\n");
        let said = client.said(&mut world);
        assert_eq!(said.last().map(String::as_str), Some("_error 0 NetConnection.Connect.Rejected"), "{said:?}");
        world.wait(5_000);
        assert!(matches!(world.close_reason(client.link), Some(CloseReason::Refused(_))));
    }
}

#[test]
fn nobody_is_asked_about_who_may_not_in_any_case() {
    let keys = vec![StreamKey::parse("right").unwrap()];
    let publish = AccessRules { keys, ..AccessRules::default() };
    let app = AppConfig { publish, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { callbacks: asking(), app, ..EngineConfig::default() });
    asks_to_publish(&mut world, "cam?key=wrong");
    asks_to_publish(&mut world, "..?key=right");
    assert_eq!(world.posted.len(), 0);
    let first = publishes(&mut world, "cam?key=right");
    // Somebody has the name: an encoder that tries again and again is nobody's business.
    let mut second = asks_to_publish(&mut world, "cam?key=right");
    assert!(was_told(&mut second, &mut world, "NetStream.Publish.BadName"));
    assert_eq!(world.posted.len(), 1);
    assert!(world.is_open(first.link));
}

#[test]
fn two_that_are_asked_about_at_the_same_time_do_not_both_get_the_name() {
    let mut world = world(CallbackConfig { on_unpublish: url("unpublish"), ..asking() });
    let (first, mut second) = (asks_to_publish(&mut world, "cam"), asks_to_publish(&mut world, "cam"));
    let posts = world.posts.clone();
    for post in posts {
        world.reply(post.id, 200, "");
    }
    assert!(was_told(&mut second, &mut world, "NetStream.Publish.BadName"));
    world.wait(2_000);
    assert!(world.is_open(first.link) && !world.is_open(second.link));
    assert_eq!(world.told_words(), [""; 0], "the second never began");
}

#[test]
fn a_player_over_http_waits_for_the_answer_as_well() {
    let mut world = world(asking());
    let mut publisher = publishes(&mut world, "cam");
    publisher.frame(&mut world, 0, VideoHeader, b"vh");
    for form in ["flv", "ts", "mp4"] {
        let allowed = get(&mut world, &format!("/live/cam.{form}?key=a"));
        assert_eq!(head(&mut world, allowed), "");
        let said = world.allow("play");
        assert_eq!((&said["stream"], &said["query"]), (&json!("cam"), &json!("key=a")));
        assert_eq!(head(&mut world, allowed), "HTTP/1.1 200 OK", "{form}");
        let refused = get(&mut world, &format!("/live/cam.{form}"));
        world.refuse("play");
        assert_eq!(head(&mut world, refused), "HTTP/1.1 403 Forbidden", "{form}");
        let renamed = get(&mut world, &format!("/live/ticket.{form}"));
        world.rename("play", "cam");
        assert_eq!(head(&mut world, renamed), "HTTP/1.1 200 OK", "{form}");
        let nowhere = get(&mut world, &format!("/live/cam.{form}"));
        world.rename("play", "nowhere");
        assert_eq!(head(&mut world, nowhere), "HTTP/1.1 404 Not Found", "{form}");
    }
    let socket = "GET /live/cam.flv HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, socket.as_bytes());
    world.allow("play");
    assert_eq!(head(&mut world, link), "HTTP/1.1 101 Switching Protocols");
}

#[test]
fn one_who_waits_for_its_stream_over_http_is_asked_about_once() {
    let mut world = world(asking());
    let link = get(&mut world, "/live/cam.flv?wait=30");
    world.allow("play");
    world.wait(1_000);
    let _publisher = publishes(&mut world, "cam");
    assert_eq!(head(&mut world, link), "HTTP/1.1 200 OK");
    assert_eq!(world.posts.len(), 0);
}

/// A stream with some segments of HLS.
fn with_hls(callbacks: CallbackConfig) -> (World, Client) {
    let hls = HlsConfig { segment_ms: 1_000, ..HlsConfig::default() };
    let app = AppConfig { hls, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { callbacks, app, ..EngineConfig::default() });
    let mut publisher = Client::connected(&mut world, "live");
    publisher.put_publish(1, "cam");
    publisher.flush(&mut world);
    world.allow("publish");
    let record = b"\x01\x64\0\x1F\xFF\xE1\0\x0F\x67\x64\0\x1F\xAC\xD9\x40\x50\x05\xBB\x01\x10\0\0\x03\x01\0\x04\
                   \x68\xEB\xE3\xCB";
    publisher.frame(&mut world, 0, VideoHeader, record);
    publisher.frame(&mut world, 0, AudioHeader, b"\x11\x90");
    send(&mut world, &mut publisher, 0);
    (world, publisher)
}

/// Five seconds of pictures.
fn send(world: &mut World, publisher: &mut Client, from_ms: u32) {
    for number in 0..126_u32 {
        let kind = if number % 25 == 0 { Key } else { Delta };
        publisher.frame(world, from_ms + number * 40, kind, b"\0\0\0\x02\x65\x88");
        world.wait(40);
    }
}

/// The answer to a request whose question, where there is one, is allowed.
fn ask_hls(world: &mut World, publisher: &mut Client, path: &str, from_ms: u32) -> String {
    let link = get(world, path);
    if world.waiting_events() == ["play"] {
        world.allow("play");
    }
    send(world, publisher, from_ms);
    let text = String::from_utf8_lossy(&world.read(link, usize::MAX)).into_owned();
    world.hang_up(link);
    text
}

#[test]
fn a_viewer_of_hls_is_asked_about_once_and_its_end_is_told_once() {
    let (mut world, mut publisher) = with_hls(CallbackConfig { on_stop: url("stop"), ..asking() });
    let index = ask_hls(&mut world, &mut publisher, "/live/cam.m3u8", 5_040);
    let line =
        index.lines().find(|line| line.starts_with("cam/media.m3u8?session=")).unwrap_or_else(|| panic!("{index}"));
    let before = world.posted.len();
    let media = ask_hls(&mut world, &mut publisher, &format!("/live/{line}"), 10_080);
    let segment = media.lines().find(|line| line.starts_with("seg-")).unwrap_or_else(|| panic!("{media}"));
    let link = get(&mut world, &format!("/live/cam/{segment}"));
    let file = head(&mut world, link);
    assert_eq!(file, "HTTP/1.1 200 OK");
    assert_eq!(world.posted.len(), before, "one viewer, one question");
    world.peer = "192.0.2.7".parse().unwrap();
    let link = get(&mut world, &format!("/live/cam/{segment}"));
    world.refuse("play");
    assert_eq!(head(&mut world, link), "HTTP/1.1 403 Forbidden", "somebody else who knows a name of a file");
    let mut told = Vec::new();
    for second in 0..60 {
        world.wait(1_000);
        told.extend(world.told());
        assert!(second > 3 || told.is_empty(), "it may ask again");
    }
    let [stop] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&stop["event"], &stop["stream"]), (&json!("stop"), &json!("cam")));
}

#[test]
fn requests_of_one_viewer_wait_for_one_answer() {
    let (mut world, _publisher) = with_hls(asking());
    let before = world.posted.len();
    let links: Vec<LinkId> = (0..3).map(|_| get(&mut world, "/live/cam/media.m3u8?session=ab")).collect();
    let leader = links[0];
    assert_eq!(world.posted.len(), before + 1);
    // The one with whose request it was asked leaves: another one takes its place.
    world.hang_up(leader);
    assert_eq!(world.posted.len(), before + 2);
    world.refuse("play");
    for link in &links[1..] {
        assert_eq!(head(&mut world, *link), "HTTP/1.1 403 Forbidden");
    }
    assert_eq!(world.posts.len(), 0);
}

#[test]
fn the_form_of_nginx_rtmp_is_posted_where_it_is_wanted() {
    let mut world = world(CallbackConfig { format: CallbackFormat::Form, ..asking() });
    asks_to_publish(&mut world, "cam?key=x");
    let [post] = &world.posts[..] else { panic!() };
    let (host, port, text) = (post.host.as_str(), post.port, body(post));
    assert_eq!((host, port), ("back.end", 8000));
    assert!(text.starts_with("app=live&") && text.ends_with("&call=publish&name=cam&type=live&key=x"), "{text}");
}

#[test]
fn the_test_stream_is_not_asked_about() {
    let mut world = World::new(EngineConfig { callbacks: everything(), test_stream: true, ..EngineConfig::default() });
    world.wait(3_000);
    assert!(world.engine.hub().is_published("live/test"));
    assert_eq!(world.posted.len(), 0);
    // A real publisher of its name is, and gets it.
    let mut client = Client::new(world.accept());
    client.put_connect("live");
    client.put_publish(1, "test");
    client.flush(&mut world);
    world.allow("connect");
    world.allow("publish");
    assert!(was_told(&mut client, &mut world, "NetStream.Publish.Start"));
}

#[test]
fn a_server_that_was_told_to_end_while_it_asked_lets_nobody_begin() {
    let mut world = world(asking());
    let mut client = asks_to_publish(&mut world, "cam");
    world.engine.drain(world.now, None);
    world.allow("publish");
    assert!(was_told(&mut client, &mut world, PUBLISH_DENIED));
    assert_eq!(world.engine.hub().stream_count(), 0);
}

#[test]
fn other_programs_are_asked_about_those_who_begin_after_a_reload() {
    let mut world = world(CallbackConfig { on_unpublish: url("old"), ..CallbackConfig::default() });
    let publisher = Client::publishing(&mut world, "cam");
    let mut waits = Client::new(world.accept());
    world.engine.reload(EngineConfig { callbacks: everything(), ..EngineConfig::default() });
    waits.put_connect("live");
    waits.flush(&mut world);
    world.allow("connect");
    world.hang_up(publisher.link);
    let text = String::from_utf8(world.post("unpublish").bytes.to_vec()).unwrap();
    assert!(text.starts_with("POST /old HTTP/1.1\r\n"), "where its end was to be told when it began: {text}");
}

#[test]
fn an_answer_in_pieces_is_an_answer() {
    let mut world = world(asking());
    let mut client = asks_to_publish(&mut world, "cam");
    let post = world.post("publish");
    for byte in b"HTTP/1.0 200 OK\r\n\r\nfine" {
        world.answer(post.id, &[*byte]);
    }
    assert_eq!(client.said(&mut world), [""; 0], "it may go on");
    world.close_post(post.id);
    assert!(was_told(&mut client, &mut world, "NetStream.Publish.Start"));
    assert!(world.posted.iter().all(|post| event(post) == "publish"));
}
