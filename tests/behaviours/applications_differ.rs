//! Two applications of one server, each with settings of its own.

use std::collections::BTreeMap;

use rtmpd::config::{
    AppConfig, CacheLimits, EngineConfig, HlsConfig, HlsMode, PlayerQueueLimits, RecordConfig, RecordFormat,
};
use rtmpd::engine::{CloseReason, Protocol};
use rtmpd::output::disk::Command;

use crate::support::client::Client;
use crate::support::media::Body::{Delta, Key, VideoHeader};
use crate::support::world::World;

fn config(default: AppConfig, other: AppConfig) -> EngineConfig {
    EngineConfig { app: default, apps: BTreeMap::from([("other".to_owned(), other)]), ..EngineConfig::default() }
}

fn publishing(world: &mut World, app: &str) -> Client {
    let mut client = Client::connected(world, app);
    client.publish(world, 1, "a");
    client
}

fn playing(world: &mut World, app: &str) -> Client {
    let mut client = Client::connected(world, app);
    client.play(world, 1, "a");
    client
}

/// Status of the answer to a request; 0 where there is none yet.
fn status(world: &mut World, path: &str) -> u16 {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let answer = String::from_utf8_lossy(&world.read(link, usize::MAX)).into_owned();
    answer.split(' ').nth(1).map_or(0, |status| status.parse().unwrap())
}

/// Directories in which files were opened, and with which formats.
fn opened(world: &World) -> Vec<(String, String)> {
    let opened = world.disk.as_ref().unwrap().iter().filter_map(|(_, command)| match command {
        Command::Open { directory, names, .. } => Some((directory.display().to_string(), names.name(names.from))),
        _ => None,
    });
    opened.collect()
}

#[test]
fn each_application_records_as_it_is_told() {
    let record = RecordConfig { auto: true, directory: "there".into(), ..RecordConfig::default() };
    let ts = RecordConfig { directory: "elsewhere".into(), formats: vec![RecordFormat::Ts], ..record.clone() };
    let mut config =
        config(AppConfig { record, ..AppConfig::default() }, AppConfig { record: ts, ..AppConfig::default() });
    config.apps.insert("quiet".to_owned(), AppConfig::default());
    let mut world = World::new(config);
    world.disk = Some(Vec::new());
    for app in ["live", "other", "quiet"] {
        let mut publisher = publishing(&mut world, app);
        publisher.frame(&mut world, 0, VideoHeader, b"\x01\x64\0\x1f\xff\xe0\0");
        for at_ms in [0, 40, 1_000] {
            publisher.frame(&mut world, at_ms, Key, b"\0\0\0\x02\x65x");
        }
        world.wait(1_000);
    }
    let opened = opened(&world);
    let places: Vec<(&str, bool)> =
        opened.iter().map(|(place, name)| (place.as_str(), name.ends_with(".ts"))).collect();
    assert_eq!(places, [("there", false), ("elsewhere", true)]);
}

#[test]
fn each_application_has_hls_or_not() {
    let off = HlsConfig { mode: HlsMode::Off, ..HlsConfig::default() };
    let mut world = World::new(config(AppConfig { hls: off, ..AppConfig::default() }, AppConfig::default()));
    let _publishers = ["live", "other"].map(|app| publishing(&mut world, app));
    assert_eq!(status(&mut world, "/live/a.m3u8"), 404);
    assert_eq!(status(&mut world, "/other/a.m3u8"), 0, "it waits for the first segment");
}

#[test]
fn each_application_has_its_own_cache() {
    let cache = CacheLimits { gop_frames: 2, ..CacheLimits::default() };
    let mut world = World::new(config(AppConfig { cache, ..AppConfig::default() }, AppConfig::default()));
    for (app, has_picture) in [("live", false), ("other", true)] {
        let mut publisher = publishing(&mut world, app);
        for (at_ms, kind) in [(0, Key), (40, Delta), (80, Delta)] {
            publisher.frame(&mut world, at_ms, kind, b"p");
        }
        let words = playing(&mut world, app).words(&mut world);
        assert_eq!(!words.is_empty(), has_picture, "{app}: {words:?}");
    }
}

#[test]
fn each_application_lets_its_players_lag_as_far_as_it_says() {
    let queue = PlayerQueueLimits { lag_ms: 500, ..PlayerQueueLimits::default() };
    let mut world = World::new(config(AppConfig { queue, ..AppConfig::default() }, AppConfig::default()));
    for (app, loses) in [("live", true), ("other", false)] {
        let mut publisher = publishing(&mut world, app);
        let mut player = playing(&mut world, app);
        world.set_window(player.link, 0);
        for number in 0..30 {
            let kind = if number % 10 == 0 { Key } else { Delta };
            publisher.big_frame(&mut world, number * 40, kind, b"p", 100);
            world.wait(40);
        }
        world.set_window(player.link, usize::MAX);
        assert_eq!(player.words(&mut world).len() < 30, loses, "{app}");
    }
}

#[test]
fn a_stream_has_as_many_players_as_its_application_allows() {
    let app = AppConfig { players_per_stream: 2, ..AppConfig::default() };
    let mut world = World::new(config(app, AppConfig::default()));
    let mut publishers = ["live", "other"].map(|app| publishing(&mut world, app));
    publishers.iter_mut().for_each(|publisher| publisher.frame(&mut world, 0, Key, b"k"));
    let first = playing(&mut world, "live");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"GET /live/a.flv HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(world.read(link, usize::MAX).starts_with(b"HTTP/1.1 200 "));
    // Nobody more, by whatever way.
    let mut late = Client::connected(&mut world, "live");
    late.put_play(1, "a");
    late.flush(&mut world);
    assert_eq!(late.said(&mut world), ["onStatus 1 NetStream.Play.Failed"]);
    world.wait(2_000);
    let reason = CloseReason::Refused("the stream has as many players as it may: 2".to_owned());
    assert_eq!(world.close_reason(late.link), Some(&reason));
    assert_eq!(status(&mut world, "/live/a.flv"), 503);
    assert_eq!(status(&mut world, "/live/a.m3u8"), 503);
    // There is room again, and there was elsewhere.
    world.hang_up(first.link);
    playing(&mut world, "live");
    for _ in 0..5 {
        playing(&mut world, "other");
    }
    assert!(publishers.iter().all(|publisher| world.is_open(publisher.link)));
}

#[test]
fn grace_and_takeover_are_the_applications() {
    let app = AppConfig { grace_ms: 0, takeover_silence_ms: 100, ..AppConfig::default() };
    let mut world = World::new(config(app, AppConfig::default()));
    for (app, ends) in [("live", true), ("other", false)] {
        let publisher = publishing(&mut world, app);
        let mut player = playing(&mut world, app);
        world.wait(500);
        // Another one of the same name: the first has been silent for half a second.
        let mut second = Client::connected(&mut world, app);
        second.put_publish(1, "a");
        second.flush(&mut world);
        let told = second.said(&mut world);
        assert_eq!(told.join(" ").contains("NetStream.Publish.Start"), ends, "{app}: {told:?}");
        world.hang_up(if ends { second.link } else { publisher.link });
        world.wait(1);
        let told = player.said(&mut world).join(" ");
        assert_eq!(told.contains("UnpublishNotify"), ends, "{app}: {told}");
    }
}

#[test]
fn a_new_configuration_reaches_streams_that_are_there() {
    let mut world = World::new(EngineConfig::default());
    let mut publisher = publishing(&mut world, "other");
    let mut player = playing(&mut world, "other");
    let queue = PlayerQueueLimits { lag_ms: 100, ..PlayerQueueLimits::default() };
    world
        .engine
        .reload(config(AppConfig::default(), AppConfig { queue, players_per_stream: 1, ..AppConfig::default() }));
    world.set_window(player.link, 0);
    for number in 0..10 {
        publisher.big_frame(&mut world, number * 40, Key, b"p", 100);
        world.wait(40);
    }
    world.set_window(player.link, usize::MAX);
    assert!(player.words(&mut world).len() < 10, "the queue of the new configuration");
    let mut late = Client::connected(&mut world, "other");
    late.put_play(1, "a");
    late.flush(&mut world);
    assert_eq!(late.said(&mut world), ["onStatus 1 NetStream.Play.Failed"]);
    assert!(world.is_open(player.link), "who plays goes on");
}
