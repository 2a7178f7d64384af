//! What a player is sent that comes while a stream is under way.

use rtmpd::config::{AppConfig, EngineConfig, JoinMode};

use crate::support::client::{Client, Seen};
use crate::support::media::Body::{self, Audio, AudioHeader, Delta, Key, VideoHeader};
use crate::support::world::World;

/// Publishes `live/a`: headers, a group of 10 pictures with sound between, then the first 4 of another.
fn publish(world: &mut World) -> (Client, Vec<(Body, u32, Vec<u8>)>) {
    let mut publisher = Client::publishing(world, "a");
    publisher.frame(world, 0, VideoHeader, b"vh");
    publisher.frame(world, 0, AudioHeader, b"ah");
    let mut sent = Vec::new();
    for step in 0..14_u32 {
        world.wait(40);
        let kind = if step % 10 == 0 { Key } else { Delta };
        for (kind, timestamp) in [(kind, step * 40), (Audio, step * 40 + 20)] {
            // Some are longer than the chunks that the server sends, which are made small for this.
            let body = kind.with(format!("{step}").as_bytes(), (step as usize % 3) * 400);
            publisher.put_frame(1, timestamp, kind, &body);
            sent.push((kind, timestamp + 1_000, body));
        }
    }
    publisher.flush(world);
    (publisher, sent)
}

fn world(chunk_size: usize) -> World {
    World::new(EngineConfig { chunk_size, ..EngineConfig::default() })
}

/// What arrived behind the two headers.
fn media(seen: &[Seen]) -> Vec<(Body, u32, Vec<u8>)> {
    let all = seen.iter().map(|seen| {
        let (kind, _) = Body::parse(seen.type_id == 9, &seen.payload).expect("a body of this test");
        (kind, seen.timestamp, seen.payload.clone())
    });
    all.filter(|(kind, ..)| kind.is_coded()).collect()
}

#[test]
fn a_recorder_gets_the_group_of_pictures_as_it_was_sent() {
    for chunk_size in [128, 1_000, 65_536] {
        for message_stream in [1, 2, 77_000] {
            let mut world = world(chunk_size);
            let (mut publisher, sent) = publish(&mut world);
            let mut player = Client::playing_on(&mut world, message_stream, "a?join=gop");
            publisher.frame(&mut world, 560, Delta, b"live");
            let seen = player.seen(&mut world);
            assert!(seen.iter().all(|seen| seen.message_stream == message_stream));
            assert_eq!(seen[..2].iter().filter(|seen| seen.timestamp == 1_400).count(), 2);
            let mut expected = sent[20..].to_vec();
            expected.push((Delta, 1_560, Delta.with(b"live", 0)));
            assert_eq!(media(&seen), expected);
        }
    }
}

#[test]
fn a_viewer_sees_the_newest_picture_at_once() {
    let mut world = world(65_536);
    let (mut publisher, sent) = publish(&mut world);
    let mut player = Client::playing(&mut world, "a");
    let seen = media(&player.seen(&mut world));
    assert_eq!((seen[0].0, seen[0].1), (Audio, seen[1].1), "sound begins where the pictures begin");
    let (sound, pictures): (Vec<_>, Vec<_>) = seen.iter().partition(|(kind, ..)| *kind == Audio);
    let newest_sound = sent.iter().rev().find(|(kind, ..)| *kind == Audio).map(|(.., body)| body);
    assert_eq!(sound.last().map(|(.., body)| body), newest_sound, "it ends with the newest");
    let probe = EngineConfig::default().app.cache.probe_frames;
    assert!(pictures.len() >= probe + 4, "{}", pictures.len());
    let times: Vec<u32> = pictures.iter().map(|(_, timestamp, _)| *timestamp).collect();
    let first = 1_520 + 1 - times.len() as u32;
    assert_eq!(times, (first..=1_520).collect::<Vec<u32>>(), "1 ms apart up to the live edge");
    assert_eq!(pictures[0].0, Key);
    let last_group: Vec<&Vec<u8>> = pictures[pictures.len() - 4..].iter().map(|(.., body)| body).collect();
    let expected: Vec<&Vec<u8>> =
        sent[20..].iter().filter(|(kind, ..)| *kind != Audio).map(|(.., body)| body).collect();
    assert_eq!(last_group, expected);
    publisher.frame(&mut world, 560, Delta, b"live");
    assert_eq!(player.words(&mut world), ["Delta live 1560"]);
}

#[test]
fn who_wants_it_waits_for_the_next_key_frame() {
    for name in ["a?join=key", "a?gop=0"] {
        let mut world = world(65_536);
        let (mut publisher, _) = publish(&mut world);
        let mut player = Client::playing(&mut world, name);
        publisher.frame(&mut world, 560, Delta, b"live");
        let words = player.words(&mut world);
        assert_eq!(words.len(), 2, "headers only: {words:?}");
        publisher.frame(&mut world, 600, Key, b"k");
        assert_eq!(player.words(&mut world), ["Key k 1600"]);
    }
}

#[test]
fn an_app_chooses_for_players_that_do_not_say() {
    let app = AppConfig { join: JoinMode::Key, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
    let (_publisher, _) = publish(&mut world);
    let mut silent = Client::playing(&mut world, "a");
    let mut recorder = Client::playing(&mut world, "a?join=gop");
    assert_eq!(silent.words(&mut world).len(), 2);
    assert_eq!(recorder.words(&mut world).len(), 10);
}

#[test]
fn a_player_that_pauses_goes_on_at_the_live_edge() {
    let mut world = world(65_536);
    let (mut publisher, _) = publish(&mut world);
    let mut player = Client::playing(&mut world, "a");
    player.seen(&mut world);
    player.put_pause(1, true);
    player.flush(&mut world);
    publisher.frame(&mut world, 560, Delta, b"unseen");
    world.wait(1_000);
    assert_eq!(player.words(&mut world), [""; 0]);
    publisher.frame(&mut world, 1_560, Delta, b"newest");
    player.put_pause(1, false);
    player.flush(&mut world);
    let words = player.words(&mut world);
    assert_eq!(words.last().map(String::as_str), Some("Delta newest 2560"));
    assert!(player.said(&mut world).iter().any(|line| line.contains("Unpause.Notify")));
}

#[test]
fn players_on_any_message_stream_see_the_same() {
    let mut world = world(1_000);
    let mut publisher = Client::publishing(&mut world, "a");
    let streams = [1, 2, 5, 1 << 24, u32::MAX];
    let mut players = streams.map(|stream| Client::playing_on(&mut world, stream, "a"));
    for step in 0..5 {
        let kind = if step == 0 { Key } else { Delta };
        publisher.big_frame(&mut world, step * 40, kind, b"x", 2_500);
    }
    for (player, stream) in players.iter_mut().zip(streams) {
        let seen = player.seen(&mut world);
        assert_eq!(seen.len(), 5);
        for (step, seen) in (0..).zip(seen) {
            assert_eq!((seen.message_stream, seen.timestamp), (stream, 1_000 + step * 40));
            assert_eq!(seen.payload[1..], Delta.with(b"x", 2_500)[1..]);
        }
    }
}
