//! What the distribution's programs publish arrives at all players, packet by packet.

use std::path::Path;
use std::process::Command;

use super::media::{AAC, H264, H264_NO_B, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish, publish_live, remux};
use super::packets::{assert_same, of_file};
use super::play::{PLAYERS, Players, record_with_gstreamer};
use super::program::Program;
use super::server::Server;

/// Publishes a clip with the distribution's ffmpeg to players that wait for it.
fn arrives_as_sent(inputs_and_codecs: &[&[&str]], publisher_options: &[&str]) {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "3", inputs_and_codecs);
    let sent = remux(ffmpeg(), &scratch, &clip, publisher_options);
    let server = Server::start();
    let url = server.url("cam");
    let players = Players::start(&scratch, &url);
    server.wait_for_players("cam", PLAYERS);
    publish(ffmpeg(), &clip, publisher_options, &url).succeed_quietly();
    players.expect(&sent);
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn h264_and_aac_arrive_as_they_were_sent() {
    arrives_as_sent(&[PICTURE, TONE, H264_NO_B, AAC], &[]);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn b_frames_keep_their_two_times() {
    arrives_as_sent(&[PICTURE, TONE, H264, AAC], &[]);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn audio_alone_plays() {
    arrives_as_sent(&[TONE, AAC], &[]);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn video_alone_plays() {
    arrives_as_sent(&[PICTURE, H264], &[]);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn a_publisher_whose_clock_starts_past_24_bits_plays() {
    arrives_as_sent(&[PICTURE, TONE, H264, AAC], &["-output_ts_offset", "16780"]);
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn a_publisher_whose_clock_crosses_24_bits_plays() {
    arrives_as_sent(&[PICTURE, TONE, H264, AAC], &["-output_ts_offset", "16775.7"]);
}

/// Five hours of a slide show, sent in seconds: frames 9 s apart, the last ones so big that they need several chunks.
#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn players_follow_a_stream_past_24_bits() {
    let noise = "color=black:size=320x180:rate=1/9,noise=alls=100:allf=t:enable='gt(t,17000)'";
    let picture = ["-f", "lavfi", "-i", noise];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "1", "-g", "10", "-pix_fmt", "yuv420p"];
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "17100", &[&picture, &codec]);
    let sent = of_file(&clip);
    let past: Vec<_> = sent.iter().filter(|packet| packet.dts_ms > 0xFF_FFFF).collect();
    assert!(past.len() > 20, "the clip is too short");

    let server = Server::start();
    let url = server.url("slides");
    let players = Players::start(&scratch, &url);
    server.wait_for_players("slides", PLAYERS);
    publish(ffmpeg(), &clip, &[], &url).succeed_quietly();
    players.expect(&clip);
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump, GStreamer: run scripts/test.sh"]
fn gstreamer_publishes() {
    let scratch = Scratch::new();
    let server = Server::start();
    let url = server.url("gst");
    let players = Players::start(&scratch, &url);
    server.wait_for_players("gst", PLAYERS);
    let sent = scratch.file("sent.flv");
    let pipeline = format!(
        "flvmux name=mux streamable=true ! tee name=both \
         both. ! queue ! rtmp2sink location={url} \
         both. ! queue ! filesink location={} \
         videotestsrc num-buffers=75 ! video/x-raw,width=320,height=180,framerate=25/1 \
         ! x264enc speed-preset=veryfast key-int-max=25 ! queue ! mux. \
         audiotestsrc num-buffers=140 ! audio/x-raw,rate=48000,channels=1 ! avenc_aac ! queue ! mux.",
        sent.display()
    );
    let mut command = Command::new("gst-launch-1.0");
    command.arg("--quiet").args(pipeline.split_whitespace());
    Program::start("GStreamer publishes", &mut command).succeed();
    players.expect(&sent);
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, GStreamer: run scripts/test.sh"]
fn gstreamer_plays() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "3", &[PICTURE, TONE, H264, AAC]);
    let sent = of_file(&clip);
    let server = Server::start();
    let url = server.url("cam");
    let mut player = record_with_gstreamer(&scratch, &url);
    let pictures = scratch.file("pictures.i420");
    let mut decoder = decode_with_gstreamer(&url, &pictures);
    server.wait_for_players("cam", 2);
    publish_live(ffmpeg(), &clip, &url).succeed_quietly();

    let received = player.expect_recording();
    let without_last = sent.len() - 1;
    assert!(received.len() >= without_last, "{} of {} packets", received.len(), sent.len());
    assert_same("GStreamer", &sent[..received.len()], &received);
    decoder.succeed_quietly();
    let decoded = std::fs::metadata(&pictures).unwrap().len() / (320 * 180 * 3 / 2);
    assert!((74..=75).contains(&decoded), "{decoded} pictures");
    server.stop();
}

/// Plays with GStreamer's own FLV demuxer, and writes raw pictures.
fn decode_with_gstreamer(url: &str, pictures: &Path) -> Program {
    let pipeline = format!(
        "rtmp2src location={url} ! flvdemux name=demux \
         demux.video ! queue ! h264parse ! avdec_h264 ! video/x-raw,format=I420 ! filesink location={} \
         demux.audio ! queue ! aacparse ! avdec_aac ! fakesink",
        pictures.display()
    );
    let mut command = Command::new("gst-launch-1.0");
    command.arg("--quiet").args(pipeline.split_whitespace());
    Program::start("GStreamer decodes", &mut command)
}
