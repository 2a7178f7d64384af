//! Real players over HTTP, on each form in which a stream is served.

use std::path::Path;
use std::process::Command;

use super::media::{AAC, H264, PICTURE, Scratch, TONE, ffmpeg, make_clip, publish_endless, publish_live};
use super::packets::{assert_same, framemd5, from_framemd5};
use super::program::Program;
use super::server::Server;

/// What a stream is served as, for as long as it lasts.
const ENDLESS: [&str; 3] = ["flv", "ts", "mp4"];

/// The same, and HLS.
const FORMS: [&str; 4] = ["flv", "ts", "mp4", "m3u8"];

/// So many pictures have to be seen by a player that does not say what it saw of each.
const PICTURES: usize = 50;

/// A server, and somebody who publishes without end.
struct Rig {
    server: Server,
    publisher: Program,
}

impl Rig {
    fn start() -> Rig {
        let server = Server::start_with_http();
        let publisher = publish_endless(&server.url("cam"));
        server.wait_for_log("publishes live/cam", 1);
        Rig { server, publisher }
    }

    fn url(&self, form: &str) -> String {
        self.server.web_url("http", &format!("cam.{form}"))
    }

    fn stop(self) {
        self.publisher.kill();
        self.server.stop();
    }
}

/// Lists the pictures of `input`, decoded.
fn pictures(input: &str) -> Program {
    let mut command = ffmpeg();
    command.args(["-i", input, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "pipe:1"]);
    Program::start("ffmpeg decodes", &mut command)
}

fn digests(lines: &[String]) -> Vec<&str> {
    let rows = lines.iter().filter(|line| !line.starts_with('#'));
    rows.filter_map(|line| line.rsplit(", ").next()).collect()
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

// Where a body ends with its connection, ffmpeg says "Stream ends prematurely" in any case; it may.

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn ffmpeg_decodes_every_picture_of_flv_ts_and_mp4_as_it_was_sent() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "3", &[PICTURE, TONE, H264, AAC]);
    let server = Server::start_with_http();
    let mut players = ENDLESS.map(|form| pictures(&server.web_url("http", &format!("cam.{form}?wait=60"))));
    server.wait_for_log("waits for live/cam over HTTP", ENDLESS.len());
    publish_live(ffmpeg(), &clip, &server.url("cam")).succeed_quietly();

    let sent = pictures(path(&clip)).succeed().stdout;
    assert_eq!(digests(&sent).len(), 75);
    for (form, player) in ENDLESS.iter().zip(&mut players) {
        let received = player.succeed().stdout;
        assert_eq!(digests(&received), digests(&sent), "{form}");
    }
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn ffmpeg_decodes_every_picture_of_hls_as_it_was_sent() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "6", &[PICTURE, TONE, H264, AAC]);
    let server = Server::start_with_http();
    let mut player = pictures(&server.web_url("http", "cam.m3u8?wait=60"));
    server.wait_for_log("waits for live/cam over HTTP", 1);
    publish_live(ffmpeg(), &clip, &server.url("cam")).succeed_quietly();

    let sent = pictures(path(&clip)).succeed().stdout;
    assert_eq!(digests(&sent).len(), 150);
    let received = player.succeed().stdout;
    assert_eq!(digests(&received), digests(&sent));
    server.stop();
}

#[test]
#[ignore = "needs ffmpeg: run scripts/test.sh"]
fn flv_over_http_has_the_packets_that_were_sent() {
    let scratch = Scratch::new();
    let clip = make_clip(&scratch, "clip.flv", "3", &[PICTURE, TONE, H264, AAC]);
    let server = Server::start_with_http();
    let url = server.web_url("http", "cam.flv?wait=60");
    let mut player = Program::start("ffmpeg lists", &mut framemd5(ffmpeg(), &url));
    server.wait_for_log("waits for live/cam over HTTP", 1);
    publish_live(ffmpeg(), &clip, &server.url("cam")).succeed_quietly();

    let sent = Program::start("ffmpeg lists the clip", &mut framemd5(ffmpeg(), &clip)).succeed().stdout;
    let received = player.succeed().stdout;
    assert_same("ffmpeg", &from_framemd5(&sent), &from_framemd5(&received));
    server.stop();
}

#[test]
#[ignore = "needs ffprobe: run scripts/test.sh"]
fn ffprobe_finds_both_tracks() {
    let rig = Rig::start();
    for form in FORMS {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]).arg(rig.url(form));
        let mut tracks = Program::start(form, &mut command).succeed_quietly().stdout;
        tracks.retain(|track| !track.is_empty());
        tracks.sort();
        tracks.dedup();
        assert_eq!(tracks, ["aac", "h264"], "{form}");
    }
    rig.stop();
}

#[test]
#[ignore = "needs GStreamer: run scripts/test.sh"]
fn gstreamer_decodes_pictures_and_sound() {
    let rig = Rig::start();
    for form in FORMS {
        let uri = format!("uri={}", rig.url(form));
        let mut command = Command::new("gst-launch-1.0");
        // Without a queue for each track GStreamer (1.22) sometimes stands still with HLS, with ffmpeg's as well.
        command.args(["-v", "uridecodebin", &uri, "name=in"]);
        for (kind, name) in [("video/x-raw", "name=pictures"), ("audio/x-raw", "name=sound")] {
            command.args(["in.", "!", kind, "!", "queue", "!", "fakesink", name, "silent=false", "sync=false"]);
        }
        let player = Program::start(form, &mut command);
        player.wait_for_stdout("pictures and sound", |lines| {
            let count = |sink: &str| lines.iter().filter(|line| line.contains(sink)).count();
            let both = ["pictures: last-message = chain", "sound: last-message = chain"];
            both.into_iter().all(|sink| count(sink) >= PICTURES).then_some(())
        });
        player.kill();
    }
    rig.stop();
}

#[test]
#[ignore = "needs mpv: run scripts/test.sh"]
fn mpv_plays() {
    let rig = Rig::start();
    for form in FORMS {
        let mut command = Command::new("mpv");
        command.args(["--no-config", "--vo=null", "--ao=null"]);
        command.arg(format!("--frames={PICTURES}")).arg(rig.url(form));
        let said = Program::start(form, &mut command).succeed().stdout;
        let has = |what: &str| said.iter().any(|line| line.contains(what));
        assert!(has("Video --vid=1") && has("Audio --aid=1"), "{form}: mpv did not find both tracks: {said:#?}");
    }
    rig.stop();
}

#[test]
#[ignore = "needs VLC: run scripts/test.sh"]
fn vlc_shows_a_picture() {
    let rig = Rig::start();
    for form in FORMS {
        let player = Program::start(form, vlc().arg(rig.url(form)));
        player.wait_for_stderr("Received first picture", 1);
        player.kill();
    }
    rig.stop();
}

/// VLC without a window; it refuses to run as root.
fn vlc() -> Command {
    let mut command = Command::new("sh");
    let script = "if [ \"$(id -u)\" -eq 0 ]; then exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; fi; \
                  exec \"$@\"";
    command.args(["-c", script, "sh", "vlc", "--intf", "dummy", "--vout", "dummy", "--aout", "dummy"]);
    command.args(["--no-color", "--verbose", "2"]).env("HOME", "/nonexistent");
    command
}
