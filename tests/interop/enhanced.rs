//! Enhanced RTMP with a current ffmpeg: codecs by FourCC, and several tracks of a kind.

use super::media::{ENHANCED_CODECS, PICTURE, Scratch, TONE, new_ffmpeg, publish, remux};
use super::packets::{assert_same, framemd5, from_framemd5, sequence_headers};
use super::program::Program;
use super::server::Server;

const HEVC: &[&str] = &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"];
const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12"];
const VP9: &[&str] = &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"];

/// Two seconds with a key frame each, made with the current ffmpeg.
fn make_clip(scratch: &Scratch, arguments: &[&[&str]]) -> std::path::PathBuf {
    let path = scratch.file("clip.mkv");
    let mut command = new_ffmpeg();
    command.args(arguments.concat()).args(["-pix_fmt", "yuv420p", "-g", "25", "-t", "2"]).arg(&path);
    Program::start("ffmpeg makes a clip", &mut command).succeed();
    path
}

/// Publishes a clip with the current ffmpeg to one that waits for it. `kinds` are the tracks that it has to receive.
fn arrives_as_sent(arguments: &[&[&str]], kinds: &[&str]) {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, arguments);
    let sent = remux(new_ffmpeg(), &scratch, &clip, &[]);
    let sent = Program::start("framemd5 of sent", &mut framemd5(new_ffmpeg(), &sent)).succeed().stdout;
    let server = Server::start();
    let url = server.url("enhanced");
    let mut listing = new_ffmpeg();
    listing.args(["-rtmp_enhanced_codecs", ENHANCED_CODECS]);
    let mut player = Program::start("player", &mut framemd5(listing, &url));
    server.wait_for_players("enhanced", 1);
    publish(new_ffmpeg(), &clip, &["-rtmp_enhanced_codecs", ENHANCED_CODECS], &url).succeed();

    let received = player.succeed_quietly().stdout;
    assert_same("player", &from_framemd5(&sent), &from_framemd5(&received));
    assert_eq!(sequence_headers(&received), sequence_headers(&sent));
    let codecs: Vec<&str> = received.iter().filter_map(|line| line.strip_prefix("#codec_id ")).collect();
    assert_eq!(codecs, kinds);
    server.stop();
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn hevc_and_opus_arrive_as_they_were_sent() {
    let codecs = [HEVC, &["-c:a", "libopus"]].concat();
    arrives_as_sent(&[PICTURE, TONE, &codecs], &["0: hevc", "1: opus"]);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn av1_and_flac_arrive_as_they_were_sent() {
    let codecs = [AV1, &["-c:a", "flac"]].concat();
    arrives_as_sent(&[PICTURE, TONE, &codecs], &["0: av1", "1: flac"]);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn vp9_and_ac3_arrive_as_they_were_sent() {
    let codecs = [VP9, &["-c:a", "ac3"]].concat();
    arrives_as_sent(&[PICTURE, TONE, &codecs], &["0: vp9", "1: ac3"]);
}

#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn h264_and_enhanced_ac3_arrive_as_they_were_sent() {
    arrives_as_sent(&[PICTURE, TONE, &["-c:v", "libx264", "-bf", "2", "-c:a", "eac3"]], &["0: h264", "1: eac3"]);
}

/// Multitrack messages: two pictures and two sounds, each of its own codec.
#[test]
#[ignore = "needs a current ffmpeg: run scripts/test.sh"]
fn several_tracks_of_a_kind_arrive_as_they_were_sent() {
    let small = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25"];
    let high = ["-f", "lavfi", "-i", "sine=frequency=880:sample_rate=48000"];
    let maps = ["-map", "0", "-map", "1", "-map", "2", "-map", "3"];
    let first = ["-c:v:0", "libx264", "-bf:v:0", "2", "-c:a:0", "aac"];
    let second =
        ["-c:v:1", "libx265", "-preset:v:1", "ultrafast", "-x265-params:v:1", "log-level=none", "-c:a:1", "libopus"];
    arrives_as_sent(
        &[PICTURE, &small, TONE, &high, &maps, &first, &second],
        &["0: h264", "1: hevc", "2: aac", "3: opus"],
    );
}
