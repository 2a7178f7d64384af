//! Whoever began ends once, however it ends, and whoever never began is not told to have ended.

use std::collections::HashMap;

use rtmpd::config::{AppConfig, CallbackConfig, EngineConfig, HlsConfig, HlsMode, RecordConfig, RecordFormat};
use rtmpd::engine::Protocol;
use rtmpd::output::disk::{Command, Done, Outcome};
use serde_json::json;

use crate::backend::{event, everything, is_question, url};
use crate::rng::Rng;
use crate::support::client::Client;
use crate::support::media::Body::{Audio, AudioHeader, Delta, Key};
use crate::support::world::{LinkId, World};

fn telling() -> EngineConfig {
    let (on_unpublish, on_stop) = (url("unpublish"), url("stop"));
    let callbacks = CallbackConfig { on_unpublish, on_stop, ..CallbackConfig::default() };
    EngineConfig { callbacks, ..EngineConfig::default() }
}

#[test]
fn ends_say_how_long_it_was_and_how_much() {
    let mut world = World::new(telling());
    let mut publisher = Client::publishing(&mut world, "cam?key=a");
    let player = Client::playing(&mut world, "cam");
    publisher.big_frame(&mut world, 0, Key, b"k", 1_000);
    world.wait(2_500);
    world.hang_up(player.link);
    world.hang_up(publisher.link);
    let [stop, unpublish] = &world.told()[..] else { panic!() };
    assert_eq!((&stop["event"], &stop["duration_ms"]), (&json!("stop"), &json!(2_500)));
    assert_eq!((&unpublish["event"], &unpublish["query"]), (&json!("unpublish"), &json!("key=a")));
    assert!(stop["bytes_out"].as_u64() > Some(1_000) && stop["bytes_out"].as_u64() < Some(2_000), "{stop}");
    assert!(
        unpublish["bytes_in"].as_u64() > Some(1_000) && unpublish["bytes_in"].as_u64() < Some(2_000),
        "{unpublish}"
    );
    assert_ne!(stop["client_id"], unpublish["client_id"]);
}

#[test]
fn one_who_deletes_its_stream_and_closes_has_one_end() {
    let mut world = World::new(telling());
    for is_publisher in [true, false] {
        let mut client =
            if is_publisher { Client::publishing(&mut world, "cam") } else { Client::playing(&mut world, "cam") };
        client.put_delete_stream(1);
        client.flush(&mut world);
        world.hang_up(client.link);
        let wanted = if is_publisher { "unpublish cam" } else { "stop cam" };
        assert_eq!(world.told_words(), [wanted]);
    }
}

#[test]
fn one_who_publishes_again_on_its_connection_ends_before_it_begins_again() {
    let mut world = World::new(telling());
    let mut client = Client::publishing(&mut world, "a");
    client.publish(&mut world, 1, "b");
    assert_eq!(world.told_words(), ["unpublish a"]);
    client.publish(&mut world, 2, "b");
    assert_eq!(world.told_words(), ["unpublish b"], "the newest of a name counts");
    world.hang_up(client.link);
    assert_eq!(world.told_words(), ["unpublish b"]);
}

#[test]
fn a_publisher_that_is_replaced_ends_once() {
    let mut world = World::new(telling());
    let first = Client::publishing(&mut world, "cam");
    world.wait(3_000);
    let second = Client::publishing(&mut world, "cam");
    assert_eq!(world.told_words(), ["unpublish cam"]);
    world.hang_up(first.link);
    assert_eq!(world.told_words(), [""; 0]);
    world.hang_up(second.link);
    assert_eq!(world.told_words(), ["unpublish cam"]);
    world.wait(60_000);
    assert_eq!(world.told_words(), [""; 0], "no other one when it does not come back");
}

#[test]
fn one_who_is_closed_by_the_operator_ends_once() {
    let mut world = World::new(telling());
    let _publisher = Client::publishing(&mut world, "cam");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"GET /api/v1/clients?stream=live/cam HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let text = String::from_utf8(world.read(link, usize::MAX)).unwrap();
    let id = text.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.send(link, format!("DELETE /api/v1/clients/{id} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    world.wait(5_000);
    assert_eq!(world.told_words(), ["unpublish cam"]);
}

#[test]
fn a_player_over_http_ends_with_its_stream_and_a_head_request_ends_at_once() {
    let mut world = World::new(telling());
    let mut publisher = Client::publishing(&mut world, "cam");
    publisher.frame(&mut world, 0, AudioHeader, b"\x12\x10");
    for method in ["GET", "HEAD"] {
        let link = world.try_accept_as(Protocol::Http).unwrap();
        world.send(link, format!("{method} /live/cam.flv HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    }
    assert_eq!(world.told_words(), ["stop cam"]);
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    world.wait(5_000);
    assert_eq!(world.told_words(), ["unpublish cam", "stop cam"]);
}

#[test]
fn a_server_that_ends_tells_all_ends_before_it_is_through() {
    let mut config = telling();
    config.app.hls = HlsConfig { mode: HlsMode::Always, segment_ms: 1_000, ..HlsConfig::default() };
    let mut world = World::new(config);
    let mut publisher = Client::publishing(&mut world, "cam");
    let _player = Client::playing(&mut world, "cam");
    publisher.frame(&mut world, 0, AudioHeader, b"\x12\x10");
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"GET /live/cam.m3u8?session=7 HTTP/1.1\r\nHost: h\r\n\r\n");
    world.shut_down();
    world.wait(1_000);
    assert!(!world.engine.is_empty(), "they are not posted yet");
    let mut words = world.told_words();
    words.sort();
    assert_eq!(words, ["stop cam", "stop cam", "unpublish cam"]);
    assert!(world.engine.is_empty());
}

#[test]
fn a_server_that_ends_asks_nobody_any_more() {
    let config = EngineConfig { callbacks: everything(), ..EngineConfig::default() };
    let mut world = World::new(config);
    let mut client = Client::new(world.accept());
    client.put_connect("live");
    client.flush(&mut world);
    assert_eq!(world.posts.len(), 1);
    world.shut_down();
    world.wait(5_000);
    assert!(world.engine.is_empty() && world.posts.is_empty());
}

/// The disk does what it was asked for.
fn do_disk(world: &mut World) {
    loop {
        let commands = std::mem::take(world.disk.as_mut().unwrap());
        if commands.is_empty() {
            return;
        }
        for (_, command) in commands {
            let done = match &command {
                Command::Open { names, .. } => Done::Opened { name: names.name(names.from), number: names.from },
                Command::Append { .. } => Done::Appended,
                Command::WriteAt { .. } => Done::Written,
                _ => Done::Closed,
            };
            let outcome = Outcome { file: command.file(), done, written: command.len() as u64, result: Ok(()) };
            world.engine.handle_outcome(world.now, &outcome);
            world.turn();
        }
    }
}

#[test]
fn every_file_of_a_recording_is_told_with_its_publisher() {
    let directory = "/recordings".into();
    let formats = vec![RecordFormat::Flv];
    let record = RecordConfig { auto: true, directory, formats, split_ms: 1_000, ..RecordConfig::default() };
    let callbacks = CallbackConfig { on_record_done: url("done"), ..CallbackConfig::default() };
    let app = AppConfig { record, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, callbacks, ..EngineConfig::default() });
    world.disk = Some(Vec::new());
    let mut publisher = Client::publishing(&mut world, "cam?key=a");
    publisher.frame(&mut world, 0, AudioHeader, b"\x12\x10");
    let mut told = Vec::new();
    for at_ms in (0..2_500).step_by(20) {
        publisher.frame(&mut world, at_ms, if at_ms % 500 == 0 { Key } else { Delta }, b"p");
        publisher.frame(&mut world, at_ms, Audio, b"s");
        world.wait(20);
        do_disk(&mut world);
        told.extend(world.told());
    }
    publisher.put_delete_stream(1);
    publisher.flush(&mut world);
    do_disk(&mut world);
    told.extend(world.told());
    assert_eq!(told.len(), 3, "{told:?}");
    let paths: Vec<&str> = told.iter().map(|it| it["path"].as_str().unwrap()).collect();
    assert!(paths.iter().all(|path| path.starts_with("/recordings/") && path.contains("cam")), "{paths:?}");
    assert!(paths[0] != paths[1] && paths[1] != paths[2], "{paths:?}");
    for it in &told {
        assert_eq!(
            (&it["event"], &it["stream"], &it["query"]),
            (&json!("record_done"), &json!("cam"), &json!("key=a"))
        );
        assert_eq!(it["ip"], "127.0.0.1");
        assert!(it["bytes"].as_u64() > Some(100) && it["duration_ms"].as_u64() >= Some(400), "{it}");
    }
}

/// One of those who come and go.
struct Peer {
    client: Client,
}

struct Play {
    world: World,
    rng: Rng,
    peers: Vec<Peer>,
    /// How often peers heard that they publish or play.
    starts: HashMap<&'static str, usize>,
}

impl Play {
    fn new(seed: u64) -> Play {
        // Nothing is tried again: what was told is what was posted.
        let callbacks = CallbackConfig { timeout_ms: 1_000, retries: 0, waiting: 1_000, ..everything() };
        let app = AppConfig { grace_ms: 1_000, takeover_silence_ms: 500, ..AppConfig::default() };
        let world = World::new(EngineConfig { callbacks, app, ..EngineConfig::default() });
        Play { world, rng: Rng::new(seed), peers: Vec::new(), starts: HashMap::new() }
    }

    fn step(&mut self) {
        match self.rng.below(12) {
            0 | 1 => {
                let mut client = Client::new(self.world.accept());
                client.put_connect("live");
                client.flush(&mut self.world);
                self.peers.push(Peer { client });
            }
            2..=4 => self.act(),
            5 => self.leave(),
            6 => {
                let wait_ms = self.rng.pick(&[1, 100, 600, 1_500]);
                self.world.wait(wait_ms);
            }
            _ => self.answer(),
        }
        self.listen();
    }

    /// A peer asks for something, or ends something.
    fn act(&mut self) {
        let index = self.rng.below(self.peers.len());
        let (what, stream, name) = (self.rng.below(5), 1 + self.rng.below(2) as u32, self.rng.pick(&["a", "b"]));
        let Some(peer) = self.peers.get_mut(index) else { return };
        match what {
            0 | 1 => peer.client.put_publish(stream, name),
            2 => peer.client.put_play(stream, name),
            3 => peer.client.put_delete_stream(stream),
            _ => peer.client.put_frame(stream, 0, Key, &Key.with(b"k", 0)),
        }
        if self.rng.one_in(3) {
            peer.client.put_delete_stream(stream);
        }
        peer.client.flush(&mut self.world);
    }

    fn leave(&mut self) {
        self.listen();
        let index = self.rng.below(self.peers.len());
        if index < self.peers.len() {
            let peer = self.peers.swap_remove(index);
            self.world.hang_up(peer.client.link);
        }
    }

    /// The program does something with one of its posts.
    fn answer(&mut self) {
        let index = self.rng.below(self.world.posts.len());
        let Some(post) = self.world.posts.get(index).cloned() else { return };
        match self.rng.below(8) {
            0 if is_question(&post) => self.world.reply(post.id, 403, ""),
            1 if is_question(&post) => self.world.reply(post.id, 302, "Location: c\r\n"),
            2 if is_question(&post) => self.world.fail_post(post.id),
            3 if is_question(&post) => self.world.close_post(post.id),
            _ => self.world.reply(post.id, 200, ""),
        }
    }

    /// Peers hear that they began.
    fn listen(&mut self) {
        for peer in &mut self.peers {
            for line in peer.client.said(&mut self.world) {
                let started = match () {
                    () if line.ends_with("NetStream.Publish.Start") => "publish",
                    () if line.ends_with("NetStream.Play.Start") => "play",
                    () => continue,
                };
                *self.starts.entry(started).or_default() += 1;
            }
        }
    }

    fn finish(mut self, seed: u64) -> usize {
        self.listen();
        let links: Vec<LinkId> = self.world.open_links();
        if self.rng.one_in(2) {
            self.world.shut_down();
            self.listen();
            self.world.wait(1_000);
        } else {
            links.into_iter().for_each(|link| self.world.hang_up(link));
        }
        while let Some(post) = self.world.posts.first().cloned() {
            self.world.reply(post.id, 200, "");
        }
        self.world.wait(10_000);
        assert!(self.world.engine.is_empty() && self.world.posts.is_empty(), "seed {seed}");
        for (start, end) in [("publish", "unpublish"), ("play", "stop")] {
            let starts = self.starts.get(start).copied().unwrap_or_default();
            let ends = self.world.posted.iter().filter(|post| event(post) == end).count();
            assert_eq!(starts, ends, "seed {seed}: {start}");
        }
        self.world.wait(60_000);
        assert_eq!(self.world.engine.poll_timeout(), None, "seed {seed}: nothing is left to do");
        self.starts.values().sum()
    }
}

#[test]
fn whatever_happens_there_are_as_many_ends_as_starts() {
    let mut starts = 0;
    for seed in 0..400 {
        let mut play = Play::new(seed);
        for _ in 0..200 {
            play.step();
        }
        starts += play.finish(seed);
    }
    assert!(starts > 1_000, "{starts}");
}
