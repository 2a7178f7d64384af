//! Keys, signed URLs, addresses and limits: who may not is told so, closed, and nothing of it reaches others.

use std::net::IpAddr;

use rtmpd::access::Denied;
use rtmpd::access::limits::OverLimit;
use rtmpd::config::{AccessLimits, AccessRules, AppConfig, EngineConfig, HlsConfig, HlsMode, SigningSecret, StreamKey};
use rtmpd::engine::{CloseReason, Protocol};

use crate::support::client::Client;
use crate::support::frames;
use crate::support::media::Body::{Delta, Key, VideoHeader};
use crate::support::world::{LinkId, World};

const HOME: &str = "127.0.0.1";
const PUBLISH_DENIED: &str = "onStatus 1 NetStream.Publish.Denied";
const PLAY_FAILED: &str = "onStatus 1 NetStream.Play.Failed";
/// As in docs/access.md, where anybody can check it with `openssl`.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SIGNATURE_OF_CAM: &str = "14c10018f0691f3cc52f41a6c3bed2d8af6b1a51a0f5027f83c2cd2cf2cc787a";
const EXPIRES_S: u64 = 2_000_000_000;

fn keyed(keys: &[&str]) -> AccessRules {
    let keys = keys.iter().map(|key| StreamKey::parse(key).unwrap()).collect();
    AccessRules { keys, ..AccessRules::default() }
}

/// `live` is published with the key `p` and played with the key `v`.
fn with_keys() -> EngineConfig {
    let app = AppConfig { publish: keyed(&["p"]), play: keyed(&["v"]), ..AppConfig::default() };
    EngineConfig { app, ..EngineConfig::default() }
}

fn with_limits(access: AccessLimits) -> EngineConfig {
    EngineConfig { access, ..EngineConfig::default() }
}

fn signing() -> EngineConfig {
    let publish = AccessRules { signing_secret: SigningSecret::parse(SECRET).unwrap(), ..AccessRules::default() };
    EngineConfig { app: AppConfig { publish, ..AppConfig::default() }, ..EngineConfig::default() }
}

fn connected_from(world: &mut World, peer: &str) -> Client {
    let link = world.try_accept_from(Protocol::Rtmp, peer.parse::<IpAddr>().unwrap()).unwrap();
    let mut client = Client::new(link);
    client.put_connect("live");
    client
}

/// Asks in one packet, with a frame and without waiting for anything; what it was told of it, and why it was closed.
fn try_to_publish(world: &mut World, peer: &str, name: &str) -> (Vec<String>, Option<CloseReason>) {
    let mut client = connected_from(world, peer);
    client.put_publish(1, name);
    client.put_frame(1, 0, Key, &Key.with(b"stranger", 0));
    client.flush(world);
    let mut said = client.said(world);
    said.retain(|line| line.starts_with("onStatus"));
    // It was told, and given the time to read it.
    world.wait(20_000);
    (said, world.close_reason(client.link).cloned())
}

fn refused(status: &str, reason: impl Into<CloseReason>) -> (Vec<String>, Option<CloseReason>) {
    (vec![status.to_owned()], Some(reason.into()))
}

#[test]
fn the_right_key_publishes_and_the_right_key_plays() {
    let mut world = World::new(with_keys());
    let mut publisher = Client::publishing(&mut world, "cam?key=p");
    let mut player = Client::playing(&mut world, "cam?key=v");
    publisher.frame(&mut world, 0, Key, b"k");
    assert_eq!(player.words(&mut world), ["Key k 1000"]);
}

#[test]
fn a_wrong_or_missing_key_publishes_nothing() {
    let mut world = World::new(with_keys());
    let mut player = Client::playing(&mut world, "cam?key=v");
    for (name, why) in [
        ("cam", Denied::NoCredentials),
        ("cam?key=", Denied::UnknownKey),
        ("cam?key=wrong", Denied::UnknownKey),
        ("cam?key=v", Denied::UnknownKey),
    ] {
        assert_eq!(try_to_publish(&mut world, HOME, name), refused(PUBLISH_DENIED, why), "{name}");
        assert!(!world.engine.hub().is_published("live/cam"), "{name}");
    }
    assert_eq!(player.words(&mut world), [""; 0], "not one frame came through");
    let said = player.said(&mut world);
    assert!(said.iter().all(|line| line.starts_with("PingRequest")), "and players heard nothing of it: {said:?}");
}

#[test]
fn a_wrong_or_missing_key_plays_nothing() {
    let mut world = World::new(with_keys());
    let mut publisher = Client::publishing(&mut world, "cam?key=p");
    publisher.frame(&mut world, 0, Key, b"k");
    for (name, why) in
        [("cam", Denied::NoCredentials), ("cam?key=p", Denied::UnknownKey), ("nobody?key=x", Denied::UnknownKey)]
    {
        let mut client = connected_from(&mut world, HOME);
        client.put_play(1, name);
        client.flush(&mut world);
        assert_eq!(client.seen(&mut world), [], "{name}");
        let said = client.take_said();
        assert!(!said.iter().any(|line| line.contains("NetStream.Play.Start") || line.contains("StreamBegin")));
        assert!(said.contains(&PLAY_FAILED.to_owned()), "{said:?}");
        world.wait(10_000);
        assert_eq!(world.close_reason(client.link), Some(&why.into()), "{name}");
        publisher.frame(&mut world, 0, Key, b"k");
    }
    assert!(world.is_open(publisher.link));
}

#[test]
fn an_encoder_that_refuses_to_wait_is_refused_with_all_it_sent() {
    let mut world = World::new(with_keys());
    // Everything in one packet: the frames behind the refused `publish` are nobody's.
    let (said, reason) = try_to_publish(&mut world, HOME, "cam?key=wrong");
    assert_eq!((said, reason), refused(PUBLISH_DENIED, Denied::UnknownKey));
    let mut publisher = Client::publishing(&mut world, "cam?key=p");
    let mut player = Client::playing(&mut world, "cam?key=v");
    publisher.frame(&mut world, 0, VideoHeader, b"mine");
    publisher.frame(&mut world, 0, Key, b"mine");
    assert_eq!(player.words(&mut world), ["VideoHeader mine 1000", "Key mine 1000"]);
}

#[test]
fn a_key_may_stand_in_the_settings_as_its_digest() {
    // SHA-256 of `abc` (FIPS 180-2, B.1).
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let app = AppConfig { publish: keyed(&[digest]), ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
    Client::publishing(&mut world, "a?key=abc");
    let as_typed = format!("b?key={digest}");
    let told = try_to_publish(&mut world, HOME, &as_typed);
    assert_eq!(told, refused(PUBLISH_DENIED, Denied::UnknownKey), "the digest itself opens nothing");
}

#[test]
fn a_key_may_stand_behind_the_application_as_well() {
    let mut world = World::new(with_keys());
    let mut client = Client::connected(&mut world, "live?key=p");
    client.publish(&mut world, 1, "cam");
    assert!(world.engine.hub().is_published("live/cam"));
}

#[test]
fn each_stream_may_have_a_key_of_its_own() {
    let mut publish = AccessRules::default();
    publish.stream_keys.insert("cam".to_owned(), StreamKey::parse("mine").unwrap());
    let app = AppConfig { publish, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
    Client::publishing(&mut world, "cam?key=mine");
    let other = try_to_publish(&mut world, HOME, "other?key=mine");
    assert_eq!(other, refused(PUBLISH_DENIED, Denied::UnknownKey));
}

#[test]
fn applications_differ() {
    let mut config = with_keys();
    config.apps.insert("open".to_owned(), AppConfig::default());
    let mut world = World::new(config);
    let mut anybody = Client::connected(&mut world, "open");
    anybody.publish(&mut world, 1, "cam");
    let mut player = Client::connected(&mut world, "open");
    player.play(&mut world, 1, "cam");
    // The way in through a name with more parts leads to the application that it names in the end.
    let mut sly = Client::connected(&mut world, "open/../live");
    sly.put_publish(1, "cam");
    sly.flush(&mut world);
    world.wait(20_000);
    assert!(!world.is_open(sly.link) && !world.engine.hub().is_published("live/cam"));
    assert_eq!(try_to_publish(&mut world, HOME, "cam"), refused(PUBLISH_DENIED, Denied::NoCredentials));
}

#[test]
fn a_denied_address_may_not_and_others_may() {
    let publish = AccessRules { deny: vec!["10.0.0.0/8".parse().unwrap()], ..AccessRules::default() };
    let mut world =
        World::new(EngineConfig { app: AppConfig { publish, ..AppConfig::default() }, ..EngineConfig::default() });
    for peer in ["10.1.2.3", "::ffff:10.1.2.3"] {
        assert_eq!(try_to_publish(&mut world, peer, "cam"), refused(PUBLISH_DENIED, Denied::AddressDenied), "{peer}");
    }
    let mut player = connected_from(&mut world, "10.1.2.3");
    player.play(&mut world, 1, "cam");
    Client::publishing(&mut world, "cam");
}

#[test]
fn where_some_addresses_are_allowed_no_others_are() {
    let publish = AccessRules { allow: vec!["2001:db8::/32".parse().unwrap()], ..AccessRules::default() };
    let mut world =
        World::new(EngineConfig { app: AppConfig { publish, ..AppConfig::default() }, ..EngineConfig::default() });
    assert_eq!(try_to_publish(&mut world, HOME, "a"), refused(PUBLISH_DENIED, Denied::AddressNotAllowed));
    let mut publisher = connected_from(&mut world, "2001:db8::7");
    publisher.publish(&mut world, 1, "a");
}

#[test]
fn a_signed_url_publishes_what_it_was_made_for_until_it_expires() {
    let signed = |name: &str, expires: u64| format!("{name}?expires={expires}&signature={SIGNATURE_OF_CAM}");
    let mut world = World::new(signing());
    let before = try_to_publish(&mut world, HOME, &signed("cam", EXPIRES_S));
    assert_eq!(before, refused(PUBLISH_DENIED, Denied::Expired), "nobody has told the time yet");

    world.engine.set_wall_clock(world.now, (EXPIRES_S - 60) * 1_000);
    for (name, expires) in [("cam", EXPIRES_S + 1), ("other", EXPIRES_S)] {
        let told = try_to_publish(&mut world, HOME, &signed(name, expires));
        assert_eq!(told, refused(PUBLISH_DENIED, Denied::BadSignature), "{name} {expires}");
    }
    let mut publisher = Client::publishing(&mut world, &signed("cam", EXPIRES_S));
    let mut player = Client::playing(&mut world, "cam");
    for second in 0..100_u32 {
        publisher.frame(&mut world, second * 1_000, Key, b"k");
        world.wait(1_000);
    }
    assert_eq!(player.words(&mut world).len(), 100, "who publishes goes on when it expires");
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    let late = try_to_publish(&mut world, HOME, &signed("cam", EXPIRES_S));
    assert_eq!(late, refused(PUBLISH_DENIED, Denied::Expired));
}

#[test]
fn a_publisher_comes_back_with_a_newer_signature_and_takes_its_place() {
    let mut config = signing();
    config.app.publish.keys = keyed(&["p"]).keys;
    let mut world = World::new(config);
    world.engine.set_wall_clock(world.now, 1_000_000);
    let signed = format!("cam?expires={EXPIRES_S}&signature={SIGNATURE_OF_CAM}");
    let first = Client::publishing(&mut world, &signed);
    world.wait(5_000);
    // Another key is somebody else; the same one signed again, here in another order, is not.
    let other = try_to_publish(&mut world, HOME, "cam?key=p");
    assert_eq!(other.0, ["onStatus 1 NetStream.Publish.BadName"]);
    assert!(world.is_open(first.link));
    Client::publishing(&mut world, &format!("cam?signature={SIGNATURE_OF_CAM}&expires={EXPIRES_S}"));
    world.wait(20_000);
    assert_eq!(world.close_reason(first.link), Some(&CloseReason::TakenOver));
}

fn get(world: &mut World, target: &str) -> (LinkId, String) {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let answer = world.read(link, usize::MAX);
    (link, String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn over_http_a_key_is_asked_for_before_anything_is_answered() {
    let mut config = with_keys();
    config.app.hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let mut world = World::new(config);
    let mut publisher = Client::publishing(&mut world, "cam?key=p");
    publisher.frame(&mut world, 0, VideoHeader, b"h");
    publisher.frame(&mut world, 0, Key, b"k");
    for file in ["cam.flv", "cam.ts", "cam.mp4", "cam.m3u8", "cam/index.m3u8", "cam/seg-0.m4s", "nobody.flv"] {
        for query in ["", "?key=p", "?key=p&wait=5", "?session=1"] {
            let (_, answer) = get(&mut world, &format!("/live/{file}{query}"));
            // Nothing tells a stranger whether somebody publishes, but for the files below a stream that is there.
            assert!(answer.starts_with("HTTP/1.1 403 "), "{file}{query}: {answer}");
            assert!(answer.ends_with("\r\n\r\n403 Forbidden: not allowed\n"), "{file}{query}: {answer}");
        }
    }
    let (link, answer) = get(&mut world, "/live/cam.flv?key=v");
    assert!(answer.starts_with("HTTP/1.1 200 ") && world.is_open(link), "{answer}");
    let (_, answer) = get(&mut world, "/live/nobody.flv?key=v");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn the_playlists_of_hls_carry_the_key_on() {
    let mut config = with_keys();
    config.app.hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let mut world = World::new(config);
    let _publisher = Client::publishing(&mut world, "cam?key=p");
    let (_, answer) = get(&mut world, "/live/cam.m3u8?key=v");
    assert!(!answer.starts_with("HTTP/1.1 403 "), "{answer}");
    for line in answer.lines().filter(|line| line.contains(".m3u8")) {
        assert!(line.contains("key=v"), "{line}");
    }
}

#[test]
fn a_websocket_without_a_key_is_refused_before_it_is_one() {
    let mut world = World::new(with_keys());
    let _publisher = Client::publishing(&mut world, "cam?key=p");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    let request = "GET /live/cam.flv HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    world.send(link, request.as_bytes());
    let answer = String::from_utf8_lossy(&world.read(link, usize::MAX)).into_owned();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn one_address_has_only_so_many_connections() {
    let mut world = World::new(with_limits(AccessLimits { connections_per_ip: 2, ..AccessLimits::default() }));
    let first = world.accept();
    world.try_accept_as(Protocol::Http).unwrap();
    let full = CloseReason::OverLimit(OverLimit::Connections);
    for protocol in [Protocol::Rtmp, Protocol::Http] {
        assert_eq!(world.try_accept_as(protocol).err(), Some(full.clone()));
    }
    world.try_accept_from(Protocol::Rtmp, "10.0.0.1".parse().unwrap()).unwrap();
    world.hang_up(first);
    let second = world.accept();
    assert_eq!(world.try_accept().err(), Some(full.clone()));
    // Those that the server closes are counted no more as well.
    world.send(second, &[99; 10]);
    world.wait(20_000);
    assert!(!world.is_open(second));
    world.accept();
}

#[test]
fn one_address_tries_to_publish_only_so_often() {
    let limits = AccessLimits { publishes_per_second_per_ip: 2, ..AccessLimits::default() };
    let mut world = World::new(EngineConfig { access: limits, ..with_keys() });
    let attempt = |world: &mut World, peer: &str, name: &str| {
        let mut client = connected_from(world, peer);
        client.put_publish(1, name);
        client.flush(world);
        client.said(world).pop().unwrap()
    };
    // Refused attempts count: keys cannot be tried quickly.
    for _ in 0..2 {
        assert_eq!(attempt(&mut world, HOME, "cam?key=wrong"), PUBLISH_DENIED);
    }
    assert_eq!(attempt(&mut world, HOME, "cam?key=p"), PUBLISH_DENIED);
    assert_eq!(attempt(&mut world, "10.0.0.1", "other?key=p"), "onStatus 1 NetStream.Publish.Start");
    world.wait(1_000);
    assert_eq!(attempt(&mut world, HOME, "cam?key=p"), "onStatus 1 NetStream.Publish.Start");
}

#[test]
fn one_address_tries_to_play_only_so_often_over_rtmp_and_http() {
    let limits = AccessLimits { plays_per_second_per_ip: 3, ..AccessLimits::default() };
    let mut world = World::new(EngineConfig { access: limits, ..with_keys() });
    let _publisher = Client::publishing(&mut world, "cam?key=p");
    let play = |world: &mut World, peer: &str| {
        let mut client = connected_from(world, peer);
        client.put_play(1, "cam?key=v");
        client.flush(world);
        let said = client.said(world);
        world.wait(0);
        said.iter().any(|line| line.ends_with("NetStream.Play.Start"))
    };
    assert!(play(&mut world, HOME));
    // Refused ones count: keys cannot be tried quickly. So do HTTP and WebSocket.
    assert!(get(&mut world, "/live/cam.flv?key=wrong").1.starts_with("HTTP/1.1 403 "));
    assert!(get(&mut world, "/live/cam.ts?key=v").1.starts_with("HTTP/1.1 200 "));
    let (link, answer) = get(&mut world, "/live/cam.mp4?key=v");
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    world.hang_up(link);
    assert!(!play(&mut world, HOME));
    assert!(play(&mut world, "10.0.0.1"), "others are not hurt");
    world.wait(1_000);
    assert!(play(&mut world, HOME));
    // One that waits for its stream is one attempt, not two.
    world.wait(1_000);
    let links: Vec<LinkId> = (0..3).map(|_| get(&mut world, "/live/late.flv?key=v&wait=30").0).collect();
    world.wait(400);
    let _late = Client::publishing(&mut world, "late?key=p");
    for link in links {
        let answer = String::from_utf8_lossy(&world.read(link, usize::MAX)).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn over_hls_a_player_is_one_attempt_however_often_it_asks() {
    let limits = AccessLimits { plays_per_second_per_ip: 1, ..AccessLimits::default() };
    let mut config = EngineConfig { access: limits, ..with_keys() };
    config.app.hls = HlsConfig { mode: HlsMode::Always, ..HlsConfig::default() };
    let mut world = World::new(config);
    let mut publisher = Client::publishing(&mut world, "cam?key=p");
    publisher.put(9, 1, 0, &frames::video_header(320, 176).payload);
    for number in 0..200 {
        let picture = frames::video(u64::from(number) * 40, number % 25 == 0, 0, 500);
        publisher.put(9, 1, number * 40, &picture.payload);
        publisher.flush(&mut world);
        world.wait(40);
    }
    let (_, answer) = get(&mut world, "/live/cam.m3u8?key=v");
    let media = answer.lines().find(|line| line.starts_with("cam/media")).unwrap_or_else(|| panic!("{answer}"));
    let media = format!("/live/{media}");
    // Also on new connections, and for what has no session in its address.
    let (_, playlist) = get(&mut world, &media);
    let segment = playlist.lines().rfind(|line| line.starts_with("seg-")).unwrap_or_else(|| panic!("{playlist}"));
    for path in [media.clone(), format!("/live/cam/{segment}"), media.clone()] {
        assert!(get(&mut world, &path).1.starts_with("HTTP/1.1 200 "), "{path}");
    }
    // Another one begins: too early.
    assert!(get(&mut world, "/live/cam.m3u8?key=v").1.starts_with("HTTP/1.1 429 "));
    assert!(get(&mut world, &media).1.starts_with("HTTP/1.1 200 "), "who plays goes on");
    world.wait(1_000);
    assert!(get(&mut world, "/live/cam.m3u8?key=v").1.starts_with("HTTP/1.1 200 "));
    // Keys cannot be tried by other files either.
    world.peer = "10.0.0.9".parse().unwrap();
    assert!(get(&mut world, "/live/cam/media.m3u8?key=a").1.starts_with("HTTP/1.1 403 "));
    assert!(get(&mut world, "/live/cam/media.m3u8?key=b").1.starts_with("HTTP/1.1 429 "));
}

#[test]
fn a_publisher_above_its_bandwidth_is_closed_and_others_are_not() {
    let limit = 100_000;
    let app = AppConfig { stream_bytes_per_second: limit, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
    let mut modest = Client::publishing(&mut world, "modest");
    let mut greedy = Client::publishing(&mut world, "greedy");
    let mut second = 0;
    while world.is_open(greedy.link) && second < 60 {
        modest.big_frame(&mut world, second * 1_000, Key, b"k", 90_000);
        greedy.big_frame(&mut world, second * 1_000, Key, b"k", 130_000);
        greedy.frame(&mut world, second * 1_000 + 40, Delta, b"p");
        world.wait(1_000);
        second += 1;
    }
    assert!((3..20).contains(&second), "{second} s");
    assert_eq!(world.close_reason(greedy.link), Some(&CloseReason::TooMuchData(limit)));
    assert_eq!(greedy.said(&mut world), [PUBLISH_DENIED]);
    for second in second..second + 20 {
        modest.big_frame(&mut world, second * 1_000, Key, b"k", 90_000);
        world.wait(1_000);
    }
    assert!(world.is_open(modest.link));
}
