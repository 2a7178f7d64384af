//! An encoder that is set up badly: the log says so in one line, and so does the API.

use rtmpd::config::EngineConfig;
use rtmpd::engine::Protocol;
use rtmpd::rtmp::amf0::{Value, write_value};
use serde_json::json;

use crate::support::client::Client;
use crate::support::world::World;
use crate::support::{frames, log};

/// What an encoder sends; the default is as it should be.
struct Encoder {
    gop_s: u32,
    has_audio_header: bool,
    audio_late_ms: u32,
    /// In these seconds its clock is set back by an hour.
    jumps_s: &'static [u32],
    /// As the metadata say it, in kbit/s.
    declared_kbps: f64,
}

/// Bytes of each picture, of which there are 25 in a second: 200 kbit/s.
const PICTURE_BYTES: usize = 1_000;

const GOOD: Encoder =
    Encoder { gop_s: 2, has_audio_header: true, audio_late_ms: 0, jumps_s: &[], declared_kbps: 200.0 };

fn metadata(client: &mut Client, kbps: f64) {
    let mut body = bytes::BytesMut::new();
    for value in [Value::string("@setDataFrame"), Value::string("onMetaData")] {
        write_value(&mut body, &value);
    }
    let rates = [("framerate".into(), Value::Number(25.0)), ("videodatarate".into(), Value::Number(kbps))];
    write_value(&mut body, &Value::EcmaArray(rates.into()));
    client.put(18, 1, 0, &body);
}

/// 20 seconds of it.
fn publish(world: &mut World, encoder: &Encoder) -> Client {
    let mut client = Client::publishing(world, "cam");
    metadata(&mut client, encoder.declared_kbps);
    client.put(9, 1, 0, &frames::video_header(320, 176).payload);
    if encoder.has_audio_header {
        client.put(8, 1, 0, &frames::audio_header(false).payload);
    }
    let mut clock = 100_000_000_u32;
    for number in 0..20 * 25 {
        let second = number / 25;
        if number % 25 == 12 && encoder.jumps_s.contains(&second) {
            clock -= 3_600_000;
        }
        let is_key = number % (encoder.gop_s * 25) == 0;
        let picture = frames::video(clock.into(), is_key, 0, PICTURE_BYTES);
        client.put(9, 1, clock, &picture.payload);
        let sound = clock.saturating_sub(encoder.audio_late_ms);
        client.put(8, 1, sound, &frames::audio(sound.into(), 100).payload);
        client.flush(world);
        world.wait(40);
        clock += 40;
    }
    client
}

/// The stream as the API tells it.
fn stream(world: &mut World) -> serde_json::Value {
    let link = world.try_accept_as(Protocol::Http).unwrap();
    world.send(link, b"GET /api/v1/streams/live/cam HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let text = String::from_utf8(world.read(link, usize::MAX)).unwrap();
    world.hang_up(link);
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The log has one line of warning and the API one warning, of this kind and with these words; or neither.
fn expect(encoder: &Encoder, kind: Option<&str>, words: &str) -> serde_json::Value {
    log::keep();
    let mut world = World::new(EngineConfig::default());
    let client = publish(&mut world, encoder);
    assert!(world.is_open(client.link), "it is told, not closed");
    let stream = stream(&mut world);
    let warned: Vec<String> = log::lines().into_iter().filter(|line| line.starts_with("WARN ")).collect();
    let told = stream["warnings"].as_array().unwrap();
    assert_eq!(told.iter().map(|it| it["kind"].as_str().unwrap()).collect::<Vec<_>>(), Vec::from_iter(kind));
    let texts: Vec<String> = told.iter().map(|it| format!("WARN live/cam: {}", it["text"].as_str().unwrap())).collect();
    assert_eq!(warned, texts, "the log says the same, once");
    assert!(warned.iter().all(|line| line.contains(words)), "{warned:?}");
    stream
}

#[test]
fn one_that_does_it_right_is_left_in_peace_and_told_in_numbers() {
    let stream = expect(&GOOD, None, "");
    let video = &stream["video"];
    assert_eq!((&video["codec"], &video["width"], &video["height"]), (&json!("H.264"), &json!(320), &json!(176)));
    assert_eq!((&video["frame_rate"], &video["gop_ms"]), (&json!(25.0), &json!(2_000)));
    let bitrate = video["bitrate_bps"].as_u64().unwrap();
    assert!((200_000..205_000).contains(&bitrate), "{bitrate}");
    assert_eq!(stream["anomalies"], 0);
}

#[test]
fn key_frames_that_are_more_than_four_seconds_apart() {
    expect(&Encoder { gop_s: 4, ..GOOD }, None, "");
    expect(&Encoder { gop_s: 5, ..GOOD }, Some("long-gop"), "set the encoder's key frame interval to 2 s");
}

#[test]
fn aac_that_came_without_its_header() {
    let encoder = Encoder { has_audio_header: false, ..GOOD };
    expect(&encoder, Some("aac-without-header"), "AAC came without its sequence header");
}

#[test]
fn a_clock_that_jumps_again_and_again() {
    let once = expect(&Encoder { jumps_s: &[5], ..GOOD }, None, "");
    assert!(once["anomalies"].as_u64() >= Some(1), "{once}");
    let often = expect(&Encoder { jumps_s: &[3, 7, 11], ..GOOD }, Some("clock-jumps"), "timestamps jump");
    assert!(often["anomalies"].as_u64() >= Some(3), "{often}");
}

#[test]
fn sound_and_pictures_that_are_apart() {
    expect(&Encoder { audio_late_ms: 500, ..GOOD }, None, "");
    expect(
        &Encoder { audio_late_ms: 1_500, ..GOOD },
        Some("audio-video-apart"),
        "sound and pictures are sent 1.5 s apart",
    );
}

#[test]
fn far_more_than_the_metadata_promise() {
    expect(&Encoder { declared_kbps: 150.0, ..GOOD }, None, "");
    let encoder = Encoder { declared_kbps: 100.0, ..GOOD };
    expect(&encoder, Some("bitrate-above-metadata"), "where its metadata promise 100 kbit/s");
}
