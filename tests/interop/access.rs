//! Keys as people type them into their programs.

use std::process::Command;

use super::media::{AAC, H264_NO_B, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish, remux};
use super::packets;
use super::play::{play_with_ffmpeg, record_with_rtmpdump};
use super::program::Program;
use super::server::Server;

const RULES: &str = "[app.live.publish]\nkeys = [\"PUBLISH\"]\n[app.live.play]\nkeys = [\"WATCH\"]\n";

fn ffmpeg_fails(name: &str, mut program: Program) {
    let finished = program.finish();
    assert!(!finished.status.success(), "{name} did not notice");
    let said = finished.stderr.iter().any(|line| line.contains("not allowed"));
    assert!(said, "{name} was not told why: {:#?}", finished.stderr);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn keys_behind_the_stream_name_open_it_for_ffmpeg_and_rtmpdump() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "2", &[PICTURE, TONE, H264_NO_B, AAC]);
    let sent = packets::of_file(&remux(ffmpeg(), &scratch, &clip, &[]));
    let server = Server::with_config(&scratch, RULES);
    let mut player = play_with_ffmpeg(&server.url("cam?key=WATCH"));
    let mut recorder = record_with_rtmpdump(&scratch, &server.url("cam?key=WATCH"));
    server.wait_for_players("cam", 2);
    // As OBS has it: the server is one text, the stream key another.
    let stream_key = ["-rtmp_playpath", "cam?key=PUBLISH"];
    publish(ffmpeg(), &clip, &stream_key, &server.url("")).succeed_quietly();
    let received = packets::from_framemd5(&player.succeed_quietly().stdout);
    assert_eq!(received.len(), sent.len());
    packets::assert_same("rtmpdump", &sent, &recorder.expect_recording());
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn who_has_no_key_is_told_and_ends_at_once() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "2", &[PICTURE, TONE, H264_NO_B, AAC]);
    let server = Server::with_config(&scratch, RULES);
    for name in ["cam", "cam?key=WRONG", "cam?key=WATCH"] {
        ffmpeg_fails("the publisher", publish(ffmpeg(), &clip, &[], &server.url(name)));
        if name != "cam?key=WATCH" {
            ffmpeg_fails("the player", play_with_ffmpeg(&server.url(name)));
        }
    }
    let mut command = Command::new("rtmpdump");
    command.args(["--live", "--rtmp", &server.url("cam"), "--flv", "/dev/null"]);
    assert!(!Program::start("rtmpdump", &mut command).finish().status.success());
    server.stop();
}
