//! Recordings beside players: the loop never waits for a disk.

use std::time::{Duration, Instant};

use rtmpd::config::{AppConfig, EngineConfig, RecordConfig, RecordFormat};
use rtmpd::engine::Protocol;
use rtmpd::output::disk::{Command, Done, Outcome};

use crate::support::client::Client;
use crate::support::media::Body::{Audio, AudioHeader, Delta, Key};
use crate::support::world::World;

const STREAM_MS: u32 = 10_000;
/// Where the server's timeline begins.
const BEGIN_MS: u32 = 1_000;
const STEP_MS: u32 = 20;

fn world() -> World {
    let formats = vec![RecordFormat::Flv, RecordFormat::Ts, RecordFormat::Mp4];
    let record = RecordConfig { auto: true, formats, ..RecordConfig::default() };
    let app = AppConfig { record, ..AppConfig::default() };
    let mut world = World::new(EngineConfig { app, ..EngineConfig::default() });
    world.disk = Some(Vec::new());
    world
}

/// The disk does what it was asked for before `until`, or fails. Gives how much it was.
fn answer(world: &mut World, until: Instant, failure: Option<&str>) -> usize {
    let waiting = world.disk.take().unwrap();
    let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(asked_at, _)| *asked_at <= until);
    world.disk = Some(later);
    let count = due.len();
    for (_, command) in due {
        let done = match &command {
            Command::Open { names, .. } => Done::Opened { name: names.name(names.from), number: names.from },
            Command::Append { .. } => Done::Appended,
            Command::WriteAt { .. } => Done::Written,
            Command::Close { .. } => Done::Closed,
            other => panic!("{other:?}"),
        };
        let result = failure.map_or(Ok(()), |reason| Err(reason.to_owned()));
        let written = if result.is_ok() { command.len() as u64 } else { 0 };
        let outcome = Outcome { file: command.file(), done, written, result };
        world.engine.handle_outcome(world.now, &outcome);
        world.turn();
    }
    count
}

/// Ten seconds of pictures and sound to three players, each of whom has every frame in the moment in which it was
/// sent. `each` is called after each step of time.
fn every_frame_is_there_at_once(world: &mut World, mut each: impl FnMut(&mut World)) {
    let mut publisher = Client::publishing(world, "a");
    let mut players: Vec<Client> = (0..3).map(|_| Client::playing(world, "a")).collect();
    publisher.frame(world, 0, AudioHeader, b"");
    players.iter_mut().for_each(|player| drop(player.words(world)));
    for at_ms in (0..STREAM_MS).step_by(STEP_MS as usize) {
        let picture = if at_ms % 1_000 == 0 { Key } else { Delta };
        for (kind, mark) in [(picture, "p"), (Audio, "s")] {
            let mark = format!("{mark}{at_ms}");
            publisher.frame(world, at_ms, kind, mark.as_bytes());
            for player in &mut players {
                assert_eq!(player.words(world), [format!("{kind:?} {mark} {}", BEGIN_MS + at_ms)]);
            }
        }
        world.wait(STEP_MS.into());
        each(world);
    }
    for player in &players {
        assert_eq!(world.dropped_messages(player.link), 0);
    }
}

#[test]
fn a_disk_that_is_a_second_late_delays_no_frame_and_loses_nothing_of_the_recording() {
    let mut world = world();
    let late = Duration::from_secs(1);
    let (mut answered, mut longest) = (0, 0);
    every_frame_is_there_at_once(&mut world, |world| {
        longest = longest.max(world.disk.as_ref().unwrap().len());
        answered += answer(world, world.now - late, None);
    });
    assert!(longest >= 4 && answered >= 40, "{longest} waited, {answered} done: this was no slow disk");
}

#[test]
fn a_disk_that_never_answers_delays_no_frame() {
    every_frame_is_there_at_once(&mut world(), |_| ());
}

#[test]
fn a_disk_on_which_everything_fails_delays_no_frame() {
    every_frame_is_there_at_once(&mut world(), |world| {
        answer(world, world.now, Some("the disk is full"));
    });
}

fn answer_now(world: &mut World, failure: Option<&str>) -> usize {
    answer(world, world.now, failure)
}

#[test]
fn a_recording_that_failed_is_begun_again_when_the_operator_says_so() {
    let mut world = world();
    let mut publisher = Client::publishing(&mut world, "a");
    let ask = |world: &mut World, method: &str| {
        let link = world.try_accept_as(Protocol::Http).unwrap();
        let request = format!("{method} /api/v1/streams/live/a/recording HTTP/1.1\r\nHost: localhost\r\n\r\n");
        world.send(link, request.as_bytes());
        String::from_utf8(world.read(link, usize::MAX)).unwrap().split(' ').nth(1).map(str::to_owned).unwrap()
    };
    let send = |world: &mut World, publisher: &mut Client, from_ms: u32| {
        for at_ms in (from_ms..from_ms + 1_000).step_by(STEP_MS as usize) {
            publisher.frame(world, at_ms, if at_ms % 200 == 0 { Key } else { Delta }, b"p");
            world.wait(STEP_MS.into());
        }
    };
    send(&mut world, &mut publisher, 0);
    assert!(answer_now(&mut world, Some("the disk is full")) > 0);
    send(&mut world, &mut publisher, 1_000);
    assert_eq!(answer_now(&mut world, None), 0, "it is not tried again by itself");
    assert_eq!(ask(&mut world, "DELETE"), "404", "it has ended");
    assert_eq!(ask(&mut world, "PUT"), "201");
    send(&mut world, &mut publisher, 2_000);
    assert!(answer_now(&mut world, None) > 0);
    assert_eq!(ask(&mut world, "DELETE"), "204");
}
