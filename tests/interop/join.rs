//! Players and recorders that come while a stream is under way, in the middle of a group of pictures.

use std::process::Command;

use super::media::{AAC, H264, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish_live};
use super::packets::{Packet, assert_same, from_framemd5, of_file, only};
use super::play::{play_with_ffmpeg, record_with_rtmpdump};
use super::program::Program;
use super::server::Server;

/// The first frame of the last group of pictures; the group before it is whole.
const LAST_KEY: usize = 50;

/// How much of the stream is there before somebody joins.
const FRAMES_BEFORE_JOIN: usize = LAST_KEY + 15;

/// A stream whose last group of pictures is long, and a player that sees all of it.
struct Rig {
    server: Server,
    url: String,
    clip: std::path::PathBuf,
    publisher: Program,
    witness: Program,
    scratch: Scratch,
}

/// Publishes, and waits until the stream is in the middle of its last group.
fn stream_in_the_middle_of_a_group() -> Rig {
    let scratch = Scratch::new();
    // Key frames where they are told to be, nowhere else.
    let keys = format!("expr:eq(n,0)+eq(n,{LAST_KEY})");
    let keys = ["-force_key_frames", &keys, "-g:v", "1000"];
    let clip = make_clip(&scratch, "clip.flv", "6", &[PICTURE, TONE, H264, AAC, &keys]);
    let server = Server::start();
    let url = server.url("cam");
    let witness = play_with_ffmpeg(&url);
    server.wait_for_players("cam", 1);
    let publisher = publish_live(ffmpeg(), &clip, &url);
    witness.wait_for_stdout("the middle of a group", |lines| {
        let pictures = from_framemd5(lines).iter().filter(|packet| packet.is_video()).count();
        (pictures >= FRAMES_BEFORE_JOIN).then_some(())
    });
    Rig { server, url, clip, publisher, witness, scratch }
}

/// The packets from the last key frame on.
fn last_group(sent: &[Packet]) -> &[Packet] {
    let (start, _) = sent.iter().enumerate().filter(|(_, packet)| packet.is_video()).nth(LAST_KEY).unwrap();
    &sent[start..]
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn a_recording_from_the_key_frame_on_holds_each_frame_once_at_its_true_time() {
    let mut rig = stream_in_the_middle_of_a_group();
    let url = format!("{}?join=gop", rig.url);
    let mut ffmpeg = play_with_ffmpeg(&url);
    let recording = rig.scratch.file("ffmpeg.flv");
    let mut command = super::media::ffmpeg();
    command.args(["-copyts", "-i", &url, "-map", "0:v", "-map", "0:a", "-c", "copy"]);
    command.args(["-flvflags", "no_duration_filesize"]).arg(&recording);
    let mut recorder = Program::start("ffmpeg records", &mut command);
    let mut rtmpdump = record_with_rtmpdump(&rig.scratch, &url);
    rig.publisher.succeed_quietly();

    let sent = of_file(&rig.clip);
    let sent = last_group(&sent);
    assert!(sent[0].is_key);
    assert_same("rtmpdump", sent, &rtmpdump.expect_recording());
    recorder.succeed_quietly();
    let recorded = of_file(&recording);
    for track in ["video", "audio"] {
        assert_same("ffmpeg's recording", &only(track, sent), &only(track, &recorded));
    }
    // The one that saw all shows what time it was.
    let seen = from_framemd5(&rig.witness.succeed_quietly().stdout);
    let received = from_framemd5(&ffmpeg.succeed_quietly().stdout);
    for track in ["video", "audio"] {
        let (seen, received) = (only(track, &seen), only(track, &received));
        assert!(seen.ends_with(&received), "{track}: not what the others saw, or not when");
        assert_eq!(received.len(), only(track, sent).len(), "{track}");
    }
    rig.server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn an_instant_join_decodes_without_a_complaint() {
    let mut rig = stream_in_the_middle_of_a_group();
    let mut command = ffmpeg();
    command.args(["-i", &rig.url, "-map", "0:v", "-map", "0:a", "-f", "null"]);
    // The frames of the past come 1 ms apart; at the frame rate's steps they would fall on one another.
    command.args(["-fps_mode", "passthrough", "-enc_time_base", "1/1000", "-"]);
    let mut player = Program::start("ffmpeg decodes", &mut command);
    rig.publisher.succeed_quietly();
    rig.witness.succeed_quietly();
    player.succeed_quietly();
    rig.server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn after_an_instant_join_live_frames_come_as_they_were_sent() {
    let mut rig = stream_in_the_middle_of_a_group();
    let mut player = play_with_ffmpeg(&rig.url);
    rig.publisher.succeed_quietly();
    let seen = from_framemd5(&rig.witness.succeed_quietly().stdout);
    let received = from_framemd5(&player.succeed_quietly().stdout);
    for track in ["video", "audio"] {
        let (seen, received) = (only(track, &seen), only(track, &received));
        let live = seen.iter().rev().zip(received.iter().rev()).take_while(|(seen, received)| seen == received);
        assert!(live.count() > 20, "{track}: live frames differ from what the others saw");
    }
    rig.server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn one_who_joins_sees_the_tracks_and_nothing_that_looks_like_one() {
    let mut rig = stream_in_the_middle_of_a_group();
    let players = ["edge", "gop"].map(|mode| {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "warning", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]);
        Program::start(mode, command.arg(format!("{}?join={mode}", rig.url)))
    });
    for mut player in players {
        assert_eq!(player.succeed_quietly().stdout, ["h264", "aac"]);
    }
    rig.publisher.succeed_quietly();
    rig.witness.succeed_quietly();
    rig.server.stop();
}
