//! Publishers that crash, come back, or come where somebody publishes already; and the end of the server.

use super::media::{AAC, H264, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish, publish_live};
use super::packets::{assert_same, assert_time_grows, from_ffprobe, from_framemd5, of_file, only};
use super::play::{PLAYERS, Players, play_with_ffmpeg, record_with_gstreamer, record_with_rtmpdump};
use super::program::Program;
use super::server::Server;

/// Waits until a player that lists packets listed `count`.
fn wait_for_packets(player: &Program, count: usize) {
    player.wait_for_stdout("packets", |lines| (from_framemd5(lines).len() >= count).then_some(()));
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn players_go_on_when_a_crashed_publisher_comes_back() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "4", &[PICTURE, TONE, H264, AAC]);
    let sent = of_file(&clip);
    let server = Server::start();
    let url = server.url("cam");
    let mut players = Players::start(&scratch, &url);
    server.wait_for_players("cam", PLAYERS);
    let crashing = publish_live(ffmpeg(), &clip, &url);
    wait_for_packets(&players.ffmpeg, 60);
    crashing.kill();
    publish_live(ffmpeg(), &clip, &url).succeed_quietly();
    server.wait_for_log("publishes again live/cam", 1);

    let ffmpeg = from_framemd5(&players.ffmpeg.succeed_quietly().stdout);
    let ffprobe = from_ffprobe(&players.ffprobe.succeed_quietly().stdout);
    let rtmpdump = players.rtmpdump.expect_recording();
    for (who, received) in [("ffmpeg", &ffmpeg), ("ffprobe", &ffprobe), ("rtmpdump", &rtmpdump)] {
        assert_time_grows(who, received);
        assert!(received.len() >= 60 + sent.len() - 1, "{who}: {} packets", received.len());
    }
    // In the order of the wire: a beginning of the first run, then the second one.
    for (who, received) in [("ffprobe", &ffprobe), ("rtmpdump", &rtmpdump)] {
        let video = only("video", received);
        let whole = only("video", &sent);
        let (first, second) = video.split_at(video.len() - whole.len());
        assert_same(who, &whole[..first.len()], first);
        assert_same(who, &whole, second);
    }
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump: run scripts/test.sh"]
fn a_second_publisher_is_refused_and_told_why() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "3", &[PICTURE, TONE, H264, AAC]);
    let server = Server::start();
    let url = server.url("cam");
    let players = Players::start(&scratch, &url);
    server.wait_for_players("cam", PLAYERS);
    let mut first = publish_live(ffmpeg(), &clip, &url);
    wait_for_packets(&players.ffmpeg, 10);
    let second = publish(ffmpeg(), &clip, &[], &url).finish();
    assert!(!second.status.success(), "the second publisher got through");
    let told = second.stderr.iter().any(|line| line.contains("the stream is being published already"));
    assert!(told, "the second publisher was not told why: {:?}", second.stderr);
    first.succeed_quietly();
    players.expect(&clip);
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg, rtmpdump, GStreamer: run scripts/test.sh"]
fn the_end_of_the_server_ends_all_programs() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "60", &[PICTURE, TONE, H264, AAC]);
    let server = Server::start();
    let url = server.url("cam");
    let mut ffmpeg_player = play_with_ffmpeg(&url);
    let mut rtmpdump = record_with_rtmpdump(&scratch, &url);
    let mut gstreamer = record_with_gstreamer(&scratch, &url);
    let waiting_url = server.url("nobody");
    let mut waiting = record_with_rtmpdump(&scratch, &waiting_url);
    server.wait_for_players("cam", 3);
    server.wait_for_players("nobody", 1);
    let mut publisher = publish_live(ffmpeg(), &clip, &url);
    wait_for_packets(&ffmpeg_player, 20);
    server.terminate();
    server.expect_clean_end();

    ffmpeg_player.succeed_quietly();
    rtmpdump.program.succeed();
    gstreamer.program.succeed_quietly();
    // What these say of it is their own affair; they must not hang.
    waiting.program.finish();
    publisher.finish();
}
