//! Programs that play, all at once, and what each of them received.

use std::path::PathBuf;
use std::process::Command;

use super::media::{Scratch, ffmpeg};
use super::packets::{self, Packet, assert_same};
use super::program::Program;

/// ffmpeg, ffprobe and rtmpdump on one stream.
pub struct Players {
    pub ffmpeg: Program,
    pub ffprobe: Program,
    pub rtmpdump: Recorder,
}

/// A program that writes what it plays into an FLV file.
pub struct Recorder {
    pub program: Program,
    path: PathBuf,
}

/// How many players [`Players`] is.
pub const PLAYERS: usize = 3;

impl Players {
    /// Starts one of each.
    pub fn start(scratch: &Scratch, url: &str) -> Players {
        Players {
            ffmpeg: play_with_ffmpeg(url),
            ffprobe: Program::start("ffprobe", &mut packets::ffprobe(url)),
            rtmpdump: record_with_rtmpdump(scratch, url),
        }
    }

    /// Waits until all of them ended by themselves, and compares what they received with the FLV file that was sent.
    pub fn expect(mut self, sent: &std::path::Path) {
        let list = Program::start("framemd5 of sent", &mut packets::framemd5(ffmpeg(), sent)).succeed().stdout;
        let received = self.ffmpeg.succeed_quietly().stdout;
        assert_same("ffmpeg", &packets::from_framemd5(&list), &packets::from_framemd5(&received));
        assert_eq!(packets::sequence_headers(&received), packets::sequence_headers(&list));

        let sent = packets::of_file(sent);
        assert_same("ffprobe", &sent, &packets::from_ffprobe(&self.ffprobe.succeed_quietly().stdout));
        assert_same("rtmpdump", &sent, &self.rtmpdump.expect_recording());
    }
}

impl Recorder {
    /// Waits for the end and reads the file.
    pub fn expect_recording(&mut self) -> Vec<Packet> {
        self.program.succeed();
        packets::of_file(&self.path)
    }
}

/// The distribution's ffmpeg, which lists packets as they come.
pub fn play_with_ffmpeg(url: &str) -> Program {
    Program::start("ffmpeg plays", &mut packets::framemd5(ffmpeg(), url))
}

/// rtmpdump, as for a live stream.
pub fn record_with_rtmpdump(scratch: &Scratch, url: &str) -> Recorder {
    let path = scratch.file("rtmpdump.flv");
    let mut command = Command::new("rtmpdump");
    command.args(["--quiet", "--live", "--rtmp", url, "--flv"]).arg(&path);
    Recorder { program: Program::start("rtmpdump", &mut command), path }
}

/// GStreamer's `rtmp2src`. Only for streams sent at their own speed: where messages come in bursts it mixes up their
/// sizes (1.22), and its last message gets lost where the end of the stream follows at once.
pub fn record_with_gstreamer(scratch: &Scratch, url: &str) -> Recorder {
    let path = scratch.file("gstreamer.flv");
    let location = format!("location={url}");
    let to = format!("location={}", path.display());
    let mut command = Command::new("gst-launch-1.0");
    command.args(["--quiet", "rtmp2src", &location, "!", "filesink", &to]);
    Recorder { program: Program::start("GStreamer plays", &mut command), path }
}
